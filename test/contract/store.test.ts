import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Dialect } from '../../shared/base/databaseUrl'
import { Secret } from '../../shared/base/secrets'
import { systemClock, type Clock } from '../../shared/base/time'
import { migrate } from '../../shared/store/migrate'
import { openMysql } from '../../shared/store/mysql'
import { openStore, type Store } from '../../shared/store/open'
import { findOrder, insertOrder, listEvents, moveOrder } from '../../shared/store/orders'
import { makeCertificates, type Certificates } from '../support/certificates'
import { killChildren, startChild } from '../support/children'
import { isMissing } from '../support/missing'
import { newOrder } from '../support/orders'
import { startScriptedMysql, type ScriptedMode } from '../support/scriptedMysql'
import { startTcpProxy } from '../support/tcpProxy'
import {
  findMariadb,
  findPostgres,
  killConnections,
  openSession,
  startMariadb,
  startPostgres,
  type Server,
} from '../support/servers'
import { MIGRATIONS } from '../support/migrationNames'
import { openFile, type Ready } from './ready'
import { serverContract, storeContract } from './store.contract'

jest.setTimeout(30_000)

const unavailable = { name: 'Fault', code: 'database_unavailable' }
const dialectOf = (url: string): Dialect =>
  url.startsWith('mysql:') ? 'mysql' : url.startsWith('postgres:') ? 'postgres' : 'sqlite'
const storeAt = (url: string, clock: Clock = systemClock): Store =>
  openStore({ dialect: dialectOf(url), url: new Secret(url) }, clock)

let dir: string
let otherCertificates: Certificates
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'store-'))
  otherCertificates = makeCertificates(dir)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

// ── SQLite ─────────────────────────────────────────────────────────────────────────────────────────────────────

let files = 0
/** In a folder that is not there yet: the store makes it. */
const freshFile = () => `sqlite:${join(dir, 'made by the store', `${++files}.db`)}`

const sqlite = async (): Promise<Ready> => ({
  freshDatabase: async () => freshFile(),
  openSession: openFile,
})

describe('a store on SQLite', () => {
  storeContract({ dialect: 'sqlite', start: sqlite })

  const moveOn = { at: 1, kind: 'moved', detail: {} } as const
  let url: string
  let store: Store
  beforeEach(async () => {
    url = freshFile()
    store = storeAt(url)
    await migrate(store)
  })
  afterEach(() => store.close())
  afterEach(killChildren)

  test('lives in memory too', async () => {
    const memory = storeAt('sqlite::memory:')
    expect((await migrate(memory)).applied).toEqual(MIGRATIONS)
    const order = newOrder()
    expect(await insertOrder(memory, order, 1000)).toBe('done')
    const before = await findOrder(memory, order)
    expect(await moveOrder(memory, before!, { state: 'paid' }, moveOn)).toBe('done')
    expect(await findOrder(memory, order)).toMatchObject({ state: 'paid', version: 2 })
    // Every store in memory is one of its own.
    const another = storeAt('sqlite::memory:')
    await migrate(another)
    expect(await findOrder(another, order)).toBeUndefined()
    await Promise.all([memory.close(), another.close()])
  })

  test('waits for another writer without holding up this process, and then writes', async () => {
    const order = newOrder()
    await insertOrder(store, order, 1000)
    const before = await findOrder(store, order)
    const writer = await openFile(url)
    await writer.rows('begin immediate')
    let ticks = 0
    const ticking = setInterval(() => ticks++, 10)
    const outcome = moveOrder(store, before!, { state: 'paid' }, moveOn)
    const reader = storeAt(url)
    await new Promise((resolve) => setTimeout(resolve, 300))
    // Readers do not wait for writers.
    expect(await findOrder(reader, order)).toMatchObject({ state: 'created' })
    clearInterval(ticking)
    await writer.rows('commit')
    expect(await outcome).toBe('done')
    expect(ticks).toBeGreaterThan(10)
    await Promise.all([writer.close(), reader.close()])
  })

  test('loses to a writer that never ends, and writes when it has', async () => {
    // With a clock that does not wait, the limit comes at once.
    const hurried = storeAt(url, { ...systemClock, sleep: () => Promise.resolve() })
    const order = newOrder()
    await insertOrder(hurried, order, 1000)
    const before = await findOrder(hurried, order)
    const writer = await openFile(url)
    await writer.rows('begin immediate')
    expect(await moveOrder(hurried, before!, { state: 'paid' }, moveOn)).toBe('lost')
    await writer.rows('rollback')
    expect(await moveOrder(hurried, before!, { state: 'paid' }, moveOn)).toBe('done')
    await Promise.all([writer.close(), hurried.close()])
  })

  const opened = `
    const { openStore } = load('shared/store/open.ts')
    const { findOrder, moveOrder } = load('shared/store/orders.ts')
    const { Secret } = load('shared/base/secrets.ts')
    const { systemClock } = load('shared/base/time.ts')
    const key = JSON.parse(await told())
    const store = openStore({ dialect: 'sqlite', url: new Secret(key.url) }, systemClock)`

  test('is written by two processes at the same time, and loses nothing', async () => {
    const { out_sub_mch_id, out_trade_no } = newOrder()
    const order = newOrder({ out_sub_mch_id, out_trade_no })
    await insertOrder(store, order, 1000)
    const writing = `${opened}
      console.log('ready')
      await told()
      let done = 0, lost = 0
      while (done < 200 && lost < 20_000) {
        const order = await findOrder(store, key)
        const outcome = await moveOrder(store, order, { jsapi_args: String(process.pid) }, {
          at: 1, kind: 'moved', detail: { by: process.pid } })
        if (outcome === 'done') done++
        else if (outcome === 'lost') lost++
      }
      console.log(JSON.stringify({ done, lost, pid: process.pid }))`
    const children = [startChild(writing), startChild(writing)]
    for (const child of children) child.say(JSON.stringify({ url, out_sub_mch_id, out_trade_no }))
    for (const child of children) expect(await child.line()).toBe('ready')
    for (const child of children) child.say('go')
    const reports = await Promise.all(
      children.map(async (child) => JSON.parse((await child.line()) ?? 'null') as Record<string, number>),
    )
    for (const child of children) expect(await child.ended).toBe(0)

    expect(reports.map((report) => report.done)).toEqual([200, 200])
    const events = await listEvents(store, order)
    expect(await findOrder(store, order)).toMatchObject({ version: 401 })
    expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 401 }, (_, i) => i + 1))
    for (const { pid } of reports) {
      expect(events.filter((event) => event.detail.by === pid)).toHaveLength(200)
    }
  })

  test('forgets the half a killed process has written, and goes on', async () => {
    const order = newOrder()
    await insertOrder(store, order, 1000)
    const before = await findOrder(store, order)
    const child = startChild(`${opened}
      await store.db.transaction().execute(async (trx) => {
        await trx.updateTable('orders').set({ state: 'paid', version: 2 }).execute()
        console.log((await trx.selectFrom('orders').select('state').executeTakeFirst()).state)
        await told()
      })`)
    child.say(JSON.stringify({ url }))
    expect(await child.line()).toBe('paid')
    child.kill('SIGKILL')
    expect(await child.ended).toBe('SIGKILL')

    const next = storeAt(url)
    for (const each of [store, next]) {
      expect(await findOrder(each, order)).toMatchObject({ state: 'created', version: 1 })
    }
    expect(await moveOrder(store, before!, { state: 'pending' }, moveOn)).toBe('done')
    expect(await listEvents(next, order)).toHaveLength(2)
    await next.close()
    const file = await openFile(url)
    expect(await file.rows('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
    await file.close()
  })
})

