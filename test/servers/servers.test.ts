import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { makeCertificates } from '../support/certificates'
import { isMissing } from '../support/missing'
import {
  findMariadb,
  findPostgres,
  killConnections,
  startMariadb,
  startPostgres,
  type Server,
} from '../support/servers'
import { until } from '../support/waiting'

type Row = Record<string, unknown>
type Session = { rows(sql: string): Promise<Row[]>; close(): Promise<void> }

/** What the tlsUrl asks for, or another CA in its place. */
function tlsOptions(url: string, caFile?: string) {
  const parameters = new URL(url).searchParams
  if (parameters.get('tls') !== 'verify') return undefined
  return { ca: readFileSync(caFile ?? parameters.get('ca')!, 'utf8'), rejectUnauthorized: true }
}

async function mysqlSession(url: string, caFile?: string): Promise<Session> {
  const { hostname, port, username, password, pathname } = new URL(url)
  const account = { user: username, password, database: pathname.slice(1) }
  const tls = tlsOptions(url, caFile)
  const ssl = tls && { ssl: { ...tls, verifyIdentity: true } }
  const connection = await mysql.createConnection({ host: hostname, port: Number(port), ...account, ...ssl })
  connection.on('error', () => {})
  return {
    rows: async (sql) => (await connection.query(sql))[0] as unknown as Row[],
    close: () => connection.end(),
  }
}

async function postgresSession(url: string, caFile?: string): Promise<Session> {
  const ssl = tlsOptions(url, caFile)
  const client = new pg.Client({ connectionString: url.split('?')[0]!, ...(ssl ? { ssl } : {}) })
  client.on('error', () => {})
  await client.connect()
  return { rows: async (sql) => (await client.query<Row>(sql)).rows, close: () => client.end() }
}

