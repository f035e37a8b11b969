import { FAULTS, Fault, type FaultCode } from '../../../shared/base/errors'
import { readJsonBody } from '../../../shared/http/body'
import { BODY_MAX_BYTES, bodyText, isHttpEvent, readBody, readHead } from '../../../shared/http/event'

type Event = Record<string, unknown>

const text = '{"order":"1001","fee":1999}'
const base64 = (given: string | Buffer) => Buffer.from(given).toString('base64')

const context = {
  serviceId: 'service-a1b2c3d4',
  path: '/orders/{out_trade_no}',
  requestId: '6f1d2c3b-0000-4000-8000-5a5a5a5a0001',
  identity: { secretId: 'AKIDexample' },
  sourceIp: '203.0.113.24',
  stage: 'release',
}

/** Every shape in which the same GET may come. */
const gets: [shape: string, event: Event][] = [
  [
    'Function URL',
    {
      headers: { accept: 'application/json', host: 'h', 'x-scf-remote-addr': '203.0.113.24' },
      httpMethod: 'GET',
      path: '/orders/sb01x',
      queryString: { refresh: '1' },
      body: '',
    },
  ],
  [
    'Function URL without a body',
    {
      headers: { accept: 'application/json', host: 'h' },
      httpMethod: 'GET',
      path: '/orders/sb01x',
      queryString: { refresh: '1' },
    },
  ],
  [
    'API Gateway',
    {
      requestContext: { ...context, httpMethod: 'GET' },
      headers: { Accept: 'application/json', Host: 'h', 'X-Scf-Remote-Addr': '1.2.3.4' },
      body: '',
      pathParameters: { out_trade_no: 'somebody-else' },
      queryStringParameters: {},
      headerParameters: { accept: 'text/html' },
      stageVariables: { stage: 'release' },
      path: '/orders/sb01x',
      queryString: { refresh: '1' },
      httpMethod: 'GET',
      isBase64Encoded: false,
    },
  ],
  [
    'a gateway that names the query in its own way',
    {
      headers: { accept: 'application/json', host: 'h' },
      httpMethod: 'get',
      path: '/orders/sb01x',
      queryStringParameters: { refresh: '1' },
      body: null,
      isBase64Encoded: 'false',
    },
  ],
  [
    'everything at once',
    {
      requestContext: context,
      headers: { ACCEPT: ['application/json'], host: 'h' },
      httpMethod: 'GET',
      path: '/orders/sb01x',
      queryString: { refresh: '1' },
      queryStringParameters: { refresh: '0' },
      body: '',
      isBase64Encoded: true,
    },
  ],
]

/** Every shape in which the same POST may come. */
const posts: [shape: string, event: Event][] = [
  ['Function URL', { body: text, headers: { 'content-type': 'application/json' }, queryString: {} }],
  ['API Gateway', { body: text, headers: { 'Content-Type': 'application/json' }, requestContext: context }],
  [
    'API Gateway, encoded',
    { body: base64(text), headers: { 'CONTENT-TYPE': 'application/json' }, isBase64Encoded: true },
  ],
  [
    'everything at once',
    {
      requestContext: { ...context, stage: '$DEFAULT' },
      body: base64(text),
      isBase64Encoded: true,
      headers: { 'content-type': 'application/json', 'x-scf-remote-addr': '203.0.113.24' },
      queryString: {},
      queryStringParameters: {},
    },
  ],
  [
    'a text for true',
    { body: base64(text), headers: { 'content-type': 'application/json' }, isBase64Encoded: 'true' },
  ],
  ['false', { body: text, headers: { 'content-type': 'application/json' }, isBase64Encoded: false }],
  [
    'a text for false',
    { body: text, headers: { 'content-type': 'application/json' }, isBase64Encoded: 'false' },
  ],
  ['null for false', { body: text, headers: { 'content-type': 'application/json' }, isBase64Encoded: null }],
]

