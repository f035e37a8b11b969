import { recordRefund } from '../../../shared/payments/refund'
import type { FaultName } from '../../../local/sandbox/switches'
import { ALIPAY, openShop, type Shop, type ShopOptions } from '../../support/shop'
import { lying, put, type Content } from '../../support/tamper'

let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

/** The money of an order as our row has it. */
const money = async (number: string) => {
  const { state, reserved_fen, refunded_fen } = await shop.order(number)
  return [state, reserved_fen, refunded_fen]
}
const only = async (number: string) => {
  const refunds = await shop.refunds(number)
  expect(refunds).toHaveLength(1)
  return refunds[0]!
}
const asks = () => shop.sent('refund')
const texts = () => new Set(asks().map((one) => one.request_content))
const R1 = { out_refund_no: 'sb01r1', refund_fee: 880 }
const R2 = { out_refund_no: 'sb01r2', refund_fee: 1000 }
/** A refund under a number of its own. */
let numbers = 0
const some = (refund_fee: number) => ({ out_refund_no: `sb01some${++numbers}`, refund_fee })
/** What sets a refund’s own state in an answer. */
const wxState = (state: number) => (content: Content, suffix: string) => {
  if (suffix !== 'query_refund_order' || content.status !== 0) return
  for (const one of [content[suffix].refund_order_content].flat())
    one.wxpay_refund_order_content_ext.state = state
}

describe('a refund', () => {
  test('is reserved and recorded first, accepted, and done only when a query says so', async () => {
    const seen: unknown[] = []
    await open({
      wrapPost: (post) => async (url, body, options) => {
        if (url.endsWith('/refund')) seen.push(await money(number), (await only(number)).state)
        return post(url, body, options)
      },
    })
    const number = await shop.placePaid()
    const { statusCode, body } = await shop.refund(number, { ...R1, reason: '少送一杯' })
    expect([statusCode, body.state, body.order.refunding_fee]).toEqual([202, 'accepted', 880])
    expect(seen).toEqual([['paid', 880, 0], 'requested'])
    expect(JSON.parse(asks()[0]!.request_content!)).toMatchObject({
      pay_mch_key: { pay_platform: 1, out_sub_mch_id: 'sandboxsub0000000001' },
      refund_content: {
        out_trade_no: number,
        out_refund_no: 'sb01r1',
        total_fee: 1880,
        refund_fee: 880,
        refund_fee_type: 'CNY',
        refund_reason: '少送一杯',
      },
    })
    expect(await money(number)).toEqual(['paid', 880, 0])
    await shop.runFor(80)
    expect(await money(number)).toEqual(['paid', 880, 880])
    expect(await only(number)).toMatchObject({ state: 'succeeded', wallet_state: 2, next_due_at_ms: null })
    expect(await shop.messages(number)).toEqual(['order.paid', 'refund.succeeded'])
    expect(asks()).toHaveLength(1)
  })

  test('is shown with its order', async () => {
    await open()
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    await shop.runFor(80)
    const { body } = await shop.status(number)
    expect(body).toMatchObject({ state: 'paid', refunded_fee: 880, refunding_fee: 0 })
    expect(body.refunds).toEqual([
      {
        out_refund_no: 'sb01r1',
        state: 'succeeded',
        refund_fee: 880,
        origin: 'request',
        reason: null,
        created_at: expect.anything(),
        refund_id: expect.stringMatching(/^5030/),
      },
    ])
    expect(body.events.filter(({ kind }: { kind: string }) => kind === 'refund')).toHaveLength(3)
  })

  test('of all that was paid makes the order refunded, in one step or in several', async () => {
    await open()
    const number = await shop.placePaid()
    for (const refund of [R1, R2]) {
      await shop.refund(number, refund)
      await shop.runFor(80)
    }
    expect(await money(number)).toEqual(['refunded', 1880, 1880])
    expect((await shop.status(number)).body).toMatchObject({ state: 'refunded', refunded_fee: 1880 })
    expect(await shop.refund(number, some(1))).toMatchObject({
      statusCode: 409,
      body: { code: 'order_not_refundable', state: 'refunded' },
    })
  })

  test('needs a number or a key: a retry under a number of ours would be a second refund', async () => {
    await open()
    const number = await shop.placePaid()
    expect(await shop.refund(number, { refund_fee: 1 })).toMatchObject({
      statusCode: 400,
      body: { code: 'refund_number_required' },
    })
    const { body } = await shop.refund(number, { refund_fee: 1 }, { 'idempotency-key': 'one' })
    expect(body.out_refund_no).toMatch(/^sb01k[0-9a-z]{27}$/)
  })

  test.each(['object', 'array'] as const)('is read from an answer that is an %s', async (refundAnswer) => {
    await open({ switches: { refundAnswer } })
    const number = await shop.placePaid()
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
  })

  test('is read from a query that answers an object', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        const member = content[suffix]
        if (suffix === 'query_refund_order' && member)
          member.refund_order_content = member.refund_order_content[0]
      }),
    })
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    await shop.runFor(80)
    expect((await only(number)).state).toBe('succeeded')
  })

  test('is not done because the answer to asking says so', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix === 'refund')
          put(content, 'refund.refund_order_content.wxpay_refund_order_content_ext.state', 2)
      }),
    })
    const number = await shop.placePaid()
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
    expect(await money(number)).toEqual(['paid', 880, 0])
  })
})

