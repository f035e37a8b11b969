import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { QUICK, REST, type Part, type Stage } from './parts'

/**
 * `npm test` and `npm run test:all` (`--all`), with the names of parts to run only those. Stops after the stage in which
 * one failed. What was not run is named at the end.
 */
const ROOT = resolve(__dirname, '..')

type Result = { part: Part; seconds: number; holds: boolean }

async function main(words: readonly string[]): Promise<void> {
  const all = words.includes('--all')
  const names = words.filter((word) => word !== '--all')
  const every = [...QUICK, ...REST]
  const known = every.flat().map(({ name }) => name)
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    console.error(`There is no part ${unknown.join(', ')}. There are: ${known.join(', ')}.`)
    process.exitCode = 2
    return
  }
  const wanted = (part: Part) =>
    names.length > 0 ? names.includes(part.name) : all || QUICK.flat().includes(part)
  const stages = every.map((stage) => stage.filter(wanted)).filter((stage) => stage.length > 0)

  const results: Result[] = []
  for (const stage of stages) {
    results.push(...(await play(stage)))
    if (results.some(({ holds }) => !holds)) break
  }
  const run = new Set(results.map(({ part }) => part))
  console.log(`\n${table(results)}`)
  const left = every.flat().filter((part) => !run.has(part))
  if (left.length > 0)
    console.log(`Left out:\n${left.map(({ name, proves }) => row(name, '', proves)).join('\n')}`)
  if (left.length > 0 && !all) console.log('`npm run test:all` runs these too.')
  if (results.some(({ holds }) => !holds)) process.exitCode = 1
}

/** Two at once would mix their lines: each then prints when it has ended. */
const play = (stage: Stage): Promise<Result[]> =>
  Promise.all(stage.map((part) => runPart(part, stage.length > 1)))

async function runPart(part: Part, keepLines: boolean): Promise<Result> {
  if (!keepLines) console.log(`\n── ${part.name}: ${part.proves}`)
  const startMs = performance.now()
  const [program, ...args] = part.command
  const child = spawn(program!, args, {
    cwd: ROOT,
    // What the caller sets goes before what the part asks for.
    env: { ...part.env, ...process.env },
    stdio: ['ignore', keepLines ? 'pipe' : 'inherit', keepLines ? 'pipe' : 'inherit'],
  })
  const lines: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => lines.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => lines.push(chunk))
  const code = await new Promise<number | null>((done) => child.on('close', done))
  const result = { part, seconds: (performance.now() - startMs) / 1000, holds: code === 0 }
  if (keepLines) {
    console.log(`\n── ${part.name}: ${part.proves}`)
    process.stdout.write(Buffer.concat(lines))
  }
  return result
}

const row = (name: string, seconds: string, proves: string) =>
  `  ${name.padEnd(20)}${seconds.padStart(6)}  ${proves}`

function table(results: readonly Result[]): string {
  const rows = results.map(({ part, seconds, holds }) =>
    row(part.name, `${seconds.toFixed(0)} s`, holds ? part.proves : `FAILED: ${part.proves}`),
  )
  return rows.join('\n')
}

void main(process.argv.slice(2))
