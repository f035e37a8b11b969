import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { openTown, type Town } from '../../support/town'
import { freshNumber } from '../../support/world'

const SCENE_INFO = '{"h5_info":{"type":"Wap","wap_url":"https://shop.example","wap_name":"湖心"}}'
const IP = '203.0.113.7'

const SCENES = {
  scan_code_pay: { trade_type: 2 },
  app_pay: { trade_type: 4, key: { wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp1' } } },
  mob_web_pay: {
    trade_type: 6,
    content: { wxpay_pay_content_ext: { scene_info: SCENE_INFO } },
    order_client: { spbill_create_ip: IP },
  },
} as const
type Name = keyof typeof SCENES
const NAMES = Object.keys(SCENES) as Name[]

type Row = { trade_type: number; key?: object; content?: object; order_client?: object }
const body = (name: Name, content: object = {}) => {
  const { trade_type, key, content: own, order_client }: Row = SCENES[name]
  return {
    pay_content: { out_trade_no: freshNumber(), total_fee: 1880, body: '湖心-大杯', ...own, ...content },
    pay_mch_key: { pay_platform: 1, ...key },
    ...(order_client ? { order_client } : {}),
    trade_type,
  }
}

describe('for the merchant', () => {
  let shop: Shop
  const open = async (options: ShopOptions = {}) => (shop = await openShop(options))
  afterEach(() => shop.close())
  const sent = (name: Name) => JSON.parse(shop.sent(name)[0]!.request_content!) as Record<string, object>

  test.each(NAMES)('%s is accepted, waits, and is paid when a query says so', async (name) => {
    await open()
    const { statusCode, body: order } = await shop.create(body(name))
    expect([statusCode, order.state, order.trade_type]).toEqual([201, 'pending', SCENES[name].trade_type])
    expect(order.payment).toBeTruthy()
    // Accepted, and no more: nothing of the answer was about the money.
    expect((await shop.order(order.out_trade_no as string)).wallet_state).toBeNull()
    shop.sandbox.pay(order.out_trade_no as string)
    await shop.runFor(20)
    expect((await shop.order(order.out_trade_no as string)).state).toBe('paid')
  })

  test('refunds to whoever scanned are not counted as those of one payer', async () => {
    await open({
      env: { PAYER_REFUNDS_PER_DAY: '1' },
      overrides: { authorize: async () => ({ id: 'till', kind: 'merchant' }) },
    })
    const refunded = async (number: string, id: string) => {
      shop.sandbox.pay(number)
      await shop.refresh(number)
      return (await shop.refund(number, { refund_fee: 100, out_refund_no: `sb01${id}` })).statusCode
    }
    const scanned = async () => (await shop.create(body('scan_code_pay'))).body.out_trade_no as string
    expect(await refunded(await scanned(), 'r1')).toBeLessThan(300)
    expect(await refunded(await scanned(), 'r2')).toBeLessThan(300)
    // A payer who is named has their one.
    const [one, two] = [await shop.place(), await shop.place()]
    expect(await refunded(one, 'r3')).toBeLessThan(300)
    expect(await refunded(two, 'r4')).toBe(429)
  })

  test.each(NAMES)('%s that nobody pays is closed at its expiry, with proof', async (name) => {
    await open()
    const { body: order } = await shop.create(body(name))
    await shop.runFor(1000)
    expect((await shop.order(order.out_trade_no as string)).state).toBe('closed')
    expect(shop.sandbox.look(order.out_trade_no as string)!.state).toBe('closed')
  })

  test.each(NAMES)('%s after an unknown is asked for with the very same text', async (name) => {
    await open()
    shop.faults[name] = ['lost', 'ok']
    const asked = body(name)
    expect((await shop.create(asked)).statusCode).toBe(504)
    expect((await shop.create(asked)).body.payment).toBeTruthy()
    const texts = shop.sent(name).map((one) => one.request_content)
    expect([texts.length, new Set(texts).size]).toEqual([2, 1])
  })

  test('scan_code_pay may be paid by anybody: no payer is compared, and none is stored', async () => {
    await open()
    const { body: order } = await shop.create(body('scan_code_pay'))
    const number = order.out_trade_no as string
    shop.sandbox.pay(number)
    // Who paid, as the wallet tells it afterwards.
    const ext = { sub_open_id: 'oWhoeverScanned' }
    Object.assign(shop.sandbox.orders.get(number)!.request.pay_mch_key, { wxpay_pay_mch_key_ext: ext })
    expect((await shop.refresh(number)).body).toMatchObject({ state: 'paid', refreshed: true })
    expect(await shop.order(number)).toMatchObject({ payer_field: '', payer_id: '' })
    expect(await shop.anomalies()).toEqual([])
  })

  test('each sends what its page has and nothing else', async () => {
    await open()
    for (const name of NAMES) await shop.create(body(name))
    const scanned = sent('scan_code_pay')
    expect(scanned).not.toHaveProperty('trade_type')
    expect(scanned['pay_mch_key']).not.toHaveProperty('wxpay_pay_mch_key_ext')
    const { out_trade_no } = scanned['pay_content'] as { out_trade_no: string }
    expect(scanned['pay_content']).toMatchObject({ wxpay_pay_content_ext: { product_id: out_trade_no } })
    expect(sent('app_pay')).not.toHaveProperty('order_client')
    expect(sent('app_pay')['pay_mch_key']).toMatchObject({ wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp1' } })
    expect(sent('mob_web_pay')['order_client']).toEqual({ spbill_create_ip: IP })
  })

  test('the hand-over is what the answer had, and no address but a wallet’s', async () => {
    await open({ switches: { mobWebHost: 'elsewhere' } })
    expect((await shop.create(body('mob_web_pay'))).body).toMatchObject({
      payment: null,
      payment_fault: { code: 'handover_untrusted', missing: ['mweb_url'] },
    })
    shop.sandbox.switches.mobWebAnswer = 'nothing'
    expect((await shop.create(body('mob_web_pay'))).body).toMatchObject({
      payment: null,
      payment_fault: { code: 'handover_incomplete', missing: ['mweb_url'] },
    })
    expect((await shop.create(body('scan_code_pay'))).body.payment.code_url).toMatch(/^weixin:\/\/wxpay\//)
  })

  test.each([
    'http://wx.tenpay.com/x',
    'https://wx.tenpay.com.evil.example/x',
    'https://evil.example/wx.tenpay.com',
    'https://wx.tenpay.com@evil.example/',
    'https://eviltenpay.com/',
    'https://wx.tenpay.com:8443/',
    '//wx.tenpay.com/',
    'javascript:alert(1)//https://wx.tenpay.com/',
  ])('%s is nowhere to send a payer', async (mweb_url) => {
    await open()
    const { body: order } = await shop.create(body('mob_web_pay'))
    const number = order.out_trade_no as string
    await shop.store.db
      .updateTable('orders')
      .set({ jsapi_args: JSON.stringify({ mweb_url }) })
      .execute()
    expect((await shop.status(number)).body).toMatchObject({
      payment: null,
      payment_fault: { code: 'handover_untrusted' },
    })
  })

  test.each([
    ['scan_code_pay', '大杯', '网站title-商品'],
    ['app_pay', '大杯-', 'App 名-商品'],
    ['mob_web_pay', '-', '网站title-商品'],
  ] as const)('%s with the body %s is made all the same, with advice', async (name, text, advised) => {
    await open()
    const { statusCode, body: order } = await shop.create(body(name, { body: text }))
    expect(statusCode).toBe(201)
    expect(order.warnings).toEqual([
      {
        code: 'body_format',
        field: 'pay_content.body',
        message_zh: expect.stringContaining(`“${advised}”`) as string,
        message_en: expect.stringMatching(/is the advised form/) as string,
      },
    ])
    expect((await shop.create(body(name))).body.warnings).toBeUndefined()
  })

  test('a shop’s bill names the shop, its town and the article', async () => {
    await open()
    const micro = (text: string) => ({
      pay_content: { total_fee: 1, body: text, author_code: '134567890123456789' },
      pay_mch_key: { pay_platform: 1 },
      trade_type: 1,
    })
    expect((await shop.create(micro('湖心-大杯'))).body.warnings[0].message_zh).toContain('门店-城市-商品')
    expect((await shop.create(micro('湖心-上海-大杯'))).body.warnings).toBeUndefined()
  })
})

describe('for a payer who has logged in', () => {
  let town: Town
  const open = async () => (town = await openTown())
  afterEach(() => town.close())
  const order = async (payer: Awaited<ReturnType<Town['login']>>, asked: object, event: object = {}) => {
    const answer = await payer.call('POST', '/orders', {
      event: { body: JSON.stringify(asked), headers: { ...payer.headers, ...event } },
    })
    return { status: answer.statusCode, body: answer.body }
  }
  const from = (address: string) => ({ 'x-scf-remote-addr': address })

  test('a code to scan at the price of a quote: theirs to read, and not theirs alone to pay', async () => {
    await open()
    const payer = await town.login('mini_program')
    const { status, body: made } = await order(payer, { quote: town.quote(), trade_type: 2 })
    expect([status, made.trade_type, Object.keys(made.payment as object)]).toEqual([201, 2, ['code_url']])
    const number = made.out_trade_no as string
    expect(await town.order(number)).toMatchObject({ payer_id: 'oSandboxMiniPayer0001' })
    expect(town.sent('scan_code_pay')[0]!.request_content).not.toContain('oSandboxMiniPayer0001')
    expect((await payer.call('GET', `/orders/${number}`)).statusCode).toBe(200)
    const other = await town.login('mini_program', 'oSomebodyElse01')
    expect((await other.call('GET', `/orders/${number}`)).statusCode).toBe(404)
    expect((await order(other, { quote: town.quote(), trade_type: 2 })).body.code).toBe('quote_not_yours')

    // A friend scans it: the wallet names who paid, and it is paid all the same.
    town.sandbox.pay(number)
    const ext = { sub_open_id: 'oAFriend01' }
    Object.assign(town.sandbox.orders.get(number)!.request.pay_mch_key, { wxpay_pay_mch_key_ext: ext })
    await town.runFor(20)
    expect([(await town.order(number)).state, await town.anomalyKinds()]).toEqual(['paid', []])
  })

  test('in a browser, from the address the request came from', async () => {
    await open()
    const payer = await town.login('official_account', 'oSandboxMiniPayer0001')
    const asked = {
      quote: town.quote(),
      trade_type: 6,
      pay_content: { wxpay_pay_content_ext: { scene_info: SCENE_INFO } },
    }
    const { status, body: made } = await order(payer, asked, from(IP))
    expect([status, Object.keys(made.payment as object)]).toEqual([201, ['mweb_url']])
    expect(JSON.parse(town.sent('mob_web_pay')[0]!.request_content!).order_client).toEqual({
      spbill_create_ip: IP,
    })
    const lie = { ...asked, quote: town.quote(), order_client: { spbill_create_ip: '198.51.100.1' } }
    expect((await order(payer, lie, from(IP))).body.fields).toMatchObject([
      { field: 'order_client.spbill_create_ip', code: 'server_owned' },
    ])
    // What the platform does not tell in four numbers, the payer has to.
    const v6 = await order(payer, { ...asked, quote: town.quote() }, from('2001:db8::1'))
    expect(v6.body.fields).toMatchObject([{ field: 'order_client.spbill_create_ip', code: 'required' }])
    const coupon = { wxpay_pay_content_ext: { scene_info: SCENE_INFO, goods_tag: 'half' } }
    const discount = await order(payer, { ...asked, quote: town.quote(), pay_content: coupon }, from(IP))
    expect(discount.body.fields).toMatchObject([{ field: 'pay_content.wxpay_pay_content_ext' }])
  })

  test('in an app, and at the catalogue’s price as well', async () => {
    await open()
    await town.sell('tea', 1880)
    const payer = await town.login('mini_program')
    const asked = {
      sku: 'tea',
      trade_type: 4,
      pay_mch_key: { wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp1' } },
    }
    const { status, body: made } = await order(payer, asked, { 'idempotency-key': 'k1' })
    expect([status, made.total_fee, made.payment.appId]).toEqual([201, 1880, 'wxapp1'])
    const alipay = await town.login('alipay')
    expect((await order(alipay, asked, { 'idempotency-key': 'k2' })).status).toBe(400)
  })

  test('another way of being logged in is not chosen, and nobody is scanned by themselves', async () => {
    await open()
    const payer = await town.login('mini_program')
    expect((await order(payer, { quote: town.quote(), trade_type: 3 })).body.code).toBe('body_invalid')
    const scanned = { quote: town.quote(), trade_type: 1, pay_content: { author_code: '134567890123456789' } }
    expect(await order(payer, scanned)).toMatchObject({ status: 403, body: { code: 'caller_not_allowed' } })
    expect(town.sandbox.received).toEqual([])
  })

  test('counts against the same limit, whichever way it is paid', async () => {
    town = await openTown({ env: { PAYER_OPEN_ORDERS_MAX: '2' } })
    const payer = await town.login('mini_program')
    expect((await order(payer, { quote: town.quote() })).status).toBe(201)
    expect((await order(payer, { quote: town.quote(), trade_type: 2 })).status).toBe(201)
    expect((await order(payer, { quote: town.quote(), trade_type: 2 })).body.code).toBe('too_many_orders')
  })
})
