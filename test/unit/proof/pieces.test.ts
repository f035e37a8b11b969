import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  isPlayed,
  nextSeed,
  programHash,
  readPieces,
  runsOf,
  writeReport,
  type Piece,
} from '../../proof/pieces'

const piece = (from: number, to: number, violated: number[] = []): Piece => ({
  from,
  to,
  violated,
  seconds: 61,
  hash: 'a1b2c3d4e5f60718',
  commit: '3e16763abcde',
  node: 'v20.20.2',
  cores: 2,
})

test('a report says again which pieces it was written from', () => {
  const pieces = [piece(1, 100_000), piece(100_001, 150_000, [100_007, 149_999])]
  expect(readPieces(writeReport(pieces))).toEqual(pieces)
  expect(readPieces('')).toEqual([])
})

test('a report adds up runs and violations, and names the command that goes on', () => {
  const report = writeReport([piece(1, 100_000), piece(100_001, 150_000, [100_007])])
  expect(report).toContain('Runs: **150000** (pieces: 2), 1230 a second')
  expect(report).toContain('Violations: **1**')
  expect(report).toContain('**850000**')
  expect(report).toContain('npm run prove -- --from 150001 ')
  expect(writeReport([piece(1, 1_000_000)])).toContain('The million is full.')
})

test('the next piece begins where the last one ended, and no seed is played twice', () => {
  const pieces = [piece(1, 10), piece(21, 30)]
  expect(nextSeed([])).toBe(1)
  expect(nextSeed(pieces)).toBe(31)
  expect(runsOf(pieces)).toBe(20)
  expect(isPlayed(pieces, 11, 20)).toBe(false)
  for (const [from, to] of [
    [10, 11],
    [15, 21],
    [1, 100],
    [25, 26],
  ] as const)
    expect(isPlayed(pieces, from, to)).toBe(true)
})

describe('the hash of the program', () => {
  let root: string
  const write = (file: string, text: string) => writeFileSync(join(root, file), text)
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'program-'))
    for (const folder of ['shared/store', 'test/simulation', 'local'])
      mkdirSync(join(root, folder), { recursive: true })
    write('shared/store/orders.ts', 'orders')
    write('test/simulation/run.ts', 'run')
  })
  afterEach(() => rmSync(root, { recursive: true }))

  test('is the same for the same files, and goes by what they say and how they are called', () => {
    const before = programHash(root)
    expect(programHash(root)).toBe(before)
    write('test/simulation/README.md', 'words')
    write('local/start.ts', 'elsewhere')
    expect(programHash(root)).toBe(before)
    write('shared/store/orders.ts', 'other orders')
    const changed = programHash(root)
    expect(changed).not.toBe(before)
    write('shared/store/orders.ts', 'orders')
    expect(programHash(root)).toBe(before)
    rmSync(join(root, 'test/simulation/run.ts'))
    write('test/simulation/ran.ts', 'run')
    expect([before, changed]).not.toContain(programHash(root))
  })
})