/** Head and body, as the door puts them together. */
const readEvent = (event: Event) => ({ ...readHead(event), params: {}, body: readBody(event) })
const post = (event: Event) => readEvent({ httpMethod: 'POST', path: '/orders', headers: {}, ...event })
const headersOf = (headers: unknown) => readEvent({ httpMethod: 'GET', path: '/', headers }).headers
const queryOf = (queryString: unknown) => readEvent({ httpMethod: 'GET', path: '/', queryString }).query

function refusal(work: () => unknown): { code: FaultCode; status: number } {
  try {
    work()
  } catch (error) {
    if (error instanceof Fault) return { code: error.code, status: FAULTS[error.code].status }
    throw error
  }
  throw new Error('nothing was refused')
}

describe('an HTTP event', () => {
  test.each(gets)('of %s is the same GET', (_shape, event) => {
    expect(isHttpEvent(event)).toBe(true)
    expect(readEvent(event)).toEqual({
      address: JSON.stringify(event).includes('203.0.113.24') ? '203.0.113.24' : undefined,
      method: 'GET',
      path: '/orders/sb01x',
      params: {},
      query: { refresh: '1' },
      headers: { accept: 'application/json', host: 'h' },
      body: Buffer.alloc(0),
    })
  })

  test.each(posts)('of %s is the same POST', (_shape, event) => {
    const request = post(event)
    expect(request).toEqual({
      address: JSON.stringify(event).includes('203.0.113.24') ? '203.0.113.24' : undefined,
      method: 'POST',
      path: '/orders',
      params: {},
      query: {},
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(text),
    })
    expect(readJsonBody(request)).toEqual({ order: '1001', fee: 1999 })
  })

  test.each([
    ['a timer', { Type: 'Timer', TriggerName: 't', Time: '2026-01-15T02:05:00Z', Message: '{}' }],
    ['a log batch', { clslogs: { data: 'eJw=' } }],
    ['a message', { Records: [{ Ckafka: {} }] }],
    ['nothing', undefined],
    ['null', null],
    ['a text', '{"httpMethod":"GET"}'],
    ['a number', 7],
    ['a list', [{ httpMethod: 'GET' }]],
    ['a method that is no text', { httpMethod: ['GET'], path: '/' }],
  ])('%s is not one', (_what, event) => {
    expect(isHttpEvent(event)).toBe(false)
  })

  test.each([undefined, null, 7, {}, ['/orders']])('without a path as text (%p) is for /', (path) => {
    expect(readEvent({ httpMethod: 'GET', path }).path).toBe('/')
  })

  test.each([
    [{ requestContext: { sourceIp: '203.0.113.24' } }, '203.0.113.24'],
    [{ headers: { 'X-Scf-Remote-Addr': '203.0.113.24:4711' } }, '203.0.113.24'],
    [{ headers: { 'x-scf-remote-addr': '[2001:db8:1:2:3:4:5:6]:4711' } }, '2001:db8:1:2'],
    [{ headers: { 'x-scf-remote-addr': '2001:DB8::7' } }, '2001:db8:0:0'],
    [
      { requestContext: { sourceIp: '203.0.113.24' }, headers: { 'x-scf-remote-addr': '1.2.3.4' } },
      '203.0.113.24',
    ],
    [{ headers: { 'x-scf-remote-addr': 'somewhere' } }, undefined],
    [{ headers: { 'x-forwarded-for': '203.0.113.24' } }, undefined],
    [{ requestContext: null }, undefined],
  ])('%j comes from %s', (event, address) => {
    expect(readEvent({ httpMethod: 'GET', ...event }).address).toBe(address)
  })

  test('with a method only is a request with nothing in it', () => {
    expect(readEvent({ httpMethod: 'GET' })).toEqual({
      address: undefined,
      method: 'GET',
      path: '/',
      params: {},
      query: {},
      headers: {},
      body: Buffer.alloc(0),
    })
  })
})

