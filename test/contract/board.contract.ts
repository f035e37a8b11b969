import { sql } from 'kysely'
import { anomalyId, type NewAnomaly } from '../../shared/order/anomaly'
import type { NewMessage } from '../../shared/order/message'
import type { Order } from '../../shared/order/order'
import type { OrderState } from '../../shared/order/state'
import { listOwnedAnomalies, resolveAnomaly } from '../../shared/store/anomalies'
import { noteAnomalies } from '../../shared/store/beside'
import {
  LATEST,
  listLatestOrders,
  listOrdersByNumber,
  listOrdersByTransaction,
  listUnshippedOrders,
  OLDEST,
  sumHours,
  type ListedOrder,
} from '../../shared/store/board'
import type { Store } from '../../shared/store/open'
import {
  claimMessage,
  dropMessage,
  listDueMessages,
  listDueShipping,
  markShipped,
} from '../../shared/store/outbox'
import { newOrder } from '../support/orders'
import { newRefund } from '../support/refunds'
import { inserted, move, read, setUp, type Kind } from './ready'

const SUB = 'boardsub'
const HOUR = 3600
/** Midnight in China. */
const DAY = 1_899_993_600 - (1_899_993_600 % 86_400) - 8 * HOUR

/** What the operator's board reads, and the way of a shipping row through the outbox. */
export function boardContract(kind: Kind): void {
  const { fresh, open } = setUp(kind)
  let url: string
  let store: Store
  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(() => {
    store = open(url)
  })

  let made = 0
  /** Each test has a sub-merchant of its own. */
  const freshSub = () => `${SUB}${++made}`
  const order = (out_sub_mch_id: string, change: Partial<Order> & { created_at: number }) => {
    const { shipped_at: _, ...rest } = change
    return inserted(store, { out_sub_mch_id, ...rest })
  }
  const numbers = (orders: ListedOrder[]) => orders.map(({ out_trade_no }) => out_trade_no)

  describe('pages of orders', () => {
    test('come the latest first, each once, also of those made in the same second', async () => {
      const out_sub_mch_id = freshSub()
      const all = []
      for (let at = 0; at < 23; at++) {
        const { out_trade_no } = await order(out_sub_mch_id, { created_at: 1000 + Math.floor(at / 5) })
        all.push(out_trade_no)
      }
      await order(freshSub(), { created_at: 1002 })
      const seen: string[] = []
      let place = LATEST
      for (;;) {
        const page = await listLatestOrders(store, { out_sub_mch_id, ...place, limit: 4 }, undefined)
        seen.push(...numbers(page))
        if (page.length < 4) break
        place = page.at(-1)!
      }
      // Numbers of the test grow, so within a second the highest is the latest.
      expect(seen).toEqual([...all].reverse())
    })

    test('of one state have no other', async () => {
      const out_sub_mch_id = freshSub()
      const wanted: string[] = []
      for (const state of ['paid', 'created', 'paid', 'closed'] as const) {
        const { out_trade_no } = await order(out_sub_mch_id, { state, created_at: 5 })
        if (state === 'paid') wanted.unshift(out_trade_no)
      }
      const page = { out_sub_mch_id, ...LATEST, limit: 10 }
      expect(numbers(await listLatestOrders(store, page, 'paid'))).toEqual(wanted)
      expect(await listLatestOrders(store, page, 'refunded')).toEqual([])
    })

    test('hold no text and no payer', async () => {
      const out_sub_mch_id = freshSub()
      await order(out_sub_mch_id, { created_at: 5, payer_id: 'oSecretPayer' })
      const [row] = await listLatestOrders(store, { out_sub_mch_id, ...LATEST, limit: 1 }, undefined)
      expect(row).toMatchObject({ created_at: 5, paid_at: null, shipped_at: null, total_fee: 100 })
      expect(JSON.stringify(row)).not.toMatch(/oSecretPayer|茶/)
    })
  })

  describe('a search', () => {
    test('finds what begins like this, letter by letter, and knows no wildcards', async () => {
      const out_sub_mch_id = freshSub()
      for (const out_trade_no of ['sbA1', 'sba1', 'sba1x', 'sba2', 'sbaZ', 'sbaz', 'sbB', 'sb', 's'])
        await order(out_sub_mch_id, { out_trade_no, created_at: 5 })
      const find = async (prefix: string, below?: string, limit = 10) =>
        numbers(await listOrdersByNumber(store, { out_sub_mch_id, prefix, below, limit }))
      expect(await find('sba1')).toEqual(['sba1x', 'sba1'])
      expect(await find('sba')).toEqual(['sbaz', 'sbaZ', 'sba2', 'sba1x', 'sba1'])
      expect(await find('sba', 'sba2', 1)).toEqual(['sba1x'])
      expect(await find('s')).toHaveLength(9)
      for (const nothing of ['%', 's%', 'sb_1', 'sba1~', "s'", 'S', '\\', 'sbax'])
        expect([nothing, await find(nothing)]).toEqual([nothing, []])
    })

    test('finds a whole transaction id, and no part of one', async () => {
      const [out_sub_mch_id, other] = [freshSub(), freshSub()]
      const { out_trade_no } = await order(out_sub_mch_id, { transaction_id: '42000017', created_at: 5 })
      await order(other, { transaction_id: '42000017', created_at: 5 })
      const find = async (transaction_id: string) =>
        numbers(await listOrdersByTransaction(store, { out_sub_mch_id, transaction_id, limit: 10 }))
      expect(await find('42000017')).toEqual([out_trade_no])
      for (const nothing of ['4200001', '4200001%', '']) expect(await find(nothing)).toEqual([])
    })
  })

  describe('what is unshipped', () => {
    const mini = (more: Partial<Order> = {}) => ({
      trade_type: 9,
      state: 'paid' as OrderState,
      created_at: 5,
      ...more,
    })

    test('is paid, of a mini-program, not going back, and WeChat has nothing of it from us', async () => {
      const out_sub_mch_id = freshSub()
      const wanted = [
        await order(out_sub_mch_id, mini({ created_at: 4 })),
        await order(out_sub_mch_id, mini({ state: 'paid_after_close', late_policy: 'honour' })),
        await order(out_sub_mch_id, mini({ reserved_fen: 99, refunded_fen: 50 })),
      ]
      for (const not of [
        { trade_type: 3 },
        { state: 'pending' as const },
        { state: 'closed' as const },
        { state: 'refunded' as const },
        { state: 'paid_after_close' as const, late_policy: 'refund' as const },
        { reserved_fen: 100 },
      ])
        await order(out_sub_mch_id, mini(not))
      await order(freshSub(), mini())
      const shipped = await order(out_sub_mch_id, mini())
      await store.db
        .updateTable('orders')
        .set({ shipped_at: 7 })
        .where('out_trade_no', '=', shipped.out_trade_no)
        .execute()
      const found = await listUnshippedOrders(store, { out_sub_mch_id, ...OLDEST, limit: 10 })
      expect(numbers(found)).toEqual(wanted.map(({ out_trade_no }) => out_trade_no))
    })

    test('comes in pages, the oldest first, whichever of the two states and whatever letters', async () => {
      const out_sub_mch_id = freshSub()
      const all: string[] = []
      for (const [at, letter] of [...'aBcDeFgHiJ'].entries()) {
        const out_trade_no = `u${letter}${made}`
        const state = at % 3 === 0 ? ('paid_after_close' as const) : ('paid' as const)
        await order(out_sub_mch_id, mini({ out_trade_no, state, created_at: 5 + Math.floor(at / 6) }))
        all.push(out_trade_no)
      }
      const seen: string[] = []
      let place = OLDEST
      for (;;) {
        const page = await listUnshippedOrders(store, { out_sub_mch_id, ...place, limit: 3 })
        seen.push(...numbers(page))
        if (page.length < 3) break
        place = page.at(-1)!
      }
      expect(seen).toHaveLength(10)
      expect(new Set(seen)).toEqual(new Set(all))
      expect(seen.slice(0, 6).every((number) => all.indexOf(number) < 6)).toBe(true)
    })

    const paidWithShipping = async () => {
      const before = await read(store, await inserted(store, { trade_type: 9 }))
      const { out_trade_no } = before
      const messages: NewMessage[] = [
        { type: 'order.paid', about: out_trade_no, out_trade_no, payload: '{}' },
        { type: 'shipping', about: out_trade_no, out_trade_no, payload: '{"app_id":"wx"}' },
      ]
      expect(await move(store, before, { state: 'paid' }, { messages })).toBe('done')
      const due = (await listDueShipping(store, 1000)).find((one) => one.out_trade_no === out_trade_no)
      return { out_trade_no, due: due!, order: await read(store, before) }
    }

    test('is told to WeChat by its own consumer: the merchant’s never sees it, and the other way round', async () => {
      const { out_trade_no, due } = await paidWithShipping()
      expect(due).toMatchObject({ id: `evt_shipping_${out_trade_no}`, attempts: 0 })
      const forMerchant = (await listDueMessages(store, 1000)).filter(
        (one) => one.out_trade_no === out_trade_no,
      )
      expect(forMerchant.map(({ type }) => type)).toEqual(['order.paid'])
      const forWechat = (await listDueShipping(store, 1000)).map(({ id }) => id)
      expect(forWechat.filter((id) => !id.startsWith('evt_shipping_'))).toEqual([])
    })

    test('and a kind of message that only a newer version knows is left alone by both', async () => {
      const { due } = await paidWithShipping()
      await store.db
        .updateTable('outbox')
        .set({ type: 'invoice' as 'anomaly' })
        .where('id', '=', due.id)
        .execute()
      const ids = [...(await listDueMessages(store, 1000)), ...(await listDueShipping(store, 1000))]
      expect(ids.map(({ id }) => id)).not.toContain(due.id)
    })

    test('is marked with its order in one step, by whoever has claimed it, and nobody else', async () => {
      const { due, order: before } = await paidWithShipping()
      expect(await claimMessage(store, due, 30_000)).toBe('done')
      expect(await markShipped(store, due, 2, 77)).toBe('lost')
      expect((await read(store, before)).shipped_at).toBeNull()
      expect(await markShipped(store, due, 1, 77)).toBe('done')
      const after = await read(store, before)
      expect(after).toEqual({ ...before, shipped_at: 77, now_ms: after.now_ms })
      expect((await listDueShipping(store, 1000)).map(({ id }) => id)).not.toContain(due.id)
    })

    test('is dropped when there is nothing left to ship, and says why', async () => {
      const { due, order: before } = await paidWithShipping()
      expect(await claimMessage(store, due, 30_000)).toBe('done')
      expect(await dropMessage(store, due.id, 1, 'refunded')).toBe('done')
      const [row] = await store.db.selectFrom('outbox').selectAll().where('id', '=', due.id).execute()
      expect(row).toMatchObject({ next_due_at_ms: null, delivered_at: null, last_error: 'refunded' })
      expect((await read(store, before)).shipped_at).toBeNull()
    })
  })

  describe('a day', () => {
    test('adds up by the hour, exactly, also above 2^31 and 2^32', async () => {
      const out_sub_mch_id = freshSub()
      const LARGE = 2_147_483_647
      for (let at = 0; at < 5; at++)
        await order(out_sub_mch_id, {
          created_at: DAY + 3 * HOUR + at,
          total_fee: LARGE,
          state: 'paid',
          paid_at: DAY + 4 * HOUR - 1 + at,
        })
      await order(out_sub_mch_id, { created_at: DAY, total_fee: 1 })
      await order(out_sub_mch_id, { created_at: DAY + 86_399, total_fee: 2 })
      // The days before and after, and somebody else's.
      await order(out_sub_mch_id, { created_at: DAY - 1, paid_at: DAY - 1, total_fee: 50 })
      await order(out_sub_mch_id, { created_at: DAY + 86_400, paid_at: DAY + 86_400, total_fee: 60 })
      const other = await order(freshSub(), { created_at: DAY, paid_at: DAY, total_fee: 70 })
      const settled = [
        { updated_at: DAY + 5 * HOUR, refund_fee: LARGE, state: 'succeeded' },
        { updated_at: DAY + 5 * HOUR + 9, refund_fee: LARGE, state: 'succeeded' },
        { updated_at: DAY + 5 * HOUR, refund_fee: 3, state: 'accepted' },
        { updated_at: DAY + 86_400, refund_fee: 4, state: 'succeeded' },
      ] as const
      for (const [at, change] of settled.entries()) {
        const row = newRefund(other, { ...change, out_sub_mch_id, out_refund_no: `${out_sub_mch_id}r${at}` })
        await store.db
          .insertInto('refunds')
          .values({ ...row, next_due_at_ms: null })
          .execute()
      }
      const sums = await sumHours(store, { out_sub_mch_id, from: DAY, to: DAY + 86_400 })
      const byHour = (of: { hour: number; number: number; fen: number }[]) =>
        of.map(({ hour, number, fen }) => [(hour - DAY) / HOUR, number, fen]).sort(([a], [b]) => a! - b!)
      expect(byHour(sums.made)).toEqual([
        [0, 1, 1],
        [3, 5, 5 * LARGE],
        [23, 1, 2],
      ])
      expect(byHour(sums.paid)).toEqual([
        [3, 1, LARGE],
        [4, 4, 4 * LARGE],
      ])
      expect(byHour(sums.refunded)).toEqual([[5, 2, 2 * LARGE]])
    })

    test('in which nothing happened is empty', async () => {
      const sums = await sumHours(store, { out_sub_mch_id: freshSub(), from: DAY, to: DAY + 86_400 })
      expect(sums).toEqual({ made: [], paid: [], refunded: [] })
    })
  })

  describe('anomalies of one sub-merchant', () => {
    const matter = (out_sub_mch_id: string, out_trade_no: string): NewAnomaly => ({
      kind: 'amount_differs',
      out_sub_mch_id,
      out_trade_no,
      evidence: { note: '茶' },
    })

    test('come in pages, open and resolved apart, each the latest first', async () => {
      const out_sub_mch_id = freshSub()
      const names = ['a', 'B', 'c', 'D', 'e']
      for (const [at, name] of names.entries())
        await noteAnomalies(store, 100 + Math.floor(at / 3), [matter(out_sub_mch_id, name)])
      await noteAnomalies(store, 100, [matter(freshSub(), 'x')])
      for (const [at, name] of ['c', 'D'].entries())
        expect(await resolveAnomaly(store, anomalyId(matter(out_sub_mch_id, name)), 200 + at, 'looked')).toBe(
          'done',
        )
      const pages = async (which: 'open' | 'resolved') => {
        const seen: string[] = []
        let place = { at: LATEST.created_at, id: '' }
        for (;;) {
          const page = await listOwnedAnomalies(store, which, { out_sub_mch_id, ...place, limit: 1 })
          const [one] = page
          if (!one) return seen
          expect(one.evidence).toEqual({ note: '茶' })
          seen.push(one.out_trade_no)
          place = { at: one.resolved_at ?? one.last_at, id: one.id }
        }
      }
      // Within a second by their ids, byte by byte.
      expect(await pages('open')).toEqual(['e', 'a', 'B'])
      expect(await pages('resolved')).toEqual(['D', 'c'])
    })
  })

  describe('every one of these questions', () => {
    test('is answered by an index, and reads no more than its page', async () => {
      const own = open(await fresh())
      const rows = 4000
      const STATES: OrderState[] = [
        'paid',
        'paid',
        'paid_after_close',
        'paid',
        'closed',
        'paid_after_close',
        'refunded',
      ]
      const state = (at: number): OrderState => STATES[at % STATES.length]!
      for (let from = 0; from < rows; from += 100) {
        const values = Array.from({ length: 100 }, (_, nth) => {
          const at = from + nth
          return {
            ...newOrder({
              out_sub_mch_id: Math.floor(at / 7) % 8 === 0 ? 'sub' : 'other',
              state: state(at),
              trade_type: at % 2 === 0 ? 9 : 3,
              created_at: DAY - 40 * 86_400 + at * 900,
              paid_at: DAY - 40 * 86_400 + at * 900,
              transaction_id: `4200${at}`,
            }),
            lease_until_ms: 0,
            next_due_at_ms: null,
            shipped_at: at % 5 === 1 ? null : 7,
          }
        })
        await own.db.insertInto('orders').values(values).execute()
        await own.db
          .insertInto('refunds')
          .values(
            values.map((row, nth) => ({
              ...newRefund(row, { state: 'succeeded', updated_at: row.created_at }),
              out_refund_no: `r${from + nth}`,
              next_due_at_ms: null,
            })),
          )
          .execute()
        await own.db
          .insertInto('outbox')
          .values(
            values.map(({ out_sub_mch_id, out_trade_no }, nth) => ({
              id: `evt_${out_trade_no}`,
              out_sub_mch_id,
              out_trade_no,
              type: nth % 20 === 0 ? ('shipping' as const) : ('order.paid' as const),
              payload: '{}',
              created_at: 1,
              attempts: 0,
              next_due_at_ms: from + nth,
              delivered_at: null,
              last_error: null,
            })),
          )
          .execute()
        await own.db
          .insertInto('anomalies')
          .values(
            values.map(({ out_sub_mch_id, out_trade_no }, nth) => ({
              id: `amount_differs:${out_sub_mch_id}:${out_trade_no}`,
              kind: 'amount_differs' as const,
              out_sub_mch_id,
              out_trade_no,
              evidence: '{}',
              first_at: from + nth,
              last_at: from + nth,
              times: 1,
              resolved_at: nth % 3 === 0 ? null : 7,
              resolution: null,
            })),
          )
          .execute()
      }
      if (kind.dialect === 'mysql')
        await sql`analyze table orders, refunds, anomalies, outbox`.execute(own.db)
      else await sql.raw('analyze').execute(own.db)

      const said: { sql: string; parameters: readonly unknown[] }[] = []
      const connection = own.connection
      const run = connection.run.bind(connection)
      connection.run = (query) => {
        said.push(query)
        return run(query)
      }
      const out_sub_mch_id = 'sub'
      const asked: [string, () => Promise<unknown>][] = [
        ['orders_created', () => listLatestOrders(own, { out_sub_mch_id, ...LATEST, limit: 50 }, undefined)],
        ['orders_state', () => listLatestOrders(own, { out_sub_mch_id, ...LATEST, limit: 50 }, 'refunded')],
        [
          kind.dialect === 'postgres' ? 'orders_number' : 'PRIMARY|autoindex_orders_1',
          () => listOrdersByNumber(own, { out_sub_mch_id, prefix: 'sb0100000', below: undefined, limit: 50 }),
        ],
        [
          'orders_transaction',
          () => listOrdersByTransaction(own, { out_sub_mch_id, transaction_id: '4200123', limit: 50 }),
        ],
        ['orders_unshipped', () => listUnshippedOrders(own, { out_sub_mch_id, ...OLDEST, limit: 50 })],
        [
          'orders_created|orders_paid|refunds_state',
          () => sumHours(own, { out_sub_mch_id, from: DAY - 86_400, to: DAY }),
        ],
        [
          'anomalies_owned',
          () => listOwnedAnomalies(own, 'open', { out_sub_mch_id, at: LATEST.created_at, id: '', limit: 50 }),
        ],
        ['outbox_type', () => listDueShipping(own, 20)],
      ]
      for (const [index, ask] of asked) {
        said.length = 0
        await ask()
        expect(said.length).toBeGreaterThan(0)
        for (const query of [...said]) {
          const plan = await explained(own, query)
          expect([query.sql, plan]).toEqual([query.sql, expect.stringMatching(new RegExp(index))])
          // The whole table is read by none of them.
          expect(plan).not.toMatch(/Seq Scan|"access_type": "ALL"|"SCAN (orders|refunds|anomalies|outbox)"/)
        }
      }
    })

    /** The plan with the very values, as the database tells it. */
    async function explained(
      of: Store,
      { sql: text, parameters }: { sql: string; parameters: readonly unknown[] },
    ): Promise<string> {
      const words = { mysql: 'explain format=json ', postgres: 'explain ', sqlite: 'explain query plan ' }
      const query = { ...sql.raw(words[kind.dialect] + text).compile(of.db), parameters }
      return JSON.stringify((await of.connection.run(query)).rows)
        .replaceAll('\\n', ' ')
        .replaceAll('\\"', '"')
        .replaceAll('"detail":"SCAN', '"SCAN')
    }
  })
}
