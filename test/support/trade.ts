import { randomBytes } from 'node:crypto'
import { routes as closeRoutes } from '../../functions/closeOrder'
import { routes as createRoutes } from '../../functions/createOrder'
import { routes as notifyRoutes } from '../../functions/notify'
import { routes as refundRoutes } from '../../functions/refund'
import { routes as sessionRoutes } from '../../functions/session'
import { routes as statusRoutes } from '../../functions/status'
import { run } from '../../functions/timer'
import { addMerchant, type Desk } from '../../cli/merchants/change'
import { createLogins, SANDBOX_APPS } from '../../local/sandbox/logins'
import { SANDBOX_KEYS } from '../../local/sandbox/people'
import { createSandbox, type Sandbox, type SandboxMerchant } from '../../local/sandbox/sandbox'
import { appOpener, type App, type Overrides } from '../../shared/app'
import { readConfig, SANDBOX_MERCHANT } from '../../shared/base/config'
import { systemRandom } from '../../shared/base/random'
import { door, type Route } from '../../shared/http/door'
import { otherMerchants } from './shop'
import { openTestDatabase, type TestDatabase } from './testDatabase'
import { signHeaders } from './town'
import { orderBody, sandboxPost, testClock, testEnv, type Answer, type World } from './world'

/**
 * Several sub-merchants in one deployment: one database, one far end that knows each merchant's key and takes no other,
 * and as many instances of the functions as a test likes, opened as they are when deployed.
 */
export type Trade = {
  database: TestDatabase
  clock: World['clock']
  sandbox: Sandbox
  merchants: Mutable<SandboxMerchant>[]
  desk: Desk
  log: Record<string, unknown>[]
  logins: ReturnType<typeof createLogins>
  instance(kind?: 'till' | 'notify' | 'session', more?: InstanceOptions): Instance
  /** The body of an order for a sub-merchant, by its place. */
  bodyFor(at: number, content?: Record<string, unknown>): unknown
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }
type InstanceOptions = { env?: Record<string, string>; overrides?: Overrides }

export type Instance = {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** A call of the server of the sub-merchant at this place, signed with its own key. */
  signed(at: number, method: string, path: string, body?: unknown): Promise<Answer>
  notify(what: string | Buffer): Promise<number>
  timer(): Promise<Record<string, unknown>>
}

export const DATA_KEY = { name: '2026-11', secret: 'a-data-key-of-tests-0123456789abcdef' }

export const serverKey = (at: number) => ({
  name: `server-${at}`,
  secret: `server-secret-of-merchant-${at}-0123456789`,
  scopes: ['create', 'read', 'close', 'refund'],
})

/** What `add` is given. */
export const merchantFile = (merchant: SandboxMerchant, lists: Record<string, unknown> = {}): string =>
  JSON.stringify({ ...merchant, ...lists })

export const tradeEnv = {
  ...testEnv,
  CALLERS: '',
  SESSION_KEYS: JSON.stringify([SANDBOX_KEYS.session]),
  DATA_KEYS: JSON.stringify([DATA_KEY]),
  DEPLOYMENT_NAME: 'sandbox',
}

const ROUTES: Record<'till' | 'notify' | 'session', Route<App>[]> = {
  till: [...createRoutes, ...statusRoutes, ...closeRoutes, ...refundRoutes],
  notify: notifyRoutes,
  session: sessionRoutes,
}

/** `count` sub-merchants in the database, each with a server's key; the first has a mini-program too. */
export async function openTrade(count: number, env: Record<string, string> = {}): Promise<Trade> {
  const clock = testClock()
  clock.nowMsValue = 1_900_000_000_000
  const database = await openTestDatabase(clock)
  const merchants = otherMerchants(count).map((merchant): Mutable<SandboxMerchant> => ({ ...merchant }))
  const sandbox = createSandbox({
    clock,
    random: systemRandom,
    merchants: [SANDBOX_MERCHANT, ...merchants],
  })
  const logins = createLogins({ clock, random: systemRandom })
  const { store } = database
  const desk: Desk = { config: readConfig({ ...tradeEnv, ...env }, true), store, clock, random: systemRandom }
  for (const [at, merchant] of merchants.entries()) {
    const apps = logins.apps.filter(({ app_id }) => at === 0 && app_id === SANDBOX_APPS.mini_program)
    await addMerchant(desk, merchantFile(merchant, { merchant_keys: [serverKey(at)], apps }))
  }
  const log: Record<string, unknown>[] = []
  let requests = 0

  const instance: Trade['instance'] = (kind = 'till', more = {}) => {
    const open = appOpener(
      { ...tradeEnv, WECHAT_API_URL: 'http://127.0.0.1:1/wechat/', ...env, ...more.env },
      {
        clock,
        store,
        post: sandboxPost(sandbox),
        ask: async ({ method, url, body }) => {
          const reply = logins.handle({ method, url: new URL(url), body: body ?? Buffer.alloc(0) })
          return { status: reply?.status ?? 404, body: Buffer.from(reply?.body ?? '') }
        },
        write: (line) => log.push(JSON.parse(line) as Record<string, unknown>),
        // As their functions say.
        ...(kind === 'till' ? {} : { connectsLate: true }),
        ...more.overrides,
      },
    )
    const handle = door(open, (line) => void log.push(line), ROUTES[kind])
    const context = () => ({ request_id: `test-${++requests}`, getRemainingTimeInMillis: () => 10_000 })
    const call: Instance['call'] = async (method, path, body, headers = {}) => {
      const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
      const answer = await handle(
        { httpMethod: method, path, headers, queryString: {}, body: text },
        context(),
      )
      return { ...answer, body: JSON.parse(answer.body) }
    }
    return {
      call,
      signed(at, method, path, body) {
        const text = body === undefined ? '' : JSON.stringify(body)
        const timestamp = String(Math.floor(clock.nowMs() / 1000))
        const headers = signHeaders(
          serverKey(at),
          { method, path, body: text },
          { timestamp, nonce: randomBytes(16).toString('hex') },
        )
        return call(method, path, text, headers)
      },
      async notify(what) {
        const bytes = typeof what === 'string' ? sandbox.notification(what) : what
        return (await call('POST', '/notify', bytes.toString('utf8'))).statusCode
      },
      timer: async () => run(await open(), { requestId: 't', deadline: { remainingMs: () => 10_000 } }),
    }
  }

  let numbers = 0
  return {
    ...{ database, clock, sandbox, merchants, desk, log, logins, instance },
    bodyFor(at, content = {}) {
      const { out_sub_mch_id, order_prefix } = merchants[at]!
      const body = orderBody({ out_trade_no: `${order_prefix}n${++numbers}`, ...content })
      return { ...body, pay_mch_key: { ...body.pay_mch_key, out_sub_mch_id } }
    },
  }
}
