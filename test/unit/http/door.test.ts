import { ConfigurationFault } from '../../../shared/base/config'
import { Fault, FAULTS, type FaultCode } from '../../../shared/base/errors'
import { createLog } from '../../../shared/base/log'
import { json } from '../../../shared/http/answer'
import { door, type Route, type ScfContext, type Visit } from '../../../shared/http/door'
import { fakeTimeouts, settled } from '../../support/waiting'

type Line = Record<string, unknown>
type App = { log: ReturnType<typeof createLog>; name: string }
type Handle = (app: App, visit: Visit) => ReturnType<Route<App>['handle']>

const SECRET = 'mysql://pay:Pw9-db-password@10.0.0.5/orders'

/** A door with one function behind it, and everything it writes. */
function house(
  handle: Handle,
  open?: () => Promise<App>,
  more: Pick<Route<App>, 'refuse' | 'withinMs'> = {},
) {
  const boot: Line[] = []
  const lines: Line[] = []
  const into = (list: Line[]) => createLog((text) => list.push(JSON.parse(text) as Line), [])
  const app: App = { log: into(lines), name: 'app' }
  const opening = jest.fn(open ?? (async () => app))
  const routes: Route<App>[] = [
    { method: 'POST', path: '/orders', handle, ...more },
    { method: 'GET', path: '/orders/{out_trade_no}', handle },
    { method: 'GET', path: '/orders/{out_trade_no}/events/{seq}', handle },
    { method: 'GET', path: '/', handle },
  ]
  return { visit: door(opening, into(boot), routes), opening, boot, lines }
}

const fine: Handle = async (_app, { requestId }) => json(200, { fine: true }, requestId)
const throwing =
  (error: unknown): Handle =>
  async () => {
    throw error
  }

const event = (method = 'POST', path = '/orders', more: object = {}) => ({
  httpMethod: method,
  path,
  headers: {},
  queryString: {},
  body: '',
  ...more,
})

const read = (answer: { body: string }) => JSON.parse(answer.body) as Record<string, unknown>

describe('the context', () => {
  test('is told not to wait for connections that are kept, whatever becomes of the request', async () => {
    const doors = [
      house(fine),
      house(throwing(new Error('x'))),
      house(fine, () => Promise.reject(new ConfigurationFault(['A is missing']))),
    ]
    for (const { visit } of doors) {
      for (const what of [event(), event('GET', '/nowhere'), undefined]) {
        const context: ScfContext = { request_id: 'r', callbackWaitsForEmptyEventLoop: true }
        const answer = visit(what, context)
        // Before anything is awaited: the platform may look as soon as we let go.
        expect(context.callbackWaitsForEmptyEventLoop).toBe(false)
        await answer
        expect(context.callbackWaitsForEmptyEventLoop).toBe(false)
      }
    }
  })

  test('may be missing', async () => {
    const answer = await house(fine).visit(event())
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['x-request-id']).toBe('')
  })

  test('is never logged: it holds every variable', async () => {
    const { visit, lines } = house(throwing(new Error('x')))
    const context = { request_id: 'r', environment: `{"KEY":"${SECRET}"}`, environ: `KEY=${SECRET}` }
    const answer = await visit(event(), context)
    expect(JSON.stringify(lines) + JSON.stringify(answer)).not.toContain('Pw9')
  })

  /** What the function is told about its time, with the clock standing still at 1000 ms and then moving on. */
  async function remaining(context: ScfContext | undefined, passMs: number) {
    let nowMs = 1000
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => nowMs)
    try {
      let told = NaN
      await house(async (_app, { requestId, deadline }) => {
        nowMs += passMs
        told = deadline.remainingMs()
        return json(200, {}, requestId)
      }).visit(event(), context)
      return told
    } finally {
      clock.mockRestore()
    }
  }

  const times: [what: string, context: ScfContext | undefined, passMs: number, leftMs: number][] = [
    ['asks the platform', { getRemainingTimeInMillis: () => 9876 }, 0, 9876],
    ['leaves the counting to the platform', { getRemainingTimeInMillis: () => 9876 }, 876, 9876],
    ['may be over', { getRemainingTimeInMillis: () => -50 }, 150, -50],
    ['may be over by our own watch', { time_limit_in_ms: 100 }, 150, -50],
    [
      'believes the platform that nothing is left',
      { getRemainingTimeInMillis: () => 0, time_limit_in_ms: 9 },
      0,
      0,
    ],
    [
      'prefers what is left to the limit',
      { getRemainingTimeInMillis: () => 10, time_limit_in_ms: 9000 },
      0,
      10,
    ],
    ['falls back to the limit', { time_limit_in_ms: 7000 }, 500, 6500],
    ["falls back to the platform's default limit", {}, 0, 3000],
    ["falls back to the platform's default limit", undefined, 1000, 2000],
  ]

  test.each(times)('the deadline %s: %j, %d ms later %d are left', async (_what, context, passMs, leftMs) => {
    expect(await remaining(context, passMs)).toBe(leftMs)
  })

  test('is asked as its own method', async () => {
    const context = {
      leftMs: 4321,
      getRemainingTimeInMillis() {
        return this.leftMs
      },
    }
    expect(await remaining(context, 0)).toBe(4321)
  })

  test('is asked anew each time: what it said before is forgotten', async () => {
    const says = [9000, 8000, 50]
    const told: number[] = []
    await house(async (_app, { requestId, deadline }) => {
      told.push(deadline.remainingMs(), deadline.remainingMs(), deadline.remainingMs())
      return json(200, {}, requestId)
    }).visit(event(), { getRemainingTimeInMillis: () => says.shift() ?? 0 })
    expect(told).toEqual([9000, 8000, 50])
  })
})

