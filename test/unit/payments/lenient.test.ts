import { ALIPAY, openShop, type Shop, type ShopOptions } from '../../support/shop'
import { lying, put } from '../../support/tamper'

/** What decides nothing does not void an answer: it is read where it fits, and absent where it does not. */
let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

const lieOf = (suffix: string, path: string, value: unknown) => ({
  wrapPost: lying((content, asked) => {
    if (asked === suffix) put(content, path, value)
  }),
})
/** What the log says of members that were there and could not be read. */
const misfits = () =>
  shop.log
    .filter(({ event }) => event === 'answer.misfit')
    .map(({ interface: of, at }) => `${String(of)}: ${String(at)}`)

const ORDER = 'query_order.order_content'
const WECHAT: [string, unknown][] = [
  [`${ORDER}.transaction_id`, 4200],
  [`${ORDER}.transaction_id`, 'x'.repeat(65)],
  [`${ORDER}.time_end`, '1900000000'],
  [`${ORDER}.time_end`, -1],
  [`${ORDER}.time_expire`, {}],
  [`${ORDER}.last_update_time`, 'yesterday'],
  [`${ORDER}.cash_fee`, '1880'],
  [`${ORDER}.settlement_total_fee`, -1],
  [`${ORDER}.nonce_str`, 7],
  [`${ORDER}.wxpay_order_content_ext.prepare_id`, ['x']],
  [`${ORDER}.alipay_order_content_ext`, 'x'],
  [`${ORDER}.alipay_order_content_ext`, { current_trade_state: 'x' }],
  ['query_order.pay_mch_key.alipay_pay_mch_key_ext', []],
  ['query_order.nonce_str', 7],
  ['log_id', '3056348287'],
  ['description', { zh: '操作成功' }],
]
/** Nobody has to read them: members the answer to a query does not need, and numbers of any size. */
const UNREAD: [string, unknown][] = [
  ['query_order.jsapi_args', 'x'],
  [`${ORDER}.somebody_elses`, [null]],
  ['log_id', 4_294_967_296],
  ['log_id', 9_007_199_254_740_991],
]

describe('a signed "paid" is a payment', () => {
  test.each(WECHAT)('although %s is %j, which is said in the log', async (path, value) => {
    await open(lieOf('query_order', path, value))
    const number = await shop.place()
    shop.sandbox.pay(number)
    await shop.refresh(number)
    expect((await shop.order(number)).state).toBe('paid')
    const at = path.replace('query_order.', '')
    expect(misfits()).toEqual([`query_order: ${at}`])
    expect(await shop.anomalyKinds()).toEqual([])
  })

  test.each([...WECHAT.map(([path]): [string, unknown] => [path, null]), ...UNREAD])(
    'with %s as %j, of which nobody speaks',
    async (path, value) => {
      await open(lieOf('query_order', path, value))
      const number = await shop.place()
      shop.sandbox.pay(number)
      await shop.refresh(number)
      expect([(await shop.order(number)).state, misfits()]).toEqual(['paid', []])
    },
  )

  test('of an Alipay order although the other platform’s extensions are of another type', async () => {
    await open({
      wrapPost: lying((content, asked) => {
        if (asked !== 'query_order') return
        put(content, `${ORDER}.wxpay_order_content_ext`, 'x')
        put(content, 'query_order.pay_mch_key.wxpay_pay_mch_key_ext', 7)
      }),
    })
    const number = await shop.placePaid({}, ALIPAY)
    expect((await shop.order(number)).state).toBe('paid')
    expect(misfits().sort()).toEqual([
      'query_order: order_content.wxpay_order_content_ext',
      'query_order: pay_mch_key.wxpay_pay_mch_key_ext',
    ])
  })

  test('nothing of what does not fit is coerced', async () => {
    await open({
      wrapPost: lying((content, asked) => {
        if (asked !== 'query_order') return
        put(content, `${ORDER}.transaction_id`, 4200)
        put(content, `${ORDER}.cash_fee`, '1880')
        put(content, `${ORDER}.settlement_total_fee`, true)
      }),
    })
    const number = await shop.placePaid()
    expect(await shop.order(number)).toMatchObject({
      state: 'paid',
      transaction_id: null,
      cash_fee: null,
      settlement_total_fee: null,
    })
    expect(misfits()).toHaveLength(3)
  })

  test.each([undefined, null, 0, '1900000000'])(
    'and with time_end %j the day of learning counts',
    async (time_end) => {
      await open(lieOf('query_order', `${ORDER}.time_end`, time_end))
      const number = await shop.place()
      shop.sandbox.pay(number)
      shop.pass(90)
      await shop.refresh(number)
      expect(await shop.order(number)).toMatchObject({ state: 'paid', paid_at: shop.nowS() })
    },
  )
})

