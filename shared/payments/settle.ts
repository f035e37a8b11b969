import { Fault } from '../base/errors'
import { nowS } from '../base/time'
import type { AnomalyKind, NewAnomaly } from '../order/anomaly'
import type { MessageType, NewMessage } from '../order/message'
import type { EventDetail, EventKind, LatePolicy, Order } from '../order/order'
import { firstLookS, NOT_FOUND_AFTER_S } from '../order/schedule'
import { hasMoney, isKnownState, isOpen, MOVES, type OrderState } from '../order/state'
import { findOrder, findOrderOfPurchase, moved, moveOrder, type Change, type OrderKey } from '../store/orders'
import type { Payments } from './context'
import { isFinalNo, saysPaid, takesNumberAway, type Evidence } from './evidence'
import { orderMessage } from './messages'
import { about } from './raise'
import { shippingBeside } from './shipping'

/** What an order's row becomes: the change, the event that tells of it, and who else is to be told. */
export type Move = {
  change: Change
  kind: EventKind
  detail: EventDetail
  note?: string | null
  messages?: NewMessage[]
  anomalies?: NewAnomaly[]
}

/** What a decision needs beside the row and the evidence. */
export type Circumstances = {
  nowS: number
  closeNotBeforeS: number
  latePayment: LatePolicy
  /** Another order of the same purchase is, or may be, the one that is paid. */
  isSecond: boolean
}

/** Losing a race is normal; losing this often means something else is wrong. */
const ATTEMPTS = 6
/** A verified notification and nothing to show for it. */
const NOTIFIED_MAX_MS = 600_000

/**
 * The one road from evidence to a stored order: decide on the row as read, write guarded by exactly that row, and on
 * a lost race read again and decide again. Returns the order as committed. Applying the same evidence again changes
 * nothing.
 */
export async function settle<O extends Order>(payments: Payments, order: O, evidence: Evidence): Promise<O> {
  let current = order
  let isSecond = false
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    isSecond ||= await isSecondPayment(payments, current, evidence)
    const { closeNotBeforeS, latePayment } = payments.settings
    const at = nowS(payments.clock)
    const move = decide(current, evidence, { nowS: at, closeNotBeforeS, latePayment, isSecond })
    if (move === undefined) return current
    const outcome = await carryOut(payments, current, move, at)
    if (outcome === 'done') return moved(current, move.change)
    if (outcome === 'taken') isSecond = true
    current = await readAgain(payments, current)
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for an order') })
}

/** Writes a move, and says so in the log once it is committed. */
export async function carryOut(payments: Payments, order: Order, move: Move, at: number) {
  const { change, kind, detail, note, anomalies } = move
  const shipping = shippingBeside(payments, order, change, at)
  const beside = {
    messages: [...(move.messages ?? []), ...shipping.messages],
    anomalies: [...(anomalies ?? []), ...shipping.anomalies],
  }
  const outcome = await moveOrder(
    payments.store,
    order,
    change,
    { at, kind, detail, note: note ?? null },
    beside,
  )
  if (outcome === 'done') {
    const to = change.state ?? order.state
    payments.log({
      event: kind === 'anomaly' ? 'order.anomaly' : 'order.moved',
      count: anomalies?.[0] ? `anomaly.${anomalies[0].kind}` : `order.${to}`,
      level: kind === 'anomaly' ? 'warn' : 'info',
      out_trade_no: order.out_trade_no,
      payer: payments.payerTag(order),
      from: order.state,
      to,
      ...detail,
    })
  }
  return outcome
}

export async function readAgain<O extends Order>(payments: Payments, key: OrderKey): Promise<O> {
  const found = await findOrder(payments.store, key)
  // Rows are never deleted: another database server has taken over that had not heard of it yet.
  if (!found) throw new Fault('database_unavailable', { cause: new Error('an order row has vanished') })
  return found as unknown as O
}

