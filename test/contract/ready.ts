import { sql } from 'kysely'
import Database from 'libsql'
import type { Dialect } from '../../shared/base/databaseUrl'
import { Secret } from '../../shared/base/secrets'
import { systemClock, type Clock } from '../../shared/base/time'
import type { Order } from '../../shared/order/order'
import type { Beside } from '../../shared/store/beside'
import { migrate } from '../../shared/store/migrate'
import { openStore, type Store } from '../../shared/store/open'
import { findOrder, insertOrder, moveOrder, type Change, type ReadOrder } from '../../shared/store/orders'
import type { Outcome } from '../../shared/store/transaction'
import { newOrder, type NewOrder } from '../support/orders'
import type { Session } from '../support/servers'

/** A database of one kind, made ready for one run of the suite. */
export type Ready = {
  freshDatabase(): Promise<string>
  openSession(url: string): Promise<Session>
}

/** One that is reached over a network, and so can be lost on the way. */
export type ReadyServer = Ready & { killConnections(): Promise<number> }

/** `start` may be called more than once; what it started is stopped by whoever made it. */
export type Kind = { dialect: Dialect; start(): Promise<Ready> }
export type ServerKind = { dialect: 'mysql' | 'postgres'; start(): Promise<ReadyServer> }

export const LEASE_MS = 60_000
export const unavailable = { name: 'Fault', code: 'database_unavailable' }

/** What a column cannot hold is for whoever set the database up. */
export const doesNotFit = { name: 'Fault', code: 'configuration' }

export const anything: unknown = expect.anything()

export const count = (outcomes: unknown[], wanted: unknown) =>
  outcomes.filter((outcome) => outcome === wanted).length

/** A new order, written. */
export async function inserted(
  store: Store,
  change: Partial<NewOrder> = {},
  leaseMs = LEASE_MS,
): Promise<NewOrder> {
  const order = newOrder(change)
  expect(await insertOrder(store, order, leaseMs)).toBe('done')
  return order
}

export async function read(
  store: Store,
  key: Pick<Order, 'out_sub_mch_id' | 'out_trade_no'>,
): Promise<ReadOrder> {
  const order = await findOrder(store, key)
  if (!order) throw new Error(`order ${key.out_trade_no} is not there`)
  return order
}

export const move = (
  store: Store,
  order: Order,
  change: Change,
  beside?: Beside,
): Promise<Outcome | 'taken'> =>
  moveOrder(store, order, change, { at: 1_900_000_001, kind: 'moved', detail: {} }, beside)

/** What tests need to get at the database; the stores they open are closed behind each of them. */
export function setUp<R extends Ready>(kind: { start(): Promise<R> }) {
  let running: R | undefined
  const opened: Store[] = []

  beforeAll(async () => {
    running = await kind.start()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()))
  })

  const ready = () => running!
  const open = (url: string, clock: Clock = systemClock): Store => {
    const dialect: Dialect = url.startsWith('mysql:')
      ? 'mysql'
      : url.startsWith('postgres:')
        ? 'postgres'
        : 'sqlite'
    const store = openStore({ dialect, url: new Secret(url) }, clock)
    opened.push(store)
    return store
  }
  return {
    ready,
    open,
    /**
     * Stores that already have a connection each, so that all of them start at once. None gives up waiting for the others:
     * on a busy machine it would take what was done for lost, and do it again.
     */
    async openMany(url: string, number: number): Promise<Store[]> {
      const stores = Array.from({ length: number }, () => open(url))
      stores.forEach(unhurried)
      await Promise.all(stores.map((store) => sql`select 1`.execute(store.db)))
      return stores
    },
    /** A database with the tables in it. */
    async fresh(): Promise<string> {
      const url = await ready().freshDatabase()
      const store = open(url)
      await migrate(store)
      return url
    },
    async sessions<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
      const session = await ready().openSession(url)
      try {
        return await work(session)
      } finally {
        // A session that was killed on purpose has nobody to say goodbye to.
        await session.close().catch(() => {})
      }
    },
  }
}

/** Its own limit for a statement is put out of reach: a private matter of the connection, of which there is no setting. */
export function unhurried(store: Store): void {
  Object.assign(store.connection, { statementTimeoutMs: 600_000 })
}

/** A plain session with an SQLite file, apart from the code under test. */
export async function openFile(url: string): Promise<Session> {
  const database = new Database(url.slice('sqlite:'.length), { timeout: 5000 })
  return {
    rows: async (text) => {
      const statement = database.prepare(text)
      if (statement.reader) return statement.all([]) as Array<Record<string, unknown>>
      statement.run([])
      return []
    },
    close: async () => void database.close(),
  }
}
