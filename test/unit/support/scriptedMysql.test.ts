import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mysql, { type ConnectionOptions } from 'mysql2/promise'
import { makeCertificates } from '../../support/certificates'
import { startScriptedMysql, type ScriptedMode, type ScriptedMysql } from '../../support/scriptedMysql'

const user = 'payer'
// Longer than the 20-byte scramble that hides it, and not only ASCII.
const password = 'correct horse battery staple 密码'

let dir: string
let tls: { cert: Buffer; key: Buffer }
let ca: Buffer
let server: ScriptedMysql | undefined

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'scripted-'))
  const { caFile, certFile, keyFile } = makeCertificates(dir)
  tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
  ca = readFileSync(caFile)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))
afterEach(async () => {
  await server?.close()
  server = undefined
})

async function start(mode: ScriptedMode, withTls = mode === 'full-over-tls') {
  server = await startScriptedMysql({ mode, user, password, ...(withTls ? { tls } : {}) })
  return server
}

const connect = (options: ConnectionOptions = {}) =>
  mysql.createConnection({ host: '127.0.0.1', port: server!.port, user, password, ...options })

const verified = () => ({ ca, rejectUnauthorized: true, verifyIdentity: true })

const stepsOf: Record<ScriptedMode, string[]> = {
  fast: [
    'greeting caching_sha2_password',
    'client answers caching_sha2_password',
    'server confirms fast authentication',
  ],
  'full-over-tls': [
    'greeting caching_sha2_password',
    'client asks for TLS',
    'TLS established',
    'client answers caching_sha2_password',
    'server asks for full authentication',
    'client sends the password inside TLS',
  ],
  'public-key': [
    'greeting caching_sha2_password',
    'client answers caching_sha2_password',
    'server asks for full authentication',
    'client asks for the public key',
    'client sends the encrypted password',
  ],
  'auth-switch': [
    'greeting mysql_native_password',
    'client answers mysql_native_password',
    'server switches to caching_sha2_password',
    'client answers the switch',
    'server confirms fast authentication',
  ],
}

const modes = Object.keys(stepsOf) as ScriptedMode[]
const sslFor = (mode: ScriptedMode) => (mode === 'full-over-tls' ? { ssl: verified() } : {})

describe.each(modes)('the scripted MySQL server, %s', (mode) => {
  test('accepts the right password and then serves', async () => {
    const { steps } = await start(mode)
    const connection = await connect({ ...sslFor(mode), database: 'anything' })
    expect(steps).toEqual([...stepsOf[mode], 'accepted'])

    expect((await connection.query('SELECT 1'))[0]).toEqual([{ 1: 1 }])
    expect((await connection.query('SET time_zone = "+00:00"'))[0]).toMatchObject({ affectedRows: 0 })
    await connection.ping()
    await expect(connection.prepare('SELECT ?')).rejects.toMatchObject({ errno: 1295 })
    await connection.end()
  })

  test.each([
    ['a wrong password', { password: 'correct horse battery stable 密码' }],
    ['a shorter password', { password: password.slice(0, -1) }],
    ['no password', { password: '' }],
    ['another user', { user: 'somebody' }],
  ])('refuses %s', async (_, wrong) => {
    const { steps } = await start(mode)
    await expect(connect({ ...sslFor(mode), ...wrong })).rejects.toMatchObject({
      code: 'ER_ACCESS_DENIED_ERROR',
      errno: 1045,
    })
    expect(steps).not.toContain('accepted')
    expect(steps.at(-1)).toBe('refused 1045')
  })
})

describe('the scripted MySQL server and TLS', () => {
  test.each(['fast', 'auth-switch'] as const)('%s works inside TLS too', async (mode) => {
    const { steps } = await start(mode, true)
    const connection = await connect({ ssl: verified() })
    expect(steps.slice(1, 3)).toEqual(['client asks for TLS', 'TLS established'])
    expect(steps.at(-1)).toBe('accepted')
    await connection.end()
  })

  test('full-over-tls refuses a client without TLS before the password is sent', async () => {
    const { steps } = await start('full-over-tls')
    await expect(connect()).rejects.toMatchObject({ errno: 3159 })
    expect(steps.at(-1)).toBe('refused 3159')
  })

  test('a client that trusts another CA sends no password', async () => {
    const { steps } = await start('full-over-tls')
    const otherDir = mkdtempSync(join(dir, 'other-'))
    const otherCa = readFileSync(makeCertificates(otherDir).caFile)
    await expect(connect({ ssl: { ...verified(), ca: otherCa } })).rejects.toMatchObject({
      code: 'HANDSHAKE_SSL_ERROR',
    })
    expect(steps).not.toContain('client answers caching_sha2_password')
  })

  test('public-key offers no TLS', async () => {
    const { steps } = await start('public-key', true)
    await expect(connect({ ssl: verified() })).rejects.toMatchObject({ code: 'HANDSHAKE_NO_SSL_SUPPORT' })
    expect(steps).toEqual(['greeting caching_sha2_password'])
  })
})

test('closing cuts off whoever is connected', async () => {
  const { close } = await start('fast')
  const connection = await connect()
  const lost = new Promise((resolve) => connection.on('error', resolve))
  await close()
  expect(await lost).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' })
  server = undefined
})
