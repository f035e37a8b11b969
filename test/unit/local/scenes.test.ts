import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { SCENE_INTERFACES } from '../../../shared/cloudpay/scenes'
import {
  app,
  ask,
  close,
  IDS,
  micro,
  mobWeb,
  NUMBER,
  openSandbox,
  plain,
  queried,
  query,
  scanCode,
  SCENE_INFO,
  time,
  walletState,
  type Content,
} from './farEnd'

const GOOD: Record<string, (content?: object) => Content> = {
  scan_code_pay: scanCode,
  micro_pay: (content) => micro('1111', content),
  app_pay: () => app(),
  mob_web_pay: mobWeb,
}

describe.each(SCENE_INTERFACES)('$suffix', (iface) => {
  const { suffix, member } = iface
  const good = GOOD[suffix]!

  test("answers what the protocol's own schema reads, with a nonce of its own", () => {
    const { signed, status, content } = ask(openSandbox(), suffix, good())
    expect([signed, status]).toEqual([true, 0])
    expect(v.parse(iface.answer, content[member])).toEqual(content[member])
    expect(content[member].nonce_str).toMatch(/^[0-9a-f]{32}$/)
    expect('order_content' in content[member]).toBe(suffix === 'micro_pay')
  })

  test('makes an order of its trade type, which can be paid and is found by its number', () => {
    const far = openSandbox()
    ask(far, suffix, good())
    if (suffix !== 'micro_pay') {
      expect(queried(far).order_content).toMatchObject({ out_trade_no: NUMBER, total_fee: 1880 })
      expect(walletState(far)).toBe(6)
      far.pay(NUMBER)
    }
    const types: Record<string, number> = { micro_pay: 1, scan_code_pay: 2, app_pay: 4, mob_web_pay: 6 }
    expect(queried(far).order_content.trade_type).toBe(types[suffix])
    expect(walletState(far)).toBe(suffix === 'micro_pay' ? 2 : 3)
  })

  test('takes the identical request again for the same order, and another for none', () => {
    const far = openSandbox()
    const request = good()
    ask(far, suffix, request)
    expect(ask(far, suffix, { ...request, nonce_str: 'another' }).status).toBe(0)
    const other = { ...request, pay_content: { ...request.pay_content, total_fee: 1 } }
    const { status, content } = ask(far, suffix, other)
    // micro_pay's protection against entering an order twice.
    expect([status, content.internal_status]).toEqual(suffix === 'micro_pay' ? [104, 407] : [102, 0])
    expect(far.orders.size).toBe(1)
  })

  test('refuses members that belong to other scenes', () => {
    const far = openSandbox()
    const request = good()
    const wrong: Content[] = [
      { ...request, trade_type: 3 },
      {
        ...request,
        pay_mch_key: { ...request.pay_mch_key, wxpay_pay_mch_key_ext: { sub_open_id: 'oPayer1' } },
      },
      { ...request, pay_mch_key: { ...request.pay_mch_key, out_shop_id: 'another' } },
      { ...request, pay_content: { ...request.pay_content, out_trade_no: 'x1' } },
      ...(suffix === 'micro_pay'
        ? [{ ...request, pay_content: { ...request.pay_content, time_expire: 1_900_000_300 } }]
        : [{ ...request, pay_content: { ...request.pay_content, author_code: '134567890123456789' } }]),
      ...(suffix === 'mob_web_pay'
        ? []
        : [
            {
              ...request,
              pay_content: {
                ...request.pay_content,
                wxpay_pay_content_ext: { product_id: 'p1', scene_info: SCENE_INFO },
              },
            },
          ]),
    ]
    expect(wrong.map((one) => ask(far, suffix, one).status)).toEqual(wrong.map(() => 104))
    expect(far.orders.size).toBe(0)
  })
})

