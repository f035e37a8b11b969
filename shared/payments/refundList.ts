import { Fault } from '../base/errors'
import { nowS, type Deadline } from '../base/time'
import type { Order } from '../order/order'
import { hasMoney } from '../order/state'
import { findRefund, insertRefund, type NewRefund } from '../store/refunds'
import type { Payments } from './context'
import { evidenceOfContent, readRefundList, type Listed } from './refundEvidence'
import { queryRefunds } from './refundQuery'
import { about, raise } from './raise'
import { readAgain } from './settle'
import { settleRefund } from './settleRefund'

/** Refunds as Cloud Pay lists them, those made elsewhere included. */

const ATTEMPTS = 6
/** Should the one who recorded it die, the timer goes on this much later. */
const FIRST_DUE_MS = 30_000

/**
 * Brings every refund upstream has for this order into our sum: ours are settled by what the list says of them, the
 * others recorded as made in the console. Returns the order as it then is, or nothing if the list could not be had.
 * `fits`: nothing listed had to be left out because our own promises leave no room for it.
 */
export async function importRefunds(
  payments: Payments,
  order: Order,
  deadline: Deadline,
): Promise<{ order: Order; fits: boolean } | undefined> {
  // Refunds of an order that was never paid, as far as we know, are for a person: see the bill.
  if (!hasMoney(order.state)) return undefined
  const answer = await queryRefunds(payments, order, undefined, deadline)
  if (!answer) return undefined
  const list = readRefundList(order, answer)
  if (!list.ok) {
    if (list.fields) {
      const evidence = { fields: list.fields }
      await raise(payments, about(order, 'refund_mismatch', evidence))
    }
    return undefined
  }
  let current = { order, fits: true }
  for (const listed of list.refunds) {
    const { order: next, fits } = await importOne(payments, current.order, listed)
    current = { order: next, fits: current.fits && fits }
  }
  return current
}

async function importOne(
  payments: Payments,
  order: Order,
  listed: Listed,
): Promise<{ order: Order; fits: boolean }> {
  const { out_refund_no, refund_fee, content } = listed
  const key = { out_sub_mch_id: order.out_sub_mch_id, out_refund_no }
  const evidence = evidenceOfContent(order, content)
  let current = order
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const known = await findRefund(payments.store, key)
    if (known) {
      if (known.out_trade_no !== order.out_trade_no || known.refund_fee !== refund_fee) {
        const differs = {
          ...about(order, 'refund_mismatch', { out_refund_no, refund_fee }),
          about: out_refund_no,
        }
        await raise(payments, differs)
        return { order: current, fits: true }
      }
      const settled = await settleRefund(payments, { order: current, refund: known }, evidence)
      return { order: settled.order, fits: true }
    }
    // One that failed took nothing: there is nothing to keep in mind. One nobody can tell about may have.
    const failed = evidence.proves === 'state' && evidence.meaning === 'failed'
    if (failed || evidence.proves === 'not_found') return { order: current, fits: true }
    if (refund_fee > current.total_fee - current.reserved_fen) {
      const exceeds = { out_refund_no, refund_fee, left_fee: current.total_fee - current.reserved_fen }
      const anomaly = { ...about(current, 'refunds_exceed', exceeds), about: out_refund_no }
      await raise(payments, anomaly)
      return { order: current, fits: false }
    }
    const at = nowS(payments.clock)
    const refund: NewRefund = {
      ...key,
      out_trade_no: order.out_trade_no,
      refund_fee,
      origin: 'console',
      reason: null,
      caller: 'console',
      request_content: null,
      state: 'accepted',
      version: 1,
      created_at: at,
      updated_at: at,
      sends: 0,
      looks: 0,
      refund_id: null,
      wallet_state: null,
    }
    const detail = { out_refund_no, refund_fee, to_refund: 'accepted', origin: 'console' }
    const event = { at, kind: 'refund' as const, detail }
    await insertRefund(payments.store, current, refund, FIRST_DUE_MS, event, [])
    // Recorded or overtaken: what is there now is read again, and settled by what the list says.
    current = await readAgain(payments, current)
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for a refund') })
}
