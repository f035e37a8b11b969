import { sql, type RawBuilder } from 'kysely'
import type { Dialect } from '../base/databaseUrl'

/**
 * Everything in which the three databases differ, and nothing else: the clock, the words of DDL, what each error
 * means, how a session is set up. Queries and moves are written once, in what all three understand.
 */

/** The database's clock, epoch milliseconds: leases of many instances must be measured with one watch. */
export function databaseNowMs(dialect: Dialect): RawBuilder<number> {
  switch (dialect) {
    case 'mysql':
      // The session runs in +00:00, so no hour of this exists twice.
      return sql<number>`cast(unix_timestamp(now(3)) * 1000 as signed)`
    case 'postgres':
      // clock_timestamp, not now(): the latter stands still inside a transaction.
      return sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`
    case 'sqlite':
      return sql<number>`cast(unixepoch('subsec') * 1000 as integer)`
  }
}

/**
 * The same, read once for a whole statement, to find what is due: a clock that goes on while PostgreSQL reads is nothing it
 * can look up in an index, so it would read all that is not due yet as well.
 */
export const databaseNowOnce = (dialect: Dialect): RawBuilder<number> =>
  dialect === 'postgres' ? sql<number>`(select ${databaseNowMs(dialect)})` : databaseNowMs(dialect)

/**
 * Sent once on every new connection. TencentDB's defaults differ by kind and age; these do not.
 *
 * The limits are for a connection that is lost in the middle of a transaction: until the server gives it up, the
 * order it had locked stays locked, by the servers' own defaults for hours.
 */
export const SESSION_SETUP: Record<Dialect, readonly string[]> = {
  mysql: [
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    // Strict: a value that does not fit is an error, never cut short. MySQL has one limit for every idleness, so an
    // instance that sleeps longer pays one reconnect. The charset was asked for in the handshake already, which a server
    // may be told to ignore (skip-character-set-client-handshake).
    "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', " +
      'wait_timeout = 60, innodb_lock_wait_timeout = 2, character_set_client = utf8mb4, ' +
      'character_set_results = utf8mb4, character_set_connection = utf8mb4, collation_connection = utf8mb4_bin',
  ],
  postgres: [
    'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED; ' +
      "SET TIME ZONE 'UTC'; SET client_encoding TO 'UTF8'; " +
      "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '2s'",
  ],
  sqlite: [
    'PRAGMA journal_mode = WAL',
    'PRAGMA synchronous = NORMAL',
    // Not to wait inside the driver: that would block this process, and with it the transaction it waits for.
    'PRAGMA busy_timeout = 0',
  ],
}

/** A connection nobody has used for so long is left for a new one. The embedded database cannot move. */
export const IDLE_MAX_MS: Record<Dialect, number> = { mysql: 60_000, postgres: 60_000, sqlite: Infinity }

export const BEGIN: Record<Dialect, string> = {
  mysql: 'BEGIN',
  postgres: 'BEGIN',
  // Takes the write lock at once: a deferred transaction could fail half-way with nothing to wait for.
  sqlite: 'BEGIN IMMEDIATE',
}

/** What goes behind CREATE TABLE (…): in MySQL, identifiers must be told apart by every bit (aB is not Ab). */
export const TABLE_OPTIONS: Record<Dialect, string> = {
  mysql: 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin',
  postgres: '',
  sqlite: '',
}

/** Text of up to 64 000 characters. MySQL's TEXT ends at 64 KB, which Chinese text reaches three times sooner. */
export const LONG_TEXT: Record<Dialect, string> = { mysql: 'mediumtext', postgres: 'text', sqlite: 'text' }

/**
 * A number or id compared byte by byte, as JavaScript would: what begins with `a` then lies between `a` and `a~`.
 * PostgreSQL is the one with an order of letters of its own, so to find by it takes an index of its own.
 */
export const inBytes = (dialect: Dialect, column: 'out_trade_no' | 'id' | 'name'): RawBuilder<string> =>
  dialect === 'postgres' ? sql<string>`${sql.ref(column)} collate "C"` : sql<string>`${sql.ref(column)}`

export const NUMBER_INDEX: Record<Dialect, readonly string[]> = {
  mysql: [],
  postgres: ['orders_number ON orders (out_sub_mch_id, out_trade_no COLLATE "C")'],
  sqlite: [],
}

/** MySQL keeps the key of the row behind the columns of every index, so there the index of 0005 does for pages by key. */
export const KEPT_INDEX: Record<Dialect, readonly string[]> = {
  mysql: [],
  postgres: ['orders_kept ON orders (updated_at, out_sub_mch_id, out_trade_no) WHERE purged_at IS NULL'],
  sqlite: ['orders_kept ON orders (updated_at, out_sub_mch_id, out_trade_no) WHERE purged_at IS NULL'],
}

export const MARK_INDEX: Record<Dialect, readonly string[]> = {
  mysql: [],
  postgres: ['marks_name ON marks (name COLLATE "C")'],
  sqlite: [],
}

/**
 * Messages of one type that are due. PostgreSQL would as soon read by when they are due, whatever they are of: here it is
 * asked for a piece of the index of both, in its order.
 */
export const isDueOf = (dialect: Dialect, type: string): RawBuilder<boolean> =>
  dialect === 'postgres'
    ? sql<boolean>`(type, next_due_at_ms) >= (${type}, 0) and (type, next_due_at_ms) <= (${type}, ${databaseNowOnce(dialect)})`
    : sql<boolean>`type = ${type} and next_due_at_ms <= ${databaseNowOnce(dialect)}`

/**
 * The end of an UPDATE or DELETE of no more than the first `limit` rows, by an index on all of `by`. PostgreSQL is given the places of the rows and not their
 * keys: for many keys it would rather read the whole table.
 */
export function firstRows(
  dialect: Dialect,
  table: string,
  { where, by, limit }: { where: RawBuilder<unknown>; by: readonly string[]; limit: number },
): RawBuilder<unknown> {
  const first = sql`where ${where} order by ${sql.join(by.map((one) => sql.ref(one)))} limit ${limit}`
  switch (dialect) {
    case 'mysql':
      return first
    case 'postgres':
      return sql`where ctid = any(array(select ctid from ${sql.table(table)} ${first})) and ${where}`
    case 'sqlite':
      return sql`where rowid in (select rowid from ${sql.table(table)} ${first})`
  }
}

/** Behind the table of an UPDATE: MySQL would rather not go by an index of what it changes, and reads everything instead. */
export const goingBy = (dialect: Dialect, index: string): RawBuilder<unknown> =>
  dialect === 'mysql' ? sql`force index (${sql.ref(index)})` : sql``

/**
 * The columns by which the timer finds what is due. In MySQL the groups of such an index are read without the rows between
 * them, if the columns of a group come first and the one of which the least is wanted comes next. PostgreSQL and SQLite
 * keep only rows that are due some time.
 */
const LOOK = {
  orders: ['out_sub_mch_id', 'state', 'seen', 'next_due_at_ms'],
  refunds: ['out_sub_mch_id', 'state', 'next_due_at_ms'],
} as const

export const lookIndex = (dialect: Dialect, table: keyof typeof LOOK): string =>
  `${table}_look ON ${table} (${LOOK[table].join(', ')})` +
  (dialect === 'mysql' ? '' : ' WHERE next_due_at_ms IS NOT NULL')

/**
 * The first row of each group of that index: whose it is, in which state, and when it is due. PostgreSQL does not leap
 * from one group to the next by itself, so it is told to.
 */
export function firstsOf(
  dialect: Dialect,
  table: keyof typeof LOOK,
): RawBuilder<{ out_sub_mch_id: string; state: string; oldest_ms: number }> {
  const names = LOOK[table].slice(0, -1)
  const columns = sql.raw(names.join(', '))
  const rows = sql.raw(table)
  if (dialect !== 'postgres')
    return sql`(select ${columns}, min(next_due_at_ms) as oldest_ms from ${rows}
      where next_due_at_ms is not null group by ${columns})`
  const of = (alias: string) => sql.raw(names.map((name) => `${alias}.${name}`).join(', '))
  return sql`(with recursive firsts as (
      (select ${columns}, next_due_at_ms as oldest_ms from ${rows}
        where next_due_at_ms is not null order by ${columns}, next_due_at_ms limit 1)
      union all
      select following.* from firsts cross join lateral (
        select ${of('one')}, one.next_due_at_ms as oldest_ms from ${rows} as one
        where one.next_due_at_ms is not null and (${of('one')}) > (${of('firsts')})
        order by ${of('one')}, one.next_due_at_ms limit 1) as following
    ) select * from firsts)`
}

/**
 * A column whose CHECK looks at other columns: SQLite takes it with the column only, the servers apart from it.
 * (MySQL 5.7 reads a CHECK and forgets it.)
 */
export const addCheckedColumn = (
  dialect: Dialect,
  table: string,
  column: string,
  name: string,
  check: string,
): string[] =>
  dialect === 'sqlite'
    ? [`ALTER TABLE ${table} ADD COLUMN ${column} CONSTRAINT ${name} CHECK (${check})`]
    : [
        `ALTER TABLE ${table} ADD COLUMN ${column}`,
        `ALTER TABLE ${table} ADD CONSTRAINT ${name} CHECK (${check})`,
      ]

type DriverError = { code?: unknown; errno?: unknown; fatal?: unknown; message?: unknown }

export type ErrorKind =
  | 'unique' // another row has this number or key
  | 'lost_race' // the database undid our transaction in favour of another
  | 'disconnected' // the connection is gone
  | 'read_only' // the server answers, and takes no writes: another may have its place by now
  | 'does_not_fit' // a column cannot hold the value
  | 'other'

const MYSQL_KINDS = new Map<number, ErrorKind>([
  [1062, 'unique'],
  // record changed, lock wait timeout, deadlock
  ...kindsOf('lost_race', 1020, 1205, 1213),
  // shutting down, aborted (three ways), offline, killed, idle too long; 3024 is not here: a query's own limit
  ...kindsOf('disconnected', 1053, 1152, 1184, 1927, 3032, 3169, 4031),
  // --read-only and a full disk, a read-only transaction, read-only mode
  ...kindsOf('read_only', 1290, 1792, 1836),
  // out of range, truncated, too long, not of this charset (four ways)
  ...kindsOf('does_not_fit', 1264, 1265, 1406, 1267, 1300, 1366, 3988),
])
const POSTGRES_KINDS: readonly (readonly [RegExp, ErrorKind])[] = [
  [/^23505$/, 'unique'],
  [/^(40001|40P01|55P03)$/, 'lost_race'],
  // The server ends the session; it has waited too long for the rest of a transaction; connection exceptions.
  [/^(57P0\d|25P0[34]|08\w{3})$/, 'disconnected'],
  [/^25006$/, 'read_only'],
  // too long, out of range, no such character in the database's encoding (two ways)
  [/^(22001|22003|22021|22P05)$/, 'does_not_fit'],
]
const SOCKET = new Set([
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN'],
  ...['PROTOCOL_CONNECTION_LOST', 'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR', 'ERR_STREAM_DESTROYED'],
])

function kindsOf(kind: ErrorKind, ...numbers: number[]): [number, ErrorKind][] {
  return numbers.map((number) => [number, kind])
}

export function errorKind(dialect: Dialect, error: unknown): ErrorKind {
  if (typeof error !== 'object' || error === null) return 'other'
  const { code, errno, fatal, message } = error as DriverError
  if (typeof code === 'string' && SOCKET.has(code)) return 'disconnected'
  switch (dialect) {
    case 'mysql': {
      const known = typeof errno === 'number' ? MYSQL_KINDS.get(errno) : undefined
      if (known) return known
      if (fatal === true) return 'disconnected'
      return typeof message === 'string' && /closed state/.test(message) ? 'disconnected' : 'other'
    }
    case 'postgres': {
      const known = typeof code === 'string' ? POSTGRES_KINDS.find(([codes]) => codes.test(code)) : undefined
      if (known) return known[1]
      // pg gives no code for a socket that ended under a query.
      return typeof message === 'string' &&
        /Connection terminated|not queryable|Client was closed/.test(message)
        ? 'disconnected'
        : 'other'
    }
    case 'sqlite': {
      const text = typeof code === 'string' ? code : ''
      if (/^SQLITE_CONSTRAINT/.test(text) && /UNIQUE|PRIMARYKEY/.test(`${text} ${String(message)}`))
        return 'unique'
      return /^SQLITE_(BUSY|LOCKED)/.test(text) ? 'lost_race' : 'other'
    }
  }
}

/**
 * The column that could not hold a value, as far as the server says: MySQL by name, PostgreSQL not at all. The message
 * itself quotes the value, and so a payer.
 */
export function tightColumn(dialect: Dialect, error: unknown): string {
  const { message } = error as DriverError
  const [, column] = /\bcolumn [`']?(?:[^`' ]+`\.`)*([A-Za-z_]\w*)[`']? at row/.exec(String(message)) ?? []
  return dialect === 'mysql' && column !== undefined ? `column ${column}` : 'a column'
}
