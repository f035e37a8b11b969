import encodeQR from 'qr'

/**
 * The code of a scan_code_pay order, drawn here and nowhere else: whoever sees `code_url` can pay that order, so it is
 * given behind the `#`, which no server is sent. The page asks nobody and knows no state; the shop's page does, from its server.
 */
export type Bill = {
  code_url: string
  /** Integer fen. */
  total_fee: number | undefined
  body: string | undefined
  /** Epoch seconds. */
  time_expire: number | undefined
}

/** What functions let through: see payments/handover.ts. */
const DRAWABLE = /^(weixin|https):\/\/[!-~]{1,500}$/

/** `#code_url=…&total_fee=1880&body=…&time_expire=…`; nothing when there is no code to draw. */
export function readBill(fragment: string): Bill | undefined {
  const given = new URLSearchParams(fragment.replace(/^#/, ''))
  const code_url = given.get('code_url') ?? ''
  if (!DRAWABLE.test(code_url)) return undefined
  const whole = (name: string) =>
    /^\d{1,10}$/.test(given.get(name) ?? '') ? Number(given.get(name)) : undefined
  return {
    code_url,
    total_fee: whole('total_fee'),
    body: given.get('body')?.slice(0, 128) || undefined,
    time_expire: whole('time_expire'),
  }
}

export function walletOf(code_url: string): string {
  if (/^weixin:|^https:\/\/([\w-]+\.)*(weixin\.qq\.com|tenpay\.com)\//.test(code_url)) return '微信'
  return /^https:\/\/([\w-]+\.)*alipay\.com\//.test(code_url) ? '支付宝' : '手机'
}

/** One path over all dark squares, with the quiet edge a camera needs. */
export function drawCode(text: string): { size: number; path: string } {
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: 2 })
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join('')
  return { size: rows.length, path }
}
