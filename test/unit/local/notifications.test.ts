import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDelivered } from '../../../local/sandbox/notifications'
import { NOTIFY_RETRY_MS } from '../../../local/sandbox/notifier'
import type { Notification } from '../../../local/sandbox/sandbox'
import { startSandbox, type SandboxServer, type ServerOptions } from '../../../local/sandbox/server'
import { DEFAULT_SWITCHES, type Switches } from '../../../local/sandbox/switches'
import { SANDBOX_MERCHANT } from '../../../shared/base/config'
import { Secret } from '../../../shared/base/secrets'
import { contentKind } from '../../../shared/cloudpay/envelope'
import { openNotification } from '../../../shared/cloudpay/notification'
import { authenKey } from '../../../shared/cloudpay/signing'
import { sign } from '../../support/tamper'
import { fakeTimeouts, settled, until } from '../../support/waiting'
import {
  alipay,
  create,
  IDS,
  NOW_S,
  NUMBER,
  openSandbox,
  order_prefix,
  OTHER_MERCHANT,
  paidOrder,
  queried,
  refund,
  sealed,
  time,
  wechat,
  type Content,
} from './farEnd'

/** Takes a notification apart. Its code must be right. */
function read(body: Buffer, key?: string): { text: string; content: Content } {
  const { request_content: text, authen_info } = JSON.parse(body.toString('utf8'))
  expect(authen_info).toEqual({ a: { authen_type: 1, authen_code: sign(text as string, key) } })
  return { text, content: JSON.parse(text as string) }
}

// ── what is said ───────────────────────────────────────────────────────────────────────────────────────────────

describe('a notification', () => {
  const told: Notification[] = []
  const onNotification = (one: Notification) => void told.push(one)
  beforeEach(() => void told.splice(0))

  test('is made when an order becomes paid, once, and says what a query would', () => {
    const far = openSandbox({}, { onNotification })
    const request = wechat()
    create(far, request)
    expect(told).toEqual([])
    time.nowS += 30
    far.pay(NUMBER)
    expect(() => far.pay(NUMBER)).toThrow('order is paid')
    expect(told).toEqual([{ out_trade_no: NUMBER, url: undefined, body: expect.any(Buffer) }])
    const { content } = read(told[0]!.body)
    expect(Object.keys(content as object).sort()).toEqual([
      'nonce_str',
      'order_client',
      'order_content',
      'pay_mch_key',
    ])
    const { order_content, pay_mch_key } = queried(far)
    expect(content).toMatchObject({ order_content, pay_mch_key, order_client: request.order_client })
    expect(content.order_content).toMatchObject({ time_end: NOW_S + 30, cash_fee: 1880 })
    expect(content.nonce_str).toMatch(/^[0-9a-f]{32}$/)
    expect(content.nonce_str).not.toBe(request.nonce_str)
    expect(contentKind(content)).toBe('notification')
  })

  test('is made for late money too, and for no refund', () => {
    const far = openSandbox({}, { onNotification })
    create(far)
    time.nowS += 1000
    far.pay(NUMBER, { late: true })
    refund(far, { refund_fee: 1 })
    far.refundInConsole(NUMBER, 1)
    expect(told).toHaveLength(1)
  })

  test("names the order's own address when its create did", () => {
    const far = openSandbox({}, { onNotification })
    const caller_notify_url = 'http://127.0.0.1:9/hear'
    create(far, wechat({ content: { caller_notify_url } }))
    far.pay(NUMBER)
    expect(told[0]!.url).toBe(caller_notify_url)
    expect(far.notifyUrlOf(NUMBER)).toBe(caller_notify_url)
    expect(far.notifyUrlOf(`${order_prefix}x`)).toBeUndefined()
  })

  test('can be made anew: another nonce, another code, the order as it is', () => {
    const far = paidOrder()
    const [first, second] = [read(far.notification(NUMBER)), read(far.notification(NUMBER))]
    expect(first.content.nonce_str).not.toBe(second.content.nonce_str)
    expect(second.content.order_content).toEqual(queried(far).order_content)
    expect(() => far.notification(`${order_prefix}x`)).toThrow('no such order')
  })

  test('is written as answers are', () => {
    const text = (switches: Partial<Switches>) => read(paidOrder(switches).notification(NUMBER)).text
    expect(text({})).toContain('"body":"\\u6E56\\u5FC3\\u5976\\u8336"')
    expect(text({ answerEscapes: 'raw' })).toContain('"body":"湖心奶茶"')
    expect(text({ answerEnding: 'newline' })).toMatch(/\}\n$/)
    expect(text({ answerSeparators: 'spaced' })).toMatch(/^\{ "nonce_str": /)
    expect(text({ answerNumbers: 'float' })).toContain('"total_fee":1880.0')
  })

  test('is signed with the key of its own sub-merchant', () => {
    const { out_sub_mch_id, authen_key: key } = OTHER_MERCHANT
    const far = openSandbox()
    far.answer('official_account_pay', sealed(wechat({ key: { out_sub_mch_id } }), key))
    const { content } = read(far.notification(NUMBER), key)
    expect(content.pay_mch_key).toMatchObject({ ...IDS, out_sub_mch_id })
  })

  test.each(['official account', 'Alipay'])('passes the gates of the receiver: %s', (kind) => {
    const far = paidOrder({}, kind === 'Alipay' ? alipay() : wechat())
    const key = authenKey(new Secret(SANDBOX_MERCHANT.authen_key))
    const opened = openNotification(far.notification(NUMBER), () => key)
    expect(opened).toMatchObject({ ok: true, content: { order_content: { out_trade_no: NUMBER } } })
  })
})

