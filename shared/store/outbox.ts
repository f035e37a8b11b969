import type { Selectable } from 'kysely'
import { MESSAGE_TYPES, SHIPPING, type Message, type OutboxKind } from '../order/message'
import type { NewAnomaly } from '../order/anomaly'
import { sayBeside } from './beside'
import { databaseNowOnce, isDueOf } from './dialect'
import type { Store } from './open'
import type { OrderKey } from './orders'
import { allOf, statement } from './statements'
import { BIG, type OutboxTable } from './tables'
import { nowPlus, numbers, one, read, write, writeOne, type Outcome } from './transaction'

/** Where messages wait. They are written beside the moves they tell of (see beside.ts). */
export type DueMessage = Message & { next_due_at_ms: number }

/**
 * One index range for each type, each cut off by its own limit: what is due for the one consumer, or for a newer version, is
 * not read to find what is due for the other.
 */
const selectDue = statement<{ limit: number }, 'merchant' | 'shipping'>((db, given, store, consumer) => {
  const dueOf = (type: OutboxKind) =>
    db
      .selectFrom('outbox')
      .selectAll()
      .where(isDueOf(store.dialect, type))
      .orderBy('type')
      .orderBy('next_due_at_ms')
      .limit(given.limit)
  if (consumer === 'shipping') return dueOf(SHIPPING)
  return db
    .selectFrom(allOf(MESSAGE_TYPES.map(dueOf)).as('due'))
    .selectAll()
    .orderBy('next_due_at_ms')
    .limit(given.limit)
})

/** For the merchant. */
export async function listDueMessages(store: Store, limit: number): Promise<DueMessage[]> {
  const rows = await read<Selectable<OutboxTable>>(store, selectDue(store, { limit }, 'merchant'))
  return rows.map((row) => numbers<DueMessage>(row, BIG.outbox))
}

const selectDueAlarms = statement<object>((db, _, store) =>
  db
    .selectFrom('outbox')
    .selectAll()
    .where('out_sub_mch_id', '=', '')
    .where('out_trade_no', '=', '')
    .where('type', '=', 'anomaly')
    .where('next_due_at_ms', '<=', databaseNowOnce(store.dialect))
    // By the index of what belongs to one order: sorted, a long backlog would be read by when it is due.
    .limit(ALARMS_MAX),
)
/** Far more than there are kinds of anomalies about no single order. */
const ALARMS_MAX = 50

/** One that is due and tells of an anomaly of this kind, about the deployment as a whole. */
export async function findDueAlarm(store: Store, kind: NewAnomaly['kind']): Promise<DueMessage | undefined> {
  const rows = await read<Selectable<OutboxTable>>(store, selectDueAlarms(store, {}))
  const row = rows.find(({ payload }) => (JSON.parse(payload) as { data: NewAnomaly }).data.kind === kind)
  return row && numbers<DueMessage>(row, BIG.outbox)
}

export type DueShipping = Omit<DueMessage, 'type'>

/** For WeChat; `payload` is a ShippingTask. */
export async function listDueShipping(store: Store, limit: number): Promise<DueShipping[]> {
  const rows = await read<Selectable<OutboxTable>>(store, selectDue(store, { limit }, 'shipping'))
  return rows.map((row) => numbers<DueShipping>(row, BIG.outbox))
}

type Seen = { id: string; seen: number }
const seenOf = ({ id, next_due_at_ms: seen }: DueShipping): Seen => ({ id, seen })

const claimRow = statement<Seen & { lease_ms: number }>((db, given, store) =>
  db
    .updateTable('outbox')
    .set((eb) => ({ next_due_at_ms: nowPlus(store, given.lease_ms), attempts: eb('attempts', '+', 1) }))
    .where('id', '=', given.id)
    .where('next_due_at_ms', '=', given.seen),
)

/** Counts an attempt and takes the message for so long: nobody else sends it in the meantime. */
export const claimMessage = (store: Store, message: DueShipping, leaseMs: number): Promise<Outcome> =>
  writeOne(store, claimRow(store, { ...seenOf(message), lease_ms: Math.round(leaseMs) }))

const deliveredRow = statement<{ id: string; attempts: number; at: number }>((db, given) =>
  db
    .updateTable('outbox')
    .set({ next_due_at_ms: null, delivered_at: given.at, last_error: null })
    .where('id', '=', given.id)
    .where('attempts', '=', given.attempts),
)

/** `attempts` as counted by the claim: who has been overtaken writes nothing. */
export const markDelivered = (store: Store, id: string, attempts: number, at: number): Promise<Outcome> =>
  writeOne(store, deliveredRow(store, { id, attempts, at }))

const shippedRow = statement<OrderKey & { at: number }>((db, given) =>
  db
    .updateTable('orders')
    .set({ shipped_at: given.at })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no),
)

/** As `markDelivered`, and the order says so. Not a change of what the order is, so its version stays. */
export const markShipped = (
  store: Store,
  message: DueShipping,
  attempts: number,
  at: number,
): Promise<Outcome> => {
  const { id, out_sub_mch_id, out_trade_no } = message
  return write(store, async (say) => {
    await one(say(deliveredRow(store, { id, attempts, at })))
    await say(shippedRow(store, { out_sub_mch_id, out_trade_no, at }))
  })
}

const retryRow = statement<
  { id: string; attempts: number; error: string; due_ms: number },
  'again' | 'never'
>((db, given, store, when) =>
  db
    .updateTable('outbox')
    .set({
      next_due_at_ms: when === 'again' ? nowPlus(store, given.due_ms) : null,
      last_error: given.error,
    })
    .where('id', '=', given.id)
    .where('attempts', '=', given.attempts),
)

export const retryMessage = (
  store: Store,
  id: string,
  attempts: number,
  error: string,
  inMs: number,
): Promise<Outcome> =>
  writeOne(store, retryRow(store, { id, attempts, error, due_ms: Math.round(inMs) }, 'again'))

/** There is nothing left to tell: the row ends undelivered, with the reason. */
export const dropMessage = (store: Store, id: string, attempts: number, why: string): Promise<Outcome> =>
  writeOne(store, retryRow(store, { id, attempts, error: why, due_ms: 0 }, 'never'))

/** Given up, and a person is told in the same transaction. */
export const giveUpMessage = (
  store: Store,
  id: string,
  attempts: number,
  error: string,
  at: number,
  anomaly: NewAnomaly,
): Promise<Outcome> =>
  write(store, async (say) => {
    await one(say(retryRow(store, { id, attempts, error, due_ms: 0 }, 'never')))
    await sayBeside(store, say, anomaly.out_sub_mch_id, at, { anomalies: [anomaly] })
  })
