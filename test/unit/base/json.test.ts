import { parseStrictJson } from '../../../shared/base/json'

const nested = (depth: number, inside = '1') => '['.repeat(depth) + inside + ']'.repeat(depth)

describe('strict JSON', () => {
  test.each([
    '{}',
    '[]',
    'null',
    '"text"',
    '-0.5e-3',
    ' {\n\t"a" : [ 1 , { "a" : "a" } ] , "b":{"a":1}}\r\n',
    '{"a":"b","b":"a"}',
    '{"a":"a","b":"\\"a\\":1"}',
    '{"a":["a","a",{"a":"a"}]}',
    '{"a":"{\\"a\\":1,\\"a\\":2}"}',
    '{"a":"__proto__","b":"constructor"}',
    '{"a\\"":1,"a":2}',
    '{"a\\\\":1,"a":2}',
    '{"":1," ":2}',
    '{"proto":1,"Constructor":2,"__proto":3}',
    '[{"a":1},{"a":2}]',
    '{"湖":1,"\\u6e56心":2}',
  ])('takes %s as JSON.parse does', (text) => {
    expect(parseStrictJson(text)).toEqual({ ok: true, value: JSON.parse(text) })
  })

  test.each([
    '',
    ' ',
    '{',
    '{"a":1',
    "{'a':1}",
    '{"a":1,}',
    '[1,]',
    '{"a":01}',
    '{"a":NaN}',
    '{a:1}',
    '{"a":1}{"b":2}',
    '// note\n{}',
    '\ufeff{}',
    '{"a":"\n"}',
    '{"a":"\\x41"}',
    '\u00a0{}',
  ])('refuses %j: it is not JSON', (text) => {
    expect(parseStrictJson(text)).toEqual({ ok: false, code: 'not_json', field: '' })
  })

  test.each([
    ['{"a":1,"a":1}', 'a'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['{"\\u0061":1,"\\u0061":2}', 'a'],
    ['{"湖":1,"\\u6e56":2}', '湖'],
    ['{"/":1,"\\/":2}', '/'],
    ['{"\\n":1,"\\u000a":2}', '\n'],
    ['{"🧋":1,"\\ud83e\\uddcb":2}', '🧋'],
    ['{"a\\"b":1,"a\\u0022b":2}', 'a"b'],
    ['{"":1,"":2}', ''],
    ['{"a" \t:1,"b":2,"a"\r\n:3}', 'a'],
    ['{"x":{"y":{"a":1,"b":2,"a":3}}}', 'x.y.a'],
    ['{"x":[0,{"a":1},{"a":[],"a":[]}]}', 'x.2.a'],
    ['[[],[{"z":"}","a":"{","a":"["}]]', '1.0.a'],
    ['{"x":{"a":1},"y":{"a":1},"x":3}', 'x'],
    ['{"x":{"a":{}},"y":{"b":[1,2,{"c":1,"c":2}]}}', 'y.b.2.c'],
    ['{"a":"a\\\\","b":"\\"","a":0}', 'a'],
  ])('finds the name that %s gives twice', (text, field) => {
    expect(parseStrictJson(text)).toEqual({ ok: false, code: 'duplicate_key', field })
  })

  test.each([...Object.getOwnPropertyNames(Object.prototype)])(
    'refuses the name %s, also escaped',
    (name) => {
      const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`
      for (const text of [name, escaped]) {
        expect(parseStrictJson(`{"${text}":{}}`)).toEqual({ ok: false, code: 'forbidden_key', field: name })
        expect(parseStrictJson(`{"x":[{"${text}":1}]}`)).toEqual({
          ok: false,
          code: 'forbidden_key',
          field: `x.0.${name}`,
        })
      }
    },
  )

  test('names the first of several traps', () => {
    expect(parseStrictJson('{"a":{"__proto__":1},"a":2}')).toMatchObject({ code: 'forbidden_key' })
    expect(parseStrictJson('{"a":{},"a":{"__proto__":1}}')).toMatchObject({ code: 'duplicate_key' })
  })

  test('is nested 16 deep at most, objects and arrays alike', () => {
    expect(parseStrictJson(nested(16))).toMatchObject({ ok: true })
    expect(parseStrictJson(nested(17))).toEqual({ ok: false, code: 'too_deep', field: '' })
    expect(parseStrictJson(nested(15, '{"a":1}'))).toMatchObject({ ok: true })
    expect(parseStrictJson(nested(16, '{"a":1}'))).toEqual({ ok: false, code: 'too_deep', field: '' })
    expect(parseStrictJson(`{"a":${nested(16)}}`)).toMatchObject({ code: 'too_deep' })
  })

  test('counts depth, not brackets: those in strings and those closed again are nothing', () => {
    expect(parseStrictJson(JSON.stringify(nested(40)))).toMatchObject({ ok: true })
    expect(parseStrictJson(`[${Array.from({ length: 40 }, () => nested(15)).join()}]`)).toMatchObject({
      ok: true,
    })
  })

  test('bears a body full of brackets, of quotes or of names', () => {
    expect(parseStrictJson(nested(32_000))).toMatchObject({ ok: false })
    expect(parseStrictJson('['.repeat(64_000))).toEqual({ ok: false, code: 'not_json', field: '' })
    expect(parseStrictJson(`"${'\\"'.repeat(30_000)}"`)).toMatchObject({ ok: true })
    const names = Array.from({ length: 6000 }, (_, index) => `"n${index}":0`)
    expect(parseStrictJson(`{${names.join()}}`)).toMatchObject({ ok: true })
    expect(parseStrictJson(`{${[...names, '"n17":0'].join()}}`)).toMatchObject({ field: 'n17' })
    expect(parseStrictJson(`{"a"${' '.repeat(60_000)}:1}`)).toMatchObject({ ok: true })
  })
})
