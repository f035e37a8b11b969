import type { Random } from '../base/random'

const S = 1000
const MIN = 60 * S
const H = 60 * MIN

/**
 * How long to wait after the first failed attempt, the second …: eight attempts in 31 h 35 min, as Standard Webhooks
 * suggests. A restart is over at the third, a night at the sixth, and who is away for a day misses nothing.
 */
export const LADDER_MS = [5 * S, 5 * MIN, 30 * MIN, 2 * H, 5 * H, 10 * H, 14 * H] as const

/** Never given up earlier, whatever became of the attempts: an instance that dies in one has used it up. */
export const TRY_AT_LEAST_S = 24 * 3600

const LAST_MS = LADDER_MS[LADDER_MS.length - 1]!

/**
 * Milliseconds until the next attempt after so many, or undefined: given up. A tenth more or less by chance, so that
 * what failed together does not come back together. Behind its end the last rung repeats until `tryAtLeastS` are over.
 */
export function waitAfter(
  attempts: number,
  ageS: number,
  random: Random,
  tryAtLeastS = TRY_AT_LEAST_S,
): number | undefined {
  const rung = LADDER_MS[attempts - 1]
  if (rung === undefined && ageS >= tryAtLeastS) return undefined
  return Math.round((rung ?? LAST_MS) * (0.9 + (0.2 * random(4).readUInt32BE()) / 0xffff_ffff))
}
