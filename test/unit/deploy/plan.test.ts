import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from '../../../deploy/bundle'
import type { Actual, ActualFunction, ActualTrigger } from '../../../deploy/actual'
import { configurationChanges, endpointsOf, pathMatch, plan, type Plan } from '../../../deploy/plan'
import type { Service, Trigger, WantedFunction, Yml } from '../../../deploy/service'
import { wantedService } from './wanted'

const code = (key: string) => key.padEnd(64, '0')
const codesOf = (service: Service) => new Map(service.functions.map(({ key }) => [key, code(key)]))

const actualTrigger = (trigger: Trigger, key: string): ActualTrigger =>
  trigger.type === 'timer'
    ? { ...trigger }
    : {
        ...trigger,
        name: `id-${key}`,
        enabled: true,
        reach: 'internet',
        url: `https://1-id-${key}.ap-guangzhou.tencentscf.com`,
      }

/** As it is after a deployment that went well. */
function deployed(wanted: WantedFunction, version = '1'): ActualFunction {
  const snapshot = { code: code(wanted.key), handler: wanted.handler, configuration: wanted.configuration }
  return {
    key: wanted.key,
    name: wanted.name,
    status: 'Active',
    availability: 'Available',
    ours: true,
    runtime: wanted.runtime,
    latest: wanted.configuration,
    versions: [{ version, code: code(wanted.key), deployment: '20261101T000000Z', active: true }],
    newest: snapshot,
    alias: { version, canary: undefined },
    aliased: new Set([version]),
    triggers: wanted.triggers.map((trigger) => actualTrigger(trigger, wanted.key)),
    reservedMb: wanted.reservedConcurrency && wanted.reservedConcurrency * wanted.configuration.memorySize,
  }
}
const allDeployed = (service: Service): Actual => ({
  functions: service.functions.map((one) => deployed(one)),
  domains: [],
})

const planned = (service: Service, actual: Actual, more: Partial<Parameters<typeof plan>[2]> = {}): Plan =>
  plan(service, actual, { codes: codesOf(service), ...more })
const rows = ({ rows: all }: Plan) =>
  all.map(({ change, resource, detail }) => `${change} ${resource}: ${detail}`)

/** Plans the changed yml against what the unchanged one has deployed. */
const after = (change: Parameters<typeof wantedService>[0], more = {}) =>
  planned(wantedService(change), allDeployed(wantedService()), more)

test('nothing changed, nothing to do', () => {
  expect(rows(after(() => undefined))).toEqual([])
})

test('nothing there: everything is created, and serves only in the end', () => {
  const service = wantedService((yml) => (yml.functions = { timer: yml.functions['timer']! }))
  expect(rows(planned(service, { functions: [], domains: [] }))).toEqual([
    'create timer: 256 MB, 10 s, Nodejs18.15',
    'create timer version: code timer000',
    'update timer $DEFAULT: $LATEST → the new version',
    'create timer timer timer: */20 * * * * * *',
  ])
})

test('new code is uploaded, published and served', () => {
  const service = wantedService()
  const codes = codesOf(service).set('notify', 'f'.repeat(64))
  expect(rows(plan(service, allDeployed(service), { codes }))).toEqual([
    'update notify: code notify00 → ffffffff',
    'create notify version: code ffffffff',
    'update notify $DEFAULT: 1 → the new version',
  ])
})

test('variables are told by name, never by value', () => {
  const { rows: changed } = after((yml) => {
    yml.functions['timer']!.environment = { LEVEL: 'hunter2', DATABASE_URL: 'mysql://u:hunter2@h/d' }
  })
  expect(changed[0]).toEqual({
    change: 'update',
    resource: 'timer',
    detail: 'environment +DATABASE_URL ~LEVEL',
  })
  expect(JSON.stringify(changed)).not.toContain('hunter2')
  const gone = after((yml) => delete yml.provider.environment!['LEVEL'])
  expect(gone.rows[0]!.detail).toBe('environment -LEVEL')
})

test('a log topic the platform chose is no difference', () => {
  const { configuration } = wantedService().functions[0]!
  const chosen = { ...configuration, cls: { logsetId: 'a', topicId: 'b' } }
  expect(configurationChanges(chosen, configuration)).toEqual([])
  expect(configurationChanges(configuration, chosen)).toEqual(['cls none → a/b'])
})

