import { hashedPayerId } from '../../../shared/base/payer'
import { nowS } from '../../../shared/base/time'
import type { Order } from '../../../shared/order/order'
import { lookUpstream } from '../../../shared/payments/refresh'
import { resolveAnomaly } from '../../../shared/store/anomalies'
import { noteAnomalies } from '../../../shared/store/beside'
import { listPurgeable, purgeOrder } from '../../../shared/store/retention'
import { allRows } from '../../support/rows'
import { openTown, type Town, type Visitor } from '../../support/town'
import { freshNumber, orderBody } from '../../support/world'

const PAYER = 'oRetentionPayer0001'
const DAY = 86_400
const PRIVATE = 'Fräulein Wang, Zimmer 7'

let town: Town
let payer: Visitor
const open = async (env: Record<string, string> = {}) => {
  town = await openTown({ env: { CLOSE_NOT_BEFORE: '0', ...env } })
  payer = await town.login('mini_program', PAYER)
}
afterEach(() => town.close())

const body = (out_trade_no: string) => ({
  ...orderBody({ out_trade_no, body: PRIVATE }),
  pay_mch_key: {
    pay_platform: 1,
    wxpay_pay_mch_key_ext: { sub_open_id: PAYER, mini_program_sub_app_id: 'wxsandboxmini0001' },
  },
  trade_type: 9,
})
const server = (method: string, path: string, more: object = {}) => town.signed('server', method, path, more)

async function place(): Promise<string> {
  const number = freshNumber()
  const answer = await server('POST', '/orders', { body: body(number) })
  expect([answer.statusCode, answer.body.payment]).toEqual([201, expect.anything()])
  return number
}
/** Paid, told of, and over. */
async function placePaid(): Promise<string> {
  const number = await place()
  town.sandbox.pay(number)
  expect((await town.notify(number)).statusCode).toBe(200)
  expect((await town.order(number)).state).toBe('paid')
  return number
}
const refund = (number: string, refund_fee: number, out_refund_no: string) =>
  server('POST', `/orders/${number}/refunds`, { body: { refund_fee, out_refund_no, reason: PRIVATE } })
const text = async () => JSON.stringify(await allRows(town.store))
/** Days go by, and the timer comes once. */
async function afterDays(days: number) {
  town.pass(days * DAY)
  await town.timer()
}
const isPurged = async (number: string) => (await town.order(number)).purged_at !== null

test('an order that is over keeps its texts for thirty days, and then neither them nor who paid', async () => {
  await open()
  const number = await placePaid()
  await refund(number, 80, 'sb01privacy1')
  await town.runFor(400)
  await afterDays(29)
  expect(await text()).toContain(PAYER)
  expect(await text()).toContain(PRIVATE)
  const before = await town.order(number)
  expect(await isPurged(number)).toBe(false)

  await afterDays(1.1)
  const rows = await text()
  for (const gone of [PAYER, PRIVATE, 'nonce_str', 'mini_program_sub_app_id'])
    expect(rows).not.toContain(gone)
  const after = await town.order(number)
  const still = { looked_at_ms: 0, now_ms: 0 }
  expect({ ...after, ...still }).toEqual({
    ...{ ...before, ...still },
    payer_id: expect.stringMatching(/^sha256:[\w-]{43}$/),
    request_content: '',
    jsapi_args: '{}',
    purged_at: town.nowS(),
  })
  expect(await town.messages(number)).toEqual(['order.paid', 'refund.succeeded'])
})

test('the days are RETENTION_DAYS', async () => {
  await open({ RETENTION_DAYS: '3' })
  const number = await placePaid()
  await town.timer()
  await afterDays(2.9)
  expect(await isPurged(number)).toBe(false)
  await afterDays(0.2)
  expect(await isPurged(number)).toBe(true)
})

