import * as v from 'valibot'
import { SANDBOX_MERCHANT } from '../../../shared/base/config'
import { BoardAnomalies, BoardAnomaly, BoardDay, BoardOrders } from '../../../shared/order/board'
import { noteAnomalies } from '../../../shared/store/beside'
import { openShop, otherMerchants, type Shop } from '../../support/shop'
import { openTown, signHeaders, type Town } from '../../support/town'
import type { Answer } from '../../support/world'

/** What an operator is shown through the real doors: each answer has the shape its schema says, and nothing more. */
const SUB = SANDBOX_MERCHANT.out_sub_mch_id

let town: Town
beforeEach(async () => {
  town = await openTown()
})
afterEach(() => town.close())

const shown = <Schema extends v.GenericSchema>(schema: Schema, answer: Answer): v.InferOutput<Schema> => {
  expect([answer.statusCode, answer.body]).toEqual([200, expect.anything()])
  return v.parse(schema, answer.body)
}
const orders = async (query: Record<string, string> = {}, path = '/board/orders') =>
  shown(BoardOrders, await town.signed('reader', 'GET', path, { query }))
const anomalies = async (query: Record<string, string> = {}) =>
  shown(BoardAnomalies, await town.signed('reader', 'GET', '/board/anomalies', { query }))
const day = async (query: Record<string, string> = {}) =>
  shown(BoardDay, await town.signed('reader', 'GET', '/board/day', { query }))

let made = 0
/** The merchant's server makes it; the payer pays, or not. */
async function order(total_fee: number, pays = false): Promise<string> {
  const body = {
    pay_content: { total_fee, body: '茶' },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oSecretPayer0001' } },
  }
  const headers = { 'idempotency-key': `k${++made}` }
  const answer = await town.signed('server', 'POST', '/orders', { body, headers })
  expect(answer.statusCode).toBe(201)
  const number = answer.body.out_trade_no as string
  if (pays) {
    town.sandbox.pay(number)
    town.pass(4)
    const read = await town.signed('reader', 'GET', `/orders/${number}`, { query: { refresh: '1' } })
    expect(read.body.state).toBe('paid')
  }
  return number
}

describe('orders', () => {
  test('are listed the latest first, page by page, each once, and nobody who pays is named', async () => {
    const latest: string[] = []
    for (let at = 0; at < 7; at++) {
      latest.unshift(await order(100 + at, at % 2 === 0))
      town.pass(1)
    }
    const seen: string[] = []
    let before: string | null | undefined
    for (let pages = 0; before !== null && pages < 10; pages++) {
      const page = await orders({ limit: '3', ...(before === undefined ? {} : { before }) })
      expect(page.orders.length).toBeLessThanOrEqual(3)
      expect(JSON.stringify(page)).not.toContain('oSecretPayer')
      seen.push(...page.orders.map(({ out_trade_no }) => out_trade_no))
      before = page.next
    }
    expect(seen).toEqual(latest)
    expect((await orders({ limit: '7' })).next).toBeNull()
  })

  test('of a state, by the beginning of their number, or by their transaction', async () => {
    const [paid, open] = [await order(100, true), await order(200)]
    const found = async (query: Record<string, string>) =>
      (await orders(query)).orders.map(({ out_trade_no }) => out_trade_no)
    expect(await found({ state: 'paid' })).toEqual([paid])
    expect(await found({ state: 'pending' })).toEqual([open])
    const transaction = town.sandbox.orders.get(paid)!.transaction_id!
    expect(await found({ search: transaction })).toEqual([paid])
    expect(await found({ search: transaction.slice(0, -1) })).toEqual([])
    expect(await found({ search: paid })).toEqual([paid])
    expect((await found({ search: SANDBOX_MERCHANT.order_prefix })).sort()).toEqual([paid, open].sort())
    const first = await orders({ search: SANDBOX_MERCHANT.order_prefix, limit: '1' })
    const next = await orders({
      search: SANDBOX_MERCHANT.order_prefix,
      limit: '1',
      before: first.next!,
    })
    expect([...first.orders, ...next.orders].map(({ out_trade_no }) => out_trade_no).sort()).toEqual(
      [paid, open].sort(),
    )
    expect(next.next).toBeNull()
    for (const nothing of ['%', '_', `${SANDBOX_MERCHANT.order_prefix}%`, "'--", '\\'])
      expect([nothing, await found({ search: nothing })]).toEqual([nothing, []])
  })

  test.each([
    [{ limit: '0' }, 'limit'],
    [{ limit: '101' }, 'limit'],
    [{ limit: '1e1' }, 'limit'],
    [{ state: 'gone' }, 'state'],
    [{ state: 'paid', search: 'sb' }, 'state'],
    [{ search: '' }, 'search'],
    [{ search: '订单' }, 'search'],
    [{ search: 'x'.repeat(65) }, 'search'],
    [{ before: 'nonsense' }, 'before'],
    [{ before: Buffer.from('[1,"x","y"]').toString('base64url') }, 'before'],
    [{ before: Buffer.from('["1","x"]').toString('base64url') }, 'before'],
    [{ before: '' }, 'before'],
    [{ payer_id: 'oSecretPayer0001' }, 'payer_id'],
    [{ out_sub_mch_id: 'sub00' }, 'out_sub_mch_id'],
  ] as const)('%j is refused, and says where', async (query, field) => {
    const answer = await town.signed('reader', 'GET', '/board/orders', { query })
    expect([answer.statusCode, answer.body.code]).toEqual([400, 'query_invalid'])
    expect((answer.body.fields as { field: string }[]).map((one) => one.field)).toEqual([field])
  })
})

