import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { isDelivered, notifyUrls } from '../../../local/sandbox/notifications'
import type { FaultPoint, Notification, Reply, Sandbox } from '../../../local/sandbox/sandbox'
import { startSandbox, type SandboxServer } from '../../../local/sandbox/server'
import { FAULTS, SWITCHES, type FaultName, type Switches } from '../../../local/sandbox/switches'
import { contentKind } from '../../../shared/cloudpay/envelope'
import { INTERFACES } from '../../../shared/cloudpay/schema'
import { createPost } from '../../../shared/net/post'
import { sign } from '../../support/tamper'
import { fakeTimeouts, settled, until } from '../../support/waiting'
import {
  about,
  alipay,
  ask,
  authen_key,
  bill,
  close,
  create,
  createMini,
  envelope,
  IDS,
  micro,
  miniProgram,
  mobWeb,
  nonce,
  NOW_S,
  NUMBER,
  open,
  openSandbox,
  order_prefix,
  OTHER_MERCHANT,
  plain,
  queried,
  query,
  queryRefunds,
  refund,
  REFUND_NUMBER,
  sealed,
  time,
  walletState,
  wechat,
  type Content,
  type Opened,
} from './farEnd'

const BAD_REQUEST = { http: 200, signed: false, status: 101 }

// ── the envelope ───────────────────────────────────────────────────────────────────────────────────────────────

describe('the signature', () => {
  const compact = () => JSON.stringify(wechat({ content: { body: '湖/🧋' } }))
  const escaped = (text: string, upper: boolean) =>
    text.replaceAll(/[\u0080-\uffff]/g, (unit) => {
      const hex = unit.charCodeAt(0).toString(16).padStart(4, '0')
      return `\\u${upper ? hex.toUpperCase() : hex}`
    })

  /** Texts that say the same and are signed differently. */
  const SPELLINGS: [string, (text: string) => string][] = [
    ['without blanks', (text) => text],
    ['with blanks', (text) => JSON.stringify(JSON.parse(text), null, 2)],
    ['with CRLF', (text) => JSON.stringify(JSON.parse(text), null, 2).replaceAll('\n', '\r\n')],
    ['with a line feed at the end', (text) => `${text}\n`],
    ['with a blank at the beginning', (text) => ` ${text}`],
    ['with lower-case escapes', (text) => escaped(text, false)],
    ['with upper-case escapes', (text) => escaped(text, true)],
    ['with escaped slashes', (text) => text.replaceAll('/', '\\/')],
    ['with ASCII letters escaped', (text) => text.replace('CNY', '\\u0043NY')],
    ['with a zero fraction', (text) => text.replace('1880', '1880.0')],
    [
      'with its members the other way round',
      (text) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text) as object).reverse())),
    ],
  ]

  test.each(SPELLINGS)('passes over the text as it came: %s', (_, spell) => {
    const text = spell(compact())
    expect(open(openSandbox().answer('official_account_pay', sealed(text)))).toMatchObject({ status: 0 })
  })

  test.each(SPELLINGS.slice(1))(
    'does not pass when the text was written anew after signing: %s',
    (_, spell) => {
      const text = compact()
      const far = openSandbox()
      expect(open(far.answer('official_account_pay', envelope(spell(text), sign(text))))).toMatchObject(
        BAD_REQUEST,
      )
      expect(open(far.answer('official_account_pay', envelope(text, sign(spell(text)))))).toMatchObject(
        BAD_REQUEST,
      )
      expect(far.orders.size).toBe(0)
    },
  )

  test('passes whatever the outer layer looks like, which is not signed', () => {
    const text = compact()
    const outer = JSON.stringify(JSON.parse(envelope(text, sign(text)).toString()), null, 2)
    const bytes = Buffer.from(escaped(`${outer}\n`, true))
    expect(open(openSandbox().answer('official_account_pay', bytes))).toMatchObject({ status: 0 })
  })

  test.each([
    ['in lower case', sign(compact()).toLowerCase(), 1],
    ['under the key in upper case', sign(compact(), authen_key.toUpperCase()), 1],
    ['under another key', sign(compact(), 'another'), 1],
    ['of another type', sign(compact()), 2],
    ['with its type as a text', sign(compact()), '1'],
    ['that is empty', '', 1],
    ['that is a number', 1, 1],
    ['that is not there', undefined, 1],
  ])('a code %s is refused with an unsigned 101', (_, code, type) => {
    const far = openSandbox()
    expect(open(far.answer('official_account_pay', envelope(compact(), code, type)))).toMatchObject(
      BAD_REQUEST,
    )
    expect(far.orders.size).toBe(0)
  })

  test.each<[string, Buffer]>([
    ['no JSON', Buffer.from('request_content=%7B%7D')],
    ['nothing', Buffer.alloc(0)],
    ['no object', Buffer.from('null')],
    ['no request_content', Buffer.from('{}')],
    ['a content that is an object', envelope(wechat(), sign(JSON.stringify(wechat())))],
    ['a content that is no JSON', sealed('{')],
    ['a content that is a list', sealed([wechat()])],
    ['a content that is a number', sealed('1')],
    ['no authen_info', Buffer.from(JSON.stringify({ request_content: compact() }))],
    [
      'bytes that are no UTF-8, and would read as the text that was signed',
      Buffer.from(
        sealed(wechat({ content: { body: '\ufffd' } }))
          .toString('latin1')
          .replace('\xef\xbf\xbd', '\xff'),
        'latin1',
      ),
    ],
    ['an unknown sub-merchant', sealed(wechat({ key: { out_sub_mch_id: 'sandboxsub0000000009' } }))],
    ['no sub-merchant', sealed({ ...wechat(), pay_mch_key: null })],
    ["another sub-merchant's key", sealed(wechat(), OTHER_MERCHANT.authen_key)],
  ])('%s is refused with an unsigned 101', (_, bytes) => {
    const far = openSandbox()
    expect(open(far.answer('official_account_pay', bytes))).toMatchObject(BAD_REQUEST)
    expect(far.orders.size).toBe(0)
  })

  test('an interface nobody knows is refused with an unsigned 101', () => {
    expect(ask(openSandbox(), 'reverse', wechat())).toMatchObject(BAD_REQUEST)
  })

  test('every sub-merchant has its own key, in requests and in answers', () => {
    const { out_sub_mch_id: second, authen_key: key } = OTHER_MERCHANT
    const body = sealed(wechat({ key: { out_sub_mch_id: second } }), key)
    expect(open(openSandbox().answer('official_account_pay', body), key)).toMatchObject({
      signed: true,
      status: 0,
    })
  })

  test('keeps what arrived, byte for byte, and forgets the oldest', () => {
    const far = openSandbox()
    const text = `${compact()}\n`
    far.answer('official_account_pay', sealed(text))
    expect(far.received).toEqual([
      {
        at: NOW_S * 1000 + 500,
        interface: 'official_account_pay',
        body: sealed(text).toString(),
        request_content: text,
      },
    ])
    for (let sent = 0; sent < 10_001; sent++) far.answer('ping', Buffer.alloc(0))
    expect(far.received).toHaveLength(10_000)
    expect(far.received[0]!.interface).toBe('ping')
  })
})

