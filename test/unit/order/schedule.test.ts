import {
  DAY_S,
  EXPIRY_GRACE_S,
  firstLookS,
  FIRST_LOOK_S,
  FRUITLESS_MAX,
  nextLookS,
  nextRefundLookS,
  NOT_FOUND_AFTER_S,
} from '../../../shared/order/schedule'
import { ORDER_STATES, type OrderState } from '../../../shared/order/state'

const CREATED = 1_800_000_000
const EXPIRES = CREATED + 900
const CLOSE_NOT_BEFORE = 300

const HOUR = 3600

describe('the first look at an order that has just become', () => {
  const first = (state: OrderState, nowS = CREATED) =>
    firstLookS(state, { created_at: CREATED }, nowS, CLOSE_NOT_BEFORE)

  test.each(['created', 'pending'] as const)('%s comes while the payer is paying', (state) => {
    expect(first(state)).toBe(20)
    expect(FIRST_LOOK_S).toBe(20)
  })

  test('closing comes as soon as closing may be asked, and not before', () => {
    expect(first('closing', CREATED)).toBe(300)
    // Whoever made it closing is asking right now: the timer leaves them that long.
    expect(first('closing', CREATED + 299)).toBe(20)
    expect(first('closing', CREATED + 5000)).toBe(20)
    expect(firstLookS('closing', { created_at: CREATED }, CREATED, 0)).toBe(20)
  })

  test.each(['closed', 'failed'] as const)('%s comes after five minutes: money may come late', (state) => {
    expect(first(state)).toBe(300)
  })

  test.each(['paid', 'paid_after_close', 'refunded'] as const)('%s never comes', (state) => {
    expect(first(state)).toBeNull()
  })

  test('is known for every state', () => {
    for (const state of ORDER_STATES) expect(first(state)).not.toBeUndefined()
  })
})

