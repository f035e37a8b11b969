import { createHash } from 'node:crypto'
import type { Work } from '../../../deploy/apply'
import { connectControlPlane, readAll } from '../../../deploy/controlPlane'
import { deploy, promote, rollback, type DeployOptions } from '../../../deploy/deploy'
import { readInfo, tellInfo } from '../../../deploy/info'
import type { Artifact } from '../../../deploy/package'
import { remove } from '../../../deploy/remove'
import type { Service } from '../../../deploy/service'
import { writeZip } from '../../../deploy/zip'
import { startControlPlane, type ControlPlane } from '../../support/controlPlane'
import { wantedService } from './wanted'

const keys = { secretId: 'AKIDexample', secretKey: 'a secret key of tests' }

let plane: ControlPlane
/** What `migrate` answers. */
let pending: string[]
let open: Record<string, number>
beforeAll(async () => {
  plane = await startControlPlane({ ...keys, requestsPerSecond: 100_000 })
})
beforeEach(() => {
  plane.reset()
  pending = []
  open = { orders: 0, refunds: 0, messages: 0 }
  answerMigrate()
})
afterAll(() => plane.close())

function answerMigrate() {
  plane.onInvoke('shop-dev-migrate', (event) => {
    const { do: order } = event as { do: string }
    if (order === 'count') return { open }
    if (order === 'apply') return { applied: pending.splice(0) }
    return { pending, applied: [] }
  })
}

/** Time that is only told, so that nothing is waited for. */
let clockMs = Date.parse('2026-11-23T14:00:00Z')
async function workOn(
  service: Service,
  more: Partial<Parameters<typeof connectControlPlane>[0]> = {},
): Promise<Work> {
  const time = { nowMs: () => clockMs, sleep: async (ms: number) => void (clockMs += ms) }
  const call = await connectControlPlane({
    region: service.region,
    credential: keys,
    endpoint: plane.url,
    random: () => 0.5,
    ...time,
    ...more,
  })
  return { call, service, say: () => undefined, ...time }
}

async function artifactsOf(service: Service, text = ''): Promise<Artifact[]> {
  return Promise.all(
    service.functions.map(async ({ key }) => {
      const zip = await writeZip([{ name: `${key}.js`, bytes: Buffer.from(`// ${key} ${text}`) }])
      return { key, file: '', zip, sha256: createHash('sha256').update(zip).digest('hex') }
    }),
  )
}

const PLAIN: DeployOptions = {
  dryRun: false,
  migrate: false,
  canary: undefined,
  abandonOpenMoney: false,
  only: undefined,
}
async function run(service: Service, options: Partial<DeployOptions> = {}, text = '') {
  clockMs += 60_000
  return deploy(
    await workOn(service),
    await artifactsOf(service, text),
    { ...PLAIN, ...options },
    () => undefined,
  )
}

/** Calls that change something, made by `work`. */
async function writesOf(work: () => Promise<unknown>): Promise<string[]> {
  const before = plane.journal.length
  await work()
  return plane
    .writes(before)
    .map(({ action, request }) => `${action} ${request.FunctionName ?? request.Domain}`)
}

const aliases = () =>
  Object.fromEntries(
    [...plane.functions.values()].map((it) => [it.name, it.aliases.get('$DEFAULT')!.version]),
  )

test('the first deployment creates everything, the second changes nothing', async () => {
  const service = wantedService()
  const { functions, notify_url: notifyUrl, todo } = await run(service)
  expect(functions.map(({ key, version }) => `${key} ${version}`)).toEqual([
    'createOrder 1',
    'notify 1',
    'timer 1',
    'migrate 1',
  ])
  expect(notifyUrl).toBe(`${functions[1]!.url}/notify`)
  expect(todo).toEqual([expect.stringContaining(notifyUrl!)])
  const it = plane.find('shop-dev-createOrder')!
  expect(it.reservedMem).toBe(1024)
  expect(it.triggers.map(({ qualifier }) => qualifier)).toEqual(['$DEFAULT'])
  expect(plane.find('shop-dev-timer')!.triggers[0]!.desc).toEqual({ cron: '*/20 * * * * * *' })

  expect(await writesOf(async () => expect((await run(service)).todo).toEqual([]))).toEqual([])
})

