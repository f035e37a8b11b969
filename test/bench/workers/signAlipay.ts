import { CONTENT } from './content'
import { privateKey, publicKey } from './keys'

// eslint-disable-next-line @typescript-eslint/no-require-imports -- may not be installed, so it has no types here
const util = require('../node_modules/alipay-sdk/dist/commonjs/util.js')

export function batch(count: number): void {
  for (let at = 0; at < count; at++) {
    if (!util.verifySignatureV3(CONTENT, util.signatureV3(CONTENT, privateKey), publicKey))
      throw new Error('not verified')
  }
}
