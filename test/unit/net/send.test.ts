import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import dns from 'node:dns'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { createSend } from '../../../shared/net/send'
import { makeCertificates } from '../../support/certificates'
import { fakeTimeouts, settled, until } from '../../support/waiting'

let dir: string
let ca: string
let identity: { cert: Buffer; key: Buffer }
const servers: Server[] = []

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'send-'))
  const made = makeCertificates(dir)
  ca = readFileSync(made.caFile, 'utf8')
  identity = { cert: readFileSync(made.certFile), key: readFileSync(made.keyFile) }
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))
afterEach(async () => {
  jest.useRealTimers()
  jest.restoreAllMocks()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function listen(reply: RequestListener, tls = false, host = '127.0.0.1') {
  const server = tls ? createTlsServer(identity, reply) : createServer(reply)
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  servers.push(server)
  return { port: (server.address() as AddressInfo).port, sockets }
}

const here = async () => [{ address: '127.0.0.1', family: 4 }]
const options = { headers: { 'content-type': 'application/json' }, timeoutMs: 60_000, allowPrivate: true }
const body = Buffer.from('{"湖心":"奶茶🧋"}')

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

test('the address that was looked at is connected to; nobody is asked again', async () => {
  const seen: { request: IncomingMessage; body: Buffer }[] = []
  const { port } = await listen((request, response) => {
    void bodyOf(request).then((body) => {
      seen.push({ request, body })
      response.end('yes')
    })
  })
  const resolve = jest.fn(here)
  const asked = jest.spyOn(dns, 'lookup')
  // No resolver in the world knows this name.
  const url = `http://hooks.merchant.invalid:${port}/in?a=1`
  expect(await createSend({ resolve })(url, body, { ...options, headers: { 'x-one': '1' } })).toBe(200)
  expect(resolve.mock.calls).toEqual([['hooks.merchant.invalid']])
  expect(asked).not.toHaveBeenCalled()
  const { request, body: sent } = seen[0]!
  expect(request.method).toBe('POST')
  expect(request.url).toBe('/in?a=1')
  expect(request.headers).toMatchObject({
    host: `hooks.merchant.invalid:${port}`,
    'x-one': '1',
    'content-length': String(body.length),
    connection: 'close',
  })
  expect(sent).toEqual(body)
})

test('a name that changes its meaning between two attempts is looked at again in the second', async () => {
  const { port, sockets } = await listen((_, response) => response.end())
  const resolve = jest
    .fn<ReturnType<typeof here>, []>()
    .mockResolvedValueOnce([{ address: '192.0.2.1', family: 4 }])
    .mockResolvedValue([{ address: '127.0.0.1', family: 4 }])
  const send = createSend({ resolve })
  for (let nth = 0; nth < 2; nth++) {
    const sent = send(`https://merchant.test:${port}/`, body, { ...options, allowPrivate: false })
    await expect(sent).rejects.toMatchObject({ code: 'address_refused' })
  }
  expect(resolve).toHaveBeenCalledTimes(2)
  expect(sockets).toHaveLength(0)
})

test('over TLS the name is what counts: for SNI and for the certificate', async () => {
  const names: unknown[] = []
  const { port } = await listen((request, response) => {
    names.push((request.socket as TLSSocket & { servername: unknown }).servername)
    response.end()
  }, true)
  const send = createSend({ ca, resolve: here })
  // The certificate is for localhost and 127.0.0.1.
  expect(await send(`https://localhost:${port}/`, body, options)).toBe(200)
  expect(await send(`https://127.0.0.1:${port}/`, body, options)).toBe(200)
  expect(names).toEqual(['localhost', false])
  await expect(send(`https://merchant.test:${port}/`, body, options)).rejects.toMatchObject({
    code: 'connection',
    cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  })
  await expect(
    createSend({ resolve: here })(`https://localhost:${port}/`, body, options),
  ).rejects.toMatchObject({
    code: 'connection',
  })
  expect(names).toHaveLength(2)
})

test.each([200, 204, 301, 302, 307, 308, 404, 410, 500, 503])('status %d is the result', async (status) => {
  const elsewhere = await listen((_, response) => response.end())
  const { port, sockets } = await listen((_, response) => {
    response.writeHead(status, { location: `http://127.0.0.1:${elsewhere.port}/` }).end()
  })
  expect(await createSend()(`http://127.0.0.1:${port}/`, body, options)).toBe(status)
  expect(elsewhere.sockets).toHaveLength(0)
  expect(sockets).toHaveLength(1)
})

test('a connection is not kept, and not shared', async () => {
  const { port, sockets } = await listen((_, response) => response.end())
  const send = createSend()
  for (let nth = 0; nth < 3; nth++) await send(`http://127.0.0.1:${port}/`, body, options)
  expect(sockets).toHaveLength(3)
})

test('an answer without end is left at 64 KB; its status counts', async () => {
  let written = 0
  const { port, sockets } = await listen((_, response) => {
    response.writeHead(200)
    const more = () => {
      if (response.destroyed) return
      written += 16_384
      response.write('x'.repeat(16_384), () => setImmediate(more))
    }
    more()
  })
  expect(await createSend()(`http://127.0.0.1:${port}/`, body, options)).toBe(200)
  await new Promise((resolve) => (sockets[0]!.destroyed ? resolve(0) : sockets[0]!.once('close', resolve)))
  // What the kernel buffers on both sides comes on top.
  expect(written).toBeLessThan(16 * 1024 * 1024)
})

test('an answer that is cut off has a status all the same', async () => {
  const { port } = await listen(({ socket }) => {
    socket.end('HTTP/1.1 202 x\r\ncontent-length: 9\r\n\r\nhalf')
  })
  expect(await createSend()(`http://127.0.0.1:${port}/`, body, options)).toBe(202)
})

test('an answer that is unfinished has a status all the same, when the time is up', async () => {
  fakeTimeouts()
  const { port } = await listen(({ socket }) => {
    socket.write('HTTP/1.1 201 x\r\ncontent-length: 9\r\n\r\nhalf')
  })
  let begun = false
  const answerBegins = () => (begun = true)
  // Published by node:http when the head of an answer is here.
  subscribe('http.client.response.finish', answerBegins)
  try {
    let status: number | undefined
    const sent = createSend()(`http://127.0.0.1:${port}/`, body, options).then((is) => (status = is))
    await until(() => begun)
    jest.advanceTimersByTime(options.timeoutMs - 1)
    await settled()
    expect(status).toBeUndefined()
    jest.advanceTimersByTime(1)
    expect(await sent).toBe(201)
  } finally {
    unsubscribe('http.client.response.finish', answerBegins)
  }
})

test('a server that says nothing is left in time, and so is a resolver', async () => {
  fakeTimeouts()
  const code = (sent: Promise<number>) => sent.catch((error: { code: string }) => (ended = error.code))
  let ended: string | undefined
  let asked = 0
  const { port, sockets } = await listen(() => void asked++)
  const silent = code(createSend()(`http://127.0.0.1:${port}/`, body, options))
  await until(() => asked === 1)
  jest.advanceTimersByTime(options.timeoutMs - 1)
  await settled()
  expect(ended).toBeUndefined()
  jest.advanceTimersByTime(1)
  expect(await silent).toBe('timeout')

  ended = undefined
  let answer: (addresses: { address: string; family: number }[]) => void = () => undefined
  const resolve = () => new Promise<{ address: string; family: number }[]>((done) => (answer = done))
  const sent = code(createSend({ resolve })(`http://merchant.test:${port}/`, body, options))
  jest.advanceTimersByTime(options.timeoutMs - 1)
  await settled()
  expect(ended).toBeUndefined()
  jest.advanceTimersByTime(1)
  expect(await sent).toBe('timeout')
  answer([{ address: '127.0.0.1', family: 4 }])
  await settled()
  // Connections are accepted in their order: one that had been made for the late answer would be here before ours.
  const ours = connect(port, '127.0.0.1')
  await until(() =>
    sockets.some(({ remotePort }) => remotePort !== undefined && remotePort === ours.localPort),
  )
  ours.destroy()
  expect(sockets).toHaveLength(2)
})

test('IPv6 is reached by its address', async () => {
  const { port } = await listen((_, response) => response.end(), false, '::1')
  const resolve = async () => [{ address: '::1', family: 6 }]
  expect(await createSend({ resolve })(`http://merchant.test:${port}/`, body, options)).toBe(200)
  expect(await createSend({ resolve })(`http://[::1]:${port}/`, body, options)).toBe(200)
})
