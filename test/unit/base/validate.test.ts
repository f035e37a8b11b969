import * as v from 'valibot'
import {
  characters,
  EpochSeconds,
  exactObject,
  fieldFaults,
  flaw,
  integer,
  isWellFormed,
  listOf,
  NotBlank,
  S,
  S1,
  said,
  visibleAscii,
} from '../../../shared/base/validate'

describe('length', () => {
  test.each([
    ['', 0],
    ['abc', 3],
    ['湖心奶茶', 4],
    ['🧋', 1],
    ['🧋🧋a', 3],
    ['é', 1],
    ['e\u0301', 2],
    ['\ud83e', 1],
  ])('%j is %d characters', (text, count) => {
    expect(characters(text)).toBe(count)
  })

  test.each([
    ['a'.repeat(32), true],
    ['a'.repeat(33), false],
    ['湖'.repeat(32), true],
    ['🧋'.repeat(32), true],
    ['🧋'.repeat(33), false],
    ['', true],
    [7, false],
    [null, false],
  ])('S(32) of %j: %s', (text, fits) => {
    expect(v.is(S(32), text)).toBe(fits)
  })

  test('S1 is S and not empty', () => {
    expect(v.is(S1(3), '')).toBe(false)
    expect(v.is(S1(3), ' ')).toBe(true)
    expect(v.is(S1(3), 'abc')).toBe(true)
    expect(v.is(S1(3), 'abcd')).toBe(false)
  })
})

describe('text that has a UTF-8 form', () => {
  test.each(['', 'a', '湖', '🧋', '\ud83e\uddcb', '\u0001', '\uffff', '\ufeff'])('%j', (text) => {
    expect(isWellFormed(text)).toBe(true)
    expect(Buffer.from(text).toString()).toBe(text)
    expect(v.is(S(9), text)).toBe(true)
  })

  test.each(['\ud83e', '\uddcb', 'a\ud83eb', '\uddcb\ud83e', '🧋\ud83e', '\ud83e🧋'])('is not %j', (text) => {
    expect(isWellFormed(text)).toBe(false)
    expect(Buffer.from(text).toString()).not.toBe(text)
    expect(v.is(S(9), text)).toBe(false)
  })
})

test.each(['\u0000', 'a\u0000', '\u0000a'])('no text has U+0000 in it: %j', (text) => {
  expect(v.is(S(9), text)).toBe(false)
  expect(v.is(S1(9), text)).toBe(false)
})

describe('an exact object', () => {
  const schema = exactObject({ a: v.optional(v.string()) })

  test.each([[{}], [{ a: 'x' }]])('may be %j', (value) => {
    expect(v.parse(schema, value)).toEqual(value)
  })

  test.each([[[]], [['a']], [null], ['a'], [{ b: 1 }], [{ a: 1 }], [undefined]])('may not be %j', (value) => {
    expect(v.is(schema, value)).toBe(false)
    expect(v.is(v.strictObject({ inside: schema }), { inside: value })).toBe(false)
  })
})

test.each([
  [1, true],
  [3, true],
  [0, false],
  [4, false],
  [1.5, false],
  ['2', false],
  [NaN, false],
])('integer(1, 3) of %p: %s', (number, fits) => {
  expect(v.is(integer(1, 3), number)).toBe(fits)
})

test.each([
  ['', ['must not be empty']],
  [' ', ['must not be blanks only']],
  ['\u00a0\u3000\n', ['must not be blanks only']],
  [' a', []],
  ['abcd', ['must be at most 3 characters']],
])('NotBlank(3) says of %j: %j', (text, messages) => {
  expect((v.safeParse(NotBlank(3), text).issues ?? []).map(({ message }) => message)).toEqual(messages)
})

test.each([
  ['cart-1', true],
  ['~'.repeat(64), true],
  ['x'.repeat(65), false],
  ['', false],
  ['a b', false],
  ['订单2026', false],
  [2026, false],
])('visibleAscii(64) of %j: %s', (text, fits) => {
  expect(v.is(visibleAscii(64), text)).toBe(fits)
})

test.each([
  [1_900_000_000, true],
  [99_999_999_999, true],
  [1_900_000_000_000, false],
  [1.5, false],
  [-1, false],
  ['1900000000', false],
])('EpochSeconds of %j: %s, and what is not is told of milliseconds', (given, fits) => {
  const { success, issues = [] } = v.safeParse(EpochSeconds, given)
  expect(success).toBe(fits)
  for (const { message } of fieldFaults(issues)) expect(message).toMatch(/epoch seconds, not milliseconds/)
})