describe('somebody refunds', () => {
  const OPERATOR = {
    is_sub_mch_admin: false,
    authorization_staff_id: 'staff-1',
    authorization_name: '王芳',
    device_id: 'office',
    staff_id: 'boss',
  }
  const env = { CLOUD_PAY_REFUND_OPERATOR: JSON.stringify(OPERATOR) }
  const sent = () => JSON.parse(asks().at(-1)!.request_content!)

  test('as configured, in the words of the page', async () => {
    await open({ env, switches: { refundOperator: 'required' } })
    const number = await shop.placePaid()
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
    expect(sent()).toMatchObject({
      pay_mch_key: {
        is_sub_mch_admin: false,
        authorization_staff_id: 'staff-1',
        authorization_name: '王芳',
      },
      order_client: { device_id: 'office', staff_id: 'boss', spbill_create_ip: '127.0.0.1' },
    })
  })

  test('and the order’s own device and member of staff come first, each by itself', async () => {
    await open({ env })
    const number = await shop.placePaid({}, { order_client: { device_id: 'till-7' } })
    await shop.refund(number, R1)
    expect(sent().order_client).toMatchObject({ device_id: 'till-7', staff_id: 'boss' })
  })

  test('also when nobody is configured', async () => {
    await open({ switches: { refundOperator: 'required' } })
    const number = await shop.placePaid({}, { order_client: { device_id: 'till-7', staff_id: 'clerk' } })
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
    const keys = Object.keys(sent().pay_mch_key)
    expect(keys.sort()).toEqual(['out_mch_id', 'out_shop_id', 'out_sub_mch_id', 'pay_platform'])
  })

  test('of an order whose text is purged as configured', async () => {
    await open({ env })
    const number = await shop.placePaid({}, { order_client: { device_id: 'till-7' } })
    await shop.store.db.updateTable('orders').set({ request_content: '' }).execute()
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
    expect(sent().order_client).toMatchObject({ device_id: 'office', staff_id: 'boss' })
  })

  test('what was written once is sent every time, whoever is configured by then', async () => {
    await open({ env })
    const number = await shop.placePaid()
    shop.faults['refund'] = ['lost', 'lost']
    await shop.refund(number, R1)
    shop.app.merchants.first.refund_operator = { is_sub_mch_admin: true }
    shop.sandbox.orders.get(number)!.refunds.length = 0
    shop.pass(3)
    await shop.refund(number, R1)
    expect(asks().length).toBeGreaterThan(1)
    expect(texts().size).toBe(1)
  })

  test('nobody, and a service that asks for somebody refuses it with words', async () => {
    await open({ switches: { refundOperator: 'required' } })
    const number = await shop.placePaid()
    expect((await shop.refund(number, R1)).body.code).toBe('refund_refused')
    expect((await shop.events(number)).at(-1)!.note).toMatch(/店员/)
  })
})

