import { createHash, createHmac } from 'node:crypto'

/**
 * TC3-HMAC-SHA256, how Tencent Cloud's APIs know who calls: a canonical form of the request is hashed and signed with
 * a key derived from the secret key, the day and the service. Always POST, JSON, path `/` and no query.
 *
 * Source: product/1278/55259 签名方法 v3. The example printed there is a test.
 */
export type Credential = {
  secretId: string
  secretKey: string
  /** Of a role's temporary key. Sent, not signed. */
  token?: string | undefined
}

export type Tc3Request = {
  /** With the port, unless it is the protocol's own: as the Host header has it. */
  host: string
  service: string
  /** Signed as it is sent, blanks and all. */
  contentType: string
  body: string | Buffer
  /** More headers to sign, by lower-case name. Tencent's example and SDK sign the action too; neither must be. */
  signed?: Readonly<Record<string, string>>
  nowS: number
}

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** The value of the Authorization header. Its day is in UTC, whatever the machine's zone. */
export function tc3Authorization(credential: Credential, request: Tc3Request): string {
  const { host, service, contentType, body, nowS } = request
  const headers = Object.entries({ 'content-type': contentType, host, ...request.signed })
    .map(([name, value]) => [name, value.trim().toLowerCase()] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const names = headers.map(([name]) => name).join(';')
  const lines = headers.map(([name, value]) => `${name}:${value}\n`).join('')
  const canonical = ['POST', '/', '', lines, names, sha256(body)].join('\n')

  const day = new Date(nowS * 1000).toISOString().slice(0, 10)
  const scope = `${day}/${service}/tc3_request`
  const toSign = ['TC3-HMAC-SHA256', nowS, scope, sha256(canonical)].join('\n')
  const key = hmac(hmac(hmac(`TC3${credential.secretKey}`, day), service), 'tc3_request')
  const signature = hmac(key, toSign).toString('hex')
  return `TC3-HMAC-SHA256 Credential=${credential.secretId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
}
