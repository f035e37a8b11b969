import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../deploy/bundle'
import { buildClient, CLIENT_FILE } from '../../deploy/client'
import * as ours from '../../examples/miniprogram/miniprogram/lib/cloud-pay'
import { createCashier, type Cashier } from '../../examples/miniprogram/miniprogram/pay/cashier'
import type { Payment, Phone, RequestOptions } from '../../examples/miniprogram/miniprogram/pay/phone'
import { sandboxPhone } from '../../examples/miniprogram/miniprogram/pay/sandbox'
import { sentenceOf, wordsOf, yuan } from '../../examples/miniprogram/miniprogram/pay/words'
import { startMachine, type Machine } from '../../local/machine'
import { SANDBOX_APPS } from '../../local/sandbox/logins'
import { ORDER_STATES } from '../../shared/order/state'
import * as web from '../../web/client/client'
import { wxTransport } from '../../web/client/transports'

/** The mini-program's own code against the gateway and the built functions, on a phone that is not WeChat's. */
const MINIPROGRAM = join(ROOT, 'examples', 'miniprogram')
const TEA = { sku: 'tea', quantity: 1 }
const appId = SANDBOX_APPS.mini_program

let machine: Machine
beforeAll(async () => {
  jest.spyOn(process.stdout, 'write').mockReturnValue(true)
  const databaseUrl = `sqlite:${join(mkdtempSync(join(tmpdir(), 'mini-')), 'orders.db')}`
  machine = await startMachine({ databaseUrl, timers: 'off' })
})
afterAll(async () => {
  await machine.stop()
  jest.restoreAllMocks()
})

const overHttp = ({ url, method, header, data, success, fail }: RequestOptions): void => {
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
  request.on('error', ({ message }) => fail({ errMsg: `request:fail ${message}` }))
  request.end(data)
}

type TestPhone = Phone & {
  storage: Map<string, unknown>
  sent: RequestOptions[]
  answers: unknown[]
  logins: number
  /** Handed to the wallet. */
  payments: object[]
}

/** `wallet`: what the payer does there. `network`: in the way of every request. */
function makePhone(given: {
  wallet?: 'pay' | 'cancel' | 'pay and say nothing good' | 'break'
  network?: (request: RequestOptions, go: () => void) => void
}): TestPhone {
  const { wallet = 'pay', network = (_request, go) => go() } = given
  const storage = new Map<string, unknown>()
  const payer = `oMini${randomBytes(8).toString('hex')}`
  const base: Phone = {
    login: () => undefined,
    requestPayment: () => undefined,
    request: (given) => {
      // A payer of one's own each: one payer's orders are limited.
      const login = given.url.endsWith('/_sandbox/login')
      const data = JSON.stringify({ app_id: appId, payer_id: payer })
      const options = login ? { ...given, data } : given
      phone.sent.push(options)
      const success: RequestOptions['success'] = (answer) => {
        phone.answers.push(answer.data)
        options.success(answer)
      }
      network(options, () => overHttp({ ...options, success }))
    },
    getRandomValues: ({ length, success }) => {
      const bytes = randomBytes(length)
      success({
        randomValues: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + length),
      })
    },
    arrayBufferToBase64: (bytes) => Buffer.from(bytes).toString('base64'),
    getStorageSync: (name) => storage.get(name) ?? '',
    setStorageSync: (name, value) => void storage.set(name, value),
    removeStorageSync: (name) => void storage.delete(name),
  }
  const modal = {
    showModal: ({ success }: { success: (said: { confirm: boolean }) => void }) =>
      success({ confirm: wallet !== 'cancel' }),
  }
  const sandbox = sandboxPhone({ ...base, ...modal }, machine.sandbox.origin, appId)
  const phone: TestPhone = {
    ...sandbox,
    storage,
    sent: [],
    answers: [],
    payments: [],
    logins: 0,
    login: (options) => {
      phone.logins++
      sandbox.login(options)
    },
    requestPayment: (options) => {
      phone.payments.push(options)
      if (wallet === 'break') return options.fail({ errMsg: 'requestPayment:fail system error' })
      if (wallet !== 'pay and say nothing good') return sandbox.requestPayment(options)
      return sandbox.requestPayment({
        ...options,
        success: () => options.fail({ errMsg: 'requestPayment:fail timeout' }),
      })
    },
  }
  return phone
}

