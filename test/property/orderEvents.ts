import * as fc from 'fast-check'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { OWNED, type Event } from './orderOracle'

/**
 * Events that try to order something: a valid body, changed in any number of places (often none), written in any
 * spelling JSON allows, sometimes damaged as text or as bytes, in any of the three shapes of an event.
 */

/** JSON as it is written: names may repeat, numbers keep their spelling. */
export type Json =
  { entries: [string, Json][] } | { items: Json[] } | { raw: string } | string | number | boolean | null

type ObjectJson = { entries: [string, Json][] }

const obj = (fields: Record<string, Json | undefined>): ObjectJson => ({
  entries: Object.entries(fields).filter((entry): entry is [string, Json] => entry[1] !== undefined),
})

/** How it is written. */
type Style = { escapes: 'few' | 'non_ascii' | 'all'; blank: string; reversed: boolean }
const PLAIN: Style = { escapes: 'few', blank: '', reversed: false }

/** The moment at which the fuzzed world stands still. */
export const NOW_S = 1_900_000_000

// ── values ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** One to four bytes of UTF-8 each; the last is two units of UTF-16 and one character. */
const CHARACTERS = ['a', 'é', '茶', '🧋']

const characters = (min: number, max: number) =>
  fc
    .tuple(fc.constantFrom(...CHARACTERS), fc.integer({ min, max }))
    .map(([character, count]) => character.repeat(count))

const textUpTo = (max: number) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', '湖心奶茶-大杯', '🧋', '{}', '"\\', "' OR 1=1 --") },
    // Every character there is, the unprintable ones too.
    { weight: 2, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: Math.min(max, 12) }) },
    { weight: 1, arbitrary: characters(max - 1, max) },
  )

const option = <T>(arbitrary: fc.Arbitrary<T>, freq = 3) => fc.option(arbitrary, { freq, nil: undefined })
/** Left out more often than not. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, arbitrary)

const spelledNumber = (number: number) =>
  fc.constantFrom<Json>(number, { raw: `${number}.0` }, { raw: `${number}0e-1` }, { raw: `${number}E+0` })

const whole = (min: number, max: number): fc.Arbitrary<Json> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min, max }) },
    { weight: 1, arbitrary: fc.constantFrom(min, max).chain(spelledNumber) },
  )

const N32_MAX = 2 ** 31 - 1

const detailObject: fc.Arbitrary<Json> = fc
  .record({
    cost_price: rarely(whole(0, N32_MAX)),
    receipt_id: rarely(textUpTo(32)),
    goods: fc.array(
      fc.record({
        goods_id: rarely(textUpTo(32)),
        goods_name: rarely(textUpTo(256)),
        quantity: whole(0, N32_MAX),
        price: whole(0, N32_MAX),
      }),
      { maxLength: 2 },
    ),
  })
  .map(({ goods, ...rest }) => obj({ ...rest, goods_detail: { items: goods.map(obj) } }))

/** Blanks around it count as characters of the text too. */
const detailText = fc
  .tuple(detailObject, rarely(fc.integer({ min: 5999, max: 6001 })))
  .map(([json, length]) => write(json, PLAIN).padEnd(length ?? 0))

const DETAIL_TEXTS = [
  '{"goods_detail":[]}',
  '{"goods_detail":[]}'.padEnd(6000),
  '{"goods_detail":[]}'.padEnd(6001),
  '{"goods_detail":[]} \n',
  '',
  'null',
  '[]',
  '{}',
  '{"goods_detail":{}}',
  '{"goods_detail":[1]}',
  '{"goods_detail":[],"goods_detail":[]}',
  '{"goods_detail":[],"__proto__":{}}',
  '{"goods_detail":[{"quantity":1,"price":1,"goods_name":"\\ud800"}]}',
  '{"goods_detail":[{"quantity":1.5,"price":1}]}',
  '{"goods_detail":[]',
  '\ufeff{"goods_detail":[]}',
  "{'goods_detail':[]}",
]

/** Sixteen levels are allowed in all, and values stand one to three deep. */
const nesting = fc.oneof(fc.integer({ min: 12, max: 17 }), fc.integer({ min: 1, max: 40 }))