describe('continued where it was interrupted', () => {
  const change = (it: Partial<ActualFunction>) => {
    const service = wantedService((yml) => (yml.functions = { timer: yml.functions['timer']! }))
    return rows(planned(service, { functions: [{ ...deployed(service.functions[0]!), ...it }], domains: [] }))
  }

  test('configured, not published', () => {
    expect(
      change({ versions: [], newest: undefined, alias: { version: '$LATEST', canary: undefined } }),
    ).toEqual(['create timer version: code timer000', 'update timer $DEFAULT: $LATEST → the new version'])
  })
  test('published, not served', () => {
    expect(change({ alias: { version: '$LATEST', canary: undefined } })).toEqual([
      'update timer $DEFAULT: $LATEST → 1',
    ])
  })
  test('served, without its trigger', () => {
    expect(change({ triggers: [] })).toEqual(['create timer timer timer: */20 * * * * * *'])
  })
})

describe('a share for the new version', () => {
  const codes = codesOf(wantedService()).set('createOrder', 'f'.repeat(64)).set('migrate', 'e'.repeat(64))

  test('goes to what changed; migrate has no traffic to share', () => {
    const told = rows(plan(wantedService(), allDeployed(wantedService()), { codes, canary: 10 }))
    expect(told.filter((row) => row.includes('$DEFAULT'))).toEqual([
      'update createOrder $DEFAULT: 10 % to the new version, the rest stays with 1',
      'update migrate $DEFAULT: 1 → the new version',
    ])
  })

  test('is no change when it has it, and ends with a deployment without one', () => {
    const service = wantedService()
    const actual = allDeployed(service)
    const split = actual.functions.map((one) =>
      one.key === 'notify'
        ? {
            ...one,
            versions: [...one.versions, { ...one.versions[0]!, version: '2' }],
            alias: { version: '1', canary: { version: '2', weight: 0.1 } },
          }
        : one,
    )
    expect(rows(planned(service, { ...actual, functions: split }, { canary: 10 }))).toEqual([])
    expect(rows(planned(service, { ...actual, functions: split }, { canary: 20 }))).toEqual([
      'update notify $DEFAULT: 20 % to 2, the rest stays with 1',
    ])
    expect(rows(planned(service, { ...actual, functions: split }))).toEqual(['update notify $DEFAULT: 1 → 2'])
  })
})

describe('money is not left alone unnoticed', () => {
  test.each<[string, Parameters<typeof wantedService>[0], string[]]>([
    ['a timer that is gone', (yml) => (yml.functions['timer']!.events = []), ['the timer timer is deleted']],
    [
      'a timer that is switched off',
      (yml) => (yml.functions['timer']!.events![0]!.timer!.enabled = false),
      ['the timer timer is switched off'],
    ],
    [
      'a timer bound to something else',
      (yml) => (yml.functions['timer']!.events![0]!.timer!.qualifier = '$LATEST'),
      ['the timer timer is deleted'],
    ],
    [
      'a notify URL bound to something else',
      (yml) => (yml.functions['notify']!.events![0]!.http!.qualifier = '$LATEST'),
      ['the URL of notify is deleted or replaced'],
    ],
    [
      'functions that are gone',
      (yml) => {
        delete yml.functions['notify']
        delete yml.functions['timer']
      },
      ['the function notify is deleted', 'the function timer is deleted with its timer'],
    ],
  ])('%s', (_, change, reasons) => {
    expect(after(change).leavesAlone).toEqual(reasons)
  })

  test.each<[string, Parameters<typeof wantedService>[0]]>([
    ['another interval', (yml) => (yml.functions['timer']!.events![0]!.timer!.cron = '*/30 * * * * * *')],
    ['cors on notify', (yml) => (yml.functions['notify']!.events![0]!.http!.cors = true)],
    ['a door that is gone', (yml) => delete yml.functions['createOrder']],
    ['more memory', (yml) => (yml.provider.memorySize = 512)],
  ])('%s leaves nobody alone', (_, change) => {
    const changed = after(change)
    expect(changed.rows).not.toEqual([])
    expect(changed.leavesAlone).toEqual([])
  })
})

