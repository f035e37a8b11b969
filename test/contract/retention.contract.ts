import { erasePayer } from '../../cli/privacy/erase'
import { exportPayer } from '../../cli/privacy/export'
import { findWhom } from '../../cli/privacy/payer'
import { payerKey } from '../../shared/access/session'
import { ERASED, hashedPayerId } from '../../shared/base/payer'
import { systemRandom } from '../../shared/base/random'
import { systemClock } from '../../shared/base/time'
import { resolveAnomaly } from '../../shared/store/anomalies'
import { noteAnomalies } from '../../shared/store/beside'
import { insertNotification } from '../../shared/store/notifications'
import type { Store } from '../../shared/store/open'
import { findOwnedOrder, listEvents } from '../../shared/store/orders'
import { insertRefund, listRefunds, moveRefund } from '../../shared/store/refunds'
import { isRevoked } from '../../shared/store/revocations'
import {
  eraseOrder,
  forgetNote,
  listPurgeable,
  listResolved,
  purgeOrder,
  type KeptPlace,
  type Purgeable,
} from '../../shared/store/retention'
import { newOrder, type NewOrder } from '../support/orders'
import { newRefund } from '../support/refunds'
import { count, inserted, move, read, setUp, type Kind } from './ready'

const AT = 1_900_000_001
const LATER = AT + 40 * 86_400
/** As a payer's session names its caller. */
const CALLER = `p:${'a'.repeat(43)}`

