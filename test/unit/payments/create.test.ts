import type { Echo } from '../../../shared/cloudpay/echoes'
import { officialAccountPay } from '../../../shared/cloudpay/schema'
import type { Post } from '../../../shared/net/post'
import { findOrder, listEvents } from '../../../shared/store/orders'
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

const row = async (out_trade_no: string) =>
  (await findOrder(world.store, { out_sub_mch_id: world.app.merchants.first.out_sub_mch_id, out_trade_no }))!
const events = (out_trade_no: string) =>
  listEvents(world.store, { out_sub_mch_id: world.app.merchants.first.out_sub_mch_id, out_trade_no })
const expireLease = (out_trade_no: string) =>
  world.store.db
    .updateTable('orders')
    .set({ lease_until_ms: 1 })
    .where('out_trade_no', '=', out_trade_no)
    .execute()

describe('a new order', () => {
  test('is answered 201 with what the wallet needs, unchanged', async () => {
    await open()
    const answer = await world.create(orderBody())
    expect(answer.statusCode).toBe(201)
    expect(answer.body).toMatchObject({ state: 'pending', total_fee: 1880, fee_type: 'CNY', flag: null })
    const theirs = answer.body.jsapi_args.wxpay.get_brand_wcpay
    expect(answer.body.payment).toEqual({
      appId: theirs.app_id,
      timeStamp: theirs.timestamp,
      nonceStr: theirs.nonce_str,
      package: theirs.package,
      signType: theirs.sign_type,
      paySign: theirs.pay_sign,
    })
    expect(typeof answer.body.payment.timeStamp).toBe('string')
  })

  test('is committed, with the exact text, before the first byte leaves', async () => {
    let stored: unknown
    let asked = ''
    await open({
      wrapPost: (post) => async (url, body, options) => {
        asked = (JSON.parse(body.toString()) as { request_content: string }).request_content
        stored = await world.store.db
          .selectFrom('orders')
          .select(['request_content', 'state', 'sends'])
          .execute()
        return post(url, body, options)
      },
    })
    await world.create(orderBody())
    expect(stored).toEqual([{ request_content: asked, state: 'created', sends: 1 }])
  })

  test('gets a number of ours, an expiry of ours and the merchant from the configuration', async () => {
    await open({ env: { ORDER_LIFE_SECONDS: '600' } })
    world.clock.nowMsValue = 1_800_000_000_500
    const { body } = await world.create(orderBody())
    expect(body.out_trade_no).toMatch(/^sb01[0-9a-z]{20}$/)
    expect(body.time_expire).toEqual({ epoch: 1_800_000_600, rfc3339: '2027-01-15T16:10:00+08:00' })
    const sent = JSON.parse(world.sent()[0]!.request_content!)
    expect(sent).toEqual({
      pay_mch_key: {
        pay_platform: 1,
        out_mch_id: 'sandboxmch0000000001',
        out_sub_mch_id: 'sandboxsub0000000001',
        out_shop_id: 'sandboxshop000000001',
        wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' },
      },
      pay_content: {
        out_trade_no: body.out_trade_no,
        total_fee: 1880,
        fee_type: 'CNY',
        body: '湖心奶茶-大杯',
        time_expire: 1_800_000_600,
      },
      order_client: { terminal_type: 100, sdk_version: 'scf-ts0.1', spbill_create_ip: '127.0.0.1' },
      nonce_str: expect.stringMatching(/^[0-9a-f]{32}$/),
      trade_type: 3,
    })
  })

  test('of a mini-program goes to mini_program_pay and hands over for wx.requestPayment', async () => {
    await open()
    const answer = await world.create({
      ...orderBody(),
      trade_type: 9,
      pay_mch_key: {
        pay_platform: 1,
        wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wxmini0001', sub_open_id: 'oTestPayer0001' },
      },
    })
    expect(answer.statusCode).toBe(201)
    expect(Object.keys(answer.body.payment).sort()).toEqual([
      'nonceStr',
      'package',
      'paySign',
      'signType',
      'timeStamp',
    ])
    expect(world.sent('mini_program_pay')).toHaveLength(1)
  })

  test('whose answer lacks what the wallet needs is pending, and says what is missing', async () => {
    await open({ switches: { miniProgramHandover: 'three_members', miniProgramEcho: 'no' } })
    const { body, statusCode } = await world.create({
      ...orderBody(),
      trade_type: 9,
      pay_mch_key: {
        pay_platform: 1,
        wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wxmini0001', sub_open_id: 'oTestPayer0001' },
      },
    })
    expect(statusCode).toBe(201)
    expect(body).toMatchObject({
      state: 'pending',
      payment: null,
      payment_fault: {
        code: 'handover_incomplete',
        missing: [
          'jsapi_args.wxpay.mini_program_pay.timestamp',
          'jsapi_args.wxpay.mini_program_pay.sign_type',
        ],
      },
    })
  })

  test('for Alipay hands over a trade number', async () => {
    await open()
    const { body } = await world.create({
      ...orderBody(),
      pay_mch_key: { pay_platform: 2, alipay_pay_mch_key_ext: { user_id: '2088000000000001' } },
    })
    expect(body.payment).toEqual({ tradeNO: body.jsapi_args.alipay.trade_pay.trade_no })
  })

  test('carries detail as one text, whether it came as an object or as text', async () => {
    await open()
    const detail = { goods_detail: [{ goods_name: '奶茶"大"', quantity: 1, price: 1880 }] }
    await world.create(orderBody({ detail }))
    await world.create(orderBody({ detail: JSON.stringify(detail) }))
    const texts = world.sent().map((one) => JSON.parse(one.request_content!).pay_content.detail)
    expect(texts).toEqual([JSON.stringify(detail), JSON.stringify(detail)])
  })

  test.each([
    ['pay_mch_key.out_mch_id', { pay_mch_key: { out_mch_id: 'somebodyelse' } }],
    ['pay_mch_key.out_sub_mch_id', { pay_mch_key: { out_sub_mch_id: 'somebodyelse' } }],
    ['pay_mch_key.out_shop_id', { pay_mch_key: { out_shop_id: 'somebodyelse' } }],
    ['order_client.spbill_create_ip', { order_client: { spbill_create_ip: '10.0.0.1' } }],
    ['order_client.sdk_version', { order_client: { sdk_version: 'x' } }],
    ['nonce_str', { nonce_str: 'chosen' }],
  ])('that contradicts the configuration in %s is refused, not overwritten', async (field, change) => {
    await open()
    const body = orderBody()
    const answer = await world.create({
      ...body,
      ...change,
      pay_mch_key: { ...body.pay_mch_key, ...(change as { pay_mch_key?: object }).pay_mch_key },
    })
    expect(answer.statusCode).toBe(400)
    expect(answer.body.fields).toEqual([expect.objectContaining({ field, code: 'server_owned' })])
    expect(world.sent()).toHaveLength(0)
  })

  test('that repeats the configured values is accepted', async () => {
    await open()
    const body = orderBody({}, { order_client: { spbill_create_ip: '127.0.0.1', device_id: 'till 7' } })
    body.pay_mch_key['out_shop_id'] = world.app.merchants.first.out_shop_id
    expect((await world.create(body)).statusCode).toBe(201)
  })

  test('is not begun when too little time is left', async () => {
    await open()
    const answer = await world.call('POST', '/orders', { body: orderBody(), remainingMs: 2000 })
    expect(answer).toMatchObject({ statusCode: 503, body: { code: 'no_time_left' } })
    expect(await world.store.db.selectFrom('orders').selectAll().execute()).toEqual([])
  })

  test.each([
    ['too near', 119],
    ['too far', 7201],
    ['in milliseconds', 1_800_000_600_000 - 1_800_000_000],
  ])('with a time_expire that is %s is refused', async (_, ahead) => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const answer = await world.create(orderBody({ time_expire: 1_800_000_000 + ahead }))
    expect(answer.statusCode).toBe(400)
    expect(answer.body.fields[0].field).toBe('pay_content.time_expire')
  })

  test.each([120, 7200])('may live %d s', async (ahead) => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    expect((await world.create(orderBody({ time_expire: 1_800_000_000 + ahead }))).statusCode).toBe(201)
  })
})

