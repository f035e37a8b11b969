import type { Transport } from './client'

/** Longer than any function takes; then nobody will answer. */
const TIMEOUT_MS = 15_000

/** For pages. */
export const fetchTransport =
  (fetcher: typeof fetch, timeoutMs = TIMEOUT_MS): Transport =>
  async ({ url, ...request }) => {
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), timeoutMs)
    try {
      const response = await fetcher(url, { ...request, signal: abort.signal, credentials: 'omit' })
      return {
        status: response.status,
        text: await response.text(),
        retryAfter: response.headers.get('retry-after'),
      }
    } finally {
      clearTimeout(timer)
    }
  }

/** What is used of `wx.request`. */
export type WxRequest = (options: {
  url: string
  method: 'GET' | 'POST'
  header: Record<string, string>
  data?: string
  dataType: string
  timeout: number
  success: (answer: { statusCode: number; data: unknown; header: Record<string, string> }) => void
  fail: (why: { errMsg: string }) => void
}) => unknown

/** For mini-programs. The body goes as the text it is, so that a repeat is the same bytes. */
export const wxTransport =
  (request: WxRequest, timeoutMs = TIMEOUT_MS): Transport =>
  ({ url, method, headers: header, body }) =>
    new Promise((resolve, reject) => {
      request({
        url,
        method,
        header,
        ...(body === undefined ? {} : { data: body }),
        // Any other word than `json`: the text is handed over as it came.
        dataType: 'text',
        timeout: timeoutMs,
        success: ({ statusCode, data, header: got }) =>
          resolve({
            status: statusCode,
            text: String(data),
            retryAfter: got['retry-after'] ?? got['Retry-After'],
          }),
        fail: ({ errMsg }) => reject(new Error(errMsg)),
      })
    })
