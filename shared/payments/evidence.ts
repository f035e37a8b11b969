import type { Answer } from '../cloudpay/client'
import { echoFaults, type Expected } from '../cloudpay/echoes'
import { INTERNAL_STATUS, STATUS } from '../cloudpay/enums'
import type { PayAnswer } from '../cloudpay/scenes'
import { queryOrder, type OrderAnswer, type OrderContent } from '../cloudpay/schema'
import type { Order } from '../order/order'
import { MICRO, walletMeaning, type Meaning } from '../order/state'
import { namesPayer, sceneOf } from './scenes'

/**
 * What one answer proves about one order. Between "Cloud Pay said" and "so we do": the answer has been verified and
 * parsed; here it is compared with the stored order, and reduced to what it is worth.
 */
export type Evidence =
  /** The create was taken: the payer can pay. `decided`: micro_pay says how it ended, for a query to confirm. */
  | { proves: 'accepted'; jsapi_args: string | null; notes: Notes; decided: boolean }
  /** A signed no to a create. What it is worth depends on how often we had sent. */
  | { proves: 'refused'; status: number; internalStatus: number | undefined }
  /** What the wallet says, from our own signed query. */
  | { proves: 'wallet'; meaning: Meaning; wallet_state: number; money: Money; notes: Notes }
  /** A signed "no such order". Never final on its own. */
  | { proves: 'not_found' }
  /** It is signed, and it speaks of something else: an anomaly. `paid`: it says that this something was paid. */
  | { proves: 'mismatch'; fields: string[]; paid?: boolean }
  /** A signed refusal to close, and a signed query after it: the payer can still pay. */
  | { proves: 'close_refused' }
  /** Nothing. `rejected`: it told us to mend our request (101). */
  | { proves: 'nothing'; why: string; rejected: boolean }

type Money = Pick<Order, 'transaction_id' | 'paid_at' | 'cash_fee' | 'settlement_total_fee'>
/** Recorded with the move, decides nothing. */
type Notes = { nonce_echo_differs?: true }

/** An id we did not send cannot be compared: whoever scans a code is the payer. */
const expectedOf = (order: Order): Expected =>
  namesPayer(sceneOf(order.trade_type)) ? order : { ...order, payer_field: '', payer_id: '' }

const nothing = (why: string, rejected = false): Evidence => ({ proves: 'nothing', why, rejected })

/** What is the same for every call: an unknown proves nothing, and neither does being told to mend the request. */
const withoutProof = (answer: Extract<Answer<unknown>, { outcome: 'unknown' | 'rejected' }>): Evidence =>
  answer.outcome === 'unknown' ? nothing(answer.why) : nothing(`status_${answer.status}`, true)

/**
 * `answer` has been read by the schema of the order's own interface. One without order content proves that the request
 * was accepted, and nothing about the money.
 */
export function evidenceOfCreate(order: Order, answer: Answer<unknown>): Evidence {
  if (answer.outcome === 'no') {
    return { proves: 'refused', status: answer.status, internalStatus: answer.internalStatus }
  }
  if (answer.outcome !== 'yes') return withoutProof(answer)
  const member = answer.member as PayAnswer
  const { iface, keep } = sceneOf(order.trade_type)
  const fields = echoFaults(iface.echoes, member, expectedOf(order))
  if (fields.length > 0) return { proves: 'mismatch', fields }
  const kept = keep(member)
  const { order_content: content } = member
  return {
    proves: 'accepted',
    jsapi_args: kept === undefined ? null : JSON.stringify(kept),
    notes: content === undefined ? {} : notesOn(order, content),
    decided: content !== undefined && order.trade_type === MICRO && isDecided(order, content),
  }
}

export function evidenceOfQuery(order: Order, answer: Answer<OrderAnswer>): Evidence {
  if (answer.outcome === 'no') {
    return answer.internalStatus === INTERNAL_STATUS.orderNotFound
      ? { proves: 'not_found' }
      : nothing(`status_${answer.status}`)
  }
  if (answer.outcome !== 'yes') return withoutProof(answer)
  const { order_content: content } = answer.member
  const fields = echoFaults(queryOrder.echoes, answer.member, expectedOf(order))
  const wallet_state = walletStateOf(order, content)
  const meaning = wallet_state === undefined ? undefined : meaningOf(order, wallet_state)
  if (fields.length > 0)
    return { proves: 'mismatch', fields, paid: meaning !== undefined && saysPaid(meaning) }
  if (wallet_state === undefined) return nothing('wallet_state_missing')
  if (meaning === undefined) return nothing(`wallet_state_${wallet_state}`)
  if (meaning === 'not_found') return { proves: 'not_found' }
  // "The server is working on it": what it is becoming is not ours to say, least of all a final no.
  const isNo = meaning === 'closed' || meaning === 'closed_or_refunded'
  if (content.is_transforming === true && isNo) return nothing('is_transforming')
  return {
    proves: 'wallet',
    meaning,
    wallet_state,
    money: {
      transaction_id: content.transaction_id ?? null,
      paid_at: content.time_end ?? null,
      cash_fee: content.cash_fee ?? null,
      settlement_total_fee: content.settlement_total_fee ?? null,
    },
    notes: notesOn(order, content),
  }
}

function isDecided(order: Order, content: OrderContent): boolean {
  const state = walletStateOf(order, content)
  const meaning = state === undefined ? undefined : meaningOf(order, state)
  return meaning !== undefined && meaning !== 'paying' && meaning !== 'not_found'
}

const meaningOf = (order: Order, state: number): Meaning | undefined =>
  walletMeaning(order.pay_platform, state, order.trade_type)

export const saysPaid = (meaning: Meaning): boolean => meaning === 'paid' || meaning === 'paid_then_refund'

/** A fresh, verified "paid" about this very order: what an automatic refund needs before it is sent. */
export const provesPayment = (evidence: Evidence): boolean =>
  evidence.proves === 'wallet' && saysPaid(evidence.meaning)

/** From the extension of the order's own platform; the other one proves nothing. */
const walletStateOf = (order: Order, content: OrderContent): number | undefined =>
  (order.pay_platform === 1 ? content.wxpay_order_content_ext : content.alipay_order_content_ext)
    ?.current_trade_state

/** `order_content.nonce_str` repeats the nonce of the create request. Worth a note when it does not, no more. */
function notesOn(order: Order, content: OrderContent): Notes {
  // Long ago, and purged: there is nothing left to compare with.
  if (order.request_content === '') return {}
  const { nonce_str } = JSON.parse(order.request_content) as { nonce_str: string }
  return content.nonce_str === undefined || content.nonce_str === nonce_str
    ? {}
    : { nonce_echo_differs: true }
}

/**
 * Whether a signed no ends the order: only as the answer to its only transmission. After two, this may be the second
 * one's "number already used" while the first one stands; and 407 says just that.
 */
export const isFinalNo = (evidence: Extract<Evidence, { proves: 'refused' }>, order: Order): boolean =>
  order.sends === 1 && evidence.internalStatus !== INTERNAL_STATUS.numberReusedWithOtherContent

/** 102: this number may belong to somebody's other order. Whatever is paid under it needs a person's look. */
export const takesNumberAway = (evidence: Extract<Evidence, { proves: 'refused' }>): boolean =>
  evidence.status === STATUS.failedTakeNewNumber
