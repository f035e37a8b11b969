import type { AnomalyKind } from '../../shared/order/anomaly'
import type { OrderFlag } from '../../shared/order/order'
import type { RefundState } from '../../shared/order/refund'
import type { OrderState } from '../../shared/order/state'
import type { Text } from '../openapi/faults'

/** What the words of an order mean to whoever reads them. The compiler refuses a word that is missing here. */
const text = (en: string, zh: string): Text => ({ zh, en })

export const ORDER_STATE_MEANS: Record<OrderState, Text> = {
  created: text('recorded; no verified answer yet', '已记录，还没有经过验签的应答'),
  pending: text('Cloud Pay took it; the payer can pay', '云支付已受理，付款人可以支付'),
  paid: text('a signed query of ours said so', '我们自己的查询经验签确认已支付'),
  closing: text(
    'being closed; nobody knows yet whether a payment was faster',
    '正在关闭，还不知道付款是否抢先',
  ),
  closed: text('closed, nothing was paid', '已关闭，没有发生支付'),
  failed: text(
    'a signed no to the only transmission ever made, or two signed not-founds long after its expiry',
    '唯一一次发送被验签的应答拒绝，或过期很久后两次验签查询都说没有这个订单',
  ),
  paid_after_close: text('money came for a closed or failed order', '订单关闭或失败之后才收到钱'),
  refunded: text('refunded in full', '已全额退款'),
}

export const ORDER_FLAG_MEANS: Record<OrderFlag, Text> = {
  create_answered_102: text(
    'the number may be somebody else’s: its payments are not believed',
    '这个号码可能是别人的：它的付款不予采信',
  ),
  amount_differs: text(
    'a signed “paid” with another amount: nothing is closed or refunded by itself',
    '验签的“已支付”金额不符：不会自动关闭或退款',
  ),
  unresolved: text(
    'looked at in vain twenty times, from now on daily; or `micro_pay` undecided after two minutes',
    '查询二十次没有结果，此后每天一次；或付款码支付两分钟后仍无结果',
  ),
}

export const REFUND_STATE_MEANS: Record<RefundState, Text> = {
  requested: text(
    'recorded; no verified answer yet, the timer sends the same text again',
    '已记录，还没有经过验签的应答；定时器会原样重发',
  ),
  accepted: text('Cloud Pay is working on it; not done', '云支付处理中，还没有完成'),
  succeeded: text('a signed query of ours said so', '我们自己的查询经验签确认已退款'),
  failed: text('a signed final no; the amount is free again', '验签的最终拒绝，金额已释放'),
  needs_person: text(
    'the payer’s account took nothing and the money is back with you (WeChat 5): pay it by hand',
    '付款人的账户收不了，钱退回商户（微信状态 5）：请人工付给付款人',
  ),
}

