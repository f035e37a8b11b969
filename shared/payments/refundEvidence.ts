import type { Answer } from '../cloudpay/client'
import { echoFaults, refundEchoes, type EchoFaults, type ExpectedRefund } from '../cloudpay/echoes'
import { INTERNAL_STATUS, PAY_PLATFORM } from '../cloudpay/enums'
import {
  isTransforming,
  type InternalStatus,
  type RefundAnswer,
  type RefundOrderContent,
} from '../cloudpay/schema'
import type { Order } from '../order/order'
import { REFUND_MEANING, type Refund, type RefundMeaning } from '../order/refund'

/** What one answer proves about one refund: the same steps as for orders, see evidence.ts. */
export type RefundEvidence =
  /** Taken to be worked on. Not done. */
  | { proves: 'accepted' }
  /** A signed no to a refund request. */
  | { proves: 'refused'; status: number; internalStatus: InternalStatus; said: string | null }
  /** It told us to mend our refund request (101): nothing was proven. */
  | { proves: 'rejected'; status: number; said: string | null }
  /** What the wallet says of it, from our own signed query. */
  | {
      proves: 'state'
      meaning: Exclude<RefundMeaning, 'not_found'>
      wallet_state: number
      refund_id: string | null
    }
  /**
   * A signed "no such refund". After an unknown it proves nothing: the request may still be under way. `signedNone`: said
   * with internal_status 426, and not by the wallet's own state.
   */
  | { proves: 'not_found'; signedNone: boolean }
  /** The same, after a refused repeat and long after the last transmission. Once it proves nothing; see refundRefused.ts. */
  | { proves: 'missing'; nowMs: number }
  /** All of it together: no transmission of it ever arrived, and none will. */
  | { proves: 'never_arrived' }
  /** Refunds made elsewhere leave no money for one that was never sent. */
  | { proves: 'no_room' }
  | { proves: 'mismatch'; fields: string[] }
  /** A person's word, no answer: see byPerson.ts. */
  | { proves: 'person'; ending: 'paid_out' | 'given_up'; id: string; note: string }
  | { proves: 'nothing'; why: string; at?: string[]; said?: string | null }

const nothing = (why: string, at?: string[]): RefundEvidence => ({
  proves: 'nothing',
  why,
  ...(at ? { at } : {}),
})

export function evidenceOfRefund(order: Order, refund: Refund, answer: Answer<RefundAnswer>): RefundEvidence {
  if (answer.outcome === 'no') {
    const { status, internalStatus, said } = answer
    return { proves: 'refused', status, internalStatus, said }
  }
  if (answer.outcome === 'rejected') return { proves: 'rejected', status: answer.status, said: answer.said }
  if (answer.outcome !== 'yes') return withoutProof(answer)
  const found = theOne(order, refund, answer.member)
  return 'proves' in found ? found : { proves: 'accepted' }
}

export function evidenceOfRefundQuery(
  order: Order,
  refund: Refund,
  answer: Answer<RefundAnswer>,
): RefundEvidence {
  if (answer.outcome === 'no') {
    return answer.internalStatus === INTERNAL_STATUS.noRefunds
      ? { proves: 'not_found', signedNone: true }
      : { proves: 'nothing', why: `status_${answer.status}`, said: answer.said }
  }
  if (answer.outcome !== 'yes') return withoutProof(answer)
  const found = theOne(order, refund, answer.member)
  return 'proves' in found ? found : evidenceOfContent(order, found.content)
}

/** What a listed refund says of itself; its echoes have been compared. */
export function evidenceOfContent(order: Order, content: RefundOrderContent): RefundEvidence {
  const wallet_state =
    order.pay_platform === PAY_PLATFORM.wechat
      ? content.wxpay_refund_order_content_ext?.state
      : content.alipay_refund_order_content_ext?.refund_status
  if (wallet_state === undefined) return nothing('wallet_state_missing')
  const meaning = REFUND_MEANING[order.pay_platform]?.[wallet_state]
  if (meaning === undefined) return nothing(`wallet_state_${wallet_state}`)
  if (meaning === 'not_found') return { proves: 'not_found', signedNone: false }
  // "The server is working on it": never a final no.
  if (isTransforming(content) && meaning === 'failed') return nothing('is_transforming')
  return { proves: 'state', meaning, wallet_state, refund_id: content.refund_id ?? null }
}

export type Listed = { content: RefundOrderContent; out_refund_no: string; refund_fee: number }

/**
 * Every refund upstream has for an order, made by us or not; or why this cannot be told. One element that is not about
 * our order, or cannot be read, makes the whole list worth nothing.
 */
