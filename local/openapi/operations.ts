import { DOORS } from '../../shared/access/doors'
import type { FaultCode } from '../../shared/base/errors'
import { EXAMPLES } from './examples'
import type { Text } from './faults'
import type { Schema } from './jsonSchema'
import { ORDER_STATES } from '../../shared/order/state'
import type { SchemaName } from './schemas'

export type Operation = {
  /** For generated clients: stable, and used once. */
  id: string
  tag: keyof typeof TAGS
  summary: Text
  description: Text
  query?: Record<string, Text & { schema: Schema }>
  /** Takes the header `Idempotency-Key`. */
  idempotencyKey?: true
  /** Any of the schemas; examples by name. */
  body?: { schemas: readonly SchemaName[]; required: boolean; examples: Record<string, unknown> }
  answers: Record<number, { when: Text; schema: SchemaName; example: unknown }>
  /** Its own; those of every door, of callers and of bodies are added by `codesOf`. */
  codes: readonly FaultCode[]
  /** Answers to Cloud Pay have its shape, whatever went wrong. */
  speaksCloudPay?: true
}

export const TAGS = {
  orders: { zh: '订单', en: 'orders' },
  refunds: { zh: '退款', en: 'refunds' },
  board: { zh: '看板', en: 'board' },
  sessions: { zh: '登录', en: 'sessions' },
  notifications: { zh: '云支付的通知', en: "Cloud Pay's notifications" },
} as const satisfies Record<string, Text>

const close: Operation = {
  id: 'closeOrder',
  tag: 'orders',
  summary: { zh: '关闭订单', en: 'Close an order' },
  description: {
    zh: '关闭由云支付决定：先请求关闭，再查询，只有验签的回答才算关闭。',
    en: 'Decided by Cloud Pay: asked to close, asked again what became of it, and only its signed answer counts.',
  },
  answers: {
    200: { when: { zh: '已关闭', en: 'closed' }, schema: 'Order', example: EXAMPLES.closed },
    202: {
      when: { zh: '关闭中：稍后读取订单', en: 'closing: read the order later' },
      schema: 'Order',
      example: EXAMPLES.closing,
    },
  },
  codes: ['order_not_found', 'order_not_closable', 'micro_pay_not_closable'],
}

const refund: Operation = {
  id: 'refundOrder',
  tag: 'refunds',
  summary: { zh: '退款，部分或全部', en: 'Refund, in part or in full' },
  description: {
    zh: '只有商户服务器可以退款。需要 out_refund_no 或 Idempotency-Key；超时后用同一个号码重试。',
    en: 'For merchants only. Needs out_refund_no or an Idempotency-Key; after a timeout retry under the same one.',
  },
  idempotencyKey: true,
  body: { schemas: ['NewRefund'], required: true, examples: { refund: EXAMPLES.newRefund } },
  answers: {
    200: {
      when: { zh: '已有最终结果', en: 'settled' },
      schema: 'RefundCreated',
      example: EXAMPLES.refundSettled,
    },
    202: {
      when: { zh: '退款途中', en: 'on its way' },
      schema: 'RefundCreated',
      example: EXAMPLES.refundOnItsWay,
    },
  },
  codes: [
    'refund_number_required',
    'order_not_found',
    'order_not_refundable',
    'refund_exceeds',
    'refund_unresolved',
    'content_differs',
    'refund_ceiling',
    'refund_refused',
  ],
}

/** The same verb where a custom domain reaches it. */
const atOwnPath = ({ summary, ...operation }: Operation): Operation => ({
  ...operation,
  id: `${operation.id}AtOwnPath`,
  summary: { zh: `${summary.zh}（自定义域名）`, en: `${summary.en} (custom domain)` },
})

const PAGE: Operation['query'] = {
  limit: {
    zh: '每页条数，1 到 100，默认 50',
    en: 'how many, 1 to 100; 50 when left out',
    schema: { type: 'string', pattern: '^\\d{1,3}$' },
  },
  before: {
    zh: '上一页的 next',
    en: 'the `next` of the page before',
    schema: { type: 'string', pattern: '^[0-9A-Za-z_-]{1,512}$' },
  },
}

