import { sql } from 'kysely'
import { systemClock } from '../../shared/base/time'
import { databaseNow, sayUse, useUpTo, type Limit } from '../../shared/store/counters'
import { findMark, setMark, type Mark } from '../../shared/store/marks'
import type { Store } from '../../shared/store/open'
import { write } from '../../shared/store/transaction'
import { during, duringHere, expectTime, HOUR_MS } from '../support/databaseClock'
import { count, setUp, type Kind } from './ready'

const YEARS_MS = 100 * 365 * 86_400_000

export function countersContract(kind: Kind): void {
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

  const limit = (max: number, periodMs = YEARS_MS): Limit => ({ name: `limit:${++made}`, periodMs, max })
  const usedOf = async ({ name }: Limit) => {
    const rows = await store.db.selectFrom('counters').select('used').where('name', '=', name).execute()
    return rows.map((row) => Number(row.used))
  }
  /** All of it or nothing, in a transaction of its own. */
  async function use(from: Store, of: Limit, amount: number) {
    let over = false
    const outcome = await write(from, (say) => sayUse(from, say, of, amount, () => (over = true)))
    return over ? 'over' : outcome
  }
  /** The database is in the middle of such a period, an hour from either end, and this is its number. */
  async function midPeriod() {
    const nowMs = await databaseNow(store)
    const period = Math.floor(nowMs / (2 * HOUR_MS))
    return { period, periodMs: nowMs / (period + 0.5) }
  }
  const periodOf = async ({ name }: Limit) =>
    Number(
      (await store.db.selectFrom('counters').select('period').where('name', '=', name).execute())[0]!.period,
    )
  /** What is counted was counted a period ago. */
  const nextPeriod = ({ name }: Limit) =>
    store.db
      .updateTable('counters')
      .set({ period: sql<number>`period - 1` })
      .where('name', '=', name)
      .execute()

  describe('a limit', () => {
    test('gives as much as there is, and then nothing', async () => {
      const ten = limit(10)
      expect(await useUpTo(store, ten, 4)).toBe(4)
      expect(await useUpTo(store, ten, 4)).toBe(4)
      expect(await useUpTo(store, ten, 4)).toBe(2)
      expect(await useUpTo(store, ten, 4)).toBe(0)
      expect(await usedOf(ten)).toEqual([10])
    })

    test('of which all or nothing is wanted gives nothing beyond, and keeps the rest for smaller ones', async () => {
      const ten = limit(10)
      for (const [amount, outcome] of [
        [7, 'done'],
        [4, 'over'],
        [3, 'done'],
        [1, 'over'],
      ] as const) {
        expect(await use(store, ten, amount)).toBe(outcome)
      }
      expect(await usedOf(ten)).toEqual([10])
      expect(await use(store, limit(10), 11)).toBe('over')
    })

    test('of nothing gives nothing', async () => {
      const none = limit(0)
      expect(await useUpTo(store, none, 1)).toBe(0)
      expect(await use(store, none, 1)).toBe('over')
      expect(await usedOf(none)).toEqual([])
    })

    test('is apart from every other', async () => {
      const [one, other] = [limit(1), limit(1)]
      expect(await useUpTo(store, one, 1)).toBe(1)
      expect(await useUpTo(store, other, 1)).toBe(1)
    })

    test("begins again with each period, on the database's clock", async () => {
      // With the clock of this machine, this one would be in another period each time.
      let nowMs = 0
      const astray = open(url, { ...systemClock, nowMs: () => (nowMs += 86_400_000) })
      const { period, periodMs } = await midPeriod()
      const three = limit(3, periodMs)
      expect(await useUpTo(astray, three, 2)).toBe(2)
      expect(await use(astray, three, 2)).toBe('over')
      expect(await use(astray, three, 1)).toBe('done')
      expect(await useUpTo(astray, three, 1)).toBe(0)
      expect(await periodOf(three)).toBe(period)
      await nextPeriod(three)
      expect(await useUpTo(astray, three, 5)).toBe(3)
      expect([await usedOf(three), await periodOf(three)]).toEqual([[3], period])
      await nextPeriod(three)
      expect(await use(astray, three, 1)).toBe('done')
      expect([await usedOf(three), await periodOf(three)]).toEqual([[1], period])
    })

    test('is never passed by twenty at once, from its first use on', async () => {
      const of = limit(30)
      const stores = await openMany(url, 20)
      let granted = 0
      for (let round = 0; round < 40 && granted < 30; round++) {
        const got = await Promise.all(stores.map((each) => useUpTo(each, of, 4)))
        granted += got.reduce((sum, one) => sum + one, 0)
        expect(granted).toBeLessThanOrEqual(30)
      }
      expect(granted).toBe(30)
      expect(await usedOf(of)).toEqual([30])
    })

    test('is never passed by twenty at once of whom each wants all or nothing', async () => {
      const of = limit(50)
      const stores = await openMany(url, 20)
      const outcomes = await Promise.all(
        stores.map(async (each) => {
          for (;;) {
            const outcome = await use(each, of, 7)
            if (outcome !== 'lost') return outcome
          }
        }),
      )
      expect([count(outcomes, 'done'), count(outcomes, 'over')]).toEqual([7, 13])
      expect(await usedOf(of)).toEqual([49])
    })
  })

  test("the database's clock can be asked on its own", async () => {
    let now = NaN
    const span = await duringHere(async () => (now = await databaseNow(store)))
    expect(Number.isSafeInteger(now)).toBe(true)
    expectTime(now, span)
  })

  describe('a mark', () => {
    test('tells what was left there last, and when, on the database’s clock', async () => {
      expect(await findMark(store, 'timer')).toBeUndefined()
      const set = (value: string) =>
        during(store, async () => expect(await setMark(store, 'timer', value)).toBe('done'))
      const found = async () => {
        let mark: Mark | undefined
        const span = await during(store, async () => (mark = await findMark(store, 'timer')))
        expectTime(mark!.now_ms, span)
        return mark!
      }
      const firstSet = await set('{"orders":1}')
      const first = await found()
      expect(first.value).toBe('{"orders":1}')
      expectTime(first.at_ms, firstSet)
      // An hour goes by.
      await store.db
        .updateTable('marks')
        .set({ at_ms: first.at_ms - HOUR_MS })
        .where('name', '=', 'timer')
        .execute()
      expect((await found()).at_ms).toBe(first.at_ms - HOUR_MS)
      const secondSet = await set("it's 茶")
      const second = await found()
      expect(second.value).toBe("it's 茶")
      expectTime(second.at_ms, secondSet)
      expect(await findMark(store, 'bill')).toBeUndefined()
    })

    test('is one, also when ten leave it for the first time', async () => {
      const stores = await openMany(url, 10)
      const outcomes = await Promise.all(stores.map((each, at) => setMark(each, 'first', `${at}`)))
      expect(count(outcomes, 'done')).toBeGreaterThanOrEqual(1)
      const rows = await store.db.selectFrom('marks').select('value').where('name', '=', 'first').execute()
      expect(rows).toHaveLength(1)
      expect(outcomes[Number(rows[0]!.value)]).toBe('done')
    })
  })
}
