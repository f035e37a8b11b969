import { effort } from './effort'
import { coldAnswer, processLife, startWorker, type Batch, type Cold, type Program } from './measure'

/** Two programs, measured in pairs on one machine in one run. */
export type Pair = { ours: number; theirs: number }
export type PairOf<T> = { ours: T; theirs: T }

// ── what pairs say ─────────────────────────────────────────────────────────────────────────────────────────────

export const median = (values: readonly number[]): number => quantile(values, 0.5)

export function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * at
  const [below = NaN, above = below] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
  return below + (above - below) * (place - Math.floor(place))
}

export const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 1)} ms`
export const us = (valueMs: number) => `${(valueMs * 1000).toFixed(1)} µs`

export const onlyOf = <Name extends string>(
  pairs: readonly PairOf<Record<Name, number>>[],
  name: Name,
): Pair[] => pairs.map(({ ours, theirs }) => ({ ours: ours[name], theirs: theirs[name] }))

export const counted = (pairs: number) => `${pairs} ${pairs === 1 ? 'pair' : 'pairs'}`

/** The medians of both, the median of the pairs' own ratios, and that of their own differences. */
export function summaryOf(pairs: readonly Pair[], show: (value: number) => string) {
  const ratios = pairs.map(({ ours, theirs }) => ours / theirs)
  const ratio = median(ratios)
  const spread = `${quantile(ratios, 0.25).toFixed(2)}–${quantile(ratios, 0.75).toFixed(2)}`
  const more = median(pairs.map(({ ours, theirs }) => ours - theirs))
  return {
    ours: show(median(pairs.map((pair) => pair.ours))),
    theirs: show(median(pairs.map((pair) => pair.theirs))),
    ratio,
    ratioText: `${ratio.toFixed(2)} (middle half ${spread}, ${counted(pairs.length)})`,
    more,
    moreText: `${more < 0 ? '−' : '+'}${show(Math.abs(more))}`,
  }
}

// ── taking them ────────────────────────────────────────────────────────────────────────────────────────────────

/** One of each, then one of each, and who goes first alternates: what disturbs the machine disturbs both. */
export async function inPairs<T>(
  count: number,
  ours: () => Promise<T>,
  theirs: () => Promise<T>,
): Promise<PairOf<T>[]> {
  const pairs: PairOf<T>[] = []
  for (let at = 0; at < count; at++) {
    if (at % 2 === 0) {
      const first = await ours()
      pairs.push({ ours: first, theirs: await theirs() })
    } else {
      const first = await theirs()
      pairs.push({ theirs: first, ours: await ours() })
    }
  }
  return pairs
}

export const lifePairs = (ours: string, theirs: string): Promise<PairOf<Cold>[]> =>
  inPairs(
    effort.loadPairs,
    () => processLife(ours),
    () => processLife(theirs),
  )

export const coldPairs = (ours: Program, theirs: Program, count = effort.pairs): Promise<PairOf<Cold>[]> =>
  inPairs(
    count,
    () => coldAnswer(ours),
    () => coldAnswer(theirs),
  )

/** Orders made by programs that stay, batch by batch, in several processes one after the other. */
export async function warmPairs(ours: Program, theirs: Program): Promise<PairOf<Batch>[]> {
  const { processes, warmUp, batches, batch } = effort.warm
  const pairs: PairOf<Batch>[] = []
  for (let run = 0; run < processes; run++) {
    const workers = [startWorker(ours), startWorker(theirs)] as const
    await inPairs(
      3,
      () => workers[0].batch(warmUp / 3),
      () => workers[1].batch(warmUp / 3),
    )
    const measured = await inPairs(
      batches,
      () => workers[0].batch(batch),
      () => workers[1].batch(batch),
    )
    pairs.push(...measured)
    await Promise.all(workers.map((worker) => worker.stop()))
  }
  return pairs
}

/**
 * CPU per operation of two programs that stay, batch by batch. Of the same program one process may stay some per cent
 * slower than another for as long as it lives, so several share the pairs.
 */
export async function cpuPairs(
  [ours, ourBatch]: [Program, number],
  [theirs, theirBatch]: [Program, number],
): Promise<Pair[]> {
  const pairs: Pair[] = []
  for (let left = Math.min(effort.processes, effort.pairs); left > 0; left--) {
    const workers = [startWorker(ours), startWorker(theirs)] as const
    const take = (count: number) =>
      inPairs(
        count,
        async () => (await workers[0].batch(ourBatch)).cpuMs,
        async () => (await workers[1].batch(theirBatch)).cpuMs,
      )
    const count = Math.ceil((effort.pairs - pairs.length) / left)
    await take(Math.min(2, count))
    pairs.push(...(await take(count)))
    await Promise.all(workers.map((worker) => worker.stop()))
  }
  return pairs
}
