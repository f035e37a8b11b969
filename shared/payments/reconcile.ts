import { Fault } from '../base/errors'
import { describeError } from '../base/log'
import { nowS, type Deadline } from '../base/time'
import type { Order } from '../order/order'
import { isKnownRefundState } from '../order/refund'
import { FRUITLESS_MAX, nextLookS, nextRefundLookS, EXPIRY_GRACE_S } from '../order/schedule'
import { isKnownState, isOpen, walletMeaning } from '../order/state'
import {
  claimDueOrder,
  claimDueRefund,
  listUnknownStates,
  listWork,
  type DueOrder,
  type DueRefund,
  type Work,
} from '../store/due'
import { adoptOrphan, listAdoptable } from '../store/notifications'
import { findOrder, moved, scheduleOrder, type ReadOrder } from '../store/orders'
import { findRefund, scheduleRefund } from '../store/refunds'
import { enterClosing, pushClosing } from './close'
import type { Payments } from './context'
import { isKnown, pickDue, type Attempt } from './pickDue'
import { advanceRefund } from './refundAsking'
import { refundAutomatically } from './refundLate'
import { importRefunds, isUnexplained } from './refundList'
import { isMicro } from './micro'
import { lookUpstream } from './refresh'
import { about, raise } from './raise'
import { askAnything, openSilence, type Silence } from './silence'
import { carryOut, isNotifiedInVain, readAgain, untilInVainS } from './settle'

/**
 * The timer's work: whatever is due is looked after, a bounded batch at a time. It never sends a create: an unanswered
 * one is asked about, and closed at its expiry. Unanswered refunds are sent again, under their own number.
 */
export type ReconcileSummary = {
  orders: number
  refunds: number
  /** Due, but taken by another run in between. */
  taken: number
  failed: number
  orphans: number
  /** Not begun: the time or a merchant's rate was used up. */
  left: number
}

/** Looked after side by side: most of a look is waiting for an answer. */
const LANES = 6
/** Longer than any function lives, so that two runs never have the same order in hand. */
const LEASE_MS = 60_000
/** What the slowest item needs to be worth beginning. */
const ITEM_MIN_MS = 4000
const ORPHANS = 200
const UNKNOWN = 20
/** What has been due for longer, and nobody comes to it, is told. */
const BEHIND_MS = 300_000

/** Throws when a part could not be read; everything else has been looked after by then. */
export async function reconcileDue(payments: Payments, deadline: Deadline): Promise<ReconcileSummary> {
  const summary: ReconcileSummary = { orders: 0, refunds: 0, taken: 0, failed: 0, orphans: 0, left: 0 }
  const failures: unknown[] = []
  const attempt: Attempt = (lane, work) =>
    work().catch((error: unknown) => {
      failures.push(error)
      noteLaneFailure(payments, lane, error)
      return []
    })
  await attempt('orphans', async () => {
    summary.orphans = await adoptOrphans(payments)
    return []
  })
  const silence = await openSilence(payments)
  const watched = { ...payments, heard: silence.note }
  const behind = await workOff(watched, silence, summary, attempt, deadline)
  await silence.end()
  if (behind) await reportBehind(payments, behind)
  if (failures.length > 0) throw new Error(`${failures.length} lanes failed`, { cause: failures[0] })
  return summary
}

