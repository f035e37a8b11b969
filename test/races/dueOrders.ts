import { startSandbox } from '../../local/sandbox/server'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import type { Answer } from './role'
import { count, rows, type Actor, type Result, type Stage } from './stage'
import { addUp, type Tallied } from './tally'

/**
 * Ten thousand orders that are due, and the timer fired in several processes at once, again and again until nothing
 * is. Every order is asked about exactly once for each time it was due: as often as its row says.
 */
const ORDERS = 10_000
const ACTORS = 4
const INSERT_AT_ONCE = 500
const RUN_MS = 15_000

type Run = { startMs: number; endMs: number; summary: Record<string, number> }
type Timed = Run & { actor: number }

export async function raceForDueOrders(stage: Stage): Promise<Result> {
  const { session, url, seed } = stage
  const many = Math.max(400, Math.round(ORDERS * stage.scale))
  const wrong: string[] = []
  const asked = new Map<string, number>()
  const farEnd = await startSandbox({
    chooseFault: ({ interface: suffix, out_trade_no = '' }) => {
      if (suffix === 'query_order') asked.set(out_trade_no, (asked.get(out_trade_no) ?? 0) + 1)
      return undefined
    },
  })
  const actors = await stage.startActors(ACTORS)
  const env = { CLOUD_PAY_PER_MINUTE: '100000', ORDER_LIFE_SECONDS: '7200' }
  await Promise.all(actors.map((actor) => actor.ask('open', { url, baseUrl: farEnd.baseUrl, apps: 1, env })))
  const lastDueMs = await insertOrders(stage, actors[0]!, farEnd.sandbox.orders, many, seed)

  const runs: Timed[] = []
  const startMs = Date.now()
  const left = () => count(session, `orders where next_due_at_ms <= ${lastDueMs}`)
  let quiet = false
  const fire = async (actor: Actor, at: number) => {
    while (!quiet) {
      runs.push({ actor: at, ...(await actor.ask<Run>('timer', { remainingMs: RUN_MS })) })
      if (at === 0) quiet = (await left()) === 0 || Date.now() - startMs > 120_000
    }
  }
  await Promise.all(actors.map(fire))
  const ms = Date.now() - startMs

  const found = await rows(session, 'select out_trade_no, looks, fruitless, version, state from orders')
  let once = 0
  let more = 0
  for (const { out_trade_no, looks, fruitless, version, state } of found) {
    const number = String(out_trade_no)
    const times = asked.get(number) ?? 0
    const lookedFor = Number(looks) - looksBefore(number)
    if (times === 1) once++
    else if (times > 1) more++
    if (times === 0 || times !== lookedFor) wrong.push(`${number}: asked ${times} times, says ${lookedFor}`)
    if (fruitless !== 0 || version !== 2 || state !== 'pending') {
      wrong.push(`${number} is ${String(state)}, version ${String(version)}, ${String(fruitless)} in vain`)
    }
  }
  // An order is due again after half a minute at the earliest: in less than that, once is once.
  if (ms < 25_000 && more > 0) wrong.push(`${more} were asked about more than once in ${ms} ms`)
  if (found.length !== many) wrong.push(`${found.length} orders of ${many}`)
  const sum = (name: string) => runs.reduce((total, { summary }) => total + (summary[name] ?? 0), 0)
  if (sum('failed') > 0) wrong.push(`${sum('failed')} looks failed`)
  const tallied = await Promise.all(actors.map((actor) => actor.ask<Tallied>('tally', undefined)))
  wrong.push(...addUp(tallied).mistakes)
  await farEnd.close()
  return {
    counts: {
      processes: ACTORS,
      orders: many,
      asked_once: once,
      asked_again_when_due_again: more,
      asked_in_all: [...asked.values()].reduce((total, times) => total + times, 0),
      timer_runs: runs.length,
      runs_that_overlapped: runs.filter((run) => runs.some((other) => overlap(run, other))).length,
      most_at_once: mostAtOnce(runs),
      taken_by_another_run: sum('taken'),
      ms,
    },
    wrong: wrong.slice(0, 20),
  }
}

const overlap = (one: Timed, other: Timed): boolean =>
  one.actor !== other.actor && one.startMs < other.endMs && other.startMs < one.endMs

const mostAtOnce = (runs: Timed[]): number =>
  Math.max(
    0,
    ...runs.map(({ startMs }) => runs.filter((run) => run.startMs <= startMs && startMs < run.endMs).length),
  )

/** Half of them nobody has looked at yet, half were looked at before: the two lanes the timer picks from. */
const looksBefore = (number: string): number => (number.endsWith('L') ? 3 : 0)

/** One is created as any other; the rest are its copies, here and at Cloud Pay. Returns when the last is due. */
async function insertOrders(
  { session }: Stage,
  actor: Actor,
  ledger: Map<string, { out_trade_no: string; request: { pay_content: { out_trade_no: string } } }>,
  many: number,
  seed: number,
): Promise<number> {
  const numberOf = (n: number) => `${SANDBOX_MERCHANT.order_prefix}due${seed}n${n}${n % 2 ? 'N' : 'L'}`
  const first = numberOf(1)
  const body = JSON.stringify({
    pay_content: { out_trade_no: first, total_fee: 1880, body: '湖心奶茶-大杯' },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } },
  })
  const answer = await actor.ask<Answer>('call', { event: { httpMethod: 'POST', path: '/orders', body } })
  if (answer.statusCode !== 201) throw new Error(`create answered ${JSON.stringify(answer)}`)
  // Today's bill has been compared: it is not what this race is about.
  const today = Math.floor(Date.now() / 86_400_000) * 86_400
  await session.rows(
    `insert into marks (name, at_ms, value) values
     ('bill', ${Date.now()}, '${today} 1000000')`,
  )
  const [order] = await rows(session, `select * from orders where out_trade_no = '${first}'`)
  const events = await rows(
    session,
    `select * from order_events where out_trade_no = '${first}' order by seq`,
  )
  const taken = ledger.get(first)!
  // Ten each are due at the same millisecond.
  const nowMs = Date.now() - 1000
  const dueOf = (n: number) => nowMs - Math.floor(n / 10)
  const copyOf = (row: Record<string, unknown>, n: number): string => {
    const copy = { ...row, out_trade_no: numberOf(n) }
    const mine = 'version' in row ? { looks: looksBefore(numberOf(n)), next_due_at_ms: dueOf(n) } : {}
    return `(${Object.values({ ...copy, ...mine })
      .map(literal)
      .join(', ')})`
  }
  for (let from = 2; from <= many; from += INSERT_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(INSERT_AT_ONCE, many - from + 1) }, (_, at) => from + at)
    const insert = (table: string, row: Record<string, unknown>) =>
      session.rows(
        `insert into ${table} (${Object.keys(row).join(', ')}) values ${numbers.map((n) => copyOf(row, n)).join(', ')}`,
      )
    await insert('orders', order!)
    for (const event of events) await insert('order_events', event)
    for (const n of numbers) {
      const out_trade_no = numberOf(n)
      const pay_content = { ...taken.request.pay_content, out_trade_no }
      ledger.set(out_trade_no, { ...taken, out_trade_no, request: { ...taken.request, pay_content } })
    }
  }
  await session.rows(`update orders set next_due_at_ms = ${dueOf(1)} where out_trade_no = '${first}'`)
  return nowMs
}

const literal = (value: string | number | null): string =>
  value === null ? 'null' : typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`
