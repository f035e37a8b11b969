import { createHash } from 'node:crypto'
import * as v from 'valibot'
import type { Caller } from '../base/caller'
import { ORDER_LIFE_MAX_S, ORDER_LIFE_MIN_S } from '../base/config'
import { Fault, type FieldFault } from '../base/errors'
import { parseStrictJson } from '../base/json'
import { Fen } from '../base/money'
import { makeNonce } from '../base/random'
import { nowS } from '../base/time'
import { fieldFaults, integer, S, S1 } from '../base/validate'
import { PAY_PLATFORM, TERMINAL_TYPE, TRADE_TYPE } from '../cloudpay/enums'
import {
  AlipayPayMchKeyExt,
  Detail,
  miniProgramPay,
  officialAccountPay,
  WxpayPayContentExt,
  WxpayPayMchKeyExt,
  type Interface,
  type PayRequest,
} from '../cloudpay/schema'
import { makeOrderNumber, orderNumberFault } from '../order/number'
import type { Order } from '../order/order'
import { SDK_VERSION, type Payments } from './context'

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
    wxpay_pay_content_ext: v.optional(WxpayPayContentExt),
  }),
  pay_mch_key: v.strictObject({
    pay_platform: v.picklist(Object.values(PAY_PLATFORM)),
    out_mch_id: v.optional(S(32)),
    out_sub_mch_id: v.optional(S(32)),
    out_shop_id: v.optional(S(32)),
    wxpay_pay_mch_key_ext: v.optional(WxpayPayMchKeyExt),
    alipay_pay_mch_key_ext: v.optional(AlipayPayMchKeyExt),
  }),
  order_client: v.optional(
    v.strictObject({
      device_id: v.optional(S(64)),
      staff_id: v.optional(S(64)),
      terminal_type: v.optional(v.picklist(Object.values(TERMINAL_TYPE))),
      sdk_version: v.optional(S(10)),
      spbill_create_ip: v.optional(S(16)),
    }),
  ),
  /** 3 official account (the default), 9 mini-program. */
  trade_type: v.optional(v.picklist(Object.values(TRADE_TYPE))),
  nonce_str: v.optional(v.unknown()),
})
export type OrderRequest = v.InferOutput<typeof OrderRequest>

/** Checks everything about the body that does not depend on the time of day. Throws the Fault `body_invalid`. */
export function readOrderRequest(
  body: unknown,
  { merchant, settings }: Pick<Payments, 'merchant' | 'settings'>,
) {
  const read = v.safeParse(OrderRequest, body)
  if (!read.success) throw new Fault('body_invalid', { fields: fieldFaults(read.issues) })
  const request = read.output
  const fields = [
    ...contradictions(request, {
      'pay_mch_key.out_mch_id': merchant.out_mch_id,
      'pay_mch_key.out_sub_mch_id': merchant.out_sub_mch_id,
      'pay_mch_key.out_shop_id': merchant.out_shop_id,
      'order_client.spbill_create_ip': settings.spbillCreateIp,
      'order_client.sdk_version': SDK_VERSION,
      // Ours to make, so there is no value a caller could repeat.
      nonce_str: undefined,
    }),
    ...payerFaults(request),
    ...detailFaults(request),
  ]
  const number = request.pay_content.out_trade_no
  const numberFault = number === undefined ? undefined : orderNumberFault(merchant.order_prefix, number)
  if (numberFault !== undefined) fields.push(flaw('pay_content.out_trade_no', 'value', numberFault))
  if (fields.length > 0) throw new Fault('body_invalid', { fields })
  return request
}

const flaw = (field: string, code: string, message: string): FieldFault => ({ field, code, message })

function contradictions(request: OrderRequest, owned: Record<string, string | undefined>): FieldFault[] {
  return Object.entries(owned).flatMap(([field, configured]) => {
    const given = field
      .split('.')
      .reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], request)
    return given === undefined || given === configured
      ? []
      : [flaw(field, 'server_owned', "is the server's to set and differs from its configuration")]
  })
}

/** The payer's id, under the field it is sent in. Exactly one, and the one that fits the way of paying. */
function payerOf(request: OrderRequest): { payer_field: string; payer_id: string } {
  const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = request.pay_mch_key
  if (alipay) return { payer_field: 'user_id', payer_id: alipay.user_id }
  if (wxpay?.open_id !== undefined) return { payer_field: 'open_id', payer_id: wxpay.open_id }
  return { payer_field: 'sub_open_id', payer_id: wxpay?.sub_open_id ?? '' }
}

