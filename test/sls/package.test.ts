import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startSandbox, type SandboxServer } from '../../local/sandbox/server'
import { readZip } from '../support/controlPlane/zip'
import { makeClone, type Clone } from '../support/sls'

/** `sls package` and `sls invoke local`, from a clone and without a cloud. */
const FUNCTIONS = [
  'board',
  'closeOrder',
  'createOrder',
  'migrate',
  'notify',
  'refund',
  'session',
  'status',
  'timer',
]

let clone: Clone
beforeAll(() => {
  clone = makeClone()
})
afterAll(() => clone.remove())

const hashes = (from: Clone, dir: string) =>
  Object.fromEntries(
    readdirSync(join(from.dir, dir))
      .filter((file) => file.endsWith('.zip'))
      .map((file) => [
        file,
        createHash('sha256')
          .update(from.read(join(dir, file)))
          .digest('hex'),
      ]),
  )

describe('sls package', () => {
  test('gives the same bytes twice, in another folder, time zone and locale', async () => {
    const other = makeClone()
    const [once, twice] = [
      await clone.sls(['package'], { TZ: 'Asia/Shanghai', LANG: 'zh_CN.UTF-8' }),
      await other.sls(['package', '--package', 'out', '--stage', 'prod'], { TZ: 'America/Los_Angeles' }),
    ]
    expect([once.code, twice.code, once.stderr]).toEqual([0, 0, expect.not.stringMatching(/error/i)])
    expect(Object.keys(hashes(clone, '.serverless')).sort()).toEqual(FUNCTIONS.map((name) => `${name}.zip`))
    expect(hashes(other, 'out')).toEqual(hashes(clone, '.serverless'))
    other.remove()
  })

  test('a zip holds one file in its root, named as the handler says, and nothing of this machine', () => {
    for (const name of FUNCTIONS) {
      const zip = clone.read(`.serverless/${name}.zip`)
      const entries = readZip(zip)
      expect(entries.map((entry) => [entry.name, entry.mode & 0o777])).toEqual([[`${name}.js`, 0o644]])
      expect(entries[0]!.bytes.includes(clone.dir)).toBe(false)
    }
  })

  test('with sourceMaps the stack of an error names the line of the source', async () => {
    const mapped = makeClone()
    mapped.edit('serverless.yml', (yml) =>
      yml.replace('  timeout: 10\n', '  timeout: 10\n  sourceMaps: true\n'),
    )
    mapped.edit('shared/http/command.ts', (code) =>
      code.replace('const names =', "throw new Error('found')\nconst names ="),
    )
    const line =
      mapped
        .read('shared/http/command.ts')
        .toString()
        .split('\n')
        .findIndex((one) => one.includes('found')) + 1
    expect((await mapped.sls(['package'])).code).toBe(0)
    const dir = join(mapped.dir, 'unzipped')
    mkdirSync(dir)
    for (const { name, bytes } of readZip(mapped.read('.serverless/migrate.zip')))
      writeFileSync(join(dir, name), bytes)
    const program =
      "require('./migrate.js').main_handler({ do: 'status' }).catch((fault) => console.log(fault.stack))"
    const stack = execFileSync(process.execPath, ['-e', program], { cwd: dir, env: {}, encoding: 'utf8' })
    mapped.remove()
    expect(stack).toContain(`shared/http/command.ts:${line}:`)
  })

  test.each([
    ['provider.memorySise', ['  memorySize: 256', '  memorySise: 256'], 'memorySize'],
    [
      'functions.status.reservedConcurency',
      ['reservedConcurrency: 40', 'reservedConcurency: 40'],
      'reservedConcurrency',
    ],
    ['functions.notify.events.0.http.paht', ['path: /notify', 'paht: /notify'], 'path'],
    ['functions.timer.events.0.timer.crn', ["cron: '*/20", "crn: '*/20"], 'cron'],
  ] as const)('a key that is not known is refused: %s', async (path, [right, wrong], meant) => {
    clone.edit('serverless.yml', (yml) => {
      const at = path.startsWith('functions.status') ? yml.indexOf('  status:') : 0
      return yml.slice(0, at) + yml.slice(at).replace(right, wrong)
    })
    const { code, all } = await clone.sls(['package'])
    clone.restore('serverless.yml')
    expect(code).toBe(1)
    expect(all).toContain(path)
    expect(all).toContain(`did you mean ${meant}`)
  })

  test('a stage without a file names its file, and those there are', async () => {
    const { code, all } = await clone.sls(['package', '--stage', 'nowhere'])
    expect([code, all]).toEqual([
      1,
      expect.stringContaining('there is no deploy/stages/nowhere.yml; there are: dev, local, prod'),
    ])
    expect(all).not.toMatch(/^ +at /m)
  })

  test('a setting that does nothing is refused', async () => {
    clone.edit('serverless.yml', (yml) => `${yml}\npackage:\n  patterns: ['ca.pem']\n`)
    const { code, all } = await clone.sls(['package'])
    clone.restore('serverless.yml')
    expect([code, all]).toEqual([
      1,
      expect.stringContaining('package.patterns in serverless.yml does nothing'),
    ])
  })

  test('print shows what is resolved and no secret', async () => {
    const env = {
      CLOUD_PAY_AUTHEN_KEY: 'the-authen-key',
      DATABASE_URL: 'mysql://u:the-password@h/d',
      CLOUD_PAY_APPS: '[{"app_id":"wx1","secret":"the-app-secret"}]',
      MERCHANT_WEBHOOK_URL: 'https://shop.example.com/hook?token=the-token',
      CALLERS: 'own',
    }
    const { code, all } = await clone.sls(['print'], env)
    expect([code, all]).toEqual([0, expect.stringContaining('CALLERS: own')])
    expect(all).not.toMatch(/the-authen-key|the-password|the-app-secret|the-token/)
  })
})

