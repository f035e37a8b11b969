import { queryOrder } from '../../../shared/cloudpay/schema'
import { ORDER_STATES, type OrderState } from '../../../shared/order/state'
import { listEvents } from '../../../shared/store/orders'
import { lying, put, sealedAnswer } from '../../support/tamper'
import { openTestDatabase } from '../../support/testDatabase'
import {
  freshNumber,
  openWorld,
  orderBody,
  testClock,
  type World,
  type WorldOptions,
} from '../../support/world'

let world: World
/** By a clock that stands still until a test moves it, the database's included. */
async function open(options?: WorldOptions): Promise<World> {
  const clock = testClock()
  clock.nowMsValue = 1_800_000_000_000
  const { store } = await openTestDatabase(clock)
  return (world = await openWorld({ clock, store, ...options }))
}
afterEach(() => world.close())

/** A pending order. */
async function placed(
  content: Record<string, unknown> = {},
  rest: Record<string, unknown> = {},
): Promise<string> {
  const number = freshNumber()
  const { statusCode } = await world.create(orderBody({ out_trade_no: number, ...content }, rest))
  expect(statusCode).toBe(201)
  return number
}
const refresh = (number: string, headers = {}) => world.status(number, { refresh: '1' }, headers)
/** Lets the next refresh ask again. */
const forgetLook = () => world.store.db.updateTable('orders').set({ looked_at_ms: 0 }).execute()
const events = (out_trade_no: string) =>
  listEvents(world.store, { out_sub_mch_id: world.app.merchants.first.out_sub_mch_id, out_trade_no })
const queries = () => world.sent('query_order').length

const alipay = {
  pay_mch_key: { pay_platform: 2, alipay_pay_mch_key_ext: { user_id: '2088000000000001' } },
}

describe('reading an order', () => {
  test('shows amounts, state, both times and the timeline', async () => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const number = await placed()
    const { statusCode, body } = await world.status(number)
    expect(statusCode).toBe(200)
    expect(body).toMatchObject({
      out_trade_no: number,
      state: 'pending',
      total_fee: 1880,
      created_at: { epoch: 1_800_000_000, rfc3339: '2027-01-15T16:00:00+08:00' },
      transaction_id: null,
      paid_at: null,
      payment: { signType: 'MD5' },
    })
    expect(body.events.map((event: { to: string }) => event.to)).toEqual(['created', 'pending'])
    expect(body).not.toHaveProperty('refreshed')
    expect(queries()).toBe(0)
  })

  test('shows nothing that is not for its owner to see', async () => {
    await open()
    const text = JSON.stringify((await refresh(await placed())).body)
    expect(text).not.toMatch(/oTestPayer0001|request_content|content_hash|lease|idempotency|caller/)
  })

  test('an unknown order and a stranger’s order get the same 404', async () => {
    await open()
    const number = await placed()
    const stranger = await refresh(number, { 'x-local-caller': 'mallory' })
    const unknown = await refresh('sb01nosuchorder')
    expect(stranger.statusCode).toBe(404)
    expect({ ...stranger.body, request_id: '' }).toEqual({ ...unknown.body, request_id: '' })
    expect(queries()).toBe(0)
  })
})

