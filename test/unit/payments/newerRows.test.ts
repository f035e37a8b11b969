import { sql } from 'kysely'
import { openShop, type Shop } from '../../support/shop'
import { freshNumber, orderBody } from '../../support/world'

/**
 * This version beside the next one, or after it was rolled back: the rows it finds have states, flags, kinds and columns
 * it has never heard of. It must leave them as they are, do nothing with their money, call a person, and go on with
 * everything else.
 */
let shop: Shop
beforeEach(async () => {
  shop = await openShop({ undescribed: true })
})
afterEach(() => shop.close())

const tables = ['orders', 'refunds', 'order_events'] as const
/** Rows as they are in the database, of this order. */
const rows = async (number: string) =>
  JSON.stringify(
    await Promise.all(
      tables.map((table) =>
        shop.store.db.selectFrom(table).selectAll().where('out_trade_no', '=', number).execute(),
      ),
    ),
  )
/** What the next version wrote, its columns included. */
async function write(table: 'orders' | 'refunds', number: string, values: Record<string, unknown>) {
  for (const [name, value] of Object.entries(values)) {
    await sql`update ${sql.table(table)} set ${sql.ref(name)} = ${value} where out_trade_no = ${number}`.execute(
      shop.store.db,
    )
  }
}
async function makeNewer() {
  await sql`alter table orders add column dispute_id varchar(64)`.execute(shop.store.db)
  await sql`alter table refunds add column split_of varchar(64)`.execute(shop.store.db)
}
/** Asked about orders; the daily bill is nobody's in particular. */
const asks = () =>
  ['query_order', 'close_order', 'refund', 'query_refund_order'].flatMap((suffix) => shop.sent(suffix)).length
const unknownOf = async (number: string) =>
  (await shop.anomalies()).filter((one) => one.kind === 'state_unknown' && one.out_trade_no === number)

describe('an order in a state of the next version', () => {
  let number: string
  let before: string
  let asked: number
  beforeEach(async () => {
    await makeNewer()
    number = await shop.placePaid()
    await write('orders', number, { state: 'disputed', dispute_id: 'd1', next_due_at_ms: 1 })
    before = await rows(number)
    asked = asks()
  })

  test('is left as it is by the timer, and a person is told once', async () => {
    await shop.runFor(300)
    expect(await rows(number)).toBe(before)
    const told = await unknownOf(number)
    expect(told).toMatchObject([{ evidence: { state: 'disputed' }, times: 1, resolved_at: null }])
    expect(asks()).toBe(asked)
    // Resolved, and still so: told again.
    await sql`update anomalies set resolved_at = 1`.execute(shop.store.db)
    await shop.runFor(60)
    expect(await unknownOf(number)).toMatchObject([{ times: 2, resolved_at: null }])
  })

  test('is left as it is by every door', async () => {
    expect((await shop.status(number, { refresh: '1' })).body).toMatchObject({
      state: 'disputed',
      refreshed: false,
    })
    expect(await shop.closeOrder(number)).toMatchObject({
      statusCode: 409,
      body: { code: 'order_not_closable', state: 'disputed' },
    })
    const refund = { refund_fee: 1, out_refund_no: freshNumber() }
    expect(await shop.refund(number, refund)).toMatchObject({
      statusCode: 409,
      body: { code: 'order_not_refundable' },
    })
    expect((await shop.notify(number)).statusCode).toBe(200)
    expect((await shop.notify(number)).statusCode).toBe(200)
    expect(await rows(number)).toBe(before)
    expect(asks()).toBe(asked)
  })

  test('is what a repeat of its create hears of', async () => {
    const other = freshNumber()
    const body = orderBody({ out_trade_no: other })
    await shop.create(body)
    await write('orders', other, { state: 'disputed' })
    const left = await rows(other)
    expect(await shop.create(body)).toMatchObject({ statusCode: 200, body: { state: 'disputed' } })
    expect(await rows(other)).toBe(left)
  })

  test('has its refunds left alone: no money is sent on the way through something unknown', async () => {
    const paid = await shop.placePaid()
    shop.faults['refund'] = 'silent'
    await shop.refund(paid, { refund_fee: 1, out_refund_no: freshNumber() })
    delete shop.faults['refund']
    const sent = shop.sent('refund').length
    await write('orders', paid, { state: 'disputed', next_due_at_ms: null })
    await write('refunds', paid, { next_due_at_ms: 1 })
    await shop.runFor(300)
    expect(shop.sent('refund')).toHaveLength(sent)
    expect(await shop.refunds(paid)).toMatchObject([{ state: 'requested', sends: 1 }])
    expect(await unknownOf(paid)).toHaveLength(1)
  })
})