describe('a fault in the configuration', () => {
  const faults = ['CLOUD_PAY_AUTHEN_KEY is missing', 'DATABASE_URL must be a URL']
  const broken = () => house(fine, () => Promise.reject(new ConfigurationFault(faults)))

  test('is a 503 for every event', async () => {
    const { visit, opening, boot, lines } = broken()
    for (let nth = 1; nth <= 3; nth++) {
      const answer = await visit(event(), { request_id: `r${nth}` })
      expect(answer.statusCode).toBe(503)
      expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
      expect(read(answer)).toMatchObject({ code: 'configuration', request_id: `r${nth}` })
    }
    expect(opening).toHaveBeenCalledTimes(3)
    expect(lines).toEqual([])
    expect(boot).toHaveLength(3)
  })

  test('is not what a foreign path or an event that is none hears of: nothing is opened for those', async () => {
    const { visit, opening } = broken()
    for (const what of [event('GET', '/nowhere'), { Type: 'Timer' }, null]) {
      expect((await visit(what, {})).statusCode).toBe(404)
    }
    expect(opening).not.toHaveBeenCalled()
  })

  test('comes before a fault of the body', async () => {
    const { visit } = broken()
    const answer = await visit(event('POST', '/orders', { body: '!', isBase64Encoded: true }), {})
    expect(answer.statusCode).toBe(503)
  })

  test('is told to the log by variable name, and to the caller not at all', async () => {
    const { visit, boot } = broken()
    const answer = await visit(event(), { request_id: 'r' })
    expect(boot[0]).toMatchObject({
      event: 'http',
      level: 'error',
      status: 503,
      code: 'configuration',
      request_id: 'r',
      cause: { name: 'ConfigurationFault', message: faults.join('; ') },
    })
    for (const name of ['CLOUD_PAY_AUTHEN_KEY', 'DATABASE_URL', 'missing'])
      expect(answer.body).not.toContain(name)
  })

  test('runs no function', async () => {
    const handle = jest.fn(fine)
    const { visit } = house(handle, () => Promise.reject(new ConfigurationFault(faults)))
    await visit(event(), {})
    expect(handle).not.toHaveBeenCalled()
  })

  test('found by the function itself is a 503 too', async () => {
    const answer = await house(throwing(new ConfigurationFault(faults))).visit(event(), {})
    expect(answer.statusCode).toBe(503)
  })
})

