import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Profiler } from 'node:inspector'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countBranches } from '../../fuzz/branches'
import { fuzz } from '../../fuzz/fuzz'
import { HANG_MS, missed, play, type Target } from '../../fuzz/play'

/** The fuzzer must notice what it is there for: faults planted in a parser, on a watch of the test's own. */
let nowMs = 0
const around = { seed: 1, executions: 2000, nowMs: () => nowMs }
const parser = (run: Target<number>['run']): Target => {
  const target: Target<number> = {
    name: 'planted',
    covers: [],
    weight: 1,
    make: (dice) => dice.below(1000),
    run,
  }
  return target as Target
}

test('a parser that keeps its promises misses none', async () => {
  const played = await play(
    parser((input) => input % 2 === 0),
    around,
  )
  expect(played).toMatchObject({ executions: 2000, uncaughtCount: 0, hangs: [] })
  expect(played.accepted).toBeGreaterThan(800)
  expect(missed(played)).toEqual([])
})

test.each<[string, Target<number>['run']]>([
  [
    'throws',
    (input) => {
      if (input === 7) throw new TypeError('planted')
      return true
    },
  ],
  [
    'rejects',
    async (input) => {
      if (input === 7) throw new TypeError('planted')
      return true
    },
  ],
])('one that %s for one input in a thousand is noticed, with the input', async (_how, run) => {
  const played = await play(parser(run), around)
  expect(played.uncaughtCount).toBeGreaterThan(0)
  expect(played.uncaught[0]).toEqual({ input: '7', error: expect.stringContaining('TypeError: planted') })
  expect(missed(played)).toEqual([`planted: ${played.uncaughtCount} uncaught`])
})

test('one that is slow for one input is noticed; a pause of the machine is not its own', async () => {
  const slow = await play(
    parser((input) => {
      if (input === 7) nowMs += HANG_MS + 1
      return true
    }),
    around,
  )
  expect(slow.hangs[0]).toEqual({ input: '7', ms: HANG_MS + 1 })
  expect(missed(slow)).toEqual([expect.stringContaining(`executions over ${HANG_MS} ms`)])

  let pauses = 1
  const paused = await play(
    parser(() => {
      if (pauses-- > 0) nowMs += 10 * HANG_MS
      return true
    }),
    around,
  )
  expect([paused.hangs, paused.longestMs, missed(paused)]).toEqual([[], 0, []])
  // What was repeated is counted once.
  expect([paused.executions, paused.accepted]).toEqual([2000, 2000])
})

test('one that is given hardly anything it takes is noticed: nothing behind its first check was tried', async () => {
  const played = await play(
    parser((input) => input < 100),
    around,
  )
  expect(missed(played)).toEqual([expect.stringMatching(/^planted: \d+\.\d % of the inputs were accepted$/)])
})

describe('branches', () => {
  /** Two modules as esbuild would write them, run by a Node of their own with V8's coverage on. */
  function branchesOf(script: string, calls: string): ReturnType<typeof countBranches> {
    const dir = mkdtempSync(join(tmpdir(), 'branches-'))
    const file = join(dir, 'bundle.cjs')
    writeFileSync(file, script)
    const program = `
      const session = new (require('node:inspector').Session)()
      session.connect()
      session.post('Profiler.enable')
      session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
      const { read } = require(${JSON.stringify(file)})
      ${calls}
      session.post('Profiler.takePreciseCoverage', (error, { result }) =>
        console.log(JSON.stringify(result.find(({ url }) => url.endsWith('bundle.cjs')))))`
    const coverage = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })
    rmSync(dir, { recursive: true })
    return countBranches(script, JSON.parse(coverage) as Profiler.ScriptCoverage, ['shared/a.ts'])
  }
  const SCRIPT = `
// shared/a.ts
function read(value) {
  if (value === 1) return "one";
  const kind = typeof value === "string" ? "text" : "other";
  switch (kind) {
    case "text":
      return value || "empty";
    default: {
      try {
        return value.deep?.er ?? "none";
      } catch {
        return "thrown";
      }
    }
  }
}

// shared/b.ts
function unused() {
  if (true) return 1;
}
module.exports = { read };
`

  test('are all of a file, and no other’s, when every way was gone', () => {
    const { total, taken, missing } = branchesOf(
      SCRIPT,
      "read(1); read(''); read('x'); read({}); read(null)",
    )['shared/a.ts']!
    expect([total, taken, missing]).toEqual([9, 9, []])
  })

  test.each([
    ["read(''); read('x'); read({}); read(null)", 'return "one";'],
    ["read(1); read('')", '"other"'],
    ["read(1); read('x'); read({})", '"empty"'],
    ["read(1); read(''); read({}); read(2)", '{ return "thrown"; }'],
    ['read(1)', 'never past: if (value === 1)'],
  ])('that nobody went are named: %s', (calls, expected) => {
    const { missing, total, taken } = branchesOf(SCRIPT, calls)['shared/a.ts']!
    expect(taken).toBe(total - missing.length)
    expect(missing).toContain(expected)
  })
})

test('every parser there is takes a short round of it without a fault', async () => {
  const { told } = await fuzz({ seed: 20_261_123, runs: 6000 })
  expect(told.played.length).toBeGreaterThanOrEqual(20)
  expect(told.played.flatMap(missed)).toEqual([])
  expect(told.coverage.functions.length).toBeGreaterThan(100)
})
