import { existsSync } from 'node:fs'
import { sql, type RawBuilder } from 'kysely'
import { ConfigurationFault, readDatabase, type Env } from '../../shared/base/config'
import { Fault } from '../../shared/base/errors'
import { striking } from '../../shared/base/log'
import { secretsIn } from '../../shared/base/secretVariables'
import type { Clock } from '../../shared/base/time'
import { charsetFaults, TABLES } from '../../shared/store/charset'
import { databaseNow } from '../../shared/store/counters'
import { migrationStatus } from '../../shared/store/migrate'
import { openStore, type Store } from '../../shared/store/open'
import { leftOut, messagesOf, nothingThere, ok, wrong, type Finding } from './finding'

/** Cheap to be off by, dear to be off by more: leases and expiries are measured on both clocks. */
const SKEW_MAX_MS = 5000

/** Reachable, migrated, and set up so that two numbers that differ are two numbers. Changes nothing. */
export async function lookAtDatabase(env: Env, clock: Clock): Promise<Finding[]> {
  const of = 'database'
  if (env['DATABASE_URL']?.startsWith('ssm:')) {
    const said = `${env['DATABASE_URL']} is for the functions; set DATABASE_URL here to have it looked at from here`
    return [leftOut(of, said)]
  }
  let database
  try {
    database = readDatabase(env)
  } catch (error) {
    if (!(error instanceof ConfigurationFault)) throw error
    return error.faults.map((fault) => wrong(of, fault, 'Correct DATABASE_URL.'))
  }
  const [, file] = /^sqlite:(.*)/.exec(database.url.reveal()) ?? []
  // Looking would make it.
  if (file !== undefined && !existsSync(file))
    return [nothingThere(of, `${file} is not there; npm start makes it`)]
  const store = openStore(database, clock)
  try {
    const inside = await lookInside(store, clock)
    return [ok(of, `${database.dialect}, reachable`), ...inside]
  } catch (error) {
    const said = striking(secretsIn(env))(messagesOf(error instanceof Fault ? error.cause : error))
    return [wrong(of, said, 'Check that it runs, that this machine may reach it, and DATABASE_URL.')]
  } finally {
    await store.close().catch(() => undefined)
  }
}

async function lookInside(store: Store, clock: Clock): Promise<Finding[]> {
  const offMs = clock.nowMs() - (await databaseNow(store))
  const skew = `${Math.abs(Math.round(offMs / 100) / 10)} s from this machine's`
  const { pending, applied } = await migrationStatus(store)
  return [
    Math.abs(offMs) <= SKEW_MAX_MS
      ? ok("database's clock", skew)
      : wrong("database's clock", skew, 'Set the clocks: the one of the server, or the one here.'),
    pending.length === 0
      ? ok('migrations', `all applied, the last is ${applied.at(-1)}`)
      : wrong(
          'migrations',
          `not applied: ${pending.join(', ')}`,
          'npm run migrate, or sls deploy --migrate.',
        ),
    ...(await lookAtCharset(store)),
    ...(await SETTINGS[store.dialect](store)),
  ]
}

async function lookAtCharset(store: Store): Promise<Finding[]> {
  const faults = await charsetFaults(store)
  if (faults.length === 0) return [ok('charset', 'holds every text')]
  return faults.map(({ said, cure }) => wrong('charset', said, `${cure}.`))
}

const SETTINGS: Record<Store['dialect'], (store: Store) => Promise<Finding[]>> = {
  sqlite: async () => [],

  async postgres(store) {
    const found = await row<{ isolation: string }>(
      store,
      sql`select current_setting('transaction_isolation') as isolation`,
    )
    return [
      isIt('isolation', found.isolation, /^read committed$/, 'Something between us and it changes sessions.'),
    ]
  },

  async mysql(store) {
    const { version } = await row<{ version: string }>(store, sql`select version() as version`)
    // Until 5.7 and in MariaDB it has another name.
    const older = /^5\.|MariaDB/i.test(version)
    const isolation = sql.raw(older ? '@@tx_isolation' : '@@transaction_isolation')
    const found = await row<{ isolation: string; logged: string }>(
      store,
      sql`select ${isolation} as isolation, @@global.binlog_format as logged`,
    )
    const { rows } = await sql<{ name: string; collation: string }>`
      select table_name as name, table_collation as collation from information_schema.tables
      where table_schema = database() and table_name in (${sql.join(TABLES)})`.execute(store.db)
    const astray = rows.filter(({ collation }) => collation !== 'utf8mb4_bin').map(({ name }) => name)
    return [
      astray.length === 0
        ? ok('collation', `${rows.length} tables in utf8mb4_bin`)
        : wrong(
            'collation',
            `${astray.join(', ')} would take aB and Ab for one number`,
            'ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin.',
          ),
      isIt('isolation', found.isolation, /^READ-COMMITTED$/, 'Something between us and it changes sessions.'),
      isIt(
        'binary log',
        found.logged,
        /^(ROW|MIXED)$/,
        'Set binlog_format to ROW: STATEMENT refuses our isolation.',
      ),
    ]
  },
}

const isIt = (of: string, found: string, wanted: RegExp, cure: string): Finding =>
  wanted.test(found) ? ok(of, found) : wrong(of, found, cure)

async function row<Row>(store: Store, query: RawBuilder<unknown>): Promise<Row> {
  const { rows } = await query.execute(store.db)
  return rows[0] as Row
}
