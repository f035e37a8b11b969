import * as v from 'valibot'
import { nowS } from '../../shared/base/time'
import { PAY_PLATFORM } from '../../shared/cloudpay/enums'
import type { AnyPayRequest } from '../../shared/cloudpay/scenes'
import { Detail, type CloseRequest, type QueryRequest } from '../../shared/cloudpay/schema'
import { breach, notFound, ok, refuse, type Said } from './answers'
import { codeUrl, jsapiArgs, mwebUrl, orderContent, payMchKey, sdkArgs } from './contents'
import { parse } from './envelope'
import {
  business,
  createTime,
  digits,
  freshNonce,
  Refusal,
  settle,
  shownState,
  takeMoney,
  type Far,
  type LedgerOrder,
  type SandboxMerchant,
} from './ledger'
import { AT_ONCE, AUTHOR_CODES, DEFAULT_LIFE_S, type MicroScript } from './switches'

/** An order's life: it is created, asked about, closed, and paid by somebody with a wallet. */

export function create(far: Far, merchant: SandboxMerchant, suffix: string, request: AnyPayRequest): Said {
  const { out_trade_no } = request.pay_content
  const rule = brokenRule(far, merchant, suffix, request)
  if (rule !== undefined) return breach(far, merchant, rule)
  const known = far.orders.get(out_trade_no)
  if (known) {
    const same = known.merchant === merchant && business(known.request) === business(request)
    // The protection against entering an order twice (product/569/37632).
    if (!same && suffix === 'micro_pay') return refuse(far, merchant, 104, 'order number already used', 407)
    if (!same || far.switches.repeatedCreate === '102')
      return refuse(far, merchant, 102, 'order number already used')
  }
  if (!known && scriptOf(request).answer === '104') return refuse(far, merchant, 104, 'payment code refused')
  const order = known ?? newOrder(far, suffix, merchant, request)
  far.orders.set(out_trade_no, order)
  return order.micro ? microAnswer(far, merchant, order) : accepted(far, merchant, suffix, order)
}

/** The four answers that only hand something over, and the two that also show the order. */
function accepted(far: Far, merchant: SandboxMerchant, suffix: string, order: LedgerOrder): Said {
  const nonce_str = freshNonce(far)
  switch (suffix) {
    case 'scan_code_pay':
      return ok(far, merchant, suffix, { nonce_str, code_url: codeUrl(order) })
    case 'app_pay':
      return ok(far, merchant, suffix, {
        nonce_str,
        pay_mch_key: payMchKey(order),
        sdk_args: sdkArgs(far, order),
      })
    case 'mob_web_pay':
      return ok(far, merchant, suffix, {
        nonce_str,
        ...(far.switches.mobWebAnswer === 'mweb_url' ? { mweb_url: mwebUrl(far, order) } : {}),
      })
  }
  return ok(far, merchant, suffix, {
    nonce_str,
    order_content: orderContent(far, order),
    ...(suffix === 'mini_program_pay' && far.switches.miniProgramEcho === 'no'
      ? {}
      : { pay_mch_key: payMchKey(order) }),
    jsapi_args: jsapiArgs(far, order),
  })
}

function microAnswer(far: Far, merchant: SandboxMerchant, order: LedgerOrder): Said {
  settle(far, order)
  const undecided = order.state === 'waiting'
  const { answer } = order.micro!.script
  if (undecided && answer === '407') return refuse(far, merchant, 104, 'order number already used', 407)
  if (undecided && answer === '3') return refuse(far, merchant, 3, 'system error')
  if (undecided && far.switches.microUndecided === '103') return refuse(far, merchant, 103, 'payer is paying')
  return ok(far, merchant, 'micro_pay', {
    nonce_str: freshNonce(far),
    order_content: orderContent(far, order),
    pay_mch_key: payMchKey(order),
  })
}