/** Values that are right somewhere and wrong nearly everywhere. */
const ANY_VALUE: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    false,
    '',
    ' ',
    'NaN',
    'Infinity',
    '1',
    '1880',
    'CNY',
    'no_credit',
    -1,
    0,
    1,
    2,
    3,
    9,
    100,
    1.5,
    0.1 + 0.2,
    N32_MAX,
    N32_MAX + 1,
    2 ** 53,
    1e21,
    { raw: '-0' },
    { raw: '1e999' },
    { raw: '-1e999' },
    { raw: '1e-400' },
    { raw: '1.0000000000000000000001' },
    { raw: 'NaN' },
    { raw: '0x10' },
    { raw: '01' },
    { raw: '+1' },
    { entries: [] },
    { items: [] },
    { items: [1] },
    { raw: '{"$ne":null}' },
  ),
  fc.constantFrom('\ud800', '\udc00', 'a\ud83e', '\udd27\ud83e'),
  characters(0, 260),
  nesting.map((depth) => ({ raw: '['.repeat(depth) + ']'.repeat(depth) })),
  nesting.map((depth) => ({ raw: '{"a":'.repeat(depth) + '1' + '}'.repeat(depth) })),
)

// ── a valid body ───────────────────────────────────────────────────────────────────────────────────────────────

const wechat = fc
  .record({
    ids: fc.record({ app_id: rarely(textUpTo(32)), sub_app_id: rarely(textUpTo(32)) }),
    field: fc.constantFrom('open_id', 'sub_open_id'),
    payer: textUpTo(128),
    trade_type: rarely(fc.constant(3)),
  })
  .map(({ ids, field, payer, trade_type }) => ({
    pay_platform: 1,
    wxpay_pay_mch_key_ext: obj({ ...ids, [field]: payer }),
    alipay_pay_mch_key_ext: undefined,
    trade_type,
  }))

const miniProgram = fc
  .record({ mini_program_sub_app_id: textUpTo(32), sub_open_id: textUpTo(128) })
  .map((ext) => ({
    pay_platform: 1,
    wxpay_pay_mch_key_ext: obj(ext),
    alipay_pay_mch_key_ext: undefined,
    trade_type: 9,
  }))

const alipay = fc
  .record({ user_id: textUpTo(32), trade_type: rarely(fc.constant(3)) })
  .map(({ user_id, trade_type }) => ({
    pay_platform: 2,
    wxpay_pay_mch_key_ext: undefined,
    alipay_pay_mch_key_ext: obj({ user_id }),
    trade_type,
  }))

/** Whoever scans, or opens the page, pays: nobody is named. */
const nobody = (pay_platform: number, trade_type: number) => ({
  pay_platform,
  wxpay_pay_mch_key_ext: undefined,
  alipay_pay_mch_key_ext: undefined,
  trade_type,
})
const CODES = { 1: '134567890123456789', 2: '289999990123456789' } as const
const SCENE = '{"h5_info":{"type":"Wap","wap_url":"https://shop.example","wap_name":"湖心"}}'

const micro = fc
  .constantFrom(1 as const, 2 as const)
  .map((platform) => ({ ...nobody(platform, 1), author_code: CODES[platform] }))
const scanCode = fc.constantFrom(1, 2).map((platform) => nobody(platform, 2))
const app = textUpTo(32).map((mob_app_id) => ({
  ...nobody(1, 4),
  wxpay_pay_mch_key_ext: obj({ mob_app_id }),
}))
const mobWeb = fc.constantFrom('203.0.113.7', '0.0.0.0').map((ip) => ({ ...nobody(1, 6), ip }))
type Way = {
  pay_platform: number
  wxpay_pay_mch_key_ext: ObjectJson | undefined
  alipay_pay_mch_key_ext: ObjectJson | undefined
  trade_type: number | undefined
  author_code?: string
  ip?: string
}
const ways: fc.Arbitrary<Way>[] = [wechat, wechat, miniProgram, alipay, micro, scanCode, app, mobWeb]

/** `%` becomes this run's own number, so that no two runs can meet. */
const NUMBER_MARK = '%'
const orderNumber = fc
  .integer({ min: 0, max: 32 })
  .map((length) => ({ raw: `${SANDBOX_MERCHANT.order_prefix}${NUMBER_MARK}${length}` }))