/** Batch after batch while there is time, and while a batch gets anything done. Returns what is overdue after that. */
async function workOff(
  payments: Payments,
  silence: Silence,
  summary: ReconcileSummary,
  attempt: Attempt,
  deadline: Deadline,
): Promise<Behind | undefined> {
  let behind: Behind | undefined
  for (let isFirst = true; deadline.remainingMs() >= ITEM_MIN_MS; isFirst = false) {
    const { work, nowMs } = await listWork(payments.store)
    if (isFirst) await attempt('unknown', () => reportUnknownStates(payments, work))
    const { items, left, rated } = await pickDue(payments, work, silence, attempt)
    let next = 0
    let begun = 0
    let isHeard = false
    const before = summary.orders + summary.refunds
    const lane = async () => {
      for (let item = items[next++]; item; item = items[next++]) {
        if (deadline.remainingMs() < ITEM_MIN_MS) continue
        begun++
        if ('silent' in item) {
          await askAnything(payments, item.silent, deadline)
          isHeard ||= !silence.isSilent(item.silent.out_sub_mch_id)
        } else await lookAfter(payments, item, summary, deadline)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    summary.left += items.length - begun
    const isHeld = (id: string) => rated.has(id) || silence.isSilent(id)
    behind = left || begun < items.length ? overdue(payments, work, nowMs, isHeld) : undefined
    // On with the rest of it, and with what was left alone during a silence; not with what others have in hand.
    const isDone = summary.orders + summary.refunds > before
    if (!isHeard && !(left && isDone)) break
  }
  return behind
}

async function lookAfter(
  payments: Payments,
  item: { order: DueOrder } | { refund: DueRefund },
  summary: ReconcileSummary,
  deadline: Deadline,
): Promise<void> {
  const number = 'order' in item ? item.order.out_trade_no : item.refund.out_trade_no
  try {
    // A quarter of jitter: what was due together is not due together again.
    const leaseMs = LEASE_MS * (1 + payments.random(1)[0]! / 1024)
    const claimed =
      'order' in item
        ? await claimDueOrder(payments.store, item.order, leaseMs)
        : await claimDueRefund(payments.store, item.refund, leaseMs)
    if (claimed !== 'done') summary.taken++
    else if ('order' in item) {
      summary.orders++
      await lookAfterOrder(payments, item.order, deadline)
    } else {
      summary.refunds++
      await lookAfterRefund(payments, item.refund, deadline)
    }
  } catch (error) {
    // It stays due, one lease from now; the others are not made to wait for it.
    noteFailure(payments, number, error)
    summary.failed++
  }
}

function noteLaneFailure(payments: Payments, lane: string, error: unknown): void {
  payments.log({
    event: 'timer.lane_failed',
    count: 'timer.lane_failed',
    level: 'error',
    lane,
    cause: describeError(error instanceof Fault ? (error.cause ?? error) : error),
  })
}

function noteFailure(payments: Payments, out_trade_no: string, error: unknown): void {
  payments.log({
    event: 'timer.item_failed',
    count: 'timer.item_failed',
    level: 'error',
    out_trade_no,
    cause: describeError(error instanceof Fault ? (error.cause ?? error) : error),
  })
}

// ── an order ───────────────────────────────────────────────────────────────────────────────────────────────────

async function lookAfterOrder(payments: Payments, due: DueOrder, deadline: Deadline): Promise<void> {
  const order = await findOrder(payments.store, due)
  if (!order || !isKnownState(order.state)) return
  const { order: after, learned } = await work(payments, order, deadline).catch(async (error: unknown) => {
    // Whatever it was: a look in vain, so that the next one comes later and the twentieth calls a person.
    noteFailure(payments, order.out_trade_no, error)
    return { order: await readAgain<Order>(payments, order), learned: false }
  })
  // A newer version has taken it over meanwhile, and has set its own time.
  if (!isKnownState(after.state)) return
  const { closeNotBeforeS } = payments.settings
  const now = nowS(payments.clock)
  const overdue = isOpen(after.state) && now > after.time_expire + EXPIRY_GRACE_S
  const counts = {
    looks: order.looks + (learned ? 1 : 0),
    fruitless: learned && !overdue ? 0 : order.fruitless + 1,
  }
  if (isNotifiedInVain(after, order.now_ms)) {
    await raise(payments, about(after, 'notified_but_unpaid', { state: after.state }))
  }
  const flagged = await flagIfHopeless(payments, after, counts.fruitless)
  const nextS = nextLookS({ ...flagged, ...counts }, now, closeNotBeforeS)
  // In time to notice that a notification came to nothing.
  const inS = Math.min(nextS ?? Infinity, untilInVainS(after, order.now_ms))
  // Guarded by the time this look was claimed with: a move has set its own, a notification wants it now.
  await scheduleOrder(payments.store, order, inS === Infinity ? null : { inMs: inS * 1000, ...counts })
}

type Worked = { order: Order; learned: boolean }

async function work(payments: Payments, order: ReadOrder, deadline: Deadline): Promise<Worked> {
  switch (order.state) {
    case 'created':
    case 'pending': {
      const look = await lookUpstream(payments, order, deadline)
      const now = nowS(payments.clock)
      const open = look.order.state === 'created' || look.order.state === 'pending'
      if (!open || isMicro(order) || isFrozen(look.order) || now <= order.time_expire + EXPIRY_GRACE_S)
        return look
      // Query, close, query: nothing is said to be closed that somebody may be paying.
      return pushClosing(payments, (await enterClosing(payments, look.order, 'expiry')).order, deadline)
    }
    case 'closing':
      return isFrozen(order)
        ? lookUpstream(payments, order, deadline)
        : pushClosing(payments, order, deadline)
    case 'closed':
    case 'failed':
      return lookUpstream(payments, order, deadline)
    case 'paid':
    case 'paid_after_close':
      return followMoney(payments, order, deadline)
    case 'refunded':
      return { order, learned: true }
  }
}

/**
 * Somebody else's number, another amount, or a reason that only a newer version knows: a person decides, not the timer.
 */
const isFrozen = (order: Order): boolean => order.flag !== null && order.flag !== 'unresolved'

/** A paid order is due when something about its money is not told yet: refunds made elsewhere, or its own way back. */
async function followMoney(payments: Payments, order: ReadOrder, deadline: Deadline): Promise<Worked> {
  if (order.state === 'paid_after_close' && order.late_policy === 'refund' && !isFrozen(order)) {
    await refundAutomatically(payments, order, deadline)
    const after = await readAgain<ReadOrder>(payments, order)
    // What is promised has a row and a time of its own. A part that somebody else refunds says nothing of the rest.
    return { order: after, learned: after.reserved_fen >= after.total_fee || after.state === 'refunded' }
  }
  const list = await importRefunds(payments, order, deadline)
  const { pay_platform, wallet_state, trade_type, reserved_fen } = list.order
  const meaning = wallet_state === null ? undefined : walletMeaning(pay_platform, wallet_state, trade_type)
  return { order: list.order, learned: list.read && !isUnexplained(meaning, list, reserved_fen) }
}

async function flagIfHopeless(payments: Payments, order: Order, fruitless: number): Promise<Order> {
  if (fruitless < FRUITLESS_MAX || order.flag !== null) return order
  const change = { flag: 'unresolved' as const }
  const detail = { reason: 'looked_in_vain', looks: fruitless }
  const anomalies = [about(order, 'order_unresolved', { state: order.state, looks: fruitless })]
  const outcome = await carryOut(
    payments,
    order,
    { change, kind: 'anomaly', detail, anomalies },
    nowS(payments.clock),
  )
  return outcome === 'done' ? moved(order, change) : order
}

// ── a refund ───────────────────────────────────────────────────────────────────────────────────────────────────

async function lookAfterRefund(payments: Payments, due: DueRefund, deadline: Deadline): Promise<void> {
  const refund = await findRefund(payments.store, due)
  const order = refund && (await findOrder(payments.store, refund))
  if (!refund || !order) return
  if (!isKnownState(order.state) || !isKnownRefundState(refund.state)) {
    // No money is sent for an order that is in the middle of something unknown.
    return raise(
      payments,
      about(order, 'state_unknown', { state: order.state, out_refund_no: refund.out_refund_no }),
    )
  }
  const { refund: after } = await advanceRefund(payments, { order, refund }, deadline).catch(
    (error: unknown) => {
      noteFailure(payments, order.out_trade_no, error)
      return { refund }
    },
  )
  const looks = refund.looks + 1
  if (looks === FRUITLESS_MAX && (after.state === 'requested' || after.state === 'accepted')) {
    const { out_refund_no } = refund
    const anomaly = about(order, 'refund_unresolved', { out_refund_no, state: after.state, looks })
    await raise(payments, { ...anomaly, about: out_refund_no })
  }
  await scheduleRefund(payments.store, refund, nextRefundLookS({ looks }) * 1000)
}

// ── notifications without an order ─────────────────────────────────────────────────────────────────────────────

async function adoptOrphans(payments: Payments): Promise<number> {
  let adopted = 0
  for (const orphan of await listAdoptable(payments.store, ORPHANS)) {
    if ((await adoptOrphan(payments.store, orphan)) === 'done') adopted++
  }
  return adopted
}

// ── rows of a newer version ────────────────────────────────────────────────────────────────────────────────────

/** They stay due as they are, for the version that knows them; a person hears of the first of them, each once. */
async function reportUnknownStates(payments: Payments, work: readonly Work[]): Promise<never[]> {
  for (const { of, out_sub_mch_id, state } of work.filter((one) => !isKnown(one))) {
    const page = { of, out_sub_mch_id, state, limit: UNKNOWN }
    for (const { out_trade_no, ...evidence } of await listUnknownStates(payments.store, page)) {
      const { out_refund_no } = evidence
      await raise(payments, {
        kind: 'state_unknown',
        out_sub_mch_id,
        out_trade_no,
        evidence: { state, ...(out_refund_no === undefined ? {} : { out_refund_no }) },
      })
    }
  }
  return []
}

// ── more work than time ────────────────────────────────────────────────────────────────────────────────────────

type Behind = { out_sub_mch_id: string; overdue_s: number }

/** What has been due longest, and is not held back on purpose, if that is too long. */
function overdue(
  { merchants }: Payments,
  work: readonly Work[],
  nowMs: number,
  isHeld: (out_sub_mch_id: string) => boolean,
): Behind | undefined {
  const [oldest] = work
    .filter((one) => isKnown(one) && merchants.find(one.out_sub_mch_id) && !isHeld(one.out_sub_mch_id))
    .sort((a, b) => a.oldest_ms - b.oldest_ms)
  if (!oldest || nowMs - oldest.oldest_ms <= BEHIND_MS) return undefined
  const { out_sub_mch_id, oldest_ms } = oldest
  return { out_sub_mch_id, overdue_s: Math.round((nowMs - oldest_ms) / 1000) }
}

const reportBehind = (payments: Payments, { out_sub_mch_id, overdue_s }: Behind): Promise<void> =>
  raise(payments, {
    kind: 'timer_behind',
    out_sub_mch_id: '',
    out_trade_no: '',
    evidence: { overdue_s, longest_of: out_sub_mch_id },
  })
