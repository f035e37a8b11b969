import { fork, type ChildProcess } from 'node:child_process'
import type { Dialect } from '../../shared/base/databaseUrl'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { BIG } from '../../shared/store/tables'
import { migrate } from '../../shared/store/migrate'
import { openStore } from '../../shared/store/open'
import { openSession, type Session } from '../support/servers'
import { raceForCommits } from './commits'
import { raceForDueOrders } from './dueOrders'
import { raceForOneOrder } from './oneOrder'
import { raceOfPrograms } from './programs'

/**
 * One race, in a process of its own: Cloud Pay's sandbox and whoever starts the others. The actors are processes too,
 * each with Apps and database connections of its own; nothing is shared but the database server and the far end.
 */
const RACES = {
  'one order': raceForOneOrder,
  'due orders': raceForDueOrders,
  commits: raceForCommits,
  programs: raceOfPrograms,
}
export type RaceName = keyof typeof RACES

export type StageOrders = { race: RaceName; url: string; actorFile: string; scale: number; seed: number }

/** What a race came to: every number that is counted goes into the proof; `wrong` must be empty. */
export type Result = { counts: Record<string, number>; wrong: string[] }

export type Actor = {
  ask<T>(command: string, given: unknown): Promise<T>
  /** Says something that needs no answer. */
  tell(message: unknown): void
  onMessage: (message: unknown) => void
  process: ChildProcess
}

export type Stage = Omit<StageOrders, 'race'> & {
  dialect: Dialect
  /** A plain session of its own, apart from the code under test. */
  session: Session
  startActors(count: number): Promise<Actor[]>
}

type Told = { id?: number; value?: unknown; error?: string }

async function startActor(file: string): Promise<Actor> {
  const child = fork(file, {
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let asked = 0
  const actor: Actor = {
    ask: <T>(command: string, given: unknown) =>
      new Promise<T>((resolve, reject) => {
        const id = ++asked
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
        // One that has just been killed hears no more: its `exit` answers for it.
        child.send({ id, command, given }, (error) => error && child.connected && reject(error))
      }),
    tell: (message) => void (child.connected && child.send(message as object, () => undefined)),
    onMessage: () => undefined,
    process: child,
  }
  child.on('message', (message: Told) => {
    const one = message.id === undefined ? undefined : waiting.get(message.id)
    if (!one) return actor.onMessage(message)
    waiting.delete(message.id!)
    if (message.error === undefined) one.resolve(message.value)
    else one.reject(new Error(message.error))
  })
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`the actor has ended: ${code ?? signal}`))
    waiting.clear()
  })
  await actor.ask('ready', undefined)
  return actor
}

export const dialectOf = (url: string): Dialect => (url.startsWith('mysql:') ? 'mysql' : 'postgres')

const BIG_NAMES = new Set<string>([
  ...Object.values(BIG).flat(),
  'at',
  'received_at',
  'used',
  'period',
  'at_ms',
  'n',
])

type Row = Record<string, string | number | null>

/** Rows by plain SQL; 64-bit integers, which some drivers give as text, as numbers. */
export async function rows(session: Session, sql: string): Promise<Row[]> {
  const found = await session.rows(sql)
  return found.map(
    (row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          BIG_NAMES.has(name) && value !== null ? Number(value) : value,
        ]),
      ) as Row,
  )
}

export const count = async (session: Session, what: string): Promise<number> =>
  Number((await rows(session, `select count(*) as n from ${what}`))[0]!['n'])

async function main(orders: StageOrders): Promise<Result> {
  const { race, url } = orders
  const dialect = dialectOf(url)
  const store = openStore({ dialect, url: new Secret(url) }, systemClock)
  await migrate(store)
  await store.close()
  const session = await openSession(url)
  const actors: Actor[] = []
  const startActors = async (many: number) => {
    const made = await Promise.all(Array.from({ length: many }, () => startActor(orders.actorFile)))
    actors.push(...made)
    return made
  }
  try {
    return await RACES[race]({ ...orders, dialect, session, startActors })
  } finally {
    for (const actor of actors) actor.process.kill('SIGKILL')
    await session.close()
  }
}

process.on('disconnect', () => process.exit())
process.once('message', (orders: StageOrders) => {
  main(orders)
    .catch((error: Error): Result => ({ counts: {}, wrong: [error.stack ?? String(error)] }))
    .then((result) => process.send!(result, () => process.exit()))
    .catch(() => process.exit(1))
})