describe('the same order again', () => {
  test('by its number: 200, the first jsapi_args, and nobody is asked', async () => {
    await open()
    const body = orderBody({ out_trade_no: freshNumber() })
    const first = await world.create(body)
    const second = await world.create(body)
    expect(second.statusCode).toBe(200)
    expect(second.body).toEqual(first.body)
    expect(world.sent()).toHaveLength(1)
  })

  test('by its key, without a number', async () => {
    await open()
    const first = await world.create(orderBody(), { 'Idempotency-Key': 'cart-7' })
    const second = await world.create(orderBody(), { 'idempotency-key': 'cart-7' })
    expect([first.statusCode, second.statusCode]).toEqual([201, 200])
    expect(second.body).toEqual(first.body)
    expect(world.sent()).toHaveLength(1)
  })

  test('is the same with another expiry, terminal and member order, even an expiry no new order may have', async () => {
    await open()
    const number = freshNumber()
    const { pay_content, pay_mch_key } = orderBody({ out_trade_no: number })
    await world.create({ pay_content, pay_mch_key })
    const again = await world.create({
      pay_mch_key,
      order_client: { device_id: 'another till' },
      pay_content: { body: pay_content['body'], out_trade_no: number, total_fee: 1880, time_expire: 1 },
    })
    expect(again.statusCode).toBe(200)
  })

  test.each([
    ['amount', (body: ReturnType<typeof orderBody>) => (body.pay_content['total_fee'] = 1881)],
    ['title', (body: ReturnType<typeof orderBody>) => (body.pay_content['body'] = 'other')],
    [
      'payer',
      (body: ReturnType<typeof orderBody>) =>
        (body.pay_mch_key['wxpay_pay_mch_key_ext'] = { sub_open_id: 'oSomebodyElse' }),
    ],
  ])('with another %s is 422', async (_, change) => {
    await open()
    const number = freshNumber()
    await world.create(orderBody({ out_trade_no: number }), { 'idempotency-key': 'k' })
    for (const headers of [{}, { 'idempotency-key': 'k' }]) {
      const body = orderBody({ out_trade_no: number })
      change(body)
      expect(await world.create(body, headers)).toMatchObject({
        statusCode: 422,
        body: { code: 'content_differs' },
      })
    }
    const keyOnly = orderBody()
    change(keyOnly)
    expect((await world.create(keyOnly, { 'idempotency-key': 'k' })).statusCode).toBe(422)
    expect(world.sent()).toHaveLength(1)
  })

  test('a key and a number that name different orders: 422', async () => {
    await open()
    const [one, two] = [freshNumber(), freshNumber()]
    await world.create(orderBody({ out_trade_no: one }), { 'idempotency-key': 'one' })
    await world.create(orderBody({ out_trade_no: two }), { 'idempotency-key': 'two' })
    const crossed = [
      world.create(orderBody({ out_trade_no: one }), { 'idempotency-key': 'two' }),
      world.create(orderBody({ out_trade_no: one }), { 'idempotency-key': 'never-used' }),
      world.create(orderBody({ out_trade_no: freshNumber() }), { 'idempotency-key': 'one' }),
    ]
    for (const answer of await Promise.all(crossed)) {
      expect(answer).toMatchObject({ statusCode: 422, body: { code: 'key_and_number_disagree' } })
    }
    expect(world.sent()).toHaveLength(2)
  })

  test("another caller's number: a plain 409 that tells nothing, same content or not", async () => {
    await open()
    const number = freshNumber()
    await world.create(orderBody({ out_trade_no: number }), { 'x-local-caller': 'alice' })
    for (const content of [{}, { total_fee: 1 }]) {
      const answer = await world.create(orderBody({ out_trade_no: number, ...content }), {
        'x-local-caller': 'bob',
      })
      expect(answer.statusCode).toBe(409)
      expect(Object.keys(answer.body).sort()).toEqual([
        'code',
        'detail',
        'request_id',
        'status',
        'title',
        'type',
      ])
      expect(answer.body.code).toBe('number_taken')
    }
  })

  test("another caller's key is another key", async () => {
    await open()
    const alice = await world.create(orderBody(), { 'x-local-caller': 'alice', 'idempotency-key': 'k' })
    const bob = await world.create(orderBody(), { 'x-local-caller': 'bob', 'idempotency-key': 'k' })
    expect([alice.statusCode, bob.statusCode]).toEqual([201, 201])
  })

  test('a payer must name what it may repeat', async () => {
    await open()
    const payer = { 'x-local-caller': 'payer:p1' }
    expect(await world.create(orderBody(), payer)).toMatchObject({
      statusCode: 400,
      body: { code: 'idempotency_required' },
    })
    expect((await world.create(orderBody(), { ...payer, 'idempotency-key': 'k' })).statusCode).toBe(201)
    expect((await world.create(orderBody({ out_trade_no: freshNumber() }), payer)).statusCode).toBe(201)
  })

  test.each(['', ' ', 'a b', 'x'.repeat(256), '键'])('refuses the key %j', async (key) => {
    await open()
    expect(await world.create(orderBody(), { 'idempotency-key': key })).toMatchObject({
      statusCode: 400,
      body: { code: 'idempotency_key_invalid' },
    })
  })

  test('ten at once make one order and one question; nobody hears of a failure', async () => {
    await open()
    const body = orderBody({ out_trade_no: freshNumber() })
    const answers = await Promise.all(Array.from({ length: 10 }, () => world.create(body)))
    const codes = answers.map((answer) => answer.statusCode).sort()
    expect(codes.filter((code) => code === 201)).toHaveLength(1)
    expect(codes.every((code) => [200, 201, 409].includes(code))).toBe(true)
    expect(world.sent()).toHaveLength(1)
  })

  test('after it was paid it answers the state and hands nothing over', async () => {
    await open()
    const number = freshNumber()
    await world.create(orderBody({ out_trade_no: number }))
    world.sandbox.pay(number)
    await world.status(number, { refresh: '1' })
    const again = await world.create(orderBody({ out_trade_no: number }))
    expect(again).toMatchObject({ statusCode: 200, body: { state: 'paid' } })
    expect(again.body).not.toHaveProperty('payment')
    expect(again.body).not.toHaveProperty('jsapi_args')
  })

  test.each([
    [31, true],
    [30, false],
  ])('%d s before the expiry: hands over %s', async (before, handsOver) => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const number = freshNumber()
    await world.create(orderBody({ out_trade_no: number, time_expire: 1_800_001_000 }))
    world.clock.nowMsValue = (1_800_001_000 - before) * 1000
    const again = await world.create(orderBody({ out_trade_no: number }))
    expect('payment' in again.body).toBe(handsOver)
  })
})

