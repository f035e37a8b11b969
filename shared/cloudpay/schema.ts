import * as v from 'valibot'
import { Fen } from '../base/money'
import { exactObject, integer, listOf, maybe, openObject, S, S1 } from '../base/validate'
import { echoes, type Echo } from './echoes'
import { PAY_PLATFORM, STATUS, TERMINAL_TYPE, TRADE_TYPE } from './enums'

/**
 * The protocol's shapes, once: the types, what we check, what the sandbox checks and what the documents show all
 * come from here. `S32` means at most 32 characters, `N32`/`N64` an integer, as in the Cloud Pay pages.
 *
 * Requests are exact. Answers are loose: members nobody knows pass, what we rely on must be there and be right.
 * (`100.0` for `100` needs no rule of its own: JSON.parse reads both as the same number.)
 */

const N32 = integer(0, 2_147_483_647)
const EpochS = integer(0, 99_999_999_999)

// ── common structures (公共数据结构) ───────────────────────────────────────────────────────────────────────────

/** `detail` is the JSON text of this. `cost_price` other than the amount paid is treated as a split bill. */
export const Detail = v.strictObject({
  cost_price: v.optional(N32),
  receipt_id: v.optional(S(32)),
  goods_detail: listOf(
    v.strictObject({
      goods_id: v.optional(S(32)),
      goods_name: v.optional(S(256)),
      quantity: N32,
      price: N32,
    }),
  ),
})
export type Detail = v.InferOutput<typeof Detail>

export const WxpayPayContentExt = exactObject({
  attach: v.optional(S(127)),
  goods_tag: v.optional(S(32)),
  product_id: v.optional(S(32)),
  limit_pay: v.optional(v.literal('no_credit')),
})

/** As it is sent: empty clears the field (product/569/11609). */
export const SentPayContentExt = exactObject({
  ...WxpayPayContentExt.entries,
  limit_pay: v.optional(v.picklist(['no_credit', ''])),
})

/** A flow number of a client's own: an integer on the pages, a text in a client that is in use. */
const FlowId = v.union([integer(0, Number.MAX_SAFE_INTEGER), S(64)])

/** `total_fee` is integer fen; `fee_type` is CNY and nothing else; `time_expire` is absolute epoch seconds. */
export const PayContent = v.strictObject({
  out_trade_no: S1(32),
  total_fee: Fen,
  fee_type: v.literal('CNY'),
  body: S1(128),
  detail: v.optional(S(6000)),
  remark: v.optional(S(127)),
  time_expire: v.optional(EpochS),
  caller_notify_url: v.optional(S(1024)),
  /** Newer pages (product/569/37672); we do not send it. */
  client_flow_id: v.optional(FlowId),
  /** Seen from one client in use; what it means is not known. */
  is_shelves_order: v.optional(v.boolean()),
  wxpay_pay_content_ext: v.optional(SentPayContentExt),
})

export const WxpayPayMchKeyExt = v.strictObject({
  app_id: v.optional(S1(32)),
  sub_app_id: v.optional(S1(32)),
  open_id: v.optional(S1(128)),
  sub_open_id: v.optional(S1(128)),
  mini_program_sub_app_id: v.optional(S1(32)),
})

export const AlipayPayMchKeyExt = v.strictObject({ user_id: S1(32) })

const OutIds = { out_mch_id: S1(32), out_sub_mch_id: S1(32), out_shop_id: S1(32) }
const Platform = v.picklist(Object.values(PAY_PLATFORM))

/** Exactly one of the two extensions is filled, the platform's own (footnote 2 of product/569/37827). */
export const PayMchKey = v.strictObject({
  pay_platform: Platform,
  sub_pay_platform: v.optional(N32),
  ...OutIds,
  /** Members of staff who are told (product/569/11609); we do not send it. */
  notify_open_ids: v.optional(listOf(S(255))),
  wxpay_pay_mch_key_ext: v.optional(WxpayPayMchKeyExt),
  alipay_pay_mch_key_ext: v.optional(AlipayPayMchKeyExt),
})

