import { SANDBOX_APPS } from '../../../local/sandbox/logins'
import { SANDBOX_KEYS } from '../../../local/sandbox/people'
import { textToSign } from '../../../shared/access/signed'
import { about, raise } from '../../../shared/payments/raise'
import type { PayError, Sent, Transport } from '../../../web/client/client'
import { createOperator, openKey, signRequest } from '../../../web/client/operator'
import { openTown, signHeaders, type Town } from '../../support/town'
import { freshNumber, orderBody } from '../../support/world'

/** The operator's client and its signatures in WebCrypto, against the real functions. */
const { operator: OPERATOR, reader: READER } = SANDBOX_KEYS
const ORIGIN = 'https://pay.example.com'

let town: Town
const sent: Sent[] = []
/** What becomes of the next answer. */
let lose = false

beforeAll(async () => {
  town = await openTown()
})
afterAll(() => town.close())
beforeEach(() => {
  sent.length = 0
  lose = false
})

/** HTTP as the gateway makes an event of it. */
const transport: Transport = async (request) => {
  sent.push(request)
  const url = new URL(request.url)
  const answer = await town.call(request.method, url.pathname, {
    headers: request.headers,
    query: Object.fromEntries(url.searchParams),
    body: request.body,
  })
  if (lose) throw new TypeError('Failed to fetch')
  return { status: answer.statusCode, text: JSON.stringify(answer.body) }
}

const operatorWith = async (
  key: { name: string; secret: string },
  base: Parameters<typeof createOperator>[0]['base'] = ORIGIN,
) =>
  createOperator({
    base,
    transport,
    crypto,
    key: await openKey(crypto, key.name, key.secret),
    nowMs: () => town.clock.nowMs(),
  })
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    ({ code }: PayError) => code,
  )

/** In a mini-program, so that it waits for its shipping info. */
async function placePaid(): Promise<string> {
  const number = freshNumber()
  const body = orderBody(
    { out_trade_no: number },
    {
      trade_type: 9,
      pay_mch_key: {
        pay_platform: 1,
        wxpay_pay_mch_key_ext: {
          mini_program_sub_app_id: SANDBOX_APPS.mini_program,
          sub_open_id: 'oTestPayer0001',
        },
      },
    },
  )
  await town.signed('server', 'POST', '/orders', { body })
  town.sandbox.pay(number)
  await town.signed('server', 'GET', `/orders/${number}`, { query: { refresh: '1' } })
  return number
}

test('what a browser signs is what the server verifies and what a shop’s server would sign', async () => {
  const requests: Sent[] = [
    { method: 'GET', url: `${ORIGIN}/board/day`, headers: {} },
    { method: 'GET', url: `${ORIGIN}/board/orders?state=paid&before=eyJh&limit=5`, headers: {} },
    {
      method: 'GET',
      url: `${ORIGIN}/board/orders?search=${encodeURIComponent("a+b&c=d%20é/奶茶~!*'()")}`,
      headers: {},
    },
    {
      method: 'POST',
      url: `${ORIGIN}/board/resolve/timer_silent:1:`,
      headers: {},
      body: '{"note":"看过了 ☕"}',
    },
    {
      method: 'POST',
      url: `${ORIGIN}/refunds/sb01x`,
      headers: { 'idempotency-key': 'k-1' },
      body: '{"refund_fee":1}',
    },
  ]
  const key = await openKey(crypto, OPERATOR.name, OPERATOR.secret)
  for (const request of requests) {
    const { pathname: path, searchParams } = new URL(request.url)
    const query = Object.fromEntries(searchParams)
    const headers = await signRequest(crypto, key, request, 1_900_000_000_999)
    expect(headers['x-pay-timestamp']).toBe('1900000000')
    const at = { timestamp: headers['x-pay-timestamp']!, nonce: headers['x-pay-nonce']! }
    const idempotencyKey = request.headers['idempotency-key'] ?? ''
    const parts = { method: request.method, path, query, body: request.body ?? '' }
    expect(headers).toEqual(signHeaders(OPERATOR, { ...parts, idempotencyKey }, at))
    const verified = textToSign(OPERATOR.name, at.timestamp, at.nonce, {
      ...parts,
      headers: request.headers,
      body: Buffer.from(parts.body),
    })
    const mac = await crypto.subtle.sign('HMAC', key.mac, new TextEncoder().encode(verified))
    expect(headers['x-pay-signature']).toBe(`v1=${Buffer.from(mac).toString('hex')}`)
  }
})

