import { routes as closeOrder } from '../../functions/closeOrder'
import { routes as createOrder } from '../../functions/createOrder'
import { routes as notify } from '../../functions/notify'
import { routes as refund } from '../../functions/refund'
import { routes as status } from '../../functions/status'
import { run } from '../../functions/timer'
import type { App } from '../../shared/app'
import { deadlineOf, type Route, type ScfContext } from '../../shared/http/door'

/** Every door that is deployed, as one instance serves them here. */
export const routes: Route<App>[] = [...createOrder, ...status, ...notify, ...closeOrder, ...refund]

/** What a run of the timer says of itself, as far as it is looked at here. */
export type TimerSummary = {
  orders?: number
  refunds?: number
  left?: number
  bill?: { windows: number; unread: number }
}

export const runTimerOnce = (app: App, context: ScfContext): Promise<TimerSummary> =>
  run(app, { requestId: context.request_id ?? '', deadline: deadlineOf(context) })