describe('opening', () => {
  test('is asked for at every event that is ours, and not before: what to keep it knows itself', async () => {
    const { visit, opening } = house(fine)
    expect(opening).not.toHaveBeenCalled()
    await Promise.all([visit(event()), visit(event()), visit(event('GET', '/nowhere'))])
    expect(opening).toHaveBeenCalledTimes(2)
  })

  test('that fails for another reason is a 500', async () => {
    const { visit, opening } = house(fine, () => Promise.reject(new Error(`cannot: ${SECRET}`)))
    for (let nth = 0; nth < 2; nth++) {
      const answer = await visit(event(), {})
      expect(answer.statusCode).toBe(500)
      expect(answer.body).not.toContain('Pw9')
    }
    expect(opening).toHaveBeenCalledTimes(2)
  })
})

describe('an error nobody expected', () => {
  test.each([
    ['an Error', new Error(`denied: ${SECRET}`)],
    ['a text', SECRET],
    ['an object', { code: SECRET, status: 400, message: SECRET }],
    ['nothing', undefined],
    ['null', null],
    [
      'something that calls itself a Fault',
      Object.assign(new Error('x'), { name: 'Fault', code: 'body_invalid' }),
    ],
  ])('(%s) is a 500 that says nothing of it', async (_what, error) => {
    const { visit, lines } = house(throwing(error))
    const answer = await visit(event(), { request_id: 'r1' })
    expect(answer.statusCode).toBe(500)
    expect(read(answer)).toEqual({
      type: 'about:blank',
      title: 'internal',
      status: 500,
      code: 'internal',
      detail: { zh: FAULTS.internal.zh, en: FAULTS.internal.en },
      request_id: 'r1',
    })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      event: 'http',
      level: 'error',
      status: 500,
      code: 'internal',
      request_id: 'r1',
    })
  })

  test('leaves its causes in the log', async () => {
    const { visit, lines } = house(throwing(new Error('outer', { cause: new TypeError('inner') })))
    await visit(event(), {})
    expect(lines[0]).toMatchObject({
      cause: { name: 'Error', message: 'outer', cause: { name: 'TypeError', message: 'inner' } },
    })
  })

  test('does not spoil the next request', async () => {
    let nth = 0
    const { visit } = house(async (app, visit) => {
      if (++nth === 1) throw new Error('once')
      return fine(app, visit)
    })
    expect((await visit(event())).statusCode).toBe(500)
    expect((await visit(event())).statusCode).toBe(200)
  })

  test('thrown before the function awaits anything is caught as well', async () => {
    const handle = (() => {
      throw new Error('at once')
    }) as unknown as Handle
    expect((await house(handle).visit(event())).statusCode).toBe(500)
  })
})

