import type { Secret } from '../base/secrets'
import { parseStrictJson } from '../base/json'
import type { Clock } from '../base/time'
import type { Ask } from '../net/ask'
import { NetFault } from '../net/post'
import type { Order } from '../order/order'
import type { ShippingTask } from '../order/shipping'

/**
 * WeChat's order shipping (发货信息录入, developers.weixin.qq.com/miniprogram/dev/server/API/order_shipping/
 * api_uploadshippinginfo): until it is told how an order ships, the money of a mini-program's order stays frozen. The
 * access token it takes stands in the URL, as documented, so a URL is never logged, and neither is WeChat's own text.
 */
export type Uploaded =
  /** WeChat has it, from now or from before. */
  | { outcome: 'done'; why: string }
  /** The same text will be refused again. */
  | { outcome: 'refused'; why: string }
  /** Nobody can tell, or not yet. */
  | { outcome: 'later'; why: string }

/** 0; 10060002 shipped and complete; 10060003 shipped, and shipped anew; 10060023 the text it has already. */
const DONE = new Set([0, 10060002, 10060003, 10060023])
/** Not documented for this interface, but for all that take an access token: wrong, wrong, expired. */
const TOKEN_ENDED = new Set([40001, 40014, 42001])
/**
 * About the text itself: logistics, splitting, item_desc (missing, too long, needed), a parameter, the payer (10060031),
 * the shape (47001) and the time (268485216). What is not listed is tried again: 10060001 (WeChat does not know the
 * payment yet), 10060004 (cannot be shipped in its state), 48001 (the interface is not open to this app), -1, and what
 * nobody has documented.
 */
const REFUSED = new Set([
  10060005, 10060006, 10060008, 10060009, 10060014, 10060020, 10060031, 47001, 268485216,
])

const ANSWER_MAX_BYTES = 64 * 1024
/** WeChat changes a token five minutes before it ends, and until then both are good. */
const RENEW_BEFORE_MS = 300_000

export type WechatApp = { app_id: string; secret: Secret }

export type ShippingClient = {
  /** Settles within `remainingMs`. Never throws for what the network or WeChat did. */
  upload(app: WechatApp, order: Order, task: ShippingTask, remainingMs: () => number): Promise<Uploaded>
}

/** One per instance: it keeps the access tokens, in memory alone. */
export function createShippingClient(ask: Ask, baseUrl: string, clock: Clock): ShippingClient {
  const tokens = new Map<string, { text: string; untilMs: number }>()
  const coming = new Map<string, Promise<string>>()

  async function post(path: string, body: string, timeoutMs: number): Promise<Record<string, unknown>> {
    if (timeoutMs <= 0) throw new Unanswered('no_time_left')
    const answer = await ask({
      method: 'POST',
      url: `${baseUrl}${path}`,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(body, 'utf8'),
      timeoutMs,
      answerMaxBytes: ANSWER_MAX_BYTES,
    })
    if (answer.status !== 200) throw new Unanswered(`http_${answer.status}`)
    const parsed = parseStrictJson(answer.body.toString('utf8'))
    if (!parsed.ok || typeof parsed.value !== 'object' || parsed.value === null)
      throw new Unanswered('not_json')
    return parsed.value as Record<string, unknown>
  }

  /** In the mode that leaves others' tokens good: `stable_token` gives everybody the same one until it ends. */
  async function fetchToken({ app_id, secret }: WechatApp, timeoutMs: number): Promise<string> {
    const body = { grant_type: 'client_credential', appid: app_id, secret: secret.reveal() }
    const { access_token, expires_in, errcode } = await post(
      'cgi-bin/stable_token',
      JSON.stringify(body),
      timeoutMs,
    )
    if (typeof access_token !== 'string' || access_token === '' || typeof expires_in !== 'number')
      throw new Unanswered(`token_errcode_${typeof errcode === 'number' ? errcode : NaN}`)
    tokens.set(app_id, { text: access_token, untilMs: clock.nowMs() + expires_in * 1000 - RENEW_BEFORE_MS })
    return access_token
  }

  async function tokenOf(app: WechatApp, timeoutMs: number): Promise<string> {
    const known = tokens.get(app.app_id)
    if (known && clock.nowMs() < known.untilMs) return known.text
    let fetching = coming.get(app.app_id)
    if (!fetching) {
      fetching = fetchToken(app, timeoutMs).finally(() => coming.delete(app.app_id))
      coming.set(app.app_id, fetching)
    }
    return fetching
  }

  async function uploadOnce(app: WechatApp, text: string, remainingMs: () => number): Promise<unknown> {
    const token = await tokenOf(app, remainingMs())
    const path = `wxa/sec/order/upload_shipping_info?access_token=${encodeURIComponent(token)}`
    const { errcode } = await post(path, text, remainingMs())
    if (TOKEN_ENDED.has(errcode as number) && tokens.get(app.app_id)?.text === token)
      tokens.delete(app.app_id)
    return errcode
  }

  return {
    async upload(app, order, task, remainingMs) {
      const text = uploadText(order, task)
      try {
        let errcode = await uploadOnce(app, text, remainingMs)
        if (TOKEN_ENDED.has(errcode as number)) errcode = await uploadOnce(app, text, remainingMs)
        const why = `errcode_${typeof errcode === 'number' ? errcode : NaN}`
        if (DONE.has(errcode as number)) return { outcome: 'done', why }
        return { outcome: REFUSED.has(errcode as number) ? 'refused' : 'later', why }
      } catch (error) {
        if (error instanceof NetFault) return { outcome: 'later', why: error.code }
        if (error instanceof Unanswered) return { outcome: 'later', why: error.message }
        throw error
      }
    },
  }
}

/** There is no answer that could be read; the message is short, ours, and for the row. */
class Unanswered extends Error {}

/** The same row gives the same text: WeChat answers a repeat with "unchanged" instead of shipping a second time. */
const uploadText = (order: Order, { logistics_type, item_desc, upload_time }: ShippingTask): string =>
  JSON.stringify({
    order_key: { order_number_type: 2, transaction_id: order.transaction_id },
    logistics_type,
    delivery_mode: 1,
    shipping_list: [{ item_desc }],
    upload_time,
    payer: { openid: order.payer_id },
  })
