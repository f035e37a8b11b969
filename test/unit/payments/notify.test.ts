import { NetFault, type Post } from '../../../shared/net/post'
import { openShop, otherMerchants, type Shop, type ShopOptions } from '../../support/shop'
import { put, sealedNotification, signedText, type Content } from '../../support/tamper'
import { fakeTimeouts } from '../../support/waiting'
import type { Answer } from '../../support/world'

let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

const REFUSED = { response_content: { status: 1, description: 'refused' } }
const TRY_AGAIN = { response_content: { status: 1, description: 'try again' } }
const OK = { response_content: { status: 0, description: 'OK' } }
const queries = () => shop.sent('query_order').length

const gates = () =>
  Object.fromEntries(Object.entries(shop.counts()).filter(([count]) => count.startsWith('notify.')))

/** What Cloud Pay would say of this order now, changed and signed again. */
function told(number: string, change: (content: Content) => void = () => undefined, key?: string): Buffer {
  const content = JSON.parse(signedText(shop.sandbox.notification(number)))
  change(content)
  return sealedNotification(content, key)
}
const set = (path: string, value: unknown) => (content: Content) => put(content, path, value)
/** A notification of a payment that never was. */
const claimed = (number: string) =>
  told(number, (content) => {
    put(content, 'order_content.wxpay_order_content_ext.current_trade_state', 3)
    put(content, 'order_content.transaction_id', '4200000000000000000000000000')
  })

