import { Fault } from '../base/errors'
import { nowS } from '../base/time'
import { INTERNAL_STATUS, STATUS } from '../cloudpay/enums'
import type { NewAnomaly } from '../order/anomaly'
import type { NewMessage } from '../order/message'
import type { EventDetail, Order } from '../order/order'
import { holdsMoney, isKnownRefundState, isSettled, type Refund, type RefundState } from '../order/refund'
import { nextRefundLookS } from '../order/schedule'
import { hasMoney, isKnownState } from '../order/state'
import { moved, type Change, type OrderKey } from '../store/orders'
import {
  affirmRefund,
  findRefund,
  listRefunds,
  moveRefund,
  type RefundChange,
  type RefundKey,
} from '../store/refunds'
import type { Payments } from './context'
import { mayBeFinal } from './evidence'
import { refundMessage } from './messages'
import type { RefundEvidence } from './refundEvidence'
import { about } from './raise'
import { readAgain } from './settle'

/**
 * The same road as settle.ts, for refunds: decide on both rows as read, write both guarded by exactly those. What the
 * order has promised and paid back changes here and nowhere else.
 */
const ATTEMPTS = 6

export type Both = { order: Order; refund: Refund }

export async function settleRefund(payments: Payments, both: Both, evidence: RefundEvidence): Promise<Both> {
  let { order, refund } = both
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const at = nowS(payments.clock)
    const move = decideRefund(order, refund, evidence, { at, tried: await triedByItself(payments, order) })
    if (move === undefined) return { order, refund: await affirmed(payments, refund, evidence, at) }
    const { change, detail, note, messages, anomalies } = move
    const kind = 'refund' as const
    const outcome = await moveRefund(
      payments.store,
      order,
      refund,
      change,
      { at, kind, detail, note: note ?? null },
      { messages, anomalies },
    )
    if (outcome === 'done') {
      const { due_in_ms: _, ...rest } = change.refund
      const after = { ...refund, ...rest, version: refund.version + 1 }
      payments.log({
        event: 'refund.moved',
        count: `refund.${after.state}`,
        level: after.state === 'needs_person' ? 'warn' : 'info',
        out_trade_no: order.out_trade_no,
        ...detail,
      })
      return { order: moved(order, change.order), refund: after }
    }
    ;({ order, refund } = await readBoth(payments, refund))
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for a refund') })
}

/** How often money that came late was sent back by itself: after the second time it is tried daily. */
async function triedByItself(payments: Payments, order: Order): Promise<number> {
  if (order.state !== 'paid_after_close') return 0
  const refunds = await listRefunds(payments.store, order)
  return refunds.filter(({ origin }) => origin === 'automatic').length
}

const AFFIRM_EVERY_S = 3600

/** Nothing has moved, but a signed answer says that it is under way: remembered, for whoever would like to give it up. */
async function affirmed(
  payments: Payments,
  refund: Refund,
  evidence: RefundEvidence,
  at: number,
): Promise<Refund> {
  if (!saysUnderWay(evidence) || at - (refund.affirmed_at ?? 0) < AFFIRM_EVERY_S) return refund
  await affirmRefund(payments.store, refund, at)
  return { ...refund, affirmed_at: at }
}

const saysUnderWay = (evidence: RefundEvidence): boolean =>
  evidence.proves === 'accepted' || (evidence.proves === 'state' && evidence.meaning === 'processing')

export async function readBoth(payments: Payments, key: RefundKey & OrderKey): Promise<Both> {
  const refund = await findRefund(payments.store, key)
  if (!refund) throw new Fault('database_unavailable', { cause: new Error('a refund row has vanished') })
  return { order: await readAgain(payments, refund), refund }
}

type RefundMove = {
  change: { refund: RefundChange; order: Change }
  detail: EventDetail
  note?: string | null
  messages: NewMessage[]
  anomalies: NewAnomaly[]
}

/** When money that came late is tried to be sent back again, after a refund of it has failed. */
const AGAIN_S = 3600
const AGAIN_LATER_S = 86_400

