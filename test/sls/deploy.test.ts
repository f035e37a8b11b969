import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeZip } from '../../deploy/zip'
import { sandboxEnv } from '../../local/sandbox/env'
import { startSandbox } from '../../local/sandbox/server'
import { get, post, runBundle, RUNTIMES } from '../support/bundles'
import { startControlPlane, type ControlPlane } from '../support/controlPlane'
import type { FunctionState } from '../support/controlPlane/state'
import { readZip } from '../support/controlPlane/zip'
import { findPostgres, startPostgres } from '../support/servers'
import { makeClone, type Clone, type Ran } from '../support/sls'
import { freshNumber, orderBody } from '../support/world'

/**
 * The real `sls` from a clone of this repository against a control plane that is as strict as the real one's
 * documentation. Tests build on each other: what one has deployed the next one changes.
 */
const DOORS = ['board', 'closeOrder', 'createOrder', 'notify', 'refund', 'session', 'status']
const FUNCTIONS = [...DOORS, 'migrate', 'timer'].sort()
const ID = 'AKIDdeployer'
const KEY = 'the-secret-key-of-the-deployer'
const AUTHEN_KEY = 'an-authen-key-nobody-may-read-00'

let plane: ControlPlane
let clone: Clone
/** What the migrate function would answer. */
const database = { pending: [] as string[], applied: ['001'], open: { orders: 0, refunds: 0, messages: 0 } }

beforeAll(async () => {
  plane = await startControlPlane({ secretId: ID, secretKey: KEY, busyPolls: 1 })
  clone = makeClone()
  await packageTo('zips')
})
afterAll(async () => {
  clone.remove()
  await plane.close()
})

const nameOf = (key: string, stage = 'dev') => `cloud-pay-${stage}-${key}`
const find = (key: string) => plane.find(nameOf(key))!

const environment = () => ({
  TENCENTCLOUD_SECRET_ID: ID,
  TENCENTCLOUD_SECRET_KEY: KEY,
  SCF_ENDPOINT: plane.url,
  CALLERS: 'own',
  CLOUD_PAY_AUTHEN_KEY: AUTHEN_KEY,
  CLOUD_PAY_OUT_MCH_ID: 'sandboxmch0000000001',
  DATABASE_URL: 'mysql://payer:the-password@10.0.0.2:3306/orders',
})

async function packageTo(dir: string): Promise<void> {
  const { code, all } = await clone.sls(['package', '--package', dir])
  if (code !== 0) throw new Error(all)
}

/** New code for one function, as packaging would give it: that packaging does is tested with `status`. */
async function change(key: string, text: string): Promise<void> {
  const file = join(clone.dir, 'zips', `${key}.zip`)
  const [entry] = readZip(readFileSync(file))
  const bytes = Buffer.concat([entry!.bytes, Buffer.from(`\n// ${text}\n`)])
  writeFileSync(file, await writeZip([{ name: entry!.name, bytes }]))
}

type Options = { env?: Record<string, string>; package?: string }
/** With the zips packaged before, unless said otherwise: packaging is tested elsewhere. */
const sls = (args: string[], { env = {}, package: dir = 'zips' }: Options = {}): Promise<Ran> => {
  const packaged = args[0] === 'deploy' && args[1] !== 'function' ? ['--package', dir] : []
  return clone.sls([...args, ...packaged], { ...environment(), ...env })
}

async function deploy(...args: string[]): Promise<Ran> {
  const ran = await sls(['deploy', ...args])
  if (ran.code !== 0) throw new Error(`sls deploy ${args.join(' ')} ended with ${ran.code}:\n${ran.all}`)
  return ran
}

/** Calls that changed something since a place in the journal, without those that were refused. */
const done = (since: number) => plane.writes(since).filter(({ error }) => error === undefined)
const touched = (since: number) =>
  done(since).map(({ request }) => String(request.FunctionName).replace(nameOf(''), ''))

