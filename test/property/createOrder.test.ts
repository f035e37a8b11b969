import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { sql } from 'kysely'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { FAULTS } from '../../shared/base/errors'
import { holds, propertyRuns } from '../support/property'
import { openWorld, type Answer, type World } from '../support/world'
import { edgePlans, eventOf, NOW_S, plans, type Plan } from './orderEvents'
import { judge, OWNED, type Said, type Verdict } from './orderOracle'

/** So often the world forgets what it has seen: a long run must not grow. */
const FORGET_EVERY = 200

let world: World
/** The far end's last answer, as it left. */
let answered: Buffer | undefined

beforeEach(async () => {
  world = await openWorld({
    wrapPost: (post) => async (url, body, options) => {
      const answer = await post(url, body, options)
      answered = answer.body
      return answer
    },
  })
  world.clock.nowMsValue = NOW_S * 1000 + 999
})
afterEach(() => world.close())

test('POST /orders takes what the rules allow and nothing else, whatever is sent', async () => {
  const { check, tally } = await checker()
  await holds(fc.asyncProperty(plans, check))

  const { runs, accepted, refusedFor } = tally
  process.stdout.write(`${runs} bodies, ${((accepted / runs) * 100).toFixed(1)} % of them accepted\n`)
  expect(accepted / runs).toBeGreaterThanOrEqual(0.2)
  if (propertyRuns() < 1000) return
  // Every way of being refused was met, so none of the above was true of nothing.
  expect([...refusedFor].sort()).toEqual([
    'body_invalid',
    'body_not_base64',
    'body_not_json',
    'body_not_utf8',
    'body_too_large',
    'caller_unknown',
    'idempotency_key_invalid',
    'idempotency_required',
  ])
})

test('POST /orders knows the edges of every field, whoever pays', async () => {
  const { check, tally } = await checker()
  for (const plan of edgePlans) await check(plan)
  expect(tally.accepted).toBeGreaterThan(edgePlans.length / 5)
})

/** Sends one event after the other to one world, and compares what comes of it with what the oracle says. */
async function checker() {
  const tally = { runs: 0, accepted: 0, refusedFor: new Set<string>() }
  let rows = await countRows()
  return {
    tally,
    async check(plan: Plan): Promise<void> {
      const event = eventOf(plan, ++tally.runs)
      const verdict = judge(event, NOW_S)
      world.log.length = 0
      world.sandbox.received.length = 0
      const before = rows
      const answer = await world.call('POST', '/orders', { event })
      rows = await countRows()

      assert.equal(
        answer.statusCode === 201,
        verdict.faults.length === 0,
        `${answer.statusCode} ${JSON.stringify(answer.body)}, but ${JSON.stringify(verdict.faults)}`,
      )
      assert(!world.log.some(({ level }) => level === 'error'))
      if (answer.statusCode === 201) {
        await checkAccepted(answer, verdict)
        // The order, "created" and "moved".
        assert.equal(rows, before + 3)
        if (++tally.accepted % FORGET_EVERY === 0) rows = await forget()
      } else {
        tally.refusedFor.add(checkRefusal(answer, verdict))
        assert.equal(rows, before)
        assert.deepEqual(world.sandbox.received, [])
      }
    },
  }
}

async function countRows(): Promise<number> {
  const count = sql<{ n: number }>`
    SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_events) AS n`
  return (await count.execute(world.store.db)).rows[0]!.n
}

async function forget(): Promise<number> {
  await world.store.db.deleteFrom('orders').execute()
  await world.store.db.deleteFrom('order_events').execute()
  world.sandbox.orders.clear()
  // Prepared statements are freed on a turn of the event loop, and nothing else here takes one.
  await new Promise((resolve) => setImmediate(resolve))
  return countRows()
}

function checkRefusal({ statusCode, headers, body }: Answer, { faults }: Verdict): string {
  const about = JSON.stringify({ body: body as unknown, faults })
  assert.match(String(headers['content-type']), /^application\/problem\+json/)
  assert(statusCode >= 400 && statusCode < 500, about)
  assert.equal(statusCode, FAULTS[body.code as keyof typeof FAULTS].status)
  assert.equal(body.status, statusCode)
  assert(
    faults.some(({ code }) => code === body.code),
    about,
  )
  if (body.code !== 'body_invalid') assert.equal(body.fields, undefined)
  else {
    assert(body.fields.length > 0, about)
    const traps = faults.filter(({ trap }) => trap !== undefined)
    for (const { field, code, message } of body.fields) {
      if (traps.length > 0) {
        assert(
          traps.some((one) => one.trap === code),
          about,
        )
      }
      assert(code !== '' && message !== '', about)
      // How deep a body is, is no one field's fault.
      assert.equal(field === '', code === 'too_deep', about)
      assert(
        faults.some((fault) => isAbout(fault.field ?? '', field as string)),
        about,
      )
    }
  }
  return body.code as string
}

