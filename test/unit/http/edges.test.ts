import { randomBytes } from 'node:crypto'
import { SANDBOX_KEYS } from '../../../local/sandbox/people'
import {
  HEADERS_MAX_CHARACTERS,
  NAMES_MAX,
  PATH_MAX_CHARACTERS,
  QUERY_MAX_CHARACTERS,
} from '../../../shared/http/event'
import { openTown, signHeaders, type Town, type Visitor } from '../../support/town'
import { freshNumber, orderBody, type Answer } from '../../support/world'

/**
 * HTTP at its edges, through the real doors: whatever a stranger or an odd platform makes of a request, it is read
 * rightly or refused with a code of ours. Never a 500, and never somebody else's order.
 */
let town: Town
let payer: Visitor
let number: string

beforeAll(async () => {
  town = await openTown()
  payer = await town.login('mini_program')
  number = (await payer.call('POST', '/orders', { body: { quote: town.quote() } })).body
    .out_trade_no as string
})
afterAll(() => town.close())

type Event = Record<string, unknown>
const visit = (event: Event): Promise<Answer> =>
  town.call(String(event['httpMethod']), String(event['path']), { event })
const read = (more: Event = {}): Event => ({
  httpMethod: 'GET',
  path: `/orders/${number}`,
  headers: { ...payer.headers },
  queryString: {},
  body: '',
  ...more,
})
const tell = async (event: Event) => {
  const { statusCode, body } = await visit(event)
  return [statusCode, body.code ?? 'ok'] as const
}

test('the request these are made from is answered', async () => {
  expect(await tell(read())).toEqual([200, 'ok'])
})

describe('headers', () => {
  const secret = () => payer.headers['x-session-secret']!
  const bearer = () => payer.headers['authorization']!

  test.each<[string, () => Event, readonly [number, string]]>([
    ['in capitals', () => ({ AUTHORIZATION: bearer(), 'X-SESSION-SECRET': secret() }), [200, 'ok']],
    ['as lists of one', () => ({ authorization: [bearer()], 'x-session-secret': [secret()] }), [200, 'ok']],
    [
      'twice in a list',
      () => ({ authorization: [bearer(), bearer()], 'x-session-secret': secret() }),
      [401, 'caller_unknown'],
    ],
    [
      'twice, joined by a comma',
      () => ({ authorization: `${bearer()}, ${bearer()}`, 'x-session-secret': secret() }),
      [401, 'caller_unknown'],
    ],
    [
      'twice under two spellings',
      () => ({ authorization: bearer(), Authorization: 'Bearer x.y.z', 'x-session-secret': secret() }),
      [401, 'caller_unknown'],
    ],
    [
      'with a second secret',
      () => ({ authorization: bearer(), 'x-session-secret': [secret(), 'A'.repeat(43)] }),
      [401, 'caller_unknown'],
    ],
    [
      'as an empty list',
      () => ({ authorization: [], 'x-session-secret': secret() }),
      [401, 'caller_unknown'],
    ],
    ['as an object', () => ({ authorization: { 0: bearer() } }), [401, 'caller_unknown']],
    ['as a number', () => ({ authorization: 7 }), [401, 'caller_unknown']],
    ['as null', () => ({ authorization: null }), [401, 'caller_unknown']],
    ['as a text instead of a table', () => 'authorization: x' as unknown as Event, [401, 'caller_unknown']],
    ['as a list instead of a table', () => [bearer()] as unknown as Event, [401, 'caller_unknown']],
    [
      'of __proto__',
      () => JSON.parse(`{"__proto__":{"authorization":"${bearer()}"}}`) as Event,
      [401, 'caller_unknown'],
    ],
    ['of __proto__ beside', () => ({ ...payer.headers, ['__proto__']: 'x' }), [200, 'ok']],
    [
      'with blanks around',
      () => ({ ...payer.headers, authorization: ` ${bearer()} ` }),
      [401, 'caller_unknown'],
    ],
    ['with a line break', () => ({ ...payer.headers, 'x-a': 'a\r\nx-b: c' }), [200, 'ok']],
    ['with U+0000', () => ({ ...payer.headers, 'x-a': 'a\0b' }), [400, 'head_invalid']],
    ['with half of a surrogate pair', () => ({ ...payer.headers, 'x-a': '\ud83e' }), [400, 'head_invalid']],
    [
      'of the greatest size',
      () => {
        const own = Object.entries(payer.headers).reduce((sum, [a, b]) => sum + a.length + b.length, 0)
        return { ...payer.headers, x: 'x'.repeat(HEADERS_MAX_CHARACTERS - own - 1) }
      },
      [200, 'ok'],
    ],
    ['too long', () => ({ ...payer.headers, x: 'x'.repeat(HEADERS_MAX_CHARACTERS) }), [400, 'head_invalid']],
    [
      'too many',
      () => Object.fromEntries(Array.from({ length: NAMES_MAX + 1 }, (_, at) => [`x-${at}`, ''])),
      [400, 'head_invalid'],
    ],
    [
      'for a signature, but no signature',
      () => ({ 'x-pay-key': ['server', 'admin'] }),
      [401, 'caller_unknown'],
    ],
  ])('%s', async (_how, headers, fate) => {
    expect(await tell(read({ headers: headers() }))).toEqual(fate)
  })

  test('a signature for two requests at once is for neither', async () => {
    const body = JSON.stringify(orderBody({ out_trade_no: freshNumber() }))
    const at = { timestamp: String(town.nowS()), nonce: randomBytes(16).toString('hex') }
    const request = { method: 'POST', path: '/orders', body }
    const headers = signHeaders(SANDBOX_KEYS.server, request, at)
    for (const name of Object.keys(headers)) {
      const twice = { ...headers, [name]: [headers[name], headers[name]] }
      expect(await tell({ ...request, httpMethod: 'POST', headers: twice })).toEqual([401, 'caller_unknown'])
    }
    const upper = Object.fromEntries(Object.entries(headers).map(([a, b]) => [a.toUpperCase(), [b]]))
    expect(await tell({ ...request, httpMethod: 'POST', headers: upper })).toEqual([201, 'ok'])
    // Signed for one of two Idempotency-Keys, and sent with both.
    const key = signHeaders(
      SANDBOX_KEYS.server,
      { ...request, idempotencyKey: 'a' },
      { ...at, nonce: randomBytes(16).toString('hex') },
    )
    const both = { ...key, 'idempotency-key': 'a', 'Idempotency-Key': 'b' }
    expect(await tell({ ...request, httpMethod: 'POST', headers: both })).toEqual([401, 'caller_unknown'])
  })
})