describe('refreshing', () => {
  test('a paid order: one signed query, settled, with what the wallet reported', async () => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const number = await placed()
    world.clock.nowMsValue = 1_800_000_007_000
    const { transaction_id } = world.sandbox.pay(number)
    const { body } = await refresh(number)
    expect(body).toMatchObject({
      state: 'paid',
      refreshed: true,
      transaction_id,
      cash_fee: 1880,
      settlement_total_fee: 1880,
      paid_at: { epoch: 1_800_000_007 },
    })
    expect(body).not.toHaveProperty('payment')
    expect(body.events.at(-1)).toMatchObject({
      from: 'pending',
      to: 'paid',
      detail: { by: 'query', wallet_state: 3 },
    })
  })

  test('the query names the order and the merchant and nothing that is not asked for', async () => {
    await open()
    const number = await placed()
    await refresh(number)
    expect(JSON.parse(world.sent('query_order')[0]!.request_content!)).toEqual({
      pay_mch_key: {
        pay_platform: 1,
        out_mch_id: 'sandboxmch0000000001',
        out_sub_mch_id: 'sandboxsub0000000001',
        out_shop_id: 'sandboxshop000000001',
      },
      order_client: { terminal_type: 100, sdk_version: 'scf-ts0.1', spbill_create_ip: '127.0.0.1' },
      out_trade_no: number,
      trade_type: 3,
      nonce_str: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
  })

  test('a stampede makes one call', async () => {
    await open()
    const number = await placed()
    world.sandbox.pay(number)
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(number)))
    expect(answers.every((answer) => answer.statusCode === 200)).toBe(true)
    expect(answers.filter((answer) => answer.body.refreshed)).toHaveLength(1)
    expect(queries()).toBe(1)
  })

  test('asks again after the interval, on the database’s clock', async () => {
    await open()
    const number = await placed()
    await refresh(number)
    expect((await refresh(number)).body.refreshed).toBe(false)
    await forgetLook()
    expect((await refresh(number)).body.refreshed).toBe(true)
    expect(queries()).toBe(2)
  })

  test('an order that can no longer change is not asked about', async () => {
    await open()
    const number = await placed()
    world.sandbox.pay(number)
    await refresh(number)
    await forgetLook()
    expect((await refresh(number)).body).toMatchObject({ state: 'paid', refreshed: false })
    expect(queries()).toBe(1)
  })

  test.each([
    'slow',
    'silent',
    'lost',
    'truncated',
    'wrong-signed',
    'unsigned',
    'not-json',
    '500',
    '3',
    '101',
    '103',
  ])('that ends unknown (%s) is 200 with the stored order and refreshed false', async (fault) => {
    await open()
    const number = await placed({ remark: `sandbox-query:${fault}` })
    world.sandbox.pay(number)
    expect(await refresh(number)).toMatchObject({
      statusCode: 200,
      body: { state: 'pending', refreshed: false },
    })
    await forgetLook()
    expect((await refresh(number)).body.state).toBe('paid')
  })

  test('without the time to ask is 200 with the stored order', async () => {
    await open()
    const number = await placed()
    const answer = await world.call('GET', `/orders/${number}`, {
      query: { refresh: '1' },
      remainingMs: 1000,
    })
    expect(answer).toMatchObject({ statusCode: 200, body: { refreshed: false } })
    expect(queries()).toBe(0)
  })

  test.each([
    ['a day before', 0],
    ['a day after', 86_400],
  ])('not found %s the expiry never ends an order', async (_, later) => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const number = await placed()
    world.sandbox.orders.clear()
    world.clock.nowMsValue += later * 1000
    expect((await refresh(number)).body).toMatchObject({ state: 'pending', refreshed: true })
  })

  test('Alipay 7, the payer has not opened the cashier: not final', async () => {
    await open({ switches: { alipayBeforeCashier: 'not_existing' } })
    const number = await placed({}, alipay)
    expect((await refresh(number)).body).toMatchObject({ state: 'pending', refreshed: true })
    world.sandbox.pay(number)
    await forgetLook()
    expect((await refresh(number)).body.state).toBe('paid')
  })

  test('closed upstream is closed here, and money that comes later is not lost', async () => {
    await open()
    const number = await placed()
    world.sandbox.close(number)
    expect((await refresh(number)).body.state).toBe('closed')
    world.sandbox.orders.get(number)!.state = 'waiting'
    world.sandbox.pay(number)
    await forgetLook()
    expect((await refresh(number)).body).toMatchObject({ state: 'paid_after_close', cash_fee: 1880 })
  })

  test('an order whose create was never answered can be found paid', async () => {
    await open()
    const number = freshNumber()
    await world.create(orderBody({ out_trade_no: number, remark: 'sandbox:lost' }))
    world.sandbox.pay(number)
    expect((await refresh(number)).body.state).toBe('paid')
  })

  test('an order that waits upstream but whose hand-over we never got stays created, to be asked again', async () => {
    await open()
    const number = freshNumber()
    const body = orderBody({ out_trade_no: number, remark: 'sandbox:lost' })
    await world.create(body)
    expect((await refresh(number)).body).toMatchObject({ state: 'created', refreshed: true })
    expect((await world.create(body)).body.payment).toBeTruthy()
  })
})

