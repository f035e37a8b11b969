import * as fc from 'fast-check'
import { histories, openPlayer } from './microHistories'

/** One planted build, in a process of its own: plays histories from a seed and says what the first bad one violated. */
async function main([seed, runs]: number[]): Promise<void> {
  const player = await openPlayer()
  let violations: string[] = []
  let error = ''
  const property = fc.asyncProperty(histories, async (history) => {
    try {
      violations = await player.play(history)
    } catch (thrown) {
      error = String(thrown)
    }
    return violations.length === 0 && error === ''
  })
  const { numRuns } = await fc.check(property, { seed: seed!, numRuns: runs!, endOnFailure: true })
  await player.close()
  process.stdout.write(JSON.stringify({ numRuns, violations, error }))
}

void main(process.argv.slice(2).map(Number))
