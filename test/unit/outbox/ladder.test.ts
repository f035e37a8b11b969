import { systemRandom } from '../../../shared/base/random'
import { LADDER_MS, TRY_AT_LEAST_S, waitAfter } from '../../../shared/outbox/ladder'

const least = () => Buffer.from([0, 0, 0, 0])
const most = () => Buffer.from([255, 255, 255, 255])
const DAY_MS = 24 * 3600 * 1000

test('eight attempts; even with the shortest waits they span more than a day', () => {
  const waits = (random: typeof least) =>
    LADDER_MS.map((_, nth) => waitAfter(nth + 1, 0, random)!).reduce((sum, wait) => sum + wait, 0)
  expect(LADDER_MS).toHaveLength(7)
  expect(waits(least)).toBeGreaterThan(DAY_MS)
  expect(waits(most)).toBeLessThan(2 * DAY_MS)
  expect(waitAfter(8, TRY_AT_LEAST_S, most)).toBeUndefined()
})

test('a wait is its rung, a tenth more or less', () => {
  for (const [nth, rung] of LADDER_MS.entries()) {
    expect(waitAfter(nth + 1, 0, least)).toBe(Math.round(rung * 0.9))
    expect(waitAfter(nth + 1, 0, most)).toBe(Math.round(rung * 1.1))
    const drawn = Array.from({ length: 100 }, () => waitAfter(nth + 1, 0, systemRandom)!)
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(Math.round(rung * 0.9))
    expect(Math.max(...drawn)).toBeLessThanOrEqual(Math.round(rung * 1.1))
    expect(new Set(drawn).size).toBeGreaterThan(50)
  }
})

test('attempts that an instance took with it do not shorten the day', () => {
  expect(waitAfter(8, TRY_AT_LEAST_S - 1, least)).toBe(Math.round(LADDER_MS[6] * 0.9))
  expect(waitAfter(30, 60, least)).toBeDefined()
  expect(waitAfter(30, TRY_AT_LEAST_S, least)).toBeUndefined()
  // Who was told late, because there was no webhook to tell, has all the rungs before them.
  expect(waitAfter(1, 90 * 24 * 3600, least)).toBeDefined()
})
