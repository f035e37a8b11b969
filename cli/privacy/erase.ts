import { SESSION_LIFE_MAX_S } from '../../shared/base/numbers'
import type { Random } from '../../shared/base/random'
import { nowS, rfc3339, type Clock } from '../../shared/base/time'
import { isSettled, REFUND_STATES } from '../../shared/order/refund'
import { DAY_S } from '../../shared/order/schedule'
import { isOpen } from '../../shared/order/state'
import { setMark } from '../../shared/store/marks'
import type { Store } from '../../shared/store/open'
import { eraseOrder, MESSAGE_LIFE_S } from '../../shared/store/retention'
import { revoke } from '../../shared/store/revocations'
import { ordersOf } from './export'
import { namesOf, type Whom } from './payer'

/** An order that is not over yet, and so is not erased yet. */
export type Left = {
  out_sub_mch_id: string
  out_trade_no: string
  state: string
  /** What it waits for; a person is needed for some of it. */
  because: string[]
  /** When to run this again. */
  come_back_after: string
}

export type Erasure = { erased: number; left: Left[] }

const ATTEMPTS = 6
/** Sessions of a clock that is ahead. */
const SKEW_S = 300

/**
 * Takes a person out of what is over, and tells what is not. Amounts, states, events and refunds stay, and add up; the
 * sessions end. Doing it again does what is left. One row in `marks` says that and when somebody was erased, not who.
 */
export async function erasePayer(store: Store, clock: Clock, random: Random, whom: Whom): Promise<Erasure> {
  const at = nowS(clock)
  const left: Left[] = []
  let erased = 0
  for (const name of namesOf(whom)) {
    // First, so that nothing new begins meanwhile.
    await revoke(store, { id: `p:${name.hash}`, at, until: at + SESSION_LIFE_MAX_S + 2 * SKEW_S })
    for (const { out_trade_no } of await ordersOf(store, name)) {
      if (await eraseOne(store, clock, { ...name, out_trade_no })) erased++
      else left.push(await whyNot(store, clock, { ...name, out_trade_no }))
    }
  }
  const value = JSON.stringify({ orders_erased: erased, orders_left: left.length })
  await setMark(store, `erasure:${rfc3339(at)}:${random(4).toString('hex')}`, value)
  return { erased, left }
}

type Key = { out_sub_mch_id: string; out_trade_no: string }

async function eraseOne(store: Store, clock: Clock, key: Key): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const order = await readOrder(store, key)
    if ((await eraseOrder(store, order, nowS(clock))) === 'done') return true
    // Not over, or somebody was faster: then it has another version.
    if ((await readOrder(store, key)).version === order.version) return false
  }
  return false
}

async function readOrder({ db }: Store, { out_sub_mch_id, out_trade_no }: Key) {
  const row = await db
    .selectFrom('orders')
    .selectAll()
    .where('out_sub_mch_id', '=', out_sub_mch_id)
    .where('out_trade_no', '=', out_trade_no)
    .executeTakeFirstOrThrow()
  const { updated_at, time_expire, next_due_at_ms, ...rest } = row
  const nextDueMs = next_due_at_ms === null ? null : Number(next_due_at_ms)
  return {
    ...rest,
    updated_at: Number(updated_at),
    time_expire: Number(time_expire),
    next_due_at_ms: nextDueMs,
  }
}

async function whyNot(store: Store, clock: Clock, key: Key): Promise<Left> {
  const { db } = store
  const { out_sub_mch_id, out_trade_no } = key
  const order = await readOrder(store, key)
  const because: string[] = []
  let backS = nowS(clock) + DAY_S
  if (isOpen(order.state)) {
    because.push(`it is ${order.state}: it will be paid or closed`)
    // Closed orders are looked at for a day: money may come late.
    backS = Math.max(backS, order.time_expire + 2 * DAY_S)
  } else if (order.next_due_at_ms !== null) {
    because.push('it is looked at again, for money that comes late or goes back')
    backS = Math.max(backS, Math.ceil(order.next_due_at_ms / 1000) + DAY_S)
  }
  const settled = REFUND_STATES.filter(isSettled)
  const refunds = await db
    .selectFrom('refunds')
    .select('out_refund_no')
    .where('out_sub_mch_id', '=', out_sub_mch_id)
    .where('out_trade_no', '=', out_trade_no)
    .where('state', 'not in', settled)
    .execute()
  for (const { out_refund_no } of refunds) because.push(`refund ${out_refund_no} is under way`)
  const anomalies = await db
    .selectFrom('anomalies')
    .select('kind')
    .where('out_sub_mch_id', '=', out_sub_mch_id)
    .where('out_trade_no', '=', out_trade_no)
    .where('resolved_at', 'is', null)
    .execute()
  for (const { kind } of anomalies)
    because.push(`the anomaly ${kind} is open: resolve it (npm run anomalies)`)
  const messages = await db
    .selectFrom('outbox')
    .select('created_at')
    .where('out_sub_mch_id', '=', out_sub_mch_id)
    .where('out_trade_no', '=', out_trade_no)
    .where('next_due_at_ms', 'is not', null)
    .where('created_at', '>', nowS(clock) - MESSAGE_LIFE_S)
    .execute()
  for (const { created_at } of messages) {
    because.push('a message about it is not delivered yet')
    backS = Math.max(backS, Number(created_at) + MESSAGE_LIFE_S)
  }
  if (because.length === 0) because.push('it is being changed just now, or a newer version has written it')
  return {
    ...{ out_sub_mch_id, out_trade_no, state: order.state },
    because: [...new Set(because)],
    come_back_after: rfc3339(backS),
  }
}
