import { readDatabase } from '../shared/base/config'
import { createLog, writeLine } from '../shared/base/log'
import { secretsIn } from '../shared/base/secretVariables'
import { systemClock } from '../shared/base/time'
import { command } from '../shared/http/command'
import { migrate, migrationStatus } from '../shared/store/migrate'
import { openStore, type Store } from '../shared/store/open'
import { countOpenMoney } from '../shared/store/openMoney'
import { withSecrets } from '../shared/tencent/references'

/** An index over a large table takes its time, and so does waiting for somebody who migrates already. */
const STATEMENT_TIMEOUT_MS = 120_000

/**
 * Without an address, called by a deployment: migrations run where the database is. Needs DATABASE_URL alone, and
 * DATABASE_CA where there is one.
 *
 * `{"do":"status"}` → pending and applied; `{"do":"apply"}` → applied by this call; `{"do":"count"}` → what is open.
 */
export const commands = {
  status: (store: Store) => migrationStatus(store),
  async apply(store: Store) {
    const { applied } = await migrate(store)
    return { applied }
  },
  async count(store: Store) {
    const { applied } = await migrationStatus(store)
    // Tables that were never made hold nothing.
    const open = applied.length > 0 ? await countOpenMoney(store) : { orders: 0, refunds: 0, messages: 0 }
    return { open }
  },
}

export const main_handler = command(
  async () => {
    const env = await withSecrets(process.env, ['DATABASE_URL', 'DATABASE_CA'])
    const database = readDatabase(env)
    return {
      of: openStore(database, systemClock, STATEMENT_TIMEOUT_MS),
      log: createLog(writeLine, secretsIn(env)),
      close: (store) => store.close(),
    }
  },
  createLog(writeLine, secretsIn(process.env)),
  commands,
)
