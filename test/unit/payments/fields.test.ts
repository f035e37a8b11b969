import { Fault, type FieldFault } from '../../../shared/base/errors'
import { readJsonBody } from '../../../shared/http/body'
import { readHead } from '../../../shared/http/event'
import { readOrderRequest } from '../../../shared/payments/orderRequest'
import { readRefundRequest } from '../../../shared/payments/refund'
import { openShop, type Shop } from '../../support/shop'
import { openTown, type Town } from '../../support/town'
import { freshNumber, orderBody } from '../../support/world'

// What a caller is told of a field that is not acceptable: ours, in both languages, and never what was sent.

let shop: Shop
beforeEach(async () => (shop = await openShop()))
afterEach(() => shop.close())

type Answer = Awaited<ReturnType<Shop['create']>>
const fieldsOf = ({ statusCode, body }: Answer): FieldFault[] => {
  expect([statusCode, body.code]).toEqual([400, 'body_invalid'])
  return body.fields as FieldFault[]
}
/** Nothing is written and nothing is asked by what `work` does. */
async function untouched<T>(work: () => Promise<T>): Promise<T> {
  const [before, asked] = [await shop.dump(), shop.sandbox.received.length]
  const done = await work()
  expect([await shop.dump(), shop.sandbox.received.length]).toEqual([before, asked])
  return done
}
const refuse = (content: Record<string, unknown>, rest: Record<string, unknown> = {}) =>
  untouched(async () => fieldsOf(await shop.create(orderBody(content, rest))))

describe('an order is refused, and its caller told why', () => {
  test.each([18.8, '880', '18.80', null, true])('total_fee of %j: integer fen', async (total_fee) => {
    expect(await refuse({ total_fee })).toEqual([
      {
        field: 'pay_content.total_fee',
        code: total_fee === 18.8 ? 'safe_integer' : 'type',
        message: 'must be integer fen (分), a number without quotes: 18.80 yuan is 1880',
        message_zh: '须为整数，单位为分，不带引号：18.80 元写作 1880',
      },
    ])
  })

  test.each(['订单2026', 'a b', 'x'.repeat(65), ''])(
    'merchant_order_id of %j: visible ASCII',
    async (merchant_order_id) => {
      expect(await refuse({}, { merchant_order_id })).toEqual([
        {
          field: 'merchant_order_id',
          code: 'regex',
          message: 'must be visible ASCII without blanks, 1 to 64 characters',
          message_zh: '须为 1 至 64 个可见 ASCII 字符，不含空格和中文',
        },
      ])
    },
  )

  test.each([1_900_000_600_000, 1_900_000_600.5, '2030-03-17T17:56:40+08:00'])(
    'time_expire of %j: epoch seconds, not milliseconds',
    async (time_expire) => {
      expect(await refuse({ time_expire })).toMatchObject([
        {
          field: 'pay_content.time_expire',
          message: 'must be whole epoch seconds, not milliseconds',
          message_zh: '须为 Unix 秒（整数），不是毫秒',
        },
      ])
    },
  )

  test('time_expire in the past or too far: how far it may be', async () => {
    for (const time_expire of [shop.nowS() - 1, shop.nowS() + 7201])
      expect(await refuse({ time_expire })).toEqual([
        {
          field: 'pay_content.time_expire',
          code: 'value',
          message: 'must be from 120 s to 7200 s ahead of now, in epoch seconds',
          message_zh: '须为 Unix 秒，在当前时间之后 120 至 7200 秒之间',
        },
      ])
  })

  test.each([' ', '\t\n', '\u3000\u3000', '\u00a0', '\ufeff'])('body of %j: blanks only', async (body) => {
    expect(await refuse({ body })).toEqual([
      {
        field: 'pay_content.body',
        code: 'value',
        message: 'must not be blanks only',
        message_zh: '不能只有空白',
      },
    ])
  })

  test.each([' 奶茶', '奶 茶 ', '0'])('body of %j is a body', async (body) => {
    expect((await shop.create(orderBody({ body }))).statusCode).toBe(201)
  })
})

