import { orderContent, payMchKey, plainMchKey, refundContent } from './contents'
import { authenInfo, parse, write } from './envelope'
import { freshNonce, type Far, type LedgerOrder, type LedgerRefund } from './ledger'
import type { Switches } from './switches'

/** What Cloud Pay says when an order was paid, to whom, and what it takes for "heard". notifier.ts sends it. */

/** `url` is the order's own `caller_notify_url`, if its create named one. */
export type Notification = { out_trade_no: string; url: string | undefined; body: Buffer }

/** Signed with the merchant's key like an answer, and sealed like a request. Each has a nonce of its own. */
export function notificationBody(far: Far, order: LedgerOrder): Buffer {
  return sealed(far, order, {
    nonce_str: freshNonce(far),
    pay_mch_key: payMchKey(order),
    order_content: orderContent(far, order),
    order_client: order.request.order_client,
  })
}

/** Documented in 2017 and gone since: a list, and no client. */
export const refundNotificationBody = (far: Far, order: LedgerOrder, refund: LedgerRefund): Buffer =>
  sealed(far, order, {
    nonce_str: freshNonce(far),
    pay_mch_key: plainMchKey(order),
    refund_order_content: [refundContent(far, order, refund)],
  })

function sealed(far: Far, order: LedgerOrder, content: object): Buffer {
  const text = write(far.switches, content)
  return Buffer.from(
    JSON.stringify({ request_content: text, authen_info: authenInfo(order.merchant.authen_key, text) }),
    'utf8',
  )
}

/** The console's address, the order's own, or both. */
export function notifyUrls(
  switches: Switches,
  consoleUrl: string | undefined,
  orderUrl: string | undefined,
): string[] {
  const urls = switches.notifyUrl === 'adds' ? [consoleUrl, orderUrl] : [orderUrl ?? consoleUrl]
  return [...new Set(urls.filter((url) => url !== undefined))]
}

/** Heard: a 2xx whose response_content, a text or an object, has status 0 or none. Anything else is tried again. */
export function isDelivered(switches: Switches, httpStatus: number, body: Buffer): boolean {
  if (httpStatus < 200 || httpStatus > 299) return false
  if (body.length === 0) return switches.emptyReply === 'delivered'
  const outer = parse(body.toString('utf8')) as Record<string, unknown> | null | undefined
  const given = outer?.['response_content']
  const content = typeof given === 'string' ? parse(given) : given
  if (typeof content !== 'object' || content === null) return false
  const { status } = content as { status?: unknown }
  return status === undefined || status === 0
}
