import type { Caller } from '../base/caller'
import { Fault, isOfDatabase, type FaultExtras } from '../base/errors'
import { deadlineAfter, nowS, type Deadline } from '../base/time'
import type { Order } from '../order/order'
import {
  countSend,
  findOrderOfPurchase,
  findOrdersFor,
  insertOrder,
  isQuoteUsed,
  moved,
  moveOrder,
  takeLease,
  type Lease,
  type ReadOrder,
} from '../store/orders'
import type { NewOrder } from '../store/tables'
import type { Outcome } from '../store/transaction'
import { mayLook } from './budget'
import { askCloudPay, callBudgetMs, type Payments } from './context'
import { makeWay } from './close'
import { evidenceForLog, evidenceOfCreate, type Evidence } from './evidence'
import { draftOrder } from './draft'
import { isOtherCode, isSpent, requestText } from './micro'
import { contentHash, merchantOf } from './orderRequest'
import type { OrderRequest } from './orderSchema'
import { NO_TERMS, type Terms } from './price'
import { lookUpstream } from './refresh'
import { sceneOf } from './scenes'
import { readAgain, settle } from './settle'

/**
 * Creating an order: record first, ask second. The row with the exact text is committed before the first byte
 * leaves, and every later attempt, by whichever instance, sends that text again. So a crash anywhere, a lost answer
 * or a caller who retries all end at one order upstream.
 *
 * Who may ask is decided by a lease: a fencing counter on the database's clock. Its holder counts each transmission
 * before making it; who has lost it cannot count, so cannot send. Answers are not fenced: a late one is evidence
 * like any other.
 */
export type CreatedOrder = {
  /** As committed. */
  order: Order
  /** False for a repeat of an order that was already there. */
  isNew: boolean
}

/** By then the holder's call is over, whatever happened to the holder. */
const LEASE_GRACE_MS = 5000
/** Closer to its expiry an order is only looked at: a payer could hardly pay it any more. */
const LAST_ASK_S = 60
/** The identical text again: at once after 3, after three seconds after 103, and not for ever. */
const ASKS_MAX = 3
/** After so many transmissions a repeated create only asks what became of the order. */
const SENDS_MAX = 20
const ATTEMPTS = 6

export async function createOrder(
  payments: Payments,
  caller: Caller,
  request: OrderRequest,
  idempotencyKey: string | null,
  deadline: Deadline,
  terms: Terms = NO_TERMS,
): Promise<CreatedOrder> {
  const given = request.pay_content.out_trade_no
  if (caller.kind === 'payer' && idempotencyKey === null && given === undefined) {
    throw new Fault('idempotency_required')
  }
  const budgetMs = callBudgetMs(payments.settings, deadline)
  if (budgetMs === undefined) throw new Fault('no_time_left')
  const lease = { holder: payments.random(16).toString('hex'), ms: budgetMs + LEASE_GRACE_MS }
  const askBy = deadlineAfter(payments.clock, budgetMs)

  const merchant = merchantOf(payments, request)
  const drafted = draft(() => {
    if (terms.refusal) throw terms.refusal
    if (merchant.disabled) throw new Fault('merchant_disabled')
    return draftOrder(payments, merchant, caller, request, idempotencyKey, lease.holder, terms)
  })
  const wanted: Wanted = {
    out_sub_mch_id: merchant.out_sub_mch_id,
    caller: caller.id,
    idempotency_key: idempotencyKey,
    given,
    out_trade_no: given ?? drafted.order?.out_trade_no,
    content_hash: contentHash(request, caller, merchant, terms.asked),
  }

  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let inserted: Outcome | 'taken' | 'over' = 'lost'
    if (drafted.order) {
      inserted = await insertOrder(payments.store, drafted.order, lease.ms, undefined, terms.limits)
      if (inserted === 'done') {
        // When the lease ends and when to look only the database knows; nobody reads it from here.
        const order: Order = {
          ...drafted.order,
          lease_until_ms: 0,
          next_due_at_ms: null,
          seen: 0,
          purged_at: null,
          shipped_at: null,
        }
        return { order: await ask(payments, order, true, askBy, deadline), isNew: true }
      }
    }
    // Taken, lost, or not acceptable as new: what is there decides.
    const found = theOne(await findOrdersFor(payments.store, wanted), wanted)
    if (!found && drafted.refusal) throw drafted.refusal
    if (!found && inserted === 'over') {
      const payer = payments.payerTag(drafted.order!)
      payments.log({ event: 'order.limited', count: 'order.limited', level: 'warn', payer })
      throw new Fault('too_many_orders', { retryAfterS: 60 })
    }
    if (!found && terms.quote && (await isQuoteUsed(payments.store, terms.quote)))
      throw new Fault('quote_used')
    if (!found) {
      const purchase = request.merchant_order_id
      const holder =
        purchase === undefined
          ? undefined
          : await findOrderOfPurchase(payments.store, merchant.out_sub_mch_id, purchase)
      if (holder) await makeWay(payments, caller, holder, deadline)
      continue
    }
    if (isOtherCode(payments, found, request.pay_content.author_code)) throw new Fault('content_differs')
    if (found.state !== 'created') return { order: found, isNew: false }
    if (found.lease_holder === lease.holder) {
      // Ours after all: a COMMIT whose answer was lost did take effect.
      const isNew = found.lease_token === 1
      return { order: await ask(payments, found, isNew && found.sends === 1, askBy, deadline), isNew }
    }
    if (found.lease_until_ms > found.now_ms) {
      const retryAfterS = Math.max(1, Math.ceil((found.lease_until_ms - found.now_ms) / 1000))
      throw new Fault('order_in_progress', { retryAfterS, extra: { out_trade_no: found.out_trade_no } })
    }
    if (found.flag !== null || isSpent(found) || found.sends >= SENDS_MAX || isTooLate(payments, found)) {
      if (!(await mayLook(payments, caller, found))) throw unknownOutcome(found)
      const { order } = await lookUpstream(payments, found, deadline)
      if (order.state === 'created') throw unknownOutcome(order)
      return { order, isNew: false }
    }
    if ((await takeLease(payments.store, found, lease.holder, lease.ms)) === 'done') {
      const order = { ...moved(found, {}), lease_holder: lease.holder, lease_token: found.lease_token + 1 }
      return { order: await ask(payments, order, false, askBy, deadline), isNew: false }
    }
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for a new order') })
}

