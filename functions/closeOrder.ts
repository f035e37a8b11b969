import { appOpener, type App } from '../shared/app'
import { json } from '../shared/http/answer'
import { door, type Route } from '../shared/http/door'
import { viewOrder } from '../shared/order/view'
import { closeOrder } from '../shared/payments/close'
import { watchTimer } from '../shared/payments/watch'

/** The second one is for a custom domain, where a match ends in its wildcard and `/orders/*` is another function's. */
const PATHS = ['/orders/{out_trade_no}/close', '/close/{out_trade_no}'] as const

/** `POST /orders/{out_trade_no}/close` → 200 closed, 202 closing: the timer goes on, read the order to know. */
export const routes: Route<App>[] = PATHS.map((path) => ({
  method: 'POST',
  path,
  async handle(app, { request, requestId, deadline }) {
    const caller = await app.enter(`POST ${path}`, request)
    const order = await closeOrder(app, caller, request.params['out_trade_no'] ?? '', deadline)
    await watchTimer(app)
    return json(order.state === 'closing' ? 202 : 200, viewOrder(order), requestId)
  },
}))

const open = appOpener(process.env, { asksAtOnce: true })

export const main_handler = door(open, open.log, routes)
