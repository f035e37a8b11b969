import { createHmac } from 'node:crypto'
import * as v from 'valibot'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { makeNonce, type Random } from '../../shared/base/random'
import { nowS, type Clock } from '../../shared/base/time'
import {
  ALIPAY_ORDER_STATE,
  PAY_PLATFORM,
  SUB_PAY_PLATFORM,
  TRADE_TYPE,
  WXPAY_ORDER_STATE,
} from '../../shared/cloudpay/enums'
import {
  Detail,
  INTERFACES,
  type JsapiArguments,
  type OrderAnswer,
  type OrderContent,
  type PayRequest,
  type QueryRequest,
} from '../../shared/cloudpay/schema'
import { DEFAULT_LIFE_S, DEFAULT_SWITCHES, sentinels, type FaultName, type Switches } from './switches'
import { paySign, WECHAT_API_KEY } from './wallet'

/**
 * Cloud Pay, imitated: it checks the signature over the string it received, enforces the documented limits, keeps a
 * ledger and signs its answers. Shapes come from the protocol's own schemas; signing, ledger and rules are written
 * here anew, so that a mistake of ours cannot agree with itself.
 *
 * This file is the service without the network; server.ts puts it behind HTTP.
 */
export type SandboxMerchant = {
  out_mch_id: string
  out_sub_mch_id: string
  out_shop_id: string
  order_prefix: string
  authen_key: string
}

/** One order as the far end knows it. */
export type LedgerOrder = {
  out_trade_no: string
  merchant: SandboxMerchant
  request: PayRequest
  interface: string
  state: 'waiting' | 'paid' | 'closed'
  create_time: number
  last_update_time: number
  time_expire: number
  prepare_id: string
  trade_no: string
  transaction_id?: string
  time_end?: number
  /** How many queries and creates were answered, for the sentinels' turn. */
  creates: number
  queries: number
}

/** What the network should carry: bytes, or one of the ways in which it carries none. */
export type Reply =
  | { kind: 'answer'; httpStatus: number; body: Buffer; delayMs: number }
  | { kind: 'silent' }
  | { kind: 'drop' }
  | { kind: 'truncated'; body: Buffer }

/** What arrived, byte for byte, for tests that assert it. */
export type Received = { at: number; interface: string; body: string; request_content: string | undefined }

export type SandboxOptions = {
  clock: Clock
  random: Random
  merchants?: readonly SandboxMerchant[]
  switches?: Partial<Switches>
  slowMs?: number
}

export class Refusal extends Error {}

const RECEIVED_MAX = 10_000