// ── what counts as heard ───────────────────────────────────────────────────────────────────────────────────────

describe('an answer to a notification', () => {
  const body = (content: unknown) => Buffer.from(JSON.stringify(content))
  test.each<[string, boolean, number, Buffer]>([
    ['an object with status 0', true, 200, body({ response_content: { status: 0 } })],
    ['a text with status 0', true, 200, body({ response_content: '{"status":0,"description":"ok"}' })],
    ['an object without a status', true, 200, body({ response_content: {} })],
    ['a text without a status', true, 201, body({ response_content: '{}' })],
    ['another status', false, 200, body({ response_content: { status: 3 } })],
    ['a status that is a text', false, 200, body({ response_content: { status: '0' } })],
    ['a text with another status', false, 200, body({ response_content: '{"status":1}' })],
    ['a text that is no JSON', false, 200, body({ response_content: 'ok' })],
    ['a list', false, 200, body([])],
    ['nothing inside', false, 200, body({})],
    ['null', false, 200, body(null)],
    ['null inside', false, 200, body({ response_content: null })],
    ['a number inside', false, 200, body({ response_content: 0 })],
    ['no JSON', false, 200, Buffer.from('success')],
    ['nothing at all', false, 200, Buffer.alloc(0)],
    ['a refusal', false, 500, body({ response_content: { status: 0 } })],
    ['a redirect', false, 302, body({ response_content: { status: 0 } })],
    ['less than 200', false, 199, body({ response_content: { status: 0 } })],
  ])('%s: heard is %s', (_, heard, status, given) => {
    expect(isDelivered(DEFAULT_SWITCHES, status, given)).toBe(heard)
  })

  test('that is empty is heard behind a switch, if it is a 2xx', () => {
    const switches = { ...DEFAULT_SWITCHES, emptyReply: 'delivered' } as const
    expect(isDelivered(switches, 204, Buffer.alloc(0))).toBe(true)
    expect(isDelivered(switches, 500, Buffer.alloc(0))).toBe(false)
  })
})

// ── over HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────

type Heard = { method: string | undefined; type: string | undefined; url: string | undefined; body: string }
type Answering = (response: ServerResponse, request: IncomingMessage) => void

const GOOD: Answering = (response) => void response.end('{"response_content":{"status":0}}')
const BAD: Answering = (response) => void response.writeHead(500).end()

/** Somebody to be notified, who answers in turn as told, and after that well. */
async function startReceiver(...answers: Answering[]) {
  const heard: Heard[] = []
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      heard.push({ method, url, type: headers['content-type'], body: Buffer.concat(chunks).toString() })
      ;(answers.shift() ?? GOOD)(response, request)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { heard, answers, url: `http://127.0.0.1:${port}/notify`, server }
}

