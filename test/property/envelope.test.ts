import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { contentKind, openAnswer, sealRequest } from '../../shared/cloudpay/envelope'
import { authenKey } from '../../shared/cloudpay/signing'
import { Secret } from '../../shared/base/secrets'
import { holds, propertyRuns } from '../support/property'

const KEY_TEXT = 'c852274d372982d5530b692fd77124d3'
const KEY = authenKey(new Secret(KEY_TEXT))

const hmac = (text: string) =>
  createHmac('sha256', Buffer.from(KEY_TEXT, 'ascii')).update(text, 'utf8').digest('hex').toUpperCase()

// ── what the far end may send ──────────────────────────────────────────────────────────────────────────────────

/** Text with every character there is, and often those that JSON or we treat specially. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc
    .array(fc.constantFrom('"', '\\', '/', '茶', '🧋', '\ufffd', '\u0000', '\n', '\u2028', '\ufeff', 'a'), {
      maxLength: 8,
    })
    .map((parts) => parts.join('')),
)

type Content = Record<string, unknown>

const answerContent: fc.Arbitrary<Content> = fc
  .record({
    status: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(3, 101, 102, 103, 104, 999)),
    description: fc.option(text, { nil: undefined }),
    log_id: fc.option(fc.integer({ min: 0, max: 4_294_967_295 }), { nil: undefined }),
    internal_status: fc.option(fc.integer(), { nil: undefined }),
    member: fc.option(fc.record({ nonce_str: text, order_content: fc.record({ out_trade_no: text }) }), {
      nil: undefined,
    }),
  })
  .map(({ member, ...content }) => ({ ...content, ...(member ? { query_order: member } : {}) }))

/** How a JSON writer escapes, spaces and ends: all of it signed, none of it our business. */
const written = (content: unknown) =>
  fc
    .tuple(
      fc.constantFrom('none', 'lower', 'upper', 'slash'),
      fc.constantFrom(0, 1),
      fc.constantFrom('', '\n', ' '),
    )
    .map(([escapes, space, end]) => escape(JSON.stringify(content, null, space), escapes) + end)

