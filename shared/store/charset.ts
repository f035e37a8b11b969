import { sql } from 'kysely'
import type { Store } from './open'
import type { Tables } from './tables'

/** Our tables. Forgetting one is a type error. */
export const TABLES = Object.keys({
  orders: true,
  order_events: true,
  refunds: true,
  outbox: true,
  anomalies: true,
  notifications: true,
  counters: true,
  marks: true,
  bill_windows: true,
  catalogue: true,
  spent: true,
  revocations: true,
  merchants: true,
} satisfies Record<keyof Tables, true>) as (keyof Tables)[]

/** Where a text would not fit, and the statement that puts it right. */
export type CharsetFault = { said: string; cure: string }

/** Why this database cannot hold every text that is written to it (Chinese names, emoji). Nothing when it can. */
export async function charsetFaults(store: Store): Promise<CharsetFault[]> {
  switch (store.dialect) {
    case 'mysql':
      return mysqlFaults(store)
    case 'postgres':
      return postgresFaults(store)
    case 'sqlite':
      // Every encoding a file may have is one of Unicode.
      return []
  }
}

async function mysqlFaults({ db }: Store): Promise<CharsetFault[]> {
  const { rows: columns } = await sql<{ place: string; charset: string }>`
    select concat(table_name, '.', column_name) as place, character_set_name as charset
    from information_schema.columns
    where table_schema = database() and character_set_name <> 'utf8mb4' and table_name in (${sql.join(TABLES)})
    order by table_name, ordinal_position`.execute(db)
  const narrow = columns.map(({ place, charset }) => `${place} is ${charset}`)
  if (narrow.length > 0)
    return [
      { said: narrow.join(', '), cure: 'ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin' },
    ]

  // Our tables say their charset themselves. Before they are there, the whole database is still easily set right.
  const { rows: databases } = await sql<{ charset: string; tables: number | string }>`
    select @@character_set_database as charset, (select count(*) from information_schema.tables
      where table_schema = database() and table_name in (${sql.join(TABLES)})) as tables`.execute(db)
  const { charset, tables } = databases[0]!
  if (Number(tables) > 0 || charset === 'utf8mb4') return []
  const cure = 'ALTER DATABASE … CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'
  return [{ said: `the database is ${charset}`, cure }]
}

async function postgresFaults({ db }: Store): Promise<CharsetFault[]> {
  const { rows } = await sql<{ encoding: string }>`
    select current_setting('server_encoding') as encoding`.execute(db)
  const { encoding } = rows[0]!
  if (encoding === 'UTF8') return []
  const cure = "CREATE DATABASE … WITH ENCODING 'UTF8' TEMPLATE template0, in its place"
  return [{ said: `the database is ${encoding}`, cure }]
}
