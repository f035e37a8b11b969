import Database from 'libsql'
import { Kysely } from 'kysely'
import type { Clock } from '../../shared/base/time'
import { OneConnection, type Wire } from '../../shared/store/connection'
import { databaseNowMs } from '../../shared/store/dialect'
import { migrate } from '../../shared/store/migrate'
import { speak, type Store } from '../../shared/store/open'
import type { Tables } from '../../shared/store/tables'

/**
 * A real SQLite in memory, spoken to through the real connection, whose clock is the test's: days of due times and
 * leases pass at once. It counts what is said to it, and can be unreachable or silent.
 */
export type TestDatabase = {
  store: Store
  /** Statements executed. */
  said: number
  mood: 'well' | 'down' | 'stalled'
  /** Called with every statement before it is executed; what it throws is the driver's error. */
  before: ((sql: string, parameters: readonly unknown[]) => void) | undefined
}

export async function openTestDatabase(clock: Clock): Promise<TestDatabase> {
  const sqlite = new Database(':memory:')
  const prepared = new Map<string, { statement: Database.Statement; asksTime: boolean; count: number }>()
  let closed = false

  const prepare = (sql: string) => {
    const asksTime = sql.includes(CLOCK_TEXT)
    let count = 0
    // Numbered, so that the time can stand last wherever the text asks for it.
    const numbered = asksTime ? sql.replaceAll('?', () => `?${++count}`) : sql
    const statement = sqlite.prepare(numbered.replaceAll(CLOCK_TEXT, `?${count + 1}`))
    return { statement, asksTime, count }
  }

  const execute: Wire['query'] = async (sql, parameters) => {
    // The driver would take the whole process down.
    if (closed) throw new Error('the test is over')
    if (database.mood === 'stalled') return new Promise(() => undefined)
    database.before?.(sql, parameters)
    if (database.mood === 'down') throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    database.said++
    if (/^(BEGIN|COMMIT|ROLLBACK)/.test(sql)) {
      sqlite.exec(sql)
      return { rows: [], affected: 0 }
    }
    let known = prepared.get(sql)
    if (!known) prepared.set(sql, (known = prepare(sql)))
    const { statement, asksTime, count } = known
    const values = asksTime ? [...parameters.slice(0, count), clock.nowMs()] : parameters
    if (statement.reader) return { rows: statement.all(values), affected: 0 }
    return { rows: [], affected: statement.run(values).changes }
  }

  const wire: Wire = {
    query: execute,
    isAlive: () => database.mood !== 'down' && !closed,
    // A new session finds the same database, without the transaction the lost one had begun.
    destroy: () => void (!closed && sqlite.inTransaction && sqlite.exec('ROLLBACK')),
    end: async () => {
      closed = true
      sqlite.close()
    },
  }
  const connection = new OneConnection(
    'sqlite',
    async () => {
      if (database.mood === 'down') throw new Error('connect ECONNREFUSED')
      return wire
    },
    clock,
  )
  const db = new Kysely<Tables>({ dialect: speak('sqlite', connection) })
  const store: Store = { db, dialect: 'sqlite', connection, close: () => db.destroy() }
  const database: TestDatabase = { store, said: 0, mood: 'well', before: undefined }
  await migrate(store)
  database.said = 0
  return database
}

/** What the dialect writes where it wants the database's time. */
const CLOCK_TEXT = databaseNowMs('sqlite').compile(
  new Kysely<Tables>({
    dialect: speak(
      'sqlite',
      new OneConnection('sqlite', () => Promise.reject(new Error('only writes texts')), {
        nowMs: () => 0,
        sleep: async () => undefined,
      }),
    ),
  }),
).sql
