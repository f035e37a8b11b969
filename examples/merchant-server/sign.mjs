// @ts-check
/** For your server: the four headers of a signed request. No dependency; the same in any language with HMAC-SHA256. */
import { createHash, createHmac, randomBytes } from 'node:crypto'

/**
 * Every request is signed anew, a repeat too: a signature is good once, and for 300 s.
 *
 * @param {{ name: string, secret: string }} key  as in MERCHANT_KEYS
 * @param {{ method: string, url: string, body?: string, idempotencyKey?: string }} request  the body exactly as sent
 * @returns {Record<string, string>}
 */
export function signRequest(key, { method, url, body = '', idempotencyKey = '' }) {
  const { pathname, searchParams } = new URL(url)
  const timestamp = String(Math.floor(Date.now() / 1000))
  const nonce = randomBytes(16).toString('hex')
  const query = [...searchParams]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&')
  const bodyHash = createHash('sha256').update(body, 'utf8').digest('hex')
  const lines = ['v1', key.name, method, pathname, query, timestamp, nonce, idempotencyKey, bodyHash]
  const signature = createHmac('sha256', key.secret).update(lines.join('\n'), 'utf8').digest('hex')
  return {
    'x-pay-key': key.name,
    'x-pay-timestamp': timestamp,
    'x-pay-nonce': nonce,
    'x-pay-signature': `v1=${signature}`,
  }
}
