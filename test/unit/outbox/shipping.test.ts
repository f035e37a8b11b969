import { SANDBOX_APPS } from '../../../local/sandbox/logins'
import { startSandbox, type SandboxServer } from '../../../local/sandbox/server'
import type { PayerApp } from '../../../shared/base/people'
import { LADDER_MS } from '../../../shared/outbox/ladder'
import { openTestDatabase, type TestDatabase } from '../../support/testDatabase'
import { freshNumber, openWorld, orderBody, testClock, type World } from '../../support/world'

/**
 * The real timer, over real HTTP, to a WeChat that is as strict as its documents: it knows which payments there were, who
 * made them, which access tokens it gave out, and what it was told before.
 */
const APP = SANDBOX_APPS.mini_program
const OPENID = 'oSandboxMiniPayer0001'
const RULE = { logistics_type: 4, item_desc: 'body' }
const DAY_S = 86_400

let world: World
let server: SandboxServer
let database: TestDatabase

async function start(shipping: unknown = RULE, more: Record<string, string> = {}): Promise<void> {
  const clock = testClock()
  clock.nowMsValue = 1_900_000_000_000
  server = await startSandbox({ clock })
  database = await openTestDatabase(clock)
  const [mini] = server.logins.apps
  world = await openWorld({
    clock,
    store: database.store,
    sandbox: server.sandbox,
    env: {
      CLOUD_PAY_APPS: JSON.stringify([shipping === 'off' ? mini : { ...mini, shipping }]),
      SESSION_KEYS: JSON.stringify([{ name: 's', secret: 'x'.repeat(32) }]),
      WECHAT_API_URL: `${server.origin}/wechat/`,
      LATE_PAYMENT: 'honour',
      ...more,
    },
  })
}
beforeEach(() => start())
afterEach(async () => {
  await world.close()
  await server.close()
})

const restart = async (...given: Parameters<typeof start>) => {
  await world.close()
  await server.close()
  await start(...given)
}

const pass = (seconds: number) => void (world.clock.nowMsValue! += seconds * 1000)
const MINI = {
  trade_type: 9,
  pay_mch_key: {
    pay_platform: 1,
    wxpay_pay_mch_key_ext: { mini_program_sub_app_id: APP, sub_open_id: OPENID },
  },
}

async function place(content: Record<string, unknown> = {}, rest: Record<string, unknown> = MINI) {
  const out_trade_no = freshNumber()
  const answer = await world.create(orderBody({ ...content, out_trade_no }, rest))
  expect(answer.statusCode).toBe(201)
  return out_trade_no
}
async function look(number: string) {
  await world.store.db.updateTable('orders').set({ looked_at_ms: 0 }).execute()
  return (await world.status(number, { refresh: '1' })).body
}
async function placePaid(content: Record<string, unknown> = {}, rest: Record<string, unknown> = MINI) {
  const number = await place(content, rest)
  server.sandbox.pay(number)
  expect((await look(number)).state).toBe('paid')
  return number
}

const rowOf = async (number: string) =>
  (
    await world.store.db
      .selectFrom('outbox')
      .selectAll()
      .where('out_trade_no', '=', number)
      .where('type', '=', 'shipping')
      .execute()
  )[0]
const shippedAt = async (number: string) =>
  (
    await world.store.db
      .selectFrom('orders')
      .select('shipped_at')
      .where('out_trade_no', '=', number)
      .execute()
  )[0]!.shipped_at
const unshipped = async () =>
  ((await world.call('GET', '/board/unshipped')).body.orders as { out_trade_no: string }[]).map(
    ({ out_trade_no }) => out_trade_no,
  )
const anomalies = () =>
  world.store.db
    .selectFrom('anomalies')
    .select(['kind', 'out_trade_no', 'times', 'evidence'])
    .where('kind', '=', 'shipping_not_uploaded')
    .execute()
const transactionOf = (number: string) => server.sandbox.orders.get(number)!.transaction_id!
const taken = (number: string) => server.shippings.shipped.get(transactionOf(number))
/** Until the last rung of the ladder, however long chance has made it: a tenth more at most. */
const waitLong = () => pass((1.1 * LADDER_MS.at(-1)!) / 1000)

