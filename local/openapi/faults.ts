import { FAULTS, type FaultCode } from '../../shared/base/errors'

/** A sentence in both languages. */
export type Text = { zh: string; en: string }

/** Whether to send it again, and how. `wait` has a `Retry-After` header, and nothing else has. */
export const RETRIES = {
  mend: { zh: '先改正请求', en: 'only after mending the request' },
  same: { zh: '可以，用同一个号码原样重试', en: 'yes, the same request under the same number' },
  wait: {
    zh: '可以，等 Retry-After 秒后用同一个号码重试',
    en: 'yes, after the seconds in Retry-After, under the same number',
  },
  anew: { zh: '换新的凭证后再试', en: 'yes, with a fresh credential' },
  no: { zh: '不必重试', en: 'no' },
} as const satisfies Record<string, Text>

/** Members that some problems carry beside those that all have. `fields` is one of the latter when it is named. */
export const MEMBERS = {
  fields: { zh: '每个不合规字段的路径、代码与说明', en: 'path, code and message of each field at fault' },
  out_trade_no: { zh: '涉及的订单号', en: 'the order it is about' },
  out_refund_no: { zh: '涉及的退款单号', en: 'the refund it is about' },
  read: { zh: '用来查询结果的地址', en: 'where to read how it ended' },
  state: { zh: '订单当前状态', en: "the order's state" },
  left_fee: { zh: '还可以退的金额，整数分', en: 'fen that can still be refunded' },
  cloud_pay_status: { zh: '云支付返回的状态', en: "Cloud Pay's status" },
  quantity_max: { zh: '这个商品的数量上限', en: 'the most of this article' },
} as const satisfies Record<string, Text>
export type Member = keyof typeof MEMBERS

export type Help = {
  retry: keyof typeof RETRIES
  cause: Text
  cure: Text
  /** What it may carry. */
  members: readonly Member[]
}

const help = (
  retry: Help['retry'],
  cause: readonly [zh: string, en: string],
  cure: readonly [zh: string, en: string],
  members: readonly Member[] = [],
): Help => ({
  retry,
  cause: { zh: cause[0], en: cause[1] },
  cure: { zh: cure[0], en: cure[1] },
  members,
})

const QUOTE_CURE = ['请商户服务器签发新的报价。', "Get a new quote from the merchant's server."] as const
const READ_CURE = ['读取订单，按它的状态处理。', 'Read the order and go by its state.'] as const
const LOG_CURE = ['用 request_id 在日志里查找原因。', 'Find the cause in the log by the request_id.'] as const

