import type { Post } from '../../../shared/net/post'
import type { FaultName } from '../../../local/sandbox/switches'
import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { orderBody, freshNumber } from '../../support/world'

let shop: Shop
/** Without a wait nobody at a wallet has to be waited for: most of these tests are about something else. */
const open = async ({ env, ...options }: ShopOptions = {}) =>
  (shop = await openShop({ env: { CLOSE_NOT_BEFORE: '0', ...env }, ...options }))
afterEach(() => shop.close())

const asked = () =>
  shop.sandbox.received.map((one) => one.interface).filter((name) => name !== 'client_order_detail')
const closes = () => shop.sent('close_order').length
const stateOf = async (number: string) => (await shop.order(number)).state

/** Something happens just before, or just after, the far end hears of a request to close. */
const around =
  (when: 'before' | 'after', happen: (out_trade_no: string) => void) =>
  (post: Post): Post =>
  async (url, body, options) => {
    if (!url.endsWith('close_order')) return post(url, body, options)
    const { request_content } = JSON.parse(body.toString()) as { request_content: string }
    const { out_trade_no } = JSON.parse(request_content) as { out_trade_no: string }
    if (when === 'before') happen(out_trade_no)
    const answer = await post(url, body, options)
    if (when === 'after') happen(out_trade_no)
    return answer
  }

describe('what the caller hears', () => {
  test('200 closed: looked at, asked to close, looked at again, and told to the merchant once', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.received.length = 0
    const { statusCode, body } = await shop.closeOrder(number)
    expect([statusCode, body.state]).toEqual([200, 'closed'])
    expect(asked()).toEqual(['query_order', 'close_order', 'query_order'])
    expect(shop.sandbox.look(number)!.state).toBe('closed')
    expect((await shop.events(number)).map((one) => one.to_state)).toEqual([
      'created',
      'pending',
      'closing',
      'closed',
    ])
    expect(await shop.messages(number)).toEqual(['order.closed'])
  })

  test('202 closing before CLOSE_NOT_BEFORE: upstream is not asked to close, and the timer does it then', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '300' } })
    const number = await shop.place()
    const createdAt = shop.nowS()
    shop.pass(10)
    const { statusCode, body } = await shop.closeOrder(number)
    expect([statusCode, body.state]).toEqual([202, 'closing'])
    await shop.runFor(280)
    expect([closes(), await stateOf(number)]).toEqual([0, 'closing'])
    await shop.runFor(40)
    expect([closes(), await stateOf(number)]).toEqual([1, 'closed'])
    const [close] = shop.sandbox.received.filter((one) => one.interface === 'close_order')
    expect(close!.at / 1000 - createdAt).toBe(310)
  })

  test('200 once more for what is closed, and for what failed; nothing is asked for it', async () => {
    await open()
    const number = await shop.place()
    await shop.closeOrder(number)
    const before = asked().length
    expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 200, body: { state: 'closed' } })
    const failed = freshNumber()
    shop.faults['official_account_pay'] = '104'
    await shop.create(orderBody({ out_trade_no: failed }))
    expect(await shop.closeOrder(failed)).toMatchObject({ statusCode: 200, body: { state: 'failed' } })
    expect(asked()).toHaveLength(before + 1)
  })

  test.each(['paid', 'paid_after_close', 'refunded'] as const)(
    '409 for an order that is %s',
    async (state) => {
      await open()
      const number = await shop.place()
      await shop.store.db.updateTable('orders').set({ state }).execute()
      expect(await shop.closeOrder(number)).toMatchObject({
        statusCode: 409,
        body: { code: 'order_not_closable', state, out_trade_no: number },
      })
      expect(closes()).toBe(0)
    },
  )

  test('404 for an order that is a stranger’s', async () => {
    await open()
    const number = await shop.place()
    const headers = { 'x-local-caller': 'mallory' }
    expect((await shop.call('POST', `/orders/${number}/close`, { headers })).statusCode).toBe(404)
    expect(await stateOf(number)).toBe('pending')
  })

  test('ten at once hear the same, and it is closed once', async () => {
    await open()
    const number = await shop.place()
    const answers = await Promise.all(Array.from({ length: 10 }, () => shop.closeOrder(number)))
    expect(answers.every(({ statusCode }) => statusCode === 200 || statusCode === 202)).toBe(true)
    expect(await stateOf(number)).toBe('closed')
    expect((await shop.events(number)).filter(({ to_state }) => to_state === 'closed')).toHaveLength(1)
    expect(await shop.messages(number)).toEqual(['order.closed'])
  })
})

