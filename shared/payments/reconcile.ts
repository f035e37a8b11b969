import { Fault } from '../base/errors'
import { describeError } from '../base/log'
import { nowS, type Deadline } from '../base/time'
import type { Order } from '../order/order'
import { isKnownRefundState } from '../order/refund'
import { FRUITLESS_MAX, nextLookS, nextRefundLookS, EXPIRY_GRACE_S } from '../order/schedule'
import { isKnownState, isOpen, walletMeaning } from '../order/state'
import { useUpTo } from '../store/counters'
import {
  claimDueOrder,
  claimDueRefund,
  listDueOrders,
  listDueRefunds,
  listUnknownStates,
  type DueOrder,
  type DueRefund,
} from '../store/due'
import { adoptOrphan, listOrphans } from '../store/notifications'
import { findOrder, moved, scheduleOrder, type ReadOrder } from '../store/orders'
import { findRefund, scheduleRefund } from '../store/refunds'
import { enterClosing, pushClosing } from './close'
import type { KnownMerchant, Payments } from './context'
import { advanceRefund } from './refundAsking'
import { refundAutomatically } from './refundLate'
import { importRefunds, isUnexplained } from './refundList'
import { isMicro } from './micro'
import { lookUpstream } from './refresh'
import { about, raise } from './raise'
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

const BATCH = 60
/** Looked after side by side: most of a look is waiting for an answer. */
const LANES = 6
/** Longer than any function lives, so that two runs never have the same order in hand. */
const LEASE_MS = 60_000
/** What the slowest item needs to be worth beginning. */
const ITEM_MIN_MS = 4000
const ORPHANS = 20
const UNKNOWN = 20

type Item = { merchant: string } & ({ order: DueOrder } | { refund: DueRefund })

export async function reconcileDue(payments: Payments, deadline: Deadline): Promise<ReconcileSummary> {
  const summary: ReconcileSummary = { orders: 0, refunds: 0, taken: 0, failed: 0, orphans: 0, left: 0 }
  summary.orphans = await adoptOrphans(payments)
  await reportUnknownStates(payments)
  // Batch after batch while there is time, and while a batch gets anything done.
  while (deadline.remainingMs() >= ITEM_MIN_MS) {
    const before = summary.orders + summary.refunds
    const items = await pickDue(payments)
    let next = 0
    const lane = async () => {
      for (let item = items[next++]; item; item = items[next++]) {
        if (deadline.remainingMs() < ITEM_MIN_MS) summary.left++
        else await lookAfter(payments, item, summary, deadline)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    if (items.length < BATCH / 2 || summary.orders + summary.refunds === before) break
  }
  return summary
}

/**
 * Half of a merchant's share are orders nobody has looked at yet, the newest first: a thousand that always fail cannot
 * stand in their way. No merchant gets more than half of a batch while others wait, nor more than its rate allows.
 */
async function pickDue(payments: Payments): Promise<Item[]> {
  const { all } = payments.merchants
  const share = all.length === 1 ? BATCH : BATCH / 2
  const queues: Item[][] = []
  // Not always the same one first.
  const first = payments.random(1)[0]! % all.length
  for (const merchant of [...all.slice(first), ...all.slice(0, first)]) {
    const due = await dueOf(payments, merchant, share)
    if (due.length === 0) continue
    const rate = {
      name: `rate:${merchant.out_sub_mch_id}`,
      periodMs: 60_000,
      max: payments.settings.perMinute,
    }
    queues.push(due.slice(0, await useUpTo(payments.store, rate, due.length)))
  }
  // One of each in turn.
  const items: Item[] = []
  for (let at = 0; items.length < BATCH && queues.some((queue) => at < queue.length); at++) {
    for (const queue of queues) if (at < queue.length && items.length < BATCH) items.push(queue[at]!)
  }
  return items
}

async function dueOf(payments: Payments, { out_sub_mch_id }: KnownMerchant, share: number): Promise<Item[]> {
  const { store } = payments
  const page = (limit: number) => ({ out_sub_mch_id, limit })
  const fresh = await listDueOrders(store, page(Math.ceil(share / 2)), 'new')
  const late = await listDueOrders(store, page(share), 'late')
  const refunds = await listDueRefunds(store, page(Math.ceil(share / 4)))
  const known = new Set(fresh.map(({ out_trade_no }) => out_trade_no))
  const orders = [...fresh, ...late.filter(({ out_trade_no }) => !known.has(out_trade_no))]
  // In turn, a new order first: when time is short, neither kind stands in the other's way.
  const items = Array.from({ length: share }, (_, at): Item[] => [
    ...orders.slice(at, at + 1).map((order) => ({ merchant: out_sub_mch_id, order })),
    ...refunds.slice(at, at + 1).map((refund) => ({ merchant: out_sub_mch_id, refund })),
  ])
  return items.flat().slice(0, share)
}

async function lookAfter(
  payments: Payments,
  item: Item,
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
      return pushClosing(payments, await enterClosing(payments, look.order, 'expiry'), deadline)
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
    // Once promised, the refund has a row and a time of its own.
    return { order: after, learned: after.reserved_fen > 0 || after.state === 'refunded' }
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
  for (const orphan of await listOrphans(payments.store, ORPHANS)) {
    if (!(await findOrder(payments.store, orphan))) continue
    if ((await adoptOrphan(payments.store, orphan)) === 'done') adopted++
  }
  return adopted
}

// ── rows of a newer version ────────────────────────────────────────────────────────────────────────────────────

/** They stay due as they are, for the version that knows them; a person hears of each once. */
async function reportUnknownStates(payments: Payments): Promise<void> {
  for (const { out_sub_mch_id } of payments.merchants.all) {
    const page = { out_sub_mch_id, limit: UNKNOWN }
    for (const { out_trade_no, ...evidence } of await listUnknownStates(payments.store, page)) {
      const { state, out_refund_no } = evidence
      await raise(payments, {
        kind: 'state_unknown',
        out_sub_mch_id,
        out_trade_no,
        evidence: { state, ...(out_refund_no === undefined ? {} : { out_refund_no }) },
      })
    }
  }
}
