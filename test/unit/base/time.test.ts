import { deadlineAfter, nowS, rfc3339, systemClock, type Clock } from '../../../shared/base/time'

const clockAt = (ms: number): Clock & { ms: number } => {
  const clock = { ms, nowMs: () => clock.ms, sleep: async (more: number) => void (clock.ms += more) }
  return clock
}

describe('time', () => {
  test.each([
    [0, '1970-01-01T08:00:00+08:00'],
    [57_599, '1970-01-01T23:59:59+08:00'],
    [57_600, '1970-01-02T00:00:00+08:00'],
    [951_753_600, '2000-02-29T00:00:00+08:00'],
    [1_735_660_799, '2024-12-31T23:59:59+08:00'],
    [1_735_660_800, '2025-01-01T00:00:00+08:00'],
    [2_147_483_648, '2038-01-19T11:14:08+08:00'],
    [4_102_444_799, '2100-01-01T07:59:59+08:00'],
    // China turned its clocks forward in the summers of 1986 to 1991; the offset says which instant is meant.
    [552_009_600, '1987-06-30T08:00:00+08:00'],
  ])('%d is %s in China, and the text means the same second', (epochS, text) => {
    expect(rfc3339(epochS)).toBe(text)
    expect(Date.parse(text) / 1000).toBe(epochS)
  })

  test('every second comes back from its text', () => {
    for (let epochS = 0; epochS < 4_000_000_000; epochS += 12_345_677) {
      expect(Date.parse(rfc3339(epochS)) / 1000).toBe(epochS)
    }
  })

  test.each([
    [0, 0],
    [999, 0],
    [1000, 1],
    [1_700_000_000_999, 1_700_000_000],
  ])('at %d ms it is second %d', (ms, s) => {
    expect(nowS(clockAt(ms))).toBe(s)
  })

  test('a deadline shrinks with the clock and may be passed', async () => {
    const clock = clockAt(5_000)
    const deadline = deadlineAfter(clock, 300)
    expect(deadline.remainingMs()).toBe(300)
    await clock.sleep(299)
    expect(deadline.remainingMs()).toBe(1)
    await clock.sleep(2)
    expect(deadline.remainingMs()).toBe(-1)
  })

  test("the real clock is the system's, and its sleep is a timer", async () => {
    jest.useFakeTimers({ now: 1_234_567 })
    try {
      expect(systemClock.nowMs()).toBe(1_234_567)
      let awake = false
      const sleeping = systemClock.sleep(50).then(() => (awake = true))
      await jest.advanceTimersByTimeAsync(49)
      expect(awake).toBe(false)
      await jest.advanceTimersByTimeAsync(1)
      expect(awake).toBe(true)
      await sleeping
      expect(systemClock.nowMs()).toBe(1_234_617)
    } finally {
      jest.useRealTimers()
    }
  })
})