describe('what is not ours', () => {
  test('is not taken over', () => {
    const service = wantedService()
    const { functions } = allDeployed(service)
    const foreign = functions.map((one) => ({ ...one, ours: false }))
    expect(() => planned(service, { functions: foreign, domains: [] })).toThrow(/was not deployed from here/)
  })

  test('is not removed', () => {
    const service = wantedService()
    const actual = allDeployed(service)
    const other = { ...actual.functions[0]!, key: 'tools-x', name: 'shop-dev-tools-x', ours: false }
    expect(rows(planned(service, { ...actual, functions: [...actual.functions, other] }))).toEqual([])
  })
})

test('another runtime is refused, with a way out', () => {
  expect(() => after((yml) => (yml.provider.runtime = 'Nodejs20.19'))).toThrow(/cannot become Nodejs20\.19/)
})

test('one function alone: nothing is removed, nothing else is touched', () => {
  const changed = after(
    (yml) => {
      delete yml.functions['timer']
      yml.provider.memorySize = 512
    },
    { only: 'notify' },
  )
  expect([...new Set(changed.rows.map(({ resource }) => resource.split(' ')[0]))]).toEqual(['notify'])
})

describe('custom domain', () => {
  const domain = { domain: 'pay.example.com', certificateId: 'c' }

  test.each([
    ['/orders', '/orders'],
    ['/orders/{id}', '/orders/*'],
    ['/orders/{id}/close', undefined],
  ])('%s is matched by %s', (path, match) => expect(pathMatch(path)).toBe(match))

  test('maps every path, and the new notify URL is told', () => {
    const changed = after((yml) => (yml.provider.customDomain = domain))
    expect(rows(changed)).toEqual(['create pay.example.com: /notify /orders'])
    expect(changed.notifyUrl).toEqual({
      before: 'https://1-id-notify.ap-guangzhou.tencentscf.com/notify',
      after: 'https://pay.example.com/notify',
    })
    // The old address still answers, so nobody is left alone.
    expect(changed.leavesAlone).toEqual([])
  })

  test('is left as it is when it is as wanted, and removed when it is gone from the yml', () => {
    const service = wantedService((yml) => (yml.provider.customDomain = domain))
    const there = { ...service.customDomain!, endpoints: endpointsOf(service) }
    expect(rows(planned(service, { ...allDeployed(service), domains: [there] }))).toEqual([])
    const without = planned(wantedService(), { ...allDeployed(service), domains: [there] })
    expect(rows(without)).toEqual(['delete pay.example.com: custom domain'])
    expect(without.leavesAlone).toEqual(['the notify URL https://pay.example.com/notify is taken away'])
    const shared = {
      ...there,
      endpoints: [...there.endpoints, { functionName: 'other', qualifier: '1', path: '/x' }],
    }
    expect(rows(planned(wantedService(), { ...allDeployed(service), domains: [shared] }))).toEqual([])
  })

  test('serverless.yml as it is fits behind one domain', () => {
    const { functions } = parse(readFileSync(join(ROOT, 'serverless.yml'), 'utf8')) as Pick<Yml, 'functions'>
    const service = wantedService((yml) => (Object.assign(yml, { functions }).provider.customDomain = domain))
    expect(
      Object.fromEntries(endpointsOf(service).map(({ path, functionName }) => [path, functionName])),
    ).toEqual({
      '/orders': 'shop-dev-createOrder',
      '/orders/*': 'shop-dev-status',
      '/close/*': 'shop-dev-closeOrder',
      '/refunds/*': 'shop-dev-refund',
      '/notify': 'shop-dev-notify',
      '/session': 'shop-dev-session',
      '/session/state': 'shop-dev-session',
      '/session/revoke': 'shop-dev-session',
      '/board/orders': 'shop-dev-board',
      '/board/unshipped': 'shop-dev-board',
      '/board/anomalies': 'shop-dev-board',
      '/board/day': 'shop-dev-board',
      '/board/paid-out/*': 'shop-dev-board',
      '/board/given-up/*': 'shop-dev-board',
      '/board/lift-flag/*': 'shop-dev-board',
      '/board/resolve/*': 'shop-dev-board',
    })
  })

  test('says when a function could not be reached, or two would share a path', () => {
    const set = (path: string) =>
      wantedService((yml) => {
        yml.provider.customDomain = domain
        yml.functions['createOrder']!.events = [{ http: { method: 'POST', path } }]
      })
    expect(() => endpointsOf(set('/orders/{id}/close'))).toThrow(/has a parameter in its middle/)
    expect(() => endpointsOf(set('/notify'))).toThrow(/would belong to createOrder and notify/)
  })
})
