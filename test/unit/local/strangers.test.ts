import { constants, generateKeyPairSync, sign as signWith } from 'node:crypto'
import { createSandbox, type Sandbox } from '../../../local/sandbox/sandbox'
import { SANDBOX_MERCHANT } from '../../../shared/base/config'
import { systemRandom } from '../../../shared/base/random'
import { testClock } from '../../support/world'
import { sign, type Content } from '../../support/tamper'

/** Requests as other clients make them, each written down from what that client sends. None of them is ours. */
const { out_mch_id, out_sub_mch_id, out_shop_id, order_prefix } = SANDBOX_MERCHANT
const NUMBER = `${order_prefix}stranger1`
const REFUND = `${order_prefix}strangerr1`

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const public_key = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()

let far: Sandbox
const open = (merchant: object = {}) => {
  const clock = testClock()
  clock.nowMsValue = 1_900_000_000_000
  far = createSandbox({ clock, random: systemRandom, merchants: [{ ...SANDBOX_MERCHANT, ...merchant }] })
}
beforeEach(() => open())

const post = (suffix: string, outer: object): Content => {
  const reply = far.answer(suffix, Buffer.from(JSON.stringify(outer)))
  if (reply.kind !== 'answer') throw new Error(reply.kind)
  const answer = JSON.parse(reply.body.toString())
  return answer.response_content === undefined ? answer : JSON.parse(answer.response_content as string)
}
const ask = (suffix: string, content: object): Content => {
  const request_content = JSON.stringify(content)
  return post(suffix, {
    request_content,
    authen_info: { a: { authen_type: 1, authen_code: sign(request_content) } },
  })
}

const ids = { out_mch_id, out_sub_mch_id, out_shop_id }
const nonce_str = 'f'.repeat(32)
const wechat = { pay_platform: 1, ...ids, wxpay_pay_mch_key_ext: { sub_open_id: 'oStranger' } }

/** Tencent's Java SDK 1.6: seven members of the client with every call, nulls dropped. */
const JAVA = {
  device_id: 'dev_1',
  staff_id: 'staff_1',
  terminal_type: 2,
  sub_terminal_type: 1,
  machine_no: 'JAVA-0001',
  sdk_version: 'javasdk1.6',
  spbill_create_ip: '127.0.0.1',
}
const pay_content = { out_trade_no: NUMBER, total_fee: 1880, fee_type: 'CNY', body: '湖心奶茶' }

function paid(): void {
  ask('official_account_pay', {
    pay_content,
    pay_mch_key: wechat,
    order_client: JAVA,
    nonce_str,
    trade_type: 3,
  })
  far.pay(NUMBER)
}

describe('the Java SDK', () => {
  test.each<[string, object]>([
    [
      'official_account_pay',
      { pay_content, pay_mch_key: wechat, order_client: JAVA, nonce_str, trade_type: 3 },
    ],
    [
      'scan_code_pay',
      {
        pay_content: { ...pay_content, wxpay_pay_content_ext: { product_id: 'p1' } },
        pay_mch_key: { pay_platform: 1, ...ids },
        order_client: JAVA,
        nonce_str,
      },
    ],
    [
      'micro_pay',
      {
        pay_content: { ...pay_content, author_code: '134567890123450000' },
        pay_mch_key: { pay_platform: 1, ...ids },
        order_client: { ...JAVA, sn_code: 'SN1' },
        nonce_str,
      },
    ],
  ])('orders by %s', (suffix, content) => {
    expect(ask(suffix, content).status).toBe(0)
  })

  test('asks, closes, refunds, and asks about refunds', () => {
    const about = { pay_mch_key: { ...ids }, order_client: JAVA, out_trade_no: NUMBER, nonce_str }
    paid()
    expect(ask('query_order', about).status).toBe(0)
    const refund_content = {
      out_trade_no: NUMBER,
      out_refund_no: REFUND,
      total_fee: 1880,
      refund_fee: 880,
      refund_fee_type: 'CNY',
      client_refund_flow_id: 7,
    }
    const pay_mch_key = { pay_platform: 1, sub_pay_platform: 100, ...ids }
    far.switches.refundOperator = 'required'
    expect(ask('refund', { refund_content, pay_mch_key, order_client: JAVA, nonce_str }).status).toBe(0)
    const query = { pay_mch_key, order_client: JAVA, out_trade_no: NUMBER, nonce_str }
    expect(ask('query_refund_order', query).query_refund_order.refund_order_content).toHaveLength(1)
    const other = `${NUMBER}b`
    const create = {
      pay_content: { ...pay_content, out_trade_no: other },
      pay_mch_key: wechat,
      order_client: JAVA,
      nonce_str,
    }
    ask('official_account_pay', create)
    expect(ask('close_order', { ...query, out_trade_no: other }).status).toBe(0)
  })

  test('pings, and is answered without an envelope and whatever it says', () => {
    const at = 1_900_000_000
    for (const body of ['JAVAPing', ''])
      expect(far.answer('ping', Buffer.from(body))).toMatchObject({
        kind: 'answer',
        body: Buffer.from(JSON.stringify({ description: 'ok', status: 0, timestamp: at })),
      })
  })
})

