import { Fault } from '../base/errors'
import { nowS, type Deadline } from '../base/time'
import { anomalyId } from '../order/anomaly'
import type { Order } from '../order/order'
import { isSettled, type Refund } from '../order/refund'
import { isKnownState } from '../order/state'
import { resolveAnomaly } from '../store/anomalies'
import { findOrder, moved, type OrderKey } from '../store/orders'
import { findRefund, type RefundKey } from '../store/refunds'
import type { Payments } from './context'
import { lookAtRefund } from './refundAsking'
import { carryOut, readAgain } from './settle'
import { readBoth, settleRefund, type Both } from './settleRefund'

/**
 * What only a person can end. Each leaves an event with the person's key and words. Nobody can say that an order was paid:
 * that is Cloud Pay's to say, and ours to ask.
 */
export type Person = { id: string; note: string }

const ATTEMPTS = 6
/** After a signed "accepted" or "processing" Cloud Pay is at work, however long that takes. */
const UNDER_WAY_S = 86_400

/**
 * `paid_out`: the payer has the money from the merchant's hand, and it counts as refunded. For a refund whose money came
 * back (`needs_person`), and for one that failed, as long as there is room for it. Repeated by the same or another person
 * it stays as it is. Throws `refund_not_found` and `refund_not_endable`.
 */
export async function payOut(payments: Payments, key: RefundKey, person: Person): Promise<Both> {
  const { refund } = await findBoth(payments, key)
  if (refund.state === 'succeeded' && refund.ended_by !== null) return readBoth(payments, refund)
  return end(payments, await readBoth(payments, refund), 'paid_out', person)
}

/**
 * `given_up`: no money goes back by it, and its amount is free again. Cloud Pay is asked once more before: what it says
 * counts. Throws `refund_not_found`, `refund_not_endable`, and `refund_under_way` while a signed answer of the last day
 * says that Cloud Pay is at work.
 */
export async function giveUp(
  payments: Payments,
  key: RefundKey,
  person: Person,
  deadline: Deadline,
): Promise<Both> {
  const found = await findBoth(payments, key)
  if (found.refund.state === 'failed' && found.refund.ended_by !== null) return found
  const isAsked = found.refund.sends > 0 && !isSettled(found.refund.state)
  const seen = isAsked ? (await lookAtRefund(payments, found, deadline)).both : found
  const { state, updated_at } = seen.refund
  // Accepted by a version that did not write down when.
  const affirmedAt = seen.refund.affirmed_at ?? (state === 'accepted' ? updated_at : 0)
  const retryAfterS = affirmedAt + UNDER_WAY_S - nowS(payments.clock)
  if (!isSettled(state) && retryAfterS > 0) {
    throw new Fault('refund_under_way', { retryAfterS, extra: { out_refund_no: key.out_refund_no, state } })
  }
  return end(payments, seen, 'given_up', person)
}

async function end(
  payments: Payments,
  both: Both,
  ending: 'paid_out' | 'given_up',
  { id, note }: Person,
): Promise<Both> {
  const after = await settleRefund(payments, both, { proves: 'person', ending, id, note })
  const { out_refund_no, state, ended_by } = after.refund
  if (ended_by !== null && state === (ending === 'paid_out' ? 'succeeded' : 'failed')) {
    await resolveMatters(payments, after, note)
    return after
  }
  throw new Fault('refund_not_endable', { extra: { out_refund_no, state } })
}

/** What called a person to this refund has been looked at now. */
async function resolveMatters(payments: Payments, { order, refund }: Both, note: string): Promise<void> {
  const { out_sub_mch_id, out_trade_no } = order
  for (const kind of ['refund_needs_person', 'refund_unresolved'] as const) {
    const matter = { kind, out_sub_mch_id, out_trade_no, evidence: {}, about: refund.out_refund_no }
    await resolveAnomaly(payments.store, anomalyId(matter), nowS(payments.clock), note)
  }
}

async function findBoth(payments: Payments, key: RefundKey): Promise<Both> {
  const refund: Refund | undefined = await findRefund(payments.store, key)
  if (!refund) throw new Fault('refund_not_found')
  return readBoth(payments, refund)
}

/**
 * Takes the flag off an order, and makes it due: the next signed answer decides. Throws `order_not_found`; an order
 * without a flag is returned as it is.
 */
export async function liftFlag(payments: Payments, key: OrderKey, { id, note }: Person): Promise<Order> {
  const found = await findOrder(payments.store, key)
  if (!found) throw new Fault('order_not_found')
  let current: Order = found
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { flag, state } = current
    if (flag === null || !isKnownState(state)) return current
    const change = { flag: null, fruitless: 0, due_in_ms: 0 }
    const detail = { by: 'person', actor: id, reason: 'flag_lifted', flag }
    const move = { change, kind: 'person' as const, detail, note }
    if ((await carryOut(payments, current, move, nowS(payments.clock))) === 'done')
      return moved(current, change)
    current = await readAgain(payments, current)
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for an order') })
}
