import * as v from 'valibot'
import { said, visibleAscii } from '../base/validate'
import { ANOMALY_KINDS, RESOLUTION_MAX, type Anomaly } from './anomaly'
import { ORDER_FLAGS, type Order } from './order'
import { ORDER_STATES } from './state'
import { moment, momentOrNull } from './view'

/** What the operator's board asks, and what it is shown: of one sub-merchant, without payers. */
const LIMIT_MAX = 100
const LIMIT = 50

const LIMITS = said(`must be a whole number from 1 to ${LIMIT_MAX}`, `须为 1 至 ${LIMIT_MAX} 的整数`)
const Limit = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,3}$/, LIMITS),
    v.transform(Number),
    v.minValue(1, LIMITS),
    v.maxValue(LIMIT_MAX, LIMITS),
  ),
  String(LIMIT),
)
export const NEXT = said('must be the next of a page', '须为上一页给出的 next')
/** `next` of the page before, as it was given. */
const Cursor = v.optional(v.pipe(v.string(), v.regex(/^[0-9A-Za-z_-]{1,512}$/, NEXT)))

/**
 * `search`: how an order number begins, or a whole transaction id. Not together with `state`: looking for a rare state
 * among all numbers would be reading all of them.
 */
export const OrdersQuery = v.pipe(
  v.strictObject({
    state: v.optional(v.picklist(ORDER_STATES)),
    search: v.optional(visibleAscii(64)),
    before: Cursor,
    limit: Limit,
  }),
  v.forward(
    v.check(
      ({ state, search }) => state === undefined || search === undefined,
      said('does not go with search', '不能与 search 一起使用'),
    ),
    ['state'],
  ),
)
export const PageQuery = v.strictObject({ before: Cursor, limit: Limit })

const DAY = said('must be a day there is, like 2026-11-23', '须为存在的日期，写法如 2026-11-23')
/** A day of China, `2026-11-23`; today when left out. */
export const DayQuery = v.strictObject({
  date: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{4}-\d{2}-\d{2}$/, DAY),
      v.check((date) => dayBegins(date) !== undefined, DAY),
    ),
  ),
})

export const ResolveRequest = v.strictObject({
  /** What was done. */
  note: v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1),
    v.maxLength(RESOLUTION_MAX),
    v.check((note) => !note.includes('\0'), 'must not contain U+0000'),
  ),
})

const Moment = v.object({ epoch: v.number(), rfc3339: v.string() })
/** Integer fen. */
const Fen = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

export const BoardOrder = v.strictObject({
  out_trade_no: v.string(),
  merchant_order_id: v.nullable(v.string()),
  /** A state only a newer version knows is shown as it is. */
  state: v.string(),
  flag: v.nullable(v.picklist(ORDER_FLAGS)),
  total_fee: Fen,
  fee_type: v.string(),
  pay_platform: v.number(),
  trade_type: v.number(),
  created_at: Moment,
  paid_at: v.nullable(Moment),
  transaction_id: v.nullable(v.string()),
  refunded_fee: Fen,
  refunding_fee: Fen,
  /** When WeChat took its shipping info from us. */
  shipped_at: v.nullable(Moment),
})
export type BoardOrder = v.InferOutput<typeof BoardOrder>

export const BoardAnomaly = v.strictObject({
  id: v.string(),
  kind: v.picklist(ANOMALY_KINDS),
  /** Empty when it is about no single order. */
  out_trade_no: v.string(),
  evidence: v.record(v.string(), v.unknown()),
  first_at: Moment,
  last_at: Moment,
  times: v.number(),
  resolved_at: v.nullable(Moment),
  resolution: v.nullable(v.string()),
})
export type BoardAnomaly = v.InferOutput<typeof BoardAnomaly>

const Sum = v.strictObject({ count: v.pipe(v.number(), v.safeInteger()), fen: Fen })
const Sums = { made: Sum, paid: Sum, refunded: Sum }
export const BoardDay = v.strictObject({
  date: v.string(),
  total: v.strictObject(Sums),
  /** Twenty-four of them, from midnight in China on. */
  hours: v.pipe(v.array(v.strictObject({ hour: v.number(), ...Sums })), v.length(24)),
})
export type BoardDay = v.InferOutput<typeof BoardDay>

export const BoardOrders = v.strictObject({ orders: v.array(BoardOrder), next: v.nullable(v.string()) })
export const BoardAnomalies = v.strictObject({
  anomalies: v.array(BoardAnomaly),
  next: v.nullable(v.string()),
})

type Shown = Pick<
  Order,
  | 'out_trade_no'
  | 'merchant_order_id'
  | 'state'
  | 'flag'
  | 'total_fee'
  | 'fee_type'
  | 'pay_platform'
  | 'trade_type'
  | 'created_at'
  | 'paid_at'
  | 'transaction_id'
  | 'reserved_fen'
  | 'refunded_fen'
  | 'shipped_at'
>

export const viewBoardOrder = (order: Shown): BoardOrder => ({
  out_trade_no: order.out_trade_no,
  merchant_order_id: order.merchant_order_id,
  state: order.state,
  flag: order.flag,
  total_fee: order.total_fee,
  fee_type: order.fee_type,
  pay_platform: order.pay_platform,
  trade_type: order.trade_type,
  created_at: moment(order.created_at),
  paid_at: momentOrNull(order.paid_at),
  transaction_id: order.transaction_id,
  refunded_fee: order.refunded_fen,
  refunding_fee: order.reserved_fen - order.refunded_fen,
  shipped_at: momentOrNull(order.shipped_at),
})

export const viewAnomaly = (anomaly: Anomaly): BoardAnomaly => ({
  id: anomaly.id,
  kind: anomaly.kind,
  out_trade_no: anomaly.out_trade_no,
  evidence: anomaly.evidence,
  first_at: moment(anomaly.first_at),
  last_at: moment(anomaly.last_at),
  times: anomaly.times,
  resolved_at: momentOrNull(anomaly.resolved_at),
  resolution: anomaly.resolution,
})

type HourSum = { hour: number; number: number; fen: number }
type DaySums = Record<'made' | 'paid' | 'refunded', readonly HourSum[]>

/** Twenty-four hours and what they add up to. `hour` of a sum: the second it begins with. */
export function viewDay(date: string, beginsS: number, sums: DaySums): BoardDay {
  const sumOf = (kind: keyof DaySums, isMeant: (sum: HourSum) => boolean) => {
    const meant = sums[kind].filter(isMeant)
    const add = (member: 'number' | 'fen') => meant.reduce((sum, one) => sum + one[member], 0)
    return { count: add('number'), fen: add('fen') }
  }
  const all = (isMeant: (sum: HourSum) => boolean) => ({
    made: sumOf('made', isMeant),
    paid: sumOf('paid', isMeant),
    refunded: sumOf('refunded', isMeant),
  })
  return {
    date,
    total: all(() => true),
    hours: Array.from({ length: 24 }, (_, hour) => ({
      hour,
      ...all((sum) => sum.hour === beginsS + hour * 3600),
    })),
  }
}

/** The second a day of China begins with, or nothing if there is no such day. */
export function dayBegins(date: string): number | undefined {
  const ms = Date.parse(`${date}T00:00:00+08:00`)
  return !Number.isNaN(ms) && dayOf(ms / 1000) === date ? ms / 1000 : undefined
}

/** The day of China this second is in. */
export const dayOf = (epochS: number): string => moment(epochS).rfc3339.slice(0, 10)
