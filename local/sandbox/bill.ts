import { BILL_OF, type BillRequest } from '../../shared/cloudpay/schema'
import { ok, type Said } from './answers'
import { orderContent, orderMch, refundContent } from './contents'
import { freshNonce, settle, type Far, type LedgerOrder, type SandboxMerchant } from './ledger'

/** `client_order_detail`: what happened at a sub-merchant between two times, a page at a time. */
export function bill(far: Far, merchant: SandboxMerchant, request: BillRequest): Said {
  const { page_num, page_size } = request
  const entries = entriesOf(far, merchant, request)
  return ok(far, merchant, 'order_detail_query', {
    nonce_str: freshNonce(far),
    total_count: entries.length,
    order_details: entries
      .slice((page_num - 1) * page_size, page_num * page_size)
      .map(({ receipt }) => ({ receipt: receipt() })),
  })
}

/** The content is made only for those on the page. */
type Entry = { time: number; receipt: () => object }

/** Walks the whole ledger: a bill's total counts every match, and no request but this one wants them all. */
function entriesOf(far: Far, merchant: SandboxMerchant, request: BillRequest): Entry[] {
  const { billTime, billLists, billOrder } = far.switches
  const { query_order_type, start_time = 0, end_time } = request
  const inside = (of: { create_time: number; last_update_time: number }) =>
    of[billTime] >= start_time && of[billTime] <= end_time
  const entries: Entry[] = []
  for (const order of far.orders.values()) {
    if (order.merchant !== merchant || !asked(order, request)) continue
    settle(far, order)
    const listed = billLists === 'all' || order.state === 'paid'
    if (query_order_type !== BILL_OF.refunds && listed && inside(order)) {
      entries.push({ time: order[billTime], receipt: () => orderReceipt(far, order) })
    }
    if (query_order_type === BILL_OF.payments) continue
    for (const refund of order.refunds.filter(inside)) {
      entries.push({
        time: refund[billTime],
        receipt: () => ({
          refund_order: {
            refund_order_mch: orderMch(order),
            refund_order_content: refundContent(far, order, refund),
            ...(refund.request ? { order_client: refund.request.order_client } : {}),
          },
        }),
      })
    }
  }
  const turn = billOrder === 'newest_first' ? -1 : 1
  return entries.sort((a, b) => (a.time - b.time) * turn)
}

function asked(order: LedgerOrder, { pay_platform, out_shop_id }: BillRequest): boolean {
  const key = order.request.pay_mch_key
  return (
    (pay_platform === undefined || pay_platform === key.pay_platform) &&
    (out_shop_id === undefined || out_shop_id === key.out_shop_id)
  )
}

const orderReceipt = (far: Far, order: LedgerOrder) => {
  const order_content = orderContent(far, order)
  return {
    order: {
      order_mch: orderMch(order),
      // The one place in the protocol where an order says how much of it was refunded.
      order_content: { ...order_content, refunded_fee: order.refunded_fen },
      order_client: order.request.order_client,
    },
  }
}
