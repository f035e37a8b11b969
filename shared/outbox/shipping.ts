import type { Log } from '../base/log'
import type { PayerApp } from '../base/people'
import type { Random } from '../base/random'
import { nowS, type Clock, type Deadline } from '../base/time'
import type { NewAnomaly } from '../order/anomaly'
import type { Order } from '../order/order'
import type { ShippingTask } from '../order/shipping'
import { findOrder } from '../store/orders'
import type { Store } from '../store/open'
import {
  claimMessage,
  dropMessage,
  giveUpMessage,
  listDueShipping,
  markShipped,
  retryMessage,
  type DueShipping,
} from '../store/outbox'
import type { Tally } from './deliver'
import { waitAfter } from './ladder'
import type { ShippingClient, Uploaded } from './wechat'
import { workOff } from './work'

export type Shipping = {
  store: Store
  clock: Clock
  random: Random
  log: Log
  apps: readonly PayerApp[]
  client: ShippingClient
}

const BATCH = 20
const ATTEMPT_MS = 7_000
const ATTEMPT_MIN_MS = 1_500
/** For writing down what became of it. */
const RESERVE_MS = 1_000
const LEASE_MS = 30_000
/** Somebody's money is frozen meanwhile: after the ladder's end twice a day, for ten days. */
export const SHIP_AT_LEAST_S = 10 * 86_400

/**
 * Tells WeChat of the shipping of paid mini-program orders until none is due, or the time is nearly up.
 *
 * At least once, with the same text each time: who dies between telling and writing it down has it told again, and
 * WeChat then says that it knows. What was refunded in full is not told of; while that is on its way, it waits.
 */
export async function deliverShipping(shipping: Shipping, deadline: Deadline): Promise<Tally> {
  const tally: Tally = { delivered: 0, failed: 0, gaveUp: 0 }
  const forAttemptMs = () => Math.min(ATTEMPT_MS, deadline.remainingMs() - RESERVE_MS)
  if (forAttemptMs() < ATTEMPT_MIN_MS) return tally
  const list = () => listDueShipping(shipping.store, BATCH)
  await workOff(
    await list(),
    list,
    () => forAttemptMs() >= ATTEMPT_MIN_MS,
    async (message) => {
      const end = await shipOne(shipping, message, forAttemptMs)
      if (end) tally[end]++
    },
  )
  return tally
}

async function shipOne(
  shipping: Shipping,
  message: DueShipping,
  forAttemptMs: () => number,
): Promise<keyof Tally | undefined> {
  const { store, clock, random, log } = shipping
  if ((await claimMessage(store, message, LEASE_MS)) === 'lost') return undefined
  const startMs = clock.nowMs()
  const budgetMs = forAttemptMs()
  const remainingMs = () => Math.min(forAttemptMs(), budgetMs - (clock.nowMs() - startMs))

  const { id, out_trade_no } = message
  const attempts = message.attempts + 1
  const order = await findOrder(store, message)
  if (order && order.refunded_fen >= order.total_fee) {
    await dropMessage(store, id, attempts, 'refunded')
    log({ event: 'shipping.dropped', count: 'shipping.dropped', out_trade_no, why: 'refunded' })
    return undefined
  }

  const { outcome, why } = await tell(shipping, order, message, remainingMs)
  const line = { out_trade_no, attempts, why }
  if (outcome === 'done') {
    const mark = () => markShipped(store, message, attempts, nowS(clock))
    // Lost may mean that the connection broke: said twice it is the same.
    const marked = (await mark()) === 'done' || (await mark()) === 'done'
    const unmarked = marked ? {} : { marked, level: 'warn' as const }
    log({ event: 'shipping.uploaded', count: 'shipping.uploaded', ...line, ...unmarked })
    return 'delivered'
  }

  const ageS = nowS(clock) - message.created_at
  const waitMs = outcome === 'refused' ? undefined : waitAfter(attempts, ageS, random, SHIP_AT_LEAST_S)
  if (waitMs !== undefined) {
    await retryMessage(store, id, attempts, why, waitMs)
    const next_in_s = Math.round(waitMs / 1000)
    log({ event: 'shipping.failed', count: 'shipping.failed', level: 'warn', ...line, next_in_s })
    return 'failed'
  }
  const anomaly = frozen(message, outcome === 'refused' ? out_trade_no : '', attempts, why)
  const gaveUp = await giveUpMessage(store, id, attempts, why, nowS(clock), anomaly)
  log({ event: 'shipping.given_up', count: 'shipping.given_up', level: 'error', ...line })
  return gaveUp === 'done' ? 'gaveUp' : 'failed'
}

async function tell(
  { apps, client }: Shipping,
  order: Order | undefined,
  message: DueShipping,
  remainingMs: () => number,
): Promise<Uploaded> {
  const later = (why: string): Uploaded => ({ outcome: 'later', why })
  if (!order) return later('order_missing')
  // A refund that fails leaves it to be shipped after all.
  if (order.reserved_fen >= order.total_fee) return later('refund_under_way')
  if (order.transaction_id === null) return later('transaction_id_missing')
  const task = JSON.parse(message.payload) as ShippingTask
  const app = apps.find(
    ({ app_id, out_sub_mch_id }) => app_id === task.app_id && out_sub_mch_id === order.out_sub_mch_id,
  )
  if (!app) return later('app_not_configured')
  return client.upload(app, order, task, remainingMs)
}

/** About one order when WeChat refused that one; otherwise one for all that could not be told for days. */
const frozen = (
  { out_sub_mch_id, out_trade_no }: DueShipping,
  about: string,
  attempts: number,
  why: string,
): NewAnomaly => ({
  kind: 'shipping_not_uploaded',
  out_sub_mch_id,
  out_trade_no: about,
  evidence: { order: out_trade_no, attempts, why },
})