describe('a fault meant for the caller', () => {
  test('has its cause in the log only', async () => {
    const fault = new Fault('database_unavailable', { cause: new Error(`connect to ${SECRET}`) })
    const { visit, lines } = house(throwing(fault))
    const answer = await visit(event(), {})
    expect(answer.statusCode).toBe(503)
    expect(answer.body).not.toContain('Pw9')
    expect(JSON.stringify(lines[0]!['cause'])).toContain('connect to')
  })

  test('below 500 is no error of ours', async () => {
    const { visit, lines } = house(throwing(new Fault('order_not_found')))
    await visit(event(), {})
    expect(lines[0]).toMatchObject({ level: 'info', status: 404, code: 'order_not_found' })
    expect(lines[0]).not.toHaveProperty('cause')
  })

  test.each([
    [undefined, undefined],
    [0, '0'],
    [1, '1'],
    [60, '60'],
  ])('may ask to wait: %p s → Retry-After %p', async (retryAfterS, header) => {
    const fault = new Fault('order_in_progress', retryAfterS === undefined ? {} : { retryAfterS })
    const answer = await house(throwing(fault)).visit(event(), {})
    expect(answer.headers['retry-after']).toBe(header)
  })

  test('may name fields, and have more members', async () => {
    const fields = [{ field: 'a.b', code: 'type', message: 'must be a number', message_zh: '须为数字' }]
    const fault = new Fault('body_invalid', {
      fields,
      extra: { out_trade_no: 'sb01x', tries: 1, more: null },
    })
    const answer = await house(throwing(fault)).visit(event(), { request_id: 'r' })
    expect(read(answer)).toEqual({
      type: 'about:blank',
      title: 'body_invalid',
      status: 400,
      code: 'body_invalid',
      detail: { zh: FAULTS.body_invalid.zh, en: FAULTS.body_invalid.en },
      request_id: 'r',
      fields,
      out_trade_no: 'sb01x',
      tries: 1,
      more: null,
    })
  })

  // Written out: a status is a promise to whoever calls.
  const statuses: Record<FaultCode, number> = {
    head_invalid: 400,
    body_not_utf8: 400,
    body_not_base64: 400,
    body_not_json: 400,
    body_invalid: 400,
    idempotency_required: 400,
    refund_number_required: 400,
    idempotency_key_invalid: 400,
    query_invalid: 400,
    caller_unknown: 401,
    request_expired: 401,
    request_replayed: 401,
    session_ended: 401,
    login_refused: 401,
    caller_not_allowed: 403,
    payer_differs: 403,
    quote_missing: 400,
    sku_missing: 400,
    quote_or_sku_missing: 400,
    sku_unknown: 400,
    quantity_over_limit: 400,
    payers_cannot_order: 403,
    price_differs: 403,
    quote_invalid: 403,
    quote_expired: 403,
    quote_not_yours: 403,
    order_too_large: 403,
    merchant_disabled: 403,
    app_unknown: 400,
    path_not_found: 404,
    notification_refused: 401,
    order_not_found: 404,
    anomaly_not_found: 404,
    refund_not_found: 404,
    refund_not_endable: 409,
    refund_under_way: 409,
    number_taken: 409,
    order_in_progress: 409,
    purchase_open: 409,
    purchase_paid: 409,
    quote_used: 409,
    order_not_closable: 409,
    micro_pay_not_closable: 409,
    order_not_refundable: 409,
    refund_exceeds: 409,
    refund_unresolved: 409,
    body_too_large: 413,
    content_differs: 422,
    key_and_number_disagree: 422,
    refund_ceiling: 429,
    too_many_orders: 429,
    too_many_logins: 429,
    internal: 500,
    data_keys_missing: 503,
    cloud_pay_refused: 502,
    cloud_pay_rejected_request: 502,
    refund_refused: 502,
    configuration: 503,
    database_unavailable: 503,
    login_unavailable: 503,
    no_time_left: 503,
    outcome_unknown: 504,
  }

  test('comes from a list that is complete', () => {
    expect(Object.keys(statuses).sort()).toEqual(Object.keys(FAULTS).sort())
  })

  test.each(Object.entries(statuses) as [FaultCode, number][])(
    '%s is a %d in both languages',
    async (code, status) => {
      const answer = await house(throwing(new Fault(code))).visit(event(), { request_id: 'r-7' })
      expect(answer.statusCode).toBe(status)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(600)
      expect(answer.isBase64Encoded).toBe(false)
      expect(answer.headers).toEqual({
        'content-type': 'application/problem+json; charset=utf-8',
        'x-request-id': 'r-7',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      })
      const { zh, en } = FAULTS[code]
      expect(read(answer)).toEqual({
        type: 'about:blank',
        title: code,
        status,
        code,
        detail: { zh, en },
        request_id: 'r-7',
      })
      // A sentence each, in its language, with its full stop.
      expect(zh).toMatch(/\p{Script=Han}.*。$/u)
      expect(en).toMatch(/^[A-Z][\x20-\x7e]+\.$/)
    },
  )
})

