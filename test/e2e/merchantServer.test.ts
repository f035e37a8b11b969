import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../deploy/bundle'
import { SANDBOX_KEYS } from '../../local/sandbox/people'
import { openTown, type Town } from '../support/town'

/** What a merchant copies, run as they run it: plain Node, a process of its own, nothing of ours loaded. */
const run = promisify(execFile)
const example = async (...given: string[]) =>
  (await run(process.execPath, [join(ROOT, 'examples/merchant-server/sandbox.mjs'), ...given])).stdout.trim()

let town: Town
beforeEach(async () => {
  town = await openTown()
  // The other process has no clock of ours.
  town.clock.nowMsValue = undefined
})
afterEach(() => town.close())

test('a quote of the example makes an order of its price', async () => {
  const payer = await town.login('mini_program')
  const quote = await example('quote', 'oSandboxMiniPayer0001', '1234', '湖心奶茶')
  const { statusCode, body } = await payer.call('POST', '/orders', { body: { quote } })
  expect([statusCode, body.total_fee]).toEqual([201, 1234])
  expect((await payer.call('POST', '/orders', { body: { quote } })).body.out_trade_no).toBe(body.out_trade_no)
})

test.each([
  ['GET', '/orders/sb01nothing', '', 'order_not_found'],
  ['GET', '/orders/sb01nothing?refresh=1&a=%20b%2Bc', '', 'order_not_found'],
  [
    'POST',
    '/orders/sb01nothing/refunds',
    '{"refund_fee":1,"out_refund_no":"sb01r","reason":"缺货"}',
    'order_not_found',
  ],
  ['POST', '/session/revoke', '{}', 'caller_not_allowed'],
])('%s %s signed by the example is let in', async (method, path, body, code) => {
  const url = new URL(path, 'https://pay.example.com')
  const printed = await example('sign', method, url.href, body)
  const headers = Object.fromEntries(printed.split('\n').map((line) => line.split(': ') as [string, string]))
  expect(headers['x-pay-key']).toBe(SANDBOX_KEYS.server.name)
  const query = Object.fromEntries(url.searchParams)
  const call = () => town.call(method, url.pathname, { query, body, headers })
  expect((await call()).body.code).toBe(code)
  expect((await call()).body.code).toBe('request_replayed')
})
