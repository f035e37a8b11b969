import { createHmac } from 'node:crypto'
import { createCloudPay } from '../../shared/cloudpay/client'
import { officialAccountPay, queryOrder, queryRefundOrder, refund } from '../../shared/cloudpay/schema'
import { authenKey } from '../../shared/cloudpay/signing'
import { Secret } from '../../shared/base/secrets'
import { evidenceOfCreate, evidenceOfQuery, isFinalNo } from '../../shared/payments/evidence'
import { evidenceOfRefund, evidenceOfRefundQuery, readRefundList } from '../../shared/payments/refundEvidence'
import type { Order } from '../../shared/order/order'
import { UNSENT, type Refund } from '../../shared/order/refund'
import { newOrder } from '../support/orders'
import { newRefund } from '../support/refunds'
import { put, type Content } from '../support/tamper'

/**
 * Answers signed with the right key in which one member that is relied on is of another type. None of them may be
 * believed. Read twice: as the code is, and with one strictness at a time taken away (reliedOnPlants.ts).
 */
const KEY = 'sandbox-key-of-thirty-two-letters'
const NOW_S = 1_900_000_000

const WECHAT = { ...newOrder(), trade_type: 3, total_fee: 1880, request_content: '' } as unknown as Order
const ALIPAY = { ...WECHAT, pay_platform: 2, payer_field: 'user_id', payer_id: '2088000000000001' }
const ourRefund = (order: Order): Refund => ({
  ...newRefund(order, { refund_fee: 880, sends: 1 }),
  next_due_at_ms: null,
  ...UNSENT,
})

const keyOf = (order: Order) => ({
  pay_platform: order.pay_platform,
  out_mch_id: order.out_mch_id,
  out_sub_mch_id: order.out_sub_mch_id,
  out_shop_id: order.out_shop_id,
  ...(order.pay_platform === 1
    ? { wxpay_pay_mch_key_ext: { [order.payer_field]: order.payer_id } }
    : { alipay_pay_mch_key_ext: { user_id: order.payer_id } }),
})

const orderContent = (order: Order, state: number) => ({
  out_trade_no: order.out_trade_no,
  total_fee: 1880,
  fee_type: 'CNY',
  create_time: NOW_S,
  trade_type: 3,
  is_transforming: false,
  [order.pay_platform === 1 ? 'wxpay_order_content_ext' : 'alipay_order_content_ext']: {
    current_trade_state: state,
  },
})

const refundContent = (order: Order, state: number) => ({
  out_trade_no: order.out_trade_no,
  out_refund_no: ourRefundOf(order).out_refund_no,
  total_fee: 1880,
  refund_fee: 880,
  refund_fee_type: 'CNY',
  is_transforming: false,
  ...(order.pay_platform === 1
    ? { wxpay_refund_order_content_ext: { state } }
    : { alipay_refund_order_content_ext: { refund_status: state } }),
})

const refunds = new Map<Order, Refund>()
function ourRefundOf(order: Order): Refund {
  let known = refunds.get(order)
  if (!known) refunds.set(order, (known = ourRefund(order)))
  return known
}

type Case = {
  name: string
  order: Order
  content: Content
  /** What the answer proves: one word; the same word for a spoilt one means that it is believed. */
  proves: (order: Order, content: Content) => Promise<string>
  reliesOn: string[]
}

async function ask(
  iface: Parameters<ReturnType<typeof createCloudPay>['call']>[0],
  order: Order,
  content: Content,
) {
  const text = JSON.stringify(content)
  const authen_code = createHmac('sha256', KEY).update(text, 'utf8').digest('hex').toUpperCase()
  const body = Buffer.from(
    JSON.stringify({ response_content: text, authen_info: { a: { authen_type: 1, authen_code } } }),
  )
  const cloudPay = createCloudPay(async () => ({ status: 200, body }), 'https://pay.example/cpay/')
  const key = authenKey(new Secret(KEY))
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each evidence reads the answer of its own interface
  return (await cloudPay.call(iface, '{}', { key, platform: order.pay_platform, timeoutMs: 1000 })) as any
}

const created = async (order: Order, content: Content) => {
  const evidence = evidenceOfCreate(order, await ask(officialAccountPay, order, content))
  if (evidence.proves === 'refused') return isFinalNo(evidence, { ...order, sends: 1 }) ? 'final no' : 'no'
  return evidence.proves
}
const queried = async (order: Order, content: Content) => {
  const evidence = evidenceOfQuery(order, await ask(queryOrder, order, content))
  return evidence.proves === 'wallet' ? evidence.meaning : evidence.proves
}
const refunding = async (order: Order, content: Content) =>
  evidenceOfRefund(order, ourRefundOf(order), await ask(refund, order, content)).proves
const refundQueried = async (order: Order, content: Content) => {
  const answer = await ask(queryRefundOrder, order, content)
  const evidence = evidenceOfRefundQuery(order, ourRefundOf(order), answer)
  return evidence.proves === 'state' ? evidence.meaning : evidence.proves
}
const listed = async (order: Order, content: Content) =>
  readRefundList(order, await ask(queryRefundOrder, order, content)).ok ? 'a list' : 'nothing'