/** What is behind every code and what to do about it. What callers are told stands in shared/base/errors.ts. */
export const FAULT_HELP: Record<FaultCode, Help> = {
  head_invalid: help(
    'mend',
    [
      '路径、查询参数或请求头超过上限，或含半个代理对。',
      'The path, the query or a header is over its limit, or holds half of a surrogate pair.',
    ],
    ['缩短它们，并按 UTF-8 编码。', 'Shorten them, and encode them as UTF-8.'],
  ),
  body_not_utf8: help(
    'mend',
    ['字节不是 UTF-8，或含半个代理对。', 'The bytes are no UTF-8, or hold half of a surrogate pair.'],
    ['以 UTF-8 编码发送 JSON。', 'Send JSON encoded as UTF-8.'],
  ),
  body_not_base64: help(
    'mend',
    ['网关声明请求体为 base64，内容却不是。', 'The gateway says that the body is base64, and it is not.'],
    ['检查网关或测试事件的 isBase64Encoded。', 'Look at isBase64Encoded of the gateway or the test event.'],
  ),
  body_not_json: help(
    'mend',
    ['请求体为空、不是 JSON，或最外层不是对象。', 'The body is empty, no JSON, or no object.'],
    ['发送一个 JSON 对象。', 'Send one JSON object.'],
  ),
  body_invalid: help(
    'mend',
    [
      '有未知、缺失、类型不符、重复或不归调用方设置的字段。',
      "A field is unknown, missing, of another type, given twice, or the server's to set.",
    ],
    ['按 fields 逐项修改。', 'Mend what fields names, one by one.'],
    ['fields'],
  ),
  query_invalid: help(
    'mend',
    [
      '查询参数未知、类型不符，或不能一起使用。',
      'A parameter is unknown, of another shape, or does not go with another.',
    ],
    ['按 fields 逐项修改。', 'Mend what fields names, one by one.'],
    ['fields'],
  ),
  idempotency_required: help(
    'mend',
    [
      '付款人下单既没有订单号也没有 Idempotency-Key。',
      'A payer sent neither a number nor an Idempotency-Key.',
    ],
    ['每次购买生成一个键，重试时沿用。', 'Make one key per purchase, and keep it for retries.'],
  ),
  refund_number_required: help(
    'mend',
    ['退款既没有退款单号也没有 Idempotency-Key。', 'A refund has neither a number nor an Idempotency-Key.'],
    ['加上其中一个，重试时沿用。', 'Send one of them, and keep it for retries.'],
  ),
  idempotency_key_invalid: help(
    'mend',
    [
      '键为空、太长，或含空白、中文等字符。',
      'The key is empty, too long, or has blanks or other characters.',
    ],
    ['换用例如 UUID。', 'Use a UUID, for example.'],
  ),
  caller_unknown: help(
    'mend',
    [
      '没有凭证、签名不对、密钥名未知，或同时带了两种凭证。',
      'No credential, a wrong signature, an unknown key, or both kinds of credential at once.',
    ],
    [
      '付款人带 authorization 与 x-session-secret；商户服务器带四个 x-pay-* 请求头。',
      'Payers send authorization and x-session-secret; servers the four x-pay-* headers.',
    ],
  ),
  request_expired: help(
    'anew',
    [
      '签名方的时钟不准，或请求在路上太久。',
      "The signer's clock is off, or the request was long on its way.",
    ],
    ['校准时钟（NTP），重新签名。', 'Set the clock (NTP) and sign again.'],
  ),
  request_replayed: help(
    'anew',
    ['同一个 nonce 第二次出现。', 'The nonce came a second time.'],
    ['每次发送（包括重试）都用新的 nonce 签名。', 'Sign every sending with a new nonce, retries too.'],
  ),
  session_ended: help(
    'anew',
    ['令牌过期、已注销，或密钥已轮换。', 'The token has expired, was ended, or its key is gone.'],
    ['重新登录，换新的令牌。', 'Log in again for a new token.'],
  ),
  login_refused: help(
    'anew',
    [
      'code 已用过、过期或属于别的应用；state 缺失、过期或属于别的浏览器。',
      "The code was used, is old or another app's; the state is missing, old or another browser's.",
    ],
    ['取新的 code；跳转登录还要新的 state。', 'Get a new code, and with a redirect a new state.'],
  ),
  caller_not_allowed: help(
    'no',
    [
      '密钥没有这个 scope、子商户不是它的，或付款人不能这样做。',
      "The key lacks the scope, the sub-merchant is not the key's, or payers may not.",
    ],
    ['用有这个 scope 的密钥。', 'Use a key that has the scope.'],
  ),
  payer_differs: help(
    'mend',
    ['请求里的付款人不是登录的人。', 'The payer in the request is not who has logged in.'],
    ['不要发送付款人：会话里已有。', 'Leave the payer out: the session has it.'],
  ),
  quote_missing: help(
    'mend',
    ['只开放报价方式，请求里没有 quote。', 'Only quotes are open, and there is none.'],
    ['先向商户服务器取报价。', "Ask the merchant's server for a quote first."],
  ),
  sku_missing: help(
    'mend',
    ['只开放目录方式，请求里没有 sku。', 'Only the catalogue is open, and there is no sku.'],
    ['发送 sku 和数量。', 'Send sku and quantity.'],
  ),
  quote_or_sku_missing: help(
    'mend',
    ['两种方式都开放，请求里一种都没有。', 'Both ways are open, and neither is in the request.'],
    ['发送 quote 或 sku。', 'Send quote or sku.'],
  ),
  sku_unknown: help(
    'mend',
    ['目录里没有这个商品，或已下架。', 'The article is not in the catalogue, or is not sold any more.'],
    ['检查 sku；商户在 catalogue 表里维护。', 'Look at the sku; the merchant keeps the table catalogue.'],
  ),
  quantity_over_limit: help(
    'mend',
    ['数量超过 quantity_max，或总额超过上限。', 'More than quantity_max, or the sum is too large.'],
    ['减少数量。', 'Ask for fewer.'],
    ['quantity_max'],
  ),
  merchant_disabled: help(
    'no',
    [
      '`npm run merchants -- disable` 停用了这个子商户；未结的订单照常处理。',
      'The sub-merchant was disabled with `npm run merchants -- disable`; what is open goes on.',
    ],
    ['重新启用，或用别的子商户下单。', 'Enable it again, or order with another sub-merchant.'],
  ),
  micro_pay_not_closable: help(
    'no',
    [
      '付款码订单从不关闭：付款人可能正在输入密码。',
      'A micro_pay order is never closed: the payer may be typing the password.',
    ],
    ['用 ?refresh=1 查询，直到有结果。', 'Read it with ?refresh=1 until it is decided.'],
    ['out_trade_no', 'state'],
  ),
  data_keys_missing: help(
    'no',
    [
      '没有设置 DATA_KEYS，付款码无处加密保存。',
      'DATA_KEYS is not set: there is nothing to seal the code with.',
    ],
    ['设置 DATA_KEYS；尚未向云支付发出任何请求。', 'Set DATA_KEYS; nothing was asked.'],
  ),
  payers_cannot_order: help(
    'no',
    ['没有设置 PAYER_PRICES。', 'PAYER_PRICES is not set.'],
    ['由商户服务器下单，或设置 PAYER_PRICES。', "Order by the merchant's server, or set PAYER_PRICES."],
  ),
  price_differs: help(
    'mend',
    ['付款人重复的金额或描述与报价、目录不同。', 'What the payer repeats of the price is not what it is.'],
    ['不要发送价格，或照原样重复。', 'Leave the price out, or repeat it as it is.'],
  ),
  quote_invalid: help(
    'anew',
    [
      '签名、密钥、受众或内容不对；原因在日志里。',
      'Signature, key, audience or claims are wrong; the log says which.',
    ],
    QUOTE_CURE,
    ['fields'],
  ),
  quote_expired: help('anew', ['超过了报价的 exp。', "The quote's exp is over."], QUOTE_CURE),
  quote_not_yours: help(
    'anew',
    ['报价的 sub 或子商户与会话不符。', 'sub or sub-merchant of the quote are not those of the session.'],
    QUOTE_CURE,
  ),
  order_too_large: help(
    'no',
    ['金额超过 ORDER_MAX_FEN。', 'The amount is over ORDER_MAX_FEN.'],
    ['分开下单，或调高上限。', 'Order in parts, or raise the limit.'],
  ),
  app_unknown: help(
    'mend',
    ['CLOUD_PAY_APPS 里没有这个 app_id。', 'CLOUD_PAY_APPS does not have this app_id.'],
    ['检查 app_id 与配置。', 'Look at app_id and configuration.'],
  ),
  path_not_found: help(
    'no',
    ['地址或方法不是这个函数的。', 'Path or method are not of this function.'],
    [
      '对照接口文档；每个 Function URL 只有自己的路径。',
      'See the interface; a Function URL serves its own paths only.',
    ],
  ),
  notification_refused: help(
    'no',
    [
      '通知的签名、商户、订单或金额不符。',
      'Signature, merchant, order or amount of the notification do not fit.',
    ],
    [
      '发送方只看到 status 1；原因在日志的 notify.refused 里。',
      'The sender sees status 1 only; the log says why, as notify.refused.',
    ],
  ),
  refund_not_found: help(
    'no',
    [
      '没有这笔退款，或不是调用方的子商户的。',
      "There is no such refund, or it is not of the caller's sub-merchant.",
    ],
    [
      '从 GET /orders/{out_trade_no} 的 refunds 中取退款单号。',
      'Take the number from refunds of GET /orders/{out_trade_no}.',
    ],
  ),
  refund_not_endable: help(
    'no',
    [
      '退款已有结果，或没有余额可以登记为已付（state 给出当前状态）。',
      'It has ended already, or there is no room to count it as paid out; state says which it is.',
    ],
    ['读取订单，按它现在的状态处理。', 'Read the order, and go by its state.'],
    ['out_refund_no', 'state'],
  ),
  refund_under_way: help(
    'wait',
    [
      '一天之内有一条验签的应答说已受理或正在处理。',
      'A signed answer of the last day says that it was accepted or is being processed.',
    ],
    [
      '等待结果；一天之内再没有这样的应答时，才能放弃。',
      'Wait; it can be given up after a day without such an answer.',
    ],
    ['out_refund_no', 'state'],
  ),
  anomaly_not_found: help(
    'no',
    [
      '没有这个异常，或不是调用方的子商户的。',
      "There is no such anomaly, or it is not of the caller's sub-merchant.",
    ],
    ['从 GET /board/anomalies 重新读取。', 'Read GET /board/anomalies again.'],
  ),
  order_not_found: help(
    'no',
    ['没有这个订单，或不是调用方的。', "There is no such order, or it is not the caller's."],
    ['检查订单号，以及是谁下的单。', 'Look at the number, and whose order it is.'],
  ),
  number_taken: help(
    'mend',
    ['订单号或键已被另一个调用方使用。', 'Another caller has this number or key.'],
    ['换一个新的订单号。', 'Take a new number.'],
  ),
  order_in_progress: help(
    'wait',
    [
      '上一个相同的请求还没有结束，也可能中断了。',
      'The same request is still being worked on, or broke off.',
    ],
    ['等待后用同一订单号重试，不要换号。', 'Wait, then retry with the same number; take no new one.'],
    ['out_trade_no'],
  ),
  purchase_open: help(
    'wait',
    ['这笔业务订单的上一个支付单还能支付。', "The purchase's earlier order can still be paid."],
    [
      '支付它；或等它下单满 CLOSE_NOT_BEFORE（300）秒、可以关闭时重试。',
      'Have it paid; or retry when it is CLOSE_NOT_BEFORE (300) seconds old and can be closed.',
    ],
    ['out_trade_no'],
  ),
  purchase_paid: help(
    'no',
    ['这笔业务订单已经付过款。', 'The purchase is paid.'],
    ['不要再收款；读取那个订单。', 'Charge nothing more; read that order.'],
    ['out_trade_no'],
  ),
  quote_used: help('anew', ['报价已成为另一个订单。', 'The quote became another order.'], QUOTE_CURE),
  order_not_closable: help(
    'no',
    [
      '订单已支付，或关闭被拒绝，或需要人工处理。',
      'It is paid, or closing was refused, or a person must look.',
    ],
    READ_CURE,
    ['out_trade_no', 'state'],
  ),
  order_not_refundable: help(
    'no',
    ['订单还没有收到款，或已全部退完。', 'No money came for it yet, or all of it went back.'],
    READ_CURE,
    ['state'],
  ),
  refund_exceeds: help(
    'mend',
    ['加上已退和在退的金额会超过订单金额。', 'With what was refunded, it would be more than was paid.'],
    ['最多退 left_fee。', 'Refund left_fee at most.'],
    ['left_fee', 'out_trade_no', 'out_refund_no'],
  ),
  refund_unresolved: help(
    'mend',
    ['另一笔退款的结果还不知道。', 'The outcome of another refund is not known yet.'],
    ['用 out_refund_no 里的号码重试那一笔。', 'Retry that one, under the number in out_refund_no.'],
    ['out_refund_no'],
  ),
  body_too_large: help(
    'mend',
    ['请求体超过 64 KB，登录超过 4 KB。', 'The body is larger than 64 KB, or a login than 4 KB.'],
    ['只发送文档里的字段。', 'Send the documented fields only.'],
  ),
  content_differs: help(
    'mend',
    ['同一号码或键，内容却不同。', 'The same number or key, and other content.'],
    ['重试要原样发送；新的内容用新的号码。', 'Repeat what you sent, or take a new number for new content.'],
    ['out_refund_no'],
  ),
  key_and_number_disagree: help(
    'mend',
    ['键属于一个订单，号码属于另一个。', 'The key belongs to one order, the number to another.'],
    ['只用其中一个，并始终一起沿用。', 'Use one of the two, or keep them together.'],
  ),
  refund_ceiling: help(
    'wait',
    [
      '达到 REFUND_*_MAX_FEN 或每日退款次数。',
      'REFUND_*_MAX_FEN or the number of refunds in a day is reached.',
    ],
    ['等待，或由运营人员确认后调高上限。', 'Wait, or have the limit raised by who answers for it.'],
  ),
  too_many_orders: help(
    'wait',
    ['未完成、一分钟内或一天内的订单太多。', 'Too many orders are open, or were made in this minute or day.'],
    ['支付或关闭未完成的订单，再重试。', 'Pay or close the open ones, then retry.'],
  ),
  too_many_logins: help(
    'wait',
    ['同一地址或整个应用登录太频繁。', 'Too many logins of this address, or into this app.'],
    ['等待，用新的 code 重试。', 'Wait, and retry with a new code.'],
  ),
  internal: help('same', ['我们的缺陷。', 'A bug of ours.'], LOG_CURE),
  cloud_pay_refused: help(
    'no',
    ['经过验签的拒绝；订单已失败。', 'A verified no; the order has failed.'],
    ['看 cloud_pay_status；修正后用新的订单号。', 'See cloud_pay_status; mend it and take a new number.'],
    ['out_trade_no', 'cloud_pay_status'],
  ),
  cloud_pay_rejected_request: help(
    'same',
    [
      '云支付返回 101：密钥、商户号或参数配置有误。',
      'Cloud Pay said 101: key, merchant ids or a setting are wrong.',
    ],
    [
      '修正配置（npm run doctor）后用同一订单号重试。',
      'Mend the configuration (npm run doctor), then retry.',
    ],
    ['out_trade_no', 'read'],
  ),
  refund_refused: help(
    'mend',
    ['经过验签的最终拒绝；金额已释放。', 'A verified final no; the amount is free again.'],
    ['查看控制台原因，再用新的退款单号。', 'See the console for the reason, then take a new number.'],
    ['out_trade_no', 'out_refund_no'],
  ),
  configuration: help(
    'same',
    ['环境变量缺失或有误；日志按名称列出。', 'Variables are missing or wrong; the log names them.'],
    ['修正配置后重新部署。', 'Mend the configuration and deploy again.'],
  ),
  database_unavailable: help(
    'same',
    ['连不上数据库，或数据库太忙。', 'The database cannot be reached, or is too busy.'],
    ['重试；持续出现时运行 npm run doctor。', 'Retry; when it stays, run npm run doctor.'],
  ),
  login_unavailable: help(
    'anew',
    [
      '微信或支付宝没有应答，或应用密钥有误（见日志）。',
      'WeChat or Alipay gave no answer, or the app secret is wrong (see the log).',
    ],
    ['用新的 code 重试。', 'Retry with a new code.'],
  ),
  no_time_left: help(
    'same',
    ['函数剩余时间不够完成一次调用。', "Too little of the function's time is left for a call."],
    ['重试；持续出现时调高函数超时。', 'Retry; when it stays, raise the time limit of the function.'],
  ),
  outcome_unknown: help(
    'same',
    ['云支付没有可验证的应答；订单可能已成立。', 'No verifiable answer came; the order may exist.'],
    ['用同一订单号重试或查询，绝不换号。', 'Retry or read with the same number, never with a new one.'],
    ['out_trade_no', 'read'],
  ),
}

export const FAULT_CODES = Object.keys(FAULTS) as FaultCode[]
