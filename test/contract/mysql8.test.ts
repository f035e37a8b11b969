import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { openMysql } from '../../shared/store/mysql'
import { openStore } from '../../shared/store/open'
import { findOrder } from '../../shared/store/orders'
import { makeCertificates, type Certificates } from '../support/certificates'
import { newOrder } from '../support/orders'
import { startScriptedMysql, type ScriptedMode } from '../support/scriptedMysql'
import { unavailable } from './ready'

let dir: string
let certificates: Certificates
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'mysql8-'))
  certificates = makeCertificates(dir)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe("MySQL 8's way of logging in", () => {
  const account = { user: 'payer', password: 'p@ss/word:密码?' }
  const addressOf = (port: number, password: string, mode: ScriptedMode) => {
    const overTls = mode === 'full-over-tls'
    const url = new URL(`mysql://${overTls ? 'localhost' : '127.0.0.1'}:${port}/pay`)
    url.username = account.user
    url.password = encodeURIComponent(password)
    if (overTls) url.search = `?tls=verify&ca=${encodeURIComponent(certificates.caFile)}`
    return url.href
  }

  test.each([
    ['fast', 'server confirms fast authentication'],
    ['full-over-tls', 'client sends the password inside TLS'],
    ['public-key', 'client sends the encrypted password'],
    ['auth-switch', 'server confirms fast authentication'],
  ] as const)('%s lets the right password in, and no other', async (mode, step) => {
    const { certFile, keyFile } = certificates
    const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
    const server = await startScriptedMysql({
      mode,
      ...account,
      ...(mode === 'full-over-tls' ? { tls } : {}),
    })
    try {
      const wire = await openMysql(addressOf(server.port, account.password, mode))
      expect(server.steps.slice(-2)).toEqual([step, 'accepted'])
      expect((await wire.query('SELECT 7', [])).rows).toEqual([{ 7: 7 }])
      await wire.end()

      const wrong = addressOf(server.port, `${account.password}!`, mode)
      await expect(openMysql(wrong)).rejects.toMatchObject({ errno: 1045 })
      await expect(
        findOrder(openStore({ dialect: 'mysql', url: new Secret(wrong) }, systemClock), newOrder()),
      ).rejects.toMatchObject(unavailable)
      expect(server.steps.filter((each) => each === 'accepted')).toHaveLength(1)
    } finally {
      await server.close()
    }
  })
})
