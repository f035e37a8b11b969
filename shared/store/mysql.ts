import { createConnection, type Connection, type QueryError, type ResultSetHeader } from 'mysql2'
import { rootsOf } from '../base/config'
import { CONNECT_TIMEOUT_MS, readServerAddress } from '../base/databaseUrl'
import type { Wire } from './connection'

/** TencentDB for MySQL (5.7, 8.0), TDSQL-C, MariaDB. Text protocol, utf8mb4. */
export async function openMysql(url: string, caText?: string): Promise<Wire> {
  const { tls, ...address } = readServerAddress(url, 'mysql')
  const ca = rootsOf(caText, tls?.caFile, 'DATABASE_URL')
  const connection = createConnection({
    ...address,
    ...(tls
      ? {
          ssl: {
            rejectUnauthorized: true,
            // Off by default in this driver: without it any certificate of the CA would do.
            verifyIdentity: tls.verifyHost,
            minVersion: 'TLSv1.2',
            ...(ca === undefined ? {} : { ca }),
          },
        }
      : {}),
    charset: 'UTF8MB4_BIN',
    connectTimeout: CONNECT_TIMEOUT_MS,
    supportBigNumbers: false,
    // Rows are read by plain code instead of code made on the fly: less to load, and no eval.
    disableEval: true,
  })
  let alive = true
  // Also keeps a connection that dies while idle from ending the process.
  connection.on('error', () => (alive = false))
  await new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve()))
  })
  return {
    query: (sql, parameters) => query(connection, sql, parameters),
    isAlive: () => alive,
    destroy() {
      alive = false
      // The driver's own destroy() says goodbye, and then waits for a dead peer to do the same.
      ;(connection as unknown as { stream: { destroy(): void } }).stream.destroy()
    },
    end: () => new Promise((resolve) => connection.end(() => resolve())),
  }
}

function query(connection: Connection, sql: string, parameters: readonly unknown[]) {
  return new Promise<{ rows: unknown[]; affected: number }>((resolve, reject) => {
    connection.query(sql, parameters as unknown[], (error: QueryError | null, result: unknown) => {
      if (error) reject(error)
      else if (Array.isArray(result)) resolve({ rows: result, affected: 0 })
      else resolve({ rows: [], affected: (result as ResultSetHeader).affectedRows })
    })
  })
}
