import {
  Kysely,
  MysqlAdapter,
  MysqlQueryCompiler,
  PostgresAdapter,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteQueryCompiler,
  type DatabaseIntrospector,
  type Dialect as KyselyDialect,
} from 'kysely'
import { ConfigurationFault, type Config } from '../base/config'
import type { Dialect } from '../base/databaseUrl'
import { striking } from '../base/log'
import type { Secret } from '../base/secrets'
import { secretsIn } from '../base/secretVariables'
import type { Clock } from '../base/time'
import { OneConnection, type Wire } from './connection'
import type { Tables } from './tables'

export type Store = {
  readonly db: Kysely<Tables>
  readonly dialect: Dialect
  readonly connection: OneConnection
  /** For a process that ends. A function never closes its store. */
  close(): Promise<void>
}

/**
 * The drivers this build carries. A bundle is built for the databases its owner has (see deploy/bundle.ts): what is
 * switched off is not in it. SQLite is never in a deployed one.
 */
async function loadWire(dialect: Dialect): Promise<(url: string, ca?: string) => Promise<Wire>> {
  if (dialect === 'mysql' && process.env.STORE_WITHOUT_MYSQL !== 'yes')
    return (await import('./mysql')).openMysql
  if (dialect === 'postgres' && process.env.STORE_WITHOUT_POSTGRES !== 'yes') {
    return (await import('./postgres')).openPostgres
  }
  if (dialect === 'sqlite' && process.env.STORE_WITHOUT_SQLITE !== 'yes')
    return (await import('./sqlite')).openSqlite
  throw new NotBundled(dialect)
}

/**
 * Nothing is loaded or connected before the first query. `statementTimeoutMs`: for whoever says what takes long, such
 * as a migration.
 */
export function openStore(database: Config['database'], clock: Clock, statementTimeoutMs?: number): Store {
  const { dialect, url, ca } = database
  const connection = new OneConnection(
    dialect,
    async () => {
      const open = await loadWire(dialect)
      return open(url.reveal(), ca).catch((error: unknown) => {
        throw struck(error, secretsIn({ DATABASE_URL: url.reveal() }))
      })
    },
    clock,
    statementTimeoutMs,
  )
  const db = new Kysely<Tables>({ dialect: speak(dialect, connection) })
  return { db, dialect, connection, close: () => db.destroy() }
}

/** A driver, or the server, may quote what it was to log in with. */
function struck(error: unknown, secrets: readonly Secret[]): unknown {
  if (!(error instanceof Error)) return error
  const strike = striking(secrets)
  const members = error as unknown as Record<string, unknown>
  for (const name of Object.getOwnPropertyNames(error))
    if (typeof members[name] === 'string') members[name] = strike(members[name])
  return error
}

/** Switched off together with its driver, so that a bundle carries one dialect's SQL and not three. */
export function speak(dialect: Dialect, connection: OneConnection): KyselyDialect {
  const common = {
    createDriver: () => connection,
    createIntrospector: (): DatabaseIntrospector => {
      throw new Error('the schema is described by the migrations, not read back')
    },
  }
  if (dialect === 'mysql' && process.env.STORE_WITHOUT_MYSQL !== 'yes') {
    return {
      ...common,
      createAdapter: () => new MysqlAdapter(),
      createQueryCompiler: () => new MysqlQueryCompiler(),
    }
  }
  if (dialect === 'postgres' && process.env.STORE_WITHOUT_POSTGRES !== 'yes') {
    return {
      ...common,
      createAdapter: () => new PostgresAdapter(),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    }
  }
  if (dialect === 'sqlite' && process.env.STORE_WITHOUT_SQLITE !== 'yes') {
    return {
      ...common,
      createAdapter: () => new SqliteAdapter(),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    }
  }
  throw new NotBundled(dialect)
}

class NotBundled extends ConfigurationFault {
  constructor(dialect: Dialect) {
    super([`DATABASE_URL is of ${dialect}, which this bundle was built without: see provider.drivers`])
  }
}