const isTooLate = (payments: Payments, order: Order, inMs = 0): boolean =>
  order.time_expire - nowS(payments.clock) - inMs / 1000 <= LAST_ASK_S

/** A request that may not become a new order (its expiry is out of bounds) may still be a repeat of one. */
function draft(make: () => NewOrder): { order?: NewOrder; refusal?: Fault } {
  try {
    return { order: make() }
  } catch (error) {
    if (error instanceof Fault) return { refusal: error }
    throw error
  }
}

type Wanted = Pick<Order, 'out_sub_mch_id' | 'caller' | 'idempotency_key' | 'content_hash'> & {
  /** The caller's number. */
  given: string | undefined
  /** The caller's, or the one we made for this request. */
  out_trade_no: string | undefined
}

/** The order a request names, if it may be told about it. */
function theOne(found: ReadOrder[], wanted: Wanted): ReadOrder | undefined {
  const { idempotency_key: key, out_trade_no: number } = wanted
  // Nothing about a stranger's order, not even whether its content is the same.
  if (found.some((order) => order.caller !== wanted.caller)) throw new Fault('number_taken')
  const byKey = key === null ? undefined : found.find((order) => order.idempotency_key === key)
  const byNumber = found.find((order) => order.out_trade_no === number)
  // Also when only one of the two has an order: it was not made under the other.
  const disagree = wanted.given !== undefined && key !== null && byKey !== byNumber
  if (disagree) throw new Fault('key_and_number_disagree')
  const order = byKey ?? byNumber
  if (order && order.content_hash !== wanted.content_hash) throw new Fault('content_differs')
  return order
}

// ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────

class LeaseLost extends Error {}

/**
 * Sends the stored text for the holder of the lease and settles what comes back. Answers from the row as committed:
 * returns it if the order is alive, throws `cloud_pay_refused`, `cloud_pay_rejected_request` or `outcome_unknown`.
 * `counted`: the first transmission was counted when the row was written.
 */
