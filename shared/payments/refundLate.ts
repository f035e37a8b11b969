import type { Deadline } from '../base/time'
import type { Order } from '../order/order'
import { listRefunds } from '../store/refunds'
import type { Payments } from './context'
import { provesPayment } from './evidence'
import { derivedNumber, recordRefund } from './refund'
import { advanceRefund, sendRefund } from './refundAsking'
import { importRefunds, isUnexplained } from './refundList'
import { lookUpstream } from './refresh'

/**
 * Money that came late goes back whole, whatever of it is left. A number is derived from the order's and from how many
 * attempts its rows have, so that there is one such refund however often and by whomever this is tried; an attempt that
 * has failed is followed by the next one. Each needs a fresh verified "paid" and a fresh list.
 */
export async function refundAutomatically(
  payments: Payments,
  order: Order,
  deadline: Deadline,
): Promise<void> {
  const attempts = (await listRefunds(payments.store, order)).filter(({ origin }) => origin === 'automatic')
  const open = attempts.find(({ state }) => state === 'requested' || state === 'accepted')
  if (open) {
    // An accepted one has a time of its own.
    if (open.state === 'requested') await advanceRefund(payments, { order, refund: open }, deadline)
    return
  }
  const fresh = await lookUpstream(payments, order, deadline)
  if (!provesPayment(fresh.evidence)) return
  const list = await importRefunds(payments, fresh.order, deadline)
  // Without a list it may do before the first transmission: see refundAsking.ts.
  if (list.read ? !list.fits : list.is !== 'silent') return
  if (list.read && isUnexplained(fresh.evidence.meaning, list, list.order.reserved_fen)) return
  const outsideFen = list.read ? list.outsideFen : 0
  const refund_fee = list.order.total_fee - list.order.reserved_fen - outsideFen
  if (refund_fee <= 0) return
  const prefix = payments.merchants.ofNumber(order.out_trade_no)!.order_prefix
  const matter = attempts.length === 0 ? order.out_trade_no : `${order.out_trade_no} ${attempts.length}`
  const wanted = { out_refund_no: derivedNumber(prefix, 'a', matter), refund_fee, reason: null }
  const recorded = await recordRefund(payments, list.order, wanted, 'automatic', 'timer')
  await (list.read ? sendRefund : advanceRefund)(payments, recorded, deadline)
}