describe('a payer who is nobody', () => {
  const WXPAY = 'pay_mch_key.wxpay_pay_mch_key_ext'
  const ALIPAY = 'pay_mch_key.alipay_pay_mch_key_ext'
  const mini = { mini_program_sub_app_id: 'wxmini0001' }
  const of = (wxpay_pay_mch_key_ext: object) => ({ pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext } })
  const ways: [string, (id: string) => Record<string, unknown>][] = [
    [`${WXPAY}.sub_open_id`, (sub_open_id) => of({ sub_open_id })],
    [`${WXPAY}.sub_open_id`, (sub_open_id) => ({ ...of({ ...mini, sub_open_id }), trade_type: 9 })],
    [`${WXPAY}.open_id`, (open_id) => of({ open_id })],
    [
      `${ALIPAY}.user_id`,
      (user_id) => ({ pay_mch_key: { pay_platform: 2, alipay_pay_mch_key_ext: { user_id } } }),
    ],
  ]
  const NOBODY = [
    'undefined',
    'null',
    'NaN',
    '[object Object]',
    ' ',
    'o 1',
    'o1 ',
    'o\u00a01',
    'o\u30001',
    'o\n1',
  ]
  const CONTROL = ['o\u00011', 'o\u007f1', 'o\u00851', 'o\u001f']

  test.each(ways)('%s is refused before anything is written or asked', async (field, rest) => {
    for (const id of [...NOBODY, ...CONTROL]) {
      const [fault, ...more] = await refuse({}, rest(id))
      expect([id, fault!.field, fault!.code, more]).toEqual([id, field, 'value', []])
      expect(fault!.message).toContain('a variable that was not set')
      expect(fault!.message_zh).toContain('没有赋值的变量')
    }
  })

  test.each(ways)('%s that only looks like it is somebody', async (_, rest) => {
    for (const id of ['Undefined', 'nullo', 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o', '2088102146225135', 'o-1'])
      expect([id, (await shop.create(orderBody({}, rest(id)))).statusCode]).toEqual([id, 201])
  })
})

test.each([5.5, '500'])('a refund_fee of %j: integer fen', async (refund_fee) => {
  const number = await shop.placePaid()
  const answer = await untouched(() => shop.refund(number, { refund_fee, out_refund_no: 'sb01refund1' }))
  expect(fieldsOf(answer)).toMatchObject([
    {
      field: 'refund_fee',
      message: 'must be integer fen (分), a number without quotes: 18.80 yuan is 1880',
      message_zh: '须为整数，单位为分，不带引号：18.80 元写作 1880',
    },
  ])
})

// ── all of them ────────────────────────────────────────────────────────────────────────────────────────────────────

describe('every fault of a field', () => {
  /** As in test/structure/chinese.test.ts. */
  const NARROW =
    /[\u4e00-\u9fff\u3001\u3002\uff00-\uffef][`*]*[,;:!?()]|[,;:!?()] ?[`*]*[\u4e00-\u9fff]|[\u4e00-\u9fff]\.(?=\s|$)/
  const MARK = 'what-the-caller-sent'

  /** Each sentence with its Chinese one: looked at once, as often as it is said. */
  const told = new Map<string, string>()
  const check = ({ message, message_zh }: FieldFault) => {
    if (told.get(message) === message_zh) return
    told.set(message, message_zh)
    expect(message + message_zh).not.toMatch(/must satisfy|Expected|Invalid|received|\(1 \||\("/)
    expect(message + message_zh).not.toContain(MARK)
    expect(message).toMatch(/^[a-z].+[^.]$/)
    expect(message_zh).toMatch(/\p{Script=Han}/u)
    expect(message_zh).not.toMatch(NARROW)
  }
  const faultsOf = (work: () => unknown): FieldFault[] => {
    try {
      work()
      return []
    } catch (error) {
      if (error instanceof Fault) return error.extras.fields ?? []
      throw error
    }
  }

  const WRONG = [
    ...[
      undefined,
      null,
      true,
      -1,
      0,
      1.5,
      1e300,
      7,
      '',
      ' ',
      MARK,
      '{"goods_detail": 1}',
      '订单',
      '\0',
      '\ud83e',
    ],
    ...['undefined', 'x'.repeat(7000), 'sb01', [], [MARK], {}, { [MARK]: MARK }, 1_900_000_000_000],
  ]

  const everything = (trade_type: number, pay_platform: number): Record<string, unknown> => ({
    pay_content: {
      out_trade_no: 'sb01a',
      total_fee: 1880,
      fee_type: 'CNY',
      body: '茶',
      detail: {
        cost_price: 1,
        receipt_id: 'r',
        goods_detail: [{ goods_id: 'g', goods_name: 'n', quantity: 1, price: 1 }],
      },
      remark: 'r',
      time_expire: 1_900_000_600,
      author_code: pay_platform === 1 ? '130000000000000000' : '280000000000000000',
      wxpay_pay_content_ext: {
        ...{ attach: 'a', goods_tag: 'g', product_id: 'p', limit_pay: 'no_credit' },
        scene_info: '{"h5_info":{"type":"Wap"}}',
      },
    },
    pay_mch_key: {
      ...{ pay_platform, out_mch_id: 'sandboxmch0000000001' },
      wxpay_pay_mch_key_ext: {
        ...{ app_id: 'a', sub_app_id: 's', open_id: 'o', sub_open_id: 'so' },
        ...{ mini_program_sub_app_id: 'm', mob_app_id: 'mob' },
      },
      alipay_pay_mch_key_ext: { user_id: 'u' },
    },
    order_client: {
      ...{ device_id: 'd', staff_id: 's', terminal_type: 100, machine_no: 'm', sn_code: 's' },
      ...{ spbill_create_ip: '127.0.0.1', sdk_version: 'scf-ts0.1' },
    },
    trade_type,
    merchant_order_id: 'cart-1',
    nonce_str: 'n',
  })

  type Node = Record<string, unknown>
  const pathsOf = (node: unknown, path: string[] = []): string[][] =>
    typeof node === 'object' && node !== null
      ? [
          ...(path.length > 0 ? [path] : []),
          ...Object.entries(node).flatMap(([name, one]) => pathsOf(one, [...path, name])),
        ]
      : [path]
  const changed = (whole: Node, path: string[], value: unknown): Node => {
    const copy = structuredClone(whole)
    const parent = path.slice(0, -1).reduce<Node>((node, name) => node[name] as Node, copy)
    if (value === undefined) delete parent[path.at(-1)!]
    else parent[path.at(-1)!] = value
    return copy
  }

  test('of an order is in our words, in both languages, and says nothing of what was sent', () => {
    const codes = new Set<string>()
    for (const platform of [1, 2])
      for (const type of [1, 2, 3, 4, 6, 9]) {
        const whole = everything(type, platform)
        const bodies = pathsOf(whole).flatMap((path) => WRONG.map((value) => changed(whole, path, value)))
        // What is otherwise right says more than what is wrong everywhere.
        const plain = orderBody({ out_trade_no: 'sb01a' }, { trade_type: type })
        const few = pathsOf(whole).flatMap((path) =>
          WRONG.flatMap((value) => {
            const parents = path.slice(0, -1).every((_, at) => at === 0 || plain[path[0]!] !== undefined)
            return parents && path.length <= 2 ? [changed({ ...plain, order_client: {} }, path, value)] : []
          }),
        )
        for (const body of [whole, ...bodies, plain, ...few])
          for (const fault of faultsOf(() => readOrderRequest(body, shop.app))) {
            codes.add(fault.code)
            check(fault)
          }
      }
    expect([...codes].sort()).toEqual([
      'max_value',
      'min_length',
      'min_value',
      'not_allowed',
      'regex',
      'required',
      'safe_integer',
      'server_owned',
      'type',
      'unknown_field',
      'value',
    ])
    expect(told.size).toBeGreaterThan(45)
    expect(told.get('must be the number 1 or 2')).toBe('须为数字 1 或 2')
    expect(told.get('must be the text "CNY"')).toBe('须为文本 CNY')
  })

  test('of a refund', () => {
    const whole = { refund_fee: 500, out_refund_no: 'sb01refund1', reason: '缺货' }
    const bodies = pathsOf(whole).flatMap((path) => WRONG.map((value) => changed(whole, path, value)))
    const faults = [
      ...bodies,
      { ...whole, [MARK]: MARK },
      { ...whole, out_refund_no: 'sb01-' },
      {},
      [],
      null,
    ].flatMap((body) => faultsOf(() => readRefundRequest(body, shop.app)))
    expect(faults.length).toBeGreaterThan(30)
    faults.forEach(check)
  })

  test('of a body that two readers could read differently, and of the head', () => {
    const reading = (text: string) => () =>
      readJsonBody({ body: Buffer.from(text) } as Parameters<typeof readJsonBody>[0])
    const head = (part: object) => () => readHead({ httpMethod: 'GET', path: '/', ...part })
    const faults = [
      reading(`{"a":1,"a":"${MARK}"}`),
      reading(`{"__proto__":"${MARK}"}`),
      reading('{"a":'.repeat(20) + '1' + '}'.repeat(20)),
      head({ path: `/${MARK.repeat(100)}` }),
      head({ queryString: { a: `${MARK}\0` } }),
    ].flatMap(faultsOf)
    expect(faults.map(({ code }) => code)).toEqual([
      'duplicate_key',
      'forbidden_key',
      'too_deep',
      'too_large',
      'no_text',
    ])
    faults.forEach(check)
  })

  describe('of a payer', () => {
    let town: Town
    beforeEach(async () => (town = await openTown()))
    afterEach(() => town.close())

    test('who orders or logs in', async () => {
      const payer = await town.login('mini_program')
      const key = { 'idempotency-key': 'k' }
      const orders = [
        { quote: town.quote(), sku: 'tea' },
        { sku: '茶' },
        { sku: 'tea', quantity: 0 },
        { quote: town.quote({ body: '  ' }) },
        {
          quote: town.quote({
            total_fee: 18.8,
            merchant_order_id: '订单2026',
            exp: 1_900_000_600_000,
            fee_type: 'USD',
          }),
        },
        ...[{ out_trade_no: 'sb01a' }, { remark: 1 }, { time_expire: 1_900_000_600_000 }].map(
          (pay_content) => ({
            quote: town.quote(),
            pay_content,
          }),
        ),
        ...[
          { trade_type: 3 },
          { merchant_order_id: 'mine' },
          { pay_content: [] },
          { pay_mch_key: { pay_platform: 2 } },
        ].map((part) => ({ quote: town.quote(), ...part })),
        { quote: town.quote(), pay_mch_key: { wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'other' } } },
      ]
      for (const body of orders) {
        const answer = await payer.call('POST', '/orders', { body, headers: key })
        const { fields = [] } = answer.body as { fields?: FieldFault[] }
        expect([JSON.stringify(body), fields.length > 0]).toEqual([JSON.stringify(body), true])
        fields.forEach(check)
      }
      const logins = [{}, { app_id: '', code: MARK.repeat(20), secret: MARK, state: 'x'.repeat(129) }]
      for (const body of logins) {
        const { body: answer } = await town.call('POST', '/session', { body })
        expect(answer.fields.length).toBeGreaterThan(1)
        ;(answer.fields as FieldFault[]).forEach(check)
      }
      const begun = await town.call('POST', '/session/state', { body: { app_id: '-', secret_hash: MARK } })
      expect(begun.body.fields).toHaveLength(2)
      ;(begun.body.fields as FieldFault[]).forEach(check)
    })
  })

  test('of a number that is not acceptable, for whom it is', async () => {
    for (const out_trade_no of ['xx01a', 'sb01', 'sb01-', freshNumber() + '订'])
      (await refuse({ out_trade_no })).forEach(check)
  })
})
