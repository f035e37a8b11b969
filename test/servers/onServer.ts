import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { readDatabase } from '../../shared/base/config'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { openStore, type Store } from '../../shared/store/open'
import { findOrder } from '../../shared/store/orders'
import { describeContracts } from '../contract/contracts'
import { backlogContract } from './backlog'
import { mysqlCharsetContract, postgresCharsetContract } from './charset'
import { failoverContract } from './failover'
import { unavailable } from '../contract/ready'
import { serverContract } from '../contract/store.contract'
import { makeCertificates, type Certificates } from '../support/certificates'
import { isMissing } from '../support/missing'
import { newOrder } from '../support/orders'
import { startTcpProxy } from '../support/tcpProxy'
import { killConnections, openSession, type Server } from '../support/servers'

const CIPHER = {
  mysql: sql<{ cipher: string }>`select variable_value as cipher from information_schema.session_status
    where variable_name = 'Ssl_cipher'`,
  postgres: sql<{ cipher: string }>`select coalesce(cipher, '') as cipher from pg_stat_ssl
    where pid = pg_backend_pid()`,
}

type Kind = {
  name: string
  dialect: 'mysql' | 'postgres'
  found: string | undefined
  launch: () => Promise<Server>
  /** Another one, which takes no notice of what a client asks for when it connects. */
  launchOther: () => Promise<Server>
}

/** Every contract on one server of a kind, which is started once, and what only a server can be asked. */
export function describeServer({ name, dialect, found, launch, launchOther }: Kind): void {
  describe(`a store on ${name}`, () => {
    if (isMissing(name, found)) return

    let dir: string
    let otherCertificates: Certificates
    beforeAll(() => {
      dir = mkdtempSync(join(tmpdir(), 'other-ca-'))
      otherCertificates = makeCertificates(dir)
    })
    afterAll(() => rmSync(dir, { recursive: true, force: true }))
    let starting: Promise<Server> | undefined
    const server = () => (starting ??= launch())
    let startingOther: Promise<Server> | undefined
    const other = () => (startingOther ??= launchOther())
    afterAll(async () => {
      await (await starting)?.stop()
      await (await startingOther)?.stop()
    })

    const start = async () => {
      const { url, freshDatabase } = await server()
      return { freshDatabase, openSession, killConnections: () => killConnections({ url }) }
    }
    describeContracts({ dialect, start })
    backlogContract({ dialect, start })
    describe('behind a network', () => serverContract({ dialect, start }))

    describe('when the address comes to mean another server', () =>
      failoverContract({ dialect, servers: async () => [await server(), await other()] }))
    describe('in its charset', () =>
      dialect === 'mysql' ? mysqlCharsetContract(other) : postgresCharsetContract(server))

    describe('over TLS', () => {
      const opened: Store[] = []
      afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))

      async function storeOver(
        tls: 'off' | 'verify' | 'verify-ca',
        host: string,
        caFile?: string,
        port?: number,
      ) {
        const url = new URL((await server()).tlsUrl)
        url.hostname = host
        if (port !== undefined) url.port = String(port)
        url.searchParams.set('tls', tls)
        if (tls === 'off') url.searchParams.delete('ca')
        if (caFile !== undefined) url.searchParams.set('ca', caFile)
        const store = openStore({ dialect, url: new Secret(url.href) }, systemClock)
        opened.push(store)
        return store
      }
      const cipherOf = async (store: Store) => (await CIPHER[dialect].execute(store.db)).rows[0]?.cipher
      const refusal = async (store: Store): Promise<string> => {
        const fault = await findOrder(store, newOrder()).catch((error: unknown) => error)
        expect(fault).toMatchObject(unavailable)
        const causes: string[] = []
        // Not `instanceof Error`: Node's own errors are not of the tests' realm.
        for (let cause = fault as { message: string; cause?: unknown } | undefined; cause;) {
          causes.push(cause.message)
          cause = cause.cause as typeof cause
        }
        return causes.join(': ')
      }

      test('connects to a host that the certificate names', async () => {
        expect(await cipherOf(await storeOver('verify', 'localhost'))).toMatch(/TLS|AES|CHACHA/)
        expect(await cipherOf(await storeOver('off', 'localhost'))).toBe('')
      })

      test('trusts the CA whose text is in the configuration, and no other', async () => {
        const address = new URL((await server()).url)
        address.hostname = 'localhost'
        address.search = '?tls=verify'
        const over = (caFile: string) => {
          const store = openStore(
            readDatabase({ DATABASE_URL: address.href, DATABASE_CA: readFileSync(caFile, 'utf8') }),
            systemClock,
          )
          opened.push(store)
          return store
        }
        expect(await cipherOf(over((await server()).caFile))).toMatch(/TLS|AES|CHACHA/)
        expect(await refusal(over(otherCertificates.caFile))).toMatch(/unable to verify|issuer|self-signed/)
      })

      test('says which variable names a file that is not there', async () => {
        const store = await storeOver('verify', 'localhost', '/nowhere/ca.pem')
        await expect(findOrder(store, newOrder())).rejects.toMatchObject({
          code: 'configuration',
          cause: { faults: ['DATABASE_URL names a file that cannot be read'] },
        })
      })

      test('does not connect where the certificate is of another CA', async () => {
        for (const tls of ['verify', 'verify-ca'] as const) {
          const store = await storeOver(tls, 'localhost', otherCertificates.caFile)
          expect(await refusal(store)).toMatch(/unable to verify|issuer|self-signed/)
        }
      })

      test('does not connect to a host that the certificate does not name, unless told to', async () => {
        // To a resolver this is 127.0.0.1, to everybody else a name like any other.
        expect(await refusal(await storeOver('verify', '127.1'))).toMatch(/does not match|altnames/)
        expect(await cipherOf(await storeOver('verify-ca', '127.1'))).toMatch(/TLS|AES|CHACHA/)
      })

      test('connects to an IP address with tls=verify-ca', async () => {
        expect(await cipherOf(await storeOver('verify-ca', '127.0.0.1'))).toMatch(/TLS|AES|CHACHA/)
      })

      test('checks an IP address, or says that it cannot', async () => {
        const store = await storeOver('verify', '127.0.0.1')
        if (dialect === 'mysql') {
          expect(await refusal(store)).toContain('for an IP address use tls=verify-ca')
          return
        }
        expect(await cipherOf(store)).toMatch(/TLS|AES|CHACHA/)
        // Only Linux answers at every address of the loopback network.
        if (process.platform !== 'linux') return
        const elsewhere = await startTcpProxy(new URL((await server()).url), { host: '127.0.0.2' })
        expect(await refusal(await storeOver('verify', '127.0.0.2', undefined, elsewhere.port))).toMatch(
          /altnames/,
        )
        expect(await cipherOf(await storeOver('verify-ca', '127.0.0.2', undefined, elsewhere.port))).not.toBe(
          '',
        )
        await elsewhere.close()
      })
    })
  })
}
