import { createHash } from 'node:crypto'
import * as v from 'valibot'
import type { Caller } from '../base/caller'
import { IPV4 } from '../base/config'
import { Fault, type FieldFault } from '../base/errors'
import { parseStrictJson } from '../base/json'
import { fieldFaults, flaw, S, said } from '../base/validate'
import { Detail } from '../cloudpay/schema'
import { orderNumberFault } from '../order/number'
import { SDK_VERSION, type KnownMerchant, type Payments } from './context'
import { DETAIL, OrderRequest } from './orderSchema'
import { sceneFaults } from './sceneRules'
import { namesPayer, sceneOf } from './scenes'

/**
 * Checks everything about the body that does not depend on the time of day. Throws the Fault `body_invalid`.
 * `payersIp`: where a payer calls from, for the scene that wants to know.
 */
export function readOrderRequest(
  body: unknown,
  payments: Pick<Payments, 'merchants' | 'settings'>,
  payersIp?: string,
): OrderRequest {
  const { settings } = payments
  const read = v.safeParse(OrderRequest, body)
  if (!read.success) throw new Fault('body_invalid', { fields: fieldFaults(read.issues) })
  const request = read.output
  const merchant = merchantOf(payments, request)
  const scene = sceneOf(request.trade_type)
  const ip = scene.payersIp ? (payersIp ?? request.order_client?.spbill_create_ip) : settings.spbillCreateIp
  const fields = [
    ...contradictions(request, {
      'pay_mch_key.out_mch_id': merchant.out_mch_id,
      'pay_mch_key.out_sub_mch_id': merchant.out_sub_mch_id,
      'pay_mch_key.out_shop_id': merchant.out_shop_id,
      'order_client.spbill_create_ip': ip,
      'order_client.sdk_version': SDK_VERSION,
      // Ours to make, so there is no value a caller could repeat.
      nonce_str: undefined,
    }),
    ...sceneFaults(request),
    ...(scene.payersIp ? addressFaults(ip) : []),
    ...detailFaults(request),
  ]
  const number = request.pay_content.out_trade_no
  const numberFault = number === undefined ? undefined : orderNumberFault(merchant.order_prefix, number)
  if (numberFault !== undefined) fields.push(flaw('pay_content.out_trade_no', 'value', numberFault))
  if (fields.length > 0) throw new Fault('body_invalid', { fields })
  return scene.payersIp
    ? { ...request, order_client: { ...request.order_client, spbill_create_ip: ip } }
    : request
}

function addressFaults(ip: string | undefined): FieldFault[] {
  const field = 'order_client.spbill_create_ip'
  if (ip === undefined)
    return [
      flaw(field, 'required', said('is required: the address of who pays', '必须提供：付款人的 IP 地址')),
    ]
  return IPV4.test(ip) ? [] : [flaw(field, 'value', said('must be an IPv4 address', '须为 IPv4 地址'))]
}

/** The sub-merchant a request names, or the first. One that is not ours is contradicted by the first's facts. */
export const merchantOf = (
  { merchants }: Pick<Payments, 'merchants'>,
  request: OrderRequest,
): KnownMerchant => merchants.find(request.pay_mch_key.out_sub_mch_id ?? '') ?? merchants.first

const SERVER_OWNED = said(
  "is the server's to set and differs from its configuration",
  '由服务器设置，与配置不一致',
)

function contradictions(request: OrderRequest, owned: Record<string, string | undefined>): FieldFault[] {
  return Object.entries(owned).flatMap(([field, configured]) => {
    const given = field
      .split('.')
      .reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], request)
    return given === undefined || given === configured ? [] : [flaw(field, 'server_owned', SERVER_OWNED)]
  })
}

/**
 * Who pays, under the field it is sent in: exactly one, and the one that fits the way of paying. Where nothing of the
 * kind is sent, the payer whose session it is; and nobody when the merchant orders, because anybody may scan.
 */
export function payerOf(request: OrderRequest, caller: Caller): { payer_field: string; payer_id: string } {
  const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = request.pay_mch_key
  if (!namesPayer(sceneOf(request.trade_type))) {
    if (caller.payer) return { payer_field: caller.payer.field, payer_id: caller.payer.id }
    return { payer_field: '', payer_id: caller.kind === 'payer' ? caller.id : '' }
  }
  if (alipay) return { payer_field: 'user_id', payer_id: alipay.user_id }
  if (wxpay?.open_id !== undefined) return { payer_field: 'open_id', payer_id: wxpay.open_id }
  return { payer_field: 'sub_open_id', payer_id: wxpay?.sub_open_id ?? '' }
}

const DETAIL_MAX = 6000

export const detailText = (detail: OrderRequest['pay_content']['detail']): string | undefined =>
  detail === undefined || typeof detail === 'string' ? detail : JSON.stringify(detail)

function detailFaults({ pay_content: { detail } }: OrderRequest): FieldFault[] {
  const field = 'pay_content.detail'
  const text = detailText(detail)
  if (text === undefined) return []
  if (!v.is(S(DETAIL_MAX), text)) {
    const tooLong = said(
      `must be at most ${DETAIL_MAX} characters as JSON text`,
      `写成 JSON 文本后最多 ${DETAIL_MAX} 个字符`,
    )
    return [flaw(field, 'value', tooLong)]
  }
  if (typeof detail !== 'string') return []
  const parsed = parseStrictJson(detail)
  if (!parsed.ok) return [flaw(field, 'value', DETAIL)]
  const read = v.safeParse(Detail, parsed.value)
  return read.success
    ? []
    : fieldFaults(read.issues).map((fault) => ({ ...fault, field: `${field}.${fault.field}` }))
}

/**
 * Says "the same order": a hash of who, for whom and what, before any default. Left out on purpose: the number
 * (compared on its own), the expiry (a retry may compute it anew), the nonce and the terminal.
 */
export function contentHash(
  request: OrderRequest,
  caller: Caller,
  merchant: KnownMerchant,
  asked?: object,
): string {
  // The code is compared on its own, while it is kept: a hash of few digits can be found out.
  const { out_trade_no: _number, time_expire: _expiry, author_code: _code, ...content } = request.pay_content
  // Asked for by its article, an order is the same also when the article costs something else by now.
  const { total_fee: _fee, body: _body, ...unpriced } = content
  const pay_content = asked === undefined ? content : { ...unpriced, asked }
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
        merchant_order_id: request.merchant_order_id,
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