describe('money that comes first wins', () => {
  const paidWins = async (number: string) => {
    expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 409, body: { state: 'paid' } })
    expect(await stateOf(number)).toBe('paid')
    expect(await shop.messages(number)).toEqual(['order.paid'])
  }

  test('before the close: the first look sees it, and nothing is asked to be closed', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    await paidWins(number)
    expect(closes()).toBe(0)
  })

  test.each(['104', '102'] as const)(
    'between the look and the close, which is refused with %s',
    async (closePaid) => {
      await open({
        switches: { closePaid },
        wrapPost: around('before', (number) => shop.sandbox.pay(number)),
      })
      await paidWins(await shop.place())
      expect(closes()).toBe(1)
    },
  )

  test('after the close was accepted: the second look sees it', async () => {
    await open({ wrapPost: around('after', (number) => shop.sandbox.pay(number, { late: true })) })
    await paidWins(await shop.place())
  })

  test('after the close was accepted, and the second look unanswered: the timer sees it', async () => {
    await open({ wrapPost: around('after', (number) => shop.sandbox.pay(number, { late: true })) })
    const number = await shop.place()
    shop.faults['query_order'] = ['ok', 'silent']
    expect((await shop.closeOrder(number)).statusCode).toBe(202)
    await shop.allDue()
    await shop.timer()
    expect(await stateOf(number)).toBe('paid')
  })
})

describe('what the answer to a close is worth', () => {
  test.each(['104', '102'] as const)(
    'a signed %s while the payer can still pay: pending again',
    async (fault) => {
      await open()
      const number = await shop.place()
      shop.faults['close_order'] = [fault]
      expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 409, body: { state: 'pending' } })
      expect((await shop.events(number)).at(-1)).toMatchObject({
        from_state: 'closing',
        to_state: 'pending',
        detail: { by: 'close_refused' },
      })
      expect(shop.sandbox.pay(number).state).toBe('paid')
      await shop.runFor(60)
      expect(await stateOf(number)).toBe('paid')
    },
  )

  test('a yes is not believed: an order that still waits upstream stays closing, and is asked about', async () => {
    // Accepted, and not carried out.
    await open({ wrapPost: around('after', (number) => (shop.sandbox.look(number)!.state = 'waiting')) })
    const number = await shop.place()
    expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 202, body: { state: 'closing' } })
    expect(await shop.messages(number)).toEqual([])
  })

  const acted: FaultName[] = [
    'silent',
    'lost',
    'truncated',
    'wrong-signed',
    'unsigned',
    'object',
    'not-json',
    '500',
  ]
  test.each(acted)('unknown (%s), and carried out: the second look says closed', async (fault) => {
    await open()
    const number = await shop.place()
    shop.faults['close_order'] = [fault]
    expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 200, body: { state: 'closed' } })
  })

  test.each(['3', '101', '103'] as const)(
    'unknown (%s): stays closing, and the timer finishes',
    async (fault) => {
      await open()
      const number = await shop.place()
      shop.faults['close_order'] = [fault]
      expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 202, body: { state: 'closing' } })
      await shop.allDue()
      await shop.timer()
      expect([closes(), await stateOf(number)]).toEqual([2, 'closed'])
      expect(await shop.messages(number)).toEqual(['order.closed'])
    },
  )

  test('a refusal with the second look unanswered is no refusal yet', async () => {
    await open()
    const number = await shop.place()
    shop.faults['close_order'] = ['104']
    shop.faults['query_order'] = ['ok', 'silent']
    expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 202, body: { state: 'closing' } })
    await shop.allDue()
    await shop.timer()
    expect(await stateOf(number)).toBe('closed')
  })

  test('with too little time nothing is asked, and the timer closes', async () => {
    await open()
    const number = await shop.place()
    const before = asked().length
    const { statusCode } = await shop.call('POST', `/orders/${number}/close`, { remainingMs: 2000 })
    expect([statusCode, asked().length]).toEqual([202, before])
    await shop.allDue()
    await shop.timer()
    expect(await stateOf(number)).toBe('closed')
  })
})

describe('an order that upstream does not know', () => {
  test('is given up ten minutes after its expiry and after two looks, not before', async () => {
    await open()
    shop.faults['official_account_pay'] = '3'
    const number = freshNumber()
    expect((await shop.create(orderBody({ out_trade_no: number }))).statusCode).toBe(504)
    const { time_expire } = await shop.order(number)

    expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 202 })
    while (shop.nowS() + 20 < time_expire + 600) await shop.runFor(20)
    expect(await shop.order(number)).toMatchObject({ state: 'closing', not_founds: 0 })
    shop.faults['query_order'] = ['ok', 'silent', 'silent', 'silent']
    await shop.allDue()
    await shop.runFor(20)
    expect(await shop.order(number)).toMatchObject({ state: 'closing', not_founds: 1 })
    shop.faults['query_order'] = []
    await shop.allDue()
    await shop.timer()
    expect(await stateOf(number)).toBe('closed')
  })

  test('that was never handed over has failed, and nobody is told of a close', async () => {
    await open()
    shop.faults['official_account_pay'] = '3'
    const number = freshNumber()
    await shop.create(orderBody({ out_trade_no: number }))
    shop.pass(900 + 600)
    await shop.refresh(number)
    expect(await stateOf(number)).toBe('created')
    await shop.refresh(number)
    expect(await stateOf(number)).toBe('failed')
    expect(await shop.messages(number)).toEqual([])
  })

  test('but was handed over is never believed gone before that', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.orders.delete(number)
    await shop.runFor(900 + 590)
    expect(await stateOf(number)).toBe('closing')
  })
})

