import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CALL_MS, readYml, worstHour, YUAN_PER_10_000_CALLS, YUAN_PER_GBS } from '../../local/docs/cost'

/** What the worst hour costs is computed from the caps of serverless.yml: each function needs one. */
const root = resolve(__dirname, '../..')
const { functions } = readYml(root)

test('every function has a cap: without one the hour has no worst', () => {
  for (const [name, { reservedConcurrency }] of Object.entries(functions))
    expect([name, reservedConcurrency]).toEqual([name, expect.any(Number)])
})

test('no stage lifts it', () => {
  for (const stage of ['dev', 'prod', 'local'])
    expect(readFileSync(join(root, `deploy/stages/${stage}.yml`), 'utf8')).not.toMatch(
      /reservedConcurrency|memorySize/,
    )
})

test('the hour is its instances at their prices, and only what has an address is called', () => {
  const hour = worstHour({
    provider: { memorySize: 512 },
    functions: {
      door: { reservedConcurrency: 10, events: [{ http: {} }] },
      timer: { reservedConcurrency: 2, memorySize: 1024, events: [{}] },
    },
  })
  expect(hour).toMatchObject({ instances: 12, reachable: 10, gbs: (10 * 0.5 + 2) * 3600 })
  expect(hour.calls).toBe((10 * 3_600_000) / CALL_MS)
  expect(hour.computingYuan).toBeCloseTo(hour.gbs * YUAN_PER_GBS)
  expect(hour.callsYuan).toBeCloseTo((hour.calls / 10_000) * YUAN_PER_10_000_CALLS)
})

test('a function without a cap makes it endless', () => {
  const endless = worstHour({
    provider: { memorySize: 256 },
    functions: { open: { events: [{ http: {} }] } },
  })
  expect(endless.gbs).toBe(Infinity)
})
