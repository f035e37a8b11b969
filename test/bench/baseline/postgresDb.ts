import { Client } from 'pg'
import type { Db, Words } from './order'

/** pg as its documentation shows it, with the session our store asks for. */
export async function openDb(): Promise<Db> {
  const url = new URL(process.env['DATABASE_URL'] ?? '')
  const client = new Client({
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: url.password,
    database: url.pathname.slice(1),
    connectionTimeoutMillis: 3000,
  })
  client.on('error', () => undefined)
  await client.connect()
  await client.query(
    'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED; ' +
      "SET TIME ZONE 'UTC'; SET client_encoding TO 'UTF8'; " +
      "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '2s'",
  )
  return {
    // Without parameters as simple queries, as ours are.
    async query(sql, parameters) {
      const { rows, rowCount } = await client.query<Record<string, unknown>>(sql, parameters as unknown[])
      return { rows, affected: rowCount ?? 0 }
    },
  }
}

export const words: Words = {
  quote: '"',
  mark: (at) => `$${at}`,
  nowMs: 'cast(extract(epoch from clock_timestamp()) * 1000 as bigint)',
}
