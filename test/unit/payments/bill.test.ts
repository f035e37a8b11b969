import { reconcileWindow } from '../../../shared/payments/bill'
import { reconcileDaily } from '../../../shared/payments/billDaily'
import { ALIPAY, openShop, otherMerchants, type Shop, type ShopOptions } from '../../support/shop'
import { newOrder } from '../../support/orders'
import { lying, put, type Content } from '../../support/tamper'
import { run } from '../../../functions/timer'

let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

const LONG = { remainingMs: () => 60_000 }
const compare = (fromS: number, toS = shop.nowS() + 1) =>
  reconcileWindow(shop.app, shop.app.merchants.first, fromS, toS, LONG)
/** What a person was told, by order. */
const told = async () =>
  (await shop.anomalies())
    .filter(({ kind }) => kind !== 'timer_silent')
    .map(({ kind, out_trade_no }) => `${kind} ${out_trade_no}`)
    .sort()
const pages = () => shop.sent('client_order_detail').map((one) => JSON.parse(one.request_content!))
const change = (number: string, set: object) =>
  shop.store.db.updateTable('orders').set(set).where('out_trade_no', '=', number).execute()

/** Every way in which an order can be as it should be. */
const HEALTHY: (() => Promise<string>)[] = [
  () => shop.place(),
  () => shop.placePaid(),
  () => shop.placePaid({}, ALIPAY),
  async () => {
    const number = await shop.place()
    await shop.closeOrder(number)
    return number
  },
  async () => {
    const number = await shop.placePaid()
    await shop.refund(number, { out_refund_no: `${number}r`, refund_fee: 80 })
    await shop.refund(number, { out_refund_no: `${number}s`, refund_fee: 1800 })
    return number
  },
  async () => {
    const number = await shop.placePaid({}, ALIPAY)
    await shop.refund(number, { out_refund_no: `${number}r`, refund_fee: 1880 })
    return number
  },
  async () => {
    const number = await shop.placePaid()
    shop.faults['refund'] = ['104']
    await shop.refund(number, { out_refund_no: `${number}r`, refund_fee: 80 })
    return number
  },
  async () => {
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 300)
    return number
  },
  async () => {
    const number = await shop.place()
    await shop.closeOrder(number)
    shop.sandbox.pay(number, { late: true })
    return number
  },
  async () => {
    const number = await shop.place()
    shop.sandbox.pay(number)
    return number
  },
]

/** Defects, and what they should be called. */
const DEFECTS: [string, (number: string) => unknown][] = [
  [
    'paid_upstream_only',
    (number) => shop.store.db.deleteFrom('orders').where('out_trade_no', '=', number).execute(),
  ],
  ['paid_here_only', (number) => shop.sandbox.orders.delete(number)],
  ['bill_differs', (number) => change(number, { total_fee: 1881 })],
  ['bill_differs', (number) => Object.assign(shop.sandbox.orders.get(number)!, { state: 'waiting' })],
  ['bill_differs', (number) => change(number, { reserved_fen: 500, refunded_fen: 500 })],
]

