import { sql } from 'kysely'
import { Fault } from '../base/errors'
import { firstRows } from './dialect'
import type { Store } from './open'
import { deletion, statement } from './statements'
import { insertOne, writeUpTo } from './transaction'

type Once = { kind: string; id: string; until: number }

const insertRow = statement<Once>((db, given) =>
  db.insertInto('spent').values({ kind: given.kind, id: given.id, until_at: given.until }),
)

/**
 * Uses what may be used once. False when it was used before, by whomever; it is remembered `until` (epoch seconds), when
 * it has expired anyway. When the database does not say whether it was kept, nobody goes on with it.
 */
export async function spend(store: Store, once: Once): Promise<boolean> {
  const outcome = await insertOne(store, insertRow(store, once))
  if (outcome === 'lost') {
    throw new Fault('database_unavailable', { cause: new Error('cannot tell whether it was used before') })
  }
  return outcome === 'done'
}

const forgetRows = statement<{ now: number; limit: number }>((db, given, { dialect }) => {
  const where = sql`until_at < ${given.now}`
  const rows = firstRows(dialect, 'spent', { where, by: ['until_at'], limit: given.limit })
  return deletion(db, sql`delete from spent ${rows}`)
})

/** What has expired needs no remembering; no more of it at once than `limit`. */
export const forgetSpent = (store: Store, now: number, limit: number): Promise<'all' | 'more'> =>
  writeUpTo(store, forgetRows(store, { now, limit }), limit)