/** What a person should do about it. */
export const ANOMALY_CURE: Record<AnomalyKind, Text> = {
  answer_mismatch: text(
    'a signed answer that cannot be true of the order: compare with the console',
    '验签的应答与订单不可能相符：与控制台核对',
  ),
  answers_contradict: text(
    'two signed answers that cannot both be true: compare with the console',
    '两个验签的应答互相矛盾：与控制台核对',
  ),
  number_not_ours: text(
    'a create was answered 102: see in the console whose order the number is',
    '下单应答 102：到控制台查这个号码是谁的订单',
  ),
  payment_not_believed: text(
    'a payment on such a number: see in the console whose it is',
    '这样的号码上出现付款：到控制台查是谁的',
  ),
  amount_differs: text(
    'paid with another amount than ordered: refund or accept by hand',
    '支付金额与订单不符：人工退款或人工确认',
  ),
  notification_mismatch: text(
    'signed with your key, but other ids or amount than the order’s: who has the key?',
    '用你的密钥签名，但商户号或金额与订单不符：谁还有这把密钥？',
  ),
  notification_orphan: text(
    'signed, and about an order that is not there: was a database restored?',
    '签名有效，但没有这个订单：数据库是否恢复过？',
  ),
  notified_but_unpaid: text(
    'a notification came, and our queries say unpaid: ask Cloud Pay, with the `log_id`s of the log',
    '收到了通知，我们的查询却说未支付：带上日志里的 `log_id` 询问云支付',
  ),
  order_unresolved: text(
    'no final answer for hours: see the console, then act by hand',
    '几小时没有最终结果：查看控制台后人工处理',
  ),
  refund_unresolved: text(
    'no final answer for hours, or an automatic refund was refused: see the console, then act by hand',
    '几小时没有最终结果，或自动退款被拒绝：查看控制台后人工处理',
  ),
  refund_needs_person: text('pay it out by hand', '人工付给付款人'),
  refund_mismatch: text(
    'upstream has another refund under this number: compare with the console',
    '云支付用这个退款单号记录的是另一笔：与控制台核对',
  ),
  refunds_exceed: text(
    'upstream lists more refunds than the order has money for: compare with the console',
    '云支付列出的退款超过订单金额：与控制台核对',
  ),
  refund_ceiling: text(
    'a refund stopped at `REFUND_HOUR_MAX_FEN` or `REFUND_DAY_MAX_FEN`; automatic ones are tried again',
    '退款达到 `REFUND_HOUR_MAX_FEN` 或 `REFUND_DAY_MAX_FEN`；自动退款会再试',
  ),
  second_payment: text(
    'a purchase was paid twice: the later payment goes back by itself',
    '同一笔业务订单付了两次：后到的那笔会自动退回',
  ),
  paid_upstream_only: text(
    'the bill has a payment that our rows do not have',
    '账单里有付款，我们的记录里没有',
  ),
  paid_here_only: text(
    'our rows have a payment that the bill does not have',
    '我们的记录里有付款，账单里没有',
  ),
  refunded_here_only: text(
    'a refund that we call done, and that Cloud Pay does not know',
    '我们记为已退款，云支付没有这笔退款',
  ),
  bill_differs: text('amount, state or refunds differ from the bill', '金额、状态或退款与账单不符'),
  bill_entry_unread: text(
    'an entry of the bill cannot be read (`at` says where): compare it with the console',
    '账单里有一条无法读取（位置见 `at`）：与控制台核对',
  ),
  bill_short: text(
    'a part of the bill could not be read to its end three times: it is tried further; compare it in the console',
    '账单有一段三次都读不完整：仍会继续尝试，请到控制台核对这一段',
  ),
  bill_unread: text(
    'a part of the bill, from `from` on, has not been compared a day after it could have been',
    '账单从 `from` 起有一部分，一天后仍未核对',
  ),
  upstream_silent: text(
    'no answer of Cloud Pay could be used for five minutes: is it down, is the key right? Orders wait and go on by themselves',
    '云支付五分钟没有给出可用的应答：服务是否中断、密钥是否正确？订单会等待，恢复后自动继续',
  ),
  timer_behind: text(
    'work has been due for five minutes and the timer does not come to it: see `overdue_s`, give it more time or a higher rate',
    '有任务到期五分钟定时器仍未处理：见 `overdue_s`，给它更多时间或更高的频率',
  ),
  webhook_undelivered: text(
    'messages were given up after a day: is your server up?',
    '消息一天后仍未送达：你的服务器是否正常？',
  ),
  shipping_not_uploaded: text(
    'WeChat took no shipping info, see `why`: mend the configuration or upload it in WeChat’s console; the money stays frozen',
    '微信没有接受发货信息，见 `why`：修正配置，或到微信后台录入；货款一直冻结',
  ),
  logins_limited: text(
    'an app had more logins in a minute than `LOGINS_PER_MINUTE`, and payers were turned away: a crowd (raise it), or an attack',
    '一个应用一分钟内的登录超过 `LOGINS_PER_MINUTE`，有付款人没能登录：若是客流，调高上限；也可能是攻击',
  ),
  state_unknown: text(
    'a row is in a state that only a newer version knows; it is left as it is: deploy that version again',
    '有一行处于新版本才认识的状态，已原样保留：请重新部署那个版本',
  ),
  timer_silent: text('the timer does not run: orders are not looked after', '定时器没有运行：订单无人照看'),
}