describe('the head of an event', () => {
  test('is read whatever the body is: whose request it is decides how a refusal is put', () => {
    const events = [
      { body: 'x'.repeat(BODY_MAX_BYTES + 1) },
      { body: '!', isBase64Encoded: true },
      { body: { no: 'text' } },
      { body: '\ud83e' },
    ]
    for (const event of events) {
      const whole = { httpMethod: 'POST', path: '/notify', headers: { Host: 'h' }, queryString: {}, ...event }
      expect(readHead(whole)).toEqual({
        method: 'POST',
        path: '/notify',
        query: {},
        headers: { host: 'h' },
        address: undefined,
      })
      expect(refusal(() => readBody(whole)).status).toBeGreaterThanOrEqual(400)
    }
  })

  test('is read without looking at the body', () => {
    const event = { httpMethod: 'GET', path: '/' }
    const looked = jest.fn()
    Object.defineProperty(event, 'body', { get: looked })
    Object.defineProperty(event, 'isBase64Encoded', { get: looked })
    readHead(event)
    expect(looked).not.toHaveBeenCalled()
  })
})

describe('headers', () => {
  test.each([
    [{ 'Idempotency-Key': 'a' }],
    [{ 'idempotency-key': 'a' }],
    [{ 'IDEMPOTENCY-KEY': 'a' }],
    [{ 'idempotency-Key': ['a'] }],
  ])('%j has its name in lower case', (headers) => {
    expect(headersOf(headers)).toEqual({ 'idempotency-key': 'a' })
  })

  test('given several times are joined as HTTP joins them', () => {
    expect(headersOf({ Accept: ['a', 'b'], via: [], x: ['a', 7, null, 'b'] })).toEqual({
      accept: 'a, b',
      via: '',
      x: 'a, b',
    })
  })

  test('given several times under names of different case are joined too: none wins in silence', () => {
    expect(
      headersOf({ 'Idempotency-Key': 'a', 'idempotency-key': 'b', 'IDEMPOTENCY-KEY': ['c', 'd'] }),
    ).toEqual({
      'idempotency-key': 'a, b, c, d',
    })
  })

  test('that are numbers or truths become text, what is no text at all is left out', () => {
    const headers = { length: 50, yes: true, nothing: null, missing: undefined, deep: { a: 1 }, big: 1n }
    expect(headersOf(headers)).toEqual({ length: '50', yes: 'true' })
  })

  test.each([undefined, null, 'accept: x', 7, true])('%p are none', (headers) => {
    expect(headersOf(headers)).toEqual({})
  })

  test.each([
    'x-scf-remote-addr',
    'X-Scf-Secret-Id',
    'X-Scf-Secret-Key',
    'X-SCF-SESSION-TOKEN',
    'x-ScF-cam-uin',
    'X-scf-',
    'x-scf-anything-new',
  ])('of the platform are dropped: %s', (name) => {
    expect(headersOf({ [name]: 'credential', 'x-scfother': 'kept', 'my-x-scf-a': 'kept' })).toEqual({
      'x-scfother': 'kept',
      'my-x-scf-a': 'kept',
    })
    expect(JSON.stringify(headersOf({ [name]: ['credential'] }))).not.toContain('credential')
  })

  const born = Object.getOwnPropertyNames(Object.prototype)
  test.each([...born, ...born.map((name) => name.toUpperCase())])('named %s do no harm', (name) => {
    const given = JSON.parse(`{"${name}":"x","accept":"y"}`) as unknown
    for (const read of [headersOf(given), queryOf(given)]) {
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
      expect(read['accept']).toBe('y')
      expect(typeof read.toString).toBe('function')
      expect(Object.keys(read).length).toBeLessThanOrEqual(2)
    }
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(born)
  })

  test('of a prototype in disguise add nothing', () => {
    const given = JSON.parse('{"__proto__":{"authorization":"forged"},"__PROTO__":{"a":"b"}}') as unknown
    expect(headersOf(given)).toEqual({})
    expect(headersOf(given)['authorization']).toBeUndefined()
  })
})

describe('the query', () => {
  test.each([
    [
      { a: '1', b: ['2', '3'] },
      { a: '1', b: '2, 3' },
    ],
    [{ Refresh: '1' }, { Refresh: '1' }],
    [
      { a: 1, b: false, c: null, d: {} },
      { a: '1', b: 'false' },
    ],
    [{}, {}],
    [null, {}],
    ['a=1', {}],
  ])('%j reads %j', (given, read) => {
    expect(queryOf(given)).toEqual(read)
  })
})

