import { sql, type CompiledQuery } from 'kysely'
import { ORDER_STATES } from '../../shared/order/state'
import { listDueWindows, listWindowsOf, postponeWindowsOf } from '../../shared/store/billWindows'
import { forgetCounters } from '../../shared/store/counters'
import { listDueOrders, listDueRefunds, listUnknownStates, listWork } from '../../shared/store/due'
import { listMarks } from '../../shared/store/marks'
import { listAdoptable } from '../../shared/store/notifications'
import type { Store } from '../../shared/store/open'
import { listOrdersIn } from '../../shared/store/orders'
import { listDueMessages, listDueShipping } from '../../shared/store/outbox'
import { listSucceededRefunds } from '../../shared/store/refunds'
import { listPurgeable, listResolved } from '../../shared/store/retention'
import { forgetRevocations } from '../../shared/store/revocations'
import { forgetSpent } from '../../shared/store/spent'
import { setUp, unhurried, type ServerKind } from '../contract/ready'
import { newOrder } from '../support/orders'
import { newRefund } from '../support/refunds'

/**
 * What the timer reads must not depend on how much is due, nor on how much is kept: each of its statements for more than one
 * row, with a thousand rows and with a quarter of a million, by what the server says it has read.
 */
const FEW = 1_000
const MANY = 256_000
const SUB = 'backlog'
/** The most any of them may read, the parts that are put together and sorted included. */
const READ_MAX = 6_000

const page = { out_sub_mch_id: SUB, limit: 60 }
const window = { out_sub_mch_id: SUB, from: 0, to: 3_000_000_000, after: '', limit: 500 }
/** Far behind every time that rows here are due at, and behind today. */
const LATER_MS = 4e12
/** Of the rows that are resolved and that have not changed: all in one second. */
const AT = 1_700_000_000
/** Not all there is: what is deleted with a thousand rows is not there to be doubled. */
const FORGOTTEN = 300
const MINUTES = 10_000_000
const kept = { nowS: 2_000_000_000, before: 2_000_000_000, limit: 200 }
const LISTS: Record<string, (store: Store) => Promise<unknown>> = {
  'who has work': listWork,
  'new orders': (store) => listDueOrders(store, page, 'new'),
  'late orders': (store) => listDueOrders(store, page, 'late'),
  refunds: (store) => listDueRefunds(store, page),
  'states of a newer version': (store) =>
    listUnknownStates(store, { of: 'orders', state: 'disputed', ...page }),
  'notifications without an order': (store) => listAdoptable(store, 200),
  messages: (store) => listDueMessages(store, 50),
  shipping: (store) => listDueShipping(store, 50),
  marks: (store) => listMarks(store, 'silent:'),
  'windows of the bill': (store) => listDueWindows(store, 50),
  'windows of one': (store) => listWindowsOf(store, SUB, 500),
  'orders of a window': (store) => listOrdersIn(store, { ...window, state: 'paid' }),
  'refunds of a window': (store) => listSucceededRefunds(store, window),
  'orders that are kept': (store) => listPurgeable(store, kept),
  'orders that are kept, behind one of the same second': (store) =>
    listPurgeable(store, { ...kept, after: { updated_at: AT, out_sub_mch_id: SUB, out_trade_no: 'b3' } }),
  'orders that are kept, behind those of another sub-merchant': (store) =>
    listPurgeable(store, { ...kept, after: { updated_at: AT, out_sub_mch_id: 'a', out_trade_no: 'b3' } }),
  'resolved anomalies': (store) => listResolved(store, kept),
  'resolved anomalies, behind one of the same second': (store) =>
    listResolved(store, { ...kept, after: { resolved_at: AT, id: 'a3' } }),
}

const WRITES: Record<string, (store: Store) => Promise<unknown>> = {
  'forget what may be used once': (store) => forgetSpent(store, AT, FORGOTTEN),
  'forget revocations': (store) => forgetRevocations(store, AT, FORGOTTEN),
  'forget counters of minutes': (store) => forgetCounters(store, 60_000, Date.now(), FORGOTTEN),
  'forget counters of days': (store) => forgetCounters(store, 86_400_000, Date.now(), FORGOTTEN),
  'put off the windows of one': (store) => postponeWindowsOf(store, SUB, 1000),
}

