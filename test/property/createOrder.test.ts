import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { sql } from 'kysely'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { FAULTS } from '../../shared/base/errors'
import { holds } from '../support/property'
import { openWorld, type Answer, type World } from '../support/world'
import { edgePlans, eventOf, NOW_S, plans, refusedPlans, type Plan } from './orderEvents'
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

  const { runs, accepted } = tally
  process.stdout.write(`${runs} bodies, ${((accepted / runs) * 100).toFixed(1)} % of them accepted\n`)
  expect(accepted / runs).toBeGreaterThanOrEqual(0.2)
})

test.each(Object.entries(refusedPlans))(
  'POST /orders refuses with %s, and with nothing else',
  async (code, plan) => {
    const { check, tally } = await checker()
    await check(plan)
    expect([...tally.refusedFor]).toEqual([code])
  },
)

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
        // The order, "created" and "moved"; of micro_pay, "paid" as well.
        assert.equal(rows, before + (verdict.said?.['trade_type'] === 1 ? 4 : 3))
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
  if (body.code === 'head_invalid') assert.equal(body.fields.length, 1)
  else if (body.code !== 'body_invalid') assert.equal(body.fields, undefined)
  else {
    assert(body.fields.length > 0, about)
    const traps = faults.filter(({ trap }) => trap !== undefined)
    for (const { field, code, message, message_zh } of body.fields) {
      if (traps.length > 0) {
        assert(
          traps.some((one) => one.trap === code),
          about,
        )
      }
      assert(code !== '' && message !== '' && message_zh !== '', about)
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
  const type = (said['trade_type'] ?? 3) as number
  const miniProgram = type === 9
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
  const asked = [INTERFACES[type]!, ...(type === 1 ? ['query_order'] : [])]
  assert.deepEqual(
    received.map((one) => one.interface),
    asked,
  )
  // A payer's code is what is not stored in the clear.
  const text = row.request_content.replace('"author_code":""', `"author_code":"${order['author_code']}"`)
  const outer = JSON.parse(received[0]!.body) as Said
  assert.deepEqual(outer, {
    request_content: text,
    authen_info: { a: { authen_type: 1, authen_code: hmac(text) } },
  })
  if (type === 1) {
    assert(!JSON.stringify([row, body, world.log]).includes(order['author_code'] as string))
    assert.equal(row.author_code_sealed, null)
  }

  // It says what the client said, and what the server owns.
  const sent = JSON.parse(text) as Said
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
      ...(type === 1 ? {} : { time_expire: order['time_expire'] ?? NOW_S + 900 }),
      ...(type === 2 && said['pay_mch_key'].pay_platform === 1
        ? { wxpay_pay_content_ext: { product_id: number, ...order['wxpay_pay_content_ext'] } }
        : {}),
      ...(detail === undefined ? {} : { detail: typeof detail === 'string' ? detail : sentDetail }),
    },
    pay_mch_key: {
      ...said['pay_mch_key'],
      out_mch_id: OWNED.out_mch_id,
      out_sub_mch_id: OWNED.out_sub_mch_id,
      out_shop_id: OWNED.out_shop_id,
    },
    ...(type === 4 ? {} : { order_client: clientOf(type, said) }),
    ...(type === 3 ? { trade_type: 3 } : {}),
  })

  // The row says so too.
  const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = said['pay_mch_key']
  const payer = { ...wxpay, ...alipay } as Record<string, string>
  assert.equal(row.state, type === 1 ? 'paid' : 'pending')
  assert.equal(row.total_fee, order['total_fee'])
  const nobody = verdict.isPayer ? verdict.caller : ''
  assert.equal(row.payer_id, [3, 9].includes(type) ? payer[row.payer_field] : nobody)
  assert.equal(row.caller, verdict.caller)
  assert.equal(row.idempotency_key, verdict.idempotencyKey)

  // And the payer gets what the far end signed.
  if (type === 1) return assert.equal(body.payment, undefined)
  const answer = JSON.parse(JSON.parse(answered!.toString('utf8')).response_content as string) as Said
  const { jsapi_args, code_url, mweb_url, sdk_args } = answer[received[0]!.interface]
  if (type === 2) return assert.deepEqual(body.payment, { code_url })
  if (type === 6) return assert.deepEqual(body.payment, { mweb_url })
  if (type === 4) {
    const {
      app_id,
      timestamp,
      nonce_str: nonce,
      package_value,
      partner_id,
      prepare_id,
      sign,
    } = sdk_args.wxpay
    assert.deepEqual(body.sdk_args, sdk_args)
    return assert.deepEqual(body.payment, {
      ...{ appId: app_id, partnerId: partner_id, prepayId: prepare_id, packageValue: package_value },
      ...{ nonceStr: nonce, timeStamp: timestamp, sign },
    })
  }
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

const INTERFACES: Record<number, string> = {
  1: 'micro_pay',
  2: 'scan_code_pay',
  3: 'official_account_pay',
  4: 'app_pay',
  6: 'mob_web_pay',
  9: 'mini_program_pay',
}

const clientOf = (type: number, said: Said) =>
  type === 6
    ? { spbill_create_ip: said['order_client'].spbill_create_ip }
    : {
        terminal_type: 100,
        ...said['order_client'],
        sdk_version: OWNED.sdk_version,
        spbill_create_ip: OWNED.spbill_create_ip,
      }

const hmac = (text: string) =>
  createHmac('sha256', Buffer.from(SANDBOX_MERCHANT.authen_key, 'ascii'))
    .update(Buffer.from(text, 'utf8'))
    .digest('hex')
    .toUpperCase()