export const OrderClient = v.strictObject({
  device_id: v.optional(S(64)),
  staff_id: v.optional(S(64)),
  // The pages mark these two as required, the published example sends neither.
  terminal_type: v.optional(v.picklist(Object.values(TERMINAL_TYPE))),
  sdk_version: v.optional(S(10)),
  /** IPv4 of the machine that calls the API. */
  spbill_create_ip: S1(16),
  /** Go with every call of Tencent's own SDKs: a machine's number, and a brand's code that is always there. */
  machine_no: v.optional(S(32)),
  sub_terminal_type: v.optional(N32),
  /** Of a device that is configured in the console: S64 in 2019, S127 later. */
  sn_code: v.optional(S(127)),
})

/** The other shape (`authen_info.s`, RSA) is for refunds of old clients; everything we send and believe is HMAC. */
export const AuthenInfo = v.looseObject({
  a: v.looseObject({ authen_type: v.number(), authen_code: v.string() }),
})

// ── what answers carry ─────────────────────────────────────────────────────────────────────────────────────────
// Which members are relied on, and which are absent when they do not fit: reading.ts. `null` is absent everywhere but
// in a hand-over.

const WalletState = integer(0, 1000)

export const OrderContent = openObject({
  out_trade_no: maybe(v.string()),
  transaction_id: maybe(S(64)),
  trade_type: maybe(v.number()),
  time_expire: maybe(EpochS),
  time_end: maybe(EpochS),
  nonce_str: maybe(v.string()),
  create_time: maybe(v.number()),
  last_update_time: maybe(v.number()),
  /** Anything but false says that the server is working on it. */
  is_transforming: v.optional(v.unknown()),
  total_fee: maybe(v.number()),
  cash_fee: maybe(N32),
  settlement_total_fee: maybe(N32),
  fee_type: maybe(v.string()),
  wxpay_order_content_ext: maybe(
    openObject({ current_trade_state: maybe(WalletState), prepare_id: maybe(v.string()) }),
  ),
  alipay_order_content_ext: maybe(openObject({ current_trade_state: maybe(WalletState) })),
})
export type OrderContent = v.InferOutput<typeof OrderContent>

export const AnswerPayMchKey = openObject({
  pay_platform: maybe(v.number()),
  out_mch_id: maybe(v.string()),
  out_sub_mch_id: maybe(v.string()),
  out_shop_id: maybe(v.string()),
  wxpay_pay_mch_key_ext: maybe(openObject({})),
  alipay_pay_mch_key_ext: maybe(openObject({})),
})

/** Strings stay strings: the wallet signed exactly these, `timestamp` included. */
const WxpayHandover = openObject({
  app_id: v.optional(v.string()),
  timestamp: v.optional(v.string()),
  nonce_str: v.optional(v.string()),
  package: v.optional(v.string()),
  sign_type: v.optional(v.string()),
  pay_sign: v.optional(v.string()),
})

/** `get_brand_wcpay` for official accounts, `mini_program_pay` for mini-programs, `trade_pay` for Alipay. */
export const JsapiArguments = openObject({
  wxpay: v.optional(
    openObject({
      get_brand_wcpay: v.optional(WxpayHandover),
      mini_program_pay: v.optional(WxpayHandover),
    }),
  ),
  alipay: v.optional(openObject({ trade_pay: v.optional(openObject({ trade_no: v.optional(v.string()) })) })),
})
export type JsapiArguments = v.InferOutput<typeof JsapiArguments>

/** What `response_content` decodes to, before the member named after the interface. */
export const AnswerContent = openObject({
  status: integer(0, 2_147_483_647),
  /** Of a failing status: what a person is to do. A stranger's text. */
  description: maybe(v.string()),
  /** Unsigned on the pages, `long` and `double` in Tencent's SDKs: no upper bound is known. */
  log_id: maybe(integer(0, Number.MAX_SAFE_INTEGER)),
  internal_status: v.optional(v.unknown()),
})
export type AnswerContent = v.InferOutput<typeof AnswerContent>

/**
 * `internal_status` of a failing answer, or nothing where it has none. `unreadable`: it has one, and it is no whole
 * number; so it may be one of those that mean something, and no end follows from such an answer.
 */
