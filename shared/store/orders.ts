import { sql, type CompiledQuery, type Selectable } from 'kysely'
import type { EventDetail, EventKind, Order, OrderEvent } from '../order/order'
import type { OrderState } from '../order/state'
import { Fault } from '../base/errors'
import { Disconnected, type Said } from './connection'
import { databaseNowMs, errorKind } from './dialect'
import type { Store } from './open'
import { parametersOf, statement } from './statements'
import { COLUMNS, type OrderEventsTable, type OrdersTable } from './tables'

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

type OrderRow = Selectable<OrdersTable> & { now_ms: number | string }

function toOrder(row: OrderRow): ReadOrder {
  const order: Record<string, unknown> = { ...row }
  for (const name of numeric) if (order[name] !== null) order[name] = Number(order[name])
  return order as ReadOrder
}

const findByNumber = statement<OrderKey>((db, given, store) =>
  db
    .selectFrom('orders')
    .selectAll()
    .select(databaseNowMs(store.dialect).as('now_ms'))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no),
)

export async function findOrder(store: Store, key: OrderKey): Promise<ReadOrder | undefined> {
  return (await read<OrderRow>(store, findByNumber(store, key))).map(toOrder)[0]
}

type Wanted = Pick<Order, 'out_sub_mch_id' | 'caller' | 'idempotency_key'> & {
  out_trade_no: string | undefined
}

const findByNumberOrKey = statement<Wanted, 'number' | 'key' | 'both'>((db, given, store, by) =>
  db
    .selectFrom('orders')
    .selectAll()
    .select(databaseNowMs(store.dialect).as('now_ms'))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where(({ or, and, eb }) =>
      or([
        ...(by === 'key' ? [] : [eb('out_trade_no', '=', given.out_trade_no!)]),
        ...(by === 'number'
          ? []
          : [and([eb('caller', '=', given.caller), eb('idempotency_key', '=', given.idempotency_key)])]),
      ]),
    ),
)

/** Those a new request could mean: by its number, by the caller's key. At most two. */
export async function findOrdersFor(store: Store, wanted: Wanted): Promise<ReadOrder[]> {
  const byNumber = wanted.out_trade_no !== undefined
  const byKey = wanted.idempotency_key !== null
  if (!byNumber && !byKey) return []
  const by = byNumber && byKey ? 'both' : byNumber ? 'number' : 'key'
  return (await read<OrderRow>(store, findByNumberOrKey(store, wanted, by))).map(toOrder)
}

const findEvents = statement<OrderKey>((db, given) =>
  db
    .selectFrom('order_events')
    .select(['seq', 'at', 'kind', 'from_state', 'to_state', 'detail'])
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .orderBy('seq'),
)

export async function listEvents(store: Store, key: OrderKey): Promise<OrderEvent[]> {
  const rows = await read<Selectable<OrderEventsTable>>(store, findEvents(store, key))
  return rows.map(({ at, detail, ...row }) => ({
    ...row,
    at: Number(at),
    detail: JSON.parse(detail) as EventDetail,
  }))
}

// ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────

export type NewOrder = Omit<Order, 'lease_until_ms'>

const insertRow = statement<NewOrder & { lease_ms: number }>((db, given, store) =>
  db.insertInto('orders').values({
    ...(Object.fromEntries(COLUMNS.map((name) => [name, given[name]])) as NewOrder),
    lease_until_ms: nowPlus(store, given.lease_ms),
  }),
)