export function query(far: Far, merchant: SandboxMerchant, request: QueryRequest): Said {
  const order = orderOf(far, merchant, request.out_trade_no)
  if (!order) return notFound(far, merchant)
  return ok(far, merchant, 'query_order', {
    nonce_str: freshNonce(far),
    order_content: orderContent(far, order),
    pay_mch_key: payMchKey(order),
  })
}

export function close(far: Far, merchant: SandboxMerchant, request: CloseRequest): Said {
  const order = orderOf(far, merchant, request.out_trade_no)
  if (!order) return notFound(far, merchant)
  if (order.micro) return reverse(far, merchant, order)
  if (order.state === 'paid')
    return refuse(far, merchant, Number(far.switches.closePaid), 'order already paid')
  if (shownState(far, order) === 'closed' && far.switches.closeClosed === '104')
    return refuse(far, merchant, 104, 'order already closed')
  closeByMerchant(far, request.out_trade_no)
  return ok(far, merchant, 'close_order', { nonce_str: freshNonce(far) })
}

/** "Closing" what was paid by code gives the money back: what a client must never do by mistake. */
function reverse(far: Far, merchant: SandboxMerchant, order: LedgerOrder): Said {
  settle(far, order)
  order.micro!.reversed = true
  order.refunded_fen = order.paid_fen
  order.state = 'closed'
  order.last_update_time = nowS(far.clock)
  return ok(far, merchant, 'close_order', { nonce_str: freshNonce(far) })
}

/** A number belongs to the sub-merchant that used it first: for others there is no such order. */
export function orderOf(far: Far, merchant: SandboxMerchant, out_trade_no: string): LedgerOrder | undefined {
  const order = far.orders.get(out_trade_no)
  return order?.merchant === merchant ? order : undefined
}

// ── what happens without a request ─────────────────────────────────────────────────────────────────────────────

export type PayOptions = {
  /** The wallet's payment was under way when the order closed or expired, and the money arrives all the same. */
  late?: boolean
}

/** The payer pays. Refused like a wallet would: closed, expired, paid before. */
export function pay(far: Far, out_trade_no: string, { late = false }: PayOptions = {}): LedgerOrder {
  const order = far.orders.get(out_trade_no)
  if (!order) throw new Refusal('no such order')
  const { lateness } = far.switches
  const now = nowS(far.clock)
  const expired = now > order.time_expire
  if (order.micro) settle(far, order)
  if (order.state === 'paid') throw new Refusal('order is paid')
  if (order.state === 'closed' && !(late && lateness === 'closed_too')) throw new Refusal('order is closed')
  if (expired && !order.micro && !(late && lateness !== 'never')) throw new Refusal('order has expired')
  takeMoney(far, order, now)
  return order
}

/** The payer puts the phone away: micro_pay alone knows that. */
export function cancel(far: Far, out_trade_no: string): LedgerOrder {
  const order = far.orders.get(out_trade_no)
  if (!order?.micro) throw new Refusal('no such micro_pay order')
  settle(far, order)
  if (order.state !== 'waiting') throw new Refusal(`order is ${order.state}`)
  order.state = 'closed'
  order.last_update_time = nowS(far.clock)
  return order
}

export function closeByMerchant(far: Far, out_trade_no: string): void {
  const order = far.orders.get(out_trade_no)
  if (!order || order.state !== 'waiting') return
  order.state = 'closed'
  order.last_update_time = nowS(far.clock)
}

// ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────

const NAMES_PAYER = ['official_account_pay', 'mini_program_pay']

