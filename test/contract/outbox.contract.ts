import type { NewAnomaly } from '../../shared/order/anomaly'
import type { NewMessage } from '../../shared/order/message'
import { listAnomalies, resolveAnomaly } from '../../shared/store/anomalies'
import { noteAnomalies } from '../../shared/store/beside'
import type { Store } from '../../shared/store/open'
import { listEvents, type ReadOrder } from '../../shared/store/orders'
import {
  claimMessage,
  giveUpMessage,
  listDueMessages,
  markDelivered,
  retryMessage,
  type DueMessage,
} from '../../shared/store/outbox'
import { age, during, expectTime, HOUR_MS } from '../support/databaseClock'
import { anything, count, inserted, move, read, setUp, type Kind } from './ready'

export function outboxContract(kind: Kind): void {
  const { fresh, open, openMany } = setUp(kind)
  let url: string
  let store: Store

  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(() => {
    store = open(url)
  })

  const order = async (): Promise<ReadOrder> => read(store, await inserted(store))
  const paidMessage = ({ out_trade_no }: { out_trade_no: string }): NewMessage => ({
    type: 'order.paid',
    about: out_trade_no,
    out_trade_no,
    payload: `{"type":"order.paid","data":{"out_trade_no":"${out_trade_no}","body":"茶 \\\\ '1' 杯 🧋"}}`,
  })
  const matterOf = (key: { out_sub_mch_id: string; out_trade_no: string }, evidence = {}): NewAnomaly => ({
    kind: 'amount_differs',
    out_sub_mch_id: key.out_sub_mch_id,
    out_trade_no: key.out_trade_no,
    evidence,
  })
  const messages = (key: { out_trade_no: string }) =>
    store.db.selectFrom('outbox').selectAll().where('out_trade_no', '=', key.out_trade_no).execute()
  const message = async (id: string) =>
    (await store.db.selectFrom('outbox').selectAll().where('id', '=', id).execute())[0]!
  const anomalies = async (key: { out_trade_no: string }, which: 'open' | 'all' = 'all') =>
    (await listAnomalies(store, which, 1000)).filter((each) => each.out_trade_no === key.out_trade_no)
  const isDue = async (id: string) => (await listDueMessages(store, 1000)).some((each) => each.id === id)

  /** A message that waits to be sent. */
  async function waiting(): Promise<DueMessage> {
    const before = await order()
    expect(await move(store, before, { state: 'paid' }, { messages: [paidMessage(before)] })).toBe('done')
    return (await listDueMessages(store, 1000)).find((each) => each.out_trade_no === before.out_trade_no)!
  }

  describe('a message', () => {
    test('is written with the move it tells of, and is due at once', async () => {
      const before = await order()
      const told = paidMessage(before)
      const span = await during(store, async () =>
        expect(await move(store, before, { state: 'paid' }, { messages: [told] })).toBe('done'),
      )
      const due = (await listDueMessages(store, 1000)).filter(
        (each) => each.out_trade_no === before.out_trade_no,
      )
      expect(due).toEqual([
        {
          id: `evt_order_paid_${before.out_trade_no}`,
          out_sub_mch_id: before.out_sub_mch_id,
          out_trade_no: before.out_trade_no,
          type: 'order.paid',
          payload: told.payload,
          created_at: 1_900_000_001,
          attempts: 0,
          next_due_at_ms: anything,
          delivered_at: null,
          last_error: null,
        },
      ])
      expectTime(due[0]!.next_due_at_ms, span)
    })

    test('of a move that is lost is not written', async () => {
      const before = await order()
      const stale = { ...before, version: before.version - 1 }
      expect(await move(store, stale, { state: 'paid' }, { messages: [paidMessage(before)] })).toBe('lost')
      expect(await messages(before)).toEqual([])
    })

    test('that was written before loses its move, and nothing of that move is written', async () => {
      const before = await order()
      const beside = { messages: [paidMessage(before)] }
      expect(await move(store, before, { jsapi_args: '1' }, beside)).toBe('done')
      const first = await read(store, before)
      const matter = matterOf(before)
      expect(await move(store, first, { state: 'paid' }, { ...beside, anomalies: [matter] })).toBe('lost')
      expect(await read(store, before)).toEqual({ ...first, now_ms: anything })
      expect(await listEvents(store, before)).toHaveLength(2)
      expect(await anomalies(before)).toEqual([])
      expect(await messages(before)).toHaveLength(1)
      // Without it, the move is good.
      expect(await move(store, first, { state: 'paid' })).toBe('done')
    })

    test('is told once by ten at once', async () => {
      const before = await order()
      const stores = await openMany(url, 10)
      const outcomes = await Promise.all(
        stores.map((each) => move(each, before, { state: 'paid' }, { messages: [paidMessage(before)] })),
      )
      expect([count(outcomes, 'done'), count(outcomes, 'lost')]).toEqual([1, 9])
      expect(await messages(before)).toHaveLength(1)
    })
  })

  describe('delivering', () => {
    test('is for one of ten who want to, and counts the attempt', async () => {
      const due = await waiting()
      const stores = await openMany(url, 10)
      const outcomes = await Promise.all(stores.map((each) => claimMessage(each, due, HOUR_MS)))
      expect([count(outcomes, 'done'), count(outcomes, 'lost')]).toEqual([1, 9])
      expect((await message(due.id)).attempts).toBe(1)
      expect(await isDue(due.id)).toBe(false)
    })

    test('that came to its end is over for good', async () => {
      const due = await waiting()
      expect(await claimMessage(store, due, HOUR_MS)).toBe('done')
      expect(await markDelivered(store, due.id, 1, 1_900_000_009)).toBe('done')
      const row = await message(due.id)
      expect(Number(row.delivered_at)).toBe(1_900_000_009)
      expect(row).toMatchObject({ next_due_at_ms: null, last_error: null, attempts: 1 })
      await age(store, 'outbox', due.out_trade_no)
      expect(await isDue(due.id)).toBe(false)
      expect(await claimMessage(store, due, HOUR_MS)).toBe('lost')
    })

    test('by one who was overtaken changes nothing, whatever came of it', async () => {
      const due = await waiting()
      expect(await claimMessage(store, due, HOUR_MS)).toBe('done')
      await age(store, 'outbox', due.out_trade_no)
      const again = (await listDueMessages(store, 1000)).find((each) => each.id === due.id)!
      expect(again.attempts).toBe(1)
      expect(await claimMessage(store, again, HOUR_MS)).toBe('done')
      const row = await message(due.id)
      const matter = { ...matterOf(due), kind: 'webhook_undelivered' as const }
      expect(await markDelivered(store, due.id, 1, 9)).toBe('lost')
      expect(await retryMessage(store, due.id, 1, 'status_500', 0)).toBe('lost')
      expect(await giveUpMessage(store, due.id, 1, 'status_500', 9, matter)).toBe('lost')
      expect(await message(due.id)).toEqual(row)
      expect(await anomalies(due)).toEqual([])
      expect(await markDelivered(store, due.id, 2, 9)).toBe('done')
    })

    test('that failed is tried again when it is told to, and says why', async () => {
      const due = await waiting()
      expect(await claimMessage(store, due, 2 * HOUR_MS)).toBe('done')
      expect(await retryMessage(store, due.id, 1, 'status_500', HOUR_MS)).toBe('done')
      expect(await message(due.id)).toMatchObject({
        attempts: 1,
        delivered_at: null,
        last_error: 'status_500',
      })
      expect(await isDue(due.id)).toBe(false)
      await age(store, 'outbox', due.out_trade_no)
      expect(await isDue(due.id)).toBe(true)
    })

    test('that is given up is never due again, and a person is told in the same transaction', async () => {
      const due = await waiting()
      expect(await claimMessage(store, due, HOUR_MS)).toBe('done')
      const matter = { ...matterOf(due), kind: 'webhook_undelivered' as const, about: due.id }
      expect(await giveUpMessage(store, due.id, 1, 'status_410', 1_900_000_010, matter)).toBe('done')
      expect(await message(due.id)).toMatchObject({
        ...{ next_due_at_ms: null, delivered_at: null, last_error: 'status_410' },
      })
      expect(await anomalies(due, 'open')).toEqual([
        expect.objectContaining({ kind: 'webhook_undelivered', times: 1 }),
      ])
      await age(store, 'outbox', due.out_trade_no)
      expect(await isDue(due.id)).toBe(false)
    })

    test('takes the longest waiting first, a page at a time', async () => {
      const [second, first] = [await waiting(), await waiting()]
      await age(store, 'outbox', first.out_trade_no)
      const ids = (await listDueMessages(store, 1000)).map((each) => each.id)
      expect(ids.indexOf(first.id)).toBeLessThan(ids.indexOf(second.id))
      expect((await listDueMessages(store, 2)).map((each) => each.id)).toEqual(ids.slice(0, 2))
    })
  })

  describe('an anomaly', () => {
    test('is written with its move or on its own, and the merchant hears of it once', async () => {
      const before = await order()
      const matter = matterOf(before, { fields: ['total_fee'], paid: true, none: null, why: '金额不符' })
      expect(await move(store, before, { flag: 'amount_differs' }, { anomalies: [matter] })).toBe('done')
      const id = `amount_differs:${before.out_sub_mch_id}:${before.out_trade_no}`
      expect(await anomalies(before)).toEqual([
        {
          id,
          kind: 'amount_differs',
          out_sub_mch_id: before.out_sub_mch_id,
          out_trade_no: before.out_trade_no,
          evidence: matter.evidence,
          first_at: 1_900_000_001,
          last_at: 1_900_000_001,
          times: 1,
          resolved_at: null,
          resolution: null,
        },
      ])
      const [told] = await messages(before)
      expect(told!.type).toBe('anomaly')
      expect(JSON.parse(told!.payload)).toEqual({
        type: 'anomaly',
        timestamp: '2030-03-18T01:46:41+08:00',
        data: { id, kind: 'amount_differs', out_trade_no: before.out_trade_no, evidence: matter.evidence },
      })

      await noteAnomalies(store, 1_900_000_777, [{ ...matter, evidence: { seen: 'again' } }])
      expect(await anomalies(before)).toEqual([
        expect.objectContaining({
          ...{ times: 2, first_at: 1_900_000_001, last_at: 1_900_000_777 },
          evidence: { seen: 'again' },
        }),
      ])
      expect(await messages(before)).toHaveLength(1)
    })

    test('of a move that is lost is not written', async () => {
      const before = await order()
      const stale = { ...before, version: before.version - 1 }
      expect(await move(store, stale, {}, { anomalies: [matterOf(before)] })).toBe('lost')
      expect([await anomalies(before), await messages(before)]).toEqual([[], []])
    })

    test('several of one kind on one order are told apart by what they are about', async () => {
      const before = await order()
      const about = ['r1', 'r.1', 'r_1'].map((about) => ({ ...matterOf(before), about }))
      await noteAnomalies(store, 1, about)
      expect(await anomalies(before)).toHaveLength(3)
      expect(await messages(before)).toHaveLength(3)
    })

    test('is resolved once, and opened again when it is seen again', async () => {
      const before = await order()
      await noteAnomalies(store, 1_900_000_100, [matterOf(before)])
      const { id } = (await anomalies(before, 'open'))[0]!
      expect(await resolveAnomaly(store, id, 1_900_000_200, "it's paid back · 已退")).toBe('done')
      expect(await anomalies(before, 'open')).toEqual([])
      const resolved = await anomalies(before)
      expect(resolved).toEqual([
        expect.objectContaining({ resolved_at: 1_900_000_200, resolution: "it's paid back · 已退" }),
      ])
      expect(await resolveAnomaly(store, id, 1_900_000_300, 'again')).toBe('lost')
      expect(await resolveAnomaly(store, 'no such anomaly', 1, 'x')).toBe('lost')
      expect(await anomalies(before)).toEqual(resolved)

      await noteAnomalies(store, 1_900_000_400, [matterOf(before)])
      expect(await anomalies(before, 'open')).toEqual([
        expect.objectContaining({
          ...{ resolved_at: null, resolution: null, times: 2, first_at: 1_900_000_100 },
        }),
      ])
    })

    test('that comes back after it was resolved is told again, once each time it opens', async () => {
      const before = await order()
      const id = `amount_differs:${before.out_sub_mch_id}:${before.out_trade_no}`
      const raise = (at: number) => noteAnomalies(store, at, [matterOf(before, { at })])
      const told = async () =>
        (await messages(before)).map(({ payload }) => {
          const { data } = JSON.parse(payload) as { data: { id: string; evidence: { at: number } } }
          return [data.id, data.evidence.at]
        })
      await raise(1)
      await raise(2)
      expect(await told()).toEqual([[id, 1]])
      for (const at of [10, 20]) {
        expect(await resolveAnomaly(store, id, at, 'done')).toBe('done')
        await raise(at + 1)
        await raise(at + 2)
      }
      expect((await told()).sort((a, b) => Number(a[1]) - Number(b[1]))).toEqual([
        [id, 1],
        [id, 11],
        [id, 21],
      ])
      const ids = (await messages(before)).map((each) => each.id)
      expect(new Set(ids).size).toBe(3)
      for (const one of ids) expect(one).toMatch(/^evt_anomaly_[0-9a-f]{64}$/)
    })

    test('of a move that is lost is not opened again, and not told', async () => {
      const before = await order()
      await noteAnomalies(store, 1, [matterOf(before)])
      const { id } = (await anomalies(before))[0]!
      expect(await resolveAnomaly(store, id, 2, 'done')).toBe('done')
      const stale = { ...before, version: before.version - 1 }
      expect(await move(store, stale, {}, { anomalies: [matterOf(before)] })).toBe('lost')
      expect([await anomalies(before, 'open'), (await messages(before)).length]).toEqual([[], 1])
      expect(await move(store, before, {}, { anomalies: [matterOf(before)] })).toBe('done')
      expect([(await anomalies(before, 'open')).length, (await messages(before)).length]).toEqual([1, 2])
    })

    test('that comes back is told once by ten who see it at once', async () => {
      const before = await order()
      const stores = await openMany(url, 10)
      const all = () => Promise.all(stores.map((each) => noteAnomalies(each, 1, [matterOf(before)])))
      await all()
      const { id } = (await anomalies(before))[0]!
      expect(await resolveAnomaly(store, id, 2, 'done')).toBe('done')
      await all()
      expect(await anomalies(before, 'open')).toEqual([expect.objectContaining({ times: 20 })])
      expect(await messages(before)).toHaveLength(2)
    })

    test('is counted by each of ten who see it at once, and is one', async () => {
      const before = await order()
      const stores = await openMany(url, 10)
      await Promise.all(stores.map((each) => noteAnomalies(each, 1, [matterOf(before)])))
      expect(await anomalies(before)).toEqual([expect.objectContaining({ times: 10 })])
      expect(await messages(before)).toHaveLength(1)
    })

    test('that was seen last is listed first, a page at a time', async () => {
      const [one, other] = [await order(), await order()]
      await noteAnomalies(store, 2_000_000_001, [matterOf(one)])
      await noteAnomalies(store, 2_000_000_002, [matterOf(other)])
      const listed = (await listAnomalies(store, 'open', 2)).map((each) => each.out_trade_no)
      expect(listed).toEqual([other.out_trade_no, one.out_trade_no])
    })
  })
}
