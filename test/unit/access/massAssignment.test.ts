import { sql } from 'kysely'
import { sealedNotification, signedText } from '../../support/tamper'
import { openTown, type Town, type Visitor } from '../../support/town'
import { freshNumber, orderBody, type Answer } from '../../support/world'

/**
 * Every column there is, as the migrated database names them, put into requests that would be accepted without it: in
 * the body at every level, the query and the headers, in three spellings. Nobody writes a column by knowing its name.
 */
const TEXT = 'sb01ma55a551gned'
const NUMBER = 424_243
/** Beside the two above: what somebody would really like to write. */
const TEMPTING: Record<string, unknown[]> = {
  state: ['paid', 'refunded'],
  total_fee: [1],
  cash_fee: [1],
  paid_at: [1_900_000_000],
  reserved_fen: [-1_000_000],
  refunded_fen: [0],
  late_policy: ['honour'],
  flag: [null],
  lease_token: [0],
  version: [0],
  payer_id: ['oSandboxMiniPayer0001'],
  caller: ['m:sandboxsub0000000001'],
  scopes: [['admin']],
  active: [1],
}
/** Not columns, and worth a try all the same. */
const ALSO = ['scopes', 'kind', 'id', 'is_new', 'refunds', 'events', 'payment']

type Body = Record<string, unknown>
type Sent = { body: Body; query: Record<string, string>; headers: Record<string, string> }
type Place = { name: string; put: (sent: Sent, name: string, value: unknown) => void; ignored?: true }

const within = (...path: string[]): Place => ({
  name: ['body', ...path].join('.'),
  put({ body }, name, value) {
    const node = path.reduce<Body>((at, step) => (at[step] ??= {}) as Body, body)
    node[name] = value
  },
})
/** Nobody reads these: they are let in, and nothing comes of it. */
const QUERY: Place = {
  name: 'query',
  put: ({ query }, name, value) => void (query[name] = String(value)),
  ignored: true,
}
const HEADERS: Place = {
  name: 'headers',
  put: ({ headers }, name, value) => void (headers[name] = String(value)),
  ignored: true,
}

let town: Town
let payer: Visitor
/** Paid orders: one to ask about, one to give back, fen by fen. */
let paid: string
let refunded: string

type Tried = {
  name: string
  places: Place[]
  /** What a caller may set, by its place and name: everything else with the name of a column is refused or without effect. */
  legal: string[]
  body: () => Body
  send: (sent: Sent) => Promise<Answer>
  /** What it is answered without any of it. */
  accepted: number[]
}

const ORDER_PLACES = [
  within(),
  within('pay_content'),
  within('pay_content', 'wxpay_pay_content_ext'),
  within('pay_mch_key'),
  within('pay_mch_key', 'wxpay_pay_mch_key_ext'),
  within('order_client'),
  within('order'),
  within('orders', '0'),
  within('$set'),
  QUERY,
  HEADERS,
]

const DOORS: Tried[] = [
  {
    name: 'POST /orders, a payer with a quote',
    places: ORDER_PLACES,
    legal: ['body.pay_content.time_expire'],
    body: () => ({ quote: town.quote() }),
    send: (sent) => payer.call('POST', '/orders', sent),
    accepted: [201],
  },
  {
    name: 'POST /orders, a payer with the catalogue',
    places: ORDER_PLACES,
    legal: ['body.sku', 'body.pay_content.time_expire'],
    body: () => ({ sku: 'tea' }),
    send: (sent) =>
      payer.call('POST', '/orders', {
        ...sent,
        headers: { ...sent.headers, 'idempotency-key': freshNumber() },
      }),
    accepted: [201],
  },
  {
    name: 'POST /orders, the merchant’s server',
    places: ORDER_PLACES,
    legal: [
      'body.merchant_order_id',
      'body.trade_type',
      'body.pay_content.out_trade_no',
      'body.pay_content.total_fee',
      'body.pay_content.body',
      'body.pay_content.time_expire',
    ],
    body: () => ({ ...orderBody({ out_trade_no: freshNumber() }) }),
    send: (sent) => town.signed('server', 'POST', '/orders', sent),
    accepted: [201],
  },
  {
    name: 'POST /orders/{out_trade_no}/refunds',
    places: [within(), within('refund'), within('refund_content'), within('order'), QUERY, HEADERS],
    legal: ['body.refund_fee', 'body.out_refund_no', 'body.reason'],
    body: () => ({ refund_fee: 1, out_refund_no: freshNumber() }),
    send: (sent) => town.signed('server', 'POST', `/orders/${refunded}/refunds`, sent),
    accepted: [200, 202],
  },
  {
    name: 'POST /session',
    places: [within(), within('session'), within('claims'), within('payer'), QUERY, HEADERS],
    legal: [],
    body: () => ({
      app_id: 'wxsandboxmini0001',
      code: town.logins.codeFor('wxsandboxmini0001'),
      secret: 'A'.repeat(43),
    }),
    send: (sent) => town.call('POST', '/session', sent),
    accepted: [201],
  },
  {
    name: 'POST /session/state',
    places: [within(), within('session'), QUERY, HEADERS],
    legal: [],
    body: () => ({ app_id: 'wxsandboxoffi0001', secret_hash: 'A'.repeat(43) }),
    send: (sent) => town.call('POST', '/session/state', sent),
    accepted: [201],
  },
  {
    name: 'POST /session/revoke, the merchant’s server',
    places: [within(), within('payer'), QUERY, HEADERS],
    legal: ['body.payer_id', 'body.payer_field'],
    body: () => ({ payer_field: 'sub_open_id', payer_id: 'oNobody0001' }),
    send: (sent) => town.signed('admin', 'POST', '/session/revoke', sent),
    accepted: [200],
  },
  {
    // It has no body to read: whatever is in one is signed and left alone.
    name: 'POST /orders/{out_trade_no}/close',
    places: [{ ...within(), ignored: true }, { ...within('order'), ignored: true }, QUERY, HEADERS],
    legal: [],
    body: () => ({}),
    send: (sent) => town.signed('server', 'POST', `/orders/${paid}/close`, sent),
    // Paid is paid: refused for its state, whatever else is said.
    accepted: [409],
  },
  {
    name: 'GET /orders/{out_trade_no}',
    places: [QUERY, HEADERS],
    legal: [],
    body: () => ({}),
    send: (sent) => payer.call('GET', `/orders/${paid}`, { query: sent.query, headers: sent.headers }),
    accepted: [200],
  },
]

