import { Coverage, type CoverageData } from './coverage'
import type { CrashPlan } from './crashPoints'
import { Server } from './database'
import { run, type RunResult } from './run'

/** One process of a batch: plays the seeds it is given and reports. */
export type Orders = {
  seeds: { from: number; count: number; step: number }
  stopAtFirst: boolean
  trace?: boolean
  /** Only in the instrumented build. `survey`: remember so many visits of each await. `plans`: crash there. */
  crash?: { survey: number } | { plans: SeededPlan[] }
}
export type SeededPlan = CrashPlan & { seed: number }

export type Report = {
  bad: RunResult[]
  coverage: CoverageData
  cpuMs: number
  ms: number
  /** Await and phase → seed and visit of some that came to it. */
  reached?: Record<string, [seed: number, visit: number][]>
  crashed?: { plan: SeededPlan; violations: string[] }[]
}

/** A batch that is wrong everywhere says no more with the thousandth example. */
const BAD_MAX = 10_000

let stopped = false
let playing = 0

process.on('message', (message: Orders | 'stop') => {
  if (message === 'stop') {
    stopped = true
    return
  }
  play(message).then(
    (report) => process.send!(report, () => process.disconnect()),
    (error: Error) => {
      console.error(`seed ${playing}:`, error)
      process.exit(1)
    },
  )
})

async function play(orders: Orders): Promise<Report> {
  const { seeds, stopAtFirst, trace, crash } = orders
  // Nobody reads where the thousands of expected errors were made, and looking it up costs more than a run.
  if (!trace) Error.stackTraceLimit = 0
  const coverage = new Coverage()
  const bench = { server: await Server.start(), coverage }
  const bad: RunResult[] = []
  const startMs = Number(process.hrtime.bigint()) / 1e6
  const startCpu = process.cpuUsage()
  const reached: NonNullable<Report['reached']> = {}
  const crashed: NonNullable<Report['crashed']> = []

  const tracing = trace ? { trace: (line: string) => void process.stdout.write(`${line}\n`) } : {}

  for (let n = 0; n < seeds.count && !stopped; n++) {
    const seed = seeds.from + n * seeds.step
    playing = seed
    const result = await run(bench, { seed, ...tracing })
    if (crash && 'survey' in crash) remember(reached, seed, result.visits, crash.survey)
    if (result.violations.length === 0) continue
    if (bad.length < BAD_MAX) bad.push(result)
    if (stopAtFirst) break
  }
  if (crash && 'plans' in crash) {
    for (const plan of crash.plans) {
      const { violations } = await run(bench, { seed: plan.seed, crash: plan, ...tracing })
      if (violations.length > 0) crashed.push({ plan, violations })
    }
  }

  const { user, system } = process.cpuUsage(startCpu)
  return {
    bad,
    coverage: (coverage.count('answer', 'statements', bench.server.statements), coverage.data()),
    cpuMs: (user + system) / 1000,
    ms: Number(process.hrtime.bigint()) / 1e6 - startMs,
    ...(crash ? { reached, crashed } : {}),
  }
}

/** The first visits, and those of other runs: an await is come to on different ways. */
function remember(
  reached: NonNullable<Report['reached']>,
  seed: number,
  visits: ReadonlyMap<string, number>,
  most: number,
): void {
  for (const [key, times] of visits) {
    const known = (reached[key] ??= [])
    if (known.length < most) known.push([seed, seed % times])
  }
}
