import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeDatabase, toolEnv } from '../../../cli/database'
import { visible } from '../../../deploy/visible'
import { sandboxEnv } from '../../../local/sandbox/env'
import { readDatabase } from '../../../shared/base/config'
import { noteAnomalies } from '../../../shared/store/beside'
import { runCommand } from '../../support/cli'
import { fileStore } from '../../support/world'

const dir = mkdtempSync(join(tmpdir(), 'tools-'))
afterAll(() => rmSync(dir, { recursive: true }))

const TOOLS: [file: string, args: string[]][] = [
  ['anomalies', []],
  ['reconcile', ['--day', '2026-11-22']],
  ['privacy', ['--export', 'oPayer0001']],
  ['merchants', ['list']],
  ['migrate', []],
  ['by-hand', ['lift-flag', 'sb01none', '--by', 'wang', '--note', 'because']],
]
const fileOf = (tool: string) => `cli/${tool === 'by-hand' ? 'byHand' : tool}.ts`

test.each(TOOLS)('%s means no database by forgetting to name one', async (tool, args) => {
  const { DATABASE_URL: _, ...env } = sandboxEnv('http://127.0.0.1:1/cpay/', '', '127.0.0.1')
  const { code, stdout, stderr } = await runCommand(fileOf(tool), args, { env })
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain('DATABASE_URL is not set: set it, or say --local for the database of npm start')
})

test.each(TOOLS)('%s says which database it reads, apart from what it finds there', async (tool, args) => {
  const file = join(dir, `${tool}.db`)
  await (await fileStore(file)).store.close()
  const env = sandboxEnv('http://127.0.0.1:1/cpay/', `sqlite:${file}`, '127.0.0.1')
  const { stdout, stderr } = await runCommand(fileOf(tool), args, { env })
  expect(stderr).toContain(`database: sqlite ${file}\n`)
  expect(stdout).not.toContain(file)
})

test('--local is the database of npm start, whatever is exported, on the port it was given', () => {
  const env = { DATABASE_URL: 'mysql://payer:a-password@db.example.com/orders', PORT: '9000' }
  expect(toolEnv(env, { local: true })).toMatchObject({
    DATABASE_URL: 'sqlite:.local/orders.db',
    CLOUD_PAY_BASE_URL: 'http://127.0.0.1:9001/cpay/',
  })
  expect(toolEnv(env, {})).toBe(env)
})

test('a server is named by kind, host and database, and never by who logs in', () => {
  const told = (DATABASE_URL: string) => describeDatabase(readDatabase({ DATABASE_URL }))
  expect(told('mysql://payer:a-password@db.example.com/orders')).toBe('mysql db.example.com:3306/orders')
  expect(told('postgres://payer:a-password@10.0.0.5:6543/orders')).toBe('postgres 10.0.0.5:6543/orders')
})

test("a note's escapes reach no terminal", async () => {
  const file = join(dir, 'notes.db')
  const { store } = await fileStore(file)
  const anomaly = { kind: 'timer_silent', out_sub_mch_id: 's1', out_trade_no: '', evidence: {} } as const
  await noteAnomalies(store, 1_900_000_000, [anomaly])
  const { id } = await store.db.selectFrom('anomalies').select('id').executeTakeFirstOrThrow()
  await store.close()
  const env = { DATABASE_URL: `sqlite:${file}` }
  const note = 'seen \u001b[2J\u001b]0;owned\u0007 and \u009b31m red \u202e'
  expect((await runCommand('cli/anomalies.ts', ['--resolve', id, '--note', note], { env })).code).toBe(0)
  const { stdout } = await runCommand('cli/anomalies.ts', ['--all'], { env })
  expect(stdout).toContain('seen \\u001b[2J\\u001b]0;owned\\u0007 and \\u009b31m red \\u202e')
  expect(existsSync(file)).toBe(true)
})

test('what steers a terminal is written out, and the rest is left alone', () => {
  expect(visible('奶茶 🧋\ttab\nline')).toBe('奶茶 🧋\ttab\nline')
  for (const code of [0, 7, 8, 13, 27, 127, 0x9b, 0x202e, 0x2066])
    expect(visible(String.fromCharCode(code))).toBe(`\\u${code.toString(16).padStart(4, '0')}`)
  // What was JSON still is.
  const json = JSON.stringify({ note: '\u009b31m' })
  expect(JSON.parse(visible(json))).toEqual({ note: '\u009b31m' })
})
