import { playBillDay } from '../../support/billDay'

const DAY_S = 86_400

/** `npm run prove` has it with a thousand sub-merchants and a hundred thousand orders, within a whole day. */
test('a day of sixty sub-merchants is compared within their part of the day after it, every order of it', async () => {
  const { tookS, calls, windows, ...end } = await playBillDay({ merchants: 60, orders: 3000 })
  expect(end).toMatchObject({ left: 0, unseen: [], untold: [], others: [] })
  expect(tookS).toBeLessThan((DAY_S * 60) / 1000)
  // Three days of each, and of the one that has a fifth of all orders more pieces than that.
  expect(windows).toBeGreaterThan(3 * 60)
  expect(calls).toBeGreaterThan(windows)
})
