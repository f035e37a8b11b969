import { appOpener, type App } from '../shared/app'
import { json } from '../shared/http/answer'
import { readJsonBody } from '../shared/http/body'
import { door, type Route, type Visit } from '../shared/http/door'
import {
  giveUpOnBoard,
  liftFlagOnBoard,
  listBoardAnomalies,
  listBoardOrders,
  listUnshipped,
  payOutOnBoard,
  readBoardDay,
  resolveBoardAnomaly,
} from '../shared/payments/board'
import { watchTimer } from '../shared/payments/watch'

const READS = {
  '/board/orders': listBoardOrders,
  '/board/unshipped': listUnshipped,
  '/board/anomalies': listBoardAnomalies,
  '/board/day': readBoardDay,
} as const

/** The second one is for a custom domain, whose match has no wildcard in its middle. */
const RESOLVE = ['/board/anomalies/{id}/resolve', '/board/resolve/{id}'] as const

/** What only a person can end, by its number. */
const ENDINGS = {
  '/board/paid-out/{out_refund_no}': payOutOnBoard,
  '/board/given-up/{out_refund_no}': giveUpOnBoard,
  '/board/lift-flag/{out_trade_no}': liftFlagOnBoard,
} as const

/**
 * What an operator looks at, of their sub-merchant alone: `GET /board/orders` (`state` or `search`), `/board/unshipped`,
 * `/board/anomalies`, each in pages (`limit`, `before`: the `next` of the page before), `/board/day` (`date`). One order
 * is `GET /orders/{out_trade_no}`. `POST /board/anomalies/{id}/resolve` takes `{"note"}`, and so do `/board/paid-out/…`,
 * `/board/given-up/…` (of a refund) and `/board/lift-flag/…` (of an order).
 */
export const routes: Route<App>[] = [
  ...(Object.keys(READS) as (keyof typeof READS)[]).map((path) => ({
    method: 'GET',
    path,
    async handle(app: App, { request, requestId }: Visit) {
      const caller = await app.enter(`GET ${path}`, request)
      const body = await READS[path](app, caller, request.query)
      await watchTimer(app)
      return json(200, body, requestId)
    },
  })),
  ...RESOLVE.map((path) => ({
    method: 'POST',
    path,
    async handle(app: App, { request, requestId }: Visit) {
      const caller = await app.enter(`POST ${path}`, request)
      const id = decode(request.params['id'] ?? '')
      return json(200, await resolveBoardAnomaly(app, caller, id, readJsonBody(request)), requestId)
    },
  })),
  ...(Object.keys(ENDINGS) as (keyof typeof ENDINGS)[]).map((path) => ({
    method: 'POST',
    path,
    async handle(app: App, { request, requestId, deadline }: Visit) {
      const caller = await app.enter(`POST ${path}`, request)
      const number = request.params['out_refund_no'] ?? request.params['out_trade_no'] ?? ''
      return json(200, await ENDINGS[path](app, caller, number, readJsonBody(request), deadline), requestId)
    },
  })),
]

/** Ids have colons in them, which some clients escape. What is no escape stands for itself. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const open = appOpener(process.env)

export const main_handler = door(open, open.log, routes)
