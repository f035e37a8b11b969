import { nowS, type Clock } from '../base/time'
import { forgetCounters } from '../store/counters'
import type { Store } from '../store/open'
import { forgetRevocations } from '../store/revocations'
import { forgetSpent } from '../store/spent'

/** What has expired by itself is deleted this often; none of it is believed in the meantime. */
const EVERY_MS = 600_000
/** Of each kind in one run: far more than comes to be in the 20 s between two of them. */
const BATCH = 1000
/** The lengths of periods there are. */
const PERIODS_MS = [60_000, 3_600_000, 86_400_000]

const nextTimes = new WeakMap<Store, number>()

/**
 * Nonces, states and revocations whose time is over, and the counters of periods that are over, a bounded batch of each;
 * after a full batch the next run goes on with the rest.
 */
export async function tidyPeople({ store, clock }: { store: Store; clock: Clock }): Promise<void> {
  const nowMs = clock.nowMs()
  if (nowMs < (nextTimes.get(store) ?? 0)) return
  const left = [
    await forgetSpent(store, nowS(clock), BATCH),
    await forgetRevocations(store, nowS(clock), BATCH),
  ]
  for (const periodMs of PERIODS_MS) left.push(await forgetCounters(store, periodMs, nowMs, BATCH))
  // Only then: a run that fails half-way is not the one that did the work.
  if (!left.includes('more')) nextTimes.set(store, nowMs + EVERY_MS)
}
