import timers from 'node:timers'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Dialect } from '../../shared/base/databaseUrl'
import { systemClock } from '../../shared/base/time'
import type { Order } from '../../shared/order/order'
import { isLegalMove, ORDER_STATES } from '../../shared/order/state'
import { useUpTo } from '../../shared/store/counters'
import { migrate } from '../../shared/store/migrate'
import type { Store } from '../../shared/store/open'
import {
  claimLook,
  type LookLimits,
  countSend,
  findOrder,
  findOrderOfPurchase,
  findOrdersFor,
  insertOrder,
  listEvents,
  listOrdersIn,
  moved,
  moveOrder,
  takeLease,
  type ReadOrder,
} from '../../shared/store/orders'
import { insertRefund, listRefunds } from '../../shared/store/refunds'
import { age, during, duringHere, expectTime, HOUR_MS } from '../support/databaseClock'
import { newOrder, type NewOrder } from '../support/orders'
import { newRefund } from '../support/refunds'
import type { Session } from '../support/servers'
import { startTcpProxy, type TcpProxy } from '../support/tcpProxy'
import { MIGRATIONS } from '../support/migrationNames'
import { fakeTimeouts, until } from '../support/waiting'
import {
  anything,
  count,
  doesNotFit,
  inserted,
  LEASE_MS,
  move,
  read,
  setUp,
  unavailable,
  unhurried,
  type Kind,
  type ServerKind,
} from './ready'

// ── what every store must do ───────────────────────────────────────────────────────────────────────────────────

/** No limit of anybody's is near. */
const FREE: LookLimits = {
  payer: undefined,
  merchant: { name: 'lm:free', periodMs: 60_000, max: 1_000_000 },
  nowMs: 0,
}

