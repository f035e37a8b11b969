import { openSession } from '../support/servers'
import type { Stage } from './stage'

/**
 * How often a statement had to wait for another transaction's row: MariaDB counts them, PostgreSQL only shows who is
 * waiting now, so there somebody keeps looking, and each wait is counted once.
 */
export async function watchLockWaits({ url, dialect }: Pick<Stage, 'url' | 'dialect'>) {
  const session = await openSession(url)
  if (dialect === 'mysql') {
    const read = async () => {
      const [row] = await session.rows("show global status like 'Innodb_row_lock_waits'")
      return Number(row?.['Value'])
    }
    const before = await read()
    return {
      async stop() {
        const after = await read()
        await session.close()
        return after - before
      },
    }
  }
  const seen = new Set<string>()
  let stopped = false
  const looking = (async () => {
    while (!stopped) {
      const waiting = await session.rows(
        `select pid, query_start::text as since from pg_stat_activity where wait_event_type = 'Lock'`,
      )
      for (const { pid, since } of waiting) seen.add(`${String(pid)} ${String(since)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  return {
    async stop() {
      stopped = true
      await looking
      await session.close()
      return seen.size
    },
  }
}
