import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, chmodSync, chownSync, constants, mkdtempSync, openSync, closeSync } from 'node:fs'
import { readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { makeCertificates, type Certificates } from './certificates'

export type Server = {
  url: string
  /** The same database, over TLS that must be verified against caFile. */
  tlsUrl: string
  caFile: string
  pid: number
  stop: () => Promise<void>
  /** Creates an empty database (utf8mb4 or UTF8) and returns its URL. */
  freshDatabase: () => Promise<string>
}

const startLimitMs = 60_000
const stopLimitMs = 10_000

// ---- Finding the programs ----

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function firstExecutable(name: string, folders: string[]): string | undefined {
  return folders.map((folder) => join(folder, name)).find(executable)
}

// Server programs often live outside an ordinary user's PATH.
const pathFolders = () => [
  '/usr/sbin',
  '/usr/libexec',
  '/usr/local/sbin',
  ...(process.env.PATH ?? '').split(delimiter).filter(Boolean),
]

export function findMariadb(): string | undefined {
  return firstExecutable('mariadbd', pathFolders())
}

export function findPostgres(): string | undefined {
  const packaged = '/usr/lib/postgresql'
  let versions: string[] = []
  try {
    versions = readdirSync(packaged).sort((a, b) => Number(b) - Number(a))
  } catch {
    // Not packaged the Debian way: PATH may still have it.
  }
  // The packaged folders come before PATH, where a wrapper of the same name may hide the real program.
  const folders = [...versions.map((version) => join(packaged, version, 'bin')), ...pathFolders()]
  const found = firstExecutable('postgres', folders)
  if (!found) return undefined
  const program = realpathSync(found)
  return executable(join(dirname(program), 'initdb')) ? program : undefined
}

// ---- A server's temporary home ----

type Home = {
  dir: string
  /** Runs a preparatory command to its end, as the account that owns the home. */
  run(program: string, args: string[]): Promise<void>
  /** Starts the server itself; its output goes to the home's log. */
  launch(program: string, args: string[]): Promise<ChildProcess>
  write(name: string, text: string): string
  certificates: Certificates
  log(): string
  remove(): Promise<void>
}

/** Database servers refuse to run as root; anyone else runs them as themselves. */
function accountIds(account: string): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, account], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/**
 * `deathSignal` ends the server at once. It isn't always SIGKILL: PostgreSQL's main process has children and
 * a kernel shared-memory segment that it takes along only when it may react.
 */
function makeHome(account: string, deathSignal: NodeJS.Signals): Home {
  const ids = accountIds(account)
  // A short name, because the path of a unix socket inside may have only about 100 characters.
  const dir = mkdtempSync(join(realpathSync(tmpdir()), 'db-'))
  const own = (file: string) => ids && chownSync(file, ids.uid, ids.gid)
  own(dir)
  const guard = startGuard(dir, deathSignal)

  // Nothing is inherited: the caller's PG* and MYSQL_* variables would change what the programs do.
  const env = { PATH: process.env.PATH ?? '', HOME: dir, LC_ALL: 'C', TZ: 'UTC' }
  const options = { cwd: dir, env, ...ids }
  const logFile = join(dir, 'log')
  let server: ChildProcess | undefined

  const lastResort = () => {
    if (server && isRunning(server)) server.kill(deathSignal)
    try {
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
    } catch {
      // The dying server may still be writing. The guard removes the rest; an error would fail the whole run.
    }
  }
  process.once('exit', lastResort)

  const certificates = makeCertificates(dir)
  own(certificates.keyFile)

  return {
    dir,
    certificates,
    async run(program, args) {
      await promisify(execFile)(program, args, options)
    },
    async launch(program, args) {
      const log = openSync(logFile, 'a')
      // Detached: Ctrl-C in the terminal must not reach the server before the test's own clean-up does.
      server = spawn(program, args, { ...options, stdio: ['ignore', log, log], detached: true })
      closeSync(log)
      await once(server, 'spawn')
      guard.watch(server)
      // A forgotten stop() shouldn't keep the test run from ending; the exit handler and the guard clean up.
      server.unref()
      return server
    },
    write(name, text) {
      const file = join(dir, name)
      writeFileSync(file, text)
      chmodSync(file, 0o600)
      own(file)
      return file
    },
    log: () => readFileSync(logFile, 'utf8').trim().split('\n').slice(-20).join('\n'),
    async remove() {
      if (server) await kill(server, deathSignal)
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
      process.off('exit', lastResort)
      await guard.dismiss()
    },
  }
}

/**
 * A shell that outlives us and cleans up when we're gone. The 'exit' event alone isn't enough: it doesn't come
 * on SIGKILL or an unhandled Ctrl-C, and inside jest `process` is a copy that never emits it. The guard notices
 * by end-of-file on its input, which comes whichever way this process ends.
 */
