import type { Dice } from './dice'
import { sealedAnswer } from './sealed'

/**
 * Cloud Pay's lists, signed and wrong: of an order's refunds, and of a day's bill. One that has lost something cannot be
 * told from a true one, so each of these is told now and then, and the truth comes later.
 */
export const LIST_LIES = [
  'refund list empty', // and there are refunds
  'refund list short', // the last one is missing
  'refund list twice', // one stands in it twice, and may have come to two different ends
  'bill empty', // and says that it is
  'bill short', // fewer than it says that there are
  'bill shifted', // an entry stands there twice, and another not at all
] as const
export type ListLie = (typeof LIST_LIES)[number]

type Refund = Record<string, unknown>
type Entry = { receipt: object }
type Content = {
  query_refund_order?: { refund_order_content?: Refund[] }
  order_detail_query?: { total_count?: number; order_details?: Entry[] }
}

/** The answer with a lie in it, signed; nothing where there is nothing to lie about. */
export function lieAboutList(
  dice: Dice,
  key: string,
  body: Buffer,
): { lie: ListLie; body: Buffer } | undefined {
  if (body[0] !== OPENING_BRACE) return undefined
  const { response_content: text } = JSON.parse(body.toString('utf8')) as { response_content?: unknown }
  if (typeof text !== 'string') return undefined
  const content = JSON.parse(text) as Content
  const lie = lieIn(dice, content)
  return lie && { lie, body: sealedAnswer(key, JSON.stringify(content)) }
}

const OPENING_BRACE = 0x7b

const isRefund = ({ receipt }: Entry): boolean => 'refund_order' in receipt

function lieIn(
  dice: Dice,
  { query_refund_order: list, order_detail_query: bill }: Content,
): ListLie | undefined {
  const refunds = list?.refund_order_content
  if (refunds && refunds.length > 0) {
    const lie = dice.pick(['refund list empty', 'refund list short', 'refund list twice'] as const)
    if (lie === 'refund list empty') refunds.length = 0
    if (lie === 'refund list short') refunds.pop()
    if (lie === 'refund list twice') refunds.push(twin(refunds[0]!))
    return lie
  }
  const entries = bill?.order_details
  // Where there is a refund it matters: it may be one that was made in the console, which nothing else tells of.
  if (bill && entries && entries.length > 0 && dice.chance(entries.some(isRefund) ? 0.7 : 0.1)) {
    const lie =
      entries.length > 1 ? dice.pick(['bill empty', 'bill short', 'bill shifted'] as const) : 'bill empty'
    if (lie === 'bill empty') Object.assign(bill, { total_count: 0, order_details: [] })
    // A refund, if there is one: of a payment our own order knows, of a refund made in the console nobody else does.
    const at = Math.max(0, entries.map(isRefund).lastIndexOf(true))
    if (lie === 'bill short') entries.splice(at, 1)
    if (lie === 'bill shifted') entries[at] = entries[at === 0 ? 1 : 0]!
    return lie
  }
  return undefined
}

/** The same refund once more: where the first says how it ended, the second says the contrary; of one under way, that it is done. */
function twin(refund: Refund): Refund {
  const ends: Readonly<Record<number, number>> = { [SUCCEEDED]: FAILED, [FAILED]: SUCCEEDED }
  const wechat = refund['wxpay_refund_order_content_ext'] as { state: number } | undefined
  const alipay = refund['alipay_refund_order_content_ext'] as { refund_status: number } | undefined
  const other = (state: number) => ends[state] ?? SUCCEEDED
  return {
    ...refund,
    ...(wechat ? { wxpay_refund_order_content_ext: { state: other(wechat.state) } } : {}),
    ...(alipay ? { alipay_refund_order_content_ext: { refund_status: other(alipay.refund_status) } } : {}),
  }
}

/** The same words for both wallets. */
const SUCCEEDED = 2
const FAILED = 3
