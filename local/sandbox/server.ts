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
  close(): Promise<void>
}

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
      const path = (request.url ?? '/').split('?')[0]!
      const body = Buffer.concat(chunks)
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
      deliver(sandbox.answer(suffix, body), response)
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
    close: () =>
      new Promise((resolve) => {
        notifier.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
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
