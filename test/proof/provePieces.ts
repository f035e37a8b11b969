import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { runBatch } from '../simulation/batch'
import { bundleWorker } from '../simulation/bundle'
import { checkCoverage, Coverage } from '../simulation/coverage'
import { GOAL, isPlayed, nextSeed, programHash, readPieces, runsOf, writeReport, type Piece } from './pieces'

/** Written after each of these, so that a piece which is cut off is worth what it has played. */
const CHUNK = 2000

export type PieceOrders = {
  /** The first seed, or `next`: where the last piece ended. */
  from: string
  runs: number | undefined
  minutes: number | undefined
}

/** Plays one more piece and writes the report anew. Returns whether nothing was violated. */
export async function provePiece(root: string, file: string, orders: PieceOrders): Promise<boolean> {
  const path = join(root, file)
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  const changed = git('status', '--porcelain', '--', 'shared', 'functions', 'local', 'test/simulation')
  if (changed !== '')
    throw new Error(`a piece names the commit it has played, so commit these first:\n${changed}`)

  const hash = programHash(root)
  const recorded = existsSync(path) ? readPieces(readFileSync(path, 'utf8')) : []
  const before = recorded.filter((piece) => piece.hash === hash)
  if (before.length < recorded.length)
    console.log(`${recorded.length - before.length} pieces of another program count no more.`)

  const from = orders.from === 'next' ? nextSeed(before) : Number(orders.from)
  if (!Number.isSafeInteger(from) || from < 1) throw new Error('--from is a seed, or next')
  const most = orders.runs ?? (orders.minutes === undefined ? Math.max(0, GOAL - runsOf(before)) : Infinity)
  const endMs = performance.now() + (orders.minutes ?? Infinity) * 60_000
  const startMs = performance.now()
  const bundle = await bundleWorker('proof')
  const coverage = new Coverage()
  const piece = {
    from,
    hash,
    commit: git('rev-parse', '--short=12', 'HEAD'),
    node: process.version,
    cores: cpus().length,
  }
  const violated: number[] = []
  for (let played = 0; played < most && performance.now() < endMs;) {
    const seed = from + played
    const runs = Math.min(CHUNK, most - played)
    if (isPlayed(before, seed, seed + runs - 1)) throw new Error(`seeds from ${seed} on have been played`)
    const batch = await runBatch(bundle, { runs, seed, workers: Math.min(2, cpus().length) })
    coverage.add(batch.coverage.data())
    violated.push(...batch.bad.map((bad) => bad.seed))
    played += runs
    const seconds = Math.round((performance.now() - startMs) / 1000)
    const now: Piece = { ...piece, to: from + played - 1, violated, seconds }
    writeFileSync(path, writeReport([...before, now]))
    for (const bad of batch.bad) console.log(`seed ${bad.seed}: ${bad.violations.join('; ')}`)
    console.log(`${played} runs in ${seconds} s, ${runsOf([...before, now])} of ${GOAL} in all`)
    // Ten examples are enough to look at.
    if (violated.length > 10) break
  }
  const missing = checkCoverage(coverage, coverage.runs)
  for (const line of missing) console.log(`not met often enough: ${line}`)
  console.log(`${file} is written`)
  return violated.length === 0 && missing.length === 0
}