describe('a paid mini-program order', () => {
  test('is told to WeChat by the next run of the timer, in the documented words', async () => {
    const number = await placePaid({ body: '湖心奶茶-大杯' })
    expect(await unshipped()).toEqual([number])
    expect(await rowOf(number)).toMatchObject({ attempts: 0, delivered_at: null })
    expect((await world.timer())['shipping']).toEqual({ delivered: 1, failed: 0, gaveUp: 0 })

    expect(server.shippings.received.map((text) => JSON.parse(text) as unknown)).toEqual([
      {
        order_key: { order_number_type: 2, transaction_id: transactionOf(number) },
        logistics_type: 4,
        delivery_mode: 1,
        shipping_list: [{ item_desc: '湖心奶茶-大杯' }],
        upload_time: '2030-03-18T01:46:40.000+08:00',
        payer: { openid: OPENID },
      },
    ])
    expect(taken(number)).toMatchObject({ uploads: 1 })
    expect(await rowOf(number)).toMatchObject({ attempts: 1, next_due_at_ms: null, last_error: null })
    expect(await shippedAt(number)).toBe(1_900_000_000)
    expect(await unshipped()).toEqual([])
    pass(3600)
    await world.timer()
    expect(server.shippings.asked.uploads).toBe(1)
  })

  test('is described by the words of the configuration, or by its own, cut to what WeChat takes', async () => {
    await placePaid({ body: '茶'.repeat(128) })
    await world.timer()
    const itemOf = (text: string) =>
      (JSON.parse(text) as { shipping_list: { item_desc: string }[] }).shipping_list[0]!.item_desc
    expect(itemOf(server.shippings.received[0]!)).toBe('茶'.repeat(120))

    await restart({ logistics_type: 3, item_desc: '话费充值' })
    await placePaid()
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    expect(itemOf(server.shippings.received[0]!)).toBe('话费充值')
  })

  test('is told of also when its money came late and is honoured', async () => {
    const number = await place({ time_expire: 1_900_000_200 })
    pass(500)
    await world.closeOrder(number)
    await look(number)
    server.sandbox.pay(number, { late: true })
    expect((await look(number)).state).toBe('paid_after_close')
    expect(await unshipped()).toEqual([number])
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    expect(await unshipped()).toEqual([])
  })

  test('is not told of when its late money goes back', async () => {
    await restart(RULE, { LATE_PAYMENT: 'refund' })
    const number = await place({ time_expire: 1_900_000_200 })
    pass(500)
    await world.closeOrder(number)
    await look(number)
    server.sandbox.pay(number, { late: true })
    expect((await look(number)).state).toBe('paid_after_close')
    expect([await rowOf(number), await unshipped()]).toEqual([undefined, []])
  })

  test('of which WeChat does not know yet is told of again until it does', async () => {
    server.shippings.learns.afterS = 200
    const number = await placePaid()
    expect((await world.timer())['shipping']).toEqual({ delivered: 0, failed: 1, gaveUp: 0 })
    expect(await rowOf(number)).toMatchObject({ last_error: 'errcode_10060001', attempts: 1 })
    pass(20)
    await world.timer()
    pass(400)
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    expect(await shippedAt(number)).toBe(1_900_000_420)
    expect(new Set(server.shippings.received).size).toBe(1)
    expect(server.shippings.received).toHaveLength(3)
  })
})

test('other orders are nobody’s to ship: official accounts, another mini-program, or none configured', async () => {
  const official = await placePaid({}, {})
  const other = await placePaid(
    {},
    {
      ...MINI,
      pay_mch_key: {
        pay_platform: 1,
        wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wxanother', sub_open_id: OPENID },
      },
    },
  )
  expect([await rowOf(official), await rowOf(other)]).toEqual([undefined, undefined])
  // Frozen it is all the same, and that can be read.
  expect(await unshipped()).toEqual([other])

  await restart('off')
  const number = await placePaid()
  expect(await rowOf(number)).toBeUndefined()
  expect(await world.timer()).not.toHaveProperty('shipping')
  expect(server.shippings.asked).toEqual({ tokens: 0, uploads: 0 })
  expect(await unshipped()).toEqual([number])
})

