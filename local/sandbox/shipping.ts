import type { Random } from '../../shared/base/random'
import type { Clock } from '../../shared/base/time'
import type { LoginReply, LoginRequest, SandboxApp } from './logins'
import type { LedgerOrder } from './ledger'

/**
 * WeChat's order shipping, imitated: access tokens as `cgi-bin/stable_token` gives them, and the upload of shipping info
 * for payments this sandbox has seen. It checks what the real one is documented to check, and remembers like it: an
 * order ships once, is changed once more, and the very same text again changes nothing.
 */
export type Shipped = { transaction_id: string; text: string; uploads: number; complete: boolean }

type Token = { text: string; endsMs: number }

const TOKEN_LIFE_MS = 7_200_000
/** From then on a new one is given out; the old one stays good until its end. */
const TOKEN_OVERLAP_MS = 300_000
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$/

export type ShippingFault =
  /** What comes is carried out, and the answer lost. */
  'lost' | 'http_500' | 'busy' | 'gibberish'

export type Shippings = ReturnType<typeof createShippings>

export function createShippings({
  clock,
  random,
  apps,
  orders,
}: {
  clock: Clock
  random: Random
  apps: readonly SandboxApp[]
  orders: ReadonlyMap<string, LedgerOrder>
}) {
  const tokens = new Map<string, Token[]>()
  const shipped = new Map<string, Shipped>()
  /** Every upload that came, as it came. */
  const received: string[] = []
  const asked = { tokens: 0, uploads: 0 }
  const given: string[] = []
  /** What goes wrong with the next uploads, one after the other. */
  const faults: ShippingFault[] = []
  /** WeChat learns of a payment this much after it was made. */
  const learns = { afterS: 0 }

  function stableToken({ body }: LoginRequest): LoginReply {
    asked.tokens++
    const request = readObject(body)
    if (!request) return no(47001, 'data format error')
    const { grant_type, appid, secret, ...more } = request
    if (grant_type !== 'client_credential') return no(40002, 'invalid grant_type')
    if (Object.keys(more).length > 0) return no(47001, 'data format error')
    const app = apps.find((one) => one.app_id === appid && one.kind === 'mini_program')
    if (!app) return no(40013, 'invalid appid')
    if (app.secret !== secret) return no(40125, 'invalid appsecret')
    const known = tokens.get(app.app_id) ?? []
    const nowMs = clock.nowMs()
    let token = known.at(-1)
    if (!token || token.endsMs - TOKEN_OVERLAP_MS <= nowMs) {
      token = { text: `${random(48).toString('base64url')}+/=`, endsMs: nowMs + TOKEN_LIFE_MS }
      given.push(token.text)
      tokens.set(app.app_id, [...known, token].slice(-2))
    }
    const expires_in = Math.floor((token.endsMs - nowMs) / 1000)
    return say({ access_token: token.text, expires_in })
  }

  function upload({ url, body }: LoginRequest): LoginReply {
    asked.uploads++
    received.push(body.toString('utf8'))
    const fault = faults.shift()
    if (fault === 'http_500') return { ...say({}), status: 500, body: 'oops' }
    if (fault === 'busy') return no(-1, 'system error')
    if (fault === 'gibberish') return { ...say({}), body: '<html>' }
    const reply = take(url.searchParams.get('access_token') ?? '', body)
    return fault === 'lost' ? { ...reply, lost: true } : reply
  }

  function take(token: string, body: Buffer): LoginReply {
    if (token === '') return no(41001, 'access_token missing')
    const [app_id, found] =
      [...tokens].flatMap(([id, all]) =>
        all.filter(({ text }) => text === token).map((one) => [id, one] as const),
      )[0] ?? []
    if (!found) return no(40001, 'invalid credential, access_token is invalid or not latest')
    if (found.endsMs <= clock.nowMs()) return no(42001, 'access_token expired')
    const request = readObject(body)
    const wrong = request ? flawOf(request) : ([47001, 'data format error'] as const)
    if (!request || wrong) return no(...(wrong as readonly [number, string]))

    const { order_key, payer } = request as {
      order_key: { transaction_id: string }
      payer: { openid: string }
    }
    const { transaction_id } = order_key
    const order = [...orders.values()].find((one) => one.transaction_id === transaction_id)
    const key = order?.request.pay_mch_key.wxpay_pay_mch_key_ext
    const isLate = clock.nowMs() < ((order?.time_end ?? 0) + learns.afterS) * 1000
    if (!order || order.state !== 'paid' || key?.mini_program_sub_app_id !== app_id || isLate)
      return no(10060001, '支付单不存在')
    if (key?.sub_open_id !== payer.openid) return no(10060031, '该笔支付单不属于 openid 所指定的用户')
    if (order.refunded_fen >= order.paid_fen) return no(10060004, '支付单处于不可发货的状态')

    const text = body.toString('utf8')
    const before = shipped.get(transaction_id)
    if (before?.complete) return no(10060002, '支付单已完成发货，无法继续发货')
    if (before?.text === text) return no(10060023, '发货信息未更新')
    if (before && before.uploads > 1) return no(10060003, '支付单已使用重新发货机会')
    shipped.set(transaction_id, {
      transaction_id,
      text,
      uploads: (before?.uploads ?? 0) + 1,
      complete: false,
    })
    return say({ errcode: 0, errmsg: 'ok' })
  }

  function handle(request: LoginRequest): LoginReply | undefined {
    switch (`${request.method} ${request.url.pathname}`) {
      case 'POST /wechat/cgi-bin/stable_token':
        return stableToken(request)
      case 'POST /wechat/wxa/sec/order/upload_shipping_info':
        return upload(request)
      default:
        return undefined
    }
  }

  return {
    handle,
    shipped,
    received,
    asked,
    /** Every token that was given out, which nobody must ever see again. */
    given,
    faults,
    learns,
    /** All tokens end now, as when somebody else forces new ones. */
    endTokens: () => tokens.clear(),
    /** The payer says it has come: nothing about it can be changed any more. */
    complete(transaction_id: string) {
      const one = shipped.get(transaction_id)
      if (one) one.complete = true
    },
  }
}

