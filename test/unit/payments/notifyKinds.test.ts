import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { put, sealedNotification, signedText, type Content } from '../../support/tamper'

/** Notifications of all sizes and kinds, at addresses as people type them. */
let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

const R1 = { out_refund_no: 'sb01r1', refund_fee: 880 }
const refundOf = async (number: string) => (await shop.refunds(number))[0]!
const told = (body: Buffer, change: (content: Content) => void = () => undefined): Buffer => {
  const content = JSON.parse(signedText(body))
  change(content)
  return sealedNotification(content)
}

test('an order with 6 000 characters of detail is told of in 42 KB, which is heard', async () => {
  await open()
  const goods_name = '茶'.repeat(256)
  const goods_detail: object[] = []
  while (JSON.stringify({ goods_detail }).length < 5600)
    goods_detail.push({ goods_name, quantity: 1, price: 1 })
  const number = await shop.place({ detail: { goods_detail } })
  shop.sandbox.pay(number)
  const body = shop.sandbox.notification(number)
  expect(body.length).toBeGreaterThan(32 * 1024)
  expect([(await shop.tell(body)).statusCode, (await shop.order(number)).state]).toEqual([200, 'paid'])
})

test('an address that ends with a slash is the same address', async () => {
  await open()
  const number = await shop.place()
  shop.sandbox.pay(number)
  const event = { body: shop.sandbox.notification(number).toString('base64'), isBase64Encoded: true }
  const { statusCode, body } = await shop.call('POST', '/notify/', { event })
  expect([statusCode, body.response_content.status]).toEqual([200, 0])
})

test.each([
  [{}, { status: 0, description: 'OK' }],
  [{ NOTIFY_REPLY: 'object' }, { status: 0, description: 'OK' }],
  [{ NOTIFY_REPLY: 'text' }, '{"status":0,"description":"OK"}'],
])('the reply has the form that is set: %j', async (env, response_content) => {
  await open({ env })
  const number = await shop.place()
  shop.sandbox.pay(number)
  expect((await shop.tell(shop.sandbox.notification(number))).body).toEqual({ response_content })
})

describe('a notification of a refund (2017)', () => {
  test('is kept, and its refund is looked up', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    shop.sandbox.finishRefund('sb01r1', 'succeeded')
    shop.pass(4)
    const answer = await shop.tell(shop.sandbox.refundNotification('sb01r1'))
    expect([answer.statusCode, (await refundOf(number)).state]).toEqual([200, 'succeeded'])
    const [row] = await shop.store.db.selectFrom('notifications').selectAll().execute()
    expect(JSON.parse(row!.claims)).toEqual({ out_refund_no: 'sb01r1', refund_fee: 880, wallet_state: 2 })
  })

  test('proves nothing: what it says succeeded is what our query says it is', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    shop.pass(4)
    const body = told(shop.sandbox.refundNotification('sb01r1'), (content) =>
      put(content, 'refund_order_content.0.wxpay_refund_order_content_ext.state', 2),
    )
    expect((await shop.tell(body)).statusCode).toBe(200)
    expect([(await refundOf(number)).state, (await shop.order(number)).refunded_fen]).toEqual(['accepted', 0])
  })

  test('of one made in the console brings it into our sum', async () => {
    await open()
    const number = await shop.placePaid()
    const { out_refund_no } = shop.sandbox.refundInConsole(number, 300)
    shop.pass(4)
    await shop.tell(shop.sandbox.refundNotification(out_refund_no))
    expect(await refundOf(number)).toMatchObject({ out_refund_no, origin: 'console', state: 'succeeded' })
  })

  test('is left to the timer when somebody has just looked', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    shop.sandbox.finishRefund('sb01r1', 'succeeded')
    await shop.tell(shop.sandbox.refundNotification('sb01r1'))
    expect((await refundOf(number)).state).toBe('accepted')
    await shop.timer()
    expect((await refundOf(number)).state).toBe('succeeded')
  })

  test.each<[string, (content: Content) => void, string]>([
    [
      'another amount of the order',
      (content) => put(content, 'refund_order_content.0.total_fee', 1),
      'amount_differs',
    ],
    [
      'another currency',
      (content) => put(content, 'refund_order_content.0.refund_fee_type', 'USD'),
      'amount_differs',
    ],
    ['another shop', (content) => put(content, 'pay_mch_key.out_shop_id', 'x'), 'order_differs'],
    ['no refund at all', (content) => put(content, 'refund_order_content', []), 'content_is_no_notification'],
    [
      'an order beside it',
      (content) => put(content, 'order_content', { out_trade_no: 'sb01x' }),
      'content_is_no_notification',
    ],
    [
      'no number',
      (content) => put(content, 'refund_order_content.0.out_trade_no', null),
      'content_is_no_notification',
    ],
  ])('with %s is refused', async (_, change, why) => {
    await open({ refundDelayMs: Infinity })
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    const asked = shop.sent('query_refund_order').length
    shop.pass(4)
    const { statusCode } = await shop.tell(told(shop.sandbox.refundNotification('sb01r1'), change))
    expect([statusCode, shop.sent('query_refund_order').length - asked]).toEqual([401, 0])
    expect(shop.counts()[`notify.refused.${why}`]).toBe(1)
  })

  test('as one object, without amounts and without its own number, is a weaker hint', async () => {
    await open()
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 300)
    shop.pass(4)
    const { out_refund_no } = shop.sandbox.orders.get(number)!.refunds[0]!
    const body = told(shop.sandbox.refundNotification(out_refund_no), (content) => {
      content.refund_order_content = { out_trade_no: number }
    })
    expect((await shop.tell(body)).statusCode).toBe(200)
    expect((await refundOf(number)).state).toBe('succeeded')
  })
})
