import type { LookupFunction } from 'node:net'
import { findDestination, resolveHost, type Destination, type Resolve } from './address'
import { exchange, NetFault, openClients } from './post'

/**
 * POST to a URL that somebody else chose. Where it may lead is address.ts; the rest is as in post.ts, but for the
 * connection, which is not kept: the next message may be hours away.
 *
 * Only the status is returned. What else the far end says is read (up to a limit, so that it can finish its sentence)
 * and forgotten: once the status is here, an answer that is too long, cut off or late changes nothing.
 */
export type Send = (url: string, body: Buffer, options: SendOptions) => Promise<number>

export type SendOptions = {
  headers: Record<string, string>
  /** From this call to the last byte of the answer, finding the address included. */
  timeoutMs: number
  allowPrivate: boolean
}

export type SendSettings = {
  /** PEM text that replaces the built-in roots. */
  ca?: string | undefined
  resolve?: Resolve
}

const ANSWER_MAX_BYTES = 64 * 1024

/** Throws NetFault, or Refused when nothing was connected to. */
export function createSend({ ca, resolve = resolveHost }: SendSettings = {}): Send {
  const clientFor = openClients(ca)
  return async (url, body, { headers, timeoutMs, allowPrivate }) => {
    const startMs = performance.now()
    // DNS knows no time limit: whoever is late is not waited for, and not connected to.
    const destination = await inTime(timeoutMs, findDestination(url, allowPrivate, resolve))
    const { Agent, request, trust } = await clientFor(destination.target.protocol)
    const leftMs = timeoutMs - (performance.now() - startMs)
    if (leftMs <= 0) throw new NetFault('timeout')

    // An agent of its own: no proxy out of the environment, no connection somebody else opened.
    const agent = new Agent({ ...trust, keepAlive: false })
    try {
      // The name stays in the URL: it is what SNI, the certificate and the Host header are about.
      const outgoing = request(destination.target, {
        method: 'POST',
        agent,
        lookup: only(destination),
        headers: { ...headers, 'content-length': body.length },
      })
      return (await exchange(outgoing, body, leftMs, ANSWER_MAX_BYTES)).status
    } catch (error) {
      if (error instanceof NetFault && error.status !== undefined) return error.status
      throw error
    } finally {
      agent.destroy()
    }
  }
}

/** Asks nobody: every name means the one address that was looked at. */
const only =
  ({ address, family }: Destination): LookupFunction =>
  (_host, { all }, answer) =>
    all ? answer(null, [{ address, family }]) : answer(null, address, family)

/** Gives up waiting, not the work: that goes on, and nobody hears of it. */
export async function inTime<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NetFault('timeout')), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