describe('what is refused', () => {
  test.each<[string, unknown]>([
    ['no amount', {}],
    ['nothing', { refund_fee: 0 }],
    ['less than nothing', { refund_fee: -1 }],
    ['half a fen', { refund_fee: 0.5 }],
    ['a text', { refund_fee: '880' }],
    ['more than an amount can be', { refund_fee: 2 ** 31 }],
    ['a number without the prefix', { ...R1, out_refund_no: 'xx01r1' }],
    ['a number that is the prefix', { ...R1, out_refund_no: 'sb01' }],
    ['a number with a blank', { ...R1, out_refund_no: 'sb01 r1' }],
    ['a number too long', { ...R1, out_refund_no: `sb01${'r'.repeat(29)}` }],
    ['a reason too long', { ...R1, reason: '理'.repeat(65) }],
    ['a field nobody knows', { ...R1, total_fee: 1880 }],
  ])('%s: 400, and nothing is asked', async (_, body) => {
    await open()
    const number = await shop.placePaid()
    expect(await shop.refund(number, body)).toMatchObject({ statusCode: 400, body: { code: 'body_invalid' } })
    expect([await money(number), asks()]).toEqual([['paid', 0, 0], []])
  })

  test.each(['created', 'pending', 'closing', 'closed', 'failed'] as const)(
    'an order that is %s',
    async (state) => {
      await open()
      const number = await shop.place()
      await shop.store.db.updateTable('orders').set({ state }).execute()
      expect(await shop.refund(number, R1)).toMatchObject({
        statusCode: 409,
        body: { code: 'order_not_refundable', state },
      })
      expect(asks()).toEqual([])
    },
  )

  test('a payer: 403; a stranger: 404', async () => {
    await open()
    const number = await shop.placePaid({}, {})
    const asPayer = await shop.refund(number, R1, { 'x-local-caller': 'payer:local' })
    expect([asPayer.statusCode, asPayer.body.code]).toEqual([403, 'caller_not_allowed'])
    expect((await shop.refund(number, R1, { 'x-local-caller': 'mallory' })).statusCode).toBe(404)
    expect([await money(number), asks()]).toEqual([['paid', 0, 0], []])
  })

  test('more than is left', async () => {
    await open()
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    const { statusCode, body } = await shop.refund(number, { ...R2, refund_fee: 1001 })
    expect([statusCode, body.code, body.left_fee]).toEqual([409, 'refund_exceeds', 1000])
    expect([await money(number), asks().length]).toEqual([['paid', 880, 0], 1])
  })

  test('other content under the same number or key: 422', async () => {
    await open()
    const number = await shop.placePaid()
    const other = await shop.placePaid()
    const key = { 'idempotency-key': 'refund-1' }
    await shop.refund(number, { refund_fee: 100 }, key)
    await shop.refund(number, R1)
    const answers = [
      await shop.refund(number, { ...R1, refund_fee: 881 }),
      await shop.refund(number, { ...R1, reason: 'another' }),
      await shop.refund(other, R1),
      await shop.refund(number, { refund_fee: 101 }, key),
    ]
    for (const { statusCode, body } of answers)
      expect([statusCode, body.code]).toEqual([422, 'content_differs'])
    expect([await money(number), await money(other), asks().length]).toEqual([
      ['paid', 980, 100],
      ['paid', 0, 0],
      2,
    ])
  })
})

