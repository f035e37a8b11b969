/**
 * What serverless.yml may say. Given to sls, which checks values; names are checked by `unknownKeys`, because sls says
 * only that a name is not known, and a misspelt one is usually one letter away from what was meant.
 */
type Schema = {
  type?: string
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  additionalProperties?: boolean | Schema
  required?: readonly string[]
  items?: Schema
  anyOf?: readonly Schema[]
  oneOf?: readonly Schema[]
  $ref?: string
  definitions?: Record<string, Schema>
  [keyword: string]: unknown
}

const object = (properties: Record<string, Schema>, required: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const text: Schema = { type: 'string', minLength: 1 }
const flag: Schema = { type: 'boolean' }
const list = (items: Schema): Schema => ({ type: 'array', items })

/** Numbers and booleans are passed on as text. */
const environment: Schema = {
  type: 'object',
  patternProperties: { '^[A-Za-z][A-Za-z0-9_]*$': { anyOf: [{ type: 'string' }, { type: 'number' }, flag] } },
  additionalProperties: false,
}
const vpc = object({ vpcId: text, subnetId: text }, ['vpcId', 'subnetId'])
const cls = object({ logsetId: text, topicId: text }, ['logsetId', 'topicId'])
const publicNet = object({ fixedIp: flag })
const tags: Schema = { type: 'object', additionalProperties: { type: 'string' } }
const memorySize: Schema = { enum: [64, ...Array.from({ length: 24 }, (_, at) => 128 * (at + 1))] }
const timeout: Schema = { type: 'integer', minimum: 1, maximum: 900 }
const customDomain = object(
  {
    domain: { type: 'string', pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$' },
    protocol: { enum: ['HTTP', 'HTTPS', 'HTTP&HTTPS'] },
    certificateId: text,
    wafInstanceId: text,
  },
  ['domain'],
)
const cors: Schema = {
  anyOf: [
    flag,
    object({
      origins: list(text),
      methods: list(text),
      headers: list(text),
      exposeHeaders: list(text),
      maxAge: { type: 'integer', minimum: 0 },
      credentials: flag,
    }),
  ],
}
const qualifier: Schema = { type: 'string', pattern: '^(\\$LATEST|\\$DEFAULT|[A-Za-z0-9_-]{1,64})$' }

/** What a file in deploy/stages/ may set. */
const stage = object({ environment, role: text, vpc, cls, publicNet, customDomain, tags, cors })

const provider = {
  region: { type: 'string', pattern: '^[a-z]{2}-[a-z]+(-[a-z0-9]+)*$' },
  runtime: { type: 'string', pattern: '^Nodejs\\d+\\.\\d+$' },
  namespace: text,
  memorySize,
  timeout,
  role: text,
  environment,
  vpc,
  cls,
  publicNet,
  customDomain,
  tags,
  /** The database drivers a bundle carries. */
  drivers: { ...list({ enum: ['mysql', 'postgres'] }), minItems: 1 },
  sourceMaps: flag,
}

const functionProperties = {
  handler: { type: 'string' },
  memorySize,
  timeout,
  role: text,
  environment,
  reservedConcurrency: { type: 'integer', minimum: 1, maximum: 1000 },
}

const functionEvents = {
  http: object(
    {
      method: { enum: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] },
      path: { type: 'string', pattern: '^/[!-~]*$' },
      authType: { enum: ['NONE', 'CAM'] },
      cors,
      qualifier,
      apiGwCompatible: flag,
    },
    ['method', 'path'],
  ),
  timer: object(
    {
      // Seconds first: second minute hour day month weekday year.
      cron: { type: 'string', pattern: '^\\S+( \\S+){6}$' },
      name: { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_-]{0,59}$' },
      enabled: flag,
      argument: text,
      qualifier,
    },
    ['cron'],
  ),
}

type SchemaHandler = {
  schema: Schema
  defineProvider(name: string, parts: unknown): void
  defineCustomProperties(parts: unknown): void
}

export function defineSchema(handler: SchemaHandler): void {
  handler.defineProvider('tencent', {
    provider: { properties: structuredClone(provider), required: ['region', 'runtime'] },
    function: { properties: structuredClone(functionProperties), required: ['handler'] },
    functionEvents: structuredClone(functionEvents),
  })
  handler.defineCustomProperties({ properties: { stage: structuredClone(stage) }, required: [] })
}

export type UnknownKey = { path: string; key: string; nearest: string | undefined }

/** Every name the schema does not have, with its path and the name that was probably meant. */
export function unknownKeys(config: unknown, schema: Schema): UnknownKey[] {
  const found: UnknownKey[] = []
  const walk = (value: unknown, given: Schema, path: readonly string[]): void => {
    const rule = given.$ref ? (schema.definitions?.[given.$ref.replace('#/definitions/', '')] ?? {}) : given
    if (Array.isArray(value)) {
      for (const [at, item] of value.entries()) walk(item, rule.items ?? {}, [...path, String(at)])
      return
    }
    if (typeof value !== 'object' || value === null) return
    const keys = Object.keys(value)
    const branches = rule.anyOf ?? rule.oneOf
    if (branches) {
      // An event names its kind; anything else is the one branch that is an object.
      const objects = branches.filter((branch) => branch.properties)
      const branch = objects.find((one) => keys.some((key) => key in one.properties!))
      if (branch) return walk(value, branch, path)
      const known = objects
        .flatMap((one) => Object.keys(one.properties!))
        .filter((key) => !key.startsWith('_'))
      for (const key of known.length > 0 ? keys : []) found.push(unknown(path, key, known))
      return
    }
    if (!rule.properties && !rule.patternProperties) return
    for (const [key, inner] of Object.entries(value)) {
      const pattern = Object.keys(rule.patternProperties ?? {}).find((one) => new RegExp(one).test(key))
      const own =
        rule.properties?.[key] ?? (pattern === undefined ? undefined : rule.patternProperties![pattern])
      if (own) walk(inner, own, [...path, key])
      else if (rule.additionalProperties === false && inner !== null && inner !== undefined)
        found.push(unknown(path, key, Object.keys(rule.properties ?? {})))
    }
  }
  walk(config, schema, [])
  return found
}

const unknown = (path: readonly string[], key: string, known: readonly string[]): UnknownKey => ({
  path: [...path, key].join('.'),
  key,
  nearest: nearest(key, known),
})

/** The known name that takes the fewest changes, if it is near enough to be what was meant. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((name) => ({ name, far: distance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.far - b.far)
  const [best] = ranked
  return best && best.far <= Math.max(2, Math.ceil(key.length / 3)) ? best.name : undefined
}

/** Levenshtein's: insertions, deletions and substitutions. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}

/** One sentence for all of them. A stage's settings are told by the file they stand in. */
export function tellUnknownKeys(keys: readonly UnknownKey[], stageName: string): string {
  const told = keys.map(({ path, nearest: meant }) => {
    const inStage = /^custom\.stage\.(.+)/.exec(path)?.[1]
    const where = inStage ? `${inStage} in deploy/stages/${stageName}.yml` : `${path} in serverless.yml`
    return `${where} is not known${meant ? `: did you mean ${meant}?` : ''}`
  })
  return told.join('\n')
}

/** Names that sls takes by itself, and that nothing here would act on: whoever writes one believes that it does something. */
export function idleKeys(config: unknown, stage: string): string[] {
  const given = config as {
    service?: unknown
    package?: Record<string, unknown> | null
    functions?: Record<string, { name?: unknown } | null>
  }
  // sls itself gives a function the name it has anyway.
  const isIdle = ([key, one]: [string, { name?: unknown } | null]): boolean =>
    one?.name !== undefined && one.name !== `${String(given.service)}-${stage}-${key}`
  return [
    ...Object.keys(given.package ?? {}).map((key) => `package.${key}`),
    ...Object.entries(given.functions ?? {})
      .filter(isIdle)
      .map(([key]) => `functions.${key}.name`),
  ]
}

export const tellIdleKeys = (paths: readonly string[]): string =>
  paths
    .map((path) => {
      const why = path.startsWith('package.')
        ? 'the zip of a function holds its one file. A certificate goes into DATABASE_CA or CLOUD_PAY_CA'
        : 'a function is called service-stage-key'
      return `${path} in serverless.yml does nothing here: ${why}.`
    })
    .join('\n')

/** What the schema would say of a cron as others write it: that it does not match a pattern. */
export function shortCrons(config: unknown): string[] {
  const { functions = {} } = config as {
    functions?: Record<string, { events?: { timer?: { cron?: unknown } }[] } | null>
  }
  return Object.entries(functions).flatMap(([key, one]) =>
    (one?.events ?? []).flatMap(({ timer }) => {
      const fields = typeof timer?.cron === 'string' ? timer.cron.trim().split(/\s+/) : []
      if (fields.length !== 5) return []
      return [
        `The cron of functions.${key} has five fields, the platform's seven: seconds come first, the year last. ` +
          `Write '0 ${fields.join(' ')} *'.`,
      ]
    }),
  )
}