beforeAll(async () => {
  town = await openTown({
    // What is put where it does not belong is not described.
    undescribed: true,
    env: {
      PAYER_ORDERS_PER_MINUTE: '10000',
      PAYER_ORDERS_PER_DAY: '1000000',
      PAYER_OPEN_ORDERS_MAX: '10000',
      MERCHANT_ORDERS_PER_MINUTE: '1000000',
      PAYER_REFUNDS_PER_DAY: '1000000',
      MERCHANT_REFUNDS_PER_DAY: '1000000',
      REFUND_HOUR_MAX_FEN: '999999999',
      REFUND_DAY_MAX_FEN: '999999999',
      LOGINS_PER_ADDRESS: '100000',
      LOGINS_PER_MINUTE: '1000000',
    },
  })
  payer = await town.login('mini_program')
  await town.sell('tea', 1880)
  paid = await placePaid()
  refunded = await placePaid()
})

async function placePaid(): Promise<string> {
  const { body } = await payer.call('POST', '/orders', {
    body: { quote: town.quote({ total_fee: 4_000_000 }) },
  })
  const number = body.out_trade_no as string
  town.sandbox.pay(number)
  const read = await payer.call('GET', `/orders/${number}`, { query: { refresh: '1' } })
  expect(read.body.state).toBe('paid')
  return number
}
afterAll(() => town.close())

type Column = { table: string; column: string; type: string }
/** As the database itself says, after all migrations. */
async function columns(): Promise<Column[]> {
  const { rows } = await sql<Column>`
    SELECT m.name AS "table", c.name AS "column", c.type FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE 'kysely_%' AND m.name NOT LIKE 'sqlite_%'`.execute(
    town.store.db,
  )
  return rows
}

type Row = Record<string, unknown>
/** Every row of every table. */
async function everything(): Promise<Record<string, Row[]>> {
  const tables = [...new Set((await columns()).map(({ table }) => table))]
  const rows = await Promise.all(
    tables.map(async (table) => {
      const read = await sql<Row>`SELECT * FROM ${sql.table(table)}`.execute(town.store.db)
      return [table, read.rows] as const
    }),
  )
  return Object.fromEntries(rows)
}
const orders = async () => (await everything())['orders']!

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
const spellings = (name: string) => [...new Set([name, camel(name), name.toUpperCase()])]

test('the schema that is read is the one there is', async () => {
  const read = await columns()
  expect(new Set(read.map(({ table }) => table))).toEqual(
    new Set([
      ...['orders', 'order_events', 'refunds', 'outbox', 'anomalies', 'notifications', 'counters', 'marks'],
      ...['catalogue', 'spent', 'revocations', 'merchants', 'bill_windows'],
    ]),
  )
  expect(read.length).toBeGreaterThan(100)
})

