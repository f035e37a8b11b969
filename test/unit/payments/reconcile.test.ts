import { sql } from 'kysely'
import { run } from '../../../functions/timer'
import type { Deadline } from '../../../shared/base/time'
import { newOrder } from '../../support/orders'
import { openShop, otherMerchants, type Shop, type ShopOptions } from '../../support/shop'
import { freshNumber, orderBody } from '../../support/world'

let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

const stateOf = async (number: string) => (await shop.order(number)).state
const queriesAbout = (number: string) =>
  shop.sandbox.received.filter(
    (one) => one.interface === 'query_order' && one.request_content?.includes(`"${number}"`),
  )
/** Seconds after `fromS` at which an order was asked about. */
const askedAt = (number: string, fromS: number) => queriesAbout(number).map(({ at }) => at / 1000 - fromS)

/** Rows of orders upstream has never heard of, due for as long as told. */
async function insert(
  count: number,
  change: Parameters<typeof newOrder>[0] = {},
  dueS = 0,
): Promise<string[]> {
  const now = shop.nowS()
  const rows = Array.from({ length: count }, () => ({
    ...newOrder({ state: 'pending', created_at: now, time_expire: now + 900, trade_type: 3, ...change }),
    request_content: '{"nonce_str":"n"}',
    lease_until_ms: 0,
    next_due_at_ms: shop.clock.nowMs() - dueS * 1000,
  }))
  for (const row of rows) await shop.store.db.insertInto('orders').values(row).execute()
  return rows.map(({ out_trade_no }) => out_trade_no)
}

/** A run in which every question to Cloud Pay takes so long. */
const runCosting = (ms: number) => {
  const before = shop.sent('query_order').length
  const deadline: Deadline = { remainingMs: () => 10_000 - ms * (shop.sent('query_order').length - before) }
  return run(shop.app, { requestId: 'r', deadline })
}

describe('an order that was handed over', () => {
  test('is looked at within 60 s, and found paid without anybody telling us', async () => {
    await open()
    const number = await shop.place()
    const start = shop.nowS()
    shop.sandbox.pay(number)
    await shop.runFor(60)
    expect(askedAt(number, start)).toEqual([20])
    expect(await stateOf(number)).toBe('paid')
    expect(await shop.messages(number)).toEqual(['order.paid'])
  })

  test('is looked at further and further apart while nobody pays, and in its last seconds not at all', async () => {
    await open()
    const number = await shop.place({ time_expire: shop.nowS() + 7200 })
    const start = shop.nowS()
    await shop.runFor(7200)
    const times = askedAt(number, start)
    const gaps = times.slice(1).map((time, at) => time - times[at]!)
    expect(gaps.slice(0, 6)).toEqual([40, 60, 120, 240, 480, 900])
    expect([...gaps].sort((a, b) => a - b)).toEqual(gaps)
    expect(gaps.at(-1)).toBe(900)
  })

  test('is asked about, closed and asked about again after its expiry', async () => {
    await open()
    const number = await shop.place()
    const start = shop.nowS()
    await shop.runFor(900)
    expect(await stateOf(number)).toBe('pending')
    shop.sandbox.received.length = 0
    await shop.runFor(40)
    const seen = shop.sandbox.received.filter((one) => one.interface !== 'client_order_detail')
    // A look at the order, and then query, close, query.
    expect(seen.map((one) => one.interface)).toEqual([
      'query_order',
      'query_order',
      'close_order',
      'query_order',
    ])
    expect(seen.every(({ at }) => at / 1000 - start === 920)).toBe(true)
    expect(await stateOf(number)).toBe('closed')
    expect(await shop.messages(number)).toEqual(['order.closed'])
  })

  test('is not closed before CLOSE_NOT_BEFORE, however short its life', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '300' } })
    const number = await shop.place({ time_expire: shop.nowS() + 120 })
    await shop.runFor(280)
    expect(shop.sent('close_order')).toEqual([])
    await shop.runFor(60)
    expect(await stateOf(number)).toBe('closed')
  })

  test('is not closed when it was paid in its last second', async () => {
    await open()
    const number = await shop.place()
    await shop.runFor(880)
    shop.pass(20)
    shop.sandbox.pay(number)
    await shop.runFor(60)
    expect([shop.sent('close_order'), await stateOf(number)]).toEqual([[], 'paid'])
  })

  test('is looked at after its close again, at 5 min, 1 h and 24 h, and then let go', async () => {
    await open({ env: { CLOSE_NOT_BEFORE: '0', LATE_PAYMENT: 'honour' } })
    const number = await shop.place()
    await shop.closeOrder(number)
    const closed = shop.nowS()
    shop.sandbox.received.length = 0
    for (const wait of [290, 20, 3270, 40, 82_700, 200, 86_400, 86_400]) {
      shop.pass(wait)
      await shop.timer()
    }
    expect(askedAt(number, closed)).toEqual([310, 3620, 86_520])
    expect((await shop.order(number)).next_due_at_ms).toBeNull()
  })

  test('and not answered is never sent again by the timer', async () => {
    await open()
    shop.faults['official_account_pay'] = 'silent'
    const number = freshNumber()
    expect((await shop.create(orderBody({ out_trade_no: number }))).statusCode).toBe(504)
    const other = freshNumber()
    shop.faults['official_account_pay'] = '3'
    await shop.create(orderBody({ out_trade_no: other }))
    const creates = shop.sent('official_account_pay').length
    await shop.runFor(3600)
    expect(shop.sent('official_account_pay')).toHaveLength(creates)
    expect([await stateOf(number), await stateOf(other)]).toEqual(['closed', 'closed'])
  })

  test('and paid although our create heard nothing is found paid', async () => {
    await open()
    shop.faults['official_account_pay'] = 'silent'
    const number = freshNumber()
    await shop.create(orderBody({ out_trade_no: number }))
    shop.sandbox.pay(number)
    await shop.runFor(60)
    expect(await stateOf(number)).toBe('paid')
  })
})

