import { databaseNow } from '../../shared/store/counters'
import type { Store } from '../../shared/store/open'

/**
 * For tests on a real database, whose clock nobody moves. How long a statement takes is up to the machine, so nothing is
 * compared with a tolerance: what was written down lies between two readings, and a row grows old by plain SQL.
 */
export type Span = { fromMs: number; toMs: number }

/** The readings of the database's own clock before and after. */
export async function during(store: Store, work: () => Promise<unknown>): Promise<Span> {
  const fromMs = await databaseNow(store)
  await work()
  return { fromMs, toMs: await databaseNow(store) }
}

/** The readings of this machine's clock, which the databases of tests share. Each of them rounds to a millisecond. */
export async function duringHere(work: () => Promise<unknown>): Promise<Span> {
  const fromMs = Date.now() - 1
  await work()
  return { fromMs, toMs: Date.now() + 1 }
}

/** The time, or `laterMs` after it. */
export function expectTime(ms: number | null | undefined, { fromMs, toMs }: Span, laterMs = 0): void {
  expect(ms).toBeGreaterThanOrEqual(fromMs + laterMs)
  expect(ms).toBeLessThanOrEqual(toMs + laterMs)
}

export const HOUR_MS = 3_600_000

const TIMES = {
  orders: ['lease_until_ms', 'looked_at_ms', 'next_due_at_ms', 'notified_at_ms'],
  refunds: ['next_due_at_ms'],
  outbox: ['next_due_at_ms'],
} as const

/** Rows of this order see an hour pass, or as much as told: whatever they say about times is so much longer ago. */
export async function age(
  store: Store,
  table: keyof typeof TIMES,
  out_trade_no: string,
  ms = HOUR_MS,
): Promise<void> {
  for (const column of TIMES[table]) {
    await store.db
      .updateTable(table as 'orders')
      .set((eb) => ({ [column]: eb(column as 'lease_until_ms', '-', ms) }))
      .where('out_trade_no', '=', out_trade_no)
      .execute()
  }
}
