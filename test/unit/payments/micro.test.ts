import { existsSync, readFileSync } from 'node:fs'
import { findOrder } from '../../../shared/store/orders'
import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { fileStore, freshNumber, openWorld, type Answer } from '../../support/world'

let shop: Shop
const open = async (options: ShopOptions = {}) => (shop = await openShop(options))
afterEach(() => shop.close())

/** The last four digits say what becomes of it. */
const codeOf = (end: string) => `13456789012345${end}`
const body = (end: string, out_trade_no: string, rest: object = {}) => ({
  pay_content: { out_trade_no, total_fee: 1880, body: '湖心-上海人民广场店-大杯', author_code: codeOf(end) },
  pay_mch_key: { pay_platform: 1 },
  trade_type: 1,
  ...rest,
})
const scan = async (end: string, rest: object = {}, number = freshNumber()) => {
  const answer = await shop.create(body(end, number, rest))
  return { number, answer }
}
const asked = () => shop.sandbox.received.map((one) => one.interface)
const texts = () => shop.sent('micro_pay').map((one) => one.request_content)
const stateOf = async (number: string) => {
  const { state, flag, author_code_sealed } = await shop.order(number)
  return [state, flag, author_code_sealed === null ? 'wiped' : 'sealed']
}

describe('a payer who is scanned', () => {
  test.each(['1111', '4071', '4072', '0003', '0009', '0008', '0001', '0012'])(
    'with a code ending in %s ends as the wallet says, and nobody asks to close',
    async (end) => {
      await open()
      const { number, answer } = await scan(end)
      expect([201, 504]).toContain(answer.statusCode)
      expect(answer.body.payment).toBeUndefined()
      await shop.runFor(60)
      const stopped = end === '4072' || end === '0008'
      expect(await stateOf(number)).toEqual([stopped ? 'closed' : 'paid', null, 'wiped'])
      expect(shop.sandbox.look(number)).toMatchObject({ paid_fen: stopped ? 0 : 1880, refunded_fen: 0 })
      expect(asked()).not.toContain('close_order')
      expect(await shop.messages(number)).toEqual([stopped ? 'order.closed' : 'order.paid'])
    },
  )

  test('who has paid is asked about once more: money moves on our own query alone', async () => {
    await open()
    const { answer } = await scan('1111')
    expect([answer.statusCode, answer.body.state]).toEqual([201, 'paid'])
    expect(asked()).toEqual(['micro_pay', 'query_order'])

    shop.faults['query_order'] = '500'
    const unheard = await scan('1111')
    expect([unheard.answer.statusCode, unheard.answer.body.state]).toEqual([201, 'pending'])
    delete shop.faults['query_order']
    await shop.runFor(20)
    expect(await stateOf(unheard.number)).toEqual(['paid', null, 'wiped'])
  })

  test('of whom the answer says nothing that is decided is not asked about at once', async () => {
    await open()
    const { answer } = await scan('0009')
    expect([answer.statusCode, answer.body.state, asked()]).toEqual([201, 'pending', ['micro_pay']])
  })

  test('and refused is told so, and may be scanned anew under another number', async () => {
    await open()
    const { number, answer } = await scan('0104')
    expect([answer.statusCode, answer.body.code]).toEqual([502, 'cloud_pay_refused'])
    expect(await stateOf(number)).toEqual(['failed', null, 'wiped'])
  })

  test('pays with Alipay as well', async () => {
    await open()
    const number = freshNumber()
    const alipay = body('1111', number, { pay_mch_key: { pay_platform: 2 } })
    alipay.pay_content.author_code = '284567890123450009'
    expect((await shop.create(alipay)).body.state).toBe('pending')
    await shop.runFor(40)
    expect(await stateOf(number)).toEqual(['paid', null, 'wiped'])
  })

  test('is told as a wrong amount if another order has the number: 407, and a signed "paid" of more', async () => {
    await open()
    const { number: theirs } = await scan('1111')
    // A till that has forgotten what it did.
    for (const table of ['orders', 'order_events'] as const)
      await shop.store.db.deleteFrom(table).where('out_trade_no', '=', theirs).execute()
    const other = body('1111', theirs)
    other.pay_content.total_fee = 1
    const answer = await shop.create(other)
    expect([answer.statusCode, answer.body.code]).toEqual([504, 'outcome_unknown'])
    expect(await stateOf(theirs)).toEqual(['created', 'amount_differs', 'sealed'])
    await shop.runFor(600)
    expect(asked()).not.toContain('close_order')
    expect(await stateOf(theirs)).toEqual(['created', 'amount_differs', 'wiped'])
  })
})