export type InternalStatus = number | 'unreadable' | undefined
export function internalStatusOf({ internal_status: given }: AnswerContent): InternalStatus {
  if (given === undefined || given === null) return undefined
  return Number.isSafeInteger(given) ? (given as number) : 'unreadable'
}

/** "The server is working on it": whatever is there that is not a plain no. */
export const isTransforming = ({ is_transforming: given }: { is_transforming?: unknown }): boolean =>
  given !== undefined && given !== null && given !== false

// ── interfaces ─────────────────────────────────────────────────────────────────────────────────────────────────

export type Interface = {
  /** The URL's last part. */
  suffix: string
  /** The member of `response_content` that holds the answer. */
  member: string
  request: v.GenericSchema
  answer: v.GenericSchema
  echoes: readonly Echo[]
  /** An answer without the member is one whose member is empty. */
  optionalMember?: true
  /** Larger than the usual for an answer that is a page of many. */
  answerMaxBytes?: number
}

export const OrderAnswer = openObject({
  nonce_str: maybe(v.string()),
  order_content: OrderContent,
  pay_mch_key: maybe(AnswerPayMchKey),
})
export type OrderAnswer = v.InferOutput<typeof OrderAnswer>

/**
 * The answer to a create that hands something over. Its `jsapi_args` are read strictly: an order whose hand-over were
 * taken for absent would stand there, and nobody could pay it. In the answer to a query they decide nothing.
 */
const HandoverAnswer = openObject({ ...OrderAnswer.entries, jsapi_args: v.optional(JsapiArguments) })

/** 公众号支付, product/569/37827. `trade_type` is not in that page's table but in its example, at the top level. */
export const officialAccountPay = {
  suffix: 'official_account_pay',
  member: 'official_account_pay',
  request: v.strictObject({
    pay_mch_key: PayMchKey,
    pay_content: PayContent,
    order_client: OrderClient,
    nonce_str: S1(32),
    trade_type: v.optional(v.literal(TRADE_TYPE.officialAccount)),
  }),
  answer: HandoverAnswer,
  echoes: echoes('required'),
} as const satisfies Interface

/**
 * 小程序支付. No page of it is known, only a client that reads `order_content` and `jsapi_args`; so beyond the order
 * number its answer is compared where it speaks and not refused where it is silent. It is never payment evidence:
 * that comes from query_order, whose list is strict.
 */
export const miniProgramPay = {
  suffix: 'mini_program_pay',
  member: 'mini_program_pay',
  request: v.strictObject({
    pay_mch_key: PayMchKey,
    pay_content: PayContent,
    order_client: OrderClient,
    nonce_str: S1(32),
  }),
  answer: HandoverAnswer,
  echoes: echoes('if_present'),
} as const satisfies Interface

/** 查询订单, product/569/37674. An unknown order is a failing status with internal_status 400. */
export const queryOrder = {
  suffix: 'query_order',
  member: 'query_order',
  request: v.strictObject({
    pay_mch_key: v.strictObject({
      pay_platform: v.optional(Platform),
      sub_pay_platform: v.optional(N32),
      ...OutIds,
    }),
    order_client: v.optional(OrderClient),
    out_trade_no: S1(32),
    trade_type: v.optional(N32),
    nonce_str: S1(32),
  }),
  answer: OrderAnswer,
  echoes: echoes('required'),
} as const satisfies Interface

/** 关闭订单, product/569/37828. Its answer carries nothing but a nonce: it proves that the request was accepted. */
export const closeOrder = {
  suffix: 'close_order',
  member: 'close_order',
  request: v.strictObject({
    pay_mch_key: v.strictObject({
      pay_platform: Platform,
      sub_pay_platform: v.optional(N32),
      ...OutIds,
    }),
    order_client: v.optional(OrderClient),
    out_trade_no: S1(32),
    trade_type: v.optional(N32),
    nonce_str: S1(32),
  }),
  answer: openObject({ nonce_str: maybe(v.string()) }),
  echoes: [],
} as const satisfies Interface

