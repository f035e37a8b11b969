import type { NewAnomaly } from '../../shared/order/anomaly'
import { ORDER_STATES } from '../../shared/order/state'
import { listAnomalies } from '../../shared/store/anomalies'
import {
  adoptOrphan,
  hintOrder,
  insertNotification,
  listAdoptable,
  type NewNotification,
} from '../../shared/store/notifications'
import type { Store } from '../../shared/store/open'
import { insertOrder, type OrderKey, type ReadOrder } from '../../shared/store/orders'
import { age, during, expectTime, HOUR_MS } from '../support/databaseClock'
import { newOrder, type NewOrder } from '../support/orders'
import { anything, count, doesNotFit, LEASE_MS, read, setUp, type Kind } from './ready'

export function notificationsContract(kind: Kind): void {
  const { fresh, open, openMany } = setUp(kind)
  let url: string
  let store: Store
  let made = 0

  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(() => {
    store = open(url)
  })

  async function order(change: Partial<NewOrder> = {}): Promise<ReadOrder> {
    const row = newOrder(change)
    expect(await insertOrder(store, row, LEASE_MS, HOUR_MS)).toBe('done')
    return read(store, row)
  }
  const note = ({ out_sub_mch_id, out_trade_no }: OrderKey, change: Partial<NewNotification> = {}) => ({
    ...{ out_sub_mch_id, out_trade_no, id: `hash${++made}`, received_at: 1_900_000_300 },
    orphan: false,
    claims: { out_trade_no, total_fee: 100, state: 3, note: '茶', none: null },
    ...change,
  })
  const anomalies = async (which: 'open' | 'all', { out_trade_no }: OrderKey) =>
    (await listAnomalies(store, which, 1000)).filter((each) => each.out_trade_no === out_trade_no)
  const kept = (id: string) => store.db.selectFrom('notifications').selectAll().where('id', '=', id).execute()

  describe('insertNotification', () => {
    test('keeps it, and makes its order due now', async () => {
      const before = await order()
      const notification = note(before)
      const span = await during(store, async () =>
        expect(await insertNotification(store, notification)).toBe('done'),
      )
      const [row] = await kept(notification.id)
      expect({
        ...row,
        received_at: Number(row!.received_at),
        claims: JSON.parse(row!.claims) as unknown,
      }).toEqual({
        ...notification,
        orphan: 0,
      })
      const after = await read(store, before)
      expectTime(after.next_due_at_ms, span)
      expectTime(after.notified_at_ms, span)
      // A hint, not a change: nothing else of the order moves.
      expect(after).toEqual({
        ...before,
        next_due_at_ms: anything,
        notified_at_ms: anything,
        now_ms: anything,
      })
    })

    test('knows the very same one again, and does nothing more', async () => {
      const before = await order()
      const notification = note(before)
      expect(await insertNotification(store, notification)).toBe('done')
      await store.db
        .updateTable('orders')
        .set({ next_due_at_ms: null })
        .where('out_trade_no', '=', before.out_trade_no)
        .execute()
      const after = await read(store, before)
      const matter: NewAnomaly = { kind: 'notification_mismatch', ...before, evidence: {} }
      expect(await insertNotification(store, notification, [matter])).toBe('known')
      expect(await read(store, before)).toEqual({ ...after, now_ms: anything })
      expect(await anomalies('all', before)).toEqual([])
      // Another sub-merchant may be told the same.
      expect(await insertNotification(store, { ...notification, out_sub_mch_id: 'another' })).toBe('done')
    })

    test('keeps it once for ten at once', async () => {
      const before = await order()
      const notification = note(before)
      const stores = await openMany(url, 10)
      const outcomes = await Promise.all(stores.map((each) => insertNotification(each, notification)))
      expect(count(outcomes, 'done')).toBe(1)
      // Whoever is undone by the database instead of told may try again, and is told then.
      for (const outcome of outcomes) expect(['done', 'known', 'lost']).toContain(outcome)
      expect(await insertNotification(store, notification)).toBe('known')
      expect(await kept(notification.id)).toHaveLength(1)
    })

    test('remembers when the first one came', async () => {
      const before = await order()
      expect(await insertNotification(store, note(before))).toBe('done')
      await age(store, 'orders', before.out_trade_no)
      const first = await read(store, before)
      const span = await during(store, async () =>
        expect(await insertNotification(store, note(before))).toBe('done'),
      )
      const second = await read(store, before)
      expect(second.notified_at_ms).toBe(first.notified_at_ms)
      expectTime(second.next_due_at_ms, span)
    })

    const worth = ['created', 'pending', 'closing', 'closed', 'failed']
    test.each(ORDER_STATES)(
      'of an order that is %s makes it due only if it can still be paid',
      async (state) => {
        const before = await order({ state })
        expect(await insertNotification(store, note(before))).toBe('done')
        const { next_due_at_ms, now_ms } = await read(store, before)
        if (worth.includes(state)) expect(next_due_at_ms).toBeLessThanOrEqual(now_ms)
        else expect(next_due_at_ms).toBe(before.next_due_at_ms)
      },
    )

    test('touches no other order', async () => {
      const [one, other] = [await order(), await order()]
      const elsewhere = await order({ out_sub_mch_id: 'elsewhere', out_trade_no: one.out_trade_no })
      expect(await insertNotification(store, note(one))).toBe('done')
      for (const each of [other, elsewhere]) {
        expect(await read(store, each)).toEqual({ ...each, now_ms: anything })
      }
    })

    test('tells a person in the same transaction, or keeps nothing', async () => {
      const before = await order()
      const matter: NewAnomaly = { kind: 'notification_orphan', ...before, evidence: { why: 'x' } }
      const notification = note(before)
      expect(await insertNotification(store, notification, [matter])).toBe('done')
      expect(await anomalies('open', before)).toEqual([
        expect.objectContaining({ kind: 'notification_orphan', out_trade_no: before.out_trade_no }),
      ])
      // A number that fits no column undoes all of it.
      const wrong = note(before, { out_trade_no: before.out_trade_no })
      const tooLong = { ...matter, kind: 'x'.repeat(5000) as NewAnomaly['kind'] }
      if (kind.dialect !== 'sqlite') {
        await expect(insertNotification(store, wrong, [tooLong])).rejects.toMatchObject(doesNotFit)
        expect(await kept(wrong.id)).toEqual([])
      }
    })
  })

  describe('an orphan', () => {
    const orphans = async () => (await listAdoptable(store, 1000)).map((each) => each.id)

    test('is listed once its order has appeared, and then the order is due', async () => {
      const key = newOrder()
      const notification = note(key, { orphan: true })
      expect(await insertNotification(store, notification)).toBe('done')
      expect(await orphans()).not.toContain(notification.id)
      expect(await insertOrder(store, key, LEASE_MS, HOUR_MS)).toBe('done')

      const orphan = (await listAdoptable(store, 1000)).find((each) => each.id === notification.id)!
      expect(orphan).toEqual({
        out_sub_mch_id: key.out_sub_mch_id,
        out_trade_no: key.out_trade_no,
        id: notification.id,
      })
      expect(await adoptOrphan(store, orphan)).toBe('done')
      expect(await orphans()).not.toContain(notification.id)
      const after = await read(store, key)
      expect(after.next_due_at_ms).toBeLessThanOrEqual(after.now_ms)
      expect(after.notified_at_ms).not.toBeNull()
      // It stays known.
      expect(await insertNotification(store, notification)).toBe('known')
    })

    test('may be adopted by several at once', async () => {
      const key = await order()
      const notification = note(key, { orphan: true })
      expect(await insertNotification(store, notification)).toBe('done')
      expect((await read(store, key)).notified_at_ms).toBeNull()
      const stores = await openMany(url, 5)
      const orphan = { ...key, id: notification.id }
      const outcomes = await Promise.all(stores.map((each) => adoptOrphan(each, orphan)))
      expect(count(outcomes, 'done')).toBeGreaterThanOrEqual(1)
      expect(await orphans()).not.toContain(notification.id)
      expect((await read(store, key)).notified_at_ms).not.toBeNull()
    })

    test('is looked for among those that came last, so many and no more', async () => {
      const [early, late] = [await order(), await order()]
      const notes = [
        note(early, { orphan: true, received_at: 1_999_999_999 }),
        note(late, { orphan: true, received_at: 2_000_000_000 }),
      ]
      for (const each of notes) expect(await insertNotification(store, each)).toBe('done')
      const listed = async (limit: number) => (await listAdoptable(store, limit)).map(({ id }) => id)
      expect(await listed(1)).toEqual([notes[1]!.id])
      expect((await listed(2)).sort()).toEqual(notes.map(({ id }) => id).sort())
    })
  })

  test('an order can be made due now by whoever wants it looked at, unless it has its money', async () => {
    const unpaid = await order()
    expect(await hintOrder(store, unpaid)).toBe('done')
    const after = await read(store, unpaid)
    expect(after.next_due_at_ms).toBeLessThanOrEqual(after.now_ms)
    expect(after.notified_at_ms).toBeNull()
    expect(await hintOrder(store, await order({ state: 'paid' }))).toBe('lost')
    expect(await hintOrder(store, newOrder())).toBe('lost')
  })
}
