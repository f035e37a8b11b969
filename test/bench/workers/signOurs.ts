import { Secret } from '../../../shared/base/secrets'
import { authenCode, authenKey, verifyAuthenCode } from '../../../shared/cloudpay/signing'
import { CONTENT, KEY } from './content'

const key = authenKey(new Secret(KEY))

export function batch(count: number): void {
  for (let at = 0; at < count; at++) {
    if (!verifyAuthenCode(key, CONTENT, authenCode(key, CONTENT))) throw new Error('not verified')
  }
}