describe('money that comes late', () => {
  /** Closed, paid all the same, and seen. */
  async function late(options: ShopOptions = {}): Promise<string> {
    await open(options)
    const number = await shop.place()
    await shop.closeOrder(number)
    shop.sandbox.pay(number, { late: true })
    await shop.refresh(number)
    expect(await stateOf(number)).toBe('paid_after_close')
    shop.sandbox.received.length = 0
    return number
  }
  const refundsSent = () => shop.sent('refund')

  test('is seen by the timer’s later looks and told to the merchant', async () => {
    await open({ env: { LATE_PAYMENT: 'honour' } })
    const number = await shop.place()
    await shop.closeOrder(number)
    shop.sandbox.pay(number, { late: true })
    await shop.runFor(280)
    expect(await stateOf(number)).toBe('closed')
    await shop.runFor(40)
    expect(await stateOf(number)).toBe('paid_after_close')
    expect(await shop.messages(number)).toEqual(['order.closed', 'order.paid_after_close'])
  })

  test('goes back whole, exactly once, under a number derived from the order’s', async () => {
    const number = await late()
    await shop.runFor(600)
    expect(asked().slice(0, 3)).toEqual(['query_order', 'query_refund_order', 'refund'])
    const [refund, ...more] = await shop.refunds(number)
    expect(refund).toMatchObject({ origin: 'automatic', refund_fee: 1880, state: 'succeeded', sends: 1 })
    expect(refund!.out_refund_no).toMatch(/^sb01a[0-9a-z]{27}$/)
    expect([more, refundsSent().length]).toEqual([[], 1])
    expect(await shop.order(number)).toMatchObject({
      state: 'refunded',
      reserved_fen: 1880,
      refunded_fen: 1880,
    })
    expect(shop.sandbox.look(number)!.refunded_fen).toBe(1880)

    await shop.allDue()
    await shop.runFor(200)
    expect(refundsSent()).toHaveLength(1)
  })

  test('two runs at once make one refund of it', async () => {
    const number = await late()
    await Promise.all([shop.timer(), shop.timer(), shop.timer()])
    await shop.allDue()
    await Promise.all([shop.timer(), shop.timer(), shop.timer()])
    expect(await shop.refunds(number)).toHaveLength(1)
    expect(shop.sandbox.look(number)!.refunds).toHaveLength(1)
  })

  test.each(['silent', 'wrong-signed', 'wrong-amount', '104', 'transforming'] as const)(
    'is not sent back without a fresh signed “paid” (%s)',
    async (fault) => {
      const number = await late()
      shop.faults['query_order'] = fault
      if (fault === 'transforming') shop.sandbox.look(number)!.state = 'waiting'
      await shop.runFor(120)
      expect(refundsSent()).toEqual([])
      expect(await shop.refunds(number)).toEqual([])
    },
  )

  test('whose refund was never sent waits for a fresh “paid” as well', async () => {
    const number = await late()
    shop.faults['refund'] = 'silent'
    // Recorded, and the function dies before it is sent.
    shop.database.before = (sql) => {
      if (/update "refunds" set "sends"/.test(sql)) throw new Error('dies here')
    }
    await shop.timer()
    shop.database.before = undefined
    expect(await shop.refunds(number)).toMatchObject([{ state: 'requested', sends: 0 }])
    shop.faults['query_order'] = 'silent'
    await shop.allDue()
    await shop.timer()
    expect(refundsSent()).toEqual([])
    shop.faults = Object.assign(shop.faults, { query_order: [], refund: [] })
    await shop.allDue()
    await shop.timer()
    expect(refundsSent()).toHaveLength(1)
  })

  test('goes back without what was refunded in the console', async () => {
    const number = await late()
    shop.sandbox.refundInConsole(number, 880)
    await shop.runFor(300)
    expect(await shop.refunds(number)).toMatchObject([
      { origin: 'automatic', refund_fee: 1000 },
      { origin: 'console', refund_fee: 880 },
    ])
    expect(await shop.order(number)).toMatchObject({ state: 'refunded', refunded_fen: 1880 })
  })

  test('is kept where it is honoured; its owner may refund it', async () => {
    const number = await late({ env: { LATE_PAYMENT: 'honour' } })
    await shop.runFor(600)
    await shop.allDue()
    await shop.runFor(600)
    expect(refundsSent()).toEqual([])
    expect(await shop.order(number)).toMatchObject({ state: 'paid_after_close', late_policy: 'honour' })
    expect((await shop.refund(number, { out_refund_no: 'sb01late', refund_fee: 1880 })).statusCode).toBe(202)
  })

  test('keeps the policy of the day it came', async () => {
    const number = await late({ env: { LATE_PAYMENT: 'honour' } })
    shop.app.settings.latePayment = 'refund'
    await shop.allDue()
    await shop.runFor(120)
    expect([refundsSent(), (await shop.order(number)).late_policy]).toEqual([[], 'honour'])
  })

  test('for a failed order comes back too', async () => {
    await open()
    const number = freshNumber()
    shop.faults['official_account_pay'] = ['104']
    await shop.create(orderBody({ out_trade_no: number }))
    shop.faults['official_account_pay'] = []
    // Our “no” was wrong: the number is an order upstream, and somebody pays it.
    await shop.store.db.updateTable('orders').set({ state: 'created', lease_until_ms: 0 }).execute()
    await shop.create(orderBody({ out_trade_no: number }))
    await shop.store.db.updateTable('orders').set({ state: 'failed' }).execute()
    shop.sandbox.pay(number)
    await shop.refresh(number)
    expect(await shop.order(number)).toMatchObject({ state: 'paid_after_close', late_policy: 'refund' })
    await shop.runFor(200)
    expect(await stateOf(number)).toBe('refunded')
  })
})