test('nothing serves before everything new is published and the tables fit', async () => {
  await run(wantedService())
  const actions = (await writesOf(() => run(wantedService(), {}, 'new'))).map((line) => line.split(' ')[0])
  expect(actions.indexOf('UpdateAlias')).toBeGreaterThan(actions.lastIndexOf('PublishVersion'))
  const all = plane.journal.map(({ action }) => action)
  expect(all.lastIndexOf('Invoke')).toBeGreaterThan(all.lastIndexOf('PublishVersion'))
  expect(all.lastIndexOf('Invoke')).toBeLessThan(
    all.indexOf('UpdateAlias', all.lastIndexOf('PublishVersion')),
  )
})

test('what is gone from the yml goes: a function, a trigger, a reservation, every variable, a domain', async () => {
  const domain = { domain: 'pay.example.com', certificateId: 'c' }
  await run(wantedService((yml) => (yml.provider.customDomain = domain)))
  expect(plane.domains.get('pay.example.com')!.EndpointsConfig).toHaveLength(2)
  const less = wantedService((yml) => {
    delete yml.functions['createOrder']
    yml.functions['timer']!.events = []
    yml.provider.environment = {}
  })
  await run(less)
  expect([...plane.functions.keys()]).toHaveLength(3)
  expect(plane.find('shop-dev-timer')!.triggers).toEqual([])
  expect(plane.find('shop-dev-timer')!.versions.at(-1)!.configuration.Variables).toEqual([])
  expect(plane.domains.size).toBe(0)
  expect(await writesOf(() => run(less))).toEqual([])
})

test('a changed URL and a changed timer are changed in place', async () => {
  await run(wantedService())
  const before = plane.find('shop-dev-createOrder')!.triggers[0]!.name
  const changed = wantedService((yml) => {
    yml.functions['createOrder']!.events![0]!.http!.cors = { origins: ['https://shop.example.com'] }
    yml.functions['timer']!.events![0]!.timer!.cron = '*/30 * * * * * *'
    yml.functions['createOrder']!.reservedConcurrency = 8
  })
  expect(await writesOf(() => run(changed))).toEqual([
    'PutReservedConcurrencyConfig shop-dev-createOrder',
    'UpdateTrigger shop-dev-createOrder',
    'UpdateTrigger shop-dev-timer',
  ])
  expect(plane.find('shop-dev-createOrder')!.triggers[0]!.name).toBe(before)
  expect(await writesOf(() => run(changed))).toEqual([])
})

