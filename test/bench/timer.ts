import { sql } from 'kysely'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import type { Payments } from '../../shared/payments/context'
import { pickDue } from '../../shared/payments/pickDue'
import { listWork } from '../../shared/store/due'
import { setMark } from '../../shared/store/marks'
import { openStore, type Store } from '../../shared/store/open'
import { addRows, analyse, doubleRows, SUB } from '../support/backlogRows'
import { playBillDay } from '../support/billDay'
import { readingOf, type Reading } from '../support/rowsRead'
import { otherMerchants } from '../support/shop'
import { openWorld } from '../support/world'
import { effort } from './effort'
import type { ServerDialect } from './missing'
import { median, ms } from './pairs'
import type { Report } from './report'

/**
 * What the timer's reading costs, by rows and by time: with more and more rows due, with nothing due, and with the bill of
 * many sub-merchants. There is nothing to compare it with, so these rows say what it is.
 */
const SUBS = 20

const spaced = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ' ')

function addReading(report: Report, figure: string, { statements, rows }: Reading, times: number[]): void {
  report.add({
    figure,
    against: '–',
    absolute: `${statements} statements, ${rows} rows read`,
    result: `${ms(median(times))} (median of ${times.length})`,
  })
}

async function timesOf(work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let at = 0; at < effort.timer.reads; at++) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  return times
}

/** Who has work, and one batch of it, of twenty sub-merchants that have the same number of orders and refunds due. */
export async function backlogs(report: Report, dialect: ServerDialect, url: string): Promise<void> {
  const store = await openUnhurried(dialect, url)
  try {
    let rows = 1000
    await addRows(store, rows, SUBS)
    for (const due of effort.timer.due) {
      for (; rows < due; rows = Math.min(2 * rows, due))
        await doubleRows(store, rows, ['orders', 'refunds'], due - rows)
      await analyse(store)
      await readBatch(store)
      const figure = `the timer's lists of one batch, with ${spaced(due)} orders and as many refunds due (${dialect})`
      addReading(report, figure, await readingOf(store, readBatch), await timesOf(() => readBatch(store)))
    }
  } finally {
    await store.close()
  }
}

async function readBatch(store: Store): Promise<void> {
  const all = Array.from({ length: SUBS }, (_, at) => ({ out_sub_mch_id: at === 0 ? SUB : `${SUB}${at}` }))
  const payments = {
    store,
    merchants: { all },
    random: (bytes: number) => Buffer.alloc(bytes),
    settings: { perMinute: 1_000_000_000 },
  } as unknown as Payments
  const { work } = await listWork(store)
  const silence = { isSilent: () => false, note: () => undefined, end: async () => undefined }
  const { items } = await pickDue(payments, work, silence, (_, list) => list())
  if (items.length !== 60) throw new Error(`${items.length} items in a batch`)
}

/** A whole run of the timer that finds nothing to do: of each sub-merchant's hundred orders ten are due some other year. */
export async function idleRuns(report: Report, dialect: ServerDialect, url: string): Promise<void> {
  const { merchants: count } = effort.timer
  const store = await openUnhurried(dialect, url)
  const merchants = otherMerchants(count)
  try {
    await addRows(store, 1000)
    for (let rows = 1000; rows < 100 * count; rows *= 2)
      await doubleRows(store, rows, ['orders', 'refunds'], 100 * count - rows)
    for (const table of ['outbox', 'notifications', 'bill_windows'])
      await sql`delete from ${sql.table(table)}`.execute(store.db)
    const idOf = (at: string) =>
      dialect === 'mysql'
        ? sql`concat('sub', lpad(${sql.ref(at)} % ${sql.lit(count)}, ${sql.lit(String(count).length)}, '0'))`
        : sql`concat('sub', lpad((${sql.ref(at)} % ${sql.lit(count)})::text, ${sql.lit(String(count).length)}, '0'))`
    for (const table of ['orders', 'refunds'])
      await sql`update ${sql.table(table)} set out_sub_mch_id = ${idOf('created_at')}, next_due_at_ms =
        case when created_at % ${sql.lit(10 * count)} < ${sql.lit(count)} then 4000000000000 else null end`.execute(
        store.db,
      )
    await analyse(store)
    const today = Math.floor(Date.now() / 86_400_000) * 86_400
    await setMark(store, 'bill', `${today} 1000000`)
    const env = { CLOUD_PAY_OTHER_MERCHANTS: JSON.stringify(merchants) }
    const idle = async (of: Store) => {
      const world = await openWorld({ store: of, env })
      return () => world.timer(60_000)
    }
    const first = await idle(store)
    // What a new instance does first, and then rests from.
    await first()
    const reading = await readingOf(store, async (spied) => {
      const run = await idle(spied)
      await run()
    })
    addReading(
      report,
      `an idle run of the timer, ${spaced(count)} sub-merchants with 100 orders each (${dialect})`,
      reading,
      await timesOf(first),
    )
  } finally {
    await store.close()
  }
}

/** The bill of one day, on a clock that every call moves on by 300 ms and every statement by 2 ms (support/billDay.ts). */
export async function billOfDay(report: Report): Promise<void> {
  const { merchants, orders } = effort.timer
  const { tookS, runs, calls, statements, windows, left } = await playBillDay({ merchants, orders })
  report.add(
    {
      figure: `the bill of a day, ${spaced(merchants)} sub-merchants with ${spaced(orders)} orders in all`,
      against: 'the day it has for that, on a clock of its own',
      absolute: `${windows} windows, ${calls} calls, ${statements} statements, ${left} left`,
      result: `${runs} runs, ${Math.round(tookS)} s`,
    },
    { target: '≤ 86400 s', is: left === 0 && tookS <= 86_400 },
  )
}

/** Its limit for a statement is for the function, and not for filling tables. */
async function openUnhurried(dialect: ServerDialect, url: string): Promise<Store> {
  const store = openStore({ dialect, url: new Secret(url) }, systemClock)
  Object.assign(store.connection, { statementTimeoutMs: 600_000 })
  // The servers of tests are small; these tables are not.
  if (dialect === 'mysql') await sql`set global innodb_buffer_pool_size = 536870912`.execute(store.db)
  return store
}
