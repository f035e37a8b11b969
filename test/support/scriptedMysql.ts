import { constants, createHash, generateKeyPairSync, privateDecrypt, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'

// A stand-in for MySQL 8's way of logging in, caching_sha2_password, which MariaDB doesn't offer. It follows
// the published protocol, checks every password for real, and notes each step for a test to look at.

export type ScriptedMode = 'fast' | 'full-over-tls' | 'public-key' | 'auth-switch'

export type ScriptedMysqlOptions = {
  mode: ScriptedMode
  user: string
  password: string
  /** Needed by 'full-over-tls'; never offered to the client in mode 'public-key'. */
  tls?: { cert: string | Buffer; key: string | Buffer }
}

export type ScriptedMysql = { port: number; steps: string[]; close: () => Promise<void> }

const capability = {
  LONG_PASSWORD: 1 << 0,
  LONG_FLAG: 1 << 2,
  CONNECT_WITH_DB: 1 << 3,
  PROTOCOL_41: 1 << 9,
  SSL: 1 << 11,
  TRANSACTIONS: 1 << 13,
  SECURE_CONNECTION: 1 << 15,
  PLUGIN_AUTH: 1 << 19,
  PLUGIN_AUTH_LENENC_CLIENT_DATA: 1 << 21,
}
const offered = Object.entries(capability).reduce((all, [name, bit]) => (name === 'SSL' ? all : all | bit), 0)

const command = { QUIT: 0x01, QUERY: 0x03, PING: 0x0e, STMT_PREPARE: 0x16 }

const sha2Plugin = 'caching_sha2_password'
const nativePlugin = 'mysql_native_password'
const autocommitStatus = 2

class Disconnected extends Error {}
class Refused extends Error {
  constructor(
    readonly code: number,
    readonly state: string,
    message: string,
  ) {
    super(message)
  }
}

// Making an RSA key takes a moment, so one is made when first needed and shared.
let sharedKeys: ReturnType<typeof makeKeys> | undefined
const makeKeys = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })

