import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export type ServedRoute = { functionName: string; method: string; path: string }
/** Seven fields, seconds first. */
export type Timer = { functionName: string; cron: string }

type Event = { http?: { method: string; path: string }; timer?: { cron: string } }
type Yml = { functions: Record<string, { handler: string; events?: Event[] }> }

function readEvents<T>(root: string, pick: (event: Event, functionName: string) => T | undefined): T[] {
  const yml = parse(readFileSync(join(root, 'serverless.yml'), 'utf8')) as Yml
  return Object.entries(yml.functions).flatMap(([functionName, { events = [] }]) =>
    events.flatMap((event) => {
      const picked = pick(event, functionName)
      return picked === undefined ? [] : [picked]
    }),
  )
}

/** What serverless.yml says is served where: the one place that says so. */
export const readRoutes = (root: string): ServedRoute[] =>
  readEvents(root, ({ http }, functionName) => http && { functionName, method: http.method, path: http.path })

export const readTimers = (root: string): Timer[] =>
  readEvents(root, ({ timer }, functionName) => timer && { functionName, cron: timer.cron })

/** The period of a cron that repeats in seconds, which is all the local machine keeps to. */
export function periodMs({ cron, functionName }: Timer): number {
  const seconds = /^\*\/(\d{1,2}) \* \* \* \* \* \*$/.exec(cron)?.[1]
  if (!seconds) throw new Error(`serverless.yml: the local machine cannot keep the timer of ${functionName}`)
  return Number(seconds) * 1000
}