describe('left half-way by the platform', () => {
  test.each(['UpdateFailed', 'PublishFailed'] as const)('%s: the next deployment goes on', async (status) => {
    const service = wantedService()
    await run(service)
    plane.find('shop-dev-createOrder')!.status = status
    const { plan } = await run(service, { dryRun: true })
    expect(plan.map(({ resource }) => resource)).toEqual(['createOrder version', 'createOrder $DEFAULT'])
    await run(service)
    expect(plane.find('shop-dev-createOrder')).toMatchObject({ status: 'Active', nextVersion: 3 })
    expect(aliases()['shop-dev-createOrder']).toBe('2')
    expect(await writesOf(() => run(service))).toEqual([])
  })

  test('CreateFailed: what is left is deleted and made anew; somebody else’s is not touched', async () => {
    const service = wantedService()
    await run(service)
    const it = plane.find('shop-dev-createOrder')!
    Object.assign(it, { status: 'CreateFailed', versions: [] })
    it.aliases.get('$DEFAULT')!.version = '$LATEST'
    const writes = await writesOf(() => run(service))
    expect(writes.slice(0, 2)).toEqual([
      'DeleteFunction shop-dev-createOrder',
      'CreateFunction shop-dev-createOrder',
    ])
    expect(plane.find('shop-dev-createOrder')).toMatchObject({ status: 'Active' })
    expect(await writesOf(() => run(service))).toEqual([])

    const stranger = plane.find('shop-dev-timer')!
    Object.assign(stranger, { status: 'CreateFailed', versions: [] })
    stranger.configuration.Description = 'somebody else'
    await expect(run(service)).rejects.toThrow(/was not deployed from here/)
  })

  test('a URL that a domain leads to goes after its path', async () => {
    const domain = { domain: 'pay.example.com', certificateId: 'c' }
    await run(wantedService((yml) => (yml.provider.customDomain = domain)))
    const less = wantedService((yml) => {
      yml.provider.customDomain = domain
      yml.functions['createOrder']!.events = []
    })
    const writes = await writesOf(() => run(less))
    expect(writes.indexOf('UpdateCustomDomain pay.example.com')).toBeLessThan(
      writes.indexOf('DeleteTrigger shop-dev-createOrder'),
    )
    expect(plane.find('shop-dev-createOrder')!.triggers).toEqual([])
    const none = wantedService((yml) => void (yml.functions['createOrder']!.events = []))
    await run(none)
    expect(plane.domains.size).toBe(0)
    expect(await writesOf(() => run(none))).toEqual([])
  })

  test('a domain whose CNAME is not seen yet is asked about for ten minutes, with a word', async () => {
    const service = wantedService(
      (yml) => (yml.provider.customDomain = { domain: 'pay.example.com', certificateId: 'c' }),
    )
    const said: string[] = []
    const go = async () => {
      const work = { ...(await workOn(service)), say: (line: string) => void said.push(line) }
      return deploy(work, await artifactsOf(service), PLAIN, () => undefined)
    }
    plane.failNext('CreateCustomDomain', { code: 'FailedOperation.CNAMEError' }, 5)
    await go()
    expect(plane.domains.has('pay.example.com')).toBe(true)
    expect(said.filter((line) => /CNAME is not seen yet/.test(line))).toHaveLength(5)

    plane.domains.clear()
    plane.failNext('CreateCustomDomain', { code: 'FailedOperation.CNAMEError' }, 1000)
    const startMs = clockMs
    await expect(go()).rejects.toThrow(/Set the CNAME of the domain/)
    expect(clockMs - startMs).toBeGreaterThan(600_000)
    expect(clockMs - startMs).toBeLessThan(700_000)
  })

  test('a URL that is shut to the internet is opened again, and an address that is told late is listed for', async () => {
    const service = wantedService()
    plane.tellUrlsLate()
    const { functions } = await run(service)
    expect(functions.map(({ url }) => url)).toEqual([
      expect.stringMatching(/^https:/),
      expect.stringMatching(/^https:/),
      undefined,
      undefined,
    ])
    const [trigger] = plane.find('shop-dev-notify')!.triggers
    Object.assign(trigger!.desc, {
      NetConfig: { EnableIntranet: true, EnableExtranet: false, ExtranetUrl: '', IntranetUrl: 'https://in' },
    })
    expect((await readInfo(await workOn(service))).functions[1]!.url).toBe('https://in')
    expect(await writesOf(() => run(service))).toEqual(['UpdateTrigger shop-dev-notify'])
    expect(trigger!.desc['NetConfig']).toMatchObject({ EnableIntranet: false, EnableExtranet: true })
    // Nowhere to be reached at all, and no trace of it in a stack.
    Object.assign(trigger!.desc, {
      NetConfig: { EnableIntranet: false, EnableExtranet: false, ExtranetUrl: '' },
    })
    expect((await run(service, { dryRun: true })).plan).toHaveLength(1)
    await run(service)
    expect(await writesOf(() => run(service))).toEqual([])
  })

  test('of two deployments at once the one whose version holds the other’s code stops, and takes it away', async () => {
    const service = wantedService()
    await run(service)
    let isDone = false
    plane.onCall = ({ action, request }) => {
      if (isDone || action !== 'UpdateFunctionCode' || request.FunctionName !== 'shop-dev-notify') return
      isDone = true
      // Somebody else's code comes between the upload and the publishing.
      plane.find('shop-dev-notify')!.code = Buffer.from('the code of another deployment')
    }
    await expect(run(service, {}, 'new')).rejects.toThrow(
      /^Version 2 of shop-dev-notify holds other code than was uploaded: another deployment is at work/,
    )
    expect(aliases()['shop-dev-notify']).toBe('1')
    expect(plane.find('shop-dev-notify')!.versions.map(({ version }) => version)).toEqual(['1'])
    plane.onCall = undefined
    await run(service, {}, 'new')
    expect(aliases()['shop-dev-notify']).toBe('3')
    expect(await writesOf(() => run(service, {}, 'new'))).toEqual([])
  })

  test('old versions go, but for fifty and for those that an alias leads to', async () => {
    const service = wantedService()
    await run(service)
    const it = plane.find('shop-dev-timer')!
    const [first] = it.versions
    for (let version = 2; version <= 80; version++) it.versions.push({ ...first!, version: String(version) })
    it.nextVersion = 81
    it.aliases.set('kept', { ...it.aliases.get('$DEFAULT')!, name: 'kept', version: '5' })
    await run(service, {}, 'new')
    const left = () => it.versions.map(({ version }) => Number(version))
    expect(left()).toHaveLength(81 - 20)
    await run(service, {}, 'newer')
    // 1 served until now, 5 has an alias of somebody's.
    expect(left()[0]).toBe(5)
    expect(left().slice(1)[0]).toBeGreaterThan(20)
  })

  test('lists of CORS are compared as sets', async () => {
    const cors = { origins: ['https://b.example.com', 'https://a.example.com'] }
    const service = wantedService((yml) => (yml.functions['createOrder']!.events![0]!.http!.cors = cors))
    await run(service)
    const { CorsConfig } = plane.find('shop-dev-createOrder')!.triggers[0]!.desc as {
      CorsConfig: { Origins: string[]; Headers: string[] }
    }
    CorsConfig.Origins.reverse()
    CorsConfig.Headers.reverse()
    expect(await writesOf(() => run(service))).toEqual([])
  })

  test.each([
    ['CreateFunction', 'FailedOperation.OperationConflict'],
    ['UpdateAlias', 'UnauthorizedOperation.FunctionStatus'],
    ['CreateTrigger', 'FailedOperation.CreateTriggerInProgress'],
    ['PutReservedConcurrencyConfig', 'FailedOperation.ReservedInProgress'],
  ])('%s: %s passes by itself', async (action, code) => {
    plane.failNext(action, { code }, 2)
    await run(wantedService())
    expect(await writesOf(() => run(wantedService()))).toEqual([])
  })

  test('a version that is gone already while its function is being deleted passes too', async () => {
    await run(wantedService())
    plane.failNext('DeleteFunction', { code: 'ResourceNotFound.Version' }, 2)
    await run(
      wantedService((yml) => delete yml.functions['timer']),
      { abandonOpenMoney: true },
    )
    expect(plane.find('shop-dev-timer')).toBeUndefined()
  })

  test.each([
    ['FailedOperation.UnOpenedService', '/scf.'],
    ['FailedOperation.QcsRoleNotFound', '/cam/role.'],
    ['FailedOperation.ClsServiceUnregistered', '/cls.'],
    ['ResourceUnavailable.InsufficientBalance', '/expense/overview.'],
    ['LimitExceeded.ReservedExceedTotal', '/scf/quota.'],
  ])('%s does not pass, and has its own page', async (code, page) => {
    plane.failNext('CreateFunction', { code })
    const before = plane.journal.length
    await expect(run(wantedService())).rejects.toThrow(`https://console.cloud.tencent.com${page} (${code}`)
    const made = plane.journal
      .slice(before)
      .filter(({ action, error }) => action === 'CreateFunction' && error)
    expect(made).toHaveLength(1)
  })

  test('an account in arrears is told of', async () => {
    const service = wantedService()
    await run(service)
    plane.find('shop-dev-notify')!.available = 'InsufficientBalance'
    const info = await readInfo(await workOn(service))
    expect(info.functions[1]).toMatchObject({ availability: 'InsufficientBalance' })
    expect(tellInfo(info)).toMatch(/notify .*InsufficientBalance/)
  })
})

