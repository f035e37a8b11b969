import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { freshNumber, orderBody } from '../../support/world'

let shop: Shop
const open = async ({ env, ...options }: ShopOptions = {}) =>
  (shop = await openShop({ env: { CLOSE_NOT_BEFORE: '0', ...env }, ...options }))
afterEach(() => shop.close())

const OF = { merchant_order_id: 'cart-1' }
const stateOf = async (number: string) => (await shop.order(number)).state
const attempt = (out_trade_no = freshNumber(), headers = {}, rest: object = OF) =>
  shop.create(orderBody({ out_trade_no }, { ...rest }), headers)
const slots = async () =>
  (
    await shop.store.db
      .selectFrom('orders')
      .select(['out_trade_no', 'state'])
      .where('purchase_slot', '=', 'cart-1')
      .execute()
  ).map(({ out_trade_no }) => out_trade_no)

describe('a purchase', () => {
  test('has one order: a second attempt closes the first one, with proof, before it is made', async () => {
    await open()
    const first = await shop.place({}, OF)
    shop.sandbox.received.length = 0
    const second = await attempt()
    expect(second.statusCode).toBe(201)
    expect(second.body.merchant_order_id).toBe('cart-1')
    expect(shop.sandbox.received.map((one) => one.interface)).toEqual([
      'query_order',
      'close_order',
      'query_order',
      'official_account_pay',
    ])
    expect([await stateOf(first), await slots()]).toEqual(['closed', [second.body.out_trade_no]])
    expect(shop.sandbox.look(first)!.state).toBe('closed')
  })

  test('whose order may not be closed yet keeps it: 409 with the time to wait', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '300' } })
    const first = await shop.place({}, OF)
    shop.pass(100)
    const { statusCode, body, headers } = await attempt()
    expect([statusCode, body.code, body.out_trade_no, headers['retry-after']]).toEqual([
      409,
      'purchase_open',
      first,
      '200',
    ])
    expect([await stateOf(first), shop.sent('close_order')]).toEqual(['pending', []])
    shop.pass(200)
    expect((await attempt()).statusCode).toBe(201)
    expect(await stateOf(first)).toBe('closed')
  })

  test.each(['3', '104', 'silent'] as const)(
    'whose order is not proved closed (%s) keeps it',
    async (fault) => {
      await open()
      const first = await shop.place({}, OF)
      shop.faults['close_order'] = fault
      shop.faults['query_order'] = fault === 'silent' ? 'silent' : 'ok'
      const second = freshNumber()
      expect(await attempt(second)).toMatchObject({
        statusCode: 409,
        body: { code: 'purchase_open', out_trade_no: first },
      })
      expect([await shop.order(second), await slots()]).toEqual([undefined, [first]])
      expect(shop.sandbox.look(second)).toBeUndefined()
    },
  )

  test('that turns out paid is paid: 409, and no second order', async () => {
    await open()
    const first = await shop.place({}, OF)
    shop.sandbox.pay(first)
    expect(await attempt()).toMatchObject({
      statusCode: 409,
      body: { code: 'purchase_paid', out_trade_no: first },
    })
    expect([await stateOf(first), shop.sandbox.orders.size]).toEqual(['paid', 1])
    // And stays so.
    expect((await attempt()).body.code).toBe('purchase_paid')
  })

  test('may have another order after one that failed, closed or was refunded in full', async () => {
    await open()
    shop.faults['official_account_pay'] = ['104']
    expect((await attempt()).statusCode).toBe(502)
    const second = await shop.place({}, OF)
    await shop.closeOrder(second)
    const third = await shop.placePaid({}, OF)
    expect((await attempt()).body.code).toBe('purchase_paid')
    await shop.refund(third, { out_refund_no: 'sb01part', refund_fee: 880 })
    await shop.runFor(80)
    expect((await attempt()).body.code).toBe('purchase_paid')
    await shop.refund(third, { out_refund_no: 'sb01rest', refund_fee: 1000 })
    await shop.runFor(80)
    expect((await attempt()).statusCode).toBe(201)
  })

  test('of another caller is not told of, nor closed', async () => {
    await open()
    const first = await shop.place({}, OF)
    const { statusCode, body } = await attempt(undefined, { 'x-local-caller': 'mallory' })
    expect([statusCode, body.code, body.out_trade_no]).toEqual([409, 'purchase_open', undefined])
    expect(await stateOf(first)).toBe('pending')
  })

  test('whose order may be somebody else’s (102) is not closed for a new one', async () => {
    await open()
    shop.faults['official_account_pay'] = ['3', '102']
    const first = freshNumber()
    expect((await attempt(first)).statusCode).toBe(504)
    expect((await attempt()).body).toMatchObject({ code: 'purchase_open', out_trade_no: first })
    expect(shop.sent('close_order')).toEqual([])
  })

  test('asked for again under the same number or key is the same order, and nothing is closed', async () => {
    await open()
    const number = await shop.place({}, OF)
    expect(await attempt(number)).toMatchObject({ statusCode: 200, body: { out_trade_no: number } })
    expect(shop.sent('close_order')).toEqual([])
  })

  test('is told apart by the whole of its name, and orders without one are nobody’s', async () => {
    await open()
    for (const merchant_order_id of ['cart-1', 'cart-10', 'CART-1', 'cart']) {
      expect((await attempt(undefined, {}, { merchant_order_id })).statusCode).toBe(201)
    }
    for (let at = 0; at < 2; at++) expect((await attempt(undefined, {}, {})).statusCode).toBe(201)
    expect((await attempt(undefined, {}, { merchant_order_id: 'cart 1' })).statusCode).toBe(400)
  })

  test.each(['0', '300'])(
    'attempted ten times at once (CLOSE_NOT_BEFORE %s) never has two open orders',
    async (wait) => {
      await open({ env: { CLOSE_NOT_BEFORE: wait } })
      const answers = await Promise.all(Array.from({ length: 10 }, () => attempt()))
      expect(answers.every(({ statusCode }) => [201, 409, 503].includes(statusCode))).toBe(true)
      expect(answers.some(({ statusCode }) => statusCode === 201)).toBe(true)
      // Each may close the one before it; whoever has made way and then loses its own race leaves none.
      expect((await slots()).length).toBeLessThanOrEqual(1)
      if (wait === '300') expect(await slots()).toHaveLength(1)
      const open_ = [...shop.sandbox.orders.values()].filter(({ state }) => state === 'waiting')
      expect(open_.map(({ out_trade_no }) => out_trade_no)).toEqual(await slots())
    },
  )
})

