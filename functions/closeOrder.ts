import { appOpener, type App } from '../shared/app'
import { createLog, writeLine } from '../shared/base/log'
import { json } from '../shared/http/answer'
import { door, type Route } from '../shared/http/door'
import { viewOrder } from '../shared/order/view'
import { closeOrder } from '../shared/payments/close'
import { watchTimer } from '../shared/payments/watch'

/** `POST /orders/{out_trade_no}/close` → 200 closed, 202 closing: the timer goes on, read the order to know. */
const handle: Route<App>['handle'] = async (app, { request, requestId, deadline }) => {
  const caller = await app.authorize(request)
  const order = await closeOrder(app, caller, request.params['out_trade_no'] ?? '', deadline)
  await watchTimer(app)
  return json(order.state === 'closing' ? 202 : 200, viewOrder(order), requestId)
}

/** The second one is for a custom domain, where a match ends in its wildcard and `/orders/*` is another function's. */
export const routes: Route<App>[] = ['/orders/{out_trade_no}/close', '/close/{out_trade_no}'].map((path) => ({
  method: 'POST',
  path,
  handle,
}))

export const main_handler = door(
  appOpener(process.env, { asksAtOnce: true }),
  createLog(writeLine, []),
  routes,
)
