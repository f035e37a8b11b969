import { sql } from 'kysely'
import type { Order } from '../order/order'
import { REFUND_STATES, type Refund } from '../order/refund'
import { ORDER_STATES } from '../order/state'
import { databaseNowMs } from './dialect'
import type { Store } from './open'
import { statement } from './statements'
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

/** `new`: never looked at, or Cloud Pay told us of it; the newest first. `late`: the longest overdue first, whatever it is. */
export type Lane = 'new' | 'late'

const selectOrders = statement<Page, Lane>((db, given, store, lane) => {
  const due = db
    .selectFrom('orders')
    .select(['out_sub_mch_id', 'out_trade_no', 'looks', 'next_due_at_ms'])
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('next_due_at_ms', '<=', databaseNowMs(store.dialect))
    .where('state', 'in', ORDER_STATES)
    .limit(given.limit)
  return lane === 'new'
    ? due
        .where('fruitless', '=', 0)
        .where(({ or, eb }) => or([eb('looks', '=', 0), eb('notified_at_ms', 'is not', null)]))
        .orderBy('next_due_at_ms', 'desc')
    : due.orderBy('next_due_at_ms')
})

export async function listDueOrders(store: Store, page: Page, lane: Lane): Promise<DueOrder[]> {
  return (await read<object>(store, selectOrders(store, page, lane))).map((row) =>
    numbers<DueOrder>(row, ['next_due_at_ms']),
  )
}

const selectRefunds = statement<Page>((db, given, store) =>
  db
    .selectFrom('refunds')
    .select(['out_sub_mch_id', 'out_refund_no', 'out_trade_no', 'next_due_at_ms'])
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('next_due_at_ms', '<=', databaseNowMs(store.dialect))
    .where('state', 'in', REFUND_STATES)
    .orderBy('next_due_at_ms')
    .limit(given.limit),
)

export async function listDueRefunds(store: Store, page: Page): Promise<DueRefund[]> {
  return (await read<object>(store, selectRefunds(store, page))).map((row) =>
    numbers<DueRefund>(row, ['next_due_at_ms']),
  )
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

const nobodyTold = (table: 'orders' | 'refunds') => sql<boolean>`not exists (
  select id from anomalies
  where anomalies.out_sub_mch_id = ${sql.ref(`${table}.out_sub_mch_id`)}
    and anomalies.out_trade_no = ${sql.ref(`${table}.out_trade_no`)}
    and kind = 'state_unknown' and resolved_at is null)`

const selectUnknownOrders = statement<Page>((db, given, store) =>
  db
    .selectFrom('orders')
    .select(['out_sub_mch_id', 'out_trade_no', 'state'])
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('next_due_at_ms', '<=', databaseNowMs(store.dialect))
    .where('state', 'not in', ORDER_STATES)
    .where(nobodyTold('orders'))
    .limit(given.limit),
)

const selectUnknownRefunds = statement<Page>((db, given, store) =>
  db
    .selectFrom('refunds')
    .select(['out_sub_mch_id', 'out_trade_no', 'out_refund_no', 'state'])
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('next_due_at_ms', '<=', databaseNowMs(store.dialect))
    .where('state', 'not in', REFUND_STATES)
    .where(nobodyTold('refunds'))
    .limit(given.limit),
)

/**
 * Due, in a state this version does not know, and nobody has been told yet. They are listed for that alone: taking one
 * would already change when the version that knows it looks again.
 */
export async function listUnknownStates(store: Store, page: Page): Promise<UnknownState[]> {
  const orders = await read<UnknownState>(store, selectUnknownOrders(store, page))
  const refunds = await read<UnknownState>(store, selectUnknownRefunds(store, page))
  return [...orders, ...refunds]
}