/** The promises a store makes, whatever database is behind it. */
export function storeContract(kind: Kind): void {
  const { ready, fresh, open, openMany, sessions } = setUp(kind)
  let url: string
  let store: Store

  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(() => {
    store = open(url)
  })

  describe('migrations', () => {
    test('bring a fresh database up to date, and running them again does nothing', async () => {
      const empty = open(await ready().freshDatabase())
      expect(await migrate(empty)).toEqual({
        applied: MIGRATIONS,
        pending: [],
      })
      expect(await migrate(empty)).toEqual({ applied: [], pending: [] })
      await inserted(empty)
      expect(await migrate(empty)).toEqual({ applied: [], pending: [] })
    })
  })

  describe('insertOrder', () => {
    test('keeps everything it is given, and tells of it in the first event', async () => {
      const order = newOrder()
      const span = await during(store, async () =>
        expect(await insertOrder(store, order, LEASE_MS)).toBe('done'),
      )

      const {
        now_ms: _,
        lease_until_ms,
        next_due_at_ms,
        seen,
        purged_at,
        shipped_at,
        ...kept
      } = await read(store, order)
      expect([kept, seen, purged_at, shipped_at]).toEqual([order, 0, null, null])
      // The first look of the timer, on the database's clock.
      expectTime(next_due_at_ms, span, 20_000)
      expectTime(lease_until_ms, span, LEASE_MS)
      expect(await listEvents(store, order)).toEqual([
        {
          seq: 1,
          at: order.created_at,
          kind: 'created',
          from_state: null,
          to_state: 'created',
          detail: {},
          note: null,
        },
      ])
    })

    test('refuses a number that is taken, and leaves the first order as it is', async () => {
      const first = await inserted(store)
      const second = newOrder({ out_trade_no: first.out_trade_no, total_fee: 7 })
      expect(await insertOrder(store, second, LEASE_MS)).toBe('taken')
      expect((await read(store, first)).total_fee).toBe(first.total_fee)
      expect(await listEvents(store, first)).toHaveLength(1)
      expect(await insertOrder(store, { ...second, out_sub_mch_id: 'another' }, LEASE_MS)).toBe('done')
    })

    test('refuses a key that its caller has used for this sub-merchant', async () => {
      const { idempotency_key } = await inserted(store)
      const again = newOrder({ idempotency_key })
      expect(await insertOrder(store, again, LEASE_MS)).toBe('taken')
      expect(await findOrder(store, again)).toBeUndefined()
      expect(await listEvents(store, again)).toEqual([])

      expect(await insertOrder(store, newOrder({ idempotency_key, caller: 'other' }), LEASE_MS)).toBe('done')
      const elsewhere = newOrder({ idempotency_key, out_sub_mch_id: 'another' })
      expect(await insertOrder(store, elsewhere, LEASE_MS)).toBe('done')
    })

    test('refuses a purchase that has an order which may be paid, and tells whose it is', async () => {
      const first = await inserted(store, { merchant_order_id: 'p1', purchase_slot: 'p1' })
      const second = newOrder({ merchant_order_id: 'p1', purchase_slot: 'p1' })
      expect(await insertOrder(store, second, LEASE_MS)).toBe('taken')
      expect(await findOrder(store, second)).toBeUndefined()
      const { out_sub_mch_id } = first
      expect((await findOrderOfPurchase(store, out_sub_mch_id, 'p1'))?.out_trade_no).toBe(first.out_trade_no)
      expect(await findOrderOfPurchase(store, out_sub_mch_id, 'P1')).toBeUndefined()
      expect(await findOrderOfPurchase(store, 'elsewhere', 'p1')).toBeUndefined()
      expect(await insertOrder(store, { ...second, out_sub_mch_id: 'elsewhere' }, LEASE_MS)).toBe('done')

      // Let go of when it ends, it is free for the next one; many may have been for it.
      expect(await move(store, await read(store, first), { state: 'closed', purchase_slot: null })).toBe(
        'done',
      )
      expect(await findOrderOfPurchase(store, out_sub_mch_id, 'p1')).toBeUndefined()
      expect(await insertOrder(store, second, LEASE_MS)).toBe('done')
      expect((await read(store, first)).merchant_order_id).toBe('p1')
    })

    test('lets one of ten at once have a purchase', async () => {
      const stores = await openMany(url, 10)
      const outcomes = await Promise.all(
        stores.map((each) => insertOrder(each, newOrder({ purchase_slot: 'by ten' }), LEASE_MS)),
      )
      expect(count(outcomes, 'done')).toBe(1)
      for (const outcome of outcomes) expect(['done', 'taken', 'lost']).toContain(outcome)
    })

    test('takes any number of orders without a key, and without a purchase', async () => {
      for (let i = 0; i < 3; i++) await inserted(store, { idempotency_key: null })
    })

    test('lets one of ten at once have the number, and one of ten the key', async () => {
      const stores = await openMany(url, 10)
      const number = newOrder()
      const byNumber = await Promise.all(
        stores.map((each, i) => insertOrder(each, { ...number, idempotency_key: `n${i}` }, LEASE_MS)),
      )
      expect(count(byNumber, 'done')).toBe(1)
      const idempotency_key = 'wanted by ten'
      const byKey = await Promise.all(
        stores.map((each) => insertOrder(each, newOrder({ idempotency_key }), LEASE_MS)),
      )
      expect(count(byKey, 'done')).toBe(1)
      // Whoever is undone by the database instead of told may ask again, and is told then.
      for (const outcome of [...byNumber, ...byKey]) expect(['done', 'taken', 'lost']).toContain(outcome)
    })

    test('tells upper from lower case in number, key and caller', async () => {
      const upper = await inserted(store, { out_trade_no: 'aB0001', idempotency_key: 'aB', caller: 'aB' })
      const number = await inserted(store, { out_trade_no: 'Ab0001' })
      const key = await inserted(store, { idempotency_key: 'Ab', caller: 'aB' })
      const caller = await inserted(store, { idempotency_key: 'aB', caller: 'Ab' })

      expect((await read(store, upper)).idempotency_key).toBe('aB')
      expect((await read(store, number)).idempotency_key).toBe(number.idempotency_key)
      const { out_sub_mch_id } = upper
      for (const order of [upper, key, caller]) {
        const { caller, idempotency_key } = order
        const found = await findOrdersFor(store, {
          out_sub_mch_id,
          caller,
          idempotency_key,
          out_trade_no: undefined,
        })
        expect(found.map((each) => each.out_trade_no)).toEqual([order.out_trade_no])
      }
    })

    test.each([
      ['Chinese', '商品:龙井茶 500 克 / 買單 / ㄅㄆㄇ / 𠮷野家'],
      ['emoji of four bytes and of several parts', '💰🧧👨‍👩‍👧‍👦🇨🇳❤️'],
      ['quotes', `'single' "double" \`back\` ''two'' \\'escaped\\' ; -- /* */ #`],
      ['backslashes', '\\ \\\\ \\n \\u0000 \\x00 \\% \\_ C:\\dir\\'],
      ['placeholders', '? ?? $1 :name @v %s ${x} {{y}}'],
      ['control characters', `${range(1, 31)}\u007f${range(0x80, 0x9f)}`],
      ['white space and marks without a shape', ' \t\r\n  a\u00a0\u200b\u2028\u2029\ufeff\u3000 e\u0301 é '],
    ])('keeps %s in request_content byte for byte', async (_, text) => {
      const order = await inserted(store, { request_content: text })
      const kept = await read(store, order)
      expect(kept.request_content).toBe(text)
      // A mistake made twice, when writing and when reading, would not show above.
      const [row] = await sessions(url, (session) =>
        session.rows(
          `select ${HEX[kind.dialect]} as hex from orders where out_trade_no = '${order.out_trade_no}'`,
        ),
      )
      expect(String(row?.hex).toLowerCase()).toBe(Buffer.from(text, 'utf8').toString('hex'))
    })

    test('keeps 60 000 Chinese characters of request_content', async () => {
      const request_content = '付款码'.repeat(20_000)
      const order = await inserted(store, { request_content })
      expect((await read(store, order)).request_content === request_content).toBe(true)
    })

    test('keeps amounts up to 2147483647 fen, and times of any size, as numbers', async () => {
      const most = 2_147_483_647
      const order = await inserted(store, {
        total_fee: most,
        created_at: 9_999_999_999,
        time_expire: most + 1,
      })
      const change = {
        state: 'paid',
        paid_at: 9_999_999_998,
        cash_fee: most,
        settlement_total_fee: most,
      } as const
      const { now_ms: _, ...before } = await read(store, order)
      expect(await move(store, before, change)).toBe('done')

      const kept = await read(store, order)
      expect(kept).toMatchObject({
        ...change,
        total_fee: most,
        created_at: 9_999_999_999,
        time_expire: most + 1,
      })
      for (const name of TIMES) expect([name, typeof kept[name]]).toEqual([name, 'number'])
      for (const event of await listEvents(store, order)) expect(typeof event.at).toBe('number')
    })

    test('never cuts a value that is too long', async () => {
      for (const change of TOO_LONG) {
        const order = newOrder(change)
        const outcome = await insertOrder(store, order, LEASE_MS).catch((fault: unknown) => fault)
        // SQLite does not count characters: there it fits, and then all of it is kept.
        if (kind.dialect === 'sqlite') expect(await read(store, order)).toMatchObject(change)
        else {
          expect(outcome).toMatchObject(doesNotFit)
          expect(await listEvents(store, order)).toEqual([])
        }
      }
    })

    test('refuses an order about nothing', async () => {
      for (const total_fee of [0, -1]) {
        const order = newOrder({ total_fee })
        await expect(insertOrder(store, order, LEASE_MS)).rejects.toMatchObject(unavailable)
        expect(await findOrder(store, order)).toBeUndefined()
      }
    })
  })

  describe('reading', () => {
    test('finds nothing where nothing is', async () => {
      expect(await findOrder(store, newOrder())).toBeUndefined()
      expect(await listEvents(store, newOrder())).toEqual([])
    })

    test('finds by number and by key what a request could mean, and nothing else', async () => {
      const one = await inserted(store)
      const two = await inserted(store)
      const { out_sub_mch_id, caller } = one
      const found = async (out_trade_no: string | undefined, idempotency_key: string | null) => {
        const orders = await findOrdersFor(store, { out_sub_mch_id, caller, idempotency_key, out_trade_no })
        return orders.map((order) => order.out_trade_no).sort()
      }
      expect(await found(one.out_trade_no, null)).toEqual([one.out_trade_no])
      expect(await found(undefined, two.idempotency_key)).toEqual([two.out_trade_no])
      expect(await found(one.out_trade_no, one.idempotency_key)).toEqual([one.out_trade_no])
      expect(await found(one.out_trade_no, two.idempotency_key)).toEqual([one.out_trade_no, two.out_trade_no])
      expect(await found('no such number', 'no such key')).toEqual([])
      await inserted(store, { idempotency_key: null })
      expect(await found(undefined, null)).toEqual([])
      expect(await found('no such number', null)).toEqual([])
    })

    test('lists what was made in a time and is in a state, by time and number, a page at a time', async () => {
      const out_sub_mch_id = 'paid'
      const at = { from: 1000, to: 2000 }
      const rows = [
        { out_trade_no: 'n3', created_at: 1000, state: 'paid' },
        { out_trade_no: 'n4', created_at: 1500, state: 'paid' },
        { out_trade_no: 'n2', created_at: 1500, state: 'paid' },
        { out_trade_no: 'n1', created_at: 1999, state: 'paid' },
        { out_trade_no: 'early', created_at: 999, state: 'paid' },
        { out_trade_no: 'late', created_at: 2000, state: 'paid' },
        { out_trade_no: 'other', created_at: 1500, state: 'refunded' },
      ] as const
      for (const row of rows) await inserted(store, { ...row, out_sub_mch_id })
      await inserted(store, { ...rows[0], out_sub_mch_id: 'paid elsewhere' })
      const list = async (after: string, limit: number, from = at.from) =>
        (await listOrdersIn(store, { out_sub_mch_id, ...at, from, state: 'paid', after, limit })).map(
          (each) => each.out_trade_no,
        )
      expect(await list('', 10)).toEqual(['n3', 'n2', 'n4', 'n1'])
      expect(await list('', 2)).toEqual(['n3', 'n2'])
      expect(await list('n2', 2, 1500)).toEqual(['n4', 'n1'])
      expect(await list('n1', 2, 1999)).toEqual([])
    })

    test("brings the database's clock along, in milliseconds since the epoch", async () => {
      const order = await inserted(store)
      const readings: number[] = []
      for (let i = 0; i < 5; i++) {
        const span = await duringHere(async () => void readings.push((await read(store, order)).now_ms))
        expectTime(readings.at(-1), span)
        await sleep(23)
      }
      for (const now of readings) expect(Number.isSafeInteger(now)).toBe(true)
      // 23 ms lie between two of them, so not all of them are whole seconds by chance.
      expect(readings.some((now) => now % 1000 !== 0)).toBe(true)
    })
  })

  describe('moveOrder', () => {
    test('writes the change and the event that tells of it', async () => {
      const order = await inserted(store)
      const before = await read(store, order)
      const change = { state: 'pending', jsapi_args: '{"package":"prepay_id=茶"}' } as const
      const event = {
        at: 1_900_000_005,
        kind: 'moved',
        detail: { why: '回答', list: ['a'], none: null },
        note: '余额不足',
      } as const
      expect(
        await moveOrder(store, before, change, { ...event, detail: { ...event.detail, list: ['a'] } }),
      ).toBe('done')

      const after = await read(store, order)
      expect(after).toEqual({ ...moved(before, change), updated_at: event.at, now_ms: after.now_ms })
      expect((await listEvents(store, order)).slice(1)).toEqual([
        { seq: 2, ...event, from_state: 'created', to_state: 'pending' },
      ])
    })

    test('lets exactly one of ten at once have it', async () => {
      const order = await inserted(store)
      // The state stays, so that only the version tells who came first.
      const stores = await openMany(url, 10)
      const seen = await Promise.all(stores.map((each) => read(each, order)))
      const outcomes = await Promise.all(
        stores.map((each, i) => move(each, seen[i]!, { jsapi_args: `${i}` })),
      )
      expect(count(outcomes, 'done')).toBe(1)
      expect(count(outcomes, 'lost')).toBe(9)

      const after = await read(store, order)
      expect(after).toMatchObject({ version: 2, jsapi_args: `${outcomes.indexOf('done')}` })
      expect((await listEvents(store, order)).map((event) => event.seq)).toEqual([1, 2])
      // The losers read again, and see who won.
      for (const each of stores) expect(await read(each, order)).toMatchObject({ ...after, now_ms: anything })
    })

    test('lets ten at once move ten orders', async () => {
      const stores = await openMany(url, 10)
      const orders = await Promise.all(stores.map((each) => inserted(each)))
      const seen = await Promise.all(stores.map((each, i) => read(each, orders[i]!)))
      const outcomes = await Promise.all(stores.map((each, i) => move(each, seen[i]!, { state: 'pending' })))
      expect(count(outcomes, 'done')).toBe(10)
    })

    test.each([
      ['version', (order: Order): Order => ({ ...order, version: order.version - 1 })],
      ['state', (order: Order): Order => ({ ...order, state: 'created' })],
    ])('is lost when it was decided on an old %s, and leaves no event', async (_, old) => {
      const order = await inserted(store)
      expect(await move(store, await read(store, order), { state: 'pending' })).toBe('done')
      const current = await read(store, order)
      expect(await move(store, old(current), { state: 'closed' })).toBe('lost')
      expect(await read(store, order)).toEqual({ ...current, now_ms: anything })
      expect(await listEvents(store, order)).toHaveLength(2)
    })

    test('does not happen when there is no such move, and leaves nothing, whoever asks', async () => {
      for (const from of ORDER_STATES) {
        const order = await inserted(store, { state: from })
        const before = await read(store, order)
        for (const to of ORDER_STATES) {
          if (isLegalMove(from, to)) continue
          const message = { type: 'order.paid' as const, about: 'x', out_trade_no: 'x', payload: '{}' }
          await expect(move(store, before, { state: to }, { messages: [message] })).rejects.toMatchObject({
            name: 'IllegalMove',
            message: `no order moves from ${from} to ${to}`,
          })
        }
        expect(await read(store, order)).toEqual({ ...before, now_ms: anything })
        expect(await listEvents(store, order)).toHaveLength(1)
        // And the connection is good for the next one.
        expect(await move(store, before, {})).toBe('done')
      }
      expect(await store.db.selectFrom('outbox').select('id').execute()).toEqual([])
    })

    test('is refused for a purchase that another order has, and leaves nothing', async () => {
      const second = await inserted(store, { state: 'closed', merchant_order_id: 'p7' })
      await inserted(store, { merchant_order_id: 'p7', purchase_slot: 'p7' })
      const before = await read(store, second)
      expect(await move(store, before, { state: 'paid_after_close', purchase_slot: 'p7' })).toBe('taken')
      expect(await read(store, second)).toEqual({ ...before, now_ms: anything })
      expect(await listEvents(store, second)).toHaveLength(1)
      expect(await move(store, before, { state: 'paid_after_close' })).toBe('done')
    })

    test('is undone when its event cannot be written', async () => {
      const order = await inserted(store)
      const before = await read(store, order)
      const { out_sub_mch_id, out_trade_no } = order
      await store.db
        .insertInto('order_events')
        .values({
          ...{ out_sub_mch_id, out_trade_no, seq: 2, at: 1, kind: 'anomaly' },
          ...{ from_state: null, to_state: 'created', detail: '{"already":"here"}' },
        })
        .execute()
      const outcome = await move(store, before, { state: 'paid' }).catch(() => 'refused')
      expect(outcome).not.toBe('done')
      expect(await read(store, order)).toEqual({ ...before, now_ms: anything })
      expect((await listEvents(store, order)).map((event) => event.detail)).toEqual([{}, { already: 'here' }])
      // And the connection is good for the next one.
      await inserted(store)
    })

    test('touches no other order', async () => {
      const order = await inserted(store)
      const sameNumber = await inserted(store, { ...order, out_sub_mch_id: 'another' })
      expect(await move(store, await read(store, order), { state: 'paid' })).toBe('done')
      expect(await read(store, sameNumber)).toMatchObject({ state: 'created', version: 1 })
      expect(await listEvents(store, sameNumber)).toHaveLength(1)
    })
  })

  describe('leases', () => {
    test("end on the database's clock, whatever this machine's clock and the row in hand say", async () => {
      // A clock that is far ahead: with it, every lease would long be over.
      const ahead = open(url, { ...systemClock, nowMs: () => systemClock.nowMs() + 86_400_000 })
      const order = newOrder()
      expect(await insertOrder(ahead, order, LEASE_MS)).toBe('done')
      const held = await read(ahead, order)
      const pretended = { ...held, lease_until_ms: 0 }
      expect(await takeLease(ahead, pretended, 'instance-2', LEASE_MS)).toBe('lost')
      expect(await read(ahead, order)).toEqual({ ...held, now_ms: anything })

      await age(store, 'orders', order.out_trade_no, LEASE_MS)
      const span = await during(store, async () =>
        expect(await takeLease(ahead, held, 'instance-2', LEASE_MS)).toBe('done'),
      )
      const taken = await read(ahead, order)
      expect(taken).toMatchObject({
        lease_token: held.lease_token + 1,
        lease_holder: 'instance-2',
        version: held.version + 1,
        sends: held.sends,
      })
      expectTime(taken.lease_until_ms, span, LEASE_MS)
      expect(await takeLease(ahead, taken, 'instance-3', LEASE_MS)).toBe('lost')
    })

    test('go to one of ten who want it at once, and the token moves by one', async () => {
      const order = await inserted(store, {}, -1)
      const stores = await openMany(url, 10)
      const seen = await Promise.all(stores.map((each) => read(each, order)))
      const outcomes = await Promise.all(
        stores.map((each, i) => takeLease(each, seen[i]!, `instance-${i}`, LEASE_MS)),
      )
      expect(count(outcomes, 'done')).toBe(1)
      expect(count(outcomes, 'lost')).toBe(9)
      expect(await read(store, order)).toMatchObject({
        lease_token: 2,
        lease_holder: `instance-${outcomes.indexOf('done')}`,
        version: 2,
      })
    })

    test('go to nobody who decided on an old version', async () => {
      const order = await inserted(store, {}, -1)
      const old = await read(store, order)
      expect(await move(store, old, { flag: 'create_answered_102' })).toBe('done')
      expect(await takeLease(store, old, 'instance-2', LEASE_MS)).toBe('lost')
      expect(await read(store, order)).toMatchObject({ lease_token: 1, flag: 'create_answered_102' })
    })

    test('let only their present holder count a send', async () => {
      const order = await inserted(store, { lease_token: 5, lease_holder: 'instance-2' })
      const before = await read(store, order)
      for (const lease of [
        { token: 4, holder: 'instance-2' },
        { token: 6, holder: 'instance-2' },
        { token: 5, holder: 'instance-1' },
      ]) {
        expect(await countSend(store, before, lease)).toBe('lost')
      }
      const present = { token: 5, holder: 'instance-2' }
      expect(await countSend(store, { ...before, version: 0 }, present)).toBe('lost')
      expect(await read(store, order)).toEqual({ ...before, now_ms: anything })

      expect(await countSend(store, before, present)).toBe('done')
      expect(await countSend(store, before, present)).toBe('lost')
      expect(await read(store, order)).toMatchObject({ sends: 1, version: before.version + 1 })
    })

    test('let nobody count a send once they are over', async () => {
      const order = await inserted(store, {}, -1)
      const lease = { token: order.lease_token, holder: order.lease_holder }
      const expired = await read(store, order)
      expect(await countSend(store, expired, lease)).toBe('lost')
      expect(await countSend(store, { ...expired, lease_until_ms: expired.now_ms + 9999 }, lease)).toBe(
        'lost',
      )
      expect(await read(store, order)).toMatchObject({ sends: 0, version: 1 })
    })

    test('let the last holder count no send after somebody took them over', async () => {
      const order = await inserted(store, {}, -1)
      expect(await takeLease(store, await read(store, order), order.lease_holder, LEASE_MS)).toBe('done')
      const taken = await read(store, order)
      expect(await countSend(store, taken, { token: 1, holder: order.lease_holder })).toBe('lost')
      expect(await countSend(store, taken, { token: 2, holder: order.lease_holder })).toBe('done')
    })
  })

  describe('claimLook', () => {
    test('goes to one of a stampede, and again after the interval', async () => {
      const order = await inserted(store)
      const stores = await openMany(url, 10)
      const stampede = (intervalMs: number) =>
        Promise.all(stores.map((each) => claimLook(each, order, intervalMs, FREE)))

      const span = await during(store, async () => {
        const first = await stampede(HOUR_MS)
        expect(count(first, 'done')).toBe(1)
        expect(count(first, 'lost')).toBe(9)
      })
      const looked = await read(store, order)
      expectTime(looked.looked_at_ms, span)
      expect(looked.version).toBe(order.version)

      expect(await claimLook(store, order, HOUR_MS, FREE)).toBe('lost')
      await age(store, 'orders', order.out_trade_no)
      expect(count(await stampede(HOUR_MS), 'done')).toBe(1)
      expect(await claimLook(store, newOrder(), 0, FREE)).toBe('lost')
    })
  })

  test('two callers of one store wait for each other, and neither hears of it', async () => {
    const order = await inserted(store)
    const outcomes = await Promise.all([
      ...Array.from({ length: 5 }, () => insertOrder(store, newOrder(), LEASE_MS)),
      read(store, order).then((seen) => move(store, seen, { state: 'pending' })),
      ...Array.from({ length: 5 }, () => claimLook(store, order, 0, FREE)),
    ])
    expect(outcomes).toEqual(outcomes.map(() => 'done'))
  })
}

