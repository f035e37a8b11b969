import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

/** Tencent Cloud's list prices for mainland China, as its pricing page (583/12281) had them. */
export const YUAN_PER_GBS = 0.00011108
export const YUAN_PER_10_000_CALLS = 0.0133
/** What one refused call takes at the least, so what a flood makes of an hour: assumed, not measured on the platform. */
export const CALL_MS = 10

export type Yml = {
  provider: { memorySize: number }
  functions: Record<
    string,
    { reservedConcurrency?: number; memorySize?: number; events?: { http?: unknown }[] }
  >
}

export const readYml = (root: string): Yml => parse(readFileSync(join(root, 'serverless.yml'), 'utf8')) as Yml

/** What a flood that keeps every instance busy for an hour costs, from the caps of serverless.yml. */
export function worstHour({ provider, functions }: Yml) {
  const entries = Object.values(functions).map((one) => ({
    ...one,
    cap: one.reservedConcurrency ?? Infinity,
  }))
  const sum = (of: (one: (typeof entries)[number]) => number) =>
    entries.reduce((all, one) => all + of(one), 0)
  const gbs = sum(({ cap, memorySize }) => (cap * (memorySize ?? provider.memorySize) * 3600) / 1024)
  // Only what has an address can be called by strangers.
  const reachable = sum(({ cap, events = [] }) => (events.some(({ http }) => http !== undefined) ? cap : 0))
  const calls = reachable * (3_600_000 / CALL_MS)
  return {
    instances: sum(({ cap }) => cap),
    gb: provider.memorySize / 1024,
    gbs,
    reachable,
    calls,
    computingYuan: gbs * YUAN_PER_GBS,
    callsYuan: (calls / 10_000) * YUAN_PER_10_000_CALLS,
  }
}
