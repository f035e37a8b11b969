import * as v from 'valibot'
import type { Sandbox } from '../../../local/sandbox/sandbox'
import { clientOrderDetail } from '../../../shared/cloudpay/schema'
import {
  alipay,
  ask,
  bill,
  close,
  create,
  IDS,
  nonce,
  NOW_S,
  NUMBER,
  open,
  openSandbox,
  order_prefix,
  OTHER_MERCHANT,
  paidOrder,
  refund,
  REFUND_NUMBER,
  sealed,
  time,
  wechat,
  type Content,
} from './farEnd'

const { out_sub_mch_id, out_shop_id } = IDS
const name = (number: string) => order_prefix + number
const request = (asked: object = {}): Content => ({
  out_sub_mch_id,
  query_order_type: 3,
  end_time: NOW_S,
  page_num: 1,
  page_size: 10,
  ...asked,
})

/** The numbers on a page, an order's or a refund's. */
const numbers = ({ order_details }: Content): string[] =>
  order_details.map(({ receipt: { order, refund_order } }: Content) =>
    (order?.order_content.out_trade_no ?? refund_order.refund_order_content.out_refund_no).slice(
      order_prefix.length,
    ),
  )

/** One waits, one is paid and partly refunded, one is closed; a second between each. */
function aDay(switches = {}): Sandbox {
  const far = openSandbox(switches)
  for (const number of ['waiting', 'paid', 'closed']) {
    create(far, wechat({ content: { out_trade_no: name(number) } }))
    time.nowS++
  }
  far.pay(name('paid'))
  close(far, name('closed'))
  refund(far, { out_trade_no: name('paid'), refund_fee: 80 })
  return far
}