async function ask(
  payments: Payments,
  order: Order,
  counted: boolean,
  askBy: Deadline,
  deadline: Deadline,
): Promise<Order> {
  const lease = { token: order.lease_token, holder: order.lease_holder }
  let current = order
  let sent = false
  try {
    const evidence = await askWithRetries()
    if (
      // Not the only transmission, so this no may be about the earlier one: look.
      (current.state === 'created' && evidence.proves === 'refused') ||
      // Told how it ended: money moves on our own query alone, and the till is waiting.
      (evidence.proves === 'accepted' && evidence.decided)
    ) {
      current = (await lookUpstream(payments, current, deadline)).order
    }
    if (current.state === 'created') current = await release(payments, current, lease, evidence)
    return answerFrom(current, evidence)
  } catch (error) {
    const read =
      error instanceof LeaseLost ? await readAgain(payments, order).catch(() => undefined) : undefined
    if (read) return answerFrom(read, undefined)
    // Somebody else is asking, or has asked, and what came of it cannot be read just now.
    if (error instanceof LeaseLost) throw unknownOutcome(order, error)
    // Whatever broke on our side after the text had left: nobody knows how it ended.
    if (sent && (isOfDatabase(error) || !(error instanceof Fault))) {
      throw unknownOutcome(order, error)
    }
    throw error
  }

  async function askWithRetries(): Promise<Evidence> {
    const text = requestText(payments, order)
    for (let asks = 1; ; asks++) {
      const answer = await askCloudPay(payments, order, sceneOf(order.trade_type).iface, text, {
        timeoutMs: askBy.remainingMs(),
        beforeSend: async () => {
          if (counted) counted = false
          else current = await countTransmission(payments, current, lease)
          sent = true
        },
      })
      const evidence = evidenceOfCreate(current, answer)
      payments.log({
        event: 'order.asked',
        out_trade_no: order.out_trade_no,
        payer: payments.payerTag(order),
        sends: current.sends,
        ...evidenceForLog(evidence),
        ...(answer.logId === undefined ? {} : { log_id: answer.logId }),
      })
      current = await settle(payments, current, evidence)
      const waitMs = answer.outcome === 'unknown' ? answer.retryAfterMs : undefined
      if (current.state !== 'created' || waitMs === undefined || asks === ASKS_MAX) return evidence
      if (askBy.remainingMs() - waitMs < 500 || isTooLate(payments, order, waitMs)) return evidence
      if (waitMs > 0) await payments.clock.sleep(waitMs)
    }
  }
}

/** Throws LeaseLost when somebody else may be sending, or when there is nothing left to send. */
async function countTransmission(payments: Payments, order: Order, lease: Lease): Promise<Order> {
  let current = order
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if ((await countSend(payments.store, current, lease)) === 'done') {
      return { ...moved(current, {}), sends: current.sends + 1 }
    }
    const again = await readAgain<ReadOrder>(payments, order)
    const mine = again.lease_token === lease.token && again.lease_holder === lease.holder
    if (!mine || again.state !== 'created' || again.lease_until_ms <= again.now_ms) throw new LeaseLost()
    // Only the holder counts: one more than before is our own COMMIT whose answer was lost.
    if (again.sends === current.sends + 1) return again
    current = again
  }
  throw new LeaseLost()
}

/** Nothing of ours is on its way any more: the next one need not wait for the lease to run out. */
async function release(payments: Payments, order: Order, lease: Lease, evidence: Evidence): Promise<Order> {
  let current = order
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const change = { lease_until_ms: 0 }
    const outcome = await moveOrder(payments.store, current, change, {
      at: nowS(payments.clock),
      kind: 'asked',
      detail: { outcome: evidence.proves === 'nothing' ? evidence.why : evidence.proves },
      note: (evidence.proves === 'nothing' || evidence.proves === 'refused' ? evidence.said : null) ?? null,
    })
    if (outcome === 'done') return moved(current, change)
    current = await readAgain(payments, order)
    if (current.state !== 'created' || current.lease_holder !== lease.holder) return current
  }
  return current
}

function answerFrom(order: Order, evidence: Evidence | undefined): Order {
  const extra = { out_trade_no: order.out_trade_no }
  if (order.state === 'failed') {
    const status = evidence?.proves === 'refused' ? { cloud_pay_status: evidence.status } : {}
    throw new Fault('cloud_pay_refused', { extra: { ...extra, ...status } })
  }
  if (order.state !== 'created') return order
  if (evidence?.proves === 'nothing' && evidence.rejected) {
    throw new Fault('cloud_pay_rejected_request', { extra: { ...extra, read: readPath(order) } })
  }
  throw unknownOutcome(order)
}

const readPath = (order: Order): string => `/orders/${order.out_trade_no}?refresh=1`

function unknownOutcome(order: Order, cause?: unknown): Fault {
  const extras: FaultExtras = { extra: { out_trade_no: order.out_trade_no, read: readPath(order) } }
  return new Fault('outcome_unknown', cause === undefined ? extras : { ...extras, cause })
}