describe('the kinds of content', () => {
  test('never cross: what the sandbox answers is an answer, and it takes none for a request', () => {
    const far = openSandbox()
    const answers = [
      create(far),
      query(far),
      query(far, `${order_prefix}x`),
      create(far, wechat({ content: { total_fee: 1 } })),
    ]
    far.pay(NUMBER)
    answers.push(close(far))
    for (const { content, text } of answers) {
      expect(contentKind(content)).toBe('answer')
      for (const { suffix } of INTERFACES) {
        expect(open(far.answer(suffix, sealed(text)))).toMatchObject(BAD_REQUEST)
      }
    }
  })

  test('a notification played back as a request is refused', () => {
    const far = openSandbox()
    create(far)
    const { order_content, pay_mch_key } = queried(far)
    const notification = { pay_mch_key: { ...pay_mch_key, ...IDS }, order_content, nonce_str: nonce() }
    expect(contentKind(notification)).toBe('notification')
    expect(create(far, notification)).toMatchObject(BAD_REQUEST)
    expect(contentKind(wechat())).toBe('request')
    expect(contentKind(about(NUMBER))).toBe('request')
  })
})

// ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────

describe('the rules of a create', () => {
  const put = (path: string, value: unknown): Content => {
    const request = wechat()
    const names = path.split('.')
    const last = names.pop()!
    names.reduce((node, name) => (node[name] ??= {}), request)[last] = value
    return request
  }

  test.each([
    ['pay_content.out_trade_no', 32, order_prefix],
    ['pay_content.body', 128, ''],
    ['pay_content.remark', 127, ''],
    ['pay_content.wxpay_pay_content_ext.attach', 127, ''],
    ['pay_content.wxpay_pay_content_ext.goods_tag', 32, ''],
    ['pay_content.wxpay_pay_content_ext.product_id', 32, ''],
    ['pay_mch_key.wxpay_pay_mch_key_ext.sub_open_id', 128, ''],
    ['pay_mch_key.wxpay_pay_mch_key_ext.sub_app_id', 32, ''],
    ['order_client.device_id', 64, ''],
    ['order_client.staff_id', 64, ''],
    ['order_client.sdk_version', 10, ''],
    ['order_client.spbill_create_ip', 16, ''],
    ['nonce_str', 32, ''],
  ])('%s may have %i characters and not one more', (path, max, start) => {
    for (const character of path.endsWith('out_trade_no') ? ['1'] : ['1', '茶', '🧋']) {
      const text = start + character.repeat(max - start.length)
      expect(create(openSandbox(), put(path, text))).toMatchObject({ status: 0 })
      const far = openSandbox()
      const refused = create(far, put(path, text + character))
      expect(refused).toMatchObject({ signed: true, status: 104 })
      expect(refused.content.description).toContain(path)
      expect(far.orders.size).toBe(0)
    }
  })

  test('detail may have 6000 characters and not one more', () => {
    const detail = JSON.stringify({ goods_detail: [{ goods_name: '茶', quantity: 1, price: 1880 }] })
    expect(create(openSandbox(), put('pay_content.detail', detail.padEnd(6000)))).toMatchObject({ status: 0 })
    expect(create(openSandbox(), put('pay_content.detail', detail.padEnd(6001)))).toMatchObject({
      status: 104,
    })
  })

  const BREACHES: [string, Content][] = [
    ['a number without the order prefix', put('pay_content.out_trade_no', 'sb020001')],
    ['a prefix in the other case', put('pay_content.out_trade_no', 'SB010001')],
    ["another provider's out_mch_id", put('pay_mch_key.out_mch_id', 'sandboxmch0000000002')],
    ['a shop that is not of this sub-merchant', put('pay_mch_key.out_shop_id', 'sandboxshop000000002')],
    ['no amount', put('pay_content.total_fee', undefined)],
    ['an amount of nothing', put('pay_content.total_fee', 0)],
    ['a negative amount', put('pay_content.total_fee', -1)],
    ['a fraction of a fen', put('pay_content.total_fee', 18.8)],
    ['an amount beyond N32', put('pay_content.total_fee', 2 ** 31)],
    ['an amount as text', put('pay_content.total_fee', '1880')],
    ['a currency other than CNY', put('pay_content.fee_type', 'USD')],
    ['no currency', put('pay_content.fee_type', undefined)],
    ['no title', put('pay_content.body', undefined)],
    ['an empty title', put('pay_content.body', '')],
    ['a limit_pay other than no_credit', put('pay_content.wxpay_pay_content_ext.limit_pay', 'no_debit')],
    ['a detail that is no JSON', put('pay_content.detail', 'milk tea')],
    ['a detail that is an object', put('pay_content.detail', { goods_detail: [] })],
    ['a detail without goods', put('pay_content.detail', '{}')],
    ['an expiry that is now', put('pay_content.time_expire', NOW_S)],
    ['a field nobody knows', put('pay_content.colour', 'green')],
    ['a trade type of another interface', put('trade_type', 9)],
    ['no address of the machine', put('order_client', {})],
    ['no nonce', put('nonce_str', undefined)],
    ['a platform nobody knows', put('pay_mch_key.pay_platform', 3)],
    ['both extensions', put('pay_mch_key.alipay_pay_mch_key_ext', { user_id: '2088000000000001' })],
    ['neither extension', put('pay_mch_key.wxpay_pay_mch_key_ext', undefined)],
    ["the other platform's extension", put('pay_mch_key.pay_platform', 2)],
    ['both payer ids', put('pay_mch_key.wxpay_pay_mch_key_ext.open_id', 'oPayer1')],
    ['neither payer id', put('pay_mch_key.wxpay_pay_mch_key_ext', {})],
    ["WeChat's content with Alipay", alipay({ content: { wxpay_pay_content_ext: { attach: 'a' } } })],
    ['Alipay without its user', alipay({ key: { alipay_pay_mch_key_ext: {} } })],
  ]
  test.each(BREACHES)('%s is refused with a signed 104, and there is no order', (_, request) => {
    const far = openSandbox()
    const { signed, status, content } = create(far, request)
    expect({ signed, status }).toEqual({ signed: true, status: 104 })
    expect(content.description).not.toBe('')
    expect(content.official_account_pay).toBeUndefined()
    expect(far.orders.size).toBe(0)
  })

  test('optional members may all be left out, and the terminal’s too', () => {
    const { trade_type: _, ...request } = wechat()
    expect(create(openSandbox(), request)).toMatchObject({ status: 0 })
  })
})

