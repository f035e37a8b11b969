import { nowS, type Deadline } from '../base/time'
import { findMark, setMark } from '../store/marks'
import type { Store } from '../store/open'
import {
  FIRST_KEPT,
  FIRST_RESOLVED,
  forgetNote,
  listPurgeable,
  listResolved,
  placeOf,
  purgeOrder,
  type KeptPlace,
  type ResolvedPlace,
} from '../store/retention'
import type { Payments } from './context'

/** Often enough: what is a day or more old waits ten minutes more. */
const EVERY_MS = 600_000
const BATCH = 200
/** In one run: what is not over yet is passed over, and may be much more than what is. */
const PAGES = 10
/** One order is seven statements. */
const ORDER_MIN_MS = 500
const DAY_S = 86_400

/** The marks: how far the last run came, if it did not come to the end. */
const ORDERS = 'purged'
const NOTES = 'forgotten'

const nextTimes = new WeakMap<Store, number>()

/**
 * Purges what has been kept long enough (see store/retention.ts), a bounded batch at a time; after a full batch the next
 * run goes on with the rest. Returns how many orders.
 */
export async function purgeExpired(payments: Payments, deadline: Deadline): Promise<number> {
  const { store, clock, settings } = payments
  const nowMs = clock.nowMs()
  if (nowMs < (nextTimes.get(store) ?? 0)) return 0
  const before = nowS(clock) - settings.retentionDays * DAY_S
  const { purged, isEnd } = await purgeOrders(payments, before, deadline)
  const noNotesLeft = await forgetNotes(store, before, deadline)
  // Only then: a run that fails half-way is not the one that did the work.
  if (isEnd && noNotesLeft) nextTimes.set(store, nowMs + EVERY_MS)
  if (purged > 0) payments.log({ event: 'retention.purged', count: 'retention.purged', orders: purged })
  return purged
}

/** From where the last run came to, and from the beginning again after the end: what was not over may be by then. */
async function purgeOrders(
  { store, clock }: Payments,
  before: number,
  deadline: Deadline,
): Promise<{ purged: number; isEnd: boolean }> {
  const mark = (await findMark(store, ORDERS))?.value ?? ''
  let after = readKept(mark)
  let tried = 0
  let purged = 0
  let isEnd = false
  for (let page = 0; page < PAGES && tried < BATCH && !isEnd; page++) {
    const { orders, last } = await listPurgeable(store, { nowS: nowS(clock), before, limit: BATCH, after })
    for (const order of orders) {
      if (deadline.remainingMs() < ORDER_MIN_MS) break
      tried++
      if ((await purgeOrder(store, order, nowS(clock))) === 'done') purged++
      after = placeOf(order)
    }
    if (deadline.remainingMs() < ORDER_MIN_MS) break
    isEnd = last === undefined
    after = last ?? FIRST_KEPT
  }
  if (writeKept(after) !== mark) await setMark(store, ORDERS, writeKept(after))
  return { purged, isEnd }
}

const writeKept = (place: KeptPlace): string =>
  place.updated_at < 0 ? '' : `${place.updated_at} ${place.out_sub_mch_id} ${place.out_trade_no}`

function readKept(mark: string): KeptPlace {
  const [updated_at, out_sub_mch_id, out_trade_no] = mark.split(' ')
  return out_trade_no === undefined
    ? FIRST_KEPT
    : { updated_at: Number(updated_at), out_sub_mch_id: out_sub_mch_id!, out_trade_no }
}

/**
 * What somebody wrote about an anomaly that was resolved before then, also of one about no single order. Nothing is resolved
 * in the past, so what this has come by is never looked at again.
 */
async function forgetNotes(store: Store, before: number, deadline: Deadline): Promise<boolean> {
  const mark = (await findMark(store, NOTES))?.value ?? ''
  const rows = await listResolved(store, { before, limit: BATCH, after: readResolved(mark) })
  let last: ResolvedPlace | undefined
  for (const row of rows) {
    if (deadline.remainingMs() < ORDER_MIN_MS) break
    // The database undid it, or it has been opened again and is not on the list any more: the next run looks.
    if (row.isNoted && (await forgetNote(store, row)) !== 'done') break
    last = row
  }
  if (last) await setMark(store, NOTES, `${last.resolved_at} ${last.id}`)
  return rows.length < BATCH && last?.id === rows.at(-1)?.id
}

function readResolved(mark: string): ResolvedPlace {
  const blank = mark.indexOf(' ')
  return blank < 0 ? FIRST_RESOLVED : { resolved_at: Number(mark.slice(0, blank)), id: mark.slice(blank + 1) }
}