describe('the same again', () => {
  test('by number or by key it is the same refund, asked for once', async () => {
    await open()
    const number = await shop.placePaid()
    const key = { 'idempotency-key': 'refund-1' }
    const first = await shop.refund(number, { refund_fee: 100 }, key)
    shop.pass(3)
    const again = await shop.refund(number, { refund_fee: 100 }, key)
    expect(again.body.out_refund_no).toBe(first.body.out_refund_no)
    expect([first.statusCode, again.statusCode, again.body.state]).toEqual([202, 200, 'succeeded'])
    await shop.refund(number, R1)
    shop.pass(3)
    await shop.refund(number, R1)
    expect([asks().length, await money(number)]).toEqual([2, ['paid', 980, 980]])
  })

  test('ten at once make one refund, and count every transmission', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await shop.placePaid()
    const answers = await Promise.all(Array.from({ length: 10 }, () => shop.refund(number, R1)))
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([202]))
    expect(await only(number)).toMatchObject({ state: 'accepted', sends: asks().length })
    expect([texts().size, await money(number)]).toEqual([1, ['paid', 880, 0]])
  })

  test('a repeat that read the order before it was paid goes on with the order as it is', async () => {
    await open({ refundDelayMs: 0 })
    const number = await shop.place()
    const unpaid = await shop.order(number)
    shop.sandbox.pay(number)
    await shop.status(number, { refresh: '1' })
    expect((await shop.refund(number, R1)).statusCode).toBe(202)
    const wanted = { ...R1, reason: null }
    const { order, isNew } = await recordRefund(shop.app, unpaid, wanted, 'request', 'm:somebody')
    expect([order.state, order.reserved_fen, isNew]).toEqual(['paid', 880, false])
  })

  test('two numbers at once never promise more than was paid', async () => {
    await open()
    const number = await shop.placePaid()
    const bodies = ['sb01a', 'sb01b', 'sb01c'].map((out_refund_no) => ({ out_refund_no, refund_fee: 1000 }))
    const answers = await Promise.all(bodies.map((body) => shop.refund(number, body)))
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([202, 409, 409])
    expect([asks().length, await money(number)]).toEqual([1, ['paid', 1000, 0]])
  })
})

describe('an unknown outcome', () => {
  const UNKNOWN: FaultName[] = [
    'silent',
    'lost',
    'truncated',
    'wrong-signed',
    'unsigned',
    'object',
    'not-json',
    '500',
    '3',
    '101',
    '103',
    'wrong-amount',
    'foreign',
  ]

  test.each(UNKNOWN)('(%s) stays open and reserved, and takes no other number beside it', async (fault) => {
    await open()
    const number = await shop.placePaid()
    shop.faults['refund'] = fault
    shop.faults['query_refund_order'] = ['ok', 'silent']
    expect(await shop.refund(number, R1)).toMatchObject({ statusCode: 202, body: { state: 'requested' } })
    expect(await money(number)).toEqual(['paid', 880, 0])
    expect(await shop.refund(number, R2)).toMatchObject({
      statusCode: 409,
      body: { code: 'refund_unresolved', out_refund_no: 'sb01r1' },
    })
    expect(asks()).toHaveLength(1)
  })

  test.each(UNKNOWN)(
    '(%s) is found out by the timer, with the same text and no second refund',
    async (fault) => {
      await open()
      const number = await shop.placePaid()
      shop.faults['refund'] = [fault, fault]
      await shop.refund(number, R1)
      await shop.runFor(20 * 60)
      expect(await money(number)).toEqual(['paid', 880, 880])
      expect(shop.sandbox.look(number)!.refunds).toHaveLength(1)
      expect(texts().size).toBe(1)
      expect(await only(number)).toMatchObject({ state: 'succeeded', sends: asks().length })
    },
  )

  test.each(['104', '102'] as const)('is never released by a later signed %s', async (no) => {
    await open()
    const number = await shop.placePaid()
    shop.faults['refund'] = ['3', no, no, no]
    await shop.refund(number, R1)
    for (let again = 0; again < 3; again++) {
      shop.pass(3)
      expect((await shop.refund(number, R1)).body.state).toBe('requested')
      expect(await money(number)).toEqual(['paid', 880, 0])
    }
    // Nothing is sent under a number whose repeat was refused: see refundEnds.test.ts.
    expect([asks().length, texts().size]).toEqual([2, 1])
  })

  test('is never released by “no refunds” or by silence, however often', async () => {
    await open()
    const number = await shop.placePaid()
    shop.faults['refund'] = '103'
    await shop.refund(number, R1)
    await shop.runFor(24 * 3600)
    expect(await only(number)).toMatchObject({ state: 'requested' })
    expect(await money(number)).toEqual(['paid', 880, 0])
    expect([asks().length > 5, texts().size]).toEqual([true, 1])
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'refund_unresolved', out_trade_no: number, times: 1, evidence: { looks: 20 } },
    ])
  })

  test('of one that arrived is found by its number, and not sent again', async () => {
    await open({ refundDelayMs: Infinity })
    const number = await shop.placePaid()
    shop.faults['refund'] = ['lost']
    await shop.refund(number, R1)
    shop.pass(3)
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
    expect(asks()).toHaveLength(1)
  })
})

