import { CONTENT } from './content'
import { privateKey, publicKey } from './keys'

// eslint-disable-next-line @typescript-eslint/no-require-imports -- may not be installed, so it has no types here
const WxPay = require('wechatpay-node-v3')

const serial = '0123456789ABCDEF0123456789ABCDEF01234567'
const pay = new WxPay({
  appid: 'wx',
  mchid: '1',
  serial_no: serial,
  publicKey: Buffer.from(publicKey),
  privateKey,
})
WxPay.certificates = { [serial]: publicKey }

export async function batch(count: number): Promise<void> {
  const [timestamp, nonce] = ['1795422173', '550cc1638d49b9b4f918441b9dff6cb1']
  for (let at = 0; at < count; at++) {
    const signature = pay.sign(`${timestamp}\n${nonce}\n${CONTENT}\n`)
    if (!(await pay.verifySign({ timestamp, nonce, body: CONTENT, serial, signature })))
      throw new Error('not verified')
  }
}
