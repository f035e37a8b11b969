/** How much is measured. Fewer than these say nothing about speed. */
export type Effort = {
  pairs: number
  /** To choose between two ways of building a baseline. */
  trialPairs: number
  /** Loading is short, so it takes more. */
  loadPairs: number
  warm: { processes: number; warmUp: number; batches: number; batch: number }
  /** How many processes of each program share the pairs of a row whose operations are short. */
  processes: number
  /** Operations in a batch whose CPU time is taken. */
  moves: number
  signatures: { hmac: number; rsa: number }
  /** Rows that are due, each time more; how often the timer's lists are read of them; and whose bill is compared. */
  timer: { due: number[]; reads: number; merchants: number; orders: number }
}

const pairs = Number(process.env['BENCH_PAIRS'] ?? 25)

const FULL: Effort = {
  pairs,
  trialPairs: 9,
  loadPairs: Math.max(pairs, 31),
  warm: { processes: 3, warmUp: 300, batches: 10, batch: 100 },
  processes: 5,
  moves: 2000,
  signatures: { hmac: 5000, rsa: 20 },
  timer: { due: [1_000, 200_000, 1_000_000], reads: 25, merchants: 1000, orders: 10_000 },
}

/** Every row once: that it runs, and nothing about how fast. */
const SMOKE: Effort = {
  pairs: 1,
  trialPairs: 1,
  loadPairs: 1,
  warm: { processes: 1, warmUp: 3, batches: 1, batch: 3 },
  processes: 1,
  moves: 10,
  signatures: { hmac: 10, rsa: 1 },
  timer: { due: [1_000], reads: 1, merchants: 3, orders: 12 },
}

export const isSmoke = process.argv.includes('--smoke')
export const effort = isSmoke ? SMOKE : FULL