describe('an unknown outcome', () => {
  const unknown = [
    'slow',
    'silent',
    'lost',
    'truncated',
    'wrong-signed',
    'lower-signed',
    'unsigned',
    'object',
    'wrong-amount',
    'foreign',
    'not-json',
    '500',
  ]
  test.each(unknown)(
    '%s: 504 with the number, the order stays open, a retry sends the same bytes',
    async (fault) => {
      await open()
      const number = freshNumber()
      const body = orderBody({ out_trade_no: number, remark: `sandbox:${fault}` })
      const first = await world.create(body)
      expect(first.statusCode).toBe(504)
      expect(first.body).toMatchObject({
        code: 'outcome_unknown',
        out_trade_no: number,
        read: `/orders/${number}?refresh=1`,
      })
      expect(await row(number)).toMatchObject({ state: 'created', sends: 1 })

      // Nothing is on its way any more, so the retry need not wait for the lease.
      const second = await world.create(body)
      expect(second).toMatchObject({ statusCode: 200, body: { state: 'pending' } })
      expect(second.body.payment.paySign).toMatch(/^[0-9A-F]{32}$/)
      const [one, two] = world.sent()
      expect(two!.body).toBe(one!.body)
      expect(await row(number)).toMatchObject({ sends: 2, request_content: one!.request_content })
    },
  )

  test('status 3: the identical text at once', async () => {
    await open()
    const answer = await world.create(orderBody({ remark: 'sandbox:3' }))
    expect(answer.statusCode).toBe(201)
    const sent = world.sent()
    expect(sent).toHaveLength(2)
    expect(sent[1]!.body).toBe(sent[0]!.body)
    expect((await row(answer.body.out_trade_no)).sends).toBe(2)
  })

  test('status 103: the identical text after three seconds', async () => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    expect((await world.create(orderBody({ remark: 'sandbox:103' }))).statusCode).toBe(201)
    const [one, two] = world.sandbox.received
    expect(two!.at - one!.at).toBe(3000)
    expect(two!.body).toBe(one!.body)
  })

  test('status 103 without the time to wait: not asked again', async () => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const body = orderBody({ remark: 'sandbox:103' })
    const answer = await world.call('POST', '/orders', { body, remainingMs: 4500 })
    expect(answer.statusCode).toBe(504)
    expect(world.sent()).toHaveLength(1)
  })

  test('status 3 for ever: three times, then 504', async () => {
    await open()
    expect((await world.create(orderBody({ remark: 'sandbox:3,3,3,3' }))).statusCode).toBe(504)
    expect(world.sent()).toHaveLength(3)
  })

  test('of the database after asking is 504, and before asking 503', async () => {
    let broken = false
    await open({
      wrapPost:
        (post) =>
        async (...given) => {
          const answer = await post(...given)
          broken = true
          return answer
        },
    })
    const { connection } = world.store
    const run = connection.run.bind(connection)
    const inTransaction = connection.inTransaction.bind(connection)
    const full = () => Promise.reject(new Error('disk full'))
    connection.run = (query) => (broken ? full() : run(query))
    connection.inTransaction = (work) => (broken ? full() : inTransaction(work))
    const number = freshNumber()
    const asked = await world.create(orderBody({ out_trade_no: number }))
    expect(asked).toMatchObject({ statusCode: 504, body: { code: 'outcome_unknown', out_trade_no: number } })
    expect(await world.create(orderBody())).toMatchObject({
      statusCode: 503,
      body: { code: 'database_unavailable' },
    })
    expect(world.sent()).toHaveLength(1)
  })
})

