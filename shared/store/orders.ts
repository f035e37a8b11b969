import { sql, type CompiledQuery, type Selectable } from 'kysely'
import { hashedPayerId } from '../base/payer'
import type { EventDetail, EventKind, Order, OrderEvent } from '../order/order'
import { FIRST_LOOK_S } from '../order/schedule'
import { IllegalMove, isLegalMove, isOpen, ORDER_STATES, type OrderState } from '../order/state'
import { sayBeside, type Beside } from './beside'
import { sayCount, sayCountBoth, type Limit } from './counters'
import { databaseNowMs } from './dialect'
import type { Store } from './open'
import { parametersOf, statement } from './statements'
import { BIG, COLUMNS, type NewOrder, type OrderEventsTable, type OrdersTable } from './tables'
import {
  Lost,
  nowPlus,
  numbers,
  one,
  read,
  unlessTaken,
  write,
  writeOne,
  type Outcome,
  type Say,
} from './transaction'

/**
 * Where orders are kept. Every write is one transaction, guarded by what the writer had read; an event row goes into
 * the same transaction as the move it tells of, and so does what the merchant or a person is to be told.
 */
export type OrderKey = Pick<Order, 'out_sub_mch_id' | 'out_trade_no'>

/** An order as read, with the database's clock at that moment: what leases are measured against. */
export type ReadOrder = Order & { now_ms: number }

type OrderRow = Selectable<OrdersTable> & { now_ms: number | string }

const toOrder = (row: OrderRow): ReadOrder => numbers<ReadOrder>(row, [...BIG.orders, 'now_ms'])

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

/** Whose an order must be to be found: made by this caller, for this payer, or anybody's of the sub-merchant. */
export type Owner =
  | { by: 'caller'; caller: string }
  | { by: 'payer'; payer_field: string; payer_id: string }
  | { by: 'merchant' }

type OwnKey = OrderKey & { caller: string; payer_field: string; payer_id: string; hashed_id: string }

const findOwned = statement<OwnKey, Owner['by']>((db, given, store, by) => {
  const own = db
    .selectFrom('orders')
    .selectAll()
    .select(databaseNowMs(store.dialect).as('now_ms'))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
  if (by === 'caller') return own.where('caller', '=', given.caller)
  if (by === 'payer')
    return own
      .where('payer_field', '=', given.payer_field)
      .where('payer_id', 'in', [given.payer_id, given.hashed_id])
  return own
})

/** Another's order is no row, as one that does not exist is none: the same is done for both, and as fast. */
export async function findOwnedOrder(
  store: Store,
  key: OrderKey,
  owner: Owner,
): Promise<ReadOrder | undefined> {
  const { out_sub_mch_id } = key
  const hashed_id = owner.by === 'payer' ? hashedPayerId({ out_sub_mch_id, ...owner }) : ''
  const values = { caller: '', payer_field: '', payer_id: '', hashed_id, ...key, ...owner }
  return (await read<OrderRow>(store, findOwned(store, values, owner.by))).map(toOrder)[0]
}

const findByQuote = statement<{ iss: string; jti: string }>((db, given) =>
  db
    .selectFrom('orders')
    .select('out_trade_no')
    .where('quote_iss', '=', given.iss)
    .where('quote_jti', '=', given.jti),
)

/** Whether a quote has made an order, whoever's it is. */
export const isQuoteUsed = async (store: Store, quote: { iss: string; jti: string }): Promise<boolean> =>
  (await read(store, findByQuote(store, quote))).length > 0

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

const findBySlot = statement<Pick<Order, 'out_sub_mch_id'> & { slot: string }>((db, given, store) =>
  db
    .selectFrom('orders')
    .selectAll()
    .select(databaseNowMs(store.dialect).as('now_ms'))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('purchase_slot', '=', given.slot),
)

/** The one order that may be paid for this purchase, if there is one now. */
export async function findOrderOfPurchase(
  store: Store,
  out_sub_mch_id: string,
  merchant_order_id: string,
): Promise<ReadOrder | undefined> {
  const rows = await read<OrderRow>(store, findBySlot(store, { out_sub_mch_id, slot: merchant_order_id }))
  return rows.map(toOrder)[0]
}

