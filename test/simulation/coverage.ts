import { SCENE_SWITCHES, SWITCHES } from '../../local/sandbox/switches'
import {
  CLOUD_PAY_FAULTS,
  DATABASE_FAULTS,
  NETWORK_FAULTS,
  NOTIFICATION_FAULTS,
  PLATFORM_FAULTS,
  WEBHOOK_FAULTS,
} from './faults'
import { HAPPENINGS } from './scenes'

/** What a batch of runs has seen. Plain counters, so that two workers' can be added. */
export const KINDS = ['fault', 'edge', 'pair', 'switch', 'scene', 'answer'] as const
export type Kind = (typeof KINDS)[number]

export class Coverage {
  readonly counts: Record<Kind, Record<string, number>> = {
    fault: {},
    edge: {},
    pair: {},
    switch: {},
    scene: {},
    answer: {},
  }
  runs = 0
  steps = 0
  /** Hashes of the courses taken. */
  readonly schedules = new Set<number>()

  count(kind: Kind, name: string, times = 1): void {
    const counts = this.counts[kind]
    counts[name] = (counts[name] ?? 0) + times
  }

  add(other: CoverageData): void {
    for (const kind of KINDS) {
      for (const [name, times] of Object.entries(other.counts[kind])) this.count(kind, name, times)
    }
    this.runs += other.runs
    this.steps += other.steps
    for (const schedule of other.schedules) this.schedules.add(schedule)
  }

  data(): CoverageData {
    return { counts: this.counts, runs: this.runs, steps: this.steps, schedules: [...this.schedules] }
  }

  table(): string {
    const lines = [`distinct schedules: ${this.schedules.size} of ${this.runs}`]
    for (const kind of KINDS) {
      const entries = Object.entries(this.counts[kind]).sort(([a], [b]) => (a < b ? -1 : 1))
      lines.push(`${kind}:`, ...entries.map(([name, times]) => `${String(times).padStart(10)}  ${name}`))
    }
    return lines.join('\n')
  }
}

export type CoverageData = Pick<Coverage, 'counts' | 'runs' | 'steps'> & { schedules: number[] }

/** Which doors there are; every two of them have to meet. */
export const DOORS = ['createOrder', 'status', 'notify', 'close', 'refund', 'timer']

/** Every arrow of an order's life that can be taken. */
export const EDGES = [
  '· → created',
  'created → pending',
  'created → paid',
  'created → closing',
  'created → closed',
  'created → failed',
  'pending → paid',
  'pending → closing',
  'pending → closed',
  'closing → pending',
  'closing → paid',
  'closing → closed',
  'closed → paid_after_close',
  'failed → paid_after_close',
  'paid → refunded',
  'paid_after_close → refunded',
]

/** How often each must have been seen in 100 000 runs; in fewer, accordingly less often. */
const LEAST = { fault: 1000, edge: 100, pair: 1000, switch: 1000, scene: 30 } as const

/** What a batch of `runs` should have seen and has not. Says nothing about batches too small to tell. */
export function checkCoverage(coverage: Coverage, runs: number): string[] {
  if (runs < 10_000) return []
  const expected: Record<keyof typeof LEAST, string[]> = {
    fault: [
      ...DATABASE_FAULTS,
      ...NETWORK_FAULTS,
      ...CLOUD_PAY_FAULTS,
      ...PLATFORM_FAULTS,
      ...NOTIFICATION_FAULTS,
      ...WEBHOOK_FAULTS,
    ],
    edge: EDGES,
    pair: DOORS.flatMap((one, at) => DOORS.slice(at).map((other) => [one, other].sort().join(' + '))),
    switch: Object.entries(SWITCHES)
      .filter(([name]) => !SCENE_SWITCHES.includes(name))
      .flatMap(([name, values]) => values.map((value) => `${name}=${value}`)),
    scene: [...HAPPENINGS],
  }
  const missing: string[] = []
  for (const kind of Object.keys(LEAST) as (keyof typeof LEAST)[]) {
    const least = Math.ceil((LEAST[kind] * runs) / 100_000)
    for (const name of expected[kind]) {
      const times = coverage.counts[kind][name] ?? 0
      if (times < least) missing.push(`${kind} "${name}": ${times} times, at least ${least} expected`)
    }
  }
  if (coverage.schedules.size < runs / 2) {
    missing.push(`only ${coverage.schedules.size} different schedules in ${runs} runs`)
  }
  return missing
}