describe('interrupted', () => {
  test.each([
    ['before its effect is known', 'drop'],
    ['by a refusal', 'refuse'],
  ])(
    'at every single write, %s, it is continued by running it again',
    async (_, how) => {
      const from = wantedService((yml) => {
        yml.functions['old'] = {
          handler: 'timer.main_handler',
          events: [{ timer: { cron: '0 0 3 * * * *' } }],
        }
        delete yml.functions['createOrder']
      })
      const to = wantedService((yml) => (yml.functions['timer']!.events![0]!.timer!.name = 'ticker'))
      let total = Infinity
      for (let cut = 1; cut <= total; cut++) {
        plane.reset()
        answerMigrate()
        await run(from)
        let writes = 0
        plane.onCall = ({ action }) => {
          if (/^(Get|List|Invoke)/.test(action) || ++writes !== cut) return
          if (how === 'drop') return 'drop'
          // The one after it is refused, for a reason that does not pass.
          for (const each of [
            'PublishVersion',
            'UpdateAlias',
            'CreateTrigger',
            'DeleteTrigger',
            'UpdateFunctionCode',
          ])
            plane.failNext(each, { code: 'UnauthorizedOperation' })
        }
        const first = await run(to, { abandonOpenMoney: true }, 'new').then(
          () => 'whole',
          (error: Error) => error.message,
        )
        plane.onCall = undefined
        if (first === 'whole') {
          total = cut
          continue
        }
        expect(first).toMatch(/Run it again|policy/)
        // What is refused once must not be refused to the second run.
        for (let left = 5; left > 0; left--) {
          try {
            await run(to, { abandonOpenMoney: true }, 'new')
            break
          } catch (error) {
            expect(String(error)).toMatch(/UnauthorizedOperation/)
          }
        }
        expect(await writesOf(() => run(to, {}, 'new'))).toEqual([])
        expect([...plane.functions.values()].map((it) => it.name).sort()).toEqual([
          'shop-dev-createOrder',
          'shop-dev-migrate',
          'shop-dev-notify',
          'shop-dev-timer',
        ])
        expect(plane.find('shop-dev-timer')!.triggers.map(({ name }) => name)).toEqual(['ticker'])
        for (const it of plane.functions.values())
          expect(it.aliases.get('$DEFAULT')!.version).toBe(it.versions.at(-1)!.version)
      }
      expect(total).toBeGreaterThan(15)
    },
    120_000,
  )
})