describe('a thousand orders', () => {
  test('each difference is found and named, and nothing else is said', async () => {
    await open({
      env: { CLOSE_NOT_BEFORE: '0', REFUND_HOUR_MAX_FEN: '99999999', REFUND_DAY_MAX_FEN: '99999999' },
    })
    const start = shop.nowS()
    const healthy: string[] = []
    for (let at = 0; at < 900; at++) {
      shop.pass(11)
      healthy.push(await HEALTHY[at % HEALTHY.length]!())
      if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const expected: string[] = []
    for (let at = 0; at < 100; at++) {
      shop.pass(11)
      const [kind, break_] = DEFECTS[at % DEFECTS.length]!
      const number = await shop.placePaid()
      await break_(number)
      expected.push(`${kind} ${number}`)
    }
    shop.pass(3600)
    const report = await compare(start)
    expect(report).toEqual({
      payments: expect.any(Number),
      refunds: expect.any(Number),
      differences: 100,
      otherTills: 0,
      complete: true,
    })
    expect(report.payments).toBeGreaterThanOrEqual(980)
    const about = (await told()).filter((one) => /^(paid_|bill_)/.test(one))
    expect(about).toEqual([...expected].sort())
    // What settling them came upon is about the same orders.
    const broken = new Set(expected.map((one) => one.split(' ')[1]))
    expect((await told()).filter((one) => !broken.has(one.split(' ')[1]))).toEqual([])

    // What was merely not known yet has been put through settle.
    const states = await Promise.all(healthy.map(async (number) => (await shop.order(number)).state))
    const now = HEALTHY.map((_, kind) => [
      ...new Set(states.filter((__, at) => at % HEALTHY.length === kind)),
    ])
    expect(now).toEqual([
      ['pending'],
      ['paid'],
      ['paid'],
      ['closed'],
      ['refunded'],
      ['refunded'],
      ['paid'],
      ['paid'],
      ['paid_after_close'],
      ['paid'],
    ])
    const imported = await shop.refunds(healthy[7]!)
    expect(imported).toMatchObject([{ origin: 'console', refund_fee: 300, state: 'succeeded' }])
    expect(shop.sent('query_order').every((one) => one.request_content !== undefined)).toBe(true)

    // Windows of more than 500 were cut, and none was skipped.
    const windows = [...new Set(pages().map(({ start_time, end_time }) => `${start_time}-${end_time}`))]
    expect(windows.length).toBeGreaterThan(2)
    expect((await compare(start)).differences).toBe(100)
    expect(
      (await shop.anomalies())
        .filter(({ kind }) => kind.startsWith('paid_'))
        .every(({ times }) => times === 2),
    ).toBe(true)
  })

  test('in one and the same second are read page by page', async () => {
    await open()
    const start = shop.nowS()
    for (let at = 0; at < 620; at++) await shop.place()
    const gone = await shop.placePaid()
    await shop.store.db.deleteFrom('orders').where('out_trade_no', '=', gone).execute()
    expect(await compare(start, start + 30)).toMatchObject({ payments: 621, complete: true, differences: 1 })
    expect(pages().at(-1)).toMatchObject({ page_num: 13, page_size: 50 })
  })
})

describe('no false alarm', () => {
  test.each([
    ['create_time', 'oldest_first'],
    ['create_time', 'newest_first'],
    ['last_update_time', 'oldest_first'],
    ['last_update_time', 'newest_first'],
  ] as const)('where the bill goes by %s, %s', async (billTime, billOrder) => {
    await open({ switches: { billTime, billOrder, createTime: 'behind' }, env: { CLOSE_NOT_BEFORE: '0' } })
    const start = shop.nowS()
    const numbers: string[] = []
    for (const make of [...HEALTHY, ...HEALTHY]) {
      shop.pass(1000)
      numbers.push(await make())
    }
    // A refund days later makes its order one of that day, for a bill that goes by the last update.
    shop.pass(2 * 86_400)
    await shop.refund(numbers[1]!, { out_refund_no: 'sb01late', refund_fee: 100 })
    await shop.runFor(400)
    expect(await compare(start, start + 24_000)).toMatchObject({ complete: true, differences: 0 })
    expect(await compare(start)).toMatchObject({ complete: true, differences: 0 })
    expect(await told()).toEqual([])
  })

  test('for the bill that lists paid orders only', async () => {
    await open({ switches: { billLists: 'paid_only' }, env: { CLOSE_NOT_BEFORE: '0' } })
    const start = shop.nowS()
    for (const make of HEALTHY) {
      shop.pass(1000)
      await make()
    }
    shop.pass(1000)
    expect(await compare(start)).toMatchObject({ complete: true, differences: 0 })
    expect(await told()).toEqual([])
  })

  test('for an order at the edge of a window that is asked about and found', async () => {
    await open({ switches: { createTime: 'behind' } })
    const start = shop.nowS()
    await shop.placePaid()
    shop.pass(7200)
    // Created here at the first second, there 200 s before it.
    expect(await compare(start)).toMatchObject({ payments: 0, complete: true, differences: 0 })
  })

  test('for other tills’ orders that nobody paid', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '0' } })
    const start = shop.nowS()
    await shop.place()
    await shop.closeOrder(await shop.place())
    await shop.store.db.deleteFrom('orders').execute()
    expect(await compare(start)).toMatchObject({ payments: 2, differences: 0 })
  })
})

