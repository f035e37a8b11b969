import { createHash, createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'

/**
 * `createOrder` as somebody would write it by hand for one database: no library but the driver, nothing imported from
 * shared/. The same checks of the same fields, the same statements in the same transactions, the same request and the
 * same answer. It does less where nobody asked: no repeats, no retries, no takeover, no log.
 */
export type Db = { query(sql: string, parameters: readonly unknown[]): Promise<number> }

export type Words = {
  quote: string
  mark: (at: number) => string
  nowMs: string
}

export type Event = { body: string; headers: Record<string, string> }
type Json = Record<string, unknown>

const env = process.env
const merchant = {
  out_mch_id: env['CLOUD_PAY_OUT_MCH_ID'] ?? '',
  out_sub_mch_id: env['CLOUD_PAY_OUT_SUB_MCH_ID'] ?? '',
  out_shop_id: env['CLOUD_PAY_OUT_SHOP_ID'] ?? '',
}
const prefix = env['CLOUD_PAY_ORDER_PREFIX'] ?? ''
const key = createSecretKey(Buffer.from(env['CLOUD_PAY_AUTHEN_KEY'] ?? '', 'utf8'))
const url = `${env['CLOUD_PAY_BASE_URL'] ?? ''}official_account_pay`
const agent = new Agent({ keepAlive: true, ca: readFileSync(env['CLOUD_PAY_CA_FILE'] ?? '', 'utf8') })
const CLIENT = { sdk_version: 'scf-ts0.1', spbill_create_ip: '127.0.0.1' }

// ── the request, checked by hand ───────────────────────────────────────────────────────────────────────────────

class Refused extends Error {}

function object(value: unknown, names: readonly string[]): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refused('not an object')
  for (const name of Object.keys(value)) if (!names.includes(name)) throw new Refused(`unknown field ${name}`)
  return value as Json
}

function text(value: unknown, max: number, min = 0): void {
  if (value === undefined && min === 0) return
  if (typeof value !== 'string' || value.length < min) throw new Refused('not a text')
  let count = 0
  for (const _ of value) count++
  if (count > max || /\p{Surrogate}/u.test(value)) throw new Refused('text too long or malformed')
}

function whole(value: unknown, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    throw new Refused('not a number in range')
}

const oneOf = (value: unknown, allowed: readonly unknown[]): void => {
  if (!allowed.includes(value)) throw new Refused('not one of the allowed values')
}

const N32 = 2_147_483_647

function checkDetail(given: unknown): void {
  if (given === undefined) return
  const written = typeof given === 'string' ? given : JSON.stringify(given)
  text(written, 6000)
  const detail = object(typeof given === 'string' ? JSON.parse(given) : given, [
    'cost_price',
    'receipt_id',
    'goods_detail',
  ])
  if (detail['cost_price'] !== undefined) whole(detail['cost_price'], 0, N32)
  text(detail['receipt_id'], 32)
  if (!Array.isArray(detail['goods_detail'])) throw new Refused('goods_detail')
  for (const one of detail['goods_detail']) {
    const goods = object(one, ['goods_id', 'goods_name', 'quantity', 'price'])
    text(goods['goods_id'], 32)
    text(goods['goods_name'], 256)
    whole(goods['quantity'], 0, N32)
    whole(goods['price'], 0, N32)
  }
}