/** `app_pay` and `mob_web_pay` are held to theirs by their schemas. */
function brokenSceneRule(far: Far, suffix: string, request: AnyPayRequest): string | undefined {
  const { pay_content: content, pay_mch_key: key } = request
  const wechat = key.pay_platform === PAY_PLATFORM.wechat
  if (!wechat && content.wxpay_pay_content_ext) return 'wxpay_pay_content_ext is for WeChat'
  if (suffix === 'scan_code_pay' && wechat && far.switches.scanProductId === 'required')
    return content.wxpay_pay_content_ext?.product_id === undefined ? 'product_id is required' : undefined
  if (suffix === 'mob_web_pay') {
    const scene = parse(content.wxpay_pay_content_ext?.scene_info ?? '') as { h5_info?: unknown } | undefined
    if (typeof scene?.h5_info !== 'object') return 'scene_info is no JSON text of a scene'
  }
  if (suffix !== 'micro_pay') return undefined
  if (!(wechat ? /^1[0-5]\d{14,}$/ : /^(2[5-9]|30)\d{14,}$/).test(content.author_code ?? ''))
    return 'author_code is not of this pay_platform'
  const machine = (request.order_client as { machine_no?: string } | undefined)?.machine_no
  return far.switches.machineNo === 'required' && !machine ? 'machine_no is required' : undefined
}

function brokenRule(
  far: Far,
  merchant: SandboxMerchant,
  suffix: string,
  request: AnyPayRequest,
): string | undefined {
  const { pay_content: content, pay_mch_key: key } = request
  if (!content.out_trade_no.startsWith(merchant.order_prefix)) return 'out_trade_no lacks the order prefix'
  const ids = wrongIds(merchant, key)
  if (ids !== undefined) return ids
  const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = key
  const wechat = key.pay_platform === PAY_PLATFORM.wechat
  if (!NAMES_PAYER.includes(suffix)) {
    const rule = brokenSceneRule(far, suffix, request)
    if (rule !== undefined) return rule
  } else if (Boolean(wxpay) === Boolean(alipay) || Boolean(wxpay) !== wechat)
    return 'exactly one pay_mch_key extension'
  if (
    NAMES_PAYER.includes(suffix) &&
    wxpay &&
    (wxpay.open_id === undefined) === (wxpay.sub_open_id === undefined)
  ) {
    return 'exactly one of open_id and sub_open_id'
  }
  if (!wechat && content.wxpay_pay_content_ext) return 'wxpay_pay_content_ext is for WeChat'
  if (content.time_expire !== undefined && content.time_expire <= nowS(far.clock))
    return 'time_expire is past'
  if (content.detail !== undefined) {
    const detail = parse(content.detail)
    if (!v.is(Detail, detail)) return 'detail is not the text of a Detail'
  }
  if (far.switches.lengthUnit === 'bytes' && Buffer.byteLength(content.body) > 128) return 'body is too long'
  return undefined
}

export function wrongIds(
  merchant: SandboxMerchant,
  key: { out_mch_id: string; out_shop_id: string },
): string | undefined {
  if (key.out_mch_id !== merchant.out_mch_id) return 'out_mch_id is not this merchant'
  if (key.out_shop_id !== merchant.out_shop_id) return 'out_shop_id is not a shop of this sub-merchant'
  return undefined
}

const scriptOf = ({ pay_content: { author_code } }: AnyPayRequest): MicroScript =>
  AUTHOR_CODES[author_code?.slice(-4) ?? ''] ?? AT_ONCE

function newOrder(far: Far, suffix: string, merchant: SandboxMerchant, request: AnyPayRequest): LedgerOrder {
  const script = scriptOf(request)
  const now = nowS(far.clock)
  const { out_trade_no, time_expire } = request.pay_content
  const china = new Date((now + 8 * 3600) * 1000).toISOString()
  return {
    out_trade_no,
    merchant,
    request,
    interface: suffix,
    ...(suffix === 'micro_pay'
      ? { micro: { script, decided_ms: far.clock.nowMs() + script.undecidedS * 1000 } }
      : {}),
    state: 'waiting',
    create_time: createTime(far),
    last_update_time: now,
    time_expire: time_expire ?? now + DEFAULT_LIFE_S,
    // `wx`, then day, hour, minute, second in China, then 26 more.
    prepare_id: `wx${china.slice(8, 10)}${china.slice(11, 19).replaceAll(':', '')}${far.random(13).toString('hex')}`,
    trade_no: china.slice(0, 10).replaceAll('-', '') + digits(far.random, 20),
    paid_fen: 0,
    refunded_fen: 0,
    refunds: [],
  }
}
