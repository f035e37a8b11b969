import { databaseNowOnce, firstRows, goingBy } from './dialect'
import type { Store } from './open'
import { deletion, statement, textOf } from './statements'
import { sql, type CompiledQuery } from 'kysely'
import {
  insertOne,
  nowPlus,
  numbers,
  one,
  read,
  unlessTaken,
  write,
  writeOne,
  writeUpTo,
  type Outcome,
} from './transaction'

/**
 * What of the bill is still to be compared, one row for each window: a row goes when its window has been compared, and for
 * no other reason. Times in epoch seconds, the end not included; when it is due by the database's clock.
 */
export type BillWindow = {
  out_sub_mch_id: string
  from_at: number
  to_at: number
  /** Answers that could not be read to their end. */
  tries: number
  next_due_at_ms: number
}

type Key = Pick<BillWindow, 'out_sub_mch_id' | 'from_at'>
const BIG = ['from_at', 'to_at', 'next_due_at_ms'] as const

async function readWindows(store: Store, query: CompiledQuery): Promise<BillWindow[]> {
  return (await read<object>(store, query)).map((row) => numbers<BillWindow>(row, BIG))
}

const selectDue = statement<{ limit: number }>((db, given, store) =>
  db
    .selectFrom('bill_windows')
    .selectAll()
    .where('next_due_at_ms', '<=', databaseNowOnce(store.dialect))
    .orderBy('next_due_at_ms')
    .limit(given.limit),
)

/** Due, the longest first. */
export const listDueWindows = (store: Store, limit: number): Promise<BillWindow[]> =>
  readWindows(store, selectDue(store, { limit }))

const selectOf = statement<{ out_sub_mch_id: string; limit: number }>((db, given) =>
  db
    .selectFrom('bill_windows')
    .selectAll()
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .orderBy('from_at')
    .limit(given.limit),
)

/** Of one sub-merchant, the oldest first. */
export const listWindowsOf = (store: Store, out_sub_mch_id: string, limit: number): Promise<BillWindow[]> =>
  readWindows(store, selectOf(store, { out_sub_mch_id, limit }))

const insertRow = statement<Omit<BillWindow, 'next_due_at_ms' | 'tries'>>((db, given, store) =>
  db.insertInto('bill_windows').values({
    out_sub_mch_id: given.out_sub_mch_id,
    from_at: given.from_at,
    to_at: given.to_at,
    tries: 0,
    next_due_at_ms: nowPlus(store, 0),
  }),
)

/** `taken`: there is one that begins there. */
export const insertWindow = (
  store: Store,
  window: Omit<BillWindow, 'next_due_at_ms' | 'tries'>,
): Promise<Outcome | 'taken'> => insertOne(store, insertRow(store, window))

const postponeRow = statement<BillWindow & { in_ms: number; tries_now: number }>((db, given, store) =>
  db
    .updateTable('bill_windows')
    .set({ next_due_at_ms: nowPlus(store, given.in_ms), tries: given.tries_now })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('from_at', '=', given.from_at)
    .where('to_at', '=', given.to_at)
    .where('tries', '=', given.tries),
)

/** Not before so long; `tries` as counted now. Also how a run takes it in hand. */
export const postponeWindow = (
  store: Store,
  window: BillWindow,
  inMs: number,
  tries = window.tries,
): Promise<Outcome> =>
  writeOne(store, postponeRow(store, { ...window, in_ms: Math.round(inMs), tries_now: tries }))

const POSTPONED_AT_ONCE = 500

const postponeDueOf = statement<{ out_sub_mch_id: string; in_ms: number; limit: number }>(
  (db, given, store) => {
    const where = sql`out_sub_mch_id = ${given.out_sub_mch_id} and next_due_at_ms <= ${databaseNowOnce(store.dialect)}`
    const rows = firstRows(store.dialect, 'bill_windows', {
      where,
      by: ['out_sub_mch_id', 'next_due_at_ms'],
      limit: given.limit,
    })
    return textOf(
      db,
      sql`update bill_windows ${goingBy(store.dialect, 'bill_windows_of')} set next_due_at_ms = ${nowPlus(store, given.in_ms)} ${rows}`,
    )
  },
)

/** Those of one sub-merchant that are due, so that they stand in nobody's way meanwhile; of very many the longest due. */
export const postponeWindowsOf = (
  store: Store,
  out_sub_mch_id: string,
  inMs: number,
): Promise<'all' | 'more'> =>
  writeUpTo(
    store,
    postponeDueOf(store, { out_sub_mch_id, in_ms: inMs, limit: POSTPONED_AT_ONCE }),
    POSTPONED_AT_ONCE,
  )

const claimRow = statement<BillWindow & { lease_ms: number }>((db, given, store) =>
  db
    .updateTable('bill_windows')
    .set({ next_due_at_ms: nowPlus(store, given.lease_ms) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('from_at', '=', given.from_at)
    .where('next_due_at_ms', '=', given.next_due_at_ms),
)

/** `done`: this run compares it. As with orders (due.ts), taking is pushing out. */
export const claimWindow = (store: Store, window: BillWindow, leaseMs: number): Promise<Outcome> =>
  writeOne(store, claimRow(store, { ...window, lease_ms: Math.round(leaseMs) }))

const shortenRow = statement<Key & { to_at: number; middle: number }>((db, given, store) =>
  db
    .updateTable('bill_windows')
    .set({ to_at: given.middle, tries: 0, next_due_at_ms: nowPlus(store, 0) })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('from_at', '=', given.from_at)
    .where('to_at', '=', given.to_at),
)

/** Two in the place of one, both due now. */
export const cutWindow = (store: Store, { out_sub_mch_id, from_at, to_at }: BillWindow, middle: number) =>
  write(store, async (say) => {
    await one(say(shortenRow(store, { out_sub_mch_id, from_at, to_at, middle })))
    const rest = { out_sub_mch_id, from_at: middle, to_at }
    await unlessTaken(store, say(insertRow(store, rest)), () => undefined)
  })

const deleteRow = statement<Key & { to_at: number }>((db, given) =>
  deletion(
    db,
    sql`delete from bill_windows where out_sub_mch_id = ${given.out_sub_mch_id}
      and from_at = ${given.from_at} and to_at = ${given.to_at}`,
  ),
)

/** It has been compared. */
export const closeWindow = (store: Store, { out_sub_mch_id, from_at, to_at }: BillWindow): Promise<Outcome> =>
  writeOne(store, deleteRow(store, { out_sub_mch_id, from_at, to_at }))
