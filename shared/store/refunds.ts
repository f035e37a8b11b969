import type { Selectable } from 'kysely'
import type { Order } from '../order/order'
import { isKnownRefundState, type Refund, type UNSENT } from '../order/refund'
import { IllegalMove } from '../order/state'
import type { Beside } from './beside'
import { sayUse, type Limit } from './counters'
import { databaseNowMs } from './dialect'
import type { Store } from './open'
import { guardOf, sayMove, type Change, type MoveEvent, type OrderKey } from './orders'
import { parametersOf, statement } from './statements'
import { BIG, type RefundsTable } from './tables'
import { nowPlus, numbers, one, read, unlessTaken, write, writeOne, type Outcome } from './transaction'

/**
 * Where refunds are kept. A refund changes together with its order: every write moves the order's version too, so all
 * that touches an order's money passes through one row.
 */
export type RefundKey = Pick<Refund, 'out_sub_mch_id' | 'out_refund_no'>

const toRefund = (row: Selectable<RefundsTable>): Refund => numbers<Refund>(row, BIG.refunds)

const findByNumber = statement<RefundKey>((db, given) =>
  db
    .selectFrom('refunds')
    .selectAll()
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_refund_no', '=', given.out_refund_no),
)

export async function findRefund(store: Store, key: RefundKey): Promise<Refund | undefined> {
  return (await read<Selectable<RefundsTable>>(store, findByNumber(store, key))).map(toRefund)[0]
}

const findByOrder = statement<OrderKey>((db, given) =>
  db
    .selectFrom('refunds')
    .selectAll()
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .orderBy('created_at')
    .orderBy('out_refund_no'),
)

export async function listRefunds(store: Store, key: OrderKey): Promise<Refund[]> {
  return (await read<Selectable<RefundsTable>>(store, findByOrder(store, key))).map(toRefund)
}

type Window = { out_sub_mch_id: string; from: number; to: number; after: string; limit: number }

const findSucceeded = statement<Window>((db, given) =>
  db
    .selectFrom('refunds')
    .selectAll()
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('state', '=', 'succeeded')
    .where('created_at', '>=', given.from)
    .where('created_at', '<', given.to)
    .where(({ or, eb }) => or([eb('created_at', '>', given.from), eb('out_refund_no', '>', given.after)]))
    .orderBy('created_at')
    .orderBy('out_refund_no')
    .limit(given.limit),
)

/** Succeeded, made from `from` up to `to` (epoch seconds); pages as of `listOrdersIn`, by refund number. */
export async function listSucceededRefunds(store: Store, window: Window): Promise<Refund[]> {
  return (await read<Selectable<RefundsTable>>(store, findSucceeded(store, window))).map(toRefund)
}

export type NewRefund = Omit<Refund, 'next_due_at_ms' | keyof typeof UNSENT>

const REFUND_COLUMNS = Object.keys({
  out_sub_mch_id: true,
  out_refund_no: true,
  out_trade_no: true,
  refund_fee: true,
  origin: true,
  reason: true,
  caller: true,
  request_content: true,
  state: true,
  version: true,
  created_at: true,
  updated_at: true,
  sends: true,
  looks: true,
  refund_id: true,
  wallet_state: true,
} satisfies Record<keyof NewRefund, true>) as (keyof NewRefund)[]

const insertRow = statement<NewRefund & { due_ms: number }, 'due' | 'never'>((db, given, store, due) =>
  db.insertInto('refunds').values({
    ...(Object.fromEntries(REFUND_COLUMNS.map((name) => [name, given[name]])) as NewRefund),
    next_due_at_ms: due === 'due' ? nowPlus(store, given.due_ms) : null,
  }),
)

const reserveRow = statement<OrderKey & Pick<Order, 'version'> & { fee: number }>((db, given) =>
  db
    .updateTable('orders')
    .set((eb) => ({ reserved_fen: eb('reserved_fen', '+', given.fee) }))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('version', '=', given.version)
    .where((eb) => eb(eb('reserved_fen', '+', given.fee), '<=', eb.ref('total_fee'))),
)

/** Of the refunds' amounts, or with `count` of how many there are. */
export type RefundLimit = Limit & { count?: 1 }

/**
 * A new refund and its promise on the order: the amount is reserved by one guarded UPDATE, so that whatever else runs,
 * the promises never add up to more than was paid. `taken`: the number is known. `over`: a limit would be passed.
 */