const validBody: fc.Arbitrary<ObjectJson> = fc
  .record({
    way: fc.oneof(...ways),
    out_trade_no: option(orderNumber),
    total_fee: whole(1, N32_MAX),
    fee_type: option(fc.constant('CNY')),
    body: textUpTo(128),
    detail: rarely(fc.oneof(detailObject, detailText)),
    remark: rarely(textUpTo(127)),
    time_expire: rarely(whole(NOW_S + 120, NOW_S + 7200)),
    content_ext: rarely(
      fc.record({
        attach: rarely(textUpTo(127)),
        goods_tag: rarely(textUpTo(32)),
        product_id: rarely(textUpTo(32)),
        limit_pay: rarely(fc.constant('no_credit')),
      }),
    ),
    out_mch_id: rarely(fc.constant(OWNED.out_mch_id)),
    out_sub_mch_id: rarely(fc.constant(OWNED.out_sub_mch_id)),
    out_shop_id: rarely(fc.constant(OWNED.out_shop_id)),
    order_client: rarely(
      fc.record({
        device_id: rarely(textUpTo(64)),
        staff_id: rarely(textUpTo(64)),
        terminal_type: rarely(fc.constantFrom(1, 2, 3, 4, 100)),
        sdk_version: rarely(fc.constant(OWNED.sdk_version)),
        spbill_create_ip: rarely(fc.constant(OWNED.spbill_create_ip)),
      }),
    ),
  })
  .map(({ way: { trade_type, author_code, ip, ...way }, content_ext, order_client, ...given }) => {
    const { out_trade_no, total_fee, fee_type, body, detail, remark, time_expire, ...ids } = given
    const scene_info = trade_type === 6 ? { scene_info: SCENE } : undefined
    // Products are of those alone who pay what a shop shows.
    const { product_id, ...coupons } = content_ext ?? {}
    const ext = { ...coupons, ...([1, 4, 6].includes(trade_type ?? 3) ? {} : { product_id }), ...scene_info }
    const wxpay_pay_content_ext = (content_ext || scene_info) && way.pay_platform === 1 ? obj(ext) : undefined
    const client =
      trade_type === 4 || trade_type === 6
        ? ip === undefined
          ? undefined
          : { spbill_create_ip: ip }
        : order_client
    return obj({
      pay_content: obj({
        out_trade_no,
        total_fee,
        fee_type,
        body,
        detail,
        remark,
        time_expire: trade_type === 1 ? undefined : time_expire,
        author_code,
        wxpay_pay_content_ext,
      }),
      pay_mch_key: obj({ ...way, ...ids }),
      order_client: client && obj(client),
      trade_type,
    })
  })

// ── what can be wrong with it ──────────────────────────────────────────────────────────────────────────────────

const WXPAY = 'pay_mch_key.wxpay_pay_mch_key_ext'
const ALIPAY = 'pay_mch_key.alipay_pay_mch_key_ext'

/** The longest text that fits and the shortest that does not, of every kind of character. */
const around = (max: number): Json[] =>
  CHARACTERS.flatMap((character) => [character.repeat(max), character.repeat(max + 1)]).concat('')

/** A structure whose text has exactly so many characters. */
function detailOf(length: number): Json {
  const names = Array.from({ length: 24 }, () => '')
  const json = () =>
    obj({ goods_detail: { items: names.map((goods_name) => obj({ goods_name, quantity: 1, price: 1 })) } })
  let left = length - write(json(), PLAIN).length
  names.forEach((_, at) => {
    names[at] = '茶'.repeat(Math.min(left, 256))
    left -= names[at].length
  })
  return json()
}

/** The configured value, and ones that only look like it. */
const owned = (value: string): Json[] => [
  value,
  `${value} `,
  value.toUpperCase(),
  value.slice(1),
  '',
  `${value}\u0000`,
]

const NO_OBJECTS: Json[] = [obj({}), { items: [] }, { items: [obj({})] }, null, '{}']

