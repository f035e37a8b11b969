import { createHash } from 'node:crypto'
import {
  createSandbox,
  type Reply,
  type Sandbox,
  type SandboxMerchant,
  type SandboxOptions,
} from '../../../local/sandbox/sandbox'
import type { Switches } from '../../../local/sandbox/switches'
import { SANDBOX_MERCHANT } from '../../../shared/base/config'
import { systemRandom } from '../../../shared/base/random'
import { sign } from '../../support/tamper'

/** What the tests of the sandbox share: requests signed by hand, answers taken apart, and a clock they own. */

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- contents are looked into freely
export type Content = any

/** The far end's clock, set back before every test. */
export const NOW_S = 1_900_000_000
export const time = { nowS: NOW_S }
beforeEach(() => void (time.nowS = NOW_S))

export const OTHER_MERCHANT: SandboxMerchant = {
  ...SANDBOX_MERCHANT,
  out_sub_mch_id: 'sandboxsub0000000002',
  authen_key: 'sandbox0authen0key0of0the0second',
}

export const openSandbox = (
  switches: Partial<Switches> = {},
  options: Partial<SandboxOptions> = {},
): Sandbox =>
  createSandbox({
    clock: { nowMs: () => time.nowS * 1000 + 500, sleep: async () => undefined },
    random: systemRandom,
    merchants: [SANDBOX_MERCHANT, OTHER_MERCHANT],
    switches,
    ...options,
  })

// ── requests ───────────────────────────────────────────────────────────────────────────────────────────────────

const { out_mch_id, out_sub_mch_id, out_shop_id } = SANDBOX_MERCHANT
export const { order_prefix, authen_key } = SANDBOX_MERCHANT
export const IDS = { out_mch_id, out_sub_mch_id, out_shop_id }
export const NUMBER = `${order_prefix}0001`

let nonces = 0
export const nonce = () => createHash('md5').update(`${++nonces}`).digest('hex')

export type Changes = { content?: object; key?: object; client?: object; rest?: object }

export const wechat = ({ content, key, client, rest }: Changes = {}): Content => ({
  pay_mch_key: { pay_platform: 1, ...IDS, wxpay_pay_mch_key_ext: { sub_open_id: 'oPayer1' }, ...key },
  pay_content: { out_trade_no: NUMBER, total_fee: 1880, fee_type: 'CNY', body: '湖心奶茶', ...content },
  order_client: { spbill_create_ip: '127.0.0.1', ...client },
  nonce_str: nonce(),
  trade_type: 3,
  ...rest,
})

