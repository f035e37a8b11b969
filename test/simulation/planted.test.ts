import { LOCAL_CLOSE, READ_THEN_WRITE } from './naive'
import { isDoubled, isLost, lookForPlant, rateOf, RUNS_MAX, typeFaults } from './planted'
import { PLANTS } from './plants'

const MINUTES = 60_000

test(
  'every planted fault stands where it says, and is still a program',
  () => {
    expect(typeFaults([...PLANTS, LOCAL_CLOSE, READ_THEN_WRITE])).toEqual([])
    expect(PLANTS.length).toBeGreaterThanOrEqual(30)
  },
  5 * MINUTES,
)

// Every third, and those that one staged scene tells: all of them are `npm run planted-faults`, and part of `npm run prove`.
test.each(PLANTS.filter(({ staged }, at) => staged || at % 3 === 0))(
  `$name: noticed within ${RUNS_MAX} runs`,
  async (plant) => {
    const { seed } = await lookForPlant(plant)
    if (seed === undefined) throw new Error(`${RUNS_MAX} runs did not notice it, although ${plant.why}`)
  },
  5 * MINUTES,
)

describe('what is often built instead', () => {
  const RUNS = 1000

  test(
    'closing without asking upstream loses a payment in one run of ten',
    async () => {
      expect(await rateOf(LOCAL_CLOSE, RUNS, isLost)).toBeGreaterThanOrEqual(RUNS / 10)
    },
    5 * MINUTES,
  )

  test(
    'reading, then writing, doubles one in one run of a hundred',
    async () => {
      expect(await rateOf(READ_THEN_WRITE, RUNS, isDoubled)).toBeGreaterThanOrEqual(RUNS / 100)
    },
    5 * MINUTES,
  )
})
