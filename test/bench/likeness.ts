import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { openStore } from '../../shared/store/open'
import { post, runBundle } from '../support/bundles'
import type { Server } from '../support/servers'
import { freshNumber, orderBody } from '../support/world'
import { startWorker, type Program } from './measure'
import type { ServerDialect } from './missing'

/**
 * Whether a baseline does what it is measured for. Both programs make two orders, the first and one that finds
 * everything open, and what they answered, stored, sent and said to the database is compared. So a baseline that a
 * change of ours has left behind stops the run instead of flattering it.
 */
export async function assertSameOrders(
  dialect: ServerDialect,
  server: Server,
  ours: Program,
  baseline: Program,
): Promise<void> {
  const deeds = []
  for (const program of [ours, baseline]) {
    const numbers = [freshNumber(), freshNumber()]
    const events = numbers.map((out_trade_no) => post(orderBody({ out_trade_no })))
    const { result, said } = await overheard(dialect, server, () => runBundle({ ...program, events }))
    const stored = await storedOf(dialect, program, numbers)
    deeds.push({ answered: result.visits, stored, said })
  }
  assertAlike(baseline, deeds)
}

/** As `assertSameOrders`, of two workers that move an order. Only MariaDB tells what was said to it. */
export async function assertSameMoves(
  dialect: ServerDialect,
  server: Server,
  ours: Program,
  baseline: Program,
): Promise<void> {
  const deeds = []
  for (const program of [ours, baseline]) {
    const { said } = await overheard(dialect, server, async () => {
      const worker = startWorker(program)
      await worker.batch(2)
      await worker.stop()
    })
    deeds.push({ said })
  }
  assertAlike(baseline, deeds)
}

function assertAlike({ file }: Program, deeds: unknown[]): void {
  const [ours = [], theirs = []] = deeds.map((deed) => JSON.stringify(comparable(deed), null, 1).split('\n'))
  const at = ours.findIndex((line, index) => line !== theirs[index])
  if (at < 0 && ours.length === theirs.length) return
  const around = (lines: string[]) => lines.slice(Math.max(0, at - 3), at + 4).join('\n')
  throw new Error(
    `${file} does not do what createOrder does.\nOurs:\n${around(ours)}\nThe baseline:\n${around(theirs)}`,
  )
}

/** What is another for each order. Of these only the type is compared. */
const OF_ONE_ORDER = new Set(
  (
    'out_trade_no content_hash nonce_str lease_holder created_at updated_at time_expire next_due_at_ms at epoch rfc3339 ' +
    'timestamp package pay_sign timeStamp nonceStr paySign'
  ).split(' '),
)

/** Names in one order, JSON inside of text read. */
function comparable(value: unknown, name = ''): unknown {
  if (typeof value === 'string' && value.startsWith('{')) return comparable(JSON.parse(value), name)
  if (Array.isArray(value)) return value.map((one) => comparable(one))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, one]) => [key, comparable(one, key)]),
    )
  return value !== null && OF_ONE_ORDER.has(name) ? typeof value : value
}

async function storedOf(dialect: ServerDialect, { env }: Program, numbers: string[]) {
  const store = openStore({ dialect, url: new Secret(env['DATABASE_URL']!) }, systemClock)
  try {
    const whose = (table: 'orders' | 'order_events') =>
      store.db.selectFrom(table).selectAll().where('out_trade_no', 'in', numbers).orderBy('out_trade_no')
    return { orders: await whose('orders').execute(), events: await whose('order_events').execute() }
  } finally {
    await store.close()
  }
}

/** What `work` says to the server. Of PostgreSQL nothing: its log is a file, and its words are MySQL's but for names. */
async function overheard<T>(
  dialect: ServerDialect,
  server: Server,
  work: () => Promise<T>,
): Promise<{ result: T; said: string[] }> {
  if (dialect !== 'mysql') return { result: await work(), said: [] }
  const log = await createConnection(server.url)
  try {
    await log.query("set global log_output = 'TABLE'")
    await log.query('truncate mysql.general_log')
    await log.query('set global general_log = 1')
    const result = await work()
    await log.query('set global general_log = 0')
    const [rows] = await log.query<RowDataPacket[]>(
      "select convert(argument using utf8mb4) as said from mysql.general_log where command_type = 'Query' and thread_id <> connection_id()",
    )
    return { result, said: rows.map(({ said }) => gistOf(String(said))) }
  } finally {
    await log.end()
  }
}

/** A statement without its values, and with its columns in one order. One that names no column, as it is. */
function gistOf(sql: string): string {
  const names = sql.replace(/'(?:[^'\\]|\\.|'')*'/g, '?').match(/`\w+`|unix_timestamp/g)
  if (!names) return sql
  return [/^\w+/.exec(sql)?.[0], ...names.sort()].join(' ')
}
