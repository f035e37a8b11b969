import type { Caller } from '../base/caller'
import { Fault } from '../base/errors'
import { makeNonce } from '../base/random'
import type { Deadline } from '../base/time'
import { TERMINAL_TYPE } from '../cloudpay/enums'
import { queryOrder, type QueryRequest } from '../cloudpay/schema'
import type { Order, OrderEvent } from '../order/order'
import { canStillChange } from '../order/state'
import { claimLook, findOrder, listEvents } from '../store/orders'
import { callBudgetMs, SDK_VERSION, type Payments } from './context'
import { evidenceOfQuery, type Evidence } from './evidence'
import { settle } from './settle'

/** A stampede of refreshes asks Cloud Pay once in this time. */
export const LOOK_INTERVAL_MS = 3000

export type OrderStatus = {
  order: Order
  events: OrderEvent[]
  /** Asked for a refresh: whether a verified answer came. `undefined` when none was asked for. */
  refreshed: boolean | undefined
}

/**
 * Reads an order for its owner. With `refresh`, asks Cloud Pay first if the order can still change and nobody asked
 * in the last seconds. An order that is not the caller's is not there: same Fault, `order_not_found`.
 */
export async function readStatus(
  payments: Payments,
  caller: Caller,
  out_trade_no: string,
  refresh: boolean,
  deadline: Deadline,
): Promise<OrderStatus> {
  const key = { out_sub_mch_id: payments.merchant.out_sub_mch_id, out_trade_no }
  let order: Order | undefined = await findOrder(payments.store, key)
  if (order?.caller !== caller.id) throw new Fault('order_not_found')
  let refreshed: boolean | undefined
  if (refresh) {
    refreshed = false
    if (canStillChange(order.state) && (await claimLook(payments.store, key, LOOK_INTERVAL_MS)) === 'done') {
      const look = await lookUpstream(payments, order, deadline)
      order = look.order
      refreshed = look.learned
    }
  }
  return { order, events: await listEvents(payments.store, key), refreshed }
}

/** One `query_order`, settled. `learned`: a verified answer about this order came, whatever it said. */
export async function lookUpstream<O extends Order>(
  payments: Payments,
  order: O,
  deadline: Deadline,
): Promise<{ order: O; learned: boolean }> {
  const evidence = await queryEvidence(payments, order, deadline)
  return {
    order: await settle(payments, order, evidence),
    learned: evidence.proves === 'wallet' || evidence.proves === 'not_found',
  }
}

async function queryEvidence(payments: Payments, order: Order, deadline: Deadline): Promise<Evidence> {
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (timeoutMs === undefined) return { proves: 'nothing', why: 'no_time_left', rejected: false }
  const request: QueryRequest = {
    pay_mch_key: {
      pay_platform: order.pay_platform as 1 | 2,
      out_mch_id: order.out_mch_id,
      out_sub_mch_id: order.out_sub_mch_id,
      out_shop_id: order.out_shop_id,
    },
    order_client: {
      terminal_type: TERMINAL_TYPE.other,
      sdk_version: SDK_VERSION,
      spbill_create_ip: payments.settings.spbillCreateIp,
    },
    out_trade_no: order.out_trade_no,
    trade_type: order.trade_type,
    nonce_str: makeNonce(payments.random),
  }
  const answer = await payments.cloudPay.call(queryOrder, JSON.stringify(request), {
    key: payments.authenKey,
    timeoutMs,
  })
  const evidence = evidenceOfQuery(order, answer)
  payments.log({
    event: 'order.looked',
    out_trade_no: order.out_trade_no,
    proves: evidence.proves,
    ...(evidence.proves === 'nothing' ? { why: evidence.why } : {}),
    ...(answer.logId === undefined ? {} : { log_id: answer.logId }),
  })
  return evidence
}
