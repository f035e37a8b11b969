import { createHash } from 'node:crypto'
import { payerHash, type Caller, type Payer } from '../base/caller'
import { Fault, type FaultCode, type FieldFault } from '../base/errors'
import { FEN_MAX } from '../base/money'
import { PAY_PLATFORM, TRADE_TYPE } from '../cloudpay/enums'
import { findSku } from '../store/catalogue'
import type { OrderLimits } from '../store/orders'
import type { Payments } from './context'
import { flaw, merchantOf, payerOf, readOrderRequest, type OrderRequest } from './orderRequest'
import { readQuote } from './quote'

/**
 * What may be charged. A payer never sets a price: it comes from a quote that the merchant's server signed, or from the
 * catalogue, or the merchant's server makes the order itself. Who pays comes from the session.
 *
 * What speaks against a *new* order (a quote that is over, an article that is not sold any more) is kept as `refusal`:
 * a repeat still gets the order there is.
 */
export type Terms = {
  quote: { iss: string; jti: string } | null
  refusal: Fault | undefined
  /** What was asked for in place of a price: the price may have changed when it is asked again. */
  asked: { sku: string; quantity: number } | undefined
  limits: OrderLimits | undefined
}

export const NO_TERMS: Terms = { quote: null, refusal: undefined, asked: undefined, limits: undefined }

export type Priced = { request: OrderRequest; idempotencyKey: string | null; terms: Terms }

type Body = Record<string, unknown>

/** The order a body asks for, with payer and price filled in by who may say them. */
export async function priceOrder(
  payments: Payments,
  caller: Caller,
  body: Body,
  idempotencyKey: string | null,
): Promise<Priced> {
  const { free } = payments.settings.prices
  const priced =
    free || caller.kind === 'merchant'
      ? byMerchant(payments, caller, body, idempotencyKey)
      : await byPayer(payments, caller, body, idempotencyKey)
  if (free) return priced
  const { request, terms } = priced
  const tooLarge = request.pay_content.total_fee > payments.settings.limits.orderMaxFen
  const refusal = terms.refusal ?? (tooLarge ? new Fault('order_too_large') : undefined)
  return { ...priced, terms: { ...terms, refusal, limits: limitsOf(payments, caller, request) } }
}

function byMerchant(payments: Payments, caller: Caller, body: Body, idempotencyKey: string | null): Priced {
  const { out_sub_mch_id } = caller
  const key = member(body, 'pay_mch_key')
  const given = key['out_sub_mch_id']
  if (out_sub_mch_id !== undefined && given !== undefined && given !== out_sub_mch_id)
    throw new Fault('caller_not_allowed')
  const own = out_sub_mch_id === undefined ? body : { ...body, pay_mch_key: { ...key, out_sub_mch_id } }
  return { request: readOrderRequest(own, payments), idempotencyKey, terms: NO_TERMS }
}

async function byPayer(
  payments: Payments,
  caller: Caller,
  body: Body,
  idempotencyKey: string | null,
): Promise<Priced> {
  const { quote: token, sku, quantity, ...rest } = body
  const price = await findPrice(payments, caller, rest, { token, sku, quantity })
  const request = readOrderRequest(compose(rest, price, caller), payments)
  const { by } = price
  if ('sku' in by) {
    const terms = { ...NO_TERMS, asked: by, refusal: price.refusal }
    return { request, idempotencyKey, terms }
  }
  // After the request was read: without a session, who pays stands in it.
  const mine = payerOf(request).payer_id === by.sub
  if (!mine || merchantOf(payments, request).out_sub_mch_id !== by.out_sub_mch_id)
    throw new Fault('quote_not_yours')
  const { iss, jti } = by
  const id = createHash('sha256').update(`${iss}\0${jti}`).digest('hex')
  return {
    request,
    idempotencyKey: `quote:${id}`,
    terms: { ...NO_TERMS, quote: { iss, jti }, refusal: price.refusal },
  }
}

// ── the three ways ─────────────────────────────────────────────────────────────────────────────────────────────