describe.each(DOORS)('$name', (door) => {
  const fresh = (): Sent => ({ body: door.body(), query: {}, headers: {} })
  /** A row as it is made without anything added; what differs between two of them differs by itself. */
  let usual: { row: Row; own: Set<string> } | undefined

  beforeAll(async () => {
    const before = await orders()
    for (let nth = 0; nth < 2; nth++) {
      const answer = await door.send(fresh())
      expect(door.accepted).toContain(answer.statusCode)
    }
    const [first, second] = (await orders()).slice(before.length)
    if (first && second) {
      const own = new Set(Object.keys(first).filter((name) => first[name] !== second[name]))
      usual = { row: first, own }
    }
  })

  test.each(door.places)('no column through $name', async (place) => {
    const names = [...new Set([...(await columns()).map(({ column }) => column), ...ALSO])]
    const before = await everything()
    const asked = town.sent().length
    let accepted = 0
    let tried = 0
    for (const name of names) {
      if (door.legal.includes(`${place.name}.${name}`)) continue
      // What is let in is written down, and takes its time: there one spelling has to do.
      for (const spelling of place.ignored ? [name] : spellings(name))
        for (const value of [TEXT, ...(place.ignored ? [] : [NUMBER]), ...(TEMPTING[name] ?? [])]) {
          const sent = fresh()
          const control = JSON.stringify(sent)
          place.put(sent, spelling, value)
          // The value that stands there anyway says nothing new.
          if (JSON.stringify(sent) === control) continue
          const { statusCode, body } = await door.send(sent)
          tried++
          const fate = [spelling, value, statusCode, body.code]
          if (place.ignored) {
            expect([...fate, door.accepted.includes(statusCode)]).toEqual([...fate, true])
            accepted++
            continue
          }
          expect([...fate, statusCode >= 400 && statusCode < 500]).toEqual([...fate, true])
          expect(REFUSALS).toContain(body.code)
        }
    }
    expect(tried).toBeGreaterThan(80)

    const after = await everything()
    // What was refused has written nothing and asked nobody, but for the nonces of who may call, and a used state.
    if (!place.ignored) {
      for (const table of ['orders', 'order_events', 'refunds', 'outbox', 'revocations', 'catalogue'])
        expect(after[table]).toEqual(before[table])
      expect(town.sent()).toHaveLength(asked)
    }
    // Numbers stand alone, so that none is found inside another one.
    const traces = Object.entries(after).flatMap(([table, rows]) =>
      rows.flatMap((row) =>
        Object.entries(row)
          .filter(([, stored]) => isTrace(stored))
          .map(([column]) => `${table}.${column}`),
      ),
    )
    expect(traces).toEqual([])
    const made = after['orders']!.slice(before['orders']!.length)
    if (usual && place.ignored) expect(made).toHaveLength(accepted)
    for (const row of made)
      for (const [column, value] of Object.entries(row))
        if (!usual!.own.has(column)) expect([column, value]).toEqual([column, usual!.row[column]])
  })
})

const isTrace = (stored: unknown, { text, number } = { text: TEXT, number: NUMBER }) =>
  stored === number ||
  (typeof stored === 'string' && (stored.includes(text) || new RegExp(`\\b${number}\\b`).test(stored)))

const REFUSALS = ['body_invalid', 'price_differs', 'payer_differs', 'caller_not_allowed', 'login_refused']

/** What is written on purpose, in words of its own: nobody else looks for those. */
const ALLOWED = { text: 'sb01a110wed', number: 535_353 }

test('what may be set arrives where it belongs, and only there', async () => {
  const { text, number } = ALLOWED
  const body = orderBody({ out_trade_no: text, total_fee: number, body: `${text} tea` })
  const answer = await town.signed('server', 'POST', '/orders', {
    body: { ...body, merchant_order_id: text },
  })
  expect(answer.statusCode).toBe(201)
  const { [0]: row } = (await orders()).filter(({ out_trade_no }) => out_trade_no === text)
  const holding = Object.keys(row!).filter((column) => isTrace(row![column], ALLOWED))
  expect(holding.sort()).toEqual([
    'merchant_order_id',
    'out_trade_no',
    'purchase_slot',
    'request_content',
    'total_fee',
  ])
})

test('a notification with every column beside what it says moves nothing but what our own query proves', async () => {
  const number = (await payer.call('POST', '/orders', { body: { quote: town.quote() } })).body
    .out_trade_no as string
  const content = JSON.parse(signedText(town.sandbox.notification(number))) as Record<string, Body>
  const { order_content, pay_mch_key } = content as { order_content: Body; pay_mch_key: Body }
  for (const member of [order_content, pay_mch_key])
    for (const { column, type } of await columns())
      if (!(column in member))
        member[column] = TEMPTING[column]?.[0] ?? (/int/i.test(type) ? ALLOWED.number : ALLOWED.text)
  const before = await town.order(number)
  expect((await town.tell(sealedNotification(content))).statusCode).toBe(200)
  // It was looked up, and upstream nobody has paid: so its claims are kept apart, and the order is what it was.
  const after = await town.order(number)
  const moved = Object.keys(after).filter(
    (name) => after[name as keyof typeof after] !== before[name as keyof typeof before],
  )
  expect(moved.sort()).toEqual(['looked_at_ms', 'next_due_at_ms', 'notified_at_ms'])
  expect(Object.values(after).filter((stored) => isTrace(stored, ALLOWED))).toEqual([])
})
