import { cpus } from 'node:os'
import { runBatch, type BatchResult } from './batch'
import { checkCoverage } from './coverage'
import {
  bundleInstrumented,
  crashAt,
  replayWords,
  survey,
  unreached,
  type Crashed,
  type Instrumented,
} from './crash'

/**
 * Many runs, which also tell which of them come to which await; then an instance dies at each. Both need the same runs,
 * and playing them is what takes the time.
 */
const RUNS = Number(process.env['SIMULATION_RUNS'] ?? 2000)
const SEED = Number(process.env['SIMULATION_SEED'] ?? 1)
/** Enough to come to each await on different ways. */
const VISITS = 3

let instrumented: Instrumented
let result: BatchResult
beforeAll(async () => {
  instrumented = await bundleInstrumented()
  const workers = Math.min(2, cpus().length)
  result = await runBatch(instrumented.bundle, {
    runs: RUNS,
    seed: SEED,
    workers,
    stopAtFirst: true,
    visits: VISITS,
  })
}, 3_600_000)

describe(`${RUNS} runs of everything at once`, () => {
  test('no payment is lost, doubled or invented', () => {
    const [first] = result.bad
    if (first) {
      throw new Error(`${first.violations.join('\n')}\n\nnpm run crash-everywhere -- --replay ${first.seed}`)
    }
    expect(result.coverage.runs).toBe(RUNS)
  })

  test('everything that can go wrong has gone wrong', () => {
    expect(checkCoverage(result.coverage, RUNS)).toEqual([])
  })
})

describe('an instance dies at an await, any await', () => {
  let crashed: Crashed
  beforeAll(async () => {
    // A few are come to so seldom that these runs may have missed one.
    await survey(instrumented, { from: SEED + RUNS, runs: 50_000, visits: VISITS, reached: result.reached })
    crashed = await crashAt(instrumented, result.reached)
  }, 3_600_000)

  test('every one of them is reached', () => {
    expect(instrumented.points.length).toBeGreaterThan(200)
    expect(crashed.crashes).toBeGreaterThan(1000)
    expect(unreached(instrumented.points, result.reached).map(({ id, text }) => `${id}  ${text}`)).toEqual([])
  })

  test('and the others bring it to a good end', () => {
    expect(crashed.bad.map(({ plan, violations }) => ({ violations, replay: replayWords(plan) }))).toEqual([])
  })
})
