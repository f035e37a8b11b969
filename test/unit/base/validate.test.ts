import * as v from 'valibot'
import {
  characters,
  exactObject,
  fieldFaults,
  integer,
  isWellFormed,
  S,
  S1,
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

describe('a field fault', () => {
  const schema = v.strictObject({
    fee: integer(1, 100),
    note: v.optional(S(3)),
    kind: v.optional(v.picklist(['a', 'b'])),
    deep: v.optional(v.strictObject({ list: v.array(v.strictObject({ id: S1(2) })) })),
  })
  const faultsOf = (value: unknown) => fieldFaults(v.safeParse(schema, value).issues ?? [])

  const secret = 'caller-secret-value'
  const cases: [what: string, value: unknown, field: string, code: string, message: string][] = [
    ['a missing field', {}, 'fee', 'required', 'is required'],
    ['a wrong type', { fee: secret }, 'fee', 'type', 'must be number'],
    ['null', { fee: null }, 'fee', 'type', 'must be number'],
    ['too small', { fee: 0 }, 'fee', 'min_value', 'must satisfy min_value >=1'],
    ['too large', { fee: 101 }, 'fee', 'max_value', 'must satisfy max_value <=100'],
    ['a fraction', { fee: 1.5 }, 'fee', 'safe_integer', 'must satisfy safe_integer'],
    ['a long text', { fee: 1, note: secret }, 'note', 'value', 'must be at most 3 characters'],
    ['half a pair', { fee: 1, note: '\ud83e' }, 'note', 'value', 'must not contain half of a surrogate pair'],
    [
      'a stray field',
      { fee: 1, [secret]: secret },
      secret,
      'unknown_field',
      'is not a field of this request',
    ],
    ['none of a list', { fee: 1, kind: secret }, 'kind', 'type', 'must be ("a" | "b")'],
    ['a field deep inside', { fee: 1, deep: { list: [{ id: 'x' }, {}] } }, 'deep.list.1.id', 'required', ''],
    [
      'a stray field deep inside',
      { fee: 1, deep: { list: [{ id: 'x', no: 1 }] } },
      'deep.list.0.no',
      'unknown_field',
      '',
    ],
    ['an empty text', { fee: 1, deep: { list: [{ id: '' }] } }, 'deep.list.0.id', 'min_length', ''],
    ['an object for a list', { fee: 1, deep: { list: {} } }, 'deep.list', 'type', 'must be Array'],
  ]

  test.each(cases)('for %s says where and what, never the value', (_what, value, field, code, message) => {
    const faults = faultsOf(value)
    expect(faults).toEqual([{ field, code, message: expect.stringContaining(message) }])
    expect(faults[0]!.message).not.toBe('')
    expect(faults[0]!.message).not.toContain(secret)
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
    expect(faultsOf('text')).toEqual([{ field: '', code: 'type', message: 'must be Object' }])
  })
})
