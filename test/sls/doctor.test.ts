import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lookAtClock } from '../../cli/doctor/clock'
import { lookAtCloud } from '../../cli/doctor/cloud'
import type { Finding } from '../../cli/doctor/finding'
import { lookAtConfiguration, lookAtNames, readStage } from '../../cli/doctor/stage'
import { namesOfConfiguration } from '../../deploy/variables'
import { ROOT } from '../../deploy/bundle'
import type { Service } from '../../deploy/service'
import { systemClock } from '../../shared/base/time'
import { runCommand } from '../support/cli'
import { startControlPlane, type ControlPlane } from '../support/controlPlane'

/** What whoever deploys has in the environment. */
const deployer = (more: Record<string, string> = {}): Record<string, string> => ({
  PATH: process.env['PATH']!,
  HOME: dir,
  CLOUD_PAY_OUT_MCH_ID: 'mch1',
  CLOUD_PAY_OUT_SUB_MCH_ID: 'sub1',
  CLOUD_PAY_OUT_SHOP_ID: 'shop1',
  CLOUD_PAY_ORDER_PREFIX: 'ab12',
  CALLERS: 'own',
  ...more,
})
let dir: string
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'doctor-'))))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

type Ran = { code: number; lines: string[] }
const run = (file: string, args: string[], env: Record<string, string>): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(join(ROOT, 'node_modules/.bin', file), args, { cwd: ROOT, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code)
      resolve({ code, lines: (stdout + stderr).split('\n').filter(Boolean) })
    })
  })
const command = async (file: string, args: string[], env: Record<string, string>): Promise<Ran> => {
  const { code, stdout, stderr } = await runCommand(file, args, { env })
  return { code: code ?? 1, lines: (stdout + stderr).split('\n').filter(Boolean) }
}
const doctor = (args: string[], env: Record<string, string>) => command('cli/doctor.ts', args, env)
const wrongs = (findings: readonly Finding[]) =>
  findings.flatMap((finding) => (finding.is === 'wrong' ? [`${finding.of}: ${finding.said}`] : []))