describe('the bill', () => {
  test('lists what there is: payments, refunds or both', () => {
    const far = aDay()
    const listed = (query_order_type: number) => {
      const page = bill(far, { query_order_type })
      expect(page.total_count).toBe(page.order_details.length)
      return numbers(page)
    }
    expect(listed(1)).toEqual(['waiting', 'paid', 'closed'])
    expect(listed(2)).toEqual(['r1'])
    expect(listed(3)).toEqual(['waiting', 'paid', 'closed', 'r1'])
  })

  test('says of an order whose it is, how it is, and how much of it went back', () => {
    const far = aDay()
    far.refundInConsole(name('paid'), 20)
    const { order } = bill(far).order_details[1].receipt
    expect(order.order_mch).toEqual({
      pay_platform: 1,
      ...IDS,
      wxpay_order_mch_ext: {
        app_id: expect.any(String),
        sub_app_id: expect.any(String),
        sub_open_id: 'oPayer1',
      },
    })
    expect(order.order_content).toMatchObject({
      out_trade_no: name('paid'),
      total_fee: 1880,
      refunded_fee: 100,
      wxpay_order_content_ext: { current_trade_state: 4 },
    })
    expect(order.order_client).toEqual({ spbill_create_ip: '127.0.0.1' })
    expect(bill(far).order_details[0].receipt.order.order_content.refunded_fee).toBe(0)
  })

  test('says of a refund what a question about it says, of one made in the console too', () => {
    const far = aDay()
    far.refundInConsole(name('paid'), 20)
    const [first, second] = bill(far, { query_order_type: 2 }).order_details.map(
      (one: Content) => one.receipt.refund_order,
    )
    expect(first.refund_order_mch).toMatchObject({ pay_platform: 1, ...IDS })
    expect(first.refund_order_content).toMatchObject({
      out_trade_no: name('paid'),
      out_refund_no: REFUND_NUMBER,
      refund_fee: 80,
      wxpay_refund_order_content_ext: { state: 2 },
    })
    expect(second.refund_order_content).toMatchObject({ refund_fee: 20 })
    expect(second).not.toHaveProperty('order_client')
  })

  test('is a look like any other: what is due is done by then', () => {
    const far = aDay()
    const [{ receipt }] = bill(far, { query_order_type: 2 }).order_details
    expect(receipt.refund_order.refund_order_content.wxpay_refund_order_content_ext.state).toBe(2)
  })

  test('goes page by page from 1, and counts them all on each', () => {
    const far = aDay()
    const pages = [1, 2, 3].map((page_num) => bill(far, { page_num, page_size: 3 }))
    expect(pages.map(numbers)).toEqual([['waiting', 'paid', 'closed'], ['r1'], []])
    expect(pages.map((page) => page.total_count)).toEqual([4, 4, 4])
  })

  test('has what was created between two seconds, both included; a refund by its own time', () => {
    const far = aDay()
    const between = (start_time: number | undefined, end_time: number) =>
      numbers(bill(far, { ...(start_time === undefined ? {} : { start_time }), end_time }))
    expect(between(NOW_S + 1, NOW_S + 2)).toEqual(['paid', 'closed'])
    expect(between(undefined, NOW_S)).toEqual(['waiting'])
    expect(between(NOW_S + 3, NOW_S + 3)).toEqual(['r1'])
    expect(between(NOW_S + 2, NOW_S + 1)).toEqual([])
  })

  test('by last_update_time has what changed since', () => {
    const far = aDay({ billTime: 'last_update_time' })
    expect(numbers(bill(far, { start_time: NOW_S + 3 }))).toEqual(['paid', 'r1', 'closed'])
  })

  test('of one platform or one shop has nothing of another', () => {
    const far = paidOrder()
    create(far, alipay({ content: { out_trade_no: name('ali') } }))
    expect(numbers(bill(far, { pay_platform: 2 }))).toEqual(['ali'])
    expect(numbers(bill(far, { out_shop_id }))).toEqual(['0001', 'ali'])
    expect(numbers(bill(far, { out_shop_id: 'sandboxshop000000002' }))).toEqual([])
    expect(bill(far, { pay_platform: 2 }).order_details[0].receipt.order.order_mch).toEqual({
      pay_platform: 2,
      ...IDS,
      alipay_order_mch_ext: { user_id: '2088000000000001' },
    })
  })

  test('is of one sub-merchant, signed with its key, and of no other', () => {
    const far = paidOrder()
    const { out_sub_mch_id: second, authen_key: key } = OTHER_MERCHANT
    const asked = request({ out_sub_mch_id: second })
    const { signed, content } = open(far.answer('client_order_detail', sealed(asked, key)), key)
    expect(signed).toBe(true)
    expect(content.order_detail_query).toMatchObject({ total_count: 0, order_details: [] })
    expect(open(far.answer('client_order_detail', sealed(asked)))).toMatchObject({
      signed: false,
      status: 101,
    })
  })

  test.each([
    ['no kind', { query_order_type: undefined }],
    ['a kind nobody knows', { query_order_type: 4 }],
    ['no end', { end_time: undefined }],
    ['a page before the first', { page_num: 0 }],
    ['pages of nothing', { page_size: 0 }],
    ['a field nobody knows', { colour: 'green' }],
  ])('asked for with %s breaks a rule', (_, asked) => {
    expect(ask(openSandbox(), 'client_order_detail', request(asked))).toMatchObject({
      signed: true,
      status: 104,
    })
  })

  test("is what the protocol's own schema reads, nonce or not", () => {
    const far = aDay()
    for (const nonce_str of [undefined, nonce()]) {
      const { content } = ask(far, 'client_order_detail', request({ nonce_str, end_time: NOW_S + 10 }))
      const member = content[clientOrderDetail.member]
      expect(v.parse(clientOrderDetail.answer, member)).toEqual(member)
      expect(member.order_details).toHaveLength(4)
    }
  })

  test.each([
    ['wrong-amount', { total_fee: 1881 }, { refund_fee: 81 }],
    ['foreign', { out_trade_no: name('somebodyelse') }, { out_trade_no: name('somebodyelse') }],
    ['transforming', { is_transforming: true }, { is_transforming: true }],
  ] as const)('%s lies about orders and refunds under the right key', (fault, order, refunded) => {
    const far = openSandbox(
      {},
      { chooseFault: ({ interface: at }) => (at === 'client_order_detail' ? fault : 'ok') },
    )
    create(far)
    far.pay(NUMBER)
    refund(far, { refund_fee: 80 })
    const page = bill(far)
    expect(page.total_count).toBe(2)
    expect(page.order_details[0].receipt.order.order_content).toMatchObject(order)
    expect(page.order_details[1].receipt.refund_order.refund_order_content).toMatchObject(refunded)
  })
})
