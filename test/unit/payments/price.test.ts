import { generateKeyPairSync, sign as cryptoSign } from 'node:crypto'
import { createLogins } from '../../../local/sandbox/logins'
import { peopleEnv, SANDBOX_KEYS } from '../../../local/sandbox/people'
import { createSandbox } from '../../../local/sandbox/sandbox'
import { SANDBOX_MERCHANT } from '../../../shared/base/config'
import { systemRandom } from '../../../shared/base/random'
import { systemClock } from '../../../shared/base/time'
import { openTown, type Town, type Visitor } from '../../support/town'
import type { ShopOptions } from '../../support/shop'
import { fileStore, openWorld } from '../../support/world'

let town: Town
const open = async (options: ShopOptions = {}) => (town = await openTown(options))
afterEach(() => town.close())

const ME = 'oSandboxMiniPayer0001'
const order = async (payer: Visitor, body: Record<string, unknown>, key?: string) => {
  const headers = key === undefined ? {} : { 'idempotency-key': key }
  const answer = await payer.call('POST', '/orders', { body, headers })
  return { status: answer.statusCode, code: answer.body.code as string, body: answer.body }
}
const rows = () => town.store.db.selectFrom('orders').selectAll().execute()

describe('a quote', () => {
  test('makes an order of its price, for its payer, paid in the mini-program they came from', async () => {
    await open()
    const payer = await town.login('mini_program')
    const { status, body } = await order(payer, {
      quote: town.quote({ jti: 'j1', merchant_order_id: 'cart-1' }),
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      total_fee: 1880,
      trade_type: 9,
      merchant_order_id: 'cart-1',
      state: 'pending',
    })
    expect(body.out_trade_no).toMatch(/^sb01/)
    const [row] = await rows()
    expect(row).toMatchObject({
      payer_field: 'sub_open_id',
      payer_id: ME,
      quote_iss: 'sandbox-shop',
      quote_jti: 'j1',
    })
    expect(town.sent('mini_program_pay')).toHaveLength(1)
    expect((await payer.call('GET', `/orders/${body.out_trade_no}`)).statusCode).toBe(200)
  })

  test('used fifty times at once makes one order and asks once', async () => {
    await open()
    const payer = await town.login('mini_program')
    const quote = town.quote()
    const all = await Promise.all(Array.from({ length: 50 }, () => order(payer, { quote })))
    expect(await rows()).toHaveLength(1)
    expect(town.sent('mini_program_pay')).toHaveLength(1)
    for (const { status, code } of all) expect([201, 200, 409]).toContain(code === undefined ? status : 409)
    const again = await order(payer, { quote })
    expect([again.status, again.body.out_trade_no]).toEqual([200, (await rows())[0]!.out_trade_no])
  })

  test('used by five instances at once, ten times each, makes one order and asks once', async () => {
    await open()
    const quote = town.quote({ exp: Math.floor(systemClock.nowMs() / 1000) + 600 })
    const { store, open: again } = await fileStore()
    const sandbox = createSandbox({ clock: systemClock, random: systemRandom })
    const payer = {
      field: 'sub_open_id',
      id: ME,
      app_id: 'wxsandboxmini0001',
      app_kind: 'mini_program',
      session: 's',
    } as const
    const { out_sub_mch_id } = SANDBOX_MERCHANT
    const authorize = async () => ({ id: 'p:me', kind: 'payer', out_sub_mch_id, payer }) as const
    const env = { ...peopleEnv('http://127.0.0.1:1', town.logins), CALLERS: '' }
    const instances = await Promise.all(
      [store, again(), again(), again(), again()].map((own) =>
        openWorld({ store: own, sandbox, env, overrides: { authorize } }),
      ),
    )
    const uses = instances.flatMap((world) => Array.from({ length: 10 }, () => world.create({ quote })))
    const answers = await Promise.all(uses)
    const statuses = new Set(answers.map(({ statusCode, body }) => body.code ?? statusCode))
    expect([...statuses].every((one) => [200, 201, 'order_in_progress'].includes(one as never))).toBe(true)
    expect(answers.filter(({ statusCode }) => statusCode === 201)).toHaveLength(1)
    expect(await store.db.selectFrom('orders').select('quote_jti').execute()).toHaveLength(1)
    expect(sandbox.received).toHaveLength(1)
    await Promise.all(instances.map((world) => world.close()))
  })

  test('used again is the same order, also when it is over; one that was never used is not', async () => {
    await open()
    const payer = await town.login('mini_program')
    const [used, unused] = [town.quote(), town.quote()]
    const first = await order(payer, { quote: used })
    town.pass(601)
    const again = await order(payer, { quote: used })
    expect([again.status, again.body.out_trade_no]).toEqual([200, first.body.out_trade_no])
    expect(await order(payer, { quote: unused })).toMatchObject({ status: 403, code: 'quote_expired' })
    // Another session of the same person is the same person.
    const later = await order(await town.login('mini_program'), { quote: used })
    expect(later.body.out_trade_no).toBe(first.body.out_trade_no)
  })

  test('is of no use to anybody else', async () => {
    const { apps } = createLogins({ clock: systemClock, random: systemRandom })
    const ours = [apps[0], { ...apps[1], id_field: 'open_id' }]
    await open({ env: { CLOUD_PAY_APPS: JSON.stringify(ours) } })
    const thief = await town.login('mini_program', 'oThief0000001')
    expect(await order(thief, { quote: town.quote() })).toMatchObject({
      status: 403,
      code: 'quote_not_yours',
    })
    // The same id under another field is another person.
    const namesake = await town.login('official_account', ME)
    const quote = town.quote()
    const payer = await town.login('mini_program')
    const mine = await order(payer, { quote })
    expect(mine.status).toBe(201)
    expect(await order(namesake, { quote })).toMatchObject({ status: 409, code: 'quote_used' })
    expect((await namesake.call('GET', `/orders/${mine.body.out_trade_no}`)).statusCode).toBe(404)
    expect(await rows()).toHaveLength(1)
  })

  test('signed twice with one jti and another content is refused', async () => {
    await open()
    const payer = await town.login('mini_program')
    const claims = { jti: 'twice', merchant_order_id: 'cart-2' }
    expect((await order(payer, { quote: town.quote(claims) })).status).toBe(201)
    const cheaper = await order(payer, { quote: town.quote({ ...claims, total_fee: 1 }) })
    expect(cheaper).toMatchObject({ status: 422, code: 'content_differs' })
  })

  test('does not look at an Idempotency-Key: it is one', async () => {
    await open()
    const payer = await town.login('mini_program')
    const quote = town.quote()
    const first = await order(payer, { quote }, 'a')
    expect((await order(payer, { quote }, 'b')).body.out_trade_no).toBe(first.body.out_trade_no)
    expect((await order(payer, { quote: town.quote() }, 'a')).status).toBe(201)
  })

  const head = (header: Record<string, unknown>) => Buffer.from(JSON.stringify(header)).toString('base64url')
  test.each<[string, (town: Town) => string]>([
    ['another secret', (town) => town.quote({}, { secret: 'x'.repeat(32) })],
    ['alg none', (town) => town.quote({}, { header: { alg: 'none' } })],
    [
      'alg none and no signature',
      (town) => `${head({ alg: 'none', kid: 'q1', typ: 'quote+jwt' })}.${town.quote().split('.')[1]}.`,
    ],
    ['alg HS512', (town) => town.quote({}, { header: { alg: 'HS512' } })],
    [
      'alg HS512 and a signature that fits',
      (town) => town.quote({}, { header: { alg: 'HS512' }, hash: 'sha512' }),
    ],
    ['alg ES256', (town) => town.quote({}, { header: { alg: 'ES256' } })],
    ['an unknown kid', (town) => town.quote({}, { header: { kid: 'q2' } })],
    ['no kid', (town) => town.quote({}, { header: { kid: undefined } })],
    ['another typ', (town) => town.quote({}, { header: { typ: 'JWT' } })],
    ['a crit nobody knows', (town) => town.quote({}, { header: { crit: ['x'], x: 1 } })],
    [
      'a key it brings along',
      (town) => town.quote({}, { header: { jwk: { kty: 'oct', k: 'AAAA' } }, secret: 'A'.repeat(32) }),
    ],
    ['another issuer', (town) => town.quote({ iss: 'other-shop' })],
    ['another deployment', (town) => town.quote({ aud: ['production', SANDBOX_MERCHANT.out_sub_mch_id] })],
    ['another sub-merchant', (town) => town.quote({ aud: [SANDBOX_KEYS.deployment, 'another'] })],
    ['an aud of one', (town) => town.quote({ aud: SANDBOX_KEYS.deployment })],
    ['an end next month', (town) => town.quote({ exp: town.nowS() + 30 * 86_400 })],
    ['an end in milliseconds', (town) => town.quote({ exp: (town.nowS() + 600) * 1000 })],
    ['no end', (town) => town.quote({ exp: undefined })],
    ['no jti', (town) => town.quote({ jti: undefined })],
    ['no payer', (town) => town.quote({ sub: undefined })],
    ['no purchase', (town) => town.quote({ merchant_order_id: undefined })],
    ['no amount', (town) => town.quote({ total_fee: undefined })],
    ['nothing to pay', (town) => town.quote({ total_fee: 0 })],
    ['yuan', (town) => town.quote({ total_fee: 18.8 })],
    ['a misspelt member', (town) => town.quote({ totl_fee: 1 })],
    ['a session’s token', () => 'session'],
    ['nothing', () => ''],
    ['64 KB', () => 'x'.repeat(60_000)],
  ])('with %s is not one', async (_what, make) => {
    await open()
    const payer = await town.login('mini_program')
    const made = make(town)
    const quote = made === 'session' ? payer.token : made
    expect(await order(payer, { quote })).toMatchObject({ status: 403, code: 'quote_invalid' })
    expect([await rows(), town.sent()]).toEqual([[], []])
  })

  test('changed in any character is not one', async () => {
    await open({ env: { PAYER_ORDERS_PER_MINUTE: '1000' } })
    const payer = await town.login('mini_program')
    const quote = town.quote()
    for (let at = 0; at < quote.length; at += 3) {
      const changed = quote.slice(0, at) + (quote[at] === 'A' ? 'B' : 'A') + quote.slice(at + 1)
      const { code } = await order(payer, { quote: changed })
      expect([at, code]).toEqual([at, 'quote_invalid'])
    }
  })

  test.each(['ES256', 'EdDSA'] as const)(
    'is taken with a public key too, and that key makes no secret: %s',
    async (alg) => {
      const pair =
        alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
      const jwk = pair.publicKey.export({ format: 'jwk' })
      await open({ env: { QUOTE_KEYS: JSON.stringify([{ name: 'pub', iss: 'sandbox-shop', alg, jwk }]) } })
      const payer = await town.login('mini_program')
      const quoteOf = (header: Record<string, unknown>, mac?: string) => {
        const [, payload] = town.quote().split('.')
        const signed = `${head({ alg, kid: 'pub', typ: 'quote+jwt', ...header })}.${payload}`
        const key = { key: pair.privateKey, dsaEncoding: 'ieee-p1363' } as const
        const own = cryptoSign(alg === 'ES256' ? 'sha256' : null, Buffer.from(signed), key).toString(
          'base64url',
        )
        return `${signed}.${mac ?? own}`
      }
      expect((await order(payer, { quote: quoteOf({}) })).status).toBe(201)
      expect((await order(payer, { quote: quoteOf({ alg: 'HS256' }) })).code).toBe('quote_invalid')
      // The classic confusion: HMAC with the public key's text.
      const confused = town.quote({}, { header: { kid: 'pub' }, secret: JSON.stringify(jwk) })
      expect((await order(payer, { quote: confused })).code).toBe('quote_invalid')
    },
  )
})