export async function startScriptedMysql(options: ScriptedMysqlOptions): Promise<ScriptedMysql> {
  if (options.mode === 'full-over-tls' && !options.tls) throw new Error('full-over-tls needs a certificate')
  const steps: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // Failures surface where the conversation waits for the client; unhandled they'd end the test run.
    socket.on('error', () => {})
    void converse(socket, options, steps)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    steps,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function converse(socket: Socket, options: ScriptedMysqlOptions, steps: string[]): Promise<void> {
  const wire = new Wire(socket)
  try {
    await logIn(wire, options, steps)
    steps.push('accepted')
    wire.send(okPacket())
    while (await answerCommand(wire));
  } catch (error) {
    if (error instanceof Refused) {
      steps.push(`refused ${error.code}`)
      wire.send(errPacket(error))
    } else if (!(error instanceof Disconnected)) {
      // A mistake in this script, or a client that doesn't speak the protocol: let the test's steps show it.
      steps.push(`failed: ${String(error)}`)
    }
  }
  wire.end()
}

// ---- Logging in ----

async function logIn(wire: Wire, options: ScriptedMysqlOptions, steps: string[]): Promise<void> {
  const { mode, user, password } = options
  const tls = mode === 'public-key' ? undefined : options.tls
  const denied = new Refused(
    1045,
    '28000',
    `Access denied for user '${user}'@'localhost' (using password: YES)`,
  )
  const plugin = mode === 'auth-switch' ? nativePlugin : sha2Plugin
  let scramble = newScramble()

  steps.push(`greeting ${plugin}`)
  wire.send(greeting(scramble, plugin, tls !== undefined))

  let response = await wire.receive()
  if (response.readUInt32LE(0) & capability.SSL && tls) {
    steps.push('client asks for TLS')
    await wire.upgrade(tls)
    steps.push('TLS established')
    response = await wire.receive()
  }
  const client = parseHandshakeResponse(response)
  steps.push(`client answers ${client.plugin}`)
  if (client.user !== user) throw denied

  let token = client.token
  if (mode === 'auth-switch') {
    steps.push(`server switches to ${sha2Plugin}`)
    // A new scramble, as MySQL sends one: a client that answers with the old one gets it wrong.
    scramble = newScramble()
    wire.send(Buffer.concat([Buffer.from([0xfe]), nulTerminated(sha2Plugin), scramble, Buffer.from([0])]))
    token = await wire.receive()
    steps.push('client answers the switch')
  } else if (client.plugin !== sha2Plugin) {
    throw denied
  }

  if (mode === 'fast' || mode === 'auth-switch') {
    if (!token.equals(sha2Token(password, scramble))) throw denied
    steps.push('server confirms fast authentication')
    wire.send(Buffer.from([0x01, 0x03]))
    return
  }

  // The full exchange is what MySQL asks for when it hasn't seen the account since it started. It then has
  // nothing to check the token against, so only the password that follows counts.
  steps.push('server asks for full authentication')
  if (mode === 'full-over-tls' && !wire.encrypted) {
    throw new Refused(3159, 'HY000', 'Connections using insecure transport are prohibited')
  }
  wire.send(Buffer.from([0x01, 0x04]))

  let clearText: Buffer
  if (wire.encrypted) {
    clearText = await wire.receive()
    steps.push('client sends the password inside TLS')
  } else {
    const request = await wire.receive()
    if (!request.equals(Buffer.from([0x02]))) throw denied
    steps.push('client asks for the public key')
    const keys = (sharedKeys ??= makeKeys())
    wire.send(Buffer.concat([Buffer.from([0x01]), Buffer.from(keys.publicKey)]))
    const encrypted = await wire.receive()
    steps.push('client sends the encrypted password')
    clearText = decryptPassword(encrypted, keys.privateKey, scramble) ?? Buffer.alloc(0)
  }
  if (!clearText.equals(nulTerminated(password))) throw denied
}

/** Twenty printable characters: the protocol has no room for NUL, which ends strings. */
function newScramble(): Buffer {
  return Buffer.from(randomBytes(20).map((byte) => 0x30 + (byte % 0x40)))
}

const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

/** The longer first argument is covered by repeating the second. */
const xor = (data: Buffer, mask: Buffer) => Buffer.from(data.map((byte, i) => byte ^ mask[i % mask.length]!))

function sha2Token(password: string, scramble: Buffer): Buffer {
  const hash = sha256(Buffer.from(password))
  return xor(hash, sha256(sha256(hash), scramble))
}

function decryptPassword(encrypted: Buffer, key: string, scramble: Buffer): Buffer | undefined {
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  try {
    return xor(privateDecrypt({ key, padding, oaepHash: 'sha1' }, encrypted), scramble)
  } catch {
    // Not encrypted with our key: no password at all.
    return undefined
  }
}

function parseHandshakeResponse(packet: Buffer) {
  const flags = packet.readUInt32LE(0) & offered
  // Skipped: packet size limit (4), character set (1), reserved (23).
  let at = 4 + 4 + 1 + 23
  const text = () => {
    const end = packet.indexOf(0, at)
    if (end < 0) throw new Error('unterminated text in the handshake response')
    const value = packet.toString('utf8', at, end)
    at = end + 1
    return value
  }
  const user = text()
  // The length is a single byte either way, because no token here reaches 251 bytes.
  const length = packet[at++]!
  const token = packet.subarray(at, at + length)
  at += length
  if (flags & capability.CONNECT_WITH_DB) text()
  const plugin = flags & capability.PLUGIN_AUTH ? text() : ''
  return { user, token, plugin }
}

// ---- After logging in ----

/** False when the conversation is over. */
async function answerCommand(wire: Wire): Promise<boolean> {
  const packet = await wire.receive()
  switch (packet.readUInt8(0)) {
    case command.QUIT:
      return false
    case command.PING:
      wire.send(okPacket())
      return true
    case command.QUERY: {
      const number = /^\s*select\s+(\d+)\s*;?\s*$/i.exec(packet.toString('utf8', 1))?.[1]
      for (const part of number === undefined ? [okPacket()] : oneNumber(number)) wire.send(part)
      return true
    }
    case command.STMT_PREPARE:
      wire.send(errPacket(new Refused(1295, 'HY000', 'Prepared statements are not scripted')))
      return true
    default:
      wire.send(errPacket(new Refused(1047, '08S01', 'Unknown command')))
      return true
  }
}

// ---- Packets ----

const nulTerminated = (text: string) => Buffer.from(`${text}\0`)
const lengthPrefixed = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function greeting(scramble: Buffer, plugin: string, withTls: boolean): Buffer {
  const flags = offered | (withTls ? capability.SSL : 0)
  const protocolVersion = 10
  const utf8mb4 = 255
  return Buffer.concat([
    Buffer.from([protocolVersion]),
    nulTerminated('8.0.36-scripted'),
    Buffer.from([1, 0, 0, 0]), // connection number
    scramble.subarray(0, 8),
    Buffer.from([0]),
    u16(flags & 0xffff),
    Buffer.from([utf8mb4]),
    u16(autocommitStatus),
    u16(flags >>> 16),
    Buffer.from([scramble.length + 1]),
    Buffer.alloc(10),
    scramble.subarray(8),
    Buffer.from([0]),
    nulTerminated(plugin),
  ])
}

const okPacket = () => Buffer.concat([Buffer.from([0x00, 0, 0]), u16(autocommitStatus), u16(0)])

const errPacket = ({ code, state, message }: Refused) =>
  Buffer.concat([Buffer.from([0xff]), u16(code), Buffer.from(`#${state}${message}`)])

const eofPacket = () => Buffer.concat([Buffer.from([0xfe]), u16(0), u16(autocommitStatus)])

/** A result of one row with one whole number, in a column that's named like the number. */
function oneNumber(digits: string): Buffer[] {
  const binary = 63
  const longlong = 8
  const column = Buffer.concat([
    ...['def', '', '', '', digits, ''].map(lengthPrefixed),
    Buffer.from([0x0c]),
    u16(binary),
    Buffer.from([digits.length, 0, 0, 0, longlong, 0, 0, 0, 0, 0]),
  ])
  return [Buffer.from([1]), column, eofPacket(), lengthPrefixed(digits), eofPacket()]
}

/** MySQL's framing: three bytes of length, a sequence number that both sides count on, the payload. */
class Wire {
  private sequence = 0
  encrypted = false

  constructor(private socket: Socket) {}

  send(payload: Buffer): void {
    const header = Buffer.alloc(4)
    header.writeUIntLE(payload.length, 0, 3)
    header[3] = this.sequence++ & 0xff
    this.socket.write(Buffer.concat([header, payload]))
  }

  async receive(): Promise<Buffer> {
    const header = await this.take(4)
    this.sequence = header[3]! + 1
    return this.take(header.readUIntLE(0, 3))
  }

  /** Takes exactly as many bytes as wanted, so that bytes of a TLS handshake right behind stay for TLS. */
  private async take(size: number): Promise<Buffer> {
    if (size === 0) return Buffer.alloc(0)
    for (;;) {
      const bytes = this.socket.read(size) as Buffer | null
      if (bytes?.length === size) return bytes
      if (bytes || this.socket.readableEnded || this.socket.destroyed) throw new Disconnected()
      await this.change('readable')
    }
  }

  async upgrade(tls: NonNullable<ScriptedMysqlOptions['tls']>): Promise<void> {
    const secured = new TLSSocket(this.socket, { isServer: true, secureContext: createSecureContext(tls) })
    secured.on('error', () => {})
    this.socket = secured
    await this.change('secure')
    this.encrypted = true
  }

  private change(event: string): Promise<void> {
    const socket = this.socket
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => () => {
        socket.off(event, onEvent)
        socket.off('close', onClose)
        outcome()
      }
      const onEvent = settle(resolve)
      const onClose = settle(() => reject(new Disconnected()))
      socket.once(event, onEvent)
      socket.once('close', onClose)
    })
  }

  end(): void {
    this.socket.end()
  }
}