describe('two orders of one purchase, both paid', () => {
  /** The first is closed for the second; then money comes for both. */
  async function both(policy: 'refund' | 'honour', secondFirst: boolean) {
    await open({ env: { LATE_PAYMENT: policy } })
    const first = await shop.place({}, OF)
    const second = await shop.place({}, OF)
    const late = () => shop.sandbox.pay(first, { late: true })
    if (!secondFirst) late()
    shop.sandbox.pay(second)
    if (secondFirst) late()
    for (const number of secondFirst ? [second, first] : [first, second]) await shop.refresh(number)
    expect([await stateOf(first), await stateOf(second)]).toEqual(['paid_after_close', 'paid'])
    return { first, second }
  }

  test.each([
    ['refund', true],
    ['refund', false],
    ['honour', true],
    ['honour', false],
  ] as const)(
    'policy %s, the later one seen first: %s: the late one goes back, once, and a person is told',
    async (policy, order) => {
      const { first, second } = await both(policy, order)
      expect(await shop.order(first)).toMatchObject({ late_policy: 'refund', purchase_slot: null })
      expect(await shop.anomalies()).toMatchObject([
        { kind: 'second_payment', out_trade_no: first, evidence: { purchase: 'cart-1' } },
      ])
      await shop.runFor(600)
      await shop.allDue()
      await shop.runFor(100)
      expect([await stateOf(first), await stateOf(second)]).toEqual(['refunded', 'paid'])
      expect(shop.sent('refund')).toHaveLength(1)
      expect(shop.sandbox.look(first)!.refunded_fen).toBe(1880)
      expect(shop.sandbox.look(second)!.refunded_fen).toBe(0)
      expect(await slots()).toEqual([second])
    },
  )

  test('honoured late money takes the purchase: the next attempt hears that it is paid', async () => {
    await open({ env: { LATE_PAYMENT: 'honour' } })
    const first = await shop.place({}, OF)
    await shop.closeOrder(first)
    shop.sandbox.pay(first, { late: true })
    await shop.refresh(first)
    expect(await shop.order(first)).toMatchObject({ state: 'paid_after_close', late_policy: 'honour' })
    expect(await attempt()).toMatchObject({
      statusCode: 409,
      body: { code: 'purchase_paid', out_trade_no: first },
    })
    expect(await shop.anomalies()).toEqual([])
  })

  test('under honour, the one that is seen first is kept when both came late', async () => {
    await open({ env: { LATE_PAYMENT: 'honour' } })
    const numbers = [await shop.place({}, OF), await shop.place({}, OF)]
    await shop.closeOrder(numbers[1]!)
    for (const number of numbers) shop.sandbox.pay(number, { late: true })
    await Promise.all(numbers.map((number) => shop.refresh(number)))
    const policies = await Promise.all(numbers.map(async (number) => (await shop.order(number)).late_policy))
    expect([...policies].sort()).toEqual(['honour', 'refund'])
    await shop.runFor(600)
    expect((await Promise.all(numbers.map(stateOf))).sort()).toEqual(['paid_after_close', 'refunded'])
    expect(await slots()).toEqual([numbers[policies.indexOf('honour')]])
  })
})
