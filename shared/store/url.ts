import { readFileSync } from 'node:fs'

/**
 * `mysql://user:password@host:3306/database?tls=verify&ca=/path/ca.pem`
 *
 * tls  `off` (default), `verify` (chain and host name), `verify-ca` (chain only: for a VIP address the certificate
 *      does not name). There is no mode that encrypts without checking: it would only look safe.
 * ca   PEM file with the roots to trust instead of the built-in ones; TencentDB's console offers it for download.
 */
export type ServerAddress = {
  host: string
  port: number
  user: string
  password: string
  database: string
  tls: { ca: string | undefined; verifyHost: boolean } | undefined
}

export function readServerAddress(text: string, defaultPort: number): ServerAddress {
  const url = new URL(text)
  const tls = url.searchParams.get('tls') ?? 'off'
  if (!['off', 'verify', 'verify-ca'].includes(tls)) {
    throw new Error('DATABASE_URL: tls must be off, verify or verify-ca')
  }
  const ca = url.searchParams.get('ca')
  for (const name of url.searchParams.keys()) {
    if (name !== 'tls' && name !== 'ca') throw new Error(`DATABASE_URL: unknown option ${name}`)
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? defaultPort : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    tls:
      tls === 'off'
        ? undefined
        : { ca: ca === null ? undefined : readFileSync(ca, 'utf8'), verifyHost: tls === 'verify' },
  }
}

export const CONNECT_TIMEOUT_MS = 3000
