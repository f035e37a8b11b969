import { createHash, createHmac, createSecretKey } from 'node:crypto'
import type { Caller } from '../base/caller'
import { sameText } from '../base/compare'
import { Fault } from '../base/errors'
import type { MerchantKey } from '../base/people'
import type { Store } from '../store/open'
import { spend } from '../store/spent'
import type { Approach } from './authorize'

/**
 * How the merchant's server signs a request: HMAC-SHA256, with its key as text, over these lines joined by line breaks:
 *
 *   v1
 *   the key's name
 *   METHOD
 *   /path
 *   the query: name=value, both percent-encoded, sorted by name, joined by &; empty without one
 *   the timestamp, epoch seconds
 *   the nonce: 16 to 64 of letters, digits, - and _
 *   the Idempotency-Key header, or nothing
 *   SHA-256 of the body as sent, lower-case hex
 *
 * The query is written anew because a Function URL hands it over taken apart. examples/merchant-server has this in
 * twenty lines.
 */
export const SIGNED_HEADERS = {
  key: 'x-pay-key',
  timestamp: 'x-pay-timestamp',
  nonce: 'x-pay-nonce',
  /** `v1=` and 64 lower-case hexadecimal characters. */
  signature: 'x-pay-signature',
} as const

/** How far a signer's clock may be from ours, either way. */
export const SIGNED_SKEW_S = 300

type Parts = Pick<Approach, 'method' | 'path' | 'query' | 'headers' | 'body'>

export function textToSign(key: string, timestamp: string, nonce: string, request: Parts): string {
  const query = Object.entries(request.query)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&')
  const bodyHash = createHash('sha256').update(request.body).digest('hex')
  const idempotencyKey = request.headers['idempotency-key'] ?? ''
  return ['v1', key, request.method, request.path, query, timestamp, nonce, idempotencyKey, bodyHash].join(
    '\n',
  )
}

/**
 * Who signs. `verify` needs no database, and tells whose key it is or throws the Faults `caller_unknown` and
 * `request_expired`; `spend` comes after it, and throws `request_replayed`.
 */
export function openSignedRequests(merchantKeys: readonly MerchantKey[]) {
  const keys = new Map(
    merchantKeys.map((key) => [
      key.name,
      { ...key, mac: createSecretKey(Buffer.from(key.secret.reveal(), 'utf8')) },
    ]),
  )

  function verify(request: Approach, nowS: number): MerchantKey {
    const { headers } = request
    const timestamp = headers[SIGNED_HEADERS.timestamp] ?? ''
    const nonce = headers[SIGNED_HEADERS.nonce] ?? ''
    const key = keys.get(headers[SIGNED_HEADERS.key] ?? '')
    if (!key || !/^\d{10}$/.test(timestamp) || !/^[0-9A-Za-z_-]{16,64}$/.test(nonce))
      throw new Fault('caller_unknown')
    const text = textToSign(key.name, timestamp, nonce, request)
    const expected = `v1=${createHmac('sha256', key.mac).update(text, 'utf8').digest('hex')}`
    if (!sameText(headers[SIGNED_HEADERS.signature] ?? '', expected)) throw new Fault('caller_unknown')
    if (Math.abs(nowS - Number(timestamp)) > SIGNED_SKEW_S) throw new Fault('request_expired')
    return key
  }

  async function spendNonce({ headers }: Approach, key: MerchantKey, store: Store): Promise<void> {
    // Remembered until its timestamp alone would refuse it.
    const until = Number(headers[SIGNED_HEADERS.timestamp]) + 2 * SIGNED_SKEW_S
    const id = headers[SIGNED_HEADERS.nonce]!
    if (!(await spend(store, { kind: `request:${key.name}`, id, until }))) throw new Fault('request_replayed')
  }

  return { verify, spend: spendNonce, knows: (name: string) => keys.has(name) }
}

/** Keys come and go; the orders stay the sub-merchant's. */
export const callerOf = ({ out_sub_mch_id, scopes, name }: MerchantKey): Caller => ({
  id: `m:${out_sub_mch_id}`,
  kind: 'merchant',
  out_sub_mch_id,
  scopes,
  key: name,
})
