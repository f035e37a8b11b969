import { createHash } from 'node:crypto'
import type { Caller, Payer } from '../base/caller'
import { IPV4 } from '../base/config'
import { payerHash } from '../base/payer'
import { Fault, type FaultCode, type FieldFault } from '../base/errors'
import { FEN_MAX } from '../base/money'
import { asciiUpTo, flaw, OBJECT, said } from '../base/validate'
import { PAY_PLATFORM, TRADE_TYPE, type TradeType } from '../cloudpay/enums'
import { findSku } from '../store/catalogue'
import type { OrderLimits } from '../store/orders'
import { payersShare } from './budget'
import type { Payments } from './context'
import { merchantOf, payerOf, readOrderRequest } from './orderRequest'
import type { OrderRequest } from './orderSchema'
import { readQuote } from './quote'
import { namesPayer, SCENES, sceneOf } from './scenes'

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

/**
 * The order a body asks for, with payer and price filled in by who may say them. `address`: where the request came
 * from, as the platform tells it.
 */
export async function priceOrder(
  payments: Payments,
  caller: Caller,
  body: Body,
  idempotencyKey: string | null,
  address?: string,
): Promise<Priced> {
  const { free } = payments.settings.prices
  // Nobody scans themselves.
  if (caller.kind === 'payer' && !sceneFor(body).payers) throw new Fault('caller_not_allowed')
  const priced =
    free || caller.kind === 'merchant'
      ? byMerchant(payments, caller, body, idempotencyKey)
      : await byPayer(payments, caller, body, idempotencyKey, address)
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
  address: string | undefined,
): Promise<Priced> {
  const { quote: token, sku, quantity, ...rest } = body
  const price = await findPrice(payments, caller, rest, { token, sku, quantity })
  const request = readOrderRequest(compose(rest, price, caller), payments, ipv4Of(address))
  const { by } = price
  if ('sku' in by) {
    const terms = { ...NO_TERMS, asked: by, refusal: price.refusal }
    return { request, idempotencyKey, terms }
  }
  // After the request was read: without a session, who pays stands in it.
  const mine = payerOf(request, caller).payer_id === by.sub
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

/** S16 on the pages: an address of IPv6 cannot be told, and the payer has to say another. */
const ipv4Of = (address: string | undefined): string | undefined =>
  address !== undefined && IPV4.test(address) ? address : undefined

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
    throw invalid([
      flaw('sku', 'not_allowed', said('send quote or sku, not both', 'quote 与 sku 只能发送一个')),
    ])
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
const NO_QUANTITY = said(
  `must be a whole number from 1 to ${QUANTITY_MAX}`,
  `须为 1 至 ${QUANTITY_MAX} 的整数`,
)

async function priceOfSku(payments: Payments, caller: Caller, rest: Body, given: Given): Promise<Price> {
  const { sku, quantity = 1 } = given
  if (typeof sku !== 'string' || !/^[!-~]{1,64}$/.test(sku))
    throw invalid([flaw('sku', 'value', asciiUpTo(64))])
  if (!Number.isSafeInteger(quantity) || (quantity as number) < 1 || (quantity as number) > QUANTITY_MAX)
    throw invalid([flaw('quantity', 'value', NO_QUANTITY)])
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
const NOT_PAYERS = said('is not for payers to set', '不能由付款人设置')
const FROM_SESSION = said('is known from the session', '以登录会话为准，与会话不一致')

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
  const key = member(rest, 'pay_mch_key')
  const faults: FieldFault[] = [
    ...noObjects(rest, ['pay_content', 'pay_mch_key']),
    ...noObjects(key, ['wxpay_pay_mch_key_ext', 'alipay_pay_mch_key_ext'], 'pay_mch_key.'),
    ...Object.keys(content)
      .filter((name) => !PAYERS_OWN.includes(name) && !(name in priced) && !isOnlySceneInfo(rest, name))
      .map((name) => flaw(`pay_content.${name}`, 'not_allowed', NOT_PAYERS)),
  ]
  const { merchant_order_id } = price
  if (rest['merchant_order_id'] !== undefined && rest['merchant_order_id'] !== merchant_order_id)
    faults.push(flaw('merchant_order_id', 'not_allowed', NOT_PAYERS))
  const own = caller.payer && sessionPart(rest, caller.payer, caller.out_sub_mch_id ?? '', faults)
  if (faults.length > 0) throw invalid(faults)
  return {
    ...rest,
    ...own,
    pay_content: { ...content, ...priced },
    ...(merchant_order_id === undefined ? {} : { merchant_order_id }),
  }
}

/** What page the payer is on says nothing about the price, and H5 has to be told. */
function isOnlySceneInfo(rest: Body, name: string): boolean {
  if (name !== 'wxpay_pay_content_ext' || !sceneFor(rest).wxpayContent.required.includes('scene_info'))
    return false
  return Object.keys(member(member(rest, 'pay_content'), name)).every((one) => one === 'scene_info')
}

/** What the body asks for, as far as it can be told before it is read. */
const sceneFor = ({ trade_type }: Body) => sceneOf(typeof trade_type === 'number' ? trade_type : undefined)

/** Who pays, and how, as the session has it: a mini-program's session is paid in the mini-program. */
function sessionPart(rest: Body, payer: Payer, out_sub_mch_id: string, faults: FieldFault[]): Body {
  const key = member(rest, 'pay_mch_key')
  const trade_type = tradeTypeOf(rest, payer)
  const names = namesPayer(SCENES[trade_type])
  const wxpay = 'wxpay_pay_mch_key_ext'
  const alipay = 'alipay_pay_mch_key_ext'
  const appId: Record<string, string> =
    payer.app_kind === 'mini_program'
      ? { mini_program_sub_app_id: payer.app_id }
      : payer.app_kind === 'alipay'
        ? {}
        : { [payer.field === 'open_id' ? 'app_id' : 'sub_app_id']: payer.app_id }
  const ext: Record<string, unknown> = names ? { ...appId, [payer.field]: payer.id } : {}
  const extName = payer.app_kind === 'alipay' ? alipay : wxpay

  const given = { ...member(key, wxpay), ...member(key, alipay) }
  // An app's own id is no session's; a wrong one is refused upstream, and moves no money elsewhere.
  if (trade_type === TRADE_TYPE.app && given['mob_app_id'] !== undefined)
    ext['mob_app_id'] = given['mob_app_id']
  for (const [name, value] of Object.entries(given)) {
    if (value === ext[name] || (name === payer.field && value === payer.id)) continue
    // A person is not a field that was filled in wrongly.
    if (['open_id', 'sub_open_id', 'user_id'].includes(name)) throw new Fault('payer_differs')
    faults.push(flaw(`pay_mch_key.${extName}.${name}`, 'server_owned', FROM_SESSION))
  }
  const known = {
    pay_platform: payer.app_kind === 'alipay' ? PAY_PLATFORM.alipay : PAY_PLATFORM.wechat,
    out_sub_mch_id,
  }
  for (const [name, value] of Object.entries(known)) {
    if (key[name] !== undefined && key[name] !== value)
      faults.push(flaw(`pay_mch_key.${name}`, 'server_owned', FROM_SESSION))
  }
  if (rest['trade_type'] !== undefined && rest['trade_type'] !== trade_type)
    faults.push(flaw('trade_type', 'server_owned', FROM_SESSION))
  const { [wxpay]: _wxpay, [alipay]: _alipay, ...ids } = key
  return {
    trade_type,
    pay_mch_key: { ...ids, ...known, ...(Object.keys(ext).length > 0 ? { [extName]: ext } : {}) },
  }
}

/**
 * Paid where the session is from: a mini-program's in the mini-program. Whoever is logged in may as well ask for a code
 * to scan, or to pay in an app or a browser; those name no payer.
 */
function tradeTypeOf({ trade_type: given }: Body, payer: Payer): TradeType {
  const elsewhere = Object.values(TRADE_TYPE).find((one) => one === given && !namesPayer(SCENES[one]))
  if (elsewhere !== undefined) return elsewhere
  return payer.app_kind === 'mini_program' ? TRADE_TYPE.miniProgram : TRADE_TYPE.officialAccount
}

/** What is composed anew is not seen by the schema, so what it would say of it is said here. */
const noObjects = (body: Body, names: string[], within = ''): FieldFault[] =>
  names
    .filter((name) => body[name] !== undefined && member(body, name) !== body[name])
    .map((name) => flaw(`${within}${name}`, 'type', OBJECT))

/** A member that is an object; for any other value an empty one. */
function member(body: Body, name: string): Body {
  const value = body[name]
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : {}
}

const invalid = (fields: FieldFault[]) => new Fault('body_invalid', { fields })

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

function limitsOf(payments: Payments, caller: Caller, request: OrderRequest): OrderLimits {
  const { limits } = payments.settings
  const { out_sub_mch_id } = merchantOf(payments, request)
  const isPayer = caller.kind === 'payer'
  const hash = payerHash(out_sub_mch_id, payerOf(request, caller))
  const max = isPayer ? payersShare(limits.merchantPerMinute) : limits.merchantPerMinute
  return {
    // A merchant's server may order for one payer as often as it likes: a counter at a till is one.
    payer: isPayer
      ? {
          limits: [
            { name: `om:${hash}`, periodMs: MINUTE_MS, max: limits.payerPerMinute },
            { name: `od:${hash}`, periodMs: DAY_MS, max: limits.payerPerDay },
          ],
          openMax: limits.payerOpen,
        }
      : undefined,
    merchant: { name: `om:m:${out_sub_mch_id}`, periodMs: MINUTE_MS, max },
    nowMs: payments.clock.nowMs(),
  }
}