describe('other clients', () => {
  test.each<[string, string, object]>([
    [
      'a mini-program in PHP',
      'mini_program_pay',
      {
        pay_content: { ...pay_content, is_shelves_order: false, wxpay_pay_content_ext: { attach: 'a' } },
        pay_mch_key: {
          pay_platform: 1,
          ...ids,
          wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wxmini', sub_open_id: 'oStranger' },
        },
        order_client: { spbill_create_ip: '127.0.0.1' },
        nonce_str,
      },
    ],
    [
      'one that clears a field and tells its staff',
      'official_account_pay',
      {
        pay_content: { ...pay_content, client_flow_id: 'flow-1', wxpay_pay_content_ext: { limit_pay: '' } },
        pay_mch_key: { ...wechat, notify_open_ids: ['oClerk1', 'oClerk2'] },
        order_client: { spbill_create_ip: '127.0.0.1', sub_terminal_type: 0 },
        nonce_str,
      },
    ],
    [
      'an app with a client of its own',
      'app_pay',
      {
        pay_content,
        pay_mch_key: { pay_platform: 1, ...ids, wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp' } },
        order_client: JAVA,
        nonce_str,
      },
    ],
    [
      'the bill of a clerk',
      'client_order_detail',
      {
        ...{
          out_sub_mch_id,
          out_shop_id,
          staff_id: 's',
          device_id: 'd',
          trade_type: 3,
          enable_overview: true,
        },
        ...{ query_cashier_type: 0, query_order_type: 3, start_time: 0, end_time: 1_900_000_001 },
        ...{ page_num: 1, page_size: 20 },
      },
    ],
    [
      'numbers with a zero fraction, as Gson writes them',
      'official_account_pay',
      {
        pay_content: { ...pay_content, total_fee: 1880.0 },
        pay_mch_key: wechat,
        order_client: JAVA,
        nonce_str,
      },
    ],
  ])('%s: %s', (_, suffix, content) => {
    expect(ask(suffix, content)).toMatchObject({ status: 0 })
  })

  test.each<[string, string]>([
    ['a name nobody has', 'pay_content.total_fees'],
    ['a name in the wrong place', 'order_client.out_trade_no'],
    ['what is gone from the documents', 'pay_content.alipay_pay_content_ext'],
  ])('%s is refused by its path', (_, path) => {
    const content: Content = structuredClone({
      pay_content,
      pay_mch_key: wechat,
      order_client: JAVA,
      nonce_str,
    })
    const [member, name] = path.split('.') as [string, string]
    content[member][name] = {}
    const { status, description } = ask('official_account_pay', content)
    expect([status, description]).toEqual([104, expect.stringContaining(path)])
  })
})

describe('a refund signed with RSA', () => {
  const content = {
    refund_content: {
      out_trade_no: NUMBER,
      out_refund_no: REFUND,
      total_fee: 1880,
      refund_fee: 880,
      refund_fee_type: 'CNY',
    },
    pay_mch_key: { pay_platform: 1, ...ids },
    order_client: { spbill_create_ip: '127.0.0.1' },
    nonce_str,
  }
  const request_content = JSON.stringify(content)
  const signed = (saltLength: number, text = request_content) => ({
    request_content,
    authen_info: {
      s: {
        sign_type: 1,
        sign: signWith('sha256', Buffer.from(text), {
          key: pair.privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength,
        }).toString('base64'),
      },
    },
  })

  test.each([32, 222])('with a salt of %i bytes is taken where the public key is known', (saltLength) => {
    open({ public_key })
    paid()
    expect(post('refund', signed(saltLength)).status).toBe(0)
  })

  test('is refused without the key, with another text, and for anything but a refund', () => {
    paid()
    expect(post('refund', signed(32)).status).toBe(101)
    open({ public_key })
    paid()
    expect(post('refund', signed(32, `${request_content} `)).status).toBe(101)
    const query = JSON.stringify({ pay_mch_key: ids, out_trade_no: NUMBER, nonce_str })
    const envelope = signed(32, query)
    expect(post('query_order', { ...envelope, request_content: query }).status).toBe(101)
  })
})
