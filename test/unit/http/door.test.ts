import { ConfigurationFault } from '../../../shared/base/config'
import { Fault, FAULTS, type FaultCode } from '../../../shared/base/errors'
import { createLog } from '../../../shared/base/log'
import { json } from '../../../shared/http/answer'
import { door, type Route, type ScfContext, type Visit } from '../../../shared/http/door'

type Line = Record<string, unknown>
type App = { log: ReturnType<typeof createLog>; name: string }
type Handle = (app: App, visit: Visit) => ReturnType<Route<App>['handle']>

const SECRET = 'mysql://pay:Pw9-db-password@10.0.0.5/orders'

/** A door with one function behind it, and everything it writes. */
function house(handle: Handle, open?: () => Promise<App>) {
  const boot: Line[] = []
  const lines: Line[] = []
  const into = (list: Line[]) => createLog((text) => list.push(JSON.parse(text) as Line), [])
  const app: App = { log: into(lines), name: 'app' }
  const opening = jest.fn(open ?? (async () => app))
  const routes: Route<App>[] = [
    { method: 'POST', path: '/orders', handle },
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
    ['counts from then on', { getRemainingTimeInMillis: () => 9876 }, 876, 9000],
    ['may be over', { getRemainingTimeInMillis: () => 100 }, 150, -50],
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
})

describe('a fault in the configuration', () => {
  const faults = ['CLOUD_PAY_AUTHEN_KEY is missing', 'DATABASE_URL must be a URL']
  const broken = () => house(fine, () => Promise.reject(new ConfigurationFault(faults)))

  test('is a 503 for every event, and is not tried again', async () => {
    const { visit, opening, boot, lines } = broken()
    for (let nth = 1; nth <= 3; nth++) {
      const answer = await visit(event(), { request_id: `r${nth}` })
      expect(answer.statusCode).toBe(503)
      expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
      expect(read(answer)).toMatchObject({ code: 'configuration', request_id: `r${nth}` })
    }
    expect(opening).toHaveBeenCalledTimes(1)
    expect(lines).toEqual([])
    expect(boot).toHaveLength(3)
  })

  test('stops a foreign path and an event that is none as well', async () => {
    const { visit } = broken()
    for (const what of [event('GET', '/nowhere'), { Type: 'Timer' }, null]) {
      expect((await visit(what, {})).statusCode).toBe(503)
    }
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
  test('happens once, at the first event, also for events at the same moment', async () => {
    const { visit, opening } = house(fine)
    expect(opening).not.toHaveBeenCalled()
    await Promise.all([visit(event()), visit(event()), visit(event('GET', '/nowhere'))])
    await visit(event())
    expect(opening).toHaveBeenCalledTimes(1)
  })

  test('that fails for another reason is a 500 and stays one', async () => {
    const { visit, opening } = house(fine, () => Promise.reject(new Error(`cannot: ${SECRET}`)))
    for (let nth = 0; nth < 2; nth++) {
      const answer = await visit(event(), {})
      expect(answer.statusCode).toBe(500)
      expect(answer.body).not.toContain('Pw9')
    }
    expect(opening).toHaveBeenCalledTimes(1)
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
    const fields = [{ field: 'a.b', code: 'type', message: 'must be number' }]
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
    body_not_utf8: 400,
    body_not_base64: 400,
    body_not_json: 400,
    body_invalid: 400,
    idempotency_required: 400,
    idempotency_key_invalid: 400,
    caller_unknown: 401,
    caller_not_allowed: 403,
    path_not_found: 404,
    order_not_found: 404,
    number_taken: 409,
    order_in_progress: 409,
    body_too_large: 413,
    content_differs: 422,
    key_and_number_disagree: 422,
    internal: 500,
    cloud_pay_refused: 502,
    cloud_pay_rejected_request: 502,
    configuration: 503,
    database_unavailable: 503,
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
    const { visit, lines } = house(echo)
    const answer = await visit(event(method, path), { request_id: 'r' })
    expect(answer.statusCode).toBe(404)
    expect(read(answer)).toMatchObject({ code: 'path_not_found', request_id: 'r' })
    // The path is not ours to repeat: anybody can put anything there.
    expect(lines).toEqual([
      {
        level: 'info',
        event: 'http',
        method: '',
        route: '',
        status: 404,
        ms: expect.any(Number),
        code: 'path_not_found',
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