// ── MariaDB and PostgreSQL ─────────────────────────────────────────────────────────────────────────────────────

const servers = [
  {
    name: 'MariaDB',
    dialect: 'mysql',
    found: findMariadb(),
    launch: startMariadb,
    cipher: sql<{ cipher: string }>`select variable_value as cipher from information_schema.session_status
      where variable_name = 'Ssl_cipher'`,
  },
  {
    name: 'PostgreSQL',
    dialect: 'postgres',
    found: findPostgres(),
    launch: startPostgres,
    cipher: sql<{ cipher: string }>`select coalesce(cipher, '') as cipher from pg_stat_ssl
      where pid = pg_backend_pid()`,
  },
] as const

describe.each(servers)('a store on $name', ({ name, dialect, found, launch, cipher }) => {
  if (isMissing(name, found)) return

  let starting: Promise<Server> | undefined
  const server = () => (starting ??= launch())
  afterAll(async () => (await starting)?.stop())

  const start = async () => {
    const { url, freshDatabase } = await server()
    return { freshDatabase, openSession, killConnections: () => killConnections({ url }) }
  }
  storeContract({ dialect, start })
  describe('behind a network', () => serverContract({ dialect, start }))

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
      if (caFile !== undefined) url.searchParams.set('ca', caFile)
      const store = storeAt(url.href)
      opened.push(store)
      return store
    }
    const cipherOf = async (store: Store) => (await cipher.execute(store.db)).rows[0]?.cipher
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

// ── MySQL 8, scripted ──────────────────────────────────────────────────────────────────────────────────────────

describe("MySQL 8's way of logging in", () => {
  const account = { user: 'payer', password: 'p@ss/word:密码?' }
  const addressOf = (port: number, password: string, mode: ScriptedMode) => {
    const overTls = mode === 'full-over-tls'
    const url = new URL(`mysql://${overTls ? 'localhost' : '127.0.0.1'}:${port}/pay`)
    url.username = account.user
    url.password = encodeURIComponent(password)
    if (overTls) url.search = `?tls=verify&ca=${encodeURIComponent(otherCertificates.caFile)}`
    return url.href
  }

  test.each([
    ['fast', 'server confirms fast authentication'],
    ['full-over-tls', 'client sends the password inside TLS'],
    ['public-key', 'client sends the encrypted password'],
    ['auth-switch', 'server confirms fast authentication'],
  ] as const)('%s lets the right password in, and no other', async (mode, step) => {
    const { certFile, keyFile } = otherCertificates
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
      await expect(findOrder(storeAt(wrong), newOrder())).rejects.toMatchObject(unavailable)
      expect(server.steps.filter((each) => each === 'accepted')).toHaveLength(1)
    } finally {
      await server.close()
    }
  })
})
