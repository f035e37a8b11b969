import type { Order } from '../../shared/order/order'
import type { NewRefund } from '../../shared/store/refunds'

let made = 0

/** A refund of 10 fen as it is first written, with a number of its own. */
export function newRefund(
  order: Pick<Order, 'out_sub_mch_id' | 'out_trade_no'>,
  change: Partial<NewRefund> = {},
): NewRefund {
  return {
    out_sub_mch_id: order.out_sub_mch_id,
    out_trade_no: order.out_trade_no,
    out_refund_no: `sb01r${String(++made).padStart(14, '0')}`,
    refund_fee: 10,
    origin: 'request',
    reason: '凉了',
    caller: 'shop',
    request_content: '{"refund":"茶"}',
    state: 'requested',
    version: 1,
    created_at: 1_900_000_100,
    updated_at: 1_900_000_100,
    sends: 0,
    looks: 0,
    refund_id: null,
    wallet_state: null,
    ...change,
  }
}
