import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../deploy/bundle'
import { SANDBOX_APPS } from '../../local/sandbox/logins'
import { peopleEnv, SANDBOX_KEYS } from '../../local/sandbox/people'
import { startSandbox, type SandboxServer } from '../../local/sandbox/server'
import { SANDBOX_SECRET } from '../../shared/base/people'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { migrate } from '../../shared/store/migrate'
import { openStore } from '../../shared/store/open'
import { buildBundles, get, post, runBundle, RUNTIMES, timerEvent } from '../support/bundles'
import { makeCertificates, type Certificates } from '../support/certificates'
import { startScriptedMysql } from '../support/scriptedMysql'
import { findMariadb, findPostgres, startMariadb, startPostgres, type Server } from '../support/servers'
import { freshSecret, signHeaders } from '../support/town'
import { freshNumber, orderBody, testEnv } from '../support/world'
import { MIGRATIONS } from '../support/migrationNames'

/**
 * The whole happy path of every bundle, as deployed and with its trimmed driver: HTTPS to Cloud Pay, TLS to a real
 * database, text of four bytes a character, on the runtime SCF documents, on this one and on a current one.
 */
const databases = [
  { dialect: 'mysql' as const, found: findMariadb(), start: startMariadb },
  { dialect: 'postgres' as const, found: findPostgres(), start: startPostgres },
]