type Window = { out_sub_mch_id: string; from: number; to: number; after: string; limit: number }

const findCreated = statement<Window & Pick<Order, 'state'>>((db, given, store) =>
  db
    .selectFrom('orders')
    .selectAll()
    .select(databaseNowMs(store.dialect).as('now_ms'))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('state', '=', given.state)
    .where('created_at', '>=', given.from)
    .where('created_at', '<', given.to)
    .where(({ or, eb }) => or([eb('created_at', '>', given.from), eb('out_trade_no', '>', given.after)]))
    .orderBy('created_at')
    .orderBy('out_trade_no')
    .limit(given.limit),
)

/**
 * Orders in a state, made from `from` up to `to` (epoch seconds), the first ones first. The page after begins where the
 * last order was made: `from` is its time and `after` its number.
 */
export async function listOrdersIn(
  store: Store,
  window: Window & Pick<Order, 'state'>,
): Promise<ReadOrder[]> {
  return (await read<OrderRow>(store, findCreated(store, window))).map(toOrder)
}

const findEvents = statement<OrderKey>((db, given) =>
  db
    .selectFrom('order_events')
    .select(['seq', 'at', 'kind', 'from_state', 'to_state', 'detail', 'note'])
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

const insertRow = statement<NewOrder & { lease_ms: number; due_ms: number }>((db, given, store) =>
  db.insertInto('orders').values({
    ...(Object.fromEntries(COLUMNS.map((name) => [name, given[name]])) as NewOrder),
    lease_until_ms: nowPlus(store, given.lease_ms),
    next_due_at_ms: nowPlus(store, given.due_ms),
  }),
)

/** How much may be ordered: of this payer, and of this sub-merchant by anybody. */
export type OrderLimits = {
  payer: { limits: readonly [Limit, Limit]; openMax: number } | undefined
  merchant: Limit | undefined
  nowMs: number
}

const countOpen = statement<Pick<Order, 'out_sub_mch_id' | 'payer_id' | 'payer_field'>>((db, given) =>
  db
    .selectFrom('orders')
    .select(sql<number>`count(*)`.as('open'))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('payer_id', '=', given.payer_id)
    .where('payer_field', '=', given.payer_field)
    .where('state', 'in', ORDER_STATES.filter(isOpen)),
)

/**
 * A new order with its lease, and the time of its first look. `taken`: the number, the caller's key, the quote or the
 * purchase already has an order. `over`: a limit is reached. The payer's counter comes first and is held to the end, so
 * that what is counted after it is exact; the sub-merchant's comes last, because everybody waits for it.
 */
export async function insertOrder(
  store: Store,
  order: NewOrder,
  leaseMs: number,
  dueInMs = FIRST_LOOK_S * 1000,
  limits?: OrderLimits,
): Promise<Outcome | 'taken' | 'over'> {
  let taken = false
  let over = false
  const refuse = () => void (over = true)
  const outcome = await write(store, async (say) => {
    if (limits?.payer) {
      await sayCountBoth(store, say, limits.payer.limits, limits.nowMs, refuse)
      const [row] = (await say(countOpen(store, order))).rows as { open: unknown }[]
      if (Number(row?.open ?? 0) >= limits.payer.openMax) {
        refuse()
        throw new Lost()
      }
    }
    const row = insertRow(store, { ...order, lease_ms: Math.round(leaseMs), due_ms: Math.round(dueInMs) })
    await unlessTaken(store, say(row), () => (taken = true))
    const at = order.created_at
    await say(
      eventRow(store, order, order.version, { at, kind: 'created', from: null, to: order.state, detail: {} }),
    )
    if (limits?.merchant) await sayCount(store, say, limits.merchant, limits.nowMs, refuse)
  })
  return taken ? 'taken' : over ? 'over' : outcome
}

/** `due_in_ms`: when the timer should look next, from now on the database's clock; null for never. */
export type Change = Partial<
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
    | 'purchase_slot'
    | 'seen'
    | 'looks'
    | 'fruitless'
    | 'not_founds'
    | 'late_policy'
    | 'reserved_fen'
    | 'refunded_fen'
    | 'author_code_sealed'
  >
> & { due_in_ms?: number | null }

/** What every change of a row is guarded by: which row, and as of when. */
type Guard = OrderKey & Pick<Order, 'version'>
export const guardOf = ({ out_sub_mch_id, out_trade_no, version }: Order): Guard => ({
  out_sub_mch_id,
  out_trade_no,
  version,
})

type Set = Omit<Change, 'due_in_ms'> & { updated_at: number; version: number; purged_at: null }

/** The names of a change decide the text, and so does whether it says when to look again: they are its shape. */
const updateRow = statement<Guard & Pick<Order, 'state'> & { set: Set; due_ms: number }, string>(
  (db, given, store, shape) => {
    const [due, ...names] = shape.split(' ')
    return db
      .updateTable('orders')
      .set({
        ...parametersOf('set', names),
        ...(due === 'never' ? { next_due_at_ms: null } : {}),
        ...(due === 'due' ? { next_due_at_ms: nowPlus(store, given.due_ms) } : {}),
      })
      .where('out_sub_mch_id', '=', given.out_sub_mch_id)
      .where('out_trade_no', '=', given.out_trade_no)
      .where('version', '=', given.version)
      .where('state', '=', given.state)
  },
)

export type MoveEvent = { at: number; kind: EventKind; detail: EventDetail; note?: string | null }

/**
 * The one way an order changes what it says: guarded by the version and state it was decided on, with the event that
 * tells of it, and with what goes beside it. That the state is part of the guard repeats the decision where it is
 * carried out. On `done` the caller may go on with `moved(order, change)`: that is the row as committed.
 * `taken`: another order has this purchase.
 */
export async function moveOrder(
  store: Store,
  order: Order,
  change: Change,
  event: MoveEvent,
  beside: Beside = {},
): Promise<Outcome | 'taken'> {
  let taken = false
  const outcome = await write(store, (say) =>
    sayMove(store, say, order, change, event, beside, () => (taken = true)),
  )
  return taken ? 'taken' : outcome
}

/** A move, inside a transaction that does more. */
export async function sayMove(
  store: Store,
  say: Say,
  order: Order,
  change: Change,
  event: MoveEvent,
  beside: Beside = {},
  taken: () => void = () => undefined,
): Promise<void> {
  const { due_in_ms, ...rest } = change
  const to = change.state ?? order.state
  if (!isLegalMove(order.state, to, order.trade_type)) throw new IllegalMove(order.state, to)
  const seq = order.version + 1
  // What comes with a move (a message, a refund's text) is kept as long as any other.
  const set = { ...rest, updated_at: event.at, version: seq, purged_at: null }
  const due = due_in_ms === undefined ? 'as_it_is' : due_in_ms === null ? 'never' : 'due'
  const values = { ...guardOf(order), state: order.state, set, due_ms: Math.round(due_in_ms ?? 0) }
  const row = updateRow(store, values, [due, ...Object.keys(set)].join(' '))
  await one(unlessTaken(store, say(row), taken))
  await say(eventRow(store, order, seq, { ...event, from: order.state, to }))
  await sayBeside(store, say, order.out_sub_mch_id, event.at, beside)
}

/** The row as a move leaves it, but for the time of its next look, which the database's clock set. */
export function moved<O extends Order>(order: O, { due_in_ms: _, ...change }: Change): O {
  return { ...order, ...change, version: order.version + 1, purged_at: null }
}

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
  return writeOne(store, takeRow(store, { ...guardOf(order), holder, lease_ms: Math.round(leaseMs) }))
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
  return writeOne(store, countRow(store, { ...guardOf(order), ...lease }))
}