describe('when nothing comes of looking', () => {
  test('looks come further apart, the twentieth calls a person, and then it is once a day', async () => {
    await open()
    const number = await shop.place()
    const start = shop.nowS()
    const answer = shop.sandbox.answer
    // Of this order alone nothing is heard.
    shop.sandbox.answer = (suffix, body) =>
      body.toString().includes(number) ? { kind: 'silent' } : answer(suffix, body)
    let looks = 0
    while ((await shop.order(number)).flag === null && looks++ < 2000) await shop.runFor(20)
    expect(await shop.order(number)).toMatchObject({ flag: 'unresolved', fruitless: 20 })
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'order_unresolved', out_trade_no: number, times: 1, evidence: { looks: 20 } },
    ])
    expect(shop.nowS() - start).toBeLessThan(4 * 3600)

    const { next_due_at_ms } = await shop.order(number)
    await shop.runFor(23 * 3600)
    expect((await shop.order(number)).next_due_at_ms).toBe(next_due_at_ms)
    await shop.runFor(2 * 3600)
    expect((await shop.order(number)).next_due_at_ms).toBeGreaterThan(next_due_at_ms!)
    // Heard from again, it is an order like any other.
    shop.sandbox.answer = answer
    shop.sandbox.look(number)!.state = 'closed'
    await shop.allDue()
    await shop.timer()
    expect(await shop.order(number)).toMatchObject({ state: 'closed', flag: null })
  })

  /** From now on the far end does not answer about some: six wait side by side, and each for six seconds. */
  function silence(about: (body: string) => boolean) {
    const answer = shop.sandbox.answer
    const counted = { silent: 0 }
    shop.sandbox.answer = (suffix, body) => {
      if (!about(body.toString())) return answer(suffix, body)
      counted.silent++
      return { kind: 'silent' }
    }
    const runs = async (seconds: number) => {
      for (let past = 0; past < seconds; past += 20) {
        shop.pass(20)
        const before = counted.silent
        const deadline = { remainingMs: () => 10_000 - 1000 * (counted.silent - before) }
        await run(shop.app, { requestId: 'r', deadline })
      }
    }
    return runs
  }

  test('a thousand orders that are never answered do not keep a new one waiting', async () => {
    await open()
    const poison = new Set(await insert(1000, {}, 3600))
    const runs = silence((body) => poison.has(/sb01\d{14}/.exec(body)?.[0] ?? ''))
    for (let hour = 0; hour < 3; hour++) {
      const number = await shop.place()
      const start = shop.nowS()
      shop.sandbox.pay(number)
      await runs(60)
      expect(await stateOf(number)).toBe('paid')
      expect(askedAt(number, start)[0]).toBeLessThanOrEqual(60)
      await runs(600)
    }
    const tried = shop.store.db.selectFrom('orders').where('fruitless', '>', 0).select('fruitless')
    expect((await tried.execute()).length).toBeGreaterThan(100)
  })

  test('nor do a thousand refunds', async () => {
    await open()
    const bad = await shop.placePaid()
    const now = shop.nowS()
    for (let at = 0; at < 1000; at++) {
      const refund = {
        ...REFUND,
        out_refund_no: `sb01p${at}`,
        out_trade_no: bad,
        created_at: now,
        updated_at: now,
      }
      await shop.store.db.insertInto('refunds').values(refund).execute()
    }
    const runs = silence((body) => body.includes(bad))
    for (let hour = 0; hour < 3; hour++) {
      const number = await shop.place()
      shop.sandbox.pay(number)
      await runs(60)
      expect(await stateOf(number)).toBe('paid')
      await runs(300)
    }
  })

  const REFUND = {
    out_sub_mch_id: 'sandboxsub0000000001',
    refund_fee: 1,
    origin: 'request',
    reason: null,
    caller: 'local',
    request_content: '{}',
    state: 'accepted',
    version: 1,
    sends: 1,
    next_due_at_ms: 0,
    looks: 0,
    refund_id: null,
    wallet_state: null,
  } as const

  test('a thousand orders that have just come do not keep a notified one waiting for long', async () => {
    await open({ env: { CLOUD_PAY_PER_MINUTE: '100000' } })
    const number = await shop.place()
    await shop.runFor(400)
    shop.sandbox.pay(number)
    await insert(300)
    await shop.store.db
      .updateTable('orders')
      .set({ next_due_at_ms: shop.clock.nowMs() - 10_000 })
      .where('out_trade_no', '=', number)
      .execute()
    await shop.timer()
    expect(await stateOf(number)).toBe('paid')
  })

  test('one that fails does not stop the others', async () => {
    await open()
    const numbers = [await shop.place(), await shop.place(), await shop.place()]
    for (const number of numbers) shop.sandbox.pay(number)
    const [first, bad, last] = numbers
    // A row nobody can make sense of.
    await shop.store.db
      .updateTable('orders')
      .set({ request_content: 'no json' })
      .where('out_trade_no', '=', bad!)
      .execute()
    shop.pass(30)
    await shop.timer()
    expect([await stateOf(first!), await stateOf(bad!), await stateOf(last!)]).toEqual([
      'paid',
      'pending',
      'paid',
    ])
    expect(shop.counts()).toMatchObject({ 'timer.item_failed': 1 })
    expect(await shop.order(bad!)).toMatchObject({ fruitless: 1 })
  })
})