function payerFaults({ pay_mch_key: key, pay_content: content, trade_type }: OrderRequest): FieldFault[] {
  const wechat = key.pay_platform === PAY_PLATFORM.wechat
  const wxpay = 'pay_mch_key.wxpay_pay_mch_key_ext'
  const alipay = 'pay_mch_key.alipay_pay_mch_key_ext'
  const faults: FieldFault[] = []
  const required = (field: string) => faults.push(flaw(field, 'required', 'is required'))
  const notAllowed = (field: string, why: string) => faults.push(flaw(field, 'not_allowed', why))

  if (wechat && key.alipay_pay_mch_key_ext) notAllowed(alipay, 'does not belong to pay_platform 1 (WeChat)')
  if (!wechat && key.wxpay_pay_mch_key_ext) notAllowed(wxpay, 'does not belong to pay_platform 2 (Alipay)')
  if (!wechat && content.wxpay_pay_content_ext) {
    notAllowed('pay_content.wxpay_pay_content_ext', 'does not belong to pay_platform 2 (Alipay)')
  }
  if (!wechat && !key.alipay_pay_mch_key_ext) required(alipay)
  if (wechat && !key.wxpay_pay_mch_key_ext) required(wxpay)

  const ext = key.wxpay_pay_mch_key_ext
  if (trade_type === TRADE_TYPE.miniProgram) {
    if (!wechat) notAllowed('trade_type', 'trade_type 9 (mini-program) is for pay_platform 1 (WeChat)')
    if (ext && ext.mini_program_sub_app_id === undefined) required(`${wxpay}.mini_program_sub_app_id`)
    if (ext && ext.sub_open_id === undefined) required(`${wxpay}.sub_open_id`)
    for (const field of ['open_id', 'app_id', 'sub_app_id'] as const) {
      if (ext?.[field] !== undefined) notAllowed(`${wxpay}.${field}`, 'does not belong to trade_type 9')
    }
  } else if (ext) {
    if (ext.mini_program_sub_app_id !== undefined) {
      notAllowed(`${wxpay}.mini_program_sub_app_id`, 'belongs to trade_type 9 (mini-program)')
    }
    if (ext.open_id === undefined && ext.sub_open_id === undefined) required(`${wxpay}.sub_open_id`)
    if (ext.open_id !== undefined && ext.sub_open_id !== undefined) {
      notAllowed(`${wxpay}.open_id`, 'send open_id or sub_open_id, not both')
    }
  }
  return faults
}

const DETAIL_MAX = 6000

const detailText = (detail: OrderRequest['pay_content']['detail']): string | undefined =>
  detail === undefined || typeof detail === 'string' ? detail : JSON.stringify(detail)

function detailFaults({ pay_content: { detail } }: OrderRequest): FieldFault[] {
  const field = 'pay_content.detail'
  const text = detailText(detail)
  if (text === undefined) return []
  if (!v.is(S(DETAIL_MAX), text)) {
    return [flaw(field, 'value', `must be at most ${DETAIL_MAX} characters as JSON text`)]
  }
  if (typeof detail !== 'string') return []
  const parsed = parseStrictJson(detail)
  if (!parsed.ok) return [flaw(field, 'value', 'must be the JSON text of a Detail structure')]
  const read = v.safeParse(Detail, parsed.value)
  return read.success
    ? []
    : fieldFaults(read.issues).map((fault) => ({ ...fault, field: `${field}.${fault.field}` }))
}

/**
 * Says "the same order": a hash of who, for whom and what, before any default. Left out on purpose: the number
 * (compared on its own), the expiry (a retry may compute it anew), the nonce and the terminal.
 */
export function contentHash(request: OrderRequest, caller: Caller, merchant: Payments['merchant']): string {
  const { out_trade_no: _number, time_expire: _expiry, ...pay_content } = request.pay_content
  const { out_mch_id, out_sub_mch_id, out_shop_id } = merchant
  return createHash('sha256')
    .update(
      canonical({
        merchant: { out_mch_id, out_sub_mch_id, out_shop_id },
        caller: caller.id,
        pay_content,
        payer: [request.pay_mch_key.wxpay_pay_mch_key_ext, request.pay_mch_key.alipay_pay_mch_key_ext],
        pay_platform: request.pay_mch_key.pay_platform,
        trade_type: request.trade_type,
      }),
    )
    .digest('hex')
}

