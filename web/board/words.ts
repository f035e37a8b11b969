import type { AnomalyKind } from '../../shared/order/anomaly'
import type { OrderFlag } from '../../shared/order/order'
import type { RefundState } from '../../shared/order/refund'
import type { OrderState } from '../../shared/order/state'
import { PayError } from '../client/client'
import { yuan } from '../money'

/** What the functions' words are called in front of a person. A word only a newer version knows is shown as it is. */
const wordOf =
  (words: Record<string, string>) =>
  (word: string): string =>
    Object.prototype.hasOwnProperty.call(words, word) ? words[word]! : word

export const STATES = {
  created: '下单中',
  pending: '待支付',
  paid: '已支付',
  closing: '关闭中',
  closed: '已关闭',
  failed: '未成立',
  paid_after_close: '关闭后到账',
  refunded: '已全额退款',
} as const satisfies Record<OrderState, string>
export const stateWord = wordOf(STATES)

const REFUNDS: Record<RefundState, string> = {
  requested: '结果未知，系统会继续查询',
  accepted: '退款中，尚未到账',
  succeeded: '已退回',
  failed: '没有退成',
  needs_person: '需要人工打款',
}
export const refundWord = wordOf(REFUNDS)

export const originWord = wordOf({ request: '商户', automatic: '自动', console: '云支付控制台' })

const FLAGS: Record<OrderFlag, string> = {
  create_answered_102: '这个订单号可能属于别人，对它的支付不予采信。',
  amount_differs: '支付的金额与下单的不同：请人工退款或接受。',
  unresolved: '多次查询没有结果，现在每天查一次。',
}
export const flagWord = wordOf(FLAGS)

const KINDS: Record<AnomalyKind, string> = {
  answer_mismatch: '应答与订单不符：到控制台核对',
  answers_contradict: '两个应答互相矛盾：到控制台核对',
  number_not_ours: '下单得到 102：查这个号码是谁的订单',
  payment_not_believed: '这个号码上的支付不予采信：到控制台查看',
  amount_differs: '支付的金额与下单的不同：人工退款或接受',
  notification_mismatch: '通知的商户号或金额与订单不符',
  notification_orphan: '通知说的订单我们没有',
  notified_but_unpaid: '来过通知，而查询说未支付：询问云支付',
  order_unresolved: '订单几个小时没有最终结果',
  refund_unresolved: '退款几个小时没有最终结果',
  refund_needs_person: '退款需要人工打款',
  refund_mismatch: '退款与云支付的对不上：到控制台核对',
  refunds_exceed: '云支付的退款多于订单的金额',
  refund_ceiling: '退款被每小时或每日的上限拦下',
  second_payment: '一笔业务订单付了两次，后到的会退回',
  paid_upstream_only: '账单里有我们没有的支付',
  paid_here_only: '账单里没有我们的这笔支付',
  bill_differs: '账单与我们的记录不一致',
  bill_entry_unread: '账单里有一条无法读取，没有比对',
  upstream_silent: '云支付五分钟没有给出可用的应答',
  timer_behind: '定时器跟不上：有订单到期五分钟仍未处理',
  refunded_here_only: '我们记为已退款，云支付没有这笔退款',
  bill_short: '账单有一段三次都读不完整，未能核对',
  bill_unread: '账单有一部分一天后仍未核对',
  webhook_undelivered: '有消息发了一天仍未被商户服务器收下',
  shipping_not_uploaded: '微信没有接受发货信息，资金仍被冻结',
  logins_limited: '一个应用的登录次数到了每分钟上限，有人没能登录',
  state_unknown: '记录处于较新版本才认识的状态',
  timer_silent: '定时器没有运行：订单无人照看',
}
export const kindWord = wordOf(KINDS)

export const eventWord = wordOf({
  created: '记录订单',
  asked: '询问云支付',
  refund: '退款',
  anomaly: '记为异常',
  person: '由人处理',
})

const nameWord = wordOf({
  out_refund_no: '退款单号',
  refund_fee: '退款金额',
  total_fee: '金额',
  left_fee: '剩余',
  by: '依据',
  actor: '操作人（密钥）',
  status: '状态码',
  flag: '标记',
  wallet_state: '钱包状态',
  origin: '来源',
  outcome: '结果',
  reason: '原因',
  looks: '查询次数',
  fields: '字段',
  why: '原因',
})

/** Names and values of what an event or an anomaly rests on. Whatever is a fee is integer fen. */
export const detailWords = (detail: Record<string, unknown>): [string, string][] =>
  Object.entries(detail).map(([name, value]) => [
    nameWord(name),
    name.endsWith('_fee') && Number.isSafeInteger(value) ? `¥${yuan(value as number)}` : String(value),
  ])

export const walletWord = ({ pay_platform, trade_type }: { pay_platform: number; trade_type: number }) =>
  pay_platform === 2 ? '支付宝' : trade_type === 9 ? '微信小程序' : '微信'

/** Moments come with China's offset; what is shown is their text. `11-23 18:05:36`. */
export const timeWord = (moment: { rfc3339: string } | null): string =>
  moment === null ? '—' : moment.rfc3339.slice(5, 19).replace('T', ' ')

/** One sentence, what to do, and the id the cause is found by in the log. */
export function explain(error: unknown): string {
  if (!(error instanceof PayError)) {
    reportError(error)
    return '页面出错了。'
  }
  const { code, status, problem } = error
  const id = problem?.request_id ? `（请求号 ${problem.request_id}）` : ''
  const fields = (problem?.['fields'] as { field: string; message_zh: string }[] | undefined) ?? []
  const named = fields.map(({ field, message_zh }) => `${field} ${message_zh}`).join('；')
  switch (code) {
    case 'no_answer':
      return status > 0
        ? `没有得到可以读懂的应答（${status}）。`
        : '没有得到应答：网络不通，或这个页面不在允许的来源里。'
    case 'caller_unknown':
      return `密钥名或密钥不对。${id}`
    case 'request_expired':
      return `这台电脑的时间与服务器相差超过 5 分钟，请校准时钟。${id}`
    case 'caller_not_allowed':
      return `这把密钥没有做这件事的权限。${id}`
    default:
      return `${problem?.detail?.zh ?? code}${named}${id}`
  }
}
