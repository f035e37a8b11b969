import { createHash } from 'node:crypto'
import fc from 'fast-check'
import type { Work } from '../../deploy/apply'
import { connectControlPlane } from '../../deploy/controlPlane'
import { deploy, promote, rollback } from '../../deploy/deploy'
import type { Artifact } from '../../deploy/package'
import { readService, type Service } from '../../deploy/service'
import { writeZip } from '../../deploy/zip'
import { startControlPlane, type ControlPlane } from '../support/controlPlane'
import { holds, propertyRuns } from '../support/property'

/**
 * Whatever was deployed, broken off, rolled back or left half in a canary before: after one deployment that ends well,
 * every function serves the code and the configuration that were asked for, and the same again changes nothing.
 */

/** Each takes a hundred calls over HTTP, so more than this only by changing it here. */
const RUNS = 60

const KEYS = ['createOrder', 'notify', 'timer', 'migrate'] as const
const TRIGGERS: Record<string, string[]> = {
  createOrder: ['http'],
  notify: ['http'],
  timer: ['timer'],
  migrate: [],
}
const NAME = (key: string) => `shop-dev-${key}`
const keys = { secretId: 'AKIDexample', secretKey: 'a secret key of tests' }

type Wanted = {
  /** By function: which of a few codes, and how much memory. */
  code: Record<string, number>
  memory: Record<string, number>
  variable: number
  without: string | undefined
  cron: number
}
type Step =
  | { do: 'deploy'; wanted: Wanted; cutAt: number | undefined; answered: boolean; canary: number | undefined }
  | { do: 'promote' | 'rollback'; cutAt: number | undefined; answered: boolean }

const some = (values: fc.Arbitrary<number>) => fc.record(Object.fromEntries(KEYS.map((key) => [key, values])))
const wanted: fc.Arbitrary<Wanted> = fc.record({
  code: some(fc.integer({ min: 0, max: 2 })),
  memory: some(fc.constantFrom(128, 256)),
  variable: fc.integer({ min: 0, max: 2 }),
  without: fc.constantFrom(undefined, undefined, 'createOrder'),
  cron: fc.constantFrom(20, 30),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('deploy' as const),
      wanted,
      cutAt: fc.option(fc.integer({ min: 1, max: 25 }), { nil: undefined }),
      answered: fc.boolean(),
      canary: fc.option(fc.constantFrom(10, 50), { nil: undefined, freq: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('promote' as const, 'rollback' as const),
      cutAt: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      answered: fc.boolean(),
    }),
  },
)

function serviceOf({ memory, variable, without, cron }: Wanted): Service {
  const all = {
    createOrder: { events: [{ http: { method: 'POST', path: '/orders' } }], reservedConcurrency: 4 },
    notify: { events: [{ http: { method: 'POST', path: '/notify' } }] },
    timer: { events: [{ timer: { cron: `*/${cron} * * * * * *` } }] },
    migrate: {},
  }
  const functions = Object.fromEntries(
    KEYS.filter((key) => key !== without).map((key) => [
      key,
      { ...all[key], handler: `${key}.main_handler`, memorySize: memory[key]! },
    ]),
  )
  const environment: Record<string, string> = variable === 0 ? {} : { LEVEL: String(variable) }
  const provider = { region: 'ap-guangzhou', runtime: 'Nodejs18.15', timeout: 10, environment }
  return readService({ service: 'shop', provider, functions }, 'dev')
}

const artifactsOf = (service: Service, { code }: Wanted): Promise<Artifact[]> =>
  Promise.all(
    service.functions.map(async ({ key }) => {
      const zip = await writeZip([{ name: `${key}.js`, bytes: Buffer.from(`// ${key} ${code[key]}`) }])
      return { key, file: '', zip, sha256: hash(zip) }
    }),
  )
const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

let plane: ControlPlane
beforeAll(async () => {
  plane = await startControlPlane({ ...keys, requestsPerSecond: 1_000_000 })
})
afterAll(() => plane.close())