/** Every field, with values that are interesting right there. */
export const EDGES: Record<string, Json[]> = {
  pay_content: NO_OBJECTS,
  'pay_content.out_trade_no': [
    SANDBOX_MERCHANT.order_prefix,
    'sb02x1',
    'SB01x1',
    'xsb01x1',
    'sb01x_1',
    'sb01 1',
    'sb01茶',
    'sb01x1\n',
    'sb01x1\u0000',
    `sb01${'0'.repeat(29)}`,
  ],
  'pay_content.total_fee': [
    ...[-1, 0, 1, 18.8, N32_MAX, N32_MAX + 1, '1880'],
    ...['-0', '1e0', '1e-1', '18.80', '1880.00', '2147483647.0', '1e999'].map((raw) => ({ raw })),
  ],
  'pay_content.fee_type': ['CNY', 'cny', 'USD', 'CNY ', ''],
  'pay_content.body': around(128),
  'pay_content.detail': [...[5999, 6000, 6001].map(detailOf), ...DETAIL_TEXTS, ...NO_OBJECTS],
  'pay_content.remark': around(127),
  'pay_content.time_expire': [
    ...[119, 120, 120.5, 7200, 7201, -1].map((ahead) => NOW_S + ahead),
    ...[0, 1, 99_999_999_999, 100_000_000_000, `${NOW_S + 900}`, NOW_S * 1000],
  ],
  'pay_content.wxpay_pay_content_ext': [...NO_OBJECTS, obj({ attach: 'a' })],
  'pay_content.wxpay_pay_content_ext.attach': around(127),
  'pay_content.wxpay_pay_content_ext.goods_tag': around(32),
  'pay_content.wxpay_pay_content_ext.product_id': around(32),
  'pay_content.wxpay_pay_content_ext.limit_pay': ['no_credit', 'NO_CREDIT', ''],
  'pay_content.wxpay_pay_content_ext.scene_info': [
    SCENE,
    '{"h5_info":{"type":"IOS","type":"Wap"}}',
    '{"h5_info":{"type":1}}',
    '{"h5_info":[]}',
    '{"h5_info":null}',
    'null',
    '{}',
    'Wap',
    ...around(256),
  ],
  'pay_content.author_code': [
    CODES[1],
    CODES[2],
    ...['10', '15', '16', '24', '25', '30', '31', '99'].map((start) => start.padEnd(18, '7')),
    ...[15, 16, 24, 25].map((length) => '13'.padEnd(length, '7')),
    '13456789012345678a',
    '13456789012345678１',
    ' 34567890123456789',
    134567890123456,
  ],
  'pay_content.caller_notify_url': ['https://example.com/'],
  pay_mch_key: NO_OBJECTS,
  'pay_mch_key.pay_platform': [0, 1, 2, 3, 4, '1', { raw: '1.0' }],
  'pay_mch_key.sub_pay_platform': [100],
  'pay_mch_key.out_mch_id': owned(OWNED.out_mch_id),
  'pay_mch_key.out_sub_mch_id': owned(OWNED.out_sub_mch_id),
  'pay_mch_key.out_shop_id': owned(OWNED.out_shop_id),
  [WXPAY]: [
    ...NO_OBJECTS,
    obj({ open_id: 'o1' }),
    obj({ sub_open_id: 'o1' }),
    obj({ open_id: 'o1', sub_open_id: 'o2' }),
    obj({ mini_program_sub_app_id: 'wx1', sub_open_id: 'o1' }),
    obj({ mini_program_sub_app_id: 'wx1', sub_open_id: 'o1', app_id: 'wx2' }),
    obj({ mini_program_sub_app_id: 'wx1', open_id: 'o1' }),
  ],
  [`${WXPAY}.app_id`]: around(32),
  [`${WXPAY}.sub_app_id`]: around(32),
  [`${WXPAY}.open_id`]: [...around(128), '\u0000', 'o\u0000'],
  [`${WXPAY}.sub_open_id`]: [...around(128), '\u0000', 'o\u0000'],
  [`${WXPAY}.mini_program_sub_app_id`]: around(32),
  [`${WXPAY}.mob_app_id`]: around(32),
  [ALIPAY]: [...NO_OBJECTS, obj({ user_id: '2088000000000001' }), obj({ user_id: 1 })],
  [`${ALIPAY}.user_id`]: [...around(32), 'a\u0000'],
  order_client: NO_OBJECTS,
  'order_client.device_id': around(64),
  'order_client.staff_id': around(64),
  'order_client.terminal_type': [0, 1, 4, 5, 100, 101, '100'],
  'order_client.sdk_version': owned(OWNED.sdk_version),
  'order_client.machine_no': around(32),
  'order_client.sn_code': around(64),
  'order_client.spbill_create_ip': [
    ...owned(OWNED.spbill_create_ip),
    ...['203.0.113.7', '256.0.0.1', '1.2.3', '1.2.3.4.5', '01.2.3.4', '::1', '1.2.3.4\n'],
  ],
  trade_type: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, '9', { raw: '9.0' }, { raw: '1e0' }],
  nonce_str: [null, '', '0123456789abcdef0123456789abcdef', false],
}
const PATHS = Object.keys(EDGES)