type Price = {
  total_fee: number
  fee_type: 'CNY'
  body: string
  merchant_order_id: string | undefined
  refusal: Fault | undefined
  by: { sku: string; quantity: number } | { iss: string; jti: string; sub: string; out_sub_mch_id: string }
}

type Given = { token: unknown; sku: unknown; quantity: unknown }

async function findPrice(payments: Payments, caller: Caller, rest: Body, given: Given): Promise<Price> {
  const { ways } = payments.settings.prices
  const { token, sku } = given
  if (token !== undefined && sku !== undefined)
    throw invalid([flaw('sku', 'not_allowed', 'send quote or sku, not both')])
  if (token !== undefined && ways.includes('quote')) return priceOfQuote(payments, token)
  if (sku !== undefined && ways.includes('catalogue')) return priceOfSku(payments, caller, rest, given)
  throw new Fault(MISSING[ways.join()] ?? 'payers_cannot_order')
}

/** Which way is missing, by those that are configured. */
const MISSING: Record<string, FaultCode> = {
  quote: 'quote_missing',
  catalogue: 'sku_missing',
  'quote,catalogue': 'quote_or_sku_missing',
}

async function priceOfQuote(payments: Payments, token: unknown): Promise<Price> {
  const { quote, out_sub_mch_id, isOver } = await readQuote(payments, token)
  const { iss, jti, sub, total_fee, fee_type, body, merchant_order_id } = quote
  return {
    total_fee,
    fee_type,
    body,
    merchant_order_id,
    refusal: isOver ? new Fault('quote_expired') : undefined,
    by: { iss, jti, sub, out_sub_mch_id },
  }
}

const QUANTITY_MAX = 10_000

async function priceOfSku(payments: Payments, caller: Caller, rest: Body, given: Given): Promise<Price> {
  const { sku, quantity = 1 } = given
  if (typeof sku !== 'string' || !/^[!-~]{1,64}$/.test(sku))
    throw invalid([flaw('sku', 'value', 'must be 1 to 64 visible ASCII characters')])
  if (!Number.isSafeInteger(quantity) || (quantity as number) < 1 || (quantity as number) > QUANTITY_MAX)
    throw invalid([flaw('quantity', 'value', `must be a whole number from 1 to ${QUANTITY_MAX}`)])
  const count = quantity as number
  const named = member(rest, 'pay_mch_key')['out_sub_mch_id']
  const merchant = caller.out_sub_mch_id ?? (typeof named === 'string' ? named : undefined)
  const out_sub_mch_id = merchant ?? payments.merchants.first.out_sub_mch_id
  const article = await findSku(payments.store, out_sub_mch_id, sku)
  if (!article) throw new Fault('sku_unknown')
  const total_fee = article.total_fee * count
  const tooMany = count > article.quantity_max || total_fee > FEN_MAX
  if (tooMany) throw new Fault('quantity_over_limit', { extra: { quantity_max: article.quantity_max } })
  return {
    total_fee,
    fee_type: 'CNY',
    body: count === 1 ? article.body : `${article.body} ×${count}`,
    merchant_order_id: undefined,
    refusal: article.active === 1 ? undefined : new Fault('sku_unknown'),
    by: { sku, quantity: count },
  }
}

// ── putting it together ────────────────────────────────────────────────────────────────────────────────────────

/** What a payer may add to price and person. Coupons, limits and details change what is paid: they are not theirs. */
const PAYERS_OWN = ['remark', 'time_expire']

/**
 * The body of an order as a merchant would have sent it. What a payer says of price or person may repeat what we know;
 * anything else is refused, never overwritten.
 */
