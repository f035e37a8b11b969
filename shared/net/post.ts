import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import type * as Https from 'node:https'
import type { AgentOptions } from 'node:https'

/**
 * The one HTTPS client. `node:https` and nothing on top: touching `fetch` costs a cold start 23 ms and its first
 * answer another 26. Certificates and host names are always checked; redirects are never followed.
 */
export type Post = (url: string, body: Buffer, options: PostOptions) => Promise<PostAnswer>

export type PostOptions = {
  /** From this call to the last byte of the answer. */
  timeoutMs: number
  /** An answer may not be larger than this. */
  answerMaxBytes: number
  /** In lower case; they go before our own. */
  headers?: Record<string, string>
  /**
   * Awaited before each transmission, the resend after a closed socket included. When it throws, nothing is sent.
   * Whoever counts transmissions counts here.
   */
  beforeSend?: () => Promise<void>
}

export type PostAnswer = { status: number; body: Buffer }

/** Why there is no answer. None of these says whether the other side acted: that is unknown. */
export class NetFault extends Error {
  override readonly name = 'NetFault'
  /** The answer had begun: its status is known, its body is not. */
  readonly status: number | undefined

  constructor(
    readonly code: 'timeout' | 'connect_timeout' | 'connection' | 'answer_too_large' | 'answer_cut_off',
    options: { cause?: unknown; status?: number | undefined } = {},
  ) {
    super(code, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = options.status
  }
}

const CONNECT_TIMEOUT_MS = 3000

export type PostSettings = {
  /** PEM text that replaces the built-in roots. */
  ca?: string | undefined
  /** A URL that will be asked soon: loads the client and its roots (some 20 ms) while others are waited for. */
  prepareFor?: string | undefined
}

export function createPost(settings: PostSettings = {}): Post {
  const clientFor = openClients(settings.ca)
  if (settings.prepareFor !== undefined) {
    const { protocol } = new URL(settings.prepareFor)
    // After what is on its way has left: this holds the thread.
    setImmediate(() => void clientFor(protocol))
  }

  return async (url, body, options) => {
    const target = new URL(url)
    const { Agent, request, agent, trust } = await clientFor(target.protocol)

    // performance, not Date: the wall clock may jump while we wait.
    const startMs = performance.now()
    const leftMs = () => options.timeoutMs - (performance.now() - startMs)

    const send = async (on: Agent): Promise<PostAnswer> => {
      await options.beforeSend?.()
      if (leftMs() <= 0) throw new NetFault('timeout')
      const outgoing = request(target, {
        method: 'POST',
        agent: on,
        headers: {
          'content-type': 'application/json;charset=UTF-8',
          'content-length': body.length,
          accept: 'application/json',
          ...options.headers,
        },
      })
      return exchange(outgoing, body, leftMs(), options.answerMaxBytes)
    }

    try {
      return await send(agent)
    } catch (error) {
      if (!(error instanceof StaleSocket)) throw error
      // The kept socket died while the instance was frozen. One try on a socket of its own, then no more.
      const fresh = new Agent({ maxSockets: 1, ...trust })
      try {
        return await send(fresh)
      } catch (again) {
        throw again instanceof StaleSocket ? new NetFault('connection', { cause: again.cause }) : again
      } finally {
        fresh.destroy()
      }
    }
  }
}

type Client = Pick<typeof Https, 'Agent' | 'request'> & { agent: Agent; trust: AgentOptions }

/** One client per protocol, opened when it is first asked for. */
export function openClients(ca: string | undefined): (protocol: string) => Promise<Client> {
  const clients = new Map<string, Promise<Client>>()
  return (protocol) => {
    let client = clients.get(protocol)
    if (!client) clients.set(protocol, (client = openClient(protocol, ca)))
    return client
  }
}

/** Imported when first needed: a function that asks nothing upstream does not load the TLS stack. */
async function openClient(protocol: string, ca: string | undefined): Promise<Client> {
  if (protocol !== 'https:') {
    const { Agent, request } = await import('node:http')
    return { Agent, request, agent: new Agent(KEEP), trust: {} } as unknown as Client
  }
  const { Agent, request } = await import('node:https')
  const { createSecureContext } = await import('node:tls')
  const trust = {
    secureContext: createSecureContext(ca === undefined ? {} : { ca }),
    // Said aloud, or NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would switch the check off.
    rejectUnauthorized: true,
  }
  return { Agent, request, agent: new Agent({ ...KEEP, ...trust }), trust }
}

const KEEP = { keepAlive: true, maxFreeSockets: 2 }

/** A kept-alive socket turned out to be closed, and not one byte of an answer had come. */
class StaleSocket extends Error {}

export function exchange(
  outgoing: ClientRequest,
  body: Buffer,
  timeoutMs: number,
  answerMaxBytes: number,
): Promise<PostAnswer> {
  return new Promise((resolve, reject) => {
    let status: number | undefined
    const fail = (error: Error) => {
      clearTimeout(total)
      clearTimeout(connecting)
      outgoing.destroy()
      reject(error)
    }
    const total = setTimeout(() => fail(new NetFault('timeout', { status })), timeoutMs)
    const connecting = setTimeout(
      () => fail(new NetFault('connect_timeout')),
      Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
    )

    outgoing.on('socket', (socket) => {
      const connected = () => clearTimeout(connecting)
      if (!socket.connecting) connected()
      // For TLS, 'connect' is only the TCP half.
      else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', connected)
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const dead = error.code === 'ECONNRESET' || error.code === 'EPIPE'
      fail(
        outgoing.reusedSocket && dead && status === undefined
          ? new StaleSocket('stale', { cause: error })
          : new NetFault('connection', { cause: error, status }),
      )
    })
    outgoing.on('response', (incoming: IncomingMessage) => {
      const began = (status = incoming.statusCode ?? 0)
      const chunks: Buffer[] = []
      let bytes = 0
      incoming.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > answerMaxBytes) fail(new NetFault('answer_too_large', { status }))
        else chunks.push(chunk)
      })
      incoming.on('error', (error) => fail(new NetFault('answer_cut_off', { cause: error, status })))
      incoming.on('end', () => {
        if (!incoming.complete) return fail(new NetFault('answer_cut_off', { status }))
        clearTimeout(total)
        clearTimeout(connecting)
        resolve({ status: began, body: Buffer.concat(chunks) })
      })
    })
    outgoing.end(body)
  })
}