// ── the life of an order ───────────────────────────────────────────────────────────────────────────────────────

describe('an order', () => {
  test('waits after its create, with everything the answer needs', () => {
    const far = openSandbox()
    const request = wechat()
    const member = create(far, request).content.official_account_pay
    expect(member.order_content).toMatchObject({
      out_trade_no: NUMBER,
      total_fee: 1880,
      fee_type: 'CNY',
      body: '湖心奶茶',
      trade_type: 3,
      create_time: NOW_S,
      nonce_str: request.nonce_str,
      is_transforming: false,
      wxpay_order_content_ext: { current_trade_state: 6, goods_tag: '' },
    })
    expect(member.order_content).not.toHaveProperty('transaction_id')
    expect(member.order_content).not.toHaveProperty('cash_fee')
    expect(member.nonce_str).toMatch(/^[0-9a-f]{32}$/)
    expect(member.nonce_str).not.toBe(request.nonce_str)
    // `wx`, day and time in China, 26 more.
    expect(member.order_content.wxpay_order_content_ext.prepare_id).toMatch(/^wx18014640[0-9a-f]{26}$/)
    expect(member.pay_mch_key).toMatchObject({ pay_platform: 1, sub_pay_platform: 100, ...IDS })
    expect(far.orders.size).toBe(1)
  })

  test('lives 120 seconds unless its create says otherwise', () => {
    const expiry = (content: object) =>
      create(openSandbox(), wechat({ content })).content.official_account_pay.order_content.time_expire
    expect(expiry({})).toBe(NOW_S + 120)
    expect(expiry({ time_expire: NOW_S + 7200 })).toBe(NOW_S + 7200)
  })

  test('is the same one when its create is repeated, with another nonce or in another order of members', () => {
    const far = openSandbox()
    const first = create(far).content.official_account_pay.order_content
    const again = create(far).content.official_account_pay.order_content
    const { prepare_id } = first.wxpay_order_content_ext
    expect(again.wxpay_order_content_ext.prepare_id).toBe(prepare_id)
    const { pay_content, ...rest } = wechat()
    const turned = {
      ...rest,
      pay_content: Object.fromEntries(Object.entries(pay_content as object).reverse()),
    }
    expect(create(far, turned)).toMatchObject({ status: 0 })
    expect(far.orders.size).toBe(1)
  })

  test.each([
    ['another amount', wechat({ content: { total_fee: 1881 } })],
    ['another title', wechat({ content: { body: 'tea' } })],
    ['another payer', wechat({ key: { wxpay_pay_mch_key_ext: { sub_open_id: 'oPayer2' } } })],
    ['another platform', alipay()],
  ])('cannot be taken by a create with %s: 102, and it stays as it was', (_, other) => {
    const far = openSandbox()
    create(far)
    expect(create(far, other)).toMatchObject({ signed: true, status: 102 })
    expect(queried(far).order_content).toMatchObject({ total_fee: 1880, body: '湖心奶茶' })
  })

  test("is nobody else's: another sub-merchant neither takes its number nor finds it", () => {
    const far = openSandbox()
    create(far)
    const { out_sub_mch_id: second, authen_key: key } = OTHER_MERCHANT
    const asOther = (suffix: string, content: Content) => {
      content.pay_mch_key.out_sub_mch_id = second
      return open(far.answer(suffix, sealed(content, key)), key)
    }
    expect(asOther('official_account_pay', wechat())).toMatchObject({ signed: true, status: 102 })
    for (const suffix of ['query_order', 'close_order']) {
      const { signed, status, content } = asOther(suffix, about(NUMBER))
      expect([signed, status, content.internal_status]).toEqual([true, 104, 400])
    }
  })

  test.each(['query_order', 'close_order'])(
    'nobody created: %s says 104 with internal_status 400',
    (suffix) => {
      const { signed, content } = ask(openSandbox(), suffix, about(`${order_prefix}9999`))
      expect(signed).toBe(true)
      expect(content).toMatchObject({ status: 104, internal_status: 400 })
      expect(content).not.toHaveProperty(suffix)
    },
  )

  test('is found by its number alone', () => {
    const far = openSandbox()
    create(far)
    const { pay_platform: _, ...ids } = about(NUMBER).pay_mch_key
    expect(ask(far, 'query_order', { ...about(NUMBER), pay_mch_key: ids })).toMatchObject({ status: 0 })
  })

  test('is paid by its payer: the state, what was paid and when', () => {
    const far = openSandbox()
    create(far)
    time.nowS += 30
    far.pay(NUMBER)
    const { order_content } = queried(far)
    expect(order_content).toMatchObject({
      time_end: NOW_S + 30,
      last_update_time: NOW_S + 30,
      cash_fee: 1880,
      settlement_total_fee: 1880,
      wxpay_order_content_ext: { current_trade_state: 3, bank_type: 'OTHERS' },
    })
    expect(order_content.transaction_id).toMatch(/^4200\d{24}$/)
  })

  test('can be paid up to the second of its expiry, and not later, not twice, not when closed', () => {
    const far = openSandbox()
    expect(() => far.pay(NUMBER)).toThrow('no such order')
    create(far)
    time.nowS = NOW_S + 121
    expect(() => far.pay(NUMBER)).toThrow('order has expired')
    time.nowS = NOW_S + 120
    far.pay(NUMBER)
    expect(() => far.pay(NUMBER)).toThrow('order is paid')

    const closed = openSandbox()
    create(closed)
    close(closed)
    expect(() => closed.pay(NUMBER)).toThrow('order is closed')
  })

  test('is closed while it waits, and closing it again says yes again', () => {
    const far = openSandbox()
    create(far)
    const { signed, content } = close(far)
    expect(signed).toBe(true)
    expect(content.status).toBe(0)
    expect(Object.keys(content.close_order as object)).toEqual(['nonce_str'])
    expect(walletState(far)).toBe(7)
    expect(close(far)).toMatchObject({ status: 0 })
  })

  test('can be closed after its expiry too, whatever it shows', () => {
    for (const expiredState of ['waiting', 'closed'] as const) {
      const far = openSandbox({ expiredState })
      create(far)
      time.nowS += 121
      expect(close(far)).toMatchObject({ signed: true, status: 0 })
      expect(walletState(far)).toBe(7)
    }
  })

  test('that shows as closed after its expiry is closed already for who closes it', () => {
    const far = openSandbox({ expiredState: 'closed', closeClosed: '104' })
    create(far)
    expect(close(far)).toMatchObject({ status: 0 })
    create(far, wechat({ content: { out_trade_no: `${order_prefix}2` } }))
    time.nowS += 121
    expect(close(far, `${order_prefix}2`)).toMatchObject({ signed: true, status: 104 })
  })

  test('is paid all the same when the money was under way as it closed or expired', () => {
    const closed = openSandbox()
    create(closed)
    close(closed)
    time.nowS += 300
    expect(closed.pay(NUMBER, { late: true })).toMatchObject({ state: 'paid', paid_fen: 1880 })
    expect(walletState(closed)).toBe(3)
    expect(queried(closed).order_content).toMatchObject({ cash_fee: 1880, time_end: NOW_S + 300 })
    expect(() => closed.pay(NUMBER, { late: true })).toThrow('order is paid')
    expect(close(closed)).toMatchObject({ status: 104 })

    const expired = openSandbox()
    create(expired)
    time.nowS += 300
    expect(() => expired.pay(NUMBER)).toThrow('order has expired')
    expired.pay(NUMBER, { late: true })
    expect(walletState(expired)).toBe(3)
    expect(() => expired.pay(`${order_prefix}x`, { late: true })).toThrow('no such order')
  })

  test('is not closed any more once it is paid', () => {
    const far = openSandbox()
    create(far)
    far.pay(NUMBER)
    expect(close(far)).toMatchObject({ signed: true, status: 104 })
    far.close(NUMBER)
    expect(walletState(far)).toBe(3)
  })

  test('of Alipay has the states of Alipay and a trade number of 28 digits', () => {
    const far = openSandbox()
    const { jsapi_args, order_content, pay_mch_key } = create(far, alipay()).content.official_account_pay
    const { trade_no } = jsapi_args.alipay.trade_pay
    expect(trade_no).toMatch(/^20300318\d{20}$/)
    expect(order_content.alipay_order_content_ext).toEqual({ current_trade_state: 4 })
    expect(order_content).not.toHaveProperty('wxpay_order_content_ext')
    expect(pay_mch_key.sub_pay_platform).toBe(200)
    far.pay(NUMBER)
    expect(walletState(far)).toBe(2)
    expect(queried(far).order_content.transaction_id).toBe(trade_no)

    const closed = openSandbox()
    create(closed, alipay())
    close(closed)
    expect(walletState(closed)).toBe(5)
  })

  test('of a mini-program is trade type 9, in its own member, signed for its own app', () => {
    const { mini_program_pay: member, official_account_pay: other } = createMini(openSandbox()).content
    expect(other).toBeUndefined()
    expect(member.order_content.trade_type).toBe(9)
    expect(Object.keys(member.jsapi_args.wxpay as object)).toEqual(['mini_program_pay'])
    expect(member.jsapi_args.wxpay.mini_program_pay.app_id).toBe('wxmini1')
  })
})

// ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────

describe('an answer', () => {
  test.each([
    ['official_account_pay', wechat()],
    ['official_account_pay', alipay()],
    ['mini_program_pay', miniProgram()],
    ['query_order', about(NUMBER)],
    ['close_order', about(NUMBER)],
  ])("to %s is what the protocol's own schema reads", (suffix, request) => {
    const far = openSandbox()
    if (request.out_trade_no) create(far)
    const iface = INTERFACES.find((one) => one.suffix === suffix)!
    const { content } = ask(far, suffix, request)
    expect(v.parse(iface.answer, content[iface.member])).toEqual(content[iface.member])
    expect(Number.isInteger(content.log_id)).toBe(true)
    expect(content.internal_status).toBe(0)
  })

  test('writes what is not ASCII as upper-case escapes, inside the text that is signed', () => {
    const { text } = create(openSandbox(), wechat({ content: { body: '湖🧋' } }))
    expect(text).toMatch(/^[\x20-\x7e]+$/)
    expect(text).toContain('"description":"\\u64CD\\u4F5C\\u6210\\u529F\\u3002"')
    expect(text).toContain('"body":"\\u6E56\\uD83E\\uDDCB"')
    expect(text).not.toMatch(/\\u[0-9A-F]*[a-f]/)
  })

  test('carries a log_id that may be above 2³¹', () => {
    const far = openSandbox()
    const ids = Array.from({ length: 64 }, () => create(far).content.log_id as number)
    expect(ids.every((id) => id >= 0 && id < 2 ** 32)).toBe(true)
    expect(ids.some((id) => id >= 2 ** 31)).toBe(true)
  })

  test('signs for the wallet as WeChat Pay v2 does, over the values it hands over', () => {
    const key = 'sandboxsandboxsandboxsandbox0001'
    for (const [signType, digest] of [
      ['MD5', createHash('md5')],
      ['HMAC-SHA256', createHmac('sha256', key)],
    ] as const) {
      const args = create(openSandbox({ signType })).content.official_account_pay.jsapi_args
      const {
        app_id,
        nonce_str,
        package: prepay,
        sign_type,
        timestamp,
        pay_sign,
      } = args.wxpay.get_brand_wcpay
      expect([sign_type, timestamp]).toEqual([signType, `${NOW_S}`])
      const text = `appId=${app_id}&nonceStr=${nonce_str}&package=${prepay}&signType=${sign_type}&timeStamp=${timestamp}`
      expect(pay_sign).toBe(digest.update(`${text}&key=${key}`).digest('hex').toUpperCase())
    }
  })
})

// ── switches ───────────────────────────────────────────────────────────────────────────────────────────────────

const paid = (far: Sandbox): Sandbox => {
  create(far)
  far.pay(NUMBER)
  return far
}