// ── what a store behind a network must do besides ──────────────────────────────────────────────────────────────

export function serverContract(kind: ServerKind): void {
  const { ready, fresh, open, openMany, sessions } = setUp(kind)
  const dialectSql = SERVER_SQL[kind.dialect]
  let url: string
  let store: Store
  let proxy: TcpProxy

  beforeAll(async () => {
    url = await fresh()
  })
  beforeEach(async () => {
    ;({ proxy, store } = await detour())
  })
  afterEach(async () => {
    await Promise.all(proxies.splice(0).map((each) => each.close()))
  })

  const proxies: TcpProxy[] = []
  async function detour(): Promise<{ proxy: TcpProxy; store: Store }> {
    const proxy = await startTcpProxy(new URL(url))
    proxies.push(proxy)
    return { proxy, store: open(through(proxy, url)) }
  }

  /** Runs something on a database of its own, with defaults of the server changed; they are put back. */
  async function withDefaults(
    defaults: (database: string) => { change: string[]; restore: string[] },
    work: (store: Store, url: string) => Promise<void>,
  ): Promise<void> {
    const changed = await fresh()
    const { change, restore } = defaults(new URL(changed).pathname.slice(1))
    await sessions(changed, async (session) => {
      for (const statement of change) await session.rows(statement)
    })
    try {
      await work(open(changed), changed)
    } finally {
      await sessions(changed, async (session) => {
        for (const statement of restore) await session.rows(statement)
      })
    }
  }

  describe('migrations', () => {
    test('may be started by four at once', async () => {
      const stores = await openMany(await ready().freshDatabase(), 4)
      const reports = await Promise.all(stores.map(migrate))
      expect(reports.flatMap((report) => report.applied)).toEqual(MIGRATIONS)
      await inserted(stores[3]!)
    })

    test('make tables that compare text bit by bit', async () => {
      await sessions(url, async (session) => {
        expect(await session.rows(dialectSql.otherCollations)).toEqual([])
      })
    })
  })

  describe('a session', () => {
    test("measures time right though the server's time zone is not UTC", () =>
      withDefaults(dialectSql.timeZone, async (store, url) => {
        await sessions(url, async (session) => {
          expect((await session.rows(dialectSql.hour))[0]).toEqual({ ahead: 8 })
        })
        expect((await dialectSql.zone.execute(store.db)).rows).toEqual([{ zone: dialectSql.utc }])
        const order = newOrder()
        const inserting = await duringHere(() => insertOrder(store, order, 1000))
        let seen: ReadOrder | undefined
        const reading = await duringHere(async () => (seen = await read(store, order)))
        expectTime(seen!.now_ms, reading)
        expectTime(seen!.lease_until_ms, inserting, 1000)
        const looking = await duringHere(async () =>
          expect(await claimLook(store, order, 1000, FREE)).toBe('done'),
        )
        expectTime((await read(store, order)).looked_at_ms, looking)
      }))

    test("reads what is committed though the server's default is SERIALIZABLE", () =>
      withDefaults(dialectSql.isolation, async (store, url) => {
        await sessions(url, async (session) => {
          expect(await session.rows(dialectSql.showIsolation)).toEqual([{ level: dialectSql.serializable }])
          await session.rows(dialectSql.waitBriefly)

          const order = await inserted(store)
          await store.db.transaction().execute(async (trx) => {
            const version = async () =>
              (
                await trx
                  .selectFrom('orders')
                  .select('version')
                  .where('out_trade_no', '=', order.out_trade_no)
                  .executeTakeFirstOrThrow()
              ).version
            expect(await version()).toBe(1)
            await session.rows(`update orders set version = 2 where out_trade_no = '${order.out_trade_no}'`)
            expect(await version()).toBe(2)
          })
        })
      }))

    test("lets the losers of a race read the winner though the server's default is SERIALIZABLE", () =>
      withDefaults(dialectSql.isolation, async (store, url) => {
        const order = await inserted(store)
        const stores = await openMany(url, 5)
        const seen = await Promise.all(stores.map((each) => read(each, order)))
        const outcomes = await Promise.all(stores.map((each, i) => move(each, seen[i]!, { state: 'paid' })))
        expect(count(outcomes, 'done')).toBe(1)
        for (const each of stores)
          expect(await read(each, order)).toMatchObject({ version: 2, state: 'paid' })
      }))

    test("refuses what does not fit though the server's default is to cut it", () =>
      withDefaults(dialectSql.lenient, async (store) => {
        for (const change of TOO_LONG) {
          const order = newOrder(change)
          await expect(insertOrder(store, order, LEASE_MS)).rejects.toMatchObject(doesNotFit)
        }
      }))

    test('does not let a lost connection hold an order, or a waiting one wait, for long', async () => {
      const { rows } = await dialectSql.limits.execute(store.db)
      expect(rows).toEqual([{ idle: dialectSql.idle, waits: dialectSql.waits }])
    })
  })

  /** The waiting is the other's: their lock is held until they let go. */
  const waiting = (session: Session): Promise<void> =>
    until(async () => {
      const [row] = await session.rows(dialectSql.waiting)
      // MariaDB answers from a copy, which it renews only when nobody has asked for 100 ms.
      await sleep(130)
      return Number(row?.waiting) > 0
    })

  /** Neither of our own limits comes before the server's word, however slow the machine is. */
  async function patient(waiter: Store): Promise<void> {
    unhurried(waiter)
    await dialectSql.patient.execute(waiter.db)
  }

  describe('a race lost to', () => {
    test('a deadlock is lost, not an error', async () => {
      await patient(store)
      const order = await inserted(store)
      const before = await read(store, order)
      const codes = errorCodes(store)
      const { out_sub_mch_id, out_trade_no } = order
      const event = (number: string, seq: number) =>
        `insert into order_events values ('${out_sub_mch_id}', '${number}', ${seq}, 1, 'k', null, 's', '{}', null)`

      await sessions(url, (watcher) =>
        sessions(url, async (other) => {
          await other.rows('begin')
          // MySQL undoes whoever has written less, so this one has to write more.
          for (let seq = 100; seq < 110; seq++) await other.rows(event('elsewhere', seq))
          await other.rows(event(out_trade_no, 2))
          const outcome = move(store, before, { state: 'paid' })
          await waiting(watcher)
          // PostgreSQL undoes whoever has waited for a second first, so this one has to come second.
          await other.rows(`update orders set updated_at = 1 where out_trade_no = '${out_trade_no}'`)
          expect(await outcome).toBe('lost')
          expect(codes()).toEqual([dialectSql.deadlock])
          await other.rows('rollback')
        }),
      )
      expect(await read(store, order)).toEqual({ ...before, now_ms: anything })
      expect(await listEvents(store, order)).toHaveLength(1)
      expect(await move(store, before, { state: 'paid' })).toBe('done')
    })

    test('a lock that is held too long is lost, not an error', () =>
      withDefaults(dialectSql.lockTimeout, async (store, url) => {
        unhurried(store)
        const order = await inserted(store)
        const before = await read(store, order)
        const codes = errorCodes(store)
        await sessions(url, async (other) => {
          await other.rows('begin')
          await other.rows(`update orders set updated_at = 1 where out_trade_no = '${order.out_trade_no}'`)
          expect(await move(store, before, { state: 'paid' })).toBe('lost')
          expect(codes()).toEqual([dialectSql.lockTimedOut])
          expect(await claimLook(store, order, 0, FREE)).toBe('lost')
          await other.rows('rollback')
        })
        expect(await move(store, before, { state: 'paid' })).toBe('done')
        expect(await listEvents(store, order)).toHaveLength(2)
      }))

    test('a lock that is held longer than a statement may take is lost, and the store goes on', async () => {
      const order = await inserted(store)
      const before = await read(store, order)
      await sessions(url, async (other) => {
        await other.rows('begin')
        await other.rows(`update orders set updated_at = 1 where out_trade_no = '${order.out_trade_no}'`)
        expect(await move(store, before, { state: 'paid' })).toBe('lost')
        expect(await read(store, order)).toMatchObject({ state: 'created', version: 1 })
        await other.rows('rollback')
      })
      // The statement given up on may now run after all, but it is never committed.
      expect(await move(store, before, { state: 'paid' })).toBe('done')
      expect(await listEvents(store, order)).toHaveLength(2)
    })
  })

  describe('a frozen instance', () => {
    /** A connection dies between two calls: heard of at once, or only when it is used. */
    const deaths = [
      { how: 'is told that the server hung up', asleep: false },
      { how: 'wakes up to find that the server hung up', asleep: true },
    ]
    async function hangUp(asleep: boolean): Promise<void> {
      if (asleep) proxy.freeze()
      expect(await ready().killConnections()).toBeGreaterThan(0)
      // What the server said is under way on this machine.
      await sleep(50)
    }

    test.each(deaths)('that $how reads on, with one new connection', async ({ asleep }) => {
      const order = await inserted(store)
      expect(proxy.accepted()).toBe(1)
      await hangUp(asleep)
      expect(await read(store, order)).toMatchObject({ version: 1 })
      expect(proxy.accepted()).toBe(2)
    })

    test.each(deaths)('that $how writes on, with one new connection and once', async ({ asleep }) => {
      const order = await inserted(store)
      const before = await read(store, order)
      await hangUp(asleep)
      expect(await move(store, before, { state: 'pending' })).toBe('done')
      expect(proxy.accepted()).toBe(2)
      await hangUp(asleep)
      const another = await inserted(store)
      expect(proxy.accepted()).toBe(3)
      expect(await read(store, order)).toMatchObject({ version: 2 })
      expect(await listEvents(store, order)).toHaveLength(2)
      expect(await listEvents(store, another)).toHaveLength(1)
    })

    test('whose connection is reset while it sleeps reads and writes on', async () => {
      const order = await inserted(store)
      proxy.cut()
      const before = await read(store, order)
      proxy.cut()
      expect(await move(store, before, { state: 'pending' })).toBe('done')
      expect(proxy.accepted()).toBe(3)
    })

    test('whose connection has gone silent gives up waiting, and goes on with a new one', async () => {
      const writing = await detour()
      const another = await inserted(store)
      const order = await inserted(store)
      const before = await read(writing.store, order)
      proxy.silence()
      writing.proxy.silence()
      const [seen, outcome] = await Promise.all([
        read(store, another),
        move(writing.store, before, { state: 'pending' }),
      ])
      expect(seen.version).toBe(1)
      expect(outcome).toBe('done')
      expect([proxy.accepted(), writing.proxy.accepted()]).toEqual([2, 2])
      expect(await listEvents(store, order)).toHaveLength(2)
    })

    test('keeps no socket of a connection that has gone silent', async () => {
      const order = await inserted(store)
      proxy.silence()
      await read(store, order)
      expect(proxy.accepted()).toBe(2)
      await until(() => proxy.held() === 1)
    })

    test('is served again after its connections were killed in mid-transaction', async () => {
      const order = await inserted(store)
      const before = await read(store, order)
      await patient(store)
      await sessions(url, async (other) => {
        await other.rows('begin')
        await other.rows(`update orders set updated_at = 1 where out_trade_no = '${order.out_trade_no}'`)
        const outcome = move(store, before, { state: 'paid' })
        await sessions(url, (watcher) => waiting(watcher))
        await ready().killConnections()
        expect(await outcome).toBe('lost')
      })
      expect(await read(store, order)).toEqual({ ...before, now_ms: anything })
      expect(await move(store, before, { state: 'paid' })).toBe('done')
    })
  })

  describe('a connection that breaks', () => {
    const COMMIT = /\bCOMMIT\b/
    const EVENT = /insert into .order_events/

    const breaks = [
      { what: 'before COMMIT is sent', words: EVENT, accident: 'cut before', kept: false },
      { what: 'after the event was written', words: EVENT, accident: 'cut after', kept: false },
      { what: 'before COMMIT reaches the server', words: COMMIT, accident: 'cut before', kept: false },
      { what: "before COMMIT's answer comes back", words: COMMIT, accident: 'cut after', kept: true },
    ] as const

    test.each(breaks)('$what loses a move, which is kept: $kept', async ({ words, accident, kept }) => {
      const order = await inserted(store)
      const before = await read(store, order)
      const happened = proxy.when(words, accident)
      expect(await move(store, before, { state: 'paid' })).toBe('lost')
      await happened

      expect(await read(store, order)).toMatchObject(
        kept ? { state: 'paid', version: 2 } : { state: 'created', version: 1 },
      )
      expect(await listEvents(store, order)).toHaveLength(kept ? 2 : 1)
      expect(proxy.accepted()).toBe(2)
      // Decided again on what was read, it is done once and no more.
      expect(await move(store, before, { state: 'paid' })).toBe(kept ? 'lost' : 'done')
      expect(await listEvents(store, order)).toHaveLength(2)
    })

    test('between two statements of a transaction does not let the second one stand alone', async () => {
      const order = await inserted(store)
      const { out_sub_mch_id, out_trade_no } = order
      const half = store.db.transaction().execute(async (trx) => {
        await trx.updateTable('orders').set({ version: 2 }).where('out_trade_no', '=', out_trade_no).execute()
        await ready().killConnections()
        // Long enough to be heard of: a new connection could be made by now.
        await sleep(100)
        await trx
          .insertInto('order_events')
          .values({
            ...{ out_sub_mch_id, out_trade_no, seq: 2, at: 1, kind: 'moved' },
            ...{ from_state: null, to_state: 'created', detail: '{}' },
          })
          .execute()
      })
      await expect(half).rejects.toMatchObject({ name: 'Disconnected' })
      expect(proxy.accepted()).toBe(1)
      expect(await read(store, order)).toMatchObject({ version: 1 })
      expect(await listEvents(store, order)).toHaveLength(1)
    })

    test("silently, before COMMIT's answer comes back, loses a move that is kept", async () => {
      const order = await inserted(store)
      const before = await read(store, order)
      const happened = proxy.when(COMMIT, 'silence after')
      expect(await move(store, before, { state: 'paid' })).toBe('lost')
      await happened
      expect(await read(store, order)).toMatchObject({ state: 'paid', version: 2 })
      expect(await listEvents(store, order)).toHaveLength(2)
    })

    test.each(breaks)('$what loses a new order, which is kept: $kept', async ({ words, accident, kept }) => {
      await inserted(store)
      const order = newOrder()
      const happened = proxy.when(words, accident)
      expect(await insertOrder(store, order, LEASE_MS)).toBe('lost')
      await happened

      expect((await findOrder(store, order)) !== undefined).toBe(kept)
      expect(await insertOrder(store, order, LEASE_MS)).toBe(kept ? 'taken' : 'done')
      expect(await listEvents(store, order)).toHaveLength(1)
    })

    test.each(breaks)('$what loses a refund, which is kept: $kept', async ({ words, accident, kept }) => {
      const order = await inserted(store)
      expect(await move(store, await read(store, order), { state: 'paid' })).toBe('done')
      const before = await read(store, order)
      const refund = newRefund(before, { refund_fee: 60 })
      const event = { at: 1, kind: 'refund', detail: {} } as const
      const limit = { name: `break ${words} ${accident}`, periodMs: 1e13, max: 60 }
      const refunded = () => insertRefund(store, before, refund, 0, event, [limit])
      const happened = proxy.when(words, accident)
      expect(await refunded()).toBe('lost')
      await happened

      // Reserved, recorded and counted, or nothing of the three.
      expect(await read(store, order)).toMatchObject({ reserved_fen: kept ? 60 : 0 })
      expect(await listRefunds(store, order)).toHaveLength(kept ? 1 : 0)
      expect(await refunded()).toBe(kept ? 'lost' : 'done')
      expect(await read(store, order)).toMatchObject({ reserved_fen: 60, version: before.version + 1 })
      expect(await listRefunds(store, order)).toHaveLength(1)
      expect(await useUpTo(store, limit, 1)).toBe(0)
    })

    test('under every move does not wear the store out', async () => {
      const order = await inserted(store)
      for (let i = 0; i < 10; i++) {
        const before = await read(store, order)
        const happened = proxy.when(COMMIT, i % 2 === 0 ? 'cut before' : 'cut after')
        expect(await move(store, before, { jsapi_args: `${i}` })).toBe('lost')
        await happened
      }
      expect(await read(store, order)).toMatchObject({ version: 6, jsapi_args: '9' })
      expect(await listEvents(store, order)).toHaveLength(6)
    })
  })

  describe('a server that cannot be reached', () => {
    async function nothingWorks(away: Store): Promise<void> {
      const order: ReadOrder = {
        ...newOrder(),
        lease_until_ms: 0,
        next_due_at_ms: null,
        seen: 0,
        purged_at: null,
        shipped_at: null,
        now_ms: 0,
      }
      await expect(findOrder(away, order)).rejects.toMatchObject(unavailable)
      await expect(move(away, order, { state: 'paid' })).rejects.toMatchObject(unavailable)
    }

    test('is a fault, for reads and writes', async () => {
      const nobody = await startTcpProxy(new URL(url))
      await nobody.close()
      await nothingWorks(open(through(nobody, url)))
    })

    test('while an order is being written is a fault, and the store goes on when it is back', async () => {
      const order = await inserted(store)
      await proxies.splice(0)[0]!.close()
      await nothingWorks(store)
      proxies.push(await startTcpProxy(new URL(url), { port: proxy.port }))
      expect(await read(store, order)).toMatchObject({ version: 1 })
    })

    test('because the password is wrong, or the database is not there, is a fault', async () => {
      const wrong = new URL(url)
      wrong.password = 'wrong'
      await nothingWorks(open(wrong.href))
      const missing = new URL(url)
      missing.pathname = '/missing'
      await nothingWorks(open(missing.href))
    })

    async function faultInTime(words: RegExp): Promise<void> {
      const { proxy, store } = await detour()
      const silent = proxy.when(words, 'silence before')
      fakeTimeouts()
      // One of the drivers has its timers from here.
      const spies = [
        jest.spyOn(timers, 'setTimeout').mockImplementation(globalThis.setTimeout),
        jest.spyOn(timers, 'clearTimeout').mockImplementation(globalThis.clearTimeout),
      ]
      try {
        let outcome: unknown
        const asked = findOrder(store, newOrder()).catch((fault: unknown) => (outcome = fault))
        await silent
        await jest.advanceTimersByTimeAsync(2999)
        expect(outcome).toBeUndefined()
        await jest.advanceTimersByTimeAsync(1)
        expect(await asked).toMatchObject(unavailable)
      } finally {
        for (const spy of spies) spy.mockRestore()
        jest.useRealTimers()
      }
      await until(() => proxy.held() === 0)
    }

    test('because it does not answer at all, or not to the login, is a fault in time', async () => {
      await faultInTime(/[^]/)
      await faultInTime(dialectSql.loggingIn)
    })

    test('because it does not answer to the setup of the session is a fault in time', () =>
      faultInTime(/READ COMMITTED/))
  })
}

