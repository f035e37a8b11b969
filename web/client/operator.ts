import type * as v from 'valibot'
import type {
  BoardAnomalies,
  BoardAnomaly,
  BoardDay,
  BoardOrder,
  BoardOrders,
} from '../../shared/order/board'
import type { viewOrder, viewRefund } from '../../shared/order/view'
import { askOnce, type OrderStatus, type Sent, type Transport } from './client'

/**
 * The merchant's side, for the operator's page: what the board's doors answer, and requests signed in the browser with
 * the key of an operator. Types alone come from the functions. Clock, randomness and network are passed in.
 */
export type OrdersPage = v.InferOutput<typeof BoardOrders>
export type AnomaliesPage = v.InferOutput<typeof BoardAnomalies>
export type RefundView = ReturnType<typeof viewRefund>
export type RefundAnswer = RefundView & { order: ReturnType<typeof viewOrder> }

/** Without a custom domain every function has an address of its own. */
export type OperatorUrls = string | Record<'board' | 'status' | 'refund', string>

/** The browser's, which Node has too. Pages have it behind https:// and on the machine itself, nowhere else. */
export type WebCrypto = typeof globalThis.crypto

/** Of a key in MERCHANT_KEYS: what signs, without the secret being readable any more. */
export type OperatorKey = { name: string; mac: Awaited<ReturnType<WebCrypto['subtle']['importKey']>> }

const text = new TextEncoder()
const hex = (bytes: ArrayBuffer | Uint8Array): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')

export const openKey = async (crypto: WebCrypto, name: string, secret: string): Promise<OperatorKey> => ({
  name,
  mac: await crypto.subtle.importKey(
    'raw',
    text.encode(secret),
    { name: 'HMAC', hash: 'SHA-256' },
    /* extractable */ false,
    ['sign'],
  ),
})

/** The headers that sign this very request; shared/access/signed.ts says over what. Good once, for 300 s. */
export async function signRequest(
  crypto: WebCrypto,
  key: OperatorKey,
  { method, url, headers, body = '' }: Sent,
  nowMs: number,
): Promise<Record<string, string>> {
  const { pathname, searchParams } = new URL(url)
  const query: string[] = []
  searchParams.forEach((value, name) =>
    query.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
  )
  const timestamp = String(Math.floor(nowMs / 1000))
  const nonce = hex(crypto.getRandomValues(new Uint8Array(16)))
  const bodyHash = hex(await crypto.subtle.digest('SHA-256', text.encode(body)))
  const lines = [
    ...['v1', key.name, method, pathname, query.sort().join('&'), timestamp, nonce],
    ...[headers['idempotency-key'] ?? '', bodyHash],
  ]
  const signature = hex(await crypto.subtle.sign('HMAC', key.mac, text.encode(lines.join('\n'))))
  return {
    'x-pay-key': key.name,
    'x-pay-timestamp': timestamp,
    'x-pay-nonce': nonce,
    'x-pay-signature': `v1=${signature}`,
  }
}

export type Operator = ReturnType<typeof createOperator>

/** Every call is sent once and throws a PayError; whether to send it again is for the caller to know. */
export function createOperator({
  base,
  transport,
  crypto,
  key,
  nowMs,
}: {
  base: OperatorUrls
  transport: Transport
  crypto: WebCrypto
  key: OperatorKey
  nowMs: () => number
}) {
  const at = (name: 'board' | 'status' | 'refund', path: string) =>
    (typeof base === 'string' ? base : base[name]).replace(/\/$/, '') + path

  async function send<T>(request: Sent): Promise<T> {
    const signature = await signRequest(crypto, key, request, nowMs())
    return askOnce<T>(transport, { ...request, headers: { ...request.headers, ...signature } })
  }
  const get = <T>(url: string) => send<T>({ method: 'GET', url, headers: {} })
  const post = <T>(url: string, body: string, more: Record<string, string> = {}) =>
    send<T>({ method: 'POST', url, headers: { 'content-type': 'application/json', ...more }, body })

  return {
    /** `state` or `search`: how a number begins, or a whole transaction id. `before`: the `next` of a page. */
    listOrders: (wanted: Partial<Record<'state' | 'search' | 'before', string>>) =>
      get<OrdersPage>(at('board', `/board/orders${queryOf(wanted)}`)),
    listUnshipped: (before?: string) =>
      get<OrdersPage>(at('board', `/board/unshipped${queryOf({ before })}`)),
    listAnomalies: (before?: string) =>
      get<AnomaliesPage>(at('board', `/board/anomalies${queryOf({ before })}`)),
    /** `date`: a day of China, `2026-11-23`; today when left out. */
    readDay: (date?: string) => get<BoardDay>(at('board', `/board/day${queryOf({ date })}`)),
    /** `refresh`: Cloud Pay is asked first, once in three seconds at most. */
    readOrder: (number: string, { refresh = false } = {}) =>
      get<OrderStatus>(at('status', `/orders/${segment(number)}${refresh ? '?refresh=1' : ''}`)),
    /**
     * `body`: the text of `{"refund_fee", "reason"?}`, and with the same `idempotencyKey` the very same text. When no
     * answer comes, it is unknown whether there is a refund: this call again, with both as they were, is the same one.
     */
    refund: (number: string, body: string, idempotencyKey: string) =>
      post<RefundAnswer>(at('refund', `/refunds/${segment(number)}`), body, {
        'idempotency-key': idempotencyKey,
      }),
    /** Three endings only a person can say, each with a note; may be repeated: what was ended stays as it was ended. */
    payOut: (refundNumber: string, note: string) =>
      post<RefundAnswer>(at('board', `/board/paid-out/${segment(refundNumber)}`), JSON.stringify({ note })),
    giveUp: (refundNumber: string, note: string) =>
      post<RefundAnswer>(at('board', `/board/given-up/${segment(refundNumber)}`), JSON.stringify({ note })),
    liftFlag: (number: string, note: string) =>
      post<BoardOrder>(at('board', `/board/lift-flag/${segment(number)}`), JSON.stringify({ note })),
    /** May be repeated: what was resolved stays as it was resolved. */
    resolveAnomaly: (id: string, note: string) =>
      post<BoardAnomaly>(at('board', `/board/resolve/${segment(id)}`), JSON.stringify({ note })),
  }
}

/** Ids have colons, which need no escape in a path: what is signed is then the same on either side of any proxy. */
const segment = (value: string): string => encodeURIComponent(value).replace(/%3A/g, ':')

function queryOf(wanted: Record<string, string | undefined>): string {
  const given = Object.entries(wanted).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return given.length > 0 ? `?${given.join('&')}` : ''
}