const open = (phone: Phone): Cashier => createCashier(phone, { base: machine.gateway.origin, appId })
const watch = (cashier: Cashier, number: string) =>
  cashier.watch(
    number,
    () => undefined,
    () => false,
  )
const ordersMade = () => machine.sandbox.sandbox.orders.size

test('login, order, payment, and the order says that it is paid', async () => {
  const phone = makePhone({})
  const cashier = open(phone)
  const order = await cashier.order(TEA)
  expect(order).toMatchObject({ state: 'pending', total_fee: 1880, payment: { signType: 'MD5' } })
  expect(await cashier.pay(order.payment as Payment)).toBe('asked')
  // Exactly what createOrder answered.
  expect(phone.payments).toEqual([expect.objectContaining(order.payment as object)])
  const { settled, order: end } = await watch(cashier, order.out_trade_no)
  expect([settled, end?.state]).toEqual([true, 'paid'])
  expect(phone.logins).toBe(1)
})

test('a payer who cancels has made no mistake, and the same button goes on with the same order', async () => {
  const phone = makePhone({ wallet: 'cancel' })
  const cashier = open(phone)
  const order = await cashier.order(TEA)
  expect(await cashier.pay(order.payment as Payment)).toBe('cancelled')
  expect((await cashier.order(TEA)).out_trade_no).toBe(order.out_trade_no)
  expect((await cashier.read(order.out_trade_no)).state).toBe('pending')
})

test('a wallet that reports a failure after the money went is not believed: the order is paid', async () => {
  const cashier = open(makePhone({ wallet: 'pay and say nothing good' }))
  const order = await cashier.order(TEA)
  expect(await cashier.pay(order.payment as Payment)).toBe('asked')
  expect((await watch(cashier, order.out_trade_no)).order?.state).toBe('paid')
})

test('a wallet that does not open leaves the order payable', async () => {
  const cashier = open(makePhone({ wallet: 'break' }))
  const order = await cashier.order(TEA)
  expect(await cashier.pay(order.payment as Payment)).toBe('asked')
  expect((await cashier.read(order.out_trade_no)).state).toBe('pending')
})

test('pressed twice, closed and opened again in the middle: one purchase is one order', async () => {
  const phone = makePhone({})
  const before = ordersMade()
  const cashier = open(phone)
  const [one, two] = await Promise.all([cashier.order(TEA), cashier.order(TEA)])
  const reopened = await open(phone).order(TEA)
  expect(new Set([one, two, reopened].map(({ out_trade_no }) => out_trade_no)).size).toBe(1)
  expect(ordersMade() - before).toBe(1)
})

test('what has been paid is over: the next purchase is the next order', async () => {
  const phone = makePhone({})
  const cashier = open(phone)
  const first = await cashier.order(TEA)
  await cashier.pay(first.payment as Payment)
  await watch(cashier, first.out_trade_no)
  const second = await cashier.order(TEA)
  expect(second.out_trade_no).not.toBe(first.out_trade_no)
  expect(second.state).toBe('pending')
})

test('an answer that is lost on its way makes no second order', async () => {
  let lost = 0
  const phone = makePhone({
    network: (request, go) => {
      if (!request.url.endsWith('/orders') || lost++ > 0) return go()
      // It arrives; what comes back does not.
      overHttp({ ...request, success: () => request.fail({ errMsg: 'request:fail timeout' }) })
    },
  })
  const before = ordersMade()
  expect((await open(phone).order(TEA)).state).toBe('pending')
  expect(ordersMade() - before).toBe(1)
  const sent = phone.sent.filter(({ url }) => url.endsWith('/orders'))
  expect(sent).toHaveLength(2)
  expect([sent[1]!.data, sent[1]!.header['idempotency-key']]).toEqual([
    sent[0]!.data,
    sent[0]!.header['idempotency-key'],
  ])
})

test('a session that has ended is replaced without a word, and the order is still the same one', async () => {
  const phone = makePhone({})
  const cashier = open(phone)
  const order = await cashier.order(TEA)
  const { header } = phone.sent.find(({ url }) => url.endsWith('/orders'))!
  await fetch(`${machine.gateway.origin}/session/revoke`, { method: 'POST', headers: header, body: '{}' })
  expect((await cashier.order(TEA)).out_trade_no).toBe(order.out_trade_no)
  expect(phone.logins).toBe(2)
})