const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '__defineGetter__',
  'Body',
  'total_fee ',
  'totalFee',
  'pay_content.total_fee',
  'status',
  '0',
  '茶',
]

type Change = (body: ObjectJson) => void

const path = fc.constantFrom(...PATHS)
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.oneof(
      ...Object.entries(EDGES).map(([at, edges]) =>
        fc.constantFrom(...edges).map(
          (value): Change =>
            (body) =>
              put(body, at, value),
        ),
      ),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(path, ANY_VALUE).map(
      ([at, value]): Change =>
        (body) =>
          put(body, at, value),
    ),
  },
  {
    weight: 2,
    arbitrary: path.map(
      (at): Change =>
        (body) =>
          put(body, at, undefined),
    ),
  },
  {
    // A name that is no field's, in any object.
    weight: 2,
    arbitrary: fc
      .tuple(path, fc.constantFrom(...NAMES), ANY_VALUE, fc.boolean())
      .map(([at, name, value, first]): Change => (body) => {
        const entries = parentOf(body, at)?.entries
        if (first) entries?.unshift([name, value])
        else entries?.push([name, value])
      }),
  },
  {
    // A name twice, with the same value or another.
    weight: 2,
    arbitrary: fc
      .tuple(path, fc.option(ANY_VALUE, { nil: undefined }))
      .map(([at, value]): Change => (body) => {
        const parent = parentOf(body, at)
        const twin = parent?.entries.find(([name]) => name === lastOf(at))
        if (twin) parent?.entries.push([twin[0], copy(value ?? twin[1])])
      }),
  },
)

const lastOf = (at: string) => at.slice(at.lastIndexOf('.') + 1)

/** The object that holds this field, made if there is none. */
function parentOf(body: ObjectJson, at: string, make = false): ObjectJson | undefined {
  let node = body
  for (const name of at.split('.').slice(0, -1)) {
    const entry = node.entries.find(([one]) => one === name)
    if (entry && isObject(entry[1])) node = entry[1]
    else if (entry || !make) return undefined
    else {
      const made = obj({})
      node.entries.push([name, made])
      node = made
    }
  }
  return node
}

const isObject = (node: Json): node is ObjectJson =>
  typeof node === 'object' && node !== null && 'entries' in node

function put(body: ObjectJson, at: string, value: Json | undefined): void {
  const parent = parentOf(body, at, value !== undefined)
  if (!parent) return
  const rest = parent.entries.filter(([name]) => name !== lastOf(at))
  // A copy: two changes may bring the same value, and one put into itself would have no end.
  parent.entries = value === undefined ? rest : [...rest, [lastOf(at), copy(value)]]
}

const copy = (node: Json): Json =>
  isObject(node)
    ? { entries: node.entries.map(([name, value]) => [name, copy(value)]) }
    : typeof node === 'object' && node !== null && 'items' in node
      ? { items: node.items.map(copy) }
      : node

// ── as text ────────────────────────────────────────────────────────────────────────────────────────────────────

const style: fc.Arbitrary<Style> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(PLAIN) },
  fc.record({
    escapes: fc.constantFrom('few', 'non_ascii', 'all'),
    blank: fc.constantFrom('', ' ', '\n\t', '\r\n  '),
    reversed: fc.boolean(),
  }),
)

function write(node: Json, style: Style): string {
  const { blank } = style
  if (typeof node === 'string') return writeString(node, style)
  if (typeof node !== 'object' || node === null) return String(node)
  if ('raw' in node) return node.raw
  if ('items' in node) return `[${blank}${node.items.map((item) => write(item, style)).join(`${blank},`)}]`
  const entries = node.entries.map(
    ([name, value]) => `${blank}${writeString(name, style)}${blank}:${blank}${write(value, style)}`,
  )
  return `{${(style.reversed ? entries.reverse() : entries).join(`${blank},`)}${blank}}`
}

function writeString(value: string, { escapes }: Style): string {
  // Writes half surrogate pairs as escapes: they have no other form in UTF-8.
  const text = JSON.stringify(value)
  if (escapes === 'few') return text
  if (escapes === 'non_ascii') return text.replaceAll(/[\u0080-\uffff]/g, escaped)
  return `"${value.split('').map(escaped).join('')}"`
}

const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

// ── as an event ────────────────────────────────────────────────────────────────────────────────────────────────

