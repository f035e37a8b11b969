import type { CompiledQuery } from 'kysely'
import { CommitUnknown, Disconnected, type Said } from '../../shared/store/connection'
import { errorKind } from '../../shared/store/dialect'
import type { Store } from '../../shared/store/open'
import { Lost } from '../../shared/store/transaction'

/** How writes ended, as the store itself was told. */
export type Tally = {
  committed: number
  /** A guard let no row through: somebody else was first. */
  lostGuards: number
  /** Deadlock, lock timeout, serialization failure: undone by the server in favour of another. */
  lostRaces: number
  /** The row was there already. */
  taken: number
  /** Claims of one statement that somebody else had. */
  lostClaims: number
  disconnected: number
  commitUnknown: number
}

export const newTally = (): Tally => ({
  committed: 0,
  lostGuards: 0,
  lostRaces: 0,
  taken: 0,
  lostClaims: 0,
  disconnected: 0,
  commitUnknown: 0,
})

/** Counts what becomes of every write. Nothing is changed but what `options` say. */
export function watch(store: Store, tally: Tally, options: { lookAtWill?: boolean } = {}): void {
  const { connection, dialect } = store
  const run = connection.run.bind(connection)
  const inTransaction = connection.inTransaction.bind(connection)

  const countError = (error: unknown, wasTaken: boolean) => {
    if (error instanceof CommitUnknown) tally.commitUnknown++
    else if (error instanceof Disconnected) tally.disconnected++
    else if (error instanceof Lost) tally[wasTaken ? 'taken' : 'lostGuards']++
    else if (errorKind(dialect, error) === 'lost_race') tally.lostRaces++
  }

  connection.inTransaction = async (work) => {
    let wasTaken = false
    try {
      await inTransaction((say) =>
        work(async (query) => {
          try {
            const said = await say(query)
            // The throttle of looks, turned around: everybody may look at once, so that settling races.
            return options.lookAtWill && isLookClaim(query) ? { ...said, affected: 1 } : said
          } catch (error) {
            if (errorKind(dialect, error) === 'unique') wasTaken = true
            throw error
          }
        }),
      )
      tally.committed++
    } catch (error) {
      countError(error, wasTaken)
      throw error
    }
  }
  connection.run = async (query: CompiledQuery): Promise<Said> => {
    try {
      const said = await run(query)
      if (query.query.kind !== 'UpdateQueryNode' || said.affected === 1) return said
      tally.lostClaims++
      return said
    } catch (error) {
      countError(error, false)
      throw error
    }
  }
}

const isLookClaim = ({ sql }: CompiledQuery): boolean => /^update .orders. set .looked_at_ms. =/.test(sql)

/** What an actor reports in the end. */
export type Tallied = { tally: Tally; mistakes: string[] }

export function addUp(reports: readonly Tallied[]): Tallied {
  const total = newTally()
  for (const { tally } of reports) {
    for (const name of Object.keys(total) as (keyof Tally)[]) total[name] += tally[name]
  }
  return { tally: total, mistakes: reports.flatMap(({ mistakes }) => mistakes) }
}