function answerMigrations(): void {
  plane.onInvoke(nameOf('migrate'), (event) => {
    const { do: what } = event as { do: string }
    if (what === 'status') return { pending: database.pending, applied: database.applied }
    if (what === 'count') return { open: database.open }
    const applied = database.pending.splice(0)
    database.applied.push(...applied)
    return { applied }
  })
}

const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const variables = (it: FunctionState) =>
  Object.fromEntries(it.configuration.Variables.map(({ Key, Value }) => [Key, Value]))

/** What is served behind $DEFAULT. */
function served(it: FunctionState) {
  const { version, routing } = it.aliases.get('$DEFAULT')!
  const behind = it.versions.find((each) => each.version === version)
  return { version, code: behind && hash(behind.code), configuration: behind?.configuration, routing }
}

/** The cloud as far as it matters: numbers of versions and names of URLs may differ from run to run. */
const view = () =>
  Object.fromEntries(
    [...plane.functions.values()].map((it) => [
      it.name,
      {
        status: it.status,
        ...served(it),
        version: undefined,
        reservedMem: it.reservedMem,
        triggers: it.triggers.map(({ type, qualifier, desc, open }) => ({
          ...{ type, qualifier, open },
          what: type === 'timer' ? desc['cron'] : desc['AuthType'],
        })),
      },
    ]),
  )

describe('refused before anything is changed', () => {
  afterEach(() => {
    expect(plane.writes().filter(({ error }) => error === undefined)).toEqual([])
    plane.reset()
  })

  const silent = async (ran: Promise<Ran>, ...parts: (string | RegExp)[]) => {
    const { code, all } = await ran
    expect(code).toBe(1)
    for (const part of parts) expect(all).toMatch(part)
    expect(all).not.toContain(KEY)
    expect(all).not.toContain(AUTHEN_KEY)
    // A sentence, not a stack.
    expect(all).not.toMatch(/\n\s+at .*\.(ts|js):\d+/)
  }

  test('a wrong key: the code, the request id and what to do', async () => {
    await silent(
      sls(['deploy'], { env: { TENCENTCLOUD_SECRET_KEY: 'another' } }),
      'AuthFailure.SignatureFailure',
      /rid-\w+/,
    )
  })

  test('with --json a failure is JSON as well', async () => {
    const ran = sls(['deploy', '--json'], { env: { TENCENTCLOUD_SECRET_KEY: 'another' } })
    const { error } = JSON.parse((await ran).stdout) as { error: Record<string, string> }
    expect(error).toMatchObject({
      code: 'AuthFailure.SignatureFailure',
      request_id: expect.stringMatching(/^rid-/),
    })
    await silent(ran)
  })

  test('an endpoint that cannot be reached', async () => {
    await silent(sls(['deploy'], { env: { SCF_ENDPOINT: 'http://127.0.0.1:1' } }), /127\.0\.0\.1:1/)
  })

  test('an endpoint without TLS that is not on this machine', async () => {
    await silent(sls(['deploy'], { env: { SCF_ENDPOINT: 'http://scf.example.com' } }), /SCF_ENDPOINT|https/)
    expect(plane.journal).toEqual([])
  })

  test('no credentials', async () => {
    const env = { TENCENTCLOUD_SECRET_ID: '', TENCENTCLOUD_SECRET_KEY: '' }
    await silent(sls(['deploy'], { env }), 'TENCENTCLOUD_SECRET_ID')
    expect(plane.journal).toEqual([])
  })

  test.each(['', 'open'])('doors whose callers are not configured (CALLERS "%s")', async (CALLERS) => {
    await silent(sls(['deploy'], { env: { CALLERS } }), /callers are not configured/, 'CALLERS: own')
    expect(plane.journal).toEqual([])
  })

  test('a key in the yml that is not known', async () => {
    clone.edit('serverless.yml', (yml) => yml.replace('path: /notify', 'paht: /notify'))
    await silent(sls(['deploy']), 'functions.notify.events.0.http.paht', 'did you mean path')
    clone.restore('serverless.yml')
    expect(plane.journal).toEqual([])
  })

  test('an environment over 4 KB, and a name that belongs to the platform', async () => {
    await silent(
      sls(['deploy'], { env: { MERCHANT_WEBHOOK_URL: `https://${'x'.repeat(4096)}` } }),
      /4096|4 KB/,
    )
    clone.edit('deploy/stages/dev.yml', (yml) => yml.replace('environment:', 'environment:\n  SCF_MINE: x'))
    await silent(sls(['deploy']), 'SCF_MINE')
    clone.restore('deploy')
    expect(plane.journal).toEqual([])
  })

  test('a dry run prints the plan and changes nothing', async () => {
    const { code, all } = await sls(['deploy', '--dry-run'])
    expect(code).toBe(0)
    for (const key of FUNCTIONS) expect(all).toMatch(new RegExp(`create.*${key}|${key}.*create`))
  })
})

