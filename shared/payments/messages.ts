import { rfc3339 } from '../base/time'
import type { MessageType, NewMessage } from '../order/message'
import type { Order } from '../order/order'
import type { Refund } from '../order/refund'
import { viewOrder, viewRefund } from '../order/view'

/** What the merchant is told, in the shape of Standard Webhooks: type, timestamp, data. No payer id. */
export const orderMessage = (type: MessageType, after: Order, at: number): NewMessage => ({
  type,
  about: after.out_trade_no,
  out_trade_no: after.out_trade_no,
  payload: JSON.stringify({ type, timestamp: rfc3339(at), data: viewOrder(after) }),
})

export const refundMessage = (type: MessageType, order: Order, refund: Refund, at: number): NewMessage => ({
  type,
  about: refund.out_refund_no,
  out_trade_no: order.out_trade_no,
  payload: JSON.stringify({
    type,
    timestamp: rfc3339(at),
    data: { ...viewRefund(refund), order: viewOrder(order) },
  }),
})