const claimRow = statement<OrderKey & { minus_ms: number }>((db, given, store) =>
  db
    .updateTable('orders')
    .set({ looked_at_ms: databaseNowMs(store.dialect) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('looked_at_ms', '<=', nowPlus(store, given.minus_ms)),
)

/** How often may be looked: by this payer, and at this sub-merchant's orders by anybody. */
export type LookLimits = { payer: Limit | undefined; merchant: Limit; nowMs: number }

/**
 * Says "I ask upstream about this order now", unless somebody did within the last `intervalMs`: of a stampede one
 * gets `done`. `over`: the limits leave no room, and nothing is claimed. Not a change of the order, so its version stays.
 */
export async function claimLook(
  store: Store,
  key: OrderKey,
  intervalMs: number,
  limits: LookLimits,
): Promise<Outcome | 'over'> {
  const { out_sub_mch_id, out_trade_no } = key
  const { payer, merchant, nowMs } = limits
  let over = false
  const refuse = () => void (over = true)
  const outcome = await write(store, async (say) => {
    await one(say(claimRow(store, { out_sub_mch_id, out_trade_no, minus_ms: -intervalMs })))
    if (payer) await sayCountBoth(store, say, [payer, merchant], nowMs, refuse)
    else await sayCount(store, say, merchant, nowMs, refuse)
  })
  return over ? 'over' : outcome
}

const holdRow = statement<OrderKey & { for_ms: number }>((db, given, store) =>
  db
    .updateTable('orders')
    .set({ looked_at_ms: nowPlus(store, given.for_ms) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no),
)

/** No claim of a look is good for so long, whatever its interval. */
export const holdLooks = (
  store: Store,
  { out_sub_mch_id, out_trade_no }: OrderKey,
  forMs: number,
): Promise<Outcome> => writeOne(store, holdRow(store, { out_sub_mch_id, out_trade_no, for_ms: forMs }))

const postponeRow = statement<OrderKey & { seen: number; due_ms: number; looks: number; fruitless: number }>(
  (db, given, store) =>
    db
      .updateTable('orders')
      .set({
        next_due_at_ms: nowPlus(store, given.due_ms),
        seen: 1,
        looks: given.looks,
        fruitless: given.fruitless,
      })
      .where('out_sub_mch_id', '=', given.out_sub_mch_id)
      .where('out_trade_no', '=', given.out_trade_no)
      .where('next_due_at_ms', '=', given.seen),
)

const dropRow = statement<OrderKey & { seen: number }>((db, given) =>
  db
    .updateTable('orders')
    .set({ next_due_at_ms: null })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('next_due_at_ms', '=', given.seen),
)

/**
 * When to look next, or never. Nothing happens (`lost`) if somebody set another time since the order was read: a
 * notification that makes it due now is not overruled.
 */
export async function scheduleOrder(
  store: Store,
  { out_sub_mch_id, out_trade_no, next_due_at_ms: seen }: Order,
  next: { inMs: number; looks: number; fruitless: number } | null,
): Promise<Outcome> {
  if (seen === null) return 'lost'
  const key = { out_sub_mch_id, out_trade_no, seen }
  if (next === null) return writeOne(store, dropRow(store, key))
  const { inMs, looks, fruitless } = next
  return writeOne(store, postponeRow(store, { ...key, due_ms: Math.round(inMs), looks, fruitless }))
}

// ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

type NewEvent = MoveEvent & { from: OrderState | null; to: OrderState }

const insertEvent = statement<
  OrderKey & { seq: number } & Omit<NewEvent, 'detail' | 'note'> & { detail: string; note: string | null }
>((db, given) =>
  db.insertInto('order_events').values({
    out_sub_mch_id: given.out_sub_mch_id,
    out_trade_no: given.out_trade_no,
    seq: given.seq,
    at: given.at,
    kind: given.kind,
    from_state: given.from,
    to_state: given.to,
    detail: given.detail,
    note: given.note,
  }),
)

const eventRow = (store: Store, key: OrderKey, seq: number, event: NewEvent): CompiledQuery =>
  insertEvent(store, {
    out_sub_mch_id: key.out_sub_mch_id,
    out_trade_no: key.out_trade_no,
    seq,
    ...event,
    detail: JSON.stringify(event.detail),
    note: event.note ?? null,
  })
