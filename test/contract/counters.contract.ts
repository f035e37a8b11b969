import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../shared/base/time'
import { databaseNow, sayUse, useUpTo, type Limit } from '../../shared/store/counters'
import { findMark, setMark } from '../../shared/store/marks'
import type { Store } from '../../shared/store/open'
import { write } from '../../shared/store/transaction'
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
  /** Waits for the beginning of a period, so that the next lines are all in one. */
  async function beginning(periodMs: number, from = store) {
    const now = await databaseNow(from)
    await sleep(periodMs - (now % periodMs) + 5)
  }

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
      const PERIOD_MS = 1500
      const three = limit(3, PERIOD_MS)
      await beginning(PERIOD_MS, astray)
      expect(await useUpTo(astray, three, 2)).toBe(2)
      expect(await use(astray, three, 2)).toBe('over')
      expect(await use(astray, three, 1)).toBe('done')
      expect(await useUpTo(astray, three, 1)).toBe(0)
      await beginning(PERIOD_MS, astray)
      expect(await useUpTo(astray, three, 5)).toBe(3)
      expect(await usedOf(three)).toEqual([3])
      await beginning(PERIOD_MS, astray)
      expect(await use(astray, three, 1)).toBe('done')
      expect(await usedOf(three)).toEqual([1])
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
    const now = await databaseNow(store)
    expect(Number.isSafeInteger(now)).toBe(true)
    expect(Math.abs(now - Date.now())).toBeLessThan(3000)
  })

  describe('a mark', () => {
    test('tells what was left there last, and when, on the database’s clock', async () => {
      expect(await findMark(store, 'timer')).toBeUndefined()
      expect(await setMark(store, 'timer', '{"orders":1}')).toBe('done')
      const first = (await findMark(store, 'timer'))!
      expect(first.value).toBe('{"orders":1}')
      expect(Math.abs(first.now_ms - Date.now())).toBeLessThan(3000)
      expect(first.now_ms - first.at_ms).toBeLessThan(3000)
      await sleep(30)
      expect(await setMark(store, 'timer', "it's 茶")).toBe('done')
      const second = (await findMark(store, 'timer'))!
      expect(second.value).toBe("it's 茶")
      expect(second.at_ms).toBeGreaterThan(first.at_ms)
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