describe('paths', () => {
  const echo: Handle = async (_app, { request, requestId }) =>
    json(200, { params: request.params, path: request.path }, requestId)

  test.each([
    ['POST', '/orders', {}],
    ['post', '/orders', {}],
    ['GET', '/', {}],
    ['GET', '/orders/sb01x', { out_trade_no: 'sb01x' }],
    ['GET', '/orders/sb01x/events/7', { out_trade_no: 'sb01x', seq: '7' }],
    // As it came: nothing is decoded, so nothing can turn into a slash.
    ['GET', '/orders/a%2Fb', { out_trade_no: 'a%2Fb' }],
    ['GET', '/orders/..', { out_trade_no: '..' }],
    ['GET', '/orders/{out_trade_no}', { out_trade_no: '{out_trade_no}' }],
    ['GET', '/orders/__proto__', { out_trade_no: '__proto__' }],
  ])('%s %s is ours, with %j', async (method, path, params) => {
    const answer = await house(echo).visit(
      event(method, path, { pathParameters: { out_trade_no: 'forged' } }),
      {},
    )
    expect(answer.statusCode).toBe(200)
    expect(read(answer)).toEqual({ params, path })
  })

  test.each([
    ['GET', '/orders'],
    ['PUT', '/orders'],
    ['HEAD', '/orders/sb01x'],
    ['OPTIONS', '/orders'],
    ['POST', '/orders/sb01x'],
    ['POST', '/orders/'],
    ['POST', 'orders'],
    ['POST', '//orders'],
    ['POST', '/Orders'],
    ['POST', '/orders?x=1'],
    ['POST', '/release/orders'],
    ['GET', '/orders/'],
    ['GET', '/orders//events/7'],
    ['GET', '/orders/sb01x/'],
    ['GET', '/orders/sb01x/events'],
    ['GET', ''],
    ['', '/orders'],
  ])('%s %s is not', async (method, path) => {
    const { visit, opening, boot, lines } = house(echo)
    const answer = await visit(event(method, path), { request_id: 'r' })
    expect(answer.statusCode).toBe(404)
    expect(opening).not.toHaveBeenCalled()
    expect(read(answer)).toMatchObject({ code: 'path_not_found', request_id: 'r' })
    // Neither path nor method is ours to repeat: anybody can put anything there.
    expect(lines).toEqual([])
    expect(boot).toEqual([
      {
        level: 'info',
        event: 'http',
        method: '',
        route: '',
        status: 404,
        ms: expect.any(Number),
        code: 'path_not_found',
        count: 'http.path_not_found',
        request_id: 'r',
      },
    ])
  })

  test.each([[{ Type: 'Timer', Message: '{}' }], [null], [undefined], ['text'], [[]]])(
    'an event that is no HTTP (%j) finds nothing',
    async (what) => {
      expect((await house(echo).visit(what, {})).statusCode).toBe(404)
    },
  )

  test('a body that is too large, or no base64, does not reach the function', async () => {
    const handle = jest.fn(fine)
    const { visit } = house(handle)
    expect((await visit(event('POST', '/orders', { body: 'x'.repeat(65_537) }), {})).statusCode).toBe(413)
    expect((await visit(event('POST', '/orders', { body: '!', isBase64Encoded: true }), {})).statusCode).toBe(
      400,
    )
    expect(handle).not.toHaveBeenCalled()
  })

  test('are found before the body is read: a body nobody can read is a 404 where nothing is', async () => {
    const { visit } = house(fine)
    for (const body of ['x'.repeat(65_537), { no: 'text' }]) {
      expect((await visit(event('POST', '/nowhere', { body }), {})).statusCode).toBe(404)
    }
  })
})