describe('a difference', () => {
  test('of a refund upstream has and our order cannot is told with its number', async () => {
    await open()
    const start = shop.nowS()
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 300)
    await shop.store.db.deleteFrom('orders').execute()
    expect(await compare(start)).toMatchObject({ refunds: 1, differences: 2 })
    expect((await shop.anomalies()).map(({ evidence }) => evidence['out_refund_no'] ?? null).sort()).toEqual([
      null,
      expect.stringContaining('console'),
    ])
  })

  test('of a refund we call done and upstream does not', async () => {
    await open({ refundDelayMs: Infinity })
    const start = shop.nowS()
    const number = await shop.placePaid()
    await shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 300 })
    await shop.store.db.updateTable('refunds').set({ state: 'succeeded' }).execute()
    await compare(start)
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'bill_differs', out_trade_no: number, evidence: { out_refund_no: 'sb01r1' } },
    ])
  })

  test('is named by its fields', async () => {
    await open()
    const start = shop.nowS()
    const number = await shop.placePaid()
    await change(number, { total_fee: 1881, state: 'pending' })
    await compare(start)
    const differs = (await shop.anomalies()).find(({ kind }) => kind === 'bill_differs')
    expect(differs!.evidence).toEqual({ fields: ['total_fee', 'state'] })
  })

  test('is never put right by the bill alone: money moves on a signed query', async () => {
    await open()
    const start = shop.nowS()
    const number = await shop.place()
    shop.sandbox.pay(number)
    shop.faults['query_order'] = 'silent'
    await compare(start)
    expect((await shop.order(number)).state).toBe('pending')
    shop.faults['query_order'] = 'ok'
    await compare(start)
    expect((await shop.order(number)).state).toBe('paid')
    expect(await shop.messages(number)).toEqual(['order.paid'])
  })
})

describe('a bill that cannot be read', () => {
  test.each([
    'silent',
    'lost',
    'truncated',
    'wrong-signed',
    'unsigned',
    'not-json',
    '500',
    '3',
    '101',
    '104',
  ] as const)('(%s) is incomplete, and accuses nobody', async (fault) => {
    await open()
    const start = shop.nowS()
    await shop.placePaid()
    shop.faults['client_order_detail'] = fault
    expect(await compare(start)).toEqual({
      payments: 0,
      refunds: 0,
      differences: 0,
      otherTills: 0,
      complete: false,
    })
    expect(await told()).toEqual([])
  })

  test.each(['ok,silent', 'ok,104'])('in its second page (%s) is incomplete', async (faults) => {
    await open()
    const start = shop.nowS()
    for (let at = 0; at < 60; at++) await shop.place()
    shop.faults['client_order_detail'] = faults.split(',') as 'ok'[]
    expect(await compare(start, start + 30)).toMatchObject({ complete: false, differences: 0 })
  })

  test('whose pages end before its count is incomplete', async () => {
    await open({
      wrapPost: lying((content) => {
        const bill = content.order_detail_query
        if (bill) Object.assign(bill, { total_count: 100, order_details: bill.order_details.slice(1) })
      }),
    })
    const start = shop.nowS()
    await shop.placePaid()
    shop.pass(7200)
    expect(await compare(start - 7200)).toMatchObject({ complete: false, differences: 0 })
    expect(await told()).toEqual([])
  })

  test('in one entry is compared in all the others', async () => {
    await open()
    const start = shop.nowS()
    const bad = await shop.place()
    shop.sandbox.pay(bad)
    const good = await shop.place()
    shop.sandbox.pay(good)
    await change(bad, { request_content: 'no json' })
    expect(await compare(start)).toMatchObject({ payments: 2, complete: false })
    expect((await shop.order(good)).state).toBe('paid')
  })
})

