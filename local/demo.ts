import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueQuote } from '../examples/merchant-server/quote.mjs'
import { signRequest } from '../examples/merchant-server/sign.mjs'
import { readDatabase, SANDBOX_MERCHANT } from '../shared/base/config'
import { systemClock } from '../shared/base/time'
import { openStore, type Store } from '../shared/store/open'
import { startMachine, type Machine } from './machine'
import { SANDBOX_APPS, SANDBOX_PAYER } from './sandbox/logins'
import { SANDBOX_KEYS } from './sandbox/people'

/**
 * `npm run demo`: orders on the real functions, over real HTTP, step by step. Every claim it prints is
 * checked; the first that does not hold ends it with an error.
 */
async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cloud-pay-demo-'))
  // The functions write their log to stdout; here it would drown the story.
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = (text: string | Uint8Array, ...rest: []) =>
    typeof text === 'string' && text.startsWith('{"level"') ? true : write(text, ...rest)
  const databaseUrl = `sqlite:${join(directory, 'orders.db')}`
  const machine = await startMachine({ databaseUrl, timers: 'off' })
  const store = openStore(readDatabase({ DATABASE_URL: databaseUrl }), systemClock)
  try {
    await story(machine, () => makeDue(store))
  } finally {
    await store.close()
    await machine.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Nobody wants to watch a minute pass: what the timer would do later it does at its next tick. */
async function makeDue({ db }: Store): Promise<void> {
  await db.updateTable('orders').set({ next_due_at_ms: 0 }).where('next_due_at_ms', 'is not', null).execute()
  await db.updateTable('refunds').set({ next_due_at_ms: 0 }).where('next_due_at_ms', 'is not', null).execute()
}

async function story(machine: Machine, later: () => Promise<void>): Promise<void> {
  const { gateway, sandbox, tick } = machine
  const { received } = sandbox.sandbox
  const order = (out_trade_no: string, remark?: string) => ({
    pay_content: { out_trade_no, total_fee: 1880, body: '湖心奶茶-大杯', ...(remark ? { remark } : {}) },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oDemoPayer0001' } },
  })
  const post = (body: unknown, by: By = SANDBOX_KEYS.server) =>
    call('POST', `${gateway.origin}/orders`, body, by)
  const read = (number: string, refresh = '', by: By = SANDBOX_KEYS.server) =>
    call('GET', `${gateway.origin}/orders/${number}${refresh}`, undefined, by)
  const control = (name: string, body: unknown) => call('POST', `${sandbox.origin}/_sandbox/${name}`, body)
  const movesTo = (events: unknown, state: string) =>
    (events as { to: string; kind: string }[]).filter(({ to, kind }) => to === state && kind === 'moved')
      .length

  step('A payer logs in: a code as wx.login gives it, and a secret that stays on the phone')
  const payer = await logIn(machine, SANDBOX_PAYER.mini_program)
  const stranger = await quiet(() => logIn(machine, 'oDemoStranger01'))

  step("The shop's server sets a price for this payer; the payer orders with it, and for nobody else")
  const quote = await issueQuote(
    { ...SANDBOX_KEYS.quote, deployment: SANDBOX_KEYS.deployment, ...SANDBOX_MERCHANT },
    {
      payer_id: SANDBOX_PAYER.mini_program,
      merchant_order_id: 'demo-cart-1',
      total_fee: 1880,
      body: '湖心奶茶-大杯',
    },
  )
  const own = await post({ quote }, payer)
  assert.equal(own.status, 201)
  assert.equal(own.body['total_fee'], 1880)
  const ownNumber = String(own.body['out_trade_no'])
  assert.equal((await quiet(() => post({ quote }, payer))).body['out_trade_no'], ownNumber)
  assert.equal((await post({ quote }, stranger)).body['code'], 'quote_not_yours')

  step('A tampered price: in the order, and in the quote')
  const cheaper = await post({ quote, pay_content: { total_fee: 1 } }, payer)
  assert.equal(cheaper.status, 403)
  assert.equal(cheaper.body['code'], 'price_differs')
  const [head, claims = '', signature] = quote.split('.')
  const changed = Buffer.from(claims, 'base64url').toString().replace('1880', '1')
  const forged = `${head}.${Buffer.from(changed).toString('base64url')}.${signature}`
  assert.equal((await post({ quote: forged }, payer)).body['code'], 'quote_invalid')

  step('An article of the catalogue has its price there')
  const tea = await call('POST', `${gateway.origin}/orders`, { sku: 'tea', quantity: 2 }, payer, 'demo-key-1')
  assert.equal(tea.status, 201)
  assert.equal(tea.body['total_fee'], 3760)

  step("Another payer's order is not there: the very answer of one that does not exist")
  const foreign = await read(ownNumber, '', stranger)
  const missing = await quiet(() => read('sb01demonothing', '', stranger))
  assert.equal(foreign.status, 404)
  assert.deepEqual({ ...foreign.body, request_id: '' }, { ...missing.body, request_id: '' })
  assert.equal((await quiet(() => read(ownNumber, '', payer))).status, 200)

  step('Who may not refund: a payer, a key that only reads, a copied request, nobody')
  const refundUrl = `${gateway.origin}/orders/${ownNumber}/refunds`
  const money = { refund_fee: 1, out_refund_no: 'sb01demorefund0' }
  assert.equal((await call('POST', refundUrl, money, payer)).body['code'], 'caller_not_allowed')
  assert.equal((await call('POST', refundUrl, money, SANDBOX_KEYS.reader)).body['code'], 'caller_not_allowed')
  const copied = signRequest(SANDBOX_KEYS.server, {
    method: 'GET',
    url: `${gateway.origin}/orders/${ownNumber}`,
  })
  assert.equal((await quiet(() => read(ownNumber, '', copied))).status, 200)
  assert.equal((await read(ownNumber, '', copied)).body['code'], 'request_replayed')
  assert.equal((await call('POST', refundUrl, money, 'nobody')).body['code'], 'caller_unknown')

  step("The shop's server orders for a payer, at its own price and under its own number")
  const beforeCreate = received.length
  const created = await post(order('sb01demo0001'))
  assert.equal(created.status, 201)
  assert.equal(created.body['state'], 'pending')

  step('What Cloud Pay received: the text inside request_content is what is signed')
  show('envelope', JSON.parse(received[beforeCreate]!.body))

  step('The page retries: the same order, the same payment, and Cloud Pay is not asked again')
  const again = await post(order('sb01demo0001'))
  assert.equal(again.status, 200)
  assert.deepEqual(again.body['payment'], created.body['payment'])
  assert.equal(received.length, beforeCreate + 1)

  step('The same number with another amount is refused')
  const other = order('sb01demo0001')
  other.pay_content.total_fee = 1
  assert.equal((await post(other)).status, 422)

  step('An answer signed with a wrong key: not believed, not failed either, the order stays open')
  const tampered = await post(order('sb01demo0002', 'sandbox:wrong-signed'))
  assert.equal(tampered.status, 504)
  assert.equal(tampered.body['code'], 'outcome_unknown')

  step('Retrying it sends the stored text again, byte for byte, and the good answer is taken')
  const retried = await post(order('sb01demo0002', 'sandbox:wrong-signed'))
  assert.equal(retried.status, 200)
  assert.equal(retried.body['state'], 'pending')
  const sent = received.filter((one) => one.request_content?.includes('sb01demo0002'))
  assert.equal(sent.length, 2)
  assert.equal(sent[0]!.body, sent[1]!.body)
  say(`both transmissions: ${sent[0]!.body.length} characters, equal`)

  step('The payer pays, and Cloud Pay tells us: a hint, so we ask, and our own signed query says paid')
  await control('pay', { out_trade_no: 'sb01demo0001' })
  await until(async () => (await quiet(() => read('sb01demo0001'))).body['state'] === 'paid')
  const paid = await read('sb01demo0001')
  assert.equal(paid.body['state'], 'paid')

  step('The same notification ten times more: the same answer each time, and nothing happens twice')
  const copies = await quiet(() => control('notify', { out_trade_no: 'sb01demo0001', times: 10 }))
  const answers = (copies.body as unknown as { status: number }[]).map(({ status }) => status)
  assert.deepEqual(answers, Array<number>(10).fill(200))
  say(`answers: ${answers.join(' ')}`)
  const after = await quiet(() => read('sb01demo0001'))
  assert.equal(movesTo(after.body['events'], 'paid'), 1)
  say('moves to paid: 1')

  step('Every notification is lost: the timer finds the payment')
  await quiet(() => control('switches', { notifications: 'off' }))
  await quiet(() => post(order('sb01demo0003')))
  await control('pay', { out_trade_no: 'sb01demo0003' })
  assert.equal((await quiet(() => read('sb01demo0003'))).body['state'], 'pending')
  await later()
  await tick()
  assert.equal((await read('sb01demo0003')).body['state'], 'paid')
  await quiet(() => control('switches', { notifications: 'on' }))

  step('A partial refund: accepted is not done')
  const refunds = `${gateway.origin}/orders/sb01demo0001/refunds`
  const part = { refund_fee: 500, out_refund_no: 'sb01demorefund1' }
  const refund = await call('POST', refunds, part, SANDBOX_KEYS.server)
  assert.equal(refund.status, 202)
  assert.equal(refund.body['state'], 'accepted')

  step('The same refund again is the same refund; the timer asks until it is done')
  const repeated = await quiet(() => call('POST', refunds, part, SANDBOX_KEYS.server))
  assert.ok(repeated.status < 300)
  await later()
  await tick()
  const refunded = await read('sb01demo0001')
  assert.equal(refunded.body['refunded_fee'], 500)
  assert.equal((refunded.body['refunds'] as unknown[]).length, 1)
  assert.equal(received.filter((one) => one.interface === 'refund').length, 1)

  step('Closed, and then paid after all: the money goes back by itself, once')
  await quiet(() => post(order('sb01demo0004')))
  const closing = `${gateway.origin}/orders/sb01demo0004/close`
  const closed = await call('POST', closing, undefined, SANDBOX_KEYS.server)
  assert.equal(closed.body['state'], 'closed')
  await control('pay', { out_trade_no: 'sb01demo0004', late: true })
  // Its notification is a moment after the close, which has just asked: the timer looks.
  for (let at = 0; at < 4; at++) {
    await later()
    await tick()
  }
  const back = await read('sb01demo0004')
  assert.equal(back.body['state'], 'refunded')
  assert.equal((back.body['refunds'] as unknown[]).length, 1)

  say('\nEverything above held.')
}

let count = 0
let muted = 0
const say = (text: string) => (muted > 0 ? undefined : console.log(text))
const step = (title: string) => say(`\n── ${++count}. ${title}`)

/** A call whose lines would only repeat what was shown. */
async function quiet<T>(work: () => Promise<T>): Promise<T> {
  muted++
  try {
    return await work()
  } finally {
    muted--
  }
}

/** A notification is on its way over real HTTP: a moment, not a promise. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await holds()) return
    await systemClock.sleep(50)
  }
  throw new Error('waited five seconds for nothing')
}

/** Who calls: one of the shop's keys, a payer's headers (or any others), or nobody. */
type By = { name: string; secret: string } | Record<string, string> | 'nobody'

async function call(method: string, url: string, body?: unknown, by: By = 'nobody', idempotencyKey = '') {
  say(
    `→ ${method} ${new URL(url).pathname}${new URL(url).search}${by === 'nobody' ? '' : `   (${nameOf(by)})`}`,
  )
  if (body !== undefined) show('  ', body)
  const text = body === undefined ? '' : JSON.stringify(body)
  const isKey = typeof by === 'object' && 'secret' in by && 'name' in by
  const credentials = isKey
    ? signRequest(by as { name: string; secret: string }, { method, url, body: text, idempotencyKey })
    : by === 'nobody'
      ? {}
      : by
  const response = await fetch(url, {
    method,
    headers: {
      ...credentials,
      ...(idempotencyKey === '' ? {} : { 'idempotency-key': idempotencyKey }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: text }),
  })
  const answer = (await response.json()) as Record<string, unknown>
  say(`← ${response.status}`)
  show('  ', answer)
  return { status: response.status, body: answer }
}

const nameOf = (by: Exclude<By, 'nobody'>): string =>
  'name' in by ? `signed, key ${by['name']}` : 'authorization' in by ? 'a payer' : 'signed before'

/** As a mini-program does: its own secret, a code, and from then on both halves with every call. */
async function logIn({ gateway, sandbox }: Machine, payer_id: string): Promise<Record<string, string>> {
  const app_id = SANDBOX_APPS.mini_program
  const secret = randomBytes(32).toString('base64url')
  const code = sandbox.logins.codeFor(app_id, payer_id)
  const { status, body } = await call('POST', `${gateway.origin}/session`, { app_id, code, secret })
  assert.equal(status, 201)
  return { authorization: `Bearer ${String(body['token'])}`, 'x-session-secret': secret }
}

/** Codes and signatures are shown by their first characters: enough to compare, too few to use. */
function show(label: string, value: unknown): void {
  const text = JSON.stringify(value)
  const masked = text.replaceAll(/((?:authen_code|pay_sign|paySign)\\?":\\?")(\w{6})\w+/g, '$1$2…')
  say(`${label} ${masked}`)
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
