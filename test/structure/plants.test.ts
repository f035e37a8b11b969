import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MICRO_PLANTS } from '../property/microPlants'
import { LENIENT_PLANTS } from '../property/reliedOnPlants'
import { PLANTS as RACE_PLANTS } from '../races/plants'
import { LOCAL_CLOSE, READ_THEN_WRITE } from '../simulation/naive'
import { PLANTS } from '../simulation/plants'
import { plantIn, ROOT, type Edit } from '../support/planting'

/** Planted faults are played for a long time, and some of them only in `npm run prove`: that each finds its place shows here. */
const ALL: { name: string; edits: readonly Edit[] }[] = [
  ...[...PLANTS, LOCAL_CLOSE, READ_THEN_WRITE].map(({ name, also = [], ...edit }) => ({
    name,
    edits: [edit, ...also],
  })),
  ...MICRO_PLANTS,
  ...LENIENT_PLANTS,
  ...Object.entries(RACE_PLANTS).map(([name, { edits }]) => ({ name, edits })),
]

test('every planted fault finds the text it changes, once', () => {
  const lost = ALL.flatMap(({ name, edits }) =>
    edits.flatMap((edit) => {
      try {
        plantIn(edit, readFileSync(join(ROOT, edit.file), 'utf8'))
        return []
      } catch (error) {
        return [`${name}: ${(error as Error).message}`]
      }
    }),
  )
  expect(lost).toEqual([])
  expect(ALL.length).toBeGreaterThan(90)
})
