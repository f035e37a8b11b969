import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A million simulated runs take hours, so they are played in pieces, each with seeds of its own. The table in the report
 * is the record: it is read again before the next piece. Pieces add up while they played the same program, which their
 * hash says; those of another program are left out of the report from then on.
 */
export const GOAL = 1_000_000

export type Piece = {
  /** The first seed and the last one, both played. */
  from: number
  to: number
  /** Seeds of runs that violated something. */
  violated: readonly number[]
  seconds: number
  /** Of the program that was played, see `programHash`. */
  hash: string
  commit: string
  node: string
  cores: number
}

/** What is played and what plays it. Its documents may change. */
const PROGRAM = ['shared', 'test/simulation']
const HASH_LENGTH = 16

export function programHash(root: string): string {
  const hash = createHash('sha256')
  for (const folder of PROGRAM) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    for (const file of files.filter((name) => name.endsWith('.ts')).sort()) {
      hash
        .update(`${folder}/${file}\0`)
        .update(readFileSync(join(root, folder, file)))
        .update('\0')
    }
  }
  return hash.digest('hex').slice(0, HASH_LENGTH)
}

export const runsOf = (pieces: readonly Piece[]): number =>
  pieces.reduce((runs, { from, to }) => runs + to - from + 1, 0)

/** Where the last piece ended, and the first one begins. */
export const nextSeed = (pieces: readonly Piece[]): number =>
  pieces.reduce((next, { to }) => Math.max(next, to + 1), 1)

/** A seed that was played already would be counted twice. */
export const isPlayed = (pieces: readonly Piece[], from: number, to: number): boolean =>
  pieces.some((piece) => from <= piece.to && piece.from <= to)

// ── the report ─────────────────────────────────────────────────────────────────────────────────────────────────────

const ROW =
  /^\| (\d+)–(\d+) \| \d+ \| (\d.*?) \| (\d+) s \| \d+ \| (\S+) \| (\d+) \| ([0-9a-f]+) \| ([0-9a-f]+) \|$/gm

/** The pieces that a report names. */
export const readPieces = (report: string): Piece[] =>
  [...report.matchAll(ROW)].map(([, from, to, violated, seconds, node, cores, commit, hash]) => ({
    from: Number(from),
    to: Number(to),
    violated: [...(violated!.split(':')[1] ?? '').matchAll(/\d+/g)].map(([seed]) => Number(seed)),
    seconds: Number(seconds),
    hash: hash!,
    commit: commit!,
    node: node!,
    cores: Number(cores),
  }))

const perSecond = (runs: number, seconds: number): number => Math.round(runs / Math.max(1, seconds))

function rowOf(piece: Piece): string {
  const { from, to, violated, seconds, node, cores, commit, hash } = piece
  const runs = runsOf([piece])
  const violations = violated.length === 0 ? '0' : `${violated.length}: seeds ${violated.join(' ')}`
  const cells = [`${from}–${to}`, runs, violations, `${seconds} s`, perSecond(runs, seconds)]
  return `| ${[...cells, node, cores, commit, hash].join(' | ')} |`
}

/** All pieces have one hash. */
export function writeReport(pieces: readonly Piece[]): string {
  const runs = runsOf(pieces)
  const seconds = pieces.reduce((sum, piece) => sum + piece.seconds, 0)
  const violations = pieces.reduce((sum, { violated }) => sum + violated.length, 0)
  const left = Math.max(0, GOAL - runs)
  return `# What the simulator has played

The simulator plays the real functions and the real store, with everything around them going wrong; see
[test/simulation/README.md](../test/simulation/README.md). A million runs are played in pieces. Each has seeds of its own, and
pieces add up only while every program in \`shared/\` and \`test/simulation/\` is the same: the hash over them stands in each row.

- Program: \`${pieces.at(-1)?.hash ?? ''}\`, last played at commit \`${pieces.at(-1)?.commit ?? ''}\`.
- Runs: **${runs}** (pieces: ${pieces.length}), ${perSecond(runs, seconds)} a second.
- Violations: **${violations}**.
- Left of ${GOAL}: **${left}**.

${left > 0 ? `This goes on where the last piece ended, for an hour: \`npm run prove -- --from ${nextSeed(pieces)} --minutes 60\`` : 'The million is full.'}

| seeds | runs | violations | took | runs a second | Node | cores | commit | hash |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${pieces.map(rowOf).join('\n')}
`
}