describe('while Cloud Pay answers nothing', () => {
  /** No call is answered from now on; `again` ends it. */
  function outage() {
    const answer = shop.sandbox.answer
    let asked = 0
    shop.sandbox.answer = (suffix) => {
      if (suffix === 'query_order') asked++
      return { kind: 'silent' }
    }
    return { asked: () => asked, again: () => void (shop.sandbox.answer = answer) }
  }

  test('for hours, no order is given up, one anomaly tells of it, and the first answer ends it in the same run', async () => {
    await open()
    const numbers = [await shop.place(), await shop.place(), await shop.place()]
    const late = await shop.placePaid()
    const { again, asked } = outage()
    await shop.refund(late, { refund_fee: 100, out_refund_no: 'sb01r1' })
    shop.pass(20)
    await shop.timer()
    for (const number of numbers) shop.sandbox.pay(number)
    const before = asked()
    await shop.runFor(3.5 * 3600)
    // One call a run, about a number that nobody has.
    expect(asked() - before).toBe(3.5 * 180)
    expect(await shop.anomalyKinds()).toEqual(['upstream_silent'])
    for (const number of numbers)
      expect(await shop.order(number)).toMatchObject({ state: 'pending', flag: null, fruitless: 1 })
    again()
    shop.pass(20)
    await shop.timer()
    for (const number of numbers) expect(await stateOf(number)).toBe('paid')
    expect((await shop.refunds(late))[0]!.state).not.toBe('requested')
  })

  test('to one of three sub-merchants, the others go on; to none, it is one matter', async () => {
    const merchants = otherMerchants(2)
    await open({ merchants })
    const answer = shop.sandbox.answer
    const isOf = (body: Buffer) => /\bsub00\b/.test(body.toString())
    shop.sandbox.answer = (suffix, body) => (isOf(body) ? { kind: 'silent' } : answer(suffix, body))
    const rowOf = (merchant: (typeof merchants)[number]) =>
      insert(1, { out_sub_mch_id: merchant.out_sub_mch_id })
    await rowOf(merchants[0]!)
    const other = await shop.place()
    shop.sandbox.pay(other)
    await shop.runFor(600)
    expect(await stateOf(other)).toBe('paid')
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'upstream_silent', out_sub_mch_id: merchants[0]!.out_sub_mch_id },
    ])

    await rowOf(merchants[1]!)
    await insert(1)
    shop.sandbox.answer = () => ({ kind: 'silent' })
    await shop.runFor(900)
    expect((await shop.anomalies()).map((one) => one.out_sub_mch_id).sort()).toEqual(
      ['', merchants[0]!.out_sub_mch_id].sort(),
    )
  })
})

