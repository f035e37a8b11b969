import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { countBranches } from './branches'
import { BRANCHES_MIN, HANG_MS, missed } from './play'
import type { Asked, Told } from './worker'

/**
 * `npm run fuzz`: every parser that reads what comes from outside, RUNS executions in all (default 1 000 000), from
 * SEED (printed, so that a run can be repeated). Exits 1 when a promise is missed.
 */
const ROOT = resolve(__dirname, '../..')
/** Said nothing for so long, and it is taken to hang for ever. */
const SILENCE_MS = 60_000

/** Coverage has to be on before the code is compiled. */
const PROGRAM = `
  const { Session } = require('node:inspector')
  const session = new Session()
  session.connect()
  const post = (method, parameters) => {
    let result
    session.post(method, parameters, (error, value) => { if (error) throw error; result = value })
    return result
  }
  post('Profiler.enable')
  post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const file = process.env.FUZZ_BUNDLE
  const take = () => post('Profiler.takePreciseCoverage').result.find(({ url }) => url.endsWith(file))
  require(file).work(JSON.parse(process.env.FUZZ_ASKED), take)`

export async function fuzz(asked: Asked, silenceMs = SILENCE_MS): Promise<{ told: Told; script: string }> {
  const outfile = join(ROOT, '.build/fuzz', `${process.pid}.cjs`)
  mkdirSync(join(ROOT, '.build/fuzz'), { recursive: true })
  await build({
    absWorkingDir: ROOT,
    entryPoints: [join(__dirname, 'worker.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
    external: ['libsql', 'mysql2', 'pg'],
  })
  const child = spawn(process.execPath, ['-e', PROGRAM], {
    env: { PATH: process.env['PATH'], FUZZ_BUNDLE: outfile, FUZZ_ASKED: JSON.stringify(asked) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = 'the beginning'
  let told: Told | undefined
  let silence: NodeJS.Timeout | undefined
  const listen = () => {
    clearTimeout(silence)
    silence = setTimeout(() => child.kill('SIGKILL'), silenceMs)
  }
  listen()
  for await (const line of createInterface({ input: child.stdout })) {
    listen()
    if (line.startsWith('at ')) last = line.slice(3)
    if (line.startsWith('told ')) told = JSON.parse(line.slice(5)) as Told
  }
  clearTimeout(silence)
  if (!told) throw new Error(`nothing more was heard at ${last}, seed ${asked.seed}: it hangs, or has ended`)
  const script = readFileSync(outfile, 'utf8')
  rmSync(outfile)
  return { told, script }
}

function wholeNumber(name: string): number | undefined {
  const value = process.env[name]
  if (value === undefined || value === '') return undefined
  if (!/^\d{1,10}$/.test(value)) throw new Error(`${name} must be a whole number`)
  return Number(value)
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`

async function main(): Promise<void> {
  const runs = wholeNumber('RUNS') ?? 1_000_000
  const seed = wholeNumber('SEED') ?? randomInt(2 ** 31)
  console.log(`RUNS=${runs} SEED=${seed}`)
  const { told, script } = await fuzz({ seed, runs })
  const faults = told.played.flatMap(missed)

  console.log('parser                        executions  accepted  a second  longest  uncaught')
  for (const one of told.played) {
    const columns = [
      one.name.padEnd(28),
      String(one.executions).padStart(11),
      percent(one.accepted / one.executions).padStart(9),
      String(Math.round((one.executions / one.ms) * 1000)).padStart(9),
      `${one.longestMs.toFixed(1)} ms`.padStart(8),
      String(one.uncaughtCount).padStart(9),
    ]
    console.log(columns.join(' '))
    for (const { input, error } of one.uncaught) console.log(`  uncaught: ${error}\n  input: ${input}`)
    for (const { input, ms } of one.hangs) console.log(`  ${ms.toFixed(0)} ms: ${input}`)
  }

  console.log('\nbranches, counted by V8 (block coverage) on the branches TypeScript finds in the bundle')
  const branches = countBranches(script, told.coverage, told.covers)
  for (const [name, { total, taken, missing }] of Object.entries(branches)) {
    const share = total === 0 ? 1 : taken / total
    console.log(
      `${name.padEnd(52)} ${String(taken).padStart(4)} of ${String(total).padStart(4)}  ${percent(share)}`,
    )
    if (share < BRANCHES_MIN) faults.push(`${name}: ${percent(share)} of the branches were reached`)
    if (share < 1 && process.env['SHOW_MISSING']) for (const one of missing) console.log(`    ${one}`)
  }

  const executions = told.played.reduce((sum, one) => sum + one.executions, 0)
  const ms = told.played.reduce((sum, one) => sum + one.ms, 0)
  const uncaught = told.played.reduce((sum, one) => sum + one.uncaughtCount, 0)
  const hangs = told.played.reduce((sum, one) => sum + one.hangs.length, 0)
  console.log(
    `\n${executions} executions in ${(ms / 1000).toFixed(0)} s, ${Math.round((executions / ms) * 1000)} a second; ` +
      `${uncaught} uncaught, ${hangs} over ${HANG_MS} ms`,
  )
  if (faults.length > 0) {
    console.log(`missed:\n${faults.join('\n')}\nrepeat:  RUNS=${runs} SEED=${seed} npm run fuzz`)
    process.exitCode = 1
  }
}

if (require.main === module)
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  })
