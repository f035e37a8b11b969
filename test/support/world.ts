import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { routes as boardRoutes } from '../../functions/board'
import { routes as closeRoutes } from '../../functions/closeOrder'
import { routes as createRoutes } from '../../functions/createOrder'
import { routes as notifyRoutes } from '../../functions/notify'
import { routes as refundRoutes } from '../../functions/refund'
import { routes as sessionRoutes } from '../../functions/session'
import { routes as statusRoutes } from '../../functions/status'
import { run } from '../../functions/timer'
import { sandboxEnv } from '../../local/sandbox/env'
import { createSandbox, type Sandbox } from '../../local/sandbox/sandbox'
import type { Switches } from '../../local/sandbox/switches'
import { createApp, type App, type Overrides } from '../../shared/app'
import { readConfig, SANDBOX_MERCHANT } from '../../shared/base/config'
import { systemRandom } from '../../shared/base/random'
import { Secret } from '../../shared/base/secrets'
import { systemClock, type Clock } from '../../shared/base/time'
import { door } from '../../shared/http/door'
import { NetFault, type Post } from '../../shared/net/post'
import { migrate } from '../../shared/store/migrate'
import { openStore, type Store } from '../../shared/store/open'

/**
 * The real functions with a real database, and Cloud Pay's sandbox as the far end, without sockets between: fast
 * enough for thousands of orders. What the network does is decided by the sandbox's faults.
 */
export type World = {
  app: App
  store: Store
  sandbox: Sandbox
  clock: Clock & { nowMsValue: number | undefined }
  log: Record<string, unknown>[]
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** `call('POST', '/orders', …)`. */
  create(body: unknown, headers?: Record<string, string>): Promise<Answer>
  status(number: string, query?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  closeOrder(number: string): Promise<Answer>
  refund(number: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Cloud Pay calls us: with these bytes, or with a notification of this order it makes now. */
  notify(what: string | Buffer): Promise<Answer>
  /** One run of the timer function. */
  timer(remainingMs?: number): Promise<Record<string, unknown>>
  /** Requests that arrived at the far end for one interface. */
  sent(suffix?: string): { body: string; request_content: string | undefined }[]
  close(): Promise<void>
}

export type CallOptions = {
  body?: unknown
  headers?: Record<string, string>
  query?: Record<string, string>
  remainingMs?: number
  event?: Record<string, unknown>
}

export type Answer = {
  statusCode: number
  headers: Record<string, string>
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into it freely
  body: any
}

export type WorldOptions = {
  switches?: Partial<Switches>
  store?: Store
  sandbox?: Sandbox
  /** For a store or a sandbox of your own that goes by the same watch. */
  clock?: World['clock']
  overrides?: Overrides
  env?: Record<string, string>
  /** Wraps the network. */
  wrapPost?: (post: Post) => Post
}

/** A clock a test can set; its sleep passes no real time. */
export function testClock(): World['clock'] {
  const clock = {
    nowMsValue: undefined as number | undefined,
    nowMs: () => clock.nowMsValue ?? systemClock.nowMs(),
    sleep: async (ms: number) => {
      if (clock.nowMsValue !== undefined) clock.nowMsValue += ms
    },
  }
  return clock
}

export async function memoryStore(): Promise<Store> {
  const store = openStore({ dialect: 'sqlite', url: new Secret('sqlite::memory:') }, systemClock)
  await migrate(store)
  return store
}

/** A file, for tests with more than one connection. */
export async function fileStore(path = join(mkdtempSync(join(tmpdir(), 'orders-')), 'orders.db')) {
  const open = () => openStore({ dialect: 'sqlite', url: new Secret(`sqlite:${path}`) }, systemClock)
  const store = open()
  await migrate(store)
  return { store, open, path }
}

/** The sandbox as a transport: what the network would do, without one. */
export const sandboxPost =
  (sandbox: Sandbox): Post =>
  async (url, body, { timeoutMs, beforeSend }) => {
    await beforeSend?.()
    const reply = sandbox.answer(url.slice(url.lastIndexOf('/') + 1), body)
    switch (reply.kind) {
      case 'answer':
        if (reply.delayMs > timeoutMs) throw new NetFault('timeout')
        return { status: reply.httpStatus, body: reply.body }
      case 'silent':
        throw new NetFault('timeout')
      case 'drop':
        throw new NetFault('connection')
      case 'truncated':
        throw new NetFault('answer_cut_off')
    }
  }

export const testEnv = sandboxEnv('http://127.0.0.1:1/cpay/', 'sqlite::memory:', '127.0.0.1')

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const clock = options.clock ?? testClock()
  const store = options.store ?? (await memoryStore())
  const sandbox =
    options.sandbox ??
    createSandbox({
      clock,
      random: systemRandom,
      ...(options.switches ? { switches: options.switches } : {}),
    })
  const log: Record<string, unknown>[] = []
  const post = sandboxPost(sandbox)
  const app = await createApp(readConfig({ ...testEnv, ...options.env }), {
    clock,
    store,
    post: options.wrapPost ? options.wrapPost(post) : post,
    write: (line) => log.push(JSON.parse(line) as Record<string, unknown>),
    ...options.overrides,
  })
  const handle = door(async () => app, app.log, [
    ...createRoutes,
    ...statusRoutes,
    ...notifyRoutes,
    ...closeRoutes,
    ...refundRoutes,
    ...sessionRoutes,
    ...boardRoutes,
  ])
  let requests = 0

  const call: World['call'] = async (
    method,
    path,
    { body, headers, query, remainingMs = 10_000, event } = {},
  ) => {
    const answer = await handle(
      {
        httpMethod: method,
        path,
        headers: headers ?? {},
        queryString: query ?? {},
        body: typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body),
        ...event,
      },
      { request_id: `test-${++requests}`, getRemainingTimeInMillis: () => remainingMs },
    )
    return { ...answer, body: JSON.parse(answer.body) }
  }

  return {
    app,
    store,
    sandbox,
    clock,
    log,
    call,
    create: (body, headers = {}) => call('POST', '/orders', { body, headers }),
    status: (number, query = {}, headers = {}) => call('GET', `/orders/${number}`, { query, headers }),
    closeOrder: (number) => call('POST', `/orders/${number}/close`),
    refund: (number, body, headers = {}) => call('POST', `/orders/${number}/refunds`, { body, headers }),
    notify: (what) =>
      call('POST', '/notify', {
        body: (typeof what === 'string' ? sandbox.notification(what) : what).toString('utf8'),
      }),
    timer: (remainingMs = 10_000) =>
      run(app, { requestId: `timer-${++requests}`, deadline: { remainingMs: () => remainingMs } }),
    sent: (suffix) => sandbox.received.filter((one) => suffix === undefined || one.interface === suffix),
    close: () => store.close(),
  }
}

let numbers = 0
/** An order number nobody has used. */
export const freshNumber = (): string => `${SANDBOX_MERCHANT.order_prefix}t${process.pid}n${++numbers}`

type Body = {
  pay_content: Record<string, unknown>
  pay_mch_key: Record<string, unknown>
  [name: string]: unknown
}

/** A body that is accepted; `change` mends it to taste. */
export function orderBody(content: Record<string, unknown> = {}, rest: Record<string, unknown> = {}): Body {
  return {
    pay_content: { total_fee: 1880, body: '湖心奶茶-大杯', ...content },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } },
    ...rest,
  }
}