describe('what goes wrong on the way', () => {
  test('a lost answer is asked for with the same text, and WeChat knows it', async () => {
    server.shippings.faults.push('lost')
    const number = await placePaid()
    await world.timer()
    expect(taken(number)).toMatchObject({ uploads: 1 })
    expect(await rowOf(number)).toMatchObject({ last_error: 'connection' })
    expect(await shippedAt(number)).toBeNull()
    pass(20)
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    // Another text would have been a second shipping, of which there is one.
    expect(taken(number)).toMatchObject({ uploads: 1 })
    expect(await unshipped()).toEqual([])
  })

  test.each([
    ['http_500', 'http_500'],
    ['busy', 'errcode_-1'],
    ['gibberish', 'not_json'],
  ] as const)('%s is tried again', async (fault, why) => {
    server.shippings.faults.push(fault)
    const number = await placePaid()
    expect((await world.timer())['shipping']).toMatchObject({ failed: 1 })
    expect(await rowOf(number)).toMatchObject({ last_error: why })
    pass(20)
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    expect(taken(number)).toMatchObject({ uploads: 1 })
  })

  test('an instance that dies before it has written it down leaves it to the next, who hears that it is done', async () => {
    const number = await placePaid()
    database.before = (sql) => {
      if (/"shipped_at"/.test(sql) && /^update/.test(sql))
        throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    }
    await world.timer()
    database.before = undefined
    expect(taken(number)).toMatchObject({ uploads: 1 })
    expect(await shippedAt(number)).toBeNull()
    expect(await rowOf(number)).toMatchObject({ delivered_at: null })
    expect(await unshipped()).toEqual([number])
    // Its lease ends by itself.
    pass(20)
    await world.timer()
    pass(20)
    await world.timer()
    expect(await shippedAt(number)).toBe(1_900_000_040)
    expect(taken(number)).toMatchObject({ uploads: 1 })
    expect(new Set(server.shippings.received).size).toBe(1)
  })

  test('two timers at once tell of it once', async () => {
    const numbers = [await placePaid(), await placePaid(), await placePaid()]
    await Promise.all([world.timer(), world.timer()])
    expect(server.shippings.asked.uploads).toBe(3)
    for (const number of numbers) expect(taken(number)).toMatchObject({ uploads: 1 })
  })

  test('what the merchant has shipped in WeChat’s console is done', async () => {
    const number = await placePaid()
    server.shippings.shipped.set(transactionOf(number), {
      transaction_id: transactionOf(number),
      text: 'by hand',
      uploads: 2,
      complete: false,
    })
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    const complete = await placePaid()
    const transaction_id = transactionOf(complete)
    server.shippings.shipped.set(transaction_id, { transaction_id, text: '', uploads: 1, complete: true })
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    expect(await unshipped()).toEqual([])
  })

  test('what WeChat refuses for good is given up at once, and a person is told which', async () => {
    const number = await placePaid()
    const order = server.sandbox.orders.get(number)!
    order.request.pay_mch_key.wxpay_pay_mch_key_ext!.sub_open_id = 'oSomebodyElse0001'
    expect((await world.timer())['shipping']).toEqual({ delivered: 0, failed: 0, gaveUp: 1 })
    expect(await anomalies()).toEqual([
      {
        kind: 'shipping_not_uploaded',
        out_trade_no: number,
        times: 1,
        evidence: JSON.stringify({ order: number, attempts: 1, why: 'errcode_10060031' }),
      },
    ])
    expect(await unshipped()).toEqual([number])
    waitLong()
    await world.timer()
    expect(server.shippings.asked.uploads).toBe(1)
  })

  test('what cannot be told is tried for ten days, and then one anomaly stands for all', async () => {
    const numbers = [await placePaid(), await placePaid()]
    server.shippings.learns.afterS = Infinity
    const began = world.clock.nowMs()
    let runs = 0
    for (; (await anomalies()).length === 0 && runs < 100; runs++) {
      await world.timer()
      waitLong()
    }
    const days = (world.clock.nowMs() - began) / 1000 / DAY_S
    expect(days).toBeGreaterThan(10)
    expect(days).toBeLessThan(12)
    // Each of them came as far as the ladder goes, and further; and always both in one run.
    expect(server.shippings.asked.uploads).toBe(2 * runs)
    expect(runs).toBeGreaterThan(LADDER_MS.length)
    const found = await anomalies()
    expect(found.map(({ out_trade_no, times }) => [out_trade_no, times])).toEqual([['', 2]])
    expect(await unshipped()).toEqual(numbers)
    expect(new Set(server.shippings.received).size).toBe(2)
  })
})