// ── refunds ────────────────────────────────────────────────────────────────────────────────────────────────────

export const RefundContent = v.strictObject({
  out_trade_no: S1(32),
  out_refund_no: S1(32),
  /** Of the order, fen. */
  total_fee: Fen,
  /** Of this refund, fen. */
  refund_fee: Fen,
  refund_fee_type: v.literal('CNY'),
  refund_reason: v.optional(S(64)),
  /** Newer page; we do not send it. */
  client_refund_flow_id: v.optional(FlowId),
})

export const RefundOrderContent = openObject({
  out_trade_no: maybe(v.string()),
  out_refund_no: maybe(v.string()),
  refund_id: maybe(S(64)),
  nonce_str: maybe(v.string()),
  create_time: maybe(v.number()),
  last_update_time: maybe(v.number()),
  /** As in OrderContent. */
  is_transforming: v.optional(v.unknown()),
  total_fee: maybe(v.number()),
  refund_fee: maybe(v.number()),
  refund_fee_type: maybe(v.string()),
  wxpay_refund_order_content_ext: maybe(openObject({ state: maybe(WalletState) })),
  alipay_refund_order_content_ext: maybe(openObject({ refund_status: maybe(WalletState) })),
})
export type RefundOrderContent = v.InferOutput<typeof RefundOrderContent>

/**
 * An object as the answer to `refund`, a list as the answer to `query_refund_order`; both are read as a list. All of it or
 * nothing: of a list with one refund that cannot be read nobody can say what went back.
 */
const Refunds = v.pipe(
  v.unknown(),
  v.transform((given) => (Array.isArray(given) ? (given as unknown[]) : [given])),
  v.array(RefundOrderContent),
)

const RefundAnswer = openObject({
  nonce_str: maybe(v.string()),
  pay_mch_key: maybe(AnswerPayMchKey),
  /** None at all says that there are no refunds, to both of Tencent's SDKs. */
  refund_order_content: maybe(Refunds),
})
export type RefundAnswer = v.InferOutput<typeof RefundAnswer>

const RefundPayMchKey = v.strictObject({
  pay_platform: Platform,
  sub_pay_platform: v.optional(N32),
  ...OutIds,
})

/**
 * 申请退款, product/569/37673. Status 0 says "accepted", never "done". Somebody refunds: every shipped client names who, by
 * `order_client.device_id` and `staff_id` or by `is_sub_mch_admin`; the page asks for that, or for the id of a member of
 * staff when it is false.
 */
export const refund = {
  suffix: 'refund',
  member: 'refund',
  request: v.strictObject({
    pay_mch_key: v.strictObject({
      ...RefundPayMchKey.entries,
      is_sub_mch_admin: v.optional(v.boolean()),
      authorization_staff_id: v.optional(S1(64)),
      authorization_name: v.optional(S1(32)),
    }),
    refund_content: RefundContent,
    order_client: OrderClient,
    nonce_str: S1(32),
  }),
  answer: RefundAnswer,
  // On each element of the list: see refundEchoes.
  echoes: [],
} as const satisfies Interface

/**
 * 查询退款单, product/569/37675. Without `out_refund_no` it lists every refund of the order, those made in the console
 * included. "None" is a failing status with internal_status 426.
 */
export const queryRefundOrder = {
  suffix: 'query_refund_order',
  member: 'query_refund_order',
  request: v.strictObject({
    pay_mch_key: RefundPayMchKey,
    order_client: OrderClient,
    out_trade_no: S1(32),
    out_refund_no: v.optional(S1(32)),
    nonce_str: S1(32),
  }),
  answer: RefundAnswer,
  echoes: [],
} as const satisfies Interface

// ── the bill ───────────────────────────────────────────────────────────────────────────────────────────────────

/** `query_order_type`: what a page of the bill lists. */
export const BILL_OF = { payments: 1, refunds: 2, both: 3 } as const

const OrderMch = openObject({
  pay_platform: maybe(v.number()),
  out_mch_id: maybe(v.string()),
  out_sub_mch_id: maybe(v.string()),
  out_shop_id: maybe(v.string()),
})

