import { nowS, type Clock } from '../base/time'
import { forgetCounters } from '../store/counters'
import type { Store } from '../store/open'
import { forgetRevocations } from '../store/revocations'
import { forgetSpent } from '../store/spent'

/** What has expired by itself is deleted this often; none of it is believed in the meantime. */
const EVERY_MS = 600_000
const DAY_MS = 86_400_000

const lastTimes = new WeakMap<Store, number>()

/** Nonces, states and revocations whose time is over, and the counters of payers and addresses that did nothing lately. */
export async function tidyPeople({ store, clock }: { store: Store; clock: Clock }): Promise<void> {
  const nowMs = clock.nowMs()
  if (nowMs - (lastTimes.get(store) ?? 0) < EVERY_MS) return
  lastTimes.set(store, nowMs)
  await forgetSpent(store, nowS(clock))
  await forgetRevocations(store, nowS(clock))
  await forgetCounters(store, 'login:', 60_000, nowMs)
  await forgetCounters(store, 'om:', 60_000, nowMs)
  await forgetCounters(store, 'od:', DAY_MS, nowMs)
  await forgetCounters(store, 'lp:', 60_000, nowMs)
  await forgetCounters(store, 'rp:', DAY_MS, nowMs)
}
