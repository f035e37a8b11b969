import { rfc3339 } from '../base/time'
import type { Order, OrderEvent } from './order'
import type { Refund } from './refund'

/** A moment both ways: for programs and for people. */
export type Moment = { epoch: number; rfc3339: string }
export const moment = (epochS: number): Moment => ({ epoch: epochS, rfc3339: rfc3339(epochS) })
export const momentOrNull = (epochS: number | null): Moment | null =>
  epochS === null ? null : moment(epochS)

/** What the order's owner may see of it. No payer id, no stored request, no lease. */
export function viewOrder(order: Order) {
  return {
    out_trade_no: order.out_trade_no,
    out_sub_mch_id: order.out_sub_mch_id,
    ...(order.merchant_order_id === null ? {} : { merchant_order_id: order.merchant_order_id }),
    state: order.state,
    /** Not null: a person should look; see ORDER_FLAGS for why. */
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
    /** Fen that verifiably went back. */
    refunded_fee: order.refunded_fen,
    /** Fen on their way back. */
    refunding_fee: order.reserved_fen - order.refunded_fen,
  }
}

/** A refund as the order's owner sees it. `accepted` is not done: that is `succeeded`. */
export function viewRefund(refund: Refund) {
  return {
    out_refund_no: refund.out_refund_no,
    state: refund.state,
    /** Integer fen. */
    refund_fee: refund.refund_fee,
    /** `request`: asked for here; `automatic`: money that came late; `console`: made elsewhere, found upstream. */
    origin: refund.origin,
    /** Also null when it was purged. */
    reason: refund.reason === '' ? null : refund.reason,
    created_at: moment(refund.created_at),
    refund_id: refund.refund_id,
    /** A person has ended it: paid out by hand, or given up. Left out when Cloud Pay's answers did. */
    ...(refund.ended_by === null ? {} : { by: 'person' as const }),
  }
}

/** `notes`: with somebody's words, and whose they are; they are for the merchant, not for payers. */
export function viewEvents(events: readonly OrderEvent[], notes: boolean) {
  return events.map(({ at, kind, from_state, to_state, detail: all, note }) => {
    const { actor, ...rest } = all
    const detail = notes && actor !== undefined ? all : rest
    return {
      at: moment(at),
      kind,
      from: from_state,
      to: to_state,
      ...(Object.keys(detail).length > 0 ? { detail } : {}),
      ...(notes && note !== null ? { note } : {}),
    }
  })
}