/** What each switch changes, as somebody outside sees it, and what its values make of that. */
const EFFECTS: {
  [Name in keyof Switches]: {
    of: (far: Sandbox, told: Notification[]) => unknown
    is: Record<Switches[Name], unknown>
  }
} = {
  answerEscapes: {
    of: (far) => /"description":"(.{5})/.exec(create(far).text)?.[1],
    is: { upper: '\\u64C', lower: '\\u64c', raw: '操作成功。' },
  },
  answerEnding: {
    of: (far) => create(far).text.endsWith('}\n'),
    is: { none: false, newline: true },
  },
  answerSeparators: {
    of: (far) => create(far).text.startsWith('{ "status": 0, "description": '),
    is: { compact: false, spaced: true },
  },
  answerNumbers: {
    of: (far) => /"total_fee":([\d.]+)/.exec(create(far).text)?.[1],
    is: { integer: '1880', float: '1880.0' },
  },
  lowerCaseCode: {
    of: (far) => {
      const text = JSON.stringify(wechat())
      return open(far.answer('official_account_pay', envelope(text, sign(text).toLowerCase()))).status
    },
    is: { refused: 101, accepted: 0 },
  },
  lengthUnit: {
    of: (far) => create(far, wechat({ content: { body: '茶'.repeat(43) } })).status,
    is: { characters: 0, bytes: 104 },
  },
  ruleBreach: {
    of: (far) => {
      const { signed, status } = create(far, wechat({ content: { out_trade_no: 'x' } }))
      return [signed, status]
    },
    is: { '104': [true, 104], '101': [false, 101] },
  },
  repeatedCreate: {
    of: (far) => (create(far), create(far).status),
    is: { same_order: 0, '102': 102 },
  },
  notFoundStatus: {
    of: (far) => {
      const { signed, status, content } = query(far)
      return [signed, status, content.internal_status]
    },
    is: { '104': [true, 104, 400], '102': [true, 102, 400], '101': [false, 101, 400] },
  },
  expiredState: {
    of: (far) => {
      create(far)
      time.nowS += 121
      return walletState(far)
    },
    is: { waiting: 6, closed: 7 },
  },
  closePaid: {
    of: (far) => (create(far), far.pay(NUMBER), close(far).status),
    is: { '104': 104, '102': 102 },
  },
  nonceEcho: {
    of: (far) => {
      const request = wechat()
      create(far, request)
      return queried(far).order_content.nonce_str === request.nonce_str
    },
    is: { request: true, fresh: false },
  },
  miniProgramHandover: {
    of: (far) =>
      Object.keys(
        createMini(far).content.mini_program_pay.jsapi_args.wxpay.mini_program_pay as object,
      ).sort(),
    is: {
      complete: ['app_id', 'nonce_str', 'package', 'pay_sign', 'sign_type', 'timestamp'],
      three_members: ['nonce_str', 'package', 'pay_sign'],
    },
  },
  miniProgramEcho: {
    of: (far) => 'pay_mch_key' in createMini(far).content.mini_program_pay,
    is: { yes: true, no: false },
  },
  alipayBeforeCashier: {
    of: (far) => (create(far, alipay()), walletState(far)),
    is: { waiting: 4, not_existing: 7 },
  },
  signType: {
    of: (far) => {
      const { sign_type, pay_sign } =
        create(far).content.official_account_pay.jsapi_args.wxpay.get_brand_wcpay
      return [sign_type, pay_sign.length]
    },
    is: { MD5: ['MD5', 32], 'HMAC-SHA256': ['HMAC-SHA256', 64] },
  },
  closeClosed: {
    of: (far) => (create(far), close(far), close(far).status),
    is: { ok: 0, '104': 104 },
  },
  lateness: {
    of: (far) => {
      const paysLate = (number: string) => {
        try {
          return far.pay(number, { late: true }).state
        } catch (error) {
          return String(error)
        }
      }
      const numbers = ['closed', 'expired'].map((name) => order_prefix + name)
      for (const out_trade_no of numbers) create(far, wechat({ content: { out_trade_no } }))
      close(far, numbers[0])
      time.nowS += 121
      return numbers.map(paysLate)
    },
    is: {
      closed_too: ['paid', 'paid'],
      expired_only: ['Error: order is closed', 'paid'],
      never: ['Error: order is closed', 'Error: order has expired'],
    },
  },
  createTime: {
    of: (far) => {
      const { create_time, time_expire } = (create(far), queried(far).order_content)
      return [create_time - NOW_S, time_expire - NOW_S]
    },
    is: { exact: [0, 120], behind: [-200, 120] },
  },
  refundAnswer: {
    of: (far) => Array.isArray(refund(paid(far)).content.refund.refund_order_content),
    is: { object: false, array: true },
  },
  repeatedRefund: {
    of: (far) => (refund(paid(far)), refund(far).status),
    is: { same_refund: 0, '102': 102 },
  },
  refundRefusal: {
    of: (far) => refund(paid(far), { refund_fee: 1881 }).status,
    is: { '104': 104, '102': 102 },
  },
  refundPlatform: {
    of: (far) => refund(paid(far), {}, { pay_platform: 2 }).status,
    is: { checked: 104, ignored: 0 },
  },
  refundOutcome: {
    of: (far) => {
      refund(paid(far))
      return queryRefunds(far).content.query_refund_order.refund_order_content[0]
        .wxpay_refund_order_content_ext.state
    },
    is: { succeeded: 2, failed: 3, change: 5 },
  },
  refundOperator: {
    of: (far) => {
      const nobody = refund(paid(far), { refund_fee: 1 }).status
      const key = { is_sub_mch_admin: true }
      return [nobody, refund(far, { out_refund_no: `${order_prefix}r2`, refund_fee: 1 }, key).status]
    },
    is: { optional: [0, 0], required: [104, 0] },
  },
  refundTransforming: {
    of: (far) => refund(paid(far)).content.refund.refund_order_content.is_transforming,
    is: { no: false, while_processing: true },
  },
  changedRefund: {
    of: (far) => {
      refund(paid(far))
      far.finishRefund(REFUND_NUMBER, 'change')
      return refund(far, { out_refund_no: `${order_prefix}r2` }).status
    },
    is: { counts: 104, frees: 0 },
  },
  refundedWechat: {
    of: (far) => {
      refund(paid(far), { refund_fee: 1 })
      const partly = walletState(far)
      refund(far, { out_refund_no: `${order_prefix}r2`, refund_fee: 1879 })
      return [partly, walletState(far)]
    },
    is: { '4_on_any': [4, 4], '4_on_full': [3, 4] },
  },
  noRefundsAnswer: {
    of: (far) => {
      const { status, content } = queryRefunds(paid(far))
      return [status, content.query_refund_order?.refund_order_content]
    },
    is: { '426': [104, undefined], no_list: [0, undefined] },
  },
  noRefundsStatus: {
    of: (far) => {
      const { status, content } = queryRefunds(paid(far))
      return [status, content.internal_status]
    },
    is: { '104': [104, 426], '102': [102, 426] },
  },
  refundsOfNoOrder: {
    of: (far) => queryRefunds(far).content.internal_status,
    is: { '426': 426, '400': 400 },
  },
  billLists: {
    of: (far) => (create(far), bill(far).total_count),
    is: { all: 1, paid_only: 0 },
  },
  billTime: {
    of: (far) => {
      create(far)
      time.nowS += 100
      far.pay(NUMBER)
      return bill(far, { end_time: NOW_S + 50 }).total_count
    },
    is: { create_time: 1, last_update_time: 0 },
  },
  billOrder: {
    of: (far) => {
      for (const name of ['a', 'b']) {
        create(far, wechat({ content: { out_trade_no: order_prefix + name } }))
        time.nowS++
      }
      return bill(far).order_details.map((one: Content) =>
        one.receipt.order.order_content.out_trade_no.slice(order_prefix.length),
      )
    },
    is: { oldest_first: ['a', 'b'], newest_first: ['b', 'a'] },
  },
  notifyUrl: {
    of: ({ switches }) => notifyUrls(switches, 'http://console', 'http://order'),
    is: { replaces: ['http://order'], adds: ['http://console', 'http://order'] },
  },
  emptyReply: {
    of: ({ switches }) => isDelivered(switches, 204, Buffer.alloc(0)),
    is: { retry: false, delivered: true },
  },
  scanProductId: {
    of: (far) => ask(far, 'scan_code_pay', plain()).status,
    is: { required: 104, optional: 0 },
  },
  machineNo: {
    of: (far) => ask(far, 'micro_pay', micro()).status,
    is: { optional: 0, required: 104 },
  },
  mobWebAnswer: {
    of: (far) => 'mweb_url' in ask(far, 'mob_web_pay', mobWeb()).content.mob_web_pay,
    is: { mweb_url: true, nothing: false },
  },
  mobWebHost: {
    of: (far) => new URL(ask(far, 'mob_web_pay', mobWeb()).content.mob_web_pay.mweb_url as string).host,
    is: { wallet: 'wx.tenpay.com', elsewhere: 'tenpay.com.sandbox.invalid' },
  },
  microUndecided: {
    of: (far) => ask(far, 'micro_pay', micro('0009')).status,
    is: { state: 0, '103': 103 },
  },
  notifications: {
    of: (far, told) => (paid(far), told.length),
    is: { on: 1, off: 0 },
  },
}