type Shape = 'function-url' | 'api-gateway' | 'superset'
/** Changes what would be sent, knowing the text. */
type Damage =
  | { kind: 'none' }
  | { kind: 'text'; change: (text: string) => string }
  | { kind: 'bytes'; change: (bytes: Buffer) => Buffer }
  | { kind: 'body'; change: (event: Event) => void }

const text = (change: (text: string) => string): Damage => ({ kind: 'text', change })
const body = (change: (event: Event) => void): Damage => ({ kind: 'body', change })
const setBody = (value: unknown) => body((event) => void (event.body = value))

const damage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 120, arbitrary: fc.constant<Damage>({ kind: 'none' }) },
  // Cut short, with something put in, or as it never was.
  {
    weight: 4,
    arbitrary: fc.double({ min: 0, max: 1, noNaN: true }).map((part) => text((all) => cut(all, part))),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(',', '"', '\\', '{', '}', ':', '0', ' ', '\u0000', '\u00a0', '\ufeff', 'null'),
      )
      .map(([part, what]) => text((all) => cut(all, part) + what + all.slice(cut(all, part).length))),
  },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(
        'null',
        'true',
        '0',
        '"a"',
        '[]',
        '{}',
        '',
        ' ',
        '\ufeff{}',
        '[{}]',
        "{'a':1}",
        '{"a":1,}',
      )
      .map((whole) => text(() => whole)),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('[%]', '\ufeff%', '%%', ' %\n')
      .map((frame) => text((all) => frame.replaceAll('%', () => all))),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 10, max: 30_000 }).map((n) => text(() => '['.repeat(n) + ']'.repeat(n))),
  },
  // As long as allowed, and one byte longer.
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(65_536, 65_537, 70_000)
      .map((length) => text((all) => all + ' '.repeat(Math.max(0, length - Buffer.byteLength(all))))),
  },
  // Bytes that are no UTF-8: a stray one, GBK, an overlong form, a surrogate in three bytes, an end too soon.
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom('ff', '80', 'b2e8', 'c080', 'eda080', 'f4908080', 'e88c'),
      )
      .map(([part, hex]): Damage => ({
        kind: 'bytes',
        change: (bytes) => {
          const at = Math.floor(part * bytes.length)
          return Buffer.concat([bytes.subarray(0, at), Buffer.from(hex, 'hex'), bytes.subarray(at)])
        },
      })),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      setBody(undefined),
      setBody(null),
      setBody(''),
      setBody(0),
      setBody(true),
      setBody({ pay_content: {} }),
      setBody([]),
    ),
  },
  // Base64 that is none, and the flag that does not fit the body.
  {
    weight: 4,
    arbitrary: fc
      .constantFrom<(encoded: string) => string>(
        (encoded) => encoded.slice(0, -1),
        (encoded) => `${encoded}=`,
        (encoded) => `${encoded}\n`,
        (encoded) => `=${encoded}`,
        (encoded) => `-_${encoded.slice(2)}`,
        (encoded) => `*${encoded.slice(1)}`,
        () => '{"pay_content":{}}',
        () => '====',
      )
      .map((change) =>
        body((event) => {
          const bytes = event.isBase64Encoded
            ? String(event.body)
            : Buffer.from(String(event.body)).toString('base64')
          Object.assign(event, { body: change(bytes), isBase64Encoded: true })
        }),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<unknown>(true, 'true', 'TRUE', 1, 'false', null)
      .map((flag) => body((event) => void (event.isBase64Encoded = flag))),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('\ud83e', '\udd27')
      .map((half) => body((event) => void (event.body = String(event.body).replace(/[a茶]/, half)))),
  },
)

/** A pair is never cut in two here: what that makes is another kind of damage. */
const cut = (all: string, part: number) => [...all].slice(0, Math.floor(part * all.length)).join('')