test('app_pay and mob_web_pay know WeChat alone; a scene that is not told of, or no text of one, is refused', () => {
  const far = openSandbox()
  const alipay = { pay_platform: 2, ...IDS }
  const asked = [
    ask(far, 'app_pay', app({ ...alipay, wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp1' } })),
    ask(far, 'app_pay', app({})),
    ask(far, 'mob_web_pay', { ...mobWeb(), pay_mch_key: alipay }),
    ask(far, 'mob_web_pay', plain()),
    ask(far, 'mob_web_pay', mobWeb({ wxpay_pay_content_ext: { scene_info: '{}' } })),
    ask(far, 'micro_pay', micro('1111', { author_code: '284567890123456789' })),
    ask(far, 'micro_pay', micro('1111', { author_code: '134' })),
  ]
  expect(asked.map(({ status }) => status)).toEqual(asked.map(() => 104))
})

test("Alipay's code has Alipay's address, and its payer a code of their own", () => {
  const far = openSandbox()
  const key = { pay_platform: 2 }
  const { content } = ask(far, 'scan_code_pay', plain({ key }))
  expect(content.scan_code_pay.code_url).toMatch(/^https:\/\/qr\.alipay\.com\/\w+$/)
  const paid = micro('1111', { author_code: '284567890123456789', out_trade_no: `${NUMBER}2` })
  paid.pay_mch_key.pay_platform = 2
  expect(ask(far, 'micro_pay', paid).content.micro_pay.order_content).toMatchObject({
    alipay_order_content_ext: { current_trade_state: 2 },
  })
})

test("app_pay's signature is WeChat's own, over lower-case names", () => {
  const { content } = ask(openSandbox(), 'app_pay', app())
  const { app_id, timestamp, nonce_str, package_value, partner_id, prepare_id, sign } =
    content.app_pay.sdk_args.wxpay
  expect(package_value).toBe('Sign=WXPay')
  const text = `appid=${app_id}&noncestr=${nonce_str}&package=${package_value}&partnerid=${partner_id}&prepayid=${prepare_id}&timestamp=${timestamp}&key=sandboxsandboxsandboxsandbox0001`
  expect(sign).toBe(createHash('md5').update(text).digest('hex').toUpperCase())
})

describe("a payer's code ending in", () => {
  const shown = (far: ReturnType<typeof openSandbox>) => [walletState(far), far.look(NUMBER)!.paid_fen]

  test.each([
    // code, the create's status and internal status, the state before and after the decision
    ['1111', 0, 0, 2, 2, 1880],
    ['0009', 0, 0, 9, 2, 1880],
    ['0008', 0, 0, 9, 5, 0],
    ['0001', 0, 0, 1, 2, 1880],
    ['0012', 0, 0, 12, 2, 1880],
    ['4071', 104, 407, 9, 2, 1880],
    ['4072', 104, 407, 9, 5, 0],
    ['0003', 3, 0, 9, 2, 1880],
  ])('%s is answered %i (%i) and shows %i, then %i', (end, status, internal, before, after, paidFen) => {
    const far = openSandbox()
    const answer = ask(far, 'micro_pay', micro(end))
    expect([answer.status, answer.content.internal_status]).toEqual([status, internal])
    if (status === 0) {
      const { order_content } = answer.content.micro_pay
      expect(order_content.wxpay_order_content_ext.current_trade_state).toBe(before)
    }
    expect(walletState(far)).toBe(before)
    time.nowS += 20
    expect(shown(far)).toEqual([after, paidFen])
  })

  test('0104 makes no order', () => {
    const far = openSandbox()
    expect(ask(far, 'micro_pay', micro('0104')).status).toBe(104)
    expect([far.orders.size, query(far).content.internal_status]).toEqual([0, 400])
  })

  test('0099 decides nothing until somebody does', () => {
    const far = openSandbox()
    ask(far, 'micro_pay', micro('0099'))
    time.nowS += 100_000
    expect(walletState(far)).toBe(9)
    far.cancel(NUMBER)
    expect(walletState(far)).toBe(5)
    expect(() => far.cancel(NUMBER)).toThrow('order is closed')
    expect(() => far.pay(NUMBER)).toThrow('order is closed')
    expect(() => far.cancel('sb01none')).toThrow('no such micro_pay order')
  })

  test('any number is given back by a close: that is why nobody may', () => {
    const far = openSandbox()
    ask(far, 'micro_pay', micro('1111'))
    expect(far.look(NUMBER)!.state).toBe('paid')
    close(far)
    expect([walletState(far), far.look(NUMBER)!.refunded_fen]).toEqual([8, 1880])
  })
})
