import type { Caller } from '../base/caller'
import { Fault, isOfDatabase } from '../base/errors'
import { makeNonce } from '../base/random'
import { nowS, type Deadline } from '../base/time'
import { closeOrder as closeOrderInterface, type CloseRequest } from '../cloudpay/schema'
import type { Order } from '../order/order'
import { isOpen } from '../order/state'
import { holdLooks, moved } from '../store/orders'
import { LOOK_INTERVAL_MS, LOOK_INTERVAL_S, mayLook } from './budget'
import { aboutOrder, askCloudPay, callBudgetMs, type Payments } from './context'
import type { Evidence } from './evidence'
import { isMicro } from './micro'
import { findOwnOrder, lookUpstream } from './refresh'
import { carryOut, readAgain, settle, startClosing } from './settle'

/**
 * Closing is decided upstream: ask, look again, only then say `closed`. What a close answers proves that it was
 * accepted, never that nobody pays; a payment that won the race wins.
 */

const ATTEMPTS = 6

/**
 * Closes the caller's order, as far as that is possible now. Returns it `closed` or `failed`, or still `closing`, also when
 * it was asked about a moment ago: the timer goes on. Throws `order_not_closable` for money that came first.
 */
export async function closeOrder(
  payments: Payments,
  caller: Caller,
  out_trade_no: string,
  deadline: Deadline,
): Promise<Order> {
  const found = await findOwnOrder(payments, caller, out_trade_no)
  if (isNotOursToClose(found))
    throw new Fault('order_not_closable', { extra: { out_trade_no, state: found.state } })
  if (isMicro(found) && isOpen(found.state))
    throw new Fault('micro_pay_not_closable', { extra: { out_trade_no, state: found.state } })
  const { order: closing, isBegun } = await enterClosing(payments, found, 'request')
  const isAsked = closing.state === 'closing' && (await mayLook(payments, caller, closing, isBegun))
  const order = isAsked ? await pushOrLeave(payments, closing, deadline) : closing
  if (order.state === 'closing' || order.state === 'closed' || order.state === 'failed') return order
  throw new Fault('order_not_closable', { extra: { out_trade_no, state: order.state } })
}

/** It is closing, whatever the database does after that: the timer goes on. */
async function pushOrLeave(payments: Payments, closing: Order, deadline: Deadline): Promise<Order> {
  try {
    return (await pushClosing(payments, closing, deadline)).order
  } catch (error) {
    if (isOfDatabase(error)) return closing
    throw error
  }
}

/** The number may be somebody else's order: closing it would close theirs. */
export const isNotOursToClose = (order: Order): boolean => order.flag === 'create_answered_102'

/**
 * Created and pending orders become closing, but for those of micro_pay; whatever else it is, or has become, stays and is
 * returned. `isBegun`: it was this call that made it closing, which happens again only after Cloud Pay has refused a close.
 */
export async function enterClosing<O extends Order>(
  payments: Payments,
  order: O,
  by: 'request' | 'expiry',
): Promise<{ order: O; isBegun: boolean }> {
  let current = order
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if ((current.state !== 'created' && current.state !== 'pending') || isMicro(current))
      return { order: current, isBegun: false }
    const at = nowS(payments.clock)
    const { closeNotBeforeS, latePayment } = payments.settings
    const move = startClosing(current, by, { nowS: at, closeNotBeforeS, latePayment, isSecond: false })
    if ((await carryOut(payments, current, move, at)) === 'done')
      return { order: moved(current, move.change), isBegun: true }
    current = await readAgain(payments, current)
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for an order') })
}

/**
 * Upstream is asked no earlier: a payer may be half-way through, and WeChat advises five minutes. Of micro_pay never: a
 * close after 407, or while the payer is typing, gives back money that was paid.
 */
export const mayAskToClose = (payments: Payments, order: Order): boolean =>
  !isMicro(order) && nowS(payments.clock) >= order.created_at + payments.settings.closeNotBeforeS

