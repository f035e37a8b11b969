import { join } from 'node:path'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { buildBundles, post, runBundle } from '../support/bundles'
import { orderBody, testEnv } from '../support/world'

/**
 * The open door, on the bundles as they are deployed, in every combination of its three locks. It may open only on
 * one machine: no SCF marker, gateway on loopback, Cloud Pay on loopback. Everything else must stop before a row is
 * written or a byte is sent.
 */
const MARKER = [undefined, 'SCF']
const LISTEN = [undefined, '127.0.0.1', '::1', '0.0.0.0', '10.0.0.5']
const BASE = ['http://127.0.0.1:1/cpay/', 'https://localhost:1/cpay/', 'https://pay.qcloud.com/cpay/']

const combinations = MARKER.flatMap((marker) =>
  LISTEN.flatMap((listen) => BASE.map((base) => ({ marker, listen, base }))),
)

let bundles: string
beforeAll(async () => {
  bundles = await buildBundles('open-door', ['mysql', 'postgres'])
})

// Nothing listens on port 1: with the door open, the first thing to fail is the database.
const base = {
  ...testEnv,
  DATABASE_URL: 'mysql://nobody:nothing@127.0.0.1:1/orders',
  CLOUD_PAY_AUTHEN_KEY: 'not0the0sandbox0key0but0another0',
}

const visit = async (file: string, env: Record<string, string | undefined>) => {
  const given = Object.fromEntries(
    Object.entries({ ...base, ...env }).filter(([, value]) => value !== undefined),
  )
  const run = await runBundle({
    file: join(bundles, file),
    env: given,
    events: [
      file === 'status.js' ? { ...post({}), httpMethod: 'GET', path: '/orders/sb01x' } : post(orderBody()),
    ],
  })
  return { code: run.visits[0]!.body.code as string, status: run.visits[0]!.statusCode, log: run.log }
}

test.each(combinations)(
  'marker $marker, gateway on $listen, Cloud Pay at $base',
  async ({ marker, listen, base }) => {
    const mayOpen =
      marker === undefined &&
      (listen === undefined || /^(127|::1)/.test(listen)) &&
      /127|localhost/.test(base)
    for (const file of ['createOrder.js', 'status.js']) {
      const { code, status } = await visit(file, {
        TENCENTCLOUD_RUNENV: marker,
        GATEWAY_LISTEN_HOST: listen,
        CLOUD_PAY_BASE_URL: base,
      })
      expect({ file, code, status }).toEqual({
        file,
        code: mayOpen ? 'database_unavailable' : 'configuration',
        status: 503,
      })
    }
  },
)

test('without CALLERS nobody may call', async () => {
  const { code, log } = await visit('createOrder.js', { CALLERS: undefined, DATA_KEYS: undefined })
  expect(code).toBe('configuration')
  expect(log).toContain('CALLERS is missing')
})

test.each(['https://pay.qcloud.com/cpay/', 'https://sz.pay.qcloud.com/cpay/'])(
  'the key the sandbox publishes is refused with %s',
  async (CLOUD_PAY_BASE_URL) => {
    const CLOUD_PAY_AUTHEN_KEY = SANDBOX_MERCHANT.authen_key
    const { code, log } = await visit('createOrder.js', { CLOUD_PAY_BASE_URL, CLOUD_PAY_AUTHEN_KEY })
    expect(code).toBe('configuration')
    expect(log).toContain('CLOUD_PAY_AUTHEN_KEY is the key the sandbox publishes')
    expect(log).not.toContain(CLOUD_PAY_AUTHEN_KEY)
  },
)

test.each([
  [undefined, 'DATABASE_URL is missing'],
  ['sqlite:/tmp/orders.db', 'DATABASE_URL must not be SQLite on SCF'],
])('on SCF the database %s is a fault', async (DATABASE_URL, sentence) => {
  const { code, log } = await visit('createOrder.js', { DATABASE_URL, TENCENTCLOUD_RUNENV: 'SCF' })
  expect(code).toBe('configuration')
  expect(log).toContain(sentence)
})

test('all faults are reported at once, by name and never by value', async () => {
  const { code, log } = await visit('createOrder.js', {
    CLOUD_PAY_OUT_MCH_ID: undefined,
    CLOUD_PAY_AUTHEN_KEY: 'a key with blanks',
    ORDER_LIFE_SECONDS: '1',
    DATABASE_URL: 'oracle://scott:tiger@db/x',
  })
  expect(code).toBe('configuration')
  for (const name of ['CLOUD_PAY_OUT_MCH_ID', 'CLOUD_PAY_AUTHEN_KEY', 'ORDER_LIFE_SECONDS', 'DATABASE_URL']) {
    expect(log).toContain(name)
  }
  expect(log).not.toMatch(/a key with blanks|tiger/)
})