function escape(json: string, how: string): string {
  if (how === 'slash') return json.replaceAll('/', '\\/')
  if (how === 'none') return json
  return json.replaceAll(/[\u0080-\uffff]/g, (unit) => {
    const hex = unit.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${how === 'upper' ? hex.toUpperCase() : hex}`
  })
}

type Signed = { content: string; bytes: Buffer }

/** A content as text, and the bytes of a good answer around it, whose own layer may be escaped as well. */
const signedText = (content: string): fc.Arbitrary<Signed> =>
  written({
    response_content: content,
    authen_info: { a: { authen_type: 1, authen_code: hmac(content) } },
  }).map((outer) => ({ content, bytes: Buffer.from(outer.trimEnd(), 'utf8') }))

const signedAnswer: fc.Arbitrary<Signed> = answerContent.chain(written).chain(signedText)

const decoded = (bytes: Buffer): unknown => {
  try {
    return (JSON.parse(bytes.toString('utf8')) as { response_content?: unknown }).response_content
  } catch {
    return undefined
  }
}

// ── properties ─────────────────────────────────────────────────────────────────────────────────────────────────

test('any text that is sealed opens to the same text, under a code that is right', () =>
  holds(
    fc.property(text, (content) => {
      const bytes = sealRequest(content, KEY)
      const outer: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
      assert.deepEqual(outer, {
        request_content: content,
        authen_info: { a: { authen_type: 1, authen_code: hmac(content) } },
      })
      assert(sealRequest(content, KEY).equals(bytes))
    }),
  ))

test('any signed answer opens to its own content, however its writer escapes and spaces', () =>
  holds(
    fc.property(signedAnswer, ({ content, bytes }) => {
      const opened = openAnswer(bytes, KEY)
      assert(opened.ok && opened.signed)
      assert.deepEqual(opened.content, JSON.parse(content))
    }),
  ))

/** Says whether it took the code to notice: the flip leaves a text, and another one. */
function checkFlip({ content, bytes }: Signed, bit: number): boolean {
  const flipped = Buffer.from(bytes)
  flipped[bit >> 3]! ^= 1 << (bit & 7)
  const opened = openAnswer(flipped, KEY)
  const now = decoded(flipped)
  if (opened.ok) {
    assert(opened.signed || opened.content.status !== 0)
    assert.equal(now, content)
    assert.deepEqual(opened.content, JSON.parse(content))
  }
  const takesTheCode = typeof now === 'string' && now !== content && !isBroken(flipped)
  if (takesTheCode) assert.deepEqual(opened, { ok: false, flaw: 'authen_code_wrong' })
  return takesTheCode
}

test('a flipped bit is refused, or has changed nothing of the content', () =>
  holds(
    fc.property(
      signedAnswer,
      fc.nat(),
      (signed, anywhere) => void checkFlip(signed, anywhere % (signed.bytes.length * 8)),
    ),
  ))

test('every single bit of an answer flipped is, and for most of its text it takes the code', () => {
  const content = JSON.stringify({
    status: 0,
    query_order: { nonce_str: 'a/b', order_content: { body: '茶 "大"' } },
  })
  const outer = {
    response_content: content,
    authen_info: { a: { authen_type: 1, authen_code: hmac(content) } },
  }
  const signed = { content, bytes: Buffer.from(JSON.stringify(outer)) }
  let byCode = 0
  for (let bit = 0; bit < signed.bytes.length * 8; bit++) if (checkFlip(signed, bit)) byCode++
  expect(byCode).toBeGreaterThan((Buffer.byteLength(content) * 8) / 2)
})

/** Bytes that are no UTF-8 are refused before any code is looked at. */
function isBroken(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return false
  } catch {
    return true
  }
}

test('half a surrogate pair in place of U+FFFD is refused, although the code over its bytes is the same', () => {
  const content = '{"status":104,"description":"\ufffd"}'
  const outer = JSON.stringify({
    response_content: content,
    authen_info: { a: { authen_type: 1, authen_code: hmac(content) } },
  })
  expect(openAnswer(Buffer.from(outer), KEY)).toMatchObject({ ok: true })
  for (const half of ['\\ud800', '\\udffd']) {
    const changed = Buffer.from(outer.replace('\ufffd', half))
    expect(openAnswer(changed, KEY)).toEqual({ ok: false, flaw: 'authen_code_wrong' })
  }
})

test('a good answer cut short anywhere is no answer', () =>
  holds(
    fc.property(signedAnswer, ({ bytes }) => {
      for (let length = 0; length < bytes.length; length++) {
        const opened = openAnswer(bytes.subarray(0, length), KEY)
        assert(!opened.ok, `cut at ${length} of ${bytes.length}`)
      }
    }),
    // Each run tries some five hundred lengths.
    Math.ceil(propertyRuns() / 50),
  ))

test('a success without a code never passes, whatever stands in the place of the code', () =>
  holds(
    fc.property(
      answerContent.chain((content) => written({ ...content, status: 0 })),
      fc.oneof(
        fc.constantFrom<unknown>(undefined, null, {}, [], '', { a: null }, { s: {} }, { a: {} }, true, 1),
        fc.jsonValue(),
        fc.record({
          a: fc.record({
            authen_type: fc.oneof(fc.constant(1), fc.jsonValue()),
            authen_code: fc.oneof(fc.string(), fc.stringMatching(/^[0-9A-F]{64}$/), fc.jsonValue()),
          }),
        }),
      ),
      (content, authen_info) => {
        const bytes = Buffer.from(JSON.stringify({ response_content: content, authen_info }), 'utf8')
        assert.equal(openAnswer(bytes, KEY).ok, false)
      },
    ),
  ))

test('a code in lower case, of another text or under another key never passes', () =>
  holds(
    fc.property(signedAnswer, text, ({ content }, other) => {
      const otherKey = createHmac('sha256', KEY_TEXT.toUpperCase()).update(content, 'utf8').digest('hex')
      const codes = [hmac(content).toLowerCase(), otherKey.toUpperCase(), hmac(`${content}${other}x`)]
      for (const authen_code of codes) {
        const outer = { response_content: content, authen_info: { a: { authen_type: 1, authen_code } } }
        const opened = openAnswer(Buffer.from(JSON.stringify(outer)), KEY)
        // Digits alone have no case.
        if (authen_code !== hmac(content)) assert.deepEqual(opened, { ok: false, flaw: 'authen_code_wrong' })
      }
    }),
  ))

test('no bytes whatever make openAnswer throw', () => {
  const near = fc
    .tuple(signedAnswer, fc.nat(), fc.uint8Array({ maxLength: 6 }))
    .map(([{ bytes }, at, put]) => {
      const place = at % bytes.length
      return Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + put.length)])
    })
  const layers = fc.jsonValue().map((outer) => Buffer.from(JSON.stringify(outer)))
  const signedAnything = fc.jsonValue().chain(written).chain(signedText)
  return holds(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        near,
        layers,
        signedAnything.map(({ bytes }) => bytes),
        fc.integer({ min: 1, max: 100_000 }).map((depth) => Buffer.from('['.repeat(depth))),
      ),
      (bytes) => {
        const opened = openAnswer(bytes, KEY)
        assert(opened.ok ? typeof opened.content.status === 'number' : opened.flaw.length > 0)
      },
    ),
  )
})

// ── kinds of content ───────────────────────────────────────────────────────────────────────────────────────────

const nonce_str = fc.stringMatching(/^[0-9a-f]{32}$/)
const pay_mch_key = fc.record({ out_sub_mch_id: fc.string() })
const order_content = fc.record({ out_trade_no: fc.string(), nonce_str })
const order_client = fc.record({ spbill_create_ip: fc.constant('127.0.0.1') })
/** Members nobody knows yet must not change what a content is. */
const unknownMembers = fc.dictionary(fc.stringMatching(/^x_[a-z]{1,8}$/), fc.jsonValue(), { maxKeys: 2 })

const requests = fc.oneof(
  fc.record({ pay_mch_key, pay_content: fc.record({ out_trade_no: fc.string() }), order_client, nonce_str }),
  fc.record({ pay_mch_key, out_trade_no: fc.string(), nonce_str }),
  fc.record({ pay_mch_key, out_trade_no: fc.string(), order_client, nonce_str, trade_type: fc.constant(3) }),
  fc.record({
    pay_mch_key,
    refund_content: fc.record({ out_refund_no: fc.string() }),
    order_client,
    nonce_str,
  }),
)
const notifications = fc.oneof(
  fc.record({ pay_mch_key, order_content, nonce_str }),
  fc.record({ pay_mch_key, order_content, order_client, nonce_str }),
)

test.each([
  ['request', requests],
  ['notification', notifications],
  ['answer', answerContent],
] as const)('every %s is taken for one and for nothing else', (kind, contents) =>
  holds(
    fc.property(contents as fc.Arbitrary<Content>, unknownMembers, (content, more) => {
      const read: unknown = JSON.parse(JSON.stringify({ ...more, ...content }))
      assert.equal(contentKind(read), kind)
    }),
  ),
)

test('contents of two kinds at once are of no kind, and never of both', () =>
  holds(
    fc.property(answerContent, fc.oneof(requests, notifications), (answer, other) => {
      assert.equal(contentKind({ ...answer, ...other }), 'none')
      assert.equal(contentKind({ ...other, ...answer }), 'none')
    }),
  ))

test('a signed request or notification played back as an answer never opens', () =>
  holds(
    fc.property(fc.oneof(requests, notifications).chain(written).chain(signedText), ({ bytes }) => {
      assert.deepEqual(openAnswer(bytes, KEY), { ok: false, flaw: 'content_is_no_answer' })
    }),
  ))

test('what is no object, or has none of the members, is of no kind', () =>
  holds(
    fc.property(fc.jsonValue(), (value) => {
      const names = ['status', 'log_id', 'internal_status', 'pay_content', 'refund_content', 'out_trade_no']
      const known = [...names, 'order_client', 'order_content']
      const has =
        typeof value === 'object' && value !== null && known.some((name) => Object.hasOwn(value, name))
      if (!has || Array.isArray(value)) assert.equal(contentKind(value), 'none')
    }),
  ))
