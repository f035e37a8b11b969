import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

/** The worst hour the README speaks of, computed anew from serverless.yml: neither can change without the other. */
const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Tencent Cloud's list prices for mainland China, as its pricing page (583/12281) had them. */
const YUAN_PER_GBS = 0.00011108
const YUAN_PER_10_000_CALLS = 0.0133
/** What one refused call takes at the least, so what a flood makes of an hour: assumed, not measured on the platform. */
const CALL_MS = 10

type Yml = {
  provider: { memorySize: number }
  functions: Record<
    string,
    { reservedConcurrency?: number; memorySize?: number; events?: { http?: unknown }[] }
  >
}
const { provider, functions } = parse(read('serverless.yml')) as Yml
const entries = Object.values(functions)

const instances = entries.reduce((sum, one) => sum + one.reservedConcurrency!, 0)
const gbs = entries.reduce(
  (sum, one) => sum + (one.reservedConcurrency! * (one.memorySize ?? provider.memorySize) * 3600) / 1024,
  0,
)
/** Only what has an address can be called by strangers. */
const open = entries
  .filter(({ events = [] }) => events.some(({ http }) => http !== undefined))
  .reduce((sum, one) => sum + one.reservedConcurrency!, 0)
const calls = open * (3_600_000 / CALL_MS)
const yuan = { computing: gbs * YUAN_PER_GBS, calls: (calls / 10_000) * YUAN_PER_10_000_CALLS }

const group = (value: number) =>
  Math.round(value)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, ' ')

test('every function has a cap: without one the hour has no worst', () => {
  for (const [name, { reservedConcurrency }] of Object.entries(functions))
    expect([name, reservedConcurrency]).toEqual([name, expect.any(Number)])
})

test('no stage lifts it', () => {
  for (const stage of ['dev', 'prod', 'local'])
    expect(read(`deploy/stages/${stage}.yml`)).not.toMatch(/reservedConcurrency|memorySize/)
})

// The hour is what the README says, and so is every step on the way to it.
test.each(['README.md', 'README.zh-CN.md'])('the worst hour is what the README says: %s', (file) => {
  const section = /<!-- cost -->[^]*<!-- \/cost -->/.exec(read(file))?.[0] ?? ''
  for (const part of [
    `${instances} `,
    `${open} `,
    group(gbs),
    String(YUAN_PER_GBS),
    `¥${yuan.computing.toFixed(2)}`,
    group(calls),
    String(YUAN_PER_10_000_CALLS),
    `¥${yuan.calls.toFixed(2)}`,
    `¥${(yuan.computing + yuan.calls).toFixed(2)}`,
  ])
    expect(section).toContain(part)
})
