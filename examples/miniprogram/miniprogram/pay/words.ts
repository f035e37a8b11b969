import { PayError } from '../lib/cloud-pay'

/** Fen as yuan, without a detour over fractions. */
export function yuan(fen: number): string {
  const cents = `${fen % 100}`.padStart(2, '0')
  return `¥${Math.floor(fen / 100)}.${cents}`
}

/** What the page says of an order. What is not known is never called failed: who pays again then pays twice. */
export function wordsOf(state: string | undefined): { title: string; more: string; settled: boolean } {
  switch (state) {
    case 'paid':
      return { title: '支付成功', more: '订单已支付，感谢惠顾。', settled: true }
    case 'refunded':
      return { title: '已退款', more: '款项已原路退回。', settled: true }
    case 'paid_after_close':
      return { title: '已收到付款', more: '订单此前已关闭，商家会退款或照常履约。', settled: true }
    case 'closed':
      return { title: '订单已关闭', more: '未收到付款，可以重新下单。', settled: true }
    case 'failed':
      return { title: '下单未成功', more: '没有扣款，可以重新下单。', settled: true }
    default:
      return { title: '支付结果确认中', more: '结果以订单为准，请勿重复支付。', settled: false }
  }
}

/** A sentence of the functions where there is one. */
export function sentenceOf(error: unknown): string {
  if (error instanceof PayError && error.problem) return error.problem.detail.zh
  return '网络不通，请稍后再试；已下的订单不会丢失。'
}
