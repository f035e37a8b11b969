import { request as httpRequest, type ClientRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isLoopback } from '../../shared/base/config'
import type { Clock } from '../../shared/base/time'
import { isDelivered, notifyUrls, type Notification } from './notifications'
import type { Switches } from './switches'

/** WeChat Pay v2's ladder, in seconds after each failure: a default of this sandbox. Cloud Pay's is not known. */
export const NOTIFY_RETRY_MS: readonly number[] = [
  15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600,
].map((seconds) => seconds * 1000)

/** One attempt: what was sent where, and what came of it. */
export type Notified = {
  out_trade_no: string
  url: string
  at: number
  body: string
  delivered: boolean
  status?: number
  error?: string
}

export type Notifier = {
  notified: Notified[]
  /** Sends, and tries again on the ladder until it was heard. */
  notify(notification: Notification): void
  /** Sends the same bytes now, as often as told, and never again. */
  sendNow(notification: Notification, times: number): Promise<Notified[]>
  /** What the provider would change in the console. Notifications under way keep their address. */
  setConsoleUrl(url: string | undefined): void
  close(): void
}

export type NotifierOptions = {
  clock: Clock
  switches: Switches
  /** What the provider would enter in the console. */
  consoleUrl: string | undefined
  retryMs?: readonly number[]
  timeoutMs?: number
}

const NOTIFIED_MAX = 1000
const REPLY_MAX_BYTES = 64 * 1024

/** Sends notifications as Cloud Pay would: HTTP POST, no redirects, again until somebody says that he heard. */
export function createNotifier(options: NotifierOptions): Notifier {
  const { clock, switches, retryMs = NOTIFY_RETRY_MS, timeoutMs = 5000 } = options
  let { consoleUrl } = options
  const consoleUrls = new Set([consoleUrl])
  const notified: Notified[] = []
  const timers = new Set<NodeJS.Timeout>()
  const open = new Set<ClientRequest>()
  let closed = false

  async function attempt(out_trade_no: string, url: string, body: Buffer): Promise<Notified> {
    const at = clock.nowMs()
    const outcome = await post(url, body).then(
      (reply) => ({ status: reply.status, delivered: isDelivered(switches, reply.status, reply.body) }),
      (error: Error) => ({ error: error.message, delivered: false }),
    )
    const entry = { out_trade_no, url, at, body: body.toString('utf8'), ...outcome }
    notified.push(entry)
    if (notified.length > NOTIFIED_MAX) notified.shift()
    return entry
  }

  function post(url: string, body: Buffer): Promise<{ status: number; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const target = new URL(url)
      // An order may name any address; this machine should not be talked into calling out. The console's is ours.
      if (!consoleUrls.has(url) && !isLoopback(target.hostname)) throw new Error('not a loopback address')
      const headers = { 'content-type': 'application/json', 'content-length': body.length }
      const send = target.protocol === 'https:' ? httpsRequest : httpRequest
      const request = send(target, { method: 'POST', headers, agent: false }, (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > REPLY_MAX_BYTES) request.destroy(new Error('reply too long'))
          chunks.push(chunk)
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }))
        response.on('error', reject)
      })
      // Over all: a reply that trickles is as late as none.
      const timer = setTimeout(() => request.destroy(new Error('timeout')), timeoutMs).unref()
      open.add(request)
      request.on('error', reject)
      request.on('close', () => {
        clearTimeout(timer)
        open.delete(request)
        reject(new Error('connection closed'))
      })
      request.end(body)
    })
  }

  async function climb(out_trade_no: string, url: string, body: Buffer, rung: number): Promise<void> {
    if (closed || switches.notifications === 'off') return
    const { delivered } = await attempt(out_trade_no, url, body)
    const wait = retryMs[rung]
    if (delivered || wait === undefined || closed) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      void climb(out_trade_no, url, body, rung + 1)
    }, wait)
    timers.add(timer.unref())
  }

  return {
    notified,
    notify({ out_trade_no, url, body }) {
      for (const to of notifyUrls(switches, consoleUrl, url)) void climb(out_trade_no, to, body, 0)
    },
    sendNow({ out_trade_no, url, body }, times) {
      const urls = notifyUrls(switches, consoleUrl, url)
      return Promise.all(
        Array.from({ length: times }, () => urls)
          .flat()
          .map((to) => attempt(out_trade_no, to, body)),
      )
    },
    setConsoleUrl(url) {
      consoleUrl = url
      consoleUrls.add(url)
    },
    close() {
      closed = true
      for (const timer of timers) clearTimeout(timer)
      for (const request of open) request.destroy(new Error('the sandbox stopped'))
    },
  }
}
