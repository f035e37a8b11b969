import { appOpener, type App } from '../shared/app'
import { json } from '../shared/http/answer'
import { readJsonBody } from '../shared/http/body'
import { door, type Route } from '../shared/http/door'
import { idempotencyKey } from '../shared/http/idempotency'
import { isSettled } from '../shared/order/refund'
import { viewOrder, viewRefund } from '../shared/order/view'
import { createRefund, readRefundRequest } from '../shared/payments/refund'
import { watchTimer } from '../shared/payments/watch'

/** The second one is for a custom domain, where a match ends in its wildcard and `/orders/*` is another function's. */
const PATHS = ['/orders/{out_trade_no}/refunds', '/refunds/{out_trade_no}'] as const

/**
 * `POST /orders/{out_trade_no}/refunds` → 202 on its way, 200 settled. Accepted is not done: read the order until the
 * refund is `succeeded`.
 */
export const routes: Route<App>[] = PATHS.map((path) => ({
  method: 'POST',
  path,
  async handle(app, { request, requestId, deadline }) {
    const caller = await app.enter(`POST ${path}`, request)
    const wanted = readRefundRequest(readJsonBody(request), app)
    const number = request.params['out_trade_no'] ?? ''
    const { order, refund } = await createRefund(
      app,
      caller,
      number,
      wanted,
      idempotencyKey(request),
      deadline,
    )
    await watchTimer(app)
    const body = { ...viewRefund(refund), order: viewOrder(order) }
    return json(isSettled(refund.state) ? 200 : 202, body, requestId)
  },
}))

const open = appOpener(process.env, { asksAtOnce: true })

export const main_handler = door(open, open.log, routes)