/** JSON with sorted names, so that the order in which a caller writes fields means nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, node: unknown) =>
    typeof node === 'object' && node !== null && !Array.isArray(node)
      ? Object.fromEntries(Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)))
      : node,
  )
}

/** The interface that serves a way of paying. */
export const payInterface = (tradeType: number): typeof officialAccountPay | typeof miniProgramPay =>
  tradeType === TRADE_TYPE.miniProgram ? miniProgramPay : officialAccountPay

export type NewOrder = Omit<Order, 'lease_until_ms'>

/**
 * Resolves every default once and writes the exact text that will be signed and sent. From here on the text is data:
 * retries and takeovers send it byte for byte.
 */
export function draftOrder(
  payments: Payments,
  caller: Caller,
  request: OrderRequest,
  idempotencyKey: string | null,
  leaseHolder: string,
): NewOrder {
  const { merchant, clock, random, settings } = payments
  const now = nowS(clock)
  const time_expire = request.pay_content.time_expire ?? now + settings.orderLifeS
  if (time_expire < now + ORDER_LIFE_MIN_S || time_expire > now + ORDER_LIFE_MAX_S) {
    const message = `must be from ${ORDER_LIFE_MIN_S} s to ${ORDER_LIFE_MAX_S} s ahead of now`
    throw new Fault('body_invalid', { fields: [flaw('pay_content.time_expire', 'value', message)] })
  }
  const { out_mch_id, out_sub_mch_id, out_shop_id } = merchant
  const { pay_platform, wxpay_pay_mch_key_ext, alipay_pay_mch_key_ext } = request.pay_mch_key
  const trade_type = request.trade_type ?? TRADE_TYPE.officialAccount
  const out_trade_no =
    request.pay_content.out_trade_no ?? makeOrderNumber(merchant.order_prefix, clock.nowMs(), random)
  const fee_type = request.pay_content.fee_type ?? 'CNY'
  const detail = detailText(request.pay_content.detail)
  const { body, remark, total_fee, wxpay_pay_content_ext } = request.pay_content

  // What is left undefined is left out: Cloud Pay asks for unused fields not to be sent.
  const content: PayRequest = {
    pay_mch_key: {
      pay_platform,
      out_mch_id,
      out_sub_mch_id,
      out_shop_id,
      ...(wxpay_pay_mch_key_ext && { wxpay_pay_mch_key_ext }),
      ...(alipay_pay_mch_key_ext && { alipay_pay_mch_key_ext }),
    },
    pay_content: {
      out_trade_no,
      total_fee,
      fee_type,
      body,
      ...(detail !== undefined && { detail }),
      ...(remark !== undefined && { remark }),
      time_expire,
      ...(wxpay_pay_content_ext && { wxpay_pay_content_ext }),
    },
    order_client: {
      terminal_type: TERMINAL_TYPE.other,
      ...request.order_client,
      sdk_version: SDK_VERSION,
      spbill_create_ip: settings.spbillCreateIp,
    },
    nonce_str: makeNonce(random),
    // mini_program_pay is only known from a client that does not send it.
    ...(trade_type === TRADE_TYPE.officialAccount && { trade_type }),
  }
  const iface: Interface = payInterface(trade_type)
  // Our own rules must never be looser than the protocol's: a slip here is our bug, not the caller's.
  const request_content = JSON.stringify(v.parse(iface.request, content))

  return {
    out_sub_mch_id,
    out_trade_no,
    out_mch_id,
    out_shop_id,
    pay_platform,
    trade_type,
    total_fee,
    fee_type,
    ...payerOf(request),
    caller: caller.id,
    idempotency_key: idempotencyKey,
    content_hash: contentHash(request, caller, merchant),
    request_content,
    state: 'created',
    version: 1,
    flag: null,
    created_at: now,
    updated_at: now,
    time_expire,
    // The first transmission is counted here, in the same commit: a crash before it only makes us more careful.
    sends: 1,
    lease_token: 1,
    lease_holder: leaseHolder,
    looked_at_ms: 0,
    jsapi_args: null,
    transaction_id: null,
    paid_at: null,
    cash_fee: null,
    settlement_total_fee: null,
    wallet_state: null,
  }
}