describe('a no', () => {
  test.each(['102', '104'])('%s, signed, to the only transmission: failed, 502', async (status) => {
    await open()
    const number = freshNumber()
    const answer = await world.create(orderBody({ out_trade_no: number, remark: `sandbox:${status}` }))
    expect(answer).toMatchObject({
      statusCode: 502,
      body: { code: 'cloud_pay_refused', out_trade_no: number, cloud_pay_status: Number(status) },
    })
    expect(await row(number)).toMatchObject({ state: 'failed' })
    // A repeat is told the state; no new number is taken for anybody.
    const again = await world.create(orderBody({ out_trade_no: number, remark: `sandbox:${status}` }))
    expect(again).toMatchObject({ statusCode: 200, body: { state: 'failed' } })
    expect(world.sent()).toHaveLength(1)
  })

  test('104 with 407 means the number is used with other content: not a failure', async () => {
    await open({
      wrapPost: (post) => async (url, body, options) => {
        await post(url, body, options)
        return { status: 200, body: sealedAnswer({ status: 104, log_id: 1, internal_status: 407 }) }
      },
    })
    const number = freshNumber()
    expect((await world.create(orderBody({ out_trade_no: number }))).statusCode).toBe(504)
    expect((await row(number)).state).toBe('created')
  })

  test('104 after an unknown means look: the first transmission stands', async () => {
    await open()
    const number = freshNumber()
    const answer = await world.create(orderBody({ out_trade_no: number, remark: 'sandbox:3,104' }))
    expect(answer.statusCode).toBe(504)
    expect(await row(number)).toMatchObject({ state: 'created', flag: null })
    expect(world.sent('query_order')).toHaveLength(1)
  })

  test('102 after an unknown flags the order: never asked again, never paid automatically', async () => {
    await open({ switches: { repeatedCreate: '102' } })
    const number = freshNumber()
    const body = orderBody({ out_trade_no: number, remark: 'sandbox:lost' })
    expect((await world.create(body)).statusCode).toBe(504)
    expect((await world.create(body)).statusCode).toBe(504)
    expect(await row(number)).toMatchObject({ state: 'created', flag: 'create_answered_102' })

    world.sandbox.pay(number)
    expect((await world.create(body)).statusCode).toBe(504)
    expect(world.sent('official_account_pay')).toHaveLength(2)
    const status = await world.status(number, { refresh: '1' })
    expect(status.body).toMatchObject({ state: 'created', flag: 'create_answered_102' })
    expect(
      (await events(number)).filter((event) => event.kind === 'anomaly').map((event) => event.detail),
    ).toEqual([
      { by: 'create', status: 102, internal_status: 0, reason: 'number_may_not_be_ours' },
      { by: 'query', wallet_state: 3, reason: 'payment_on_flagged_order' },
    ])
  })

  test('101 is about our request, not about the order: 502, open', async () => {
    await open()
    const number = freshNumber()
    const answer = await world.create(orderBody({ out_trade_no: number, remark: 'sandbox:101' }))
    expect(answer).toMatchObject({ statusCode: 502, body: { code: 'cloud_pay_rejected_request' } })
    expect((await row(number)).state).toBe('created')
    expect((await world.create(orderBody({ out_trade_no: number, remark: 'sandbox:101' }))).statusCode).toBe(
      200,
    )
  })

  test.each([102, 104])('an unsigned %d is no no', async (status) => {
    await open({
      wrapPost: () => async (_url, _body, options) => {
        await options.beforeSend?.()
        const content = JSON.stringify({ status, log_id: 1, internal_status: 0 })
        return { status: 200, body: Buffer.from(JSON.stringify({ response_content: content })) }
      },
    })
    const number = freshNumber()
    expect((await world.create(orderBody({ out_trade_no: number }))).statusCode).toBe(504)
    expect((await row(number)).state).toBe('created')
  })

  test('a resend after a dead socket counts: its no does not fail the order', async () => {
    await open({
      // What net does when a kept socket turns out dead: announce the second transmission too.
      wrapPost: (post) => async (url, body, options) => {
        if (!url.endsWith('official_account_pay')) return post(url, body, options)
        await options.beforeSend?.()
        return post(url, body, options)
      },
    })
    const number = freshNumber()
    const answer = await world.create(orderBody({ out_trade_no: number, remark: 'sandbox:104' }))
    expect(answer.statusCode).toBe(504)
    expect(await row(number)).toMatchObject({ state: 'created', sends: 2 })
  })
})

