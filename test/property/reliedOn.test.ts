import { join } from 'node:path'
import { loadPlanted } from '../support/plantedModule'
import { believed } from './reliedOn'
import { LENIENT_PLANTS } from './reliedOnPlants'

test('an answer whose relied-on member is of another type is never believed', async () => {
  expect(await believed()).toEqual([])
})

test.each(LENIENT_PLANTS)('$name read leniently: noticed', async ({ edits }) => {
  const planted = await loadPlanted<{ believed: typeof believed }>(join(__dirname, 'reliedOn.ts'), edits)
  expect((await planted.believed()).length).toBeGreaterThan(0)
})