export function createSandbox(options: SandboxOptions) {
  const { clock, random } = options
  const merchants = options.merchants ?? [SANDBOX_MERCHANT]
  const switches: Switches = { ...DEFAULT_SWITCHES, ...options.switches }
  const orders = new Map<string, LedgerOrder>()
  const received: Received[] = []
  /** Transmissions of creates that did not become an order, so that a sentinel's turn goes on. */
  const turns = new Map<string, number>()

  function answer(suffix: string, body: Buffer): Reply {
    const opened = openRequest(body)
    received.push({
      at: clock.nowMs(),
      interface: suffix,
      body: body.toString('utf8'),
      request_content: opened?.text,
    })
    if (received.length > RECEIVED_MAX) received.shift()
    const iface = INTERFACES.find((one) => one.suffix === suffix)
    if (!opened || !iface) return unsigned(101, 'request malformed')
    const { content, merchant, verified } = opened
    if (!merchant) return unsigned(101, 'unknown sub-merchant')
    if (!verified) return unsigned(101, 'authen code check fail')
    const breach = () => (switches.ruleBreach === '101' ? 101 : 104)

    const read = v.safeParse(iface.request, content)
    if (!read.success) {
      const path = v.getDotPath(read.issues[0]) ?? ''
      return refuse(merchant, breach(), `${path} ${read.issues[0].message}`)
    }
    switch (iface.suffix) {
      case 'official_account_pay':
      case 'mini_program_pay':
        return create(suffix, merchant, content as PayRequest, breach())
      case 'query_order':
        return query(merchant, content as QueryRequest)
      case 'close_order':
        return close(merchant, content as QueryRequest)
    }
  }

  // ── interfaces ───────────────────────────────────────────────────────────────────────────────────────────────

  function create(suffix: string, merchant: SandboxMerchant, request: PayRequest, breach: number): Reply {
    const { out_trade_no, remark } = request.pay_content
    const turn = turns.get(out_trade_no) ?? 0
    turns.set(out_trade_no, turn + 1)
    const fault = sentinels(remark, 'sandbox')[turn] ?? 'ok'
    const refusal = refusalFor(fault, merchant)
    if (refusal) return refusal

    const rule = brokenRule(merchant, request)
    if (rule !== undefined) return refuse(merchant, breach, rule)
    const known = orders.get(out_trade_no)
    if (known) {
      const same = business(known.request) === business(request) && known.merchant === merchant
      if (!same || switches.repeatedCreate === '102')
        return refuse(merchant, 102, 'order number already used')
    }
    const order = known ?? newOrder(suffix, merchant, request)
    orders.set(out_trade_no, order)
    order.creates++
    return misdeliver(fault, merchant, suffix, {
      nonce_str: makeNonce(random),
      order_content: orderContent(order),
      ...(suffix === 'mini_program_pay' && switches.miniProgramEcho === 'no'
        ? {}
        : { pay_mch_key: payMchKey(order) }),
      jsapi_args: jsapiArgs(order),
    })
  }

  function query(merchant: SandboxMerchant, request: QueryRequest): Reply {
    const order = orders.get(request.out_trade_no)
    if (!order || order.merchant !== merchant) return notFound(merchant)
    const fault = sentinels(order.request.pay_content.remark, 'sandbox-query')[order.queries++] ?? 'ok'
    return (
      refusalFor(fault, merchant) ??
      misdeliver(fault, merchant, 'query_order', {
        nonce_str: makeNonce(random),
        order_content: orderContent(order),
        pay_mch_key: payMchKey(order),
      })
    )
  }

  function close(merchant: SandboxMerchant, request: QueryRequest): Reply {
    const order = orders.get(request.out_trade_no)
    if (!order || order.merchant !== merchant) return notFound(merchant)
    if (order.state === 'paid') return refuse(merchant, Number(switches.closePaid), 'order already paid')
    closeByMerchant(request.out_trade_no)
    return signed(merchant, ok('close_order', { nonce_str: makeNonce(random) }))
  }

  // ── what happens at the wallet ───────────────────────────────────────────────────────────────────────────────

  /** The payer pays. Refused like a wallet would: closed, expired, paid before. */
  function pay(out_trade_no: string): LedgerOrder {
    const order = orders.get(out_trade_no)
    if (!order) throw new Refusal('no such order')
    if (order.state !== 'waiting') throw new Refusal(`order is ${order.state}`)
    const now = nowS(clock)
    if (now > order.time_expire) throw new Refusal('order has expired')
    order.state = 'paid'
    order.time_end = now
    order.last_update_time = now
    order.transaction_id =
      order.request.pay_mch_key.pay_platform === PAY_PLATFORM.wechat ? `4200${digits(24)}` : order.trade_no
    return order
  }

  function closeByMerchant(out_trade_no: string): void {
    const order = orders.get(out_trade_no)
    if (!order || order.state !== 'waiting') return
    order.state = 'closed'
    order.last_update_time = nowS(clock)
  }

  // ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────

  function brokenRule(merchant: SandboxMerchant, request: PayRequest): string | undefined {
    const { pay_content: content, pay_mch_key: key } = request
    if (!content.out_trade_no.startsWith(merchant.order_prefix)) return 'out_trade_no lacks the order prefix'
    if (key.out_mch_id !== merchant.out_mch_id) return 'out_mch_id is not this merchant'
    if (key.out_shop_id !== merchant.out_shop_id) return 'out_shop_id is not a shop of this sub-merchant'
    const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = key
    const wechat = key.pay_platform === PAY_PLATFORM.wechat
    if (Boolean(wxpay) === Boolean(alipay) || Boolean(wxpay) !== wechat)
      return 'exactly one pay_mch_key extension'
    if (wxpay && (wxpay.open_id === undefined) === (wxpay.sub_open_id === undefined)) {
      return 'exactly one of open_id and sub_open_id'
    }
    if (!wechat && content.wxpay_pay_content_ext) return 'wxpay_pay_content_ext is for WeChat'
    if (content.time_expire !== undefined && content.time_expire <= nowS(clock)) return 'time_expire is past'
    if (content.detail !== undefined) {
      const detail = parse(content.detail)
      if (!v.is(Detail, detail)) return 'detail is not the text of a Detail'
    }
    if (switches.lengthUnit === 'bytes' && Buffer.byteLength(content.body) > 128) return 'body is too long'
    return undefined
  }

  /** Everything but the nonce, in whatever order it was written: what makes a repeated create the same. */
  function business(request: PayRequest): string {
    return JSON.stringify({ ...request, nonce_str: '' }, (_, node: unknown) =>
      typeof node === 'object' && node !== null && !Array.isArray(node)
        ? Object.fromEntries(Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)))
        : node,
    )
  }

  function newOrder(suffix: string, merchant: SandboxMerchant, request: PayRequest): LedgerOrder {
    const now = nowS(clock)
    const { out_trade_no, time_expire } = request.pay_content
    const china = new Date((now + 8 * 3600) * 1000).toISOString()
    return {
      out_trade_no,
      merchant,
      request,
      interface: suffix,
      state: 'waiting',
      create_time: now,
      last_update_time: now,
      time_expire: time_expire ?? now + DEFAULT_LIFE_S,
      // `wx`, then day, hour, minute, second in China, then 26 more.
      prepare_id: `wx${china.slice(8, 10)}${china.slice(11, 19).replaceAll(':', '')}${random(13).toString('hex')}`,
      trade_no: china.slice(0, 10).replaceAll('-', '') + digits(20),
      creates: 0,
      queries: 0,
    }
  }

  // ── contents ─────────────────────────────────────────────────────────────────────────────────────────────────

  function walletState(order: LedgerOrder): number {
    const expired = order.state === 'waiting' && nowS(clock) > order.time_expire
    const state = expired && switches.expiredState === 'closed' ? 'closed' : order.state
    if (order.request.pay_mch_key.pay_platform === PAY_PLATFORM.wechat) {
      return {
        waiting: WXPAY_ORDER_STATE.waiting,
        paid: WXPAY_ORDER_STATE.paid,
        closed: WXPAY_ORDER_STATE.closed,
      }[state]
    }
    return {
      waiting:
        switches.alipayBeforeCashier === 'waiting'
          ? ALIPAY_ORDER_STATE.waiting
          : ALIPAY_ORDER_STATE.notExisting,
      paid: ALIPAY_ORDER_STATE.paid,
      closed: ALIPAY_ORDER_STATE.closedOrRefunded,
    }[state]
  }

  function orderContent(order: LedgerOrder): OrderContent {
    const { pay_content: content, pay_mch_key: key, nonce_str } = order.request
    const wechat = key.pay_platform === PAY_PLATFORM.wechat
    const paid = order.state === 'paid'
    const current_trade_state = walletState(order)
    return {
      out_trade_no: order.out_trade_no,
      ...(paid ? { transaction_id: order.transaction_id, time_end: order.time_end } : {}),
      trade_type:
        order.interface === 'mini_program_pay' ? TRADE_TYPE.miniProgram : TRADE_TYPE.officialAccount,
      time_expire: order.time_expire,
      nonce_str: switches.nonceEcho === 'request' ? nonce_str : makeNonce(random),
      create_time: order.create_time,
      last_update_time: order.last_update_time,
      is_transforming: false,
      total_fee: content.total_fee,
      ...(paid ? { cash_fee: content.total_fee, settlement_total_fee: content.total_fee } : {}),
      fee_type: content.fee_type,
      cash_fee_type: content.fee_type,
      body: content.body,
      ...(content.detail === undefined ? {} : { detail: content.detail }),
      ...(wechat
        ? {
            wxpay_order_content_ext: {
              current_trade_state,
              ...content.wxpay_pay_content_ext,
              goods_tag: content.wxpay_pay_content_ext?.goods_tag ?? '',
              prepare_id: order.prepare_id,
              ...(paid ? { bank_type: 'OTHERS' } : {}),
            },
          }
        : { alipay_order_content_ext: { current_trade_state } }),
    }
  }

  function payMchKey(order: LedgerOrder) {
    const key = order.request.pay_mch_key
    const wechat = key.pay_platform === PAY_PLATFORM.wechat
    return {
      ...key,
      sub_pay_platform: wechat ? SUB_PAY_PLATFORM.wechat : SUB_PAY_PLATFORM.alipay,
      ...(wechat ? { app_id: 'wxsandboxapp00000', sub_app_id: appId(order) } : {}),
    }
  }

  function appId(order: LedgerOrder): string {
    const ext = order.request.pay_mch_key.wxpay_pay_mch_key_ext
    return ext?.mini_program_sub_app_id ?? ext?.sub_app_id ?? ext?.app_id ?? 'wxsandboxsub00001'
  }

  function jsapiArgs(order: LedgerOrder): JsapiArguments {
    if (order.request.pay_mch_key.pay_platform === PAY_PLATFORM.alipay) {
      return { alipay: { trade_pay: { trade_no: order.trade_no } } }
    }
    const params = {
      appId: appId(order),
      timeStamp: String(order.create_time),
      nonceStr: makeNonce(random),
      package: `prepay_id=${order.prepare_id}`,
      signType: switches.signType,
    }
    const pay_sign = paySign(params, WECHAT_API_KEY, switches.signType)
    const three = { nonce_str: params.nonceStr, package: params.package, pay_sign }
    const all = { app_id: params.appId, timestamp: params.timeStamp, ...three, sign_type: params.signType }
    if (order.interface === 'mini_program_pay') {
      return { wxpay: { mini_program_pay: switches.miniProgramHandover === 'complete' ? all : three } }
    }
    return { wxpay: { get_brand_wcpay: all } }
  }

  // ── envelope ─────────────────────────────────────────────────────────────────────────────────────────────────

  function openRequest(body: Buffer) {
    const outer = parse(body.toString('utf8')) as Record<string, unknown> | undefined
    const text = outer?.['request_content']
    const info = outer?.['authen_info'] as
      { a?: { authen_type?: unknown; authen_code?: unknown } } | undefined
    // Bytes that are not UTF-8 would have become other characters, under the same code.
    if (typeof text !== 'string' || !Buffer.from(body.toString('utf8'), 'utf8').equals(body)) return undefined
    const content = parse(text) as Record<string, unknown> | undefined
    if (typeof content !== 'object' || content === null) return undefined
    // An answer or a notification of ours, played back as a request.
    if (['status', 'log_id', 'order_content'].some((name) => name in content)) return undefined
    const id = (content['pay_mch_key'] as { out_sub_mch_id?: unknown } | undefined)?.out_sub_mch_id
    const merchant = merchants.find((one) => one.out_sub_mch_id === id)
    const code = info?.a?.authen_code
    const upper =
      typeof code === 'string' && switches.lowerCaseCode === 'accepted' ? code.toUpperCase() : code
    const verified =
      merchant !== undefined && info?.a?.authen_type === 1 && upper === hmac(merchant.authen_key, text)
    return { text, content, merchant, verified }
  }

  const hmac = (key: string, text: string) =>
    createHmac('sha256', key).update(text, 'utf8').digest('hex').toUpperCase()

  const logId = () => random(4).readUInt32BE(0)

  /** As the service's JSON writer would put it. */
  function write(content: unknown): string {
    let text = JSON.stringify(content, null, switches.answerSeparators === 'spaced' ? 1 : undefined)
    if (switches.answerSeparators === 'spaced') text = text.replaceAll(/\n */g, ' ')
    if (switches.answerNumbers === 'float') text = text.replaceAll(/("\w*fee":\s?)(\d+)(?=[,}\s])/g, '$1$2.0')
    if (switches.answerEscapes !== 'raw') {
      text = text.replaceAll(/[\u0080-\uffff]/g, (unit) => {
        const hex = unit.charCodeAt(0).toString(16).padStart(4, '0')
        return `\\u${switches.answerEscapes === 'upper' ? hex.toUpperCase() : hex}`
      })
    }
    return switches.answerEnding === 'newline' ? `${text}\n` : text
  }

  const ok = (member: string, value: unknown) => ({
    status: 0,
    description: '操作成功。',
    log_id: logId(),
    internal_status: 0,
    [member]: value,
  })

  const reply = (outer: unknown, httpStatus = 200, delayMs = 0): Reply => ({
    kind: 'answer',
    httpStatus,
    body: Buffer.from(JSON.stringify(outer), 'utf8'),
    delayMs,
  })

  function sealed(key: string, content: unknown) {
    const text = write(content)
    return { response_content: text, authen_info: { a: { authen_type: 1, authen_code: hmac(key, text) } } }
  }

  const signed = (merchant: SandboxMerchant, content: unknown): Reply =>
    reply(sealed(merchant.authen_key, content))

  const unsigned = (status: number, description: string): Reply =>
    reply({ response_content: write({ status, description, log_id: logId(), internal_status: 0 }) })

  const failing = (status: number, description: string, internal_status = 0) => ({
    status,
    description,
    log_id: logId(),
    internal_status,
  })

  /** 3 and 101 come without a code, the other failures with one. */
  const refuse = (merchant: SandboxMerchant, status: number, why: string, internal = 0): Reply =>
    status === 101 || status === 3
      ? reply({ response_content: write(failing(status, why, internal)) })
      : signed(merchant, failing(status, why, internal))

  const notFound = (merchant: SandboxMerchant): Reply =>
    refuse(merchant, Number(switches.notFoundStatus), 'order not found', 400)

  /** The faults in which nothing happens upstream. */
  function refusalFor(fault: FaultName, merchant: SandboxMerchant): Reply | undefined {
    return /^\d{1,3}$/.test(fault) && fault !== '500'
      ? refuse(merchant, Number(fault), `sentinel ${fault}`)
      : undefined
  }

  /** The faults in which it has happened, and the answer goes wrong. */
  function misdeliver(
    fault: FaultName,
    merchant: SandboxMerchant,
    member: string,
    value: OrderAnswer,
  ): Reply {
    const good = sealed(merchant.authen_key, ok(member, value))
    const { authen_code } = good.authen_info.a
    const lie = (changed: Partial<OrderContent>) =>
      signed(merchant, ok(member, { ...value, order_content: { ...value.order_content, ...changed } }))
    switch (fault) {
      case 'slow':
        return reply(good, 200, options.slowMs ?? 12_000)
      case 'silent':
        return { kind: 'silent' }
      case 'lost':
        return { kind: 'drop' }
      case 'truncated':
        return { kind: 'truncated', body: Buffer.from(JSON.stringify(good)) }
      case 'wrong-signed':
        return reply(sealed(`not-${merchant.authen_key}`, ok(member, value)))
      case 'lower-signed':
        return reply({
          ...good,
          authen_info: { a: { authen_type: 1, authen_code: authen_code.toLowerCase() } },
        })
      case 'unsigned':
        return reply({ response_content: good.response_content })
      case 'object':
        return reply({ ...good, response_content: JSON.parse(good.response_content) as unknown })
      case 'wrong-amount':
        return lie({ total_fee: (value.order_content.total_fee ?? 0) + 1 })
      case 'foreign':
        return lie({ out_trade_no: `${merchant.order_prefix}somebodyelse` })
      case 'not-json':
        return { kind: 'answer', httpStatus: 200, body: Buffer.from('<html>Bad Gateway</html>'), delayMs: 0 }
      case '500':
        return reply(good, 500)
      default:
        return reply(good)
    }
  }

  function digits(length: number): string {
    return [...random(length)].map((byte) => String(byte % 10)).join('')
  }

  return { switches, orders, received, answer, pay, close: closeByMerchant }
}

export type Sandbox = ReturnType<typeof createSandbox>

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
