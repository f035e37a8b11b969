import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { sameText } from '../base/compare'
import type { Secret } from '../base/secrets'
import { isWellFormed } from '../base/validate'

/**
 * authen_code = UPPER-case hex of HMAC-SHA256 over the UTF-8 bytes of the *decoded string*: the value of
 * request_content or response_content with the outer JSON layer removed and nothing else touched. Escapes, blanks
 * and a line break at the end are part of it.
 *
 * The key is the literal text shown in the console. It looks like hex and is not: decoding it, or changing its
 * case, gives another code.
 *
 * Source: product/569/37627 接口调用说明.
 */
export type AuthenKey = {
  readonly signing: KeyObject
  /** While the key is being replaced there are two: ours signs with one, and theirs may have come to the other. */
  readonly alsoAccepted: KeyObject | undefined
}

/** Made once and kept: a KeyObject signs faster than text and prints as nothing. */
const keyObject = (secret: Secret): KeyObject => createSecretKey(Buffer.from(secret.reveal(), 'utf8'))

export const authenKey = (secret: Secret, alsoAccepted?: Secret): AuthenKey => ({
  signing: keyObject(secret),
  alsoAccepted: alsoAccepted && keyObject(alsoAccepted),
})

const codeWith = (key: KeyObject, decodedString: string): string =>
  createHmac('sha256', key).update(decodedString, 'utf8').digest('hex').toUpperCase()

export const authenCode = (key: Pick<AuthenKey, 'signing'>, decodedString: string): string =>
  codeWith(key.signing, decodedString)

/** In constant time for each key. A lower-case code is refused, as Tencent's own SDK does. */
export function verifyAuthenCode(key: AuthenKey, decodedString: string, code: string): boolean {
  // Half a surrogate pair has no UTF-8: it would be hashed as U+FFFD, and so two texts would have one code.
  if (!isWellFormed(decodedString)) return false
  const isOf = (one: KeyObject) => sameText(code, codeWith(one, decodedString))
  return isOf(key.signing) || (key.alsoAccepted !== undefined && isOf(key.alsoAccepted))
}