export function backlogContract({ dialect, start }: ServerKind): void {
  const { fresh, open } = setUp({ start })
  let url: string
  let rows = 0
  beforeAll(async () => {
    url = await fresh()
  })

  async function fill(upTo: number): Promise<Store> {
    const store = open(url)
    unhurried(store)
    if (rows === 0) await addRows(store, (rows = FEW))
    for (; rows < upTo; rows *= 2) await doubleRows(store, rows)
    await analyse(store)
    return store
  }

  async function readBy(store: Store, list: (store: Store) => Promise<unknown>): Promise<number> {
    const said: CompiledQuery[] = []
    const spied = Object.create(store, {
      connection: {
        value: {
          run: (query: CompiledQuery) => {
            said.push(query)
            return store.connection.run(query)
          },
        },
      },
    }) as Store
    if (dialect === 'postgres') {
      await list(spied)
      let read = 0
      for (const query of said) read += await explained(store, query)
      return read
    }
    const before = await handlerReads(store)
    await list(spied)
    const after = await handlerReads(store)
    return after - before
  }

  describe('with a backlog', () => {
    test.each([FEW, MANY])(
      'of %i rows, each list of the timer reads a bounded number of them',
      async (upTo) => {
        const store = await fill(upTo)
        const read: Record<string, number> = {}
        for (const [name, say] of Object.entries({ ...LISTS, ...WRITES }))
          read[name] = await readBy(store, say)
        // As many rows, and none of them due yet.
        await putOff(store, LATER_MS)
        for (const [name, say] of Object.entries(LISTS)) read[`${name}, not due`] = await readBy(store, say)
        await putOff(store, -LATER_MS)
        const tooMuch = Object.entries(read).filter(([, count]) => !(count <= READ_MAX))
        expect(tooMuch).toEqual([])
        // A measure that sees nothing would hold as well.
        for (const name of ['late orders', 'orders that are kept', 'resolved anomalies'])
          expect([name, read[name]! > 0]).toEqual([name, true])
        for (const name of Object.keys(WRITES).filter((one) => !/days/.test(one)))
          expect([name, read[name]! >= FORGOTTEN]).toEqual([name, true])
      },
    )
  })

  /** Every kind of row that waits: seen and not, in every state and in one of a newer version. */
  async function addRows(store: Store, count: number): Promise<void> {
    const states = [...ORDER_STATES, 'disputed'] as (typeof ORDER_STATES)[number][]
    const numbers = Array.from({ length: count }, (_, at) => at)
    const orders = numbers.map((at) => ({
      ...newOrder({
        out_sub_mch_id: SUB,
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

  /** The same rows again under other numbers, as one statement a table: each has its number in a column. */
  async function doubleRows(store: Store, by: number): Promise<void> {
    const numbered: [string, string, Record<string, string>][] = [
      ['orders', 'created_at', { out_trade_no: 'b' }],
      ['refunds', 'created_at', { out_refund_no: 'rb', out_trade_no: 'b' }],
      ['outbox', 'created_at', { id: 'm', out_trade_no: 'b' }],
      ['notifications', 'received_at', { id: 'n', out_trade_no: 'none' }],
      ['bill_windows', 'from_at', {}],
      ['anomalies', 'first_at', { id: 'a', out_trade_no: 'b' }],
      ['spent', 'until_at', { id: 's' }],
      ['revocations', 'until_at', { id: 'r' }],
      ['counters', 'period', { name: 'om:' }],
      ['marks', 'at_ms', { name: 'erasure:' }],
    ]
    for (const [table, number, names] of numbered) {
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
        select ${sql.join(values)} from ${sql.table(table)}`.execute(store.db)
    }
  }

  /** All that waits, by so much. */
  async function putOff(store: Store, ms: number): Promise<void> {
    for (const table of ['orders', 'refunds', 'outbox', 'bill_windows'])
      await sql`update ${sql.table(table)} set next_due_at_ms = next_due_at_ms + ${sql.lit(ms)}`.execute(
        store.db,
      )
    await analyse(store)
  }

  const analyse = (store: Store) =>
    (dialect === 'mysql'
      ? sql`analyze table orders, refunds, outbox, notifications, bill_windows, anomalies, spent, revocations,
          counters, marks`
      : sql`vacuum analyze`
    ).execute(store.db)
}

/** Rows and index entries that this session has read so far. */
async function handlerReads(store: Store): Promise<number> {
  const { rows } = await sql<{ Value: string }>`show session status like 'Handler_read%'`.execute(store.db)
  return rows.reduce((sum, { Value }) => sum + Number(Value), 0)
}

type Plan = {
  'Node Type': string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Join Filter'?: number
  Plans?: Plan[]
}

/** Rows that the scans of a statement have gone through. */
async function explained(store: Store, query: CompiledQuery): Promise<number> {
  const { rows } = await store.connection.run({
    ...query,
    sql: `explain (analyze, format json) ${query.sql}`,
  })
  const [{ 'QUERY PLAN': plans }] = rows as [{ 'QUERY PLAN': [{ Plan: Plan }] }]
  const count = (plan: Plan): number =>
    (/Scan/.test(plan['Node Type'])
      ? (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']
      : 0) + (plan.Plans ?? []).reduce((sum, one) => sum + count(one), 0)
  return count(plans[0].Plan)
}
