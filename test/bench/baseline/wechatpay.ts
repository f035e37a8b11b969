import { readFileSync } from 'node:fs'
import type { Event } from './order'

// eslint-disable-next-line @typescript-eslint/no-require-imports -- may not be installed, so it has no types here
const WxPay = require('wechatpay-node-v3')
// eslint-disable-next-line @typescript-eslint/no-require-imports -- the HTTP client it brings
const superagent = require('superagent')

// The library has no option for a CA, its HTTP client has. It gets the same file as ours.
superagent.Request.prototype._ca = readFileSync(process.env['CLOUD_PAY_CA_FILE'] ?? '', 'utf8')

const pay = new WxPay({
  appid: 'wxbench0000000000',
  mchid: '1900000001',
  // Given, so that it does not parse a certificate.
  serial_no: '0123456789ABCDEF0123456789ABCDEF01234567',
  publicKey: Buffer.from('not used'),
  privateKey: readFileSync(process.env['WECHATPAY_KEY_FILE'] ?? ''),
})
// Its own way to replace the transport, used here to reach another host with the original one.
const { httpService } = pay
const base = process.env['CLOUD_PAY_BASE_URL'] ?? ''
pay.createHttp({
  post: (url: string, ...rest: unknown[]) =>
    httpService.post(url.replace('https://api.mch.weixin.qq.com/', base), ...rest),
})

/** Signs, posts once, signs the hand-over: what this library does for one order. No checks, no database. */
export async function main_handler(event: Event) {
  const { pay_content: content, pay_mch_key: key } = JSON.parse(event.body)
  const result = await pay.transactions_jsapi({
    description: content.body,
    out_trade_no: content.out_trade_no,
    notify_url: 'https://localhost/notify',
    amount: { total: content.total_fee },
    payer: { openid: key.wxpay_pay_mch_key_ext.sub_open_id },
  })
  return { statusCode: result.status === 200 ? 201 : 500, body: JSON.stringify(result) }
}
