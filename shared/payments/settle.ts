import { Fault } from '../base/errors'
import { nowS } from '../base/time'
import type { EventDetail, EventKind, Order } from '../order/order'
import { MOVES } from '../order/state'
import { findOrder, moved, moveOrder, type OrderKey } from '../store/orders'
import type { Payments } from './context'
import { isFinalNo, takesNumberAway, type Evidence } from './evidence'

/** What an order's row becomes: the change and the event that tells of it. */
type Move = {
  change: Parameters<typeof moveOrder>[2]
  kind: EventKind
  detail: EventDetail
}

/** Losing a race is normal; losing this often means something else is wrong. */
const ATTEMPTS = 6

/**
 * The one road from evidence to a stored order: decide on the row as read, write guarded by exactly that row, and on
 * a lost race read again and decide again. Returns the order as committed. Applying the same evidence again changes
 * nothing.
 */
export async function settle<O extends Order>(payments: Payments, order: O, evidence: Evidence): Promise<O> {
  let current = order
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const move = decide(current, evidence)
    if (move === undefined) return current
    const at = nowS(payments.clock)
    const outcome = await moveOrder(payments.store, current, move.change, {
      at,
      kind: move.kind,
      detail: move.detail,
    })
    if (outcome === 'done') {
      const after = moved(current, move.change)
      payments.log({
        event: move.kind === 'anomaly' ? 'order.anomaly' : 'order.moved',
        level: move.kind === 'anomaly' ? 'warn' : 'info',
        out_trade_no: after.out_trade_no,
        from: current.state,
        to: after.state,
        ...move.detail,
      })
      return after
    }
    current = await readAgain(payments, current)
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for an order') })
}

export async function readAgain<O extends Order>(payments: Payments, key: OrderKey): Promise<O> {
  const found = await findOrder(payments.store, key)
  if (!found) throw new Error('an order row has vanished')
  return found as unknown as O
}

/** Pure: what this evidence makes of this row, or nothing. */
export function decide(order: Order, evidence: Evidence): Move | undefined {
  switch (evidence.proves) {
    case 'accepted':
      // Whoever comes late finds the first hand-over already there, and the first one stays.
      if (order.state !== 'created' || order.flag !== null) return undefined
      return {
        change: { state: 'pending', jsapi_args: evidence.jsapi_args, lease_until_ms: 0 },
        kind: 'moved',
        detail: { by: 'create', ...evidence.notes },
      }

    case 'refused': {
      if (order.state !== 'created') return undefined
      const detail = {
        by: 'create',
        status: evidence.status,
        ...(evidence.internalStatus === undefined ? {} : { internal_status: evidence.internalStatus }),
      }
      const flag = takesNumberAway(evidence) ? { flag: 'create_answered_102' as const } : {}
      if (isFinalNo(evidence, order)) {
        return { change: { state: 'failed', lease_until_ms: 0, ...flag }, kind: 'moved', detail }
      }
      // Not ours to conclude from; but a 102 is remembered, once.
      if (!flag.flag || order.flag !== null) return undefined
      return { change: flag, kind: 'anomaly', detail: { ...detail, reason: 'number_may_not_be_ours' } }
    }

    case 'wallet': {
      const verdict = MOVES[order.state][evidence.meaning]
      const detail = { by: 'query', wallet_state: evidence.wallet_state, ...evidence.notes }
      if ('to' in verdict) {
        const isPayment = verdict.to === 'paid' || verdict.to === 'paid_after_close'
        if (isPayment && order.flag !== null) {
          return anomalyOnce(order, evidence.wallet_state, { ...detail, reason: 'payment_on_flagged_order' })
        }
        return {
          change: {
            state: verdict.to,
            wallet_state: evidence.wallet_state,
            lease_until_ms: 0,
            ...(isPayment ? evidence.money : {}),
          },
          kind: 'moved',
          detail,
        }
      }
      if (verdict.stay === 'contradiction') {
        return anomalyOnce(order, evidence.wallet_state, { ...detail, reason: 'answers_contradict' })
      }
      return undefined
    }

    case 'mismatch':
      return {
        change: {},
        kind: 'anomaly',
        detail: { reason: 'answer_does_not_match_order', fields: evidence.fields },
      }

    case 'not_found':
    case 'nothing':
      return undefined
  }
}

/** The wallet state is stored with the anomaly, so that asking again does not write it again. */
const anomalyOnce = (order: Order, wallet_state: number, detail: EventDetail): Move | undefined =>
  order.wallet_state === wallet_state ? undefined : { change: { wallet_state }, kind: 'anomaly', detail }