describe('nobody closes it', () => {
  test.each(['0009', '0001', '0012', '4071', '0003'])('when asked to (%s): 409', async (end) => {
    await open({ env: { CLOSE_NOT_BEFORE: '0' } })
    const { number } = await scan(end)
    const { statusCode, body: told } = await shop.closeOrder(number)
    expect([statusCode, told.code, told.out_trade_no]).toEqual([409, 'micro_pay_not_closable', number])
    expect(asked()).not.toContain('close_order')
    await shop.runFor(40)
    expect((await shop.order(number)).state).toBe('paid')
    expect((await shop.closeOrder(number)).body.code).toBe('order_not_closable')
  })

  test('when it was closed already, that is said', async () => {
    await open()
    const { number } = await scan('0008')
    await shop.runFor(40)
    expect((await shop.closeOrder(number)).statusCode).toBe(200)
  })

  test('for another order of its purchase', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '0' } })
    await scan('0009', { merchant_order_id: 'cart-1' })
    const second = await scan('1111', { merchant_order_id: 'cart-1' })
    expect([second.answer.statusCode, second.answer.body.code]).toEqual([409, 'purchase_open'])
    expect(asked()).not.toContain('close_order')
    await shop.runFor(40)
    const third = await scan('1111', { merchant_order_id: 'cart-1' })
    expect(third.answer.body.code).toBe('purchase_paid')
  })

  test('a row that somebody made closing is left as soon as the wallet says that the payer is paying', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '0' } })
    const { number } = await scan('0099')
    await shop.store.db.updateTable('orders').set({ state: 'closing' }).execute()
    shop.faults['query_order'] = ['500', 'ok']
    await shop.allDue()
    await shop.timer()
    expect((await shop.order(number)).state).toBe('closing')
    await shop.allDue()
    await shop.timer()
    expect((await shop.order(number)).state).toBe('pending')
    expect(asked()).not.toContain('close_order')
  })
})

describe('undecided after two minutes', () => {
  test('it is flagged for a person once, looked at as before, and takes the payment that comes', async () => {
    await open()
    const { number } = await scan('0099')
    await shop.runFor(100)
    expect(await stateOf(number)).toEqual(['pending', null, 'wiped'])
    const looks = shop.sent('query_order').length
    // At every run of the timer: a till is waiting.
    expect(looks).toBe(5)
    await shop.runFor(40)
    expect(await stateOf(number)).toEqual(['pending', 'unresolved', 'wiped'])
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'order_unresolved', out_trade_no: number, times: 1, evidence: { state: 'pending' } },
    ])
    await shop.runFor(3600)
    expect((await shop.anomalies()).map(({ times }) => times)).toEqual([1])
    expect(shop.sent('query_order').length).toBeGreaterThan(looks + 8)
    expect(asked()).not.toContain('close_order')

    shop.sandbox.pay(number)
    await shop.runFor(1200)
    expect(await stateOf(number)).toEqual(['paid', null, 'wiped'])
  })

  test('its code is wiped by whoever looks first, also when nobody answers', async () => {
    await open()
    shop.faults['micro_pay'] = 'lost'
    shop.faults['query_order'] = '500'
    const { number, answer } = await scan('0009')
    expect([answer.statusCode, answer.body.code]).toEqual([504, 'outcome_unknown'])
    expect(await stateOf(number)).toEqual(['created', null, 'sealed'])
    shop.pass(119)
    await shop.refresh(number)
    expect(await stateOf(number)).toEqual(['created', null, 'sealed'])
    shop.pass(1)
    await shop.refresh(number)
    expect(await stateOf(number)).toEqual(['created', 'unresolved', 'wiped'])
  })

  test('it is not sent any more: a retry only looks', async () => {
    await open()
    shop.faults['micro_pay'] = '103'
    shop.faults['query_order'] = '500'
    const { number } = await scan('0009')
    const sent = texts().length
    shop.pass(130)
    await shop.refresh(number)
    delete shop.faults['micro_pay']
    expect((await shop.create(body('0009', number))).body.code).toBe('outcome_unknown')
    expect(texts()).toHaveLength(sent)
  })

  test('and never heard of upstream, it fails after two signed not-founds, and nothing is closed', async () => {
    await open()
    shop.faults['micro_pay'] = '103'
    const { number } = await scan('0009')
    await shop.runFor(600)
    expect(await stateOf(number)).toEqual(['created', 'unresolved', 'wiped'])
    await shop.runFor(1800)
    expect(await stateOf(number)).toEqual(['failed', null, 'wiped'])
    expect(asked()).not.toContain('close_order')
  })
})