let clockMs = Date.parse('2026-11-23T14:00:00Z')
async function workOn(service: Service): Promise<Work> {
  clockMs += 60_000
  const time = { nowMs: () => clockMs, sleep: async (ms: number) => void (clockMs += ms) }
  const connection = {
    region: service.region,
    credential: keys,
    endpoint: plane.url,
    random: () => 0.5,
    ...time,
  }
  return { call: await connectControlPlane(connection), service, say: () => undefined, ...time }
}

async function run(it: Wanted, canary?: number): Promise<void> {
  const service = serviceOf(it)
  const options = { dryRun: false, migrate: false, canary, abandonOpenMoney: true, only: undefined }
  await deploy(await workOn(service), await artifactsOf(service, it), options, () => undefined)
}

/** Breaks off at one of the writes: the effect is there, its answer perhaps; nothing more gets through. */
function cut(at: number, answered: boolean): void {
  let writes = 0
  plane.onCall = ({ action }) => {
    if (writes >= at) return 'drop'
    if (/^(Get|List|Invoke)/.test(action) || ++writes < at) return undefined
    return answered ? undefined : 'drop'
  }
}

async function take(one: Step): Promise<void> {
  if (one.cutAt !== undefined) cut(one.cutAt, one.answered)
  try {
    if (one.do === 'deploy') await run(one.wanted, one.canary)
    else {
      const service = serviceOf({ code: {}, memory: {}, variable: 0, without: undefined, cron: 20 })
      await (one.do === 'promote'
        ? promote(await workOn(service))
        : rollback(await workOn(service), undefined))
    }
  } catch (error) {
    // Nothing to promote or to go back to, or broken off: told in a sentence, and no more than that has happened.
    expect((error as Error).name).toBe('DeployFault')
  } finally {
    plane.onCall = undefined
  }
}

/** Also after a deployment that was broken off: nothing that can still change is served, and no version lies about its code. */
function wholeAtAnyTime(): void {
  for (const it of plane.functions.values()) {
    const alias = it.aliases.get('$DEFAULT')!
    if (it.triggers.length > 0) expect([it.name, alias.version]).not.toEqual([it.name, '$LATEST'])
    for (const { description, code } of it.versions) expect(description).toContain(hash(code))
  }
}

test('the last deployment that ends well is what is served, whatever was before', async () => {
  await holds(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), wanted, async (steps, last) => {
      plane.reset()
      plane.onInvoke(NAME('migrate'), () => ({ pending: [], applied: [] }))
      for (const one of steps) {
        await take(one)
        wholeAtAnyTime()
      }
      await run(last)

      const service = serviceOf(last)
      // What an earlier deployment asked to delete, the cloud may still be deleting.
      const left = [...plane.functions.values()].filter(({ status }) => status !== 'Deleting')
      expect(left.map(({ name }) => name).sort()).toEqual(service.functions.map(({ name }) => name).sort())
      for (const { key, zip } of await artifactsOf(service, last)) {
        const it = plane.find(NAME(key))!
        const alias = it.aliases.get('$DEFAULT')!
        const served = it.versions.find(({ version }) => version === alias.version)!
        expect([key, hash(served.code)]).toEqual([key, hash(zip)])
        expect(served.configuration.MemorySize).toBe(last.memory[key])
        expect(served.configuration.Variables.map(({ Value }) => Value)).toEqual(
          last.variable === 0 ? [] : [String(last.variable)],
        )
        expect(alias.routing.AdditionalVersionWeights).toEqual([])
        expect(it.triggers.map(({ type }) => type)).toEqual(TRIGGERS[key])
      }
      expect(plane.find(NAME('timer'))!.triggers[0]!.desc).toEqual({ cron: `*/${last.cron} * * * * * *` })
      const before = plane.journal.length
      await run(last)
      expect(plane.writes(before)).toEqual([])
    }),
    Math.min(RUNS, propertyRuns()),
  )
})
