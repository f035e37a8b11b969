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
import { createSandbox, Refusal, type Reply, type Sandbox, type SandboxOptions } from './sandbox'
import { SWITCHES, type Switches } from './switches'

export type SandboxServer = {
  /** `http://127.0.0.1:8701/cpay/`: what CLOUD_PAY_BASE_URL wants. */
  baseUrl: string
  origin: string
  sandbox: Sandbox
  close(): Promise<void>
}

export type ServerOptions = Partial<SandboxOptions> & { port?: number; tls?: { cert: string; key: string } }

/** The sandbox behind HTTP, on loopback only: its keys are published and its door is open. */
export async function startSandbox(options: ServerOptions = {}): Promise<SandboxServer> {
  const sandbox = createSandbox({ clock: systemClock, random: systemRandom, ...options })
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const path = (request.url ?? '/').split('?')[0]!
      const body = Buffer.concat(chunks)
      if (path.startsWith('/_sandbox/')) return control(sandbox, request.method ?? '', path, body, response)
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
    close: () =>
      new Promise((resolve) => {
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

/** What a person or a test does to the far end: pay an order, turn a switch, read the ledger and what arrived. */
function control(
  sandbox: Sandbox,
  method: string,
  path: string,
  body: Buffer,
  response: ServerResponse,
): void {
  const say = (status: number, value: unknown) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  try {
    const given = (body.length === 0 ? {} : JSON.parse(body.toString('utf8'))) as Record<string, unknown>
    const number = typeof given['out_trade_no'] === 'string' ? given['out_trade_no'] : ''
    switch (`${method} ${path}`) {
      case 'POST /_sandbox/pay': {
        const { out_trade_no, state, transaction_id } = sandbox.pay(number)
        return say(200, { out_trade_no, state, transaction_id })
      }
      case 'POST /_sandbox/switches':
        return say(200, Object.assign(sandbox.switches, readSwitches(given)))
      case 'GET /_sandbox/orders':
        return say(
          200,
          [...sandbox.orders.values()].map(
            ({ out_trade_no, state, create_time, time_expire, transaction_id }) => ({
              out_trade_no,
              state,
              create_time,
              time_expire,
              transaction_id: transaction_id ?? null,
            }),
          ),
        )
      case 'GET /_sandbox/received':
        return say(200, sandbox.received)
      default:
        return say(404, { error: 'no such control' })
    }
  } catch (error) {
    return say(error instanceof Refusal ? 409 : 400, {
      error: error instanceof Error ? error.message : 'bad request',
    })
  }
}

function readSwitches(given: Record<string, unknown>): Partial<Switches> {
  for (const [name, value] of Object.entries(given)) {
    const values = (SWITCHES as Record<string, readonly string[]>)[name]
    if (!values) throw new Error(`no switch ${name}; there are ${Object.keys(SWITCHES).join(', ')}`)
    if (typeof value !== 'string' || !values.includes(value))
      throw new Error(`${name} is one of ${values.join(', ')}`)
  }
  return given
}