describe('what a query proves', () => {
  const required = queryOrder.echoes.filter(({ when }) => when === 'required').map(({ at }) => at)
  const unproven = async (number: string, last = 'anomaly') => {
    expect((await refresh(number)).body).toMatchObject({
      state: 'pending',
      refreshed: false,
      transaction_id: null,
    })
    expect((await events(number)).at(-1)).toMatchObject({ kind: last, to_state: 'pending' })
  }
  const lieAbout = (at: string, value: unknown) =>
    open({
      wrapPost: lying(
        (content, suffix) => suffix === 'query_order' && put(content, `query_order.${at}`, value),
      ),
    })

  test.each(required.flatMap((at) => [undefined, null].map((absent) => [at, absent] as const)))(
    'nothing when %s is %s, and nobody is called for that',
    async (at, absent) => {
      await lieAbout(at, absent)
      const number = await placed()
      world.sandbox.pay(number)
      await unproven(number, 'moved')
      expect(world.log).toContainEqual(expect.objectContaining({ why: 'echo_missing', at: [at] }))
    },
  )

  test.each([
    ['order_content.out_trade_no', 'sb01other'],
    ['order_content.total_fee', 1],
    ['order_content.total_fee', '1880'],
    ['order_content.fee_type', 'USD'],
    ['order_content.create_time', 1_799_999_699],
    ['order_content.trade_type', 1],
    ['pay_mch_key.pay_platform', 2],
    ['pay_mch_key.out_mch_id', 'other'],
    ['pay_mch_key.out_sub_mch_id', 'other'],
    ['pay_mch_key.out_shop_id', 'other'],
    ['pay_mch_key.wxpay_pay_mch_key_ext.sub_open_id', 'other'],
  ])('nothing when %s is %j', async (at, value) => {
    await lieAbout(at, value)
    world.clock.nowMsValue = 1_800_000_000_000
    const number = await placed()
    world.sandbox.pay(number)
    if (value === '1880') {
      // Not even the right shape: unknown, and nothing to compare.
      expect((await refresh(number)).body).toMatchObject({ state: 'pending', refreshed: false })
    } else await unproven(number)
  })

  test('nothing final while is_transforming', async () => {
    await lieAbout('order_content.is_transforming', true)
    const number = await placed()
    world.sandbox.close(number)
    expect((await refresh(number)).body).toMatchObject({ state: 'pending', refreshed: false })
  })

  test('a payment even while is_transforming', async () => {
    await lieAbout('order_content.is_transforming', true)
    const number = await placed()
    world.sandbox.pay(number)
    expect((await refresh(number)).body.state).toBe('paid')
  })

  test.each([0, 13, 14, 99])('nothing from WeChat state %d', async (state) => {
    await lieAbout('order_content.wxpay_order_content_ext.current_trade_state', state)
    const number = await placed()
    expect((await refresh(number)).body).toMatchObject({ state: 'pending', refreshed: false })
  })

  test('nothing from the other platform’s extension', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix !== 'query_order') return
        const order = content.query_order.order_content
        order.alipay_order_content_ext = { current_trade_state: 2 }
        delete order.wxpay_order_content_ext
      }),
    })
    const number = await placed()
    expect((await refresh(number)).body).toMatchObject({ state: 'pending', refreshed: false })
  })

  test('WeChat 4 proves that it was paid', async () => {
    await lieAbout('order_content.wxpay_order_content_ext.current_trade_state', 4)
    const number = await placed()
    expect((await refresh(number)).body.state).toBe('paid')
  })

  test('Alipay 5 without evidence of a payment is closed', async () => {
    await open()
    const number = await placed({}, alipay)
    world.sandbox.close(number)
    expect((await refresh(number)).body.state).toBe('closed')
  })

  test('signed answers that contradict each other are flagged once and move nothing', async () => {
    await open()
    const number = await placed()
    world.sandbox.close(number)
    await refresh(number)
    world.sandbox.orders.get(number)!.state = 'waiting'
    for (const _ of [1, 2]) {
      await forgetLook()
      expect((await refresh(number)).body.state).toBe('closed')
    }
    const anomalies = (await events(number)).filter((event) => event.kind === 'anomaly')
    expect(anomalies.map((event) => event.detail['reason'])).toEqual(['answers_contradict'])
  })

  test('an old answer of another order played back proves nothing', async () => {
    let captured: Buffer | undefined
    await open({
      wrapPost: (post) => async (url, body, options) => {
        const answer = await post(url, body, options)
        if (!url.endsWith('query_order')) return answer
        captured ??= answer.body
        return { status: 200, body: captured }
      },
    })
    const paid = await placed()
    world.sandbox.pay(paid)
    expect((await refresh(paid)).body.state).toBe('paid')
    const unpaid = await placed()
    await unproven(unpaid)
  })

  test('a create answer that says paid is no evidence', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix === 'official_account_pay') {
          put(content, 'official_account_pay.order_content.wxpay_order_content_ext.current_trade_state', 3)
        }
      }),
    })
    const number = await placed()
    expect((await world.status(number)).body.state).toBe('pending')
  })

  test('a signed failure that is not "not found" proves nothing', async () => {
    await open({
      wrapPost: (post) => async (url, body, options) =>
        url.endsWith('query_order')
          ? { status: 200, body: sealedAnswer({ status: 104, log_id: 1, internal_status: 7 }) }
          : post(url, body, options),
    })
    const number = await placed()
    expect((await refresh(number)).body).toMatchObject({ state: 'pending', refreshed: false })
  })

  test.each(ORDER_STATES)(
    'a row in state %s survives every wallet state without an error',
    async (state: OrderState) => {
      let wallet = 1
      await open({
        wrapPost: lying((content, suffix) => {
          if (suffix === 'query_order') {
            put(content, 'query_order.order_content.wxpay_order_content_ext.current_trade_state', wallet)
          }
        }),
      })
      const number = await placed()
      for (wallet = 0; wallet <= 15; wallet++) {
        await world.store.db.updateTable('orders').set({ state, looked_at_ms: 0 }).execute()
        // Set back by hand, the order would be told of twice, which no order is.
        await world.store.db.deleteFrom('outbox').execute()
        expect((await refresh(number)).statusCode).toBe(200)
      }
    },
  )
})
