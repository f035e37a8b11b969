import { Fault } from '../base/errors'
import { nowS, type Deadline } from '../base/time'
import type { Order } from '../order/order'
import { holdsMoney } from '../order/refund'
import { hasMoney, type Meaning } from '../order/state'
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

export type RefundList =
  | {
      read: true
      order: Order
      /** Nothing listed had to be left out because our own promises leave no room for it. */
      fits: boolean
      /** What went back upstream by refunds that have failed here: it is in no sum of ours, and cannot go back again. */
      outsideFen: number
      numbers: ReadonlySet<string>
    }
  /** `silent` and `refused`: a signed answer without a list, see `ReadList`. */
  | { read: false; order: Order; is: 'silent' | 'refused' | 'unreadable' | 'not_asked' }

/**
 * Brings every refund upstream has for this order into our sum: ours are settled by what the list says of them, the
 * others recorded as made in the console. Returns the order as it then is.
 */
export async function importRefunds(
  payments: Payments,
  order: Order,
  deadline: Deadline,
): Promise<RefundList> {
  // Refunds of an order that was never paid, as far as we know, are for a person: see the bill.
  if (!hasMoney(order.state)) return { read: false, order, is: 'not_asked' }
  const answer = await queryRefunds(payments, order, undefined, deadline)
  if (!answer) return { read: false, order, is: 'not_asked' }
  const list = readRefundList(order, answer)
  if (!list.ok) {
    const { out_trade_no } = order
    const { why, is } = list
    payments.log({
      event: 'refund.list_unread',
      count: `refund.list_${is}`,
      level: 'warn',
      out_trade_no,
      why,
    })
    if (list.is !== 'mismatch') return { read: false, order, is: list.is }
    await raise(payments, about(order, 'refund_mismatch', { fields: list.fields }))
    return { read: false, order, is: 'unreadable' }
  }
  let current = order
  let fits = true
  let outsideFen = 0
  for (const listed of list.refunds) {
    const one = await importOne(payments, current, listed)
    current = one.order
    fits &&= one.fits
    outsideFen += one.outsideFen
  }
  const numbers = new Set(list.refunds.map(({ out_refund_no }) => out_refund_no))
  return {
    read: true,
    order: current,
    fits: fits && current.reserved_fen + outsideFen <= current.total_fee,
    outsideFen,
    numbers,
  }
}

/**
 * WeChat says that the order turned into a refund, a signed list has none, and none of ours is under way: it is somebody's
 * refund that nobody lists yet. `oursFen`: what refunds of ours have asked for.
 */
export const isUnexplained = (
  meaning: Meaning | undefined,
  list: Extract<RefundList, { read: true }>,
  oursFen: number,
): boolean => meaning === 'paid_then_refund' && list.numbers.size === 0 && oursFen === 0

async function importOne(
  payments: Payments,
  order: Order,
  listed: Listed,
): Promise<{ order: Order; fits: boolean; outsideFen: number }> {
  const { out_refund_no, refund_fee, content } = listed
  const key = { out_sub_mch_id: order.out_sub_mch_id, out_refund_no }
  const evidence = evidenceOfContent(order, content)
  // One that failed took nothing: there is nothing to keep in mind. One nobody can tell about may have.
  const tookNothing =
    evidence.proves === 'not_found' || (evidence.proves === 'state' && evidence.meaning === 'failed')
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
        // Another amount never settles ours; what it may have taken beyond ours has to have room all the same.
        const heldFen = holdsMoney(known.state) ? known.refund_fee : 0
        return { order: current, fits: true, outsideFen: tookNothing ? 0 : Math.max(0, refund_fee - heldFen) }
      }
      const settled = await settleRefund(payments, { order: current, refund: known }, evidence)
      const isOutside = !tookNothing && !holdsMoney(settled.refund.state)
      return { order: settled.order, fits: true, outsideFen: isOutside ? refund_fee : 0 }
    }
    if (tookNothing) return { order: current, fits: true, outsideFen: 0 }
    if (refund_fee > current.total_fee - current.reserved_fen) {
      const exceeds = { out_refund_no, refund_fee, left_fee: current.total_fee - current.reserved_fen }
      const anomaly = { ...about(current, 'refunds_exceed', exceeds), about: out_refund_no }
      await raise(payments, anomaly)
      return { order: current, fits: false, outsideFen: 0 }
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
