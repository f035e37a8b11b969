import { sql } from 'kysely'
import type { Order } from '../order/order'
import { REFUND_STATES, type Refund, type RefundState } from '../order/refund'
import { ORDER_STATES, type OrderState } from '../order/state'
import { databaseNow } from './counters'
import { databaseNowOnce, firstsOf } from './dialect'
import type { Store } from './open'
import { allOf, statement } from './statements'
import { nowPlus, numbers, read, writeOne, type Outcome } from './transaction'

/**
 * What the timer should look after. Taking is pushing out: the time of the next look moves ahead, in a commit of its
 * own, before anything is asked. Who runs at the same time finds it not due; who dies leaves it due again by itself.
 */
export type DueOrder = Pick<Order, 'out_sub_mch_id' | 'out_trade_no' | 'looks'> & { next_due_at_ms: number }
export type DueRefund = Pick<Refund, 'out_sub_mch_id' | 'out_refund_no' | 'out_trade_no'> & {
  next_due_at_ms: number
}

type Page = { out_sub_mch_id: string; limit: number }

/**
 * `new`: not looked at since there was news of it, the newest first. `late`: the longest overdue first, whatever it is.
 */
export type Lane = 'new' | 'late'

const SEEN = { new: [0], late: [0, 1] } as const

/**
 * One index range for each state and each value of `seen`, each cut off by its own limit: however many rows are due, no
 * more than `limit` of each range are read. A state of a newer version is in none of the ranges.
 */
const selectOrders = statement<Page, Lane>((db, given, store, lane) => {
  const order = lane === 'new' ? 'desc' : 'asc'
  const ranges = ORDER_STATES.flatMap((state) =>
    SEEN[lane].map((seen) =>
      db
        .selectFrom('orders')
        .select(['out_sub_mch_id', 'out_trade_no', 'looks', 'next_due_at_ms'])
        .where('out_sub_mch_id', '=', given.out_sub_mch_id)
        .where('state', '=', state)
        .where('seen', '=', seen)
        .where('next_due_at_ms', '<=', databaseNowOnce(store.dialect))
        .orderBy('next_due_at_ms', order)
        .limit(given.limit),
    ),
  )
  return db
    .selectFrom(allOf(ranges).as('due'))
    .selectAll()
    .orderBy('next_due_at_ms', order)
    .limit(given.limit)
})

export async function listDueOrders(store: Store, page: Page, lane: Lane): Promise<DueOrder[]> {
  return (await read<object>(store, selectOrders(store, page, lane))).map((row) =>
    numbers<DueOrder>(row, ['next_due_at_ms']),
  )
}

const selectRefunds = statement<Page>((db, given, store) => {
  const ranges = REFUND_STATES.map((state) =>
    db
      .selectFrom('refunds')
      .select(['out_sub_mch_id', 'out_refund_no', 'out_trade_no', 'next_due_at_ms'])
      .where('out_sub_mch_id', '=', given.out_sub_mch_id)
      .where('state', '=', state)
      .where('next_due_at_ms', '<=', databaseNowOnce(store.dialect))
      .orderBy('next_due_at_ms')
      .limit(given.limit),
  )
  return db.selectFrom(allOf(ranges).as('due')).selectAll().orderBy('next_due_at_ms').limit(given.limit)
})

export async function listDueRefunds(store: Store, page: Page): Promise<DueRefund[]> {
  return (await read<object>(store, selectRefunds(store, page))).map((row) =>
    numbers<DueRefund>(row, ['next_due_at_ms']),
  )
}

// ── who has work ───────────────────────────────────────────────────────────────────────────────────────────────

/** Rows of one sub-merchant in one state that are due, and since when the oldest of them is. */
export type Work = { of: 'orders' | 'refunds'; out_sub_mch_id: string; state: string; oldest_ms: number }

const selectWork = statement<object, Work['of']>((db, _, store, table) =>
  db.selectFrom(firstsOf(store.dialect, table).as('work')).select(['out_sub_mch_id', 'state', 'oldest_ms']),
)

/** Whose work there is, in one statement for each table. It reads one row for each group of rows and not the rows. */
export async function listWork(store: Store): Promise<{ work: Work[]; nowMs: number }> {
  const nowMs = await databaseNow(store)
  const work: Work[] = []
  for (const table of ['orders', 'refunds'] as const) {
    const rows = await read<Omit<Work, 'of'>>(store, selectWork(store, {}, table))
    work.push(...rows.map((row) => ({ of: table, ...numbers<Omit<Work, 'of'>>(row, ['oldest_ms']) })))
  }
  return { work: work.filter(({ oldest_ms }) => oldest_ms <= nowMs), nowMs }
}

const claimOrderRow = statement<DueOrder & { lease_ms: number }>((db, given, store) =>
  db
    .updateTable('orders')
    .set({ next_due_at_ms: nowPlus(store, given.lease_ms) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('next_due_at_ms', '=', given.next_due_at_ms),
)

/** `done`: this run looks after it. Guarded by the time it was due, which the first one to take it changes. */
export const claimDueOrder = (store: Store, due: DueOrder, leaseMs: number): Promise<Outcome> =>
  writeOne(store, claimOrderRow(store, { ...due, lease_ms: Math.round(leaseMs) }))

const claimRefundRow = statement<DueRefund & { lease_ms: number }>((db, given, store) =>
  db
    .updateTable('refunds')
    .set({ next_due_at_ms: nowPlus(store, given.lease_ms) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_refund_no', '=', given.out_refund_no)
    .where('next_due_at_ms', '=', given.next_due_at_ms),
)

export const claimDueRefund = (store: Store, due: DueRefund, leaseMs: number): Promise<Outcome> =>
  writeOne(store, claimRefundRow(store, { ...due, lease_ms: Math.round(leaseMs) }))

/** What waits for a newer version. `out_refund_no`: it is a refund of the order that does. */
export type UnknownState = Pick<Order, 'out_sub_mch_id' | 'out_trade_no'> & {
  state: string
  out_refund_no?: string
}

const nobodyTold = sql<boolean>`not exists (
  select id from anomalies
  where anomalies.out_sub_mch_id = due.out_sub_mch_id
    and anomalies.out_trade_no = due.out_trade_no
    and kind = 'state_unknown' and resolved_at is null)`

/** `state` is typed as one of ours because the column is. */
const selectUnknown = statement<Page & { state: OrderState & RefundState }, Work['of']>(
  (db, given, store, table) =>
    db
      .selectFrom(
        db
          .selectFrom(table)
          .select(['out_sub_mch_id', 'out_trade_no', 'state'])
          .select(table === 'refunds' ? 'out_refund_no' : sql<string>`''`.as('out_refund_no'))
          .where('out_sub_mch_id', '=', given.out_sub_mch_id)
          .where('state', '=', given.state)
          .where('next_due_at_ms', '<=', databaseNowOnce(store.dialect))
          .limit(given.limit)
          .as('due'),
      )
      .selectAll()
      .where(nobodyTold),
)

/**
 * The first of those that are due in a state this version does not know, as far as nobody has been told yet. They are listed
 * for that alone: taking one would already change when the version that knows it looks again.
 */
export async function listUnknownStates(
  store: Store,
  { of, ...page }: Page & Pick<Work, 'of' | 'state'>,
): Promise<UnknownState[]> {
  const values = { ...page, state: page.state as OrderState & RefundState }
  const rows = await read<UnknownState>(store, selectUnknown(store, values, of))
  return rows.map(({ out_refund_no, ...row }) => (out_refund_no ? { ...row, out_refund_no } : row))
}
