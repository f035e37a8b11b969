import * as v from 'valibot'
import type { openLogins } from '../../shared/access/login'
import { LoginRequest, RevokeRequest, StateRequest } from '../../shared/access/login'
import { PAY_PLATFORM, TRADE_TYPE } from '../../shared/cloudpay/enums'
import { JsapiArguments } from '../../shared/cloudpay/schema'
import {
  BoardAnomalies,
  BoardAnomaly,
  BoardDay,
  BoardOrder,
  BoardOrders,
  ResolveRequest,
} from '../../shared/order/board'
import { EVENT_KINDS, NOTE_MAX, ORDER_FLAGS } from '../../shared/order/order'
import { REFUND_ORIGINS, REFUND_STATES } from '../../shared/order/refund'
import { ORDER_STATES } from '../../shared/order/state'
import type { Moment as MomentOf, viewEvents, viewOrder, viewRefund } from '../../shared/order/view'
import type { Handover } from '../../shared/payments/handover'
import { OrderRequest } from '../../shared/payments/orderSchema'
import { RefundRequest } from '../../shared/payments/refund'

/**
 * The shapes of everything that is asked and answered. Requests are the schemas that the functions check with. Answers
 * are types there, which cost a cold start nothing; here they have schemas, and TypeScript compares the two.
 */

const told = <T>(zh: string, en: string) => v.description<T, string>(`${zh} / ${en}`)
const fen = (zh: string, en: string) => v.pipe(v.number(), v.safeInteger(), v.minValue(0), told(zh, en))
const oneOf = <const T extends readonly (string | number)[]>(values: T) => v.picklist(values)

// ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────

const Moment = v.object({
  epoch: v.pipe(v.number(), v.safeInteger(), told('UTC 秒', 'seconds, UTC')),
  rfc3339: v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00$/)),
})

const Order = v.object({
  out_trade_no: v.pipe(v.string(), told('订单号', 'the order number')),
  out_sub_mch_id: v.string(),
  merchant_order_id: v.optional(v.pipe(v.string(), told('商户业务订单', "the merchant's own purchase"))),
  state: oneOf(ORDER_STATES),
  flag: v.nullable(oneOf(ORDER_FLAGS)),
  total_fee: fen('金额，整数分', 'integer fen'),
  fee_type: v.string(),
  pay_platform: v.pipe(
    v.number(),
    v.values(Object.values(PAY_PLATFORM)),
    told('1 微信，2 支付宝', '1 WeChat, 2 Alipay'),
  ),
  trade_type: v.pipe(v.number(), v.values(Object.values(TRADE_TYPE))),
  created_at: Moment,
  time_expire: Moment,
  paid_at: v.nullable(Moment),
  transaction_id: v.nullable(v.pipe(v.string(), told('钱包侧单号', "the wallet's number"))),
  cash_fee: v.nullable(fen('现金部分，仅供参考', 'the part in cash, for information')),
  settlement_total_fee: v.nullable(fen('应结金额，仅供参考', 'what is settled, for information')),
  refunded_fee: fen('经查询确认已退', 'verifiably went back'),
  refunding_fee: fen('退款途中', 'on its way back'),
})

/** What the page hands to the wallet, per way of paying. */
const PAYMENTS = [
  v.strictObject({
    appId: v.string(),
    timeStamp: v.string(),
    nonceStr: v.string(),
    package: v.string(),
    signType: v.string(),
    paySign: v.string(),
  }),
  v.strictObject({
    timeStamp: v.string(),
    nonceStr: v.string(),
    package: v.string(),
    signType: v.string(),
    paySign: v.string(),
  }),
  v.strictObject({ tradeNO: v.string() }),
  v.strictObject({ code_url: v.string() }),
  v.strictObject({ mweb_url: v.string() }),
  v.strictObject({
    appId: v.string(),
    partnerId: v.string(),
    prepayId: v.string(),
    packageValue: v.string(),
    nonceStr: v.string(),
    timeStamp: v.string(),
    sign: v.string(),
  }),
] as const

const handover = {
  jsapi_args: v.optional(v.nullable(JsapiArguments)),
  sdk_args: v.optional(v.nullable(v.looseObject({}))),
  payment: v.optional(v.nullable(v.union(PAYMENTS))),
  payment_fault: v.optional(
    v.object({ code: oneOf(['handover_incomplete', 'handover_untrusted']), missing: v.array(v.string()) }),
  ),
}

const Refund = v.object({
  out_refund_no: v.string(),
  state: oneOf(REFUND_STATES),
  refund_fee: fen('退款金额，整数分', 'integer fen'),
  origin: oneOf(REFUND_ORIGINS),
  reason: v.nullable(v.string()),
  created_at: Moment,
  refund_id: v.nullable(v.pipe(v.string(), told('钱包侧退款单号', "the wallet's number"))),
  by: v.optional(
    v.pipe(
      v.literal('person'),
      told('由人了结：已人工付款，或已放弃', 'a person has ended it: paid out by hand, or given up'),
    ),
  ),
})

const OrderEvent = v.object({
  at: Moment,
  kind: oneOf(EVENT_KINDS),
  from: v.nullable(oneOf(ORDER_STATES)),
  to: oneOf(ORDER_STATES),
  detail: v.optional(
    v.record(v.string(), v.union([v.string(), v.number(), v.boolean(), v.array(v.string()), v.null()])),
  ),
  note: v.optional(
    v.pipe(
      v.string(),
      v.maxLength(NOTE_MAX),
      told(
        '云支付拒绝时写的原话，或有人写下的说明；付款人看不到',
        "what Cloud Pay wrote of a refusal, or a person's note; not shown to payers",
      ),
    ),
  ),
})

