import { crashEverywhere, replayCrash } from './crash'
import type { Phase } from './crashPoints'

/** `npm run crash-everywhere [-- VISITS]`, or `-- --replay POINT PHASE VISIT SEED` for one with its timeline. */
async function main(): Promise<void> {
  const given = process.argv.slice(2)
  if (given[0] === '--replay') {
    const [, point, phase, visit, seed] = given
    const violations = await replayCrash({
      point: point ?? '',
      phase: phase as Phase,
      visit: Number(visit),
      seed: Number(seed),
    })
    console.log(violations.length > 0 ? `\nviolated:\n${violations.join('\n')}` : '\nnothing violated')
    return
  }
  const [visits = 3] = given.map(Number)
  const { points, crashes, bad, unreached } = await crashEverywhere(visits)
  console.log(`${points.length} awaits, ${crashes} crashes`)
  for (const { plan, violations } of bad) {
    const { point, phase, visit, seed } = plan
    console.log(`crash ${phase} ${point}: ${violations.join('; ')}`)
    console.log(`  npm run crash-everywhere -- --replay ${point} ${phase} ${visit} ${seed}`)
  }
  for (const { id, text } of unreached) console.log(`never reached: ${id}  ${text}`)
  if (bad.length > 0 || unreached.length > 0) process.exitCode = 1
}

void main()
