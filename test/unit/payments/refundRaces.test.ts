import { playScene, SCENES } from './refundRaces'

test.each(Object.entries(SCENES))('%s', async (_, play) => {
  expect(await playScene(play)).toEqual([])
})
