import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'
import type { NamedKey } from './entries'
import type { Random } from './random'
import { Secret } from './secrets'

/** A key for one purpose, out of one for several. */
export const deriveKey = (secret: string, purpose: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', purpose, 32)))

/** In constant time, and of the texts: another spelling of the same bytes is another text. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')]
  return left.length === right.length && timingSafeEqual(left, right)
}

const IV_BYTES = 12
const TAG_BYTES = 16

/** `about` is not in it and must be the same to open it: a text put in another's place does not open. */
export function sealText(key: KeyObject, text: string, about: string, random: Random): string {
  const iv = random(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(about))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64url')
}

/** Throws when the key, the text or what it is about is another. */
export function unsealText(key: KeyObject, sealed: string, about: string): string {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString(
    'utf8',
  )
}

/**
 * What lies sealed in the database: `v1~KEY~WRAPPED~SEALED`. The text is sealed with a key of its own, and that key with
 * the first of DATA_KEYS, whose name stands in front: replacing a data key means wrapping again and leaves the texts.
 */
export function seal(keys: readonly NamedKey[], text: string, about: string, random: Random): string {
  const [wrapper] = keys
  if (!wrapper) throw new Error('DATA_KEYS is missing: nothing can be kept sealed')
  const own = random(32)
  const wrapped = sealText(deriveKey(wrapper.secret.reveal(), 'wrap'), own.toString('base64'), about, random)
  return ['v1', wrapper.name, wrapped, sealText(createSecretKey(own), text, about, random)].join('~')
}

/** Throws when no key of that name is known, or when anything about it is another. */
export function unseal(keys: readonly NamedKey[], sealed: string, about: string): Secret {
  const [version, name, wrapped = '', text = ''] = sealed.split('~')
  const wrapper = version === 'v1' ? keys.find((key) => key.name === name) : undefined
  if (!wrapper) throw new Error('sealed with a key that is not among DATA_KEYS')
  const own = unsealText(deriveKey(wrapper.secret.reveal(), 'wrap'), wrapped, about)
  return new Secret(unsealText(createSecretKey(Buffer.from(own, 'base64')), text, about))
}
