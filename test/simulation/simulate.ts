import { parseArgs } from 'node:util'
import { replay, runBatch } from './batch'
import { bundleWorker } from './bundle'
import { checkCoverage } from './coverage'

/** `npm run simulate -- --runs 100000 --seed 1 --workers 2`, or `--seed N --replay` for one run with its timeline. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
      replay: { type: 'boolean', default: false },
      'keep-going': { type: 'boolean', default: false },
    },
  })
  const seed = Number(values.seed)
  const bundle = await bundleWorker('simulation')

  if (values.replay) {
    const { bad } = await replay(bundle, seed)
    for (const { violations } of bad) console.log(`\nviolated:\n${violations.join('\n')}`)
    if (bad.length > 0) process.exitCode = 1
    else console.log('\nnothing violated')
    return
  }

  const runs = Number(values.runs)
  console.log(`${runs} runs, seeds ${seed} to ${seed + runs - 1}, ${values.workers} workers`)
  const { bad, coverage, cpuMs, ms } = await runBatch(bundle, {
    runs,
    seed,
    workers: Number(values.workers),
    stopAtFirst: !values['keep-going'],
  })
  const perRun = (cpuMs / coverage.runs).toFixed(2)
  console.log(
    `${coverage.runs} runs in ${(ms / 1000).toFixed(1)} s, ${((coverage.runs / ms) * 1000).toFixed(0)} a second, ` +
      `${perRun} ms CPU and ${(coverage.steps / coverage.runs).toFixed(0)} steps each`,
  )
  console.log(coverage.table())

  if (bad.length > 0) {
    for (const one of bad.slice(0, 20)) console.log(`seed ${one.seed}: ${one.violations.join('; ')}`)
    console.log(`${bad.length} runs violated something. The first of them:\n`)
    const first = bad[0]!.seed
    await replay(bundle, first)
    console.log(`\nviolated:\n${bad[0]!.violations.join('\n')}`)
    console.log(`\nreplay:  npm run simulate -- --seed ${first} --replay`)
    process.exitCode = 1
    return
  }
  console.log('0 violations')
  const missing = checkCoverage(coverage, coverage.runs)
  if (missing.length > 0) {
    console.log(`not covered well enough:\n${missing.join('\n')}`)
    process.exitCode = 1
  }
}

void main()