// ── in which words the servers are asked ───────────────────────────────────────────────────────────────────────

type Defaults = (database: string) => { change: string[]; restore: string[] }

const mysqlGlobal =
  (name: string, value: string, otherwise: string): Defaults =>
  () => ({ change: [`set global ${name} = ${value}`], restore: [`set global ${name} = ${otherwise}`] })

const postgresSetting =
  (name: string, value: string): Defaults =>
  (database) => ({
    change: [`alter database ${database} set ${name} = ${value}`],
    restore: [`alter database ${database} reset ${name}`],
  })

const SERVER_SQL = {
  mysql: {
    timeZone: mysqlGlobal('time_zone', "'+08:00'", "'SYSTEM'"),
    zone: sql`select @@session.time_zone as zone`,
    utc: '+00:00',
    hour: 'select timestampdiff(hour, utc_timestamp(), now()) as ahead',
    isolation: mysqlGlobal('tx_isolation', "'SERIALIZABLE'", "'REPEATABLE-READ'"),
    showIsolation: 'select @@tx_isolation as level',
    serializable: 'SERIALIZABLE',
    waitBriefly: 'set innodb_lock_wait_timeout = 1',
    patient: sql`set innodb_lock_wait_timeout = 50`,
    lenient: mysqlGlobal('sql_mode', "''", 'default'),
    lockTimeout: mysqlGlobal('innodb_lock_wait_timeout', '1', 'default'),
    limits: sql`select @@session.wait_timeout as idle, @@session.innodb_lock_wait_timeout as waits`,
    idle: 60,
    waits: 2,
    waiting: `select count(*) as waiting from information_schema.innodb_trx where trx_state = 'LOCK WAIT'`,
    deadlock: 1213,
    lockTimedOut: 1205,
    otherCollations: `select column_name from information_schema.columns
      where table_schema = database() and table_name not like 'kysely%'
      and collation_name <> 'utf8mb4_bin'`,
    loggingIn: /mysql_native_password/,
  },
  postgres: {
    timeZone: postgresSetting('timezone', "'Asia/Shanghai'"),
    zone: sql`select current_setting('timezone') as zone`,
    utc: 'UTC',
    hour: `select extract(timezone from now())::int / 3600 as ahead`,
    isolation: postgresSetting('default_transaction_isolation', "'serializable'"),
    showIsolation: `select current_setting('transaction_isolation') as level`,
    serializable: 'serializable',
    waitBriefly: `set lock_timeout = '1s'`,
    patient: sql`set lock_timeout = 0`,
    // Never cuts.
    lenient: postgresSetting('application_name', "'lenient'"),
    lockTimeout: postgresSetting('lock_timeout', "'300ms'"),
    limits: sql`select current_setting('idle_in_transaction_session_timeout') as idle,
      current_setting('lock_timeout') as waits`,
    idle: '10s',
    waits: '2s',
    waiting: `select count(*) as waiting from pg_stat_activity where wait_event_type = 'Lock'`,
    deadlock: '40P01',
    lockTimedOut: '55P03',
    otherCollations: `select column_name from information_schema.columns
      where table_schema = 'public' and table_name not like 'kysely%' and collation_name is not null and collation_name <> 'C'`,
    loggingIn: /SCRAM/,
  },
}

