import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { createPost, type NetFault, type PostAnswer } from '../../../shared/net/post'
import { makeCertificates, type AltName } from '../../support/certificates'
import { fakeTimeouts, settled } from '../../support/waiting'

/** One request as it came over the wire. */
type Seen = { connection: number; socket: Socket; head: string; body: string }

/** The far end, byte by byte: what a real server would never do is what these tests are about. */
type Far = { url: string; connections: Socket[]; seen: Seen[]; next(): Promise<Seen> }

type Identity = { cert: Buffer; key: Buffer }

let dir: string
let ca: string
let identities: Record<'good' | 'otherName' | 'expired' | 'notYet', Identity>
const servers: { server: Server; sockets: Socket[] }[] = []

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'post-'))
  const good = makeCertificates(dir)
  ca = readFileSync(good.caFile, 'utf8')
  const key = readFileSync(good.keyFile)
  const another = (name: AltName, from: string, until: string) =>
    Buffer.from(good.issue({ names: [name], notBefore: new Date(from), notAfter: new Date(until) }))
  identities = {
    good: { cert: readFileSync(good.certFile), key },
    otherName: { cert: another({ dns: 'pay.example.com' }, '2020-01-01', '2099-12-31'), key },
    expired: { cert: another({ ip: '127.0.0.1' }, '2020-01-01', '2020-01-02'), key },
    notYet: { cert: another({ ip: '127.0.0.1' }, '2098-01-01', '2099-12-31'), key },
  }
})

afterAll(() => rmSync(dir, { recursive: true, force: true }))

afterEach(async () => {
  jest.useRealTimers()
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function start(reply: (seen: Seen, nth: number) => void, identity?: Identity): Promise<Far> {
  const waiting: ((seen: Seen) => void)[] = []
  const far: Far = {
    url: '',
    connections: [],
    seen: [],
    next: () => new Promise((resolve) => waiting.push(resolve)),
  }
  const connected = (socket: Socket) => {
    const connection = far.connections.push(socket)
    let text = ''
    socket.on('error', () => undefined)
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      for (;;) {
        const end = text.indexOf('\r\n\r\n')
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
        if (end < 0 || text.length < end + 4 + length) return
        const one = {
          connection,
          socket,
          head: text.slice(0, end),
          body: text.slice(end + 4, end + 4 + length),
        }
        text = text.slice(end + 4 + length)
        const nth = far.seen.push(one)
        waiting.shift()?.(one)
        reply(one, nth)
      }
    })
  }
  const server = identity ? createTlsServer(identity, connected) : createTcpServer(connected)
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => sockets.push(socket))
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  servers.push({ server, sockets })
  far.url = `${identity ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/cpay/x`
  return far
}

const ok = ({ socket }: Seen, text = 'yes') =>
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)

const body = Buffer.from('{"湖心":"奶茶🧋"}')
const wide = { timeoutMs: 60_000, answerMaxBytes: 1024 }

/** The outcome as a text: `200 yes`, or the code of the fault. */
const outcome = (answer: Promise<PostAnswer>): Promise<string> =>
  answer.then(
    ({ status, body }) => `${status} ${body.toString()}`,
    (error: NetFault) => {
      expect(error.name).toBe('NetFault')
      return error.code
    },
  )

