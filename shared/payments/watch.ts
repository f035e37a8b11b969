import { findMark, setMark } from '../store/marks'
import type { Store } from '../store/open'
import type { Payments } from './context'
import { raise } from './raise'

/**
 * Who watches the timer: the other doors. A run that comes to its end leaves a mark; when the last one is five minutes
 * old, orders are not being looked after and a person has to know.
 */
const TIMER = 'timer'
const SILENT_MS = 300_000
/** An instance looks this often, however much it is asked. */
const EVERY_MS = 60_000

export const markTimerRun = (payments: Payments, summary: string): Promise<unknown> =>
  setMark(payments.store, TIMER, summary.slice(0, 255))

const lastLooks = new WeakMap<Store, number>()

/**
 * Whether this look found the timer silent. Never fails and never makes the caller's request fail: what it finds is an
 * anomaly, what goes wrong is logged. Only the doors that tell of it (outbox/timerSilence.ts) ask for the answer.
 */
export async function watchTimer(payments: Payments): Promise<boolean> {
  const nowMs = payments.clock.nowMs()
  if (nowMs - (lastLooks.get(payments.store) ?? 0) < EVERY_MS) return false
  lastLooks.set(payments.store, nowMs)
  try {
    const mark = await findMark(payments.store, TIMER)
    if (!mark) {
      // A new deployment: the five minutes begin now.
      await setMark(payments.store, TIMER, 'never ran')
      return false
    }
    const silentMs = mark.now_ms - mark.at_ms
    if (silentMs <= SILENT_MS) return false
    const evidence = { silent_s: Math.round(silentMs / 1000), last_run: mark.value }
    await raise(payments, { kind: 'timer_silent', out_sub_mch_id: '', out_trade_no: '', evidence })
    return true
  } catch {
    payments.log({ event: 'timer.watch_failed', count: 'timer.watch_failed', level: 'warn' })
    return false
  }
}
