import { appOpener, type App } from '../shared/app'
import { door, type Route } from '../shared/http/door'
import { acknowledge, refuseNotification } from '../shared/http/reply'
import { createSend } from '../shared/net/send'
import { tellTimerSilence } from '../shared/outbox/timerSilence'
import { takeNotification } from '../shared/payments/notify'
import { watchTimer } from '../shared/payments/watch'

const send = createSend()

/** `POST /notify`, where Cloud Pay tells of a payment → 200 with status 0, once the notification is kept. */
export const routes: Route<App>[] = [
  {
    method: 'POST',
    path: '/notify',
    // What is typed into a console may end with a slash, and means the same.
    slashToo: true,
    // Three seconds at the worst: who waits longer may count it as failed.
    withinMs: 2800,
    refuse: refuseNotification,
    async handle(app, { request, requestId, deadline }) {
      await takeNotification(app, request.body, deadline)
      await tellTimerSilence({ ...app, send: app.send ?? send }, () => watchTimer(app), deadline)
      return acknowledge(requestId, app.notifyReply)
    },
  },
]

const open = appOpener(process.env, { asksAtOnce: true, connectsLate: true })

export const main_handler = door(open, open.log, routes)