function startGuard(dir: string, deathSignal: NodeJS.Signals) {
  const script = `
    while read -r pid; do server=$pid; done
    if [ -n "$server" ]; then
      kill -s "$2" "$server"
      sleep 1
      kill -s KILL "$server"
    fi
    rm -rf "$1"`
  const guard = spawn('/bin/sh', ['-c', script, 'guard', dir, deathSignal.replace('SIG', '')], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  const input = guard.stdin as unknown as Socket
  input.unref()
  input.on('error', () => {})
  return {
    watch: (server: ChildProcess) => input.write(`${server.pid}\n`),
    dismiss: () => kill(guard, 'SIGKILL'),
  }
}

// ---- Processes ----

const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(child)) return
  child.ref()
  const gone = once(child, 'exit')
  child.kill(signal)
  const impatience = setTimeout(() => child.kill('SIGKILL'), stopLimitMs)
  await gone
  clearTimeout(impatience)
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

type Plan = {
  home: Home
  program: string
  args: (port: number) => string[]
  url: (port: number) => string
  createDatabase: (name: string) => string
}

async function start({ home, program, args, url, createDatabase }: Plan): Promise<Server> {
  const { child, adminUrl } = await launchOnFreePort()
  const { caFile } = home.certificates
  return {
    url: adminUrl,
    tlsUrl: `${adminUrl}?tls=verify&ca=${encodeURIComponent(caFile)}`,
    caFile,
    pid: child.pid!,
    stop: () => home.remove(),
    async freshDatabase() {
      const name = `test_${randomBytes(6).toString('hex')}`
      await withSession(adminUrl, (query) => query(createDatabase(name)))
      const fresh = new URL(adminUrl)
      fresh.pathname = `/${name}`
      return fresh.href
    },
  }

  async function launchOnFreePort() {
    // Someone else may take the port between finding it and using it, so an early exit is worth another try.
    for (let attempt = 1; ; attempt++) {
      const port = await freePort()
      const child = await home.launch(program, args(port))
      if (await answers(child, url(port))) return { child, adminUrl: url(port) }
      if (attempt === 3) throw new Error(`${program} doesn't start:\n${home.log()}`)
    }
  }

  /** False when the server has exited. The password is this server's own, so only this server can answer. */
  async function answers(child: ChildProcess, address: string): Promise<boolean> {
    const deadline = Date.now() + startLimitMs
    while (isRunning(child)) {
      try {
        await withSession(address, (query) => query('select 1'))
        return true
      } catch (error) {
        if (Date.now() > deadline) {
          throw new Error(`${program} doesn't answer: ${String(error)}\n${home.log()}`, { cause: error })
        }
        await sleep(25)
      }
    }
    return false
  }
}

/** A home that can't be turned into a running server is removed again. */
async function startIn(home: Home, prepare: () => Promise<Server>): Promise<Server> {
  try {
    return await prepare()
  } catch (error) {
    await home.remove()
    throw error
  }
}

// ---- The two servers ----
//
// Durability is switched off, and memory kept small, for speed. Whatever changes what a query means (isolation,
// SQL mode, collation) stays at the server's own defaults: the application has to set its own.

/** `flags`: more of the program's own options. */
export async function startMariadb(flags: readonly string[] = []): Promise<Server> {
  const program = findMariadb()
  if (!program) throw new Error('mariadbd is not installed')
  const installer = firstExecutable('mariadb-install-db', [
    join(dirname(program), '../bin'),
    ...pathFolders(),
  ])
  if (!installer) throw new Error('mariadb-install-db is not installed')

  const home = makeHome('mysql', 'SIGKILL')
  return startIn(home, async () => {
    const password = randomBytes(12).toString('hex')
    const options = [
      '--no-defaults',
      `--datadir=${join(home.dir, 'data')}`,
      `--tmpdir=${home.dir}`,
      '--skip-log-bin',
      '--skip-name-resolve',
      '--innodb-flush-log-at-trx-commit=0',
      '--innodb-flush-method=nosync',
      '--skip-innodb-doublewrite',
      '--innodb-buffer-pool-size=32M',
      '--innodb-log-file-size=16M',
      '--innodb-log-buffer-size=2M',
      '--key-buffer-size=1M',
      '--aria-pagecache-buffer-size=8M',
    ]
    // Run as the owner of the home and without --user, which would make the script change the ownership of
    // the machine's own plugin files. Without the test database there are no anonymous accounts either.
    await home.run(installer, [...options, '--skip-test-db'])
    const setUp = home.write(
      'set-up.sql',
      `create database main character set utf8mb4;
       create user tester@'%' identified by '${password}';
       grant all on *.* to tester@'%' with grant option;\n`,
    )

    return start({
      home,
      program,
      args: (port) => [
        ...options,
        ...flags,
        '--bind-address=127.0.0.1',
        '--max-connections=300',
        `--port=${port}`,
        `--socket=${join(home.dir, 'socket')}`,
        `--pid-file=${join(home.dir, 'pid')}`,
        `--init-file=${setUp}`,
        `--ssl-cert=${home.certificates.certFile}`,
        `--ssl-key=${home.certificates.keyFile}`,
      ],
      url: (port) => `mysql://tester:${password}@127.0.0.1:${port}/main`,
      createDatabase: (name) => `create database ${name} character set utf8mb4`,
    })
  })
}

