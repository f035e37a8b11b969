import { sql, type Selectable } from 'kysely'
import type { Order } from '../order/order'
import type { OrderState } from '../order/state'
import { MINI_PROGRAM } from '../order/shipping'
import { inBytes } from './dialect'
import { statement, textOf } from './statements'
import type { OrdersTable } from './tables'
import { numbers, read } from './transaction'
import type { Store } from './open'

/**
 * What the operator's board reads of one sub-merchant: pages by key and sums of one day, each on an index that migration
 * 0007 or an earlier one made. Nothing counts rows to skip them, so the last page costs what the first one does.
 */
const LISTED = [
  'out_sub_mch_id',
  'out_trade_no',
  'merchant_order_id',
  'state',
  'flag',
  'total_fee',
  'fee_type',
  'pay_platform',
  'trade_type',
  'created_at',
  'time_expire',
  'paid_at',
  'transaction_id',
  'cash_fee',
  'settlement_total_fee',
  'reserved_fen',
  'refunded_fen',
  'shipped_at',
] as const satisfies (keyof Order)[]

/** Without the texts, the lease and the payer. */
export type ListedOrder = Pick<Order, (typeof LISTED)[number]>

const BIG = ['created_at', 'time_expire', 'paid_at', 'cash_fee', 'settlement_total_fee', 'shipped_at']

async function readOrders(store: Store, query: Parameters<typeof read>[1]): Promise<ListedOrder[]> {
  const rows = await read<Pick<Selectable<OrdersTable>, keyof ListedOrder>>(store, query)
  return rows.map((row) => numbers<ListedOrder>(row, BIG))
}

/** The row a page begins behind. */
export type OrderPlace = Pick<Order, 'created_at' | 'out_trade_no'>
type Page = OrderPlace & { out_sub_mch_id: string; limit: number }

/** Before the first row of what is listed the latest first. */
export const LATEST: OrderPlace = { created_at: 99_999_999_999, out_trade_no: '' }
/** Before the first row of what is listed the oldest first. */
export const OLDEST: OrderPlace = { created_at: 0, out_trade_no: '' }

const selectLatest = statement<Page & { state: OrderState }, 'all' | 'state'>((db, given, _, which) => {
  const page = db
    .selectFrom('orders')
    .select(LISTED)
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('created_at', '<=', given.created_at)
    .where(({ or, eb }) =>
      or([eb('created_at', '<', given.created_at), eb('out_trade_no', '<', given.out_trade_no)]),
    )
    .orderBy('created_at', 'desc')
    .orderBy('out_trade_no', 'desc')
    .limit(given.limit)
  return which === 'state' ? page.where('state', '=', given.state) : page
})

/** The latest first. */
export const listLatestOrders = (
  store: Store,
  page: Page,
  state: OrderState | undefined,
): Promise<ListedOrder[]> =>
  readOrders(
    store,
    selectLatest(store, { ...page, state: state ?? 'created' }, state === undefined ? 'all' : 'state'),
  )

type Numbers = { out_sub_mch_id: string; from: string; below: string; limit: number }

const selectNumbers = statement<Numbers>((db, given, store) => {
  const number = inBytes(store.dialect, 'out_trade_no')
  return db
    .selectFrom('orders')
    .select(LISTED)
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where(sql<boolean>`${number} >= ${given.from}`)
    .where(sql<boolean>`${number} < ${given.below}`)
    .orderBy(number, 'desc')
    .limit(given.limit)
})

/**
 * Orders whose number begins with `prefix`, by number, the highest first (numbers of ours grow with time); `below`: the
 * last number of the page before. Two bounds and no pattern, so there is nothing in a prefix that could mean more.
 */
export const listOrdersByNumber = (
  store: Store,
  {
    prefix,
    below,
    ...page
  }: { out_sub_mch_id: string; prefix: string; below: string | undefined; limit: number },
): Promise<ListedOrder[]> =>
  // Numbers are letters and digits: `~` is behind all of them.
  readOrders(store, selectNumbers(store, { ...page, from: prefix, below: below ?? `${prefix}~` }))

const selectPaidAs = statement<{ out_sub_mch_id: string; transaction_id: string; limit: number }>(
  (db, given) =>
    db
      .selectFrom('orders')
      .select(LISTED)
      .where('out_sub_mch_id', '=', given.out_sub_mch_id)
      .where('transaction_id', '=', given.transaction_id)
      .limit(given.limit),
)