describe('the query', () => {
  test.each<[string, unknown, readonly [number, string]]>([
    ['as a text', 'refresh=1', [200, 'ok']],
    ['as a list', ['refresh'], [200, 'ok']],
    ['with a list', { refresh: ['1', '1'] }, [200, 'ok']],
    ['with an object', { refresh: { $gt: 0 } }, [200, 'ok']],
    ['of __proto__', JSON.parse('{"__proto__":{"refresh":"1"},"constructor":"x"}'), [200, 'ok']],
    ['of percent signs that mean nothing', { 'a%': '%', '%zz': '%E0%A4%A', '%00': '%ff%fe' }, [200, 'ok']],
    ['encoded twice', { refresh: '%2531' }, [200, 'ok']],
    ['of the greatest size', { x: 'x'.repeat(QUERY_MAX_CHARACTERS - 1) }, [200, 'ok']],
    ['too long', { x: 'x'.repeat(QUERY_MAX_CHARACTERS) }, [400, 'head_invalid']],
    [
      'with too many names',
      Object.fromEntries(Array.from({ length: NAMES_MAX + 1 }, (_, at) => [at, ''])),
      [400, 'head_invalid'],
    ],
    ['with U+0000', { a: '\0' }, [400, 'head_invalid']],
    ['with half of a surrogate pair', { '\udc00': '' }, [400, 'head_invalid']],
  ])('%s', async (_how, queryString, fate) => {
    const asked = town.sent('query_order').length
    expect(await tell(read({ queryString }))).toEqual(fate)
    // Only `refresh` with the text 1 asks anybody.
    expect(town.sent('query_order')).toHaveLength(asked)
  })

  test('that cannot be signed is refused, not our failure', async () => {
    const headers = signHeaders(
      SANDBOX_KEYS.server,
      { method: 'GET', path: `/orders/${number}`, body: '' },
      { timestamp: String(town.nowS()), nonce: randomBytes(16).toString('hex') },
    )
    expect(await tell(read({ headers, queryString: { a: '\ud800' } }))).toEqual([400, 'head_invalid'])
  })
})