describe('an answer that does not match the order', () => {
  const required = officialAccountPay.echoes
    .filter(({ when }) => when === 'required')
    .map(({ at }: Echo) => at)
  const member = 'official_account_pay'
  const refused = async (number: string, kinds = ['created', 'anomaly', 'asked']) => {
    expect((await world.create(orderBody({ out_trade_no: number }))).statusCode).toBe(504)
    expect(await row(number)).toMatchObject({ state: 'created', jsapi_args: null })
    expect((await events(number)).map((event) => event.kind)).toEqual(kinds)
  }

  test('the list is the documented one', () => {
    expect(required).toEqual([
      'order_content.out_trade_no',
      'order_content.total_fee',
      'order_content.create_time',
      'pay_mch_key.pay_platform',
      'pay_mch_key.out_mch_id',
      'pay_mch_key.out_sub_mch_id',
      'pay_mch_key.out_shop_id',
    ])
  })

  test.each(required.flatMap((at) => [undefined, null].map((absent) => [at, absent] as const)))(
    '%s as %s: unknown, and nobody is called',
    async (at, absent) => {
      await open({ wrapPost: lying((content) => put(content, `${member}.${at}`, absent)) })
      await refused(freshNumber(), ['created', 'asked'])
      expect(world.log).toContainEqual(expect.objectContaining({ why: 'echo_missing', at: [at] }))
    },
  )

  test.each([
    ['order_content.out_trade_no', 'sb01other'],
    ['order_content.total_fee', 1881],
    ['order_content.fee_type', 'USD'],
    ['pay_mch_key.pay_platform', 2],
    ['pay_mch_key.out_mch_id', 'other'],
    ['pay_mch_key.out_sub_mch_id', 'other'],
    ['pay_mch_key.out_shop_id', 'other'],
    ['order_content.trade_type', 9],
    ['pay_mch_key.wxpay_pay_mch_key_ext.sub_open_id', 'other'],
    ['order_content.create_time', 1_799_999_699],
  ])('%s different: unknown, and an anomaly', async (at, value) => {
    await open({ wrapPost: lying((content) => put(content, `${member}.${at}`, value)) })
    world.clock.nowMsValue = 1_800_000_000_000
    await refused(freshNumber())
  })

  test.each([
    ['order_content.trade_type', undefined],
    ['order_content.fee_type', undefined],
    ['order_content.fee_type', null],
    ['order_content.fee_type', ''],
    ['order_content.transaction_id', null],
    ['order_content.wxpay_order_content_ext.prepare_id', 7],
    ['order_content.alipay_order_content_ext', 'of the other platform'],
    ['pay_mch_key.wxpay_pay_mch_key_ext', undefined],
    // The document's own example answers with blanks around it.
    ['pay_mch_key.wxpay_pay_mch_key_ext.sub_open_id', ' oTestPayer0001 '],
    // The payer's other id, added by the server.
    ['pay_mch_key.wxpay_pay_mch_key_ext.open_id', 'oSamePerson'],
    ['order_content.create_time', 1_799_999_700],
    ['order_content.total_fee', 1880.0],
    ['something_new', { nested: true }],
  ])('%s as %j is fine', async (at, value) => {
    await open({ wrapPost: lying((content) => put(content, `${member}.${at}`, value)) })
    world.clock.nowMsValue = 1_800_000_000_000
    expect((await world.create(orderBody())).statusCode).toBe(201)
  })

  test('a differing nonce echo is recorded, not refused', async () => {
    await open({ switches: { nonceEcho: 'fresh' } })
    const { body, statusCode } = await world.create(orderBody())
    expect(statusCode).toBe(201)
    expect((await events(body.out_trade_no))[1]!.detail).toEqual({ by: 'create', nonce_echo_differs: true })
  })

  test('the answer of another interface is no answer', async () => {
    await open({
      wrapPost: lying((content) => {
        content.query_order = content.official_account_pay
        delete content.official_account_pay
      }),
    })
    expect((await world.create(orderBody())).statusCode).toBe(504)
  })
})