describe('migrations', () => {
  test('pending ones stop it before anything serves; --migrate applies them', async () => {
    await run(wantedService())
    const before = aliases()
    pending = ['0003_more']
    await expect(run(wantedService(), {}, 'new')).rejects.toThrow(
      /pending: 0003_more\. Run sls deploy --migrate/,
    )
    expect(aliases()).toEqual(before)
    await run(wantedService(), { migrate: true }, 'new')
    expect(Object.values(aliases())).toEqual(['2', '2', '2', '2'])
  })

  test('not being able to look stops it as well', async () => {
    plane.onInvoke('shop-dev-migrate', () => {
      throw new Error('no database')
    })
    await expect(run(wantedService())).rejects.toThrow(/cannot be looked at: .*no database/)
    expect(new Set(Object.values(aliases()))).toEqual(new Set(['$LATEST']))
  })
})

describe('open money', () => {
  const without = wantedService((yml) => (yml.functions['timer']!.events = []))
  beforeEach(() => run(wantedService()))

  test.each(['orders', 'refunds', 'messages'])('open %s keep the timer', async (kind) => {
    open[kind] = 1
    expect(
      await writesOf(() => expect(run(without)).rejects.toThrow(/the timer timer is deleted.*are open/)),
    ).toEqual([])
    await run(without, { abandonOpenMoney: true })
    expect(plane.find('shop-dev-timer')!.triggers).toEqual([])
  })

  test.each<[string, (event: unknown) => unknown]>([
    [
      'fails',
      () => {
        throw new Error('no database')
      },
    ],
    ['gives no numbers', () => ({ open: { orders: 0 } })],
    ['gives nothing', () => null],
  ])('a count that %s is no zero', async (_, answer) => {
    plane.onInvoke('shop-dev-migrate', answer)
    await expect(run(without)).rejects.toThrow(/cannot be counted/)
  })

  test('nothing is removed while something is open', async () => {
    open['orders'] = 2
    const work = await workOn(wantedService())
    const confirm = jest.fn(async () => undefined)
    await expect(remove(work, { abandonOpenMoney: false, confirm })).rejects.toThrow(/2 orders, 0 refunds/)
    expect(plane.functions.size).toBe(4)
    await remove(work, { abandonOpenMoney: true, confirm })
    expect(plane.functions.size).toBe(0)
    expect(confirm).toHaveBeenCalledTimes(1)
  })

  test('who does not confirm removes nothing', async () => {
    const confirm = () => Promise.reject(new Error('no'))
    await expect(remove(await workOn(wantedService()), { abandonOpenMoney: false, confirm })).rejects.toThrow(
      'no',
    )
    expect(plane.functions.size).toBe(4)
  })

  test('what counts is removed last', async () => {
    const confirm = async () => undefined
    const removed = await remove(await workOn(wantedService()), { abandonOpenMoney: false, confirm })
    expect(removed).toEqual(['createOrder', 'notify', 'timer', 'migrate'].map((key) => `shop-dev-${key}`))
  })
})

