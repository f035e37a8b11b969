import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../deploy/bundle'
import { startGateway, type EventShape } from '../../local/gateway'
import { TIME_LIMIT_MS } from '../../local/machine'
import { sandboxEnv } from '../../local/sandbox/env'
import { startSandbox, type SandboxServer } from '../../local/sandbox/server'
import { buildBundles } from '../support/bundles'
import { fileStore, freshNumber, orderBody } from '../support/world'

const tsx = join(ROOT, 'node_modules', '.bin', 'tsx')
const run = promisify(execFile)

/** Of two in a row that nobody has, the first: the sandbox takes the one behind it. */
async function freePort(): Promise<number> {
  const listen = async (port: number) => {
    const server = createServer()
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
  for (;;) {
    const first = await listen(0)
    const { port } = first.address() as AddressInfo
    const second = await listen(port + 1).catch(() => undefined)
    for (const server of [first, second]) server?.close()
    if (second) return port
  }
}

describe('over HTTP, through the gateway, to the built functions and the sandbox', () => {
  let far: SandboxServer
  let bundles: string
  beforeAll(async () => {
    // The functions log to stdout; the machine's own words are enough here.
    jest.spyOn(process.stdout, 'write').mockReturnValue(true)
    far = await startSandbox()
    bundles = await buildBundles('machine', ['sqlite'])
    const { store, path } = await fileStore()
    await store.close()
    Object.assign(process.env, sandboxEnv(far.baseUrl, `sqlite:${path}`, '127.0.0.1'))
  })
  afterAll(() => {
    jest.restoreAllMocks()
    return far.close()
  })

  test.each(['function-url', 'api-gateway', 'superset'] as EventShape[])(
    'an order as a %s event',
    async (eventShape) => {
      const options = {
        root: ROOT,
        bundles,
        host: '127.0.0.1',
        port: 0,
        timeLimitMs: TIME_LIMIT_MS,
        eventShape,
      }
      const gateway = await startGateway(options)
      try {
        const number = freshNumber()
        const create = () =>
          fetch(`${gateway.origin}/orders`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', 'Idempotency-Key': number },
            body: JSON.stringify(orderBody({ out_trade_no: number })),
          })
        const created = await create()
        expect(created.status).toBe(201)
        expect(created.headers.get('content-type')).toBe('application/json; charset=utf-8')
        const { payment } = (await created.json()) as { payment: Record<string, string> }
        const again = await create()
        expect([again.status, ((await again.json()) as { payment: unknown }).payment]).toEqual([200, payment])

        // What a wallet does with it: MD5 over the names in ASCII order, then WeChat's key.
        const { paySign, ...signed } = payment
        const text = Object.entries(signed)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => `${name}=${value}`)
          .join('&')
        const key = 'sandboxsandboxsandboxsandbox0001'
        expect(paySign).toBe(createHash('md5').update(`${text}&key=${key}`).digest('hex').toUpperCase())

        await fetch(`${far.origin}/_sandbox/pay`, {
          method: 'POST',
          body: JSON.stringify({ out_trade_no: number }),
        })
        const status = await fetch(`${gateway.origin}/orders/${number}?refresh=1`)
        expect(await status.json()).toMatchObject({ state: 'paid', refreshed: true })
        // With the slash that somebody typed into the console it is the same door, and it says no to strangers.
        const typed = await fetch(`${gateway.origin}/notify/`, { method: 'POST', body: '{}' })
        expect(typed.status).toBe(401)
        // A page that is open in a browser of this machine is not one of ours.
        const foreign = await fetch(`${gateway.origin}/orders/${number}`, {
          headers: { origin: 'https://shop.example.com' },
        })
        expect(foreign.status).toBe(403)
      } finally {
        await gateway.close()
      }
    },
  )

  test('what no function serves is 404, what is no JSON 400, what is too large 413', async () => {
    const gateway = await startGateway({ root: ROOT, bundles, host: '127.0.0.1', port: 0, timeLimitMs: 1000 })
    const statusOf = async (path: string, init?: RequestInit) =>
      (await fetch(gateway.origin + path, init)).status
    try {
      expect(await statusOf('/nothing')).toBe(404)
      expect(await statusOf('//')).toBe(404)
      expect(await statusOf('/orders')).toBe(404)
      expect(await statusOf('/orders', { method: 'POST', body: 'not json' })).toBe(400)
      expect(await statusOf('/orders', { method: 'POST', body: Buffer.from([0xff, 0xfe, 0x00]) })).toBe(400)
      expect(await statusOf('/orders', { method: 'POST', body: 'x'.repeat(65 * 1024) })).toBe(413)
    } finally {
      await gateway.close()
    }
  })
})

