import { makeNonce } from '../base/random'
import type { Deadline } from '../base/time'
import { queryRefundOrder, type QueryRefundRequest } from '../cloudpay/schema'
import type { Order } from '../order/order'
import type { Refund } from '../order/refund'
import { aboutOrder, askCloudPay, callBudgetMs, type Payments } from './context'
import { evidenceForLog } from './evidence'
import type { evidenceOfRefund } from './refundEvidence'

/** One refund of an order by its number, or all of them; nothing when there is no time left to ask. */
export async function queryRefunds(
  payments: Payments,
  order: Order,
  out_refund_no: string | undefined,
  deadline: Deadline,
) {
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (timeoutMs === undefined) return undefined
  const request: QueryRefundRequest = {
    ...aboutOrder(payments, order),
    out_trade_no: order.out_trade_no,
    ...(out_refund_no === undefined ? {} : { out_refund_no }),
    nonce_str: makeNonce(payments.random),
  }
  return askCloudPay(payments, order, queryRefundOrder, JSON.stringify(request), { timeoutMs })
}

export function logRefund(
  payments: Payments,
  refund: Refund,
  event: string,
  evidence: ReturnType<typeof evidenceOfRefund>,
): void {
  payments.log({
    event,
    count: `${event}.${evidence.proves}`,
    out_trade_no: refund.out_trade_no,
    out_refund_no: refund.out_refund_no,
    sends: refund.sends,
    ...evidenceForLog(evidence),
  })
}