describe('a signed no', () => {
  test.each(['104', '102'] as const)('(%s) to the only transmission gives the money back', async (no) => {
    await open()
    const number = await shop.placePaid()
    shop.faults['refund'] = [no]
    expect(await shop.refund(number, R1)).toMatchObject({
      statusCode: 502,
      body: { code: 'refund_refused', out_refund_no: 'sb01r1' },
    })
    expect([await money(number), (await only(number)).state]).toEqual([['paid', 0, 0], 'failed'])
    expect(await shop.messages(number)).toEqual(['order.paid', 'refund.failed'])
    expect(await shop.refund(number, R1)).toMatchObject({ statusCode: 200, body: { state: 'failed' } })
    expect((await shop.refund(number, R2)).statusCode).toBe(202)
    expect(asks()).toHaveLength(2)
  })

  test('that nobody signed gives nothing back', async () => {
    await open({
      wrapPost: (post) => async (url, body, options) => {
        const answer = await post(url, body, options)
        if (!url.endsWith('/refund')) return answer
        const { response_content } = JSON.parse(answer.body.toString())
        return { status: 200, body: Buffer.from(JSON.stringify({ response_content })) }
      },
    })
    const number = await shop.placePaid()
    shop.faults['refund'] = ['104']
    expect((await shop.refund(number, R1)).body.state).toBe('requested')
    expect(await money(number)).toEqual(['paid', 880, 0])
  })
})

describe('how a refund ends', () => {
  async function asked(options: ShopOptions = {}, rest = {}): Promise<string> {
    await open({ refundDelayMs: Infinity, ...options })
    const number = await shop.placePaid({}, rest)
    await shop.refund(number, R1)
    return number
  }

  test.each(['failed', 'void'] as const)(
    '%s at WeChat: the money is free again and its owner is told',
    async (outcome) => {
      const number = await asked()
      shop.sandbox.finishRefund('sb01r1', outcome)
      await shop.runFor(80)
      expect([await money(number), (await only(number)).state]).toEqual([['paid', 0, 0], 'failed'])
      expect(await shop.messages(number)).toEqual(['order.paid', 'refund.failed'])
    },
  )

  test('“failed” while the server is still working on it is not final', async () => {
    const number = await asked({
      wrapPost: lying((content, suffix) => {
        if (suffix !== 'query_refund_order' || content.status !== 0) return
        for (const one of content[suffix].refund_order_content) one.is_transforming = true
      }),
    })
    shop.sandbox.finishRefund('sb01r1', 'failed')
    await shop.runFor(80)
    expect([await money(number), (await only(number)).state]).toEqual([['paid', 880, 0], 'accepted'])
  })

  test('WeChat’s 5 needs a person: reserved for good, and it can still turn out well', async () => {
    let state = 0
    const number = await asked({
      wrapPost: lying((content, suffix) => (state > 0 ? wxState(state)(content, suffix) : undefined)),
    })
    shop.sandbox.finishRefund('sb01r1', 'change')
    await shop.runFor(80)
    expect([await money(number), (await only(number)).state]).toEqual([['paid', 880, 0], 'needs_person'])
    expect(await shop.anomalies()).toMatchObject([{ kind: 'refund_needs_person', out_trade_no: number }])
    expect(await shop.messages(number)).toEqual(['order.paid'])
    // No automatic step any more, and what it held stays held.
    await shop.runFor(3600)
    expect([asks().length, (await shop.refund(number, { ...R2, refund_fee: 1001 })).statusCode]).toEqual([
      1, 409,
    ])
    for (const [seen, becomes] of [
      [3, 'needs_person'],
      [1, 'needs_person'],
      [2, 'succeeded'],
    ] as const) {
      state = seen
      await shop.refund(number, { out_refund_no: `sb01s${seen}`, refund_fee: 1 })
      expect(
        (await shop.refunds(number)).find(({ out_refund_no }) => out_refund_no === 'sb01r1')!.state,
      ).toBe(becomes)
      state = 0
    }
  })

  test('Alipay’s 5 is “no such refund” and ends nothing', async () => {
    const number = await asked({}, ALIPAY)
    expect((await only(number)).state).toBe('accepted')
    shop.sandbox.finishRefund('sb01r1', 'void')
    await shop.runFor(80)
    expect([await money(number), (await only(number)).state]).toEqual([['paid', 880, 0], 'accepted'])
  })

  test('Alipay’s 2 is done', async () => {
    const number = await asked({}, ALIPAY)
    shop.sandbox.finishRefund('sb01r1', 'succeeded')
    await shop.runFor(80)
    expect(await money(number)).toEqual(['paid', 880, 880])
  })

  test('a state nobody knows says nothing', async () => {
    const number = await asked({ wrapPost: lying(wxState(9)) })
    await shop.runFor(400)
    expect([await money(number), (await only(number)).state]).toEqual([['paid', 880, 0], 'accepted'])
  })

  test('a signed answer about another amount is an anomaly and proves nothing', async () => {
    const number = await asked()
    shop.faults['query_refund_order'] = 'wrong-amount'
    await shop.runFor(400)
    expect([await money(number), (await only(number)).state]).toEqual([['paid', 880, 0], 'accepted'])
    expect(await shop.anomalyKinds()).toEqual(['refund_mismatch'])
  })

  test('what has succeeded stays so, whatever is said later', async () => {
    let state = 0
    const number = await asked({
      refundDelayMs: 0,
      wrapPost: lying((content, suffix) => (state > 0 ? wxState(state)(content, suffix) : undefined)),
    })
    await shop.runFor(80)
    for (state of [1, 3, 4, 5, 6]) {
      await shop.refund(number, { out_refund_no: `sb01s${state}`, refund_fee: 1 })
      expect(
        (await shop.refunds(number)).find(({ out_refund_no }) => out_refund_no === 'sb01r1')!.state,
      ).toBe('succeeded')
    }
  })
})

