import { openTown, type Town, type Visitor } from '../../support/town'
import type { ShopOptions } from '../../support/shop'

let town: Town
const open = async (options: ShopOptions = {}) => (town = await openTown(options))
afterEach(() => town.close())

const order = async (payer: Visitor, claims: Record<string, unknown> = {}) => {
  const answer = await payer.call('POST', '/orders', { body: { quote: town.quote(claims) } })
  return (answer.body.code as string | undefined) ?? 'ok'
}
const count = (codes: string[]) => [
  codes.filter((code) => code === 'ok').length,
  codes.filter((code) => code === 'too_many_orders').length,
]
const byMerchant = async (total_fee = 100) => {
  const body = {
    pay_content: { total_fee, body: 'tea' },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oSandboxMiniPayer0001' } },
  }
  const answer = await town.signed('server', 'POST', '/orders', { body })
  return (answer.body.code as string | undefined) ?? 'ok'
}
const rows = () => town.store.db.selectFrom('orders').selectAll().execute()

describe('a payer', () => {
  test('has so many orders open at once, also when they come at once; a paid one makes room', async () => {
    await open({ env: { PAYER_OPEN_ORDERS_MAX: '3', PAYER_ORDERS_PER_MINUTE: '1000' } })
    const payer = await town.login('mini_program')
    const codes = await Promise.all(Array.from({ length: 20 }, () => order(payer)))
    expect(count(codes)).toEqual([3, 17])
    expect([(await rows()).length, town.sent('mini_program_pay').length]).toEqual([3, 3])
    const number = (await rows())[0]!.out_trade_no
    town.sandbox.pay(number)
    await town.refresh(number)
    const own = await payer.call('GET', `/orders/${number}`, { query: { refresh: '1' } })
    expect(own.body.state).toBe('paid')
    expect([await order(payer), await order(payer)]).toEqual(['ok', 'too_many_orders'])
    // Somebody else's are not theirs.
    expect(await order(await town.login('mini_program', 'oOther0000001'), { sub: 'oOther0000001' })).toBe(
      'ok',
    )
  })

  test('orders so often in a minute, in whichever session, and never loses a repeat to it', async () => {
    await open({ env: { PAYER_ORDERS_PER_MINUTE: '5', PAYER_OPEN_ORDERS_MAX: '1000' } })
    const payer = await town.login('mini_program')
    const codes = await Promise.all(Array.from({ length: 12 }, () => order(payer)))
    expect(count(codes)).toEqual([5, 7])
    expect(await order(await town.login('mini_program'))).toBe('too_many_orders')
    const refused = await payer.call('POST', '/orders', { body: { quote: town.quote() } })
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '60'])
    const { quote_jti, merchant_order_id } = (await rows())[0]!
    expect(await order(payer, { jti: quote_jti, merchant_order_id })).toBe('ok')
    town.pass(60)
    expect(await order(payer)).toBe('ok')
  })

  test('orders so often in a day, also one who closes what they have ordered', async () => {
    await open({ env: { PAYER_ORDERS_PER_DAY: '4', CLOSE_NOT_BEFORE: '0' } })
    const payer = await town.login('mini_program')
    for (let at = 0; at < 4; at++) {
      expect(await order(payer)).toBe('ok')
      const number = (await rows()).at(-1)!.out_trade_no
      expect((await payer.call('POST', `/orders/${number}/close`)).body.state).toBe('closed')
      town.pass(60)
    }
    expect(await order(payer)).toBe('too_many_orders')
    // What was refused for the day has not been counted for the minute, nor the other way round.
    const used = await town.store.db.selectFrom('counters').select(['name', 'used']).execute()
    expect(used.filter(({ name }) => /^od:/.test(name)).map((row) => Number(row.used))).toEqual([4])
    town.pass(86_400)
    expect(await order(await town.login('mini_program'))).toBe('ok')
  })

  test('refused for a limit has not used up the quote', async () => {
    await open({ env: { PAYER_ORDERS_PER_MINUTE: '1' } })
    const payer = await town.login('mini_program')
    await order(payer)
    const claims = { jti: 'kept', merchant_order_id: 'cart-kept' }
    expect(await order(payer, claims)).toBe('too_many_orders')
    town.pass(60)
    expect(await order(payer, claims)).toBe('ok')
  })
})

