import { join } from 'node:path'
import { ROOT, bundle } from '../deploy/bundle'
import { readDatabase, SANDBOX_MERCHANT } from '../shared/base/config'
import { systemClock } from '../shared/base/time'
import { findSku } from '../shared/store/catalogue'
import { migrate } from '../shared/store/migrate'
import { openStore, type Store } from '../shared/store/open'
import { openConsole } from './console'
import { startGateway, type Gateway, type Served } from './gateway'
import { buildPages } from './pages'
import { periodMs, readTimers } from './routes'
import { sandboxEnv } from './sandbox/env'
import { peopleEnv } from './sandbox/people'
import { startSandbox, type SandboxServer, type ServerOptions } from './sandbox/server'

/** The time limit of serverless.yml's functions. */
export const TIME_LIMIT_MS = 10_000

/** What the console shows of the doors. */
const SERVED_MAX = 500

export type Machine = {
  gateway: Gateway
  sandbox: SandboxServer
  /** Fires every timer of serverless.yml once, now. */
  tick(): Promise<void>
  stop(): Promise<void>
}

/** The whole system on one machine: builds the functions, then far end, database and gateway, in this order. */
export async function startMachine(options: {
  /** As `DATABASE_URL`: the functions are built with the driver it needs. */
  databaseUrl: string
  port?: number
  sandbox?: ServerOptions
  /** Off: only `tick` fires them. */
  timers?: 'on' | 'off'
  /** Under .build/: where it builds; one of their own for machines that are started beside others. */
  name?: string
}): Promise<Machine> {
  const host = '127.0.0.1'
  const built = join(ROOT, '.build', options.name ?? 'local')
  const bundles = join(built, 'functions')
  const database = readDatabase({ DATABASE_URL: options.databaseUrl })
  await bundle({ drivers: [database.dialect], outdir: bundles })
  const sandbox = await startSandbox(options.sandbox)
  const store = openStore(database, systemClock)
  await migrate(store)
  await sell(store)
  // As deployed: payers log in and the merchant's server signs. The open door is for tests.
  const people = { ...peopleEnv(sandbox.origin, sandbox.logins), CALLERS: '' }
  Object.assign(process.env, sandboxEnv(sandbox.baseUrl, options.databaseUrl, host), people)
  const served: Served[] = []
  const gateway = await startGateway({
    root: ROOT,
    bundles,
    host,
    port: options.port ?? 0,
    timeLimitMs: TIME_LIMIT_MS,
    onServed: (one) => {
      served.push(one)
      if (served.length > SERVED_MAX) served.shift()
    },
  })
  sandbox.setNotifyUrl(`${gateway.origin}/notify`)
  const { origin } = gateway
  gateway.serve(await buildPages(join(built, 'web'), { origin, sandboxOrigin: sandbox.origin }))
  const timers = readTimers(ROOT)
  const intervals =
    options.timers === 'off'
      ? []
      : timers.map((timer) => setInterval(() => void gateway.fire(timer.functionName), periodMs(timer)))
  const tick = async () => {
    for (const { functionName } of timers) await gateway.fire(functionName)
  }
  sandbox.setConsole(origin, openConsole({ store, sandbox, origin, served, tick }))
  return {
    gateway,
    sandbox,
    tick,
    async stop() {
      for (const interval of intervals) clearInterval(interval)
      await gateway.close()
      await sandbox.close()
      await store.close()
    },
  }
}

/** One article in the catalogue, so that there is something to try it with. */
async function sell(store: Store): Promise<void> {
  const { out_sub_mch_id } = SANDBOX_MERCHANT
  if (await findSku(store, out_sub_mch_id, 'tea')) return
  const article = { sku: 'tea', body: '湖心奶茶-大杯', total_fee: 1880, quantity_max: 10, active: 1 }
  await store.db
    .insertInto('catalogue')
    .values({ out_sub_mch_id, ...article })
    .execute()
}