describe('anomalies', () => {
  const note = (out_trade_no: string, out_sub_mch_id: string = SUB) =>
    noteAnomalies(town.store, town.nowS(), [
      { kind: 'amount_differs', out_sub_mch_id, out_trade_no, evidence: { at: out_trade_no } },
    ])
  const resolve = (
    id: string,
    body: unknown = { note: ' looked ' },
    path = '/board/anomalies/{id}/resolve',
  ) => town.signed('admin', 'POST', path.replace('{id}', id), { body })

  test('open ones come first, then resolved ones, and pages go from one to the other', async () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      town.pass(1)
      await note(name)
    }
    for (const name of ['d', 'a']) {
      town.pass(1)
      expect((await resolve(`amount_differs:${SUB}:${name}`)).statusCode).toBe(200)
    }
    for (const limit of ['1', '3', '100']) {
      const seen: string[] = []
      let before: string | null | undefined
      for (let pages = 0; before !== null && pages < 9; pages++) {
        const page = await anomalies({ limit, ...(before === undefined ? {} : { before }) })
        seen.push(...page.anomalies.map(({ out_trade_no }) => out_trade_no))
        before = page.next
      }
      expect([limit, seen]).toEqual([limit, ['c', 'b', 'a', 'd']])
    }
  })

  test('are resolved once: a repeat hears what was said, and what shows again is open again', async () => {
    await note('a')
    const id = `amount_differs:${SUB}:a`
    const first = shown(BoardAnomaly, await resolve(id))
    expect(first).toMatchObject({ resolution: 'looked', resolved_at: { epoch: town.nowS() } })
    town.pass(5)
    expect(shown(BoardAnomaly, await resolve(id, { note: 'again' }))).toEqual(first)
    await note('a')
    expect((await anomalies()).anomalies[0]).toMatchObject({ id, resolved_at: null, times: 2 })
    const other = await resolve(encodeURIComponent(id), { note: '看过了' }, '/board/resolve/{id}')
    expect(shown(BoardAnomaly, other)).toMatchObject({ resolution: '看过了' })
    expect(town.counts()['anomaly.resolved.amount_differs']).toBe(2)
  })

  test.each([
    [{}, 'note'],
    [{ note: '  ' }, 'note'],
    [{ note: 'x'.repeat(256) }, 'note'],
    [{ note: 'a\0b' }, 'note'],
    [{ note: 'x', resolved_at: 7 }, 'resolved_at'],
  ])('%j is no note', async (body, field) => {
    await note('a')
    const answer = await resolve(`amount_differs:${SUB}:a`, body)
    expect([answer.statusCode, answer.body.code]).toEqual([400, 'body_invalid'])
    expect((answer.body.fields as { field: string }[])[0]!.field).toBe(field)
    expect((await anomalies()).anomalies[0]!.resolved_at).toBeNull()
  })

  test('that are not there, or not yours, are not there', async () => {
    await note('a', 'somebodyelse')
    for (const id of ['amount_differs:somebodyelse:a', 'nothing', '%', '%E0%A4%A', 'amount_differs:x']) {
      const answer = await resolve(id)
      expect([id, answer.statusCode, answer.body.code]).toEqual([id, 404, 'anomaly_not_found'])
    }
    const [row] = await town.store.db.selectFrom('anomalies').selectAll().execute()
    expect(row).toMatchObject({ resolved_at: null })
    expect((await anomalies()).anomalies).toEqual([])
  })

  test('of the deployment as a whole are for whom it is configured first', async () => {
    await noteAnomalies(town.store, town.nowS(), [
      { kind: 'timer_silent', out_sub_mch_id: '', out_trade_no: '', evidence: {} },
    ])
    expect((await anomalies()).anomalies.map(({ kind }) => kind)).toEqual(['timer_silent'])
    expect((await resolve('timer_silent::')).statusCode).toBe(200)

    const merchants = otherMerchants(1)
    const sub = merchants[0]!.out_sub_mch_id
    const MERCHANT_KEYS = JSON.stringify([
      { name: 'reader', out_sub_mch_id: sub, scopes: ['read'], secret: 'r'.repeat(32) },
    ])
    const other = await openTown({ merchants, env: { MERCHANT_KEYS } })
    await noteAnomalies(other.store, 1, [
      { kind: 'timer_silent', out_sub_mch_id: '', out_trade_no: '', evidence: {} },
    ])
    const request = { method: 'GET', path: '/board/anomalies', body: '' }
    const at = { timestamp: String(other.nowS()), nonce: 'n'.repeat(32) }
    const headers = signHeaders({ name: 'reader', secret: 'r'.repeat(32) }, request, at)
    const answer = await other.call('GET', '/board/anomalies', { headers })
    expect(shown(BoardAnomalies, answer).anomalies).toEqual([])
    await other.close()
  })
})