/** Look, ask to close, look again. `learned`: the last look brought a verified answer. */
export async function pushClosing<O extends Order>(
  payments: Payments,
  order: O,
  deadline: Deadline,
): Promise<{ order: O; learned: boolean }> {
  const before = await lookUpstream(payments, order, deadline)
  const frozen = before.order.flag === 'amount_differs'
  if (before.order.state !== 'closing' || frozen || !mayAskToClose(payments, order)) return before
  // What is not there cannot be closed; and a not-found is believed only after looks that are some time apart.
  if (before.evidence.proves === 'not_found') return before
  const refusal = await askToClose(payments, before.order, deadline)
  const after = await lookUpstream(payments, before.order, deadline)
  if (after.order.state !== 'closing' || !refusal || !saysWaiting(after.evidence)) return after
  // Refused, and the payer can still pay: it is not closing, whoever would like it to.
  // The next close begins anew, which does not wait for earlier looks; so for three seconds nobody may look.
  await holdLooks(payments.store, order, LOOK_INTERVAL_MS)
  return {
    ...after,
    order: await settle(payments, after.order, { proves: 'close_refused', said: refusal.said }),
  }
}

const saysWaiting = (evidence: Evidence): boolean =>
  evidence.proves === 'wallet' && evidence.meaning === 'waiting'

/** A signed refusal, with what it says, or nothing. */
async function askToClose(
  payments: Payments,
  order: Order,
  deadline: Deadline,
): Promise<{ said: string | null } | undefined> {
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (timeoutMs === undefined) return undefined
  const request: CloseRequest = {
    ...aboutOrder(payments, order),
    out_trade_no: order.out_trade_no,
    trade_type: order.trade_type,
    nonce_str: makeNonce(payments.random),
  }
  const answer = await askCloudPay(payments, order, closeOrderInterface, JSON.stringify(request), {
    timeoutMs,
  })
  payments.log({
    event: 'order.close_asked',
    count: `close.${answer.outcome}`,
    out_trade_no: order.out_trade_no,
    payer: payments.payerTag(order),
    outcome: answer.outcome,
    ...(answer.outcome === 'unknown' ? { why: answer.why } : {}),
    ...((answer.outcome === 'no' || answer.outcome === 'rejected') && answer.said !== null
      ? { status: answer.status, said: answer.said }
      : {}),
    ...(answer.logId === undefined ? {} : { log_id: answer.logId }),
  })
  return answer.outcome === 'no' ? { said: answer.said } : undefined
}

/**
 * Another order of the same purchase stands in the way of a new one: it is closed first, with proof from upstream, or
 * the new one is refused. Returns when the way is free.
 */
export async function makeWay(
  payments: Payments,
  caller: Caller,
  holder: Order,
  deadline: Deadline,
): Promise<void> {
  const refusal = (order: Order) => {
    const open = order.state === 'created' || order.state === 'pending' || order.state === 'closing'
    const waitS = order.created_at + payments.settings.closeNotBeforeS - nowS(payments.clock)
    return new Fault(open ? 'purchase_open' : 'purchase_paid', {
      ...(open ? { retryAfterS: Math.max(LOOK_INTERVAL_S, waitS) } : {}),
      // Another caller's order is not theirs to hear of.
      extra: order.caller === caller.id ? { out_trade_no: order.out_trade_no } : {},
    })
  }
  if (holder.caller !== caller.id || isNotOursToClose(holder) || !mayAskToClose(payments, holder))
    throw refusal(holder)
  const { order: closing, isBegun } = await enterClosing(payments, holder, 'request')
  const isAsked = closing.state === 'closing' && (await mayLook(payments, caller, closing, isBegun))
  const { order } = isAsked ? await pushClosing(payments, closing, deadline) : { order: closing }
  if (order.state !== 'closed' && order.state !== 'failed') throw refusal(order)
}
