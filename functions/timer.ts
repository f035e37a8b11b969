import { tidyPeople } from '../shared/access/tidy'
import { appOpener, type App } from '../shared/app'
import { describeError } from '../shared/base/log'
import { shorter, type Deadline } from '../shared/base/time'
import { timerDoor, type TimerVisit } from '../shared/http/timer'
import { createAsk } from '../shared/net/ask'
import { createSend } from '../shared/net/send'
import { deliverDue } from '../shared/outbox/deliver'
import { deliverShipping } from '../shared/outbox/shipping'
import { createShippingClient, type ShippingClient } from '../shared/outbox/wechat'
import { reconcileDaily } from '../shared/payments/billDaily'
import { reconcileDue } from '../shared/payments/reconcile'
import { purgeExpired } from '../shared/payments/retention'
import { markTimerRun } from '../shared/payments/watch'

/** To write down the end of the run, whatever the work before it did. */
const RESERVE_MS = 1500
/** The daily bill's own share of a run, however much else there is to do. */
const BILL_MAX_MS = 20_000

/**
 * Started every 20 seconds: looks after what is due, delivers messages and compares the daily bill beside it.
 * One part that fails does not keep the others from their work; the run is marked as done only if all went well.
 */
export async function run(app: App, { deadline }: TimerVisit): Promise<Record<string, unknown>> {
  const left: Deadline = { remainingMs: () => deadline.remainingMs() - RESERVE_MS }
  const failed: string[] = []
  const part = async <T>(name: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      failed.push(name)
      app.log({
        event: 'timer.part_failed',
        count: `timer.${name}_failed`,
        level: 'error',
        cause: describeError(error),
      })
      return undefined
    }
  }
  const isShipping = app.settings.shipping.length > 0
  const billShare = shorter(left, BILL_MAX_MS)
  const [due, bill, messages, shipping] = await Promise.all([
    part('due', () => reconcileDue(app, left)),
    part('bill', () => reconcileDaily(app, billShare)),
    part('messages', () => deliverDue({ ...app, send: app.send ?? createSend() }, left)),
    isShipping ? part('shipping', () => deliverShipping({ ...app, ...shippingOf(app) }, left)) : undefined,
  ])
  // Behind the open door of one machine there are no people.
  if (!app.settings.prices.free) {
    await part('tidy', () => tidyPeople(app))
    await part('retention', () => purgeExpired(app, left))
  }
  const summary = { ...due, messages, ...(shipping ? { shipping } : {}), ...(bill ? { bill } : {}) }
  if (failed.length > 0) throw new Error(`these parts failed: ${failed.join(', ')}`)
  await markTimerRun(app, JSON.stringify(summary))
  return summary
}

/** The client is kept with its database: it has the access tokens. */
const clients = new WeakMap<App['store'], ShippingClient>()

function shippingOf({ ask, people, clock, store }: App) {
  let client = clients.get(store)
  if (!client)
    clients.set(store, (client = createShippingClient(ask ?? createAsk(), people.wechatApiUrl, clock)))
  return { apps: people.apps, client }
}

const open = appOpener(process.env, { asksAtOnce: true })

export const main_handler = timerDoor(open, open.log, run)
