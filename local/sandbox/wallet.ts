import { createHash, createHmac } from 'node:crypto'

/** WeChat's 32-character merchant key. The real one never leaves Tencent; this one is published and worth nothing. */
export const WECHAT_API_KEY = 'sandboxsandboxsandboxsandbox0001'

export type SignType = 'MD5' | 'HMAC-SHA256'

/** The text WeChat Pay v2 signs: names in ASCII order, empty values left out, the key at the end. */
export function stringToSign(params: Record<string, string>, apiKey: string): string {
  return Object.entries(params)
    .filter(([, value]) => value !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .concat(`key=${apiKey}`)
    .join('&')
}

/** WeChat Pay v2 `paySign`, as the wallet checks it. */
export function paySign(params: Record<string, string>, apiKey: string, signType: SignType): string {
  const text = stringToSign(params, apiKey)
  const digest = signType === 'MD5' ? createHash('md5') : createHmac('sha256', apiKey)
  return digest.update(text, 'utf8').digest('hex').toUpperCase()
}
