import { fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import { isLoopback } from '../shared/base/config'
import type { Dialect } from '../shared/base/databaseUrl'
import { bundle, ROOT } from './bundle'
import type { Order, Outcome } from './invokeChild'
import { entryOf } from './package'
import { MIGRATE } from './service'

export type LocalInvocation = {
  key: string
  handler: string
  event: unknown
  environment: Record<string, string>
  timeLimitMs: number
  memoryMb: number
  say: (line: string) => void
}

/** Its own for each process: two invocations at once do not meet. */
const OUTDIR = join(ROOT, '.build', `invoke-${process.pid}`)
const CHILD = join(OUTDIR, 'child', 'invokeChild.js')

/**
 * Runs the function as it would be deployed, in a Node of its own. What the handler returns is the outcome; what it
 * writes goes to stderr, and whether it writes anything there says nothing.
 */
export async function invokeLocal(invocation: LocalInvocation): Promise<Outcome> {
  try {
    return await buildAndRun(invocation)
  } finally {
    rmSync(OUTDIR, { recursive: true, force: true })
  }
}

async function buildAndRun(invocation: LocalInvocation): Promise<Outcome> {
  const { key, handler, environment, say } = invocation
  await bundle({ drivers: driversFor(environment['DATABASE_URL']), outdir: OUTDIR })
  await build({
    entryPoints: [join(__dirname, 'invokeChild.ts')],
    bundle: true,
    platform: 'node',
    outfile: CHILD,
    logLevel: 'error',
  })
  if (!(await sandboxAnswers(environment['CLOUD_PAY_BASE_URL'])))
    say(`Nothing listens at ${environment['CLOUD_PAY_BASE_URL']}: start the sandbox with npm start.`)
  // The embedded database is ours, so it is brought up to date as npm start does it.
  if ((environment['DATABASE_URL'] ?? 'sqlite:').startsWith('sqlite:') && key !== MIGRATE) {
    const migrated = await run({
      ...invocation,
      key: MIGRATE,
      handler: 'migrate.main_handler',
      event: { do: 'apply' },
    })
    if ('fault' in migrated) return migrated
  }
  return run({ ...invocation, handler })
}

function run({ key, handler, event, environment, timeLimitMs, memoryMb }: LocalInvocation): Promise<Outcome> {
  const order: Order = { file: join(OUTDIR, `${entryOf(handler)}.js`), key, event, timeLimitMs, memoryMb }
  return new Promise((resolve) => {
    const child = fork(CHILD, [], {
      env: environment,
      execArgv: [],
      // Standard output belongs to the result alone, so that it can be piped.
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    let outcome: Outcome | undefined
    const limit = setTimeout(() => {
      outcome = {
        fault: `${key} took longer than its ${timeLimitMs / 1000} s and was stopped, as the platform would.`,
      }
      child.kill('SIGKILL')
    }, timeLimitMs)
    child.on('message', (message) => (outcome ??= message as Outcome))
    child.on('error', (error) => (outcome ??= { fault: error.message }))
    child.on('exit', (code, signal) => {
      clearTimeout(limit)
      resolve(outcome ?? { fault: `${key} ended its process (${signal ?? code}) before it answered.` })
    })
    child.send(order)
  })
}

function driversFor(databaseUrl: string | undefined): Dialect[] {
  const scheme = /^\w+/.exec(databaseUrl ?? 'sqlite')?.[0]
  if (scheme === 'mysql' || scheme === 'sqlite') return [scheme]
  return scheme?.startsWith('postgres') ? ['postgres'] : ['mysql', 'postgres']
}

/** Asks only on this machine: elsewhere the function finds out for itself. */
async function sandboxAnswers(baseUrl: string | undefined): Promise<boolean> {
  const url = baseUrl && URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
  if (!url || !isLoopback(url.hostname)) return true
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || 80 })
    const done = (answers: boolean) => {
      socket.destroy()
      resolve(answers)
    }
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
    socket.setTimeout(1000, () => done(false))
  })
}
