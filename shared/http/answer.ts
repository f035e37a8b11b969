import { FAULTS, type Fault } from '../base/errors'

/**
 * What an event function gives back. `isBase64Encoded` is what API Gateway's integrated response asks for; the
 * Function URL ignores it. The platform writes all of this to its log: nothing secret may be in it.
 */
export type HttpAnswer = {
  statusCode: number
  headers: Record<string, string>
  body: string
  isBase64Encoded: false
}

const FIXED = {
  // Orders and problems are about this moment; no cache may keep them.
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
}

export function json(statusCode: number, body: unknown, requestId: string): HttpAnswer {
  return {
    statusCode,
    headers: { 'content-type': 'application/json; charset=utf-8', 'x-request-id': requestId, ...FIXED },
    body: JSON.stringify(body),
    isBase64Encoded: false,
  }
}

/** RFC 9457 with both languages: `code` is for programs and stable, `detail` for people. */
export function problem(fault: Fault, requestId: string): HttpAnswer {
  const { status, zh, en } = FAULTS[fault.code]
  const { fields, retryAfterS, extra } = fault.extras
  return {
    statusCode: status,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      'x-request-id': requestId,
      ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
      ...FIXED,
    },
    body: JSON.stringify({
      type: 'about:blank',
      title: fault.code,
      status,
      code: fault.code,
      detail: { zh, en },
      request_id: requestId,
      ...(fields ? { fields } : {}),
      ...extra,
    }),
    isBase64Encoded: false,
  }
}