describe('a route that puts its refusals in its own words', () => {
  const refuse = (fault: Fault, requestId: string) => json(418, { not: fault.code }, requestId)

  test.each<[what: string, handle: Handle, more: object, code: FaultCode]>([
    ['a fault', throwing(new Fault('order_not_found')), {}, 'order_not_found'],
    ['an error nobody expected', throwing(new Error(SECRET)), {}, 'internal'],
    ['a body that is no base64', fine, { body: '!', isBase64Encoded: true }, 'body_not_base64'],
    ['a body that is too large', fine, { body: 'x'.repeat(65_537) }, 'body_too_large'],
  ])('is asked about %s', async (_what, handle, more, code) => {
    const { visit, lines } = house(handle, undefined, { refuse })
    const answer = await visit(event('POST', '/orders', more), { request_id: 'r' })
    expect(answer).toMatchObject({ statusCode: 418, headers: { 'x-request-id': 'r' } })
    expect(read(answer)).toEqual({ not: code })
    // The log tells which refusal it was, and the status that was really given.
    expect(lines).toEqual([expect.objectContaining({ route: '/orders', status: 418, code })])
  })

  test('is asked about a fault in the configuration too', async () => {
    const open = () => Promise.reject(new ConfigurationFault(['A is missing']))
    const { visit } = house(fine, open, { refuse })
    expect(read(await visit(event(), {}))).toEqual({ not: 'configuration' })
  })

  test('is not asked about what is not its own', async () => {
    const { visit } = house(throwing(new Fault('order_not_found')), undefined, { refuse })
    for (const what of [event('GET', '/orders/sb01x'), event('PUT', '/orders'), undefined]) {
      expect(read(await visit(what, {}))).toHaveProperty('detail.zh')
    }
  })

  test('does not touch an answer', async () => {
    const refusing = jest.fn(refuse)
    const answer = await house(fine, undefined, { refuse: refusing }).visit(event(), {})
    expect(answer.statusCode).toBe(200)
    expect(refusing).not.toHaveBeenCalled()
  })
})

