import type { Caller } from '../base/caller'
import { ORDER_LIFE_MAX_S, ORDER_LIFE_MIN_S } from '../base/numbers'
import { Fault } from '../base/errors'
import { makeNonce } from '../base/random'
import { nowS } from '../base/time'
import { flaw, said } from '../base/validate'
import { PAY_PLATFORM, TERMINAL_TYPE, TRADE_TYPE } from '../cloudpay/enums'
import { makeOrderNumber } from '../order/number'
import { MICRO_LIFE_S } from '../order/schedule'
import type { NewOrder } from '../store/tables'
import { SDK_VERSION, type KnownMerchant, type Payments } from './context'
import { sealAuthorCode } from './micro'
import { contentHash, detailText, payerOf } from './orderRequest'
import type { OrderRequest } from './orderSchema'
import type { Terms } from './price'
import { sceneOf, type ClientMember, type Scene } from './scenes'

/**
 * Resolves every default once and writes the exact text that will be signed and sent. From here on the text is data:
 * retries and takeovers send it byte for byte.
 */
export function draftOrder(
  payments: Payments,
  merchant: KnownMerchant,
  caller: Caller,
  request: OrderRequest,
  idempotencyKey: string | null,
  leaseHolder: string,
  { quote, asked }: Terms,
): NewOrder {
  const { clock, random, settings } = payments
  const now = nowS(clock)
  const trade_type = request.trade_type ?? TRADE_TYPE.officialAccount
  const scene = sceneOf(trade_type)
  const time_expire = scene.expires ? expiryOf(request, now, settings.orderLifeS) : now + MICRO_LIFE_S
  const { out_mch_id, out_sub_mch_id, out_shop_id } = merchant
  const { pay_platform, wxpay_pay_mch_key_ext, alipay_pay_mch_key_ext } = request.pay_mch_key
  const out_trade_no =
    request.pay_content.out_trade_no ?? makeOrderNumber(merchant.order_prefix, clock.nowMs(), random)
  const fee_type = request.pay_content.fee_type ?? 'CNY'
  const detail = detailText(request.pay_content.detail)
  const { body, remark, total_fee, author_code } = request.pay_content
  const wxpay_pay_content_ext = contentExt(request, out_trade_no)

  // What is left undefined is left out: Cloud Pay asks for unused fields not to be sent.
  const content = {
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
      ...(scene.expires && { time_expire }),
      ...(settings.callerNotifyUrl !== undefined && { caller_notify_url: settings.callerNotifyUrl }),
      // Its place: the code itself lies sealed, and is put in when the text is sent.
      ...(author_code !== undefined && { author_code: '' }),
      ...(wxpay_pay_content_ext && { wxpay_pay_content_ext }),
    },
    ...(scene.client.length > 0 && { order_client: orderClient(scene, request, settings.spbillCreateIp) }),
    nonce_str: makeNonce(random),
    ...(scene.sendsTradeType && { trade_type }),
  }
  const request_content = JSON.stringify(content)
  const author_code_sealed =
    author_code === undefined ? null : sealAuthorCode(payments, { out_sub_mch_id, out_trade_no }, author_code)

  return {
    out_sub_mch_id,
    out_trade_no,
    out_mch_id,
    out_shop_id,
    pay_platform,
    trade_type,
    total_fee,
    fee_type,
    ...payerOf(request, caller),
    merchant_order_id: request.merchant_order_id ?? null,
    purchase_slot: request.merchant_order_id ?? null,
    quote_iss: quote?.iss ?? null,
    quote_jti: quote?.jti ?? null,
    caller: caller.id,
    idempotency_key: idempotencyKey,
    content_hash: contentHash(request, caller, merchant, asked),
    request_content,
    author_code_sealed,
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
    looks: 0,
    fruitless: 0,
    not_founds: 0,
    notified_at_ms: null,
    jsapi_args: null,
    transaction_id: null,
    paid_at: null,
    cash_fee: null,
    settlement_total_fee: null,
    wallet_state: null,
    reserved_fen: 0,
    refunded_fen: 0,
    late_policy: null,
  }
}

function expiryOf({ pay_content }: OrderRequest, now: number, lifeS: number): number {
  const time_expire = pay_content.time_expire ?? now + lifeS
  if (time_expire < now + ORDER_LIFE_MIN_S || time_expire > now + ORDER_LIFE_MAX_S) {
    const message = said(
      `must be from ${ORDER_LIFE_MIN_S} s to ${ORDER_LIFE_MAX_S} s ahead of now, in epoch seconds`,
      `须为 Unix 秒，在当前时间之后 ${ORDER_LIFE_MIN_S} 至 ${ORDER_LIFE_MAX_S} 秒之间`,
    )
    throw new Fault('body_invalid', { fields: [flaw('pay_content.time_expire', 'value', message)] })
  }
  return time_expire
}

/** The page of scan_code_pay requires a `product_id` for WeChat: the order's number when the caller has none. */
function contentExt(
  { trade_type, pay_mch_key, pay_content: { wxpay_pay_content_ext: ext } }: OrderRequest,
  out_trade_no: string,
) {
  const scans = trade_type === TRADE_TYPE.scanCode && pay_mch_key.pay_platform === PAY_PLATFORM.wechat
  return scans && ext?.product_id === undefined ? { ...ext, product_id: out_trade_no } : ext
}

function orderClient(
  scene: Scene,
  request: OrderRequest,
  ours: string,
): Partial<Record<ClientMember, unknown>> {
  const { spbill_create_ip: theirs, ...client } = request.order_client ?? {}
  const all: Partial<Record<ClientMember, unknown>> = {
    terminal_type: TERMINAL_TYPE.other,
    ...client,
    sdk_version: SDK_VERSION,
    spbill_create_ip: scene.payersIp ? theirs : ours,
  }
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => scene.client.includes(name as ClientMember)),
  )
}
