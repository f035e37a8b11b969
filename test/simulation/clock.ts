import type { Clock } from '../../shared/base/time'
import type { Owner, Scheduler } from './scheduler'

/** An instance's own watch: wrong by `skewMs`, and sleeping on it passes no real time. */
export const skewedClock = (scheduler: Scheduler, owner: Owner, skewMs: number): Clock => ({
  nowMs: () => scheduler.nowMs + skewMs,
  sleep: (ms) => scheduler.park(owner, 'sleeps', ms),
})

/**
 * What the bundle puts in the place of `setTimeout`, `clearTimeout` and `performance.now` (see bundle.ts): the time
 * limits in the code under test are virtual too, and a forgotten timer of one run cannot go off in the next.
 */
type VirtualTime = {
  setTimeout(go: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  now(): number
}

declare global {
  var virtualTime: VirtualTime
}

/** `current` names whoever was resumed last: the timers set until the next step are its own. */
export function installTime(scheduler: Scheduler, current: () => Owner): void {
  globalThis.virtualTime = {
    setTimeout: (go, ms) => scheduler.after(current(), 'time is up', ms, go),
    clearTimeout: (timer) => scheduler.cancel(timer as Parameters<Scheduler['cancel']>[0]),
    now: () => scheduler.nowMs,
  }
}

// Before the first run time stands still: the schema is made without waiting for anything.
globalThis.virtualTime ??= { setTimeout: () => undefined, clearTimeout: () => undefined, now: () => 0 }
