import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isMissing } from '../support/missing'
import { findMariadb, findPostgres, startMariadb, startPostgres, type Server } from '../support/servers'
import { bundleRaces } from './bundle'
import type { RaceName, Result, StageOrders } from './stage'

/**
 * Races on real servers, between processes. Each fails unless what it is about has really happened: the counts are
 * asserted, printed and written to .build/proof/races.json.
 *
 * RACE_SCALE=0.1 runs a tenth of everything; RACE_SEED chooses other programs; RACE_PLANT breaks a guard (plants.ts).
 */
const SCALE = Number(process.env['RACE_SCALE'] ?? 1)
const SEED = Number(process.env['RACE_SEED'] ?? 1)
const LIMIT_MS = 300_000

jest.setTimeout(LIMIT_MS)

const proof: Record<string, Record<string, Record<string, number>>> = {}
const stages = new Set<ChildProcess>()

let files: Awaited<ReturnType<typeof bundleRaces>>
beforeAll(async () => void (files = await bundleRaces()))
afterEach(() => {
  // Its actors end with it.
  for (const stage of stages) stage.kill('SIGKILL')
  stages.clear()
})
afterAll(() => {
  if (Object.keys(proof).length === 0) return
  const folder = resolve(__dirname, '../../.build/proof')
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'races.json'),
    `${JSON.stringify({ scale: SCALE, seed: SEED, races: proof }, null, 2)}\n`,
  )
  process.stderr.write(table())
})

function play(race: RaceName, url: string): Promise<Result> {
  const { stageFile, actorFile } = files
  const stage = fork(stageFile, { execArgv: ['--enable-source-maps'] })
  stages.add(stage)
  const orders: StageOrders = { race, url, actorFile, scale: SCALE, seed: SEED }
  return new Promise((resolve, reject) => {
    stage.once('message', (result: Result) => resolve(result))
    stage.once('exit', (code, signal) => reject(new Error(`the stage has ended: ${code ?? signal}`)))
    stage.send(orders)
  })
}

const servers = [
  { name: 'MariaDB', found: findMariadb(), launch: startMariadb },
  { name: 'PostgreSQL', found: findPostgres(), launch: startPostgres },
] as const

describe.each(servers)('on $name', ({ name, found, launch }) => {
  if (isMissing(name, found)) return

  let server: Server
  beforeAll(async () => void (server = await launch()))
  afterAll(() => server?.stop())

  /** Plays it on a database of its own, and returns what was counted; whatever was wrong is a failure. */
  const race = async (what: RaceName) => {
    const { counts, wrong } = await play(what, await server.freshDatabase())
    ;(proof[name] ??= {})[what] = counts
    expect(wrong).toEqual([])
    expect(counts['processes']).toBeGreaterThanOrEqual(4)
    return counts
  }

  test('of a thousand copies of a notification one moves the order', async () => {
    const counts = await race('one order')
    expect(counts['moves_into_paid']).toBe(counts['orders'])
    expect(counts['messages_paid']).toBe(counts['orders'])
    expect(counts['positive_answers']).toBe(counts['notifications'])
    // They raced: whoever lost has been seen losing.
    expect(counts['lost_guards']! + counts['lost_to_the_server']!).toBeGreaterThanOrEqual(100)
    expect(counts['lock_waits']).toBeGreaterThanOrEqual(100)
    expect(counts['taken']).toBeGreaterThanOrEqual(100)
  })

  test('four timers at once ask about every due order once', async () => {
    const counts = await race('due orders')
    expect(counts['asked_once']! + counts['asked_again_when_due_again']!).toBe(counts['orders'])
    expect(counts['most_at_once']).toBeGreaterThanOrEqual(4)
    expect(counts['runs_that_overlapped']).toBeGreaterThanOrEqual(counts['timer_runs']! * 0.9)
    expect(counts['taken_by_another_run']).toBeGreaterThanOrEqual(100)
  })

  test('a connection lost around COMMIT neither doubles nor loses anything', async () => {
    const counts = await race('commits')
    expect(counts['cuts']).toBeGreaterThanOrEqual(5000 * SCALE)
    expect(counts['cut_and_kept']).toBeGreaterThanOrEqual(2000 * SCALE)
    expect(counts['cut_and_undone']).toBeGreaterThanOrEqual(2000 * SCALE)
  })

  test("the simulation's programs keep every promise", async () => {
    const counts = await race('programs')
    const programs = counts['programs']!
    expect(programs).toBeGreaterThanOrEqual(1000 * SCALE)
    // They met one another, and what can go wrong did.
    expect(counts['lost_guards']).toBeGreaterThanOrEqual(programs / 4)
    expect(counts['lost_claims']).toBeGreaterThanOrEqual(programs)
    expect(counts['faults']).toBeGreaterThanOrEqual(programs / 2)
    expect(counts['disconnected']! + counts['commit_unknown']!).toBeGreaterThanOrEqual(programs / 10)
  })
})

function table(): string {
  const lines = Object.entries(proof).flatMap(([server, races]) =>
    Object.entries(races).map(([race, counts]) => {
      const told = Object.entries(counts).map(([name, many]) => `${name.replaceAll('_', ' ')} ${many}`)
      return `${server.padEnd(11)} ${race.padEnd(11)} ${told.join(', ')}`
    }),
  )
  return `races at scale ${SCALE}:\n${lines.join('\n')}\n`
}
