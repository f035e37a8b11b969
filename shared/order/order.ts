import type { OrderState } from './state'

/**
 * An order as it is kept. Names are Cloud Pay's where it has one. Money is integer fen, times are epoch seconds,
 * except what ends in `_ms`: those are the database's clock, in milliseconds.
 */
export type Order = {
  out_sub_mch_id: string
  out_trade_no: string
  out_mch_id: string
  out_shop_id: string
  pay_platform: number
  trade_type: number
  total_fee: number
  fee_type: string
  payer_field: string
  payer_id: string
  /** The merchant's own purchase, when it named one. */
  merchant_order_id: string | null
  /** The same, while this order may be the one that is paid for it: unique, so a purchase has one such order. */
  purchase_slot: string | null
  /** The quote this order was made by: unique together, so a quote makes one order. */
  quote_iss: string | null
  quote_jti: string | null

  caller: string
  idempotency_key: string | null
  /** Hash over what the caller asked for: decides whether a repeat is the same order. */
  content_hash: string
  /** The exact text that is signed and sent, first time and every time; of micro_pay with an empty `author_code`. */
  request_content: string
  /** The payer's code, sealed, of a micro_pay order that may still be asked for; gone at its first signed answer. */
  author_code_sealed: string | null

  state: OrderState
  /** Moves by one with every write: the ground of compare-and-set. */
  version: number
  /** Why no automatic move may touch this order; a person looks at it. */
  flag: OrderFlag | null
  created_at: number
  updated_at: number
  time_expire: number

  /** Transmissions of the create request, counted before each is sent. */
  sends: number
  /** Fencing counter: only the holder of the current one may transmit. */
  lease_token: number
  lease_holder: string
  lease_until_ms: number
  /** When query_order was last asked. */
  looked_at_ms: number
  /** When the timer should look after it; null when there is nothing left to do. */
  next_due_at_ms: number | null
  /** 0 while the timer has not looked since the last news of it: a new state, a notification. Then 1. */
  seen: 0 | 1
  /** Looks of the timer that were answered, since the state last changed. */
  looks: number
  /** Looks of the timer in a row that brought nothing. */
  fruitless: number
  /** Signed not-founds that were late enough to count. */
  not_founds: number
  /** When the first verified notification came. A hint, never proof. */
  notified_at_ms: number | null

  /** What the first verified yes gave to hand over, as JSON text: `jsapi_args`, or the members of another scene. */
  jsapi_args: string | null
  transaction_id: string | null
  paid_at: number | null
  cash_fee: number | null
  settlement_total_fee: number | null
  wallet_state: number | null
  /** Fen promised to refunds that have not finally failed; includes what is refunded. Never above total_fee. */
  reserved_fen: number
  /** Fen that verifiably went back. */
  refunded_fen: number
  /** What is to become of money that came late, as decided when it came. */
  late_policy: LatePolicy | null
  /** When its texts and its payer's id were purged; null again when it has changed since. See store/retention.ts. */
  purged_at: number | null
  /** When WeChat took the shipping info of a mini-program order; null while it has none from us. */
  shipped_at: number | null
}

/** Money for a closed or failed order: sent back by the timer, or kept as if it had come in time. */
export const LATE_POLICIES = ['refund', 'honour'] as const
export type LatePolicy = (typeof LATE_POLICIES)[number]

export const ORDER_FLAGS = [
  // The number may belong to an order that is not ours, so its payments are not believed.
  'create_answered_102',
  // A signed "paid" names another amount: nothing is closed or refunded by itself.
  'amount_differs',
  // Looked at in vain too often: from now on once a day. Of micro_pay: undecided after two minutes, still looked at.
  'unresolved',
] as const
export type OrderFlag = (typeof ORDER_FLAGS)[number]

/** What happened to an order, one row each, in the order of `seq` (the version the move made). */
export type OrderEvent = {
  seq: number
  at: number
  kind: EventKind
  from_state: OrderState | null
  to_state: OrderState
  detail: EventDetail
  /** Somebody's words that belong to it: the `description` of a refusal, or a person's note. Gone after a purge. */
  note: string | null
}

/** In characters. */
export const NOTE_MAX = 255

export const EVENT_KINDS = ['created', 'moved', 'asked', 'refund', 'anomaly', 'person'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

/** Small and free of personal data: it is shown to the order's owner. */
export type EventDetail = Record<string, string | number | boolean | string[] | null>
