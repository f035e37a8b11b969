import { sql } from 'kysely'
import { Fault } from '../base/errors'
import { firstRows } from './dialect'
import type { Store } from './open'
import { deletion, statement } from './statements'
import { read, unlessTaken, write, writeUpTo } from './transaction'

type Revocation = { id: string; at: number; until: number }

const findRows = statement<{ session: string; payer: string }>((db, given) =>
  db.selectFrom('revocations').select(['id', 'at']).where('id', 'in', [given.session, given.payer]),
)

/** Whether this session was ended, or every session of its payer that had begun by then. */
export async function isRevoked(
  store: Store,
  { session, payer, began }: { session: string; payer: string; began: number },
): Promise<boolean> {
  const rows = await read<{ id: string; at: unknown }>(store, findRows(store, { session, payer }))
  return rows.some(({ id, at }) => id === session || began <= Number(at))
}

/** Forward only: of two, the later one holds. */
const moveRow = statement<Revocation>((db, given) =>
  db
    .updateTable('revocations')
    .set({
      at: sql<number>`case when at < ${given.at} then ${given.at} else at end`,
      until_at: sql<number>`case when until_at < ${given.until} then ${given.until} else until_at end`,
    })
    .where('id', '=', given.id),
)

const insertRow = statement<Revocation>((db, given) =>
  db.insertInto('revocations').values({ id: given.id, at: given.at, until_at: given.until }),
)

const ATTEMPTS = 6

/** Takes effect with the next call of anybody: every call looks. */
export async function revoke(store: Store, revocation: Revocation): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const outcome = await write(store, async (say) => {
      if ((await say(moveRow(store, revocation))).affected > 0) return
      await unlessTaken(store, say(insertRow(store, revocation)), () => undefined)
    })
    if (outcome === 'done') return
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for a revocation') })
}

const forgetRows = statement<{ now: number; limit: number }>((db, given, { dialect }) => {
  const where = sql`until_at < ${given.now}`
  const rows = firstRows(dialect, 'revocations', { where, by: ['until_at'], limit: given.limit })
  return deletion(db, sql`delete from revocations ${rows}`)
})

/** The sessions they were about have expired; no more of them at once than `limit`. */
export const forgetRevocations = (store: Store, now: number, limit: number): Promise<'all' | 'more'> =>
  writeUpTo(store, forgetRows(store, { now, limit }), limit)