describe('back and forth', () => {
  test('a share, then all of it, then back', async () => {
    const service = wantedService()
    await run(service)
    await run(service, { canary: 10 }, 'new')
    const alias = plane.find('shop-dev-notify')!.aliases.get('$DEFAULT')!
    expect([alias.version, alias.routing.AdditionalVersionWeights]).toEqual([
      '1',
      [{ Version: '2', Weight: 0.1 }],
    ])
    expect((await readInfo(await workOn(service))).functions[1]).toMatchObject({
      canary: { version: '2', weight: 0.1 },
    })

    expect(await promote(await workOn(service))).toHaveLength(3)
    expect(plane.find('shop-dev-notify')!.aliases.get('$DEFAULT')).toMatchObject({
      version: '2',
      routing: { AdditionalVersionWeights: [] },
    })
    await expect(promote(await workOn(service))).rejects.toThrow(/--canary/)

    await rollback(await workOn(service), undefined)
    expect(Object.values(aliases())).toEqual(['1', '1', '1', '1'])
    await expect(rollback(await workOn(service), undefined)).rejects.toThrow(/nothing to go back to/)
  })

  test('a deployment without a share ends it', async () => {
    const service = wantedService()
    await run(service)
    await run(service, { canary: 10 }, 'new')
    await run(service, {}, 'new')
    const alias = plane.find('shop-dev-notify')!.aliases.get('$DEFAULT')!
    expect([alias.version, alias.routing.AdditionalVersionWeights]).toEqual(['2', []])
  })

  test('a rollback takes the share back first', async () => {
    const service = wantedService()
    await run(service)
    await run(service, { canary: 10 }, 'new')
    await rollback(await workOn(service), undefined)
    const alias = plane.find('shop-dev-notify')!.aliases.get('$DEFAULT')!
    expect([alias.version, alias.routing.AdditionalVersionWeights]).toEqual(['1', []])
  })

  test('deployments are gone back over as they were, function by function', async () => {
    const service = wantedService()
    await run(service)
    const faster = wantedService((yml) => (yml.functions['createOrder']!.memorySize = 512))
    await run(faster)
    const more = wantedService((yml) => {
      yml.functions['createOrder']!.memorySize = 512
      yml.functions['notify']!.timeout = 5
    })
    await run(more)
    const versions = () => [aliases()['shop-dev-createOrder'], aliases()['shop-dev-notify']]
    expect(versions()).toEqual(['2', '2'])
    await rollback(await workOn(service), undefined)
    expect(versions()).toEqual(['2', '1'])
    const { deployments } = await readInfo(await workOn(service))
    expect(deployments).toHaveLength(3)
    await rollback(await workOn(service), deployments[0])
    expect(versions()).toEqual(['1', '1'])
    await expect(rollback(await workOn(service), '20000101T000000Z')).rejects.toThrow(/There are: 2026/)
    // Forward again is a deployment, and needs nothing new.
    expect((await writesOf(() => run(more))).map((line) => line.split(' ')[0])).toEqual([
      'UpdateAlias',
      'UpdateAlias',
    ])
  })
})