describe('refunds made in the console', () => {
  test('are imported, and counted before the first ask', async () => {
    await open()
    const number = await shop.placePaid()
    const { out_refund_no } = shop.sandbox.refundInConsole(number, 300)
    expect((await shop.refund(number, R1)).statusCode).toBe(202)
    expect(await shop.refunds(number)).toMatchObject([
      { out_refund_no, origin: 'console', refund_fee: 300, state: 'succeeded', request_content: null },
      { out_refund_no: 'sb01r1', origin: 'request', state: 'accepted' },
    ])
    expect(await money(number)).toEqual(['paid', 1180, 300])
    const { body } = await shop.status(number)
    expect(body.refunds[0]).toMatchObject({ out_refund_no, origin: 'console' })
  })

  test.each([9, 1, 4])(
    'that may or may not have succeeded (WeChat’s %i) are counted as well',
    async (state) => {
      await open({ wrapPost: lying(wxState(state)) })
      const number = await shop.placePaid()
      shop.sandbox.refundInConsole(number, 1500)
      expect(await shop.refund(number, R1)).toMatchObject({ statusCode: 409, body: { left_fee: 380 } })
      expect([asks(), await money(number)]).toEqual([[], ['paid', 1500, 0]])
    },
  )

  test('that failed are not', async () => {
    await open({ switches: { refundOutcome: 'failed' } })
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 1500)
    expect((await shop.refund(number, R1)).statusCode).toBe(202)
    expect(await shop.refunds(number)).toHaveLength(1)
  })

  test('that leave too little: 409, nothing is sent, and the next one knows', async () => {
    await open()
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 1500)
    expect(await shop.refund(number, R1)).toMatchObject({
      statusCode: 409,
      body: { code: 'refund_exceeds', left_fee: 380 },
    })
    expect(asks()).toEqual([])
    expect(await money(number)).toEqual(['paid', 1500, 1500])
    expect(await shop.refunds(number)).toMatchObject([{ origin: 'console' }, { state: 'failed', sends: 0 }])
    expect(await shop.refund(number, some(381))).toMatchObject({ body: { left_fee: 380 } })
    expect((await shop.refund(number, { ...R2, refund_fee: 380 })).statusCode).toBe(202)
  })

  test('of everything make the order refunded', async () => {
    await open()
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 1880)
    expect((await shop.refund(number, R1)).statusCode).toBe(409)
    expect(await money(number)).toEqual(['refunded', 1880, 1880])
  })

  test('are looked up by the timer when a first look says “paid, then refunded”', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    shop.sandbox.refundInConsole(number, 880)
    shop.sandbox.look(number)
    await shop.refresh(number)
    expect(await money(number)).toEqual(['paid', 0, 0])
    await shop.timer()
    expect(await money(number)).toEqual(['paid', 880, 880])
  })

  test.each(['silent', 'wrong-signed', 'wrong-amount', 'foreign', '104', '3'] as const)(
    'cannot be listed (%s): the refund waits and is sent by the timer',
    async (fault) => {
      await open()
      const number = await shop.placePaid()
      const listed = fault === 'wrong-amount' || fault === 'foreign'
      // A list of one, so that there is something to lie about.
      if (listed) shop.sandbox.refundInConsole(number, 1)
      shop.faults['query_refund_order'] = [fault]
      const { statusCode, body } = await shop.refund(number, R1)
      if (fault === 'wrong-amount') return expect(body.state).toBe('accepted')
      expect([statusCode, body.state, asks()]).toEqual([202, 'requested', []])
      await shop.runFor(60)
      const sent = (await shop.refunds(number)).find(({ out_refund_no }) => out_refund_no === 'sb01r1')!
      expect([asks().length, sent.state]).toEqual([1, 'accepted'])
    },
  )

  test('more than the order has money for is an anomaly; what fits is kept', async () => {
    let extra = 0
    await open({
      wrapPost: lying((content, suffix) => {
        const list = content[suffix]?.refund_order_content
        if (suffix === 'query_refund_order' && list && extra > 0)
          list.push({ ...list[0], out_refund_no: 'elsewhere', refund_fee: extra })
      }),
    })
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 300)
    extra = 1881 - 300
    await shop.refund(number, some(1))
    expect(await money(number)).toEqual(['paid', 300, 300])
    expect(await shop.anomalyKinds()).toContain('refunds_exceed')
    expect(asks()).toEqual([])
  })

  test('of unpaid orders move nothing', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix === 'query_order')
          put(content, 'query_order.order_content.wxpay_order_content_ext.current_trade_state', 6)
      }),
    })
    const number = await shop.place()
    shop.sandbox.pay(number)
    shop.sandbox.refundInConsole(number, 100)
    await shop.runFor(120)
    expect(await money(number)).toEqual(['pending', 0, 0])
  })
})

