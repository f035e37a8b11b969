import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startMachine, type Machine } from '../../local/machine'
import { SANDBOX_APPS } from '../../local/sandbox/logins'
import { createClient, type Client, type Transport } from '../../web/client/client'
import { fetchTransport, wxTransport, type WxRequest } from '../../web/client/transports'

/** The client of web/ against the gateway and the built functions, over HTTP. */
let machine: Machine
beforeAll(async () => {
  jest.spyOn(process.stdout, 'write').mockReturnValue(true)
  const databaseUrl = `sqlite:${join(mkdtempSync(join(tmpdir(), 'client-')), 'orders.db')}`
  machine = await startMachine({ databaseUrl, timers: 'off', name: 'test-client' })
})
afterAll(async () => {
  await machine.stop()
  jest.restoreAllMocks()
})

const control = async (name: string, body: unknown) =>
  (await (
    await fetch(`${machine.sandbox.origin}/_sandbox/${name}`, { method: 'POST', body: JSON.stringify(body) })
  ).json()) as Record<string, string>

/** As a mini-program's runtime would: text in, text out, over a socket. */
const wxRequest: WxRequest = ({ url, method, header, data, success, fail }) => {
  const request = httpRequest(url, { method, headers: header }, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () =>
      success({
        statusCode: response.statusCode ?? 0,
        data: Buffer.concat(chunks).toString('utf8'),
        header: response.headers as Record<string, string>,
      }),
    )
  })
  request.on('error', ({ message }) => fail({ errMsg: message }))
  request.end(data)
}

const transports: [string, Transport][] = [
  ['fetch', fetchTransport(fetch)],
  ['wx.request', wxTransport(wxRequest)],
]

const enter = async (transport: Transport): Promise<Client> => {
  const client = createClient({ base: machine.gateway.origin, transport })
  const app_id = SANDBOX_APPS.mini_program
  const { code } = await control('login', { app_id })
  await client.login({ app_id, code: code!, secret: randomBytes(32).toString('base64url') })
  return client
}

test.each(transports)('%s: login, order, the same order again, paid, settled', async (name, transport) => {
  const client = await enter(transport)
  const order = await client.createOrder({ sku: 'tea', quantity: 2 }, `client-${name}`)
  expect(order).toMatchObject({ state: 'pending', total_fee: 3760 })
  expect(Object.keys(order.payment!)).toContain('paySign')
  const again = await client.createOrder({ sku: 'tea', quantity: 2 }, `client-${name}`)
  expect(again.payment).toEqual(order.payment)
  await control('pay', { out_trade_no: order.out_trade_no })
  const end = await client.waitUntilSettled(order.out_trade_no)
  expect(end).toMatchObject({ settled: true, order: { state: 'paid', total_fee: 3760 } })
})

test.each(transports)('%s: closed by its payer', async (name, transport) => {
  const client = await enter(transport)
  const { out_trade_no } = await client.createOrder({ sku: 'tea' }, `close-${name}`)
  expect(await client.closeOrder(out_trade_no)).toMatchObject({ state: 'closed' })
  expect(await client.waitUntilSettled(out_trade_no)).toMatchObject({ order: { state: 'closed' } })
})

test.each(transports)(
  '%s: what a function refuses has its code, sentence and request id',
  async (_, transport) => {
    const client = await enter(transport)
    await expect(client.createOrder({ sku: 'nothing' }, 'k-1')).rejects.toMatchObject({
      code: 'sku_unknown',
      status: 400,
      problem: { detail: { zh: '目录里没有在售的这个商品。' }, request_id: expect.any(String) as string },
    })
    await expect(client.readOrder('sb01nothing')).rejects.toMatchObject({
      code: 'order_not_found',
      status: 404,
    })
  },
)

test('by redirect: the state is for the hash of this secret, and the session for its holder', async () => {
  const client = createClient({ base: machine.gateway.origin, transport: fetchTransport(fetch) })
  const app_id = SANDBOX_APPS.official_account
  const bytes = randomBytes(32)
  const secret_hash = createHash('sha256').update(bytes).digest('base64url')
  const { state } = await client.beginLogin({ app_id, secret_hash })
  const { code } = await control('login', { app_id })
  const stolen = { app_id, code: code!, state, secret: randomBytes(32).toString('base64url') }
  await expect(client.login(stolen)).rejects.toMatchObject({ code: 'login_refused' })
  await client.login({ ...stolen, secret: bytes.toString('base64url') })
  expect(await client.createOrder({ sku: 'tea' }, 'by-redirect')).toMatchObject({ state: 'pending' })
})

test('the sandbox’s wallet takes exactly what createOrder returned: nothing changed, left out or added', async () => {
  const client = createClient({ base: machine.gateway.origin, transport: fetchTransport(fetch) })
  const app_id = SANDBOX_APPS.official_account
  const bytes = randomBytes(32)
  const secret_hash = createHash('sha256').update(bytes).digest('base64url')
  const { state } = await client.beginLogin({ app_id, secret_hash })
  const { code } = await control('login', { app_id })
  await client.login({ app_id, code: code!, state, secret: bytes.toString('base64url') })
  const { payment } = await client.createOrder({ sku: 'tea' }, 'wallet')
  const { timeStamp, ...rest } = payment!
  for (const spoilt of [rest, { ...payment, timeStamp: `${timeStamp}0` }, { ...payment, more: '1' }, {}])
    expect(await control('wallet', { payment: spoilt })).toHaveProperty('error')
  expect(await control('wallet', { payment })).toMatchObject({ state: 'paid' })
})

describe('the pages beside the functions', () => {
  const get = async (path: string, method: 'GET' | 'POST' = 'GET') =>
    new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
      // Not fetch, which would tidy the path up first.
      const request = httpRequest(machine.gateway.origin, { path, method }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }))
      })
      request.on('error', reject).end()
    })

  test.each([
    ['/cashier/', 'text/html; charset=utf-8'],
    ['/cashier/cashier.js', 'text/javascript; charset=utf-8'],
    ['/cashier/cashier.css', 'text/css; charset=utf-8'],
  ])('%s has its type, its policy, and nothing is guessed', async (path, type) => {
    const { status, headers } = await get(path)
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': type,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    const policy = String(headers['content-security-policy'])
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/)
    expect(policy).toContain(`connect-src ${machine.gateway.origin};`)
    expect(policy).not.toMatch(/unsafe|\*/)
  })

  test('the page says the same of itself, and has no script or style of its own in it', async () => {
    const { text } = await get('/cashier/')
    expect(text).toContain(`content="default-src 'none'; script-src 'self'; style-src 'self';`)
    expect(text).not.toMatch(/ style=| on\w+=|<style/)
    expect(text.match(/<script(?![^>]*type="application\/json")[^>]*>/g)).toEqual([
      '<script src="cashier.js" defer>',
    ])
  })

  test.each([
    '/cashier',
    '/cashier/../package.json',
    '/cashier/..%2f..%2fpackage.json',
    '/cashier//etc/passwd',
    '/cashier/cashier.js/',
    '/cashier/cashier.js%00.html',
    '/cashier/main.ts',
    '/constructor',
  ])('%s is not there', async (path) => expect((await get(path)).status).toBe(404))

  test('a page is read, and nothing is sent to it', async () =>
    expect((await get('/cashier/', 'POST')).status).toBe(404))
})
