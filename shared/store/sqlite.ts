import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'libsql'
import type { Wire } from './connection'
import { SESSION_SETUP } from './dialect'

/** The embedded default: one file, no server, many processes. On one machine only; no deployed bundle has it. */
export async function openSqlite(url: string): Promise<Wire> {
  const path = url.slice('sqlite:'.length)
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
  const database = new Database(path, { timeout: 2000 })
  for (const statement of SESSION_SETUP.sqlite) database.exec(statement)
  let open = true
  const destroy = () => {
    if (open) database.close()
    open = false
  }
  return {
    async query(sql, parameters) {
      const statement = database.prepare(sql)
      if (statement.reader) return { rows: statement.all(parameters), affected: 0 }
      return { rows: [], affected: statement.run(parameters).changes }
    },
    isAlive: () => open,
    destroy,
    end: async () => destroy(),
  }
}
