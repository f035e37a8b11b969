import * as v from 'valibot'
import { exactObject, maybe, S, S1 } from '../base/validate'
import { echoes, type Echo } from './echoes'
import { PAY_PLATFORM } from './enums'
import {
  AnswerPayMchKey,
  OrderAnswer,
  OrderClient,
  PayContent,
  PayMchKey,
  SentPayContentExt,
  type Interface,
  type JsapiArguments,
  type OrderContent,
  type PayRequest,
} from './schema'

/**
 * The ways of paying beside official account and mini-program (schema.ts). What no page confirms is marked UNC. Only
 * micro_pay answers what has become of the order; the others prove that it was accepted, and no more.
 */

const { wxpay_pay_mch_key_ext: _wxpay, alipay_pay_mch_key_ext: _alipay, ...plainKey } = PayMchKey.entries
/** These requests name no payer: whoever scans, or opens the page, pays. */
const PlainMchKey = v.strictObject(plainKey)

const { product_id: _product, ...contentExt } = SentPayContentExt.entries
const PlainContentExt = exactObject(contentExt)

const Nonce = maybe(v.string())

/** 扫码支付, product/569/37672: a QR code on the merchant's screen. */
export const scanCodePay = {
  suffix: 'scan_code_pay',
  member: 'scan_code_pay',
  request: v.strictObject({
    pay_mch_key: PlainMchKey,
    // The page requires wxpay_pay_content_ext.product_id for WeChat; Tencent's own SDK sends it only if given.
    pay_content: PayContent,
    order_client: OrderClient,
    nonce_str: S1(32),
  }),
  /** S64 on the page; longer ones are not ours to cut. */
  answer: v.looseObject({ nonce_str: Nonce, code_url: v.optional(S(1024)) }),
  echoes: [],
} as const satisfies Interface

const { time_expire: _expire, ...microContent } = PayContent.entries

/** 刷卡支付, product/569/37632: the shop scans the payer's code. Its answer carries the order as it is. */
export const microPay = {
  suffix: 'micro_pay',
  member: 'micro_pay',
  request: v.strictObject({
    pay_mch_key: PlainMchKey,
    pay_content: v.strictObject({
      ...microContent,
      /** S256 on the page, S128 on the one before it. */
      author_code: S1(128),
      wxpay_pay_content_ext: v.optional(PlainContentExt),
    }),
    // `machine_no` is required on the page of 2019-04, and not sent by every client in use: UNC.
    order_client: OrderClient,
    nonce_str: S1(32),
  }),
  answer: OrderAnswer,
  echoes: echoes('required'),
} as const satisfies Interface

/** What is said of whose order it is, where it is said. */
const keyEchoes: readonly Echo[] = echoes('if_present').filter(({ at }) => at.startsWith('pay_mch_key.out_'))

const AppContentExt = {
  pay_content: v.strictObject({ ...PayContent.entries, wxpay_pay_content_ext: v.optional(PlainContentExt) }),
}

/** App 支付, product/569/37825, WeChat only. Its page has no order_client; a client that sends one with every call does. */
export const appPay = {
  suffix: 'app_pay',
  member: 'app_pay',
  request: v.strictObject({
    pay_mch_key: v.strictObject({
      ...plainKey,
      pay_platform: v.literal(PAY_PLATFORM.wechat),
      /** The Open Platform's id of the app. */
      wxpay_pay_mch_key_ext: v.strictObject({ mob_app_id: S1(32) }),
    }),
    ...AppContentExt,
    order_client: v.optional(OrderClient),
    nonce_str: S1(32),
  }),
  answer: v.looseObject({
    nonce_str: Nonce,
    pay_mch_key: maybe(AnswerPayMchKey),
    sdk_args: v.optional(v.looseObject({ wxpay: v.optional(v.looseObject({})) })),
  }),
  echoes: keyEchoes,
} as const satisfies Interface

/** H5 支付, product/569/37826, WeChat only. No copy of its answer's table is known: `mweb_url` is WeChat's name, UNC. */
export const mobWebPay = {
  suffix: 'mob_web_pay',
  member: 'mob_web_pay',
  request: v.strictObject({
    pay_mch_key: v.strictObject({ ...plainKey, pay_platform: v.literal(PAY_PLATFORM.wechat) }),
    pay_content: v.strictObject({
      ...PayContent.entries,
      wxpay_pay_content_ext: v.strictObject({ ...contentExt, scene_info: S1(256) }),
    }),
    /** The payer's address, not ours. */
    order_client: OrderClient,
    nonce_str: S1(32),
  }),
  answer: v.looseObject({
    nonce_str: Nonce,
    pay_mch_key: maybe(AnswerPayMchKey),
    mweb_url: v.optional(S(2048)),
  }),
  echoes: keyEchoes,
} as const satisfies Interface

export const SCENE_INTERFACES = [scanCodePay, microPay, appPay, mobWebPay] as const

/** The request of any create, as far as they are alike: for who reads them all. */
export type AnyPayRequest = Omit<PayRequest, 'order_client' | 'pay_content' | 'pay_mch_key'> & {
  pay_content: Omit<PayRequest['pay_content'], 'wxpay_pay_content_ext'> & {
    author_code?: string
    wxpay_pay_content_ext?: PayRequest['pay_content']['wxpay_pay_content_ext'] & { scene_info?: string }
  }
  pay_mch_key: Omit<PayRequest['pay_mch_key'], 'wxpay_pay_mch_key_ext'> & {
    wxpay_pay_mch_key_ext?: PayRequest['pay_mch_key']['wxpay_pay_mch_key_ext'] & { mob_app_id?: string }
  }
  order_client?: PayRequest['order_client']
}

/** The answer to any create, once its own schema has read it. */
export type PayAnswer = {
  order_content?: OrderContent
  jsapi_args?: JsapiArguments
  code_url?: string
  mweb_url?: string
  sdk_args?: { wxpay?: Record<string, unknown> }
}
