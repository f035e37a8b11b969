import { appOpener, type App } from '../shared/app'
import { openLogins } from '../shared/access/login'
import { createLog, writeLine } from '../shared/base/log'
import { json } from '../shared/http/answer'
import { readJsonBody } from '../shared/http/body'
import { door, type Route } from '../shared/http/door'
import { LOGIN_BODY_MAX_BYTES } from '../shared/http/event'
import { createAsk } from '../shared/net/ask'

/** Kept, because it keeps what it takes to speak TLS. */
const ask = createAsk()
const logins = (app: App) => openLogins({ ...app, ask: app.ask ?? ask })

/**
 * `POST /session` → 201 a token for who brings a code of WeChat's or Alipay's; half of a credential, the other half is
 * the client's. `POST /session/state` before a redirect, `POST /session/revoke` to end it early.
 */
export const routes: Route<App>[] = [
  {
    method: 'POST',
    path: '/session',
    bodyMaxBytes: LOGIN_BODY_MAX_BYTES,
    async handle(app, { request, requestId, deadline }) {
      const session = await logins(app).login(readJsonBody(request), request.address, deadline)
      return json(201, session, requestId)
    },
  },
  {
    method: 'POST',
    path: '/session/state',
    bodyMaxBytes: LOGIN_BODY_MAX_BYTES,
    async handle(app, { request, requestId }) {
      return json(201, logins(app).beginLogin(readJsonBody(request)), requestId)
    },
  },
  {
    method: 'POST',
    path: '/session/revoke',
    async handle(app, { request, requestId }) {
      // Before the nonce of a signed request is used up.
      const now = (await app.newer()) ?? app
      const caller = await now.enter('POST /session/revoke', request)
      const body = request.body.length === 0 ? {} : readJsonBody(request)
      await logins(now).endSessions(caller, body)
      return json(200, { revoked: true }, requestId)
    },
  },
]

export const main_handler = door(
  appOpener(process.env, { connectsLate: true }),
  createLog(writeLine, []),
  routes,
)