describe('a switch', () => {
  const values = Object.entries(SWITCHES).flatMap(([name, list]) =>
    list.map((value) => [name, value] as const),
  )

  test.each(values)('%s: %s does what it says', (name, value) => {
    const { of, is } = EFFECTS[name as keyof Switches]
    const told: Notification[] = []
    const far = openSandbox({ [name]: value }, { onNotification: (one) => told.push(one) })
    expect(of(far, told)).toEqual((is as Record<string, unknown>)[value])
  })

  test.each(Object.keys(SWITCHES) as (keyof Switches)[])(
    '%s looks different for each of its values',
    (name) => {
      const seen = Object.values(EFFECTS[name].is).map((effect) => JSON.stringify(effect))
      expect(new Set(seen).size).toBe(SWITCHES[name].length)
    },
  )

  test('that nobody turned is at its first value', () => {
    const first = Object.entries(SWITCHES).map(([name, list]) => [name, list[0]])
    expect(openSandbox().switches).toEqual(Object.fromEntries(first))
  })

  test('of how answers are written also holds for refusals', () => {
    const far = openSandbox({ answerEnding: 'newline', answerSeparators: 'spaced' })
    for (const { text } of [
      query(far),
      create(far, wechat({ content: { total_fee: 0 } })),
      ask(far, 'x', {}),
    ]) {
      expect(text).toMatch(/^\{ "status": \d+, .* \}\n$/)
    }
  })
})

// ── sentinels ──────────────────────────────────────────────────────────────────────────────────────────────────

type Seen = { reply: Reply; member: string; clean: Opened; acted: boolean }

const rejected = (status: number, signed: boolean) => (seen: Seen) => {
  expect(open(seen.reply)).toMatchObject({ http: 200, signed, status })
  expect(seen.acted).toBe(false)
}
const acted = (check: (seen: Seen) => void) => (seen: Seen) => {
  expect(seen.acted).toBe(true)
  check(seen)
}
const outerOf = (reply: Reply): Content => {
  if (reply.kind !== 'answer') throw new Error(`no answer but ${reply.kind}`)
  return JSON.parse(reply.body.toString())
}
const orderOf = ({ reply, member }: Seen): Content => open(reply).content[member].order_content

const SENTINELS: Record<FaultName, (seen: Seen) => void> = {
  ok: acted(({ reply }) => expect(open(reply)).toMatchObject({ http: 200, signed: true, status: 0 })),
  slow: acted(({ reply }) => {
    expect(reply).toMatchObject({ kind: 'answer', delayMs: 12_000 })
    expect(open(reply).status).toBe(0)
  }),
  silent: acted(({ reply }) => expect(reply).toEqual({ kind: 'silent' })),
  lost: acted(({ reply }) => expect(reply).toEqual({ kind: 'drop' })),
  truncated: acted(({ reply }) => expect(reply.kind).toBe('truncated')),
  'wrong-signed': acted(({ reply }) => {
    const { response_content: text, authen_info } = outerOf(reply)
    expect(authen_info.a.authen_code).toMatch(/^[0-9A-F]{64}$/)
    expect(authen_info.a.authen_code).not.toBe(sign(text as string))
    expect(JSON.parse(text as string).status).toBe(0)
  }),
  'lower-signed': acted(({ reply }) => {
    const { response_content: text, authen_info } = outerOf(reply)
    expect(authen_info.a.authen_code).toBe(sign(text as string).toLowerCase())
  }),
  unsigned: acted(({ reply }) => expect(open(reply)).toMatchObject({ signed: false, status: 0 })),
  object: acted(({ reply }) => expect(outerOf(reply).response_content).toMatchObject({ status: 0 })),
  'wrong-amount': acted((seen) => {
    expect(orderOf(seen)).toMatchObject({ out_trade_no: NUMBER, total_fee: 1881 })
  }),
  foreign: acted((seen) => {
    expect(orderOf(seen).total_fee).toBe(1880)
    expect(orderOf(seen).out_trade_no).not.toBe(NUMBER)
  }),
  transforming: acted((seen) => {
    expect(orderOf(seen)).toMatchObject({
      is_transforming: true,
      out_trade_no: NUMBER,
      wxpay_order_content_ext: { current_trade_state: 6 },
    })
  }),
  'not-json': acted(({ reply }) => {
    expect(() => outerOf(reply)).toThrow(SyntaxError)
    expect(reply).toMatchObject({ httpStatus: 200 })
  }),
  '500': acted(({ reply }) => expect(reply).toMatchObject({ kind: 'answer', httpStatus: 500 })),
  '3': rejected(3, false),
  '101': rejected(101, false),
  '102': rejected(102, true),
  '103': rejected(103, true),
  '104': rejected(104, true),
}

