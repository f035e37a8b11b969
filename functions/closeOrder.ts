import { createApp, writeLine, type App } from '../shared/app'
import { readConfig } from '../shared/base/config'
import { createLog } from '../shared/base/log'
import { json } from '../shared/http/answer'
import { door, type Route } from '../shared/http/door'
import { viewOrder } from '../shared/order/view'
import { closeOrder } from '../shared/payments/close'
import { watchTimer } from '../shared/payments/watch'

/** `POST /orders/{out_trade_no}/close` → 200 closed, 202 closing: the timer goes on, read the order to know. */
export const routes: Route<App>[] = [
  {
    method: 'POST',
    path: '/orders/{out_trade_no}/close',
    async handle(app, { request, requestId, deadline }) {
      const caller = await app.enter('POST /orders/{out_trade_no}/close', request)
      const order = await closeOrder(app, caller, request.params['out_trade_no'] ?? '', deadline)
      await watchTimer(app)
      return json(order.state === 'closing' ? 202 : 200, viewOrder(order), requestId)
    },
  },
]

export const main_handler = door(
  async () => createApp(readConfig(process.env), { asksAtOnce: true }),
  createLog(writeLine, []),
  routes,
)