describe('npm run doctor', () => {
  test('finds nothing wrong on one machine but what has not been migrated, and then nothing', async () => {
    const file = join(dir, 'orders.db')
    const env = deployer({ DATABASE_URL: `sqlite:${file}` })
    const absent = await doctor(['--stage', 'local'], env)
    expect(absent.lines.filter((line) => line.startsWith('WRONG'))).toEqual([])
    expect(absent.lines).toContainEqual(expect.stringContaining('is not there; npm start makes it'))
    expect(absent).toMatchObject({ code: 0 })
    expect((await command('cli/migrate.ts', [], env)).code).toBe(0)
    const migrated = await doctor(['--stage', 'local'], env)
    expect(migrated.code).toBe(0)
    for (const what of ['node', 'serverless.yml', 'environment names', 'environment size', 'configuration'])
      expect(migrated.lines).toContainEqual(expect.stringMatching(new RegExp(`^ok +${what}: `)))
    for (const what of ['authen key', 'bundles', 'database', "database's clock", 'migrations', 'charset'])
      expect(migrated.lines).toContainEqual(expect.stringMatching(new RegExp(`^ok +${what}: `)))
    expect(migrated.lines.at(-1)).toBe('11 checked, 0 not looked at')
  })

  test('says what a stage lacks, by name, what to do, and ends with 1', async () => {
    const {
      CALLERS: _,
      CLOUD_PAY_ORDER_PREFIX: __,
      ...env
    } = deployer({
      DATABASE_URL: 'mysql://payer:Pw9-secret@127.0.0.1:1/orders',
      SCF_ENDPOINT: 'http://127.0.0.1:1/',
      TENCENTCLOUD_SECRET_ID: 'AKIDx',
      TENCENTCLOUD_SECRET_KEY: 'a-key-nobody-sees',
    })
    const { code, lines } = await doctor([], env)
    expect(code).toBe(1)
    for (const start of [
      /^WRONG +configuration: CLOUD_PAY_ORDER_PREFIX is missing → Set it in deploy\/stages\/dev.yml/,
      /^WRONG +configuration: CALLERS is missing/,
      /^WRONG +role: CLOUD_PAY_AUTHEN_KEY refer to secrets, .*no role.* → Set role in deploy\/stages\/dev.yml/,
      /^WRONG +database: cannot connect to the database: .*ECONNREFUSED.* → Check that it runs/,
      /^WRONG +cloud: ListFunctions got no answer/,
      /^- +clock: 127.0.0.1:1 did not answer/,
    ])
      expect(lines).toContainEqual(expect.stringMatching(start))
    expect(lines.slice(-2)).toEqual(['5 to put right.', '10 checked, 2 not looked at'])
    expect(lines.join('\n')).not.toMatch(/Pw9|a-key-nobody-sees/)
  })

  test('ends with 2 when nothing is wrong in what it could look at, and it could not look at everything', async () => {
    const clock = createServer((_request, response) => void response.end())
    await new Promise<void>((resolve) => clock.listen(0, '127.0.0.1', resolve))
    const { code, lines } = await doctor(
      [],
      deployer({
        // No role is asked for, as nothing is by reference but what the functions alone may read.
        CLOUD_PAY_AUTHEN_KEY: 'a-key-of-the-shop',
        DATABASE_URL: 'ssm:cloud-pay-dev-database-url',
        SCF_ENDPOINT: `http://127.0.0.1:${(clock.address() as AddressInfo).port}/`,
      }),
    )
    clock.close()
    expect(lines.filter((line) => line.startsWith('-')).map((line) => line.split(':')[0])).toEqual([
      '-      database',
      '-      cloud',
    ])
    expect(lines.at(-1)).toMatch(/ checked, 2 not looked at$/)
    expect([1, 2]).toContain(code)
  })

  test('does not know every stage, and says so', async () => {
    expect((await doctor(['--stage', 'nowhere'], deployer())).lines).toContainEqual(
      expect.stringContaining('there is no deploy/stages/nowhere.yml'),
    )
    expect((await doctor(['--stage', '../x'], deployer())).code).toBe(2)
    expect((await doctor(['--frobnicate'], deployer())).code).toBe(2)
  })
})