describe('more than there is time for', () => {
  test('is told when it has been due for five minutes, and is not when a rate or a silence holds it back', async () => {
    await open({ env: { CLOUD_PAY_PER_MINUTE: '100000' } })
    await insert(300, {}, 240)
    await runCosting(400)
    expect(await shop.anomalyKinds()).toEqual([])
    shop.pass(120)
    await runCosting(400)
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'timer_behind', out_sub_mch_id: '', evidence: { longest_of: 'sandboxsub0000000001' } },
    ])
    expect(Number((await shop.anomalies())[0]!.evidence['overdue_s'])).toBeGreaterThanOrEqual(360)
  })

  test('is not told of what a rate holds back', async () => {
    await open({ env: { CLOUD_PAY_PER_MINUTE: '5' } })
    await insert(300, {}, 3600)
    await shop.runFor(120)
    expect(await shop.anomalyKinds()).toEqual([])
  })

  test('is not told of rows of a newer version, nor when all of it is looked at in this run', async () => {
    await open()
    const [newer] = await insert(1, {}, 3600)
    await sql`update orders set state = 'disputed' where out_trade_no = ${newer}`.execute(shop.store.db)
    await insert(200, {}, 3600)
    await shop.timer()
    expect(await shop.anomalyKinds()).toEqual(['state_unknown'])
  })
})

describe('of four hundred sub-merchants', () => {
  test('those that have nothing due cost no statement', async () => {
    await open({ merchants: otherMerchants(400) })
    await shop.billIsDone()
    await shop.timer()
    const statements: string[] = []
    shop.database.before = (text) => void statements.push(text)
    await shop.timer()
    expect(statements.length).toBeLessThan(25)
  })

  test('one whose rows cannot be read stops none of the others, and the run is not called a good one', async () => {
    const merchants = otherMerchants(2)
    await open({ merchants })
    const [bad, good] = merchants
    const numbers = [
      await insert(1, { out_sub_mch_id: bad!.out_sub_mch_id }),
      await insert(1, { out_sub_mch_id: good!.out_sub_mch_id }),
    ].flat()
    let broken = 0
    shop.database.before = (text, values) => {
      if (!/as part/.test(text) || !values.includes(bad!.out_sub_mch_id)) return
      broken++
      throw new Error('cannot be read')
    }
    await expect(shop.timer()).rejects.toThrow()
    expect(broken).toBeGreaterThan(0)
    expect(numbers.map((number) => queriesAbout(number).length)).toEqual([0, 1])
    expect(shop.counts()).toMatchObject({ 'timer.lane_failed': 3 })
  })
})