test.each([
  ['that it is done', 2],
  ['that it has failed', 3],
  ['the same', 1],
])(
  'a signed list that names a refund under way twice, the second time %s, settles nothing',
  async (_, state) => {
    let isLying = true
    await open({
      refundDelayMs: Infinity,
      wrapPost: lying((content, suffix) => {
        const list = content[suffix]?.refund_order_content
        if (!isLying || suffix !== 'query_refund_order' || !Array.isArray(list)) return
        const [first] = list.filter((one) => one.out_refund_no === 'sb01r1')
        if (first) list.push({ ...first, wxpay_refund_order_content_ext: { state } })
      }),
    })
    const number = await shop.placePaid()
    await shop.refund(number, R1)
    expect((await only(number)).state).toBe('accepted')
    // Its list is read before the next one is sent.
    await shop.refund(number, R2)
    const [first, second] = await shop.refunds(number)
    expect([first!.state, second!.state, second!.sends]).toEqual(['accepted', 'requested', 0])
    expect(await money(number)).toEqual(['paid', 1880, 0])
    isLying = false
    shop.sandbox.finishRefund('sb01r1', 'succeeded')
    await shop.runFor(600)
    expect((await shop.refunds(number)).map((refund) => refund.state)).toEqual(['succeeded', 'accepted'])
  },
)