describe('a service comes up', () => {
  beforeAll(() => answerMigrations())

  test('the first deploy makes functions, versions, addresses, the timer and reserved concurrency', async () => {
    const { all } = await deploy()
    expect([...plane.functions.keys()].sort()).toEqual(FUNCTIONS.map((key) => `default/${nameOf(key)}`))
    for (const key of FUNCTIONS) {
      const it = find(key)
      const zip = clone.read(`zips/${key}.zip`)
      expect(served(it)).toMatchObject({ version: '1', code: hash(zip) })
      expect(it.configuration).toMatchObject({ Runtime: 'Nodejs18.15', Handler: `${key}.main_handler` })
      expect(variables(it)).toMatchObject({ CALLERS: 'own', CLOUD_PAY_AUTHEN_KEY: AUTHEN_KEY })
      const http = it.triggers.filter((trigger) => trigger.type === 'http')
      expect([key, http.map((trigger) => trigger.qualifier)]).toEqual([
        key,
        DOORS.includes(key) ? ['$DEFAULT'] : [],
      ])
      for (const { desc } of http) {
        const { EnableExtranet, ExtranetUrl } = desc['NetConfig'] as {
          EnableExtranet: boolean
          ExtranetUrl: string
        }
        expect([desc['AuthType'], EnableExtranet]).toEqual(['NONE', true])
        // The address of every door is in the summary, so that it can be put into the console and the client.
        expect(all).toContain(ExtranetUrl)
      }
    }
    expect(find('timer').triggers).toMatchObject([
      { type: 'timer', qualifier: '$DEFAULT', open: true, desc: { cron: '*/20 * * * * * *' } },
    ])
    expect(find('status').reservedMem).toBe(40 * 256)
    expect(all).not.toMatch(new RegExp([KEY, AUTHEN_KEY, 'the-password'].join('|')))
    // It waits for busy functions instead of being refused. That calls set off far enough apart is tested in
    // unit/deploy/converge: on a busy machine they may arrive closer together, are refused, and are asked again.
    const refused = plane.journal.filter(
      ({ error }) => error !== undefined && error !== 'RequestLimitExceeded',
    )
    expect(refused).toEqual([])
  })

  test('the same again changes nothing', async () => {
    const since = plane.journal.length
    // Neither does a proxy get in between, nor do other credentials.
    const { TENCENTCLOUD_SECRET_ID: _, TENCENTCLOUD_SECRET_KEY: __, ...rest } = environment()
    const old = { ...rest, TENCENT_SECRET_ID: ID, TENCENT_SECRET_KEY: KEY, http_proxy: 'http://127.0.0.1:1' }
    const { code, all } = await clone.sls(['deploy', '--package', 'zips'], old)
    expect([code, plane.writes(since)]).toEqual([0, []])
    expect(all).toContain('Nothing to change')
  })

  test('changed code replaces one function and leaves the addresses', async () => {
    const before = find('status').triggers[0]!.name
    clone.edit('functions/status.ts', (code) => `${code}\nprocess.env['NEVER'] && console.log('changed')\n`)
    await packageTo('zips')
    const since = plane.journal.length
    await deploy()
    expect(new Set(touched(since))).toEqual(new Set(['status']))
    expect(served(find('status'))).toMatchObject({ version: '2', code: hash(clone.read('zips/status.zip')) })
    expect(find('status').triggers[0]!.name).toBe(before)
  })

  test('a changed yml changes that function, its timer in place, and takes a variable away', async () => {
    clone.edit('serverless.yml', (yml) =>
      yml
        .replace("'*/20 * * * * * *'", "'*/30 * * * * * *'")
        .replace('reservedConcurrency: 2\n', 'reservedConcurrency: 3\n    memorySize: 512\n'),
    )
    clone.edit('deploy/stages/dev.yml', (yml) => yml.replace(/^ {2}CLOUD_PAY_OUT_MCH_ID.*\n/m, ''))
    const [timer] = find('timer').triggers
    const since = plane.journal.length
    await deploy()
    expect(find('timer').triggers).toHaveLength(1)
    expect(find('timer').triggers[0]).toMatchObject({ name: timer!.name, desc: { cron: '*/30 * * * * * *' } })
    expect(
      done(since)
        .map(({ action }) => action)
        .join(),
    ).not.toMatch(/(Create|Delete)Trigger/)
    expect(served(find('timer')).configuration).toMatchObject({ MemorySize: 512 })
    expect(find('timer').reservedMem).toBe(3 * 512)
    for (const key of FUNCTIONS) expect(variables(find(key))).not.toHaveProperty('CLOUD_PAY_OUT_MCH_ID')
    for (const key of FUNCTIONS) expect(served(find(key)).code).toBe(hash(clone.read(`zips/${key}.zip`)))
    clone.restore('deploy')
    await deploy()
    for (const key of FUNCTIONS) expect(variables(find(key))).toHaveProperty('CLOUD_PAY_OUT_MCH_ID')
  })

  test('a function and an address that are gone from the yml are removed', async () => {
    clone.edit('serverless.yml', (yml) =>
      yml
        .replace(/^ {2}closeOrder:\n(?: {4}.*\n)+/m, '')
        .replace(/(refund:\n.*\n.*\n) {4}events:\n(?: {6}.*\n)+/, '$1'),
    )
    const since = plane.journal.length
    await deploy()
    expect(plane.find(nameOf('closeOrder'))?.status ?? 'gone').toMatch(/gone|Deleting/)
    expect(find('refund').triggers).toEqual([])
    expect(
      done(since)
        .map(({ action, request }) => `${action} ${request.FunctionName}`)
        .sort(),
    ).toEqual([`DeleteFunction ${nameOf('closeOrder')}`, `DeleteTrigger ${nameOf('refund')}`])
    clone.restore('serverless.yml')
    await deploy()
    expect(find('refund').triggers).toHaveLength(1)
    expect(served(find('closeOrder'))).toMatchObject({ code: hash(clone.read('zips/closeOrder.zip')) })
  })

  test('info tells the addresses', async () => {
    const { code, stdout } = await sls(['info'])
    const { stdout: json } = await sls(['info', '--json'])
    expect([code, JSON.parse(json)]).toEqual([
      0,
      expect.objectContaining({ service: 'cloud-pay', stage: 'dev' }),
    ])
    for (const key of DOORS) {
      expect(stdout).toContain(
        (find(key).triggers[0]!.desc['NetConfig'] as { ExtranetUrl: string }).ExtranetUrl,
      )
    }
  })

  test('invoke calls the function in the cloud and fails when it throws', async () => {
    const fine = await sls(['invoke', '-f', 'migrate', '--data', '{"do":"count"}'])
    expect([fine.code, JSON.parse(fine.stdout)]).toEqual([0, { open: database.open }])
    const failed = await sls(['invoke', '-f', 'timer', '--data', '{}'])
    expect([failed.code, failed.all]).toEqual([1, expect.stringContaining('has not said what')])
  })
})