describe('what is refused', () => {
  const others = otherMerchants(1)
  const unsigned = (bytes: Buffer) => Buffer.from(JSON.stringify({ request_content: signedText(bytes) }))
  const asAnswer = (number: string) => {
    const { pay_mch_key, order_content } = JSON.parse(signedText(shop.sandbox.notification(number)))
    return { status: 0, description: 'OK', log_id: 1, query_order: { pay_mch_key, order_content } }
  }
  const oursAgain = (suffix: string) => Buffer.from(shop.sent(suffix).at(-1)!.body)

  type Case = [name: string, gate: string, bytes: (number: string) => Buffer | Promise<Buffer>]
  const cases: Case[] = [
    ['nothing', 'envelope_malformed', () => Buffer.from('{}')],
    ['bytes that are no text', 'envelope_malformed', () => Buffer.from([0xc3, 0x28])],
    ['an unsigned success', 'envelope_malformed', (number) => unsigned(told(number))],
    ['an answer played back', 'content_is_no_notification', (number) => sealedNotification(asAnswer(number))],
    ['our create played back', 'content_is_no_notification', () => oursAgain('official_account_pay')],
    [
      'our query played back',
      'content_is_no_notification',
      async (number) => {
        await shop.refresh(number)
        return oursAgain('query_order')
      },
    ],
    [
      'one without a number',
      'content_is_no_notification',
      (number) => told(number, set('order_content.out_trade_no', undefined)),
    ],
    [
      'an empty number',
      'content_is_no_notification',
      (number) => told(number, set('order_content.out_trade_no', '')),
    ],
    [
      'a list of orders',
      'content_is_no_notification',
      (number) => told(number, (content) => (content.order_content = [content.order_content])),
    ],
    [
      'a number too long',
      'content_is_no_notification',
      (number) => told(number, set('order_content.out_trade_no', 'x'.repeat(33))),
    ],
    [
      'an unknown merchant',
      'merchant_unknown',
      (number) => told(number, set('pay_mch_key.out_sub_mch_id', 'nobody')),
    ],
    [
      'no merchant',
      'merchant_unknown',
      (number) => told(number, set('pay_mch_key.out_sub_mch_id', undefined)),
    ],
    ['a wrong key', 'authen_code_wrong', (number) => told(number, undefined, 'wrong')],
    [
      'another merchant’s key',
      'authen_code_wrong',
      (number) => told(number, undefined, others[0]!.authen_key),
    ],
    [
      'another out_sub_mch_id, signed with ours',
      'authen_code_wrong',
      (number) => told(number, set('pay_mch_key.out_sub_mch_id', others[0]!.out_sub_mch_id)),
    ],
    ...['out_mch_id', 'out_shop_id'].flatMap((name): Case[] => [
      [`another ${name}`, 'order_differs', (number) => told(number, set(`pay_mch_key.${name}`, 'another'))],
      [`a number as ${name}`, 'order_differs', (number) => told(number, set(`pay_mch_key.${name}`, 7))],
    ]),
    ['another pay_platform', 'order_differs', (number) => told(number, set('pay_mch_key.pay_platform', 2))],
    [
      'a pay_platform as text',
      'order_differs',
      (number) => told(number, set('pay_mch_key.pay_platform', '1')),
    ],
    ['one fen more', 'amount_differs', (number) => told(number, set('order_content.total_fee', 1881))],
    [
      'the amount as text',
      'amount_differs',
      (number) => told(number, set('order_content.total_fee', '1880')),
    ],
    ['another currency', 'amount_differs', (number) => told(number, set('order_content.fee_type', 'USD'))],
  ]

  test.each(cases)('%s: 401, counted as %s, and nothing moves', async (_, gate, make) => {
    // With data keys the sub-merchants in the database are looked at after a good signature.
    await open({ merchants: others, env: { DATA_KEYS: '' } })
    const number = await shop.place()
    shop.sandbox.pay(number)
    const bytes = await make(number)
    const anomalous = gate === 'order_differs' || gate === 'amount_differs'
    await shop.store.db.updateTable('orders').set({ state: 'pending' }).execute()
    const [before, asked] = [await shop.order(number), queries()]
    shop.database.said = shop.log.length = 0

    const answer = await shop.tell(bytes)
    const { said } = shop.database
    expect([answer.statusCode, answer.body]).toEqual([401, REFUSED])
    expect(gates()).toEqual({ [`notify.refused.${gate}`]: 1 })
    expect(shop.log.at(-1)).toMatchObject({ event: 'http', status: 401, code: 'notification_refused' })
    // Only who holds the key costs us a look at the database.
    expect(said > 0).toBe(anomalous)
    expect(queries()).toBe(asked)
    expect(await shop.order(number)).toEqual(before)
    expect(await shop.inbox()).toEqual([])
    expect(await shop.anomalyKinds()).toEqual(anomalous ? ['notification_mismatch'] : [])
  })

  test.each([
    'nonce_str',
    'order_client',
    'pay_mch_key.out_mch_id',
    'pay_mch_key.out_shop_id',
    'pay_mch_key.pay_platform',
    'order_content.total_fee',
    'order_content.fee_type',
    'order_content.transaction_id',
    'order_content.time_end',
    'order_content.wxpay_order_content_ext',
    'order_content.wxpay_order_content_ext.current_trade_state',
  ])('without %s it is a weaker hint: kept, acknowledged, and looked up', async (path) => {
    for (const absent of [undefined, null]) {
      await open()
      const number = await shop.place()
      shop.sandbox.pay(number)
      const { statusCode } = await shop.tell(told(number, set(path, absent)))
      expect([statusCode, (await shop.order(number)).state]).toEqual([200, 'paid'])
      expect(await shop.inbox()).toHaveLength(1)
      expect(await shop.anomalyKinds()).toEqual([])
      await shop.close()
    }
    await open()
  })

  test('nobody outside can tell one gate from another', async () => {
    await open()
    const number = await shop.place()
    const faces = new Set<string>()
    for (const bytes of [
      Buffer.from('{}'),
      told(number, undefined, 'wrong'),
      told(number, set('pay_mch_key.out_sub_mch_id', 'nobody')),
      told(number, set('order_content.total_fee', 1)),
      told(number, set('pay_mch_key.out_shop_id', 'another')),
      Buffer.alloc(40_000, 'x'),
      Buffer.alloc(70_000, 'x'),
    ]) {
      const { statusCode, headers, body } = await shop.tell(bytes)
      faces.add(JSON.stringify({ statusCode, body: body as unknown, ...headers, 'x-request-id': '' }))
    }
    expect(faces.size).toBe(1)
  })

  test('the gates stand in their order: each fault is found before those behind it', async () => {
    await open()
    const number = await shop.place()
    // From the last gate to the first, every notification keeps the faults of those before.
    const faults: [string, (content: Content) => void, string?][] = [
      ['amount_differs', set('order_content.total_fee', 1)],
      ['order_differs', set('pay_mch_key.out_shop_id', 'another')],
      ['authen_code_wrong', () => undefined, 'wrong'],
      ['merchant_unknown', set('pay_mch_key.out_sub_mch_id', 'nobody')],
      ['content_is_no_notification', set('status', 0)],
    ]
    for (let upTo = 0; upTo < faults.length; upTo++) {
      const some = faults.slice(0, upTo + 1)
      shop.log.length = 0
      const key = some.find(([, , wrong]) => wrong)?.[2]
      await shop.tell(told(number, (content) => some.forEach(([, change]) => change(content)), key))
      expect(gates()).toEqual({ [`notify.refused.${faults[upTo]![0]}`]: 1 })
    }
  })

  test('the same mismatch again is the same anomaly, counted up', async () => {
    await open()
    const number = await shop.place()
    for (let times = 0; times < 3; times++) await shop.tell(told(number, set('order_content.total_fee', 1)))
    expect(await shop.anomalies()).toMatchObject([
      { out_trade_no: number, times: 3, evidence: { fields: ['order_content.total_fee'] } },
    ])
  })

  test('only POST /notify is answered in Cloud Pay’s words', async () => {
    await open()
    expect((await shop.call('GET', '/notify')).body.code).toBe('path_not_found')
  })
})