describe('a day', () => {
  test('shows what was made, paid and sent back, by China’s hours, and adds up', async () => {
    // 2030-03-18T01:46:40+08:00.
    await order(700, true)
    const other = await order(300, true)
    await order(50)
    town.pass(3600)
    const body = { refund_fee: 200, out_refund_no: `${other}r` }
    await town.signed('server', 'POST', `/orders/${other}/refunds`, { body })
    await town.allDue()
    await town.timer()
    const today = await day()
    expect(today.date).toBe('2030-03-18')
    expect(today.total).toEqual({
      made: { count: 3, fen: 1050 },
      paid: { count: 2, fen: 1000 },
      refunded: { count: 1, fen: 200 },
    })
    expect(today.hours[1]).toEqual({
      hour: 1,
      made: { count: 3, fen: 1050 },
      paid: { count: 2, fen: 1000 },
      refunded: { count: 0, fen: 0 },
    })
    expect(today.hours[2]!.refunded).toEqual({ count: 1, fen: 200 })
    expect(today.hours.filter(({ hour }) => hour !== 1 && hour !== 2).map(({ made }) => made.count)).toEqual(
      Array.from({ length: 22 }, () => 0),
    )
    expect(await day({ date: '2030-03-18' })).toEqual(today)
    expect((await day({ date: '2030-03-17' })).total.made.count).toBe(0)
  })

  test.each(['2030-02-30', '2030-3-1', 'today', '2030-03-18T00:00:00Z', ''])('%j is none', async (date) => {
    const answer = await town.signed('reader', 'GET', '/board/day', { query: { date } })
    expect([answer.statusCode, answer.body.code]).toEqual([400, 'query_invalid'])
  })
})

describe('whose board it is', () => {
  test('on one machine, with the open door: that of whom it is configured for', async () => {
    const shop: Shop = await openShop()
    const number = await shop.place()
    const page = shown(BoardOrders, await shop.call('GET', '/board/orders'))
    expect(page.orders.map(({ out_trade_no }) => out_trade_no)).toEqual([number])
    const payer = await shop.call('GET', '/board/orders', { headers: { 'x-local-caller': 'payer:bob' } })
    expect(payer.body.code).toBe('caller_not_allowed')
    await shop.close()
  })

  test('behind a door-keeper that names no sub-merchant: nobody’s', async () => {
    const shop = await openShop({
      env: { CALLERS: 'own' },
      overrides: { authorize: async () => ({ id: 'clerk', kind: 'merchant' }) },
    })
    for (const path of ['/board/orders', '/board/unshipped', '/board/anomalies', '/board/day']) {
      const answer = await shop.call('GET', path)
      expect([path, answer.statusCode, answer.body.code]).toEqual([path, 403, 'caller_not_allowed'])
    }
    await shop.close()
  })
})