/** Pure: what this evidence makes of this refund and of its order's money, or nothing. */
export function decideRefund(
  order: Order,
  refund: Refund,
  evidence: RefundEvidence,
  { at, tried }: { at: number; tried: number },
): RefundMove | undefined {
  if (!isKnownState(order.state) || !isKnownRefundState(refund.state)) return undefined
  const isAsked = refund.state === 'requested'
  switch (evidence.proves) {
    case 'accepted':
      return isAsked ? step('accepted', {}, { affirmed_at: at }) : undefined
    case 'refused': {
      if (!isAsked) return undefined
      const { status, internalStatus, said } = evidence
      // Only as the answer to the only transmission ever made: after an unknown this no may be about the second one
      // while the first is being carried out.
      if (refund.sends === 1 && mayBeFinal(internalStatus))
        return { ...step('failed', { status }), note: said }
      if (refund.refused !== null || internalStatus === 'unreadable') return undefined
      // Nothing is sent under this number any more. 104 says that the repeat was not taken, so the first may never have
      // arrived; 102 and 407 say that the number is known, and a person has to see as what.
      const refused = mayBeFinal(internalStatus) ? status : INTERNAL_STATUS.numberReusedWithOtherContent
      const reason = 'refused_when_sent_again'
      const anomalies =
        refused === STATUS.failed ? [] : [matter('refund_unresolved', { reason, status: refused })]
      return written({ reason, status: refused }, anomalies, { refused }, said)
    }
    case 'rejected':
      // Asked again and again, it says the same: once is enough.
      return isAsked && refund.sends === 1
        ? written({ reason: `status_${evidence.status}` }, [], {}, evidence.said)
        : undefined
    case 'no_room':
      return isAsked && refund.sends === 0 ? step('failed') : undefined
    case 'missing':
      return isAsked && refund.refused === STATUS.failed && refund.missing_at_ms === null
        ? written({ reason: 'not_found_after_refusal' }, [], { missing_at_ms: evidence.nowMs })
        : undefined
    case 'never_arrived':
      return isAsked && refund.refused === STATUS.failed && refund.missing_at_ms !== null
        ? step('failed', { status: STATUS.failed, reason: 'never_arrived' })
        : undefined
    case 'state': {
      const { meaning, wallet_state, refund_id } = evidence
      // Money went back, or is stuck on its way, that our sum says is there.
      const isHeldThere = meaning === 'succeeded' || meaning === 'needs_person'
      if (refund.state === 'failed' && isHeldThere && refund.wallet_state !== wallet_state) {
        const reason = `failed_here_${meaning}_there`
        return written({ reason, wallet_state }, [matter('refund_mismatch', { reason })], { wallet_state })
      }
      const isPaidTwice = refund.state === 'succeeded' && refund.ended_by !== null
      if (isPaidTwice && meaning === 'succeeded' && refund.wallet_state !== wallet_state) {
        const reason = 'paid_out_here_succeeded_there'
        return written({ reason, wallet_state }, [matter('refund_mismatch', { reason })], { wallet_state })
      }
      if (isSettled(refund.state) && refund.state !== 'needs_person') return undefined
      const to = meaning === 'processing' ? 'accepted' : meaning
      if (refund.state === to || (refund.state === 'needs_person' && to !== 'succeeded')) return undefined
      const underWay = meaning === 'processing' ? { affirmed_at: at } : {}
      return step(to, { wallet_state }, { wallet_state, refund_id, ...underWay })
    }
    case 'person': {
      const { ending, id, note } = evidence
      const notes = { by: 'person', actor: id, reason: ending }
      const isMeant =
        ending === 'given_up'
          ? !isSettled(refund.state) || refund.state === 'needs_person'
          : refund.state === 'needs_person' || (refund.state === 'failed' && hasRoom())
      if (!isMeant) return undefined
      return { ...step(ending === 'paid_out' ? 'succeeded' : 'failed', notes, { ended_by: id }), note }
    }
    case 'mismatch':
      return written({ reason: 'answer_does_not_match_refund', fields: evidence.fields }, [
        matter('refund_mismatch', { fields: evidence.fields }),
      ])
    case 'not_found':
    case 'nothing':
      return undefined
  }

  /** For one that had let go of its money. */
  function hasRoom(): boolean {
    return hasMoney(order.state) && order.reserved_fen + refund.refund_fee <= order.total_fee
  }

  /** No money moves; it is written down. */
  function written(
    detail: EventDetail,
    anomalies: NewAnomaly[],
    change: RefundChange = {},
    said: string | null = null,
  ): RefundMove {
    return {
      change: { refund: change, order: {} },
      detail: { out_refund_no: refund.out_refund_no, ...detail },
      note: said,
      messages: [],
      anomalies,
    }
  }

  function step(state: RefundState, notes: EventDetail = {}, more: RefundChange = {}): RefundMove {
    const after = { ...refund, state, ...more }
    const { refund_fee: fee, out_refund_no } = refund
    const refunded_fen = order.refunded_fen + (state === 'succeeded' ? fee : 0)
    const released = holdsMoney(refund.state) && !holdsMoney(state)
    const reclaimed = !holdsMoney(refund.state) && holdsMoney(state)
    const money: Change = {
      ...(state === 'succeeded' ? { refunded_fen } : {}),
      ...(released ? { reserved_fen: order.reserved_fen - fee } : {}),
      ...(reclaimed ? { reserved_fen: order.reserved_fen + fee } : {}),
      // Money that came late still has to go back, whoever asked for the refund that failed.
      ...(released && goesBack(order) ? { due_in_ms: (tried > 1 ? AGAIN_LATER_S : AGAIN_S) * 1000 } : {}),
      // The whole amount went back: the purchase is free for another attempt.
      ...(refunded_fen === order.total_fee
        ? { state: 'refunded' as const, purchase_slot: null, due_in_ms: null }
        : {}),
    }
    const told = state === 'succeeded' || state === 'failed' ? (`refund.${state}` as const) : undefined
    return {
      change: {
        refund: {
          state,
          ...more,
          looks: 0,
          due_in_ms: isSettled(state) ? null : nextRefundLookS({ looks: 0 }) * 1000,
        },
        order: money,
      },
      detail: { out_refund_no, refund_fee: fee, from_refund: refund.state, to_refund: state, ...notes },
      messages: told ? [refundMessage(told, moved(order, money), after, at)] : [],
      anomalies: anomaliesOf(state),
    }
  }

  function anomaliesOf(state: RefundState): NewAnomaly[] {
    const { refund_fee } = refund
    if (state === 'needs_person') return [matter('refund_needs_person', { refund_fee })]
    // Nobody waits for the answer to one we made ourselves. Each attempt has a number of its own, and all are one matter.
    if (state === 'failed' && refund.origin === 'automatic' && evidence.proves !== 'person')
      return [{ ...matter('refund_unresolved', { refund_fee }), about: 'automatic' }]
    return []
  }

  function matter(
    kind: 'refund_mismatch' | 'refund_needs_person' | 'refund_unresolved',
    more: NewAnomaly['evidence'],
  ): NewAnomaly {
    const { out_refund_no } = refund
    return { ...about(order, kind, { out_refund_no, ...more }), about: out_refund_no }
  }
}

/** Money that came for a closed order, and that is not kept. */
const goesBack = ({ state, late_policy, flag }: Order): boolean =>
  state === 'paid_after_close' && late_policy === 'refund' && (flag === null || flag === 'unresolved')