describe('what is accepted', () => {
  test('is kept, settled by our own query and acknowledged with status 0', async () => {
    await open()
    const number = await shop.place()
    const { transaction_id } = shop.sandbox.pay(number)
    shop.pass(3)
    const { statusCode, body } = await shop.tell(shop.sandbox.notification(number))
    expect([statusCode, body]).toEqual([200, OK])
    expect(await shop.order(number)).toMatchObject({
      state: 'paid',
      transaction_id,
      notified_at_ms: shop.clock.nowMs(),
    })
    expect(await shop.inbox()).toEqual([{ out_trade_no: number, orphan: 0 }])
    expect(await shop.messages(number)).toEqual(['order.paid'])
    expect(queries()).toBe(1)
    expect(shop.counts()).toMatchObject({ 'notify.done': 1, 'order.paid': 1 })
  })

  test('is in the inbox, committed, before anybody hears yes and before anything is asked', async () => {
    const seen: unknown[] = []
    await open({
      wrapPost: (post) => async (url, body, options) => {
        if (url.endsWith('query_order'))
          seen.push(await shop.inbox(), (await shop.order(numberOf())).next_due_at_ms)
        return post(url, body, options)
      },
    })
    const numberOf = () => number
    const number = await shop.place()
    shop.sandbox.pay(number)
    await shop.tell(shop.sandbox.notification(number))
    expect(seen).toEqual([[{ out_trade_no: number, orphan: 0 }], shop.clock.nowMs()])
  })

  test('is a hint and never proof: a signed “paid” moves nothing while our query says unpaid', async () => {
    await open()
    const number = await shop.place()
    const bytes = claimed(number)
    expect((await shop.tell(bytes)).body).toEqual(OK)
    expect(await shop.order(number)).toMatchObject({
      state: 'pending',
      transaction_id: null,
      paid_at: null,
      next_due_at_ms: shop.clock.nowMs(),
    })
    expect(await shop.messages(number)).toEqual([])
  })

  test('keeps what it claimed, and no payer', async () => {
    await open()
    const number = await shop.place()
    const { transaction_id, time_end } = shop.sandbox.pay(number)
    await shop.tell(shop.sandbox.notification(number))
    const { claims } = await shop.store.db
      .selectFrom('notifications')
      .select('claims')
      .executeTakeFirstOrThrow()
    expect(JSON.parse(claims)).toEqual({ total_fee: 1880, transaction_id, wallet_state: 3, time_end })
  })

  test('for a closed order brings its late money', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '0' } })
    const number = await shop.place()
    expect((await shop.closeOrder(number)).statusCode).toBe(200)
    shop.sandbox.pay(number, { late: true })
    shop.pass(3)
    expect((await shop.tell(shop.sandbox.notification(number))).body).toEqual(OK)
    expect((await shop.order(number)).state).toBe('paid_after_close')
  })

  test('for a paid order asks nothing more', async () => {
    await open()
    const number = await shop.placePaid()
    const asked = queries()
    expect((await shop.tell(shop.sandbox.notification(number))).body).toEqual(OK)
    expect(queries()).toBe(asked)
    expect((await shop.order(number)).next_due_at_ms).toBeNull()
  })

  test('asks nothing within three seconds of the last look: the timer does', async () => {
    await open()
    const number = await shop.place()
    await shop.refresh(number)
    shop.sandbox.pay(number)
    expect((await shop.tell(shop.sandbox.notification(number))).body).toEqual(OK)
    expect((await shop.order(number)).state).toBe('pending')
    await shop.timer()
    expect((await shop.order(number)).state).toBe('paid')
  })
})