test('a hundred of them stand in nobody’s way', async () => {
  const number = await shop.place()
  for (let nth = 0; nth < 100; nth++) {
    const other = await shop.place()
    await write('orders', other, { state: 'disputed', next_due_at_ms: 1 })
  }
  shop.sandbox.pay(number)
  await shop.allDue()
  await shop.timer()
  expect((await shop.order(number)).state).toBe('paid')
})

test.each(['a refresh', 'the timer'])(
  '%s that is overtaken by the next version leaves its row to it',
  async (by) => {
    const number = await shop.place()
    shop.sandbox.pay(number)
    await shop.allDue()
    let newer = ''
    // While we ask, the next version moves the order.
    const { call } = shop.app.cloudPay
    const between = jest.spyOn(shop.app.cloudPay, 'call').mockImplementation(async (...given) => {
      const answer = await call(...given)
      if (given[0].suffix !== 'query_order') return answer
      await write('orders', number, { state: 'on_hold', version: 9 })
      newer = await rows(number)
      return answer
    })
    if (by === 'the timer') await shop.timer()
    else expect((await shop.refresh(number)).body).toMatchObject({ state: 'on_hold' })
    expect(newer).toContain('on_hold')
    expect(await rows(number)).toBe(newer)
    expect(shop.counts()['timer.item_failed']).toBeUndefined()
    between.mockRestore()
  },
)

describe('a refund in a state of the next version', () => {
  test('is left as it is by the timer and by a look at its order, and a person is told', async () => {
    await makeNewer()
    const number = await shop.placePaid()
    const out_refund_no = freshNumber()
    await shop.refund(number, { refund_fee: 100, out_refund_no })
    await write('refunds', number, { state: 'split', split_of: 'x', next_due_at_ms: 1 })
    // Due for the list of refunds upstream, which knows this one as done.
    await write('orders', number, { next_due_at_ms: 1 })
    const refunds = async () => (JSON.parse(await rows(number)) as unknown[])[1]
    const before = await refunds()
    await shop.runFor(300)
    expect(await refunds()).toEqual(before)
    expect(await shop.order(number)).toMatchObject({ reserved_fen: 100, refunded_fen: 0, state: 'paid' })
    expect(await unknownOf(number)).toMatchObject([{ evidence: { state: 'split', out_refund_no } }])
    expect(shop.counts()['timer.item_failed']).toBeUndefined()
    // A repeat of the request is told what is known of it.
    const again = await shop.refund(number, { refund_fee: 100, out_refund_no })
    expect(again.body).toMatchObject({ state: 'split' })
    expect(await refunds()).toEqual(before)
  })
})

test('a flag of the next version freezes what flags of ours freeze', async () => {
  const number = await shop.place()
  await write('orders', number, { flag: 'court_order' })
  shop.pass(3600)
  await shop.allDue()
  await shop.timer()
  expect(shop.sent('close_order')).toHaveLength(0)
  expect(await shop.order(number)).toMatchObject({ state: 'pending', flag: 'court_order' })
})

test('events, messages and anomalies of the next version are shown and counted like any other', async () => {
  const number = await shop.placePaid()
  await sql`update order_events set kind = 'judged' where out_trade_no = ${number} and seq = 1`.execute(
    shop.store.db,
  )
  await sql`update outbox set type = 'order.judged' where out_trade_no = ${number}`.execute(shop.store.db)
  const { body } = await shop.status(number)
  expect(body.events[0].kind).toBe('judged')
  await shop.runFor(60)
  expect(await shop.messages(number)).toEqual(['order.judged'])
})
