import { sql, type CompiledQuery } from 'kysely'
import type { Store } from '../../shared/store/open'

/** How many rows a server goes through for what is said to it, by what the server says itself. */
export type Reading = { statements: number; rows: number }

/** Not for what writes in PostgreSQL and can be said only once: there each statement is said again, to be explained. */
export async function readingOf(store: Store, work: (store: Store) => Promise<unknown>): Promise<Reading> {
  const said: CompiledQuery[] = []
  const say = (query: CompiledQuery) => {
    said.push(query)
    return store.connection.run(query)
  }
  const connection = {
    run: say,
    inTransaction: (all: (one: typeof say) => Promise<void>) =>
      store.connection.inTransaction((one) =>
        all((query) => {
          said.push(query)
          return one(query)
        }),
      ),
  }
  const spied = Object.create(store, { connection: { value: connection } }) as Store
  const before = store.dialect === 'mysql' ? await handlerReads(store) : 0
  await work(spied)
  let rows = store.dialect === 'mysql' ? (await handlerReads(store)) - before : 0
  // What inserts one row goes through none.
  const explainable = store.dialect === 'postgres' ? said.filter((query) => !/^insert/.test(query.sql)) : []
  for (const query of explainable) rows += await explained(store, query)
  return { statements: said.length, rows }
}

/** Rows and index entries that this session has read so far. */
async function handlerReads(store: Store): Promise<number> {
  const { rows } = await sql<{ Value: string }>`show session status like 'Handler_read%'`.execute(store.db)
  return rows.reduce((sum, { Value }) => sum + Number(Value), 0)
}

type Plan = {
  'Node Type': string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Join Filter'?: number
  Plans?: Plan[]
}

/** Rows that the scans of a statement have gone through. */
async function explained(store: Store, query: CompiledQuery): Promise<number> {
  const { rows } = await store.connection.run({
    ...query,
    sql: `explain (analyze, format json) ${query.sql}`,
  })
  const [{ 'QUERY PLAN': plans }] = rows as [{ 'QUERY PLAN': [{ Plan: Plan }] }]
  const count = (plan: Plan): number =>
    (/Scan/.test(plan['Node Type'])
      ? (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']
      : 0) + (plan.Plans ?? []).reduce((sum, one) => sum + count(one), 0)
  return count(plans[0].Plan)
}