/** What is kept of a person, and what goes: the guards must hold between instances, and leave the books alone. */
export function retentionContract(kind: Kind): void {
  const { fresh, open, openMany } = setUp(kind)
  let url: string
  let store: Store
  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(() => {
    store = open(url)
  })

  const list = async (before = LATER) =>
    (await listPurgeable(store, { nowS: LATER, before, limit: 1000 })).orders
  const find = async (number: string): Promise<Purgeable | undefined> =>
    (await list()).find(({ out_trade_no }) => out_trade_no === number)
  const anomalyOf = ({ out_sub_mch_id, out_trade_no }: { out_sub_mch_id: string; out_trade_no: string }) => ({
    ...{ kind: 'second_payment' as const, out_sub_mch_id, out_trade_no, evidence: {} },
  })

  /** A paid order with a refund, a message, an inbox entry and a resolved anomaly. */
  async function over(change: Partial<NewOrder> = {}) {
    const { out_sub_mch_id, out_trade_no } = await inserted(store, { caller: CALLER, ...change })
    const key = { out_sub_mch_id, out_trade_no }
    const notification = {
      ...key,
      id: out_trade_no,
      received_at: AT,
      orphan: false,
      claims: { total_fee: 100 },
    }
    await insertNotification(store, notification)
    const payload = JSON.stringify({ told: out_trade_no })
    const message = { type: 'order.paid' as const, about: out_trade_no, out_trade_no, payload }
    await move(
      store,
      await read(store, key),
      { state: 'paid', jsapi_args: '{"wxpay":{}}', due_in_ms: null },
      { messages: [message] },
    )
    const refund = newRefund(key)
    const event = { at: AT, kind: 'refund', detail: {}, note: `told ${out_trade_no}` } as const
    await insertRefund(store, await read(store, key), refund, null, event, [])
    const kept = (await listRefunds(store, key))[0]!
    await moveRefund(
      store,
      await read(store, key),
      kept,
      { refund: { state: 'succeeded', due_in_ms: null }, order: { refunded_fen: 10 } },
      event,
    )
    await noteAnomalies(store, AT, [anomalyOf(key)])
    await resolveAnomaly(
      store,
      `second_payment:${out_sub_mch_id}:${out_trade_no}`,
      AT,
      `called ${out_trade_no}`,
    )
    return key
  }

  const beside = async (number: string) => {
    const of = async (table: 'outbox' | 'notifications' | 'anomalies') =>
      (await store.db.selectFrom(table).selectAll().where('out_trade_no', '=', number).execute()) as Record<
        string,
        unknown
      >[]
    return {
      outbox: await of('outbox'),
      notifications: await of('notifications'),
      anomalies: await of('anomalies'),
    }
  }

  test('finds what is over and old enough, the oldest first, and no more than asked for', async () => {
    const numbers = [(await over()).out_trade_no, (await over()).out_trade_no]
    const found = (await list()).map(({ out_trade_no }) => out_trade_no)
    expect(found).toEqual(expect.arrayContaining(numbers))
    expect((await list(AT)).length).toBe(0)
    expect((await listPurgeable(store, { nowS: LATER, before: LATER, limit: 1 })).orders.length).toBe(1)
  })

  test('what is told of an order after that goes in its turn, once it is over again', async () => {
    const key = await over()
    const purge = async () => purgeOrder(store, (await find(key.out_trade_no))!, LATER)
    expect(await purge()).toBe('done')
    const { out_sub_mch_id, out_trade_no } = key
    const late = { ...anomalyOf(key), kind: 'refund_ceiling' as const }
    await noteAnomalies(store, AT, [late])
    const payloads = async () => (await beside(out_trade_no)).outbox.map(({ payload }) => payload)
    expect((await payloads()).filter((payload) => payload !== '')).toHaveLength(1)
    expect(await find(out_trade_no)).toBeUndefined()
    await resolveAnomaly(store, `refund_ceiling:${out_sub_mch_id}:${out_trade_no}`, AT, 'seen')
    expect(await purge()).toBe('done')
    expect((await payloads()).filter((payload) => payload !== '')).toEqual([])
  })

  test('passes over what is not over, page by page, each row once, also of one second', async () => {
    const own = `pages-${kind.dialect}`
    const keys = []
    for (let at = 0; at < 7; at++) keys.push(await over({ out_sub_mch_id: at < 3 ? own : `${own}2` }))
    const stuck = keys.filter((_, at) => at % 3 === 1)
    await noteAnomalies(store, AT, stuck.map(anomalyOf))
    for (const [at, { out_trade_no }] of keys.entries())
      await store.db
        .updateTable('orders')
        .set({ updated_at: at < 6 ? 7 : 8 })
        .where('out_trade_no', '=', out_trade_no)
        .execute()
    const numbers: string[] = []
    let after: KeptPlace | undefined
    let pages = 0
    do {
      const page = { nowS: LATER, before: 9, limit: 2, ...(after ? { after } : {}) }
      const { orders, last } = await listPurgeable(store, page)
      numbers.push(...orders.map(({ out_trade_no }) => out_trade_no))
      after = last
      pages++
    } while (after)
    expect(pages).toBe(4)
    const wanted = keys.filter((key) => !stuck.includes(key))
    expect(numbers).toHaveLength(wanted.length)
    expect(numbers.at(-1)).toBe(keys[6]!.out_trade_no)
    expect(new Set(numbers)).toEqual(new Set(wanted.map(({ out_trade_no }) => out_trade_no)))
  })

  test('purges every text about one order, and nothing that counts', async () => {
    const key = await over()
    const other = await over()
    const before = await read(store, key)
    const events = await listEvents(store, key)
    const [refund] = await listRefunds(store, key)
    expect(await purgeOrder(store, (await find(key.out_trade_no))!, LATER)).toBe('done')

    const { now_ms, ...after } = await read(store, key)
    const { now_ms: _, ...was } = before
    expect(now_ms).toBeGreaterThan(0)
    const purged = {
      request_content: '',
      jsapi_args: '{}',
      payer_id: hashedPayerId(before),
      purged_at: LATER,
    }
    expect(after).toEqual({ ...was, ...purged })
    expect(events.filter(({ note }) => note !== null)).toHaveLength(2)
    expect(await listEvents(store, key)).toEqual(events.map((event) => ({ ...event, note: null })))
    expect(await listRefunds(store, key)).toEqual([{ ...refund!, reason: '', request_content: '' }])
    const { outbox, notifications, anomalies } = await beside(key.out_trade_no)
    expect(outbox.map(({ payload, next_due_at_ms }) => [payload, next_due_at_ms])).toEqual([
      ['', null],
      ['', null],
    ])
    expect(notifications.map(({ claims }) => claims)).toEqual(['{}'])
    expect(anomalies).toMatchObject([{ evidence: '{}', resolution: null }])
    expect(await find(key.out_trade_no)).toBeUndefined()
    // The neighbour's are as they were.
    expect((await read(store, other)).request_content).not.toBe('')
    expect((await beside(other.out_trade_no)).anomalies).toMatchObject([
      { resolution: `called ${other.out_trade_no}` },
    ])
  })

  test('is still found by whoever has the id, and by nobody else', async () => {
    const key = await over()
    const { payer_field, payer_id } = await read(store, key)
    await purgeOrder(store, (await find(key.out_trade_no))!, LATER)
    const as = (id: string) => findOwnedOrder(store, key, { by: 'payer', payer_field, payer_id: id })
    expect(await as(payer_id)).toMatchObject(key)
    expect(await as(`${payer_id}x`)).toBeUndefined()
    expect(
      await findOwnedOrder(store, key, { by: 'payer', payer_field: 'open_id', payer_id }),
    ).toBeUndefined()
  })

  test('erased, it leads back to nobody; keys of the payer go, those of the merchant stay', async () => {
    // Two orders under the same key of two payers, so that both cannot have the same caller and keep it.
    const own = [
      await over({ idempotency_key: 'k1' }),
      await over({ idempotency_key: 'k1', caller: `${CALLER}b` }),
    ]
    const shops = await over({ idempotency_key: 'k2', caller: 'm:sandboxsub0000000001' })
    for (const { out_trade_no } of [...own, shops])
      expect(await eraseOrder(store, (await find(out_trade_no))!, LATER)).toBe('done')
    for (const key of own)
      expect(await read(store, key)).toMatchObject({
        ...{ payer_id: ERASED, caller: ERASED, content_hash: ERASED, idempotency_key: null, total_fee: 100 },
      })
    expect(await read(store, shops)).toMatchObject({
      ...{ payer_id: ERASED, caller: 'm:sandboxsub0000000001', content_hash: ERASED, idempotency_key: 'k2' },
    })
  })

  test('one that has changed since is left alone, and one that changes afterwards is purged again', async () => {
    const key = await over()
    const decided = (await find(key.out_trade_no))!
    await move(store, await read(store, key), { wallet_state: 7 })
    const before = await read(store, key)
    expect(await purgeOrder(store, decided, LATER)).toBe('lost')
    expect({ ...(await read(store, key)), now_ms: 0 }).toEqual({ ...before, now_ms: 0 })
    expect(await purgeOrder(store, (await find(key.out_trade_no))!, LATER)).toBe('done')
    await move(store, await read(store, key), { wallet_state: 8 })
    const again = (await find(key.out_trade_no))!
    expect(await purgeOrder(store, again, LATER)).toBe('done')
    expect((await read(store, key)).payer_id).toBe(again.payer_id)
  })

  test.each(['an anomaly', 'a message', 'a refund', 'a time'] as const)(
    'is kept for %s that came between the decision and the purge',
    async (what) => {
      const key = await over()
      const decided = (await find(key.out_trade_no))!
      const { out_sub_mch_id, out_trade_no } = key
      if (what === 'an anomaly') await noteAnomalies(store, AT, [{ ...anomalyOf(key), about: 'x' }])
      const of = { where: out_trade_no }
      if (what === 'a message')
        await store.db
          .updateTable('outbox')
          .set({ next_due_at_ms: 1, created_at: LATER })
          .where('out_trade_no', '=', of.where)
          .execute()
      if (what === 'a refund')
        await store.db
          .updateTable('refunds')
          .set({ state: 'accepted' })
          .where('out_trade_no', '=', of.where)
          .execute()
      if (what === 'a time')
        await store.db
          .updateTable('orders')
          .set({ next_due_at_ms: 1 })
          .where('out_trade_no', '=', of.where)
          .execute()
      expect(await find(out_trade_no)).toBeUndefined()
      expect(await purgeOrder(store, decided, LATER)).toBe('lost')
      expect((await read(store, { out_sub_mch_id, out_trade_no })).request_content).not.toBe('')
    },
  )

  test('purged by four at once it is purged, and no books are harmed', async () => {
    const key = await over()
    const decided = (await find(key.out_trade_no))!
    const stores = await openMany(url, 4)
    const outcomes = await Promise.all(stores.map((each) => purgeOrder(each, decided, LATER)))
    expect(count(outcomes, 'done')).toBeGreaterThanOrEqual(1)
    expect(await read(store, key)).toMatchObject({ request_content: '', reserved_fen: 10, refunded_fen: 10 })
  })

  describe('a person who asks', () => {
    const payer_id = () => `oAsking${kind.dialect}00001`
    const field = 'sub_open_id'
    const whom = () => findWhom(store, {}, payer_id(), { field: undefined, merchant: undefined })
    const mine = (change: Partial<NewOrder> = {}) =>
      over({
        ...{ payer_id: payer_id(), request_content: `{"open_id":"${payer_id()}"}` },
        ...{ caller: payerKey(newOrder().out_sub_mch_id, field, payer_id()), ...change },
      })
    const everything = async () => JSON.stringify(await exportPayer(store, await whom()))

    test('is told everything, and then is nowhere but in what is not over', async () => {
      const key = await mine()
      const old = await mine()
      const other = await mine({ payer_id: `${payer_id()}x` })
      await purgeOrder(store, (await find(old.out_trade_no))!, LATER)
      const open = await inserted(store, { payer_id: payer_id(), merchant_order_id: null })
      const told = await exportPayer(store, await whom())
      expect(told['orders']!.map(({ out_trade_no }) => out_trade_no).sort()).toEqual(
        [key, old, open].map(({ out_trade_no }) => out_trade_no).sort(),
      )
      for (const table of ['order_events', 'refunds', 'outbox', 'anomalies', 'notifications'])
        expect([table, told[table]!.length > 0]).toEqual([table, true])
      expect(JSON.stringify(told)).not.toContain(other.out_trade_no)

      const clock = { ...systemClock, nowMs: () => LATER * 1000 }
      const { erased, left } = await erasePayer(store, clock, systemRandom, await whom())
      expect([erased, left]).toEqual([
        2,
        [expect.objectContaining({ out_trade_no: open.out_trade_no, state: 'created' })],
      ])
      for (const gone of [key, old])
        expect(await read(store, gone)).toMatchObject({
          ...{ payer_id: ERASED, caller: ERASED, request_content: '', reserved_fen: 10, refunded_fen: 10 },
        })
      const session = { session: 'x', began: LATER - 1, payer: '' }
      const { out_sub_mch_id } = key
      expect(await isRevoked(store, { ...session, payer: payerKey(out_sub_mch_id, field, payer_id()) })).toBe(
        true,
      )
      expect(await everything()).toContain(open.out_trade_no)
      expect(await everything()).not.toContain(key.out_trade_no)
      expect((await read(store, other)).payer_id).toBe(`${payer_id()}x`)
      const trail = await store.db
        .selectFrom('marks')
        .selectAll()
        .where('name', 'like', 'erasure:%')
        .execute()
      expect(trail.map(({ value }) => value)).toEqual(['{"orders_erased":2,"orders_left":1}'])

      // Once it is over, the same request does the rest.
      await move(store, await read(store, open), { state: 'failed', due_in_ms: null })
      expect(await erasePayer(store, clock, systemRandom, await whom())).toEqual({ erased: 1, left: [] })
      expect(JSON.parse(await everything())).toMatchObject({ orders: [] })
    })
  })

  test('notes of anomalies go by when they were resolved, the others stay', async () => {
    const keys = [await over(), await over()]
    const ids = keys.map((key) => `second_payment:${key.out_sub_mch_id}:${key.out_trade_no}`)
    await store.db.updateTable('anomalies').set({ resolved_at: LATER }).where('id', '=', ids[1]!).execute()
    const found = (await listResolved(store, { before: LATER, limit: 1000 })).filter(({ id }) =>
      ids.includes(id),
    )
    expect(found).toEqual([{ id: ids[0], resolved_at: AT, isNoted: true }])
    expect(await forgetNote(store, { ...found[0]!, resolved_at: AT - 1 })).toBe('lost')
    expect(await forgetNote(store, found[0]!)).toBe('done')
    const rows = await store.db
      .selectFrom('anomalies')
      .select(['id', 'resolution'])
      .where('id', 'in', ids)
      .execute()
    expect(new Map(rows.map(({ id, resolution }) => [id, resolution]))).toEqual(
      new Map([
        [ids[0], null],
        [ids[1], `called ${keys[1]!.out_trade_no}`],
      ]),
    )
  })
}
