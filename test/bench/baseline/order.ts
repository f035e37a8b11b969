import { createHash, createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'

/**
 * `createOrder` as somebody would write it by hand for one database: no library but the driver, nothing imported from
 * shared/. It stores the same columns with the same statements in the same transactions, sends the same request, and
 * gives the same answer; likeness.ts compares all four before anything is measured. It does less where nobody asked,
 * and what it leaves out makes it faster, never slower:
 *
 * - Official accounts alone, of the ways to pay, with one sub-merchant. It reads who else is configured in the database,
 *   as ours does when DATA_KEYS are set, and gives up when there is somebody.
 * - No repeats: a number or key that is taken is an error. So its hash need not sort the names a caller writes.
 * - No limits, quotes or catalogue; ours leaves those out as well while CALLERS is `open`, which is how both are
 *   measured.
 * - No retries, no takeover, no time limit on a statement, no deadline of the platform's: a lease of fixed length.
 * - The first fault ends it, without saying where. Names given twice in the JSON and sizes of the head pass.
 * - Of Cloud Pay's answer it compares what ours compares, and does not check the types of what nobody uses.
 * - No log, no advice about `body`, no word about what a hand-over lacks.
 */
export type Db = { query(sql: string, parameters: readonly unknown[]): Promise<Said> }
export type Said = { rows: Json[]; affected: number }

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
const othersInDatabase = env['DATA_KEYS'] !== undefined
const LEASE_MS = 11_000
const FIRST_LOOK_MS = 20_000

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
  if (count > max || /\p{Surrogate}/u.test(value) || value.includes('\0'))
    throw new Refused('text too long or malformed')
}

function whole(value: unknown, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    throw new Refused('not a number in range')
}

const oneOf = (value: unknown, allowed: readonly unknown[]): void => {
  if (!allowed.includes(value)) throw new Refused('not one of the allowed values')
}

const N32 = 2_147_483_647
/** Official account. */
const TRADE_TYPE = 3

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

function check(body: unknown, now: number) {
  const top = object(body, [
    'pay_content',
    'pay_mch_key',
    'order_client',
    'trade_type',
    'merchant_order_id',
    'nonce_str',
  ])
  if (top['nonce_str'] !== undefined) throw new Refused('nonce_str')
  oneOf(top['trade_type'], [undefined, TRADE_TYPE])
  const purchase = top['merchant_order_id']
  if (purchase !== undefined && (typeof purchase !== 'string' || !/^[!-~]{1,64}$/.test(purchase)))
    throw new Refused('merchant_order_id')

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
  whole(content['total_fee'], 1, N32)
  oneOf(content['fee_type'], [undefined, 'CNY'])
  text(content['body'], 128, 1)
  checkDetail(content['detail'])
  text(content['remark'], 127)
  if (content['time_expire'] !== undefined) whole(content['time_expire'], now + 120, now + 7200)
  if (content['wxpay_pay_content_ext'] !== undefined) {
    const ext = object(content['wxpay_pay_content_ext'], ['attach', 'goods_tag', 'product_id', 'limit_pay'])
    text(ext['attach'], 127)
    text(ext['goods_tag'], 32)
    text(ext['product_id'], 32)
    oneOf(ext['limit_pay'], [undefined, 'no_credit'])
  }
  const number = content['out_trade_no']
  if (number !== undefined) {
    text(number, 32, prefix.length + 1)
    if (!(number as string).startsWith(prefix) || !/^[0-9A-Za-z]+$/.test(number as string))
      throw new Refused('out_trade_no')
  }

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
  const wechat = mch['pay_platform'] === 1
  const wxpay = mch['wxpay_pay_mch_key_ext']
  const alipay = mch['alipay_pay_mch_key_ext']
  if ((wxpay !== undefined) !== wechat) throw new Refused('wxpay_pay_mch_key_ext')
  if ((alipay !== undefined) === wechat) throw new Refused('alipay_pay_mch_key_ext')
  if (!wechat && content['wxpay_pay_content_ext'] !== undefined) throw new Refused('wxpay_pay_content_ext')
  if (wechat) {
    const ext = object(wxpay, ['app_id', 'sub_app_id', 'open_id', 'sub_open_id'])
    for (const name of ['app_id', 'sub_app_id']) if (ext[name] !== undefined) text(ext[name], 32, 1)
    for (const name of ['open_id', 'sub_open_id']) if (ext[name] !== undefined) text(ext[name], 128, 1)
    if ((ext['open_id'] === undefined) === (ext['sub_open_id'] === undefined)) throw new Refused('payer')
  } else text(object(alipay, ['user_id'])['user_id'], 32, 1)

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
}

