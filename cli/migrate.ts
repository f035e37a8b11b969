import { readDatabase } from '../shared/base/config'
import { systemClock } from '../shared/base/time'
import { migrate } from '../shared/store/migrate'
import { openStore } from '../shared/store/open'
import { runCommand } from './run'

/** `npm run migrate`: brings the database named by DATABASE_URL up to date. Safe to run again, and by two at once. */
runCommand('DATABASE_URL=… npm run migrate', async (_args, print) => {
  const database = readDatabase(process.env)
  const store = openStore(database, systemClock)
  try {
    const { applied } = await migrate(store)
    print(`${database.dialect}: ${applied.length > 0 ? `applied ${applied.join(', ')}` : 'up to date'}`)
    return 0
  } finally {
    await store.close()
  }
})