/** Late money for a purchase that another order is being paid for. */
async function isSecondPayment(payments: Payments, order: Order, evidence: Evidence): Promise<boolean> {
  const { merchant_order_id: purchase, state } = order
  const late = state === 'closed' || state === 'failed'
  if (purchase === null || !late || evidence.proves !== 'wallet' || !saysPaid(evidence.meaning)) return false
  const holder = await findOrderOfPurchase(payments.store, order.out_sub_mch_id, purchase)
  return holder !== undefined && holder.out_trade_no !== order.out_trade_no
}

/** Pure: what this evidence makes of this row, or nothing. */
export function decide(order: Order, evidence: Evidence, around: Circumstances): Move | undefined {
  // Nothing is known of what a newer version may be in the middle of.
  if (!isKnownState(order.state)) return undefined
  switch (evidence.proves) {
    case 'accepted':
      // Whoever comes late finds the first hand-over already there, and the first one stays.
      if (order.state !== 'created' || order.flag !== null) return undefined
      return enter(
        order,
        'pending',
        around,
        { by: 'create', ...evidence.notes },
        {
          jsapi_args: evidence.jsapi_args,
        },
      )

    case 'refused': {
      const neverTaken = order.state !== 'pending' && order.jsapi_args === null && !hasMoney(order.state)
      if (!neverTaken) return undefined
      const detail = {
        by: 'create',
        status: evidence.status,
        ...(evidence.internalStatus === undefined ? {} : { internal_status: evidence.internalStatus }),
      }
      const flag = takesNumberAway(evidence) ? { flag: 'create_answered_102' as const } : {}
      if (order.state === 'created' && isFinalNo(evidence, order)) {
        const move = { ...enter(order, 'failed', around, detail, flag), note: evidence.said }
        return flag.flag ? { ...move, anomalies: [about(order, 'number_not_ours', detail)] } : move
      }
      // Not ours to conclude from; but a 102 is remembered, once, also when the order has been closed meanwhile.
      if (!flag.flag || order.flag !== null) return undefined
      return {
        ...flagged(order, 'number_not_ours', { ...detail, reason: 'number_may_not_be_ours' }, flag),
        note: evidence.said,
      }
    }

    case 'wallet':
      return decideOnWallet(order, evidence, around)

    case 'not_found': {
      // Long after the expiry no create of ours can still be under way. Two looks, because one may be a replica's.
      if (!isOpen(order.state) || around.nowS < order.time_expire + NOT_FOUND_AFTER_S) return undefined
      const detail = { by: 'query', not_found: true }
      if (order.not_founds === 0) return { change: { not_founds: 1 }, kind: 'asked', detail }
      return enter(order, order.state === 'created' ? 'failed' : 'closed', around, detail)
    }

    case 'close_refused':
      if (order.state !== 'closing') return undefined
      return { ...enter(order, 'pending', around, { by: 'close_refused' }), note: evidence.said }

    case 'mismatch': {
      const amount = evidence.fields.some((field) => /total_fee$|fee_type$/.test(field))
      const detail = { reason: 'answer_does_not_match_order', fields: evidence.fields }
      if (evidence.paid === true && amount) {
        const flag = order.flag === null ? { flag: 'amount_differs' as const } : {}
        return flagged(order, 'amount_differs', detail, flag)
      }
      return flagged(order, 'answer_mismatch', detail, {})
    }

    case 'nothing':
      return undefined
  }
}

