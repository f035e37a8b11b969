import { createConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2'
import type { Db, Words } from './order'

/** mysql2 as its documentation shows it, with the session our store asks for. */
export async function openDb(): Promise<Db> {
  const url = new URL(process.env['DATABASE_URL'] ?? '')
  const connection = createConnection({
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: url.password,
    database: url.pathname.slice(1),
    charset: 'UTF8MB4_BIN',
    connectTimeout: 3000,
  })
  const query: Db['query'] = (sql, parameters) =>
    new Promise((resolve, reject) => {
      connection.query(sql, parameters as unknown[], (error, result) =>
        error
          ? reject(error)
          : resolve(
              Array.isArray(result)
                ? { rows: result as RowDataPacket[], affected: 0 }
                : { rows: [], affected: (result as ResultSetHeader).affectedRows },
            ),
      )
    })
  await query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', [])
  await query(
    "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', " +
      'wait_timeout = 60, innodb_lock_wait_timeout = 2, character_set_client = utf8mb4, character_set_results = utf8mb4, character_set_connection = utf8mb4, collation_connection = utf8mb4_bin',
    [],
  )
  return { query }
}

export const words: Words = {
  quote: '`',
  mark: () => '?',
  nowMs: 'cast(unix_timestamp(now(3)) * 1000 as signed)',
}
