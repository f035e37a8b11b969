import * as v from 'valibot'
import { authenKey } from '../../../shared/cloudpay/signing'
import { NOTIFICATION_MAX_BYTES, openNotification } from '../../../shared/cloudpay/notification'
import { NotificationContent } from '../../../shared/cloudpay/schema'
import { SANDBOX_MERCHANT } from '../../../shared/base/config'
import { Secret } from '../../../shared/base/secrets'
import { put, sealedNotification, sign, type Content } from '../../support/tamper'

const key = authenKey(new Secret(SANDBOX_MERCHANT.authen_key))
const { out_mch_id, out_sub_mch_id, out_shop_id } = SANDBOX_MERCHANT

const good = (): Content => ({
  nonce_str: 'a'.repeat(32),
  pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
  order_content: {
    out_trade_no: 'sb01order1',
    total_fee: 1880,
    fee_type: 'CNY',
    wxpay_order_content_ext: { current_trade_state: 3 },
  },
})
const changed = (path: string, value: unknown): Content => {
  const content = good()
  put(content, path, value)
  return content
}

let asked: string[]
beforeEach(() => (asked = []))
const open = (bytes: Buffer) =>
  openNotification(bytes, (id) => {
    asked.push(id)
    return id === out_sub_mch_id ? key : undefined
  })
const flawOf = (bytes: Buffer) => {
  const opened = open(bytes)
  return opened.ok ? 'none' : opened.flaw
}
/** A good envelope, with its outer layer changed. */
const outer = (change: (outer: Content) => void) => {
  const envelope = JSON.parse(sealedNotification(good()).toString())
  change(envelope)
  return Buffer.from(JSON.stringify(envelope))
}

test('a signed notification is opened: the very text that was signed, and what it says', () => {
  const text = `${JSON.stringify(good(), null, 1)}\n`
  expect(open(sealedNotification(text))).toEqual({ ok: true, text, content: good() })
  expect(asked).toEqual([out_sub_mch_id])
})

test('members nobody knows pass, and so does one that says no more than whose order it is', () => {
  expect(flawOf(sealedNotification({ ...good(), later_version: { of: ['the', 'protocol'] } }))).toBe('none')
  const least = { pay_mch_key: { out_sub_mch_id }, order_content: { out_trade_no: 'sb01order1' } }
  expect(flawOf(sealedNotification(least))).toBe('none')
  expect(flawOf(sealedNotification({ ...good(), status: null, log_id: null, pay_content: null }))).toBe(
    'none',
  )
})

test('the size is looked at first, and to the byte', () => {
  const room = NOTIFICATION_MAX_BYTES - sealedNotification(changed('pad', '')).length
  expect(flawOf(sealedNotification(changed('pad', 'x'.repeat(room))))).toBe('none')
  expect(flawOf(sealedNotification(changed('pad', 'x'.repeat(room + 1))))).toBe('too_large')
  expect(flawOf(Buffer.alloc(NOTIFICATION_MAX_BYTES + 1, 0xff))).toBe('too_large')
})

describe('the envelope', () => {
  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['no JSON', Buffer.from('status=0')],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['null', Buffer.from('null')],
    ['a list', Buffer.from('[]')],
    ['a text', Buffer.from('"request_content"')],
    ['nested deeper than anybody would', Buffer.from('['.repeat(NOTIFICATION_MAX_BYTES))],
    ['no content', outer((one) => delete one.request_content)],
    ['an object where the text belongs', outer((one) => (one.request_content = good()))],
    [
      'an answer’s member instead',
      outer((one) => (one.response_content = one.request_content) && delete one.request_content),
    ],
    ['no code', outer((one) => delete one.authen_info)],
    ['an empty authen_info', outer((one) => (one.authen_info = {}))],
    ['the RSA shape', outer((one) => (one.authen_info = { s: one.authen_info.a }))],
    ['a code that is no text', outer((one) => (one.authen_info.a.authen_code = 1))],
    ['a type that is a text', outer((one) => (one.authen_info.a.authen_type = '1'))],
    ['another type', outer((one) => (one.authen_info.a.authen_type = 2))],
    ['no type', outer((one) => delete one.authen_info.a.authen_type)],
  ])('%s is refused as malformed, and no key is looked up', (_, bytes) => {
    expect(flawOf(bytes)).toBe('envelope_malformed')
    expect(asked).toEqual([])
  })
})

