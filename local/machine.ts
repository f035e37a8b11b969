import { join } from 'node:path'
import { ROOT, bundle } from '../deploy/bundle'
import { readDatabase } from '../shared/base/config'
import { systemClock } from '../shared/base/time'
import { migrate } from '../shared/store/migrate'
import { openStore } from '../shared/store/open'
import { startGateway, type Gateway } from './gateway'
import { sandboxEnv } from './sandbox/env'
import { startSandbox, type SandboxServer, type ServerOptions } from './sandbox/server'

/** The time limit of serverless.yml's functions. */
export const TIME_LIMIT_MS = 10_000

export type Machine = { gateway: Gateway; sandbox: SandboxServer; stop(): Promise<void> }

/** The whole system on one machine: builds the functions, then far end, database and gateway, in this order. */
export async function startMachine(options: {
  /** As `DATABASE_URL`: the functions are built with the driver it needs. */
  databaseUrl: string
  port?: number
  sandbox?: ServerOptions
}): Promise<Machine> {
  const host = '127.0.0.1'
  const bundles = join(ROOT, '.build', 'local')
  const database = readDatabase({ DATABASE_URL: options.databaseUrl })
  await bundle({ drivers: [database.dialect], outdir: bundles })
  const sandbox = await startSandbox(options.sandbox)
  const store = openStore(database, systemClock)
  await migrate(store)
  await store.close()
  Object.assign(process.env, sandboxEnv(sandbox.baseUrl, options.databaseUrl, host))
  const gateway = await startGateway({
    root: ROOT,
    bundles,
    host,
    port: options.port ?? 0,
    timeLimitMs: TIME_LIMIT_MS,
  })
  return {
    gateway,
    sandbox,
    async stop() {
      await gateway.close()
      await sandbox.close()
    },
  }
}
