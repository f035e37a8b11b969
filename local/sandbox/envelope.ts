import { isUtf8 } from 'node:buffer'
import { constants, createHmac, verify } from 'node:crypto'
import { sameText } from '../../shared/base/compare'
import type { SandboxMerchant } from './ledger'
import type { Switches } from './switches'

/** The two layers of every message and the code over the inner one, written here anew. */

/** A request as it came. `text` is what was signed; `merchant` is whose key was tried. */
export type Opened = {
  text: string
  content: Record<string, unknown>
  merchant: SandboxMerchant | undefined
  verified: boolean
}

export function openRequest(
  body: Buffer,
  merchantOf: (out_sub_mch_id: unknown) => SandboxMerchant | undefined,
  switches: Switches,
): Opened | undefined {
  // Bytes that are not UTF-8 would have become other characters, under the same code.
  if (!isUtf8(body)) return undefined
  const outer = parse(body.toString('utf8')) as Record<string, unknown> | undefined
  const text = outer?.['request_content']
  const info = outer?.['authen_info'] as AuthenInfo | undefined
  if (typeof text !== 'string') return undefined
  const content = parse(text) as Record<string, unknown> | undefined
  if (typeof content !== 'object' || content === null) return undefined
  // An answer or a notification of ours, played back as a request.
  if (['status', 'log_id', 'order_content'].some((name) => name in content)) return undefined
  const key = content['pay_mch_key'] as { out_sub_mch_id?: unknown } | null | undefined
  // The bill's request alone has no pay_mch_key.
  const merchant = merchantOf(key === undefined ? content['out_sub_mch_id'] : key?.out_sub_mch_id)
  const code = info?.a?.authen_code
  const given = typeof code === 'string' ? code : ''
  const upper = switches.lowerCaseCode === 'accepted' ? given.toUpperCase() : given
  const byCode =
    merchant !== undefined && info?.a?.authen_type === 1 && sameText(upper, hmac(merchant.authen_key, text))
  // Old clients sign a refund with the key whose public half Tencent keeps; everything else has a code.
  const isRefund = 'refund_content' in content
  const bySign = isRefund && info?.a === undefined && isSignedBy(merchant?.public_key, info?.s, text)
  const verified = byCode || bySign
  return { text, content, merchant, verified }
}

type AuthenInfo = {
  a?: { authen_type?: unknown; authen_code?: unknown }
  s?: { sign_type?: unknown; sign?: unknown }
}

/** RSASSA-PSS with SHA-256, base64; the salt is as long as whoever signed made it: samples have 222 bytes, an SDK 32. */
function isSignedBy(publicKey: string | undefined, given: AuthenInfo['s'], text: string): boolean {
  if (publicKey === undefined || given?.sign_type !== 1 || typeof given.sign !== 'string') return false
  const key = {
    key: publicKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_AUTO,
  }
  try {
    return verify('sha256', Buffer.from(text, 'utf8'), key, Buffer.from(given.sign, 'base64'))
  } catch {
    return false
  }
}

export const hmac = (key: string, text: string): string =>
  createHmac('sha256', key).update(text, 'utf8').digest('hex').toUpperCase()

export const authenInfo = (key: string, text: string) => ({
  a: { authen_type: 1, authen_code: hmac(key, text) },
})

/** As the service's JSON writer would put it. */
export function write(switches: Switches, content: unknown): string {
  let text = JSON.stringify(content, null, switches.answerSeparators === 'spaced' ? 1 : undefined)
  if (switches.answerSeparators === 'spaced') text = text.replaceAll(/\n */g, ' ')
  if (switches.answerNumbers === 'float') text = text.replaceAll(/("\w*fee":\s?)(\d+)(?=[,}\s])/g, '$1$2.0')
  if (switches.answerEscapes !== 'raw') {
    text = text.replaceAll(/[\u0080-\uffff]/g, (unit) => {
      const hex = unit.charCodeAt(0).toString(16).padStart(4, '0')
      return `\\u${switches.answerEscapes === 'upper' ? hex.toUpperCase() : hex}`
    })
  }
  return switches.answerEnding === 'newline' ? `${text}\n` : text
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
