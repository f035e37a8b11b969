import { sql, type CompiledQuery } from 'kysely'
import { databaseNowMs, firstRows } from './dialect'
import type { Store } from './open'
import { deletion, statement } from './statements'
import { Lost, numbers, one, read, unlessTaken, write, writeOne, writeUpTo, type Say } from './transaction'

/**
 * Limits that many instances share: so much per period, on the database's clock. A counter has one row, which starts
 * again when its period is over.
 */
export type Limit = { name: string; periodMs: number; max: number }

type Counter = { period: number; used: number; now_ms: number }

const findCounter = statement<{ name: string }>((db, given, store) =>
  db
    .selectFrom('counters')
    .select(['period', 'used', databaseNowMs(store.dialect).as('now_ms')])
    .where('name', '=', given.name),
)

const findNow = statement<object>((db, _, store) =>
  db.selectNoFrom(databaseNowMs(store.dialect).as('now_ms')),
)

const setCounter = statement<{
  name: string
  period: number
  used: number
  was_period: number
  was_used: number
}>((db, given) =>
  db
    .updateTable('counters')
    .set({ period: given.period, used: given.used })
    .where('name', '=', given.name)
    .where('period', '=', given.was_period)
    .where('used', '=', given.was_used),
)

const insertCounter = statement<{ name: string; period: number; used: number }>((db, given) =>
  db.insertInto('counters').values({ name: given.name, period: given.period, used: given.used }),
)

type Step = { query: CompiledQuery; isInsert: boolean; granted: number }

/** What to write so that up to `wanted` more is used, or nothing when the limit leaves no room. */
function step(
  store: Store,
  { name, periodMs, max }: Limit,
  counter: Counter | undefined,
  nowMs: number,
  wanted: number,
  all: boolean,
): Step | undefined {
  const period = Math.floor(nowMs / periodMs)
  const used = counter?.period === period ? counter.used : 0
  const granted = Math.min(wanted, max - used)
  if (granted <= 0 || (all && granted < wanted)) return undefined
  const after = { name, period, used: used + granted }
  return counter
    ? {
        query: setCounter(store, { ...after, was_period: counter.period, was_used: counter.used }),
        isInsert: false,
        granted,
      }
    : { query: insertCounter(store, after), isInsert: true, granted }
}

const toCounter = (row: unknown): Counter | undefined =>
  row === undefined ? undefined : numbers<Counter>(row as object, ['period', 'used', 'now_ms'])

/** Inside a transaction: uses all of `amount`, or calls `over` and undoes the transaction. */
export async function sayUse(
  store: Store,
  say: Say,
  limit: Limit,
  amount: number,
  over: () => void,
): Promise<void> {
  const counter = toCounter((await say(findCounter(store, limit))).rows[0])
  const nowMs =
    counter?.now_ms ?? Number(((await say(findNow(store, {}))).rows[0] as { now_ms: unknown }).now_ms)
  const next = step(store, limit, counter, nowMs, amount, true)
  if (!next) {
    over()
    throw new Lost()
  }
  if (next.isInsert) await unlessTaken(store, say(next.query), () => undefined)
  else await one(say(next.query))
}

/** Two lanes of one run and another run may want the same counter at once. */
const RACES_MAX = 4

/** On its own: takes up to `wanted`, and says how much it got. Who keeps losing the race for it gets nothing, this time. */
export async function useUpTo(store: Store, limit: Limit, wanted: number): Promise<number> {
  for (let race = 0; race < RACES_MAX; race++) {
    const granted = await tryUpTo(store, limit, wanted)
    if (granted !== 'lost') return granted
  }
  return 0
}

async function tryUpTo(store: Store, limit: Limit, wanted: number): Promise<number | 'lost'> {
  const counter = toCounter((await read(store, findCounter(store, limit)))[0])
  const nowMs = counter?.now_ms ?? (await databaseNow(store))
  const next = step(store, limit, counter, nowMs, wanted, false)
  if (!next) return 0
  // Of two that begin a counter at once, one finds its row taken: a lost race like any other.
  const written = next.isInsert
    ? await write(store, async (say) => void (await unlessTaken(store, say(next.query), () => undefined)))
    : await writeOne(store, next.query)
  return written === 'done' ? next.granted : 'lost'
}

export async function databaseNow(store: Store): Promise<number> {
  return Number((await read<{ now_ms: unknown }>(store, findNow(store, {})))[0]!.now_ms)
}

// ── rates ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Rate = { name: string; period: number; max: number }

/**
 * One statement and no reading before it: many who count the same thing at once queue for its row and none of them is
 * sent away. A clock that is behind counts in the later period.
 */
