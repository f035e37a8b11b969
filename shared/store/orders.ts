import { sql, type Selectable, type Transaction } from 'kysely'
import type { EventDetail, EventKind, Order, OrderEvent } from '../order/order'
import type { OrderState } from '../order/state'
import { Fault } from '../base/errors'
import { Disconnected } from './connection'
import { databaseNowMs, errorKind } from './dialect'
import type { Store } from './open'
import type { OrdersTable, Tables } from './tables'

/**
 * Where orders are kept. Every write is one transaction, guarded by what the writer had read; an event row goes into
 * the same transaction as the move it tells of.
 *
 * A write has two outcomes: `done`, or `lost`. Lost means: somebody else was first, the database undid us, or the
 * connection broke and we cannot tell. All three are answered the same way: read again, decide again.
 */
export type Outcome = 'done' | 'lost'

export type OrderKey = Pick<Order, 'out_sub_mch_id' | 'out_trade_no'>

/** An order as read, with the database's clock at that moment: what leases are measured against. */
export type ReadOrder = Order & { now_ms: number }

const numeric = [
  'created_at',
  'updated_at',
  'time_expire',
  'lease_until_ms',
  'looked_at_ms',
  'paid_at',
  'cash_fee',
  'settlement_total_fee',
  'now_ms',
] as const

function toOrder(row: Selectable<OrdersTable> & { now_ms: number | string }): ReadOrder {
  const order: Record<string, unknown> = { ...row }
  for (const name of numeric) if (order[name] !== null) order[name] = Number(order[name])
  return order as ReadOrder
}

const readOrders = (store: Store) =>
  store.db.selectFrom('orders').selectAll().select(databaseNowMs(store.dialect).as('now_ms'))

export async function findOrder(store: Store, key: OrderKey): Promise<ReadOrder | undefined> {
  const row = await reading(
    readOrders(store)
      .where('out_sub_mch_id', '=', key.out_sub_mch_id)
      .where('out_trade_no', '=', key.out_trade_no)
      .executeTakeFirst(),
  )
  return row && toOrder(row)
}

/** Those a new request could mean: by its number, by the caller's key. At most two. */
export async function findOrdersFor(
  store: Store,
  wanted: Pick<Order, 'out_sub_mch_id' | 'caller' | 'idempotency_key'> & { out_trade_no: string | undefined },
): Promise<ReadOrder[]> {
  if (wanted.out_trade_no === undefined && wanted.idempotency_key === null) return []
  const query = readOrders(store)
    .where('out_sub_mch_id', '=', wanted.out_sub_mch_id)
    .where(({ or, and, eb }) =>
      or([
        ...(wanted.out_trade_no === undefined ? [] : [eb('out_trade_no', '=', wanted.out_trade_no)]),
        ...(wanted.idempotency_key === null
          ? []
          : [and([eb('caller', '=', wanted.caller), eb('idempotency_key', '=', wanted.idempotency_key)])]),
      ]),
    )
  return (await reading(query.execute())).map(toOrder)
}

export async function listEvents(store: Store, key: OrderKey): Promise<OrderEvent[]> {
  const rows = await reading(
    store.db
      .selectFrom('order_events')
      .select(['seq', 'at', 'kind', 'from_state', 'to_state', 'detail'])
      .where('out_sub_mch_id', '=', key.out_sub_mch_id)
      .where('out_trade_no', '=', key.out_trade_no)
      .orderBy('seq')
      .execute(),
  )
  return rows.map((row) => ({
    ...row,
    at: Number(row.at),
    detail: JSON.parse(row.detail) as EventDetail,
  }))
}

/** A new order with its lease. `taken`: the number, or the caller's key, already names an order. */
export async function insertOrder(
  store: Store,
  order: Omit<Order, 'lease_until_ms'>,
  leaseMs: number,
): Promise<Outcome | 'taken'> {
  let taken = false
  const outcome = await write(store, async (trx) => {
    try {
      await trx
        .insertInto('orders')
        .values({ ...order, lease_until_ms: databaseNowPlus(store, leaseMs) })
        .execute()
    } catch (error) {
      taken = errorKind(store.dialect, error) === 'unique'
      throw taken ? new Lost() : error
    }
    await insertEvent(trx, order, order.version, {
      at: order.created_at,
      kind: 'created',
      from: null,
      to: order.state,
      detail: {},
    })
  })
  return taken ? 'taken' : outcome
}

type Change = Partial<
  Pick<
    Order,
    | 'state'
    | 'flag'
    | 'jsapi_args'
    | 'transaction_id'
    | 'paid_at'
    | 'cash_fee'
    | 'settlement_total_fee'
    | 'wallet_state'
    | 'lease_until_ms'
  >
>

/**
 * The one way an order changes what it says: guarded by the version and state it was decided on, with the event that
 * tells of it. On `done` the caller may go on with `moved(order, change)`: that is the row as committed.
 */
