import { Fault } from '../base/errors'
import { nowS } from '../base/time'
import type { NewAnomaly } from '../order/anomaly'
import type { NewMessage } from '../order/message'
import type { EventDetail, Order } from '../order/order'
import { holdsMoney, isKnownRefundState, isSettled, type Refund, type RefundState } from '../order/refund'
import { nextRefundLookS } from '../order/schedule'
import { isKnownState } from '../order/state'
import { moved, type Change } from '../store/orders'
import { findRefund, moveRefund, type RefundChange } from '../store/refunds'
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
    const move = decideRefund(order, refund, evidence, at)
    if (move === undefined) return { order, refund }
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

export async function readBoth(payments: Payments, key: Refund): Promise<Both> {
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

/** Pure: what this evidence makes of this refund and of its order's money, or nothing. */
export function decideRefund(
  order: Order,
  refund: Refund,
  evidence: RefundEvidence,
  at: number,
): RefundMove | undefined {
  if (!isKnownState(order.state) || !isKnownRefundState(refund.state)) return undefined
  switch (evidence.proves) {
    case 'accepted':
      return refund.state === 'requested' ? step('accepted') : undefined
    case 'refused':
      // Only as the answer to the only transmission ever made: after an unknown this no may be about the second one
      // while the first is being carried out.
      return refund.state === 'requested' && refund.sends === 1 && mayBeFinal(evidence.internalStatus)
        ? { ...step('failed', { status: evidence.status }), note: evidence.said }
        : undefined
    case 'rejected':
      // Asked again and again, it says the same: once is enough.
      return refund.state === 'requested' && refund.sends === 1
        ? note({ reason: `status_${evidence.status}` }, [], evidence.said)
        : undefined
    case 'no_room':
      return refund.state === 'requested' && refund.sends === 0 ? step('failed') : undefined
    case 'state': {
      if (isSettled(refund.state) && refund.state !== 'needs_person') return undefined
      const { meaning, wallet_state, refund_id } = evidence
      const to = meaning === 'processing' ? 'accepted' : meaning
      if (refund.state === to || (refund.state === 'needs_person' && to !== 'succeeded')) return undefined
      return step(to, { wallet_state }, { wallet_state, refund_id })
    }
    case 'mismatch':
      return note({ reason: 'answer_does_not_match_refund', fields: evidence.fields }, [
        matter('refund_mismatch', { fields: evidence.fields }),
      ])
    case 'not_found':
    case 'nothing':
      return undefined
  }

  /** Nothing moves; it is written down. */
  function note(detail: EventDetail, anomalies: NewAnomaly[], said: string | null = null): RefundMove {
    return {
      change: { refund: {}, order: {} },
      detail: { out_refund_no: refund.out_refund_no, ...detail },
      note: said,
      messages: [],
      anomalies,
    }
  }

  function step(
    state: RefundState,
    notes: Record<string, number> = {},
    more: Partial<Pick<Refund, 'wallet_state' | 'refund_id'>> = {},
  ): RefundMove {
    const after = { ...refund, state, ...more }
    const { refund_fee: fee, out_refund_no } = refund
    const refunded_fen = order.refunded_fen + (state === 'succeeded' ? fee : 0)
    const released = holdsMoney(refund.state) && !holdsMoney(state)
    const money: Change = {
      ...(state === 'succeeded' ? { refunded_fen } : {}),
      ...(released ? { reserved_fen: order.reserved_fen - fee } : {}),
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
      anomalies:
        state === 'needs_person'
          ? [matter('refund_needs_person', { refund_fee: fee })]
          : // Nobody waits for the answer to one we made ourselves, and another number would be another refund.
            state === 'failed' && refund.origin === 'automatic'
            ? [matter('refund_unresolved', { refund_fee: fee })]
            : [],
    }
  }

  function matter(
    kind: 'refund_mismatch' | 'refund_needs_person' | 'refund_unresolved',
    more: Record<string, number | string[]>,
  ): NewAnomaly {
    const { out_refund_no } = refund
    return { ...about(order, kind, { out_refund_no, ...more }), about: out_refund_no }
  }
}