const Session = v.object({
  token: v.pipe(v.string(), told('凭证的一半', 'half of a credential')),
  expires_at: v.pipe(v.number(), v.safeInteger(), told('UTC 秒', 'seconds, UTC')),
  expires_in: v.pipe(v.number(), v.safeInteger(), told('秒', 'seconds')),
  app_id: v.string(),
})

const LoginState = v.object({
  state: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  expires_in: v.pipe(v.number(), v.safeInteger(), told('秒', 'seconds')),
})

const Revoked = v.object({ revoked: v.literal(true) })

const NotificationAnswer = v.object({
  response_content: v.object({
    status: v.pipe(oneOf([0, 1]), told('0 已收下；1 失败', '0 kept, 1 not')),
    description: oneOf(['OK', 'refused', 'try again']),
  }),
})

// ── requests ───────────────────────────────────────────────────────────────────────────────────────────────────

const { nonce_str: _ours, ...asked } = OrderRequest.entries
const NewOrder = v.strictObject(asked)

const { remark, time_expire, total_fee, fee_type, body } = asked.pay_content.entries
/** Price and person are not a payer's to set, but may be repeated. */
const payers = {
  pay_content: v.optional(
    v.strictObject({
      remark,
      time_expire,
      total_fee: v.optional(total_fee),
      fee_type,
      body: v.optional(body),
    }),
  ),
  pay_mch_key: v.optional(v.partial(asked.pay_mch_key)),
  order_client: asked.order_client,
  trade_type: asked.trade_type,
  merchant_order_id: asked.merchant_order_id,
}
const QuotedOrder = v.strictObject({
  quote: v.pipe(
    v.string(),
    v.regex(/^[!-~]{1,4096}$/),
    told('商户服务器签发的报价', 'signed by your server'),
  ),
  ...payers,
})
const SkuOrder = v.strictObject({
  sku: v.pipe(v.string(), v.regex(/^[!-~]{1,64}$/), told('目录中的商品编号', 'an article of the catalogue')),
  quantity: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(10_000))),
  ...payers,
})

/** Every schema that has a name in the document. */
export const SCHEMAS = {
  Moment,
  Order,
  Refund,
  OrderEvent,
  OrderCreated: v.object({
    ...Order.entries,
    ...handover,
    warnings: v.optional(
      v.array(
        v.object({
          code: v.literal('body_format'),
          field: v.string(),
          message_zh: v.string(),
          message_en: v.string(),
        }),
      ),
    ),
  }),
  OrderStatus: v.object({
    ...Order.entries,
    ...handover,
    refreshed: v.optional(v.pipe(v.boolean(), told('云支付的已验签回答是否到达', 'a verified answer came'))),
    refunds: v.array(Refund),
    events: v.array(OrderEvent),
  }),
  RefundCreated: v.object({ ...Refund.entries, order: Order }),
  Session,
  LoginState,
  Revoked,
  BoardOrder,
  BoardOrders,
  BoardAnomalies,
  BoardAnomaly,
  BoardDay,
  NotificationAnswer,
  NewOrder,
  QuotedOrder,
  SkuOrder,
  NewRefund: RefundRequest,
  Login: LoginRequest,
  BeginLogin: StateRequest,
  RevokePayer: RevokeRequest,
  ResolveAnomaly: ResolveRequest,
  Ignored: v.pipe(v.looseObject({}), told('付款人的请求体不会被读取', "a payer's body is not looked at")),
  /** Checked behind its signature, by what Cloud Pay sends: see shared/cloudpay/notification.ts. */
  Notification: v.looseObject({}),
} satisfies Record<string, v.GenericSchema>
export type SchemaName = keyof typeof SCHEMAS

// ── the types of the answers, compared ─────────────────────────────────────────────────────────────────────────

type KeysOf<T> = T extends unknown ? keyof T : never
/** `true` when every answer fits the schema, and neither has a member that the other does not know. */
type Fits<Answer, Described> = [Answer] extends [Described]
  ? [KeysOf<Answer>, KeysOf<Described>] extends [KeysOf<Described>, KeysOf<Answer>]
    ? true
    : false
  : false
type Out<S extends v.GenericSchema> = v.InferOutput<S>
type Logins = ReturnType<typeof openLogins>

/** A `false` here, and an answer is not what the document says: mend the schema above. */
export const ANSWERS_AS_DESCRIBED: {
  moment: Fits<MomentOf, Out<typeof Moment>>
  order: Fits<
    Omit<ReturnType<typeof viewOrder>, 'pay_platform' | 'trade_type'>,
    Omit<Out<typeof Order>, 'pay_platform' | 'trade_type'>
  >
  refund: Fits<ReturnType<typeof viewRefund>, Out<typeof Refund>>
  event: Fits<ReturnType<typeof viewEvents>[number], Out<typeof OrderEvent>>
  handover: [keyof Handover, keyof typeof handover] extends [keyof typeof handover, keyof Handover]
    ? true
    : false
  session: Fits<Awaited<ReturnType<Logins['login']>>, Out<typeof Session>>
  state: Fits<ReturnType<Logins['beginLogin']>, Out<typeof LoginState>>
} = { moment: true, order: true, refund: true, event: true, handover: true, session: true, state: true }
