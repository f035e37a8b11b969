import { execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CASES, RACES, RUNS } from '../parts'
import { provePiece } from './provePieces'

/**
 * `npm run prove [-- --runs 1000000 --seed 1 --out PROOF.md]`: runs the proofs with their large numbers and writes what
 * they printed to a Markdown file that a release can carry: seeds, counts, coverage, and the commit they were run on.
 * Exits with 1 when one of them failed; the file then says so.
 *
 * `npm run prove -- --from SEED [--minutes 60] [--runs 200000]` plays one piece of a million simulated runs, from this seed
 * on; `--from next` goes on where the last piece ended. docs/proof.md says what was played, and what is left.
 */
const root = join(__dirname, '../..')

/** What `npm run test:all` has no time for. */
const BEYOND = `Beyond \`npm run test:all\`: it plays ${RUNS.all} simulated runs, tries every third planted fault, plays the
races at ${RACES.all} of their size, gives a property ${CASES.quick} cases and every parser a short round of fuzzing.`

type Proof = { title: string; command: string[]; env?: Record<string, string> }
type Result = Proof & { exitCode: number; seconds: number; output: string }

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string' },
      minutes: { type: 'string' },
      from: { type: 'string' },
      seed: { type: 'string', default: String(randomInt(1_000_000_000)) },
      out: { type: 'string', default: 'PROOF.md' },
    },
  })
  const bound = (name: 'runs' | 'minutes'): number | undefined => {
    const given = values[name]
    if (given !== undefined && !(Number(given) > 0)) throw new Error(`--${name} is a number above 0`)
    return given === undefined ? undefined : Number(given)
  }
  if (values.from !== undefined) {
    const orders = { from: values.from, runs: bound('runs'), minutes: bound('minutes') }
    if (!(await provePiece(root, 'docs/proof.md', orders))) process.exitCode = 1
    return
  }
  const { runs = '1000000', seed, out } = values
  const proofs: Proof[] = [
    {
      title: 'Simulation',
      command: ['npm', 'run', '--silent', 'simulate', '--', '--runs', runs, '--seed', seed],
    },
    { title: 'Planted faults', command: ['npm', 'run', '--silent', 'planted-faults'] },
    { title: 'What is often built instead', command: ['npm', 'run', '--silent', 'naive-variants'] },
    {
      title: 'Fuzzing of every parser',
      command: ['npm', 'run', '--silent', 'fuzz'],
      env: { RUNS: runs, SEED: seed },
    },
    {
      title: 'The bill of a thousand sub-merchants, within its day',
      command: ['npx', 'tsx', 'test/proof/billDay.ts'],
    },
    { title: 'A crash at every await', command: ['npm', 'run', '--silent', 'crash-everywhere'] },
    {
      title: 'Races on a real MariaDB and a real PostgreSQL',
      command: ['npx', 'jest', 'test/races'],
      env: { REQUIRE_SERVERS: '1', RACE_SCALE: `${RACES.prove}` },
    },
    {
      title: `Properties at ${CASES.prove} cases`,
      command: ['npx', 'jest', 'test/property'],
      env: { PROPERTY_RUNS: `${CASES.prove}` },
    },
  ]
  console.log(BEYOND)
  const results: Result[] = []
  for (const proof of proofs) {
    console.log(`\n== ${proof.title}: ${proof.command.join(' ')}`)
    results.push(await run(proof))
    // After each: a proof takes long, and half of it is better than none.
    writeFileSync(join(root, out), report(results, proofs.length))
  }
  const failed = results.filter(({ exitCode }) => exitCode !== 0)
  console.log(`\n${out} is written; ${results.length - failed.length} of ${results.length} held.`)
  if (failed.length > 0) process.exitCode = 1
}

function run(proof: Proof): Promise<Result> {
  const startMs = performance.now()
  const [program, ...args] = proof.command
  const child = spawn(program!, args, { cwd: root, env: { ...process.env, ...proof.env } })
  const chunks: Buffer[] = []
  const take = (chunk: Buffer) => {
    chunks.push(chunk)
    process.stdout.write(chunk)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return new Promise((resolve) =>
    child.on('close', (code) => {
      const seconds = Math.round((performance.now() - startMs) / 1000)
      resolve({ ...proof, exitCode: code ?? 1, seconds, output: Buffer.concat(chunks).toString('utf8') })
    }),
  )
}

/** A path of this machine has no place in a release. */
const tidy = (output: string): string =>
  output
    .replaceAll(root, '.')
    .split('\n')
    .filter((line) => !line.startsWith('npm warn'))
    .join('\n')
    .trim()

const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()

function report(results: Result[], total: number): string {
  const changed = git('status', '--porcelain', '--', 'shared', 'functions', 'local', 'test').length > 0
  const rows = results.map(
    ({ title, command, exitCode, seconds }) =>
      `| ${title} | \`${command.filter((word) => word !== '--silent').join(' ')}\` | ${seconds} s | ${exitCode === 0 ? 'held' : '**failed**'} |`,
  )
  const sections = results.map(({ title, output }) => `## ${title}\n\n\`\`\`\n${tidy(output)}\n\`\`\`\n`)
  return `# What was proved, and how

Commit \`${git('rev-parse', 'HEAD')}\`${changed ? ' **with changes that are not committed**' : ''}, ${new Date().toISOString()},
Node ${process.version}, ${cpus().length} cores. ${results.length} of ${total} run.

${BEYOND}

| proof | command | took | |
| --- | --- | --- | --- |
${rows.join('\n')}

${sections.join('\n')}`
}

void main()