describe('over HTTP', () => {
  const stops: (() => unknown)[] = []
  beforeEach(() => fakeTimeouts())
  afterEach(async () => {
    jest.useRealTimers()
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  const receiver = async (...answers: Answering[]) => {
    const started = await startReceiver(...answers)
    stops.push(() => (started.server.closeAllConnections(), started.server.close()))
    return started
  }
  const sandbox = async (options: ServerOptions): Promise<SandboxServer> => {
    const started = await startSandbox({ notifyRetryMs: [2000, 2000, 2000], ...options })
    stops.push(() => started.close())
    return started
  }
  const control = async (server: SandboxServer, method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${server.origin}/_sandbox/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: answer.status, body: (await answer.json()) as Content }
  }
  /** So many attempts have ended, and whoever wants to try again waits for its time. */
  const attempts = async ({ notified }: SandboxServer, count: number) => {
    await until(() => notified.length >= count)
    await settled()
    expect(notified).toHaveLength(count)
  }
  const nextRung = () => jest.advanceTimersByTime(2000)
  /** Nothing is under way, and nobody waits for a time at which to try again. */
  const quiet = async () => {
    await settled()
    expect(jest.getTimerCount()).toBe(0)
  }
  const pays = ({ sandbox: far }: SandboxServer, content: object = {}) => {
    create(far, wechat({ content }))
    far.pay(NUMBER)
  }

  test('posts the signed text as JSON to the address of the console, and once heard never again', async () => {
    const { heard, url } = await receiver()
    const server = await sandbox({ notifyUrl: url })
    pays(server)
    await attempts(server, 1)
    await quiet()
    expect(heard).toHaveLength(1)
    expect(heard[0]).toMatchObject({ method: 'POST', url: '/notify', type: 'application/json' })
    expect(read(Buffer.from(heard[0]!.body)).content.order_content.out_trade_no).toBe(NUMBER)
    const { body } = await control(server, 'GET', 'notifications')
    expect(body).toEqual([
      {
        out_trade_no: NUMBER,
        url,
        at: expect.any(Number),
        body: heard[0]!.body,
        status: 200,
        delivered: true,
      },
    ])
  })

  test('nobody configured: nobody is told', async () => {
    const server = await sandbox({})
    pays(server)
    await quiet()
    expect(server.notified).toEqual([])
  })

  test('an address may be given after it has started', async () => {
    const { heard, url } = await receiver()
    const server = await sandbox({})
    server.setNotifyUrl(url)
    pays(server)
    await until(() => heard.length === 1)
  })

  test('tries again with the same bytes until it is heard', async () => {
    const { heard, url } = await receiver(
      BAD,
      (response) => void response.end(),
      (response) => void response.end('{"response_content":{"status":103}}'),
    )
    const server = await sandbox({ notifyUrl: url })
    pays(server)
    for (const failed of [1, 2, 3]) {
      await attempts(server, failed)
      jest.advanceTimersByTime(1999)
      await settled()
      expect(heard).toHaveLength(failed)
      jest.advanceTimersByTime(1)
    }
    await attempts(server, 4)
    await quiet()
    expect(server.notified.map(({ status, delivered }) => [status, delivered])).toEqual([
      [500, false],
      [200, false],
      [200, false],
      [200, true],
    ])
    expect(heard).toHaveLength(4)
    expect(new Set(heard.map(({ body }) => body)).size).toBe(1)
  })

  test('gives up at the end of its ladder', async () => {
    const { heard, url } = await receiver(BAD, BAD, BAD, BAD, BAD)
    const server = await sandbox({ notifyUrl: url, notifyRetryMs: [2000, 2000] })
    pays(server)
    for (const failed of [1, 2]) {
      await attempts(server, failed)
      nextRung()
    }
    await attempts(server, 3)
    await quiet()
    expect(heard).toHaveLength(3)
  })

  test('the ladder it has by itself is WeChat Pay v2’s, fifteen waits and a day long', () => {
    expect(NOTIFY_RETRY_MS).toHaveLength(15)
    expect(NOTIFY_RETRY_MS.slice(0, 4)).toEqual([15_000, 15_000, 30_000, 180_000])
    expect(NOTIFY_RETRY_MS.reduce((sum, wait) => sum + wait)).toBe((24 * 3600 + 4 * 60) * 1000)
  })

  test.each<[string, Answering, RegExp]>([
    ['no answer', () => undefined, /^timeout$/],
    ['a connection that closes', (response) => response.socket?.destroy(), /hang up|reset|closed/i],
    [
      'an answer that stops half-way',
      (response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('{', () => response.socket?.destroy())
      },
      /aborted|reset|closed/i,
    ],
    [
      'an answer that trickles',
      (response) => {
        const timer = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(timer))
      },
      /^timeout$/,
    ],
    ['an answer without an end', (response) => void response.end('x'.repeat(70_000)), /too long/],
  ])('%s is a failure, and is tried again', async (_, answering, error) => {
    const { heard, url } = await receiver(answering)
    const server = await sandbox({ notifyUrl: url, notifyTimeoutMs: 1500 })
    pays(server)
    await until(() => heard.length === 1)
    if (error.source === '^timeout$') {
      jest.advanceTimersByTime(1499)
      await settled()
      expect(server.notified).toEqual([])
      jest.advanceTimersByTime(1)
    }
    await attempts(server, 1)
    nextRung()
    await attempts(server, 2)
    expect(server.notified[0]).toMatchObject({ delivered: false, error: expect.stringMatching(error) })
    expect(server.notified[0]).not.toHaveProperty('status')
    expect(server.notified[1]).toMatchObject({ delivered: true })
  })

  test('follows no redirect', async () => {
    const other = await receiver()
    const { url } = await receiver((response) => void response.writeHead(307, { location: other.url }).end())
    const server = await sandbox({ notifyUrl: url, notifyRetryMs: [] })
    pays(server)
    await attempts(server, 1)
    expect(server.notified[0]).toMatchObject({ status: 307, delivered: false })
    expect(other.heard).toEqual([])
  })

  test.each([
    ['replaces', 0],
    ['adds', 1],
  ] as const)("the order's own address %s the console's", async (notifyUrl, atConsole) => {
    const [theConsole, own] = [await receiver(), await receiver()]
    const server = await sandbox({ notifyUrl: theConsole.url, switches: { notifyUrl } })
    pays(server, { caller_notify_url: own.url })
    await attempts(server, 1 + atConsole)
    await quiet()
    expect([theConsole.heard.length, own.heard.length]).toEqual([atConsole, 1])
  })

  test.each([
    ['http://192.0.2.1/notify', /not a loopback address/],
    ['https://notify.example.com/', /not a loopback address/],
    ['nowhere', /./],
    ['ftp://127.0.0.1/', /./],
  ])('an order cannot make it call out: %s', async (caller_notify_url, error) => {
    const server = await sandbox({ notifyRetryMs: [] })
    pays(server, { caller_notify_url })
    await attempts(server, 1)
    expect(server.notified[0]).toMatchObject({ delivered: false, error: expect.stringMatching(error) })
  })

  test('sends again when told, as often as told, the same bytes, heard before or not', async () => {
    const { heard, url } = await receiver()
    const server = await sandbox({ notifyUrl: url })
    pays(server)
    await until(() => heard.length === 1)
    const { status, body } = await control(server, 'POST', 'notify', { out_trade_no: NUMBER, times: 3 })
    expect(status).toBe(200)
    expect(body).toMatchObject(Array.from({ length: 3 }, () => ({ status: 200, delivered: true })))
    expect(heard).toHaveLength(4)
    const [first, ...again] = heard.map((one) => one.body)
    expect(new Set(again).size).toBe(1)
    expect(again[0]).not.toBe(first)
    expect((await control(server, 'POST', 'notify', { out_trade_no: NUMBER })).body).toHaveLength(1)
  })

  test.each([
    [409, { out_trade_no: 'nobody' }],
    [400, { out_trade_no: NUMBER, times: 0 }],
    [400, { out_trade_no: NUMBER, times: 101 }],
    [400, { out_trade_no: NUMBER, times: '2' }],
  ])('answers %i to %j', async (status, asked) => {
    const server = await sandbox({})
    pays(server)
    expect((await control(server, 'POST', 'notify', asked)).status).toBe(status)
  })

  test('can lose every notification, those to be tried again too, and send one by hand all the same', async () => {
    const { heard, url } = await receiver(BAD)
    const server = await sandbox({ notifyUrl: url })
    pays(server)
    await attempts(server, 1)
    expect((await control(server, 'POST', 'notifications-off')).body).toEqual({ notifications: 'off' })
    create(server.sandbox, wechat({ content: { out_trade_no: `${order_prefix}2` } }))
    server.sandbox.pay(`${order_prefix}2`)
    nextRung()
    await quiet()
    expect(heard).toHaveLength(1)
    await control(server, 'POST', 'notify', { out_trade_no: NUMBER })
    expect(heard).toHaveLength(2)
  })

  test('tells its caller of it too', async () => {
    const told: Notification[] = []
    const { url, heard } = await receiver()
    const server = await sandbox({ notifyUrl: url, onNotification: (one) => told.push(one) })
    pays(server)
    await until(() => heard.length === 1)
    expect(heard[0]!.body).toBe(told[0]!.body.toString())
  })

  test('stops with the server: nothing is tried again, nothing waited for', async () => {
    const { heard, url } = await receiver(BAD, () => undefined)
    const server = await startSandbox({ notifyUrl: url, notifyRetryMs: [2000, 2000] })
    pays(server)
    await attempts(server, 1)
    create(server.sandbox, wechat({ content: { out_trade_no: `${order_prefix}2` } }))
    server.sandbox.pay(`${order_prefix}2`)
    await until(() => heard.length === 2)
    await server.close()
    await quiet()
    expect(heard).toHaveLength(2)
    expect(server.notified.at(-1)).toMatchObject({ error: 'the sandbox stopped' })
  })

  test('shows refunds as they are by now', async () => {
    const server = await sandbox({})
    pays(server)
    refund(server.sandbox, { refund_fee: 80 })
    expect((await control(server, 'GET', 'orders')).body).toMatchObject([
      { refunded_fen: 80, refunds: [{ fee: 80, state: 'succeeded' }] },
    ])
  })

  test('ends refunds and makes them in the console', async () => {
    const server = await sandbox({ refundDelayMs: Infinity })
    pays(server)
    const made = await control(server, 'POST', 'console-refund', { out_trade_no: NUMBER, refund_fee: 80 })
    const { out_refund_no } = made.body
    expect(made).toEqual({
      status: 200,
      body: { out_trade_no: NUMBER, out_refund_no: expect.any(String), state: 'processing' },
    })
    expect(await control(server, 'POST', 'refund', { out_refund_no, outcome: 'succeeded' })).toEqual({
      status: 200,
      body: { out_trade_no: NUMBER, out_refund_no, state: 'succeeded' },
    })
    const refunds: [number, string, object][] = [
      [409, 'refund', { out_refund_no, outcome: 'failed' }],
      [409, 'refund', { out_refund_no: 'x', outcome: 'failed' }],
      [400, 'refund', { out_refund_no, outcome: 'processing' }],
      [400, 'refund', { out_refund_no }],
      [409, 'console-refund', { out_trade_no: NUMBER, refund_fee: 1801 }],
      [400, 'console-refund', { out_trade_no: NUMBER, refund_fee: '1' }],
      [400, 'console-refund', { out_trade_no: NUMBER, refund_fee: 0 }],
      [409, 'console-refund', { out_trade_no: 'x', refund_fee: 1 }],
    ]
    for (const [status, path, asked] of refunds) {
      expect((await control(server, 'POST', path, asked)).status).toBe(status)
    }
    expect((await control(server, 'GET', 'orders')).body).toMatchObject([
      {
        state: 'paid',
        paid_fen: 1880,
        refunded_fen: 80,
        refunds: [{ out_refund_no, fee: 80, state: 'succeeded' }],
      },
    ])
  })
})