describe('the stage', () => {
  let service: Service
  beforeAll(async () => {
    service = await readStage('dev', deployer())
    for (const { configuration } of service.functions) configuration.role = 'cloud-pay-dev'
  })
  const changed = (change: (copy: Service) => void): Service => {
    const copy = structuredClone(service)
    change(copy)
    return copy
  }
  const environmentOf = (copy: Service, at = 0) =>
    copy.functions[at]!.configuration.environment as Record<string, string>

  test('is complete', () => {
    expect(wrongs([...lookAtNames(service), ...lookAtConfiguration(service)])).toEqual([])
  })

  test('has its functions, files and names compared', () => {
    const faults = (change: (copy: Service) => void) => wrongs(lookAtNames(changed(change)))
    expect(faults((copy) => (copy.functions as unknown[]).pop())).toEqual([
      'serverless.yml: functions/migrate.ts is not deployed',
    ])
    expect(faults((copy) => (copy.functions[0]!.key = 'createOrders'))).toEqual([
      'serverless.yml: functions.createOrders has no functions/createOrders.ts',
      'serverless.yml: functions/createOrder.ts is not deployed',
    ])
    expect(faults((copy) => (environmentOf(copy)['CLOUD_PAY_AUTHEN_KAY'] = 'x'))).toEqual([
      'environment names: nobody reads CLOUD_PAY_AUTHEN_KAY',
    ])
    expect(
      faults((copy) => (environmentOf(copy, 1)['CLOUD_PAY_OTHER_MERCHANTS'] = 'x'.repeat(5000))),
    ).toEqual([expect.stringMatching(/^environment size: status has 5\d\d\d bytes, the platform takes 4096/)])
  })

  test('has its configuration read as a function will read it', () => {
    const faults = (change: (environment: Record<string, string>) => void) =>
      wrongs(lookAtConfiguration(changed((copy) => change(environmentOf(copy)))))
    expect(faults((environment) => (environment['CALLERS'] = 'open'))).toEqual([
      'configuration: CALLERS must not be open on SCF (TENCENTCLOUD_RUNENV is set)',
      'configuration: CALLERS must not be open unless CLOUD_PAY_BASE_URL is loopback',
    ])
    expect(faults((environment) => (environment['CLOUD_PAY_AUTHEN_KEY'] = 'a-plain-key'))).toEqual([
      'authen key: it is a plain variable: whoever may look at the function reads it',
    ])
    expect(faults((environment) => delete environment['SSM_REGION'])).toEqual([
      expect.stringContaining('SSM_REGION does not say where those are'),
    ])
  })

  test('refers to secrets only with a role that may read them', () => {
    const unrolled = changed((copy) => copy.functions.forEach((one) => (one.configuration.role = undefined)))
    expect(wrongs(lookAtConfiguration(unrolled))).toEqual([
      expect.stringMatching(
        /^role: CLOUD_PAY_AUTHEN_KEY, DATABASE_URL refer to secrets, and the functions have no role/,
      ),
    ])
  })

  test('is warned of virtual goods, which a mini-program has to sell elsewhere, and is not wrong for it', () => {
    const minded = (logistics_type: number) => {
      const app = { app_id: 'wx1234', kind: 'mini_program', id_field: 'sub_open_id', secret: 's'.repeat(32) }
      const found = lookAtConfiguration(
        changed((copy) => {
          const shipping = { logistics_type, item_desc: 'body' }
          environmentOf(copy)['CLOUD_PAY_APPS'] = JSON.stringify([{ ...app, shipping }])
          environmentOf(copy)['SESSION_KEYS'] = JSON.stringify([{ name: 'one', secret: 'k'.repeat(32) }])
        }),
      )
      expect(wrongs(found)).toEqual([])
      return found.filter(({ is, of }) => is === 'mind' && of === 'goods').map(({ said }) => said)
    }
    expect(minded(4)).toEqual([])
    expect(minded(3)).toEqual([expect.stringMatching(/^wx1234 says that it sells virtual goods.*虚拟支付/)])
  })

  test('is warned when refunds would name nobody, until it says who refunds', () => {
    const refunds = (operator?: object) => {
      const found = lookAtConfiguration(
        changed((copy) => {
          if (operator) environmentOf(copy)['CLOUD_PAY_REFUND_OPERATOR'] = JSON.stringify(operator)
        }),
      )
      return found.filter(({ of }) => of === 'refunds').map(({ is, said }) => `${is}: ${said}`)
    }
    expect(refunds()).toEqual([expect.stringMatching(/^mind: \w+ has no refund operator.*104/)])
    expect(refunds({ is_sub_mch_admin: true })).toEqual([])
  })

  test('knows every name the configuration asks for', () => {
    const names = namesOfConfiguration()
    for (const name of [
      'CLOUD_PAY_AUTHEN_KEY',
      'DATABASE_URL',
      'MERCHANT_WEBHOOK_SECRET',
      'GATEWAY_LISTEN_HOST',
    ])
      expect(names).toContain(name)
    for (const name of ['CLOUD_PAY_OTHER_MERCHANTS', 'CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED', 'SSM_ENDPOINT'])
      expect(names).toContain(name)
    expect(names).not.toContain('TENCENTCLOUD_RUNENV')
  })
})

