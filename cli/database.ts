import { readLocalStage } from '../deploy/localStage'
import { readDatabase, type Config, type Env } from '../shared/base/config'
import { readServerAddress } from '../shared/base/databaseUrl'

/** Of every tool that reads a database. */
export const DATABASE_OPTIONS = { local: { type: 'boolean' } } as const

export const DATABASE_USAGE =
  'Reads DATABASE_URL, and says on standard error which database that is; --local: the one of npm start.'

/** The variables a tool goes by: those of the shell, and only with --local those of npm start. */
export function toolEnv(env: Env, { local = false }: { local?: boolean | undefined }): Env {
  if (local) return readLocalStage(env['PORT'])
  if (env['DATABASE_URL']) return env
  throw new Error('DATABASE_URL is not set: set it, or say --local for the database of npm start')
}

/** The database of these variables, told on standard error: standard output is for what is found in it. */
export function chooseDatabase(env: Env): Config['database'] {
  const database = readDatabase(env)
  console.error(`database: ${describeDatabase(database)}`)
  return database
}

/** Kind, host and name; never who logs in. */
export function describeDatabase({ dialect, url }: Config['database']): string {
  if (dialect === 'sqlite') return `sqlite ${url.reveal().slice('sqlite:'.length)}`
  const { host, port, database } = readServerAddress(url.reveal(), dialect)
  return `${dialect} ${host}:${port}/${database}`
}
