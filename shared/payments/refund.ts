import { createHash } from 'node:crypto'
import * as v from 'valibot'
import type { Caller } from '../base/caller'
import { storedPayerHash } from '../base/payer'
import { Fault, isOfDatabase } from '../base/errors'
import { Fen } from '../base/money'
import { makeNonce } from '../base/random'
import { nowS, type Deadline } from '../base/time'
import { fieldFaults, flaw, S, S1 } from '../base/validate'
import type { RefundRequest as UpstreamRequest } from '../cloudpay/schema'
import { orderNumberFault } from '../order/number'
import type { Order } from '../order/order'
import { isSettled, type Refund } from '../order/refund'
import { canStillChange, hasMoney } from '../order/state'
import { findRefund, insertRefund, listRefunds, type NewRefund, type RefundLimit } from '../store/refunds'
import { mayLook } from './budget'
import { aboutOrder, type Payments } from './context'
import { findOwnOrder, lookUpstream } from './refresh'
import { about, raise } from './raise'
import { advanceRefund } from './refundAsking'
import { readAgain } from './settle'
import { readBoth, type Both } from './settleRefund'

/**
 * Refunds: the amount is reserved and the exact text recorded before anything is asked, and every later attempt sends
 * that text under the same number. "Accepted" is not done: only a signed query says that money went back.
 */
export const RefundRequest = v.strictObject({
  /** Integer fen. */
  refund_fee: Fen,
  /** Starts with the order prefix, letters and digits, at most 32; with an `Idempotency-Key`, made from that. */
  out_refund_no: v.optional(S1(32)),
  reason: v.optional(S(64)),
})
export type RefundRequest = v.InferOutput<typeof RefundRequest>

const ATTEMPTS = 6
/** Should the one who recorded it die, the timer goes on this much later. */
const FIRST_DUE_MS = 30_000
const HOUR_MS = 3_600_000

/** Throws the Fault `body_invalid`. */
export function readRefundRequest(body: unknown, payments: Payments): RefundRequest {
  const read = v.safeParse(RefundRequest, body)
  if (!read.success) throw new Fault('body_invalid', { fields: fieldFaults(read.issues) })
  const { out_refund_no: number } = read.output
  const prefix =
    payments.merchants.ofNumber(number ?? '')?.order_prefix ?? payments.merchants.first.order_prefix
  const fault = number === undefined ? undefined : orderNumberFault(prefix, number)
  if (fault !== undefined)
    throw new Fault('body_invalid', { fields: [flaw('out_refund_no', 'value', fault)] })
  return read.output
}

/**
 * Refunds the caller's paid order, in part or in full. A repeat, by number or by `Idempotency-Key`, is the same
 * refund. Returns it as committed, whatever its state is by then; throws `refund_refused` for a signed no.
 */
export async function createRefund(
  payments: Payments,
  caller: Caller,
  out_trade_no: string,
  request: RefundRequest,
  idempotencyKey: string | null,
  deadline: Deadline,
): Promise<Both & { isNew: boolean }> {
  if (caller.kind !== 'merchant') throw new Fault('caller_not_allowed')
  const found = await findOwnOrder(payments, caller, out_trade_no)
  const own = await lookIfUnpaid(payments, caller, found, deadline)
  const prefix = payments.merchants.ofNumber(out_trade_no)!.order_prefix
  const out_refund_no =
    request.out_refund_no ??
    (idempotencyKey === null ? undefined : derivedNumber(prefix, 'k', `${out_trade_no} ${idempotencyKey}`))
  // A retry under a number of its own would be a second refund.
  if (out_refund_no === undefined) throw new Fault('refund_number_required')
  const wanted = { out_refund_no, refund_fee: request.refund_fee, reason: request.reason ?? null }

  const recorded = await recordRefund(payments, own, wanted, 'request', caller.id)
  // A repeat of one that is on its way is as good as a look.
  const isAsked = recorded.isNew || isSettled(recorded.refund.state) || (await mayLook(payments, caller, own))
  if (!isAsked) return recorded
  const both = await advanceRefund(payments, recorded, deadline).catch((error: unknown) => {
    // It is recorded, and may have been asked for: whatever the database does now, the timer goes on.
    if (isOfDatabase(error)) return recorded
    throw error
  })
  const { order, refund } = both
  if (recorded.isNew && refund.state === 'failed') {
    const numbers = { out_trade_no, out_refund_no }
    if (refund.sends > 0) throw new Fault('refund_refused', { extra: numbers })
    throw new Fault('refund_exceeds', {
      extra: { ...numbers, left_fee: order.total_fee - order.reserved_fen },
    })
  }
  return { ...both, isNew: recorded.isNew }
}

/** The payment may be a moment old, and not seen here yet: Cloud Pay is asked once before anybody is told no. */
async function lookIfUnpaid(
  payments: Payments,
  caller: Caller,
  order: Order,
  deadline: Deadline,
): Promise<Order> {
  if (hasMoney(order.state) || !canStillChange(order.state)) return order
  return (await mayLook(payments, caller, order))
    ? (await lookUpstream(payments, order, deadline)).order
    : readAgain(payments, order)
}

/** Letters and digits only, at most 32 characters, the same for the same matter. */
export function derivedNumber(prefix: string, kind: 'a' | 'k', matter: string): string {
  const hash = BigInt(`0x${createHash('sha256').update(matter).digest('hex')}`).toString(36)
  return (prefix + kind + hash).slice(0, 32)
}

// ── recording ──────────────────────────────────────────────────────────────────────────────────────────────────

type Wanted = Pick<Refund, 'out_refund_no' | 'refund_fee' | 'reason'>