describe('money that goes back', () => {
  const refund = (number: string, refund_fee: number) =>
    world.refund(number, { refund_fee, out_refund_no: `${number}r` })

  test('in full: nothing is told, and nothing is left to do', async () => {
    const number = await placePaid({ total_fee: 500 })
    await refund(number, 500)
    await look(number)
    await world.store.db.updateTable('refunds').set({ next_due_at_ms: 0 }).execute()
    await world.timer()
    expect((await world.status(number)).body.state).toBe('refunded')
    pass(40)
    await world.timer()
    expect(server.shippings.asked.uploads).toBe(0)
    expect(await rowOf(number)).toMatchObject({
      next_due_at_ms: null,
      delivered_at: null,
      last_error: 'refunded',
    })
    expect([await unshipped(), await anomalies()]).toEqual([[], []])
  })

  test('on its way: it waits, and is told of after all when the refund failed', async () => {
    server.sandbox.switches.refundOutcome = 'failed'
    const number = await placePaid({ total_fee: 500 })
    await refund(number, 500)
    const { reserved_fen } = (await world.store.db
      .selectFrom('orders')
      .select('reserved_fen')
      .where('out_trade_no', '=', number)
      .executeTakeFirst())!
    expect(reserved_fen).toBe(500)
    expect(await unshipped()).toEqual([])
    await world.timer()
    expect(server.shippings.asked.uploads).toBe(0)
    for (let run = 0; run < 40; run++) {
      pass(60)
      await world.timer()
    }
    expect(taken(number)).toMatchObject({ uploads: 1 })
  })

  test('in part: the rest ships', async () => {
    const number = await placePaid({ total_fee: 500 })
    await refund(number, 499)
    await world.timer()
    expect(taken(number)).toMatchObject({ uploads: 1 })
  })
})

describe('the access token', () => {
  test('is asked for once and used until shortly before it ends', async () => {
    for (let at = 0; at < 3; at++) {
      await placePaid()
      await world.timer()
      pass(2000)
    }
    expect(server.shippings.asked).toEqual({ tokens: 1, uploads: 3 })
    // 7200 s, and five minutes before that WeChat changes it.
    pass(901)
    await placePaid()
    expect((await world.timer())['shipping']).toMatchObject({ delivered: 1 })
    expect(server.shippings.asked).toEqual({ tokens: 2, uploads: 4 })
  })

  test('that ends in the middle is renewed once, and the upload sent again in the same run', async () => {
    await placePaid()
    await world.timer()
    server.shippings.endTokens()
    const number = await placePaid()
    expect((await world.timer())['shipping']).toEqual({ delivered: 1, failed: 0, gaveUp: 0 })
    expect(server.shippings.asked).toEqual({ tokens: 2, uploads: 3 })
    expect(taken(number)).toMatchObject({ uploads: 1 })
  })

  test('that cannot be had leaves the order waiting: the secret is another one', async () => {
    const app = world.app.people.apps[0] as { -readonly [Name in keyof PayerApp]: PayerApp[Name] }
    app.secret = world.app.people.sessionKeys[0]!.secret
    const number = await placePaid()
    expect((await world.timer())['shipping']).toMatchObject({ failed: 1 })
    expect(await rowOf(number)).toMatchObject({ last_error: 'token_errcode_40125' })
    expect(server.shippings.asked.uploads).toBe(0)
  })

  test('is in no log line, no row and no anomaly, whatever goes wrong', async () => {
    for (const fault of ['lost', 'http_500', 'busy', 'gibberish'] as const) {
      server.shippings.faults.push(fault)
      await placePaid()
      await world.timer()
    }
    server.shippings.endTokens()
    await placePaid()
    await world.timer()
    const port = server.origin
    await server.close()
    await placePaid()
    pass(10)
    await world.timer()
    const tables = ['orders', 'order_events', 'outbox', 'anomalies', 'marks'] as const
    const rows = await Promise.all(
      tables.map((table) => world.store.db.selectFrom(table).selectAll().execute()),
    )
    const all = JSON.stringify([world.log, rows])
    expect(server.shippings.given.length).toBeGreaterThan(1)
    for (const token of server.shippings.given) {
      for (const form of [token, encodeURIComponent(token), JSON.stringify(token).slice(1, -1)])
        expect(all).not.toContain(form)
    }
    expect(all).not.toContain('access_token')
    expect(JSON.stringify(world.log)).not.toContain(OPENID)
    // The search finds what is there.
    expect(all).toContain('errcode_-1')
    expect(port).toContain('127.0.0.1')
  })
})