let far: SandboxServer
/** WeChat's stand-in: over plain HTTP, because the functions trust no certificate of ours for it. */
let plain: SandboxServer
let certificates: Certificates
beforeAll(async () => {
  certificates = makeCertificates(mkdtempSync(join(tmpdir(), 'certificates-')))
  const { certFile, keyFile } = certificates
  far = await startSandbox({
    tls: { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') },
  })
  plain = await startSandbox()
})
afterAll(async () => {
  await far.close()
  await plain.close()
})

describe.each(databases)('$dialect', ({ dialect, found, start }) => {
  if (!found) {
    if (process.env['REQUIRE_SERVERS'] === '1') test('is installed', () => expect(found).toBeDefined())
    else test.skip(`did not run: no ${dialect} server is installed`, () => undefined)
    return
  }
  let server: Server
  let database: string
  let bundles: string
  beforeAll(async () => {
    server = await start()
    const url = new URL(await server.freshDatabase())
    url.hostname = 'localhost'
    url.search = new URL(server.tlsUrl).search
    database = url.href
    const store = openStore({ dialect, url: new Secret(database) }, systemClock)
    await migrate(store)
    await store.close()
    bundles = await buildBundles(`runtimes-${dialect}`, [dialect])
  })
  afterAll(() => server.stop())

  describe.each(RUNTIMES)('$name', ({ path }) => {
    if (path === undefined) {
      if (process.env['REQUIRE_RUNTIMES'] === '1') test('is installed', () => expect(path).toBeDefined())
      else test.skip('did not run: npm ci --prefix test/runtimes', () => undefined)
      return
    }
    const environment = () => ({
      ...testEnv,
      CLOUD_PAY_BASE_URL: far.baseUrl,
      CLOUD_PAY_CA_FILE: certificates.caFile,
      DATABASE_URL: database,
    })

    test('an order is signed, forwarded, paid and read back', async () => {
      const env = environment()
      const number = freshNumber()
      const order = post(orderBody({ out_trade_no: number, body: '湖心奶茶🧋大杯' }))
      const created = await runBundle({
        node: path,
        file: join(bundles, 'createOrder.js'),
        env,
        events: [order, order],
      })
      expect(created.visits.map((visit) => [visit.statusCode, visit.body.state])).toEqual([
        [201, 'pending'],
        [200, 'pending'],
      ])
      expect(created.visits[0]!.body.payment.paySign).toMatch(/^[0-9A-F]{32}$/)

      far.sandbox.pay(number)
      const events = [get(`/orders/${number}`), get(`/orders/${number}`, { refresh: '1' })]
      const read = await runBundle({ node: path, file: join(bundles, 'status.js'), env, events })
      expect(read.visits.map((visit) => visit.body.state)).toEqual(['pending', 'paid'])

      const asked = far.sandbox.received.filter((one) => one.request_content?.includes(number))
      expect(asked.map((one) => one.interface)).toEqual(['official_account_pay', 'query_order'])
      const stored = openStore({ dialect, url: new Secret(database) }, systemClock)
      const rows = await stored.db.selectFrom('orders').select('request_content').execute()
      await stored.close()
      expect(rows.map((row) => row.request_content)).toContain(asked[0]!.request_content)
      expect(asked[0]!.request_content).toContain('湖心奶茶🧋大杯')

      // One HTTP client and no other, after a warm createOrder; and nothing secret on the way.
      const loaded = [...created.modules, ...read.modules].join(' ')
      expect(loaded).toContain('NativeModule https')
      expect(loaded).not.toMatch(/undici/)
      expect(created.log + read.log).not.toMatch(/oTestPayer0001|sandbox0authen0key|tester:/)
    })

    test('a payer logs in, orders with a quote and reads it back; the shop signs and refunds', async () => {
      const env = {
        ...environment(),
        ...peopleEnv(plain.origin, plain.logins),
        CALLERS: '',
      }
      const visit = async (name: string, ...events: unknown[]) =>
        runBundle({ node: path, file: join(bundles, `${name}.js`), env, events })
      const app_id = SANDBOX_APPS.mini_program
      const payer_id = `oRuntimes${randomBytes(8).toString('hex')}`
      const secret = freshSecret()
      const login = post({ app_id, code: plain.logins.codeFor(app_id, payer_id), secret }, {}, '/session')
      const session = await visit('session', login)
      expect(session.visits[0]!.statusCode).toBe(201)
      const { token } = session.visits[0]!.body as { token: string }
      const own = { authorization: `Bearer ${token}`, 'x-session-secret': secret }

      const example = ['examples/merchant-server/sandbox.mjs', 'quote', payer_id, '1880', '湖心奶茶🧋大杯']
      const quote = execFileSync(process.execPath, example, { cwd: ROOT }).toString().trim()
      const created = await visit('createOrder', post({ quote }, own), post({ quote }, own), post({ quote }))
      expect(created.visits.map((each) => each.statusCode)).toEqual([201, 200, 401])
      const { out_trade_no: number, trade_type, total_fee } = created.visits[0]!.body
      expect([trade_type, total_fee]).toEqual([9, 1880])

      far.sandbox.pay(number as string)
      const read = await visit('status', { ...get(`/orders/${number}`, { refresh: '1' }), headers: own })
      expect(read.visits[0]!.body.state).toBe('paid')

      const url = `/orders/${number}/refunds`
      const body = { refund_fee: 500, out_refund_no: freshNumber() }
      const at = { timestamp: String(Math.floor(Date.now() / 1000)), nonce: randomBytes(16).toString('hex') }
      const request = { method: 'POST', path: url, body: JSON.stringify(body) }
      const signed = post(body, signHeaders(SANDBOX_KEYS.server, request, at), url)
      const refund = await visit('refund', signed, signed, post(body, own, url))
      expect(refund.visits.map((each) => [each.statusCode, each.body.code])).toEqual([
        [202, undefined],
        [401, 'request_replayed'],
        [403, 'caller_not_allowed'],
      ])
      const all = [session, created, read, refund]
      expect(all.flatMap(({ modules }) => modules).join(' ')).not.toMatch(/undici/)
      // Neither in the log nor in what is returned: the platform writes both down.
      const seen = all.map(({ log, visits }) => log + JSON.stringify(visits)).join('')
      for (const hidden of [payer_id, secret, SANDBOX_SECRET, ...plain.logins.handedOver])
        expect(seen).not.toContain(hidden)
    })
    test('the function for migrations makes the tables, and counts what is open', async () => {
      const url = new URL(database)
      url.pathname = new URL(await server.freshDatabase()).pathname
      const { visits, log } = await runBundle({
        node: path,
        file: join(bundles, 'migrate.js'),
        env: { DATABASE_URL: url.href, TENCENTCLOUD_RUNENV: 'SCF' },
        events: ['status', 'count', 'apply', 'status', 'count'].map((what) => ({ do: what })),
      })
      const names = MIGRATIONS
      const none = { open: { orders: 0, refunds: 0, messages: 0 } }
      expect(visits.map(({ body }) => body as unknown)).toEqual([
        { applied: [], pending: names },
        none,
        { applied: names },
        { applied: names, pending: [] },
        none,
      ])
      expect(log).not.toContain(url.password)
    })

    test('orders are notified, looked after by the timer, refunded and closed', async () => {
      const env = environment()
      const logs: string[] = []
      const visit = async (name: string, ...events: unknown[]) => {
        const { visits, log } = await runBundle({
          node: path,
          file: join(bundles, `${name}.js`),
          env,
          events,
        })
        logs.push(log)
        return visits
      }
      const stored = openStore({ dialect, url: new Secret(database) }, systemClock)
      /** What the timer would do later it does at its next run. */
      const later = async () => {
        for (const table of ['orders', 'refunds'] as const) {
          const due = stored.db.updateTable(table).set({ next_due_at_ms: 0 })
          await due.where('next_due_at_ms', 'is not', null).execute()
        }
        const [run] = await visit('timer', timerEvent)
        return run!.body as Record<string, number>
      }
      const read = async (number: string) => (await visit('status', get(`/orders/${number}`)))[0]!.body

      const place = async (...numbers: string[]) => {
        const orders = numbers.map((out_trade_no) => post(orderBody({ out_trade_no })))
        const answers = await visit('createOrder', ...orders)
        expect(answers.map((each) => each.statusCode)).toEqual(numbers.map(() => 201))
      }

      const [looked, closed] = [freshNumber(), freshNumber()]
      await place(looked, closed)
      far.sandbox.pay(looked)

      /** Whether all of it was done within the three seconds that Cloud Pay waits. */
      const tell = async (number: string) => {
        await place(number)
        far.sandbox.pay(number)
        const body = far.sandbox.notification(number).toString('utf8')
        const notification = { ...post({}, {}, '/notify'), body }
        const told = await visit('notify', notification, notification, { ...notification, body: '{}' })
        const ends = told.map((each) => `${each.statusCode} ${each.body.response_content.status}`)
        const [first, again, forged] = ends
        // On a busy machine it may be asked to come again, or be told that all is well and left to the timer.
        for (const end of [first, again]) expect(['200 0', '503 1']).toContain(end)
        expect(['401 1', '503 1']).toContain(forged)
        const { state } = await read(number)
        expect(['paid', 'pending']).toContain(state)
        return state === 'paid' && ends.join() === '200 0,200 0,401 1'
      }
      const notified: string[] = []
      let inTime = false
      while (!inTime && notified.length < 10) {
        notified.push(freshNumber())
        inTime = await tell(notified.at(-1)!)
      }
      expect(inTime).toBe(true)

      expect(await read(looked)).toMatchObject({ state: 'pending' })
      expect(await later()).toMatchObject({ failed: 0 })
      for (const number of [...notified, looked]) expect(await read(number)).toMatchObject({ state: 'paid' })

      const refund = post({ refund_fee: 500, out_refund_no: freshNumber() }, {}, `/orders/${looked}/refunds`)
      const [accepted] = await visit('refund', refund)
      expect([accepted!.statusCode, accepted!.body.state]).toEqual([202, 'accepted'])
      expect(await later()).toMatchObject({ refunds: 1, failed: 0 })
      const after = await read(looked)
      expect(after).toMatchObject({ refunded_fee: 500, refunding_fee: 0, refunds: [{ state: 'succeeded' }] })
      const [again] = await visit('refund', refund)
      expect([again!.statusCode, again!.body.state]).toEqual([200, 'succeeded'])

      const close = post({}, {}, `/orders/${closed}/close`)
      const [closing] = await visit('closeOrder', close)
      expect([200, 202]).toContain(closing!.statusCode)
      far.sandbox.pay(closed, { late: true })
      for (let runs = 0; runs < 10 && (await read(closed)).state !== 'refunded'; runs++) await later()
      expect(await read(closed)).toMatchObject({ state: 'refunded', refunds: [{ origin: 'automatic' }] })

      // The merchant's messages wait, as there is no webhook; and the run left its mark.
      const messages = await stored.db.selectFrom('outbox').select('type').execute()
      expect(new Set(messages.map((each) => each.type))).toEqual(
        new Set(['order.paid', 'order.closed', 'order.paid_after_close', 'refund.succeeded']),
      )
      expect(await stored.db.selectFrom('marks').select('name').execute()).toContainEqual({ name: 'timer' })
      await stored.close()
      expect(logs.join('')).not.toMatch(/oTestPayer0001|sandbox0authen0key|tester:/)
    })
  })
})

/**
 * No MySQL 8 is at hand, but its login is: a scripted server checks what the trimmed driver answers. Behind the login
 * it knows no tables, so the visit itself ends there.
 */
describe.each(RUNTIMES)('MySQL 8 login from the bundle, $name', ({ path }) => {
  if (path === undefined) {
    if (process.env['REQUIRE_RUNTIMES'] === '1') test('is installed', () => expect(path).toBeDefined())
    else test.skip('did not run: npm ci --prefix test/runtimes', () => undefined)
    return
  }
  const account = { user: 'payer', password: 'correct horse battery staple 密码' }

  test.each([
    ['fast', '', 'server confirms fast authentication'],
    ['full-over-tls', '?tls=verify&ca=', 'client sends the password inside TLS'],
    ['public-key', '', 'client sends the encrypted password'],
    ['auth-switch', '', 'server confirms fast authentication'],
  ] as const)('%s', async (mode, query, step) => {
    const bundles = await buildBundles('login', ['mysql'])
    const tls = { cert: readFileSync(certificates.certFile), key: readFileSync(certificates.keyFile) }
    const server = await startScriptedMysql({ mode, ...account, ...(query === '' ? {} : { tls }) })
    try {
      for (const [password, last] of [
        [account.password, 'accepted'],
        ['wrong', 'refused 1045'],
      ] as const) {
        const login = `payer:${encodeURIComponent(password)}@localhost:${server.port}`
        const DATABASE_URL = `mysql://${login}/orders${query && query + encodeURIComponent(certificates.caFile)}`
        const env = { ...testEnv, DATABASE_URL }
        await runBundle({ node: path, file: join(bundles, 'status.js'), env, events: [get('/orders/sb01x')] })
        expect(server.steps.slice(-2)).toEqual([last === 'accepted' ? step : expect.anything(), last])
      }
    } finally {
      await server.close()
    }
  })
})
