import { sql } from 'kysely'
import { systemClock } from '../../shared/base/time'
import {
  claimDueOrder,
  claimDueRefund,
  listDueOrders,
  listDueRefunds,
  listUnknownStates,
  listWork,
} from '../../shared/store/due'
import { hintOrder, insertNotification } from '../../shared/store/notifications'
import type { Store } from '../../shared/store/open'
import { findOrder, insertOrder, scheduleOrder, type ReadOrder } from '../../shared/store/orders'
import { insertRefund } from '../../shared/store/refunds'
import { age, during, expectTime, HOUR_MS } from '../support/databaseClock'
import { newOrder, type NewOrder } from '../support/orders'
import { newRefund } from '../support/refunds'
import { anything, count, inserted, LEASE_MS, move, read, setUp, type Kind } from './ready'

export function dueContract(kind: Kind): void {
  const { fresh, open, openMany } = setUp(kind)
  let url: string
  let store: Store
  let merchants = 0
  /** Each test has a sub-merchant of its own, so that only its orders are due there. */
  let out_sub_mch_id: string

  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(() => {
    store = open(url)
    out_sub_mch_id = `merchant${++merchants}`
  })

  async function due(inMs = -1, change: Partial<NewOrder> = {}): Promise<ReadOrder> {
    const order = newOrder({ out_sub_mch_id, ...change })
    expect(await insertOrder(store, order, LEASE_MS, inMs)).toBe('done')
    return read(store, order)
  }
  /** As the timer leaves it after a look. */
  async function seen(order: ReadOrder, inMs: number, counts: { looks: number; fruitless: number }) {
    expect(await scheduleOrder(store, order, { inMs, ...counts })).toBe('done')
    return order
  }
  const list = (lane: 'new' | 'late' = 'late', limit = 1000) =>
    listDueOrders(store, { out_sub_mch_id, limit }, lane)
  const numbers = async (...given: Parameters<typeof list>) =>
    (await list(...given)).map((each) => each.out_trade_no)
  const inMs = (order: ReadOrder) => order.next_due_at_ms! - order.now_ms

  describe('what is due', () => {
    test('is what has its time behind it, and nothing that is later or never', async () => {
      const now = await due()
      await due(60_000)
      const never = await due()
      expect(await scheduleOrder(store, never, null)).toBe('done')
      expect(await list()).toEqual([
        {
          out_sub_mch_id,
          out_trade_no: now.out_trade_no,
          looks: 0,
          next_due_at_ms: now.next_due_at_ms,
        },
      ])
      expect(await listDueOrders(store, { out_sub_mch_id: 'another', limit: 10 }, 'late')).toEqual([])
    })

    test("is so on the database's clock, whatever this machine's says", async () => {
      const ahead = open(url, { ...systemClock, nowMs: () => systemClock.nowMs() + 86_400_000 })
      await due(60_000)
      expect(await listDueOrders(ahead, { out_sub_mch_id, limit: 10 }, 'late')).toEqual([])
      const soon = await due(HOUR_MS)
      expect(await numbers()).toEqual([])
      await age(store, 'orders', soon.out_trade_no)
      expect(await numbers()).toEqual([soon.out_trade_no])
    })

    test('comes the longest overdue first in one lane, and the newest first in the other, which is for new ones', async () => {
      const old = await due(-5000)
      const looked = await seen(await due(), -4000, { looks: 1, fruitless: 0 })
      const tried = await seen(await due(), -3000, { looks: 0, fruitless: 1 })
      const young = await due(-1000)
      const all = [old, looked, tried, young].map((each) => each.out_trade_no)
      expect(await numbers('late')).toEqual(all)
      expect(await numbers('new')).toEqual([young.out_trade_no, old.out_trade_no])
      expect(await numbers('late', 2)).toEqual(all.slice(0, 2))
      expect(await numbers('new', 1)).toEqual([young.out_trade_no])
    })
  })

  test('a notification, and a new state, make an order new again', async () => {
    const told = await seen(await due(), HOUR_MS, { looks: 3, fruitless: 0 })
    const changed = await seen(await due(), -1000, { looks: 3, fruitless: 0 })
    expect(await numbers('new')).toEqual([])
    expect(await hintOrder(store, told)).toBe('done')
    expect(await move(store, await read(store, changed), { state: 'closing', seen: 0 })).toBe('done')
    expect((await numbers('new')).sort()).toEqual([told.out_trade_no, changed.out_trade_no].sort())
  })

  describe('who has work', () => {
    const work = async () =>
      (await listWork(store)).work.filter((one) => one.out_sub_mch_id === out_sub_mch_id)

    test('is told by state, with the time of what has been due longest, and without what is not due', async () => {
      expect(await work()).toEqual([])
      const [first] = [await due(-5000), await due(-4000), await due(HOUR_MS)]
      const paid = await due(HOUR_MS)
      expect(await move(store, paid, { state: 'paid' })).toBe('done')
      const event = { at: 1, kind: 'refund', detail: {} } as const
      const now = await read(store, paid)
      expect(await insertRefund(store, now, newRefund(now), 0, event, [])).toBe('done')
      expect(await work()).toEqual([
        { of: 'orders', out_sub_mch_id, state: 'created', oldest_ms: first.next_due_at_ms },
        { of: 'refunds', out_sub_mch_id, state: 'requested', oldest_ms: anything },
      ])
    })

    test('is told of a state of a newer version as well, the first rows of which can be listed', async () => {
      const orders = [await due(), await due(), await due()]
      await sql`update orders set state = 'disputed' where out_sub_mch_id = ${out_sub_mch_id}`.execute(
        store.db,
      )
      expect(await work()).toMatchObject([{ of: 'orders', state: 'disputed' }])
      expect(await numbers()).toEqual([])
      const page = { of: 'orders', out_sub_mch_id, state: 'disputed' } as const
      const listed = await listUnknownStates(store, { ...page, limit: 2 })
      expect(listed).toHaveLength(2)
      expect(orders.map((each) => each.out_trade_no)).toEqual(
        expect.arrayContaining(listed.map((each) => each.out_trade_no)),
      )
    })
  })

  describe('a claim', () => {
    test('goes to one of ten who want it at once, and puts the order off', async () => {
      const order = await due()
      const stores = await openMany(url, 10)
      const [seen] = await list()
      const span = await during(store, async () => {
        const outcomes = await Promise.all(stores.map((each) => claimDueOrder(each, seen!, HOUR_MS)))
        expect([count(outcomes, 'done'), count(outcomes, 'lost')]).toEqual([1, 9])
      })
      const claimed = await read(store, order)
      expectTime(claimed.next_due_at_ms, span, HOUR_MS)
      expect(await list()).toEqual([])
      // Not a change of the order: whoever works on it is not disturbed.
      expect(claimed).toEqual({ ...order, next_due_at_ms: claimed.next_due_at_ms, now_ms: anything })
    })

    test('of two who saw it one after the other is the first one’s, and the order comes back if that one dies', async () => {
      await due()
      const [[first], [second]] = [await list(), await list()]
      expect(await claimDueOrder(store, first!, HOUR_MS)).toBe('done')
      expect(await claimDueOrder(store, second!, HOUR_MS)).toBe('lost')
      expect(await list()).toEqual([])
      await age(store, 'orders', first!.out_trade_no)
      const [again] = await list()
      expect(again!.out_trade_no).toBe(first!.out_trade_no)
      expect(await claimDueOrder(store, first!, HOUR_MS)).toBe('lost')
      expect(await claimDueOrder(store, again!, HOUR_MS)).toBe('done')
    })

    test('is lost when the order was let go in between', async () => {
      const order = await due()
      const [seen] = await list()
      expect(await scheduleOrder(store, order, null)).toBe('done')
      expect(await claimDueOrder(store, seen!, 30_000)).toBe('lost')
      expect((await read(store, order)).next_due_at_ms).toBeNull()
    })

    test('of a refund goes to one of ten who want it at once, and comes back', async () => {
      const order = await due()
      expect(await move(store, order, { state: 'paid' })).toBe('done')
      const paid = await read(store, order)
      const event = { at: 1, kind: 'refund', detail: {} } as const
      expect(await insertRefund(store, paid, newRefund(paid), 0, event, [])).toBe('done')
      const refunds = () => listDueRefunds(store, { out_sub_mch_id, limit: 10 })
      const stores = await openMany(url, 10)
      const [seen] = await refunds()
      const outcomes = await Promise.all(stores.map((each) => claimDueRefund(each, seen!, HOUR_MS)))
      expect([count(outcomes, 'done'), count(outcomes, 'lost')]).toEqual([1, 9])
      expect(await refunds()).toEqual([])
      await age(store, 'refunds', order.out_trade_no)
      expect(await refunds()).toHaveLength(1)
      expect(await claimDueRefund(store, seen!, HOUR_MS)).toBe('lost')
    })
  })

  describe('when to look next', () => {
    test('is said by whoever looked, with what was counted', async () => {
      const order = await due()
      const next = { inMs: 60_000, looks: 3, fruitless: 2 }
      const span = await during(store, async () =>
        expect(await scheduleOrder(store, order, next)).toBe('done'),
      )
      const after = await read(store, order)
      expect(after).toMatchObject({ looks: 3, fruitless: 2, version: order.version })
      expectTime(after.next_due_at_ms, span, 60_000)
    })

    test('may be a part of a move: later, at once, never, or as it is', async () => {
      let order = await due(7000)
      const moved = async (due_in_ms?: number | null) => {
        const change = due_in_ms === undefined ? {} : { due_in_ms }
        expect(await move(store, order, { jsapi_args: '{}', ...change })).toBe('done')
        order = await read(store, order)
        return order
      }
      const before = order.next_due_at_ms
      expect((await moved()).next_due_at_ms).toBe(before)
      for (const laterMs of [60_000, 0]) {
        const span = await during(store, () => moved(laterMs))
        expectTime(order.next_due_at_ms, span, laterMs)
      }
      expect((await moved(null)).next_due_at_ms).toBeNull()
      expect((await moved()).next_due_at_ms).toBeNull()
    })

    test.each([
      ['a notification', (order: ReadOrder) => notified(order)],
      ['whoever asks for it', (order: ReadOrder) => hintOrder(store, order)],
    ])('does not overrule %s that made it due now', async (_what, hint) => {
      const order = await due(5000)
      expect(await hint(order)).toBe('done')
      const hinted = await read(store, order)
      expect(inMs(hinted)).toBeLessThanOrEqual(0)
      // Decided on what was read before the hint: neither later nor never.
      expect(await scheduleOrder(store, order, { inMs: 60_000, looks: 1, fruitless: 0 })).toBe('lost')
      expect(await scheduleOrder(store, order, null)).toBe('lost')
      expect(await read(store, order)).toEqual({ ...hinted, now_ms: anything })
      expect(await numbers()).toEqual([order.out_trade_no])
      expect(await scheduleOrder(store, hinted, null)).toBe('done')
    })

    test('is nobody’s to say for an order that was let go', async () => {
      const order = await due()
      expect(await scheduleOrder(store, order, null)).toBe('done')
      const gone = await read(store, order)
      expect(await scheduleOrder(store, gone, { inMs: 0, looks: 1, fruitless: 0 })).toBe('lost')
      expect((await read(store, order)).next_due_at_ms).toBeNull()
    })
  })

  const notified = (order: ReadOrder) =>
    insertNotification(store, {
      ...{ out_sub_mch_id: order.out_sub_mch_id, out_trade_no: order.out_trade_no },
      ...{ id: `note of ${order.out_trade_no}`, received_at: 1, orphan: false, claims: {} },
    })

  test('an order is first due soon after it is written, or when it is told to be', async () => {
    let order = newOrder()
    const span = await during(store, async () => (order = await inserted(store, { out_sub_mch_id })))
    expectTime((await findOrder(store, order))!.next_due_at_ms, span, 20_000)
    let told: ReadOrder | undefined
    const toldSpan = await during(store, async () => (told = await due(90_000)))
    expectTime(told!.next_due_at_ms, toldSpan, 90_000)
  })
}