const resolveAnomaly: Operation = {
  id: 'resolveAnomaly',
  tag: 'board',
  summary: { zh: '处理异常', en: 'Resolve an anomaly' },
  description: {
    zh: '记下做了什么。只是记录：不移动订单，也不移动钱。',
    en: 'Says what was done. A note and no more: neither the order nor money moves.',
  },
  body: { schemas: ['ResolveAnomaly'], required: true, examples: { note: EXAMPLES.resolveAnomaly } },
  answers: {
    200: {
      when: { zh: '已处理', en: 'resolved' },
      schema: 'BoardAnomaly',
      example: EXAMPLES.anomalyResolved,
    },
  },
  codes: ['anomaly_not_found'],
}

const ENDED = { schema: 'RefundCreated' as const, example: EXAMPLES.refundPaidOut }
const byPerson = (
  id: string,
  title: [string, string],
  text: [string, string],
  answer: Operation['answers'][200],
  codes: Operation['codes'],
): Operation => ({
  id,
  tag: 'board',
  summary: { zh: title[0], en: title[1] },
  description: { zh: text[0], en: text[1] },
  body: { schemas: ['ResolveAnomaly'], required: true, examples: { note: EXAMPLES.resolveAnomaly } },
  answers: { 200: answer },
  codes,
})

