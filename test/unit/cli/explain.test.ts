import { createHmac, Hmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { explain, type Outcome } from '../../../cli/explain/command'
import { CAUSES, type Keys } from '../../../cli/explain/causes'
import { diagnose } from '../../../cli/explain/diagnose'
import { firstDifference } from '../../../cli/explain/difference'
import { Secret } from '../../../shared/base/secrets'
import vectors from '../../fixtures/vectors.json'
import { runCommand } from '../../support/cli'

const KEY = '9f86d081884c7d659a2feaa0c55ad015'
const OTHER = 'aB3dE6fG9hJ2kL5mN8pQ1rS4tU7vW0xY'

/** The signer's own arithmetic, apart from the code under test. */
const sign = (text: string, key: string | Buffer = KEY): string =>
  createHmac('sha256', key).update(text, 'utf8').digest('hex').toUpperCase()

const envelope = (content: unknown, code: unknown, member = 'request_content', type: unknown = 1): string =>
  JSON.stringify({ [member]: content, authen_info: { a: { authen_type: type, authen_code: code } } })

const keyring = (own = KEY): Keys => ({
  own: new Secret(own),
  others: [
    { name: 'FIRST', key: new Secret('unrelated0000000000000000000000a') },
    { name: 'SHOP_2', key: new Secret(OTHER) },
  ],
})

const found = (body: string | Buffer, own = KEY): string[] =>
  diagnose(Buffer.from(body as string, 'utf8'), keyring(own)).findings.map(({ code, note }) =>
    note === undefined ? code : `${code}: ${note}`,
  )

/** Has what every cause needs to leave a trace: Chinese, an emoji, a slash, = & ' < >, numbers, names out of order. */
const RICH = '{"total_fee":10000,"body":"奶茶🧋","notify":"https://example.com/a?b=1&c=\'<2>\'"}'
const PLAIN = '{"out_trade_no":"0101108952019101000000001","nonce_str":"0123456789abcdef"}'

const lowerEscapes = (text: string) =>
  text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
const upperEscapes = (text: string) =>
  lowerEscapes(text).replace(/u[0-9a-f]{4}/g, (e) => `u${e.slice(1).toUpperCase()}`)

describe('an envelope that verifies', () => {
  test.each(vectors.authen_code_vectors.filter(({ content_bytes }) => content_bytes > 0))(
    '$name',
    ({ content_utf8, authen_code, key_utf8 }) => {
      expect(found(envelope(content_utf8, authen_code), key_utf8)).toEqual([])
      expect(found(envelope(content_utf8, authen_code, 'response_content'), key_utf8)).toEqual([])
    },
  )

  test.each(vectors.envelope_vectors)(
    '$name',
    ({ http_body_utf8_raw, http_body_ascii_escaped, key_utf8 }) => {
      expect(found(http_body_utf8_raw, key_utf8)).toEqual([])
      expect(found(http_body_ascii_escaped, key_utf8)).toEqual([])
      expect(found(`${http_body_utf8_raw}\n`, key_utf8)).toEqual([])
    },
  )
})

describe('the negative vectors', () => {
  const expected: Record<string, string> = {
    lower_case_hex: 'lower_case_code',
    signed_outer_escaped_bytes: 'signed_escaped_text: without its quotes',
  }
  test.each(vectors.negative_vectors)('$name', ({ name, content_utf8, key_utf8, authen_code }) => {
    expect(found(envelope(content_utf8, authen_code), key_utf8)).toEqual([expected[name]])
  })
})

type Case = { finding: string; body: string | Buffer; own?: string }
const arrived = (text: string, finding: string, signed: string): Case => ({
  finding,
  body: envelope(text, sign(signed)),
})
const withKey = (finding: string, key: string | Buffer, own = KEY): Case => ({
  finding,
  body: envelope(PLAIN, sign(PLAIN, key)),
  own,
})

/** Every cause with a code that was really made that way. */
const CASES: Case[] = [
  { finding: 'lower_case_code', body: envelope(PLAIN, sign(PLAIN).toLowerCase()) },
  { finding: 'code_with_blanks', body: envelope(PLAIN, `${sign(PLAIN)}\n`) },
  { finding: 'code_in_base64', body: envelope(PLAIN, Buffer.from(sign(PLAIN), 'hex').toString('base64')) },

  withKey('other_merchants_key: SHOP_2', OTHER),
  withKey('key_blank_here', KEY, `${KEY}\n`),
  withKey('key_blank_here', KEY, ` ${KEY}\r\n`),
  withKey('key_blank_there: LF', `${KEY}\n`),
  withKey('key_blank_there: CRLF', `${KEY}\r\n`),
  withKey('key_blank_there: CR', `${KEY}\r`),
  withKey('key_blank_there: blank after', `${KEY} `),
  withKey('key_blank_there: blank before', ` ${KEY}`),
  withKey('key_blank_there: tab', `${KEY}\t`),
  withKey('key_blank_there: BOM', `\ufeff${KEY}`),
  withKey("key_quoted: the signer's", `"${KEY}"`),
  withKey("key_quoted: the signer's", `'${KEY}'`),
  withKey('key_quoted: configured here', KEY, `"${KEY}"`),
  withKey("key_letter_case: the signer's is upper case", KEY.toUpperCase()),
  withKey("key_letter_case: the signer's is lower case", KEY, KEY.toUpperCase()),
  withKey('key_hex_decoded', Buffer.from(KEY, 'hex')),

  arrived(PLAIN, 'content_trimmed: LF', `${PLAIN}\n`),
  arrived(PLAIN, 'content_trimmed: CRLF', `${PLAIN}\r\n`),
  arrived(PLAIN, 'content_trimmed: CR', `${PLAIN}\r`),
  arrived(PLAIN, 'content_trimmed: blank', `${PLAIN} `),
  arrived(`${PLAIN}\n`, 'content_newline_added: line break, or blanks after, or blanks around', PLAIN),
  arrived(`${PLAIN}\r\n`, 'content_newline_added: line break, or blanks after, or blanks around', PLAIN),
  arrived(`${PLAIN} \n`, 'content_newline_added: blanks after, or blanks around', PLAIN),
  arrived(`\n${PLAIN}\n`, 'content_newline_added: blanks around', PLAIN),
  arrived('{\n"a":1\n}', 'line_ends_changed: signed with CRLF', '{\r\n"a":1\r\n}'),
  arrived('{\r\n"a":1\r\n}', 'line_ends_changed: signed with LF', '{\n"a":1\n}'),
  arrived(PLAIN, 'content_bom: signed with', `\ufeff${PLAIN}`),
  arrived(`\ufeff${PLAIN}`, 'content_bom: signed without', PLAIN),

  arrived(RICH, 'slash_escapes: signed with \\/', RICH.replaceAll('/', '\\/')),
  arrived(RICH.replaceAll('/', '\\/'), 'slash_escapes: signed with /', RICH),
  arrived(
    RICH,
    'slash_escapes: signed with \\/ and \\uxxxx: json_encode',
    lowerEscapes(RICH.replaceAll('/', '\\/')),
  ),
  arrived(
    RICH,
    'html_escapes: signed as Gson writes',
    RICH.replaceAll('=', '\\u003d')
      .replaceAll('&', '\\u0026')
      .replaceAll("'", '\\u0027')
      .replaceAll('<', '\\u003c')
      .replaceAll('>', '\\u003e'),
  ),
  arrived(
    RICH,
    'html_escapes: signed as Go writes',
    RICH.replaceAll('&', '\\u0026').replaceAll('<', '\\u003c').replaceAll('>', '\\u003e'),
  ),
  arrived('{"a":"\\u003cb\\u003e \\u003d"}', 'html_escapes: signed without them', '{"a":"<b> ="}'),
  arrived(RICH, 'unicode_escapes: signed with \\uxxxx', lowerEscapes(RICH)),
  arrived(RICH, 'unicode_escapes: signed with \\uXXXX', upperEscapes(RICH)),
  arrived(upperEscapes(RICH), 'unicode_escapes: signed with \\uxxxx', lowerEscapes(RICH)),
  arrived(lowerEscapes(RICH), 'unicode_escapes: signed with \\uXXXX', upperEscapes(RICH)),
  arrived(upperEscapes(RICH), 'unicode_escapes: signed as raw UTF-8', RICH),
  arrived('{"a":100,"b":12345678}', 'numbers_as_floats: signed with 100.0', '{"a":100.0,"b":1.2345678E7}'),
  arrived('{"a":100.0,"b":1.2345678E7}', 'numbers_as_floats: signed with 100', '{"a":100,"b":12345678}'),
  arrived(
    '{"a":[1,{"b":"x, y: z"}]}',
    'spaced_separators: escapes unchanged, or with \\uxxxx',
    '{"a": [1, {"b": "x, y: z"}]}',
  ),
  arrived('{"a":"奶","b":"x"}', 'spaced_separators: with \\uxxxx', '{"a": "\\u5976", "b": "x"}'),
  arrived(
    '{"b":1,"a":{"d":1,"c":2}}',
    'sorted_keys: compact, or compact, with \\uxxxx',
    '{"a":{"c":2,"d":1},"b":1}',
  ),
  arrived('{"b":1,"a":"奶"}', 'sorted_keys: spaced, with \\uxxxx', '{"a": "\\u5976", "b": 1}'),
  arrived(
    '{"a": 1, "b": "x"}',
    'reserialised: signed without blanks, or signed as JSON.stringify writes',
    '{"a":1,"b":"x"}',
  ),
  arrived(
    '{"a": 1.50, "b": "\\u0041"}',
    'reserialised: signed as JSON.stringify writes',
    '{"a":1.5,"b":"A"}',
  ),
  arrived('{"a":1,"b":[2]}', 'reserialised: signed with indent 2', JSON.stringify({ a: 1, b: [2] }, null, 2)),
  arrived('{"a":1,"b":[2]}', 'reserialised: signed with indent 4', JSON.stringify({ a: 1, b: [2] }, null, 4)),

  arrived(PLAIN, 'signed_escaped_text: without its quotes', JSON.stringify(PLAIN).slice(1, -1)),
  arrived(PLAIN, 'signed_escaped_text: with its quotes', JSON.stringify(PLAIN)),
  arrived(JSON.stringify(PLAIN), 'encoded_twice', PLAIN),
  arrived(PLAIN, 'signed_outer_body: without authen_info', JSON.stringify({ request_content: PLAIN })),
  arrived(PLAIN, 'signed_outer_body: with an empty code', envelope(PLAIN, '')),
  arrived(
    PLAIN,
    'signed_outer_body: with an empty authen_info',
    JSON.stringify({ request_content: PLAIN, authen_info: null }),
  ),
  arrived(
    PLAIN,
    'signed_outer_body: without the code',
    JSON.stringify({ request_content: PLAIN, authen_info: { a: { authen_type: 1 } } }),
  ),

  {
    finding: 'not_utf8: first bad byte at offset 9',
    body: Buffer.from('{"body":"\xc4\xcc\xb2\xe8"}', 'latin1'),
  },
  { finding: 'not_utf8: UTF-16', body: Buffer.from(`\ufeff${envelope(PLAIN, sign(PLAIN))}`, 'utf16le') },
  { finding: 'body_starts_with_bom', body: `\ufeff${envelope(PLAIN, sign(PLAIN))}` },
  { finding: 'not_json', body: '' },
  { finding: 'not_json', body: '[]' },
  { finding: 'not_json', body: `{"request_content":"${PLAIN}"}` },
  { finding: 'content_missing', body: '{"authen_info":{}}' },
  { finding: 'content_missing', body: '{"response_content":""}' },
  {
    finding: 'content_not_a_string',
    body: envelope({ status: 0 }, sign('{"status":0}'), 'response_content'),
  },
  { finding: 'authen_info_missing', body: JSON.stringify({ request_content: PLAIN }) },
  {
    finding: 'authen_info_missing',
    body: JSON.stringify({ response_content: '{"status":0}', authen_info: null }),
  },
  { finding: 'unsigned_failure', body: JSON.stringify({ response_content: '{"status":101}' }) },
  {
    finding: 'authen_info_malformed',
    body: JSON.stringify({ request_content: PLAIN, authen_info: { s: {} } }),
  },
  { finding: 'authen_info_malformed', body: envelope(PLAIN, 1) },
  { finding: 'authen_type_wrong', body: envelope(PLAIN, sign(PLAIN), 'request_content', 2) },
  { finding: 'authen_type_wrong', body: envelope(PLAIN, sign(PLAIN), 'request_content', '1') },
  { finding: 'code_malformed', body: envelope(PLAIN, sign(PLAIN).slice(0, 32)) },
  { finding: 'unexplained', body: envelope(PLAIN, sign('another text', 'another key')) },
]

describe('one cause', () => {
  test.each(CASES.map((each, index) => ({ index, ...each })))('$index $finding', ({ finding, body, own }) => {
    expect(found(body, own)).toEqual([finding])
  })

  it('is tested for every row of the table', () => {
    const tested = new Set(CASES.map(({ finding }) => finding.split(':')[0]))
    expect(CAUSES.map(({ code }) => code).filter((code) => !tested.has(code))).toEqual([])
  })

  it('is named although the content is spelled in an unusual way in the outer body', () => {
    const wire = lowerEscapes(JSON.stringify(RICH))
    const body = (code: string) =>
      `{ "authen_info" : {"a":{"authen_type":1,"authen_code":"${code}"}} , "request_content" : ${wire} }`
    expect(found(body(sign(RICH)))).toEqual([])
    expect(found(body(sign(wire.slice(1, -1))))).toEqual(['signed_escaped_text: without its quotes'])
  })
})

describe('two causes', () => {
  const codes = (body: string, own = KEY) => found(body, own).map((finding) => finding.split(':')[0])

  it('lower-case code and a trimmed line break', () => {
    const body = envelope(PLAIN, sign(`${PLAIN}\n`).toLowerCase())
    expect(codes(body)).toEqual(['lower_case_code', 'content_trimmed'])
  })

  it("another merchant's key and re-serialised", () => {
    const body = envelope('{"a": 1}', sign('{"a":1}', OTHER))
    expect(codes(body)).toEqual(['other_merchants_key', 'reserialised'])
  })

  it('re-serialised, and without its line break', () => {
    expect(codes(envelope('{"a": 1}', sign('{"a":1}\n')))).toEqual(['reserialised', 'content_trimmed'])
  })

  it("another merchant's key, in other letter case", () => {
    expect(codes(envelope(PLAIN, sign(PLAIN, OTHER.toUpperCase())))).toEqual([
      'other_merchants_key',
      'key_letter_case',
    ])
  })

  it('an object for a content, and re-serialised', () => {
    const body = '{"request_content":{"a": 1},"authen_info":{"a":{"authen_type":1,"authen_code":"CODE"}}}'
    expect(codes(body.replace('CODE', sign('{"a": 1}')))).toEqual(['content_not_a_string'])
    expect(codes(body.replace('CODE', sign('{"a":1}')))).toEqual(['content_not_a_string', 'reserialised'])
  })

  it('a wrong authen_type does not hide a wrong code', () => {
    const body = envelope(PLAIN, sign(PLAIN).toLowerCase(), 'request_content', 2)
    expect(codes(body)).toEqual(['authen_type_wrong', 'lower_case_code'])
  })
})

describe('content from a stranger', () => {
  it('may be nested beyond what can be written again', () => {
    const deep = '['.repeat(20_000) + ']'.repeat(20_000)
    expect(found(envelope(deep, '0'.repeat(64)))).toEqual(['unexplained'])
  })

  it('is given up on when 256 MB have been signed', () => {
    let signed = 0
    const update = jest.spyOn(Hmac.prototype, 'update').mockImplementation(function (this: Hmac, text) {
      signed += text.length
      return this
    })
    const long = JSON.stringify({ body: '奶/<=\n'.repeat(25_000) })
    expect(found(envelope(long, '0'.repeat(64)))).toEqual(['unexplained: long text: not every pair tried'])
    update.mockRestore()
    const limit = 256 * 1024 * 1024
    expect(signed).toBeGreaterThan(0.99 * limit)
    // The first verification comes before the search.
    expect(signed).toBeLessThanOrEqual(limit + long.length)
  })
})

// ── the command ────────────────────────────────────────────────────────────────────────────────────────────────

const folder = mkdtempSync(join(tmpdir(), 'explain-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function file(bytes: string | Buffer): string {
  const path = join(folder, `${files++}`)
  writeFileSync(path, bytes)
  return path
}

const ENV = { CLOUD_PAY_AUTHEN_KEY: KEY, CLOUD_PAY_AUTHEN_KEY_SHOP_2: OTHER }
const output = ({ lines }: Outcome): string => lines.join('\n')

describe('the output', () => {
  it('holds no key and no correct code, whatever the cause', () => {
    for (const { body, own = KEY } of CASES) {
      const outcome = explain([file(body)], { ...ENV, CLOUD_PAY_AUTHEN_KEY: own })
      expect(outcome.exitCode).toBe(1)
      const text = output(outcome).toLowerCase()
      for (const secret of [KEY, OTHER]) expect(text).not.toContain(secret.toLowerCase())
      expect(text).not.toMatch(/[0-9a-f]{32}/)
    }
  })

  it('says in Chinese and in English what is wrong and what to do', () => {
    const outcome = explain([file(envelope(PLAIN, sign(PLAIN, OTHER)))], ENV)
    expect(outcome.lines).toEqual([
      '验证不通过。',
      'Does not verify.',
      '',
      '[other_merchants_key] SHOP_2',
      '  签名用的是另一个已配置商户的密钥。',
      '  It was signed with the key of another configured merchant.',
      '  怎么办：核对商户号与密钥是否配对，以及回调是否发到了正确的环境。',
      '  What to do: Check that merchant and key belong together, and that it was sent to the right deployment.',
    ])
  })

  it('says that it verifies', () => {
    const outcome = explain([file(envelope(PLAIN, sign(PLAIN)))], ENV)
    expect(outcome.exitCode).toBe(0)
    expect(output(outcome)).toContain('Verifies')
  })
})

describe('--sent', () => {
  const compare = (received: string, sent: string | Buffer, code = sign(received)) =>
    explain([file(envelope(received, code)), '--sent', file(sent)], ENV)

  it('shows the first byte that differs, with its neighbourhood', () => {
    const sent = '{"body":"奶茶大杯","total_fee":10000}\n'
    const outcome = compare(sent.replace('茶', '\u00a0'), sent, sign(sent))
    expect(outcome.exitCode).toBe(1)
    expect(outcome.lines.slice(-5)).toEqual([
      'The authen_code fits FILE2.',
      '第一个不同的字节在偏移 12。',
      'The first byte that differs is at offset 12.',
      '  FILE2     e8   {"body":"奶▶茶大杯","total_fee"',
      '  received  c2   {"body":"奶▶<U+00A0>大杯","total_fee"',
    ])
  })

  it('shows where one of the two ends', () => {
    const outcome = compare(PLAIN, `${PLAIN}\n`, sign(`${PLAIN}\n`))
    expect(outcome.lines.slice(-2)).toEqual([
      '  FILE2     0a   23456789abcdef"}▶␊',
      '  received  end  23456789abcdef"}▶',
    ])
  })

  it('tells a change on the way from a fault of the key', () => {
    const outcome = compare('{"a":2}', '{"a":1}', sign('{"a":1}', OTHER))
    expect(outcome.lines).toContain('[unexplained]')
    expect(outcome.lines).toContain('The authen_code fits FILE2, given [other_merchants_key] SHOP_2')
  })

  it('says when the two are equal', () => {
    const outcome = compare(PLAIN, PLAIN)
    expect(outcome.exitCode).toBe(0)
    expect(outcome.lines).toContain('FILE2 and the received content are equal, byte for byte.')
  })

  it('says when the code fits neither, and when FILE2 is no UTF-8', () => {
    expect(output(compare('{"a":1}', '{"a":2}', '0'.repeat(64)))).toContain('does not fit FILE2 either')
    expect(output(compare('{"a":1}', Buffer.from([0x7b, 0xff])))).toContain('FILE2 is not UTF-8.')
  })

  it('says when there is nothing to compare with', () => {
    expect(output(explain([file('{}'), `--sent=${file(PLAIN)}`], ENV))).toContain('no content to compare')
  })

  it('masks keys and codes that stand in the sent text', () => {
    const code = sign(PLAIN)
    for (const secret of [KEY, KEY.toUpperCase(), OTHER, code, code.toLowerCase()]) {
      for (const sent of [secret, `key=${secret}&x`, `{"a":"${secret}"}`, `{"a"${secret}`]) {
        const text = output(compare('{"a":"b"}', sent)).toLowerCase()
        for (let at = 0; at + 6 <= secret.length; at++)
          expect(text).not.toContain(secret.slice(at, at + 6).toLowerCase())
      }
    }
  })

  it('lets no control character through', () => {
    const received = '{"a":"\u001b[31m\u0007\u009b\u202e\u2028\u007f\u0301"}'
    const text = output(compare(received, received.replace('31', '32'))).replace(/\n/g, '')
    expect(text).not.toMatch(/[\p{C}\u2028\u0301]/u)
    expect(text).toContain('␛[3▶1m␇<U+009B><U+202E><U+2028><U+007F><U+0301>')
  })
})

describe('the first difference', () => {
  const bytes = (text: string) => Buffer.from(text, 'utf8')

  it('is none between equal texts', () => {
    expect(firstDifference(bytes('奶茶'), bytes('奶茶'), [])).toBeUndefined()
  })

  it('is found inside a character, which is then shown whole', () => {
    expect(firstDifference(bytes('x😀y'), bytes('x😁y'), [])).toEqual({
      offset: 4,
      sent: { byte: '80', before: 'x', after: '😀y' },
      received: { byte: '81', before: 'x', after: '😁y' },
    })
  })

  it('shows sixteen characters on each side and no more', () => {
    const difference = firstDifference(
      bytes(`${'奶'.repeat(20)}a${'b'.repeat(20)}`),
      bytes('奶'.repeat(20)),
      [],
    )
    expect(difference?.sent).toEqual({ byte: '61', before: '奶'.repeat(16), after: `a${'b'.repeat(15)}` })
    expect(difference?.received).toEqual({ byte: 'end', before: '奶'.repeat(16), after: '' })
  })

  it('does not tell the byte of a masked text', () => {
    expect(firstDifference(bytes('p.ssw0rd'), bytes('x'), ['P.SSW0RD'])?.sent.byte).toBe('**')
  })
})

describe('wrong usage', () => {
  const good = () => file(envelope(PLAIN, sign(PLAIN)))
  const refused = (args: string[], env: Record<string, string> = ENV) => {
    const outcome = explain(args, env)
    expect(outcome.exitCode).toBe(2)
    expect(output(outcome)).toContain('npm run explain -- FILE')
    return output(outcome)
  }

  test.each([
    ['--key'],
    ['--key=abc'],
    ['-k'],
    ['--authen-key'],
    ['--AUTHEN_KEY=abc'],
    ['-key'],
    ['KEY=abc'],
  ])('a key as an argument: %s', (arg) => {
    expect(refused([good(), arg, 'abc'])).toContain('must not be an argument')
    expect(refused([arg])).toContain('must not be an argument')
  })

  it('the key itself as an argument, which is not repeated', () => {
    for (const arg of [KEY, KEY.toUpperCase(), `--sent=${OTHER}`]) {
      const text = refused([good(), arg]).toLowerCase()
      expect(text).toContain('must not be an argument')
      expect(text).not.toContain(KEY)
      expect(text).not.toContain(OTHER.toLowerCase())
    }
  })

  it('no file, too many, an unknown option, or --sent without or with two values', () => {
    const path = good()
    for (const args of [
      [],
      [''],
      [path, path],
      [path, '--what'],
      [path, '--sent'],
      [path, '--sent='],
      [path, '--sent', path, '--sent', path],
    ])
      refused(args)
  })

  it('no key in the environment', () => {
    expect(refused([good()], {})).toContain('CLOUD_PAY_AUTHEN_KEY is missing.')
    expect(refused([good()], { CLOUD_PAY_AUTHEN_KEY: ' \n' })).toContain('CLOUD_PAY_AUTHEN_KEY is missing.')
  })

  it('a file that cannot be read, whose name is not repeated: it may be a mistyped key', () => {
    expect(refused([join(folder, 'nowhere')])).toMatch(/^FILE cannot be read \(ENOENT\)\./)
    expect(refused([join(folder, 'nowhere')])).not.toContain('nowhere')
    expect(refused([folder])).toContain('FILE cannot be read (EISDIR).')
    expect(refused([good(), '--sent', join(folder, 'nowhere')])).toContain('FILE2 cannot be read (ENOENT).')
  })

  it('a file that is too large', () => {
    expect(refused([file(Buffer.alloc(256 * 1024 + 1))])).toContain('FILE is larger than 262144 bytes.')
    expect(explain([file(Buffer.alloc(256 * 1024))], ENV).exitCode).toBe(1)
  })
})

describe('as a process', () => {
  const run = async (...args: string[]) => {
    const said = await runCommand('cli/explain.ts', args, {
      env: { HOME: process.env['HOME'] ?? '', ...ENV },
    })
    expect(said.stdout + said.stderr).not.toContain(KEY)
    return said
  }

  it('exits with 0 when it verifies, 1 when not, 2 when called wrongly', async () => {
    const good = await run(file(envelope(PLAIN, sign(PLAIN))))
    expect(good).toMatchObject({ code: 0, stdout: expect.stringContaining('Verifies') as string })

    const bad = await run(file(envelope(PLAIN, sign(PLAIN).toLowerCase())))
    expect(bad).toMatchObject({ code: 1, stdout: expect.stringContaining('[lower_case_code]') as string })

    const wrong = await run('--key', KEY)
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toContain('A key must not be an argument')
  })
})