function decideOnWallet(
  order: Order,
  evidence: Extract<Evidence, { proves: 'wallet' }>,
  around: Circumstances,
): Move | undefined {
  const { wallet_state, meaning, notes, money } = evidence
  const verdict = MOVES[order.state][meaning]
  const detail = { by: 'query', wallet_state, ...notes }
  if (!('to' in verdict)) {
    if (verdict.stay !== 'contradiction') return undefined
    return anomalyOnce(order, wallet_state, 'answers_contradict', { ...detail, reason: 'answers_contradict' })
  }
  const { to } = verdict
  const isPayment = to === 'paid' || to === 'paid_after_close'
  if (isPayment && order.flag === 'create_answered_102') {
    const reason = { ...detail, reason: 'payment_on_flagged_order' }
    return anomalyOnce(order, wallet_state, 'payment_not_believed', reason)
  }
  // What went back already is for the refund look-up to say: the timer's next work.
  const lookUp = isPayment && meaning === 'paid_then_refund' ? { due_in_ms: 0 } : {}
  // Paid, and nobody says when: the day on which we learnt of it counts.
  const paid_at = money.paid_at ?? around.nowS
  const paid = { wallet_state, ...(isPayment ? { ...money, paid_at } : {}), ...lookUp }
  if (to !== 'paid_after_close') return enter(order, to, around, detail, paid)

  const late_policy = around.isSecond ? 'refund' : around.latePayment
  const second = { kind: 'second_payment' as const, evidence: { purchase: order.merchant_order_id } }
  const move = enter(
    order,
    to,
    around,
    { ...detail, late_policy },
    {
      ...paid,
      late_policy,
      ...(late_policy === 'refund' ? { due_in_ms: 0 } : { purchase_slot: order.merchant_order_id }),
    },
  )
  return around.isSecond ? { ...move, anomalies: [about(order, second.kind, second.evidence)] } : move
}

/** A move into a state, with all that belongs to being there. */
function enter(
  order: Order,
  state: OrderState,
  around: Circumstances,
  detail: EventDetail,
  more: Change = {},
): Move {
  const firstS = firstLookS(state, order, around.nowS, around.closeNotBeforeS)
  const ended = state === 'closed' || state === 'failed'
  const change: Change = {
    state,
    lease_until_ms: 0,
    seen: 0,
    looks: 0,
    fruitless: 0,
    not_founds: 0,
    due_in_ms: firstS === null ? null : firstS * 1000,
    ...(ended ? { purchase_slot: null } : {}),
    ...(order.flag === 'unresolved' ? { flag: null } : {}),
    // A signed answer: nobody sends that text again.
    ...(order.author_code_sealed === null ? {} : { author_code_sealed: null }),
    ...more,
  }
  const told = MESSAGES[state]
  const anomalies =
    ended && order.notified_at_ms !== null ? [about(order, 'notified_but_unpaid', { ended: state })] : []
  return {
    change,
    kind: 'moved',
    detail,
    ...(told ? { messages: [orderMessage(told, moved(order, change), around.nowS)] } : {}),
    ...(anomalies.length > 0 ? { anomalies } : {}),
  }
}

const MESSAGES = {
  paid: 'order.paid',
  closed: 'order.closed',
  paid_after_close: 'order.paid_after_close',
} as const satisfies Partial<Record<OrderState, MessageType>> as Partial<Record<OrderState, MessageType>>

/** Asked for by its owner or by the timer at its expiry. */
export function startClosing(order: Order, by: 'request' | 'expiry', around: Circumstances): Move {
  const move = enter(order, 'closing', around, { by })
  if (by === 'request') return move
  // The timer has it in hand already: another run must not find it due.
  const { due_in_ms: _, ...change } = move.change
  return { ...move, change }
}

function flagged(order: Order, kind: AnomalyKind, detail: EventDetail, change: Change): Move {
  return { change, kind: 'anomaly', detail, anomalies: [about(order, kind, detail)] }
}

/** The wallet state is stored with the anomaly, so that asking again does not write it again. */
const anomalyOnce = (
  order: Order,
  wallet_state: number,
  kind: AnomalyKind,
  detail: EventDetail,
): Move | undefined =>
  order.wallet_state === wallet_state ? undefined : flagged(order, kind, detail, { wallet_state })

/** Seconds until a notification has been in vain, while that is still ahead; otherwise never. */
export function untilInVainS(order: Order, databaseNowMs: number): number {
  if (!isOpen(order.state) || order.notified_at_ms === null) return Infinity
  const leftMs = order.notified_at_ms + NOTIFIED_MAX_MS - databaseNowMs
  return leftMs >= 0 ? leftMs / 1000 + 1 : Infinity
}

/** Ten minutes after a verified notification our own queries still do not say paid. */
export const isNotifiedInVain = (order: Order, databaseNowMs: number): boolean =>
  isOpen(order.state) &&
  order.notified_at_ms !== null &&
  databaseNowMs - order.notified_at_ms > NOTIFIED_MAX_MS
