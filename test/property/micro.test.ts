import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import * as fc from 'fast-check'
import { holds, propertyRuns } from '../support/property'
import { histories, openPlayer } from './microHistories'
import { MICRO_PLANTS, type Edit } from './microPlants'

test('a micro_pay order is never closed, invented or lost, and its code is nowhere, whatever happens', async () => {
  const player = await openPlayer()
  await holds(
    fc.asyncProperty(histories, async (history) => assert.deepEqual(await player.play(history), [])),
    // Each is some forty requests long.
    Math.min(1000, Math.ceil(propertyRuns() / 4)),
  )
  await player.close()
})

// ── the same histories, with one guard taken away ──────────────────────────────────────────────────────────────

const ROOT = resolve(__dirname, '../..')
const SEED = 1
const RUNS_MAX = 400

type Outcome = { numRuns: number; violations: string[]; error: string }

async function playPlanted(edits: readonly Edit[]): Promise<Outcome> {
  const builds = join(ROOT, '.build')
  mkdirSync(builds, { recursive: true })
  const folder = mkdtempSync(join(builds, 'micro-'))
  const outfile = join(folder, 'worker.cjs')
  try {
    await build({
      entryPoints: [join(__dirname, 'microWorker.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'cjs',
      logLevel: 'error',
      external: ['libsql', 'mysql2', 'pg'],
      plugins: [
        {
          name: 'planting',
          setup({ onLoad }) {
            onLoad({ filter: /\/shared\/.*\.ts$/ }, ({ path }) => {
              const here = edits.filter(({ file }) => file === relative(ROOT, path))
              if (here.length === 0) return undefined
              return { contents: here.reduce(plant, readFileSync(path, 'utf8')), loader: 'ts' }
            })
          },
        },
      ],
    })
    const { stdout } = await promisify(execFile)(process.execPath, [outfile, `${SEED}`, `${RUNS_MAX}`])
    return JSON.parse(stdout) as Outcome
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function plant(text: string, { file, find, replace }: Edit): string {
  const pieces = text.split(find)
  if (pieces.length !== 2)
    throw new Error(`${file}: ${find} stands there ${pieces.length - 1} times, not once`)
  return pieces.join(replace)
}

test.each(MICRO_PLANTS)(`$name: noticed within ${RUNS_MAX} histories`, async ({ edits, why }) => {
  const { violations, error, numRuns } = await playPlanted(edits)
  process.stdout.write(`after ${numRuns}: ${violations[0] ?? 'nothing'}\n`)
  // Noticed as what it is, not as a program that does not run.
  expect(error).toBe('')
  if (violations.length === 0) throw new Error(`${RUNS_MAX} histories did not notice it, although ${why}`)
})
