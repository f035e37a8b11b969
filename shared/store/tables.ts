import type { ColumnType, Generated } from 'kysely'
import type { MerchantRow } from '../base/merchants'
import type { Anomaly } from '../order/anomaly'
import type { Message, OutboxKind } from '../order/message'
import type { Order, OrderEvent } from '../order/order'
import type { Refund } from '../order/refund'

/** 64-bit integers come back as text from some drivers; `rows.ts` turns them into numbers in one place. */
type BigInteger = ColumnType<number | string, number, number>
type BigIntegerOrNull = ColumnType<number | string | null, number | null, number | null>

/** A row as its type says, but for the members that are stored as 64-bit integers. */
type Stored<Row, Big extends keyof Row> = Omit<Row, Big> & {
  [Name in Big]: null extends Row[Name] ? BigIntegerOrNull : BigInteger
}

export const BIG = {
  orders: [
    'created_at',
    'updated_at',
    'time_expire',
    'lease_until_ms',
    'looked_at_ms',
    'paid_at',
    'cash_fee',
    'settlement_total_fee',
    'next_due_at_ms',
    'notified_at_ms',
    'purged_at',
    'shipped_at',
  ],
  refunds: ['created_at', 'updated_at', 'next_due_at_ms', 'sent_at_ms', 'missing_at_ms', 'affirmed_at'],
  outbox: ['created_at', 'delivered_at', 'next_due_at_ms'],
  anomalies: ['first_at', 'last_at', 'resolved_at'],
} as const

export type OrdersTable = Omit<Stored<Order, (typeof BIG.orders)[number]>, 'seen'> & {
  seen: Generated<Order['seen']>
}
export type RefundsTable = Stored<Refund, (typeof BIG.refunds)[number]>
/** `payload` and `evidence` are JSON text. */
export type OutboxTable = Stored<Omit<Message, 'type'> & { type: OutboxKind }, (typeof BIG.outbox)[number]>
export type AnomaliesTable = Omit<Stored<Anomaly, (typeof BIG.anomalies)[number]>, 'evidence'> & {
  evidence: string
}

export type OrderEventsTable = Omit<OrderEvent, 'at' | 'detail'> & {
  out_sub_mch_id: string
  out_trade_no: string
  at: BigInteger
  /** JSON text. */
  detail: string
}

/** What Cloud Pay told us, once per text. A hint: nothing in it is believed. */
export type NotificationsTable = {
  out_sub_mch_id: string
  /** Hash over the signed text: the same one again is the same row. */
  id: string
  out_trade_no: string
  received_at: BigInteger
  /** 1 while there is no order of this number. */
  orphan: number
  /** JSON text: what it claimed of number, amount and state. No personal data. */
  claims: string
}

/** Something counted per window of time, for limits that many instances share. */
export type CountersTable = { name: string; period: BigInteger; used: BigInteger }

/** When something last came to an end (`timer`), or how far it has come (`bill:…`). */
export type MarksTable = { name: string; at_ms: BigInteger; value: string }

/** What of the bill is still to be compared. Epoch seconds; `tries`: answers that could not be read to their end. */
export type BillWindowsTable = {
  out_sub_mch_id: string
  from_at: BigInteger
  to_at: BigInteger
  tries: number
  next_due_at_ms: BigInteger
}

/** What the merchant sells at a price of its own; read when a payer asks for an order by `sku`. */
export type CatalogueTable = {
  out_sub_mch_id: string
  sku: string
  /** What the wallet shows. */
  body: string
  /** Integer fen, of one. */
  total_fee: number
  quantity_max: number
  /** 1 or 0. */
  active: number
}

/** What may be used once: the nonce of a signed request, the state of a login. Kept until it has expired anyway. */
export type SpentTable = { kind: string; id: string; until_at: BigInteger }

/** Sessions that ended early: one, or all that a payer had begun by `at`. */
export type RevocationsTable = { id: string; at: BigInteger; until_at: BigInteger }

/** Sub-merchants beside those of the environment, their secrets sealed. */
export type MerchantsTable = Stored<MerchantRow, 'disabled_at' | 'changed_at'>

export type Tables = {
  orders: OrdersTable
  order_events: OrderEventsTable
  refunds: RefundsTable
  outbox: OutboxTable
  anomalies: AnomaliesTable
  notifications: NotificationsTable
  counters: CountersTable
  marks: MarksTable
  bill_windows: BillWindowsTable
  catalogue: CatalogueTable
  spent: SpentTable
  revocations: RevocationsTable
  merchants: MerchantsTable
}

/** Set by the database, or only later, so not among what an insert is given. */
export type NewOrder = Omit<Order, 'lease_until_ms' | 'next_due_at_ms' | 'seen' | 'purged_at' | 'shipped_at'>

/** The columns of a new order. Forgetting one is a type error. */
export const COLUMNS = Object.keys({
  out_sub_mch_id: true,
  out_trade_no: true,
  out_mch_id: true,
  out_shop_id: true,
  pay_platform: true,
  trade_type: true,
  total_fee: true,
  fee_type: true,
  payer_field: true,
  payer_id: true,
  merchant_order_id: true,
  purchase_slot: true,
  quote_iss: true,
  quote_jti: true,
  caller: true,
  idempotency_key: true,
  content_hash: true,
  request_content: true,
  author_code_sealed: true,
  state: true,
  version: true,
  flag: true,
  created_at: true,
  updated_at: true,
  time_expire: true,
  sends: true,
  lease_token: true,
  lease_holder: true,
  looked_at_ms: true,
  looks: true,
  fruitless: true,
  not_founds: true,
  notified_at_ms: true,
  jsapi_args: true,
  transaction_id: true,
  paid_at: true,
  cash_fee: true,
  settlement_total_fee: true,
  wallet_state: true,
  reserved_fen: true,
  refunded_fen: true,
  late_policy: true,
} satisfies Record<keyof NewOrder, true>) as (keyof NewOrder)[]
