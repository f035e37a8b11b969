import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { systemRandom } from '../../shared/base/random'
import { systemClock } from '../../shared/base/time'
import { isMeantForUs, NOT_MEANT_FOR_US } from '../ownPages'
import { control } from './controls'
import { createLogins, type Logins } from './logins'
import { createNotifier, type Notified } from './notifier'
import { createShippings, type Shippings } from './shipping'
import { createSandbox, type Reply, type Sandbox, type SandboxOptions } from './sandbox'

export type SandboxServer = {
  /** `http://127.0.0.1:8701/cpay/`: what CLOUD_PAY_BASE_URL wants. */
  baseUrl: string
  origin: string
  sandbox: Sandbox
  /** WeChat's and Alipay's logins, beside Cloud Pay. */
  logins: Logins
  /** What WeChat is told of shipping. */
  shippings: Shippings
  /** The last 1000 attempts to notify. */
  notified: readonly Notified[]
  /** For who learns the address of its receiver only after this server has started. */
  setNotifyUrl(url: string | undefined): void
  /** The last 500 requests of the functions, each with its answer as it was sent. */
  exchanged: readonly Exchanged[]
  /** More controls, under /_console/, for pages of this origin alone; they may use the sandbox's controls too. */
  setConsole(origin: string, answer: ConsoleAnswer): void
  close(): Promise<void>
}

export type Exchanged = { at: number; interface: string; request: string; answer: string }

/** `undefined`: there is no such thing. */
export type ConsoleAnswer = (asked: {
  method: string
  path: string
  query: URLSearchParams
  body: Record<string, unknown>
}) => Promise<unknown>

const EXCHANGED_MAX = 500

export type ServerOptions = Partial<SandboxOptions> & {
  port?: number
  tls?: { cert: string; key: string }
  /** Where notifications of payments go: what the provider would enter in the console. Left out: nowhere. */
  notifyUrl?: string
  /** The waits between attempts to notify; after the last one it gives up. */
  notifyRetryMs?: readonly number[]
  notifyTimeoutMs?: number
}

/** The sandbox behind HTTP, on loopback only: its keys are published and its door is open. */
export async function startSandbox(options: ServerOptions = {}): Promise<SandboxServer> {
  const sandbox = createSandbox({
    clock: systemClock,
    random: systemRandom,
    ...options,
    onNotification(notification) {
      options.onNotification?.(notification)
      notifier.notify(notification)
    },
  })
  const notifier = createNotifier({
    clock: options.clock ?? systemClock,
    switches: sandbox.switches,
    consoleUrl: options.notifyUrl,
    ...(options.notifyRetryMs ? { retryMs: options.notifyRetryMs } : {}),
    ...(options.notifyTimeoutMs ? { timeoutMs: options.notifyTimeoutMs } : {}),
  })
  const logins = createLogins({
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  })
  const exchanged: Exchanged[] = []
  let console: { origin: string; answer: ConsoleAnswer } | undefined
  const shippings = createShippings({
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    apps: logins.apps,
    orders: sandbox.orders,
  })
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (!isMeantForUs(request.headers))
        return void response.writeHead(403, { 'content-type': 'application/json' }).end(NOT_MEANT_FOR_US)
      const path = (request.url ?? '/').split('?')[0]!
      const body = Buffer.concat(chunks)
      // Of pages, the console's alone may read what is answered here.
      if (console && request.headers.origin === console.origin)
        response.setHeader('access-control-allow-origin', console.origin)
      if (path.startsWith('/_console/')) {
        if (!console || request.headers.origin !== console.origin) return void response.writeHead(404).end()
        const { searchParams: query } = new URL(`http://sandbox${request.url ?? '/'}`)
        return void answerConsole(
          console.answer,
          { method: request.method ?? '', path, query, body },
          response,
        )
      }
      if (path.startsWith('/_sandbox/')) {
        return void control({ sandbox, notifier, logins }, request.method ?? '', path, body, response)
      }
      const url = new URL(`http://sandbox${request.url ?? '/'}`)
      const asked = { method: request.method ?? '', url, body }
      const login = logins.handle(asked) ?? shippings.handle(asked)
      if (login?.lost) return void response.socket?.destroy()
      if (login) return void response.writeHead(login.status, login.headers).end(login.body)
      const suffix = /^\/cpay\/(\w+)$/.exec(path)?.[1]
      if (request.method !== 'POST' || !suffix) return void response.writeHead(404).end()
      const at = (options.clock ?? systemClock).nowMs()
      const reply = sandbox.answer(suffix, body)
      const answer = 'body' in reply ? reply.body.toString('utf8') : `(${reply.kind})`
      exchanged.push({ at, interface: suffix, request: body.toString('utf8'), answer })
      if (exchanged.length > EXCHANGED_MAX) exchanged.shift()
      deliver(reply, response)
    })
  }
  const server: Server = options.tls ? createHttpsServer(options.tls, listener) : createHttpServer(listener)
  // Longer than a frozen function sleeps in a test; the real service's limit is not known.
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  // A certificate for tests names localhost.
  const origin = options.tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`
  return {
    origin,
    baseUrl: `${origin}/cpay/`,
    sandbox,
    logins,
    shippings,
    notified: notifier.notified,
    setNotifyUrl: notifier.setConsoleUrl,
    exchanged,
    setConsole(origin, answer) {
      console = { origin, answer }
    },
    close: () =>
      new Promise((resolve) => {
        notifier.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answerConsole(
  answer: ConsoleAnswer,
  asked: { method: string; path: string; query: URLSearchParams; body: Buffer },
  response: ServerResponse,
): Promise<void> {
  const say = (status: number, value: unknown) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  try {
    const given = (asked.body.length === 0 ? {} : JSON.parse(asked.body.toString('utf8'))) as Record<
      string,
      unknown
    >
    const said = await answer({ ...asked, body: given })
    say(said === undefined ? 404 : 200, said ?? { error: 'no such thing' })
  } catch (error) {
    say(400, { error: error instanceof Error ? error.message : 'bad request' })
  }
}

function deliver(reply: Reply, response: ServerResponse): void {
  const headers = { 'content-type': 'application/json;charset=UTF-8' }
  switch (reply.kind) {
    case 'answer': {
      const send = () => response.writeHead(reply.httpStatus, headers).end(reply.body)
      if (reply.delayMs === 0) send()
      else setTimeout(send, reply.delayMs).unref()
      return
    }
    case 'silent':
      return
    case 'drop':
      response.socket?.destroy()
      return
    case 'truncated':
      response.writeHead(200, { ...headers, 'content-length': reply.body.length })
      response.write(reply.body.subarray(0, reply.body.length >> 1), () => response.socket?.destroy())
  }
}