export type ReadList =
  | { ok: true; refunds: Listed[] }
  /** Signed, and no list: status 0 without one (which says "none" to Tencent's SDKs), or a refusal that is not "none". */
  | { ok: false; why: string; is: 'silent' | 'refused'; said?: string | null }
  | { ok: false; why: string; is: 'unreadable'; at?: string[] }
  | { ok: false; why: string; is: 'mismatch'; fields: string[] }

export function readRefundList(order: Order, answer: Answer<RefundAnswer>): ReadList {
  if (answer.outcome === 'no') {
    return answer.internalStatus === INTERNAL_STATUS.noRefunds
      ? { ok: true, refunds: [] }
      : { ok: false, why: `status_${answer.status}`, is: 'refused', said: answer.said }
  }
  if (answer.outcome !== 'yes') return { ok: false, is: 'unreadable', ...whyOf(answer) }
  const { refund_order_content: listed } = answer.member
  if (listed === undefined) {
    const fields = foreignIds(order, answer.member)
    if (fields.length > 0) return { ok: false, why: 'mismatch', is: 'mismatch', fields }
    return { ok: false, why: 'list_missing', is: 'silent' }
  }
  const refunds: Listed[] = []
  for (const content of listed) {
    const { out_refund_no = '', refund_fee = 0 } = content
    // Its number and amount are news to us; everything else has to fit.
    const { different, missing } = faultsOf(order, { out_refund_no, refund_fee }, content, answer.member)
    if (different.length > 0) return { ok: false, why: 'mismatch', is: 'mismatch', fields: different }
    if (missing.length > 0) return { ok: false, why: 'echo_missing', is: 'unreadable', at: missing }
    const usable = out_refund_no !== '' && out_refund_no.length <= 64 && Number.isSafeInteger(refund_fee)
    if (!usable || refund_fee <= 0) return { ok: false, why: 'mismatch', is: 'mismatch', fields: [] }
    // Which of the two would it be? What shifted, or contradicts itself, is read again later.
    if (refunds.some((one) => one.out_refund_no === out_refund_no))
      return { ok: false, why: 'number_twice', is: 'unreadable' }
    refunds.push({ content, out_refund_no, refund_fee })
  }
  return { ok: true, refunds }
}

/** The refund an answer is about, or why it tells nothing of ours. */
function theOne(
  order: Order,
  refund: Refund,
  { refund_order_content: listed = [], ...member }: RefundAnswer,
): { content: RefundOrderContent } | RefundEvidence {
  const at = 'refund_order_content.out_refund_no'
  if (listed.length === 0) {
    const fields = foreignIds(order, member)
    return fields.length > 0 ? { proves: 'mismatch', fields } : nothing('list_missing')
  }
  const ours = listed.filter((one) => one.out_refund_no === refund.out_refund_no)
  const [content] = ours
  if (content === undefined && listed.some((one) => one.out_refund_no === undefined))
    return nothing('echo_missing', [at])
  if (content === undefined || ours.length > 1) return { proves: 'mismatch', fields: [at] }
  const { different, missing } = faultsOf(order, refund, content, member)
  if (different.length > 0) return { proves: 'mismatch', fields: different }
  return missing.length > 0 ? nothing('echo_missing', missing) : { content }
}

/** Of an answer that speaks of no refund: whether it is at least not about somebody else. */
const foreignIds = (order: Order, member: Omit<RefundAnswer, 'refund_order_content'>): string[] => {
  const ids = refundEchoes.filter(({ at }) => at.startsWith('pay_mch_key.'))
  return echoFaults(ids, member, { ...order, out_refund_no: '', refund_fee: 0 }).different
}

function faultsOf(
  order: Order,
  { out_refund_no, refund_fee }: Pick<Refund, 'out_refund_no' | 'refund_fee'>,
  content: RefundOrderContent,
  member: Omit<RefundAnswer, 'refund_order_content'>,
): EchoFaults {
  const expected: ExpectedRefund = { ...order, out_refund_no, refund_fee }
  return echoFaults(refundEchoes, { ...member, refund_order_content: content }, expected)
}

type WithoutProof = Extract<Answer<RefundAnswer>, { outcome: 'unknown' | 'rejected' }>

const withoutProof = (answer: WithoutProof): RefundEvidence => ({ proves: 'nothing', ...whyOf(answer) })

const whyOf = (answer: WithoutProof): { why: string; at?: string[]; said?: string | null } =>
  answer.outcome === 'unknown'
    ? { why: answer.why, ...(answer.at === undefined ? {} : { at: [answer.at] }) }
    : { why: `status_${answer.status}`, said: answer.said }
