import { liftFlag } from '../../../shared/payments/byPerson'
import { reconcileWindow } from '../../../shared/payments/bill'
import { openTown, type Town } from '../../support/town'
import { lying, put } from '../../support/tamper'
import type { ShopOptions } from '../../support/shop'
import { otherMerchants } from '../../support/shop'

/** What only a person can end: by a key with `admin`, with a note, and never that an order was paid. */
let town: Town
const open = async (options?: ShopOptions) => (town = await openTown(options))
afterEach(() => town.close())

const NOTE = { note: '已转账给顾客，凭证号 20261130-1' }
const R1 = { out_refund_no: 'sb01r1', refund_fee: 880 }
const say = (path: string, body: object = NOTE, key: 'admin' | 'server' | 'reader' = 'admin') =>
  town.signed(key, 'POST', `/board/${path}`, { body })
const refund = (number: string, body: object = R1) =>
  town.signed('server', 'POST', `/refunds/${number}`, { body })
const money = async (number: string) => {
  const { state, reserved_fen, refunded_fen } = await town.order(number)
  return [state, reserved_fen, refunded_fen]
}
const rowOf = async (number: string, out_refund_no = 'sb01r1') =>
  (await town.refunds(number)).find((one) => one.out_refund_no === out_refund_no)!
const messagesOf = async (number: string, type: string) =>
  (
    await town.store.db
      .selectFrom('outbox')
      .select('payload')
      .where('out_trade_no', '=', number)
      .where('type', '=', type as 'refund.failed')
      .execute()
  ).map(({ payload }) => JSON.parse(payload) as { data: Record<string, unknown> })
let made = 0
async function placed(): Promise<string> {
  const body = {
    pay_content: { total_fee: 1880, body: '茶' },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oSecretPayer0001' } },
  }
  const headers = { 'idempotency-key': `person${++made}` }
  const number = (await town.signed('server', 'POST', '/orders', { body, headers })).body
    .out_trade_no as string
  return number
}
async function paid(): Promise<string> {
  const number = await placed()
  town.sandbox.pay(number)
  await town.allDue()
  await town.timer()
  expect((await town.order(number)).state).toBe('paid')
  return number
}
/** WeChat 5: the money came back to the merchant. */
async function needsPerson(): Promise<string> {
  const number = await paid()
  await refund(number)
  town.sandbox.finishRefund('sb01r1', 'change')
  await refund(number)
  expect((await rowOf(number)).state).toBe('needs_person')
  return number
}

describe('paid out by hand', () => {
  test('counts as refunded, says that a person did it, and keeps who and why', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await needsPerson()
    expect(await town.anomalyKinds()).toEqual(['refund_needs_person'])
    const { statusCode, body } = await say('paid-out/sb01r1')
    // What called the person is looked at now, and what was done stands there.
    expect(await town.anomalyKinds()).toEqual([])
    expect([statusCode, body.state, body.by, body.order.refunded_fee]).toEqual([
      200,
      'succeeded',
      'person',
      880,
    ])
    expect(await money(number)).toEqual(['paid', 880, 880])
    const event = (await town.events(number)).at(-1)!
    expect([event.kind, event.note, event.detail]).toEqual([
      'refund',
      NOTE.note,
      expect.objectContaining({ by: 'person', actor: expect.stringMatching(/admin/), reason: 'paid_out' }),
    ])
    expect((await rowOf(number)).ended_by).toBe(event.detail['actor'])
    const [message] = await messagesOf(number, 'refund.succeeded')
    expect(message!.data).toMatchObject({ out_refund_no: 'sb01r1', by: 'person' })
    // Said again it is the same.
    expect((await say('paid-out/sb01r1', { note: 'again' })).statusCode).toBe(200)
    expect((await town.events(number)).at(-1)).toEqual(event)
  })

  test('the bill does not call it a difference, unless the money also came from there', async () => {
    await open({ refundDelayMs: Infinity })
    const start = town.nowS()
    const number = await needsPerson()
    await say('paid-out/sb01r1')
    const compare = () =>
      reconcileWindow(town.app, town.app.merchants.first, start, town.nowS() + 1, {
        remainingMs: () => 60_000,
      })
    expect(await compare()).toMatchObject({ differences: 0, complete: true })
    const [far] = town.sandbox.orders.get(number)!.refunds
    far!.state = 'succeeded'
    town.sandbox.orders.get(number)!.refunded_fen = 880
    expect((await compare()).differences).toBeGreaterThan(0)
    expect(await town.anomalyKinds()).toContain('refund_mismatch')
  })

  test('of a refund that failed takes its money back into the sum, as long as there is room', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await paid()
    await refund(number)
    town.sandbox.finishRefund('sb01r1', 'failed')
    town.pass(3)
    await refund(number)
    expect(await money(number)).toEqual(['paid', 0, 0])
    await refund(number, { out_refund_no: 'sb01r2', refund_fee: 1880 })
    expect((await say('paid-out/sb01r1')).body).toMatchObject({ code: 'refund_not_endable', state: 'failed' })
    town.sandbox.finishRefund('sb01r2', 'failed')
    town.pass(3)
    await refund(number, { out_refund_no: 'sb01r2', refund_fee: 1880 })
    expect((await say('paid-out/sb01r2')).body.order.state).toBe('refunded')
    expect(await money(number)).toEqual(['refunded', 1880, 1880])
  })

  test.each(['requested', 'accepted', 'succeeded'] as const)(
    'is not said of one that is %s',
    async (state) => {
      await open({ refundDelayMs: Infinity })
      const number = await paid()
      if (state === 'requested') town.faults['refund'] = 'lost'
      await refund(number)
      if (state === 'succeeded') {
        town.sandbox.finishRefund('sb01r1', 'succeeded')
        await refund(number)
      }
      const before = await town.dump()
      expect((await say('paid-out/sb01r1')).body).toMatchObject({ code: 'refund_not_endable', state })
      expect(await town.dump()).toBe(before)
    },
  )
})