describe('what it says', () => {
  const request = { pay_mch_key: good().pay_mch_key, out_trade_no: 'sb01order1', nonce_str: 'n' }
  test.each<[string, unknown]>([
    ['no JSON', 'order paid'],
    ['null', 'null'],
    ['a list', [good()]],
    ['an answer to query_order played back', { status: 0, log_id: 1, query_order: good() }],
    ['a failing answer', { status: 104, description: 'no' }],
    ['an answer that also carries the order', { ...good(), status: 0 }],
    ['a notification with an answer’s log_id', { ...good(), log_id: 1 }],
    ['a notification with an answer’s internal_status', { ...good(), internal_status: 0 }],
    ['a create of ours played back', { ...request, pay_content: { total_fee: 1880 }, order_client: {} }],
    ['a query of ours played back', request],
    ['a refund of ours played back', { ...request, refund_content: {} }],
    ['a notification with a pay_content', { ...good(), pay_content: {} }],
    ['a notification with a refund_content', { ...good(), refund_content: {} }],
    ['a notification with a number outside its order', { ...good(), out_trade_no: 'sb01order1' }],
    ['no merchant', changed('pay_mch_key', undefined)],
    ['no order', changed('order_content', undefined)],
    ['no number', changed('order_content.out_trade_no', null)],
    ['a number that is a number', changed('order_content.out_trade_no', 1)],
    ['an empty number', changed('order_content.out_trade_no', '')],
    ['a number too long', changed('order_content.out_trade_no', 'x'.repeat(33))],
    ['a list of merchants', changed('pay_mch_key', [])],
    ['a list of orders', changed('order_content', [])],
  ])('%s is no notification, signed or not, and no key is looked up', (_, content) => {
    expect(flawOf(sealedNotification(content))).toBe('content_is_no_notification')
    expect(flawOf(sealedNotification(content, 'a wrong key'))).toBe('content_is_no_notification')
    expect(asked).toEqual([])
  })
})

test('of thousands of refunds that are none, the first twenty say enough', () => {
  const read = v.safeParse(NotificationContent, {
    pay_mch_key: {},
    refund_order_content: Array.from({ length: 20_000 }, () => ({})),
  })
  // One for all of them: neither one refund nor a list of refunds.
  const faults = (issues: readonly v.BaseIssue<unknown>[] = []): number =>
    issues.reduce((sum, { issues: inside }) => sum + 1 + faults(inside), 0)
  expect(read.success).toBe(false)
  expect(faults(read.issues)).toBeLessThanOrEqual(25)
})

describe('whose it is', () => {
  test.each([['another'], [''], [undefined], ['__proto__'], ['SANDBOXSUB0000000001']])(
    'sub-merchant %p is not known, whatever the code',
    (id) => {
      const content = changed('pay_mch_key.out_sub_mch_id', id)
      expect(flawOf(sealedNotification(content))).toBe('merchant_unknown')
      expect(flawOf(sealedNotification(content, 'a wrong key'))).toBe('merchant_unknown')
    },
  )
})

describe('the code', () => {
  const text = JSON.stringify(good())
  const withCode = (authen_code: string) => outer((one) => (one.authen_info.a.authen_code = authen_code))
  test.each<[string, Buffer]>([
    ['of another key', sealedNotification(good(), 'another key')],
    [
      'of the key decoded from hex',
      sealedNotification(good(), Buffer.from('00ff', 'hex').toString('latin1')),
    ],
    ['in lower case', withCode(sign(text).toLowerCase())],
    ['that is empty', withCode('')],
    ['cut short', withCode(sign(text).slice(0, 63))],
    ['with a line break behind it', withCode(`${sign(text)}\n`)],
    ['with one character twice as wide', withCode(`${sign(text).slice(0, 62)}é`)],
    ['of the text without its last brace', withCode(sign(text.slice(0, -1)))],
    ['of the text serialised anew', withCode(sign(JSON.stringify(good(), null, 1)))],
    ['of the envelope', withCode(sign(sealedNotification(good()).toString()))],
  ])('%s is wrong', (_, bytes) => {
    expect(flawOf(bytes)).toBe('authen_code_wrong')
  })

  test('of a text with half a surrogate pair is wrong: two texts would have it', () => {
    const half = JSON.stringify(good()).replace('sb01order1', 'sb01\ud83d')
    const bytes = Buffer.from(
      JSON.stringify({
        request_content: half,
        authen_info: { a: { authen_type: 1, authen_code: sign(half) } },
      }),
    )
    expect(flawOf(bytes)).toBe('authen_code_wrong')
  })
})
