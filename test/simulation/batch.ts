import { fork, type ChildProcess } from 'node:child_process'
import { Coverage } from './coverage'
import type { RunResult } from './run'
import type { Orders, Report } from './worker'

/** Many runs in several processes, added up. */
export type Batch = {
  runs: number
  seed: number
  workers: number
  stopAtFirst?: boolean
  /** Remember so many visits of each await. Only the instrumented build knows of any (crash.ts). */
  visits?: number
}

/** `await phase` → seed and visit of some runs that came to it. */
export type Reached = Map<string, [seed: number, visit: number][]>

/** Adds what other runs came to, up to so many visits of each await. */
export function addReached(to: Reached, more: Iterable<[string, [number, number][]]>, visits?: number): void {
  for (const [key, known] of more) to.set(key, [...(to.get(key) ?? []), ...known].slice(0, visits))
}

export type BatchResult = {
  bad: RunResult[]
  coverage: Coverage
  reached: Reached
  cpuMs: number
  ms: number
}

export async function runBatch(bundle: string, batch: Batch): Promise<BatchResult> {
  const startMs = performance.now()
  const children: ChildProcess[] = []
  const reports = await Promise.all(
    Array.from({ length: batch.workers }, async (_, worker) => {
      const count = Math.floor((batch.runs + batch.workers - 1 - worker) / batch.workers)
      const orders: Orders = {
        seeds: { from: batch.seed + worker, count, step: batch.workers },
        stopAtFirst: batch.stopAtFirst ?? false,
        ...(batch.visits === undefined ? {} : { crash: { survey: batch.visits } }),
      }
      const report = await give(bundle, orders, children)
      // The others need not go on looking for what has been found.
      if (orders.stopAtFirst && report.bad.length > 0) {
        for (const child of children) if (child.connected) child.send('stop', () => undefined)
      }
      return report
    }),
  )
  const coverage = new Coverage()
  for (const report of reports) coverage.add(report.coverage)
  const reached: Reached = new Map()
  for (const report of reports) addReached(reached, Object.entries(report.reached ?? {}), batch.visits)
  return {
    bad: reports.flatMap((report) => report.bad).sort((a, b) => a.seed - b.seed),
    coverage,
    reached,
    cpuMs: reports.reduce((sum, report) => sum + report.cpuMs, 0),
    ms: performance.now() - startMs,
  }
}

/** One seed with its whole timeline, which goes to stdout. */
export const replay = (bundle: string, seed: number): Promise<Report> =>
  give(
    bundle,
    { seeds: { from: seed, count: 1, step: 1 }, stopAtFirst: false, trace: true },
    [],
    ['--enable-source-maps'],
  )

export function give(
  bundle: string,
  orders: Orders,
  children: ChildProcess[] = [],
  execArgv: string[] = [],
): Promise<Report> {
  // Young objects die young here; with more room for them fewer are copied.
  const child = fork(bundle, { execArgv: ['--max-semi-space-size=32', ...execArgv] })
  children.push(child)
  return new Promise((resolve, reject) => {
    let report: Report | undefined
    child.on('message', (message) => (report = message as Report))
    child.on('error', reject)
    child.on('exit', (code) => {
      children.splice(children.indexOf(child), 1)
      if (report) resolve(report)
      else reject(new Error(`a worker of the simulation ended with ${code} and no report`))
    })
    child.send(orders)
  })
}