test('npm run demo tells one whole order and exits 0', async () => {
  const { stdout } = await run(tsx, ['local/demo.ts'], { cwd: ROOT })
  expect(stdout).toContain('Everything above held.')
  // Masked: neither the key nor a whole code or signature is printed.
  expect(stdout).not.toMatch(/sandbox0authen0key|"(pay_sign|paySign)":"\w{7}|authen_code\\?":\\?"\w{7}/)
})

test('npm start prints lines for a shell: login, quote, order, payment, status, refund; they work', async () => {
  const port = await freePort()
  const DATABASE_URL = `sqlite:${join(mkdtempSync(join(tmpdir(), 'start-')), 'orders.db')}`
  const env = { ...process.env, PORT: String(port), DATABASE_URL }
  const machine = spawn(tsx, ['local/start.ts'], { cwd: ROOT, env })
  try {
    let printed = ''
    await new Promise<void>((resolve, reject) => {
      machine.stdout.on('data', (chunk: Buffer) => {
        printed += chunk.toString()
        if (printed.includes('Ctrl-C')) resolve()
      })
      machine.on('exit', () => reject(new Error(`ended: ${printed}`)))
    })
    const script = printed.slice(printed.indexOf('# 1.'), printed.indexOf('One JSON line'))
    // A payment is notified, and who looks after that just then is not asked twice: a person reads it once more, too.
    const unhurried = script.replace(
      /^(# 5\..*\n)(curl .*); echo$/m,
      (_, heading: string, read: string) =>
        `${heading}until READ=$(${read}); echo "$READ" | grep -q '"state":"paid"'; do sleep 1; done; echo "$READ"`,
    )
    expect(unhurried).not.toBe(script)
    const { stdout } = await run('sh', ['-c', unhurried], { cwd: ROOT, timeout: 100_000 })
    const [order, payment, status, refund] = stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(order).toMatchObject({ state: 'pending', total_fee: 1880, trade_type: 9 })
    expect(payment).toMatchObject({ state: 'paid' })
    expect(status).toMatchObject({ state: 'paid', out_trade_no: order!['out_trade_no'] })
    expect(refund).toMatchObject({ refund_fee: 500, order: { total_fee: 1880 } })
  } finally {
    machine.kill()
  }
})

test('a port that is taken is said in one sentence', async () => {
  const taken = await startSandbox()
  const port = Number(new URL(taken.origin).port)
  try {
    const failed = run(tsx, ['local/start.ts'], { cwd: ROOT, env: { ...process.env, PORT: String(port) } })
    await expect(failed).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`Port ${port}`) as string,
    })
  } finally {
    await taken.close()
  }
})

test('npm run migrate brings a database up to date, twice without harm, and shows no password when it fails', async () => {
  const migrate = (DATABASE_URL: string) =>
    run(tsx, ['cli/migrate.ts'], { cwd: ROOT, env: { ...process.env, DATABASE_URL } })
  const file = `sqlite:${join(mkdtempSync(join(tmpdir(), 'migrate-')), 'orders.db')}`
  expect((await migrate(file)).stdout).toContain('applied 0001_orders')
  expect((await migrate(file)).stdout).toContain('up to date')
  await expect(migrate('mysql://user:hunter22@127.0.0.1:1/orders')).rejects.toMatchObject({
    code: 1,
    stderr: expect.not.stringContaining('hunter22') as string,
  })
})

test('no deployed bundle carries SQLite, and each only the driver it was built for', async () => {
  const text = async (drivers: ('mysql' | 'postgres')[]) =>
    readFileSync(join(await buildBundles(`drivers-${drivers.join('-')}`, drivers), 'createOrder.js'), 'utf8')
  const [mysql, postgres, both] = [
    await text(['mysql']),
    await text(['postgres']),
    await text(['mysql', 'postgres']),
  ]
  const carries = (bundle: string) => [
    /mysql_native_password/.test(bundle),
    /SCRAM-SHA-256/.test(bundle),
    /libsql/.test(bundle),
  ]
  expect([mysql, postgres, both].map(carries)).toEqual([
    [true, false, false],
    [false, true, false],
    [true, true, false],
  ])
})
