import { appOpener, type App } from '../shared/app'
import { openLogins } from '../shared/access/login'
import { json } from '../shared/http/answer'
import { readJsonBody } from '../shared/http/body'
import { door, type Route } from '../shared/http/door'
import { LOGIN_BODY_MAX_BYTES } from '../shared/http/event'
import { createAsk } from '../shared/net/ask'

/** Kept, because it keeps what it takes to speak TLS. */
const ask = createAsk()
const logins = (app: App) => openLogins({ ...app, ask: app.ask ?? ask })

/** An app that this instance does not serve may have been added a moment ago, or enabled. */
async function serving(app: App, { app_id }: Record<string, unknown>): Promise<App> {
  const isKnown = app.people.apps.some((one) => one.app_id === app_id && !one.disabled)
  return isKnown || typeof app_id !== 'string' ? app : ((await app.renewed(app_id)) ?? app)
}

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
      const body = readJsonBody(request)
      const session = await logins(await serving(app, body)).login(body, request.address, deadline)
      return json(201, session, requestId)
    },
  },
  {
    method: 'POST',
    path: '/session/state',
    bodyMaxBytes: LOGIN_BODY_MAX_BYTES,
    async handle(app, { request, requestId }) {
      const body = readJsonBody(request)
      return json(201, logins(await serving(app, body)).beginLogin(body), requestId)
    },
  },
  {
    method: 'POST',
    path: '/session/revoke',
    async handle(app, { request, requestId }) {
      // Before the nonce of a signed request is used up. Who has nothing good to show is refused by what is known here.
      const shown = app.credential(request)
      const newer =
        shown === 'good' ? app.newer() : typeof shown === 'object' ? app.renewed(shown.unknown) : undefined
      const now = (await newer) ?? app
      const caller = await now.enter('POST /session/revoke', request)
      const body = request.body.length === 0 ? {} : readJsonBody(request)
      await logins(now).endSessions(caller, body)
      return json(200, { revoked: true }, requestId)
    },
  },
]

const open = appOpener(process.env, { connectsLate: true })

export const main_handler = door(open, open.log, routes)