test('no network: a sentence, nothing kept of the failed login, and the next try works', async () => {
  let down = true
  const phone = makePhone({
    network: (request, go) => (down ? request.fail({ errMsg: 'request:fail' }) : go()),
  })
  const cashier = open(phone)
  const error: unknown = await cashier.order(TEA).catch((thrown: unknown) => thrown)
  expect(sentenceOf(error)).toMatch(/网络不通/)
  down = false
  expect((await cashier.order(TEA)).state).toBe('pending')
})

test('a refusal of the functions reaches the payer in their words', async () => {
  const error: unknown = await open(makePhone({}))
    .order({ sku: 'coffee', quantity: 1 })
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ours.PayError)
  expect((error as ours.PayError).code).toBe('sku_unknown')
  expect(sentenceOf(error)).toBe((error as ours.PayError).problem!.detail.zh)
})

test('the secret of a session is in no answer, in no URL and not on the phone', async () => {
  const phone = makePhone({})
  await open(phone).order(TEA)
  const secret = phone.sent.map(({ header }) => header['x-session-secret']).find(Boolean)!
  expect(secret).toHaveLength(43)
  const seen = JSON.stringify([phone.answers, phone.sent.map(({ url }) => url), [...phone.storage]])
  expect(seen).not.toContain(secret)
})

test('nothing that is not settled is called a failure, and every settled state has words of its own', () => {
  const said = new Map(ORDER_STATES.map((state) => [state, wordsOf(state)]))
  for (const state of ['created', 'pending', 'closing'] as const)
    expect(said.get(state)).toEqual(wordsOf('a state of a later version'))
  expect(said.get('pending')).toMatchObject({ settled: false, more: expect.stringContaining('请勿重复支付') })
  const ended = [...said.values()].filter(({ settled }) => settled)
  expect(new Set(ended.map(({ title }) => title)).size).toBe(ORDER_STATES.length - 3)
})

test.each([
  [1, '¥0.01'],
  [10, '¥0.10'],
  [1880, '¥18.80'],
  [2_147_483_647, '¥21474836.47'],
])('%d fen are %s', (fen, text) => expect(yuan(fen)).toBe(text))

describe('the project', () => {
  const read = (file: string) => readFileSync(join(MINIPROGRAM, 'miniprogram', file), 'utf8')
  const json = (file: string) => JSON.parse(read(file)) as Record<string, unknown>

  test('its client is the one of web/, as `npm run client` makes it', async () => {
    expect(readFileSync(join(ROOT, CLIENT_FILE), 'utf8')).toBe(await buildClient())
  })

  test('and has the types of the one of web/', () => {
    // Checked by the compiler: what the left side promises the right side is.
    const create: typeof ours.createClient = web.createClient
    const transport: typeof ours.wxTransport = wxTransport
    const settled: typeof ours.isSettled = web.isSettled
    expect([create, transport, settled].map((each) => typeof each)).toEqual(Array(3).fill('function'))
  })

  test("every page that app.json names has its four files, and WeChat's tools find the folder", () => {
    const project = JSON.parse(readFileSync(join(MINIPROGRAM, 'project.config.json'), 'utf8')) as {
      miniprogramRoot: string
      setting: { useCompilerPlugins: string[] }
    }
    expect(project).toMatchObject({ miniprogramRoot: 'miniprogram/', compileType: 'miniprogram' })
    // They compile the TypeScript themselves.
    expect(project.setting.useCompilerPlugins).toContain('typescript')
    for (const page of json('app.json')['pages'] as string[])
      for (const end of ['ts', 'wxml', 'wxss', 'json'])
        expect(existsSync(join(MINIPROGRAM, 'miniprogram', `${page}.${end}`))).toBe(true)
  })

  test.each(['shop', 'order'])('what the template of %s shows and calls, the page has', (page) => {
    const template = read(`pages/${page}/${page}.wxml`)
    const code = read(`pages/${page}/${page}.ts`) + read('pay/words.ts')
    const bound = [...template.matchAll(/bind\w+="(\w+)"/g)].map(([, name]) => name!)
    const shown = [...template.matchAll(/\{\{([^}]+)\}\}/g)].flatMap(
      ([, text]) => text!.match(/[a-z]+/gi) ?? [],
    )
    expect(bound.length).toBeGreaterThan(0)
    for (const name of [...bound, ...shown]) expect(code).toMatch(new RegExp(`\\b${name}\\b`))
  })
})
