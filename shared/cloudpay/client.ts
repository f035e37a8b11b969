import type * as v from 'valibot'
import { NetFault, type Post } from '../net/post'
import { STATUS } from './enums'
import { openAnswer, readMember, sealRequest, type Flaw } from './envelope'
import { internalStatusOf, retryDelayMs, type Interface, type InternalStatus } from './schema'
import type { AuthenKey } from './signing'

/**
 * What one call came to. There are three outcomes and only two of them are knowledge: `yes` and `no` are signed;
 * everything else is `unknown`, which is never the same as failed. `rejected` (101) is unsigned by design: it tells
 * us to mend the request and proves nothing about the order.
 *
 * `said`: the `description` of a failing answer, where 101, 102 and 104 tell a person what to do; a stranger's text, bounded.
 * `misfits`: paths of what was there, decides nothing and could not be read (reading.ts).
 */
export type Answer<Member> = { logId?: number | undefined; misfits?: string[] } & (
  | { outcome: 'yes'; member: Member }
  | { outcome: 'no'; status: number; internalStatus: InternalStatus; said: string | null }
  | { outcome: 'rejected'; status: number; said: string | null }
  | { outcome: 'unknown'; why: UnknownWhy; at?: string; retryAfterMs?: number }
)

export type UnknownWhy =
  Flaw | NetFault['code'] | `http_${number}` | `status_${number}` | `unsigned_${number}`

export type CallOptions = {
  key: AuthenKey
  /** The order's: whose extensions of the answer count. None for an answer that is about no single order. */
  platform?: number
  timeoutMs: number
  beforeSend?: () => Promise<void>
}

export type CloudPay = {
  /** `requestContent` is signed and sent as it is. The answer is verified and parsed; the caller compares echoes. */
  call<I extends Interface>(
    iface: I,
    requestContent: string,
    options: CallOptions,
  ): Promise<Answer<v.InferOutput<I['answer']>>>
}

/** An answer with 6000 characters of detail, escaped twice, stays well below. */
const ANSWER_MAX_BYTES = 256 * 1024

export function createCloudPay(post: Post, baseUrl: string): CloudPay {
  return {
    async call(iface, requestContent, { key, platform, timeoutMs, beforeSend }) {
      const body = sealRequest(requestContent, key)
      let answer
      try {
        answer = await post(baseUrl + iface.suffix, body, {
          timeoutMs,
          answerMaxBytes: (iface as Interface).answerMaxBytes ?? ANSWER_MAX_BYTES,
          ...(beforeSend ? { beforeSend } : {}),
        })
      } catch (error) {
        if (error instanceof NetFault) return { outcome: 'unknown', why: error.code }
        throw error
      }
      // The HTTP status is not documented; Tencent's SDK takes any 2xx as "has a body" and the rest as no answer.
      if (answer.status < 200 || answer.status > 299)
        return { outcome: 'unknown', why: `http_${answer.status}` }

      const opened = openAnswer(answer.body, key)
      if (!opened.ok) return { outcome: 'unknown', why: opened.flaw }
      const { content, misfits } = opened
      const { status, log_id: logId } = content
      const common = { logId, misfits }
      const said = boundedText(content.description)
      switch (status) {
        case STATUS.ok: {
          const read = readMember(iface, content, platform)
          if (read.ok)
            return { outcome: 'yes', member: read.member, logId, misfits: [...misfits, ...read.misfits] }
          const { flaw: why, at } = read
          return { outcome: 'unknown', why, ...common, ...(at === undefined ? {} : { at }) }
        }
        case STATUS.badRequest:
          return { outcome: 'rejected', status, said, ...common }
        case STATUS.failedTakeNewNumber:
        case STATUS.failed:
          return opened.signed
            ? { outcome: 'no', status, internalStatus: internalStatusOf(content), said, ...common }
            : { outcome: 'unknown', why: `unsigned_${status}`, ...common }
        default: {
          const retryAfterMs = retryDelayMs(status)
          const why: UnknownWhy = `status_${status}`
          return {
            outcome: 'unknown',
            why,
            ...common,
            ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
          }
        }
      }
    },
  }
}

/** S255 on the pages. */
const SAID_MAX = 255

/** What a stranger wrote, fit for a log, a row and a page: short, and without what would break or turn around a line. */
function boundedText(given: string | undefined): string | null {
  const text = given?.replace(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, ' ').trim() ?? ''
  return text === '' ? null : [...text].slice(0, SAID_MAX).join('')
}