describe('a list', () => {
  let looks = 0
  const counted = v.pipe(
    v.string(),
    v.check((text) => (looks++, text !== 'no'), said('must not be no', '不能是 no')),
  )
  beforeEach(() => (looks = 0))

  test('is looked through until twenty faults are found, and no further', () => {
    const read = v.safeParse(listOf(counted), Array<string>(10_000).fill('no'))
    expect([read.issues?.length, looks]).toEqual([20, 20])
    const late = v.safeParse(listOf(counted), [
      ...Array<string>(500).fill('yes'),
      ...Array<string>(500).fill('no'),
    ])
    expect([late.issues?.length, looks]).toEqual([20, 20 + 520])
    expect(fieldFaults(late.issues!)[0]).toMatchObject({ field: '500', code: 'value' })
  })

  test('without faults is looked through to its end', () => {
    const all = Array<string>(1000).fill('yes')
    expect(v.parse(listOf(counted), all)).toEqual(all)
    expect(looks).toBe(1000)
    // Fewer than twenty are all told.
    expect(
      v.safeParse(listOf(counted), ['no', 'yes', 'no']).issues?.map((issue) => v.getDotPath(issue)),
    ).toEqual(['0', '2'])
  })

  test.each<unknown>([
    { list: [] },
    { list: [{ n: 1, text: 'a' }] },
    {
      list: [
        { n: 1, text: 'too long' },
        { n: 2, text: 'also too long' },
      ],
    },
    { list: [{ n: 'x', text: 1 }, { text: 'a', more: 1 }, null] },
    { list: {} },
    { list: null },
    {},
  ])('reads %j as v.array does', (given) => {
    const item = v.strictObject({ n: v.number(), text: S(3) })
    type List = v.ArraySchema<typeof item, undefined>
    const told = (list: List) => {
      const { issues, ...rest } = v.safeParse(v.strictObject({ list: v.pipe(list, v.minLength(1)) }), given)
      return [rest, issues?.map((issue) => [v.getDotPath(issue), issue.message])]
    }
    expect(told(listOf(item))).toEqual(told(v.array(item)))
    // Beside another form it is told of its own fault, as long as its type is right.
    const either = (list: List) => v.union([v.object({ list }), v.number()], 'neither')
    const first = (list: List) => v.safeParse(either(list), given).issues?.[0].message
    expect(first(listOf(item))).toEqual(first(v.array(item)))
  })
})