describe('canary, promote and rollback', () => {
  const weights = (key: string) => served(find(key)).routing.AdditionalVersionWeights

  test('a canary gets its share, promote gives it the rest', async () => {
    const before = served(find('notify')).version
    await change('notify', 'canary')
    await deploy('--canary', '10')
    const next = String(Number(before) + 1)
    expect(served(find('notify'))).toMatchObject({ version: before })
    expect(weights('notify')).toEqual([{ Version: next, Weight: 0.1 }])

    await deploy('--promote')
    expect(served(find('notify'))).toMatchObject({ version: next, code: hash(clone.read('zips/notify.zip')) })
    expect(weights('notify')).toEqual([])
    const since = plane.journal.length
    await deploy()
    expect(plane.writes(since)).toEqual([])
  })

  test('rollback gives every function the version before, and deploy goes forward again', async () => {
    const now = served(find('notify')).version
    const { code, all } = await sls(['rollback'])
    expect([code, all]).toEqual([0, expect.stringContaining('notify')])
    expect(Number(served(find('notify')).version)).toBe(Number(now) - 1)
    await deploy()
    expect(served(find('notify')).code).toBe(hash(clone.read('zips/notify.zip')))
  })
})

describe('the money path', () => {
  const without = (what: 'timer' | 'notify') =>
    clone.edit('serverless.yml', (yml) => yml.replace(new RegExp(`^ {2}${what}:\\n(?: {4}.*\\n)+`, 'm'), ''))
  afterEach(() => {
    clone.restore('serverless.yml')
    database.open = { orders: 0, refunds: 0, messages: 0 }
    answerMigrations()
  })

  test.each([
    ['orders', { orders: 3, refunds: 0, messages: 0 }, 'timer'],
    ['refunds', { orders: 0, refunds: 2, messages: 0 }, 'notify'],
    ['messages', { orders: 0, refunds: 0, messages: 1 }, 'timer'],
  ] as const)(
    'while there are open %s, the way money comes in is not deployed away',
    async (kind, open, what) => {
      database.open = { ...open }
      without(what)
      const before = view()
      const { code, all } = await sls(['deploy'])
      expect([code, all]).toEqual([1, expect.stringContaining('--abandon-open-money')])
      expect(all).toMatch(new RegExp(`${open[kind]} .*${kind === 'messages' ? '(messages|events)' : kind}`))
      expect(view()).toEqual(before)
    },
  )

  test('what cannot be counted counts as open', async () => {
    plane.onInvoke(nameOf('migrate'), () => Promise.reject(new Error('no database')))
    const before = view()
    const { code, all } = await sls(['remove', '--yes'])
    expect([code, all]).toEqual([1, expect.stringContaining('--abandon-open-money')])
    expect(view()).toEqual(before)
  })

  test('a URL that is not replaced is not guarded: other changes go through', async () => {
    database.open = { orders: 3, refunds: 0, messages: 0 }
    clone.edit('serverless.yml', (yml) => yml.replace('reservedConcurrency: 20', 'reservedConcurrency: 21'))
    await deploy()
    expect(find('notify').reservedMem).toBe(21 * 256)
  })
})