describe('a route whose caller waits only so long', () => {
  beforeEach(() => fakeTimeouts())
  afterEach(() => jest.useRealTimers())

  const slow =
    (ms: number): Handle =>
    async (app, visit) => {
      await new Promise((resolve) => setTimeout(resolve, ms))
      app.log({ event: 'came to its end' })
      return fine(app, visit)
    }
  const plenty = { getRemainingTimeInMillis: () => 60_000 }

  test('answers by then that no time was left, and what goes on goes on', async () => {
    const { visit, lines } = house(slow(150), undefined, { withinMs: 50 })
    const answering = visit(event(), { ...plenty, request_id: 'r' })
    await jest.advanceTimersByTimeAsync(49)
    expect(lines).toEqual([])
    await jest.advanceTimersByTimeAsync(1)
    const answer = await answering
    expect(answer.statusCode).toBe(503)
    expect(read(answer)).toMatchObject({ code: 'no_time_left', request_id: 'r' })
    expect(lines.map((line) => line['event'])).toEqual(['http'])
    await jest.advanceTimersByTimeAsync(100)
    expect(lines.map((line) => line['event'])).toEqual(['http', 'came to its end'])
  })

  test('answers by then though the instance is still opening', async () => {
    const open = () => new Promise<App>(() => undefined)
    const { visit, boot } = house(fine, open, { withinMs: 50 })
    const answering = visit(event(), plenty)
    await jest.advanceTimersByTimeAsync(50)
    expect(read(await answering)).toMatchObject({ code: 'no_time_left' })
    expect(boot).toHaveLength(1)
  })

  test('has its own answer when it is quick enough, and keeps nothing running', async () => {
    const clearing = jest.spyOn(globalThis, 'clearTimeout')
    const { visit } = house(fine, undefined, { withinMs: 60_000 })
    expect((await visit(event(), plenty)).statusCode).toBe(200)
    expect(clearing).toHaveBeenCalledTimes(1)
    clearing.mockRestore()
  })

  test('fails with its own fault when it fails in time, and a failure after that troubles nobody', async () => {
    const failing = house(throwing(new Fault('order_not_found')), undefined, { withinMs: 60_000 })
    expect((await failing.visit(event(), plenty)).statusCode).toBe(404)

    const late: Handle = async () => {
      await new Promise((resolve) => setTimeout(resolve, 60))
      throw new Error('too late to be heard')
    }
    const { visit } = house(late, undefined, { withinMs: 20 })
    const answering = visit(event(), plenty)
    await jest.advanceTimersByTimeAsync(20)
    expect(read(await answering)).toMatchObject({ code: 'no_time_left' })
    await jest.advanceTimersByTimeAsync(40)
    // An unhandled rejection would end the process of a test too, but not before the next turn of the loop.
    await settled()
  })

  test.each([
    ['its own limit when the platform gives more', 60_000, 2800, 2800],
    ["the platform's when that is less", 1000, 2800, 1000],
    ['nothing when nothing is left', -20, 2800, -20],
    ["the platform's when it has none", 60_000, undefined, 60_000],
  ])('is told %s', async (_what, platformMs, withinMs, leftMs) => {
    let told: number | undefined
    const handle: Handle = async (app, visit) => {
      told = visit.deadline.remainingMs()
      return fine(app, visit)
    }
    const more = withinMs === undefined ? {} : { withinMs }
    const { visit } = house(handle, undefined, more)
    await visit(event(), { getRemainingTimeInMillis: () => platformMs })
    expect(told).toBe(leftMs)
  })

  test('counts from the event on: opening takes its share', async () => {
    let nowMs = 0
    let told: number | undefined
    const app: App = { log: () => undefined, name: 'app' }
    const open = async () => {
      nowMs += 700
      return app
    }
    const handle: Handle = async (app, visit) => {
      told = visit.deadline.remainingMs()
      return fine(app, visit)
    }
    const { visit } = house(handle, open, { withinMs: 2800 })
    await visit(event(), { getRemainingTimeInMillis: () => 60_000 - nowMs })
    expect(told).toBe(2100)
  })
})

describe('an answer', () => {
  test('is handed on as it is, never cached, with the id of its request', async () => {
    const answer = await house(fine).visit(event(), { request_id: 'r-1' })
    expect(answer).toEqual({
      statusCode: 200,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'x-request-id': 'r-1',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      },
      body: '{"fine":true}',
      isBase64Encoded: false,
    })
  })

  test('leaves one line with the route, not the path, and none of the request', async () => {
    const { visit, lines } = house(fine)
    await visit(
      event('GET', '/orders/sb01secret', {
        headers: { authorization: SECRET },
        body: SECRET,
        queryString: { q: SECRET },
      }),
      { request_id: 'r-1' },
    )
    expect(lines).toEqual([
      {
        level: 'info',
        event: 'http',
        count: 'http.ok',
        method: 'GET',
        route: '/orders/{out_trade_no}',
        status: 200,
        ms: expect.any(Number),
        request_id: 'r-1',
      },
    ])
  })

  test('every line the function writes carries the id of its own request, also when two run at once', async () => {
    const { visit, lines } = house(async (app, { requestId }) => {
      app.log({ event: 'first', of: requestId })
      await new Promise((resolve) => setImmediate(resolve))
      app.log({ event: 'second', of: requestId })
      return json(200, {}, requestId)
    })
    await Promise.all([visit(event(), { request_id: 'a' }), visit(event(), { request_id: 'b' })])
    const own = lines.filter((line) => line['event'] !== 'http')
    expect(own).toHaveLength(4)
    for (const line of own) expect(line['request_id']).toBe(line['of'])
  })
})
