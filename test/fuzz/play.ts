import { Dice } from '../simulation/dice'

/**
 * One parser that reads what comes from outside. `run` says whether it took the input; a refusal it declares is `false`.
 * Whatever else it throws is a fault of ours.
 */
export type Target<Input = unknown> = {
  name: string
  /** Sources whose branches have to be reached: a file, or `file#function`. */
  covers: string[]
  /** How many of the executions, beside the others. */
  weight: number
  make: (dice: Dice) => Input
  run: (input: Input) => boolean | Promise<boolean>
}

export type Played = {
  name: string
  executions: number
  accepted: number
  uncaught: { input: string; error: string }[]
  uncaughtCount: number
  hangs: { input: string; ms: number }[]
  longestMs: number
  ms: number
}

/** Longer, and somebody can keep an instance busy with it. */
export const HANG_MS = 100
/** An execution that took so long is repeated, and counts by its shortest: a pause of the machine is not its own. */
const REPEATS = 5
const REPEAT_FROM_MS = 10
const KEPT = 5

export type Around = { seed: number; executions: number; nowMs: () => number; beat?: () => void }

export async function play(target: Target, { seed, executions, nowMs, beat }: Around): Promise<Played> {
  const dice = new Dice(seed)
  const played: Played = {
    name: target.name,
    executions: 0,
    accepted: 0,
    uncaught: [],
    uncaughtCount: 0,
    hangs: [],
    longestMs: 0,
    ms: 0,
  }
  const once = async (input: unknown): Promise<number> => {
    const start = nowMs()
    const taken = target.run(input)
    // Waited for only if there is something to wait for: most parsers are done at once.
    if (typeof taken === 'boolean') played.accepted += Number(taken)
    else played.accepted += Number(await taken)
    return nowMs() - start
  }
  const began = nowMs()
  for (let nth = 0; nth < executions; nth++) {
    const input = target.make(dice)
    played.executions++
    beat?.()
    try {
      const ms = await once(input)
      if (ms <= Math.max(played.longestMs, REPEAT_FROM_MS)) {
        if (ms <= REPEAT_FROM_MS) played.longestMs = Math.max(played.longestMs, ms)
        continue
      }
      const { accepted } = played
      let shortest = ms
      for (let again = 0; again < REPEATS && shortest > REPEAT_FROM_MS; again++)
        shortest = Math.min(shortest, await once(input))
      played.accepted = accepted
      played.longestMs = Math.max(played.longestMs, shortest)
      if (shortest > HANG_MS && played.hangs.push({ input: shown(input), ms: shortest }) === KEPT) break
    } catch (error) {
      played.uncaughtCount++
      if (played.uncaught.length < KEPT)
        played.uncaught.push({
          input: shown(input),
          error: error instanceof Error ? (error.stack ?? '') : String(error),
        })
    }
  }
  played.ms = nowMs() - began
  return played
}

const SHOWN_MAX = 600
const shown = (input: unknown): string => {
  try {
    return JSON.stringify(input, readable).slice(0, SHOWN_MAX)
  } catch {
    return String(input)
  }
}

/** Bytes as text: by the time they are shown they have become lists of numbers. */
function readable(_name: string, value: unknown): unknown {
  const { type, data } = (value ?? {}) as { type?: unknown; data?: number[] }
  return type === 'Buffer' && Array.isArray(data) ? Buffer.from(data).toString() : value
}

export const ACCEPTED_MIN = 0.2
export const BRANCHES_MIN = 0.9

/** What was promised and not kept, one sentence each. */
export function missed(played: Played): string[] {
  const { name, accepted, executions, uncaughtCount, hangs } = played
  const share = accepted / executions
  return [
    ...(uncaughtCount > 0 ? [`${name}: ${uncaughtCount} uncaught`] : []),
    ...(hangs.length > 0 ? [`${name}: ${hangs.length} executions over ${HANG_MS} ms`] : []),
    ...(share < ACCEPTED_MIN ? [`${name}: ${(share * 100).toFixed(1)} % of the inputs were accepted`] : []),
  ]
}