describe('two instances', () => {
  /** A network whose answers wait until they are let go. */
  function gate() {
    const waiting: (() => void)[] = []
    const wrapPost =
      (post: Post): Post =>
      async (url, body, options) => {
        const answer = await post(url, body, options)
        if (url.endsWith('official_account_pay')) await new Promise<void>((resolve) => waiting.push(resolve))
        return answer
      }
    const until = async (count: number) => {
      for (let turns = 0; waiting.length < count; turns++) {
        if (turns > 10_000) throw new Error(`only ${waiting.length} of ${count} requests have arrived`)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    return { wrapPost, until, waiting }
  }

  test('while one is asking, the other hears 409 with Retry-After and asks nobody', async () => {
    const far = gate()
    await open({ wrapPost: far.wrapPost })
    const body = orderBody({ out_trade_no: freshNumber() })
    const first = world.create(body)
    await far.until(1)
    const second = await world.create(body)
    expect(second).toMatchObject({ statusCode: 409, body: { code: 'order_in_progress' } })
    // The first one's limit of 6 s and 5 s of grace, by the database's clock.
    expect(second.headers['retry-after']).toBe('11')
    far.waiting[0]!()
    expect((await first).statusCode).toBe(201)
    expect(world.sent()).toHaveLength(1)
  })

  test('a lease that ran out is taken over with the very same text, and the late answer still counts', async () => {
    const far = gate()
    await open({ wrapPost: far.wrapPost })
    const number = freshNumber()
    const body = orderBody({ out_trade_no: number })
    const first = world.create(body)
    await far.until(1)
    await expireLease(number)
    const second = world.create(body)
    await far.until(2)
    expect(await row(number)).toMatchObject({ lease_token: 2, sends: 2 })
    // The expired holder hears first: evidence like any other.
    far.waiting[0]!()
    expect((await first).body.state).toBe('pending')
    const args = (await row(number)).jsapi_args
    far.waiting[1]!()
    // The second answers from the row as committed: the first hand-over stays.
    expect(JSON.stringify((await second).body.jsapi_args)).toBe(args)
    const [one, two] = world.sent()
    expect(two!.body).toBe(one!.body)
  })

  test('who has lost the lease may not send again', async () => {
    const far = gate()
    await open({ wrapPost: far.wrapPost })
    const number = freshNumber()
    // The first is told to send again at once (3), the second is answered.
    const body = orderBody({ out_trade_no: number, remark: 'sandbox:3,3' })
    const first = world.create(body)
    await far.until(1)
    await expireLease(number)
    const second = world.create(body)
    await far.until(2)
    far.waiting[0]!()
    expect(await first).toMatchObject({ statusCode: 504 })
    expect(world.sent()).toHaveLength(2)
    far.waiting[1]!()
    await far.until(3)
    far.waiting[2]!()
    expect((await second).body.state).toBe('pending')
    expect(world.sent()).toHaveLength(3)
    expect(await row(number)).toMatchObject({ sends: 3, lease_token: 2 })
  })

  test('nobody may take a lease that has not run out', async () => {
    await open()
    const number = freshNumber()
    const body = orderBody({ out_trade_no: number, remark: 'sandbox:lost' })
    await world.create(body)
    await world.store.db
      .updateTable('orders')
      .set({ lease_until_ms: world.clock.nowMs() + 60_000 })
      .execute()
    expect((await world.create(body)).statusCode).toBe(409)
    expect(world.sent()).toHaveLength(1)
  })
})

describe('near its expiry', () => {
  test('an unanswered order is looked at, not asked for again', async () => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const number = freshNumber()
    const body = orderBody({ out_trade_no: number, time_expire: 1_800_000_200, remark: 'sandbox:lost' })
    await world.create(body)
    world.clock.nowMsValue = 1_800_000_140_000
    expect((await world.create(body)).statusCode).toBe(504)
    expect(world.sent('official_account_pay')).toHaveLength(1)
    expect(world.sent('query_order')).toHaveLength(1)
    world.sandbox.pay(number)
    world.clock.nowMsValue += 3000
    expect(await world.create(body)).toMatchObject({ statusCode: 200, body: { state: 'paid' } })
  })

  test('a 103 that would be answered too late is not answered', async () => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const number = freshNumber()
    const body = orderBody({ out_trade_no: number, time_expire: 1_800_000_200, remark: 'sandbox:lost,103' })
    await world.create(body)
    world.clock.nowMsValue = 1_800_000_138_000
    expect((await world.create(body)).statusCode).toBe(504)
    expect(world.sent('official_account_pay')).toHaveLength(2)
  })

  test('61 s before, it is still asked for', async () => {
    await open()
    world.clock.nowMsValue = 1_800_000_000_000
    const body = orderBody({
      out_trade_no: freshNumber(),
      time_expire: 1_800_000_200,
      remark: 'sandbox:lost',
    })
    await world.create(body)
    world.clock.nowMsValue = 1_800_000_139_000
    expect((await world.create(body)).statusCode).toBe(200)
    expect(world.sent('official_account_pay')).toHaveLength(2)
  })
})