const countUp = statement<Rate>((db, given) =>
  db
    .updateTable('counters')
    // In this order: MySQL assigns one after the other, and `used` must still see the old period.
    .set({
      used: sql<number>`case when period < ${given.period} then 1 else used + 1 end`,
      period: sql<number>`case when period < ${given.period} then ${given.period} else period end`,
    })
    .where('name', '=', given.name)
    .where((eb) => eb.or([eb('period', '<', given.period), eb('used', '<', given.max)])),
)

const rateOf = ({ name, periodMs, max }: Limit, nowMs: number): Rate => ({
  name,
  period: Math.floor(nowMs / periodMs),
  max,
})

/** Inside a transaction: counts one, or calls `over` and undoes the transaction. Holds the counter until the end. */
export async function sayCount(
  store: Store,
  say: Say,
  limit: Limit,
  nowMs: number,
  over: () => void,
): Promise<void> {
  const rate = rateOf(limit, nowMs)
  if (rate.max > 0) {
    if ((await say(countUp(store, rate))).affected === 1) return
    const counter = toCounter((await say(findCounter(store, limit))).rows[0])
    if (!counter) {
      await unlessTaken(store, say(insertCounter(store, { ...rate, used: 1 })), () => undefined)
      return
    }
    // Somebody else began the counter between our two statements. That is a lost race and no limit reached.
    if (counter.period < rate.period || counter.used < rate.max) throw new Lost()
  }
  over()
  throw new Lost()
}

const countUpBoth = statement<{
  a: string
  a_period: number
  a_max: number
  b: string
  b_period: number
  b_max: number
}>((db, given) =>
  db
    .updateTable('counters')
    .set({
      used: sql<number>`case when name = ${given.a} and period < ${given.a_period} then 1
          when name = ${given.b} and period < ${given.b_period} then 1 else used + 1 end`,
      period: sql<number>`case when name = ${given.a} and period < ${given.a_period} then ${given.a_period}
          when name = ${given.b} and period < ${given.b_period} then ${given.b_period} else period end`,
    })
    .where((eb) =>
      eb.or([
        eb.and([
          eb('name', '=', given.a),
          eb.or([eb('period', '<', given.a_period), eb('used', '<', given.a_max)]),
        ]),
        eb.and([
          eb('name', '=', given.b),
          eb.or([eb('period', '<', given.b_period), eb('used', '<', given.b_max)]),
        ]),
      ]),
    ),
)

/** Two counters in one statement; as `sayCount`, it counts both or neither. */
export async function sayCountBoth(
  store: Store,
  say: Say,
  both: readonly [Limit, Limit],
  nowMs: number,
  over: () => void,
): Promise<void> {
  const [a, b] = both.map((limit) => rateOf(limit, nowMs)) as [Rate, Rate]
  const given = { a: a.name, a_period: a.period, a_max: a.max, b: b.name, b_period: b.period, b_max: b.max }
  const { affected } = await say(countUpBoth(store, given))
  if (affected === 2) return
  // A counter that is missing begins here, unless its limit is zero; one that is there, and was not counted, is full.
  let missing = 0
  let isFull = a.max === 0 || b.max === 0
  for (const rate of [a, b]) {
    const counter = toCounter((await say(findCounter(store, rate))).rows[0])
    if (counter) isFull ||= counter.period >= rate.period && counter.used >= rate.max
    else {
      missing++
      if (rate.max > 0)
        await unlessTaken(store, say(insertCounter(store, { ...rate, used: 1 })), () => undefined)
    }
  }
  if (affected + missing >= 2 && a.max > 0 && b.max > 0) return
  // As in sayCount: where none is full, somebody else began one between our statements, and that is a lost race.
  if (isFull) over()
  throw new Lost()
}

/** On its own: false when the limit is reached. */
export async function count(store: Store, limit: Limit, nowMs: number): Promise<boolean> {
  for (let attempt = 0; attempt < 4; attempt++) {
    let over = false
    if ((await write(store, (say) => sayCount(store, say, limit, nowMs, () => (over = true)))) === 'done')
      return true
    if (over) return false
  }
  // Somebody else is always faster: that is what a limit is for.
  return false
}

const forgetRows = statement<{ from: number; before: number; limit: number }>((db, given, { dialect }) => {
  const where = sql`period >= ${given.from} and period < ${given.before}`
  const rows = firstRows(dialect, 'counters', { where, by: ['period'], limit: given.limit })
  return deletion(db, sql`delete from counters ${rows}`)
})

/**
 * Counters of periods of this length that are long over, whatever they counted: that counts for nothing any more. No more of
 * them at once than `limit`. Each length has numbers of its own: a minute's is sixty times that of an hour.
 */
export function forgetCounters(
  store: Store,
  periodMs: number,
  nowMs: number,
  limit: number,
): Promise<'all' | 'more'> {
  const before = Math.floor(nowMs / periodMs) - 1
  return writeUpTo(store, forgetRows(store, { from: Math.floor(before / 4), before, limit }), limit)
}