/** What each door is for. A door without a row here does not compile, and `npm run openapi` says so. */
export const OPERATIONS: Record<keyof typeof DOORS, Operation> = {
  'POST /orders': {
    id: 'createOrder',
    tag: 'orders',
    summary: { zh: '下单', en: 'Create an order' },
    description: {
      zh: '商户服务器发送金额与付款人；付款人发送报价或商品编号。用同一个号码重试是安全的，超时后不要换号。',
      en: 'Servers send amount and payer; payers a quote or a sku. Retrying under the same number is safe; after a timeout take no new one.',
    },
    idempotencyKey: true,
    body: {
      schemas: ['NewOrder', 'QuotedOrder', 'SkuOrder'],
      required: true,
      examples: {
        official_account: EXAMPLES.newOrder,
        mini_program: EXAMPLES.newMiniProgramOrder,
        alipay: EXAMPLES.newAlipayOrder,
        payer_with_quote: EXAMPLES.quotedOrder,
        payer_with_sku: EXAMPLES.skuOrder,
      },
    },
    answers: {
      201: { when: { zh: '新订单', en: 'a new order' }, schema: 'OrderCreated', example: EXAMPLES.created },
      200: {
        when: { zh: '同一个订单，重复的请求', en: 'the same order again' },
        schema: 'OrderCreated',
        example: EXAMPLES.created,
      },
    },
    codes: [
      'idempotency_required',
      'quote_missing',
      'sku_missing',
      'quote_or_sku_missing',
      'sku_unknown',
      'quantity_over_limit',
      'merchant_disabled',
      'data_keys_missing',
      'payers_cannot_order',
      'payer_differs',
      'price_differs',
      'quote_invalid',
      'quote_expired',
      'quote_not_yours',
      'quote_used',
      'order_too_large',
      'number_taken',
      'order_in_progress',
      'purchase_open',
      'purchase_paid',
      'content_differs',
      'key_and_number_disagree',
      'too_many_orders',
      'cloud_pay_refused',
      'cloud_pay_rejected_request',
      'no_time_left',
      'outcome_unknown',
    ],
  },
  'GET /orders/{out_trade_no}': {
    id: 'readOrder',
    tag: 'orders',
    summary: { zh: '读取订单', en: 'Read an order' },
    description: {
      zh: '状态、金额、退款与经过；不是自己的订单等同于不存在。',
      en: 'State, amounts, refunds and timeline. An order that is not yours is not there.',
    },
    query: {
      refresh: {
        zh: '1：先向云支付查询（每单三秒一次）',
        en: '1: asks Cloud Pay first, once in three seconds',
        schema: { type: 'string', enum: ['0', '1'] },
      },
    },
    answers: {
      200: { when: { zh: '订单', en: 'the order' }, schema: 'OrderStatus', example: EXAMPLES.status },
    },
    codes: ['order_not_found'],
  },
  'POST /orders/{out_trade_no}/close': close,
  'POST /close/{out_trade_no}': atOwnPath(close),
  'POST /orders/{out_trade_no}/refunds': refund,
  'POST /refunds/{out_trade_no}': atOwnPath(refund),
  'POST /session': {
    id: 'logIn',
    tag: 'sessions',
    summary: { zh: '登录', en: 'Log in' },
    description: {
      zh: '用微信或支付宝的 code 换取令牌；secret 由客户端生成（32 个随机字节），以后每次请求一并发送。',
      en: "A token for a code of WeChat's or Alipay's. The secret is 32 random bytes of the client's, sent with every call.",
    },
    body: { schemas: ['Login'], required: true, examples: { mini_program: EXAMPLES.login } },
    answers: {
      201: { when: { zh: '已登录', en: 'logged in' }, schema: 'Session', example: EXAMPLES.session },
    },
    codes: [
      'app_unknown',
      'login_refused',
      'too_many_logins',
      'login_unavailable',
      'no_time_left',
      'database_unavailable',
    ],
  },
  'POST /session/state': {
    id: 'beginLogin',
    tag: 'sessions',
    summary: { zh: '跳转登录前取 state', en: 'A state, before a redirect' },
    description: {
      zh: 'state 只能由这个浏览器使用一次，十分钟内有效。',
      en: 'Good for this browser, once, within ten minutes.',
    },
    body: { schemas: ['BeginLogin'], required: true, examples: { official_account: EXAMPLES.beginLogin } },
    answers: {
      201: {
        when: { zh: '新的 state', en: 'a new state' },
        schema: 'LoginState',
        example: EXAMPLES.loginState,
      },
    },
    codes: ['app_unknown', 'login_refused'],
  },
  'GET /board/orders': {
    id: 'listOrders',
    tag: 'board',
    summary: { zh: '订单列表', en: 'List orders' },
    description: {
      zh: '自己子商户的订单，最近的在前；search 按订单号开头或完整的钱包单号查找，不能与 state 一起用。',
      en: "The caller's sub-merchant's, the latest first. search: how a number begins, or a whole transaction id; not with state.",
    },
    query: {
      state: {
        zh: '只看这个状态',
        en: 'in this state alone',
        schema: { type: 'string', enum: [...ORDER_STATES] },
      },
      search: {
        zh: '订单号开头，或完整的钱包单号',
        en: 'how a number begins, or a transaction id',
        schema: { type: 'string', pattern: '^[!-~]{1,64}$' },
      },
      ...PAGE,
    },
    answers: {
      200: { when: { zh: '一页', en: 'a page' }, schema: 'BoardOrders', example: EXAMPLES.boardOrders },
    },
    codes: ['query_invalid'],
  },
  'GET /board/unshipped': {
    id: 'listUnshipped',
    tag: 'board',
    summary: { zh: '未上传发货信息的订单', en: 'List what is not shipped' },
    description: {
      zh: '已支付、而我们没有向微信上传发货信息的小程序订单。',
      en: 'Paid mini-program orders whose shipping info WeChat has not from us.',
    },
    query: PAGE,
    answers: {
      200: { when: { zh: '一页', en: 'a page' }, schema: 'BoardOrders', example: EXAMPLES.boardOrders },
    },
    codes: ['query_invalid'],
  },
  'GET /board/anomalies': {
    id: 'listAnomalies',
    tag: 'board',
    summary: { zh: '异常列表', en: 'List anomalies' },
    description: { zh: '未处理的在前。', en: 'The open ones first.' },
    query: PAGE,
    answers: {
      200: { when: { zh: '一页', en: 'a page' }, schema: 'BoardAnomalies', example: EXAMPLES.boardAnomalies },
    },
    codes: ['query_invalid'],
  },
  'GET /board/day': {
    id: 'readDay',
    tag: 'board',
    summary: { zh: '一天的合计', en: "A day's sums" },
    description: {
      zh: '北京时间的一天：下单、支付、退款的笔数与金额（分），合计与每小时。',
      en: 'A day of China: orders made, paid and refunded, count and fen, in all and by the hour.',
    },
    query: {
      date: {
        zh: '例如 2026-11-23，默认今天',
        en: 'such as 2026-11-23; today when left out',
        schema: { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}$' },
      },
    },
    answers: {
      200: { when: { zh: '这一天', en: 'the day' }, schema: 'BoardDay', example: EXAMPLES.boardDay },
    },
    codes: ['query_invalid'],
  },
  'POST /board/anomalies/{id}/resolve': resolveAnomaly,
  'POST /board/resolve/{id}': atOwnPath(resolveAnomaly),
  'POST /board/paid-out/{out_refund_no}': byPerson(
    'payOut',
    ['登记已人工付款', 'Say that it was paid out by hand'],
    [
      '付款人已从商户手里拿到钱：计入已退金额，并注明由人了结。用于需要人工付款或没有退成的退款。',
      'The payer has the money by hand: it counts as refunded, by a person. For a refund that needs one, or that failed.',
    ],
    { when: { zh: '已登记', en: 'written down' }, ...ENDED },
    ['refund_not_found', 'refund_not_endable'],
  ),
  'POST /board/given-up/{out_refund_no}': byPerson(
    'giveUp',
    ['放弃一笔退款', 'Give a refund up'],
    [
      '不再用它退钱，金额释放。会先向云支付查询一次；云支付一天之内说过正在处理时拒绝。',
      'No money goes back by it, and its amount is free. Cloud Pay is asked once before; refused while it is at work.',
    ],
    { when: { zh: '已放弃', en: 'given up' }, ...ENDED },
    ['refund_not_found', 'refund_not_endable', 'refund_under_way'],
  ),
  'POST /board/lift-flag/{out_trade_no}': byPerson(
    'liftFlag',
    ['解除订单的标记', 'Lift the flag of an order'],
    [
      '下一次验签的应答将决定订单的去向。没有人能把订单写成已支付。',
      'The next signed answer decides. Nobody can write an order to be paid.',
    ],
    {
      when: { zh: '已解除', en: 'lifted' },
      schema: 'BoardOrder',
      example: EXAMPLES.boardOrder,
    },
    ['order_not_found'],
  ),
  'POST /session/revoke': {
    id: 'endSessions',
    tag: 'sessions',
    summary: { zh: '结束登录', en: 'End sessions' },
    description: {
      zh: '付款人不带请求体：结束自己的会话。有 admin 的密钥带上付款人：结束其全部会话。',
      en: 'A payer, without a body: their own session. A key with admin, naming a payer: all sessions of that payer.',
    },
    body: { schemas: ['RevokePayer', 'Ignored'], required: false, examples: { payer: EXAMPLES.revokePayer } },
    answers: {
      200: { when: { zh: '已结束', en: 'ended' }, schema: 'Revoked', example: { revoked: true } },
    },
    codes: [],
  },
  'POST /notify': {
    id: 'notify',
    tag: 'notifications',
    summary: { zh: '云支付通知支付结果', en: 'Cloud Pay tells of a payment' },
    description: {
      zh: '只由云支付调用，签名在请求体内。通知只是提示，结果以我们自己的查询为准。',
      en: 'Called by Cloud Pay alone; its signature is in the body. A hint, never proof: our own query decides.',
    },
    body: { schemas: ['Notification'], required: true, examples: {} },
    answers: {
      200: {
        when: { zh: '已收下', en: 'kept' },
        schema: 'NotificationAnswer',
        example: { response_content: { status: 0, description: 'OK' } },
      },
      401: {
        when: { zh: '未通过校验（notification_refused）', en: 'not accepted (notification_refused)' },
        schema: 'NotificationAnswer',
        example: { response_content: { status: 1, description: 'refused' } },
      },
      503: {
        when: { zh: '请稍后再发', en: 'send it again' },
        schema: 'NotificationAnswer',
        example: { response_content: { status: 1, description: 'try again' } },
      },
    },
    codes: ['notification_refused', 'no_time_left', 'database_unavailable'],
    speaksCloudPay: true,
  },
}

