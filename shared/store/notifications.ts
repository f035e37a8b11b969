import type { NewAnomaly } from '../order/anomaly'
import { REFUND_STATES } from '../order/refund'
import { canStillChange, ORDER_STATES } from '../order/state'
import { sayBeside } from './beside'
import type { Store } from './open'
import type { OrderKey } from './orders'
import { statement } from './statements'
import { nowPlus, read, unlessTaken, write, writeOne, type Outcome } from './transaction'

/** The inbox: every verified notification once, before it is acknowledged. */
export type NewNotification = {
  out_sub_mch_id: string
  id: string
  out_trade_no: string
  received_at: number
  orphan: boolean
  /** What there is to look at; left out, the order. */
  about?: 'order' | 'refund'
  claims: Record<string, string | number | null>
}

const insertRow = statement<
  Omit<NewNotification, 'orphan' | 'claims' | 'about'> & { orphan: number; claims: string }
>((db, given) =>
  db.insertInto('notifications').values({
    out_sub_mch_id: given.out_sub_mch_id,
    id: given.id,
    out_trade_no: given.out_trade_no,
    received_at: given.received_at,
    orphan: given.orphan,
    claims: given.claims,
  }),
)

const hintRow = statement<OrderKey>((db, given, store) =>
  db
    .updateTable('orders')
    .set({ next_due_at_ms: nowPlus(store, 0), seen: 0 })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('state', 'in', ORDER_STATES.filter(canStillChange)),
)

/** Refunds of it that we wait for, and its list of refunds, are due now. */
const refundsRow = statement<OrderKey>((db, given, store) =>
  db
    .updateTable('refunds')
    .set({ next_due_at_ms: nowPlus(store, 0) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('next_due_at_ms', 'is not', null)
    .where('state', 'in', REFUND_STATES),
)

const paidRow = statement<OrderKey>((db, given, store) =>
  db
    .updateTable('orders')
    .set({ next_due_at_ms: nowPlus(store, 0) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('state', 'in', ['paid', 'paid_after_close']),
)

const noticedRow = statement<OrderKey>((db, given, store) =>
  db
    .updateTable('orders')
    .set({ notified_at_ms: nowPlus(store, 0) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('notified_at_ms', 'is', null)
    .where('state', 'in', ORDER_STATES),
)

/**
 * Keeps a notification and, in the same transaction, makes its order due now. `known`: this very text is kept already,
 * and so is everything that came of it.
 */
export async function insertNotification(
  store: Store,
  notification: NewNotification,
  anomalies: NewAnomaly[] = [],
): Promise<Outcome | 'known'> {
  let known = false
  const { claims, orphan, received_at, about } = notification
  const outcome = await write(store, async (say) => {
    const row = insertRow(store, { ...notification, claims: JSON.stringify(claims), orphan: orphan ? 1 : 0 })
    await unlessTaken(store, say(row), () => (known = true))
    if (!orphan && about === 'refund') {
      await say(refundsRow(store, notification))
      await say(paidRow(store, notification))
    } else if (!orphan) {
      await say(hintRow(store, notification))
      await say(noticedRow(store, notification))
    }
    await sayBeside(store, say, notification.out_sub_mch_id, received_at, { anomalies })
  })
  return known ? 'known' : outcome
}

const selectOrphans = statement<{ limit: number }>((db, given) =>
  db
    .selectFrom(
      db
        .selectFrom('notifications')
        .select(['out_sub_mch_id', 'id', 'out_trade_no'])
        .where('orphan', '=', 1)
        .orderBy('received_at', 'desc')
        .limit(given.limit)
        .as('orphans'),
    )
    .innerJoin('orders', (join) =>
      join
        .onRef('orders.out_sub_mch_id', '=', 'orphans.out_sub_mch_id')
        .onRef('orders.out_trade_no', '=', 'orphans.out_trade_no'),
    )
    .select(['orphans.out_sub_mch_id', 'orphans.id', 'orphans.out_trade_no']),
)

export type Orphan = OrderKey & { id: string }

/**
 * Of the newest notifications that came without an order, those that have one now. Not of all: an order is written before
 * it is asked for, so one that is missing comes soon (a server that took over had not heard of it), or never.
 */
export const listAdoptable = (store: Store, limit: number): Promise<Orphan[]> =>
  read<Orphan>(store, selectOrphans(store, { limit }))

const adoptRow = statement<Orphan>((db, given) =>
  db
    .updateTable('notifications')
    .set({ orphan: 0 })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('id', '=', given.id)
    .where('orphan', '=', 1),
)

/** Its order has appeared: the order is due now, as if the notification had come just then. */
export const adoptOrphan = (store: Store, orphan: Orphan): Promise<Outcome> =>
  write(store, async (say) => {
    await say(adoptRow(store, orphan))
    await say(hintRow(store, orphan))
    await say(noticedRow(store, orphan))
  })

/** Makes an order due now. */
export const hintOrder = (store: Store, { out_sub_mch_id, out_trade_no }: OrderKey): Promise<Outcome> =>
  writeOne(store, hintRow(store, { out_sub_mch_id, out_trade_no }))
