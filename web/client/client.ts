import type { FaultCode } from '../../shared/base/errors'
import type { viewEvents, viewOrder, viewRefund } from '../../shared/order/view'
import type { Handover } from '../../shared/payments/handover'

/**
 * The payer's side of the functions, for pages and mini-programs: a handful of calls, typed, at most 3 KB. Of the
 * functions' code it takes types only. The network and the clock are passed in: `fetchTransport`, `wxTransport`.
 */
export type OrderView = ReturnType<typeof viewOrder> & Partial<Handover>
export type OrderStatus = OrderView & {
  /** Asked for a refresh: whether a verified answer came. */
  refreshed?: boolean
  refunds: ReturnType<typeof viewRefund>[]
  events: ReturnType<typeof viewEvents>
}

/** What a payer may send: a quote of the merchant's server, or an article of the catalogue. */
export type OrderWish = ({ quote: string } | { sku: string; quantity?: number }) & {
  pay_content?: { remark?: string; time_expire?: number }
}

/** Half of it comes from the functions, half never leaves this device but in a header. */
export type Session = { token: string; secret: string }

export type Sent = { method: 'GET' | 'POST'; url: string; headers: Record<string, string>; body?: string }
export type Answered = { status: number; text: string; retryAfter?: string | null | undefined }
/** Sends once. Throws when nothing came back: whether it arrived is then unknown. */
export type Transport = (request: Sent) => Promise<Answered>

type FunctionName = 'session' | 'createOrder' | 'status' | 'closeOrder'
/** Without a custom domain every function has an address of its own. */
export type BaseUrls = string | Record<FunctionName, string>

type Problem = { code: FaultCode; detail: { zh: string; en: string }; request_id: string }

/**
 * Why a call came to nothing. `no_answer`: nothing came that we can read, so nobody knows whether it took effect. Every
 * other code was said by a function; what they mean is in docs/en/errors.md.
 */
export class PayError extends Error {
  constructor(
    readonly code: FaultCode | 'no_answer',
    /** 0 when there was no answer at all. */
    readonly status: number,
    /** The sentences for people, the id for the log, and whatever else the function said. */
    readonly problem?: Problem & Record<string, unknown>,
    readonly retryAfterS?: number,
  ) {
    super(code)
  }
}

/** Nothing more happens to the order that a payer would wait for. */
export const isSettled = ({ state }: Pick<OrderView, 'state'>): boolean =>
  !['created', 'pending', 'closing'].includes(state)

/**
 * The same request, byte for byte, may be sent again: nobody answered, it is unknown whether it took effect, nothing
 * was asked yet, or somebody else is at it just now.
 */
const isPassing = ({ code, status }: PayError): boolean =>
  code === 'no_answer' ||
  code === 'order_in_progress' ||
  status === 504 ||
  (status === 503 && code !== 'configuration')

/** Between the tries of one call. */
const RETRY_MS = [500, 1500, 3000]
/** Between two looks at an order: often at first, while a payer is watching, then less and less. */
const LOOK_MS = [1000, 2000, 2000, 3000, 3000, 5000, 5000, 8000]

const sleepMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Sends once and reads what a function says: its answer, or a PayError. */
export async function askOnce<T>(transport: Transport, request: Sent): Promise<T> {
  let status = 0
  let retryAfterS: number | undefined
  let read: unknown
  try {
    const answer = await transport(request)
    status = answer.status
    retryAfterS = Number(answer.retryAfter) || undefined
    read = JSON.parse(answer.text)
  } catch {
    // A page of a proxy is no answer of a function either.
  }
  const problem = read as PayError['problem'] & object
  if (typeof read !== 'object' || !read) throw new PayError('no_answer', status)
  if (status >= 200 && status < 300) return read as T
  throw problem.code
    ? new PayError(problem.code, status, problem, retryAfterS)
    : new PayError('no_answer', status)
}

export type Client = ReturnType<typeof createClient>

