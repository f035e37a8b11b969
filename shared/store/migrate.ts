import { Migrator } from 'kysely'
import { migrations } from './migrations'
import type { Store } from './open'

export type MigrationReport = { applied: string[]; pending: string[] }

/** Brings the schema up to date. Two at once wait for each other; running it again does nothing. */
export async function migrate(store: Store): Promise<MigrationReport> {
  const migrator = new Migrator({
    db: store.db,
    provider: { getMigrations: async () => migrations(store.dialect) },
  })
  const { error, results = [] } = await migrator.migrateToLatest()
  if (error) throw error instanceof Error ? error : new Error('migration failed')
  return {
    applied: results.filter((result) => result.status === 'Success').map((result) => result.migrationName),
    pending: [],
  }
}