test('the secret cannot be read out of an opened key, and no request holds it', async () => {
  const key = await openKey(crypto, OPERATOR.name, OPERATOR.secret)
  await expect(crypto.subtle.exportKey('raw', key.mac)).rejects.toThrow()
  await (await operatorWith(OPERATOR)).readDay()
  expect(JSON.stringify(sent)).not.toContain(OPERATOR.secret)
})

test('every call is let in by the functions: lists, search, day, one order, refund, resolve', async () => {
  const operator = await operatorWith(OPERATOR)
  const number = await placePaid()
  const read = await operator.readOrder(number, { refresh: true })
  expect(read).toMatchObject({ out_trade_no: number, state: 'paid', refunds: [] })
  expect((await operator.listOrders({ state: 'paid' })).orders.map((one) => one.out_trade_no)).toContain(
    number,
  )
  expect((await operator.listOrders({ search: number })).orders).toHaveLength(1)
  expect((await operator.listOrders({ search: read.transaction_id! })).orders).toMatchObject([
    { out_trade_no: number },
  ])
  expect((await operator.listUnshipped()).orders.map((one) => one.out_trade_no)).toContain(number)
  const day = await operator.readDay()
  expect((await operator.readDay(day.date)).total).toEqual(day.total)
  expect(await operator.refund(number, '{"refund_fee":300}', 'k-all')).toMatchObject({
    refund_fee: 300,
    order: { refunding_fee: 300 },
  })
  await raise(town.app, about(await town.order(number), 'refund_ceiling', { refund_fee: 300 }))
  const [anomaly] = (await operator.listAnomalies()).anomalies
  expect(await operator.resolveAnomaly(anomaly!.id, '已核对')).toMatchObject({ resolution: '已核对' })
})

test('a refund whose answer is lost is the same refund when it is asked for again', async () => {
  const operator = await operatorWith(OPERATOR)
  const number = await placePaid()
  lose = true
  expect(await codeOf(operator.refund(number, '{"refund_fee":500}', 'k-lost'))).toBe('no_answer')
  lose = false
  const { out_refund_no } = await operator.refund(number, '{"refund_fee":500}', 'k-lost')
  expect(await town.refunds(number)).toMatchObject([{ out_refund_no, refund_fee: 500 }])
  // Signed anew each time: a signature is good once.
  const [first, second] = sent.map(({ headers }) => headers)
  expect(first!['idempotency-key']).toBe(second!['idempotency-key'])
  expect(first!['x-pay-nonce']).not.toBe(second!['x-pay-nonce'])
})

test('a key that may not is told so, a wrong secret is nobody’s, and a slow clock is called that', async () => {
  const number = await placePaid()
  const reader = await operatorWith(READER)
  expect(await codeOf(reader.readDay())).toBe('done')
  expect(await codeOf(reader.refund(number, '{"refund_fee":1}', 'k'))).toBe('caller_not_allowed')
  expect(await codeOf(reader.resolveAnomaly('x', 'y'))).toBe('caller_not_allowed')
  const wrong = await operatorWith({ name: OPERATOR.name, secret: `${OPERATOR.secret}x` })
  expect(await codeOf(wrong.readDay())).toBe('caller_unknown')
  const slow = createOperator({
    ...{ base: ORIGIN, transport, crypto, key: await openKey(crypto, OPERATOR.name, OPERATOR.secret) },
    nowMs: () => town.clock.nowMs() - 301_000,
  })
  expect(await codeOf(slow.readDay())).toBe('request_expired')
})

test('each call goes to the address of its function, when each has one', async () => {
  const base = {
    board: 'https://b.example.com/',
    status: 'https://s.example.com',
    refund: 'https://r.example.com',
  }
  const operator = await operatorWith(OPERATOR, base)
  await operator.readDay('2026-11-23')
  await codeOf(operator.readOrder('sb01a'))
  await codeOf(operator.refund('sb01a', '{"refund_fee":1}', 'k'))
  await codeOf(operator.resolveAnomaly('timer_silent:x', 'n'))
  expect(sent.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'GET https://b.example.com/board/day?date=2026-11-23',
    'GET https://s.example.com/orders/sb01a',
    'POST https://r.example.com/refunds/sb01a',
    'POST https://b.example.com/board/resolve/timer_silent:x',
  ])
})
