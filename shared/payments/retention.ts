import { nowS, type Deadline } from '../base/time'
import type { Store } from '../store/open'
import { forgetNotes, listPurgeable, purgeOrder } from '../store/retention'
import type { Payments } from './context'

/** Often enough: what is a day or more old waits ten minutes more. */
const EVERY_MS = 600_000
const BATCH = 200
/** One order is seven statements. */
const ORDER_MIN_MS = 500
const DAY_S = 86_400

const nextTimes = new WeakMap<Store, number>()

/**
 * Purges what has been kept long enough (see store/retention.ts), a bounded batch at a time; after a full batch the next
 * run goes on with the rest. Returns how many orders.
 */
export async function purgeExpired(payments: Payments, deadline: Deadline): Promise<number> {
  const { store, clock, settings } = payments
  const nowMs = clock.nowMs()
  if (nowMs < (nextTimes.get(store) ?? 0)) return 0
  const before = nowS(clock) - settings.retentionDays * DAY_S
  const found = await listPurgeable(store, { nowS: nowS(clock), before, limit: BATCH })
  let purged = 0
  for (const order of found) {
    if (deadline.remainingMs() < ORDER_MIN_MS) break
    if ((await purgeOrder(store, order, nowS(clock))) === 'done') purged++
  }
  await forgetNotes(store, before)
  // Only then: a run that fails half-way is not the one that did the work.
  if (found.length < BATCH && deadline.remainingMs() >= ORDER_MIN_MS) nextTimes.set(store, nowMs + EVERY_MS)
  if (purged > 0) payments.log({ event: 'retention.purged', count: 'retention.purged', orders: purged })
  return purged
}