describe('ceilings', () => {
  const env = { REFUND_HOUR_MAX_FEN: '1000', REFUND_DAY_MAX_FEN: '1500' }

  test('of the hour and of the day stop a refund before it is recorded: 429, and a person is told', async () => {
    await open({ env })
    const number = await shop.placePaid()
    const other = await shop.placePaid()
    expect((await shop.refund(number, R2)).statusCode).toBe(202)
    const over = await shop.refund(other, some(1))
    expect([over.statusCode, over.body.code, over.headers['retry-after']]).toEqual([
      429,
      'refund_ceiling',
      '3600',
    ])
    expect([await money(other), await shop.refunds(other), asks().length]).toEqual([['paid', 0, 0], [], 1])
    expect(await shop.anomalies()).toMatchObject([{ kind: 'refund_ceiling', out_trade_no: other }])

    shop.pass(3600)
    expect((await shop.refund(other, some(500))).statusCode).toBe(202)
    shop.pass(3600)
    expect((await shop.refund(other, some(1))).statusCode).toBe(429)
    shop.pass(24 * 3600)
    expect((await shop.refund(other, some(1))).statusCode).toBe(202)
  })

  test('are not used up by what was refused or repeated', async () => {
    await open({ env })
    const number = await shop.placePaid()
    await shop.refund(number, { ...R1, refund_fee: 1001 })
    for (let again = 0; again < 3; again++) {
      await shop.refund(number, R2)
      shop.pass(3)
    }
    await shop.refund(number, some(1))
    expect(await money(number)).toEqual(['paid', 1000, 1000])
  })

  test('hold for automatic refunds too; they go on when there is room', async () => {
    await open({ env: { ...env, CLOSE_NOT_BEFORE: '0', REFUND_DAY_MAX_FEN: '100000' } })
    const first = await shop.placePaid({ total_fee: 800 })
    await shop.refund(first, some(800))
    const number = await shop.place({ total_fee: 900 })
    await shop.closeOrder(number)
    shop.sandbox.pay(number, { late: true })
    await shop.refresh(number)
    await shop.runFor(300)
    expect(await money(number)).toEqual(['paid_after_close', 0, 0])
    expect(await shop.anomalyKinds()).toContain('refund_ceiling')
    shop.pass(3600)
    await shop.runFor(1200)
    expect(await money(number)).toEqual(['refunded', 900, 900])
  })

  test('are each sub-merchant’s own, and console refunds are not counted', async () => {
    await open({ env })
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 880)
    expect((await shop.refund(number, R2)).statusCode).toBe(202)
  })
})

describe('one whose handler died', () => {
  test('after recording it is sent by the timer, under its own number and text', async () => {
    await open()
    const number = await shop.placePaid()
    shop.database.before = (sql) => {
      if (/update "refunds" set "sends"/.test(sql)) throw new Error('dies here')
    }
    expect((await shop.refund(number, R1)).statusCode).toBe(202)
    shop.database.before = undefined
    const recorded = await only(number)
    expect([recorded.state, recorded.sends, asks()]).toEqual(['requested', 0, []])
    await shop.runFor(40)
    expect(asks().map((one) => one.request_content)).toEqual([recorded.request_content])
    expect((await only(number)).state).toBe('accepted')
  })

  test('after sending is asked about first, and not sent a second time if it arrived', async () => {
    await open()
    const number = await shop.placePaid()
    let sent = false
    shop.database.before = (sql) => {
      if (sent && /update/i.test(sql)) throw new Error('dies here')
      sent ||= /update "refunds" set "sends"/.test(sql)
    }
    await shop.refund(number, R1)
    shop.database.before = undefined
    expect(await only(number)).toMatchObject({ state: 'requested', sends: 1 })
    await shop.runFor(120)
    expect([asks().length, await money(number)]).toEqual([1, ['paid', 880, 880]])
  })

  test('with no time left nothing is sent, and the timer sends', async () => {
    await open()
    const number = await shop.placePaid()
    const { statusCode } = await shop.call('POST', `/orders/${number}/refunds`, {
      body: R1,
      remainingMs: 2000,
    })
    expect([statusCode, asks(), await money(number)]).toEqual([202, [], ['paid', 880, 0]])
    await shop.runFor(40)
    expect(asks()).toHaveLength(1)
  })
})
