/** The resolved serverless.yml as what is wanted of the cloud: no defaults left to guess, nothing of sls in it. */

export type Timer = {
  type: 'timer'
  name: string
  cron: string
  enabled: boolean
  argument: string
  qualifier: string
}
export type Cors = {
  Enable: boolean
  Origins?: string[]
  Methods?: string[]
  Headers?: string[]
  ExposeHeaders?: string[]
  MaxAge?: number
  Credentials?: boolean
}
/** The Function URL: one per function, however many paths are served behind it. */
export type FunctionUrl = {
  type: 'http'
  authType: 'NONE' | 'CAM'
  cors: Cors
  apiGwCompatible: boolean
  qualifier: string
}
export type Trigger = Timer | FunctionUrl

/** What UpdateFunctionConfiguration can change. `undefined`: not used. */
export type Configuration = {
  memorySize: number
  timeout: number
  environment: Readonly<Record<string, string>>
  role: string | undefined
  vpc: { vpcId: string; subnetId: string } | undefined
  cls: { logsetId: string; topicId: string } | undefined
  publicNet: { enabled: boolean; fixedIp: boolean }
}

export type WantedFunction = {
  /** As in serverless.yml and functions/. */
  key: string
  /** As in the cloud: service-stage-key. */
  name: string
  handler: string
  runtime: string
  configuration: Configuration
  /** Instances; the API counts in megabytes. */
  reservedConcurrency: number | undefined
  triggers: readonly Trigger[]
  /** Served by it: `POST /orders`. */
  routes: readonly { method: string; path: string }[]
}

export type CustomDomain = {
  domain: string
  protocol: string
  certificateId: string | undefined
  wafInstanceId: string | undefined
}

export type Service = {
  service: string
  stage: string
  region: string
  namespace: string
  functions: readonly WantedFunction[]
  tags: Readonly<Record<string, string>>
  customDomain: CustomDomain | undefined
  drivers: readonly ('mysql' | 'postgres')[]
  sourceMaps: boolean
}

/** The function with the address that stands in the Cloud Pay console. */
export const NOTIFY = 'notify'
/** Carries the migrations; has no address. */
export const MIGRATE = 'migrate'
export const DEFAULT_ALIAS = '$DEFAULT'

type Values = Record<string, string | number | boolean | null>
type HttpYml = {
  method: string
  path: string
  authType?: 'NONE' | 'CAM'
  cors?: boolean | CorsYml
  qualifier?: string
  apiGwCompatible?: boolean
}
type CorsYml = {
  origins?: string[]
  methods?: string[]
  headers?: string[]
  exposeHeaders?: string[]
  maxAge?: number
  credentials?: boolean
}
type TimerYml = { cron: string; name?: string; enabled?: boolean; argument?: string; qualifier?: string }
type Shared = { memorySize?: number; timeout?: number; role?: string; environment?: Values }

/** As sls hands it over, every variable resolved and every value checked against the schema. */
export type Yml = {
  service: string
  provider: Shared & {
    region: string
    runtime: string
    namespace?: string
    vpc?: Configuration['vpc']
    cls?: Configuration['cls']
    publicNet?: { fixedIp?: boolean }
    customDomain?: { domain: string; protocol?: string; certificateId?: string; wafInstanceId?: string }
    tags?: Record<string, string>
    drivers?: ('mysql' | 'postgres')[]
    sourceMaps?: boolean
  }
  functions: Record<
    string,
    Shared & {
      handler: string
      reservedConcurrency?: number
      events?: { http?: HttpYml; timer?: TimerYml }[]
    }
  >
}

export function readService(yml: Yml, stage: string): Service {
  const { service, provider } = yml
  const functions = Object.entries(yml.functions).map(([key, one]): WantedFunction => {
    const events = one.events ?? []
    const http = events.flatMap((event) => event.http ?? [])
    const timers = events.flatMap((event) => event.timer ?? [])
    return {
      key,
      name: `${service}-${stage}-${key}`,
      handler: one.handler,
      runtime: provider.runtime,
      configuration: {
        memorySize: one.memorySize ?? provider.memorySize ?? 128,
        timeout: one.timeout ?? provider.timeout ?? 3,
        environment: readEnvironment({ ...provider.environment, ...one.environment }),
        role: one.role ?? provider.role ?? undefined,
        vpc: provider.vpc ?? undefined,
        cls: provider.cls ?? undefined,
        // Cloud Pay is on the internet: a function in a VPC reaches it only with this on.
        publicNet: { enabled: true, fixedIp: provider.publicNet?.fixedIp ?? false },
      },
      reservedConcurrency: one.reservedConcurrency,
      triggers: [
        ...(http[0] ? [readFunctionUrl(http[0], [...new Set(http.map(({ method }) => method))])] : []),
        ...timers.map((timer, at) => readTimer(timer, timers.length > 1 ? `${key}-${at + 1}` : key)),
      ],
      routes: http.map(({ method, path }) => ({ method, path })),
    }
  })
  const domain = provider.customDomain
  return {
    service,
    stage,
    region: provider.region,
    namespace: provider.namespace ?? 'default',
    functions,
    tags: provider.tags ?? {},
    customDomain: domain
      ? {
          domain: domain.domain,
          protocol: domain.protocol ?? 'HTTPS',
          certificateId: domain.certificateId,
          wafInstanceId: domain.wafInstanceId,
        }
      : undefined,
    drivers: provider.drivers ?? ['mysql', 'postgres'],
    sourceMaps: provider.sourceMaps ?? false,
  }
}

/** A variable without a value is left out: the platform takes no empty ones. */
export const readEnvironment = (values: Values): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value === null || value === undefined || value === '' ? [] : [[name, String(value)]],
    ),
  )

const readTimer = (yml: TimerYml, name: string): Timer => ({
  type: 'timer',
  name: yml.name ?? name,
  cron: yml.cron,
  enabled: yml.enabled ?? true,
  argument: yml.argument ?? '',
  qualifier: yml.qualifier ?? DEFAULT_ALIAS,
})

const PAGE_HEADERS = [
  ...['content-type', 'idempotency-key', 'authorization', 'x-session-secret'],
  ...['x-pay-key', 'x-pay-timestamp', 'x-pay-nonce', 'x-pay-signature'],
]

/** `methods`: of all its paths. */
const readFunctionUrl = (yml: HttpYml, methods: string[]): FunctionUrl => ({
  type: 'http',
  authType: yml.authType ?? 'NONE',
  cors: readCors(yml.cors ?? false, methods),
  // Said explicitly either way: what the platform does when it is left out is not documented.
  apiGwCompatible: yml.apiGwCompatible ?? false,
  qualifier: yml.qualifier ?? DEFAULT_ALIAS,
})

function readCors(cors: boolean | CorsYml, served: string[]): Cors {
  if (cors === false) return { Enable: false }
  const { origins, methods, headers, exposeHeaders, maxAge, credentials } = cors === true ? {} : cors
  return {
    Enable: true,
    Origins: origins ?? ['*'],
    Methods: methods ?? served,
    // What the pages of payers and operators send, and what they may read.
    Headers: headers ?? PAGE_HEADERS,
    ExposeHeaders: exposeHeaders ?? ['retry-after', 'x-request-id'],
    MaxAge: maxAge ?? 600,
    Credentials: credentials ?? false,
  }
}
