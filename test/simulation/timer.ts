import { Fault } from '../../shared/base/errors'
import { runTimerOnce, type TimerSummary } from './doors'
import type { Instances } from './instances'
import type { Owner } from './scheduler'
import type { World } from './world'

/**
 * The platform's timer. Minutes in which nothing is due are passed over: they would change nothing and cost most of
 * the time.
 */
export type Timer = {
  /** True when nothing is due within three days, but for what waits for a person. */
  readonly isQuiet: boolean
  fired: number
  stop(): void
}

const PERIOD_MS = 20_000
const DAY_MS = 86_400_000
/** Far more seldom than the code does it: each costs a whole run of the timer. */
const PURGE_EVERY_MS = 6 * 3_600_000
const SLICES_MAX = 40
const QUIET_MS = 72 * 3_600_000

/**
 * After twenty looks in vain a person has been told, and there is a look a day. So many of them are played; the invariants
 * see whether the person was told. Without anybody to tell, messages wait untouched.
 */
const LOOKS_MAX = 25
const nextDue = (messages: boolean): string => `SELECT min(due) AS due FROM (
  SELECT min(next_due_at_ms) AS due FROM orders WHERE flag IS NULL OR fruitless < ${LOOKS_MAX}
  UNION ALL
  SELECT min(next_due_at_ms) FROM refunds WHERE looks < ${LOOKS_MAX}
  UNION ALL SELECT min(next_due_at_ms) FROM outbox ${messages ? '' : "WHERE type = 'shipping'"})`

export function runTimer(world: World, instances: Instances): Timer {
  const { dice, scheduler, server } = world
  const me: Owner = { name: 'timer', dead: false }
  const sql = nextDue(world.config.webhook !== undefined)
  let quiet = false
  /** What is due next, as of so many writes. */
  let next: number | null = null
  let seen = -1

  /** In the world's time. */
  function nextDueMs(): number | undefined {
    if (seen !== server.writes) {
      seen = server.writes
      next = (server.run(sql, []).rows[0] as { due: number | null }).due
    }
    return next === null ? undefined : next - server.nowMs() + scheduler.nowMs
  }

  /** In the world's time: when the next window of the bill is to be compared. */
  function billDueMs(): number {
    const { due } = server.run('SELECT min(next_due_at_ms) AS due FROM bill_windows', []).rows[0] as {
      due: number | null
    }
    return due === null ? Infinity : due - server.nowMs() + scheduler.nowMs
  }

  const look = ({ orders = 0, refunds = 0, left, bill }: TimerSummary): void => {
    if (left && orders + refunds > 0)
      world.coverage.count('scene', 'a backlog larger than a run of the timer')
    if (bill && billDueMs() <= scheduler.nowMs)
      world.coverage.count('scene', 'a bill that outlasts a run of the timer')
  }

  let firedMs = 0
  const fire = (): Promise<unknown> => {
    firedMs = scheduler.nowMs
    timer.fired++
    world.coverage.count('answer', world.faultsOn ? 'timer' : 'timer, at the end')
    return instances.visit({
      doorName: 'timer',
      about: undefined,
      limitMs: world.timerLimitMs,
      work: async (open, _, context) => {
        try {
          look(await runTimerOnce(await open(), context))
        } catch (error) {
          // A run may fail for want of a database; it may not be wrong.
          if (!(error instanceof Fault) && !/^these parts failed/.test((error as Error).message))
            world.broken.push(`timer: ${(error as Error).stack}`)
        }
      },
    })
  }

  /** Tomorrow the bill of today is compared, a slice at a time. */
  async function billIsCompared(): Promise<boolean> {
    world.needsBill = false
    // A bill may list a refund by the time it came to its end.
    const refunds = [...world.sandbox.orders.values()].flatMap((order) => order.refunds)
    const lastMs = Math.max(0, ...refunds.map(({ due_ms }) => due_ms))
    // Day by day: a bill that lies is found out because the same day is compared on three days.
    for (let leftMs = lastMs - scheduler.nowMs; leftMs > 0; leftMs = lastMs - scheduler.nowMs) {
      await fire()
      await scheduler.park(me, 'waits for the bank', Math.min(DAY_MS, leftMs + 1000))
    }
    await fire()
    // Of two watches the one that is ahead says which day it is: what happened today may be tomorrow's for the other.
    const todayMs = Math.max(server.nowMs(), scheduler.nowMs)
    const tomorrowMs = (Math.floor(todayMs / DAY_MS) + 1) * DAY_MS
    await scheduler.park(me, 'waits for tomorrow', tomorrowMs - server.nowMs() + 3_600_000)
    for (let slice = 0; slice < SLICES_MAX; slice++) {
      await fire()
      const planned = server.run(`SELECT value FROM marks WHERE name = 'bill' AND value LIKE ?`, [
        `${tomorrowMs / 1000} %`,
      ]).rows
      const dueMs = billDueMs()
      if (planned.length > 0 && dueMs === Infinity) return true
      // What could not be read waits, for hours when it could not be read twice.
      const waitMs = dueMs === Infinity ? 0 : dueMs - scheduler.nowMs
      await scheduler.park(me, 'wakes', Math.max(PERIOD_MS, waitMs))
    }
    return false
  }

  const timer: Timer = {
    get isQuiet() {
      return quiet
    },
    fired: 0,
    stop: () => (me.dead = true),
  }

  /** At least so often it looks whether somebody has made something due. */
  const [beatMs, idleMs] = world.scene === 'keeping' ? [3_600_000, 3_600_000] : [600_000, 60_000]
  const go = async () => {
    await scheduler.park(me, 'wakes', dice.below(PERIOD_MS))
    for (;;) {
      const dueMs = nextDueMs()
      const due = dueMs !== undefined && dueMs <= scheduler.nowMs
      // What is still on its way may make something due.
      const nothingDue = dueMs === undefined || dueMs - scheduler.nowMs > QUIET_MS
      const isOver = !world.faultsOn && nothingDue && scheduler.isEmpty
      // At once: it goes back three days, and what is left to do may take longer.
      if (!world.faultsOn && world.needsBill) {
        world.billHid = false
        if (!(await billIsCompared())) world.broken.push('the bill is never compared to its end')
        // A day is compared on three days: what the bill of the first one hid, the next one shows.
        if (world.billHid) {
          world.billLiesLeft = 0
          world.needsBill = true
        }
        continue
      }
      quiet = isOver
      // Nothing is due by a row when texts have been kept long enough.
      const mayPurge = !isOver && world.scene === 'keeping' && scheduler.nowMs - firedMs > PURGE_EVERY_MS
      if (due || mayPurge) {
        // The platform may fire it twice, at the same time or before the first has come to its end.
        if (world.faultsOn && dice.chance(0.3)) {
          void fire()
          await scheduler.park(me, 'fires twice', dice.chance(0.8) ? 0 : dice.between(0, 5000))
        }
        await fire()
      }
      const next = nextDueMs() ?? scheduler.nowMs + idleMs
      // On the beat, and while people may still do something not much later than that.
      const waitMs = Math.max(
        PERIOD_MS,
        Math.min(next - scheduler.nowMs, world.faultsOn || nothingDue ? beatMs : QUIET_MS),
      )
      await scheduler.park(me, 'wakes', waitMs)
    }
  }
  go().catch((error: Error) => world.broken.push(`timer: ${error.stack ?? error.message}`))
  return timer
}
