import { crashEverywhere, type CrashResult } from './crash'

/** Enough to come to each on different ways. */
const VISITS = 3

describe('an instance dies at an await, any await', () => {
  let result: CrashResult
  beforeAll(async () => void (result = await crashEverywhere(VISITS)), 15 * 60_000)

  test('every one of them is reached', () => {
    expect(result.points.length).toBeGreaterThan(200)
    expect(result.unreached.map(({ id, text }) => `${id}  ${text}`)).toEqual([])
  })

  test('and the others bring it to a good end', () => {
    expect(
      result.bad.map(({ plan: { point, phase, visit, seed }, violations }) => ({
        violations,
        replay: `npm run crash-everywhere -- --replay ${point} ${phase} ${visit} ${seed}`,
      })),
    ).toEqual([])
  })
})