describe('an entry of the bill', () => {
  type Entry = Content
  const lieAboutOne = (number: () => string, change: (entry: Entry) => void) => ({
    wrapPost: lying((content, suffix) => {
      if (suffix !== 'client_order_detail') return
      for (const entry of content.order_detail_query?.order_details ?? [])
        if (entry.receipt.order?.order_content.out_trade_no === number()) change(entry)
    }),
  })

  test.each<[string, (entry: Entry) => void, string]>([
    [
      'an amount of another type',
      (entry) => put(entry, 'receipt.order.order_content.total_fee', '1880'),
      'receipt.order.order_content.total_fee',
    ],
    [
      'a state of another type',
      (entry) => put(entry, 'receipt.order.order_content.wxpay_order_content_ext.current_trade_state', '3'),
      'receipt.order.order_content.wxpay_order_content_ext.current_trade_state',
    ],
    ['no content', (entry) => put(entry, 'receipt.order.order_content', null), 'receipt.order.order_content'],
    [
      'no number',
      (entry) => put(entry, 'receipt.order.order_content.out_trade_no', null),
      'receipt.order.order_content.out_trade_no',
    ],
    ['a list for a receipt', (entry) => put(entry, 'receipt', []), 'receipt'],
  ])('with %s is lost alone, and a person is told where', async (_, change, at) => {
    let spoilt = ''
    await open(lieAboutOne(() => spoilt, change))
    const start = shop.nowS()
    const numbers = [await shop.placePaid(), await shop.place(), await shop.place()]
    spoilt = numbers[0]!
    for (const number of numbers.slice(1)) shop.sandbox.pay(number)
    const report = await compare(start)
    expect(report).toEqual({ payments: 2, refunds: 0, differences: 1, otherTills: 0, complete: true })
    expect(await Promise.all(numbers.map(async (number) => (await shop.order(number)).state))).toEqual([
      'paid',
      'paid',
      'paid',
    ])
    const unread = (await shop.anomalies()).filter(({ kind }) => kind === 'bill_entry_unread')
    expect(unread).toEqual([expect.objectContaining({ evidence: { at, from: expect.any(String) } })])
  })

  test('that is a refund and cannot be read is lost alone', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix !== 'client_order_detail') return
        for (const { receipt } of content.order_detail_query.order_details)
          if (receipt.refund_order) receipt.refund_order.refund_order_content.refund_fee = [300]
      }),
    })
    const start = shop.nowS()
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 300)
    expect(await compare(start)).toMatchObject({ payments: 1, refunds: 0, complete: true })
    expect(await told()).toEqual([`bill_entry_unread ${number}`])
  })

  test.each<[string, (entry: Entry) => void]>([
    ['no amount', (entry) => put(entry, 'receipt.order.order_content.total_fee', null)],
    ['no refunded_fee', (entry) => put(entry, 'receipt.order.order_content.refunded_fee', null)],
    ['no order_mch', (entry) => put(entry, 'receipt.order.order_mch', undefined)],
    ['no receipt', (entry) => put(entry, 'receipt', null)],
    [
      'a transaction_id of another type',
      (entry) => put(entry, 'receipt.order.order_content.transaction_id', 7),
    ],
    [
      'another platform’s extension',
      (entry) => put(entry, 'receipt.order.order_content.alipay_order_content_ext', 'x'),
    ],
  ])('with %s says nothing that differs', async (_, change) => {
    let spoilt = ''
    await open(lieAboutOne(() => spoilt, change))
    const start = shop.nowS()
    spoilt = await shop.placePaid()
    expect(await compare(start)).toMatchObject({ differences: 0, complete: true })
    expect(await told()).toEqual([])
  })
})

