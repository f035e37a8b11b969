import { build } from 'esbuild'
import { join } from 'node:path'
import { ROOT } from '../../../deploy/bundle'
import { createClient, type Answered, type PayError, type Sent } from '../../../web/client/client'
import { wxTransport, type WxRequest } from '../../../web/client/transports'

/** What the client does when the network does what it likes; against the functions it is tried in test/e2e. */
type Step = Answered | 'nothing'
function clientOf(
  steps: Step[],
  base: Parameters<typeof createClient>[0]['base'] = 'https://pay.example.com/',
) {
  const sent: Sent[] = []
  const slept: number[] = []
  const client = createClient({
    base,
    session: { token: 't.o.k', secret: 's' },
    sleep: async (ms) => void slept.push(ms),
    transport: async (request) => {
      sent.push(request)
      const step = steps.length > 1 ? steps.shift()! : steps[0]!
      if (step === 'nothing') throw new TypeError('Failed to fetch')
      return step
    },
  })
  return { client, sent, slept }
}

const said = (status: number, body: object, retryAfter?: string): Answered => ({
  status,
  text: JSON.stringify(body),
  retryAfter,
})
const problem = (status: number, code: string, retryAfter?: string) =>
  said(status, { code, detail: { zh: '', en: '' }, request_id: 'r' }, retryAfter)
const order = (state: string) => said(200, { out_trade_no: 'sb011', state, total_fee: 1 })
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: PayError) => error.code,
  )

test('client and transports are at most 3072 bytes, minified, and of shared/ they hold nothing', async () => {
  const built = await build({
    stdin: {
      contents: `export * from './client'; export * from './transports'`,
      resolveDir: join(ROOT, 'web', 'client'),
      loader: 'ts',
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2019',
    write: false,
    metafile: true,
    absWorkingDir: ROOT,
  })
  expect(built.outputFiles[0]!.contents.length).toBeLessThanOrEqual(3072)
  expect(Object.keys(built.metafile.inputs).sort()).toEqual([
    '<stdin>',
    'web/client/client.ts',
    'web/client/transports.ts',
  ])
})

test.each<[string, Step]>([
  ['nothing comes back', 'nothing'],
  ['a proxy answers with a page', { status: 502, text: '<html>' }],
  ['a proxy answers 200 with a page', { status: 200, text: '<html>' }],
  ['504: unknown', problem(504, 'outcome_unknown')],
  ['503: the database', problem(503, 'database_unavailable')],
  ['409: somebody else is at it', problem(409, 'order_in_progress')],
])('%s: an order is asked for again with the very same bytes and key', async (_, step) => {
  const { client, sent } = clientOf([step, step, order('pending')])
  expect(await client.createOrder({ quote: 'q' }, 'key-1')).toMatchObject({ state: 'pending' })
  expect(sent).toHaveLength(3)
  expect(sent[0]!.headers['idempotency-key']).toBe('key-1')
  for (const again of sent) expect(again).toEqual(sent[0])
})

test('it gives up after four times, and says that it does not know', async () => {
  const { client, sent } = clientOf(['nothing'])
  expect(await codeOf(client.createOrder({ sku: 'tea' }, 'k'))).toBe('no_answer')
  expect(sent).toHaveLength(4)
})

test.each([
  [400, 'body_invalid'],
  [401, 'session_ended'],
  [403, 'quote_expired'],
  [422, 'content_differs'],
  [429, 'too_many_orders'],
  [502, 'cloud_pay_refused'],
  [503, 'configuration'],
])('%i %s is an answer, and not asked again', async (status, code) => {
  const { client, sent } = clientOf([problem(status, code)])
  expect(await codeOf(client.createOrder({ sku: 'tea' }, 'k'))).toBe(code)
  expect(sent).toHaveLength(1)
})

test('it waits as long as Retry-After says', async () => {
  const { client, slept } = clientOf([problem(409, 'order_in_progress', '7'), order('pending')])
  await client.createOrder({ sku: 'tea' }, 'k')
  expect(slept).toEqual([7000])
})

test('a login is sent once: its code and state are good once', async () => {
  const { client, sent } = clientOf(['nothing'])
  expect(await codeOf(client.login({ app_id: 'wx', code: 'c', secret: 's' }))).toBe('no_answer')
  expect(sent).toHaveLength(1)
})

test('each call goes to the address of its function, when each has one', async () => {
  const base = {
    session: 'https://a.example.com',
    createOrder: 'https://b.example.com',
    status: 'https://c.example.com/',
    closeOrder: 'https://d.example.com',
  }
  const { client, sent } = clientOf([said(200, { token: 't', state: 'closed', expires_in: 1 })], base)
  await client.login({ app_id: 'wx', code: 'c', secret: 's' })
  await client.createOrder({ sku: 'tea' }, 'k')
  await client.readOrder('sb01a', { refresh: true })
  await client.closeOrder('sb01a')
  expect(sent.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'POST https://a.example.com/session',
    'POST https://b.example.com/orders',
    'GET https://c.example.com/orders/sb01a?refresh=1',
    'POST https://d.example.com/close/sb01a',
  ])
})

