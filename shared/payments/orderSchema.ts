import * as v from 'valibot'
import { Fen } from '../base/money'
import { exactObject, integer, S, S1 } from '../base/validate'
import { PAY_PLATFORM, TERMINAL_TYPE, TRADE_TYPE } from '../cloudpay/enums'
import { AlipayPayMchKeyExt, Detail, WxpayPayContentExt, WxpayPayMchKeyExt } from '../cloudpay/schema'

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
    body: S1(128),
    /** The structure, or its JSON text; serialised once, at most 6000 characters. */
    detail: v.optional(v.union([Detail, S(6000)])),
    remark: v.optional(S(127)),
    /** Epoch seconds, from 2 minutes to 2 hours ahead. */
    time_expire: v.optional(integer(0, 99_999_999_999)),
    /** micro_pay: what the shop scanned from the payer's phone. Never stored in the clear, never logged. */
    author_code: v.optional(
      v.pipe(
        v.string(),
        v.check((code) => /^\d{16,24}$/.test(code), 'must be 16 to 24 digits'),
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
      v.strictObject({ ...WxpayPayMchKeyExt.entries, mob_app_id: v.optional(S1(32)) }),
    ),
    alipay_pay_mch_key_ext: v.optional(AlipayPayMchKeyExt),
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
  merchant_order_id: v.optional(v.pipe(v.string(), v.regex(/^[!-~]{1,64}$/, 'must be visible ASCII'))),
  nonce_str: v.optional(v.unknown()),
})
export type OrderRequest = v.InferOutput<typeof OrderRequest>