describe('an order whose create was answered 102', () => {
  /** Asked twice; the second answer says that the number is taken: perhaps by us, perhaps by somebody else. */
  async function flagged(): Promise<string> {
    await open()
    const number = freshNumber()
    shop.faults['official_account_pay'] = ['3', '102']
    expect((await shop.create(orderBody({ out_trade_no: number }))).statusCode).toBe(504)
    expect(await shop.order(number)).toMatchObject({ state: 'created', flag: 'create_answered_102' })
    shop.faults['official_account_pay'] = []
    return number
  }

  test('is never closed, by its owner or by the timer: it may be somebody else’s', async () => {
    const number = await flagged()
    expect(await shop.closeOrder(number)).toMatchObject({ statusCode: 409, body: { state: 'created' } })
    await shop.runFor(2 * 3600)
    expect(closes()).toBe(0)
    expect((await shop.order(number)).flag).toBe('create_answered_102')
    expect(await shop.anomalyKinds()).toContain('number_not_ours')
  })
})

describe('an order paid with another amount', () => {
  async function frozen(): Promise<string> {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    shop.faults['query_order'] = 'wrong-amount'
    await shop.refresh(number)
    expect(await shop.order(number)).toMatchObject({ state: 'pending', flag: 'amount_differs' })
    return number
  }

  test('is not closed at its expiry, and a person is told', async () => {
    const number = await frozen()
    await shop.runFor(2000)
    expect([closes(), await stateOf(number)]).toEqual([0, 'pending'])
    expect(await shop.anomalies()).toMatchObject([{ kind: 'amount_differs', out_trade_no: number }])
  })

  test('is not closed upstream for its owner either', async () => {
    const number = await frozen()
    expect((await shop.closeOrder(number)).statusCode).toBe(202)
    await shop.runFor(400)
    expect(closes()).toBe(0)
    // Once an answer is about our order again, money is money.
    shop.faults['query_order'] = []
    await shop.allDue()
    await shop.timer()
    expect(await shop.order(number)).toMatchObject({ state: 'paid', flag: 'amount_differs' })
  })

  test('is not refunded automatically when it came late', async () => {
    await open()
    const number = await shop.place()
    await shop.closeOrder(number)
    shop.sandbox.pay(number, { late: true })
    shop.faults['query_order'] = ['wrong-amount']
    await shop.refresh(number)
    await shop.refresh(number)
    expect(await shop.order(number)).toMatchObject({ state: 'paid_after_close', flag: 'amount_differs' })
    await shop.allDue()
    await shop.runFor(600)
    expect(shop.sent('refund')).toEqual([])
  })

  test('a wrong amount on an unpaid order freezes nothing', async () => {
    await open()
    const number = await shop.place()
    shop.faults['query_order'] = ['wrong-amount']
    await shop.refresh(number)
    expect((await shop.order(number)).flag).toBeNull()
    expect(await shop.anomalyKinds()).toEqual(['answer_mismatch'])
  })
})
