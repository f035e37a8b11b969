import { sql, type CompiledQuery, type RawBuilder } from 'kysely'
import { ConfigurationFault } from '../base/config'
import { Fault } from '../base/errors'
import { IllegalMove } from '../order/state'
import { Disconnected, type Said } from './connection'
import { databaseNowMs, errorKind, tightColumn } from './dialect'
import type { Store } from './open'

/**
 * A write has two outcomes: `done`, or `lost`. Lost means: somebody else was first, the database undid us, or the
 * connection broke and we cannot tell. All three are answered the same way: read again, decide again.
 */
export type Outcome = 'done' | 'lost'

export class Lost extends Error {}

export type Say = (query: CompiledQuery) => Promise<Said>

export const nowPlus = (store: Store, ms: number): RawBuilder<number> =>
  sql<number>`${databaseNowMs(store.dialect)} + ${ms}`

/** Throws `database_unavailable` whatever it runs into, but for a value that does not fit: that is `configuration`. */
export async function read<Row>(store: Store, query: CompiledQuery): Promise<Row[]> {
  try {
    return (await store.connection.run(query)).rows as Row[]
  } catch (error) {
    throw faultOf(store, error)
  }
}

/** All of `work` in one transaction, or nothing of it. */
export async function write(store: Store, work: (say: Say) => Promise<void>): Promise<Outcome> {
  try {
    await store.connection.inTransaction(work)
    return 'done'
  } catch (error) {
    return lostOrFault(store, error)
  }
}

/** One guarded statement, which is its own transaction: half the round trips. */
export async function writeOne(store: Store, query: CompiledQuery): Promise<Outcome> {
  try {
    return (await store.connection.run(query)).affected === 1 ? 'done' : 'lost'
  } catch (error) {
    return lostOrFault(store, error)
  }
}

/**
 * One statement for as many rows as there are, up to `limit`; it is its own transaction. `more`: it came to the limit, or the
 * database undid it, so there may be more of them.
 */
export async function writeUpTo(store: Store, query: CompiledQuery, limit: number): Promise<'all' | 'more'> {
  try {
    return (await store.connection.run(query)).affected < limit ? 'all' : 'more'
  } catch (error) {
    lostOrFault(store, error)
    return 'more'
  }
}

/** One insert, which is its own transaction. `lost` says that it may have been kept. */
export async function insertOne(store: Store, query: CompiledQuery): Promise<Outcome | 'taken'> {
  try {
    await store.connection.run(query)
    return 'done'
  } catch (error) {
    return errorKind(store.dialect, error) === 'unique' ? 'taken' : lostOrFault(store, error)
  }
}

function lostOrFault(store: Store, error: unknown): 'lost' {
  if (error instanceof IllegalMove) throw error
  if (error instanceof Lost || error instanceof Disconnected) return 'lost'
  if (errorKind(store.dialect, error) === 'lost_race') return 'lost'
  throw faultOf(store, error)
}

/** A value that does not fit will not fit the next time either: that is for whoever set the database up. */
function faultOf({ dialect }: Store, error: unknown): Fault {
  if (error instanceof ConfigurationFault) return new Fault('configuration', { cause: error })
  if (errorKind(dialect, error) !== 'does_not_fit') return new Fault('database_unavailable', { cause: error })
  // The driver's own words quote the value.
  const { code } = error as { code?: unknown }
  const told = `${tightColumn(dialect, error)} of the database cannot hold a value (${String(code)}): npm run doctor`
  return new Fault('configuration', { cause: new ConfigurationFault([told]) })
}

/** Compare-and-set: the guard let exactly one row through, or somebody else was first. */
export async function one(said: Promise<Said>): Promise<void> {
  if ((await said).affected !== 1) throw new Lost()
}

/** An insert that finds its row already there: `taken`, and the transaction is undone. */
export async function unlessTaken(store: Store, said: Promise<Said>, taken: () => void): Promise<Said> {
  try {
    return await said
  } catch (error) {
    if (errorKind(store.dialect, error) !== 'unique') throw error
    taken()
    throw new Lost()
  }
}

/** 64-bit integers come back as text from some drivers. */
export function numbers<Row>(row: object, names: readonly string[]): Row {
  const result = { ...row } as Record<string, unknown>
  for (const name of names) if (result[name] !== null) result[name] = Number(result[name])
  return result as Row
}