/** A new order with its lease. `taken`: the number, or the caller's key, already names an order. */
export async function insertOrder(
  store: Store,
  order: NewOrder,
  leaseMs: number,
): Promise<Outcome | 'taken'> {
  let taken = false
  const outcome = await write(store, async (say) => {
    try {
      await say(insertRow(store, { ...order, lease_ms: Math.round(leaseMs) }))
    } catch (error) {
      taken = errorKind(store.dialect, error) === 'unique'
      throw taken ? new Lost() : error
    }
    const at = order.created_at
    await say(
      eventRow(store, order, order.version, { at, kind: 'created', from: null, to: order.state, detail: {} }),
    )
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

/** What every change of a row is guarded by: which row, and as of when. */
type Guard = OrderKey & Pick<Order, 'version'>
const guardOf = ({ out_sub_mch_id, out_trade_no, version }: Order): Guard => ({
  out_sub_mch_id,
  out_trade_no,
  version,
})

/** The names of a change decide the text, so they are its shape. */
const updateRow = statement<Guard & Pick<Order, 'state'> & { set: Change }, string>((db, given, _, names) =>
  db
    .updateTable('orders')
    .set(parametersOf('set', names.split(' ')))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('version', '=', given.version)
    .where('state', '=', given.state),
)

/**
 * The one way an order changes what it says: guarded by the version and state it was decided on, with the event that
 * tells of it. That the state is part of the guard repeats the decision where it is carried out. On `done` the caller
 * may go on with `moved(order, change)`: that is the row as committed.
 */
export async function moveOrder(
  store: Store,
  order: Order,
  change: Change,
  event: { at: number; kind: EventKind; detail: EventDetail },
): Promise<Outcome> {
  const to = change.state ?? order.state
  const seq = order.version + 1
  const set = { ...change, updated_at: event.at, version: seq }
  const { state } = order
  return write(store, async (say) => {
    await one(say(updateRow(store, { ...guardOf(order), state, set }, Object.keys(set).join(' '))))
    await say(eventRow(store, order, seq, { ...event, from: order.state, to }))
  })
}

export const moved = <O extends Order>(order: O, change: Change): O => ({
  ...order,
  ...change,
  version: order.version + 1,
})

const takeRow = statement<Guard & { holder: string; lease_ms: number }>((db, given, store) =>
  db
    .updateTable('orders')
    .set((eb) => ({
      lease_token: eb('lease_token', '+', 1),
      lease_holder: given.holder,
      lease_until_ms: nowPlus(store, given.lease_ms),
      version: eb('version', '+', 1),
    }))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('version', '=', given.version)
    .where('lease_until_ms', '<=', databaseNowMs(store.dialect)),
)

/** Takes over an order nobody is working on: the token moves on, so the last holder may not transmit any more. */
export async function takeLease(
  store: Store,
  order: Order,
  holder: string,
  leaseMs: number,
): Promise<Outcome> {
  return write(store, (say) =>
    one(say(takeRow(store, { ...guardOf(order), holder, lease_ms: Math.round(leaseMs) }))),
  )
}

export type Lease = { token: number; holder: string }

const countRow = statement<Guard & Lease>((db, given, store) =>
  db
    .updateTable('orders')
    .set((eb) => ({ sends: eb('sends', '+', 1), version: eb('version', '+', 1) }))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('version', '=', given.version)
    .where('lease_token', '=', given.token)
    .where('lease_holder', '=', given.holder)
    .where('lease_until_ms', '>', databaseNowMs(store.dialect)),
)

/** Counts a transmission before it leaves, and only for the holder of the current lease. */
export async function countSend(store: Store, order: Order, lease: Lease): Promise<Outcome> {
  return write(store, (say) => one(say(countRow(store, { ...guardOf(order), ...lease }))))
}

const claimRow = statement<OrderKey & { minus_ms: number }>((db, given, store) =>
  db
    .updateTable('orders')
    .set({ looked_at_ms: databaseNowMs(store.dialect) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('looked_at_ms', '<=', nowPlus(store, given.minus_ms)),
)

/**
 * Says "I ask upstream about this order now", unless somebody did within the last `intervalMs`: of a stampede one
 * gets `done`. Not a change of the order, so its version stays.
 */
export async function claimLook(store: Store, key: OrderKey, intervalMs: number): Promise<Outcome> {
  return write(store, (say) => one(say(claimRow(store, { ...key, minus_ms: -intervalMs }))))
}

// ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

class Lost extends Error {}

const nowPlus = (store: Store, ms: number) => sql<number>`${databaseNowMs(store.dialect)} + ${ms}`

/** Whatever a read runs into, the caller hears the same: the database, and nothing was asked of anybody. */
async function read<Row>(store: Store, query: CompiledQuery): Promise<Row[]> {
  try {
    return (await store.connection.run(query)).rows as Row[]
  } catch (cause) {
    throw new Fault('database_unavailable', { cause })
  }
}

async function write(
  store: Store,
  work: Parameters<Store['connection']['inTransaction']>[0],
): Promise<Outcome> {
  try {
    await store.connection.inTransaction(work)
    return 'done'
  } catch (error) {
    if (error instanceof Lost || error instanceof Disconnected) return 'lost'
    if (errorKind(store.dialect, error) === 'lost_race') return 'lost'
    throw new Fault('database_unavailable', { cause: error })
  }
}

/** Compare-and-set: the guard let exactly one row through, or somebody else was first. */
async function one(said: Promise<Said>): Promise<void> {
  if ((await said).affected !== 1) throw new Lost()
}

type NewEvent = { at: number; kind: EventKind; from: OrderState | null; to: OrderState; detail: EventDetail }

const insertEvent = statement<OrderKey & { seq: number } & Omit<NewEvent, 'detail'> & { detail: string }>(
  (db, given) =>
    db.insertInto('order_events').values({
      out_sub_mch_id: given.out_sub_mch_id,
      out_trade_no: given.out_trade_no,
      seq: given.seq,
      at: given.at,
      kind: given.kind,
      from_state: given.from,
      to_state: given.to,
      detail: given.detail,
    }),
)

const eventRow = (store: Store, key: OrderKey, seq: number, event: NewEvent): CompiledQuery =>
  insertEvent(store, {
    out_sub_mch_id: key.out_sub_mch_id,
    out_trade_no: key.out_trade_no,
    seq,
    ...event,
    detail: JSON.stringify(event.detail),
  })
