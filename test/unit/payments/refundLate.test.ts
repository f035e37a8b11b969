import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { lying, put } from '../../support/tamper'

/** Money that came for a closed order goes back, whatever becomes of the attempts. */
let shop: Shop
const open = async (options: ShopOptions = {}) =>
  (shop = await openShop({ ...options, env: { CLOSE_NOT_BEFORE: '0', ...options.env } }))
afterEach(() => shop.close())

const asks = () =>
  shop.sent('refund').map(({ request_content }) => JSON.parse(request_content!).refund_content)
const money = async (number: string) => {
  const { state, reserved_fen, refunded_fen } = await shop.order(number)
  return [state, reserved_fen, refunded_fen]
}
const told = async () => (await shop.anomalyKinds()).filter((kind) => kind !== 'timer_silent')

/** Closed, then paid, and known to be. */
async function paidLate(): Promise<string> {
  const number = await shop.place()
  await shop.closeOrder(number)
  shop.sandbox.pay(number, { late: true })
  await shop.refresh(number)
  expect(await money(number)).toEqual(['paid_after_close', 0, 0])
  return number
}
const HOUR = 3600
const DAY = 86_400

describe('an attempt that is refused', () => {
  test('fails and lets go, and the next one comes after an hour under a number of its own, then daily', async () => {
    await open()
    const number = await paidLate()
    shop.faults['refund'] = ['104', '104', '104']
    await shop.runFor(40)
    expect([asks().length, await money(number)]).toEqual([1, ['paid_after_close', 0, 0]])
    await shop.runFor(HOUR - 100)
    expect(asks()).toHaveLength(1)
    await shop.runFor(200)
    expect(asks()).toHaveLength(2)
    shop.pass(DAY - 200)
    await shop.runFor(60)
    expect(asks()).toHaveLength(2)
    await shop.runFor(300)
    expect(asks()).toHaveLength(3)
    // One matter for a person, however many attempts.
    expect(await told()).toEqual(['refund_unresolved'])
    shop.pass(DAY)
    await shop.runFor(400)
    expect(await money(number)).toEqual(['refunded', 1880, 1880])
    const numbers = asks().map(({ out_refund_no }) => String(out_refund_no))
    expect([numbers.length, new Set(numbers).size]).toEqual([4, 4])
    for (const one of numbers) expect(one).toMatch(/^sb01a[0-9a-z]{27}$/)
    expect(asks().every(({ refund_fee }) => refund_fee === 1880)).toBe(true)
  })

  test('and went back all the same is followed by none: a person is told, and after twenty looks the order has a flag', async () => {
    let isFirst = true
    await open({
      // It arrives twice: the first copy is refused, the second one is taken, and we hear the refusal.
      wrapPost: (post) => async (url, body, options) => {
        if (!url.endsWith('/refund') || !isFirst) return post(url, body, options)
        isFirst = false
        shop.faults['refund'] = ['104']
        const refusal = await post(url, body, options)
        await post(url, body, { ...options, beforeSend: async () => undefined })
        return refusal
      },
    })
    const number = await paidLate()
    await shop.runFor(40)
    expect([asks().length, await money(number)]).toEqual([2, ['paid_after_close', 0, 0]])
    await shop.runFor(HOUR + 100)
    for (let day = 0; day < 25; day++) {
      await shop.allDue()
      await shop.timer()
    }
    expect(asks()).toHaveLength(2)
    expect((await told()).sort()).toEqual(['order_unresolved', 'refund_mismatch', 'refund_unresolved'])
    expect((await shop.order(number)).flag).toBe('unresolved')
  })

  test('is not forgotten because a clerk refunds a part: the rest goes back', async () => {
    await open()
    const number = await paidLate()
    expect((await shop.refund(number, { refund_fee: 300, out_refund_no: 'sb01clerk' })).statusCode).toBe(202)
    // The automatic one can read no list at its turn.
    shop.faults['query_refund_order'] = ['3', '3']
    await shop.runFor(20)
    expect(asks().map(({ refund_fee }) => refund_fee)).toEqual([300])
    await shop.runFor(HOUR)
    expect(asks().map(({ refund_fee }) => refund_fee)).toEqual([300, 1580])
    expect(await money(number)).toEqual(['refunded', 1880, 1880])
  })

  test('is followed by one that looks first: whether it is paid, and what went back', async () => {
    await open()
    const number = await paidLate()
    shop.faults['refund'] = ['104']
    await shop.runFor(40)
    shop.sandbox.refundInConsole(number, 300)
    const [orders, lists] = [shop.sent('query_order').length, shop.sent('query_refund_order').length]
    await shop.runFor(HOUR + 100)
    expect(shop.sent('query_order').length).toBeGreaterThan(orders)
    expect(shop.sent('query_refund_order').length).toBeGreaterThan(lists)
    expect(asks().map(({ refund_fee }) => refund_fee)).toEqual([1880, 1580])
    expect(await money(number)).toEqual(['refunded', 1880, 1880])
  })

  test('two runs at once make one attempt', async () => {
    await open()
    const number = await paidLate()
    shop.faults['refund'] = ['104']
    await shop.runFor(40)
    shop.pass(HOUR)
    await Promise.all([shop.timer(), shop.timer(), shop.timer()])
    const attempts = (await shop.refunds(number)).filter(({ origin }) => origin === 'automatic')
    expect([attempts.length, asks().length]).toEqual([2, 2])
  })

  test('and while the wallet does not say paid, no other is made', async () => {
    let lie = false
    await open({
      wrapPost: lying((content, suffix) => {
        if (lie && suffix === 'query_order' && content.query_order)
          put(content, 'query_order.order_content.wxpay_order_content_ext.current_trade_state', 7)
      }),
    })
    await paidLate()
    shop.faults['refund'] = ['104']
    await shop.runFor(40)
    lie = true
    await shop.runFor(2 * HOUR)
    expect(asks()).toHaveLength(1)
    lie = false
    await shop.runFor(HOUR)
    expect(asks()).toHaveLength(2)
  })
})