describe('where a member is relied on', () => {
  test('the log names the one that cannot be read', async () => {
    await open(lieOf('query_order', `${ORDER}.total_fee`, '1880'))
    const number = await shop.place()
    shop.sandbox.pay(number)
    await shop.refresh(number)
    expect((await shop.order(number)).state).toBe('pending')
    expect(shop.log).toContainEqual(
      expect.objectContaining({
        event: 'order.looked',
        why: 'member_malformed',
        at: ['order_content.total_fee'],
      }),
    )
  })

  test('a list that stands for an object is no object without members', async () => {
    await open(lieOf('query_order', 'query_order.pay_mch_key.wxpay_pay_mch_key_ext', ['x']))
    const number = await shop.place()
    shop.sandbox.pay(number)
    await shop.refresh(number)
    expect((await shop.order(number)).state).toBe('pending')
  })

  test.each([true, 'false', 0, {}])('is_transforming %j says that nothing has ended', async (value) => {
    await open(lieOf('query_order', `${ORDER}.is_transforming`, value))
    const number = await shop.place()
    shop.sandbox.close(number)
    await shop.refresh(number)
    expect((await shop.order(number)).state).toBe('pending')
  })

  test.each([false, null, undefined])('is_transforming %j says nothing', async (value) => {
    await open(lieOf('query_order', `${ORDER}.is_transforming`, value))
    const number = await shop.place()
    shop.sandbox.close(number)
    await shop.refresh(number)
    expect((await shop.order(number)).state).toBe('closed')
  })

  test.each(['407', true, 1.5])('a no with internal_status %j is not final', async (value) => {
    await open({
      ...lieOf('official_account_pay', 'internal_status', value),
      env: { CLOSE_NOT_BEFORE: '0' },
    })
    shop.faults['official_account_pay'] = '104'
    const answer = await shop.place().catch((error: Error) => error.message)
    expect(answer).toContain('outcome_unknown')
    const [order] = await shop.store.db.selectFrom('orders').select('state').execute()
    expect(order).toEqual({ state: 'created' })
  })
})

describe('a create', () => {
  test.each<[string, unknown]>([
    ['order_content.transaction_id', null],
    ['order_content.transaction_id', 7],
    ['order_content.time_end', null],
    ['order_content.wxpay_order_content_ext.prepare_id', null],
    ['pay_mch_key.alipay_pay_mch_key_ext', null],
  ])('answered with %s as %j can be paid', async (path, value) => {
    await open(lieOf('official_account_pay', `official_account_pay.${path}`, value))
    expect((await shop.order(await shop.place())).state).toBe('pending')
  })

  test.each<[string, unknown]>([
    ['jsapi_args', null],
    ['jsapi_args', 'x'],
    ['jsapi_args.wxpay', []],
    ['jsapi_args.wxpay.get_brand_wcpay.pay_sign', null],
    ['jsapi_args.wxpay.get_brand_wcpay.timestamp', 1_900_000_000],
  ])('answered with %s as %j is unknown: there would be nothing to hand over', async (path, value) => {
    await open(lieOf('official_account_pay', `official_account_pay.${path}`, value))
    expect(await shop.place().catch((error: Error) => error.message)).toContain('outcome_unknown')
  })
})

describe('a refund', () => {
  const at = 'query_refund_order.refund_order_content.0'
  test.each<[string, unknown]>([
    [`${at}.refund_id`, null],
    [`${at}.refund_id`, 5030],
    [`${at}.create_time`, 'x'],
    [`${at}.last_update_time`, 'x'],
    [`${at}.nonce_str`, 7],
    [`${at}.refund_fee_type`, ''],
    [`${at}.alipay_refund_order_content_ext`, 'x'],
  ])('succeeds although %s is %j', async (path, value) => {
    await open(lieOf('query_refund_order', path, value))
    const number = await shop.placePaid()
    const r = { out_refund_no: 'sb01r1', refund_fee: 880 }
    await shop.refund(number, r)
    shop.pass(3)
    await shop.refund(number, r)
    expect((await shop.refunds(number))[0]).toMatchObject({
      state: 'succeeded',
      ...(path.endsWith('refund_id') ? { refund_id: null } : {}),
    })
  })

  test('is accepted although the object it is answered with has a refund_id of another type', async () => {
    await open(lieOf('refund', 'refund.refund_order_content.refund_id', 5030))
    const number = await shop.placePaid()
    await shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 880 })
    expect((await shop.refunds(number))[0]!.state).toBe('accepted')
    expect(misfits()).toEqual(['refund: refund_order_content.0.refund_id'])
  })
})