describe('a bill without what the documents call optional', () => {
  test.each(['total_count', 'order_details', 'order_detail_query'])(
    '%s: is read all the same',
    async (name) => {
      await open({
        wrapPost: lying((content, suffix) => {
          if (suffix !== 'client_order_detail') return
          if (name === 'order_detail_query') delete content.order_detail_query
          else content.order_detail_query[name] = null
          // Nothing listed, nothing counted.
          if (name === 'order_details') content.order_detail_query.total_count = 0
        }),
      })
      const start = shop.nowS()
      const number = await shop.place()
      shop.sandbox.pay(number)
      const { payments, complete } = await compare(start)
      expect([payments, complete]).toEqual([name === 'total_count' ? 1 : 0, true])
    },
  )

  test('without a count it is read until an empty page, in windows that stay small', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix === 'client_order_detail') delete content.order_detail_query.total_count
      }),
    })
    const start = shop.nowS()
    for (let at = 0; at < 130; at++) {
      shop.sandbox.pay(await shop.place())
      shop.pass(1)
    }
    expect(await compare(start)).toEqual({
      payments: 130,
      refunds: 0,
      differences: 0,
      otherTills: 0,
      complete: true,
    })
    expect(pages().map(({ page_num }) => page_num)).toEqual([1, 2, 3, 4])
  })

  test('one that says how long it is may be as long as it says', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix !== 'client_order_detail') return
        content.order_detail_query = { total_count: 250, order_details: [{ receipt: null }] }
      }),
    })
    expect(await compare(shop.nowS() - 50, shop.nowS())).toMatchObject({ complete: true })
    expect(pages()).toHaveLength(250)
  })

  test('and without an end it is given up, and called incomplete', async () => {
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix !== 'client_order_detail') return
        content.order_detail_query = { order_details: Array(50).fill({ receipt: null }) }
      }),
    })
    expect(await compare(shop.nowS() - 50, shop.nowS())).toMatchObject({ complete: false })
    expect(pages()).toHaveLength(200)
  })
})

describe('what is only stored', () => {
  test.each([
    ['transaction_id', 'another'],
    ['cash_fee', 1],
    ['settlement_total_fee', 1],
  ])('%s is compared where both know it', async (name, value) => {
    let lies: object = {}
    await open({
      wrapPost: lying((content, suffix) => {
        if (suffix !== 'client_order_detail') return
        for (const one of content.order_detail_query?.order_details ?? [])
          Object.assign(one.receipt.order.order_content, lies)
      }),
    })
    const start = shop.nowS()
    const number = await shop.placePaid()
    await change(number, { cash_fee: 1880, settlement_total_fee: 1880 })
    lies = { cash_fee: 1880, settlement_total_fee: 1880 }
    expect(await compare(start)).toMatchObject({ differences: 0 })
    lies = { ...lies, [name]: value }
    expect(await compare(start)).toMatchObject({ differences: 1 })
    expect((await shop.anomalies())[0]!.evidence).toEqual({ fields: [name] })
    // What one of the two does not know is no difference.
    await change(number, { [name]: null })
    expect(await compare(start)).toMatchObject({ differences: 0 })
  })
})

