import { isUtf8 } from 'node:buffer'
import * as v from 'valibot'
import { AUTHEN_TYPE_HMAC_SHA256 } from './enums'
import { contentKind } from './envelope'
import { AuthenInfo, NotificationContent } from './schema'
import { verifyAuthenCode, type AuthenKey } from './signing'

/**
 * Reads what claims to be Cloud Pay calling us. The gates stand in a fixed order, and none can be switched off. The
 * envelope has no timestamp and an old one verifies for ever, so what passes is a hint to look, never proof of money.
 */
/** 6 000 characters of `detail`, escaped twice, are 42 KB; and no door of ours takes more than this. */
export const NOTIFICATION_MAX_BYTES = 64 * 1024

/** Why a notification is not Cloud Pay's, each a gate of its own. One public face: the sender learns nothing. */
export type NotificationFlaw =
  'too_large' | 'envelope_malformed' | 'content_is_no_notification' | 'merchant_unknown' | 'authen_code_wrong'

export type OpenedNotification =
  | { ok: true; text: string; content: NotificationContent }
  /** `claims`: the sub-merchant whose key it says to be signed with. */
  | { ok: false; flaw: NotificationFlaw; claims?: string }

/**
 * `keyOf` looks a sub-merchant's key up in memory. It is asked with an id from the content *before* that is verified:
 * there is no other way to know which key to verify with. Nothing else of it is believed before the code is checked.
 */
export function openNotification(
  bytes: Buffer,
  keyOf: (out_sub_mch_id: string) => AuthenKey | undefined,
): OpenedNotification {
  const flawed = (flaw: NotificationFlaw): OpenedNotification => ({ ok: false, flaw })
  if (bytes.length > NOTIFICATION_MAX_BYTES) return flawed('too_large')
  if (!isUtf8(bytes)) return flawed('envelope_malformed')
  const outer = parse(bytes.toString('utf8'))
  if (typeof outer !== 'object' || outer === null) return flawed('envelope_malformed')
  const { request_content: text, authen_info } = outer as Record<string, unknown>
  const info = v.safeParse(AuthenInfo, authen_info)
  if (typeof text !== 'string' || !info.success) return flawed('envelope_malformed')
  const { authen_type, authen_code } = info.output.a
  if (authen_type !== AUTHEN_TYPE_HMAC_SHA256) return flawed('envelope_malformed')

  const parsed = parse(text)
  if (contentKind(parsed) !== 'notification') return flawed('content_is_no_notification')
  const read = v.safeParse(NotificationContent, parsed)
  if (!read.success) return flawed('content_is_no_notification')
  const content = read.output

  const claims = content.pay_mch_key.out_sub_mch_id ?? ''
  const key = keyOf(claims)
  if (!key) return { ok: false, flaw: 'merchant_unknown', claims }
  if (!verifyAuthenCode(key, text, authen_code)) return { ok: false, flaw: 'authen_code_wrong', claims }
  return { ok: true, text, content }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