/** Written here anew, from the documents. */
function flawOf(request: Record<string, unknown>): readonly [number, string] | undefined {
  const { order_key, logistics_type, delivery_mode, shipping_list, upload_time, payer, ...more } = request
  const format = [47001, 'data format error'] as const
  if (Object.keys(more).length > 0) return format
  if (!isObject(order_key) || !isObject(payer) || !Array.isArray(shipping_list)) return format
  if (typeof payer['openid'] !== 'string' || Object.keys(payer).length !== 1) return format
  if (order_key['order_number_type'] !== 2 || Object.keys(order_key).length !== 2) return format
  if (typeof order_key['transaction_id'] !== 'string') return format
  if (![1, 2, 3, 4].includes(logistics_type as number)) return [10060005, '物流类型有误']
  if (delivery_mode !== 1) return [10060006, '非快递发货时不允许分拆发货']
  if (typeof upload_time !== 'string' || !RFC3339.test(upload_time)) return [268485216, '上传时间非法']
  const [item, ...others] = shipping_list as unknown[]
  if (others.length > 0 || !isObject(item)) return format
  if (logistics_type === 1 && !item['tracking_no']) return [268485226, '物流单号不能为空']
  const { item_desc } = item
  if (typeof item_desc !== 'string' || item_desc === '') return [10060008, '商品描述 item_desc 字段不能为空']
  if ([...item_desc].length > 120) return [10060009, '商品描述 item_desc 字段太长']
  return undefined
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function readObject(body: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const no = (errcode: number, errmsg: string): LoginReply => say({ errcode, errmsg: `${errmsg} rid: 0-0-0` })

const say = (value: unknown): LoginReply => ({
  status: 200,
  headers: { 'content-type': 'application/json;charset=utf-8' },
  body: JSON.stringify(value),
})