describe('waiting until an order is settled', () => {
  test.each(['paid', 'closed', 'failed', 'refunded', 'paid_after_close'])('%s is settled', async (state) => {
    const { client, sent } = clientOf([order('created'), order('pending'), order('closing'), order(state)])
    expect(await client.waitUntilSettled('sb011')).toMatchObject({ settled: true, order: { state } })
    expect(sent).toHaveLength(4)
  })

  test('it backs off, and what it never learns is not settled and no failure', async () => {
    const { client, slept } = clientOf([order('pending')])
    const seen: (string | undefined)[] = []
    const end = await client.waitUntilSettled('sb011', { onLook: (found) => seen.push(found?.state) })
    expect(end).toMatchObject({ settled: false, order: { state: 'pending' } })
    expect(seen).toHaveLength(16)
    expect([...slept].sort((a, b) => a - b)).toEqual(slept)
    expect([slept[0], slept.at(-1)]).toEqual([1000, 8000])
  })

  test('a network that is away and functions that cannot answer are waited for', async () => {
    const steps: Step[] = ['nothing', problem(503, 'database_unavailable'), problem(429, 'too_many_logins')]
    const { client } = clientOf([...steps, order('paid')])
    expect(await client.waitUntilSettled('sb011')).toMatchObject({ settled: true })
  })

  test('what does not pass by itself is thrown', async () => {
    const { client } = clientOf([order('pending'), problem(401, 'session_ended')])
    expect(await codeOf(client.waitUntilSettled('sb011'))).toBe('session_ended')
  })

  test('it stops when it is told to', async () => {
    const { client, sent } = clientOf([order('pending')])
    await client.waitUntilSettled('sb011', { stop: () => sent.length === 2 })
    expect(sent).toHaveLength(2)
  })
})

test('wx.request is given text and gives text: the same bytes each time, whatever its success says', async () => {
  const given: Parameters<WxRequest>[0][] = []
  const send = wxTransport((options) => {
    given.push(options)
    if (given.length === 2) return options.fail({ errMsg: 'request:fail timeout' })
    options.success({ statusCode: 409, data: '{"code":"x"}', header: { 'Retry-After': '3' } })
  })
  const request: Sent = { method: 'POST', url: 'https://x', headers: { a: 'b' }, body: '{"quote":"q"}' }
  expect(await send(request)).toEqual({ status: 409, text: '{"code":"x"}', retryAfter: '3' })
  expect(given[0]).toMatchObject({ data: '{"quote":"q"}', header: { a: 'b' }, dataType: 'text' })
  await expect(send(request)).rejects.toThrow('request:fail timeout')
})