describe('sls invoke local', () => {
  let far: SandboxServer
  beforeAll(async () => {
    far = await startSandbox()
  })
  afterAll(() => far.close())

  const invokeWith = (shell: Record<string, string>, name: string, ...more: string[]) =>
    clone.sls(['invoke', 'local', '-f', name, ...more], shell)
  const invoke = (name: string, ...more: string[]) =>
    invokeWith({}, name, '--env', `CLOUD_PAY_BASE_URL=${far.baseUrl}`, ...more)
  const order = (number: string) => ({
    httpMethod: 'POST',
    path: '/orders',
    headers: { 'content-type': 'application/json' },
    queryString: {},
    body: JSON.stringify({
      pay_content: { out_trade_no: number, total_fee: 1880, body: '奶茶' },
      pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } },
    }),
  })

  test('creates an order from a file and reads it back, on the sandbox and the embedded database', async () => {
    writeFileSync(join(clone.dir, 'event.json'), JSON.stringify(order('sb01e2elocal1')))
    const created = await invoke('createOrder', '--path', 'event.json')
    expect([created.code, JSON.parse(created.stdout)]).toEqual([
      0,
      expect.objectContaining({ statusCode: 201 }),
    ])
    far.sandbox.pay('sb01e2elocal1')
    const event = {
      httpMethod: 'GET',
      path: '/orders/sb01e2elocal1',
      headers: {},
      queryString: { refresh: '1' },
      body: '',
    }
    const read = await invoke('status', '--data', JSON.stringify(event))
    const answer = JSON.parse(read.stdout) as { statusCode: number; body: string }
    expect([read.code, answer.statusCode, JSON.parse(answer.body)]).toEqual([
      0,
      200,
      expect.objectContaining({ state: 'paid' }),
    ])
  })

  test('nothing that is exported reaches it, but for what is asked for by name', async () => {
    const elsewhere = join(clone.dir, 'production.db')
    // The gateway's port, behind which the sandbox is.
    const PORT = String(Number(new URL(far.baseUrl).port) - 1)
    const shell = {
      PORT,
      DATABASE_URL: `sqlite:${elsewhere}`,
      CLOUD_PAY_BASE_URL: 'https://pay.qcloud.com/cpay/',
      CLOUD_PAY_AUTHEN_KEY: 'the-key-of-the-shop',
      CALLERS: 'own',
    }
    const created = await invokeWith(shell, 'createOrder', '--data', JSON.stringify(order('sb01e2elocal2')))
    expect(JSON.parse(created.stdout)).toMatchObject({ statusCode: 201 })
    expect(existsSync(elsewhere)).toBe(false)

    const status = (given: string) =>
      invokeWith(shell, 'migrate', '--data', '{"do":"status"}', '--env', given)
    expect(await status(`DATABASE_URL=${shell.DATABASE_URL}`)).toMatchObject({ code: 0 })
    expect(existsSync(elsewhere)).toBe(true)
    expect(await status('DATABASE_URL')).toMatchObject({
      code: 1,
      all: expect.stringContaining('--env takes NAME=value'),
    })
  })

  test('without an event it says how to give one', async () => {
    expect(await invoke('status')).toMatchObject({
      code: 1,
      all: expect.stringMatching(/no event: use --path/),
    })
  })

  test('the exit code follows the handler: 0 though it wrote to stderr, 1 when it throws', async () => {
    clone.edit('functions/migrate.ts', (code) => `console.error('only a warning')\n${code}`)
    const [fine, thrown] = [
      await invoke('migrate', '--data', '{"do":"status"}'),
      await invoke('migrate', '--data', '{"do":"nothing"}'),
    ]
    clone.restore('functions')
    expect([fine.code, fine.stderr]).toEqual([0, expect.stringContaining('only a warning')])
    expect(JSON.parse(fine.stdout)).toEqual({ applied: expect.any(Array), pending: expect.any(Array) })
    expect([thrown.code, thrown.all]).toEqual([
      1,
      expect.stringContaining('with one of status, apply, count'),
    ])
  })

  test('gives the context SCF gives, deadline included', async () => {
    clone.edit('functions/timer.ts', () =>
      [
        'export const main_handler = async (event: unknown, context: { getRemainingTimeInMillis(): number }) =>',
        '  ({ event, left: context.getRemainingTimeInMillis(), ...context })',
      ].join('\n'),
    )
    const { stdout } = await invoke('timer', '--data', '{"Type":"Timer"}')
    clone.restore('functions')
    const answer = JSON.parse(stdout) as Record<string, unknown>
    expect(answer).toMatchObject({
      event: { Type: 'Timer' },
      function_name: 'timer',
      memory_limit_in_mb: 256,
      time_limit_in_ms: 10_000,
      function_version: '$LATEST',
      tencentcloud_region: 'ap-guangzhou',
    })
    expect(answer['left']).toBeGreaterThan(0)
    expect(answer['left']).toBeLessThanOrEqual(10_000)
  })
})
