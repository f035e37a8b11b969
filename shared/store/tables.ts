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