function check(body: unknown) {
  const top = object(body, ['pay_content', 'pay_mch_key', 'order_client', 'trade_type', 'nonce_str'])
  if (top['nonce_str'] !== undefined) throw new Refused('nonce_str')
  if (top['trade_type'] !== undefined) oneOf(top['trade_type'], [3, 9])

  const content = object(top['pay_content'], [
    'out_trade_no',
    'total_fee',
    'fee_type',
    'body',
    'detail',
    'remark',
    'time_expire',
    'wxpay_pay_content_ext',
  ])
  text(content['out_trade_no'], 32)
  whole(content['total_fee'], 1, N32)
  oneOf(content['fee_type'], [undefined, 'CNY'])
  text(content['body'], 128, 1)
  checkDetail(content['detail'])
  text(content['remark'], 127)
  if (content['time_expire'] !== undefined) whole(content['time_expire'], 0, 99_999_999_999)
  if (content['wxpay_pay_content_ext'] !== undefined) {
    const ext = object(content['wxpay_pay_content_ext'], ['attach', 'goods_tag', 'product_id', 'limit_pay'])
    text(ext['attach'], 127)
    text(ext['goods_tag'], 32)
    text(ext['product_id'], 32)
    oneOf(ext['limit_pay'], [undefined, 'no_credit'])
  }
  const number = (content['out_trade_no'] as string | undefined) ?? prefix
  if (!number.startsWith(prefix) || !/^[0-9A-Za-z]+$/.test(number)) throw new Refused('out_trade_no')

  const mch = object(top['pay_mch_key'], [
    'pay_platform',
    'out_mch_id',
    'out_sub_mch_id',
    'out_shop_id',
    'wxpay_pay_mch_key_ext',
    'alipay_pay_mch_key_ext',
  ])
  oneOf(mch['pay_platform'], [1, 2])
  oneOf(mch['out_mch_id'], [undefined, merchant.out_mch_id])
  oneOf(mch['out_sub_mch_id'], [undefined, merchant.out_sub_mch_id])
  oneOf(mch['out_shop_id'], [undefined, merchant.out_shop_id])
  const wxpay = mch['wxpay_pay_mch_key_ext']
  const alipay = mch['alipay_pay_mch_key_ext']
  if ((wxpay === undefined) === (mch['pay_platform'] === 1)) throw new Refused('wxpay_pay_mch_key_ext')
  if ((alipay === undefined) === (mch['pay_platform'] === 2)) throw new Refused('alipay_pay_mch_key_ext')
  let payer: [field: string, id: unknown] = ['user_id', undefined]
  if (wxpay !== undefined) {
    const ext = object(wxpay, ['app_id', 'sub_app_id', 'open_id', 'sub_open_id', 'mini_program_sub_app_id'])
    text(ext['app_id'], 32)
    text(ext['sub_app_id'], 32)
    text(ext['open_id'], 128)
    text(ext['sub_open_id'], 128)
    text(ext['mini_program_sub_app_id'], 32)
    if ((ext['open_id'] === undefined) === (ext['sub_open_id'] === undefined)) throw new Refused('payer')
    payer = ext['open_id'] === undefined ? ['sub_open_id', ext['sub_open_id']] : ['open_id', ext['open_id']]
  } else {
    const ext = object(alipay, ['user_id'])
    text(ext['user_id'], 32, 1)
    payer[1] = ext['user_id']
  }

  const client = object(top['order_client'] ?? {}, [
    'device_id',
    'staff_id',
    'terminal_type',
    'sdk_version',
    'spbill_create_ip',
  ])
  text(client['device_id'], 64)
  text(client['staff_id'], 64)
  oneOf(client['terminal_type'], [undefined, 1, 2, 3, 4, 100])
  oneOf(client['sdk_version'], [undefined, CLIENT.sdk_version])
  oneOf(client['spbill_create_ip'], [undefined, CLIENT.spbill_create_ip])
  return { content, mch, client, payer }
}

// ── Cloud Pay ──────────────────────────────────────────────────────────────────────────────────────────────────

const code = (content: string) => createHmac('sha256', key).update(content).digest('hex').toUpperCase()