/** Any door: the body is read, and the configuration with it, before anything else. */
const OF_EVERY_DOOR: readonly FaultCode[] = [
  'body_not_base64',
  'head_invalid',
  'body_not_utf8',
  'body_too_large',
  'internal',
  'configuration',
]
/** Doors that ask who is calling. */
const OF_CALLERS: readonly FaultCode[] = [
  'caller_unknown',
  'request_expired',
  'request_replayed',
  'session_ended',
  'caller_not_allowed',
  'database_unavailable',
]
const OF_BODIES: readonly FaultCode[] = ['body_not_json', 'body_invalid']

/** Never an operation's: nothing is described where nothing is. */
export const CODES_OF_NO_OPERATION: readonly FaultCode[] = ['path_not_found']

/** Every code a door may answer, or, towards Cloud Pay, write into its log. */
export function codesOf(name: keyof typeof DOORS): FaultCode[] {
  const { body, idempotencyKey, codes } = OPERATIONS[name]
  return [
    ...new Set([
      ...OF_EVERY_DOOR,
      ...(DOORS[name] === 'anyone' ? [] : OF_CALLERS),
      ...(body ? OF_BODIES : []),
      ...(idempotencyKey ? (['idempotency_key_invalid'] as const) : []),
      ...codes,
    ]),
  ]
}
