import { Client } from 'pg'
import { rootsOf } from '../base/config'
import { CONNECT_TIMEOUT_MS, readServerAddress } from '../base/databaseUrl'
import type { Wire } from './connection'

/** TencentDB for PostgreSQL, 11 and later. */
export async function openPostgres(url: string, caText?: string): Promise<Wire> {
  const { tls, ...address } = readServerAddress(url, 'postgres')
  const ca = rootsOf(caText, tls?.caFile, 'DATABASE_URL')
  const client = new Client({
    ...address,
    ...(tls
      ? {
          ssl: {
            rejectUnauthorized: true,
            minVersion: 'TLSv1.2' as const,
            ...(ca === undefined ? {} : { ca }),
            ...(tls.verifyHost ? {} : { checkServerIdentity: () => undefined }),
          },
        }
      : {}),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  let alive = true
  // Also keeps a connection that dies while idle from ending the process.
  client.on('error', () => (alive = false))
  client.on('end', () => (alive = false))
  await client.connect()
  return {
    async query(sql, parameters) {
      const { rows, rowCount } = await client.query<Record<string, unknown>>(sql, parameters as unknown[])
      return { rows, affected: rowCount ?? 0 }
    },
    isAlive: () => alive,
    destroy() {
      alive = false
      // end() waits for a goodbye that a dead peer never says.
      ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
    },
    async end() {
      alive = false
      await client.end()
    },
  }
}
