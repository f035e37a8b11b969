import * as v from 'valibot'
import type { Caller } from '../base/caller'
import { Fault } from '../base/errors'
import { nowS, type Deadline } from '../base/time'
import { fieldFaults, flaw } from '../base/validate'
import type { Anomaly } from '../order/anomaly'
import {
  dayBegins,
  DayQuery,
  dayOf,
  NEXT,
  OrdersQuery,
  PageQuery,
  ResolveRequest,
  viewAnomaly,
  viewBoardOrder,
  viewDay,
  type BoardAnomaly,
  type BoardDay,
  type BoardOrder,
} from '../order/board'
import { viewOrder, viewRefund } from '../order/view'
import { findAnomaly, listOwnedAnomalies, resolveAnomaly } from '../store/anomalies'
import {
  LATEST,
  listLatestOrders,
  listOrdersByNumber,
  listOrdersByTransaction,
  listUnshippedOrders,
  OLDEST,
  sumHours,
  type ListedOrder,
  type OrderPlace,
} from '../store/board'
import { giveUp, liftFlag, payOut, type Person } from './byPerson'
import type { Payments } from './context'
import type { Both } from './settleRefund'

/** What an operator sees of one sub-merchant, and what they say here: that an anomaly was looked at, and how they ended something. */

type Query = Readonly<Record<string, string>>
type Page<Name extends string, Row> = Record<Name, Row[]> & { next: string | null }

/** A wallet's number is of one order; what says so of more is shown whole, and is no page. */
const SAME_ID_MAX = 100

/** Pages of orders, the latest first; of a search, by number, the highest first. Throws the Fault `query_invalid`. */
export async function listBoardOrders(
  payments: Payments,
  caller: Caller,
  query: Query,
): Promise<Page<'orders', BoardOrder>> {
  const { store } = payments
  const own = { out_sub_mch_id: boardOf(payments, caller) }
  const { state, search, before, limit: shown } = readQuery(OrdersQuery, query)
  // One more than is shown tells whether there is more.
  const limit = shown + 1
  if (search === undefined) {
    const place = before === undefined ? LATEST : readPlace(before)
    return pageOf(await listLatestOrders(store, { ...own, ...place, limit }, state), shown)
  }
  const below = before === undefined ? undefined : readPlace(before).out_trade_no
  const byNumber = await listOrdersByNumber(store, { ...own, prefix: search, below, limit })
  // A transaction id is whole, so what it finds belongs to the first page.
  const paidAs =
    before === undefined
      ? await listOrdersByTransaction(store, { ...own, transaction_id: search, limit: SAME_ID_MAX })
      : []
  const numbers = new Set(paidAs.map(({ out_trade_no }) => out_trade_no))
  const rest = byNumber.filter(({ out_trade_no }) => !numbers.has(out_trade_no))
  const { orders, next } = pageOf(rest, shown)
  return { orders: [...paidAs.map(viewBoardOrder), ...orders], next }
}

/** Paid mini-program orders of which WeChat has no shipping info from us, the longest frozen first. */
export async function listUnshipped(
  payments: Payments,
  caller: Caller,
  query: Query,
): Promise<Page<'orders', BoardOrder>> {
  const out_sub_mch_id = boardOf(payments, caller)
  const { before, limit } = readQuery(PageQuery, query)
  const place = before === undefined ? OLDEST : readPlace(before)
  const found = await listUnshippedOrders(payments.store, { out_sub_mch_id, ...place, limit: limit + 1 })
  return pageOf(found, limit)
}

/** Open ones first, each the latest first. */
export async function listBoardAnomalies(
  payments: Payments,
  caller: Caller,
  query: Query,
): Promise<Page<'anomalies', BoardAnomaly>> {
  const owners = ownersOf(payments, boardOf(payments, caller))
  const { before, limit } = readQuery(PageQuery, query)
  const from = before === undefined ? undefined : readAnomalyPlace(before)
  const found: Anomaly[] = []
  for (const which of ['open', 'resolved'] as const) {
    if (which === 'open' && from?.which === 'resolved') continue
    const { at, id } = from?.which === which ? from : { at: LATEST.created_at, id: '' }
    const missing = limit + 1 - found.length
    const rows: Anomaly[] = []
    for (const out_sub_mch_id of missing > 0 ? owners : [])
      rows.push(
        ...(await listOwnedAnomalies(payments.store, which, { out_sub_mch_id, at, id, limit: missing })),
      )
    const timeOf = (anomaly: Anomaly) => anomaly.resolved_at ?? anomaly.last_at
    found.push(...rows.sort((a, b) => timeOf(b) - timeOf(a) || (a.id < b.id ? 1 : -1)).slice(0, missing))
  }
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  return {
    anomalies: shown.map(viewAnomaly),
    next: found.length > limit && last ? writeCursor(anomalyPlaceOf(last)) : null,
  }
}

/**
 * Says that a person has looked. One that was resolved already stays as it was resolved, so a repeat does no harm.
 * Throws the Fault `anomaly_not_found` for what is not there or another's.
 */
