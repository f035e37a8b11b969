import { parseArgs } from 'node:util'
import { systemClock } from '../shared/base/time'
import { migrate } from '../shared/store/migrate'
import { openStore } from '../shared/store/open'
import { chooseDatabase, DATABASE_OPTIONS, DATABASE_USAGE, toolEnv } from './database'
import { runCommand } from './run'

const USAGE = `DATABASE_URL=… npm run migrate      brings the database up to date
  ${DATABASE_USAGE}`

/** `npm run migrate`. Safe to run again, and by two at once. */
runCommand(USAGE, async (args, print) => {
  const { values } = parseArgs({ args, options: DATABASE_OPTIONS })
  const database = chooseDatabase(toolEnv(process.env, values))
  const store = openStore(database, systemClock)
  try {
    const { applied } = await migrate(store)
    print(`${database.dialect}: ${applied.length > 0 ? `applied ${applied.join(', ')}` : 'up to date'}`)
    return 0
  } finally {
    await store.close()
  }
})