describe('of a purged order', () => {
  let number: string
  beforeEach(async () => {
    await open()
    number = await placePaid()
    await refund(number, 80, 'sb01privacy2')
    await town.runFor(400)
    await afterDays(31)
    expect(await isPurged(number)).toBe(true)
  })

  test('a repeat is answered with the order, without a hand-over; other content is refused', async () => {
    const again = await server('POST', '/orders', { body: body(number) })
    // Its expiry was a month ago, so as a new order it would not even be acceptable.
    expect([again.statusCode, again.body.state, again.body.payment]).toEqual([200, 'paid', undefined])
    const other = body(number)
    other.pay_content['body'] = 'something else'
    expect(await server('POST', '/orders', { body: other })).toMatchObject({
      statusCode: 422,
      body: { code: 'content_differs' },
    })
  })

  test('the payer still reads it, and nobody else does', async () => {
    payer = await town.login('mini_program', PAYER)
    const read = await payer.call('GET', `/orders/${number}`)
    expect(read).toMatchObject({ statusCode: 200, body: { refunded_fee: 80, refunds: [{ reason: null }] } })
    const other = await town.login('mini_program', 'oRetentionOther0001')
    expect((await other.call('GET', `/orders/${number}`)).statusCode).toBe(404)
    // Nor could anybody come whose id is what stands in the row.
    await expect(town.login('mini_program', (await town.order(number)).payer_id)).rejects.toThrow('login')
  })

  test('Cloud Pay is asked and believed, and the payer it names is still compared', async () => {
    const order = await town.order(number)
    const ask = async (row: Order) =>
      (await lookUpstream(town.app, row, { remainingMs: () => 9000 })).evidence
    expect(await ask(order)).toMatchObject({ proves: 'wallet', meaning: 'paid_then_refund' })
    const another = hashedPayerId({ ...order, payer_id: 'oSomebodyElse' })
    expect(await ask({ ...order, payer_id: another })).toEqual({
      proves: 'mismatch',
      fields: ['pay_mch_key.wxpay_pay_mch_key_ext.sub_open_id'],
      paid: true,
    })
  })

  test('a repeat of an old refund is that refund, and another amount is not', async () => {
    expect(await refund(number, 80, 'sb01privacy2')).toMatchObject({
      statusCode: 200,
      body: { state: 'succeeded', reason: null },
    })
    expect((await refund(number, 81, 'sb01privacy2')).body.code).toBe('content_differs')
  })

  test('a new refund goes its way, and what it brought is kept as long and purged in its turn', async () => {
    expect((await refund(number, 1800, 'sb01privacy3')).statusCode).toBe(202)
    await town.runFor(400)
    expect(await town.order(number)).toMatchObject({ state: 'refunded', refunded_fen: 1880, purged_at: null })
    await afterDays(29)
    expect(await text()).toContain(PRIVATE)
    await afterDays(2)
    expect(await text()).not.toContain(PRIVATE)
    expect(await town.order(number)).toMatchObject({ state: 'refunded', reserved_fen: 1880 })
  })
})

test('money that comes for an order that was closed and purged goes back all the same', async () => {
  await open()
  const number = await place()
  expect((await server('POST', `/orders/${number}/close`)).statusCode).toBe(200)
  for (let hours = 0; hours < 30; hours += 2) await afterDays(1 / 12)
  await afterDays(31)
  expect([(await town.order(number)).state, await isPurged(number)]).toEqual(['closed', true])
  // A bank that was late by a month.
  Object.assign(town.sandbox.look(number)!, { state: 'waiting', time_expire: town.nowS() + 900 })
  town.sandbox.pay(number)
  await town.notify(number)
  await town.runFor(400)
  expect(await town.order(number)).toMatchObject({ state: 'refunded', refunded_fen: 1880 })
})

