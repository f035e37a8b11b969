import { randomBytes, randomInt } from 'node:crypto'

/** Randomness is passed in; every number and nonce we make comes from here. */
export type Random = (bytes: number) => Buffer

export const systemRandom: Random = randomBytes

/** From 0 up to 1, in 2³² steps: for waits that must not fall together. */
export const systemChance = (): number => randomInt(2 ** 32) / 2 ** 32

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz'

/** Digits and lower-case letters, every one equally likely. */
export function randomText(random: Random, length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of random(length - text.length)) {
      // 252 is the largest multiple of 36 below 256: higher bytes would favour the first letters.
      if (byte < 252) text += ALPHABET.charAt(byte % 36)
    }
  }
  return text
}

/** `nonce_str`, S32: 32 lower-case hex characters, as Tencent's own SDK sends it. */
export const makeNonce = (random: Random): string => random(16).toString('hex')
