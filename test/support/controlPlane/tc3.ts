import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { ApiFault, refuse } from './fault'

export type SignedRequest = {
  method: string
  /** Path and query, as on the request line. */
  target: string
  headers: IncomingHttpHeaders
  body: Buffer
}

export type Keys = { secretId: string; secretKey: string }

const WINDOW_SECONDS = 300

/**
 * Checks a request's TC3-HMAC-SHA256 signature as the platform does: over the bytes that arrived, for the service it
 * was sent to, within five minutes. Written from the published description and on its own, so that it can disagree
 * with the signers it is used to test.
 */
export function verifyTc3(request: SignedRequest, keys: Keys, service: string, nowMs: number): void {
  const { authorization = '' } = request.headers
  const parts =
    /^TC3-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{4}-\d\d-\d\d)\/([^/,]+)\/tc3_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    )
  if (!parts) throw new ApiFault('AuthFailure.InvalidAuthorization', 'The Authorization header is malformed.')
  const [, secretId = '', date = '', signedFor = '', signedHeaders = '', signature = ''] = parts
  refuse(secretId !== keys.secretId, 'AuthFailure.SecretIdNotFound', 'The SecretId is not found.')

  const timestamp = String(request.headers['x-tc-timestamp'] ?? '')
  refuse(!/^\d{9,11}$/.test(timestamp), 'MissingParameter', 'X-TC-Timestamp is missing.')
  const distance = Math.abs(nowMs / 1000 - Number(timestamp))
  refuse(distance > WINDOW_SECONDS, 'AuthFailure.SignatureExpire', 'The signature has expired.')

  const fails = (why: string) => new ApiFault('AuthFailure.SignatureFailure', why)
  const day = new Date(Number(timestamp) * 1000).toISOString().slice(0, 10)
  if (date !== day) throw fails(`The credential's date is ${date}, the timestamp's is ${day} (UTC).`)
  if (signedFor !== service) throw fails(`Signed for the service ${signedFor} instead of ${service}.`)
  const names = signedHeaders.split(';')
  const missing = ['content-type', 'host'].filter((name) => !names.includes(name))
  if (missing.length > 0) throw fails(`${missing.join(', ')} must be signed.`)

  // The SDK signs the host without its port. The real endpoint has no other port than 443, so there the two agree.
  const host = request.headers.host ?? ''
  const hosts = new Set([host, host.replace(/:\d+$/, '')])
  const right = [...hosts].some((each) => {
    const expected = sign(request, { names, host: each, date, timestamp, service, secretKey: keys.secretKey })
    return timingSafeEqual(Buffer.from(expected), Buffer.from(signature))
  })
  if (!right) throw fails('The signature does not fit the request.')
}

type Scope = {
  names: string[]
  host: string
  date: string
  timestamp: string
  service: string
  secretKey: string
}

function sign({ method, target, headers, body }: SignedRequest, scope: Scope): string {
  const [path = '/', query = ''] = target.split('?')
  const value = (name: string) => (name === 'host' ? scope.host : String(headers[name] ?? ''))
  const canonicalHeaders = scope.names.map((name) => `${name}:${value(name).trim().toLowerCase()}\n`).join('')
  const signed = scope.names.join(';')
  const canonical = [method, path, query, canonicalHeaders, signed, sha256(body)].join('\n')
  const credentialScope = `${scope.date}/${scope.service}/tc3_request`
  const text = ['TC3-HMAC-SHA256', scope.timestamp, credentialScope, sha256(canonical)].join('\n')
  const key = [scope.date, scope.service, 'tc3_request'].reduce<string | Buffer>(
    (secret, word) => hmac(secret, word),
    `TC3${scope.secretKey}`,
  )
  return hmac(key, text).toString('hex')
}

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
