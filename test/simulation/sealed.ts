import { createHmac } from 'node:crypto'
import type { Dice } from './dice'
import { merchantOf } from './merchants'

/** Signs as the protocol asks for. Written here anew: the simulator does not borrow from what it tests. */
export const codeOf = (key: string, text: string): string =>
  createHmac('sha256', key).update(text, 'utf8').digest('hex').toUpperCase()

export const authenInfo = (key: string, text: string) => ({
  a: { authen_type: 1, authen_code: codeOf(key, text) },
})

export const sealedRequest = (key: string, request_content: string): Buffer =>
  Buffer.from(JSON.stringify({ request_content, authen_info: authenInfo(key, request_content) }))

export const sealedAnswer = (key: string, response_content: string): Buffer =>
  Buffer.from(JSON.stringify({ response_content, authen_info: authenInfo(key, response_content) }))

function idsOf(number: string) {
  const { out_mch_id, out_sub_mch_id, out_shop_id } = merchantOf(number)
  return { out_mch_id, out_sub_mch_id, out_shop_id }
}

/** What another till of the same shop would send. */
export function foreignCreate(dice: Dice, number: string, fee: number, wechat: boolean): Buffer {
  const ids = idsOf(number)
  const payer = wechat
    ? { pay_platform: 1, ...ids, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } }
    : { pay_platform: 2, ...ids, alipay_pay_mch_key_ext: { user_id: '2088000000000001' } }
  return sealedRequest(
    merchantOf(number).authen_key,
    JSON.stringify({
      pay_mch_key: payer,
      pay_content: { out_trade_no: number, total_fee: fee, fee_type: 'CNY', body: '绿茶' },
      order_client: { spbill_create_ip: '127.0.0.1' },
      nonce_str: dice.bytes(16).toString('hex'),
      trade_type: 3,
    }),
  )
}

export const foreignQuery = (dice: Dice, number: string, wechat: boolean): Buffer =>
  sealedRequest(
    merchantOf(number).authen_key,
    JSON.stringify({
      pay_mch_key: { pay_platform: wechat ? 1 : 2, ...idsOf(number) },
      order_client: { terminal_type: 100, sdk_version: 'x', spbill_create_ip: '127.0.0.1' },
      out_trade_no: number,
      nonce_str: dice.bytes(16).toString('hex'),
    }),
  )