describe('a sentinel', () => {
  test.each(FAULTS)('%s does to a create what its comment says, once', (fault) => {
    const far = openSandbox()
    const request = wechat({ content: { remark: `less sugar sandbox:${fault}` } })
    const reply = far.answer('official_account_pay', sealed(request))
    const wasActed = far.orders.has(NUMBER)
    const clean = create(far, request)
    expect(clean).toMatchObject({ http: 200, signed: true, status: 0 })
    SENTINELS[fault]({ reply, member: 'official_account_pay', clean, acted: wasActed })
  })

  test.each(FAULTS)('%s does to a query what its comment says, once', (fault) => {
    const far = openSandbox()
    expect(create(far, wechat({ content: { remark: `sandbox-query:${fault}` } }))).toMatchObject({
      status: 0,
    })
    const reply = far.answer('query_order', sealed(about(NUMBER)))
    const clean = query(far)
    expect(clean).toMatchObject({ http: 200, signed: true, status: 0 })
    // A query has nothing to act on: it has read the order, or it has not.
    const wasActed = !/^\d{1,3}$/.test(fault) || fault === '500'
    SENTINELS[fault]({ reply, member: 'query_order', clean, acted: wasActed })
  })

  test.each(FAULTS)('%s does to a close what its comment says, as far as a close says anything', (fault) => {
    const far = openSandbox()
    create(far, wechat({ content: { remark: `sandbox-close:${fault}` } }))
    const reply = far.answer('close_order', sealed(about(NUMBER)))
    const wasActed = far.orders.get(NUMBER)!.state === 'closed'
    // Its answer names neither an amount nor an order: there is nothing to lie about.
    const dumb = ['wrong-amount', 'foreign', 'transforming'].includes(fault)
    const clean = close(far)
    expect(clean).toMatchObject({ http: 200, signed: true, status: 0 })
    SENTINELS[dumb ? 'ok' : fault]({ reply, member: 'close_order', clean, acted: wasActed })
  })

  test('has its turn per transmission, and `ok` keeps a place', () => {
    const far = openSandbox()
    const request = wechat({ content: { remark: 'sandbox:103,ok,3,nonsense,104' } })
    const statuses = [1, 2, 3, 4, 5].map(() => create(far, request).status)
    expect(statuses).toEqual([103, 0, 3, 104, 0])
  })

  test('counts for each order alone, and stands at the beginning of a word', () => {
    const far = openSandbox()
    const as = (out_trade_no: string, remark: string) =>
      create(far, wechat({ content: { out_trade_no, remark } })).status
    expect(as(`${order_prefix}a`, 'sandbox:104')).toBe(104)
    expect(as(`${order_prefix}b`, 'sandbox:104')).toBe(104)
    expect(as(`${order_prefix}c`, 'no-sandbox:104')).toBe(0)
    expect(as(`${order_prefix}d`, 'sandbox-query:104')).toBe(0)
  })

  test('in both kinds at once: each to its own', () => {
    const far = openSandbox()
    const remark = 'sandbox:103 sandbox-query:ok,104'
    expect(create(far, wechat({ content: { remark } })).status).toBe(103)
    expect(create(far, wechat({ content: { remark } })).status).toBe(0)
    expect([query(far).status, query(far).status, query(far).status]).toEqual([0, 104, 0])
  })
})

describe('chooseFault', () => {
  test('is asked about every request that is well formed, with its turn, and before the remark', () => {
    const asked: FaultPoint[] = []
    const far = openSandbox(
      {},
      {
        chooseFault: (at) => {
          asked.push(at)
          return at.turn === 0 && at.interface === 'official_account_pay' ? '103' : undefined
        },
      },
    )
    const request = wechat({ content: { remark: 'sandbox:104,104 sandbox-query:3' } })
    expect([create(far, request).status, create(far, request).status]).toEqual([103, 104])
    create(far, wechat())
    createMini(far)
    far.pay(NUMBER)
    query(far)
    close(far)
    refund(far)
    refund(far, { out_refund_no: `${order_prefix}r2` })
    queryRefunds(far)
    bill(far)
    create(far, wechat({ content: { total_fee: 0 } }))
    far.answer('query_order', sealed(about(NUMBER), 'another key'))
    const at = (name: string, turn: number) => ({ interface: name, out_trade_no: NUMBER, turn })
    expect(asked).toEqual([
      at('official_account_pay', 0),
      at('official_account_pay', 1),
      at('official_account_pay', 2),
      at('mini_program_pay', 3),
      at('query_order', 0),
      at('close_order', 0),
      at('refund', 0),
      at('refund', 1),
      at('query_refund_order', 0),
      { interface: 'client_order_detail', out_trade_no: undefined, turn: 0 },
    ])
  })

  test('that chooses `ok` overrules the remark', () => {
    const far = openSandbox({}, { chooseFault: () => 'ok' })
    expect(create(far, wechat({ content: { remark: 'sandbox:104' } })).status).toBe(0)
  })

  test('that chooses a status keeps the far end from acting, whatever is asked', () => {
    let fault: FaultName | undefined
    const far = openSandbox({}, { chooseFault: () => fault })
    create(far)
    far.pay(NUMBER)
    refund(far, { refund_fee: 1 })
    const before = far.ledger()
    for (fault of ['3', '101', '102', '103', '104'] as const) {
      create(far, wechat({ content: { out_trade_no: `${order_prefix}x` } }))
      close(far)
      refund(far, { out_refund_no: `${order_prefix}r2`, refund_fee: 1 })
      expect(query(far).status).toBe(Number(fault))
      expect(queryRefunds(far).status).toBe(Number(fault))
    }
    expect(far.ledger()).toEqual(before)
  })

  test('reaches refusals too: what would have been said is lost', () => {
    const far = openSandbox({}, { chooseFault: () => 'lost' })
    expect(far.answer('query_order', sealed(about(NUMBER)))).toEqual({ kind: 'drop' })
  })

  test.each(['wrong-amount', 'foreign', 'transforming', 'lower-signed', 'wrong-signed', 'unsigned'] as const)(
    '%s of an answer that has no such thing changes nothing else',
    (fault) => {
      const far = openSandbox({ ruleBreach: '101' }, { chooseFault: () => fault })
      const unsigned = far.answer('official_account_pay', sealed(wechat({ content: { out_trade_no: 'x' } })))
      expect(open(unsigned)).toMatchObject(BAD_REQUEST)
    },
  )
})

describe('a ledger', () => {
  test('can be forgotten: orders, refunds, turns and what arrived, and no switch', () => {
    const far = openSandbox({ signType: 'HMAC-SHA256' })
    far.switches.ruleBreach = '101'
    const request = wechat({ content: { remark: 'sandbox:103' } })
    expect([create(far, request).status, create(far, request).status]).toEqual([103, 0])
    far.pay(NUMBER)
    refund(far)
    far.reset()
    expect([far.orders.size, far.received, far.ledger()]).toEqual([0, [], []])
    expect(queryRefunds(far).content.internal_status).toBe(426)
    expect(far.switches).toMatchObject({ signType: 'HMAC-SHA256', ruleBreach: '101' })
    expect([create(far, request).status, create(far, request).status]).toEqual([103, 0])
    far.pay(NUMBER)
    expect(refund(far).status).toBe(0)
  })

  test('is the same again from the same clock and the same randomness', () => {
    const run = () => {
      time.nowS = NOW_S
      let drawn = 0
      const random = (bytes: number) => Buffer.alloc(bytes, ++drawn)
      const far = openSandbox({ nonceEcho: 'fresh' }, { random })
      const texts = [create(far, { ...wechat(), nonce_str: 'n' }).text]
      far.pay(NUMBER)
      const { out_refund_no } = far.refundInConsole(NUMBER, 1)
      return [...texts, query(far).text, out_refund_no, queryRefunds(far).text, JSON.stringify(bill(far))]
    }
    expect(run()).toEqual(run())
  })
})

