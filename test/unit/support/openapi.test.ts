import { EXAMPLES } from '../../../local/openapi/examples'
import { Fault, type FaultCode, type FaultExtras } from '../../../shared/base/errors'
import { json, problem } from '../../../shared/http/answer'
import { ownChecker, type Exchange } from '../../support/openapi'

/** What compares the interface with its description must see what is not in it. */
const { faults } = ownChecker()

const taken = (change: Partial<Exchange> = {}): Exchange => {
  const { statusCode, headers, body } = json(201, EXAMPLES.created, 'request')
  return {
    method: 'POST',
    path: '/orders',
    query: {},
    requestHeaders: {},
    requestBody: JSON.stringify(EXAMPLES.newOrder),
    status: statusCode,
    headers,
    body: JSON.parse(body) as unknown,
    ...change,
  }
}

const refused = (code: FaultCode, extras: FaultExtras = {}, change: Partial<Exchange> = {}): Exchange => {
  const { statusCode, headers, body } = problem(new Fault(code, extras), 'request')
  return taken({ status: statusCode, headers, body: JSON.parse(body) as unknown, ...change })
}

test('what is described passes', () => {
  expect(faults(taken())).toEqual([])
  expect(faults(refused('order_in_progress', { retryAfterS: 3, extra: { out_trade_no: 'sb01x' } }))).toEqual(
    [],
  )
  expect(faults(refused('path_not_found', {}, { path: '/nothing' }))).toEqual([])
})

const created = EXAMPLES.created as Record<string, unknown>
const { state: _state, ...stateless } = created
const { 'x-request-id': _id, ...nameless } = taken().headers
const moment = { ...EXAMPLES.created.created_at, zone: 'CST' }

test.each<[string, Exchange, RegExp]>([
  ['a member nobody described', taken({ body: { ...created, payer_id: 'o' } }), /payer_id/],
  ['one further inside', taken({ body: { ...created, created_at: moment } }), /created_at.*zone/],
  ['a member that is missing', taken({ body: stateless }), /'state'/],
  ['a value of another kind', taken({ body: { ...created, total_fee: '1880' } }), /total_fee/],
  ['a state nobody described', taken({ body: { ...created, state: 'lost' } }), /state/],
  [
    'a code of another operation',
    refused('order_not_closable', { extra: { state: 'paid' } }),
    /order_not_closable|code/,
  ],
  ['a status nobody described', refused('order_not_found'), /answers 404 \(order_not_found\)/],
  ['a member of another code', refused('number_taken', { extra: { left_fee: 1 } }), /left_fee/],
  ['a wait without Retry-After', refused('order_in_progress'), /Retry-After/],
  ['Retry-After where nobody waits', refused('number_taken', { retryAfterS: 1 }), /Retry-After/],
  ['a header nobody described', taken({ headers: { ...taken().headers, 'x-order': '1' } }), /x-order/],
  ['a header that is missing', taken({ headers: nameless }), /x-request-id is missing/],
  [
    'an answer that may be cached',
    taken({ headers: { ...taken().headers, 'cache-control': 'public' } }),
    /cache-control/,
  ],
  [
    'another content type',
    taken({ headers: { ...taken().headers, 'content-type': 'text/html' } }),
    /text\/html/,
  ],
  ['a field that was taken', taken({ requestBody: '{"quote":"x","price":1}' }), /the request.*price/s],
  ['a query that was taken', taken({ query: { debug: '1' } }), /debug/],
  ['a key that was taken', taken({ requestHeaders: { 'idempotency-key': 'two words' } }), /Idempotency-Key/],
  ['a path nobody described', taken({ path: '/order' }), /no operation/],
])('%s is seen', (_what, exchange, words) => {
  expect(faults(exchange).join('\n')).toMatch(words)
})