describe('given up', () => {
  test('releases what it held, and says so', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await paid()
    town.faults['refund'] = ['3', '102']
    await refund(number)
    await refund(number)
    expect((await rowOf(number)).refused).toBe(102)
    const { statusCode, body } = await say('given-up/sb01r1')
    expect([statusCode, body.state, body.by]).toEqual([200, 'failed', 'person'])
    expect(await money(number)).toEqual(['paid', 0, 0])
    expect((await messagesOf(number, 'refund.failed'))[0]!.data).toMatchObject({ by: 'person' })
    expect((await refund(number, { out_refund_no: 'sb01r2', refund_fee: 1880 })).body.state).toBe('accepted')
  })

  test('looks first, and what Cloud Pay says counts', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await paid()
    town.faults['refund'] = ['lost']
    await refund(number)
    town.sandbox.finishRefund('sb01r1', 'succeeded')
    expect((await say('given-up/sb01r1')).body).toMatchObject({
      code: 'refund_not_endable',
      state: 'succeeded',
    })
    expect(await money(number)).toEqual(['paid', 880, 880])
  })

  test('is refused for a day after a signed answer that says accepted or processing', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await paid()
    await refund(number)
    const answer = await say('given-up/sb01r1')
    expect([answer.statusCode, answer.body.code]).toEqual([409, 'refund_under_way'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(86_000)
    // It still says so when it is asked again later on.
    town.pass(86_400 + 10)
    expect((await say('given-up/sb01r1')).body.code).toBe('refund_under_way')
    town.pass(86_390)
    town.faults['query_refund_order'] = 'silent'
    expect((await say('given-up/sb01r1')).body.code).toBe('refund_under_way')
    town.pass(20)
    expect((await say('given-up/sb01r1')).body).toMatchObject({ state: 'failed', by: 'person' })
    expect(await money(number)).toEqual(['paid', 0, 0])
  })

  test('and when an older version took it, which did not write down when, its last change counts', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await paid()
    await refund(number)
    await town.store.db.updateTable('refunds').set({ affirmed_at: null }).execute()
    town.faults['query_refund_order'] = 'silent'
    expect((await say('given-up/sb01r1')).body.code).toBe('refund_under_way')
    town.pass(86_400)
    expect((await say('given-up/sb01r1')).body.state).toBe('failed')
    expect(await money(number)).toEqual(['paid', 0, 0])
  })

  test('of one that needs a person lets go of it as well', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await needsPerson()
    expect((await say('given-up/sb01r1')).body.state).toBe('failed')
    expect(await money(number)).toEqual(['paid', 0, 0])
  })

  test('and succeeded upstream after all is told at once', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await paid()
    await refund(number)
    town.pass(2 * 86_400)
    town.faults['query_refund_order'] = 'silent'
    await say('given-up/sb01r1')
    delete town.faults['query_refund_order']
    town.sandbox.finishRefund('sb01r1', 'succeeded')
    const { body } = await refund(number, { out_refund_no: 'sb01r2', refund_fee: 1880 })
    expect(body.code).toBe('refund_exceeds')
    expect(await town.anomalyKinds()).toContain('refund_mismatch')
  })
})