/** Who pays, and the field that says so. */
function payerOf(mch: Json): { payer_field: string; payer_id: unknown } {
  const wxpay = mch['wxpay_pay_mch_key_ext'] as Json | undefined
  const alipay = mch['alipay_pay_mch_key_ext'] as Json | undefined
  const payer_field = alipay ? 'user_id' : wxpay?.['open_id'] === undefined ? 'sub_open_id' : 'open_id'
  return { payer_field, payer_id: (alipay ?? wxpay)?.[payer_field] }
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

type Sent = { text: string; number: string; fee: unknown; platform: unknown; payer: Payer; at: number }
type Payer = ReturnType<typeof payerOf>

async function ask({ text: request_content, number, fee, platform, payer, at }: Sent) {
  const envelope = {
    request_content,
    authen_info: { a: { authen_type: 1, authen_code: code(request_content) } },
  }
  const outer = JSON.parse(await post(Buffer.from(JSON.stringify(envelope), 'utf8'))) as {
    response_content: string
    authen_info: { a: { authen_type: number; authen_code: string } }
  }
  const { authen_type, authen_code } = outer.authen_info.a
  const received = Buffer.from(authen_code)
  const right = Buffer.from(code(outer.response_content))
  if (authen_type !== 1 || received.length !== right.length || !timingSafeEqual(received, right))
    throw new Error('signature')
  const answer = JSON.parse(outer.response_content) as {
    status: number
    official_account_pay: { order_content: Json; pay_mch_key: Json; jsapi_args: Json }
  }
  // Requests and notifications are signed with the same key.
  if ('order_content' in answer || 'pay_mch_key' in answer || 'out_trade_no' in answer)
    throw new Error('not an answer')
  if (answer.status !== 0) throw new Error(`status ${answer.status}`)
  const { order_content: content, pay_mch_key: mch, jsapi_args } = answer.official_account_pay
  const ext = (mch['wxpay_pay_mch_key_ext'] ?? mch['alipay_pay_mch_key_ext'] ?? {}) as Json
  const repeats =
    content['out_trade_no'] === number &&
    content['total_fee'] === fee &&
    content['fee_type'] === 'CNY' &&
    (content['create_time'] as number) >= at - 300 &&
    (content['trade_type'] ?? TRADE_TYPE) === TRADE_TYPE &&
    mch['pay_platform'] === platform &&
    mch['out_mch_id'] === merchant.out_mch_id &&
    mch['out_sub_mch_id'] === merchant.out_sub_mch_id &&
    mch['out_shop_id'] === merchant.out_shop_id &&
    (ext[payer.payer_field] ?? payer.payer_id) === payer.payer_id
  if (!repeats) throw new Error('an answer about something else')
  return jsapi_args
}

/** What the wallet's function wants, by its own names. */
function paymentOf(jsapi_args: Json, platform: unknown): Json {
  const { wxpay, alipay } = jsapi_args as Record<string, Record<string, Json>>
  if (platform === 2) return { tradeNO: alipay!['trade_pay']!['trade_no'] }
  const handover = wxpay!['get_brand_wcpay']!
  return {
    appId: handover['app_id'],
    timeStamp: handover['timestamp'],
    nonceStr: handover['nonce_str'],
    package: handover['package'],
    signType: handover['sign_type'],
    paySign: handover['pay_sign'],
  }
}

// ── the statements ─────────────────────────────────────────────────────────────────────────────────────────────

/** A text, and the names of its values in the order in which it wants them. Values are only ever given by name. */
export type Statement<Name extends string> = { text: string; names: readonly Name[] }

export const say = <Name extends string>(
  db: Db,
  { text: sql, names }: Statement<Name>,
  values: Record<Name, unknown>,
): Promise<Said> =>
  db.query(
    sql,
    names.map((name) => values[name]),
  )

const ORDER = [
  'out_sub_mch_id',
  'out_trade_no',
  'out_mch_id',
  'out_shop_id',
  'pay_platform',
  'trade_type',
  'total_fee',
  'fee_type',
  'payer_field',
  'payer_id',
  'merchant_order_id',
  'purchase_slot',
  'quote_iss',
  'quote_jti',
  'caller',
  'idempotency_key',
  'content_hash',
  'request_content',
  'author_code_sealed',
  'state',
  'version',
  'flag',
  'created_at',
  'updated_at',
  'time_expire',
  'sends',
  'lease_token',
  'lease_holder',
  'looked_at_ms',
  'looks',
  'fruitless',
  'not_founds',
  'notified_at_ms',
  'jsapi_args',
  'transaction_id',
  'paid_at',
  'cash_fee',
  'settlement_total_fee',
  'wallet_state',
  'reserved_fen',
  'refunded_fen',
  'late_policy',
] as const
export type OrderColumn = (typeof ORDER)[number]

const EVENT = [
  'out_sub_mch_id',
  'out_trade_no',
  'seq',
  'at',
  'kind',
  'from_state',
  'to_state',
  'detail',
  'note',
] as const

/** What a hand-over changes. */
const MOVE = [
  'state',
  'lease_until_ms',
  'looks',
  'fruitless',
  'not_founds',
  'jsapi_args',
  'updated_at',
  'version',
  'purged_at',
  'seen',
] as const

export function statements({ quote, mark, nowMs }: Words) {
  const name = (plain: string) => quote + plain + quote
  /** `of('x')` stands in a text for the value named `x`. */
  function statement<Name extends string>(write: (of: (value: Name) => string) => string): Statement<Name> {
    const names: Name[] = []
    return { text: write((value) => mark(names.push(value))), names }
  }
  const insert = (table: string, values: [column: string, value: string][]) =>
    `insert into ${name(table)} (${values.map(([column]) => name(column)).join(', ')}) ` +
    `values (${values.map(([, value]) => value).join(', ')})`
  const equal = (column: string, value: string) => `${name(column)} = ${value}`

  return {
    insertOrder: statement<OrderColumn | 'lease_ms' | 'due_ms'>((of) =>
      insert('orders', [
        ...ORDER.map((column): [string, string] => [column, of(column)]),
        ['lease_until_ms', `${nowMs} + ${of('lease_ms')}`],
        ['next_due_at_ms', `${nowMs} + ${of('due_ms')}`],
      ]),
    ),
    insertEvent: statement<(typeof EVENT)[number]>((of) =>
      insert(
        'order_events',
        EVENT.map((column) => [column, of(column)]),
      ),
    ),
    move: statement<
      (typeof MOVE)[number] | 'due_ms' | 'out_sub_mch_id' | 'out_trade_no' | 'from_version' | 'from_state'
    >((of) => {
      const sets = [
        ...MOVE.map((column) => equal(column, of(column))),
        equal('next_due_at_ms', `${nowMs} + ${of('due_ms')}`),
      ]
      const guards = [
        equal('out_sub_mch_id', of('out_sub_mch_id')),
        equal('out_trade_no', of('out_trade_no')),
        equal('version', of('from_version')),
        equal('state', of('from_state')),
      ]
      return `update ${name('orders')} set ${sets.join(', ')} where ${guards.join(' and ')}`
    }),
    findGeneration: statement<'name'>(
      (of) =>
        `select ${name('at_ms')}, ${name('value')}, ${nowMs} as ${name('now_ms')} from ${name('marks')} ` +
        `where ${equal('name', of('name'))}`,
    ),
    listMerchants: statement<never>(() => `select * from ${name('merchants')}`),
  }
}

type Statements = ReturnType<typeof statements>

/** Recorded before anybody is asked: the order as it is made, and the event that tells of it. */
export async function insertOrder(
  db: Db,
  sql: Statements,
  order: Record<OrderColumn, unknown>,
): Promise<void> {
  const { out_sub_mch_id, out_trade_no, version, created_at, state } = order
  const event = { seq: version, at: created_at, kind: 'created', from_state: null, to_state: state }
  await db.query('BEGIN', [])
  await say(db, sql.insertOrder, { ...order, lease_ms: LEASE_MS, due_ms: FIRST_LOOK_MS })
  await say(db, sql.insertEvent, { out_sub_mch_id, out_trade_no, ...event, detail: '{}', note: null })
  await db.query('COMMIT', [])
}

type Key = { out_sub_mch_id: unknown; out_trade_no: unknown }

/** Guarded by the version and the state it was decided on. */
export async function handOver(
  db: Db,
  sql: Statements,
  key: Key,
  from: { version: number; state: string },
  at: number,
  jsapi_args: string,
): Promise<void> {
  const { out_sub_mch_id, out_trade_no } = key
  const version = from.version + 1
  await db.query('BEGIN', [])
  const { affected } = await say(db, sql.move, {
    state: 'pending',
    lease_until_ms: 0,
    looks: 0,
    seen: 0,
    fruitless: 0,
    not_founds: 0,
    jsapi_args,
    updated_at: at,
    version,
    purged_at: null,
    due_ms: FIRST_LOOK_MS,
    out_sub_mch_id,
    out_trade_no,
    from_version: from.version,
    from_state: from.state,
  })
  if (affected !== 1) throw new Error('lost')
  await say(db, sql.insertEvent, {
    out_sub_mch_id,
    out_trade_no,
    seq: version,
    at,
    kind: 'moved',
    from_state: from.state,
    to_state: 'pending',
    detail: '{"by":"create"}',
    note: null,
  })
  await db.query('COMMIT', [])
}

export const moment = (epoch: number) => ({
  epoch,
  rfc3339: new Date((epoch + 8 * 3600) * 1000).toISOString().replace('.000Z', '+08:00'),
})

/** `checked: false` leaves the checks out: what remains is the bare post and the bare statements. */
export function handler(connect: () => Promise<Db>, words: Words, checked = true) {
  let opening: Promise<Db> | undefined
  let sql: Statements | undefined
  let generation: unknown

  async function lookForOthers(db: Db, { findGeneration, listMerchants }: Statements): Promise<void> {
    const { rows } = await say(db, findGeneration, { name: 'merchants' })
    const latest = rows[0]?.['value'] ?? '0'
    if (latest === generation) return
    if ((await say(db, listMerchants, {})).rows.length > 0)
      throw new Error('sub-merchants in the database are not served')
    generation = latest
  }

  return async (event: Event, context: { request_id?: string }) => {
    sql ??= statements(words)
    const db = await (opening ??= connect())
    if (othersInDatabase) await lookForOthers(db, sql)

    const body = JSON.parse(event.body) as Json
    const now = Math.floor(Date.now() / 1000)
    const idempotency_key = event.headers['idempotency-key'] ?? null
    if (checked) {
      check(body, now)
      if (idempotency_key !== null && !/^[!-~]{1,255}$/.test(idempotency_key)) throw new Refused('key')
    }
    const content = body['pay_content'] as Json
    const mch = body['pay_mch_key'] as Json
    const client = body['order_client'] as Json | undefined
    const payer = payerOf(mch)
    const caller = event.headers['x-local-caller'] ?? 'local'
    const merchant_order_id = body['merchant_order_id'] ?? null
    const { pay_platform, wxpay_pay_mch_key_ext, alipay_pay_mch_key_ext } = mch
    const { total_fee, body: title, remark, wxpay_pay_content_ext } = content
    const detail = content['detail']
    const time_expire = (content['time_expire'] as number | undefined) ?? now + 900
    const out_trade_no =
      (content['out_trade_no'] as string | undefined) ?? prefix + randomBytes(10).toString('hex')
    const request_content = JSON.stringify({
      pay_mch_key: { pay_platform, ...merchant, wxpay_pay_mch_key_ext, alipay_pay_mch_key_ext },
      pay_content: {
        out_trade_no,
        total_fee,
        fee_type: 'CNY',
        body: title,
        detail: detail === undefined || typeof detail === 'string' ? detail : JSON.stringify(detail),
        remark,
        time_expire,
        wxpay_pay_content_ext,
      },
      order_client: { terminal_type: 100, ...client, ...CLIENT },
      nonce_str: randomBytes(16).toString('hex'),
      trade_type: TRADE_TYPE,
    })
    const asked = {
      merchant,
      caller,
      pay_content: { ...content, out_trade_no: undefined, time_expire: undefined },
      payer: [wxpay_pay_mch_key_ext, alipay_pay_mch_key_ext],
      pay_platform,
      merchant_order_id,
    }
    const order: Record<OrderColumn, unknown> = {
      ...merchant,
      out_trade_no,
      pay_platform,
      trade_type: TRADE_TYPE,
      total_fee,
      fee_type: 'CNY',
      ...payer,
      merchant_order_id,
      purchase_slot: merchant_order_id,
      quote_iss: null,
      quote_jti: null,
      caller,
      idempotency_key,
      content_hash: createHash('sha256').update(JSON.stringify(asked)).digest('hex'),
      request_content,
      author_code_sealed: null,
      state: 'created',
      version: 1,
      flag: null,
      created_at: now,
      updated_at: now,
      time_expire,
      sends: 1,
      lease_token: 1,
      lease_holder: randomBytes(16).toString('hex'),
      looked_at_ms: 0,
      looks: 0,
      fruitless: 0,
      not_founds: 0,
      notified_at_ms: null,
      jsapi_args: null,
      transaction_id: null,
      paid_at: null,
      cash_fee: null,
      settlement_total_fee: null,
      wallet_state: null,
      reserved_fen: 0,
      refunded_fen: 0,
      late_policy: null,
    }
    await insertOrder(db, sql, order)

    const jsapi_args = await ask({
      text: request_content,
      number: out_trade_no,
      fee: total_fee,
      platform: pay_platform,
      payer,
      at: now,
    })
    const key = { out_sub_mch_id: merchant.out_sub_mch_id, out_trade_no }
    const at = Math.floor(Date.now() / 1000)
    await handOver(db, sql, key, { version: 1, state: 'created' }, at, JSON.stringify(jsapi_args))

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
        out_sub_mch_id: merchant.out_sub_mch_id,
        ...(merchant_order_id === null ? {} : { merchant_order_id }),
        state: 'pending',
        flag: null,
        total_fee,
        fee_type: 'CNY',
        pay_platform,
        trade_type: TRADE_TYPE,
        created_at: moment(now),
        time_expire: moment(time_expire),
        paid_at: null,
        transaction_id: null,
        cash_fee: null,
        settlement_total_fee: null,
        refunded_fee: 0,
        refunding_fee: 0,
        jsapi_args,
        payment: paymentOf(jsapi_args, pay_platform),
      }),
      isBase64Encoded: false,
    }
  }
}
