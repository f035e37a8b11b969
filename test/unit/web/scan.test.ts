import decodeQR from 'qr/decode.js'
import { drawCode, readBill, walletOf } from '../../../web/scan/code'

const WECHAT = 'weixin://wxpay/bizpayurl?pr=aBcD123'

/** What a camera would see: eight pixels a square. */
function photograph({ size, path }: { size: number; path: string }) {
  const scale = 8
  const side = size * scale
  const data = new Uint8Array(side * side * 4).fill(255)
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h/g))
    for (let dy = 0; dy < scale; dy++)
      for (let dx = 0; dx < scale; dx++) {
        const at = ((Number(y) * scale + dy) * side + Number(x) * scale + dx) * 4
        data.fill(0, at, at + 3)
      }
  return { width: side, height: side, data }
}

test.each([WECHAT, 'https://qr.alipay.com/bax0123456789', `https://wx.tenpay.com/f2f?t=${'a'.repeat(400)}`])(
  'a camera reads %s out of what is drawn',
  (code_url) => {
    expect(decodeQR(photograph(drawCode(code_url)))).toBe(code_url)
  },
)

test('what to draw and show comes from behind the #', () => {
  const body = encodeURIComponent('湖心奶茶-大杯')
  expect(
    readBill(`#code_url=${encodeURIComponent(WECHAT)}&total_fee=1880&body=${body}&time_expire=1900000000`),
  ).toEqual({ code_url: WECHAT, total_fee: 1880, body: '湖心奶茶-大杯', time_expire: 1_900_000_000 })
  expect(readBill(`#code_url=${encodeURIComponent(WECHAT)}&total_fee=-1&time_expire=soon`)).toEqual({
    code_url: WECHAT,
    total_fee: undefined,
    body: undefined,
    time_expire: undefined,
  })
})

test.each([
  '',
  '#',
  '#code_url=',
  '#code_url=javascript:alert(1)',
  '#code_url=http://evil.example/',
  `#code_url=https://${'a'.repeat(600)}`,
])('%j is nothing to draw', (fragment) => {
  expect(readBill(fragment)).toBeUndefined()
})

test.each([
  [WECHAT, '微信'],
  ['https://wx.tenpay.com/f2f?t=1', '微信'],
  ['https://qr.alipay.com/bax01', '支付宝'],
  ['https://alipay.com.evil.example/x', '手机'],
  ['https://pay.qcloud.com/x', '手机'],
])('%s is for %s', (code_url, wallet) => expect(walletOf(code_url)).toBe(wallet))