describe('the same again', () => {
  test.each([1, 10])(
    '%i more times, one after the other: the same yes, one move, one message',
    async (times) => {
      await open()
      const number = await shop.place()
      shop.sandbox.pay(number)
      const bytes = shop.sandbox.notification(number)
      const first = await shop.tell(bytes)
      for (let again = 0; again < times; again++) {
        const { statusCode, body } = await shop.tell(bytes)
        expect([statusCode, body]).toEqual([first.statusCode, first.body])
      }
      await onlyOnce(number)
      expect(await shop.inbox()).toHaveLength(1)
    },
  )

  test.each([
    ['the same bytes', (number: string) => [shop.sandbox.notification(number)]],
    [
      'ten of their own',
      (number: string) => Array.from({ length: 10 }, () => shop.sandbox.notification(number)),
    ],
  ])('ten at once, %s: ten times yes, one move, one message', async (_, make) => {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    const bytes = make(number)
    const answers = await Promise.all(
      Array.from({ length: 10 }, (__, at) => shop.tell(bytes[at % bytes.length]!)),
    )
    for (const { statusCode, body } of answers) expect([statusCode, body]).toEqual([200, OK])
    await onlyOnce(number)
    expect(await shop.inbox()).toHaveLength(bytes.length)
    expect(queries()).toBe(1)
  })

  async function onlyOnce(number: string) {
    expect((await shop.events(number)).filter(({ to_state }) => to_state === 'paid')).toHaveLength(1)
    expect(await shop.messages(number)).toEqual(['order.paid'])
  }
})

describe('an order we do not have', () => {
  const early = (number: string) => {
    const { out_mch_id, out_sub_mch_id, out_shop_id } = shop.app.merchants.first
    return sealedNotification({
      nonce_str: 'n',
      pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
      order_content: { out_trade_no: number, total_fee: 1880, fee_type: 'CNY', transaction_id: '4200' },
    })
  }

  test('its notification is kept as an orphan, told to a person and acknowledged; nothing is asked', async () => {
    await open()
    expect((await shop.tell(early('sb01unborn'))).body).toEqual(OK)
    expect(await shop.inbox()).toEqual([{ out_trade_no: 'sb01unborn', orphan: 1 }])
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'notification_orphan', out_trade_no: 'sb01unborn', evidence: { transaction_id: '4200' } },
    ])
    expect(shop.sent()).toEqual([])
    await shop.timer()
    expect(await shop.inbox()).toMatchObject([{ orphan: 1 }])
  })

  test('when it appears the next run settles it', async () => {
    await open()
    await shop.tell(early('sb01born'))
    await shop.place({ out_trade_no: 'sb01born' })
    shop.sandbox.pay('sb01born')
    expect(await shop.timer()).toMatchObject({ orphans: 1, orders: 1 })
    expect((await shop.order('sb01born')).state).toBe('paid')
    expect(await shop.inbox()).toMatchObject([{ orphan: 0 }])
    expect(await shop.messages('sb01born')).toEqual(['order.paid'])
  })
})

describe('when time is short', () => {
  /** A far end that keeps everybody waiting for as long as they wait, without the waiting. */
  const neverInTime =
    (asked: number[]) =>
    (post: Post): Post =>
    async (url, body, options) => {
      if (!url.endsWith('query_order')) return post(url, body, options)
      asked.push(options.timeoutMs)
      throw new NetFault('timeout')
    }

  test('a query that is not answered takes 1.5 s at most; the timer settles it', async () => {
    const waited: number[] = []
    let late = true
    await open({
      wrapPost: (post) => (url, body, options) =>
        (late ? neverInTime(waited)(post) : post)(url, body, options),
    })
    const number = await shop.place()
    shop.sandbox.pay(number)
    expect((await shop.tell(shop.sandbox.notification(number))).body).toEqual(OK)
    expect(waited).toHaveLength(1)
    expect(waited[0]).toBeGreaterThan(1000)
    expect(waited[0]).toBeLessThanOrEqual(1500)
    expect(await shop.inbox()).toHaveLength(1)
    expect(await shop.order(number)).toMatchObject({ state: 'pending', next_due_at_ms: shop.clock.nowMs() })
    late = false
    await shop.timer()
    expect((await shop.order(number)).state).toBe('paid')
    expect(await shop.messages(number)).toEqual(['order.paid'])
  })

  test('a function with too little time left asks nothing and acknowledges all the same', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    const body = shop.sandbox.notification(number).toString()
    expect((await shop.call('POST', '/notify', { body, remainingMs: 2400 })).body).toEqual(OK)
    expect(queries()).toBe(0)
    await shop.timer()
    expect((await shop.order(number)).state).toBe('paid')
  })

  test('a database that breaks after it was kept makes no refusal of it', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    const bytes = shop.sandbox.notification(number)
    let committed = false
    shop.database.before = (sql) => {
      if (committed && !sql.startsWith('ROLLBACK')) throw new Error('disk I/O error')
      committed ||= sql === 'COMMIT'
    }
    expect((await shop.tell(bytes)).body).toEqual(OK)
    expect(shop.counts()).toMatchObject({ 'notify.left_to_timer': 1 })
    shop.database.before = undefined
    await shop.timer()
    expect((await shop.order(number)).state).toBe('paid')
  })
})

