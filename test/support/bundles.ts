import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { bundle, ROOT } from '../../deploy/bundle'
import type { Dialect } from '../../shared/base/databaseUrl'

/** Bundles as they are deployed, in a folder of their own so that suites do not disturb each other. */
export async function buildBundles(name: string, drivers: readonly Dialect[]): Promise<string> {
  const outdir = join(ROOT, '.build', `test-${name}`)
  await bundle({ drivers, outdir })
  return outdir
}

/** The Node versions every bundle is tried on. Installed apart: `npm ci --prefix test/runtimes`. */
export const RUNTIMES = [
  { name: 'node 18.15.0 (the newest the SCF API documents)', path: runtime('node-18.15.0') },
  { name: `node ${process.versions.node} (this one)`, path: process.execPath },
  { name: 'a current node', path: runtime('node-current') },
]

function runtime(folder: string): string | undefined {
  const path = join(ROOT, 'test', 'runtimes', 'node_modules', folder, 'bin', 'node')
  return existsSync(path) ? path : undefined
}

export type Visited = {
  statusCode: number
  headers: Record<string, string>
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into it freely
  body: any
}
export type Run = { visits: Visited[]; log: string; modules: string[] }

/**
 * A bare Node process that loads one bundle and calls its `main_handler` with each event in turn, as a warm instance
 * would be. The environment is exactly `env`.
 */
export async function runBundle(options: {
  node?: string
  file: string
  env: Record<string, string>
  events: unknown[]
}): Promise<Run> {
  const driver = `
    const { main_handler } = require(${JSON.stringify(options.file)})
    const events = ${JSON.stringify(options.events)}
    const visits = []
    ;(async () => {
      for (const [at, event] of events.entries()) {
        const start = performance.now()
        const context = { request_id: 'run-' + at, getRemainingTimeInMillis: () => 60000 - (performance.now() - start) }
        visits.push(await main_handler(event, context))
      }
      process.stderr.write(JSON.stringify({ visits, modules: process.moduleLoadList }))
      process.exit(0)
    })()`
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve, reject) => {
    execFile(
      options.node ?? process.execPath,
      ['-e', driver],
      { env: options.env, maxBuffer: 1 << 24, timeout: 180_000 },
      (error, out, err) =>
        error ? reject(new Error(`${error.message}\n${err}`)) : resolve({ stdout: out, stderr: err }),
    )
  })
  const { visits, modules } = JSON.parse(stderr) as { visits: Visited[]; modules: string[] }
  return {
    // What a timer gives back is no HTTP answer.
    visits: visits.map((visit) =>
      'body' in visit
        ? { ...visit, body: JSON.parse(visit.body) as unknown }
        : { statusCode: 0, headers: {}, body: visit },
    ),
    log: stdout,
    modules,
  }
}

/** As the platform sends it. */
export const timerEvent = { Type: 'Timer', TriggerName: 'timer', Time: '2026-11-23T02:05:00Z', Message: '' }

export const post = (body: unknown, headers: Record<string, string> = {}, path = '/orders') => ({
  httpMethod: 'POST',
  path,
  headers: { 'content-type': 'application/json', ...headers },
  queryString: {},
  body: JSON.stringify(body),
})

export const get = (path: string, queryString: Record<string, string> = {}) => ({
  httpMethod: 'GET',
  path,
  headers: {},
  queryString,
  body: '',
})
