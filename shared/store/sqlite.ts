import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'libsql'
import type { Wire } from './connection'

/** The embedded default: one file, no server, many processes. On one machine only; no deployed bundle has it. */
export async function openSqlite(url: string): Promise<Wire> {
  const path = url.slice('sqlite:'.length)
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
  const database = new Database(path, { timeout: 2000 })
  let open = true
  const destroy = () => {
    if (open) database.close()
    open = false
  }
  return {
    async query(sql, parameters) {
      // A prepared BEGIN that failed because of another writer counts as running until it is garbage-collected, and
      // as long as it does COMMIT fails too (libsql-js#237). What exec runs is over when it returns.
      if (/^(BEGIN|COMMIT|ROLLBACK)/.test(sql)) {
        database.exec(sql)
        return { rows: [], affected: 0 }
      }
      const statement = database.prepare(sql)
      if (statement.reader) return { rows: statement.all(parameters), affected: 0 }
      return { rows: [], affected: statement.run(parameters).changes }
    },
    isAlive: () => open,
    destroy,
    end: async () => destroy(),
  }
}