export async function recordRefund(
  payments: Payments,
  own: Order,
  wanted: Wanted,
  origin: 'request' | 'automatic',
  caller: string,
): Promise<Both & { isNew: boolean }> {
  const key = { out_sub_mch_id: own.out_sub_mch_id, out_refund_no: wanted.out_refund_no }
  let order = own
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const known = await findRefund(payments.store, key)
    if (known) {
      const same =
        known.out_trade_no === order.out_trade_no &&
        known.refund_fee === wanted.refund_fee &&
        // A purged reason can no longer be compared; number, order and amount say which refund it is.
        (known.reason === wanted.reason || known.reason === '')
      if (!same) throw new Fault('content_differs', { extra: { out_refund_no: known.out_refund_no } })
      // Recorded by somebody who has seen the payment since this order was read.
      const paid = hasMoney(order.state) ? order : await readAgain(payments, order)
      return { order: paid, refund: known, isNew: false }
    }
    if (!hasMoney(order.state) || order.state === 'refunded') {
      throw new Fault('order_not_refundable', { extra: { state: order.state } })
    }
    const unresolved = (await listRefunds(payments.store, order)).find((one) => one.state === 'requested')
    if (unresolved) {
      throw new Fault('refund_unresolved', { extra: { out_refund_no: unresolved.out_refund_no } })
    }
    const leftFen = order.total_fee - order.reserved_fen
    if (wanted.refund_fee > leftFen) throw new Fault('refund_exceeds', { extra: { left_fee: leftFen } })

    const refund = draftRefund(payments, order, wanted, origin, caller)
    const detail = {
      out_refund_no: refund.out_refund_no,
      refund_fee: refund.refund_fee,
      to_refund: 'requested',
      origin,
    }
    const event = { at: refund.created_at, kind: 'refund' as const, detail }
    const limits = ceilings(payments, order, origin)
    const outcome = await insertRefund(payments.store, order, refund, FIRST_DUE_MS, event, limits)
    if (outcome === 'over') {
      const evidence = { out_refund_no: refund.out_refund_no, refund_fee: refund.refund_fee }
      // A person's refund that is refused later must not hide that the automatic one waits.
      const which = origin === 'automatic' ? { about: 'automatic' } : {}
      await raise(payments, { ...about(order, 'refund_ceiling', evidence), ...which })
      throw new Fault('refund_ceiling', { retryAfterS: 3600 })
    }
    order = await readAgain(payments, order)
    if (outcome === 'done') {
      payments.log({
        event: 'refund.recorded',
        count: 'refund.requested',
        out_trade_no: order.out_trade_no,
        payer: payments.payerTag(order),
        ...detail,
      })
      return { ...(await readBoth(payments, refund)), isNew: true }
    }
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for a new refund') })
}

function draftRefund(
  payments: Payments,
  order: Order,
  { out_refund_no, refund_fee, reason }: Wanted,
  origin: 'request' | 'automatic',
  caller: string,
): NewRefund {
  const now = nowS(payments.clock)
  const { pay_mch_key, order_client } = aboutOrder(payments, order)
  const operator = operatorOf(payments, order)
  const content: UpstreamRequest = {
    pay_mch_key: { ...pay_mch_key, ...operator.pay_mch_key },
    order_client: { ...operator.order_client, ...order_client },
    refund_content: {
      out_trade_no: order.out_trade_no,
      out_refund_no,
      total_fee: order.total_fee,
      refund_fee,
      refund_fee_type: 'CNY',
      ...(reason === null ? {} : { refund_reason: reason }),
    },
    nonce_str: makeNonce(payments.random),
  }
  return {
    out_sub_mch_id: order.out_sub_mch_id,
    out_refund_no,
    out_trade_no: order.out_trade_no,
    refund_fee,
    origin,
    reason,
    caller,
    request_content: JSON.stringify(content),
    state: 'requested',
    version: 1,
    created_at: now,
    updated_at: now,
    sends: 0,
    looks: 0,
    refund_id: null,
    wallet_state: null,
  }
}

/**
 * Who refunds: as configured, but for the device and the member of staff that the order itself names, while its text is
 * there. Resolved once, when the text is written; that text is sent every time.
 */
function operatorOf({ merchants }: Payments, { out_sub_mch_id, request_content }: Order) {
  const { device_id, staff_id, ...authority } = merchants.find(out_sub_mch_id)?.refund_operator ?? {}
  const own: Partial<UpstreamRequest['order_client']> =
    request_content === '' ? {} : ((JSON.parse(request_content) as UpstreamRequest).order_client ?? {})
  const named = { device_id: own.device_id ?? device_id, staff_id: own.staff_id ?? staff_id }
  const given = <Members extends object>(members: Members) =>
    Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Members
  return { pay_mch_key: given(authority), order_client: given(named) }
}

function ceilings({ settings }: Payments, order: Order, origin: 'request' | 'automatic'): RefundLimit[] {
  const { out_sub_mch_id } = order
  const { refundCeilings, limits, prices } = settings
  const day = { periodMs: 24 * HOUR_MS, count: 1 } as const
  const payer = storedPayerHash(order)
  const many: RefundLimit[] = [
    { ...day, name: `refunds:${out_sub_mch_id}`, max: limits.merchantRefundsPerDay },
    ...(payer === undefined ? [] : [{ ...day, name: `rp:${payer}`, max: limits.payerRefundsPerDay }]),
  ]
  return [
    { name: `refund_h:${out_sub_mch_id}`, periodMs: HOUR_MS, max: refundCeilings.hourFen },
    { name: `refund_d:${out_sub_mch_id}`, periodMs: 24 * HOUR_MS, max: refundCeilings.dayFen },
    // What came late goes back, however often that happens.
    ...(prices.free || origin === 'automatic' ? [] : many),
  ]
}