describe('a run', () => {
  test('and another at the same time ask about each order once', async () => {
    await open()
    const numbers = await insert(40)
    await Promise.all([shop.timer(), shop.timer(), shop.timer()])
    const asked = numbers.map((number) => queriesAbout(number).length)
    expect(asked.every((times) => times <= 1)).toBe(true)
    await Promise.all([shop.timer(), shop.timer()])
    expect(numbers.map((number) => queriesAbout(number).length)).toEqual(numbers.map(() => 1))
  })

  test('that begins while another is at work takes nothing out of its hands', async () => {
    await open()
    const numbers = await insert(40)
    let second: Promise<Record<string, unknown>> | undefined
    shop.database.before = (sql) => {
      // The first is about to take its first order: it has its list, and so will the second.
      if (/^update "orders" set "next_due_at_ms"/.test(sql)) second ??= shop.timer()
    }
    const first = await shop.timer()
    const summaries = [first, (await second)!]
    expect(numbers.map((number) => queriesAbout(number).length)).toEqual(numbers.map(() => 1))
    expect(summaries.reduce((sum, { orders }) => sum + Number(orders), 0)).toBe(40)
    expect(Number(summaries[1]!['taken']) + Number(first['taken'])).toBeGreaterThan(0)
  })

  test('begins nothing it has no time for', async () => {
    await open()
    const numbers = await insert(30)
    const summary = await runCosting(400)
    const askedFor = numbers.filter((number) => queriesAbout(number).length > 0).length
    expect(askedFor).toBeGreaterThan(5)
    expect(askedFor).toBeLessThan(25)
    expect(summary).toMatchObject({ orders: askedFor, left: 30 - askedFor })
    // What was left is due still.
    await shop.timer()
    expect(numbers.every((number) => queriesAbout(number).length === 1)).toBe(true)
  })

  test('with no time asks nothing and is no failure', async () => {
    await open()
    await insert(5)
    expect(await shop.timer(3000)).toMatchObject({ orders: 0, failed: 0 })
    expect(shop.sent()).toEqual([])
  })

  test('asks no more about a merchant’s orders than its rate of a minute allows', async () => {
    await open({ env: { CLOUD_PAY_PER_MINUTE: '70' } })
    // At the beginning of a minute.
    shop.pass(60 - (shop.nowS() % 60))
    await shop.billIsDone()
    await insert(200)
    const asked = async () => {
      const before = shop.sent('query_order').length
      await shop.timer()
      return shop.sent('query_order').length - before
    }
    expect([await asked(), await asked()]).toEqual([70, 0])
    shop.pass(40)
    expect(await asked()).toBe(0)
    shop.pass(20)
    expect([await asked(), await asked()]).toEqual([70, 0])
  })

  test('is shared by two merchants, whoever has more', async () => {
    const [other] = otherMerchants(1)
    await open({ merchants: [other!] })
    await shop.billIsDone()
    const many = await insert(200)
    const { out_mch_id, out_sub_mch_id, out_shop_id } = other!
    const few = await insert(30, { out_mch_id, out_sub_mch_id, out_shop_id })
    await runCosting(100)
    const seen = (numbers: string[]) => numbers.filter((number) => queriesAbout(number).length > 0).length
    expect(seen(many) + seen(few)).toBeLessThan(60)
    expect(Math.abs(seen(many) - seen(few))).toBeLessThanOrEqual(1)
    await runCosting(100)
    expect(seen(few)).toBe(30)
  })

  test('leaves nothing undone for a merchant that is alone', async () => {
    await open()
    await insert(60)
    expect(await shop.timer()).toMatchObject({ orders: 60, failed: 0, left: 0, taken: 0 })
  })

  test('that died leaves its orders due again a lease later', async () => {
    await open()
    const [number] = await insert(1)
    shop.database.before = (sql) => {
      if (!/"marks"|"counters"|claim/.test(sql) && shop.sent('query_order').length > 0)
        throw new Error('died')
    }
    await shop.timer().catch(() => undefined)
    shop.database.before = undefined
    expect(queriesAbout(number!)).toHaveLength(1)
    await shop.timer()
    expect(queriesAbout(number!)).toHaveLength(1)
    shop.pass(80)
    await shop.timer()
    expect(queriesAbout(number!)).toHaveLength(2)
  })

  test('puts a mark with its summary', async () => {
    await open()
    await shop.timer()
    const mark = await shop.store.db
      .selectFrom('marks')
      .selectAll()
      .where('name', '=', 'timer')
      .executeTakeFirstOrThrow()
    expect(mark.at_ms).toBe(shop.clock.nowMs())
    expect(JSON.parse(mark.value)).toMatchObject({ orders: 0, refunds: 0, failed: 0 })
  })

  test('in which a part failed throws, puts no mark, and has done the other parts', async () => {
    await open()
    shop.database.before = (sql) => {
      if (/from "notifications"/.test(sql)) throw new Error('disk I/O error')
    }
    await expect(shop.timer()).rejects.toThrow('these parts failed: due')
    shop.database.before = undefined
    expect(shop.counts()).toMatchObject({ 'timer.due_failed': 1 })
    expect(await shop.store.db.selectFrom('marks').selectAll().where('name', '=', 'timer').execute()).toEqual(
      [],
    )
    expect(shop.sent('client_order_detail').length).toBeGreaterThan(0)
  })

  test('while the database is down throws and asks nothing', async () => {
    await open()
    await insert(3)
    shop.database.mood = 'down'
    await expect(shop.timer()).rejects.toThrow('these parts failed')
    shop.database.mood = 'well'
    expect(shop.sent('query_order')).toEqual([])
  })
})
