import { Kysely, Migrator, MysqlIntrospector, PostgresIntrospector, SqliteIntrospector } from 'kysely'
import { ORDER_STATES } from '../../shared/order/state'
import { listDueOrders } from '../../shared/store/due'
import { migrate, migrationStatus } from '../../shared/store/migrate'
import { migrations } from '../../shared/store/migrations'
import { speak, type Store } from '../../shared/store/open'
import { findOrder, insertOrder } from '../../shared/store/orders'
import { insertRefund } from '../../shared/store/refunds'
import { newOrder } from '../support/orders'
import { newRefund } from '../support/refunds'
import type { Session } from '../support/servers'
import { MIGRATIONS } from '../support/migrationNames'
import { LEASE_MS, move, read, setUp, type Kind } from './ready'

const INTROSPECTORS = { mysql: MysqlIntrospector, postgres: PostgresIntrospector, sqlite: SqliteIntrospector }

/** What the version before wrote: the columns of 0001 and no others. */
const FIRST_COLUMNS = `out_sub_mch_id, out_trade_no, out_mch_id, out_shop_id, pay_platform, trade_type, total_fee,
  fee_type, payer_field, payer_id, caller, idempotency_key, content_hash, request_content, state, version, flag,
  created_at, updated_at, time_expire, sends, lease_token, lease_holder, lease_until_ms, looked_at_ms, jsapi_args,
  transaction_id, paid_at, cash_fee, settlement_total_fee, wallet_state`

const oldOrder = (number: string, state: string) => `insert into orders (${FIRST_COLUMNS}) values
  ('sub1', '${number}', 'mch1', 'shop1', 1, 3, 100, 'CNY', 'sub_open_id', 'payer', 'shop', null, 'hash', '{}',
  '${state}', 3, null, 1900000000, 1900000001, 1900000900, 1, 1, 'holder', 5, 6, null, null, null, null, null, null)`

export function migrationsContract(kind: Kind): void {
  const { ready, open, sessions } = setUp(kind)

  /** A database as the version before left it. */
  async function before(work: (store: Store, session: Session) => Promise<void>): Promise<void> {
    const url = await ready().freshDatabase()
    const store = open(url)
    const Introspector = INTROSPECTORS[kind.dialect]
    const migrator = new Migrator({
      db: new Kysely<unknown>({
        dialect: {
          ...speak(kind.dialect, store.connection),
          createIntrospector: (db) => new Introspector(db),
        },
      }),
      provider: { getMigrations: async () => ({ '0001_orders': migrations(kind.dialect)['0001_orders']! }) },
    })
    expect((await migrator.migrateToLatest()).error).toBeUndefined()
    await sessions(url, (session) => work(store, session))
  }

  test('finds the orders of the version before: the open ones are due at once, the others never', () =>
    before(async (store, session) => {
      for (const state of ORDER_STATES) await session.rows(oldOrder(`old-${state}`, state))
      expect(await migrate(store)).toEqual({
        applied: MIGRATIONS.slice(1),
        pending: [],
      })

      const due = await listDueOrders(store, { out_sub_mch_id: 'sub1', limit: 100 }, 'late')
      expect(due.map((each) => each.out_trade_no).sort()).toEqual([
        'old-closing',
        'old-created',
        'old-pending',
      ])
      for (const state of ORDER_STATES) {
        const order = (await findOrder(store, { out_sub_mch_id: 'sub1', out_trade_no: `old-${state}` }))!
        const open = ['created', 'pending', 'closing'].includes(state)
        expect(order).toMatchObject({
          ...{
            state,
            version: 3,
            total_fee: 100,
            created_at: 1_900_000_000,
            lease_until_ms: 5,
            looked_at_ms: 6,
          },
          ...{ next_due_at_ms: open ? 0 : null, looks: 0, fruitless: 0, not_founds: 0, notified_at_ms: null },
          ...{ merchant_order_id: null, purchase_slot: null, late_policy: null },
          ...{ reserved_fen: 0, refunded_fen: 0 },
        })
      }
    }))

  test('is told of before anything is done, and again when it is done', () =>
    before(async (store) => {
      const [first, ...others] = MIGRATIONS
      expect(await migrationStatus(store)).toEqual({ applied: [first], pending: others })
      expect(await migrationStatus(store)).toEqual({ applied: [first], pending: others })
      await migrate(store)
      expect(await migrationStatus(store)).toEqual({ applied: [first, ...others], pending: [] })
      expect(await migrate(store)).toEqual({ applied: [], pending: [] })
    }))

  test('of an empty database makes nothing by being asked about', async () => {
    const store = open(await ready().freshDatabase())
    const pending = MIGRATIONS
    expect(await migrationStatus(store)).toEqual({ applied: [], pending })
    await expect(store.db.selectFrom('orders').selectAll().execute()).rejects.toThrow()
    expect(await migrationStatus(store)).toEqual({ applied: [], pending })
  })

  test('of a newer version is no hindrance to the one before', () =>
    before(async (store, session) => {
      await migrate(store)
      await session.rows("insert into kysely_migration values ('0999_later', '2031-01-01T00:00:00.000Z')")
      expect(await migrate(store)).toEqual({ applied: [], pending: [] })
      expect((await migrationStatus(store)).pending).toEqual([])
    }))

  test('leaves them good for everything that is new', () =>
    before(async (store, session) => {
      await session.rows(oldOrder('old1', 'paid'))
      await session.rows(oldOrder('old2', 'pending'))
      await migrate(store)
      const paid = await read(store, { out_sub_mch_id: 'sub1', out_trade_no: 'old1' })
      const event = { at: 1, kind: 'refund', detail: {} } as const
      expect(await insertRefund(store, paid, newRefund(paid, { refund_fee: 101 }), 0, event, [])).toBe('lost')
      expect(await insertRefund(store, paid, newRefund(paid, { refund_fee: 100 }), 0, event, [])).toBe('done')
      const open = await read(store, { out_sub_mch_id: 'sub1', out_trade_no: 'old2' })
      expect(await move(store, open, { state: 'closing', due_in_ms: 0 })).toBe('done')
      const wrong = store.db
        .updateTable('orders')
        .set({ reserved_fen: 101 })
        .where('out_trade_no', '=', 'old2')
      await expect(wrong.execute()).rejects.toThrow()
    }))

  test('lets the version before go on writing beside the new one', () =>
    before(async (store, session) => {
      await migrate(store)
      for (const number of ['old1', 'old2']) await session.rows(oldOrder(number, 'created'))
      const old = await read(store, { out_sub_mch_id: 'sub1', out_trade_no: 'old1' })
      expect(old).toMatchObject({ reserved_fen: 0, looks: 0 })
      expect(await move(store, old, { state: 'pending' })).toBe('done')
      expect(await insertOrder(store, newOrder({ out_sub_mch_id: 'sub1' }), LEASE_MS)).toBe('done')
    }))
}
