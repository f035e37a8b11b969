import {
  Kysely,
  Migrator,
  MysqlIntrospector,
  PostgresIntrospector,
  SqliteIntrospector,
  type DatabaseIntrospector,
} from 'kysely'
import { ConfigurationFault } from '../base/config'
import type { Dialect } from '../base/databaseUrl'
import { charsetFaults } from './charset'
import { migrations } from './migrations'
import { speak, type Store } from './open'

export type MigrationReport = { applied: string[]; pending: string[] }

/**
 * Brings the schema up to date; running it again does nothing. On a server two at once wait for each other; on SQLite
 * the second may find the file busy, and is simply run again. Throws a ConfigurationFault where the database could not
 * hold what is written to it.
 */
export async function migrate(store: Store): Promise<MigrationReport> {
  const faults = await charsetFaults(store)
  if (faults.length > 0) throw new ConfigurationFault(faults.map(({ said, cure }) => `${said}: ${cure}`))
  const migrator = migratorOf(store)
  // After a rollback the schema is ahead of this version, which Kysely takes for damage. It is not: see migrations.ts.
  if ((await reportOf(migrator)).pending.length === 0) return { applied: [], pending: [] }
  const { error, results = [] } = await migrator.migrateToLatest()
  if (error) throw error instanceof Error ? error : new Error('migration failed')
  return {
    applied: results.filter((result) => result.status === 'Success').map((result) => result.migrationName),
    pending: [],
  }
}

/** What this version knows of, applied and not, without changing anything. */
export const migrationStatus = (store: Store): Promise<MigrationReport> => reportOf(migratorOf(store))

async function reportOf(migrator: Migrator): Promise<MigrationReport> {
  const known = await migrator.getMigrations()
  const names = (applied: boolean) =>
    known.filter(({ executedAt }) => (executedAt !== undefined) === applied).map(({ name }) => name)
  return { applied: names(true), pending: names(false) }
}

const migratorOf = (store: Store): Migrator =>
  new Migrator({
    db: new Kysely<unknown>({
      dialect: {
        ...speak(store.dialect, store.connection),
        createIntrospector: (any) => introspector(store.dialect, any),
      },
    }),
    provider: { getMigrations: async () => migrations(store.dialect) },
  })

/** Only the migrator reads the schema back, to see whether its own table is there. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- Kysely hands its introspector a Kysely<any>
function introspector(dialect: Dialect, db: Kysely<any>): DatabaseIntrospector {
  switch (dialect) {
    case 'mysql':
      return new MysqlIntrospector(db)
    case 'postgres':
      return new PostgresIntrospector(db)
    case 'sqlite':
      return new SqliteIntrospector(db)
  }
}