async function rowsFrom(session: Promise<Session>, sql: string): Promise<Row[]> {
  const open = await session
  try {
    return await open.rows(sql)
  } finally {
    await open.close()
  }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Processes that work inside a folder: PostgreSQL's children rename themselves, but they all stay there. */
function processesIn(dir: string): string[] {
  if (!existsSync('/proc/self')) return []
  return readdirSync('/proc').filter((entry) => {
    try {
      return /^\d+$/.test(entry) && readlinkSync(`/proc/${entry}/cwd`).startsWith(dir)
    } catch {
      return false
    }
  })
}

const kinds = [
  {
    name: 'MariaDB',
    starter: 'startMariadb',
    found: findMariadb(),
    start: startMariadb,
    session: mysqlSession,
    encodingSql: 'select @@character_set_database as encoding',
    encoding: 'utf8mb4',
    sleep: 'sleep',
    othersSql: `select info as says from information_schema.processlist
                where id <> connection_id() and command <> 'Daemon' and user <> 'system user'`,
    cipherSql: `select variable_value as cipher from information_schema.session_status
                where variable_name = 'Ssl_cipher'`,
  },
  {
    name: 'PostgreSQL',
    starter: 'startPostgres',
    found: findPostgres(),
    start: startPostgres,
    session: postgresSession,
    encodingSql: `select current_setting('server_encoding') as encoding`,
    encoding: 'UTF8',
    sleep: 'pg_sleep',
    othersSql: `select query as says from pg_stat_activity
                where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    cipherSql: `select coalesce(cipher, '') as cipher from pg_stat_ssl where pid = pg_backend_pid()`,
  },
]

describe.each(kinds)('a real $name server', (kind) => {
  if (isMissing(kind.name, kind.found)) return

  let server: Server
  let otherDir: string
  beforeAll(async () => {
    otherDir = mkdtempSync(join(tmpdir(), 'other-ca-'))
    server = await kind.start()
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(otherDir, { recursive: true, force: true })
  })

  test('answers plainly at url', async () => {
    expect(new URL(server.url).hostname).toBe('127.0.0.1')
    expect(await rowsFrom(kind.session(server.url), kind.cipherSql)).toEqual([{ cipher: '' }])
  })

  test('answers over verified TLS at tlsUrl', async () => {
    expect(new URL(server.tlsUrl).searchParams.get('ca')).toBe(server.caFile)
    const [row] = await rowsFrom(kind.session(server.tlsUrl), kind.cipherSql)
    expect(row?.cipher).toMatch(/TLS|AES|CHACHA/)
  })

  test('is refused by a client that trusts another CA', async () => {
    const { caFile } = makeCertificates(otherDir)
    const attempt = kind.session(server.tlsUrl, caFile)
    await expect(attempt).rejects.toThrow(/unable to verify|issuer|self-signed/)
  })

  test('refuses a wrong password', async () => {
    const url = new URL(server.url)
    url.password = 'wrong'
    await expect(kind.session(url.href)).rejects.toThrow(/denied|password/)
  })

  test('makes databases that are distinct, empty and in UTF-8', async () => {
    const urls = await Promise.all([server.freshDatabase(), server.freshDatabase(), server.freshDatabase()])
    expect(new Set(urls).size).toBe(3)
    for (const url of urls) {
      const session = await kind.session(url)
      expect(await session.rows(kind.encodingSql)).toEqual([{ encoding: kind.encoding }])
      // The same name every time: in a shared database the second one would fail.
      await session.rows('create table note (text varchar(20))')
      await session.rows(`insert into note values ('钱 💰')`)
      expect(await session.rows('select text from note')).toEqual([{ text: '钱 💰' }])
      await session.close()
    }
  })

  test('killConnections ends every other session, also one that is busy', async () => {
    const database = await server.freshDatabase()
    const idle = await kind.session(server.url)
    // Who has said goodbye is seen for a moment longer, and would be counted.
    await until(async () => (await idle.rows(kind.othersSql)).length === 0)
    const busy = await kind.session(database)
    // MariaDB answers an interrupted sleep normally before it closes, so only the next query has to fail.
    const interrupted = busy.rows(`select ${kind.sleep}(600)`).catch(() => {})
    await until(async () => String((await idle.rows(kind.othersSql))[0]?.says).includes(kind.sleep))

    expect(await killConnections(server)).toBe(2)
    await interrupted
    await expect(busy.rows('select 1')).rejects.toThrow()
    await expect(idle.rows('select 1')).rejects.toThrow()
    const watcher = await kind.session(server.url)
    await until(async () => (await watcher.rows(kind.othersSql)).length === 0)
    // Of those it killed before, none is left to be counted.
    expect(await killConnections(server)).toBe(1)
    expect(await rowsFrom(kind.session(server.url), 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('stop leaves nothing behind, and can be called twice', async () => {
    const stopped = await kind.start()
    const home = dirname(stopped.caFile)
    const connected = await kind.session(stopped.url)
    expect(isAlive(stopped.pid)).toBe(true)
    expect(processesIn(home)).not.toEqual([])

    await stopped.stop()
    expect(isAlive(stopped.pid)).toBe(false)
    expect(processesIn(home)).toEqual([])
    expect(existsSync(home)).toBe(false)
    await expect(connected.rows('select 1')).rejects.toThrow()
    await stopped.stop()
  })

  // The three ways a test run ends without calling stop(): normally, by a crash, or killed from outside.
  test.each([
    ['leaves', 'process.exit(0)'],
    ['throws', 'throw new Error("on purpose")'],
    ['is killed', 'process.kill(process.pid, "SIGKILL")'],
  ])('nothing is left when the process that started it %s', async (_, ending) => {
    const program = `
      const { ${kind.starter}: start } = require(${JSON.stringify(join(__dirname, '../support/servers.ts'))})
      start().then(({ pid, caFile }) => {
        console.log(JSON.stringify({ pid, caFile }))
        setTimeout(() => { ${ending} }, 50)
      })`
    const child = spawn(process.execPath, ['--require', 'tsx/cjs', '--eval', program], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const ended = once(child, 'exit')
    const [line] = await once(createInterface(child.stdout), 'line')
    const { pid, caFile } = JSON.parse(line as string) as { pid: number; caFile: string }
    await ended

    const home = dirname(caFile)
    await until(() => !isAlive(pid) && !existsSync(home) && processesIn(home).length === 0)
  })
})
