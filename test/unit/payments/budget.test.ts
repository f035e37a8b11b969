import type { ShopOptions } from '../../support/shop'
import { openTown, type Town, type Visitor } from '../../support/town'

/** What can be asked of Cloud Pay through a door: about one order, by one payer, about all orders of a sub-merchant. */
let town: Town
const open = async (env: Record<string, string> = {}, options: ShopOptions = {}) =>
  (town = await openTown({
    ...options,
    env: { CLOSE_NOT_BEFORE: '300', PAYER_ORDERS_PER_MINUTE: '1000', ...env },
  }))
afterEach(() => town.close())

const signed = () => town.sent().length
async function buy(payer: Visitor, claims: Record<string, unknown> = {}): Promise<string> {
  const answer = await payer.call('POST', '/orders', { body: { quote: town.quote(claims) } })
  expect(answer.statusCode).toBe(201)
  return answer.body.out_trade_no as string
}
const body = {
  pay_content: { total_fee: 100, body: 'tea', out_trade_no: 'sb01server1' },
  pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oSandboxMiniPayer0001' } },
}
const serve = (method: string, path: string, more: object = {}) => town.signed('server', method, path, more)

describe('three hundred calls in a moment about one order', () => {
  const VERBS: [string, (number: string) => Promise<unknown>][] = [
    ['close', (number) => serve('POST', `/orders/${number}/close`)],
    ['refresh', (number) => serve('GET', `/orders/${number}`, { query: { refresh: '1' } })],
  ]
  test.each(VERBS)('%s asks three times at most', async (_, visit) => {
    await open()
    expect((await serve('POST', '/orders', { body })).statusCode).toBe(201)
    const before = signed()
    for (let at = 0; at < 300; at++) await visit('sb01server1')
    expect(signed() - before).toBeGreaterThan(0)
    expect(signed() - before).toBeLessThanOrEqual(3)
  })

  test('a close and then a refresh: the refresh has nothing more to ask', async () => {
    await open()
    await serve('POST', '/orders', { body })
    for (const [, visit] of VERBS) await visit('sb01server1')
    const asked = signed()
    for (const [, visit] of VERBS) await visit('sb01server1')
    expect(signed()).toBe(asked)
  })

  test('a refresh and then a close: it begins to close once, and is asked about for that', async () => {
    await open({ CLOSE_NOT_BEFORE: '0' })
    await serve('POST', '/orders', { body })
    await serve('GET', '/orders/sb01server1', { query: { refresh: '1' } })
    expect((await serve('POST', '/orders/sb01server1/close')).body.state).toBe('closed')
  })

  test('closes that come at once begin one closing, and ask for one', async () => {
    await open()
    await serve('POST', '/orders', { body })
    const before = signed()
    await Promise.all(Array.from({ length: 50 }, () => serve('POST', '/orders/sb01server1/close')))
    expect(signed() - before).toBeLessThanOrEqual(3)
  })

  test('a new attempt for the same purchase asks about the old one once, and says when to come back', async () => {
    await open({ CLOSE_NOT_BEFORE: '0' }, { wrapPost: neverClosing })
    const payer = await town.login('mini_program')
    await buy(payer, { merchant_order_id: 'cart' })
    const before = signed()
    const answers = []
    for (let at = 0; at < 100; at++)
      answers.push(
        await payer.call('POST', '/orders', { body: { quote: town.quote({ merchant_order_id: 'cart' }) } }),
      )
    expect(new Set(answers.map(({ body }) => body.code))).toEqual(new Set(['purchase_open']))
    expect(Number(answers[1]!.headers['retry-after'])).toBeGreaterThanOrEqual(3)
    expect(signed() - before).toBeLessThanOrEqual(3)
  })

  test('a create that nobody answers is sent so often and no more, and then asked about', async () => {
    await open()
    town.faults['official_account_pay'] = 'silent'
    town.faults['mini_program_pay'] = 'silent'
    for (let at = 0; at < 60; at++) await serve('POST', '/orders', { body })
    const sends = town.sent('official_account_pay').length + town.sent('mini_program_pay').length
    expect(sends).toBeGreaterThan(5)
    expect(sends).toBeLessThanOrEqual(25)
    expect(town.sent('query_order').length).toBeLessThanOrEqual(1)
  })

  test('a repeated refund is asked about once; a new one is never held back', async () => {
    await open({}, { refundDelayMs: Infinity })
    await serve('POST', '/orders', { body })
    town.sandbox.pay('sb01server1')
    await serve('GET', '/orders/sb01server1', { query: { refresh: '1' } })
    const refund = (out_refund_no: string) =>
      serve('POST', '/orders/sb01server1/refunds', { body: { refund_fee: 10, out_refund_no } })
    expect((await refund('sb01r1')).body.state).toBe('accepted')
    expect((await refund('sb01r2')).body.state).toBe('accepted')
    town.pass(3)
    const before = signed()
    for (let at = 0; at < 300; at++) expect((await refund('sb01r1')).body.state).toBe('accepted')
    expect(signed() - before).toBeLessThanOrEqual(3)
  })

  /** Upstream every close is a signed no, and the order waits. */
  const neverClosing: NonNullable<ShopOptions['wrapPost']> = (post) => (url, bytes, options) => {
    if (url.endsWith('close_order')) town.faults['close_order'] = '104'
    return post(url, bytes, options)
  }
})