describe.each(['http', 'https'])('over %s', (scheme) => {
  const identity = () => (scheme === 'https' ? identities.good : undefined)
  const newPost = () => createPost(scheme === 'https' ? { ca } : {})

  test('a request arrives as it was given, and so does the answer', async () => {
    const far = await start((seen) => ok(seen, 'ja, 好'), identity())
    const answer = await newPost()(`${far.url}?a=1`, body, wide)
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual(Buffer.from('ja, 好'))
    expect(far.seen).toHaveLength(1)
    const { head, body: sent } = far.seen[0]!
    expect(head.split('\r\n')[0]).toBe('POST /cpay/x?a=1 HTTP/1.1')
    expect(head.toLowerCase()).toContain('content-type: application/json;charset=utf-8')
    expect(head.toLowerCase()).toContain(`content-length: ${body.length}`)
    expect(Buffer.from(sent, 'latin1')).toEqual(body)
  })

  test('one request after the other uses one connection, two at a time use two', async () => {
    const far = await start((seen) => ok(seen), identity())
    const post = newPost()
    for (let nth = 0; nth < 5; nth++) {
      await post(far.url, body, wide)
      await settled()
    }
    expect(far.connections).toHaveLength(1)
    expect(far.seen.map(({ connection }) => connection)).toEqual([1, 1, 1, 1, 1])
    await Promise.all([post(far.url, body, wide), post(far.url, body, wide)])
    expect(far.connections).toHaveLength(2)
  })

  test('each client has connections of its own', async () => {
    const far = await start((seen) => ok(seen), identity())
    for (let nth = 0; nth < 2; nth++) await newPost()(far.url, body, wide)
    expect(far.connections).toHaveLength(2)
  })

  /** A kept connection that the far end has closed, and we have not noticed: what a frozen instance wakes up to. */
  async function stale(reply: (seen: Seen, nth: number) => void = (seen) => ok(seen)) {
    const far = await start(reply, identity())
    const post = newPost()
    await post(far.url, body, wide)
    await settled()
    await settled()
    const close = () => far.connections[0]!.destroy()
    return { far, post, close }
  }

  test('a kept connection closed while idle costs one resend, counted, and the far end sees one request', async () => {
    const { far, post, close } = await stale()
    const connectionsWhenTold: number[] = []
    const beforeSend = async () => void connectionsWhenTold.push(far.connections.length)
    close()
    expect(await outcome(post(far.url, Buffer.from('second'), { ...wide, beforeSend }))).toBe('200 yes')
    // Twice, and the second time before the second connection was opened.
    expect(connectionsWhenTold).toEqual([1, 1])
    expect(far.connections).toHaveLength(2)
    expect(far.seen.filter((seen) => seen.body === 'second')).toHaveLength(1)
  })

  test('a kept connection that is reset with our request on it is resent once as well', async () => {
    const { far, post } = await stale((seen, nth) => (nth === 2 ? reset(seen.socket) : ok(seen)))
    const beforeSend = jest.fn(async () => undefined)
    expect(await outcome(post(far.url, body, { ...wide, beforeSend }))).toBe('200 yes')
    expect(beforeSend).toHaveBeenCalledTimes(2)
    expect(far.seen.map(({ connection }) => connection)).toEqual([1, 1, 2])
    // The same bytes: whoever answers may have seen them twice.
    expect(far.seen[2]!.body).toBe(far.seen[1]!.body)
  })

  test('a second connection that dies too is the end of it', async () => {
    const { far, post, close } = await stale((seen, nth) => (nth > 1 ? reset(seen.socket) : ok(seen)))
    close()
    const beforeSend = jest.fn(async () => undefined)
    expect(await outcome(post(far.url, body, { ...wide, beforeSend }))).toBe('connection')
    expect(beforeSend).toHaveBeenCalledTimes(2)
    expect(far.connections).toHaveLength(2)
    expect(far.seen).toHaveLength(2)
  })

  test('a connection the resend opened is not kept, and the next request opens one', async () => {
    const { far, post, close } = await stale()
    close()
    await post(far.url, body, wide)
    await post(far.url, body, wide)
    expect(far.seen.map(({ connection }) => connection)).toEqual([1, 2, 3])
  })

  test('nothing is resent when whoever counts does not allow it', async () => {
    const { far, post, close } = await stale()
    close()
    const beforeSend = jest.fn(async () => {
      if (beforeSend.mock.calls.length === 2) throw new Error('the lease is gone')
    })
    await expect(post(far.url, body, { ...wide, beforeSend })).rejects.toThrow('the lease is gone')
    expect(far.connections).toHaveLength(1)
    expect(far.seen).toHaveLength(1)
  })

  test('a fresh connection that is reset is not resent', async () => {
    const far = await start((seen) => reset(seen.socket), identity())
    const beforeSend = jest.fn(async () => undefined)
    expect(await outcome(newPost()(far.url, body, { ...wide, beforeSend }))).toBe('connection')
    expect(beforeSend).toHaveBeenCalledTimes(1)
    expect(far.connections).toHaveLength(1)
  })

  test('a fresh connection that is closed without an answer is not resent', async () => {
    const far = await start((seen) => void seen.socket.end(), identity())
    const beforeSend = jest.fn(async () => undefined)
    expect(await outcome(newPost()(far.url, body, { ...wide, beforeSend }))).toBe('connection')
    expect(beforeSend).toHaveBeenCalledTimes(1)
    expect(far.connections).toHaveLength(1)
  })

  test.each([
    ['reset', (socket: Socket) => reset(socket)],
    ['closed', (socket: Socket) => void socket.end()],
  ])('a kept connection %s once the answer has begun is not resent', async (_how, stop) => {
    const { far, post } = await stale((seen, nth) => {
      if (nth === 1) ok(seen)
      else seen.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
    })
    const begun = () => stop(far.connections[0]!)
    subscribe('http.client.response.finish', begun)
    try {
      const beforeSend = jest.fn(async () => undefined)
      expect(await outcome(post(far.url, body, { ...wide, beforeSend }))).toMatch(
        /^(answer_cut_off|connection)$/,
      )
      expect(beforeSend).toHaveBeenCalledTimes(1)
      expect(far.connections).toHaveLength(1)
      expect(far.seen).toHaveLength(2)
    } finally {
      unsubscribe('http.client.response.finish', begun)
    }
  })

  test('when beforeSend throws, not even a connection is opened', async () => {
    const far = await start((seen) => ok(seen), identity())
    const error = new Error('not counted')
    const sent = newPost()(far.url, body, { ...wide, beforeSend: () => Promise.reject(error) })
    await expect(sent).rejects.toBe(error)
    await settled()
    expect(far.connections).toHaveLength(0)
  })

  test('beforeSend is done before the first byte leaves', async () => {
    const far = await start((seen) => ok(seen), identity())
    let release = () => undefined as void
    const counted = new Promise<void>((resolve) => (release = resolve))
    const answer = newPost()(far.url, body, { ...wide, beforeSend: () => counted })
    for (let nth = 0; nth < 5; nth++) await settled()
    expect(far.connections).toHaveLength(0)
    release()
    expect(await outcome(answer)).toBe('200 yes')
  })

  test('without time nothing is sent', async () => {
    const far = await start((seen) => ok(seen), identity())
    expect(await outcome(newPost()(far.url, body, { ...wide, timeoutMs: 0 }))).toBe('timeout')
    await settled()
    expect(far.connections).toHaveLength(0)
  })

  test('a silent far end is left when the time is up, and the connection with it', async () => {
    fakeTimeouts()
    const far = await start(() => undefined, identity())
    const arrived = far.next()
    const answer = outcome(newPost()(far.url, body, { ...wide, timeoutMs: 10_000 }))
    const { socket } = await arrived
    const closed = new Promise((resolve) => socket.once('close', resolve))
    jest.advanceTimersByTime(9_900)
    await settled()
    expect(socket.destroyed).toBe(false)
    jest.advanceTimersByTime(100)
    expect(await answer).toBe('timeout')
    await closed
    expect(far.connections).toHaveLength(1)
    expect(jest.getTimerCount()).toBe(0)
  })

  test('a far end that keeps dripping does not get more time', async () => {
    fakeTimeouts()
    const far = await start((seen) => {
      seen.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n')
    }, identity())
    const arrived = far.next()
    const answer = outcome(newPost()(far.url, body, { ...wide, timeoutMs: 10_000 }))
    const { socket } = await arrived
    for (let second = 1; second <= 10; second++) {
      socket.write('.')
      await settled()
      await settled()
      jest.advanceTimersByTime(1000)
    }
    expect(await answer).toBe('timeout')
  })

  test('a far end that takes its time after the connection is there may use all of it', async () => {
    fakeTimeouts()
    const far = await start(() => undefined, identity())
    const arrived = far.next()
    const answer = outcome(newPost()(far.url, body, { ...wide, timeoutMs: 10_000 }))
    const seen = await arrived
    jest.advanceTimersByTime(9_000)
    ok(seen)
    expect(await answer).toBe('200 yes')
    expect(jest.getTimerCount()).toBe(0)
  })

  test.each([
    ['exactly as large as allowed', 1024, true],
    ['one byte larger', 1025, false],
  ])('an answer %s', async (_what, length, fits) => {
    const text = 'x'.repeat(length)
    const far = await start((seen) => ok(seen, text), identity())
    const answer = await outcome(newPost()(far.url, body, wide))
    expect(answer).toBe(fits ? `200 ${text}` : 'answer_too_large')
  })

  test('an answer without end is left when it is too large', async () => {
    const far = await start(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      const drip = () =>
        void (socket.destroyed || (socket.write(`40\r\n${'x'.repeat(64)}\r\n`), setImmediate(drip)))
      drip()
    }, identity())
    expect(await outcome(newPost()(far.url, body, wide))).toBe('answer_too_large')
    expect(far.connections).toHaveLength(1)
  })

  test.each([
    ['shorter than it says', 'content-length: 100\r\n\r\nhalf'],
    ['without any of what it says', 'content-length: 100\r\n\r\n'],
    ['cut within a chunk', 'transfer-encoding: chunked\r\n\r\n40\r\nhalf'],
    ['cut between chunks', 'transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['cut before its last line', 'transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n'],
  ])('an answer %s is cut off, not taken', async (_what, rest) => {
    const far = await start(({ socket }) => void socket.end(`HTTP/1.1 200 OK\r\n${rest}`), identity())
    const beforeSend = jest.fn(async () => undefined)
    expect(await outcome(newPost()(far.url, body, { ...wide, beforeSend }))).toBe('answer_cut_off')
    expect(beforeSend).toHaveBeenCalledTimes(1)
  })

  test.each(['no HTTP at all\r\n\r\n', 'HTTP/1.1 200', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'])(
    'the answer %j is no answer',
    async (text) => {
      const far = await start(({ socket }) => void socket.end(text), identity())
      expect(await outcome(newPost()(far.url, body, wide))).toBe('connection')
    },
  )

  test.each([400, 404, 500, 502])('status %d is an answer', async (status) => {
    const far = await start(({ socket }) => {
      socket.write(`HTTP/1.1 ${status} x\r\ncontent-length: 2\r\n\r\nno`)
    }, identity())
    expect(await outcome(newPost()(far.url, body, wide))).toBe(`${status} no`)
  })

  test.each([301, 302, 303, 307, 308])('a redirect (%d) is returned and not followed', async (status) => {
    const elsewhere = await start((seen) => ok(seen), identity())
    const far = await start(({ socket }) => {
      socket.write(`HTTP/1.1 ${status} x\r\nlocation: ${elsewhere.url}\r\ncontent-length: 4\r\n\r\nmove`)
    }, identity())
    expect(await outcome(newPost()(far.url, body, wide))).toBe(`${status} move`)
    await settled()
    expect(elsewhere.connections).toHaveLength(0)
    expect(far.seen).toHaveLength(1)
  })
})

describe('connecting', () => {
  test('nobody there is a fault of the connection', async () => {
    const far = await start((seen) => ok(seen))
    const { server } = servers.pop()!
    await new Promise((resolve) => server.close(resolve))
    const beforeSend = jest.fn(async () => undefined)
    expect(await outcome(createPost()(far.url, body, { ...wide, beforeSend }))).toBe('connection')
    expect(beforeSend).toHaveBeenCalledTimes(1)
  })

  test.each([
    [60_000, 3000, 'connect_timeout'],
    [1000, 1000, 'timeout'],
  ])('a TLS handshake without end is left: of %d ms after %d: %s', async (timeoutMs, afterMs, code) => {
    fakeTimeouts()
    const server = createTcpServer()
    const sockets: Socket[] = []
    const greeted = new Promise<Socket>((resolve) => {
      server.on('connection', (socket) => {
        sockets.push(socket)
        socket.on('error', () => undefined).once('data', () => resolve(socket))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers.push({ server, sockets })
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
    let state = 'waiting'
    const answer = outcome(createPost({ ca })(url, body, { ...wide, timeoutMs })).then((is) => (state = is))
    // The TCP half is done and our greeting is here: only the TLS half is missing.
    const socket = await greeted
    const closed = new Promise((resolve) => socket.once('close', resolve))
    jest.advanceTimersByTime(afterMs - 100)
    await settled()
    expect(state).toBe('waiting')
    jest.advanceTimersByTime(100)
    expect(await answer).toBe(code)
    await closed
    expect(jest.getTimerCount()).toBe(0)
  })
})

describe('a certificate', () => {
  let strangerCa: string
  beforeAll(() => {
    const other = join(dir, 'stranger')
    mkdirSync(other)
    strangerCa = readFileSync(makeCertificates(other).caFile, 'utf8')
  })

  const refused: [why: string, identity: () => Identity, ca: () => string | undefined, code: RegExp][] = [
    ['of an unknown CA', () => identities.good, () => undefined, /UNABLE_TO|SELF_SIGNED/],
    ['of a CA other than the one we named', () => identities.good, () => strangerCa, /UNABLE_TO|SELF_SIGNED/],
    ['for another host name', () => identities.otherName, () => ca, /^ERR_TLS_CERT_ALTNAME_INVALID$/],
    ['that has expired', () => identities.expired, () => ca, /^CERT_HAS_EXPIRED$/],
    ['that is not valid yet', () => identities.notYet, () => ca, /^CERT_NOT_YET_VALID$/],
  ]

  test.each(refused)(
    '%s is refused before a byte of the request leaves',
    async (_why, identity, roots, code) => {
      const far = await start((seen) => ok(seen), identity())
      const failed = await createPost({ ca: roots() })(far.url, body, wide).catch((error: NetFault) => error)
      expect(failed).toMatchObject({ code: 'connection', cause: { code: expect.stringMatching(code) } })
      expect(far.seen).toHaveLength(0)
    },
  )
})

describe('in a process of its own', () => {
  const run = promisify(execFile)
  let bundle: string

  beforeAll(async () => {
    bundle = join(dir, 'post.cjs')
    const entry = join(__dirname, '../../../shared/net/post.ts')
    const options = { bundle: true, format: 'cjs', platform: 'node', target: 'node20' } as const
    await build({ entryPoints: [entry], outfile: bundle, logLevel: 'error', ...options })
  })

  const child = async (script: string, env: Record<string, string> = {}) => {
    const code = `const { createPost } = require(${JSON.stringify(bundle)})
      const undici = () => process.moduleLoadList.filter((name) => /undici/.test(name)).length
      void (async () => { ${script} })().then((told) => console.log(JSON.stringify(told)))`
    const { stdout } = await run(process.execPath, ['-e', code], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
    })
    return JSON.parse(stdout) as unknown
  }

  test('a request loads no undici, and the process ends although a connection is kept', async () => {
    const far = await start((seen) => ok(seen))
    const told = await child(`
      const { body } = await createPost()(${JSON.stringify(far.url)}, Buffer.from('x'), ${JSON.stringify(wide)})
      const after = undici()
      await fetch('data:,x')
      return { body: String(body), after, wouldNotice: undici() > 0 }`)
    expect(told).toEqual({ body: 'yes', after: 0, wouldNotice: true })
  })

  test.each(['good', 'otherName', 'expired'] as const)(
    'NODE_TLS_REJECT_UNAUTHORIZED=0 does not stop the check of a certificate (%s)',
    async (which) => {
      const far = await start((seen) => ok(seen), identities[which])
      // The good one without its CA is as wrong as the others.
      const settings = which === 'good' ? {} : { ca }
      const told = await child(
        `return createPost(${JSON.stringify(settings)})(${JSON.stringify(far.url)}, Buffer.from('x'), ${JSON.stringify(wide)})
          .then(() => 'sent', (error) => error.code)`,
        { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' },
      )
      expect(told).toBe('connection')
      expect(far.seen).toHaveLength(0)
    },
  )
})

/** TCP's reset, also for TLS: there it is the socket underneath that can. */
function reset(socket: Socket): void {
  const underneath = servers
    .flatMap(({ sockets }) => sockets)
    .find((one) => one.remotePort === socket.remotePort)
  underneath?.resetAndDestroy()
}
