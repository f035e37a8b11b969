import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export type ServedRoute = { functionName: string; method: string; path: string }

type Yml = {
  functions: Record<string, { handler: string; events?: { http?: { method: string; path: string } }[] }>
}

/** What serverless.yml says is served where: the one place that says so. */
export function readRoutes(root: string): ServedRoute[] {
  const yml = parse(readFileSync(join(root, 'serverless.yml'), 'utf8')) as Yml
  return Object.entries(yml.functions).flatMap(([functionName, { events = [] }]) =>
    events.flatMap(({ http }) => (http ? [{ functionName, method: http.method, path: http.path }] : [])),
  )
}