describe('what a payer says of price or person', () => {
  const quoted = (content: Record<string, unknown>, rest: Record<string, unknown> = {}) => ({
    quote: town.quote(),
    pay_content: content,
    ...rest,
  })

  test('may repeat what is known', async () => {
    await open()
    const payer = await town.login('mini_program')
    const repeats = quoted(
      { total_fee: 1880, fee_type: 'CNY', body: '湖心奶茶-大杯', remark: '少糖' },
      {
        trade_type: 9,
        pay_mch_key: {
          pay_platform: 1,
          wxpay_pay_mch_key_ext: { sub_open_id: ME, mini_program_sub_app_id: 'wxsandboxmini0001' },
        },
      },
    )
    expect((await order(payer, repeats)).status).toBe(201)
  })

  test.each([
    [{ total_fee: 1 }, 'price_differs'],
    [{ total_fee: '1880' }, 'price_differs'],
    [{ total_fee: null }, 'price_differs'],
    [{ fee_type: 'USD' }, 'price_differs'],
    [{ body: 'tea' }, 'price_differs'],
    [{ out_trade_no: 'sb01mine' }, 'body_invalid'],
    [{ detail: '{}' }, 'body_invalid'],
    [{ wxpay_pay_content_ext: { goods_tag: 'HALF' } }, 'body_invalid'],
    [{ state: 'paid' }, 'body_invalid'],
  ])('but not %j: %s', async (content, code) => {
    await open()
    const payer = await town.login('mini_program')
    expect((await order(payer, quoted(content))).code).toBe(code)
    expect([await rows(), town.sent()]).toEqual([[], []])
  })

  test.each([
    [{ pay_mch_key: { wxpay_pay_mch_key_ext: { sub_open_id: 'oSomebody0001' } } }, 403, 'payer_differs'],
    [{ pay_mch_key: { wxpay_pay_mch_key_ext: { open_id: ME } } }, 403, 'payer_differs'],
    [{ pay_mch_key: { alipay_pay_mch_key_ext: { user_id: '2088000000000001' } } }, 403, 'payer_differs'],
    [{ pay_mch_key: { wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wxother' } } }, 400, 'body_invalid'],
    [{ pay_mch_key: { out_sub_mch_id: 'another' } }, 400, 'body_invalid'],
    [{ pay_mch_key: { pay_platform: 2 } }, 400, 'body_invalid'],
    [{ trade_type: 3 }, 400, 'body_invalid'],
    [{ merchant_order_id: 'cart-of-another' }, 400, 'body_invalid'],
    [{ caller: 'm:x' }, 400, 'body_invalid'],
    [{ pay_content: [] }, 400, 'body_invalid'],
    [{ pay_content: 'x' }, 400, 'body_invalid'],
    [{ pay_mch_key: null }, 400, 'body_invalid'],
    [{ pay_mch_key: { wxpay_pay_mch_key_ext: [ME] } }, 400, 'body_invalid'],
  ])('nor %j: %i %s', async (rest, status, code) => {
    await open()
    const payer = await town.login('mini_program')
    expect(await order(payer, quoted({}, rest))).toMatchObject({ status, code })
    expect([await rows(), town.sent()]).toEqual([[], []])
  })

  test.each([
    ['official_account', 'sub_open_id', 'oSandboxOffiPayer0001', 3, 'official_account_pay'],
    ['alipay', 'user_id', '2088000000000001', 3, 'official_account_pay'],
  ] as const)('comes from the session of an %s', async (kind, payer_field, payer_id, trade_type, asked) => {
    await open()
    const payer = await town.login(kind)
    const { status, body } = await order(payer, { quote: town.quote({ sub: payer_id }) })
    expect([status, body.trade_type]).toEqual([201, trade_type])
    expect((await rows())[0]).toMatchObject({ payer_field, payer_id })
    expect(town.sent(asked)).toHaveLength(1)
  })
})

describe('the catalogue', () => {
  test('has the price: one article, several, and no more than its limit', async () => {
    await open()
    await town.sell('tea', 1880, { quantity_max: 3 })
    const payer = await town.login('mini_program')
    const one = await order(payer, { sku: 'tea' }, 'k1')
    const three = await order(payer, { sku: 'tea', quantity: 3 }, 'k3')
    expect([one.body.total_fee, three.body.total_fee]).toEqual([1880, 5640])
    expect(JSON.parse((await rows())[1]!.request_content)).toMatchObject({
      pay_content: { body: '商品 tea ×3' },
    })
    const four = await order(payer, { sku: 'tea', quantity: 4 }, 'k4')
    expect(four).toMatchObject({ status: 400, code: 'quantity_over_limit', body: { quantity_max: 3 } })
    for (const quantity of [0, -1, 1.5, '2', null, 10_001])
      expect((await order(payer, { sku: 'tea', quantity }, 'k5')).code).toBe('body_invalid')
  })

  test('needs an Idempotency-Key; the same key is the same order, whatever the article costs by then', async () => {
    await open()
    await town.sell('tea', 1880, { quantity_max: 3 })
    const payer = await town.login('mini_program')
    expect(await order(payer, { sku: 'tea' })).toMatchObject({ status: 400, code: 'idempotency_required' })
    const first = await order(payer, { sku: 'tea' }, 'k')
    await town.store.db.updateTable('catalogue').set({ total_fee: 1, active: 0 }).execute()
    const again = await order(payer, { sku: 'tea' }, 'k')
    expect([again.status, again.body.out_trade_no, again.body.total_fee]).toEqual([
      200,
      first.body.out_trade_no,
      1880,
    ])
    expect((await order(payer, { sku: 'tea', quantity: 2 }, 'k')).code).toBe('content_differs')
    expect((await order(payer, { sku: 'tea' }, 'new')).code).toBe('sku_unknown')
  })

  test('sells what is in it and active', async () => {
    await open()
    await town.sell('gone', 100, { active: 0 })
    const payer = await town.login('mini_program')
    for (const sku of ['gone', 'nothing', 'Gone'])
      expect((await order(payer, { sku }, sku)).code).toBe('sku_unknown')
    for (const sku of ['', ' ', 7, null, 'x'.repeat(65)])
      expect((await order(payer, { sku }, 'k')).code).toBe('body_invalid')
  })
})

describe('a payer without a price', () => {
  test.each([
    ['quote', { sku: 'tea' }, 'quote_missing'],
    ['quote', {}, 'quote_missing'],
    ['catalogue', { quote: 'x' }, 'sku_missing'],
    ['catalogue', {}, 'sku_missing'],
    ['quote,catalogue', {}, 'quote_or_sku_missing'],
    ['', {}, 'payers_cannot_order'],
    ['', { quote: 'x' }, 'payers_cannot_order'],
    ['', { sku: 'tea' }, 'payers_cannot_order'],
    ['quote,catalogue', { quote: 'x', sku: 'tea' }, 'body_invalid'],
  ])('where %j is configured, and %j sent: %s', async (PAYER_PRICES, body, code) => {
    await open({ env: { PAYER_PRICES } })
    const payer = await town.login('mini_program')
    const tampered = { ...body, pay_content: { total_fee: 1, body: 'tea' } }
    expect((await order(payer, tampered, 'k')).code).toBe(code)
    expect([await rows(), town.sent()]).toEqual([[], []])
  })

  test('of a door-keeper of one’s own is no exception', async () => {
    await open({ overrides: { authorize: async () => ({ id: 'p1', kind: 'payer' }) } })
    const body = {
      pay_content: { total_fee: 1, body: 'tea' },
      pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: ME } },
    }
    const call = (more: object) =>
      town.call('POST', '/orders', { body: { ...body, ...more }, headers: { 'idempotency-key': 'k' } })
    expect((await call({})).body.code).toBe('quote_or_sku_missing')
    expect((await call({ quote: town.quote({ total_fee: 1, body: 'tea' }) })).statusCode).toBe(201)
    expect(
      (await call({ quote: town.quote({ total_fee: 1, body: 'tea', sub: 'oOther0001' }) })).body.code,
    ).toBe('quote_not_yours')
  })
})

describe('a merchant', () => {
  const body = (content: object = {}, rest: object = {}) => ({
    pay_content: { total_fee: 1880, body: 'tea', ...content },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: ME } },
    ...rest,
  })

  test('sets the price and may choose the number', async () => {
    await open()
    const made = await town.signed('server', 'POST', '/orders', { body: body({ out_trade_no: 'sb01mine1' }) })
    expect([made.statusCode, made.body.out_trade_no]).toEqual([201, 'sb01mine1'])
    expect((await rows())[0]).toMatchObject({ caller: `m:${SANDBOX_MERCHANT.out_sub_mch_id}`, payer_id: ME })
    // A price of its own needs no quote, and a quote beside it would be a second one.
    const both = await town.signed('server', 'POST', '/orders', { body: body({}, { quote: town.quote() }) })
    expect(both.body.code).toBe('body_invalid')
  })

  test('of one sub-merchant is nobody at another', async () => {
    const other = {
      out_mch_id: 'othermch',
      out_sub_mch_id: 'othersub',
      out_shop_id: 'othershop',
      order_prefix: 'ot01',
      authen_key: 'other0authen0key0of0another0one0',
    }
    await open({ merchants: [other] })
    const theirs = body(
      {},
      {
        pay_mch_key: {
          pay_platform: 1,
          out_sub_mch_id: 'othersub',
          wxpay_pay_mch_key_ext: { sub_open_id: ME },
        },
      },
    )
    expect((await town.signed('server', 'POST', '/orders', { body: theirs })).body.code).toBe(
      'caller_not_allowed',
    )
    const row = (await town.signed('server', 'POST', '/orders', { body: body() })).body.out_trade_no as string
    await town.store.db
      .updateTable('orders')
      .set({ out_sub_mch_id: 'othersub' })
      .where('out_trade_no', '=', row)
      .execute()
    expect((await town.signed('server', 'GET', `/orders/${row}`)).body.code).toBe('order_not_found')
  })

  test('refunds and closes what payers have ordered', async () => {
    await open()
    const payer = await town.login('mini_program')
    const number = (await order(payer, { quote: town.quote() })).body.out_trade_no as string
    town.sandbox.pay(number)
    await payer.call('GET', `/orders/${number}`, { query: { refresh: '1' } })
    const refund = { refund_fee: 500, out_refund_no: 'sb01r1' }
    expect((await payer.call('POST', `/orders/${number}/refunds`, { body: refund })).body.code).toBe(
      'caller_not_allowed',
    )
    expect(
      (await town.signed('reader', 'POST', `/orders/${number}/refunds`, { body: refund })).body.code,
    ).toBe('caller_not_allowed')
    expect(
      (await town.signed('server', 'POST', `/orders/${number}/refunds`, { body: refund })).statusCode,
    ).toBe(202)
  })
})
