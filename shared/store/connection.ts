import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely'
import { ConfigurationFault } from '../base/config'
import type { Dialect } from '../base/databaseUrl'
import type { Clock } from '../base/time'
import { BEGIN, errorKind, IDLE_MAX_MS, SESSION_SETUP } from './dialect'

/**
 * One connection, kept at module scope, for an instance that may be frozen between any two events. While it sleeps
 * nothing of ours runs, so the socket may be dead without anybody having heard; the first words on waking find out.
 *
 * What is safe to say again on a new connection is said again: BEGIN, and a SELECT outside a transaction. Everything
 * else is reported: `Disconnected` when the transaction cannot have been kept, `CommitUnknown` when it may have been.
 * Neither is ever re-run from here: whoever decided must read again and decide again.
 *
 * A server that has handed its work to another goes on answering, and takes no writes any more. The connection to it is
 * dropped, the error goes to the caller as it is, and the next call connects to whoever has the address now.
 */

export type Said = { rows: unknown[]; affected: number }

/** A driver reduced to what we use. */
export type Wire = {
  query(sql: string, parameters: readonly unknown[]): Promise<Said>
  /** False as soon as the driver has noticed that the connection is gone. */
  isAlive(): boolean
  /** Drops the connection at once, without goodbye. */
  destroy(): void
  /** Says goodbye. */
  end(): Promise<void>
}

export class Disconnected extends Error {
  override readonly name: string = 'Disconnected'
}

/** COMMIT was sent and its answer never came: the transaction was kept or was not. */
export class CommitUnknown extends Disconnected {
  override readonly name = 'CommitUnknown'
}

/** The database cannot be reached at all. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

/** A server whose disk is full refuses writes as well, and a new connection to it is no better: one is tried this often. */
const RECONNECT_EVERY_MS = 5000

/** Longer than any statement of ours takes; shorter than a caller waits. A silent socket is a dead one. */
const STATEMENT_TIMEOUT_MS = 3000

function answerInTime(
  wire: Wire,
  sql: string,
  parameters: readonly unknown[],
  limitMs: number,
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Disconnected('no answer in time')), limitMs)
    wire
      .query(sql, parameters)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}

/** Also a driver for Kysely, for migrations and tests. The functions take only the text from Kysely. */
export class OneConnection implements Driver, DatabaseConnection {
  #wire: Wire | undefined
  #opening: Promise<Wire> | undefined
  #inTransaction = false
  #usedAtMs = 0
  #leftReadOnlyAtMs = -Infinity
  #last: Promise<void> = Promise.resolve()
  #release: () => void = () => undefined

  constructor(
    readonly dialect: Dialect,
    private readonly open: () => Promise<Wire>,
    private readonly clock: Clock,
    private readonly statementTimeoutMs = STATEMENT_TIMEOUT_MS,
  ) {}

  /** Begins to connect: in a cold start our own work and the server's then go on side by side. */
  warm(): void {
    this.#opening ??= this.#openSession()
    // Whoever speaks first hears of a failure.
    this.#opening.catch(() => undefined)
  }

  async init(): Promise<void> {}