export async function startPostgres(): Promise<Server> {
  const program = findPostgres()
  if (!program) throw new Error('postgres is not installed')

  const home = makeHome('postgres', 'SIGQUIT')
  return startIn(home, async () => {
    const password = randomBytes(12).toString('hex')
    const data = join(home.dir, 'data')
    const passwordFile = home.write('password', password)
    const account = ['--username=tester', `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
    const initdb = join(dirname(program), 'initdb')
    await home.run(initdb, ['-D', data, '--no-sync', '--no-locale', '--encoding=UTF8', ...account])

    const settings = (port: number) => ({
      listen_addresses: '127.0.0.1',
      port: String(port),
      // Twenty instances at once, while those of the tests before are still taking leave.
      max_connections: '300',
      unix_socket_directories: home.dir,
      ssl: 'on',
      ssl_cert_file: home.certificates.certFile,
      ssl_key_file: home.certificates.keyFile,
      fsync: 'off',
      full_page_writes: 'off',
      synchronous_commit: 'off',
      shared_buffers: '16MB',
      // Files in the data directory vanish with it; files in /dev/shm would outlive a killed server.
      dynamic_shared_memory_type: 'mmap',
    })
    const server = await start({
      home,
      program,
      args: (port) => {
        const flags = Object.entries(settings(port)).flatMap(([name, value]) => ['-c', `${name}=${value}`])
        return ['-D', data, ...flags]
      },
      url: (port) => `postgres://tester:${password}@127.0.0.1:${port}/postgres`,
      // template0, because a connection to any other template would make the copy fail.
      createDatabase: (name) => `create database ${name} template template0 encoding 'UTF8'`,
    })
    await withSession(server.url, (query) => query(`alter role tester password '${scramVerifier(password)}'`))
    return server
  })
}

/**
 * What PostgreSQL keeps of a password for SCRAM (RFC 5802). Left to itself it hashes 4096 times, both sides at every
 * connection: most of the time of a test that makes thousands of them. Once says the same words.
 */
function scramVerifier(password: string): string {
  const iterations = 1
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const key = (name: string) => createHmac('sha256', salted).update(name).digest()
  const stored = createHash('sha256').update(key('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${key('Server Key').toString('base64')}`
}

// ---- Talking to a server ----

type Row = Record<string, unknown>
type Query = (sql: string) => Promise<Row[]>

/** A plain session, apart from the code under test. Literals go into the text: there are no parameters. */
export type Session = { rows: Query; close(): Promise<void> }

const isPostgres = (url: string) => url.startsWith('postgres:')

export async function openSession(url: string): Promise<Session> {
  if (isPostgres(url)) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
    // A client without a listener would crash the test run when its connection breaks.
    client.on('error', () => {})
    try {
      await client.connect()
    } catch (error) {
      await client.end()
      throw error
    }
    // One at a time: pg is giving up its own queue.
    let before: Promise<unknown> = Promise.resolve()
    const rows: Query = async (sql) => {
      const said = before.then(() => client.query<Row>(sql))
      before = said.catch(() => undefined)
      return (await said).rows
    }
    return { rows, close: () => client.end() }
  }
  const connection = await mysql.createConnection({ uri: url, connectTimeout: 5_000 })
  connection.on('error', () => {})
  return {
    rows: async (sql) => (await connection.query(sql))[0] as unknown as Row[],
    close: () => connection.end(),
  }
}

async function withSession<T>(url: string, work: (query: Query) => Promise<T>): Promise<T> {
  const session = await openSession(url)
  try {
    return await work((sql) => session.rows(sql))
  } finally {
    await session.close()
  }
}

export const runStatements = (url: string, statements: readonly string[]): Promise<void> =>
  withSession(url, async (query) => {
    for (const statement of statements) await query(statement)
  })

/** Cuts off every client but itself, waits until they're really gone, and tells how many they were. */
export async function killConnections(server: Pick<Server, 'url'>): Promise<number> {
  const sql = isPostgres(server.url)
    ? {
        others: `select pid as id from pg_stat_activity
                 where backend_type = 'client backend' and pid <> pg_backend_pid()`,
        kill: (id: number) => `select pg_terminate_backend(${id})`,
      }
    : {
        others: `select id as id from information_schema.processlist
                 where id <> connection_id() and command <> 'Daemon' and user <> 'system user'`,
        kill: (id: number) => `kill ${id}`,
      }

  return withSession(server.url, async (query) => {
    const others = async () => (await query(sql.others)).map((row) => Number(row.id))
    const victims = await others()
    for (const id of victims) {
      await query(sql.kill(id)).catch((error: { code?: string }) => {
        // It may have left by itself in the meantime.
        if (error.code !== 'ER_NO_SUCH_THREAD') throw error
      })
    }

    const deadline = Date.now() + stopLimitMs
    while ((await others()).some((id) => victims.includes(id))) {
      if (Date.now() > deadline) throw new Error('Some connections survive being killed')
      await sleep(10)
    }
    return victims.length
  })
}