describe('is held back', () => {
  let number: string
  beforeEach(async () => {
    await open()
    number = await placePaid()
    await town.timer()
  })
  const anomaly = () => ({
    kind: 'answers_contradict' as const,
    out_sub_mch_id: town.app.merchants.first.out_sub_mch_id,
    out_trade_no: number,
    evidence: {},
  })

  test('while an anomaly about it is open, and what was noted of it goes too', async () => {
    await noteAnomalies(town.store, town.nowS(), [anomaly()])
    await afterDays(60)
    expect(await isPurged(number)).toBe(false)
    const [found] = await town.anomalies()
    await resolveAnomaly(town.store, found!.id, town.nowS(), `called ${PRIVATE}`)
    await afterDays(0.1)
    expect(await isPurged(number)).toBe(true)
    expect(await text()).not.toContain(PRIVATE)
  })

  test('a note of an anomaly goes a retention after it was resolved, also when its order is long purged', async () => {
    await afterDays(31)
    expect(await isPurged(number)).toBe(true)
    await noteAnomalies(town.store, town.nowS(), [anomaly()])
    const [found] = await town.anomalies()
    await resolveAnomaly(town.store, found!.id, town.nowS(), PRIVATE)
    await afterDays(29)
    expect(await text()).toContain(PRIVATE)
    await afterDays(2)
    expect(await text()).not.toContain(PRIVATE)
  })

  test('while a refund of it is under way', async () => {
    town.faults['refund'] = 'silent'
    town.faults['query_refund_order'] = 'silent'
    await refund(number, 80, 'sb01privacy4')
    await afterDays(40)
    expect(await isPurged(number)).toBe(false)
  })

  test('while something is due for it', async () => {
    await town.store.db.updateTable('orders').set({ next_due_at_ms: 4e12 }).execute()
    await afterDays(40)
    expect(await isPurged(number)).toBe(false)
  })

  test('while a message about it is young and not delivered', async () => {
    await town.store.db
      .updateTable('outbox')
      .set({ created_at: town.nowS() + 39 * DAY, next_due_at_ms: 4e12 })
      .execute()
    await afterDays(40)
    expect(await isPurged(number)).toBe(false)
    await afterDays(3)
    expect(await isPurged(number)).toBe(true)
  })

  test('by a change that came first: the purge that was decided before it does nothing', async () => {
    await afterDays(29)
    town.pass(2 * DAY)
    const page = { nowS: nowS(town.clock), before: nowS(town.clock) - DAY, limit: 10 }
    const [decided] = (await listPurgeable(town.store, page)).orders
    await refund(number, 80, 'sb01privacy5')
    const before = await town.dump()
    expect(await purgeOrder(town.store, decided!, nowS(town.clock))).toBe('lost')
    expect(await town.dump()).toBe(before)
  })
})

/** As many as told that are in every way like the one that is paid. */
async function copyOrder(number: string, count: number): Promise<void> {
  const row = await town.store.db.selectFrom('orders').selectAll().executeTakeFirstOrThrow()
  const copies = Array.from({ length: count }, (_, at) => ({
    ...(row as unknown as Order),
    out_trade_no: `${number}x${at}`,
    idempotency_key: `k${at}`,
    purchase_slot: null,
    quote_jti: null,
  }))
  // SQLite takes no more values than this in one statement.
  while (copies.length > 0) await town.store.db.insertInto('orders').values(copies.splice(0, 250)).execute()
}
const left = async () =>
  (await town.store.db.selectFrom('orders').select('state').where('purged_at', 'is', null).execute()).length

test('a full batch is followed by the rest with the next run, an empty one by a pause', async () => {
  await open()
  const number = await placePaid()
  await town.timer()
  await copyOrder(number, 250)
  await afterDays(31)
  expect(await left()).toBe(51)
  await town.runFor(20)
  expect(await left()).toBe(0)
  await town.store.db.updateTable('orders').set({ purged_at: null }).execute()
  await town.runFor(580)
  expect(await left()).toBe(251)
  await town.runFor(40)
  expect(await left()).toBeLessThan(251)
})

test('however much is not over, what is behind it is purged, and what is over later in its turn', async () => {
  await open()
  const number = await placePaid()
  await town.timer()
  await copyOrder(number, 2500)
  // The longest unchanged are held back.
  await town.store.db
    .updateTable('orders')
    .set({ next_due_at_ms: 4e12, updated_at: 1_000_000 })
    .where('out_trade_no', 'not in', [number, `${number}x7`])
    .execute()
  await afterDays(31)
  expect(await left()).toBe(2501)
  await town.runFor(20)
  expect(await left()).toBe(2499)
  await town.store.db.updateTable('orders').set({ next_due_at_ms: null }).execute()
  await town.runFor(580)
  expect(await left()).toBe(2499)
  await town.runFor(280)
  expect(await left()).toBe(0)
})

test('however many anomalies were resolved, what is noted of each goes, and it is noted how far that has come', async () => {
  await open()
  const { out_sub_mch_id } = town.app.merchants.first
  await town.store.db
    .insertInto('anomalies')
    .values(
      Array.from({ length: 450 }, (_, at) => ({
        ...{ id: `bill_differs:${out_sub_mch_id}:a ${at}`, kind: 'bill_differs' as const, out_sub_mch_id },
        ...{ out_trade_no: '', evidence: '{}', first_at: 1, last_at: 1, times: 1 },
        ...{ resolved_at: 1_000_000 + (at % 2), resolution: PRIVATE },
      })),
    )
    .execute()
  const noted = async () =>
    (await town.store.db.selectFrom('anomalies').select('id').where('resolution', 'is not', null).execute())
      .length
  const seen: number[] = []
  for (let run = 0; run < 3; run++) {
    await town.runFor(20)
    seen.push(await noted())
  }
  expect(seen).toEqual([250, 50, 0])
})
