import { sql } from 'kysely'
import { ORDER_STATES } from '../../shared/order/state'
import type { Store } from '../../shared/store/open'
import { newOrder } from './orders'
import { newRefund } from './refunds'

/** Rows that wait, and rows that are kept, as many as wanted: a thousand are written, the others are copies with other numbers. */
export const SUB = 'backlog'
/** Behind every time at which rows here are due, and behind today. */
export const LATER_MS = 4e12
/** When the anomalies were resolved and the orders last changed: all in one second. */
export const AT = 1_700_000_000
/** Of the counters: decades ago. */
const MINUTES = 10_000_000

/** Every kind of row that waits: seen and not, in every state and in one of a newer version. */
export async function addRows(store: Store, count: number, merchants = 1): Promise<void> {
  const subOf = (at: number) => (at % merchants === 0 ? SUB : `${SUB}${at % merchants}`)
  const states = [...ORDER_STATES, 'disputed'] as (typeof ORDER_STATES)[number][]
  const numbers = Array.from({ length: count }, (_, at) => at)
  const orders = numbers.map((at) => ({
    ...newOrder({
      out_sub_mch_id: subOf(at),
      state: states[at % states.length]!,
      created_at: at,
      updated_at: AT,
    }),
    out_trade_no: `b${at}`,
    idempotency_key: null,
    lease_until_ms: 0,
    next_due_at_ms: at,
    seen: at % 3 === 0 ? (0 as const) : (1 as const),
    looks: at % 3,
    fruitless: at % 2,
  }))
  await store.db.insertInto('orders').values(orders).execute()
  const refundStates = ['requested', 'accepted', 'succeeded', 'needs_person', 'failed'] as const
  const refunds = orders.map((order, at) => ({
    ...newRefund(order),
    out_refund_no: `r${order.out_trade_no}`,
    state: refundStates[at % refundStates.length]!,
    created_at: at,
    next_due_at_ms: at,
  }))
  await store.db.insertInto('refunds').values(refunds).execute()
  await store.db
    .insertInto('outbox')
    .values(
      numbers.map((at) => ({
        id: `m${at}`,
        out_sub_mch_id: SUB,
        out_trade_no: `b${at}`,
        type: at % 2 ? ('order.paid' as const) : ('shipping' as const),
        payload: '{}',
        created_at: at,
        attempts: 0,
        // Whatever is due for the one consumer has been so for longer than all that is due for the other.
        next_due_at_ms: at % 2 ? 1_000_000_000 + at : at,
        delivered_at: null,
        last_error: null,
      })),
    )
    .execute()
  await store.db
    .insertInto('notifications')
    .values(
      numbers.map((at) => ({
        out_sub_mch_id: SUB,
        id: `n${at}`,
        out_trade_no: `none${at}`,
        received_at: at,
        orphan: 1,
        claims: '{}',
      })),
    )
    .execute()
  await store.db
    .insertInto('anomalies')
    .values(
      numbers.map((at) => ({
        id: `a${at}`,
        kind: 'bill_differs' as const,
        out_sub_mch_id: SUB,
        out_trade_no: `b${at}`,
        evidence: '{}',
        first_at: at,
        last_at: at,
        times: 1,
        resolved_at: AT,
        resolution: null,
      })),
    )
    .execute()
  await store.db
    .insertInto('spent')
    .values(numbers.map((at) => ({ kind: 'request:server', id: `s${at}`, until_at: at })))
    .execute()
  await store.db
    .insertInto('revocations')
    .values(numbers.map((at) => ({ id: `r${at}`, at, until_at: at })))
    .execute()
  // Minutes of decades ago.
  await store.db
    .insertInto('counters')
    .values(numbers.map((at) => ({ name: `om:${MINUTES + at}`, period: MINUTES + at, used: 1 })))
    .execute()
  await store.db
    .insertInto('marks')
    .values(numbers.map((at) => ({ name: `erasure:${at}`, at_ms: at, value: '' })))
    .execute()
  await store.db
    .insertInto('bill_windows')
    .values(
      numbers.map((at) => ({
        out_sub_mch_id: SUB,
        from_at: at,
        to_at: at + 1,
        tries: 0,
        next_due_at_ms: at,
      })),
    )
    .execute()
}

/** Each table has the number of a row in a column, and in others behind these letters. */
const NUMBERED: Record<string, { number: string; names: Record<string, string> }> = {
  orders: { number: 'created_at', names: { out_trade_no: 'b' } },
  refunds: { number: 'created_at', names: { out_refund_no: 'rb', out_trade_no: 'b' } },
  outbox: { number: 'created_at', names: { id: 'm', out_trade_no: 'b' } },
  notifications: { number: 'received_at', names: { id: 'n', out_trade_no: 'none' } },
  bill_windows: { number: 'from_at', names: {} },
  anomalies: { number: 'first_at', names: { id: 'a', out_trade_no: 'b' } },
  spent: { number: 'until_at', names: { id: 's' } },
  revocations: { number: 'until_at', names: { id: 'r' } },
  counters: { number: 'period', names: { name: 'om:' } },
  marks: { number: 'at_ms', names: { name: 'erasure:' } },
}
export const TABLES = Object.keys(NUMBERED)

/** The same rows again under other numbers, in one statement for each table; or the first `count` of them, in `tables` counted from 0. */
export async function doubleRows(store: Store, by: number, tables = TABLES, count?: number): Promise<void> {
  for (const table of tables) {
    const { number, names } = NUMBERED[table]!
    const [row] = (await sql<object>`select * from ${sql.table(table)} limit 1`.execute(store.db)).rows
    const columns = Object.keys(row!)
    const values = columns.map((column) => {
      if (column === number || column === 'next_due_at_ms') return sql`${sql.ref(column)} + ${sql.lit(by)}`
      const prefix = names[column]
      return prefix === undefined
        ? sql.ref(column)
        : sql`concat(${sql.lit(prefix)}, ${sql.ref(number)} + ${sql.lit(by)})`
    })
    await sql`insert into ${sql.table(table)} (${sql.join(columns.map((one) => sql.ref(one)))})
      select ${sql.join(values)} from ${sql.table(table)}
      ${count === undefined ? sql`` : sql`where ${sql.ref(number)} < ${sql.lit(count)}`}`.execute(store.db)
  }
}

/** All that waits, by so much. */
export async function putOff(store: Store, ms: number): Promise<void> {
  for (const table of ['orders', 'refunds', 'outbox', 'bill_windows'])
    await sql`update ${sql.table(table)} set next_due_at_ms = next_due_at_ms + ${sql.lit(ms)}`.execute(
      store.db,
    )
  await analyse(store)
}

export const analyse = (store: Store) =>
  (store.dialect === 'mysql'
    ? sql`analyze table ${sql.join(TABLES.map((table) => sql.table(table)))}`
    : sql`vacuum analyze`
  ).execute(store.db)
