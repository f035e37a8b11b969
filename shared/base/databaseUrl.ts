import { isIP } from 'node:net'

export type Dialect = 'mysql' | 'postgres' | 'sqlite'

/**
 * `mysql://user:password@host:3306/database?tls=verify`
 *
 * tls  `off` (default), `verify` (chain and host name), `verify-ca` (chain only: for a VIP address the certificate
 *      does not name). There is no mode that encrypts without checking: it would only look safe.
 * ca   PEM file of this machine with the roots to trust instead of the built-in ones; TencentDB's console offers it for
 *      download. A deployed function has no file beside its own: there DATABASE_CA holds the text.
 */
export type ServerAddress = {
  host: string
  port: number
  user: string
  password: string
  database: string
  tls: { caFile: string | undefined; verifyHost: boolean } | undefined
}

/** For reaching a database: longer than a handshake across a city, shorter than a caller waits. */
export const CONNECT_TIMEOUT_MS = 3000

const PORTS = { mysql: 3306, postgres: 5432 }

/** Throws an Error whose message names what is wrong and repeats nothing of the URL. */
export function readServerAddress(text: string, dialect: Exclude<Dialect, 'sqlite'>): ServerAddress {
  const url = parseUrl(text)
  if (!url?.hostname) throw new Error('must be a URL with a host')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(decode)
  if (!database) throw new Error('must name a database')
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'tls' && name !== 'ca')
  if (unknown !== undefined) throw new Error('has an option other than tls and ca')
  const tls = url.searchParams.get('tls') ?? 'off'
  const caFile = url.searchParams.get('ca') ?? undefined
  if (!['off', 'verify', 'verify-ca'].includes(tls)) throw new Error('must have tls=off, verify or verify-ca')
  if (tls === 'off' && caFile !== undefined) throw new Error('has a ca, which does nothing with tls=off')
  // mysql2 hands an IP address to TLS as no name at all, and Node then checks for "localhost".
  if (dialect === 'mysql' && tls === 'verify' && isIP(host)) {
    throw new Error('must have a host name for tls=verify; for an IP address use tls=verify-ca')
  }
  return {
    host,
    port: url.port === '' ? PORTS[dialect] : Number(url.port),
    user: user!,
    password: password!,
    database,
    tls: tls === 'off' ? undefined : { caFile, verifyHost: tls === 'verify' },
  }
}

/** A stray `%` in a password is the usual mistake; it is told as one. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('must be percent-encoded: a % itself is %25')
  }
}

/** URL.canParse came after Node 18.15. */
export function parseUrl(value: string): URL | undefined {
  try {
    return new URL(value)
  } catch {
    return undefined
  }
}
