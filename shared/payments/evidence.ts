import type { Answer } from '../cloudpay/client'
import { echoFaults, type Expected } from '../cloudpay/echoes'
import { INTERNAL_STATUS, STATUS } from '../cloudpay/enums'
import type { PayAnswer } from '../cloudpay/scenes'
import {
  isTransforming,
  queryOrder,
  type InternalStatus,
  type OrderAnswer,
  type OrderContent,
} from '../cloudpay/schema'
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
  | { proves: 'refused'; status: number; internalStatus: InternalStatus; said: string | null }
  /** What the wallet says, from our own signed query. */
  | { proves: 'wallet'; meaning: Meaning; wallet_state: number; money: Money; notes: Notes }
  /** A signed "no such order". Never final on its own. */
  | { proves: 'not_found' }
  /** It is signed, and it speaks of something else: an anomaly. `paid`: it says that this something was paid. */
  | { proves: 'mismatch'; fields: string[]; paid?: boolean }
  /** A signed refusal to close, and a signed query after it: the payer can still pay. */
  | { proves: 'close_refused'; said: string | null }
  /** Nothing. `rejected`: it told us to mend our request (101). `at`: paths of what was missing or could not be read. */
  | { proves: 'nothing'; why: string; rejected: boolean; at?: string[]; said?: string | null }

type Money = Pick<Order, 'transaction_id' | 'paid_at' | 'cash_fee' | 'settlement_total_fee'>
/** Recorded with the move, decides nothing. */
type Notes = { nonce_echo_differs?: true }

/** An id we did not send cannot be compared: whoever scans a code is the payer. */
const expectedOf = (order: Order): Expected =>
  namesPayer(sceneOf(order.trade_type)) ? order : { ...order, payer_field: '', payer_id: '' }

const nothing = (why: string, at?: string[]): Evidence => ({
  proves: 'nothing',
  why,
  rejected: false,
  ...(at ? { at } : {}),
})

/** What is the same for every call: an unknown proves nothing, and neither does being told to mend the request. */
const withoutProof = (answer: Extract<Answer<unknown>, { outcome: 'unknown' | 'rejected' }>): Evidence =>
  answer.outcome === 'unknown'
    ? nothing(answer.why, answer.at === undefined ? undefined : [answer.at])
    : { proves: 'nothing', why: `status_${answer.status}`, rejected: true, said: answer.said }

/**
 * `answer` has been read by the schema of the order's own interface. One without order content proves that the request
 * was accepted, and nothing about the money.
 */
export function evidenceOfCreate(order: Order, answer: Answer<unknown>): Evidence {
  if (answer.outcome === 'no') {
    const { status, internalStatus, said } = answer
    return { proves: 'refused', status, internalStatus, said }
  }
  if (answer.outcome !== 'yes') return withoutProof(answer)
  const member = answer.member as PayAnswer
  const { iface, keep } = sceneOf(order.trade_type)
  const { different, missing } = echoFaults(iface.echoes, member, expectedOf(order))
  if (different.length > 0) return { proves: 'mismatch', fields: different }
  if (missing.length > 0) return nothing('echo_missing', missing)
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
      : { proves: 'nothing', why: `status_${answer.status}`, rejected: false, said: answer.said }
  }
  if (answer.outcome !== 'yes') return withoutProof(answer)
  const { order_content: content } = answer.member
  const { different, missing } = echoFaults(queryOrder.echoes, answer.member, expectedOf(order))
  const wallet_state = walletStateOf(order, content)
  const meaning = wallet_state === undefined ? undefined : meaningOf(order, wallet_state)
  if (different.length > 0)
    return { proves: 'mismatch', fields: different, paid: meaning !== undefined && saysPaid(meaning) }
  if (missing.length > 0) return nothing('echo_missing', missing)
  if (wallet_state === undefined) return nothing('wallet_state_missing')
  if (meaning === undefined) return nothing(`wallet_state_${wallet_state}`)
  if (meaning === 'not_found') return { proves: 'not_found' }
  // "The server is working on it": what it is becoming is not ours to say, least of all a final no.
  const isNo = meaning === 'closed' || meaning === 'closed_or_refunded'
  if (isTransforming(content) && isNo) return nothing('is_transforming')
  return {
    proves: 'wallet',
    meaning,
    wallet_state,
    money: {
      transaction_id: content.transaction_id ?? null,
      // 0 is no time at which anybody paid.
      paid_at: content.time_end || null,
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
export const provesPayment = (evidence: Evidence): evidence is Extract<Evidence, { proves: 'wallet' }> =>
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
  order.sends === 1 && mayBeFinal(evidence.internalStatus)

/** An internal status that cannot be read may be 407. */
export const mayBeFinal = (internalStatus: InternalStatus): boolean =>
  internalStatus !== INTERNAL_STATUS.numberReusedWithOtherContent && internalStatus !== 'unreadable'

/** 102: this number may belong to somebody's other order. Whatever is paid under it needs a person's look. */
export const takesNumberAway = (evidence: Extract<Evidence, { proves: 'refused' }>): boolean =>
  evidence.status === STATUS.failedTakeNewNumber

/** What a line of the log says of evidence. */
export const evidenceForLog = (evidence: {
  proves: string
  why?: string
  at?: string[]
  status?: number
  said?: string | null
}) => {
  const { proves, why, at, status, said } = evidence
  return {
    proves,
    ...(why === undefined ? {} : { why }),
    ...(at === undefined ? {} : { at }),
    ...(status === undefined ? {} : { status }),
    ...(said === undefined || said === null ? {} : { said }),
  }
}