describe('in a minute', () => {
  test('a payer has so many looks, whatever the orders', async () => {
    await open({ PAYER_LOOKS_PER_MINUTE: '5', PAYER_OPEN_ORDERS_MAX: '100' })
    const payer = await town.login('mini_program')
    const numbers = []
    for (let at = 0; at < 8; at++) numbers.push(await buy(payer))
    const refreshed = []
    for (const number of numbers)
      refreshed.push(
        (await payer.call('GET', `/orders/${number}`, { query: { refresh: '1' } })).body.refreshed,
      )
    expect(refreshed).toEqual([...Array<boolean>(5).fill(true), ...Array<boolean>(3).fill(false)])
    expect(town.sent('query_order')).toHaveLength(5)
    // What was refused was not claimed: the shop's server asks about it at once.
    const seen = await serve('GET', `/orders/${numbers[7]}`, { query: { refresh: '1' } })
    expect(seen.body.refreshed).toBe(true)
    town.pass(60)
    const again = await payer.call('GET', `/orders/${numbers[7]}`, { query: { refresh: '1' } })
    expect(again.body.refreshed).toBe(true)
  })

  test('payers together leave a quarter to the shop’s own server, and all doors leave the timer alone', async () => {
    await open({ MERCHANT_LOOKS_PER_MINUTE: '8' })
    const people = Array.from({ length: 9 }, (_, at) => `oPayer000000${at}`)
    const numbers = []
    for (const sub of people) {
      const payer = await town.login('mini_program', sub)
      numbers.push(await buy(payer, { sub }))
      await payer.call('GET', `/orders/${numbers.at(-1)}`, { query: { refresh: '1' } })
    }
    expect(town.sent('query_order')).toHaveLength(6)
    town.pass(3)
    const server = []
    for (const number of numbers.slice(0, 4))
      server.push((await serve('GET', `/orders/${number}`, { query: { refresh: '1' } })).body.refreshed)
    expect(server).toEqual([true, true, false, false])
    // The timer looks at all of them in the same minute.
    await town.allDue()
    const before = town.sent('query_order').length
    await town.timer()
    expect(town.sent('query_order').length - before).toBe(9)
  })

  test('a close that is one too many leaves the order closing, and the timer closes it', async () => {
    await open({ PAYER_LOOKS_PER_MINUTE: '1', CLOSE_NOT_BEFORE: '0' })
    const payer = await town.login('mini_program')
    const [first, second] = [await buy(payer), await buy(payer)]
    expect((await payer.call('POST', `/orders/${first}/close`)).body.state).toBe('closed')
    const answer = await payer.call('POST', `/orders/${second}/close`)
    expect([answer.statusCode, answer.body.state]).toEqual([202, 'closing'])
    await town.runFor(40)
    expect((await town.order(second)).state).toBe('closed')
  })
})
