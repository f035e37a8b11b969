import { sql } from 'kysely'
import { databaseNowMs, inBytes } from './dialect'
import type { Store } from './open'
import { statement } from './statements'
import { nowPlus, numbers, read, unlessTaken, write, type Outcome } from './transaction'

/** When something last came to an end, or how far it has come: on the database's clock, under a name. */
export type Mark = { at_ms: number; value: string; now_ms: number }

const findRow = statement<{ name: string }>((db, given, store) =>
  db
    .selectFrom('marks')
    .select(['at_ms', 'value', databaseNowMs(store.dialect).as('now_ms')])
    .where('name', '=', given.name),
)

export async function findMark(store: Store, name: string): Promise<Mark | undefined> {
  const [row] = await read<object>(store, findRow(store, { name }))
  return row && numbers<Mark>(row, ['at_ms', 'now_ms'])
}

const listRows = statement<{ from: string; below: string }>((db, given, { dialect }) => {
  const name = inBytes(dialect, 'name')
  return db
    .selectFrom('marks')
    .select(['name', 'at_ms', 'value', databaseNowMs(dialect).as('now_ms')])
    .where(sql<boolean>`${name} >= ${given.from}`)
    .where(sql<boolean>`${name} < ${given.below}`)
})

/** Those whose names begin so. What follows are letters and digits: `~` is behind all of them. */
export async function listMarks(store: Store, prefix: string): Promise<(Mark & { name: string })[]> {
  const rows = await read<object>(store, listRows(store, { from: prefix, below: `${prefix}~` }))
  return rows.map((row) => numbers<Mark & { name: string }>(row, ['at_ms', 'now_ms']))
}

const setRow = statement<{ name: string; value: string }>((db, given, store) =>
  db
    .updateTable('marks')
    .set({ at_ms: nowPlus(store, 0), value: given.value })
    .where('name', '=', given.name),
)

const insertRow = statement<{ name: string; value: string }>((db, given, store) =>
  db.insertInto('marks').values({ name: given.name, value: given.value, at_ms: nowPlus(store, 0) }),
)

export const setMark = (store: Store, name: string, value: string): Promise<Outcome> =>
  write(store, async (say) => {
    if ((await say(setRow(store, { name, value }))).affected > 0) return
    await unlessTaken(store, say(insertRow(store, { name, value })), () => undefined)
  })