describe('migrations', () => {
  afterEach(() => {
    database.pending = []
  })

  test('pending ones stop the alias, --migrate applies them first', async () => {
    await change('timer', 'N')
    database.pending = ['002', '003']
    const before = served(find('timer'))
    const refused = await sls(['deploy'])
    expect([refused.code, refused.all]).toEqual([1, expect.stringContaining('--migrate')])
    expect(refused.all).toContain('002')
    expect(served(find('timer'))).toEqual(before)

    let served_while_applying: unknown
    plane.onInvoke(nameOf('migrate'), (event, qualifier) => {
      const { do: what } = event as { do: string }
      expect(qualifier).not.toBe('$DEFAULT')
      if (what === 'apply') {
        served_while_applying = served(find('timer'))
        return { applied: database.pending.splice(0) }
      }
      return what === 'status' ? { pending: database.pending, applied: [] } : { open: database.open }
    })
    await deploy('--migrate')
    expect(served_while_applying).toEqual(before)
    expect(served(find('timer')).code).toBe(hash(clone.read('zips/timer.zip')))
    answerMigrations()
  })
})

describe('when things go wrong on the way', () => {
  test('throttling and busy functions are waited out', async () => {
    await change('refund', 'again')
    plane.failNext('GetFunction', { code: 'RequestLimitExceeded' }, 2)
    plane.failNext(
      'UpdateFunctionCode',
      { code: 'FailedOperation.UpdateFunctionCode', message: 'Updating' },
      1,
    )
    plane.failNext('PublishVersion', { code: 'RequestLimitExceeded' }, 1)
    const { stdout } = await deploy('--json')
    // Nothing but JSON where a pipeline reads it.
    expect(JSON.parse(stdout)).toMatchObject({ service: 'cloud-pay', stage: 'dev', todo: [] })
    expect(served(find('refund')).code).toBe(hash(clone.read('zips/refund.zip')))
  })

  test('an error that stays is told with its code and request id', async () => {
    await change('refund', 'failing')
    plane.failNext('UpdateFunctionCode', { code: 'UnauthorizedOperation.CAM' }, 1)
    const { code, all } = await sls(['deploy'])
    expect([code, all]).toEqual([1, expect.stringContaining('UnauthorizedOperation.CAM')])
    expect(all).toMatch(/rid-\w+/)
    // One function alone, from its source: nothing else is looked at.
    const since = plane.journal.length
    const alone = await sls(['deploy', 'function', '-f', 'refund'])
    expect([alone.code, new Set(touched(since))]).toEqual([0, new Set(['refund'])])
    expect(served(find('refund')).code).toBe(hash(clone.read('.serverless/refund.zip')))
    await deploy()
  })

  test('killed anywhere on the way, the next run ends where an undisturbed one does', async () => {
    const undisturbed = view()
    for (const at of [5, 23]) {
      plane.reset()
      answerMigrations()
      const { child, ended } = clone.start(['deploy', '--package', 'zips'], environment())
      plane.onCall = () => {
        if (plane.writes().length < at) return undefined
        child.kill('SIGKILL')
        return 'drop'
      }
      expect((await ended).code).toBe('SIGKILL')
      plane.onCall = undefined
      expect(view()).not.toEqual(undisturbed)
      await deploy()
      expect(view()).toEqual(undisturbed)
    }
  })
})

