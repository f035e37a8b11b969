import { readDatabase } from '../shared/base/config'
import { systemClock } from '../shared/base/time'
import { migrate } from '../shared/store/migrate'
import { openStore } from '../shared/store/open'

/** `npm run migrate`: brings the database named by DATABASE_URL up to date. Safe to run again, and by two at once. */
async function main(): Promise<void> {
  const database = readDatabase(process.env)
  const store = openStore(database, systemClock)
  try {
    const { applied } = await migrate(store)
    console.log(
      applied.length > 0
        ? `${database.dialect}: applied ${applied.join(', ')}`
        : `${database.dialect}: up to date`,
    )
  } finally {
    await store.close()
  }
}

main().catch((error: unknown) => {
  // The chain of messages, not the objects: a driver's error may carry the connection's settings.
  for (let cause = error; cause instanceof Error; cause = cause.cause) console.error(cause.message)
  process.exitCode = 1
})