describe('the way to the API', () => {
  test('of one action no more than 20 set off within a second, of another as many', async () => {
    // Everybody asks in the same moment; whoever is told to wait sets off that much later.
    const delays: number[] = []
    const call = await connectControlPlane({
      ...{ region: 'ap-guangzhou', credential: keys, endpoint: plane.url, random: () => 0.5, nowMs: () => 0 },
      sleep: async (ms) => void delays.push(ms),
    })
    const ask = { FunctionName: 'nobody', Namespace: 'default' }
    const asked = Array.from({ length: 50 }, () => [
      call('GetFunction', ask),
      call('ListAliases', ask),
    ]).flat()
    await Promise.allSettled(asked)
    expect(delays).toHaveLength(2 * 49)
    const setOff = [0, ...delays.filter((_, at) => at % 2 === 0)]
    expect([0, ...delays.filter((_, at) => at % 2 === 1)]).toEqual(setOff)
    for (const from of setOff) {
      const within = setOff.filter((at) => at >= from && at < from + 1000)
      expect(within.length).toBeLessThanOrEqual(20)
    }
  })

  test('throttling and a function that is still busy are waited out', async () => {
    plane.failNext('CreateFunction', { code: 'RequestLimitExceeded' }, 3)
    plane.failNext('PublishVersion', { code: 'FailedOperation.PublishVersion' }, 2)
    plane.failNext('UpdateAlias', { code: 'RequestLimitExceeded' }, 2)
    await run(wantedService())
    expect(await writesOf(() => run(wantedService()))).toEqual([])
  })

  test('it gives up some time, with the code, the request and what to do', async () => {
    plane.failNext('ListFunctions', { code: 'RequestLimitExceeded', message: 'Too often.' }, 100)
    await expect(run(wantedService())).rejects.toThrow(
      /^ListFunctions: Too often\. Wait a minute and run it again\. \(RequestLimitExceeded, request rid-\w+\)$/,
    )
  })

  test('an error inside the API is asked about again, but not done again', async () => {
    plane.failNext('ListFunctions', { code: 'InternalError' }, 2)
    plane.failNext('CreateFunction', { code: 'InternalError' })
    await expect(run(wantedService())).rejects.toThrow(/Run it again: it continues/)
    await run(wantedService())
  })

  test('a name that is just being freed is waited for', async () => {
    const service = wantedService()
    await run(service)
    const { call } = await workOn(service)
    await call('DeleteFunction', { FunctionName: 'shop-dev-createOrder', Namespace: 'default' })
    await run(service)
    expect(plane.find('shop-dev-createOrder')!.versions).toHaveLength(1)
    expect(await writesOf(() => run(service))).toEqual([])
  })

  test('what does not pass is not repeated', async () => {
    const work = await workOn(wantedService(), { credential: { ...keys, secretKey: 'another' } })
    await expect(readInfo(work)).rejects.toThrow(
      /Check the secret id and key\. \(AuthFailure\.SignatureFailure/,
    )
    expect(plane.journal).toHaveLength(1)
  })

  test('a proxy of the environment does not get between us and loopback', async () => {
    process.env['http_proxy'] = 'http://127.0.0.1:9'
    try {
      await expect(readInfo(await workOn(wantedService()))).resolves.toMatchObject({ functions: [] })
    } finally {
      delete process.env['http_proxy']
    }
  })

  test.each(['http://scf.example.com', 'http://127.0.0.1.example.com', 'ftp://127.0.0.1', 'nonsense'])(
    'the endpoint %s is refused',
    async (endpoint) => {
      await expect(workOn(wantedService(), { endpoint })).rejects.toThrow(/SCF_ENDPOINT must be/)
    },
  )

  test('nobody at the endpoint is told in a sentence', async () => {
    const work = await workOn(wantedService(), { endpoint: 'http://127.0.0.1:9' })
    await expect(readInfo(work)).rejects.toThrow(/got no answer \(connect ECONNREFUSED.*Check the network/)
  })

  test('lists are read to their last page', async () => {
    const items = Array.from({ length: 250 }, (_, at) => at)
    const page = jest.fn(async (offset: number, limit: number) => ({
      items: items.slice(offset, offset + limit),
      total: items.length,
    }))
    expect(await readAll(page)).toEqual(items)
    expect(page).toHaveBeenCalledTimes(3)
  })

  test('and what was deployed is all found again', async () => {
    const many = wantedService((yml) => {
      for (let at = 0; at < 25; at++) yml.functions[`more${at}`] = { handler: 'timer.main_handler' }
    })
    await run(many)
    expect((await readInfo(await workOn(many))).functions).toHaveLength(29)
  })
})
