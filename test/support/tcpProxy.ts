import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { realTimeout } from './waiting'

// The network between a program and its database, able to fail at a chosen moment. What it breaks is broken for
// the connections there are; a connection made afterwards is served.

/** What happens to the connection on which the awaited words pass. */
export type Accident =
  | 'cut before' // the server never hears them
  | 'cut after' // the server hears and answers them; the client never hears the answer
  | 'silence before' // as `cut before`, and nobody is told
  | 'silence after' // as `cut after`, and nobody is told

export type TcpProxy = {
  port: number
  /** How many connections were ever accepted. */
  accepted(): number
  /** How many connections the client still has a socket for, be it one it only has said goodbye on. */
  held(): number
  /** Resets every connection, on both sides. */
  cut(): void
  /** From now on nothing passes, and nobody is told. */
  silence(): void
  /**
   * The client sleeps: what the server says, a goodbye included, is heard only after the client's next words have
   * been sent. Like a frozen instance, which finds it in its socket when it is already speaking.
   */
  freeze(): void
  /** From now on the address means another server. Whoever is connected stays with the old one. */
  leadTo(other: { hostname: string; port: string }): void
  /** Once, when the client says something that matches. Resolves when it has happened. */
  when(words: RegExp, accident: Accident): Promise<void>
  close(): Promise<void>
}

type Line = {
  client: Socket
  server: Socket
  silent: boolean
  frozen: boolean
  /** What to do with the server's next words. */
  answer: (() => void) | undefined
  /** What the client could not hear yet. */
  unheard: Array<() => void>
  /** The end of what the client has said: words may arrive in two pieces. */
  tail: string
}

type Trap = { words: RegExp; accident: Accident; sprung: () => void }

/** Where nothing listens at the target, connections are accepted and then reset. */
export async function startTcpProxy(
  first: { hostname: string; port: string },
  { host = '127.0.0.1', port = 0 } = {},
): Promise<TcpProxy> {
  let target = first
  const lines = new Set<Line>()
  const sockets = new Set<Socket>()
  let accepted = 0
  let trap: Trap | undefined

  const reset = (line: Line) => {
    line.client.resetAndDestroy()
    line.server.resetAndDestroy()
  }

  function fromClient(line: Line, data: Buffer): void {
    if (line.silent) return
    const heard = line.tail + data.toString('latin1')
    line.tail = heard.slice(-64)
    const sprung = trap?.words.test(heard) ? trap : undefined
    if (sprung) {
      trap = undefined
      line.tail = ''
      const breaks = () => {
        if (sprung.accident.startsWith('cut')) reset(line)
        else line.silent = true
        sprung.sprung()
      }
      if (sprung.accident.endsWith('before')) return breaks()
      line.answer = breaks
    }
    if (line.server.writable) line.server.write(data)
    if (line.frozen) {
      line.frozen = false
      for (const hear of line.unheard.splice(0)) hear()
    }
  }

  function fromServer(line: Line, hear: () => void): void {
    if (line.silent) return
    if (line.answer) line.answer()
    else if (line.frozen) line.unheard.push(hear)
    else hear()
  }

  // Half-open, so that the end of one side is passed on (or kept back) like everything else it says.
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    accepted++
    const server = connect({
      host: target.hostname,
      port: Number(target.port),
      allowHalfOpen: true,
      noDelay: true,
    })
    const line: Line = {
      client,
      server,
      silent: false,
      frozen: false,
      answer: undefined,
      unheard: [],
      tail: '',
    }
    lines.add(line)
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => sockets.delete(socket))
    }
    client.on('data', (data) => fromClient(line, data))
    client.once('end', () => {
      if (!line.silent) server.end()
      // The way back stays open to a client that has only stopped speaking. One that is gone answers a word with a
      // reset, which shows when the next is sent.
      else for (const ms of [0, 50, 200]) realTimeout(() => client.writable && client.write('\0'), ms)
    })
    client.once('close', () => {
      lines.delete(line)
      if (!line.silent) server.destroy()
    })
    server.on('data', (data) => fromServer(line, () => client.write(data)))
    server.once('end', () => fromServer(line, () => client.end()))
    server.once('error', () => fromServer(line, () => client.resetAndDestroy()))
  })
  listener.listen(port, host)
  await once(listener, 'listening')

  return {
    port: (listener.address() as AddressInfo).port,
    accepted: () => accepted,
    held: () => lines.size,
    cut: () => [...lines].forEach(reset),
    silence: () => lines.forEach((line) => (line.silent = true)),
    freeze: () => lines.forEach((line) => (line.frozen = true)),
    leadTo: (other) => void (target = other),
    when: (words, accident) =>
      new Promise((resolve) => {
        // What was said before does not count.
        for (const line of lines) line.tail = ''
        trap = { words, accident, sprung: resolve }
      }),
    async close() {
      const closed = once(listener, 'close')
      listener.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