test('the clock is compared with the one of whoever answers', async () => {
  const theirsMs = Date.UTC(2026, 10, 23, 2, 5)
  const server = createServer((_request, response) => {
    response.setHeader('date', new Date(theirsMs).toUTCString()).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  // The header has whole seconds, of which half a one is over on average.
  const at = (offMs: number) => lookAtClock(url, () => theirsMs + 500 + offMs)
  expect(await at(0)).toMatchObject({ is: 'ok', said: expect.stringContaining('0 s ') as string })
  expect(await at(50_000)).toMatchObject({ is: 'ok', said: expect.stringContaining('ahead of') as string })
  expect(await at(-90_000)).toMatchObject({
    is: 'wrong',
    said: expect.stringContaining('90 s behind') as string,
  })
  server.close()
})

describe('the cloud', () => {
  let plane: ControlPlane
  let service: Service
  const keys = { secretId: 'AKIDdeployer', secretKey: 'the-key-of-the-deployer' }
  const env = () =>
    deployer({
      TENCENTCLOUD_SECRET_ID: keys.secretId,
      TENCENTCLOUD_SECRET_KEY: keys.secretKey,
      SCF_ENDPOINT: plane.url,
      // A stage whose secrets are by reference needs a role, and serverless.yml has none yet.
      CLOUD_PAY_AUTHEN_KEY: 'a-key-of-the-shop',
      DATABASE_URL: 'mysql://payer:a-password@db.example.com/orders',
    })
  const look = (more: Record<string, string> = {}) => lookAtCloud(service, { ...env(), ...more }, systemClock)
  const stateOf = (key: string) => plane.find(`cloud-pay-dev-${key}`)!
  let pending: string[] = []

  beforeAll(async () => {
    plane = await startControlPlane({ ...keys, busyPolls: 1 })
    service = await readStage('dev', env())
    plane.onInvoke('cloud-pay-dev-migrate', () => ({ pending, applied: [] }))
  })
  afterAll(() => plane.close())

  test('without credentials is left out, and with a wrong key says what to do', async () => {
    const { TENCENTCLOUD_SECRET_ID: _, ...bare } = env()
    expect(await lookAtCloud(service, bare, systemClock)).toMatchObject([{ is: 'left_out' }])
    const findings = await look({ TENCENTCLOUD_SECRET_KEY: 'another' })
    expect(wrongs(findings)).toEqual([expect.stringMatching(/Check the secret id and key.*SignatureFailure/)])
    expect(JSON.stringify(findings)).not.toContain('another')
  })

  test('has nothing at first; after a deployment all is well, and looking changes nothing', async () => {
    expect(await look()).toMatchObject([
      { is: 'ok' },
      { is: 'left_out', said: 'nothing is deployed in this stage' },
    ])
    const zips = join(dir, 'zips')
    expect(await run('sls', ['package', '--package', zips], env())).toMatchObject({ code: 0 })
    const deployed = await run('sls', ['deploy', '--package', zips], { ...env(), ORDER_MAX_FEN: '500000' })
    expect(deployed).toMatchObject({ code: 0 })
    expect(deployed.lines.map((line) => line.trim())).toContain('ORDER_MAX_FEN: ${env:ORDER_MAX_FEN, null}')
    const since = plane.journal.length
    const findings = await look()
    expect(wrongs(findings)).toEqual([])
    expect(findings.map(({ of }) => of)).toEqual([
      ...[
        'cloud',
        'createOrder',
        'status',
        'notify',
        'closeOrder',
        'refund',
        'session',
        'board',
        'timer',
        'migrate',
      ],
      'migrations there',
    ])
    expect(plane.journal.slice(since).map(({ action }) => action)).not.toContain('UpdateAlias')
    expect(plane.writes(since).filter(({ action }) => action !== 'Invoke')).toEqual([])
  })

  test('is told of what somebody has changed there', async () => {
    pending = ['0003_later']
    stateOf('timer').triggers.splice(0)
    stateOf('status').configuration.Runtime = 'Nodejs16.13'
    plane.functions.delete([...plane.functions.keys()].find((key) => key.endsWith('-refund'))!)
    expect(wrongs(await look())).toEqual([
      'status: it runs on Nodejs16.13, serverless.yml says Nodejs18.15',
      'refund: not deployed',
      'timer: its timer trigger is missing',
      'migrations there: pending: 0003_later',
    ])
  })
})