describe('a retry', () => {
  test.each(['lost', '3', '103', 'wrong-signed', 'truncated', '500'] as const)(
    'after an unknown (%s) sends the very same text, the code in its place',
    async (fault) => {
      await open()
      shop.faults['micro_pay'] = [fault, fault, fault, fault]
      shop.faults['query_order'] = '500'
      const { number, answer } = await scan('1111')
      expect(answer.statusCode).toBe(504)
      delete shop.faults['micro_pay']
      delete shop.faults['query_order']
      expect((await shop.create(body('1111', number))).body.state).toBe('paid')
      expect(texts().length).toBeGreaterThan(1)
      expect(new Set(texts()).size).toBe(1)
      expect(JSON.parse(texts()[0]!).pay_content).toEqual({
        out_trade_no: number,
        total_fee: 1880,
        fee_type: 'CNY',
        body: '湖心-上海人民广场店-大杯',
        author_code: codeOf('1111'),
      })
      const row = await shop.order(number)
      expect(row.request_content).toBe(texts()[0]!.replace(codeOf('1111'), ''))
    },
  )

  test("with another payer's code is another order: 422, and neither is asked for", async () => {
    await open()
    shop.faults['micro_pay'] = ['lost']
    shop.faults['query_order'] = '500'
    const { number } = await scan('1111')
    const other = await shop.create(body('0009', number))
    expect([other.statusCode, other.body.code]).toEqual([422, 'content_differs'])
    expect(texts()).toHaveLength(1)
  })

  test('of what is decided is answered with what it came to', async () => {
    await open()
    const { number } = await scan('1111')
    const again = await shop.create(body('1111', number))
    expect([again.statusCode, again.body.state, texts().length]).toEqual([200, 'paid', 1])
  })

  test('cannot be told where the code goes by a text that looks like its place', async () => {
    await open()
    const number = freshNumber()
    const tricky = body('1111', number)
    tricky.pay_content.body = '"author_code":""-a-b'
    expect((await shop.create(tricky)).body.state).toBe('paid')
    expect(JSON.parse(texts()[0]!).pay_content).toMatchObject({
      body: '"author_code":""-a-b',
      author_code: codeOf('1111'),
    })
  })
})

describe('the code', () => {
  test.each(['1111', '0009', '4072', '0003', '0104'])(
    '%s is in no file, log or answer, at no time',
    async (end) => {
      await open()
      const { store, path } = await fileStore()
      const world = await openWorld({ store, clock: shop.clock, sandbox: shop.sandbox })
      const number = freshNumber()
      const answers: Answer[] = []
      const key = { out_sub_mch_id: world.app.merchants.first.out_sub_mch_id, out_trade_no: number }
      const bytes = () =>
        ['', '-wal', '-shm']
          .map((suffix) => path + suffix)
          .filter((file) => existsSync(file))
          .map((file) => readFileSync(file, 'latin1'))
          .join('')
      const nowhere = () => {
        // It is written there, so what must not be there would be found.
        expect(bytes()).toContain(number)
        expect(bytes()).not.toContain(codeOf(end))
        expect(JSON.stringify(world.log)).toContain(number)
        expect(JSON.stringify([world.log, answers])).not.toContain(codeOf(end))
      }
      answers.push(await world.create(body(end, number)))
      nowhere()
      const sealed = (await findOrder(store, key))!.author_code_sealed
      shop.pass(130)
      await world.timer()
      answers.push(await world.create(body(end, number)), await world.status(number))
      answers.push(await world.closeOrder(number))
      nowhere()
      expect((await findOrder(store, key))!.author_code_sealed).toBeNull()
      // What was sealed says nothing either.
      if (sealed !== null)
        expect(sealed).not.toContain(Buffer.from(codeOf(end)).toString('base64url').slice(0, 12))
      await world.close()
    },
  )

  test('is refused where nothing can be sealed, before anything is written or asked', async () => {
    await open({ env: { DATA_KEYS: '' } })
    const before = await shop.dump()
    const { answer } = await scan('1111')
    expect([answer.statusCode, answer.body.code]).toEqual([503, 'data_keys_missing'])
    expect([await shop.dump(), asked()]).toEqual([before, []])
  })

  test('whose key was taken away is not sent; its order is looked at all the same', async () => {
    await open()
    shop.faults['micro_pay'] = ['lost']
    const { number } = await scan('1111')
    const keys = JSON.stringify([{ name: 'd2', secret: 'x'.repeat(32) }])
    const around = { store: shop.store, clock: shop.clock, sandbox: shop.sandbox }
    const later = await openWorld({ ...around, env: { DATA_KEYS: keys } })
    const { statusCode, body: told } = await later.create(body('1111', number))
    expect([statusCode, told.code, texts().length]).toEqual([503, 'data_keys_missing', 1])
    await shop.runFor(20)
    expect((await shop.order(number)).state).toBe('paid')
  })

  test('in an error is not shown, whatever is wrong with it', async () => {
    await open()
    for (const author_code of [
      '1345678901234567890123456789',
      '99456789012345678',
      'https://pay/134567890',
    ]) {
      const number = freshNumber()
      const answer = await shop.create({
        ...body('1111', number),
        pay_content: { ...body('1111', number).pay_content, author_code },
      })
      expect([answer.statusCode, answer.body.fields[0].field]).toEqual([400, 'pay_content.author_code'])
      expect(JSON.stringify([answer, shop.log])).not.toContain(author_code)
    }
  })

  test('of a payer is never sent by the payer: nobody scans themselves', async () => {
    await open()
    const headers = { 'x-local-caller': 'payer:me', 'idempotency-key': 'k1' }
    const answer = await shop.create(body('1111', freshNumber()), headers)
    expect([answer.statusCode, answer.body.code, asked()]).toEqual([403, 'caller_not_allowed', []])
  })
})
