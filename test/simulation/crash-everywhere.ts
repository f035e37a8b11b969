import { replay } from './batch'
import { bundleInstrumented, crashAt, replayCrash, replayWords, survey, unreached } from './crash'
import type { Phase } from './crashPoints'

/**
 * `npm run crash-everywhere [-- VISITS]`; `-- --replay POINT PHASE VISIT SEED` plays one crash with its timeline, and
 * `-- --replay SEED` a run without one, in the same build.
 */
async function main(): Promise<void> {
  const [first, ...words] = process.argv.slice(2)
  if (first === '--replay') return tellReplay(words)
  const visits = Number(first ?? 3)
  const instrumented = await bundleInstrumented()
  const reached = new Map()
  // Some are come to once in ten thousand runs.
  await survey(instrumented, { from: 1, runs: 50_000, visits, reached })
  const { crashes, bad } = await crashAt(instrumented, reached)
  const never = unreached(instrumented.points, reached)
  console.log(`${instrumented.points.length} awaits, ${crashes} crashes`)
  for (const { plan, violations } of bad) {
    console.log(`crash ${plan.phase} ${plan.point}: ${violations.join('; ')}\n  ${replayWords(plan)}`)
  }
  for (const { id, text } of never) console.log(`never reached: ${id}  ${text}`)
  if (bad.length > 0 || never.length > 0) process.exitCode = 1
}

async function tellReplay(words: string[]): Promise<void> {
  const [point, phase, visit, seed] = words
  const violations =
    words.length === 1
      ? (await replay((await bundleInstrumented()).bundle, Number(point))).bad.flatMap(
          (bad) => bad.violations,
        )
      : await replayCrash({
          point: point ?? '',
          phase: phase as Phase,
          visit: Number(visit),
          seed: Number(seed),
        })
  console.log(violations.length > 0 ? `\nviolated:\n${violations.join('\n')}` : '\nnothing violated')
}

void main()