/** One payment of the bill. */
export const BillPayment = openObject({
  order_mch: maybe(OrderMch),
  order_content: openObject({ ...OrderContent.entries, refunded_fee: maybe(v.number()) }),
})
export type BillPayment = v.InferOutput<typeof BillPayment>

/** One refund of the bill. */
export const BillRefund = openObject({
  refund_order_mch: maybe(OrderMch),
  refund_order_content: RefundOrderContent,
})
export type BillRefund = v.InferOutput<typeof BillRefund>

/** Each of the two is read by itself: one that cannot be read is lost alone. */
export const BillEntry = openObject({
  receipt: maybe(openObject({ order: v.optional(v.unknown()), refund_order: v.optional(v.unknown()) })),
})

/** client_order_detail (product/569/11609, 2019): one page of what happened, newest state included. */
export const clientOrderDetail = {
  suffix: 'client_order_detail',
  member: 'order_detail_query',
  request: v.strictObject({
    pay_platform: v.optional(Platform),
    out_sub_mch_id: S1(32),
    out_shop_id: v.optional(S1(32)),
    /** A shop's members of staff and devices; clients in use send these five as well. */
    staff_id: v.optional(S(64)),
    device_id: v.optional(S(64)),
    trade_type: v.optional(N32),
    enable_overview: v.optional(v.boolean()),
    query_cashier_type: v.optional(N32),
    query_order_type: v.picklist(Object.values(BILL_OF)),
    start_time: v.optional(EpochS),
    end_time: EpochS,
    /** From 1. */
    page_num: integer(1, 1_000_000),
    page_size: integer(1, 1000),
    nonce_str: v.optional(S1(32)),
  }),
  answer: openObject({
    /** Of all matches, not of this page. Without it, pages are read until an empty one. */
    total_count: maybe(integer(0, 2_147_483_647)),
    order_details: maybe(v.array(v.unknown())),
  }),
  // Documented as optional: an answer without it lists nothing.
  optionalMember: true,
  echoes: [],
  answerMaxBytes: 4 * 1024 * 1024,
} as const satisfies Interface

// ── notifications ──────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What Cloud Pay sends us after a payment (product/569/11609, 2019). It is a hint to look, so it need say no more than
 * whose order it is; what else it says is compared where it says it.
 */
const OrderNumber = v.pipe(v.string(), v.minLength(1), v.maxLength(32))
const RefundHint = openObject({ out_trade_no: OrderNumber })
export const NotificationContent = v.pipe(
  openObject({
    pay_mch_key: openObject({ out_sub_mch_id: maybe(v.string()) }),
    order_content: maybe(openObject({ out_trade_no: OrderNumber })),
    /** Of a refund (product/569/11609 of 2017): a list there; an object is read as well. */
    refund_order_content: maybe(v.union([RefundHint, v.pipe(listOf(RefundHint), v.minLength(1))])),
  }),
  v.check(
    ({ order_content, refund_order_content }) => Boolean(order_content) !== Boolean(refund_order_content),
  ),
)
export type NotificationContent = v.InferOutput<typeof NotificationContent>

export const INTERFACES = [
  officialAccountPay,
  miniProgramPay,
  queryOrder,
  closeOrder,
  refund,
  queryRefundOrder,
  clientOrderDetail,
] as const

export type PayRequest = v.InferOutput<(typeof officialAccountPay)['request']>
export type QueryRequest = v.InferOutput<(typeof queryOrder)['request']>
export type CloseRequest = v.InferOutput<(typeof closeOrder)['request']>
export type RefundRequest = v.InferOutput<(typeof refund)['request']>
export type QueryRefundRequest = v.InferOutput<(typeof queryRefundOrder)['request']>
export type BillRequest = v.InferOutput<(typeof clientOrderDetail)['request']>

/** What status says about trying again, for the only retries the documents allow (§ Status, 37628). */
export const retryDelayMs = (status: number): number | undefined =>
  status === STATUS.systemError ? 0 : status === STATUS.failedRetryLater ? 3000 : undefined