describe('every day', () => {
  const DAY = 86_400
  const HOUR = 3600
  const windows = async (sub = 'sandboxsub0000000001') =>
    (
      await shop.store.db
        .selectFrom('bill_windows')
        .select(['from_at', 'to_at', 'tries'])
        .where('out_sub_mch_id', '=', sub)
        .orderBy('from_at')
        .execute()
    ).map(({ from_at, to_at, tries }) => ({ from: Number(from_at), to: Number(to_at), tries }))
  const today = () => Math.floor(shop.nowS() / DAY) * DAY
  /** Rows that nobody upstream knows of, and the bill that does. */
  const bill = (answerOf: (request: { start_time: number; end_time: number; page_num: number }) => unknown) =>
    open({
      wrapPost: lying((content, suffix) => {
        if (suffix === 'client_order_detail') content.order_detail_query = answerOf(pages().at(-1))
      }),
    })

  test('the last three days are compared, and nothing more until the next', async () => {
    await open()
    const now = today()
    await shop.timer()
    expect(pages().map(({ start_time, end_time }) => [start_time - now, end_time - now])).toEqual([
      [-3 * DAY, -2 * DAY],
      [-2 * DAY, -DAY],
      [-DAY, 0],
    ])
    await shop.runFor(200)
    expect(pages()).toHaveLength(3)
    expect(await windows()).toEqual([])
    shop.pass(DAY)
    await shop.timer()
    expect(pages()).toHaveLength(6)
  })

  test('what was lost the day before is found', async () => {
    await open()
    const number = await shop.placePaid()
    await shop.store.db.deleteFrom('orders').execute()
    shop.pass(DAY)
    await shop.runFor(300)
    expect(await shop.anomalies()).toMatchObject([{ kind: 'paid_upstream_only', out_trade_no: number }])
  })

  test('a part that cannot be read waits by itself: the others are compared, three tries tell a person, and it is not dropped', async () => {
    let broken = true
    let at = 0
    await bill(({ start_time, end_time }) =>
      broken && start_time <= at && at < end_time
        ? { total_count: 5, order_details: [] }
        : { total_count: 0, order_details: [] },
    )
    at = today() - DAY + 8 * HOUR + 60
    await shop.runFor(600)
    // What is left is the smallest piece that has it.
    const [left, ...more] = await windows()
    expect(more).toEqual([])
    expect(left!.to - left!.from).toBeLessThanOrEqual(HOUR)
    expect(left!.from <= at && at < left!.to).toBe(true)
    expect(await shop.anomalyKinds()).toEqual([])
    await shop.runFor(2 * HOUR)
    expect(await shop.anomalies()).toMatchObject([{ kind: 'bill_short', times: 1 }])
    await shop.runFor(4 * DAY)
    expect((await windows()).map(({ from, to }) => ({ from, to }))).toContainEqual({
      from: left!.from,
      to: left!.to,
    })
    // A day later it is known that something was never compared, although every other part was.
    expect(await shop.anomalyKinds()).toEqual(['bill_short', 'bill_unread'])
    broken = false
    await shop.runFor(DAY)
    expect(await windows()).toEqual([])
  })

  test('two thousand entries of one afternoon are compared, in runs that have time for few of them', async () => {
    await open()
    const noon = today() - DAY / 2
    const answer = shop.sandbox.answer
    let calls = 0
    shop.sandbox.answer = (suffix, body) => ((calls += 1), answer(suffix, body))
    const now = shop.clock.nowMsValue!
    for (let nth = 0; nth < 2000; nth++) {
      shop.clock.nowMsValue = (noon + nth * 5) * 1000
      await shop.place()
    }
    shop.clock.nowMsValue = now
    await shop.store.db.updateTable('orders').set({ next_due_at_ms: null }).execute()
    const lost = shop.sandbox.orders.keys().next().value as string
    await shop.store.db.deleteFrom('orders').where('out_trade_no', '=', lost).execute()
    shop.sandbox.pay(lost, { late: true })
    let runs = 0
    do {
      runs++
      shop.pass(20)
      const before = calls
      // A call takes a second of its run.
      await reconcileDaily(shop.app, { remainingMs: () => 16_000 - 1000 * (calls - before) })
    } while ((await windows()).length > 0 && runs < 100)
    expect(runs).toBeGreaterThan(4)
    expect(runs).toBeLessThan(30)
    expect(await told()).toEqual([`paid_upstream_only ${lost}`])
  }, 120_000)

  test('pages that shift while they are read, so that one order is there twice and another not, are not taken for the bill', async () => {
    let shifts = true
    await open({
      wrapPost: lying((content, suffix) => {
        const details = content.order_detail_query?.order_details
        if (suffix === 'client_order_detail' && shifts && details?.length > 1) details[1] = details[0]
      }),
    })
    const start = shop.nowS()
    await shop.placePaid()
    await shop.placePaid()
    shop.pass(7200)
    expect(await compare(start - 50, start + 30)).toMatchObject({ complete: false })
    shifts = false
    expect(await compare(start - 50, start + 30)).toMatchObject({ complete: true, differences: 0 })
  })

  test('a timer that is busy all the time compares it all the same', async () => {
    await open()
    const now = shop.nowS()
    const rows = Array.from({ length: 300 }, () => ({
      ...newOrder({ state: 'pending' as const, created_at: now, time_expire: now + 900, trade_type: 3 }),
      request_content: '{"nonce_str":"n"}',
      lease_until_ms: 0,
      next_due_at_ms: 0,
    }))
    for (const row of rows) await shop.store.db.insertInto('orders').values(row).execute()
    for (let runs = 0; runs < 8; runs++) {
      shop.pass(20)
      const before = shop.sent('query_order').length
      const deadline = { remainingMs: () => 16_000 - 400 * (shop.sent('query_order').length - before) }
      const summary = await run(shop.app, { requestId: 'r', deadline })
      expect(Number(summary['left'])).toBeGreaterThan(0)
    }
    expect(pages()).toHaveLength(3)
  })

  test('what nobody answers is asked again every ten minutes, by each sub-merchant for itself, and told after a day', async () => {
    const [other] = otherMerchants(1)
    await open({ merchants: [other!] })
    const answer = shop.sandbox.answer
    let asked = 0
    shop.sandbox.answer = (suffix, body) => {
      if (suffix !== 'client_order_detail' || !body.includes('sandboxsub')) return answer(suffix, body)
      asked++
      return { kind: 'silent' }
    }
    await shop.runFor(HOUR)
    expect(await windows(other!.out_sub_mch_id)).toEqual([])
    expect(await windows()).toHaveLength(3)
    expect(asked).toBeGreaterThanOrEqual(5)
    expect(asked).toBeLessThanOrEqual(7)
    expect(await shop.anomalyKinds()).toEqual([])
    await shop.runFor(DAY)
    const told = (await shop.anomalies()).filter(({ kind }) => kind === 'bill_unread')
    expect(told).toMatchObject([{ out_sub_mch_id: 'sandboxsub0000000001' }])
    shop.sandbox.answer = answer
    await shop.runFor(HOUR)
    expect(await windows()).toEqual([])
  })

  test('one that is not served any more keeps its windows, and stands in nobody’s way', async () => {
    await open()
    const gone = { out_sub_mch_id: 'gone', from_at: 0, to_at: 10, tries: 0, next_due_at_ms: 0 }
    for (let nth = 0; nth < 60; nth++)
      await shop.store.db
        .insertInto('bill_windows')
        .values({ ...gone, from_at: nth })
        .execute()
    await shop.timer()
    expect(await windows('gone')).toHaveLength(60)
    expect(await windows()).toEqual([])
  })

  test('with little time left it is put off', async () => {
    await open()
    await shop.timer(5000)
    expect(pages()).toEqual([])
  })
})

describe('a refund of ours', () => {
  test('that is in no bill is asked about, and told when Cloud Pay does not know it', async () => {
    await open()
    const start = shop.nowS()
    const number = await shop.placePaid()
    await shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 300 })
    await shop.runFor(400)
    expect((await shop.refunds(number))[0]!.state).toBe('succeeded')
    shop.sandbox.orders.get(number)!.refunds.length = 0
    await compare(start)
    expect(await shop.anomalies()).toContainEqual(
      expect.objectContaining({ kind: 'refunded_here_only', out_trade_no: number }),
    )
  })
})
