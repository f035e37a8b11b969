import type { NewMessage } from '../../shared/order/message'
import { UNSENT } from '../../shared/order/refund'
import type { Order } from '../../shared/order/order'
import type { Beside } from '../../shared/store/beside'
import { listDueRefunds } from '../../shared/store/due'
import type { Store } from '../../shared/store/open'
import { listEvents, type MoveEvent } from '../../shared/store/orders'
import { listDueMessages } from '../../shared/store/outbox'
import {
  countRefundSend,
  findRefund,
  insertRefund,
  listRefunds,
  moveRefund,
  scheduleRefund,
  type NewRefund,
} from '../../shared/store/refunds'
import { age, during, expectTime, HOUR_MS } from '../support/databaseClock'
import { newRefund } from '../support/refunds'
import { anything, count, inserted, move, read, setUp, unavailable, type Kind } from './ready'

const EVENT: MoveEvent = { at: 1_900_000_200, kind: 'refund', detail: { refund_fee: 10 }, note: '余额不足' }
const DUE_MS = 30_000

export function refundsContract(kind: Kind): void {
  const { fresh, open, openMany } = setUp(kind)
  let url: string
  let store: Store

  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(() => {
    store = open(url)
  })

  /** An order of 100 fen that was paid. */
  async function paid(): Promise<Order> {
    const order = await inserted(store)
    expect(await move(store, await read(store, order), { state: 'paid', due_in_ms: null })).toBe('done')
    return read(store, order)
  }
  const insert = (
    from: Store,
    order: Order,
    refund: NewRefund,
    more: { dueInMs?: number | null; limits?: Parameters<typeof insertRefund>[5]; beside?: Beside } = {},
  ) =>
    insertRefund(
      from,
      order,
      refund,
      more.dueInMs === undefined ? DUE_MS : more.dueInMs,
      EVENT,
      more.limits ?? [],
      more.beside,
    )
  const sum = (refunds: { refund_fee: number }[]) =>
    refunds.reduce((total, refund) => total + refund.refund_fee, 0)
  const message = (refund: Pick<NewRefund, 'out_refund_no' | 'out_trade_no'>): NewMessage => ({
    type: 'refund.succeeded',
    about: refund.out_refund_no,
    out_trade_no: refund.out_trade_no,
    payload: '{"type":"refund.succeeded"}',
  })

  describe('insertRefund', () => {
    test('keeps everything it is given, reserves the money, and tells of it in an event', async () => {
      const order = await paid()
      const refund = newRefund(order, { refund_fee: 30 })
      const span = await during(store, async () => expect(await insert(store, order, refund)).toBe('done'))

      const after = await read(store, order)
      expect(after).toMatchObject({
        reserved_fen: 30,
        refunded_fen: 0,
        version: order.version + 1,
        state: 'paid',
      })
      const { next_due_at_ms, ...kept } = (await findRefund(store, refund))!
      expect(kept).toEqual({ ...refund, ...UNSENT })
      expectTime(next_due_at_ms, span, DUE_MS)
      expect((await listEvents(store, order)).at(-1)).toEqual({
        ...{ ...EVENT, seq: after.version, from_state: 'paid', to_state: 'paid' },
      })
      expect(await listRefunds(store, order)).toEqual([{ ...refund, ...UNSENT, next_due_at_ms }])
    })

    test('may be never due, and takes what goes beside it along', async () => {
      const order = await paid()
      const refund = newRefund(order, { origin: 'console', request_content: null, reason: null })
      const matter = { kind: 'refunds_exceed' as const, evidence: {}, ...refund }
      const beside = { messages: [message(refund)], anomalies: [matter] }
      expect(await insert(store, order, refund, { dueInMs: null, beside })).toBe('done')
      expect((await findRefund(store, refund))!.next_due_at_ms).toBeNull()
      const told = (await listDueMessages(store, 1000)).map((each) => each.out_trade_no)
      expect(count(told, order.out_trade_no)).toBe(2)
    })

    test.each([
      ['the last fen', 100, 'done', 100],
      ['a fen more', 101, 'lost', 0],
      ['all the money there is', 2_147_483_647, undefined, 0],
    ])('of %s of an order of 100: %d fen is %s', async (_what, refund_fee, outcome, reserved) => {
      const order = await paid()
      const refund = newRefund(order, { refund_fee })
      const said = await insert(store, order, refund)
      expect(said).toBe(outcome ?? 'lost')
      expect(await read(store, order)).toMatchObject({ reserved_fen: reserved })
      expect(await listRefunds(store, order)).toHaveLength(outcome === 'done' ? 1 : 0)
    })

    test('adds up what is reserved: the promises never exceed the order', async () => {
      let order = await paid()
      for (const [refund_fee, outcome] of [
        [60, 'done'],
        [41, 'lost'],
        [40, 'done'],
        [1, 'lost'],
      ] as const) {
        expect(await insert(store, order, newRefund(order, { refund_fee }))).toBe(outcome)
        order = await read(store, order)
      }
      expect(order.reserved_fen).toBe(100)
      expect(sum(await listRefunds(store, order))).toBe(100)
    })

    test('is lost when it was decided on an old version, and leaves nothing', async () => {
      const old = await paid()
      expect(await insert(store, old, newRefund(old))).toBe('done')
      const now = await read(store, old)
      const late = newRefund(old)
      expect(await insert(store, old, late)).toBe('lost')
      expect(await findRefund(store, late)).toBeUndefined()
      expect(await read(store, old)).toEqual({ ...now, now_ms: anything })
    })

    test('refuses a number that is known, and reserves nothing for it', async () => {
      const order = await paid()
      const refund = newRefund(order)
      expect(await insert(store, order, refund)).toBe('done')
      const now = await read(store, order)
      expect(await insert(store, now, { ...refund, refund_fee: 7 })).toBe('taken')
      // Also for another order, but not for another sub-merchant.
      const other = await paid()
      expect(await insert(store, other, { ...newRefund(other), out_refund_no: refund.out_refund_no })).toBe(
        'taken',
      )
      expect(await read(store, other)).toMatchObject({ reserved_fen: 0, version: other.version })
      expect(await read(store, order)).toEqual({ ...now, now_ms: anything })
      expect((await findRefund(store, refund))!.refund_fee).toBe(refund.refund_fee)
    })

    test('refuses a refund of nothing', async () => {
      const order = await paid()
      for (const refund_fee of [0, -1]) {
        const refund = newRefund(order, { refund_fee })
        await expect(insert(store, order, refund)).rejects.toMatchObject(unavailable)
        expect(await findRefund(store, refund)).toBeUndefined()
      }
      expect(await read(store, order)).toMatchObject({ reserved_fen: 0, version: order.version })
    })

    test('twenty at once on connections of their own never promise more than was paid', async () => {
      const order = await paid()
      const stores = await openMany(url, 20)
      /** Asks again for as long as it is lost, whatever the row says: only the guard may say no. */
      const insist = async (from: Store) => {
        const refund = newRefund(order)
        for (let tries = 0; tries < 100; tries++) {
          const seen = await read(from, order)
          const outcome = await insert(from, seen, refund)
          if (outcome === 'done') return 'done'
          expect(outcome).toBe('lost')
          if (seen.reserved_fen === 100) return 'no money left'
          expect(seen.reserved_fen).toBeLessThanOrEqual(100)
        }
        return 'gave up'
      }
      const ends = await Promise.all(stores.map(insist))
      expect([count(ends, 'done'), count(ends, 'no money left')]).toEqual([10, 10])

      const refunds = await listRefunds(store, order)
      expect([refunds.length, sum(refunds)]).toEqual([10, 100])
      const after = await read(store, order)
      expect(after).toMatchObject({ reserved_fen: 100, version: order.version + 10 })
      expect((await listEvents(store, order)).map((event) => event.seq)).toEqual(
        Array.from({ length: after.version }, (_, at) => at + 1),
      )
    })

    test('twenty at once under one number are one refund', async () => {
      const order = await paid()
      const refund = newRefund(order)
      const stores = await openMany(url, 20)
      const outcomes = await Promise.all(
        stores.map(async (each) => {
          for (;;) {
            const outcome = await insert(each, await read(each, order), refund)
            if (outcome !== 'lost') return outcome
          }
        }),
      )
      expect([count(outcomes, 'done'), count(outcomes, 'taken')]).toEqual([1, 19])
      expect(await read(store, order)).toMatchObject({ reserved_fen: 10, version: order.version + 1 })
    })
  })

  describe('the second lock on the money', () => {
    test.each([
      ['promise more than was paid', { reserved_fen: 101 }],
      ['send back more than was promised', { refunded_fen: 1 }],
      ['promise less than went back', { reserved_fen: 5, refunded_fen: 6 }],
    ])('does not let anybody %s, whatever they write', async (_what, change) => {
      const order = await paid()
      const wrong = store.db.updateTable('orders').set(change).where('out_trade_no', '=', order.out_trade_no)
      await expect(wrong.execute()).rejects.toThrow(/constraint|check/i)
      expect(await read(store, order)).toMatchObject({ reserved_fen: 0, refunded_fen: 0 })
      await expect(move(store, order, change)).rejects.toMatchObject(unavailable)
      expect(await read(store, order)).toMatchObject({ version: order.version })
    })

    test('lets through what adds up', async () => {
      const order = await paid()
      for (const change of [{ reserved_fen: 100 }, { refunded_fen: 100 }]) {
        await store.db
          .updateTable('orders')
          .set(change)
          .where('out_trade_no', '=', order.out_trade_no)
          .execute()
      }
      expect(await read(store, order)).toMatchObject({ reserved_fen: 100, refunded_fen: 100 })
    })
  })

  describe('limits', () => {
    const YEARS_MS = 100 * 365 * 86_400_000
    const usedOf = async (name: string) => {
      const [row] = await store.db.selectFrom('counters').select('used').where('name', '=', name).execute()
      return row && Number(row.used)
    }

    test('that would be passed undo the refund and what other limits have counted', async () => {
      const hour = { name: 'undone:hour', periodMs: YEARS_MS, max: 100 }
      const day = { name: 'undone:day', periodMs: YEARS_MS, max: 25 }
      for (const outcome of ['done', 'done', 'over']) {
        const order = await paid()
        const refund = newRefund(order)
        expect(await insert(store, order, refund, { limits: [hour, day] })).toBe(outcome)
        expect(await read(store, order)).toMatchObject({ reserved_fen: outcome === 'done' ? 10 : 0 })
        expect((await findRefund(store, refund)) !== undefined).toBe(outcome === 'done')
      }
      expect([await usedOf(hour.name), await usedOf(day.name)]).toEqual([20, 20])
    })

    test('hold for ten orders at once', async () => {
      const limit = { name: 'ten at once', periodMs: YEARS_MS, max: 55 }
      const stores = await openMany(url, 10)
      const orders: Order[] = []
      for (let at = 0; at < 10; at++) orders.push(await paid())
      const outcomes = await Promise.all(
        stores.map(async (each, at) => {
          for (;;) {
            const seen = await read(each, orders[at]!)
            const outcome = await insert(each, seen, newRefund(seen), { limits: [limit] })
            if (outcome !== 'lost') return outcome
          }
        }),
      )
      expect([count(outcomes, 'done'), count(outcomes, 'over')]).toEqual([5, 5])
      expect(await usedOf(limit.name)).toBe(50)
    })
  })

  describe('moveRefund', () => {
    async function requested() {
      const order = await paid()
      const refund = newRefund(order)
      expect(await insert(store, order, refund)).toBe('done')
      return { order: await read(store, order), refund: (await findRefund(store, refund))! }
    }
    const change = {
      refund: { state: 'succeeded', refund_id: '5030', wallet_state: 2, looks: 4, due_in_ms: null },
      order: { refunded_fen: 10 },
    } as const

    test('moves refund and order in one step, with the event and what goes beside it', async () => {
      const { order, refund } = await requested()
      const beside = { messages: [message(refund)] }
      expect(await moveRefund(store, order, refund, change, EVENT, beside)).toBe('done')
      expect(await findRefund(store, refund)).toEqual({
        ...refund,
        ...{ state: 'succeeded', refund_id: '5030', wallet_state: 2, looks: 4, next_due_at_ms: null },
        version: refund.version + 1,
        updated_at: EVENT.at,
      })
      expect(await read(store, order)).toMatchObject({ refunded_fen: 10, version: order.version + 1 })
      expect((await listEvents(store, order)).at(-1)).toMatchObject({
        seq: order.version + 1,
        kind: 'refund',
      })
      const told = (await listDueMessages(store, 1000)).filter(
        (each) => each.out_trade_no === order.out_trade_no,
      )
      expect(told.map((each) => each.type)).toEqual(['refund.succeeded'])
    })

    test('gives back what a failed one had reserved, and looks again when it is told to', async () => {
      const { order, refund } = await requested()
      const failed = { refund: { state: 'failed', due_in_ms: 60_000 }, order: { reserved_fen: 0 } } as const
      const span = await during(store, async () =>
        expect(await moveRefund(store, order, refund, failed, EVENT)).toBe('done'),
      )
      const after = await read(store, order)
      expect(after.reserved_fen).toBe(0)
      const { next_due_at_ms } = (await findRefund(store, refund))!
      expectTime(next_due_at_ms, span, 60_000)
    })

    test('does neither when either was decided on what is old, or when it was told already', async () => {
      const { order, refund } = await requested()
      const untouched = async () => {
        expect(await findRefund(store, refund)).toEqual(refund)
        expect(await read(store, order)).toEqual({ ...order, now_ms: anything })
        expect(await listEvents(store, order)).toHaveLength(order.version)
      }
      for (const [o, r] of [
        [{ ...order, version: order.version - 1 }, refund],
        [{ ...order, state: 'paid_after_close' as const }, refund],
        [order, { ...refund, version: refund.version - 1 }],
        [order, { ...refund, state: 'accepted' as const }],
      ] as const) {
        expect(await moveRefund(store, o, r, change, EVENT)).toBe('lost')
        await untouched()
      }
      const other = await requested()
      const beside = { messages: [message(refund)] }
      expect(await moveRefund(store, other.order, other.refund, change, EVENT, beside)).toBe('done')
      expect(await moveRefund(store, order, refund, change, EVENT, beside)).toBe('lost')
      await untouched()
    })

    test('does neither when the money would not add up', async () => {
      const { order, refund } = await requested()
      const tooMuch = { ...change, order: { refunded_fen: 11 } }
      await expect(moveRefund(store, order, refund, tooMuch, EVENT)).rejects.toMatchObject(unavailable)
      expect(await findRefund(store, refund)).toEqual(refund)
    })

    test('does neither when the order may not go there', async () => {
      const { order, refund } = await requested()
      const illegal = { ...change, order: { state: 'closed' as const } }
      await expect(moveRefund(store, order, refund, illegal, EVENT)).rejects.toMatchObject({
        name: 'IllegalMove',
      })
      expect(await findRefund(store, refund)).toEqual(refund)
      expect(await read(store, order)).toEqual({ ...order, now_ms: anything })
    })

    test('goes to one of ten at once', async () => {
      const { order, refund } = await requested()
      const stores = await openMany(url, 10)
      const outcomes = await Promise.all(
        stores.map((each) => moveRefund(each, order, refund, change, EVENT, { messages: [message(refund)] })),
      )
      expect([count(outcomes, 'done'), count(outcomes, 'lost')]).toEqual([1, 9])
      expect(await read(store, order)).toMatchObject({ refunded_fen: 10, version: order.version + 1 })
    })
  })

  describe('a refund that is sent and looked after', () => {
    async function requested() {
      const order = await paid()
      const refund = newRefund(order)
      expect(await insert(store, order, refund, { dueInMs: 0 })).toBe('done')
      return (await findRefund(store, refund))!
    }

    test('counts a transmission for one of ten at once, and not for who has read it before', async () => {
      const refund = await requested()
      const stores = await openMany(url, 10)
      const outcomes = await Promise.all(stores.map((each) => countRefundSend(each, refund)))
      expect([count(outcomes, 'done'), count(outcomes, 'lost')]).toEqual([1, 9])
      expect(await findRefund(store, refund)).toMatchObject({ sends: 1, version: refund.version + 1 })
      expect(
        await countRefundSend(store, { ...refund, version: refund.version + 1, state: 'accepted' }),
      ).toBe('lost')
    })

    test('is due when its time has come, the longest overdue first, a page at a time, and no others', async () => {
      const [second, first] = [await requested(), await requested()]
      await age(store, 'refunds', first.out_trade_no)
      const later = await requested()
      await scheduleRefund(store, later, HOUR_MS)
      const out_sub_mch_id = first.out_sub_mch_id
      const due = await listDueRefunds(store, { out_sub_mch_id, limit: 1000 })
      const numbers = due.map((each) => each.out_refund_no)
      expect(numbers.indexOf(first.out_refund_no)).toBeLessThan(numbers.indexOf(second.out_refund_no))
      expect(numbers.indexOf(first.out_refund_no)).toBeGreaterThanOrEqual(0)
      expect(numbers).not.toContain(later.out_refund_no)
      for (const each of due) expect(typeof each.next_due_at_ms).toBe('number')
      expect(await listDueRefunds(store, { out_sub_mch_id, limit: 1 })).toEqual(due.slice(0, 1))
      expect(await listDueRefunds(store, { out_sub_mch_id: 'another', limit: 1000 })).toEqual([])
    })

    test('is put off by whoever read it last, and counts the look', async () => {
      const refund = await requested()
      const span = await during(store, async () =>
        expect(await scheduleRefund(store, refund, 300_000)).toBe('done'),
      )
      const after = (await findRefund(store, refund))!
      expect(after).toMatchObject({ looks: 1, version: refund.version })
      expectTime(after.next_due_at_ms, span, 300_000)
      expect(await scheduleRefund(store, refund, 0)).toBe('lost')
      expect(await scheduleRefund(store, { ...refund, next_due_at_ms: null }, 0)).toBe('lost')
      expect(await findRefund(store, refund)).toEqual(after)
    })
  })

  test('refunds of an order are told in the order they were made, and of no other order', async () => {
    let order = await paid()
    const numbers: string[] = []
    for (const created_at of [1_900_000_300, 1_900_000_301, 1_900_000_301]) {
      const refund = newRefund(order, { created_at })
      numbers.push(refund.out_refund_no)
      expect(await insert(store, order, refund)).toBe('done')
      order = await read(store, order)
    }
    expect((await listRefunds(store, order)).map((each) => each.out_refund_no)).toEqual(numbers)
    expect(await listRefunds(store, await paid())).toEqual([])
    expect(await findRefund(store, { ...order, out_refund_no: 'no such number' })).toBeUndefined()
  })
}