  /** First come, first served: two callers in one process wait for each other. */
  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#last
    let release: () => void = () => undefined
    this.#last = new Promise((resolve) => (release = resolve))
    await before
    this.#release = release
    return this
  }

  async releaseConnection(): Promise<void> {
    this.#inTransaction = false
    this.#release()
  }

  /** One statement on its own. */
  async run(query: CompiledQuery): Promise<Said> {
    await this.acquireConnection()
    try {
      return await this.#sayQuery(query)
    } finally {
      await this.releaseConnection()
    }
  }

  /** All of `work`, or nothing of it. */
  async inTransaction(work: (say: (query: CompiledQuery) => Promise<Said>) => Promise<void>): Promise<void> {
    await this.acquireConnection()
    try {
      await this.beginTransaction()
      try {
        await work((query) => this.#sayQuery(query))
        await this.commitTransaction()
      } catch (error) {
        await this.rollbackTransaction()
        throw error
      }
    } finally {
      await this.releaseConnection()
    }
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, affected } = await this.#sayQuery(query)
    return { rows: rows as R[], numAffectedRows: BigInt(affected) }
  }

  async beginTransaction(): Promise<void> {
    await this.#sayBegin()
    this.#inTransaction = true
  }

  async commitTransaction(): Promise<void> {
    try {
      await this.#say('COMMIT', [], false)
    } catch (error) {
      if (error instanceof Disconnected) throw new CommitUnknown('commit unknown', { cause: error })
      throw error
    }
  }

  async rollbackTransaction(): Promise<void> {
    // Without a connection there is nothing to undo: the server has done it.
    if (!this.#wire?.isAlive()) return
    await this.#say('ROLLBACK', [], false).catch(() => this.#drop())
  }

  async destroy(): Promise<void> {
    const wire = this.#wire ?? (await this.#opening?.catch(() => undefined))
    this.#wire = this.#opening = undefined
    if (wire?.isAlive()) await wire.end()
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming is not supported')
  }

  async #sayBegin(): Promise<void> {
    // SQLite has one writer at a time, and its driver waits by blocking the whole process. So we wait outside it.
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#say(BEGIN[this.dialect], [], true)
        return
      } catch (error) {
        if (this.dialect !== 'sqlite' || errorKind('sqlite', error) !== 'lost_race' || attempt >= 400)
          throw error
        await this.clock.sleep(5 + attempt / 10)
      }
    }
  }

  #sayQuery({ sql, parameters, query }: CompiledQuery): Promise<Said> {
    return this.#say(sql, parameters, !this.#inTransaction && query.kind === 'SelectQueryNode')
  }

  async #say(sql: string, parameters: readonly unknown[], again: boolean): Promise<Said> {
    this.#leaveIfIdle()
    const reused = this.#wire?.isAlive() ?? false
    try {
      return await this.#sayOnce(sql, parameters)
    } catch (error) {
      // A connection made a moment ago and lost again is not a frozen one: once is enough.
      if (again && reused && error instanceof Disconnected) return this.#sayOnce(sql, parameters)
      throw error
    }
  }

  async #sayOnce(sql: string, parameters: readonly unknown[]): Promise<Said> {
    const wire = await this.#connected()
    try {
      const said = await answerInTime(wire, sql, parameters, this.statementTimeoutMs)
      this.#usedAtMs = this.clock.nowMs()
      return said
    } catch (error) {
      loseValues(error)
      const kind = errorKind(this.dialect, error)
      if (error instanceof Disconnected || !wire.isAlive() || kind === 'disconnected') {
        this.#drop()
        throw new Disconnected('disconnected', { cause: error })
      }
      if (kind === 'read_only') this.#leaveReadOnly()
      throw error
    }
  }

  /** While an instance sleeps the address may come to mean another server, and nobody tells the sleeper. */
  #leaveIfIdle(): void {
    if (!this.#inTransaction && this.clock.nowMs() - this.#usedAtMs >= IDLE_MAX_MS[this.dialect]) this.#drop()
  }

  #leaveReadOnly(): void {
    const nowMs = this.clock.nowMs()
    // A clock that was set back has not measured anything.
    if (Math.abs(nowMs - this.#leftReadOnlyAtMs) < RECONNECT_EVERY_MS) return
    this.#leftReadOnlyAtMs = nowMs
    this.#drop()
  }

  async #connected(): Promise<Wire> {
    if (this.#wire?.isAlive()) return this.#wire
    // Inside a transaction a new connection would go on without the half that is lost.
    if (this.#inTransaction) throw new Disconnected('disconnected inside a transaction')
    const opening = this.#opening ?? this.#openSession()
    this.#opening = undefined
    this.#wire = await opening
    this.#usedAtMs = this.clock.nowMs()
    return this.#wire
  }

  async #openSession(): Promise<Wire> {
    let wire: Wire | undefined
    try {
      wire = await this.open()
      // Here and not in each driver: those are loaded late and should bring nothing of ours along.
      for (const statement of SESSION_SETUP[this.dialect]) {
        await answerInTime(wire, statement, [], STATEMENT_TIMEOUT_MS)
      }
      return wire
    } catch (error) {
      wire?.destroy()
      if (error instanceof ConfigurationFault) throw error
      throw new Unreachable('cannot connect to the database', { cause: error })
    }
  }

  #drop(): void {
    this.#wire?.destroy()
    this.#wire = undefined
  }
}

/** What drivers add to an error: the statement with its values in it, or the row that was refused. */
const QUOTING = ['sql', 'parameters', 'detail', 'where', 'internalQuery']

/** Code and message stay; what quotes a row, and so a payer, goes before anybody can write it down. */
function loseValues(error: unknown): void {
  if (typeof error !== 'object' || error === null) return
  for (const name of QUOTING) delete (error as Record<string, unknown>)[name]
}