const ok = { status: 0, log_id: 7, internal_status: 0 }
const IDS = ['pay_platform', 'out_mch_id', 'out_sub_mch_id', 'out_shop_id'].map(
  (name) => `pay_mch_key.${name}`,
)
const of = (member: string, ...paths: string[]) => paths.map((path) => `${member}.${path}`)

const CASES: readonly Case[] = [WECHAT, ALIPAY].flatMap((order): Case[] => {
  const wechat = order.pay_platform === 1
  const payer = wechat ? 'wxpay_pay_mch_key_ext.sub_open_id' : 'alipay_pay_mch_key_ext.user_id'
  const state = wechat
    ? 'order_content.wxpay_order_content_ext.current_trade_state'
    : 'order_content.alipay_order_content_ext.current_trade_state'
  const refundState = wechat
    ? 'refund_order_content.0.wxpay_refund_order_content_ext.state'
    : 'refund_order_content.0.alipay_refund_order_content_ext.refund_status'
  const echoes = [
    ...IDS,
    `pay_mch_key.${payer}`,
    ...['out_trade_no', 'total_fee', 'fee_type', 'create_time', 'trade_type'].map(
      (name) => `order_content.${name}`,
    ),
  ]
  const refundEchoes = (at: string) => [
    ...IDS,
    ...['out_trade_no', 'out_refund_no', 'total_fee', 'refund_fee', 'refund_fee_type'].map(
      (name) => `${at}.${name}`,
    ),
  ]
  const platform = wechat ? 'WeChat' : 'Alipay'
  const jsapi_args = wechat ? { wxpay: { get_brand_wcpay: {} } } : { alipay: { trade_pay: {} } }
  const handover = wechat ? ['jsapi_args', 'jsapi_args.wxpay'] : ['jsapi_args', 'jsapi_args.alipay']
  const failed = wechat ? 7 : 5
  const query = (walletState: number) => ({
    ...ok,
    query_order: { order_content: orderContent(order, walletState), pay_mch_key: keyOf(order) },
  })
  const refundQuery = (walletState: number) => ({
    ...ok,
    query_refund_order: {
      refund_order_content: [refundContent(order, walletState)],
      pay_mch_key: keyOf(order),
    },
  })
  return [
    {
      name: `${platform}: a create that was accepted`,
      order,
      content: {
        ...ok,
        official_account_pay: {
          order_content: orderContent(order, 6),
          pay_mch_key: keyOf(order),
          jsapi_args,
        },
      },
      proves: created,
      reliesOn: ['status', ...of('official_account_pay', ...echoes, ...handover)],
    },
    {
      name: `${platform}: a create that was refused`,
      order,
      content: { ...ok, status: 104 },
      proves: created,
      reliesOn: ['internal_status'],
    },
    {
      name: `${platform}: an order that was paid`,
      order,
      content: query(wechat ? 3 : 2),
      proves: queried,
      reliesOn: ['status', ...of('query_order', ...echoes, state)],
    },
    {
      name: `${platform}: an order that was closed`,
      order,
      content: query(failed),
      proves: queried,
      reliesOn: ['status', ...of('query_order', ...echoes, state, 'order_content.is_transforming')],
    },
    {
      name: `${platform}: a refund that was accepted`,
      order,
      content: {
        ...ok,
        refund: { refund_order_content: refundContent(order, 1), pay_mch_key: keyOf(order) },
      },
      proves: refunding,
      reliesOn: ['status', ...of('refund', ...refundEchoes('refund_order_content'))],
    },
    {
      name: `${platform}: a refund that succeeded`,
      order,
      content: refundQuery(2),
      proves: refundQueried,
      reliesOn: [
        'status',
        ...of('query_refund_order', ...refundEchoes('refund_order_content.0'), refundState),
      ],
    },
    {
      name: `${platform}: a refund that failed`,
      order,
      content: refundQuery(3),
      proves: refundQueried,
      reliesOn: of('query_refund_order', refundState, 'refund_order_content.0.is_transforming'),
    },
    {
      name: `${platform}: a list of refunds`,
      order,
      content: refundQuery(2),
      proves: listed,
      reliesOn: of('query_refund_order', ...refundEchoes('refund_order_content.0'), refundState),
    },
  ]
})

/** Of no type that such a member has. The last ones would become the right value if somebody coerced them. */
const wrongFor = (right: unknown): unknown[] => {
  const wrong: unknown[] = [true, 'x', -1.5, ['x'], { x: 1 }, [right], String(right), Number(right) || 1]
  return wrong.filter(
    (value) => typeof value !== typeof right || Array.isArray(value) !== Array.isArray(right),
  )
}

const at = (content: Content, path: string): unknown =>
  path.split('.').reduce<Content>((node, name) => node?.[name], content)

/** Every spoilt answer that was believed all the same. */
export async function believed(): Promise<string[]> {
  const found: string[] = []
  for (const { name, order, content, proves, reliesOn } of CASES) {
    const truth = await proves(order, content)
    if (truth === 'nothing' || truth === 'mismatch') throw new Error(`${name} proves ${truth} as it is`)
    for (const path of reliesOn) {
      for (const value of wrongFor(at(content, path))) {
        const spoilt = structuredClone(content)
        put(spoilt, path, value)
        if ((await proves(order, spoilt)) === truth) found.push(`${name}: ${path} = ${JSON.stringify(value)}`)
      }
    }
  }
  return found
}
