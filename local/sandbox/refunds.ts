import { nowS } from '../../shared/base/time'
import type { QueryRefundRequest, RefundRequest } from '../../shared/cloudpay/schema'
import { breach, notFound, ok, refuse, type Said } from './answers'
import { plainMchKey, refundContent } from './contents'
import {
  addRefund,
  business,
  finish,
  freshNonce,
  heldFen,
  Refusal,
  settle,
  type Far,
  type LedgerOrder,
  type LedgerRefund,
  type RefundOutcome,
  type SandboxMerchant,
} from './ledger'
import { orderOf, wrongIds } from './orders'

/** `refund` says "accepted" and no more; whether the money went back is for `query_refund_order` to say. */
export function refund(far: Far, merchant: SandboxMerchant, request: RefundRequest): Said {
  const { out_trade_no, out_refund_no, total_fee, refund_fee } = request.refund_content
  const ids = wrongIds(merchant, request.pay_mch_key)
  if (ids !== undefined) return breach(far, merchant, ids)
  if (!out_refund_no.startsWith(merchant.order_prefix))
    return breach(far, merchant, 'out_refund_no lacks the order prefix')

  const known = refundOf(far, out_refund_no)
  if (known) {
    const { order, refund } = known
    const same =
      order.merchant === merchant &&
      refund.request !== undefined &&
      business(refund.request) === business(request)
    if (!same || far.switches.repeatedRefund === '102')
      return refuse(far, merchant, 102, 'refund number already used')
    settle(far, order)
    return accepted(far, merchant, order, refund)
  }

  const order = orderOf(far, merchant, out_trade_no)
  if (!order) return notFound(far, merchant)
  const { pay_platform } = order.request.pay_mch_key
  if (far.switches.refundPlatform === 'checked' && request.pay_mch_key.pay_platform !== pay_platform)
    return breach(far, merchant, "pay_platform is not the order's")
  if (far.switches.refundOperator === 'required' && !namesSomebody(request))
    return refuse(far, merchant, 104, '门店、设备或店员验证失败：请指明由谁退款')
  const refusal = whyNot(far, order, total_fee, refund_fee)
  if (refusal !== undefined) return refuse(far, merchant, Number(far.switches.refundRefusal), refusal)
  return accepted(
    far,
    merchant,
    order,
    addRefund(far, order, { out_refund_no, fee: refund_fee, nonce_str: request.nonce_str, request }),
  )
}

/** The live service has refused one that named nobody (a public report); what exactly it takes is not documented. */
const namesSomebody = ({ pay_mch_key: key, order_client: client }: RefundRequest): boolean =>
  key.is_sub_mch_admin === true ||
  Boolean(key.authorization_staff_id) ||
  (Boolean(client.device_id) && Boolean(client.staff_id))

export function queryRefunds(far: Far, merchant: SandboxMerchant, request: QueryRefundRequest): Said {
  const { out_trade_no, out_refund_no } = request
  const order = orderOf(far, merchant, out_trade_no)
  if (!order && far.switches.refundsOfNoOrder === '400') return notFound(far, merchant)
  if (order) settle(far, order)
  const listed = (order?.refunds ?? []).filter(
    (refund) => out_refund_no === undefined || refund.out_refund_no === out_refund_no,
  )
  if (order && listed.length === 0 && far.switches.noRefundsAnswer === 'no_list')
    return ok(far, merchant, 'query_refund_order', {
      nonce_str: freshNonce(far),
      pay_mch_key: plainMchKey(order),
    })
  if (!order || listed.length === 0)
    return refuse(far, merchant, Number(far.switches.noRefundsStatus), 'no refunds', 426)
  return ok(far, merchant, 'query_refund_order', {
    nonce_str: freshNonce(far),
    pay_mch_key: plainMchKey(order),
    refund_order_content: listed.map((refund) => refundContent(far, order, refund)),
  })
}

function accepted(far: Far, merchant: SandboxMerchant, order: LedgerOrder, refund: LedgerRefund): Said {
  const content = refundContent(far, order, refund)
  return ok(far, merchant, 'refund', {
    nonce_str: freshNonce(far),
    pay_mch_key: plainMchKey(order),
    refund_order_content: far.switches.refundAnswer === 'array' ? [content] : content,
  })
}

function whyNot(far: Far, order: LedgerOrder, total_fee: number, refund_fee: number): string | undefined {
  if (order.state !== 'paid') return 'order is not paid'
  if (total_fee !== order.request.pay_content.total_fee) return "total_fee is not the order's"
  if (heldFen(far, order) + refund_fee > order.paid_fen) return 'more than was paid'
  return undefined
}

/** Found only while its order is: a test may have emptied the ledger by hand. */
function refundOf(far: Far, out_refund_no: string) {
  const refund = far.refunds.get(out_refund_no)
  const order = refund && far.orders.get(refund.out_trade_no)
  return order?.refunds.includes(refund!) ? { order, refund: refund! } : undefined
}

// ── what happens without a request ─────────────────────────────────────────────────────────────────────────────

/** The bank is done with it. Possible until somebody has seen it finished. */
export function finishRefund(far: Far, out_refund_no: string, outcome: RefundOutcome): LedgerRefund {
  const found = refundOf(far, out_refund_no)
  if (!found) throw new Refusal('no such refund')
  const { order, refund } = found
  if (refund.state !== 'processing') throw new Refusal(`refund is ${refund.state}`)
  finish(order, refund, outcome, nowS(far.clock))
  return refund
}

/** A clerk refunds in Cloud Pay's console: our side never asked for it, and never chose its number. */
export function refundInConsole(far: Far, out_trade_no: string, refund_fee: number): LedgerRefund {
  const order = far.orders.get(out_trade_no)
  if (!order) throw new Refusal('no such order')
  if (!Number.isSafeInteger(refund_fee) || refund_fee < 1) throw new Refusal('refund_fee is not an amount')
  const refusal = whyNot(far, order, order.request.pay_content.total_fee, refund_fee)
  if (refusal !== undefined) throw new Refusal(refusal)
  return addRefund(far, order, {
    out_refund_no: freeNumber(far, order.merchant),
    fee: refund_fee,
    nonce_str: freshNonce(far),
  })
}

function freeNumber(far: Far, { order_prefix }: SandboxMerchant): string {
  let count = far.refunds.size
  while (far.refunds.has(`${order_prefix}console${++count}`));
  return `${order_prefix}console${count}`
}