describe('a field fault', () => {
  const schema = v.strictObject({
    fee: integer(1, 100),
    note: v.optional(S(3)),
    kind: v.optional(v.picklist(['a', 'b'])),
    way: v.optional(v.picklist([1, 2])),
    unit: v.optional(v.literal('CNY')),
    either: v.optional(v.union([v.string(), v.boolean()])),
    form: v.optional(v.pipe(v.string(), v.regex(/^\d$/))),
    odd: v.optional(
      v.pipe(
        v.string(),
        v.check(() => false),
      ),
    ),
    english: v.optional(
      v.pipe(
        v.string(),
        v.check(() => false, 'must be English'),
      ),
    ),
    short: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(3))),
    deep: v.optional(v.strictObject({ list: v.array(v.strictObject({ id: S1(2) })) })),
  })
  const faultsOf = (value: unknown) => fieldFaults(v.safeParse(schema, value).issues ?? [])

  const secret = 'caller-secret-value'
  const cases: [what: string, value: unknown, field: string, code: string, en: string, zh: string][] = [
    ['a missing field', {}, 'fee', 'required', 'is required', '必须提供'],
    [
      'a wrong type',
      { fee: secret },
      'fee',
      'type',
      'must be a number, without quotes',
      '须为数字，不带引号',
    ],
    ['null', { fee: null }, 'fee', 'type', 'must be a number, without quotes', '须为数字，不带引号'],
    ['too small', { fee: 0 }, 'fee', 'min_value', 'must be at least 1', '不能小于 1'],
    ['too large', { fee: 101 }, 'fee', 'max_value', 'must be at most 100', '不能大于 100'],
    ['a fraction', { fee: 1.5 }, 'fee', 'safe_integer', 'must be a whole number', '须为整数'],
    [
      'a long text',
      { fee: 1, note: secret },
      'note',
      'value',
      'must be at most 3 characters',
      '最多 3 个字符',
    ],
    ['no text', { fee: 1, note: 3 }, 'note', 'type', 'must be text, in quotes', '须为文本，放在引号里'],
    [
      'half a pair',
      { fee: 1, note: '\ud83e' },
      'note',
      'value',
      'must not contain half of a surrogate pair',
      '不能含有半个代理对',
    ],
    [
      'a stray field',
      { fee: 1, [secret]: secret },
      secret,
      'unknown_field',
      'is not a field of this request',
      '不是这个请求的字段',
    ],
    [
      'none of some texts',
      { fee: 1, kind: secret },
      'kind',
      'type',
      'must be the text "a" or "b"',
      '须为文本 a 或 b',
    ],
    [
      'none of some numbers',
      { fee: 1, way: '1' },
      'way',
      'type',
      'must be the number 1 or 2',
      '须为数字 1 或 2',
    ],
    ['not the one text', { fee: 1, unit: secret }, 'unit', 'type', 'must be the text "CNY"', '须为文本 CNY'],
    ['neither of two kinds', { fee: 1, either: 1 }, 'either', 'type', 'is not acceptable', '不合规'],
    [
      'another form',
      { fee: 1, form: secret },
      'form',
      'regex',
      'is not in the form of this field',
      '格式不对',
    ],
    ['a check without words', { fee: 1, odd: secret }, 'odd', 'value', 'is not acceptable', '不合规'],
    [
      'a check in one language',
      { fee: 1, english: secret },
      'english',
      'value',
      'is not acceptable',
      '不合规',
    ],
    ['too short', { fee: 1, short: '' }, 'short', 'min_length', 'must not be empty', '不能为空'],
    [
      'too long',
      { fee: 1, short: secret },
      'short',
      'max_length',
      'must be at most 3 characters',
      '最多 3 个字符',
    ],
    [
      'a field deep inside',
      { fee: 1, deep: { list: [{ id: 'x' }, {}] } },
      'deep.list.1.id',
      'required',
      'is required',
      '必须提供',
    ],
    [
      'a stray field deep inside',
      { fee: 1, deep: { list: [{ id: 'x', no: 1 }] } },
      'deep.list.0.no',
      'unknown_field',
      'is not a field of this request',
      '不是这个请求的字段',
    ],
    [
      'an empty text',
      { fee: 1, deep: { list: [{ id: '' }] } },
      'deep.list.0.id',
      'min_length',
      'must not be empty',
      '不能为空',
    ],
    [
      'an object for a list',
      { fee: 1, deep: { list: {} } },
      'deep.list',
      'type',
      'must be a list',
      '须为列表',
    ],
    ['a text for an object', { fee: 1, deep: secret }, 'deep', 'type', 'must be an object', '须为对象'],
  ]

  test.each(cases)('for %s says where and what, never the value', (_what, value, field, code, en, zh) => {
    const faults = faultsOf(value)
    expect(faults).toEqual([{ field, code, message: en, message_zh: zh }])
    expect(en + zh).not.toContain(secret)
  })

  test('is in the words of its schema, where it has some', () => {
    const own = v.pipe(
      v.string(said('must be a name', '须为名字')),
      v.check(() => false, said('no', '不行')),
    )
    const of = (value: unknown) => fieldFaults(v.safeParse(own, value).issues ?? [])
    expect(of(1)).toEqual([{ field: '', code: 'type', message: 'must be a name', message_zh: '须为名字' }])
    expect(of('x')).toEqual([{ field: '', code: 'value', message: 'no', message_zh: '不行' }])
    expect(flaw('a', 'value', said('no', '不行'))).toEqual({ ...of('x')[0], field: 'a' })
  })

  test('comes with the others, twenty at most', () => {
    expect(faultsOf({ fee: 0, note: 'four', kind: 'c' }).map((fault) => fault.field)).toEqual([
      'fee',
      'note',
      'kind',
    ])
    const many = v.strictObject(
      Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`f${at}`, v.string()])),
    )
    expect(fieldFaults(v.safeParse(many, {}).issues ?? [])).toHaveLength(20)
  })

  test('of the whole value has no field', () => {
    expect(faultsOf('text')).toMatchObject([{ field: '', code: 'type', message: 'must be an object' }])
  })
})
