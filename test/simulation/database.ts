import Database from 'libsql'
import { Kysely } from 'kysely'
import type { Clock } from '../../shared/base/time'
import { OneConnection, type Said } from '../../shared/store/connection'
import { databaseNowMs } from '../../shared/store/dialect'
import { migrate } from '../../shared/store/migrate'
import { speak, type Store } from '../../shared/store/open'
import type { Tables } from '../../shared/store/tables'

/**
 * One database for every instance: SQLite in memory, spoken to through the real OneConnection. This file is the
 * server: it executes, and remembers what was committed. What goes wrong on the way is in databaseFaults.ts.
 */

type Prepared = {
  statement: Database.Statement
  /** What makes an object of a row's values, if it has any: many times faster than the driver's own. */
  rowOf: ((values: unknown[]) => object) | undefined
  /** Parameters given; one more is bound when the text asks for the time. */
  count: number
  asksTime: boolean
}

/** What a transaction wrote, to be written again when a failed-over server has lost what came after it. */
type Written = { sql: string; parameters: unknown[] }

/** For what neither waits nor grows old. */
const STILL: Clock = { nowMs: () => 0, sleep: async () => undefined }

export class Server {
  readonly #database = new Database(':memory:')
  readonly #prepared = new Map<string, Prepared>()
  #tables: string[] = []
  /** The server's own watch. */
  nowMs: () => number = () => 0
  statements = 0
  /** Goes on whenever anything may have changed. */
  writes = 0
  /** Kept only while a run may lose transactions. */
  journal: Written[][] | undefined
  #current: Written[] = []
  #open = false

  static async start(): Promise<Server> {
    const server = new Server()
    const connection = new OneConnection(
      'sqlite',
      async () => ({
        query: async (sql, parameters) => server.run(sql, parameters),
        isAlive: () => true,
        destroy: () => undefined,
        end: async () => undefined,
      }),
      STILL,
    )
    await migrate(storeOn(connection))
    server.#tables = server
      .run(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'kysely%'`, [])
      .rows.map((row) => (row as { name: string }).name)
    return server
  }

  reset(): void {
    if (this.#open) this.rollback()
    this.journal = undefined
    this.#current = []
    for (const table of this.#tables) this.run(`DELETE FROM ${table}`, [])
  }

  begin(): void {
    this.#database.exec('BEGIN IMMEDIATE')
    this.#open = true
    this.#current = []
  }

  commit(): void {
    this.#database.exec('COMMIT')
    this.#open = false
    this.#keep()
  }

  rollback(): void {
    this.writes++
    if (this.#open) this.#database.exec('ROLLBACK')
    this.#open = false
    this.#current = []
  }

  run(sql: string, parameters: readonly unknown[]): Said {
    this.statements++
    const prepared = this.#prepare(sql)
    const { statement, asksTime, count } = prepared
    // libsql takes no booleans and no bigints of ours; what is written is text, numbers and null.
    const values = asksTime ? [...parameters.slice(0, count), this.nowMs()] : (parameters as unknown[])
    if (prepared.rowOf) {
      return { rows: (statement.all(values) as unknown[][]).map(prepared.rowOf), affected: 0 }
    }
    this.writes++
    const affected = statement.run(values).changes
    if (this.journal && affected > 0) {
      this.#current.push({ sql, parameters: values })
      if (!this.#open) this.#keep()
    }
    return { rows: [], affected }
  }

  /** The last `count` transactions never happened: another server takes over that had not heard of them. */
  loseLast(count: number): number {
    if (!this.journal) return 0
    this.writes++
    const lost = this.journal.splice(Math.max(0, this.journal.length - count))
    for (const table of this.#tables) this.#prepare(`DELETE FROM ${table}`).statement.run([])
    for (const written of this.journal) {
      for (const { sql, parameters } of written) this.#prepare(sql).statement.run(parameters)
    }
    return lost.length
  }

  #keep(): void {
    if (this.journal && this.#current.length > 0) this.journal.push(this.#current)
    this.#current = []
  }

  #prepare(sql: string): Prepared {
    let prepared = this.#prepared.get(sql)
    if (!prepared) {
      const asksTime = sql.includes(CLOCK_TEXT)
      let count = 0
      // Numbered, so that the time can stand last wherever the text asks for it.
      const text = asksTime
        ? sql.replaceAll('?', () => `?${++count}`).replaceAll(CLOCK_TEXT, `?${count + 1}`)
        : sql
      const statement = this.#database.prepare(text)
      const rowOf = statement.reader ? rowMaker(statement.raw().columns()) : undefined
      prepared = { statement, rowOf, count, asksTime }
      this.#prepared.set(sql, prepared)
    }
    return prepared
  }
}

function rowMaker(columns: { name: string }[]): (values: unknown[]) => object {
  const members = columns.map(({ name }, at) => `${JSON.stringify(name)}: values[${at}]`)
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the names are our own migrations'
  return new Function('values', `return { ${members.join(', ')} }`) as (values: unknown[]) => object
}

/** One for all: it only writes the texts of statements, and those are written once (see `writeOnce`). */
const speaker = new Kysely<Tables>({
  dialect: speak(
    'sqlite',
    new OneConnection('sqlite', () => Promise.reject(new Error('not spoken to')), STILL),
  ),
})

/** An instance's store: an object of its own around the one speaker. */
export const storeOn = (connection: OneConnection): Store => ({
  db: speaker,
  dialect: 'sqlite',
  connection,
  close: async () => undefined,
})

/** What the dialect writes where it wants the database's time. */
const CLOCK_TEXT = databaseNowMs('sqlite').compile(speaker).sql