describe('the next look', () => {
  const next = (
    change: Partial<Parameters<typeof nextLookS>[0]>,
    nowS = CREATED + 30,
    notBeforeS = CLOSE_NOT_BEFORE,
  ) =>
    nextLookS(
      {
        ...{
          state: 'pending',
          looks: 1,
          fruitless: 0,
          time_expire: EXPIRES,
          created_at: CREATED,
          trade_type: 3,
        },
        ...change,
      },
      nowS,
      notBeforeS,
    )

  test.each(['created', 'pending'] as const)('at an order that stays %s comes later and later', (state) => {
    const far = { state, time_expire: CREATED + 7200 }
    expect([1, 2, 3, 4, 5, 6, 7, 50].map((looks) => next({ ...far, looks }))).toEqual([
      30, 60, 120, 240, 480, 900, 900, 900,
    ])
  })

  test('comes sooner again after one that brought nothing, and backs off from there', () => {
    const far = { time_expire: CREATED + 7200, looks: 6 }
    expect([1, 2, 3, 4, 5, 6, 7, 8, 19].map((fruitless) => next({ ...far, fruitless }))).toEqual([
      10, 20, 40, 80, 160, 320, 600, 600, 600,
    ])
  })

  test('at a micro_pay order comes every ten seconds, at the end of its two minutes, and then backs off', () => {
    const micro = { trade_type: 1, time_expire: CREATED + 120 }
    expect([20, 60, 109, 115, 119].map((at) => next(micro, CREATED + at))).toEqual([10, 10, 10, 5, 1])
    expect([0, 1, 2, 7].map((fruitless) => next({ ...micro, fruitless }, CREATED + 120))).toEqual([
      5, 10, 20, 600,
    ])
    expect(next({ ...micro, fruitless: FRUITLESS_MAX }, CREATED + 9999)).toBe(DAY_S)
  })

  test('never oversleeps the expiry and its ten seconds', () => {
    expect(EXPIRY_GRACE_S).toBe(10)
    for (const looks of [1, 3, 6]) expect(next({ looks }, EXPIRES - 5)).toBe(15)
    expect(next({ looks: 6 }, EXPIRES + 9)).toBe(1)
    expect(next({ fruitless: 7 }, EXPIRES + 9)).toBe(1)
  })

  test('after the expiry comes at once, and later each time it is in vain', () => {
    const after = EXPIRES + EXPIRY_GRACE_S
    expect([0, 1, 2, 7].map((fruitless) => next({ fruitless }, after))).toEqual([5, 10, 20, 600])
  })

  test('after the expiry still waits until closing may be asked', () => {
    const short = { time_expire: CREATED + 120 }
    expect(next(short, CREATED + 130)).toBe(170)
    expect(next(short, CREATED + 299)).toBe(5)
    expect(next({ ...short, fruitless: 7 }, CREATED + 130)).toBe(600)
  })

  test('at an order that stays closing backs off, and not before closing may be asked', () => {
    expect([0, 1, 7].map((fruitless) => next({ state: 'closing', fruitless }, CREATED + 400))).toEqual([
      5, 10, 600,
    ])
    expect(next({ state: 'closing' }, CREATED + 30)).toBe(270)
  })

  test.each(['closed', 'failed'] as const)(
    'at an order that is %s comes after 5 minutes, an hour and a day of having ended, and then never',
    (state) => {
      let sinceEnd = firstLookS(state, { created_at: CREATED }, EXPIRES, CLOSE_NOT_BEFORE)!
      const looked = [sinceEnd]
      for (let looks = 1; ; looks++) {
        const inS = next({ state, looks }, EXPIRES + sinceEnd)
        if (inS === null) break
        looked.push((sinceEnd += inS))
      }
      expect(looked).toEqual([300, HOUR, 24 * HOUR])
      expect(next({ state, looks: 99 })).toBeNull()
    },
  )

  test.each(['closed', 'failed'] as const)(
    'at an order that is %s is not skipped for one in vain',
    (state) => {
      expect([1, 7].map((fruitless) => next({ state, looks: 2, fruitless }))).toEqual([10, 600])
      expect(next({ state, looks: 99, fruitless: 1 })).toBe(10)
    },
  )

  test.each(['paid', 'paid_after_close'] as const)(
    'at a %s order comes only when the last was in vain',
    (state) => {
      expect(next({ state })).toBeNull()
      expect(next({ state, looks: 50 })).toBeNull()
      expect([1, 7].map((fruitless) => next({ state, fruitless }))).toEqual([10, 600])
    },
  )

  test('at a refunded order never comes, until a person has been told', () => {
    expect(next({ state: 'refunded' })).toBeNull()
    expect(next({ state: 'refunded', fruitless: 19 })).toBeNull()
  })

  test.each(ORDER_STATES)('at a %s order comes once a day after twenty in vain', (state) => {
    expect(FRUITLESS_MAX).toBe(20)
    for (const fruitless of [20, 21, 1000]) {
      expect(next({ state, fruitless }, EXPIRES - 5)).toBe(DAY_S)
    }
  })

  test('is always a positive time, or never', () => {
    for (const state of ORDER_STATES) {
      for (const fruitless of [0, 1, 5, 19, 20, 40]) {
        for (const looks of [1, 2, 3, 4, 30]) {
          for (const nowS of [CREATED, CREATED + 299, EXPIRES - 1, EXPIRES + 10, EXPIRES + 1e6]) {
            for (const notBefore of [0, 300, 7200]) {
              const inS = next({ state, fruitless, looks }, nowS, notBefore)
              if (inS !== null) expect(inS).toBeGreaterThan(0)
            }
          }
        }
      }
    }
  })
})

test('a signed "no such order" counts from ten minutes after the expiry', () => {
  expect(NOT_FOUND_AFTER_S).toBe(600)
})

describe('the next look at a refund', () => {
  test('comes later and later, and daily after twenty', () => {
    expect([1, 2, 3, 4, 5, 6, 19].map((looks) => nextRefundLookS({ looks }))).toEqual([
      300, 600, 1200, 1800, 3600, 3600, 3600,
    ])
    expect([20, 21, 1000].map((looks) => nextRefundLookS({ looks }))).toEqual([DAY_S, DAY_S, DAY_S])
  })
})

/** What the times above add up to, in looks: a promise to Cloud Pay as well. */
test('an order of 15 minutes that nobody pays is looked at six times, the last when it has expired', () => {
  const order: Parameters<typeof nextLookS>[0] = {
    trade_type: 3,
    state: 'pending',
    looks: 0,
    fruitless: 0,
    time_expire: EXPIRES,
    created_at: CREATED,
  }
  const looks: number[] = []
  for (let at = CREATED + FIRST_LOOK_S; at <= EXPIRES + EXPIRY_GRACE_S;) {
    looks.push(at - CREATED)
    order.looks++
    at += nextLookS(order, at, CLOSE_NOT_BEFORE)!
  }
  expect(looks).toEqual([20, 50, 110, 230, 470, 910])
})
