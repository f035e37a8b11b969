import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { Secret } from '../../../shared/base/secrets'
import { authenCode, authenKey, verifyAuthenCode } from '../../../shared/cloudpay/signing'
import vectors from '../../fixtures/vectors.json'

const keyOf = (text: string) => authenKey(new Secret(text))

type Envelope = {
  request_content: string
  authen_info: { a: { authen_type: number; authen_code: string } }
}

describe('the code over a content', () => {
  test.each(vectors.authen_code_vectors)('$name: $note', (vector) => {
    const key = keyOf(vector.key_utf8)
    expect(Buffer.byteLength(vector.content_utf8)).toBe(vector.content_bytes)
    expect(authenCode(key, vector.content_utf8)).toBe(vector.authen_code)
    expect(verifyAuthenCode(key, vector.content_utf8, vector.authen_code)).toBe(true)
  })

  it('has no two vectors alike', () => {
    const codes = vectors.authen_code_vectors.map((vector) => vector.authen_code)
    expect(codes).toHaveLength(15)
    expect(new Set(codes).size).toBe(15)
  })

  it('gives the value Cloud Pay publishes, of which the middle is not printed', () => {
    const key = keyOf('c852274d372982d5530b692fd77124d3')
    const code = authenCode(key, 'ac=p9fa01zex4mi&rs=c44f32e0&sn=LANDI_QM600_LA190000000')
    expect(code).toMatch(/^E0CA8FDA[0-9A-F]{50}EBF5AC$/)
    // The whole of it as the openssl command line computes it.
    expect(code).toBe('E0CA8FDA56464BDF702FCA1AE9692EB99483E065879247763B3A46B576EBF5AC')
  })
})

describe('an envelope', () => {
  test.each(vectors.envelope_vectors)(
    '$name: both spellings of the body decode to the signed text',
    (vector) => {
      const raw = JSON.parse(vector.http_body_utf8_raw) as Envelope
      const escaped = JSON.parse(vector.http_body_ascii_escaped) as Envelope
      expect(vector.http_body_ascii_escaped).toMatch(/^[ -~]*$/)
      expect(escaped.request_content).toBe(raw.request_content)
      for (const { request_content, authen_info } of [raw, escaped]) {
        expect(verifyAuthenCode(keyOf(vector.key_utf8), request_content, authen_info.a.authen_code)).toBe(
          true,
        )
      }
    },
  )
})

describe('while a key is being replaced', () => {
  const [ours, other, strange] = ['key-that-signs', 'key-also-accepted', 'key-of-nobody']
  const both = authenKey(new Secret(ours), new Secret(other))

  test('one signs and both are accepted, and no third', () => {
    expect(authenCode(both, '茶')).toBe(authenCode(keyOf(ours), '茶'))
    const isAccepted = (text: string) => verifyAuthenCode(both, '茶', authenCode(keyOf(text), '茶'))
    expect([ours, other, strange].map(isAccepted)).toEqual([true, true, false])
  })

  test('neither is seen when it is printed', () => {
    expect(inspect(both, { depth: 9, showHidden: true })).not.toMatch(/key-that-signs|key-also-accepted/)
  })
})

describe('what must be refused', () => {
  test.each(vectors.negative_vectors)('$name', (vector) => {
    expect(verifyAuthenCode(keyOf(vector.key_utf8), vector.content_utf8, vector.authen_code)).toBe(false)
  })

  const vector = vectors.authen_code_vectors.find(({ name }) => name === 'chinese_raw_utf8')!
  const key = keyOf(vector.key_utf8)

  it('a code with any one bit flipped', () => {
    const code = Buffer.from(vector.authen_code, 'latin1')
    for (let bit = 0; bit < code.length * 8; bit++) {
      const flipped = Buffer.from(code)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifyAuthenCode(key, vector.content_utf8, flipped.toString('latin1'))).toBe(false)
    }
  })

  it('a content with any one bit flipped', () => {
    const content = Buffer.from(vector.content_utf8, 'utf8')
    for (let bit = 0; bit < content.length * 8; bit++) {
      const flipped = Buffer.from(content)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifyAuthenCode(key, flipped.toString('utf8'), vector.authen_code)).toBe(false)
    }
  })

  it('a code that is too short, too long, padded, or nothing', () => {
    const { authen_code: code } = vector
    for (const other of [
      '',
      code.slice(1),
      code.slice(0, -1),
      `${code}0`,
      ` ${code}`,
      `${code}\n`,
      code + code,
    ])
      expect(verifyAuthenCode(key, vector.content_utf8, other)).toBe(false)
  })

  it('64 characters of which some are no ASCII, without throwing', () => {
    expect(verifyAuthenCode(key, vector.content_utf8, '签'.repeat(64))).toBe(false)
    expect(verifyAuthenCode(key, vector.content_utf8, `${'签'.repeat(21)}0`)).toBe(false)
  })

  it("the key in other letter case: it looks like hex, and its letters' case counts", () => {
    for (const other of [vector.key_utf8.toLowerCase(), `${vector.key_utf8}\n`, ` ${vector.key_utf8}`])
      expect(verifyAuthenCode(keyOf(other), vector.content_utf8, vector.authen_code)).toBe(false)
  })

  it('the code made with the key decoded from hex', () => {
    const bytes = Buffer.from(vector.key_utf8, 'hex')
    const code = createHmac('sha256', bytes).update(vector.content_utf8).digest('hex').toUpperCase()
    expect(verifyAuthenCode(key, vector.content_utf8, code)).toBe(false)
  })

  it('the content with a line break added or taken away', () => {
    const [{ key_utf8, http_body_utf8_raw }] = vectors.envelope_vectors as [
      (typeof vectors.envelope_vectors)[0],
    ]
    const { request_content: text, authen_info } = JSON.parse(http_body_utf8_raw) as Envelope
    const verifies = (content: string) =>
      verifyAuthenCode(keyOf(key_utf8), content, authen_info.a.authen_code)
    expect(text.endsWith('\n')).toBe(true)
    expect(verifies(text)).toBe(true)
    expect(verifies(text.trim())).toBe(false)
    expect(verifies(`${text}\n`)).toBe(false)
    expect(verifies(text.replace('\n', '\r\n'))).toBe(false)
  })
})

it('shows nothing of the key when it is printed', () => {
  const text = 'C852274D372982D5530B692FD77124D3'
  const key = keyOf(text)
  expect(inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key)).not.toContain(text)
})
