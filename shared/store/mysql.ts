import { isIP } from 'node:net'
import { createConnection, type Connection, type QueryError, type ResultSetHeader } from 'mysql2'
import type { Wire } from './connection'
import { CONNECT_TIMEOUT_MS, readServerAddress } from './url'

/** TencentDB for MySQL (5.7, 8.0), TDSQL-C, MariaDB. Text protocol, utf8mb4. */
export async function openMysql(url: string): Promise<Wire> {
  const { tls, ...address } = readServerAddress(url, 3306)
  // This driver hands an IP address to TLS as no name at all, and Node then checks for "localhost".
  if (tls?.verifyHost && isIP(address.host)) {
    throw new Error(
      'DATABASE_URL: mysql with tls=verify needs a host name; for an IP address use tls=verify-ca',
    )
  }
  const connection = createConnection({
    ...address,
    ...(tls
      ? {
          ssl: {
            rejectUnauthorized: true,
            // Off by default in this driver: without it any certificate of the CA would do.
            verifyIdentity: tls.verifyHost,
            minVersion: 'TLSv1.2',
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
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
      connection.destroy()
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