function post(body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json;charset=UTF-8',
      'content-length': body.length,
      accept: 'application/json',
    }
    const outgoing = request(url, { method: 'POST', agent, headers, timeout: 6000 }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function ask(request_content: string): Promise<{ content: Json; handover: Json; jsapi_args: Json }> {
  const envelope = {
    request_content,
    authen_info: { a: { authen_type: 1, authen_code: code(request_content) } },
  }
  const outer = JSON.parse(await post(Buffer.from(JSON.stringify(envelope), 'utf8'))) as {
    response_content: string
    authen_info: { a: { authen_code: string } }
  }
  const received = Buffer.from(outer.authen_info.a.authen_code)
  const right = Buffer.from(code(outer.response_content))
  if (received.length !== right.length || !timingSafeEqual(received, right)) throw new Error('signature')
  const { status, official_account_pay: member } = JSON.parse(outer.response_content) as {
    status: number
    official_account_pay: { order_content: Json; pay_mch_key: Json; jsapi_args: Json }
  }
  if (status !== 0) throw new Error(`status ${status}`)
  const handover = (member.jsapi_args['wxpay'] as { get_brand_wcpay: Json }).get_brand_wcpay
  for (const name of ['out_mch_id', 'out_sub_mch_id', 'out_shop_id'] as const)
    if (member.pay_mch_key[name] !== merchant[name]) throw new Error('an answer about something else')
  return { content: member.order_content, handover, jsapi_args: member.jsapi_args }
}

// ── the statements ─────────────────────────────────────────────────────────────────────────────────────────────

const ORDER =
  'out_sub_mch_id out_trade_no out_mch_id out_shop_id pay_platform trade_type total_fee fee_type payer_field payer_id ' +
  'caller idempotency_key content_hash request_content state version flag created_at updated_at time_expire sends ' +
  'lease_token lease_holder looked_at_ms jsapi_args transaction_id paid_at cash_fee settlement_total_fee wallet_state'
const EVENT = 'out_sub_mch_id out_trade_no seq at kind from_state to_state detail'

export function statements({ quote, mark, nowMs }: Words) {
  const name = (plain: string) => quote + plain + quote
  const insert = (table: string, columns: string[], last: [string, string][] = []) =>
    `insert into ${name(table)} (${[...columns, ...last.map(([column]) => column)].map(name).join(', ')}) values (${[
      ...columns.map((_, at) => mark(at + 1)),
      ...last.map(([, expression]) => expression),
    ].join(', ')})`
  const sets = ['state', 'jsapi_args', 'lease_until_ms', 'updated_at', 'version']
  const guards = ['out_sub_mch_id', 'out_trade_no', 'version', 'state']
  const equal = (from: number) => (column: string, at: number) => `${name(column)} = ${mark(from + at)}`
  return {
    insertOrder: insert('orders', ORDER.split(' '), [['lease_until_ms', `${nowMs} + 11000`]]),
    insertEvent: insert('order_events', EVENT.split(' ')),
    move: `update ${name('orders')} set ${sets.map(equal(1)).join(', ')} where ${guards.map(equal(6)).join(' and ')}`,
  }
}

type Statements = ReturnType<typeof statements>

export const moment = (epoch: number) => ({
  epoch,
  rfc3339: new Date((epoch + 8 * 3600) * 1000).toISOString().replace('.000Z', '+08:00'),
})

/** `checked: false` leaves the checks out: what remains is the bare post and the bare statements. */
export function handler(connect: () => Promise<Db>, words: Words, checked = true) {
  let opening: Promise<Db> | undefined
  let sql: Statements | undefined

  return async (event: Event, context: { request_id?: string }) => {
    sql ??= statements(words)
    const body = JSON.parse(event.body) as Json
    const { content, mch, client, payer } = checked
      ? check(body)
      : {
          content: body['pay_content'] as Json,
          mch: body['pay_mch_key'] as Json,
          client: {},
          payer: [
            'sub_open_id',
            (body['pay_mch_key'] as Record<string, Json>)['wxpay_pay_mch_key_ext']!['sub_open_id'],
          ],
        }
    const caller = event.headers['x-local-caller'] ?? 'local'
    const now = Math.floor(Date.now() / 1000)
    const time_expire = (content['time_expire'] as number | undefined) ?? now + 900
    const out_trade_no =
      (content['out_trade_no'] as string | undefined) ?? prefix + randomBytes(10).toString('hex')
    const { pay_platform, wxpay_pay_mch_key_ext, alipay_pay_mch_key_ext } = mch
    const request_content = JSON.stringify({
      pay_mch_key: { pay_platform, ...merchant, wxpay_pay_mch_key_ext, alipay_pay_mch_key_ext },
      pay_content: { ...content, out_trade_no, fee_type: 'CNY', time_expire },
      order_client: { terminal_type: 100, ...client, ...CLIENT },
      nonce_str: randomBytes(16).toString('hex'),
      trade_type: 3,
    })
    const hash = createHash('sha256')
      .update(JSON.stringify({ merchant, caller, content: { ...content, out_trade_no: undefined }, payer }))
      .digest('hex')
    const holder = randomBytes(16).toString('hex')
    const orderKey = [merchant.out_sub_mch_id, out_trade_no]

    const db = await (opening ??= connect())
    await db.query('BEGIN', [])
    await db.query(sql.insertOrder, [
      ...orderKey,
      merchant.out_mch_id,
      merchant.out_shop_id,
      pay_platform,
      3,
      content['total_fee'],
      'CNY',
      ...payer,
      caller,
      null,
      hash,
      request_content,
      'created',
      1,
      null,
      now,
      now,
      time_expire,
      1,
      1,
      holder,
      0,
      null,
      null,
      null,
      null,
      null,
      null,
    ])
    await db.query(sql.insertEvent, [...orderKey, 1, now, 'created', null, 'created', '{}'])
    await db.query('COMMIT', [])

    const { content: told, handover, jsapi_args } = await ask(request_content)
    if (told['out_trade_no'] !== out_trade_no || told['total_fee'] !== content['total_fee'])
      throw new Error('an answer about something else')

    const at = Math.floor(Date.now() / 1000)
    await db.query('BEGIN', [])
    const moved = await db.query(sql.move, [
      'pending',
      JSON.stringify(jsapi_args),
      0,
      at,
      2,
      ...orderKey,
      1,
      'created',
    ])
    if (moved !== 1) throw new Error('lost')
    await db.query(sql.insertEvent, [...orderKey, 2, at, 'moved', 'created', 'pending', '{"by":"create"}'])
    await db.query('COMMIT', [])

    return {
      statusCode: 201,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'x-request-id': context.request_id ?? '',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      },
      body: JSON.stringify({
        out_trade_no,
        state: 'pending',
        flag: null,
        total_fee: content['total_fee'],
        fee_type: 'CNY',
        pay_platform,
        trade_type: 3,
        created_at: moment(now),
        time_expire: moment(time_expire),
        paid_at: null,
        transaction_id: null,
        cash_fee: null,
        settlement_total_fee: null,
        jsapi_args,
        payment: {
          appId: handover['app_id'],
          timeStamp: handover['timestamp'],
          nonceStr: handover['nonce_str'],
          package: handover['package'],
          signType: handover['sign_type'],
          paySign: handover['pay_sign'],
        },
      }),
      isBase64Encoded: false,
    }
  }
}