export const miniProgram = (content: object = {}): Content => {
  const { trade_type: _, ...request } = wechat({
    content,
    key: { wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wxmini1', sub_open_id: 'oPayer1' } },
  })
  return request
}

export const alipay = ({ content, key }: Changes = {}): Content =>
  wechat({
    content: content ?? {},
    key: {
      pay_platform: 2,
      wxpay_pay_mch_key_ext: undefined,
      alipay_pay_mch_key_ext: { user_id: '2088000000000001' },
      ...key,
    },
  })

/** A request of a scene that names no payer. */
export const plain = ({ content, key, client, rest }: Changes = {}): Content => {
  const { trade_type: _, ...request } = wechat({
    content: content ?? {},
    key: { wxpay_pay_mch_key_ext: undefined, ...key },
    client: client ?? {},
    rest: rest ?? {},
  })
  return request
}
export const scanCode = (content: object = {}): Content =>
  plain({ content: { wxpay_pay_content_ext: { product_id: 'p1' }, ...content } })
/** The last four digits of the code say what becomes of it. */
export const micro = (end = '1111', content: object = {}, client: object = {}): Content =>
  plain({ content: { author_code: `13456789012345${end}`, ...content }, client })
export const app = (key: object = { wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp1' } }): Content =>
  plain({ key, rest: { order_client: undefined } })
export const SCENE_INFO = '{"h5_info":{"type":"Wap","wap_url":"https://shop.example","wap_name":"湖心"}}'
export const mobWeb = (content: object = {}): Content =>
  plain({
    content: { wxpay_pay_content_ext: { scene_info: SCENE_INFO }, ...content },
    client: { spbill_create_ip: '203.0.113.7' },
  })

export const about = (out_trade_no: string, rest: object = {}): Content => ({
  pay_mch_key: { pay_platform: 1, ...IDS },
  out_trade_no,
  nonce_str: nonce(),
  ...rest,
})

export const envelope = (text: unknown, authen_code: unknown, authen_type: unknown = 1) =>
  Buffer.from(
    JSON.stringify({ request_content: text, authen_info: { a: { authen_type, authen_code } } }),
    'utf8',
  )

export const sealed = (content: unknown, key: string = authen_key): Buffer => {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return envelope(text, sign(text, key))
}

export const REFUND_NUMBER = `${order_prefix}r1`

export const aRefund = (content: object = {}, key: object = {}): Content => ({
  pay_mch_key: { pay_platform: 1, ...IDS, ...key },
  refund_content: {
    out_trade_no: NUMBER,
    out_refund_no: REFUND_NUMBER,
    total_fee: 1880,
    refund_fee: 1880,
    refund_fee_type: 'CNY',
    ...content,
  },
  order_client: { spbill_create_ip: '127.0.0.1' },
  nonce_str: nonce(),
})

// ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────

export type Opened = { http: number; signed: boolean; text: string; content: Content; status: number }

/** Takes an answer apart. A code that is there must be right. */
export function open(reply: Reply, key: string = authen_key): Opened {
  if (reply.kind !== 'answer') throw new Error(`no answer but ${reply.kind}`)
  const { response_content: text, authen_info: info } = JSON.parse(reply.body.toString('utf8'))
  if (info) expect(info).toEqual({ a: { authen_type: 1, authen_code: sign(text as string, key) } })
  const content = JSON.parse(text as string)
  return { http: reply.httpStatus, signed: info !== undefined, text, content, status: content.status }
}

export const ask = (far: Sandbox, suffix: string, content: unknown) =>
  open(far.answer(suffix, sealed(content)))
export const create = (far: Sandbox, content: unknown = wechat()) => ask(far, 'official_account_pay', content)
export const createMini = (far: Sandbox, content: unknown = miniProgram()) =>
  ask(far, 'mini_program_pay', content)
export const query = (far: Sandbox, number = NUMBER) => ask(far, 'query_order', about(number))
export const close = (far: Sandbox, number = NUMBER) => ask(far, 'close_order', about(number))

export const queried = (far: Sandbox, number = NUMBER): Content => query(far, number).content.query_order
export const walletState = (far: Sandbox): number => {
  const { wxpay_order_content_ext: wxpay, alipay_order_content_ext: ali } = queried(far).order_content
  return (wxpay ?? ali).current_trade_state
}

/** A far end with one order that its payer has paid. */
export function paidOrder(
  switches: Partial<Switches> = {},
  request: Content = wechat(),
  options: Partial<SandboxOptions> = {},
): Sandbox {
  const far = openSandbox(switches, options)
  create(far, request)
  far.pay(NUMBER)
  return far
}

export const refund = (far: Sandbox, content: object = {}, key: object = {}) =>
  ask(far, 'refund', aRefund(content, key))

export const queryRefunds = (far: Sandbox, out_refund_no?: string, out_trade_no = NUMBER) =>
  ask(
    far,
    'query_refund_order',
    about(out_trade_no, {
      order_client: { spbill_create_ip: '127.0.0.1' },
      ...(out_refund_no === undefined ? {} : { out_refund_no }),
    }),
  )

/** The bill's member, of all there is unless told otherwise. */
export const bill = (far: Sandbox, asked: object = {}): Content =>
  ask(far, 'client_order_detail', {
    out_sub_mch_id,
    query_order_type: 3,
    end_time: NOW_S + 1_000_000,
    page_num: 1,
    page_size: 1000,
    nonce_str: nonce(),
    ...asked,
  }).content.order_detail_query