export async function moveOrder(
  store: Store,
  order: Order,
  change: Change,
  event: { at: number; kind: EventKind; detail: EventDetail },
): Promise<Outcome> {
  const to = change.state ?? order.state
  return write(store, async (trx) => {
    await guarded(trx, order, { ...change, updated_at: event.at })
    await insertEvent(trx, order, order.version + 1, { ...event, from: order.state, to })
  })
}

export const moved = <O extends Order>(order: O, change: Change): O => ({
  ...order,
  ...change,
  version: order.version + 1,
})

/** Takes over an order nobody is working on: the token moves on, so the last holder may not transmit any more. */
export async function takeLease(
  store: Store,
  order: Order,
  holder: string,
  leaseMs: number,
): Promise<Outcome> {
  return write(store, async (trx) => {
    const result = await trx
      .updateTable('orders')
      .set({
        lease_token: order.lease_token + 1,
        lease_holder: holder,
        lease_until_ms: databaseNowPlus(store, leaseMs),
        version: order.version + 1,
      })
      .where('out_sub_mch_id', '=', order.out_sub_mch_id)
      .where('out_trade_no', '=', order.out_trade_no)
      .where('version', '=', order.version)
      .where('lease_until_ms', '<=', databaseNowMs(store.dialect))
      .executeTakeFirst()
    if (result.numUpdatedRows !== 1n) throw new Lost()
  })
}

/** Counts a transmission before it leaves, and only for the holder of the current lease. */
export async function countSend(
  store: Store,
  order: Order,
  lease: { token: number; holder: string },
): Promise<Outcome> {
  return write(store, async (trx) => {
    const result = await trx
      .updateTable('orders')
      .set({ sends: order.sends + 1, version: order.version + 1 })
      .where('out_sub_mch_id', '=', order.out_sub_mch_id)
      .where('out_trade_no', '=', order.out_trade_no)
      .where('version', '=', order.version)
      .where('lease_token', '=', lease.token)
      .where('lease_holder', '=', lease.holder)
      .where('lease_until_ms', '>', databaseNowMs(store.dialect))
      .executeTakeFirst()
    if (result.numUpdatedRows !== 1n) throw new Lost()
  })
}

/**
 * Says "I ask upstream about this order now", unless somebody did within the last `intervalMs`: of a stampede one
 * gets `done`. Not a change of the order, so its version stays.
 */
export async function claimLook(store: Store, key: OrderKey, intervalMs: number): Promise<Outcome> {
  return write(store, async (trx) => {
    const result = await trx
      .updateTable('orders')
      .set({ looked_at_ms: databaseNowMs(store.dialect) })
      .where('out_sub_mch_id', '=', key.out_sub_mch_id)
      .where('out_trade_no', '=', key.out_trade_no)
      .where('looked_at_ms', '<=', databaseNowPlus(store, -intervalMs))
      .executeTakeFirst()
    if (result.numUpdatedRows !== 1n) throw new Lost()
  })
}

// ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

class Lost extends Error {}

const databaseNowPlus = (store: Store, ms: number) =>
  sql<number>`${databaseNowMs(store.dialect)} + ${sql.lit(Math.round(ms))}`

/** Whatever a read runs into, the caller hears the same: the database, and nothing was asked of anybody. */
async function reading<T>(read: Promise<T>): Promise<T> {
  try {
    return await read
  } catch (cause) {
    throw new Fault('database_unavailable', { cause })
  }
}

async function write(store: Store, work: (trx: Transaction<Tables>) => Promise<void>): Promise<Outcome> {
  try {
    await store.db.transaction().execute(work)
    return 'done'
  } catch (error) {
    if (error instanceof Lost || error instanceof Disconnected) return 'lost'
    if (errorKind(store.dialect, error) === 'lost_race') return 'lost'
    throw new Fault('database_unavailable', { cause: error })
  }
}

/** Compare-and-set. That the state is part of it repeats the decision where it is carried out. */
async function guarded(
  trx: Transaction<Tables>,
  order: Order,
  change: Change & { updated_at: number },
): Promise<void> {
  const result = await trx
    .updateTable('orders')
    .set({ ...change, version: order.version + 1 })
    .where('out_sub_mch_id', '=', order.out_sub_mch_id)
    .where('out_trade_no', '=', order.out_trade_no)
    .where('version', '=', order.version)
    .where('state', '=', order.state)
    .executeTakeFirst()
  if (result.numUpdatedRows !== 1n) throw new Lost()
}

type NewEvent = { at: number; kind: EventKind; from: OrderState | null; to: OrderState; detail: EventDetail }

async function insertEvent(
  trx: Transaction<Tables>,
  key: OrderKey,
  seq: number,
  event: NewEvent,
): Promise<void> {
  await trx
    .insertInto('order_events')
    .values({
      out_sub_mch_id: key.out_sub_mch_id,
      out_trade_no: key.out_trade_no,
      seq,
      at: event.at,
      kind: event.kind,
      from_state: event.from,
      to_state: event.to,
      detail: JSON.stringify(event.detail),
    })
    .execute()
}
