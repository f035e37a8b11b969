import { cpus } from 'node:os'
import { replay, runBatch, type BatchResult } from './batch'
import { bundleWorker } from './bundle'
import { checkCoverage } from './coverage'
import { SEEDS } from './seeds'

const RUNS = Number(process.env['SIMULATION_RUNS'] ?? 2000)
/** The same runs for everybody; another number is another part of the world. */
const SEED = Number(process.env['SIMULATION_SEED'] ?? 1)

let bundle: string
beforeAll(async () => void (bundle = await bundleWorker('simulation-test')))

if (SEEDS.length > 0) {
  test.each(SEEDS)('seed $seed: $found', async ({ seed }) => {
    const { bad } = await replay(bundle, seed)
    expect(bad).toEqual([])
  })
}

describe(`${RUNS} runs of everything at once`, () => {
  let result: BatchResult
  beforeAll(async () => {
    result = await runBatch(bundle, {
      runs: RUNS,
      seed: SEED,
      workers: Math.min(2, cpus().length),
      stopAtFirst: true,
    })
  }, 3_600_000)

  test('no payment is lost, doubled or invented', () => {
    const [first] = result.bad
    if (first) {
      throw new Error(`${first.violations.join('\n')}\n\nnpm run simulate -- --seed ${first.seed} --replay`)
    }
    expect(result.coverage.runs).toBe(RUNS)
  })

  test('everything that can go wrong has gone wrong', () => {
    expect(checkCoverage(result.coverage, RUNS)).toEqual([])
  })
})