export function createClient(options: {
  base: BaseUrls
  transport: Transport
  session?: Session | undefined
  sleep?: (ms: number) => Promise<void>
}) {
  const { base, transport, sleep = sleepMs } = options
  let { session } = options

  const once = <T>(request: Sent) => askOnce<T>(transport, request)

  /** Only for what may be sent twice. */
  async function retrying<T>(request: Sent): Promise<T> {
    for (let turn = 0; ; turn++) {
      try {
        return await once<T>(request)
      } catch (error) {
        const waitMs = RETRY_MS[turn]
        if (waitMs === undefined || !isPassing(error as PayError)) throw error
        await sleep(Math.max(waitMs, ((error as PayError).retryAfterS ?? 0) * 1000))
      }
    }
  }

  function make(name: FunctionName, path: string, body?: unknown, more: Record<string, string> = {}): Sent {
    const headers = { ...more }
    if (session) {
      headers['authorization'] = `Bearer ${session.token}`
      headers['x-session-secret'] = session.secret
    }
    if (body) headers['content-type'] = 'application/json'
    const url = (typeof base === 'string' ? base : base[name]).replace(/\/$/, '') + path
    return body
      ? { method: 'POST', url, headers, body: JSON.stringify(body) }
      : { method: 'GET', url, headers }
  }

  const orderPath = (number: string) => `/orders/${encodeURIComponent(number)}`

  const client = {
    /** The `state` for one redirect. `secret_hash`: SHA-256 of the secret's 32 bytes, base64url. */
    beginLogin: (login: { app_id: string; secret_hash: string }) =>
      retrying<{ state: string; expires_in: number }>(make('session', '/session/state', login)),

    /**
     * A session, which the calls below use from now on. Never sent twice: a code and a state are good once.
     * `secret`: 32 random bytes of this device, base64url.
     */
    async login(login: { app_id: string; code: string; secret: string; state?: string }) {
      const said = await once<{ token: string; expires_in: number }>(make('session', '/session', login))
      session = { token: said.token, secret: login.secret }
      return { ...session, expires_in: said.expires_in }
    },

    /**
     * Orders, or finds the order there is: `idempotencyKey` (visible ASCII, at most 255) says that it is the same
     * wish; a quote says it by itself. When no answer comes, the same bytes are sent again, a few times.
     *
     * `purchase_open`: an earlier order of the same purchase (`merchant_order_id`) can still be paid, also when its
     * payer has cancelled the wallet. Pay that one: it is `problem.out_trade_no` when it is this payer's. A new one is
     * possible once the earlier one can be closed, as early as 300 s (`CLOSE_NOT_BEFORE`) after it was made; that is in
     * `retryAfterS`, and is not waited for here. The same wish under the same key may then be sent again.
     */
    createOrder: (wish: OrderWish, idempotencyKey: string) =>
      retrying<OrderView>(make('createOrder', '/orders', wish, { 'idempotency-key': idempotencyKey })),

    /** The order as it is kept. `refresh`: Cloud Pay is asked first, once in three seconds at most. */
    readOrder: (number: string, { refresh = false } = {}) =>
      once<OrderStatus>(make('status', orderPath(number) + (refresh ? '?refresh=1' : ''))),

    closeOrder: (number: string) =>
      once<OrderView>(make('closeOrder', `/close/${encodeURIComponent(number)}`, {})),

    /**
     * Looks until the order is settled, backing off, or until `looks` are used up or `stop` says so; then the last that
     * was seen, which is never to be taken for a failure: what is not settled is unknown. `onLook` is told of each
     * look, also of one that came to nothing. Throws what does not pass by itself, such as `session_ended`.
     */
    async waitUntilSettled(
      number: string,
      { looks = 16, stop = () => false, onLook = () => {} }: WaitOptions = {},
    ): Promise<{ settled: boolean; order: OrderStatus | undefined }> {
      let order: OrderStatus | undefined
      for (let turn = 0; turn < looks && !stop(); turn++) {
        if (turn) await sleep(LOOK_MS[Math.min(turn, LOOK_MS.length) - 1]!)
        if (stop()) break
        try {
          order = await client.readOrder(number, { refresh: true })
          onLook(order)
          if (isSettled(order)) return { settled: true, order }
        } catch (error) {
          const { code, status } = error as PayError
          if (code !== 'no_answer' && status < 429) throw error
          onLook(undefined)
        }
      }
      return { settled: false, order }
    },
  }
  return client
}

export type WaitOptions = {
  looks?: number
  stop?: () => boolean
  onLook?: (order: OrderStatus | undefined) => void
}
