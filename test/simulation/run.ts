import { installCrashPoints } from './crashPoints'
import { Instances } from './instances'
import { violations, type Evidence, type Row } from './invariants'
import { startPrograms } from './programs'
import { routes } from './doors'
import type { Waiting } from './scheduler'
import { World, type Bench, type WorldOptions } from './world'

export type RunResult = {
  seed: number
  violations: string[]
  hash: number
  steps: number
  /** How often each await was come to, in the instrumented build. */
  visits: ReadonlyMap<string, number>
}

/** More steps than any run needs: then something goes round in circles. A crowd has a dozen orders. */
const STEPS_MAX = 20_000
const CROWD_STEPS_MAX = 150_000

const TIMER_RUNS_MAX = 300

/** Lets every microtask run out. Not a timer: it costs a microsecond. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

let now: World | undefined
// Node would end the instance for it. The last breaths of one that is dead already mean nothing.
process.on('unhandledRejection', (reason) => {
  if (now && !now.current.dead)
    now.broken.push(`nobody heard of: ${String((reason as Error).stack ?? reason)}`)
})

export async function run(bench: Bench, options: WorldOptions): Promise<RunResult> {
  const world = new World(bench, options)
  now = world
  const { scheduler, dice, coverage } = world
  const visits = installCrashPoints(world, options.crash)
  scheduler.intercept = (next: Waiting) => {
    const { crash } = next.owner as { crash?: () => void }
    if (!crash || !dice.chance(world.luck.crash)) return false
    world.sawFault(next.owner, 'crash')
    crash()
    return true
  }
  const instances = new Instances(world, routes)
  const programs = startPrograms(world, instances)
  const found: string[] = []
  const stepsMax = world.scene === 'crowd' ? CROWD_STEPS_MAX : STEPS_MAX

  const drive = async (until: () => boolean): Promise<void> => {
    while (!until()) {
      if (scheduler.steps > stepsMax) {
        found.push(`not quiescent: still running after ${stepsMax} steps`)
        return
      }
      if (!scheduler.step()) return
      await settled()
      if (world.inTransaction) {
        found.push('a transaction waits for something that is not the database')
        return
      }
    }
  }

  await settled()
  await drive(() => programs.done)
  if (!programs.done && found.length === 0) found.push('a program waits for ever')
  world.endFaults()
  const { timer } = programs
  const firedBefore = timer.fired
  await drive(() => timer.isQuiet || timer.fired - firedBefore > TIMER_RUNS_MAX)
  if (!timer.isQuiet) found.push(`not quiescent: the timer has run ${timer.fired - firedBefore} times`)
  timer.stop()
  // What is still on its way arrives, though nobody waits for it any more.
  if (found.length === 0) await drive(() => false)

  const evidence: Evidence = {
    query: (sql) => world.server.run(sql, []).rows as Row[],
    ledger: world.sandbox.ledger(),
    received: world.sandbox.received,
    transmissions: world.traffic.transmissions,
    duplicated: world.duplicated,
    squatted: world.squatted,
    paidInTime: world.paidInTime,
    acknowledged: world.acknowledged,
    told: world.config.webhook ? world.told : undefined,
    prefixes: new Map(world.config.merchants.map((one) => [one.order_prefix, one.out_sub_mch_id])),
    forgot: world.forgot,
    closed: world.closed,
  }
  found.push(...violations(evidence))
  // With its lease forgotten, another may send at the same time; and whoever looks for his row does not find it.
  if (world.forgot) found.push(...world.broken.filter((line) => !/ row has vanished/.test(line)))
  else found.push(...world.traffic.violations, ...world.broken)
  for (const { from_state, to_state } of evidence.query('SELECT from_state, to_state FROM order_events')) {
    if (from_state !== to_state) coverage.count('edge', `${String(from_state ?? '·')} → ${String(to_state)}`)
  }
  coverage.runs++
  coverage.steps += scheduler.steps
  coverage.schedules.add(scheduler.hash)
  return { seed: options.seed, violations: found, hash: scheduler.hash, steps: scheduler.steps, visits }
}
