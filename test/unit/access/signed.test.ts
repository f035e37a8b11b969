import { randomBytes } from 'node:crypto'
import { SANDBOX_KEYS } from '../../../local/sandbox/people'
import { openTown, signHeaders, type Town } from '../../support/town'

let town: Town
beforeEach(async () => {
  town = await openTown()
})
afterEach(() => town.close())

const KEY = SANDBOX_KEYS.reader
const PATH = '/orders/sb01nothing'
const sign = (
  more: Partial<Parameters<typeof signHeaders>[1]> = {},
  at: { timestamp?: string; nonce?: string } = {},
) =>
  signHeaders(
    KEY,
    { method: 'GET', path: PATH, body: '', ...more },
    { timestamp: String(town.nowS()), nonce: randomBytes(16).toString('hex'), ...at },
  )
const codeOf = async (headers: Record<string, string>, more: Parameters<Town['call']>[2] = {}) =>
  (await town.call('GET', PATH, { headers, ...more })).body.code as string

describe('a signed request', () => {
  test('is let in once: its nonce is remembered, also by another instance', async () => {
    const headers = sign()
    expect(await codeOf(headers)).toBe('order_not_found')
    expect(await codeOf(headers)).toBe('request_replayed')
    expect(await codeOf(sign())).toBe('order_not_found')
  })

  test('sent fifty times at once is let in once', async () => {
    const headers = sign()
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(headers)))
    expect(codes.filter((code) => code === 'order_not_found')).toHaveLength(1)
    expect(codes.filter((code) => code === 'request_replayed')).toHaveLength(49)
  })

  test.each([
    [-301, 'request_expired'],
    [-300, 'order_not_found'],
    [300, 'order_not_found'],
    [301, 'request_expired'],
  ])('signed %d s from now: %s', async (seconds, code) => {
    expect(await codeOf(sign({}, { timestamp: String(town.nowS() + seconds) }))).toBe(code)
  })

  test('is remembered for as long as its timestamp would let it in', async () => {
    const headers = sign({}, { timestamp: String(town.nowS() + 300) })
    expect(await codeOf(headers)).toBe('order_not_found')
    town.pass(600)
    expect(await codeOf(headers)).toBe('request_replayed')
    town.pass(1)
    expect(await codeOf(headers)).toBe('request_expired')
    const rows = await town.store.db.selectFrom('spent').selectAll().execute()
    expect(rows.map(({ until_at }) => Number(until_at))).toEqual([town.nowS() - 601 + 300 + 600])
  })

  test('says what it says about this request alone', async () => {
    const elsewhere = {
      path: '/orders/sb01other',
      method: 'POST',
      body: 'x',
      query: { refresh: '1' },
      idempotencyKey: 'k',
    }
    for (const [name, value] of Object.entries(elsewhere)) {
      expect([name, await codeOf(sign({ [name]: value }))]).toEqual([name, 'caller_unknown'])
    }
    expect(await codeOf(sign({ query: { refresh: '1' } }), { query: { refresh: '1' } })).toBe(
      'order_not_found',
    )
    const key = { 'idempotency-key': 'k' }
    expect(await codeOf({ ...sign({ idempotencyKey: 'k' }), ...key })).toBe('order_not_found')
    expect(await codeOf({ ...sign(), ...key })).toBe('caller_unknown')
  })

  test.each([
    ['x-pay-key', ['nobody', '', 'READER', 'reader ', '__proto__', 'server']],
    ['x-pay-timestamp', ['', '1.9e9', '+1900000000', ' 1900000000', '19000000000', '1900000000000']],
    ['x-pay-nonce', ['', 'short', 'x'.repeat(65), 'with blanks in it ', 'ünïcödé-ünïcödé-x']],
    ['x-pay-signature', ['', 'v1=', `v1=${'0'.repeat(64)}`, '0'.repeat(64), `v2=${'0'.repeat(64)}`]],
  ])('with another %s is nobody’s', async (name, values) => {
    for (const value of values)
      expect([value, await codeOf({ ...sign(), [name]: value })]).toEqual([value, 'caller_unknown'])
    const { [name]: _, ...without } = sign()
    expect(await codeOf(without)).toBe('caller_unknown')
  })

  test('with its signature in capitals is nobody’s', async () => {
    const headers = sign()
    expect(await codeOf({ ...headers, 'x-pay-signature': headers['x-pay-signature']!.toUpperCase() })).toBe(
      'caller_unknown',
    )
  })

  test('that is refused does not reach the database', async () => {
    town.database.said = 0
    for (let at = 0; at < 200; at++)
      await codeOf({ ...sign(), 'x-pay-signature': `v1=${randomBytes(32).toString('hex')}` })
    expect(await codeOf(sign({}, { timestamp: String(town.nowS() - 999) }))).toBe('request_expired')
    expect(town.database.said).toBe(0)
  })

  test('whose nonce may or may not have been kept is not carried out', async () => {
    town.database.before = (sql) => {
      if (sql.includes('spent')) throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    }
    expect(await codeOf(sign())).toBe('database_unavailable')
    town.database.before = undefined
  })
})

describe('a key', () => {
  const uses = async () =>
    (
      await town.store.db
        .selectFrom('marks')
        .select(['name', 'at_ms'])
        .where('name', 'like', 'key:%')
        .execute()
    ).map(({ name, at_ms }) => [name, Number(at_ms)])

  test('has its last use written down, once a minute at most', async () => {
    const first = town.clock.nowMs()
    await codeOf(sign())
    town.pass(59)
    await codeOf(sign())
    expect(await uses()).toEqual([['key:reader', first]])
    town.pass(1)
    await codeOf(sign())
    expect(await uses()).toEqual([['key:reader', first + 60_000]])
  })

  test('whose use cannot be written down is good all the same', async () => {
    town.database.before = (sql) => {
      if (sql.includes('marks')) throw new Error('disk full')
    }
    expect(await codeOf(sign())).toBe('order_not_found')
    expect(town.log.some(({ event }) => event === 'key.use_unwritten')).toBe(true)
  })

  test('sees and serves what another key of the same sub-merchant made', async () => {
    const body = {
      pay_content: { total_fee: 100, body: 'tea' },
      pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oSandboxMiniPayer0001' } },
    }
    const made = await town.signed('server', 'POST', '/orders', { body })
    expect(made.statusCode).toBe(201)
    const number = made.body.out_trade_no as string
    expect((await town.signed('reader', 'GET', `/orders/${number}`)).body.state).toBe('pending')
    // The payer it was made for owns it, whoever made it.
    const payer = await town.login('mini_program')
    expect((await payer.call('GET', `/orders/${number}`)).body.state).toBe('pending')
    const stranger = await town.login('mini_program', 'oSomebodyElse1')
    expect((await stranger.call('GET', `/orders/${number}`)).body.code).toBe('order_not_found')
  })
})
