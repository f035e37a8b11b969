import { sql } from 'kysely'
import type { Store } from '../../shared/store/open'

export type AnyRow = Record<string, string | number | null>

/** Every table there is, by the live schema and not by what we know of it; SQLite only. */
export async function allRows({ db }: Store): Promise<Record<string, AnyRow[]>> {
  const tables = await sql<{ name: string }>`select name from sqlite_master where type = 'table'`.execute(db)
  const all: Record<string, AnyRow[]> = {}
  for (const { name } of tables.rows)
    all[name] = (await sql<AnyRow>`select * from ${sql.table(name)}`.execute(db)).rows
  return all
}
