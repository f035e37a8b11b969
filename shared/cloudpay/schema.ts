import * as v from 'valibot'
import { Fen } from '../base/money'
import { exactObject, integer, S, S1 } from '../base/validate'
import { echoes, type Echo } from './echoes'
import { PAY_PLATFORM, STATUS, TERMINAL_TYPE, TRADE_TYPE } from './enums'

/**
 * The protocol's shapes, once: the types, what we check, what the sandbox checks and what the documents show all
 * come from here. `S32` means at most 32 characters, `N32`/`N64` an integer, as in the Cloud Pay pages.
 *
 * Requests are exact. Answers are loose: unknown members pass, what we rely on must be there and be right.
 * (`100.0` for `100` needs no rule of its own: JSON.parse reads both as the same number.)
 */

const N32 = integer(0, 2_147_483_647)
const EpochS = integer(0, 99_999_999_999)
/** `log_id` is unsigned: a published sample is above 2³¹. */
const U32 = integer(0, 4_294_967_295)

// ── common structures (公共数据结构) ───────────────────────────────────────────────────────────────────────────

/** `detail` is the JSON text of this. `cost_price` other than the amount paid is treated as a split bill. */
export const Detail = v.strictObject({
  cost_price: v.optional(N32),
  receipt_id: v.optional(S(32)),
  goods_detail: v.array(
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
  wxpay_pay_content_ext: v.optional(WxpayPayContentExt),
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
})

/** The other shape (`authen_info.s`, RSA) is for refunds of old clients; everything here is HMAC. */
export const AuthenInfo = v.looseObject({
  a: v.looseObject({ authen_type: v.number(), authen_code: v.string() }),
})

// ── what answers carry ─────────────────────────────────────────────────────────────────────────────────────────

const WalletState = integer(0, 1000)

export const OrderContent = v.looseObject({
  out_trade_no: v.optional(v.string()),
  transaction_id: v.optional(S(64)),
  trade_type: v.optional(v.number()),
  time_expire: v.optional(EpochS),
  time_end: v.optional(EpochS),
  nonce_str: v.optional(v.string()),
  create_time: v.optional(v.number()),
  is_transforming: v.optional(v.boolean()),
  total_fee: v.optional(v.number()),
  cash_fee: v.optional(N32),
  settlement_total_fee: v.optional(N32),
  fee_type: v.optional(v.string()),
  wxpay_order_content_ext: v.optional(
    v.looseObject({ current_trade_state: WalletState, prepare_id: v.optional(v.string()) }),
  ),
  alipay_order_content_ext: v.optional(v.looseObject({ current_trade_state: WalletState })),
})
export type OrderContent = v.InferOutput<typeof OrderContent>

export const AnswerPayMchKey = v.looseObject({
  pay_platform: v.optional(v.number()),
  out_mch_id: v.optional(v.string()),
  out_sub_mch_id: v.optional(v.string()),
  out_shop_id: v.optional(v.string()),
  wxpay_pay_mch_key_ext: v.optional(v.looseObject({})),
  alipay_pay_mch_key_ext: v.optional(v.looseObject({})),
})

/** Strings stay strings: the wallet signed exactly these, `timestamp` included. */
const WxpayHandover = v.looseObject({
  app_id: v.optional(v.string()),
  timestamp: v.optional(v.string()),
  nonce_str: v.optional(v.string()),
  package: v.optional(v.string()),
  sign_type: v.optional(v.string()),
  pay_sign: v.optional(v.string()),
})

/** `get_brand_wcpay` for official accounts, `mini_program_pay` for mini-programs, `trade_pay` for Alipay. */
export const JsapiArguments = v.looseObject({
  wxpay: v.optional(
    v.looseObject({
      get_brand_wcpay: v.optional(WxpayHandover),
      mini_program_pay: v.optional(WxpayHandover),
    }),
  ),
  alipay: v.optional(
    v.looseObject({ trade_pay: v.optional(v.looseObject({ trade_no: v.optional(v.string()) })) }),
  ),
})
export type JsapiArguments = v.InferOutput<typeof JsapiArguments>

/** What `response_content` decodes to, before the member named after the interface. */
export const AnswerContent = v.looseObject({
  status: integer(0, 2_147_483_647),
  description: v.optional(v.string()),
  log_id: v.optional(U32),
  internal_status: v.optional(v.number()),
})
export type AnswerContent = v.InferOutput<typeof AnswerContent>

// ── interfaces ─────────────────────────────────────────────────────────────────────────────────────────────────

export type Interface = {
  /** The URL's last part. */
  suffix: string
  /** The member of `response_content` that holds the answer. */
  member: string
  request: v.GenericSchema
  answer: v.GenericSchema
  echoes: readonly Echo[]
  /** Larger than the usual for an answer that is a page of many. */
  answerMaxBytes?: number
}

export const OrderAnswer = v.looseObject({
  nonce_str: v.optional(v.string()),
  order_content: OrderContent,
  pay_mch_key: v.optional(AnswerPayMchKey),
  jsapi_args: v.optional(JsapiArguments),
})
export type OrderAnswer = v.InferOutput<typeof OrderAnswer>

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
  answer: OrderAnswer,
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
  answer: OrderAnswer,
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
  answer: v.looseObject({ nonce_str: v.optional(v.string()) }),
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
})

