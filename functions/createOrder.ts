import { appOpener, type App } from '../shared/app'
import { nowS } from '../shared/base/time'
import { json } from '../shared/http/answer'
import { readJsonBody } from '../shared/http/body'
import { door, type Route } from '../shared/http/door'
import { idempotencyKey } from '../shared/http/idempotency'
import { viewOrder } from '../shared/order/view'
import { createOrder } from '../shared/payments/create'
import { handover } from '../shared/payments/handover'
import { priceOrder } from '../shared/payments/price'
import { warningsOf } from '../shared/payments/sceneRules'

/** `POST /orders` → 201 a new order, 200 the same one again; what the wallet needs is in `payment`. */
export const routes: Route<App>[] = [
  {
    method: 'POST',
    path: '/orders',
    async handle(app, { request, requestId, deadline }) {
      const caller = await app.enter('POST /orders', request)
      const key = idempotencyKey(request)
      const wanted = await priceOrder(app, caller, readJsonBody(request), key, request.address)
      const { request: asked, terms } = wanted
      const { order, isNew } = await createOrder(app, caller, asked, wanted.idempotencyKey, deadline, terms)
      const warnings = warningsOf(asked)
      const body = {
        ...viewOrder(order),
        ...handover(order, nowS(app.clock)),
        ...(warnings.length > 0 ? { warnings } : {}),
      }
      return json(isNew ? 201 : 200, body, requestId)
    },
  },
]

const open = appOpener(process.env, { asksAtOnce: true })

export const main_handler = door(open, open.log, routes)
