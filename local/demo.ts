import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startMachine, type Machine } from './machine'

/**
 * `npm run demo`: one whole order on the real functions, over real HTTP, step by step. Every claim it prints is
 * checked; the first that does not hold ends it with an error.
 */
async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cloud-pay-demo-'))
  // The functions write their log to stdout; here it would drown the story.
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = (text: string | Uint8Array, ...rest: []) =>
    typeof text === 'string' && text.startsWith('{"level"') ? true : write(text, ...rest)
  const machine = await startMachine({ databaseUrl: `sqlite:${join(directory, 'orders.db')}` })
  try {
    await story(machine)
  } finally {
    await machine.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function story({ gateway, sandbox }: Machine): Promise<void> {
  const { received } = sandbox.sandbox
  const order = (out_trade_no: string, remark?: string) => ({
    pay_content: { out_trade_no, total_fee: 1880, body: '湖心奶茶-大杯', ...(remark ? { remark } : {}) },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oDemoPayer0001' } },
  })
  const post = (body: unknown) => call('POST', `${gateway.origin}/orders`, body)
  const read = (number: string) => call('GET', `${gateway.origin}/orders/${number}?refresh=1`)

  step('A page asks for an order')
  const created = await post(order('sb01demo0001'))
  assert.equal(created.status, 201)
  assert.equal(created.body['state'], 'pending')

  step('What Cloud Pay received: the text inside request_content is what is signed')
  show('envelope', JSON.parse(received[0]!.body))

  step('The page retries: the same order, the same payment, and Cloud Pay is not asked again')
  const again = await post(order('sb01demo0001'))
  assert.equal(again.status, 200)
  assert.deepEqual(again.body['payment'], created.body['payment'])
  assert.equal(received.length, 1)

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

  step('The payer pays in the wallet')
  const paid = await call('POST', `${sandbox.origin}/_sandbox/pay`, { out_trade_no: 'sb01demo0001' })
  assert.equal(paid.status, 200)

  step('The order is read back: our own signed query says paid')
  const status = await read('sb01demo0001')
  assert.equal(status.body['state'], 'paid')
  assert.equal(status.body['refreshed'], true)

  say('\nEverything above held.')
}

let count = 0
const say = (text: string) => console.log(text)
const step = (title: string) => say(`\n── ${++count}. ${title}`)

async function call(method: string, url: string, body?: unknown) {
  say(`→ ${method} ${new URL(url).pathname}${new URL(url).search}`)
  if (body !== undefined) show('  ', body)
  const response = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const answer = (await response.json()) as Record<string, unknown>
  say(`← ${response.status}`)
  show('  ', answer)
  return { status: response.status, body: answer }
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
