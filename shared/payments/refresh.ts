import type { Caller } from '../base/caller'
import { Fault } from '../base/errors'
import { makeNonce } from '../base/random'
import type { Deadline } from '../base/time'
import { queryOrder, type QueryRequest } from '../cloudpay/schema'
import type { Order, OrderEvent } from '../order/order'
import type { Refund } from '../order/refund'
import { canStillChange } from '../order/state'
import { findOwnedOrder, listEvents, type Owner } from '../store/orders'
import { listRefunds } from '../store/refunds'
import { mayLook } from './budget'
import { aboutOrder, askCloudPay, callBudgetMs, type Payments } from './context'
import { evidenceForLog, evidenceOfQuery, type Evidence } from './evidence'
import { isMicro, leaveUndecided } from './micro'
import { settle } from './settle'

export type OrderStatus = {
  order: Order
  refunds: Refund[]
  events: OrderEvent[]
  /** Asked for a refresh: whether a verified answer came; not when the look was one too many. `undefined` when none was asked for. */
  refreshed: boolean | undefined
}

/**
 * The caller's own order, or the Fault `order_not_found`: what is not theirs is not there. A payer's are those they pay,
 * whoever made them; a merchant's all those of the sub-merchant.
 */
export async function findOwnOrder(payments: Payments, caller: Caller, out_trade_no: string) {
  const out_sub_mch_id = caller.out_sub_mch_id ?? payments.merchants.ofNumber(out_trade_no)?.out_sub_mch_id
  const key = out_sub_mch_id !== undefined && { out_sub_mch_id, out_trade_no }
  const order = key && (await findOwnedOrder(payments.store, key, ownerOf(caller)))
  if (!order) throw new Fault('order_not_found')
  return order
}

function ownerOf({ id, kind, payer, out_sub_mch_id }: Caller): Owner {
  if (payer) return { by: 'payer', payer_field: payer.field, payer_id: payer.id }
  if (kind === 'merchant' && out_sub_mch_id !== undefined) return { by: 'merchant' }
  return { by: 'caller', caller: id }
}

/**
 * Reads an order for its owner. With `refresh`, asks Cloud Pay first if the order can still change and nobody asked
 * in the last seconds.
 */
export async function readStatus(
  payments: Payments,
  caller: Caller,
  out_trade_no: string,
  refresh: boolean,
  deadline: Deadline,
): Promise<OrderStatus> {
  let order: Order = await findOwnOrder(payments, caller, out_trade_no)
  let refreshed: boolean | undefined
  if (refresh) {
    refreshed = false
    if (canStillChange(order.state) && (await mayLook(payments, caller, order))) {
      const look = await lookUpstream(payments, order, deadline)
      order = look.order
      refreshed = look.learned
    }
  }
  const [refunds, events] = [
    order.reserved_fen > 0 || order.state === 'paid_after_close'
      ? await listRefunds(payments.store, order)
      : [],
    await listEvents(payments.store, order),
  ]
  return { order, refunds, events, refreshed }
}

/** One `query_order`, settled. `learned`: a verified answer about this order came, whatever it said. */
export async function lookUpstream<O extends Order>(
  payments: Payments,
  order: O,
  deadline: Deadline,
): Promise<{ order: O; learned: boolean; evidence: Evidence }> {
  const evidence = await queryEvidence(payments, order, deadline)
  const settled = await settle(payments, order, evidence)
  return {
    order: isMicro(settled) ? await leaveUndecided(payments, settled) : settled,
    learned: evidence.proves === 'wallet' || evidence.proves === 'not_found',
    evidence,
  }
}

/** The `query_order` itself. */
export function askAboutOrder(
  payments: Payments,
  order: Parameters<typeof aboutOrder>[1] & Pick<Order, 'out_trade_no' | 'trade_type'>,
  timeoutMs: number,
) {
  const request: QueryRequest = {
    ...aboutOrder(payments, order),
    out_trade_no: order.out_trade_no,
    trade_type: order.trade_type,
    nonce_str: makeNonce(payments.random),
  }
  return askCloudPay(payments, order, queryOrder, JSON.stringify(request), { timeoutMs })
}

async function queryEvidence(payments: Payments, order: Order, deadline: Deadline): Promise<Evidence> {
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (timeoutMs === undefined) return { proves: 'nothing', why: 'no_time_left', rejected: false }
  const answer = await askAboutOrder(payments, order, timeoutMs)
  const evidence = evidenceOfQuery(order, answer)
  payments.log({
    event: 'order.looked',
    out_trade_no: order.out_trade_no,
    payer: payments.payerTag(order),
    ...evidenceForLog(evidence),
    ...(answer.logId === undefined ? {} : { log_id: answer.logId }),
  })
  return evidence
}