function compose(rest: Body, price: Price, caller: Caller): Body {
  const content = member(rest, 'pay_content')
  const priced = { total_fee: price.total_fee, fee_type: price.fee_type, body: price.body }
  for (const [name, value] of Object.entries(priced)) {
    if (content[name] !== undefined && content[name] !== value) throw new Fault('price_differs')
  }
  const faults: FieldFault[] = Object.keys(content)
    .filter((name) => !PAYERS_OWN.includes(name) && !(name in priced))
    .map((name) => flaw(`pay_content.${name}`, 'not_allowed', 'is not for payers to set'))
  const { merchant_order_id } = price
  if (rest['merchant_order_id'] !== undefined && rest['merchant_order_id'] !== merchant_order_id)
    faults.push(flaw('merchant_order_id', 'not_allowed', 'is not for payers to set'))
  const own = caller.payer && sessionPart(rest, caller.payer, caller.out_sub_mch_id ?? '', faults)
  if (faults.length > 0) throw invalid(faults)
  return {
    ...rest,
    ...own,
    pay_content: { ...content, ...priced },
    ...(merchant_order_id === undefined ? {} : { merchant_order_id }),
  }
}

/** Who pays, and how, as the session has it: a mini-program's session is paid in the mini-program. */
function sessionPart(rest: Body, payer: Payer, out_sub_mch_id: string, faults: FieldFault[]): Body {
  const key = member(rest, 'pay_mch_key')
  const wxpay = 'wxpay_pay_mch_key_ext'
  const alipay = 'alipay_pay_mch_key_ext'
  const ext: Record<string, string> =
    payer.app_kind === 'mini_program'
      ? { mini_program_sub_app_id: payer.app_id }
      : payer.app_kind === 'alipay'
        ? {}
        : { [payer.field === 'open_id' ? 'app_id' : 'sub_app_id']: payer.app_id }
  ext[payer.field] = payer.id
  const extName = payer.app_kind === 'alipay' ? alipay : wxpay

  const given = { ...member(key, wxpay), ...member(key, alipay) }
  for (const [name, value] of Object.entries(given)) {
    if (value === ext[name]) continue
    // A person is not a field that was filled in wrongly.
    if (['open_id', 'sub_open_id', 'user_id'].includes(name)) throw new Fault('payer_differs')
    faults.push(flaw(`pay_mch_key.${extName}.${name}`, 'server_owned', 'is known from the session'))
  }
  const known = {
    pay_platform: payer.app_kind === 'alipay' ? PAY_PLATFORM.alipay : PAY_PLATFORM.wechat,
    out_sub_mch_id,
  }
  for (const [name, value] of Object.entries(known)) {
    if (key[name] !== undefined && key[name] !== value)
      faults.push(flaw(`pay_mch_key.${name}`, 'server_owned', 'is known from the session'))
  }
  const trade_type = payer.app_kind === 'mini_program' ? TRADE_TYPE.miniProgram : TRADE_TYPE.officialAccount
  if (rest['trade_type'] !== undefined && rest['trade_type'] !== trade_type)
    faults.push(flaw('trade_type', 'server_owned', 'is known from the session'))
  const { [wxpay]: _wxpay, [alipay]: _alipay, ...ids } = key
  return { trade_type, pay_mch_key: { ...ids, ...known, [extName]: ext } }
}

/** A member that is an object; what is none is left for the schema to refuse. */
function member(body: Body, name: string): Body {
  const value = body[name]
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : {}
}

const invalid = (fields: FieldFault[]) => new Fault('body_invalid', { fields })

const MINUTE_MS = 60_000

function limitsOf(payments: Payments, caller: Caller, request: OrderRequest): OrderLimits {
  const { limits } = payments.settings
  const { out_sub_mch_id } = merchantOf(payments, request)
  const payer = {
    name: `om:${payerHash(out_sub_mch_id, payerOf(request))}`,
    periodMs: MINUTE_MS,
    max: limits.payerPerMinute,
    openMax: limits.payerOpen,
  }
  return {
    // A merchant's server may order for one payer as often as it likes: a counter at a till is one.
    payer: caller.kind === 'payer' ? payer : undefined,
    merchant: { name: `om:m:${out_sub_mch_id}`, periodMs: MINUTE_MS, max: limits.merchantPerMinute },
    nowMs: payments.clock.nowMs(),
  }
}