describe('what somebody else asked for of it', () => {
  test('and that failed later on goes back as well', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await paidLate()
    await shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 300 })
    await shop.runFor(60)
    const [, automatic] = await shop.refunds(number)
    expect([automatic!.refund_fee, automatic!.state]).toEqual([1580, 'accepted'])
    shop.sandbox.finishRefund(automatic!.out_refund_no, 'succeeded')
    shop.sandbox.finishRefund('sb01r1', 'failed')
    await shop.runFor(400)
    expect(await money(number)).toEqual(['paid_after_close', 1580, 1580])
    await shop.runFor(HOUR + 100)
    const last = (await shop.refunds(number)).find(
      ({ refund_fee, origin }) => refund_fee === 300 && origin === 'automatic',
    )!
    shop.sandbox.finishRefund(last.out_refund_no, 'succeeded')
    await shop.runFor(400)
    expect(await money(number)).toEqual(['refunded', 1880, 1880])
  })
})

test('an automatic refund that a ceiling holds back keeps its row when a clerk is held back as well', async () => {
  await open({ env: { REFUND_HOUR_MAX_FEN: '100' } })
  const number = await paidLate()
  await shop.runFor(40)
  expect((await shop.refund(number, { refund_fee: 300, out_refund_no: 'sb01clerk' })).statusCode).toBe(429)
  const held = (await shop.anomalies()).filter(({ kind }) => kind === 'refund_ceiling')
  expect(held.map(({ evidence }) => evidence['refund_fee']).sort()).toEqual([1880, 300])
})

describe('an order that says it has turned into a refund', () => {
  /** WeChat 4, and a signed list that has none. */
  const turned = {
    wrapPost: lying((content, suffix) => {
      if (suffix === 'query_order' && content.query_order?.order_content.transaction_id)
        put(content, 'query_order.order_content.wxpay_order_content_ext.current_trade_state', 4)
    }),
  }

  test('while nobody lists one stays due, and is flagged when it stays so', async () => {
    await open(turned)
    const number = await shop.place()
    shop.sandbox.pay(number)
    await shop.refresh(number)
    expect(await money(number)).toEqual(['paid', 0, 0])
    await shop.runFor(60)
    expect((await shop.order(number)).next_due_at_ms).not.toBeNull()
    for (let look = 0; look < 25; look++) {
      await shop.allDue()
      await shop.timer()
    }
    expect([(await shop.order(number)).flag, await told()]).toEqual(['unresolved', ['order_unresolved']])
  })

  test('is let go as soon as the list has it', async () => {
    await open(turned)
    const number = await shop.place()
    shop.sandbox.pay(number)
    await shop.refresh(number)
    await shop.runFor(40)
    shop.sandbox.refundInConsole(number, 300)
    await shop.runFor(1200)
    expect([await money(number), (await shop.order(number)).next_due_at_ms]).toEqual([
      ['paid', 300, 300],
      null,
    ])
  })

  test('is not sent back by itself on top of it', async () => {
    await open(turned)
    await paidLate()
    await shop.runFor(HOUR)
    expect(asks()).toEqual([])
  })
})

test('late money of a purged mini-program order is written down, and a person told that nobody ships it', async () => {
  const app = {
    ...{ app_id: 'wx00000000000shop', kind: 'mini_program', id_field: 'sub_open_id', secret: 's'.repeat(32) },
    shipping: { logistics_type: 4, item_desc: '奶茶' },
  }
  await open({
    env: {
      LATE_PAYMENT: 'honour',
      CLOUD_PAY_APPS: JSON.stringify([app]),
      SESSION_KEYS: JSON.stringify([{ name: 'k', secret: 'k'.repeat(32) }]),
    },
  })
  const wxpay_pay_mch_key_ext = { mini_program_sub_app_id: app.app_id, sub_open_id: 'oTestPayer0001' }
  const number = await shop.place(
    {},
    { trade_type: 9, pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext } },
  )
  await shop.closeOrder(number)
  await shop.store.db.updateTable('orders').set({ request_content: '', jsapi_args: '{}' }).execute()
  shop.sandbox.pay(number, { late: true })
  await shop.refresh(number)
  expect((await shop.order(number)).state).toBe('paid_after_close')
  expect(await told()).toEqual(['shipping_not_uploaded'])
  expect((await shop.anomalies())[0]!.evidence).toMatchObject({ order: number, why: 'texts_purged' })
})
