import type { ColumnType } from 'kysely'
import type { Order, OrderEvent } from '../order/order'

/** 64-bit integers come back as text from some drivers; `orders.ts` turns them into numbers in one place. */
type BigInteger = ColumnType<number | string, number, number>
type BigIntegerOrNull = ColumnType<number | string | null, number | null, number | null>

export type OrdersTable = Omit<
  Order,
  | 'created_at'
  | 'updated_at'
  | 'time_expire'
  | 'lease_until_ms'
  | 'looked_at_ms'
  | 'paid_at'
  | 'cash_fee'
  | 'settlement_total_fee'
> & {
  created_at: BigInteger
  updated_at: BigInteger
  time_expire: BigInteger
  lease_until_ms: BigInteger
  looked_at_ms: BigInteger
  paid_at: BigIntegerOrNull
  cash_fee: BigIntegerOrNull
  settlement_total_fee: BigIntegerOrNull
}

export type OrderEventsTable = Omit<OrderEvent, 'at' | 'detail'> & {
  out_sub_mch_id: string
  out_trade_no: string
  at: BigInteger
  /** JSON text. */
  detail: string
}

export type Tables = { orders: OrdersTable; order_events: OrderEventsTable }

/** The columns of a new order, but for its lease, which the database's clock sets. Forgetting one is a type error. */
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
  caller: true,
  idempotency_key: true,
  content_hash: true,
  request_content: true,
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
  jsapi_args: true,
  transaction_id: true,
  paid_at: true,
  cash_fee: true,
  settlement_total_fee: true,
  wallet_state: true,
} satisfies Record<keyof Omit<Order, 'lease_until_ms'>, true>) as (keyof Omit<Order, 'lease_until_ms'>)[]
