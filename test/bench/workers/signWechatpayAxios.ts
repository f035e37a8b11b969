import { createPrivateKey, createPublicKey } from 'node:crypto'
import { CONTENT } from './content'
import { privateKey, publicKey } from './keys'

// eslint-disable-next-line @typescript-eslint/no-require-imports -- may not be installed, so it has no types here
const { Rsa } = require('wechatpay-axios-plugin')

const own = createPrivateKey(privateKey)
const theirs = createPublicKey(publicKey)

export function batch(count: number): void {
  for (let at = 0; at < count; at++) {
    if (!Rsa.verify(CONTENT, Rsa.sign(CONTENT, own), theirs)) throw new Error('not verified')
  }
}