type HeaderValue = string | string[] | null | Record<string, never>
const headers: fc.Arbitrary<Record<string, HeaderValue>> = fc
  .record({
    key: fc.oneof(
      { weight: 20, arbitrary: fc.constant(undefined) },
      {
        weight: 8,
        arbitrary: fc.constantFrom<HeaderValue>(`k-${NUMBER_MARK}1`, `${NUMBER_MARK}255`, [
          `k-${NUMBER_MARK}1`,
        ]),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom<HeaderValue>(
          '',
          ' ',
          'a b',
          'key ',
          'ключ',
          'a\u0000',
          'a\u007f',
          'a\n',
          `${NUMBER_MARK}256`,
          ['a', 'b'],
          [],
          null,
          {},
        ),
      },
    ),
    name: fc.constantFrom('idempotency-key', 'Idempotency-Key', 'IDEMPOTENCY-KEY'),
    caller: fc.oneof(
      { weight: 20, arbitrary: fc.constant(undefined) },
      { weight: 4, arbitrary: fc.constantFrom('alice', 'payer:bob') },
      { weight: 1, arbitrary: fc.constantFrom('', 'payer:', 'a b', 'a'.repeat(41), 'clerk:eve', 'é') },
    ),
    noise: rarely(
      fc.constantFrom<Record<string, HeaderValue>>(
        { 'x-scf-secret-id': 'a' },
        { constructor: 'a' },
        { 'content-type': 'text/plain' },
        { 'content-encoding': 'gzip' },
      ),
    ),
  })
  .map(({ key, name, caller, noise }) => ({
    ...(key === undefined ? {} : { [name]: key }),
    ...(caller === undefined ? {} : { 'x-local-caller': caller }),
    ...noise,
  }))

// ── a plan, and the event of one run ───────────────────────────────────────────────────────────────────────────

/** Everything about a run but its number. */
export type Plan = {
  shape: Shape
  encode: boolean
  text: string
  damage: Damage
  headers: Record<string, HeaderValue>
}

export const plans: fc.Arbitrary<Plan> = fc
  .record({
    body: validBody,
    changes: fc.oneof(
      { weight: 2, arbitrary: fc.constant<Change[]>([]) },
      { weight: 3, arbitrary: fc.array(change, { minLength: 1, maxLength: 3 }) },
    ),
    style,
    damage,
    shape: fc.constantFrom<Shape>('function-url', 'api-gateway', 'superset'),
    encode: fc.boolean(),
    headers,
  })
  .map(({ body, changes, style, ...rest }) => {
    const changed = copy(body) as ObjectJson
    for (const apply of changes) apply(changed)
    // A number is written with its quotes here: its mark has to survive every style.
    return { ...rest, text: write(quoteNumbers(changed), style) }
  })

const SIMPLEST = {
  pay_content: obj({ total_fee: 1880, body: '湖心奶茶' }),
  order_client: obj({ device_id: 'd1' }),
}
const WAYS: ObjectJson[] = [
  obj({
    ...SIMPLEST,
    pay_mch_key: obj({ pay_platform: 1, wxpay_pay_mch_key_ext: obj({ sub_open_id: 'o1' }) }),
  }),
  obj({ ...SIMPLEST, pay_mch_key: obj({ pay_platform: 1, wxpay_pay_mch_key_ext: obj({ open_id: 'o1' }) }) }),
  obj({
    ...SIMPLEST,
    pay_mch_key: obj({
      pay_platform: 1,
      wxpay_pay_mch_key_ext: obj({ mini_program_sub_app_id: 'wx1', sub_open_id: 'o1' }),
    }),
    trade_type: 9,
  }),
  obj({
    ...SIMPLEST,
    pay_mch_key: obj({ pay_platform: 2, alipay_pay_mch_key_ext: obj({ user_id: '2088' }) }),
  }),
  obj({
    ...SIMPLEST,
    pay_content: obj({ total_fee: 1880, body: '湖心奶茶', author_code: CODES[1] }),
    pay_mch_key: obj({ pay_platform: 1 }),
    trade_type: 1,
  }),
  obj({ ...SIMPLEST, pay_mch_key: obj({ pay_platform: 1 }), trade_type: 2 }),
  obj({
    pay_content: SIMPLEST.pay_content,
    pay_mch_key: obj({ pay_platform: 1, wxpay_pay_mch_key_ext: obj({ mob_app_id: 'wx1' }) }),
    trade_type: 4,
  }),
  obj({
    pay_content: obj({
      total_fee: 1880,
      body: '湖心奶茶',
      wxpay_pay_content_ext: obj({ scene_info: SCENE }),
    }),
    pay_mch_key: obj({ pay_platform: 1 }),
    order_client: obj({ spbill_create_ip: '203.0.113.7' }),
    trade_type: 6,
  }),
]

