import { appOpener, type App } from '../shared/app'
import { createLog, writeLine } from '../shared/base/log'
import { nowS } from '../shared/base/time'
import { json } from '../shared/http/answer'
import { readJsonBody } from '../shared/http/body'
import { door, type Route } from '../shared/http/door'
import { idempotencyKey } from '../shared/http/idempotency'
import { viewOrder } from '../shared/order/view'
import { createOrder } from '../shared/payments/create'
import { handover } from '../shared/payments/handover'
import { priceOrder } from '../shared/payments/price'

/** `POST /orders` → 201 a new order, 200 the same one again; what the wallet needs is in `payment`. */
export const routes: Route<App>[] = [
  {
    method: 'POST',
    path: '/orders',
    async handle(app, { request, requestId, deadline }) {
      const caller = await app.enter('POST /orders', request)
      const wanted = await priceOrder(app, caller, readJsonBody(request), idempotencyKey(request))
      const { request: asked, idempotencyKey: key, terms } = wanted
      const { order, isNew } = await createOrder(app, caller, asked, key, deadline, terms)
      return json(isNew ? 201 : 200, { ...viewOrder(order), ...handover(order, nowS(app.clock)) }, requestId)
    },
  },
]

export const main_handler = door(
  appOpener(process.env, { asksAtOnce: true }),
  createLog(writeLine, []),
  routes,
)
