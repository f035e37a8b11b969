import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import { CONTENT, KEY } from './content'

const key = createSecretKey(Buffer.from(KEY, 'utf8'))

/** The least a signer and a verifier can do with text: two HMACs, the code in between as hex, one comparison. */
export function batch(count: number): void {
  for (let at = 0; at < count; at++) {
    const code = createHmac('sha256', key).update(CONTENT, 'utf8').digest('hex')
    const again = createHmac('sha256', key).update(CONTENT, 'utf8').digest()
    if (!timingSafeEqual(Buffer.from(code, 'hex'), again)) throw new Error('not verified')
  }
}
