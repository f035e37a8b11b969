import { isUtf8 } from 'node:buffer'
import * as v from 'valibot'
import { AUTHEN_TYPE_HMAC_SHA256, STATUS } from './enums'
import { read } from './reading'
import { AnswerContent, AuthenInfo, type Interface } from './schema'
import { authenCode, verifyAuthenCode, type AuthenKey } from './signing'

/**
 * The two layers of every message: an outer JSON object whose `request_content` or `response_content` is a *string*
 * holding JSON, and beside it the code over that string. The string is made once, signed, and sent as it is; and it
 * is verified as it came, before anybody parses it.
 */

export type Flaw =
  | 'not_utf8'
  | 'not_json'
  | 'content_missing'
  | 'content_not_a_string'
  | 'authen_info_malformed'
  | 'authen_type_unknown'
  | 'authen_code_wrong'
  | 'authen_info_missing'
  | 'content_not_json'
  | 'content_is_no_answer'
  | 'member_missing'
  | 'member_malformed'

/** Signs a text and wraps it. The same text and key give the same bytes, every time. */
export function sealRequest(requestContent: string, key: AuthenKey): Buffer {
  return Buffer.from(
    JSON.stringify({
      request_content: requestContent,
      authen_info: {
        a: { authen_type: AUTHEN_TYPE_HMAC_SHA256, authen_code: authenCode(key, requestContent) },
      },
    }),
    'utf8',
  )
}

/**
 * What a decoded content claims to be, by the members only that kind has. Requests, answers and notifications are
 * signed with one and the same key, so without this an answer could be played back to us as a notification.
 */
export type ContentKind = 'request' | 'answer' | 'notification' | 'none'

export function contentKind(content: unknown): ContentKind {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return 'none'
  // As everywhere in what we are sent, null is absent.
  const has = (name: string) =>
    Object.hasOwn(content, name) && (content as Record<string, unknown>)[name] !== null
  const answer = has('status') || has('log_id') || has('internal_status')
  const request = has('pay_content') || has('refund_content') || has('out_trade_no') || has('order_client')
  const order = has('order_content') || has('refund_order_content')
  if (answer) return request || order || has('pay_mch_key') ? 'none' : 'answer'
  // A notification repeats the order's client beside the order; a request never carries an order.
  if (order)
    return has('pay_content') || has('refund_content') || has('out_trade_no') ? 'none' : 'notification'
  return request ? 'request' : 'none'
}

export type OpenedAnswer =
  { ok: true; signed: boolean; content: AnswerContent; misfits: string[] } | { ok: false; flaw: Flaw }

const flawed = (flaw: Flaw): OpenedAnswer => ({ ok: false, flaw })

/**
 * Verified, then parsed. Without authen_info only a failing status passes, and the caller must take no fact from it
 * but that; a "success" without a code is refused: stripping the code must never help anyone.
 */
export function openAnswer(bytes: Buffer, key: AuthenKey): OpenedAnswer {
  if (!isUtf8(bytes)) return flawed('not_utf8')
  const outer = parse(bytes.toString('utf8'))
  if (typeof outer !== 'object' || outer === null) return flawed('not_json')
  const { response_content: text, authen_info: info } = outer as Record<string, unknown>
  if (text === undefined || text === '') return flawed('content_missing')
  if (typeof text !== 'string') return flawed('content_not_a_string')

  const signed = info !== undefined && info !== null
  if (signed) {
    const code = v.safeParse(AuthenInfo, info)
    if (!code.success) return flawed('authen_info_malformed')
    const { authen_type, authen_code } = code.output.a
    if (authen_type !== AUTHEN_TYPE_HMAC_SHA256) return flawed('authen_type_unknown')
    if (!verifyAuthenCode(key, text, authen_code)) return flawed('authen_code_wrong')
  }

  const content = parse(text)
  if (content === undefined) return flawed('content_not_json')
  if (contentKind(content) !== 'answer') return flawed('content_is_no_answer')
  const answer = read(AnswerContent, content)
  if (!answer.ok) return flawed('content_is_no_answer')
  if (!signed && answer.value.status === STATUS.ok) return flawed('authen_info_missing')
  return { ok: true, signed, content: answer.value, misfits: answer.misfits }
}

export type ReadMember<Member> =
  { ok: true; member: Member; misfits: string[] } | { ok: false; flaw: Flaw; at?: string }

/** The interface's own part of a status-0 answer. `platform`: see `read`. */
export function readMember<I extends Interface>(
  iface: I,
  content: AnswerContent,
  platform?: number,
): ReadMember<v.InferOutput<I['answer']>> {
  const member = content[iface.member] ?? (iface.optionalMember ? {} : undefined)
  if (member === undefined) return { ok: false, flaw: 'member_missing' }
  const answer = read(iface.answer, member, platform)
  return answer.ok
    ? { ok: true, member: answer.value, misfits: answer.misfits }
    : { ok: false, flaw: 'member_malformed', at: answer.at }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