export const RefundOrderContent = v.looseObject({
  out_trade_no: v.optional(v.string()),
  out_refund_no: v.optional(v.string()),
  refund_id: v.optional(S(64)),
  create_time: v.optional(v.number()),
  last_update_time: v.optional(v.number()),
  is_transforming: v.optional(v.boolean()),
  total_fee: v.optional(v.number()),
  refund_fee: v.optional(v.number()),
  refund_fee_type: v.optional(v.string()),
  wxpay_refund_order_content_ext: v.optional(v.looseObject({ state: v.optional(WalletState) })),
  alipay_refund_order_content_ext: v.optional(v.looseObject({ refund_status: v.optional(WalletState) })),
})
export type RefundOrderContent = v.InferOutput<typeof RefundOrderContent>

/** A single object on the pages of `refund`, an array in live data of 2020: both are read as a list. */
const Refunds = v.pipe(
  v.union([v.array(RefundOrderContent), RefundOrderContent]),
  v.transform((given): RefundOrderContent[] => (Array.isArray(given) ? given : [given])),
)

const RefundAnswer = v.looseObject({
  nonce_str: v.optional(v.string()),
  pay_mch_key: v.optional(AnswerPayMchKey),
  refund_order_content: Refunds,
})
export type RefundAnswer = v.InferOutput<typeof RefundAnswer>

const RefundPayMchKey = v.strictObject({ pay_platform: Platform, ...OutIds })

/**
 * 申请退款, product/569/37673. Status 0 says "accepted", never "done". The staff fields of that page
 * (`is_sub_mch_admin` …) are left out: two shipped clients send none of them.
 */
export const refund = {
  suffix: 'refund',
  member: 'refund',
  request: v.strictObject({
    pay_mch_key: RefundPayMchKey,
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

const OrderMch = v.looseObject({
  pay_platform: v.optional(v.number()),
  out_mch_id: v.optional(v.string()),
  out_sub_mch_id: v.optional(v.string()),
  out_shop_id: v.optional(v.string()),
})

export const BillEntry = v.looseObject({
  receipt: v.looseObject({
    order: v.optional(v.looseObject({ order_mch: v.optional(OrderMch), order_content: OrderContent })),
    refund_order: v.optional(
      v.looseObject({
        refund_order_mch: v.optional(OrderMch),
        refund_order_content: RefundOrderContent,
      }),
    ),
  }),
})
export type BillEntry = v.InferOutput<typeof BillEntry>

/** client_order_detail (product/569/11609, 2019): one page of what happened, newest state included. */
export const clientOrderDetail = {
  suffix: 'client_order_detail',
  member: 'order_detail_query',
  request: v.strictObject({
    pay_platform: v.optional(Platform),
    out_sub_mch_id: S1(32),
    out_shop_id: v.optional(S1(32)),
    query_order_type: v.picklist(Object.values(BILL_OF)),
    start_time: v.optional(EpochS),
    end_time: EpochS,
    /** From 1. */
    page_num: integer(1, 1_000_000),
    page_size: integer(1, 1000),
    nonce_str: v.optional(S1(32)),
  }),
  answer: v.looseObject({
    /** Of all matches, not of this page. */
    total_count: integer(0, 2_147_483_647),
    order_details: v.optional(v.array(BillEntry), []),
  }),
  echoes: [],
  answerMaxBytes: 4 * 1024 * 1024,
} as const satisfies Interface

// ── notifications ──────────────────────────────────────────────────────────────────────────────────────────────

/** What Cloud Pay sends us after a payment (product/569/11609, 2019). Loose: what is relied on is compared apart. */
export const NotificationContent = v.looseObject({
  nonce_str: S1(64),
  pay_mch_key: AnswerPayMchKey,
  order_content: OrderContent,
  order_client: v.optional(v.looseObject({})),
})
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