describe('the body', () => {
  // A signature is over these bytes: what means the same is not the same.
  const bodies: [what: string, body: string][] = [
    ['names in an order of their own', '{"b":1,"a":2,"10":3,"9":4}'],
    ['an escaped slash', '{"url":"https:\\/\\/a\\/b"}'],
    ['unicode escapes', '{"t":"\\u6e56\\u5FC3 \\uD83E\\uDDCB"}'],
    ['characters beyond ASCII', '{"t":"湖心奶茶🧋é"}'],
    ['a decomposed letter', '{"t":"e\u0301"}'],
    ['a byte order mark', '\ufeff{"a":1}'],
    ['line breaks around it', '\r\n{"a" : 1 }\r\n\n'],
    ['numbers written at length', '{"a":1.0,"b":1e2,"c":12345678901234567890}'],
    ['a name twice', '{"a":1,"a":2}'],
    ['a zero byte', '{"a":"\u0000"}'],
    ['separators of lines', '{"a":"\u2028\u2029"}'],
    ['no JSON at all', 'a=1&b=2'],
    ['a blank', ' '],
  ]

  test.each(bodies)('with %s is kept byte for byte', (_what, body) => {
    const bytes = Buffer.from(body, 'utf8')
    for (const event of [{ body }, { body: base64(bytes), isBase64Encoded: true }]) {
      const request = post(event)
      expect(request.body.equals(bytes)).toBe(true)
      expect(bodyText(request)).toBe(body)
    }
  })

  test('that is encoded may hold any byte', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    expect(post({ body: base64(bytes), isBase64Encoded: true }).body.equals(bytes)).toBe(true)
  })

  test.each([undefined, null, ''])('%p is empty, encoded or not', (body) => {
    for (const isBase64Encoded of [true, 'true', false, 'false', undefined]) {
      expect(post({ body, isBase64Encoded }).body).toEqual(Buffer.alloc(0))
    }
    expect(refusal(() => readJsonBody(post({ body })))).toEqual({ code: 'body_not_json', status: 400 })
  })

  test.each([[{ a: 1 }], [[1]], [7], [true], [Buffer.from('{}')]])('%j is refused: it is no text', (body) => {
    expect(refusal(() => post({ body }))).toEqual({ code: 'body_not_json', status: 400 })
    expect(refusal(() => post({ body, isBase64Encoded: true }))).toEqual({
      code: 'body_not_json',
      status: 400,
    })
  })

  test.each(['1', 1, 'True', 'TRUE', 'yes', {}, []])(
    'is not encoded when the event says %j',
    (isBase64Encoded) => {
      expect(bodyText(post({ body: 'eyJ9', isBase64Encoded }))).toBe('eyJ9')
    },
  )

  test.each([
    'a',
    'ab',
    'abc',
    'abcde',
    'YQ=',
    'YQ===',
    'Y===',
    '====',
    'YQ==YQ==',
    'YWJj\n',
    'YW Jj',
    'YW-_',
    'YWJ!',
    'YWJj,',
    'data:application/json;base64,e30=',
    '{"a":1}',
    'ＹＷＪｊ',
  ])('%j is refused: it is no base64', (body) => {
    expect(refusal(() => post({ body, isBase64Encoded: true }))).toEqual({
      code: 'body_not_base64',
      status: 400,
    })
    expect(bodyText(post({ body, isBase64Encoded: false }))).toBe(body)
  })

  test.each([
    ['a lone continuation', [0x80]],
    ['a cut character', [0x22, 0xe6, 0xb9]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['half a surrogate pair', [0xed, 0xa0, 0xbd]],
    ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['Latin-1', [...Buffer.from('{"a":"é"}', 'latin1')]],
    ['GBK', [0x7b, 0x22, 0xba, 0xfe, 0x22, 0x7d]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00]],
  ])('with %s is refused: it is not UTF-8', (_what, bytes) => {
    const request = post({ body: base64(Buffer.from(bytes)), isBase64Encoded: true })
    expect([...request.body]).toEqual(bytes)
    expect(refusal(() => bodyText(request))).toEqual({ code: 'body_not_utf8', status: 400 })
    expect(refusal(() => readJsonBody(request))).toEqual({ code: 'body_not_utf8', status: 400 })
  })

  // ASCII, two, three and four bytes a character.
  test.each(['x', 'é', '湖', '🧋'])('of 64 KB of %s is taken, and of one byte more is not', (letter) => {
    const size = Buffer.byteLength(letter)
    const full = letter.repeat(Math.floor(BODY_MAX_BYTES / size)) + 'x'.repeat(BODY_MAX_BYTES % size)
    const over = full + 'x'
    expect(Buffer.byteLength(full)).toBe(65_536)
    expect(post({ body: full }).body).toHaveLength(65_536)
    expect(post({ body: base64(full), isBase64Encoded: true }).body).toHaveLength(65_536)
    expect(refusal(() => post({ body: over }))).toEqual({ code: 'body_too_large', status: 413 })
    for (const isBase64Encoded of [true, 'true']) {
      const event = { body: base64(over), isBase64Encoded }
      expect(refusal(() => post(event))).toEqual({ code: 'body_too_large', status: 413 })
    }
  })

  test.each([1, 2, 3, 4, 100])('of %d bytes more than 64 KB is not taken', (more) => {
    const bytes = Buffer.alloc(BODY_MAX_BYTES + more, 'x')
    expect(refusal(() => post({ body: base64(bytes), isBase64Encoded: true })).status).toBe(413)
    expect(refusal(() => post({ body: bytes.toString() })).status).toBe(413)
  })

  test('of the size a door takes is taken, and of one byte more is not', () => {
    for (const full of ['x'.repeat(4096), 'é'.repeat(2048), '🧋'.repeat(1024)]) {
      expect(readBody({ body: full }, 4096)).toHaveLength(4096)
      expect(readBody({ body: base64(full), isBase64Encoded: true }, 4096)).toHaveLength(4096)
      for (const event of [{ body: `${full}x` }, { body: base64(`${full}x`), isBase64Encoded: true }])
        expect(refusal(() => readBody(event, 4096))).toEqual({ code: 'body_too_large', status: 413 })
    }
  })

  test('of many megabytes is refused by its size before anybody looks into it', () => {
    const body = '!'.repeat(6 * 1024 * 1024)
    expect(refusal(() => post({ body })).status).toBe(413)
    expect(refusal(() => post({ body, isBase64Encoded: true })).code).toBe('body_too_large')
  })

  test('is never taken for larger than it is because of its encoding', () => {
    for (let short = 0; short < 8; short++) {
      const bytes = Buffer.alloc(BODY_MAX_BYTES - short, 7)
      expect(post({ body: base64(bytes), isBase64Encoded: true }).body.equals(bytes)).toBe(true)
    }
  })
})

describe('the body as JSON', () => {
  const read = (body: string) => readJsonBody(post({ body }))

  test.each(['[]', '"a"', '1', 'null', 'true', '{', '\ufeff{}', 'a=1', ' '])('is not %j', (body) => {
    expect(refusal(() => read(body))).toEqual({ code: 'body_not_json', status: 400 })
  })

  test.each([
    ['{"a":{"b":1,"\\u0062":2}}', 'a.b', 'duplicate_key'],
    ['{"a":[{"__proto__":{}}]}', 'a.0.__proto__', 'forbidden_key'],
    [`{"a":${'['.repeat(16)}${']'.repeat(16)}}`, '', 'too_deep'],
  ])('%s names the field at fault', (body, field, code) => {
    expect(refusal(() => read(body))).toEqual({ code: 'body_invalid', status: 400 })
    expect(() => read(body)).toThrow(
      expect.objectContaining({
        extras: {
          fields: [
            {
              field,
              code,
              message: expect.any(String),
              message_zh: expect.stringMatching(/\p{Script=Han}/u),
            },
          ],
        },
      }),
    )
  })

  test('is an object', () => {
    expect(read(' {"a":[1,{"b":null}]}\n')).toEqual({ a: [1, { b: null }] })
  })
})
