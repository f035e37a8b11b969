import type * as v from 'valibot'
import { NetFault, type Post } from '../net/post'
import { STATUS } from './enums'
import { openAnswer, readMember, sealRequest, type Flaw } from './envelope'
import { retryDelayMs, type Interface } from './schema'
import type { AuthenKey } from './signing'

/**
 * What one call came to. There are three outcomes and only two of them are knowledge: `yes` and `no` are signed;
 * everything else is `unknown`, which is never the same as failed. `rejected` (101) is unsigned by design: it tells
 * us to mend the request and proves nothing about the order.
 */
export type Answer<Member> =
  | { outcome: 'yes'; member: Member; logId: number | undefined }
  | { outcome: 'no'; status: number; internalStatus: number | undefined; logId: number | undefined }
  | { outcome: 'rejected'; status: number; logId: number | undefined }
  | { outcome: 'unknown'; why: UnknownWhy; retryAfterMs?: number; logId?: number | undefined }

export type UnknownWhy =
  Flaw | NetFault['code'] | `http_${number}` | `status_${number}` | `unsigned_${number}`

export type CallOptions = {
  key: AuthenKey
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
    async call(iface, requestContent, { key, timeoutMs, beforeSend }) {
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
      const { status, internal_status: internalStatus, log_id: logId } = opened.content
      switch (status) {
        case STATUS.ok: {
          const read = readMember(iface, opened.content)
          return read.ok
            ? { outcome: 'yes', member: read.member, logId }
            : { outcome: 'unknown', why: read.flaw, logId }
        }
        case STATUS.badRequest:
          return { outcome: 'rejected', status, logId }
        case STATUS.failedTakeNewNumber:
        case STATUS.failed:
          return opened.signed
            ? { outcome: 'no', status, internalStatus, logId }
            : { outcome: 'unknown', why: `unsigned_${status}`, logId }
        default: {
          const retryAfterMs = retryDelayMs(status)
          const why: UnknownWhy = `status_${status}`
          return { outcome: 'unknown', why, logId, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
        }
      }
    },
  }
}