describe('a sub-merchant', () => {
  test('takes so many orders in a minute, of everybody together', async () => {
    await open({ env: { MERCHANT_ORDERS_PER_MINUTE: '6' } })
    const payers = await Promise.all(
      Array.from({ length: 8 }, (_, at) => town.login('mini_program', `oPayer000000${at}`)),
    )
    const codes = await Promise.all(payers.map((payer, at) => order(payer, { sub: `oPayer000000${at}` })))
    // A quarter is the server's own, whatever its payers do; for itself it has all that is left.
    expect(count(codes)).toEqual([5, 3])
    expect([await byMerchant(), await byMerchant()]).toEqual(['ok', 'too_many_orders'])
    town.pass(60)
    for (let at = 0; at < 6; at++) expect(await byMerchant()).toBe('ok')
    expect(await byMerchant()).toBe('too_many_orders')
    expect(await order(payers[0]!, { sub: 'oPayer0000000' })).toBe('too_many_orders')
  })

  test('takes no order above its largest, of nobody', async () => {
    await open({ env: { ORDER_MAX_FEN: '1000' } })
    const payer = await town.login('mini_program')
    expect([await order(payer, { total_fee: 1000 }), await order(payer, { total_fee: 1001 })]).toEqual([
      'ok',
      'order_too_large',
    ])
    expect([await byMerchant(1000), await byMerchant(1001)]).toEqual(['ok', 'order_too_large'])
    await town.sell('dear', 1001)
    const answer = await payer.call('POST', '/orders', {
      body: { sku: 'dear' },
      headers: { 'idempotency-key': 'k' },
    })
    expect(answer.body.code).toBe('order_too_large')
  })

  test.each([
    ['PAYER_REFUNDS_PER_DAY', 'refund_ceiling'],
    ['MERCHANT_REFUNDS_PER_DAY', 'refund_ceiling'],
  ])('refunds so often in a day: %s', async (name, code) => {
    await open({ env: { [name]: '2' } })
    const payer = await town.login('mini_program')
    await order(payer)
    const number = (await rows())[0]!.out_trade_no
    town.sandbox.pay(number)
    await payer.call('GET', `/orders/${number}`, { query: { refresh: '1' } })
    const seen = []
    for (let at = 0; at < 3; at++) {
      const body = { refund_fee: 1, out_refund_no: `sb01r${at}` }
      seen.push(
        (await town.signed('server', 'POST', `/orders/${number}/refunds`, { body })).body.code ?? 'ok',
      )
      town.pass(10)
      await town.runFor(20)
    }
    expect(seen).toEqual(['ok', 'ok', code])
  })
})

describe('10 000', () => {
  test('random pairs of payer and order: owners read theirs, nobody reads another’s', async () => {
    await open({
      env: {
        PAYER_ORDERS_PER_MINUTE: '1000',
        PAYER_OPEN_ORDERS_MAX: '1000',
        MERCHANT_ORDERS_PER_MINUTE: '100000',
      },
    })
    const people = Array.from({ length: 20 }, (_, at) => `oPerson00000${String(at).padStart(2, '0')}`)
    const payers = await Promise.all(people.map((id) => town.login('mini_program', id)))
    const numbers: { number: string; owner: number }[] = []
    for (let at = 0; at < 100; at++) {
      const owner = at % people.length
      const answer = await payers[owner]!.call('POST', '/orders', {
        body: { quote: town.quote({ sub: people[owner] }) },
      })
      numbers.push({ number: answer.body.out_trade_no as string, owner })
    }
    const missing = await payers[0]!.call('GET', '/orders/sb01doesnotexist')
    const plain = (answer: { body: { request_id: string } }) =>
      JSON.stringify({ ...answer, body: { ...answer.body, request_id: '' } }).replace(/test-\d+/, '')
    let [leaks, denied, own] = [0, 0, 0]
    let seed = 7
    for (let at = 0; at < 10_000; at++) {
      seed = (seed * 48_271) % 2_147_483_647
      const who = seed % payers.length
      const { number, owner } = numbers[Math.floor(seed / payers.length) % numbers.length]!
      town.database.said = 0
      const answer = await payers[who]!.call('GET', `/orders/${number}`)
      if (owner === who) {
        own++
        if (answer.statusCode !== 200) denied++
      } else {
        // The very answer of a missing order, for the same two questions to the database.
        if (plain(answer) !== plain(missing) || town.database.said !== 2) leaks++
      }
    }
    expect([leaks, denied, own > 300]).toEqual([0, 0, true])
    for (const path of ['close', 'refunds']) {
      const { number } = numbers[1]!
      const body = path === 'refunds' ? { refund_fee: 1, out_refund_no: 'sb01x' } : ''
      const other = await payers[0]!.call('POST', `/orders/${number}/${path}`, { body })
      expect(other.body.code).toBe(path === 'close' ? 'order_not_found' : 'caller_not_allowed')
    }
  })
})
