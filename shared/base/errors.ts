/**
 * Everything a caller can be told has gone wrong. The code is stable and meant for programs; the sentences are for
 * people. What really happened travels as `cause` and is written to the log only.
 */
export const FAULTS = {
  head_invalid: {
    status: 400,
    zh: '路径、查询参数或请求头过长、过多，或含有不是文本的字符。',
    en: 'Path, query or headers are too long, too many, or hold what is no text.',
  },
  body_not_utf8: { status: 400, zh: '请求体不是 UTF-8 文本。', en: 'The request body is not UTF-8 text.' },
  body_not_base64: {
    status: 400,
    zh: '请求体不是有效的 base64。',
    en: 'The request body is not valid base64.',
  },
  body_not_json: { status: 400, zh: '请求体不是 JSON 对象。', en: 'The request body is not a JSON object.' },
  body_invalid: {
    status: 400,
    zh: '请求体中有不合规的字段。',
    en: 'Some fields of the request are not acceptable.',
  },
  idempotency_required: {
    status: 400,
    zh: '请提供 out_trade_no 或 Idempotency-Key 请求头，以免重复下单。',
    en: 'Send out_trade_no or an Idempotency-Key header, so that a retry cannot order twice.',
  },
  refund_number_required: {
    status: 400,
    zh: '请提供 out_refund_no 或 Idempotency-Key 请求头，以免重复退款。',
    en: 'Send out_refund_no or an Idempotency-Key header, so that a retry cannot refund twice.',
  },
  idempotency_key_invalid: {
    status: 400,
    zh: 'Idempotency-Key 须为 1 至 255 个可见 ASCII 字符。',
    en: 'Idempotency-Key must be 1 to 255 visible ASCII characters.',
  },
  query_invalid: {
    status: 400,
    zh: '查询参数不合规。',
    en: 'Some parameters of the query are not acceptable.',
  },
  caller_unknown: { status: 401, zh: '无法识别调用方。', en: 'The caller is not known.' },
  request_expired: {
    status: 401,
    zh: '签名请求的时间戳与服务器时间相差超过 300 秒。',
    en: "The signed request's timestamp is more than 300 s away from the server's clock.",
  },
  request_replayed: {
    status: 401,
    zh: '这个签名请求已经用过，请用新的 nonce 重新签名。',
    en: 'This signed request was used before; sign it again with a new nonce.',
  },
  session_ended: {
    status: 401,
    zh: '登录已过期或已注销，请重新登录。',
    en: 'The session has expired or was ended; log in again.',
  },
  login_refused: {
    status: 401,
    zh: '登录未被接受：code 或 state 无效、过期或已使用，请重新获取。',
    en: 'The login was not accepted: its code or state is wrong, expired or used; get new ones.',
  },
  caller_not_allowed: { status: 403, zh: '调用方无权执行此操作。', en: 'The caller may not do this.' },
  payer_differs: {
    status: 403,
    zh: '付款人与登录的用户不一致。',
    en: 'The payer is not the one who is logged in.',
  },
  quote_missing: {
    status: 400,
    zh: '付款人下单须带商户服务器签发的报价（quote）。',
    en: "A payer's order needs a quote that the merchant's server signed.",
  },
  sku_missing: {
    status: 400,
    zh: '付款人下单须带商品编号（sku），价格由目录决定。',
    en: "A payer's order needs a sku; its price is in the catalogue.",
  },
  quote_or_sku_missing: {
    status: 400,
    zh: '付款人下单须带报价（quote）或商品编号（sku）。',
    en: "A payer's order needs a quote or a sku.",
  },
  sku_unknown: { status: 400, zh: '目录里没有在售的这个商品。', en: 'The catalogue sells no such article.' },
  quantity_over_limit: {
    status: 400,
    zh: '数量超过这个商品的上限。',
    en: "The quantity is over the article's limit.",
  },
  payers_cannot_order: {
    status: 403,
    zh: '没有配置报价或目录，只有商户服务器可以下单。',
    en: "Neither quotes nor a catalogue are configured: only the merchant's server may order.",
  },
  price_differs: {
    status: 403,
    zh: '金额或商品描述与报价或目录不一致。',
    en: 'Amount or description is not that of the quote or the catalogue.',
  },
  quote_invalid: { status: 403, zh: '报价无效。', en: 'The quote is not valid.' },
  quote_expired: { status: 403, zh: '报价已过期。', en: 'The quote has expired.' },
  quote_not_yours: {
    status: 403,
    zh: '这个报价是给另一位付款人或另一个子商户的。',
    en: 'The quote is for another payer or another sub-merchant.',
  },
  order_too_large: {
    status: 403,
    zh: '金额超过单笔上限。',
    en: 'The amount is over the limit of one order.',
  },
  merchant_disabled: {
    status: 403,
    zh: '这个子商户已停用，不能下新单。',
    en: 'This sub-merchant is disabled and takes no new orders.',
  },
  app_unknown: { status: 400, zh: '没有配置这个 app_id。', en: 'This app_id is not configured.' },
  path_not_found: { status: 404, zh: '没有这个地址。', en: 'There is nothing at this path.' },
  notification_refused: { status: 401, zh: '通知未通过校验。', en: 'The notification is not accepted.' },
  order_not_found: { status: 404, zh: '没有这个订单。', en: 'There is no such order.' },
  refund_not_found: { status: 404, zh: '没有这笔退款。', en: 'There is no such refund.' },
  anomaly_not_found: { status: 404, zh: '没有这个异常。', en: 'There is no such anomaly.' },
  number_taken: { status: 409, zh: '订单号已被使用。', en: 'The order number is taken.' },
  order_in_progress: {
    status: 409,
    zh: '另一个请求正在处理这个订单，请按 Retry-After 稍后重试。',
    en: 'Another request is working on this order; retry after the seconds in Retry-After.',
  },
  purchase_open: {
    status: 409,
    zh: '这笔业务订单已有一个未完成的支付单，须先支付或关闭它；最早 Retry-After 秒后可以关闭，届时请重试。',
    en: 'This purchase has an open order, which must be paid or closed first: retry after the seconds in Retry-After, when it can be closed at the earliest.',
  },
  purchase_paid: {
    status: 409,
    zh: '这笔业务订单已经支付。',
    en: 'This purchase is paid already.',
  },
  quote_used: { status: 409, zh: '这个报价已经用过。', en: 'The quote was used already.' },
  order_not_closable: {
    status: 409,
    zh: '订单当前状态不能关闭（例如已支付）。',
    en: 'The order cannot be closed in its state; it may be paid.',
  },
  micro_pay_not_closable: {
    status: 409,
    zh: '付款码支付的订单不能关闭：付款人可能正在输入密码，关单会退回已付的钱。请查询订单直到有结果。',
    en: 'A micro_pay order is never closed: the payer may be typing a password, and a close gives paid money back. Read it until it is decided.',
  },
  order_not_refundable: {
    status: 409,
    zh: '订单当前状态不能退款。',
    en: 'The order cannot be refunded in its state.',
  },
  refund_exceeds: {
    status: 409,
    zh: '退款金额超过可退余额。',
    en: 'The refund is more than what is left to refund.',
  },
  refund_unresolved: {
    status: 409,
    zh: '该订单有一笔结果未知的退款，请用原退款单号重试，不要换号。',
    en: 'A refund of this order has an unknown outcome; retry it under its own number, do not take a new one.',
  },
  refund_not_endable: {
    status: 409,
    zh: '这笔退款当前的状态不能由人了结。',
    en: 'The refund cannot be ended by a person in its state.',
  },
  refund_under_way: {
    status: 409,
    zh: '云支付一天之内说过这笔退款正在处理，现在不能放弃。',
    en: 'Cloud Pay has said within a day that it is at work on the refund: it cannot be given up now.',
  },
  body_too_large: {
    status: 413,
    zh: '请求体太大：最多 64 KB，登录最多 4 KB。',
    en: 'The request body is too large: at most 64 KB, for a login 4 KB.',
  },
  content_differs: {
    status: 422,
    zh: '同一订单号或 Idempotency-Key 对应的内容不一致。',
    en: 'The same order number or Idempotency-Key was used with other content.',
  },
  key_and_number_disagree: {
    status: 422,
    zh: 'Idempotency-Key 与 out_trade_no 指向不同的订单。',
    en: 'The Idempotency-Key and out_trade_no name different orders.',
  },
  refund_ceiling: {
    status: 429,
    zh: '已达到每小时或每日退款上限。',
    en: 'The refund limit of this hour or day is reached.',
  },
  too_many_orders: {
    status: 429,
    zh: '未完成的订单过多，或这一分钟、这一天下单过于频繁，请按 Retry-After 稍后再试。',
    en: 'Too many open orders, or too many in this minute or day; try again after the seconds in Retry-After.',
  },
  too_many_logins: {
    status: 429,
    zh: '登录过于频繁，请按 Retry-After 稍后再试。',
    en: 'Too many logins; try again after the seconds in Retry-After.',
  },
  data_keys_missing: {
    status: 503,
    zh: '没有配置 DATA_KEYS（或封存所用的密钥已被移除），不能受理付款码支付。',
    en: 'DATA_KEYS is not configured, or the key it was sealed with was taken away: micro_pay cannot be served.',
  },
  internal: { status: 500, zh: '服务内部错误。', en: 'Something is wrong on our side.' },
  cloud_pay_refused: {
    status: 502,
    zh: '云支付明确拒绝了这个订单，没有发生支付。',
    en: 'Cloud Pay verifiably refused the order; nothing was paid.',
  },
  cloud_pay_rejected_request: {
    status: 502,
    zh: '云支付不接受我们的请求（状态 101，常见原因是密钥或参数配置有误），订单保持未完成。',
    en: 'Cloud Pay did not accept our request (status 101, often a wrong key or setting); the order stays open.',
  },
  refund_refused: {
    status: 502,
    zh: '云支付明确拒绝了这笔退款，没有退款发生。',
    en: 'Cloud Pay verifiably refused the refund; nothing went back.',
  },
  configuration: { status: 503, zh: '服务配置不完整。', en: 'The service is not configured completely.' },
  database_unavailable: {
    status: 503,
    zh: '暂时无法访问数据库，没有向云支付发出请求，可以重试。',
    en: 'The database cannot be reached; nothing was asked of Cloud Pay and it is safe to retry.',
  },
  login_unavailable: {
    status: 503,
    zh: '微信或支付宝暂时无法确认登录，请用新的 code 重试。',
    en: 'WeChat or Alipay cannot confirm the login just now; try again with a new code.',
  },
  no_time_left: {
    status: 503,
    zh: '函数剩余时间不足，没有向云支付发出请求，可以重试。',
    en: 'Too little time is left to ask Cloud Pay; nothing was asked and it is safe to retry.',
  },
  outcome_unknown: {
    status: 504,
    zh: '结果未知，订单仍然有效。请用同一订单号查询或重试，不要换号。',
    en: 'The outcome is unknown and the order is open. Read or retry with the same number; do not take a new one.',
  },
} as const satisfies Record<string, { status: number; zh: string; en: string }>

export type FaultCode = keyof typeof FAULTS

/** What is wrong with one field: where, in which way, and in words: English in `message`, as callers know it. */
export type FieldFault = { field: string; code: string; message: string; message_zh: string }

export type FaultExtras = {
  /** For the log only. */
  cause?: unknown
  fields?: FieldFault[]
  retryAfterS?: number
  /** More members of the answer, such as the order number a caller needs to go on. Public: nothing secret. */
  extra?: Record<string, string | number | boolean | null>
}

/** A refusal with two voices: the code and sentences for the caller, the cause for the log. */
export class Fault extends Error {
  override readonly name = 'Fault'

  constructor(
    readonly code: FaultCode,
    readonly extras: FaultExtras = {},
  ) {
    super(code, extras.cause === undefined ? undefined : { cause: extras.cause })
  }
}

/** The database could not be read or written, so this says nothing of how things stand upstream. */
export const isOfDatabase = (error: unknown): boolean =>
  error instanceof Fault && (error.code === 'database_unavailable' || error.code === 'configuration')
