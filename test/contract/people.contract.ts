import { findSku } from '../../shared/store/catalogue'
import {
  count as countOne,
  forgetCounters,
  sayCount,
  sayCountBoth,
  type Limit,
} from '../../shared/store/counters'
import type { Store } from '../../shared/store/open'
import { findOwnedOrder, insertOrder, isQuoteUsed, type OrderLimits } from '../../shared/store/orders'
import { forgetRevocations, isRevoked, revoke } from '../../shared/store/revocations'
import { forgetSpent, spend } from '../../shared/store/spent'
import { write, type Say } from '../../shared/store/transaction'
import { newOrder } from '../support/orders'
import { count, inserted, LEASE_MS, setUp, type Kind } from './ready'

const MINUTE = 60_000
const NOW_MS = 1_900_000_000_000

/** What callers are held to: each of it must hold between instances, so with connections of their own. */
export function peopleContract(kind: Kind): void {
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

  const limit = (max: number, periodMs = MINUTE): Limit => ({ name: `om:${++made}`, periodMs, max })

  describe('a rate', () => {
    test('counts to its limit, and again in the next period', async () => {
      const two = limit(2)
      const at = (ms: number) => countOne(store, two, NOW_MS + ms)
      expect([await at(0), await at(1), await at(2)]).toEqual([true, true, false])
      expect([await at(MINUTE), await at(MINUTE), await at(MINUTE)]).toEqual([true, true, false])
    })

    test('is not reset by an instance whose clock is behind', async () => {
      const two = limit(2)
      expect(await countOne(store, two, NOW_MS + MINUTE)).toBe(true)
      expect(await countOne(store, two, NOW_MS)).toBe(true)
      expect(await countOne(store, two, NOW_MS + MINUTE)).toBe(false)
    })

    test('of nothing gives nothing', async () => {
      expect(await countOne(store, limit(0), NOW_MS)).toBe(false)
    })

    test('counted by eight at once gives exactly as much as there is', async () => {
      const stores = await openMany(url, 8)
      const twenty = limit(20)
      const given = await Promise.all(
        stores.flatMap((each) => Array.from({ length: 5 }, () => countOne(each, twenty, NOW_MS))),
      )
      expect(count(given, true)).toBe(20)
    })

    // SQLite lets nobody write beside a transaction.
    if (kind.dialect !== 'sqlite')
      test('begun by somebody else between two statements is a lost race, and not full', async () => {
        const [one, other] = (await openMany(url, 2)) as [Store, Store]
        const two = limit(2)
        let over = false
        let begunMeanwhile: boolean | undefined
        const outcome = await write(one, (say) => {
          const sayLate: Say = async (query) => {
            if (query.sql.startsWith('select')) begunMeanwhile ??= await countOne(other, two, NOW_MS)
            return say(query)
          }
          return sayCount(one, sayLate, two, NOW_MS, () => (over = true))
        })
        expect({ outcome, over, begunMeanwhile }).toEqual({
          outcome: 'lost',
          over: false,
          begunMeanwhile: true,
        })
        expect(await countOne(one, two, NOW_MS)).toBe(true)
        expect(await countOne(one, two, NOW_MS)).toBe(false)
      })

    if (kind.dialect !== 'sqlite')
      test('counted with another one, and both begun by somebody else meanwhile, is a lost race, and not full', async () => {
        const [one, other] = (await openMany(url, 2)) as [Store, Store]
        const both = [limit(2), limit(2)] as const
        let over = false
        let isBegun = false
        const outcome = await write(one, (say) => {
          const sayLate: Say = async (query) => {
            if (query.sql.startsWith('select') && !isBegun) {
              isBegun = true
              for (const rate of both) await countOne(other, rate, NOW_MS)
            }
            return say(query)
          }
          return sayCountBoth(one, sayLate, both, NOW_MS, () => (over = true))
        })
        expect({ outcome, over, isBegun }).toEqual({ outcome: 'lost', over: false, isBegun: true })
        for (const rate of both) expect(await countOne(one, rate, NOW_MS)).toBe(true)
        for (const rate of both) expect(await countOne(one, rate, NOW_MS)).toBe(false)
      })

    test('is forgotten when its period is over, others are not', async () => {
      const kept = [limit(5), limit(5), limit(5, 60 * MINUTE), limit(5, 24 * 60 * MINUTE)]
      for (const one of kept) await countOne(store, one, NOW_MS - MINUTE)
      const over = [limit(5), limit(5, 60 * MINUTE), limit(5, 24 * 60 * MINUTE)]
      for (const one of over) await countOne(store, one, NOW_MS - 3 * one.periodMs)
      for (const { periodMs } of over) expect(await forgetCounters(store, periodMs, NOW_MS, 1000)).toBe('all')
      const rows = await store.db.selectFrom('counters').select('name').execute()
      const names = new Set(rows.map(({ name }) => name))
      expect(kept.every(({ name }) => names.has(name))).toBe(true)
      expect(over.some(({ name }) => names.has(name))).toBe(false)
    })

    test('is forgotten in batches, the oldest periods first', async () => {
      const old = [5, 3, 4].map((minutes) => ({ ...limit(5), minutes }))
      for (const one of old) await countOne(store, one, NOW_MS - one.minutes * MINUTE)
      const left = async () => {
        const names = old.map(({ name }) => name)
        const rows = await store.db.selectFrom('counters').select('name').where('name', 'in', names).execute()
        return old.filter(({ name }) => rows.some((row) => row.name === name)).map(({ minutes }) => minutes)
      }
      expect([await forgetCounters(store, MINUTE, NOW_MS, 2), await left()]).toEqual(['more', [3]])
      expect([await forgetCounters(store, MINUTE, NOW_MS, 2), await left()]).toEqual(['all', []])
    })
  })

  describe('what may be used once', () => {
    test('is used once, also by ten at once, and told apart by every letter', async () => {
      const stores = await openMany(url, 10)
      const once = { kind: 'request:k', id: 'nonce', until: 2_000 }
      const used = await Promise.all(stores.map((each) => spend(each, once)))
      expect(count(used, true)).toBe(1)
      expect(await spend(store, { ...once, id: 'Nonce' })).toBe(true)
      expect(await spend(store, { ...once, kind: 'request:K' })).toBe(true)
    })

    test('is forgotten when its time is over', async () => {
      for (const until of [4999, 5000, 5001]) await spend(store, { kind: 'forget', id: `n${until}`, until })
      expect(await forgetSpent(store, 5000, 1)).toBe('more')
      expect(await forgetSpent(store, 5000, 1000)).toBe('all')
      const rows = await store.db
        .selectFrom('spent')
        .select('id')
        .where('kind', '=', 'forget')
        .orderBy('id')
        .execute()
      expect(rows.map(({ id }) => id)).toEqual(['n5000', 'n5001'])
    })
  })

  describe('a revocation', () => {
    const revoked = (session: string, payer: string, began: number) =>
      isRevoked(store, { session, payer, began })

    test('ends one session, or all that a payer had begun', async () => {
      await revoke(store, { id: 'session-1', at: 100, until: 200 })
      await revoke(store, { id: 'p:payer-1', at: 100, until: 200 })
      expect(await revoked('session-1', 'p:other', 150)).toBe(true)
      expect(await revoked('session-2', 'p:other', 50)).toBe(false)
      expect(await revoked('session-3', 'p:payer-1', 100)).toBe(true)
      expect(await revoked('session-3', 'p:payer-1', 101)).toBe(false)
    })

    test('said again moves on, never back; said by ten at once is said', async () => {
      const stores = await openMany(url, 10)
      await Promise.all(stores.map((each, at) => revoke(each, { id: 'p:again', at: 300 + at, until: 900 })))
      expect([await revoked('s', 'p:again', 309), await revoked('s', 'p:again', 310)]).toEqual([true, false])
    })

    test('is forgotten when the sessions have expired', async () => {
      await revoke(store, { id: 'p:late', at: 1, until: 2 })
      expect(await forgetRevocations(store, 3, 5)).toBe('all')
      expect(await revoked('s', 'p:late', 0)).toBe(false)
    })
  })

  describe('a quote', () => {
    test('is in one order only, whichever sub-merchant, caller or connection', async () => {
      const stores = await openMany(url, 6)
      const quote = { quote_iss: 'shop', quote_jti: `q${++made}` }
      const outcomes = await Promise.all(
        stores.map((each, at) =>
          insertOrder(each, newOrder({ ...quote, out_sub_mch_id: `sub${at}` }), LEASE_MS),
        ),
      )
      expect(count(outcomes, 'done')).toBe(1)
      expect(await isQuoteUsed(store, { iss: 'shop', jti: quote.quote_jti })).toBe(true)
      expect(await isQuoteUsed(store, { iss: 'Shop', jti: quote.quote_jti })).toBe(false)
      // Orders without one are as many as one likes.
      for (let at = 0; at < 3; at++) await inserted(store)
    })
  })

  describe('the limits of an order', () => {
    const limits = (
      openMax: number,
      perMinute: number,
      merchant = limit(1000),
      perDay = 1000,
    ): OrderLimits => ({
      payer: { limits: [limit(perMinute), limit(perDay)], openMax },
      merchant,
      nowMs: NOW_MS,
    })
    const place = (each: Store, of: OrderLimits, payer_id: string) =>
      insertOrder(each, newOrder({ out_sub_mch_id: 'limited', payer_id }), LEASE_MS, undefined, of)
    /** As create does: a lost race is run again. */
    async function persist(each: Store, of: OrderLimits, payer_id: string) {
      for (let attempt = 0; ; attempt++) {
        const outcome = await place(each, of, payer_id)
        if (outcome !== 'lost' || attempt === 20) return outcome
      }
    }

    test('hold among orders that come at once: open ones, in a minute, of everybody', async () => {
      const stores = await openMany(url, 8)
      const open = limits(3, 1000)
      const first = await Promise.all(stores.map((each) => persist(each, open, 'oOpen')))
      expect([count(first, 'done'), count(first, 'over')]).toEqual([3, 5])
      const minute = limits(1000, 5)
      const second = await Promise.all(stores.map((each) => persist(each, minute, 'oMinute')))
      expect([count(second, 'done'), count(second, 'over')]).toEqual([5, 3])
      const day = limits(1000, 1000, limit(1000), 4)
      const daily = await Promise.all(stores.map((each) => persist(each, day, 'oDay')))
      expect([count(daily, 'done'), count(daily, 'over')]).toEqual([4, 4])
      const all = limit(6)
      const third = await Promise.all(
        stores.map((each, at) => persist(each, limits(1000, 1000, all), `oAll${at}`)),
      )
      expect([count(third, 'done'), count(third, 'over')]).toEqual([6, 2])
    })

    test('count what was kept, not what was refused', async () => {
      const of = limits(1000, 2)
      const order = newOrder({ out_sub_mch_id: 'limited', payer_id: 'oAgain' })
      expect(await insertOrder(store, order, LEASE_MS, undefined, of)).toBe('done')
      for (let at = 0; at < 5; at++)
        expect(await insertOrder(store, order, LEASE_MS, undefined, of)).toBe('taken')
      expect(await place(store, of, 'oAgain')).toBe('done')
      expect(await place(store, of, 'oAgain')).toBe('over')
    })
  })

  test('an order is found by who owns it', async () => {
    const order = await inserted(store, { payer_field: 'sub_open_id', payer_id: 'oOwner', caller: 'shop' })
    const found = async (owner: Parameters<typeof findOwnedOrder>[2]) =>
      (await findOwnedOrder(store, order, owner))?.out_trade_no === order.out_trade_no
    expect([
      await found({ by: 'merchant' }),
      await found({ by: 'caller', caller: 'shop' }),
      await found({ by: 'caller', caller: 'Shop' }),
      await found({ by: 'payer', payer_field: 'sub_open_id', payer_id: 'oOwner' }),
      await found({ by: 'payer', payer_field: 'open_id', payer_id: 'oOwner' }),
      await found({ by: 'payer', payer_field: 'sub_open_id', payer_id: 'oowner' }),
    ]).toEqual([true, true, false, true, false, false])
  })

  test('an article is found by its sub-merchant and every letter of its name', async () => {
    const article = {
      out_sub_mch_id: 'sub1',
      sku: 'tea',
      body: '湖心奶茶',
      total_fee: 1880,
      quantity_max: 2,
      active: 1,
    }
    await store.db.insertInto('catalogue').values(article).execute()
    expect(await findSku(store, 'sub1', 'tea')).toEqual(article)
    expect([await findSku(store, 'sub2', 'tea'), await findSku(store, 'sub1', 'Tea')]).toEqual([
      undefined,
      undefined,
    ])
  })
}