export async function insertRefund(
  store: Store,
  order: Order,
  refund: NewRefund,
  dueInMs: number | null,
  event: MoveEvent,
  limits: readonly RefundLimit[],
  beside: Beside = {},
): Promise<Outcome | 'taken' | 'over'> {
  let why: 'taken' | 'over' | undefined
  const outcome = await write(store, async (say) => {
    await one(say(reserveRow(store, { ...guardOf(order), fee: refund.refund_fee })))
    const row = insertRow(store, { ...refund, due_ms: dueInMs ?? 0 }, dueInMs === null ? 'never' : 'due')
    await unlessTaken(store, say(row), () => (why = 'taken'))
    for (const { count, ...limit } of limits)
      await sayUse(store, say, limit, count ?? refund.refund_fee, () => (why = 'over'))
    await sayMove(store, say, order, {}, event, beside)
  })
  return why ?? outcome
}

export type RefundChange = Partial<
  Pick<
    Refund,
    | 'state'
    | 'refund_id'
    | 'wallet_state'
    | 'looks'
    | 'refused'
    | 'missing_at_ms'
    | 'affirmed_at'
    | 'ended_by'
  >
> & {
  due_in_ms?: number | null
}
type RefundGuard = RefundKey & Pick<Refund, 'version' | 'state'>
type RefundSet = Omit<RefundChange, 'due_in_ms'> & { updated_at: number; version: number }

const updateRow = statement<RefundGuard & { set: RefundSet; due_ms: number }, string>(
  (db, given, store, shape) => {
    const [due, ...names] = shape.split(' ')
    return db
      .updateTable('refunds')
      .set({
        ...parametersOf('set', names),
        ...(due === 'never' ? { next_due_at_ms: null } : {}),
        ...(due === 'due' ? { next_due_at_ms: nowPlus(store, given.due_ms) } : {}),
      })
      .where('out_sub_mch_id', '=', given.out_sub_mch_id)
      .where('out_refund_no', '=', given.out_refund_no)
      .where('version', '=', given.version)
      .where('state', '=', given.state)
  },
)

/** Moves a refund and its order in one step, each guarded by what it was decided on. */
export async function moveRefund(
  store: Store,
  order: Order,
  refund: Refund,
  change: { refund: RefundChange; order: Change },
  event: MoveEvent,
  beside: Beside = {},
): Promise<Outcome> {
  const { due_in_ms, ...rest } = change.refund
  if (!isKnownRefundState(refund.state)) {
    throw new IllegalMove(refund.state, rest.state ?? refund.state, 'refund')
  }
  const set = { ...rest, updated_at: event.at, version: refund.version + 1 }
  const due = due_in_ms === undefined ? 'as_it_is' : due_in_ms === null ? 'never' : 'due'
  const { out_sub_mch_id, out_refund_no, version, state } = refund
  const values = { out_sub_mch_id, out_refund_no, version, state, set, due_ms: Math.round(due_in_ms ?? 0) }
  return write(store, async (say) => {
    await one(say(updateRow(store, values, [due, ...Object.keys(set)].join(' '))))
    await sayMove(store, say, order, change.order, event, beside)
  })
}

const countRow = statement<RefundGuard>((db, given, store) =>
  db
    .updateTable('refunds')
    .set((eb) => ({
      sends: eb('sends', '+', 1),
      version: eb('version', '+', 1),
      sent_at_ms: databaseNowMs(store.dialect),
    }))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_refund_no', '=', given.out_refund_no)
    .where('version', '=', given.version)
    .where('state', '=', given.state),
)

/** Counts a transmission before it leaves. */
export async function countRefundSend(store: Store, refund: Refund): Promise<Outcome> {
  const { out_sub_mch_id, out_refund_no, version, state } = refund
  return writeOne(store, countRow(store, { out_sub_mch_id, out_refund_no, version, state }))
}

const affirmRow = statement<RefundKey & { at: number }>((db, given) =>
  db
    .updateTable('refunds')
    .set({ affirmed_at: given.at })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_refund_no', '=', given.out_refund_no),
)

/** A signed answer says that it is under way, as is known already: not a change, so its version stays. */
export const affirmRefund = (
  store: Store,
  { out_sub_mch_id, out_refund_no }: RefundKey,
  at: number,
): Promise<Outcome> => writeOne(store, affirmRow(store, { out_sub_mch_id, out_refund_no, at }))

const postponeRow = statement<RefundKey & { seen: number; due_ms: number }>((db, given, store) =>
  db
    .updateTable('refunds')
    .set((eb) => ({ next_due_at_ms: nowPlus(store, given.due_ms), looks: eb('looks', '+', 1) }))
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_refund_no', '=', given.out_refund_no)
    .where('next_due_at_ms', '=', given.seen),
)

/** As `scheduleOrder`. */
export async function scheduleRefund(
  store: Store,
  { out_sub_mch_id, out_refund_no, next_due_at_ms: seen }: Refund,
  inMs: number,
): Promise<Outcome> {
  if (seen === null) return 'lost'
  return writeOne(
    store,
    postponeRow(store, { out_sub_mch_id, out_refund_no, seen, due_ms: Math.round(inMs) }),
  )
}