const HEX: Record<Dialect, string> = {
  mysql: 'hex(request_content)',
  postgres: `encode(convert_to(request_content, 'UTF8'), 'hex')`,
  sqlite: 'hex(cast(request_content as blob))',
}

// ── helpers ────────────────────────────────────────────────────────────────────────────────────────────────────

const TOO_LONG: Array<Partial<NewOrder>> = [
  { out_trade_no: 'x'.repeat(33) },
  { idempotency_key: 'x'.repeat(256) },
  { payer_id: '茶'.repeat(129) },
  { lease_holder: 'x'.repeat(33) },
]

const TIMES = [
  ...(['created_at', 'updated_at', 'time_expire', 'lease_until_ms', 'looked_at_ms', 'now_ms'] as const),
  ...([
    'paid_at',
    'cash_fee',
    'settlement_total_fee',
    'total_fee',
    'version',
    'sends',
    'lease_token',
  ] as const),
]

function range(first: number, last: number): string {
  return String.fromCharCode(...Array.from({ length: last - first + 1 }, (_, i) => first + i))
}

function through(proxy: TcpProxy, url: string): string {
  const detour = new URL(url)
  detour.port = String(proxy.port)
  return detour.href
}

/** What the database really said, under the outcome it was made into. */
function errorCodes(store: Store): () => unknown[] {
  const codes: unknown[] = []
  const inTransaction = store.connection.inTransaction.bind(store.connection)
  jest.spyOn(store.connection, 'inTransaction').mockImplementation((work) =>
    inTransaction((say) =>
      work(async (query) => {
        try {
          return await say(query)
        } catch (error) {
          const { code, errno } = error as { code?: unknown; errno?: unknown }
          codes.push(errno ?? code)
          throw error
        }
      }),
    ),
  )
  return () => codes
}