// ── over HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────

describe('over HTTP', () => {
  let server: SandboxServer
  beforeAll(async () => void (server = await startSandbox({ slowMs: 300 })))
  afterAll(() => server.close())
  beforeEach(() => {
    server.sandbox.orders.clear()
    fakeTimeouts()
  })
  afterEach(() => jest.useRealTimers())

  let numbers = 0
  const number = () => `${order_prefix}http${++numbers}`
  /** By a client of its own: on a connection that was kept, the loss of one is answered by sending again. */
  const send = (content: unknown) =>
    createPost()(`${server.baseUrl}official_account_pay`, sealed(content), {
      timeoutMs: 1000,
      answerMaxBytes: 100_000,
    })
  const control = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${server.origin}/_sandbox/${path}`, {
      method,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    return { status: answer.status, body: (await answer.json()) as Content }
  }

  test('answers a signed create, on loopback', async () => {
    expect(server.baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/cpay\/$/)
    const { status, body } = await send(wechat({ content: { out_trade_no: number() } }))
    expect(open({ kind: 'answer', httpStatus: status, body, delayMs: 0 })).toMatchObject({
      http: 200,
      status: 0,
    })
  })

  test.each([
    ['silent', 'timeout', 1000],
    ['lost', 'connection', 0],
    ['truncated', 'answer_cut_off', 0],
  ] as const)('%s: a client sees %s, and the order is there', async (fault, code, afterMs) => {
    const out_trade_no = number()
    const sent = send(wechat({ content: { out_trade_no, remark: `sandbox:${fault}` } }))
    sent.catch(() => undefined)
    await until(() => server.sandbox.orders.has(out_trade_no))
    jest.advanceTimersByTime(afterMs)
    await expect(sent).rejects.toMatchObject({ code })
  })

  test('slow: nobody is answered before 300 ms, and who waits that long gets the good answer', async () => {
    const out_trade_no = number()
    let answered = false
    const sent = send(wechat({ content: { out_trade_no, remark: 'sandbox:slow' } }))
    void sent.then(() => (answered = true))
    await until(() => server.sandbox.orders.has(out_trade_no))
    jest.advanceTimersByTime(299)
    await settled()
    expect(answered).toBe(false)
    jest.advanceTimersByTime(1)
    const { status, body } = await sent
    expect(open({ kind: 'answer', httpStatus: status, body, delayMs: 0 }).status).toBe(0)
  })

  test('500: a client sees HTTP 500', async () => {
    const { status } = await send(wechat({ content: { out_trade_no: number(), remark: 'sandbox:500' } }))
    expect(status).toBe(500)
  })

  test('pays an order once, and says why not', async () => {
    const out_trade_no = number()
    expect(await control('POST', 'pay', { out_trade_no })).toEqual({
      status: 409,
      body: { error: 'no such order' },
    })
    await send(wechat({ content: { out_trade_no } }))
    expect(await control('POST', 'pay', { out_trade_no })).toMatchObject({
      status: 200,
      body: { out_trade_no, state: 'paid', transaction_id: expect.stringMatching(/^4200\d{24}$/) },
    })
    expect(await control('POST', 'pay', { out_trade_no })).toEqual({
      status: 409,
      body: { error: 'order is paid' },
    })
  })

  test('pays late when told so, and only then', async () => {
    const out_trade_no = number()
    await send(wechat({ content: { out_trade_no } }))
    server.sandbox.close(out_trade_no)
    for (const late of [undefined, false, 'yes', 1]) {
      expect((await control('POST', 'pay', { out_trade_no, late })).status).toBe(409)
    }
    expect(await control('POST', 'pay', { out_trade_no, late: true })).toMatchObject({
      status: 200,
      body: { state: 'paid' },
    })
  })

  test('lists the ledger and what arrived', async () => {
    const out_trade_no = number()
    const request = wechat({ content: { out_trade_no } })
    await send(request)
    expect((await control('GET', 'orders')).body).toEqual([
      {
        out_trade_no,
        state: 'waiting',
        create_time: expect.any(Number),
        time_expire: expect.any(Number),
        transaction_id: null,
        paid_fen: 0,
        refunded_fen: 0,
        refunds: [],
      },
    ])
    expect((await control('GET', 'received')).body.at(-1)).toMatchObject({
      interface: 'official_account_pay',
      body: sealed(request).toString(),
      request_content: JSON.stringify(request),
    })
  })

  test('turns switches, all or none of them', async () => {
    const { body } = await control('POST', 'switches', { signType: 'HMAC-SHA256' })
    expect(body).toEqual({ ...server.sandbox.switches, signType: 'HMAC-SHA256' })
    const bad: unknown[] = [
      { signType: 'MD5', colour: 'green' },
      { signType: 'SHA1' },
      { signType: 1 },
      { constructor: 'a' },
      'null',
      '{',
    ]
    for (const given of bad) {
      expect((await control('POST', 'switches', given)).status).toBe(400)
      expect(server.sandbox.switches.signType).toBe('HMAC-SHA256')
    }
    await control('POST', 'switches', { signType: 'MD5' })
    expect((await control('POST', 'switches', {})).body.signType).toBe('MD5')
  })

  test.each([
    ['GET', '/cpay/official_account_pay'],
    ['POST', '/official_account_pay'],
    ['POST', '/cpay/'],
    ['GET', '/_sandbox/pay'],
    ['POST', '/_sandbox/nothing'],
    ['GET', '/'],
  ])('%s %s is not there', async (method, path) => {
    expect((await fetch(server.origin + path, { method })).status).toBe(404)
  })
})

// ── what is written about it ───────────────────────────────────────────────────────────────────────────────────

describe('its README', () => {
  const readme = readFileSync(join(__dirname, '../../../local/sandbox/README.md'), 'utf8')
  /** The table rows below a heading, cell by cell. */
  const table = (heading: string): string[][] => {
    const section = readme.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
    const rows = section.split('\n').filter((line) => line.startsWith('| '))
    return rows.slice(2).map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  }
  const code = (cell: string | undefined) => [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name)

  test('lists every switch with exactly its values, the default first, and no other', () => {
    const listed = table('Switches').map(([name, values]) => [code(name)[0], code(values)])
    expect(Object.fromEntries(listed)).toEqual(SWITCHES)
    expect(listed).toHaveLength(Object.keys(SWITCHES).length)
  })

  test('lists every sentinel and no other', () => {
    expect(table('Sentinels').map(([name]) => code(name)[0])).toEqual(FAULTS)
  })

  test('says of every switch what is known: documented, inferred or a guess', () => {
    for (const row of table('Switches')) expect(row.at(-1)).toMatch(/^(documented|inferred|guess)/)
  })
})
