import { rfc3339 } from '../base/time'
import type { Order, OrderEvent } from './order'

/** A moment both ways: for programs and for people. */
export type Moment = { epoch: number; rfc3339: string }
const moment = (epochS: number): Moment => ({ epoch: epochS, rfc3339: rfc3339(epochS) })
const momentOrNull = (epochS: number | null): Moment | null => (epochS === null ? null : moment(epochS))

/** What the order's owner may see of it. No payer id, no stored request, no lease. */
export function viewOrder(order: Order) {
  return {
    out_trade_no: order.out_trade_no,
    state: order.state,
    /** Not null: no automatic move touches this order, a person is looking. */
    flag: order.flag,
    /** Integer fen. */
    total_fee: order.total_fee,
    fee_type: order.fee_type,
    pay_platform: order.pay_platform,
    trade_type: order.trade_type,
    created_at: moment(order.created_at),
    time_expire: moment(order.time_expire),
    paid_at: momentOrNull(order.paid_at),
    transaction_id: order.transaction_id,
    cash_fee: order.cash_fee,
    settlement_total_fee: order.settlement_total_fee,
  }
}

export function viewEvents(events: readonly OrderEvent[]) {
  return events.map(({ at, kind, from_state, to_state, detail }) => ({
    at: moment(at),
    kind,
    from: from_state,
    to: to_state,
    ...(Object.keys(detail).length > 0 ? { detail } : {}),
  }))
}
