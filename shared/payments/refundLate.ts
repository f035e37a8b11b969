import type { Deadline } from '../base/time'
import type { Order } from '../order/order'
import { findRefund } from '../store/refunds'
import type { Payments } from './context'
import { provesPayment } from './evidence'
import { derivedNumber, recordRefund } from './refund'
import { advanceRefund, sendRefund } from './refundAsking'
import { importRefunds } from './refundList'
import { lookUpstream } from './refresh'

/**
 * Money that came late goes back whole. The number is derived from the order's, so that there is one such refund
 * however often and by whomever this is tried. Only after a fresh verified query says paid: `advanceRefund` sees to it.
 */
export async function refundAutomatically(
  payments: Payments,
  order: Order,
  deadline: Deadline,
): Promise<void> {
  const prefix = payments.merchants.ofNumber(order.out_trade_no)!.order_prefix
  const out_refund_no = derivedNumber(prefix, 'a', order.out_trade_no)
  const known = await findRefund(payments.store, { out_sub_mch_id: order.out_sub_mch_id, out_refund_no })
  if (known) {
    if (known.state === 'requested') await advanceRefund(payments, { order, refund: known }, deadline)
    return
  }
  const fresh = await lookUpstream(payments, order, deadline)
  if (!provesPayment(fresh.evidence)) return
  const listed = await importRefunds(payments, fresh.order, deadline)
  if (!listed?.fits) return
  const refund_fee = listed.order.total_fee - listed.order.reserved_fen
  if (refund_fee <= 0) return
  const wanted = { out_refund_no, refund_fee, reason: null }
  await sendRefund(
    payments,
    await recordRefund(payments, listed.order, wanted, 'automatic', 'timer'),
    deadline,
  )
}