describe('lifting a flag', () => {
  test('lets the next signed answer decide', async () => {
    let lie = true
    await open({
      wrapPost: lying((content, suffix) => {
        if (lie && suffix === 'query_order' && content.query_order)
          put(content, 'query_order.order_content.total_fee', 1)
      }),
    })
    const number = await placed()
    town.sandbox.pay(number)
    await town.store.db.updateTable('orders').set({ next_due_at_ms: 0 }).execute()
    await town.timer()
    expect((await town.order(number)).flag).toBe('amount_differs')
    lie = false
    const { statusCode, body } = await say(`lift-flag/${number}`)
    expect([statusCode, body.flag, body.state]).toEqual([200, null, 'pending'])
    expect((await town.events(number)).at(-1)).toMatchObject({
      kind: 'person',
      note: NOTE.note,
      detail: { by: 'person', reason: 'flag_lifted', flag: 'amount_differs' },
    })
    await town.timer()
    expect((await town.order(number)).state).toBe('paid')
    const events = (await town.events(number)).length
    expect((await say(`lift-flag/${number}`)).statusCode).toBe(200)
    expect(await town.events(number)).toHaveLength(events)
  })

  test('does not make it paid: while the answer is the same, so is the flag', async () => {
    await open()
    const number = await placed()
    await town.store.db.updateTable('orders').set({ flag: 'create_answered_102' }).execute()
    await liftFlag(town.app, await town.order(number), { id: 'cli:wang', note: 'looked at it' })
    await town.timer()
    expect(await town.order(number)).toMatchObject({ state: 'pending', flag: null })
  })
})

describe('who may', () => {
  test.each(['paid-out/sb01r1', 'given-up/sb01r1', 'lift-flag/sb01x'])(
    '%s: a key with admin alone',
    async (path) => {
      await open()
      for (const key of ['server', 'reader'] as const)
        expect((await say(path, NOTE, key)).body.code).toBe('caller_not_allowed')
      expect((await town.call('POST', `/board/${path}`, { body: NOTE })).statusCode).toBe(401)
    },
  )

  test('and of their own sub-merchant; another’s is not there', async () => {
    const [other] = otherMerchants(1)
    await open({ merchants: [other!], refundDelayMs: Infinity })
    const number = await needsPerson()
    await town.store.db.updateTable('refunds').set({ out_sub_mch_id: other!.out_sub_mch_id }).execute()
    await town.store.db
      .updateTable('orders')
      .set({ out_sub_mch_id: other!.out_sub_mch_id, flag: 'unresolved' })
      .execute()
    expect((await say('paid-out/sb01r1')).body.code).toBe('refund_not_found')
    expect((await say('given-up/sb01r1')).body.code).toBe('refund_not_found')
    expect((await say(`lift-flag/${number}`)).body.code).toBe('order_not_found')
  })

  test.each([{}, { note: '' }, { note: '   ' }, { note: 'x'.repeat(256) }, { ...NOTE, state: 'paid' }])(
    'with a note, and nothing else: %j is refused',
    async (body) => {
      await open({ refundDelayMs: Infinity })
      await needsPerson()
      const before = await town.dump()
      for (const path of ['paid-out/sb01r1', 'given-up/sb01r1', 'lift-flag/sb01x'])
        expect((await say(path, body)).body.code).toBe('body_invalid')
      expect(await town.dump()).toBe(before)
    },
  )

  test('a payer reads that a person did it, and not who or why', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await needsPerson()
    await say('paid-out/sb01r1')
    const asMerchant = JSON.stringify((await town.signed('reader', 'GET', `/orders/${number}`)).body)
    expect(asMerchant).toContain('"actor"')
    expect(asMerchant).toContain(NOTE.note)
  })
})