export async function resolveBoardAnomaly(
  payments: Payments,
  caller: Caller,
  id: string,
  body: unknown,
): Promise<BoardAnomaly> {
  const owners = ownersOf(payments, boardOf(payments, caller))
  const read = v.safeParse(ResolveRequest, body)
  if (!read.success) throw new Fault('body_invalid', { fields: fieldFaults(read.issues) })
  const found = await findAnomaly(payments.store, id)
  if (!found || !owners.includes(found.out_sub_mch_id)) throw new Fault('anomaly_not_found')
  if (found.resolved_at !== null) return viewAnomaly(found)
  const outcome = await resolveAnomaly(payments.store, id, nowS(payments.clock), read.output.note)
  if (outcome === 'done') {
    const { kind, out_trade_no } = found
    const event = { event: 'anomaly.resolved', count: `anomaly.resolved.${kind}` }
    payments.log({ ...event, anomaly: id, out_trade_no, by: caller.id })
  }
  const after = await findAnomaly(payments.store, id)
  if (!after) throw new Fault('anomaly_not_found')
  return viewAnomaly(after)
}

/** The payer has the money by hand. Throws as `payOut` does, and `body_invalid` without a note. */
export const payOutOnBoard: Ending = async (payments, caller, out_refund_no, body) => {
  const key = { out_sub_mch_id: boardOf(payments, caller), out_refund_no }
  return viewBoth(await payOut(payments, key, personOf(caller, body)))
}

/** No money goes back by it. Throws as `giveUp` does, and `body_invalid` without a note. */
export const giveUpOnBoard: Ending = async (payments, caller, out_refund_no, body, deadline) => {
  const key = { out_sub_mch_id: boardOf(payments, caller), out_refund_no }
  return viewBoth(await giveUp(payments, key, personOf(caller, body), deadline))
}

/** The next signed answer decides. Throws `order_not_found`, and `body_invalid` without a note. */
export const liftFlagOnBoard: Ending = async (payments, caller, out_trade_no, body) => {
  const key = { out_sub_mch_id: boardOf(payments, caller), out_trade_no }
  return viewBoardOrder(await liftFlag(payments, key, personOf(caller, body)))
}

type Ending = (
  payments: Payments,
  caller: Caller,
  number: string,
  body: unknown,
  deadline: Deadline,
) => Promise<object>

function personOf(caller: Caller, body: unknown): Person {
  const read = v.safeParse(ResolveRequest, body)
  if (!read.success) throw new Fault('body_invalid', { fields: fieldFaults(read.issues) })
  // Behind a door-keeper of your own there may be no key.
  return { id: caller.key ?? caller.id, note: read.output.note }
}

const viewBoth = ({ order, refund }: Both) => ({ ...viewRefund(refund), order: viewOrder(order) })

/** One day of China, hour by hour. */
export async function readBoardDay(payments: Payments, caller: Caller, query: Query): Promise<BoardDay> {
  const out_sub_mch_id = boardOf(payments, caller)
  const { date = dayOf(nowS(payments.clock)) } = readQuery(DayQuery, query)
  const from = dayBegins(date)!
  const to = from + 86_400
  return viewDay(date, from, await sumHours(payments.store, { out_sub_mch_id, from, to }))
}

// ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whose board it is. A door-keeper of your own has to say whose server it let in, or there is none. */
function boardOf({ merchants, settings }: Payments, { out_sub_mch_id }: Caller): string {
  if (out_sub_mch_id !== undefined) return out_sub_mch_id
  // The open door of one machine.
  if (settings.prices.free) return merchants.first.out_sub_mch_id
  throw new Fault('caller_not_allowed')
}

/** What is about the deployment as a whole, like a silent timer, is for whom it is configured first. */
const ownersOf = ({ merchants }: Payments, out_sub_mch_id: string): string[] =>
  out_sub_mch_id === merchants.first.out_sub_mch_id ? [out_sub_mch_id, ''] : [out_sub_mch_id]

function readQuery<Schema extends v.GenericSchema>(schema: Schema, query: Query): v.InferOutput<Schema> {
  const read = v.safeParse(schema, query)
  if (!read.success) throw new Fault('query_invalid', { fields: fieldFaults(read.issues) })
  return read.output
}

function pageOf(found: ListedOrder[], limit: number): Page<'orders', BoardOrder> {
  const orders = found.slice(0, limit)
  const last = orders.at(-1)
  return {
    orders: orders.map(viewBoardOrder),
    next: found.length > limit && last ? writeCursor([last.created_at, last.out_trade_no]) : null,
  }
}

const anomalyPlaceOf = ({ resolved_at, last_at, id }: Anomaly) => [
  resolved_at === null ? 'open' : 'resolved',
  resolved_at ?? last_at,
  id,
]

/** Where a page ends, for whoever asks for the next one: nothing in it is believed to be more than a place. */
const writeCursor = (place: unknown[]): string =>
  Buffer.from(JSON.stringify(place), 'utf8').toString('base64url')

function readCursor<Schema extends v.GenericSchema>(schema: Schema, cursor: string): v.InferOutput<Schema> {
  try {
    return v.parse(schema, JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
  } catch (cause) {
    const fields = [flaw('before', 'value', NEXT)]
    throw new Fault('query_invalid', { fields, cause })
  }
}

const EpochS = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const OrderCursor = v.strictTuple([EpochS, v.pipe(v.string(), v.regex(/^[0-9A-Za-z]{1,32}$/))])
const AnomalyCursor = v.strictTuple([
  v.picklist(['open', 'resolved']),
  EpochS,
  v.pipe(
    v.string(),
    v.maxLength(200),
    v.check((id) => !id.includes('\0')),
  ),
])

function readPlace(cursor: string): OrderPlace {
  const [created_at, out_trade_no] = readCursor(OrderCursor, cursor)
  return { created_at, out_trade_no }
}

function readAnomalyPlace(cursor: string) {
  const [which, at, id] = readCursor(AnomalyCursor, cursor)
  return { which, at, id }
}
