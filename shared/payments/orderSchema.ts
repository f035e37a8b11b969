import * as v from 'valibot'
import { Fen } from '../base/money'
import { EpochSeconds, exactObject, NotBlank, S, S1, said, visibleAscii } from '../base/validate'
import { PAY_PLATFORM, TERMINAL_TYPE, TRADE_TYPE } from '../cloudpay/enums'
import { Detail, WxpayPayContentExt, WxpayPayMchKeyExt } from '../cloudpay/schema'

/** What a page sends for a variable that nobody has set, once it has become text. */
const UNSET = ['undefined', 'null', 'NaN', '[object Object]']

/** Who pays: only the wallet can tell that it is somebody, but here it shows that it is nobody. */
const PayerId = (max: number) =>
  v.pipe(
    S1(max),
    v.check(
      (id) => !UNSET.includes(id) && !/[\s\p{Cc}]/u.test(id),
      said(
        'must be the id of a payer, without blanks and control characters; a page has probably sent a variable that was not set',
        '须为付款人的标识，不含空白和控制字符；多半是页面发送了没有赋值的变量',
      ),
    ),
  )

export const DETAIL = said(
  'must be a Detail structure, or its JSON text',
  '须为 Detail 结构，或它的 JSON 文本',
)

/**
 * The body of `POST /orders`, in Cloud Pay's words. Fields the server owns may be repeated by a caller who read
 * them somewhere, but only with the configured value: a contradiction is refused, never overwritten.
 */
export const OrderRequest = v.strictObject({
  pay_content: v.strictObject({
    /** Must start with the order prefix; made by us when left out. */
    out_trade_no: v.optional(S1(32)),
    /** Integer fen. */
    total_fee: Fen,
    fee_type: v.optional(v.literal('CNY')),
    body: NotBlank(128),
    /** The structure, or its JSON text; serialised once, at most 6000 characters. */
    detail: v.optional(v.union([Detail, S(6000)], DETAIL)),
    remark: v.optional(S(127)),
    /** Epoch seconds, from 2 minutes to 2 hours ahead. */
    time_expire: v.optional(EpochSeconds),
    /** micro_pay: what the shop scanned from the payer's phone. Never stored in the clear, never logged. */
    author_code: v.optional(
      v.pipe(
        v.string(),
        v.check((code) => /^\d{16,24}$/.test(code), said('must be 16 to 24 digits', '须为 16 至 24 位数字')),
      ),
    ),
    wxpay_pay_content_ext: v.optional(
      exactObject({ ...WxpayPayContentExt.entries, scene_info: v.optional(S(256)) }),
    ),
  }),
  pay_mch_key: v.strictObject({
    pay_platform: v.picklist(Object.values(PAY_PLATFORM)),
    out_mch_id: v.optional(S(32)),
    out_sub_mch_id: v.optional(S(32)),
    out_shop_id: v.optional(S(32)),
    wxpay_pay_mch_key_ext: v.optional(
      v.strictObject({
        ...WxpayPayMchKeyExt.entries,
        open_id: v.optional(PayerId(128)),
        sub_open_id: v.optional(PayerId(128)),
        mob_app_id: v.optional(S1(32)),
      }),
    ),
    alipay_pay_mch_key_ext: v.optional(v.strictObject({ user_id: PayerId(32) })),
  }),
  order_client: v.optional(
    exactObject({
      device_id: v.optional(S(64)),
      staff_id: v.optional(S(64)),
      terminal_type: v.optional(v.picklist(Object.values(TERMINAL_TYPE))),
      sdk_version: v.optional(S(10)),
      spbill_create_ip: v.optional(S(16)),
      machine_no: v.optional(S(32)),
      sn_code: v.optional(S(64)),
    }),
  ),
  /** By which SCENES is read; 3, official account, is the default. */
  trade_type: v.optional(v.picklist(Object.values(TRADE_TYPE))),
  /** The merchant's own purchase: one order at a time may be paid for it. Visible ASCII. */
  merchant_order_id: v.optional(visibleAscii(64)),
  nonce_str: v.optional(v.unknown()),
})
export type OrderRequest = v.InferOutput<typeof OrderRequest>
