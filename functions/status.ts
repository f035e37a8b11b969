import { appOpener, type App } from '../shared/app'
import { nowS } from '../shared/base/time'
import { json } from '../shared/http/answer'
import { door, type Route } from '../shared/http/door'
import { createSend } from '../shared/net/send'
import { viewEvents, viewOrder, viewRefund } from '../shared/order/view'
import { tellTimerSilence } from '../shared/outbox/timerSilence'
import { handover } from '../shared/payments/handover'
import { readStatus } from '../shared/payments/refresh'
import { watchTimer } from '../shared/payments/watch'

const send = createSend()

/** `GET /orders/{out_trade_no}` → the stored order and its timeline; `?refresh=1` asks Cloud Pay first. */
export const routes: Route<App>[] = [
  {
    method: 'GET',
    path: '/orders/{out_trade_no}',
    async handle(app, { request, requestId, deadline }) {
      const caller = await app.enter('GET /orders/{out_trade_no}', request)
      const number = request.params['out_trade_no'] ?? ''
      const refresh = request.query['refresh'] === '1'
      const { order, refunds, events, refreshed } = await readStatus(app, caller, number, refresh, deadline)
      await tellTimerSilence({ ...app, send: app.send ?? send }, () => watchTimer(app), deadline)
      const body = {
        ...viewOrder(order),
        ...handover(order, nowS(app.clock)),
        ...(refreshed === undefined ? {} : { refreshed }),
        refunds: refunds.map(viewRefund),
        events: viewEvents(events, caller.kind === 'merchant'),
      }
      return json(200, body, requestId)
    },
  },
]

const open = appOpener(process.env)

export const main_handler = door(open, open.log, routes)
