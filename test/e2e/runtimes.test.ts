import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { startSandbox, type SandboxServer } from '../../local/sandbox/server'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { migrate } from '../../shared/store/migrate'
import { openStore } from '../../shared/store/open'
import { buildBundles, get, post, runBundle, RUNTIMES } from '../support/bundles'
import { makeCertificates } from '../support/certificates'
import { findMariadb, findPostgres, startMariadb, startPostgres, type Server } from '../support/servers'
import { freshNumber, orderBody, testEnv } from '../support/world'

/**
 * The whole happy path of every bundle, as deployed: HTTPS to Cloud Pay, TLS off to a real database, on the runtime
 * SCF documents, on this one and on a current one.
 */
const databases = [
  { dialect: 'mysql' as const, found: findMariadb(), start: startMariadb },
  { dialect: 'postgres' as const, found: findPostgres(), start: startPostgres },
]

let far: SandboxServer
let ca: string
beforeAll(async () => {
  const { caFile, certFile, keyFile } = makeCertificates(mkdtempSync(join(tmpdir(), 'certificates-')))
  ca = caFile
  far = await startSandbox({
    tls: { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') },
  })
})
afterAll(() => far.close())

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
    database = await server.freshDatabase()
    const store = openStore({ dialect, url: new Secret(database) }, systemClock)
    await migrate(store)
    await store.close()
    bundles = await buildBundles(`runtimes-${dialect}`, [dialect])
  }, 60_000)
  afterAll(() => server.stop())

  describe.each(RUNTIMES)('$name', ({ path }) => {
    if (path === undefined) {
      if (process.env['REQUIRE_RUNTIMES'] === '1') test('is installed', () => expect(path).toBeDefined())
      else test.skip('did not run: npm ci --prefix test/runtimes', () => undefined)
      return
    }
    test('an order is signed, forwarded, paid and read back', async () => {
      const env = {
        ...testEnv,
        CLOUD_PAY_BASE_URL: far.baseUrl,
        CLOUD_PAY_CA_FILE: ca,
        DATABASE_URL: database,
      }
      const number = freshNumber()
      const order = post(orderBody({ out_trade_no: number }))
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

      // One HTTP client and no other, after a warm createOrder; and nothing secret on the way.
      const loaded = [...created.modules, ...read.modules].join(' ')
      expect(loaded).toContain('NativeModule https')
      expect(loaded).not.toMatch(/undici/)
      expect(created.log + read.log).not.toMatch(/oTestPayer0001|sandbox0authen0key|tester:/)
    }, 60_000)
  })
})