describe('when the database is not there', () => {
  test('down: 503, and nothing is acknowledged or kept; told again it is', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    const bytes = shop.sandbox.notification(number)
    shop.database.mood = 'down'
    const { statusCode, body } = await shop.tell(bytes)
    expect([statusCode, body]).toEqual([503, TRY_AGAIN])
    expect(queries()).toBe(0)
    shop.database.mood = 'well'
    expect(await shop.inbox()).toEqual([])
    expect((await shop.tell(bytes)).body).toEqual(OK)
    expect((await shop.order(number)).state).toBe('paid')
  })

  test('stalled: 503 within three seconds', async () => {
    await open()
    const number = await shop.place()
    const bytes = claimed(number)
    shop.database.mood = 'stalled'
    fakeTimeouts()
    try {
      let answer: Answer | undefined
      const telling = shop.tell(bytes).then((given) => (answer = given))
      await jest.advanceTimersByTimeAsync(2000)
      expect(answer).toBeUndefined()
      await jest.advanceTimersByTimeAsync(999)
      await telling
      expect([answer?.statusCode, answer?.body]).toEqual([503, TRY_AGAIN])
    } finally {
      jest.useRealTimers()
      shop.database.mood = 'well'
    }
    expect(queries()).toBe(0)
  })

  test('a row that cannot be written is not acknowledged', async () => {
    await open()
    const number = await shop.place()
    shop.database.before = (sql) => {
      if (/insert into "notifications"/.test(sql)) throw new Error('disk full')
    }
    const bytes = claimed(number)
    expect(await shop.tell(bytes)).toMatchObject({ statusCode: 503, body: TRY_AGAIN })
    // A commit that fails is not believed either.
    shop.database.before = (sql) => {
      if (sql === 'COMMIT') throw new Error('disk full')
    }
    expect(await shop.tell(bytes)).toMatchObject({ statusCode: 503, body: TRY_AGAIN })
    shop.database.before = undefined
    expect(await shop.inbox()).toEqual([])
    expect(queries()).toBe(0)
  })

  test('a commit whose answer is lost is read again: acknowledged once it is there', async () => {
    await open()
    const number = await shop.place()
    const bytes = claimed(number)
    let lost = 0
    shop.database.before = (sql) => {
      if (sql !== 'COMMIT' || lost++ > 0) return
      throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    }
    expect((await shop.tell(bytes)).body).toEqual(OK)
    expect(lost).toBeGreaterThan(1)
    expect(await shop.inbox()).toHaveLength(1)
  })

  test('a fault of ours is a 503 as well, never a refusal', async () => {
    await open({
      overrides: {
        random: () => {
          throw new Error('no entropy')
        },
      },
    })
    const bytes = sealedNotification({
      nonce_str: 'n',
      pay_mch_key: { out_sub_mch_id: shop.app.merchants.first.out_sub_mch_id },
      order_content: { out_trade_no: 'sb01x' },
    })
    shop.database.before = (sql) => {
      if (/from "orders"/.test(sql)) throw new TypeError('our bug')
    }
    expect(await shop.tell(bytes)).toMatchObject({ statusCode: 503, body: TRY_AGAIN })
  })
})

describe('notified, and nothing to show for it', () => {
  test('after ten minutes of unpaid answers a person is told, not before', async () => {
    await open()
    const number = await shop.place({ time_expire: shop.nowS() + 3600 })
    await shop.tell(claimed(number))
    await shop.runFor(600)
    expect(await shop.anomalyKinds()).toEqual([])
    await shop.runFor(360)
    expect(await shop.anomalies()).toMatchObject([{ kind: 'notified_but_unpaid', out_trade_no: number }])
    expect((await shop.order(number)).state).toBe('pending')
  })

  test('one that ends closed says so at once', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '0' } })
    const number = await shop.place()
    await shop.tell(claimed(number))
    shop.pass(3)
    expect((await shop.closeOrder(number)).statusCode).toBe(200)
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'notified_but_unpaid', evidence: { ended: 'closed' } },
    ])
  })
})