/** One path is the other one, or leads to it. */
const isAbout = (a: string, b: string) =>
  a === '' || b === '' || `${a}.`.startsWith(`${b}.`) || `${b}.`.startsWith(`${a}.`)

async function checkAccepted({ headers, body }: Answer, verdict: Verdict): Promise<void> {
  const said = verdict.said as Said
  const order = said['pay_content'] as Said
  const miniProgram = said['trade_type'] === 9
  assert.match(String(headers['content-type']), /^application\/json/)

  const number: string = body.out_trade_no
  if (order['out_trade_no'] !== undefined) assert.equal(number, order['out_trade_no'])
  const row = await world.store.db
    .selectFrom('orders')
    .selectAll()
    .where('out_trade_no', '=', number)
    .executeTakeFirstOrThrow()

  // What left is what is stored, byte for byte, under a code that is right.
  const { received } = world.sandbox
  assert.equal(received.length, 1)
  assert.equal(received[0]!.interface, miniProgram ? 'mini_program_pay' : 'official_account_pay')
  const outer = JSON.parse(received[0]!.body) as Said
  assert.deepEqual(outer, {
    request_content: row.request_content,
    authen_info: { a: { authen_type: 1, authen_code: hmac(row.request_content) } },
  })

  // It says what the client said, and what the server owns.
  const sent = JSON.parse(row.request_content) as Said
  const { nonce_str, ...rest } = sent
  assert.match(nonce_str as string, /^[0-9a-f]{32}$/)
  const { detail } = order
  const sentDetail: unknown = sent['pay_content'].detail
  if (typeof detail === 'object') assert.deepEqual(JSON.parse(sentDetail as string), detail)
  assert.deepEqual(rest, {
    pay_content: {
      ...order,
      out_trade_no: number,
      fee_type: 'CNY',
      time_expire: order['time_expire'] ?? NOW_S + 900,
      ...(detail === undefined ? {} : { detail: typeof detail === 'string' ? detail : sentDetail }),
    },
    pay_mch_key: {
      ...said['pay_mch_key'],
      out_mch_id: OWNED.out_mch_id,
      out_sub_mch_id: OWNED.out_sub_mch_id,
      out_shop_id: OWNED.out_shop_id,
    },
    order_client: {
      terminal_type: 100,
      ...said['order_client'],
      sdk_version: OWNED.sdk_version,
      spbill_create_ip: OWNED.spbill_create_ip,
    },
    ...(miniProgram ? {} : { trade_type: 3 }),
  })

  // The row says so too.
  const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = said['pay_mch_key']
  const payer = { ...wxpay, ...alipay } as Record<string, string>
  assert.equal(row.state, 'pending')
  assert.equal(row.total_fee, order['total_fee'])
  assert.equal(row.payer_id, payer[row.payer_field])
  assert.equal(row.caller, verdict.caller)
  assert.equal(row.idempotency_key, verdict.idempotencyKey)

  // And the payer gets what the far end signed.
  const answer = JSON.parse(JSON.parse(answered!.toString('utf8')).response_content as string) as Said
  const { jsapi_args } = answer[received[0]!.interface]
  assert.deepEqual(body.jsapi_args, jsapi_args)
  const { wxpay: wallet, alipay: cashier } = jsapi_args
  const given = wallet?.get_brand_wcpay ?? wallet?.mini_program_pay
  assert.deepEqual(
    body.payment,
    given
      ? {
          ...(miniProgram ? {} : { appId: given.app_id }),
          timeStamp: given.timestamp,
          nonceStr: given.nonce_str,
          package: given.package,
          signType: given.sign_type,
          paySign: given.pay_sign,
        }
      : { tradeNO: cashier.trade_pay.trade_no },
  )
}

const hmac = (text: string) =>
  createHmac('sha256', Buffer.from(SANDBOX_MERCHANT.authen_key, 'ascii'))
    .update(Buffer.from(text, 'utf8'))
    .digest('hex')
    .toUpperCase()