/** Normally one. */
export const listOrdersByTransaction = (
  store: Store,
  wanted: { out_sub_mch_id: string; transaction_id: string; limit: number },
): Promise<ListedOrder[]> => readOrders(store, selectPaidAs(store, wanted))

const selectUnshipped = statement<Page & { state: OrderState }>((db, given, store) => {
  const number = inBytes(store.dialect, 'out_trade_no')
  return (
    db
      .selectFrom('orders')
      .select(LISTED)
      .where('out_sub_mch_id', '=', given.out_sub_mch_id)
      .where('trade_type', '=', MINI_PROGRAM)
      .where('state', '=', given.state)
      .where('shipped_at', 'is', null)
      .where('created_at', '>=', given.created_at)
      .where(({ or, eb }) =>
        or([eb('created_at', '>', given.created_at), sql<boolean>`${number} > ${given.out_trade_no}`]),
      )
      // What is on its way back, or will be, is not to be shipped.
      .where((eb) => eb('reserved_fen', '<', eb.ref('total_fee')))
      .where(({ or, eb }) => or([eb('late_policy', 'is', null), eb('late_policy', '=', 'honour')]))
      .orderBy('created_at')
      .orderBy(number)
      .limit(given.limit)
  )
})

/** Paid mini-program orders of which WeChat has no shipping info from us: the longest frozen first. */
export async function listUnshippedOrders(store: Store, page: Page): Promise<ListedOrder[]> {
  // Two reads of an index each; together they would be a sort of all there is.
  const paid = await readOrders(store, selectUnshipped(store, { ...page, state: 'paid' }))
  const late = await readOrders(store, selectUnshipped(store, { ...page, state: 'paid_after_close' }))
  const isBefore = (a: ListedOrder, b: ListedOrder) =>
    a.created_at - b.created_at || (a.out_trade_no < b.out_trade_no ? -1 : 1)
  return [...paid, ...late].sort(isBefore).slice(0, page.limit)
}

type Span = { out_sub_mch_id: string; from: number; to: number }

/** What the hours of China begin with is what the hours of the epoch begin with: its offset is whole hours. */
const MADE = sql`created_at - created_at % 3600`
const PAID = sql`paid_at - paid_at % 3600`
const BACK = sql`updated_at - updated_at % 3600`

const sumMade = statement<Span>((db, given) =>
  textOf(
    db,
    sql`select ${MADE} as hour, count(*) as number, sum(total_fee) as fen from orders
      where out_sub_mch_id = ${given.out_sub_mch_id} and created_at >= ${given.from} and created_at < ${given.to}
      group by ${MADE}`,
  ),
)

const sumPaid = statement<Span>((db, given) =>
  textOf(
    db,
    sql`select ${PAID} as hour, count(*) as number, sum(total_fee) as fen from orders
      where out_sub_mch_id = ${given.out_sub_mch_id} and paid_at >= ${given.from} and paid_at < ${given.to}
      group by ${PAID}`,
  ),
)

const sumRefunded = statement<Span>((db, given) =>
  textOf(
    db,
    sql`select ${BACK} as hour, count(*) as number, sum(refund_fee) as fen from refunds
      where out_sub_mch_id = ${given.out_sub_mch_id} and state = 'succeeded'
        and updated_at >= ${given.from} and updated_at < ${given.to}
      group by ${BACK}`,
  ),
)

/** What happened in the hour that begins at this second; hours in which nothing did are left out. */
export type HourSum = { hour: number; number: number; fen: number }

/**
 * Orders by when they were made, by when their wallet says they were paid (whatever became of them since), and refunds
 * by when we learned that they had succeeded. Reads the rows of that time, a day at most.
 */
export async function sumHours(
  store: Store,
  span: Span,
): Promise<{ made: HourSum[]; paid: HourSum[]; refunded: HourSum[] }> {
  const rows = async (query: Parameters<typeof read>[1]) =>
    // Sums of integers are wider than integers, and come as text.
    (await read<object>(store, query)).map((row) => numbers<HourSum>(row, ['hour', 'number', 'fen']))
  return {
    made: await rows(sumMade(store, span)),
    paid: await rows(sumPaid(store, span)),
    refunded: await rows(sumRefunded(store, span)),
  }
}