describe('the path', () => {
  test.each<[string, () => unknown, readonly [number, string]]>([
    ['missing', () => undefined, [404, 'path_not_found']],
    ['empty', () => '', [404, 'path_not_found']],
    ['a number', () => 7, [404, 'path_not_found']],
    ['with a slash more', () => `/orders/${number}/`, [404, 'path_not_found']],
    ['with two slashes', () => `//orders/${number}`, [404, 'path_not_found']],
    ['with dots', () => `/orders/../orders/${number}`, [404, 'path_not_found']],
    ['in capitals', () => `/ORDERS/${number}`, [404, 'path_not_found']],
    ['with an order in other letters', () => `/orders/${number.toUpperCase()}`, [404, 'order_not_found']],
    ['encoded', () => `/orders/%73b01`, [404, 'order_not_found']],
    ['with an encoded slash', () => `/orders/${number}%2Fclose`, [404, 'order_not_found']],
    ['with a query in it', () => `/orders/${number}?refresh=1`, [404, 'order_not_found']],
    ['with a blank behind', () => `/orders/${number} `, [404, 'order_not_found']],
    ['with U+0000 behind', () => `/orders/${number}\0`, [400, 'head_invalid']],
    ['with half of a surrogate pair', () => `/orders/sb01\ud83e`, [400, 'head_invalid']],
    ['with an emoji', () => `/orders/sb01🧋`, [404, 'order_not_found']],
    ['of SQL', () => `/orders/sb01' OR '1'='1`, [404, 'order_not_found']],
    [
      'as long as may be',
      () => `/orders/sb01${'x'.repeat(PATH_MAX_CHARACTERS - 16)}`,
      [404, 'order_not_found'],
    ],
    ['too long', () => `/orders/sb01${'x'.repeat(PATH_MAX_CHARACTERS)}`, [400, 'head_invalid']],
    ['of a million slashes', () => '/'.repeat(1_000_000), [400, 'head_invalid']],
  ])('%s', async (_how, path, fate) => {
    expect(await tell(read({ path: path() }))).toEqual(fate)
  })
})

describe('the body', () => {
  const order = () => JSON.stringify({ quote: town.quote() })
  const send = (more: Event) =>
    tell({ httpMethod: 'POST', path: '/orders', headers: { ...payer.headers }, queryString: {}, ...more })
  const base64 = (text: string) => Buffer.from(text).toString('base64')

  test.each<[string, () => Event, readonly [number, string]]>([
    ['encoded and said so', () => ({ body: base64(order()), isBase64Encoded: true }), [201, 'ok']],
    ['encoded and not said so', () => ({ body: base64(order()) }), [400, 'body_not_json']],
    [
      'said to be encoded and not',
      () => ({ body: order(), isBase64Encoded: 'true' }),
      [400, 'body_not_base64'],
    ],
    [
      'encoded twice',
      () => ({ body: base64(base64(order())), isBase64Encoded: true }),
      [400, 'body_not_json'],
    ],
    [
      'encoded as for a URL',
      () => ({ body: Buffer.from(`{"a":"?>?>"}`).toString('base64url'), isBase64Encoded: true }),
      [400, 'body_not_base64'],
    ],
    ['missing', () => ({}), [400, 'body_not_json']],
    ['an object already', () => ({ body: { quote: 'x' } }), [400, 'body_not_json']],
    ['of __proto__', () => ({ body: '{"__proto__":{"quote":"x"}}' }), [400, 'body_invalid']],
    ['of constructor', () => ({ body: '{"constructor":{"prototype":{}}}' }), [400, 'body_invalid']],
    ['with a name twice', () => ({ body: '{"quote":"a","quote":"b"}' }), [400, 'body_invalid']],
    [
      'nested without end',
      () => ({ body: '{"a":'.repeat(9000) + '1' + '}'.repeat(9000) }),
      [400, 'body_invalid'],
    ],
    ['of another kind', () => ({ body: 'quote=x&sku=y' }), [400, 'body_not_json']],
  ])('%s', async (_how, more, fate) => {
    expect(await send(more())).toEqual(fate)
  })
})

describe('the shape', () => {
  const context = { sourceIp: '203.0.113.1', httpMethod: 'DELETE', path: '/refunds/{out_trade_no}' }
  test.each<[string, Event]>([
    ['a Function URL', {}],
    ['API Gateway', { requestContext: context, queryStringParameters: {}, isBase64Encoded: 'false' }],
    ['both at once', { requestContext: context, queryStringParameters: { refresh: '1' }, queryString: {} }],
    ['with a context that is a text', { requestContext: 'x' }],
    ['with an address that is none', { requestContext: { sourceIp: { a: 1 } } }],
    ['with a body on a GET', { body: '{"state":"paid"}' }],
    ['with parameters that say otherwise', { pathParameters: { out_trade_no: 'sb01other' } }],
    ['with a method in small letters', { httpMethod: 'get' }],
  ])('%s: the same order is read', async (_what, more) => {
    const { statusCode, body } = await visit(read(more))
    expect([statusCode, body.out_trade_no, body.state]).toEqual([200, number, 'pending'])
  })

  test.each(['DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', '', 'GET ', 'ＧＥＴ', 'POST\0'])(
    'the method %j is nobody’s',
    async (httpMethod) => {
      expect(await tell(read({ httpMethod }))).toEqual([404, 'path_not_found'])
    },
  )
})

test('nothing of all that was a failure of ours', () => {
  expect(town.log.filter(({ level }) => level === 'error')).toEqual([])
})