/** The functions as they lie in the cloud: unzipped, with the environment that was deployed, in a bare Node. */
describe('what was deployed runs', () => {
  // The documented runtime where it is installed, or else this Node.
  const node = RUNTIMES.find(({ path }) => path !== undefined)!.path!
  async function run(it: FunctionState, events: unknown[], env: Record<string, string> = {}) {
    const { version } = it.aliases.get('$DEFAULT')!
    const { code, configuration } = it.versions.find((each) => each.version === version) ?? it
    const dir = mkdtempSync(join(tmpdir(), 'unzipped-'))
    for (const { name, bytes } of readZip(code)) writeFileSync(join(dir, name), bytes)
    const file = join(dir, `${configuration.Handler.split('.')[0]}.js`)
    const deployed = Object.fromEntries(configuration.Variables.map(({ Key, Value }) => [Key!, Value!]))
    const { visits } = await runBundle({ node, file, env: { ...deployed, ...env }, events })
    rmSync(dir, { recursive: true })
    return visits
  }
  const merchant = (baseUrl: string, DATABASE_URL: string) => {
    const {
      CALLERS: _,
      GATEWAY_LISTEN_HOST: __,
      CLOSE_NOT_BEFORE: ___,
      ...env
    } = sandboxEnv(baseUrl, DATABASE_URL, '')
    return env
  }

  test('a door with nobody to say who calls stays shut, and other paths are not its own', async () => {
    plane.reset()
    answerMigrations()
    await sls(['deploy'], { env: merchant('http://127.0.0.1:1/cpay/', 'mysql://u:p@127.0.0.1:1/d') })
    const [shut, lost] = await run(find('createOrder'), [
      post(orderBody()),
      post(orderBody(), {}, '/elsewhere'),
    ])
    expect(shut!.statusCode).toBe(503)
    expect(lost!.statusCode).toBe(404)
  })

  if (!findPostgres()) {
    if (process.env['REQUIRE_SERVERS'] === '1')
      test('PostgreSQL is installed', () => expect(findPostgres()).toBeDefined())
    else test.skip('did not run further: no PostgreSQL server is installed', () => undefined)
    return
  }

  test('migrations run where the database is, and an order is created, paid and read back', async () => {
    const server = await startPostgres()
    const far = await startSandbox()
    plane.reset()
    // The migrate function's own code, of the version that was asked for.
    plane.onInvoke(nameOf('migrate'), async (event, qualifier) => {
      const it = find('migrate')
      const version = it.versions.find((each) => each.version === qualifier)!
      const alias = { ...it.aliases.get('$DEFAULT')!, version: version.version }
      const [visit] = await run({ ...it, aliases: new Map([['$DEFAULT', alias]]) }, [event])
      return visit!.body
    })
    const env = merchant(far.baseUrl, await server.freshDatabase())
    const pending = await sls(['deploy'], { env })
    expect([pending.code, pending.all]).toEqual([1, expect.stringContaining('--migrate')])
    // No door opens before its tables are there.
    expect([...plane.functions.values()].flatMap(({ triggers }) => triggers)).toEqual([])
    const migrated = await sls(['deploy', '--migrate'], { env })
    expect([migrated.code, migrated.all]).toEqual([0, expect.stringContaining('tencentscf.com')])

    // Nobody has brought an authorize yet; everybody may call here, as the sandbox is on this machine.
    const open = { CALLERS: 'open' }
    const number = freshNumber()
    const [created] = await run(find('createOrder'), [post(orderBody({ out_trade_no: number }))], open)
    expect([created!.statusCode, created!.body.state]).toEqual([201, 'pending'])
    far.sandbox.pay(number)
    const notification = {
      ...post({}, {}, '/notify'),
      body: far.sandbox.notification(number).toString('utf8'),
    }
    const [told] = await run(find('notify'), [notification])
    expect([told!.statusCode, told!.body.response_content.status]).toEqual([200, 0])
    const [read] = await run(find('status'), [get(`/orders/${number}`)], open)
    expect([read!.statusCode, read!.body.state]).toEqual([200, 'paid'])

    const counted = await sls(['invoke', '-f', 'migrate', '--qualifier', '1', '--data', '{"do":"count"}'], {
      env,
    })
    expect(JSON.parse(counted.stdout)).toEqual({ open: { orders: 0, refunds: 0, messages: 1 } })
    // The merchant has not been told of the payment yet.
    const kept = await sls(['remove', '--yes'], { env })
    expect([kept.code, kept.all]).toEqual([1, expect.stringContaining('--abandon-open-money')])
    expect(plane.functions.size).toBe(FUNCTIONS.length)
    await far.close()
    await server.stop()
  })
})

test('remove asks first, takes all of its stage away and nothing of another one', async () => {
  plane.reset()
  answerMigrations()
  plane.onInvoke(nameOf('migrate', 'prod'), () => ({ pending: [], applied: [], open: database.open }))
  await Promise.all([deploy(), deploy('--stage', 'prod')])
  const both = [...plane.functions.keys()].sort()
  expect(both).toEqual(
    ['dev', 'prod'].flatMap((stage) => FUNCTIONS.map((key) => `default/${nameOf(key, stage)}`)),
  )
  const asked = await sls(['remove', '--stage', 'prod'])
  expect([asked.code, asked.all]).toEqual([1, expect.stringContaining('--yes')])
  expect([...plane.functions.keys()].sort()).toEqual(both)
  const { code } = await sls(['remove', '--yes', '--stage', 'prod'])
  expect(code).toBe(0)
  expect([...plane.functions.values()].map(({ name }) => name).sort()).toEqual(
    FUNCTIONS.map((key) => nameOf(key)),
  )
})
