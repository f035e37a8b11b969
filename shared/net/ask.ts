import { exchange, openClients, type PostAnswer } from './post'

/**
 * One question over HTTPS, for what must not be asked twice: no kept connection, so no resend on a fresh one; no
 * redirect is followed. Throws NetFault.
 */
export type Ask = (question: Question) => Promise<PostAnswer>

export type Question = {
  method: 'GET' | 'POST'
  /** May hold a secret: never logged. */
  url: string
  headers?: Record<string, string>
  body?: Buffer
  timeoutMs: number
  answerMaxBytes: number
}

export function createAsk(settings: { ca?: string | undefined } = {}): Ask {
  const clientFor = openClients(settings.ca)
  return async ({ method, url, headers = {}, body, timeoutMs, answerMaxBytes }) => {
    const startMs = performance.now()
    const target = new URL(url)
    const { Agent, request, trust } = await clientFor(target.protocol)
    // An agent of its own: no proxy out of the environment, no connection somebody else opened.
    const agent = new Agent({ ...trust, keepAlive: false })
    try {
      const bytes = body ?? Buffer.alloc(0)
      const length = body === undefined ? {} : { 'content-length': bytes.length }
      const outgoing = request(target, {
        method,
        agent,
        headers: { accept: 'application/json', ...headers, ...length },
      })
      return await exchange(outgoing, bytes, timeoutMs - (performance.now() - startMs), answerMaxBytes)
    } finally {
      agent.destroy()
    }
  }
}
