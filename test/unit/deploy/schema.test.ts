import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from '../../../deploy/bundle'
import {
  defineSchema,
  idleKeys,
  shortCrons,
  nearest,
  tellIdleKeys,
  tellUnknownKeys,
  unknownKeys,
} from '../../../deploy/schema'

type Handler = Parameters<typeof defineSchema>[0] & { validateConfig(config: unknown): Promise<void> }

/** sls's own, so that its rules and ours are one schema here as they are there. */
function slsHandler(): Handler {
  const load = createRequire(join(ROOT, 'x.js'))
  const Handler = load('serverless/lib/classes/config-schema-handler') as new (serverless: unknown) => Handler
  const handler = new Handler({
    service: { provider: { name: 'tencent' }, configValidationMode: 'error' },
    configurationInput: {},
  })
  defineSchema(handler)
  return handler
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests spoil it freely
type Any = any
function config(change: (yml: Any) => void = () => undefined): unknown {
  const yml = parse(readFileSync(join(ROOT, 'serverless.yml'), 'utf8')) as Record<
    string,
    Record<string, unknown>
  >
  // What sls would have put in the place of its variables.
  const stage = parse(readFileSync(join(ROOT, 'deploy/stages/local.yml'), 'utf8')) as { environment: object }
  yml['custom'] = { stage }
  for (const [key, value] of Object.entries(yml['provider']!))
    if (String(value).startsWith('${')) delete yml['provider']![key]
  yml['provider']!['environment'] = stage.environment
  type Functions = Record<string, { events?: { http?: { cors?: unknown } }[] }>
  for (const { events = [] } of Object.values(yml['functions'] as Functions))
    for (const { http } of events) if (String(http?.cors).startsWith('${')) delete http!.cors
  change(yml)
  return yml
}

const told = (change: (yml: Any) => void) =>
  tellUnknownKeys(unknownKeys(config(change), slsHandler().schema), 'dev')

test('serverless.yml as it is holds nothing unknown, and sls takes it', async () => {
  const handler = slsHandler()
  expect(unknownKeys(config(), handler.schema)).toEqual([])
  await handler.validateConfig(config())
})

test.each(['dev', 'prod', 'local'])(
  'what the stage file %s offers in comments may be written',
  async (name) => {
    const text = readFileSync(join(ROOT, `deploy/stages/${name}.yml`), 'utf8')
    // `# role: cloud-pay-dev   # what it is for`: the line without its first mark.
    const offered = [...text.matchAll(/^# ([a-zA-Z]+: \S.*)$/gm)].map(([, line]) =>
      line!.replace(/ {2,}#.*$/, ''),
    )
    const stage = parse(offered.filter((line) => /^[a-z]+[A-Za-z]*: (\{|[a-z-]+$)/.test(line)).join('\n'))
    if (name !== 'local')
      expect(Object.keys(stage as object)).toEqual(
        expect.arrayContaining(['role', 'vpc', 'cls', 'cors', 'tags']),
      )
    const handler = slsHandler()
    const filled = config((yml) => Object.assign(yml.custom.stage, stage))
    expect(tellUnknownKeys(unknownKeys(filled, handler.schema), name)).toBe('')
    await handler.validateConfig(filled)
  },
)

test.each<[string, (yml: Any) => void, string]>([
  [
    'at the top',
    (yml) => (yml.fonctions = {}),
    'fonctions in serverless.yml is not known: did you mean functions?',
  ],
  [
    'in the provider',
    (yml) => (yml.provider.memorysize = 1),
    'provider.memorysize in serverless.yml is not known: did you mean memorySize?',
  ],
  [
    'in a function',
    (yml) => (yml.functions.status.timeOut = 1),
    'functions.status.timeOut in serverless.yml is not known: did you mean timeout?',
  ],
  [
    'of an event',
    (yml) => (yml.functions.timer.events = [{ schedule: 1 }]),
    'functions.timer.events.0.schedule in serverless.yml is not known',
  ],
  [
    'in an event',
    (yml) => (yml.functions.status.events[0].http.metod = 'GET'),
    'functions.status.events.0.http.metod in serverless.yml is not known: did you mean method?',
  ],
  [
    'in cors',
    (yml) => (yml.functions.status.events[0].http.cors = { origin: ['*'] }),
    'functions.status.events.0.http.cors.origin in serverless.yml is not known: did you mean origins?',
  ],
  [
    'in a stage file',
    (yml) => (yml.custom.stage.enviroment = {}),
    'enviroment in deploy/stages/dev.yml is not known: did you mean environment?',
  ],
])('an unknown key %s is told with its path and the nearest known one', (_, change, sentence) => {
  expect(told(change)).toBe(sentence)
})

test('what sls would take and nothing here acts on is refused', () => {
  const idle = (change: (yml: Any) => void) => tellIdleKeys(idleKeys(config(change), 'dev'))
  expect(idle(() => undefined)).toBe('')
  // The name that sls gives it is the one it has.
  expect(idle((yml) => (yml.functions.status.name = 'cloud-pay-dev-status'))).toBe('')
  expect(idle((yml) => (yml.functions.status.name = 'mine'))).toBe(
    'functions.status.name in serverless.yml does nothing here: a function is called service-stage-key.',
  )
  expect(idle((yml) => (yml.package = { patterns: ['ca.pem'] }))).toMatch(
    /^package\.patterns in serverless\.yml does nothing here: .* DATABASE_CA or CLOUD_PAY_CA\.$/,
  )
})

test('a cron of five fields is told what it lacks, and how to write it', () => {
  const cron = (text: string) =>
    shortCrons(config((yml) => (yml.functions.timer.events[0].timer.cron = text)))
  expect(cron('*/20 * * * * * *')).toEqual([])
  expect(cron('30 3 * * *')).toEqual([
    "The cron of functions.timer has five fields, the platform's seven: seconds come first, the year last. Write '0 30 3 * * * *'.",
  ])
})

test('several are told together', () => {
  expect(told((yml) => Object.assign(yml.provider, { regoin: 1, rol: 'x' })).split('\n')).toEqual([
    'provider.regoin in serverless.yml is not known: did you mean region?',
    'provider.rol in serverless.yml is not known: did you mean role?',
  ])
})

test.each<[string, (yml: Any) => void, RegExp]>([
  ['memory between two sizes', (yml) => (yml.provider.memorySize = 200), /memorySize/],
  ['a cron of five fields', (yml) => (yml.functions.timer.events[0].timer.cron = '* * * * *'), /cron/],
  ['half a vpc', (yml) => (yml.provider.vpc = { vpcId: 'vpc-1' }), /subnetId/],
])('sls refuses %s', async (_, change, message) => {
  await expect(slsHandler().validateConfig(config(change))).rejects.toThrow(message)
})

test('a name that resembles nothing gets no suggestion', () => {
  expect(nearest('zzz', ['region', 'runtime'])).toBeUndefined()
})
