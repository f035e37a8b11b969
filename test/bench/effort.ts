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
}

export const isSmoke = process.argv.includes('--smoke')
export const effort = isSmoke ? SMOKE : FULL