/** Every way of paying with every field at every edge, one at a time; with names where they must not be; too deep. */
export const edgePlans: Plan[] = WAYS.flatMap((way) => {
  const bodies = PATHS.flatMap((at) =>
    [undefined, ...(EDGES[at] ?? [])].map((value) => changed(way, at, value)),
  )
  const named = [...NAMES, 'total_fee'].map((name) => changed(way, `pay_content.${name}`, 1, true))
  const deep = [14, 15].map((depth) =>
    changed(way, 'pay_content.body', { raw: '['.repeat(depth) + ']'.repeat(depth) }),
  )
  return [...bodies, ...named, ...deep].map(ordinary)
})

/** As a well-behaved client sends it. */
function ordinary(body: ObjectJson): Plan {
  return {
    shape: 'function-url',
    encode: false,
    text: write(body, PLAIN),
    damage: { kind: 'none' },
    headers: {},
  }
}

const PAYER = { 'x-local-caller': 'payer:o1' }

/** One body for each way of being refused: drawn ones may miss some of them. */
export const refusedPlans: Readonly<Record<string, Plan>> = (() => {
  const fine = ordinary(WAYS[0]!)
  const spoilt = (damage: Damage): Plan => ({ ...fine, damage })
  const headed = (headers: Plan['headers'], plan = fine): Plan => ({ ...plan, headers })
  return {
    body_invalid: ordinary(changed(WAYS[0]!, 'pay_content.total_fee', -1)),
    body_not_base64: spoilt(body((event) => void Object.assign(event, { body: '*', isBase64Encoded: true }))),
    body_not_json: spoilt(text(() => '{')),
    body_not_utf8: spoilt({ kind: 'bytes', change: (bytes) => Buffer.concat([bytes, Buffer.from([0xff])]) }),
    body_too_large: spoilt(text((whole) => whole + ' '.repeat(64 * 1024))),
    caller_not_allowed: headed({ ...PAYER, 'idempotency-key': 'k-%9' }, ordinary(WAYS[4]!)),
    caller_unknown: headed({ 'x-local-caller': '!' }),
    head_invalid: headed({ 'idempotency-key': 'a\0b' }),
    idempotency_key_invalid: headed({ 'idempotency-key': '茶' }),
    idempotency_required: headed(PAYER),
  }
})()

function changed(way: ObjectJson, at: string, value: Json | undefined, beside = false): ObjectJson {
  const body = copy(way) as ObjectJson
  if (beside && value !== undefined) parentOf(body, at)?.entries.push([lastOf(at), copy(value)])
  else put(body, at, value)
  return body
}

const quoteNumbers = (node: Json): Json =>
  isObject(node)
    ? { entries: node.entries.map(([name, value]) => [name, quoteNumbers(value)]) }
    : typeof node === 'object' && node !== null && 'raw' in node && node.raw.includes(NUMBER_MARK)
      ? { raw: `"${node.raw}"` }
      : node

/** `prefix%20` becomes a text of 20 characters (or as few more as it takes) that only this run has. */
function number(marked: string, run: number): string {
  return marked.replaceAll(/(sb01|k-|)%(\d+)/g, (_, prefix: string, length: string) => {
    // Digits and lower-case letters, then a capital: no number is the beginning of another.
    return `${prefix}${run.toString(36)}Z`.padEnd(Number(length), 'Z')
  })
}

export function eventOf(plan: Plan, run: number): Event {
  const { shape, damage } = plan
  const written = number(plan.text, run)
  const text = damage.kind === 'text' ? damage.change(written) : written
  const plainBytes = Buffer.from(text, 'utf8')
  const bytes = damage.kind === 'bytes' ? damage.change(plainBytes) : plainBytes
  // What is no text can only come as base64.
  const encode = plan.encode || shape === 'superset' || damage.kind === 'bytes'
  const event: Event = {
    body: encode ? bytes.toString('base64') : text,
    headers: Object.fromEntries(
      Object.entries(plan.headers).map(([name, value]) => [
        name,
        typeof value === 'string'
          ? number(value, run)
          : Array.isArray(value)
            ? value.map((one) => number(one, run))
            : value,
      ]),
    ),
  }
  if (shape === 'api-gateway') event.isBase64Encoded = String(encode)
  else if (encode) event.isBase64Encoded = true
  if (damage.kind === 'body') damage.change(event)
  return {
    ...event,
    ...(shape === 'function-url' ? {} : { requestContext: { stage: 'release' }, queryStringParameters: {} }),
    ...(shape === 'api-gateway' ? { pathParameters: {}, headerParameters: {}, stageVariables: {} } : {}),
  }
}
