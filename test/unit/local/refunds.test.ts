import * as v from 'valibot'
import { FAULTS, type FaultName } from '../../../local/sandbox/switches'
import type { Sandbox } from '../../../local/sandbox/sandbox'
import { queryRefundOrder, refund as refundInterface } from '../../../shared/cloudpay/schema'
import {
  about,
  alipay,
  aRefund,
  ask,
  close,
  create,
  IDS,
  nonce,
  NOW_S,
  NUMBER,
  open,
  openSandbox,
  order_prefix,
  OTHER_MERCHANT,
  paidOrder,
  queried,
  queryRefunds,
  refund,
  REFUND_NUMBER,
  sealed,
  time,
  walletState,
  wechat,
  type Content,
} from './farEnd'

const SECOND = `${order_prefix}r2`

const listed = (far: Sandbox, out_refund_no?: string): Content[] =>
  queryRefunds(far, out_refund_no).content.query_refund_order.refund_order_content
const stateOf = (content: Content): number =>
  content.wxpay_refund_order_content_ext?.state ?? content.alipay_refund_order_content_ext.refund_status
const inLedger = (far: Sandbox) => far.ledger()[0]!.refunds

describe('a refund', () => {
  test('is accepted and not done: state 4, with everything the answer needs', () => {
    const far = paidOrder()
    const request = aRefund({ refund_fee: 80, refund_reason: '少冰' })
    const { signed, content } = ask(far, 'refund', request)
    expect(signed).toBe(true)
    const { refund_order_content, pay_mch_key, nonce_str } = content.refund
    expect(refund_order_content).toMatchObject({
      out_trade_no: NUMBER,
      out_refund_no: REFUND_NUMBER,
      total_fee: 1880,
      refund_fee: 80,
      refund_fee_type: 'CNY',
      refund_reason: '少冰',
      trade_type: 3,
      create_time: NOW_S,
      last_update_time: NOW_S,
      nonce_str: request.nonce_str,
      is_transforming: false,
      wxpay_refund_order_content_ext: { state: 4 },
    })
    expect(refund_order_content).not.toHaveProperty('alipay_refund_order_content_ext')
    expect(refund_order_content.refund_id).toMatch(/^\d{29}$/)
    expect(pay_mch_key).toEqual({ pay_platform: 1, sub_pay_platform: 100, ...IDS })
    expect(nonce_str).not.toBe(request.nonce_str)
    expect(far.orders.get(NUMBER)!.refunds[0]!.state).toBe('processing')
    expect(far.orders.get(NUMBER)!.refunded_fen).toBe(0)
  })

  test('is done at the next look, and so is its order', () => {
    const far = paidOrder()
    refund(far)
    time.nowS += 7
    const [content] = listed(far)
    expect(content).toMatchObject({
      last_update_time: NOW_S,
      wxpay_refund_order_content_ext: { state: 2, cash_refund_fee: 1880 },
    })
    expect(walletState(far)).toBe(4)
    expect(queried(far).order_content).toMatchObject({ total_fee: 1880, cash_fee: 1880 })
    expect(queried(far).order_content).not.toHaveProperty('refunded_fee')
  })

  test('takes as long as told, on the clock of the far end, whoever looks', () => {
    const far = paidOrder({}, wechat(), { refundDelayMs: 60_000 })
    refund(far)
    time.nowS += 59
    expect(stateOf(listed(far)[0])).toBe(4)
    expect(walletState(far)).toBe(3)
    expect(inLedger(far)[0]!.state).toBe('processing')
    time.nowS += 1
    expect(walletState(far)).toBe(4)
    time.nowS += 1000
    expect(listed(far)[0].last_update_time).toBe(NOW_S + 60)
    expect(far.orders.get(NUMBER)!.refunded_fen).toBe(1880)
  })

  test('ends as was said when it was accepted, not when somebody looks', () => {
    const far = paidOrder({ refundOutcome: 'failed' })
    refund(far)
    far.switches.refundOutcome = 'succeeded'
    expect(stateOf(listed(far)[0])).toBe(3)
  })

  test('is the same one when it is sent again, with another nonce too, and money goes once', () => {
    const far = paidOrder()
    const first = refund(far, { refund_fee: 1000 }).content.refund.refund_order_content
    const again = refund(far, { refund_fee: 1000 })
    expect(again).toMatchObject({ signed: true, status: 0 })
    const content = again.content.refund.refund_order_content
    expect(content.refund_id).toBe(first.refund_id)
    expect(stateOf(content)).toBe(2)
    expect(inLedger(far)).toEqual([{ out_refund_no: REFUND_NUMBER, fee: 1000, state: 'succeeded' }])
  })

  test.each([
    ['another amount', { refund_fee: 2 }],
    ['another reason', { refund_fee: 1, refund_reason: 'tea' }],
    ['another order', { refund_fee: 1, out_trade_no: SECOND }],
  ])('cannot be taken by one with %s: 102', (_, content) => {
    const far = paidOrder()
    refund(far, { refund_fee: 1 })
    expect(refund(far, content)).toMatchObject({ signed: true, status: 102 })
    expect(inLedger(far)).toEqual([{ out_refund_no: REFUND_NUMBER, fee: 1, state: 'succeeded' }])
  })

  test.each([
    ['of an order that waits', (far: Sandbox) => create(far)],
    ['of an order that is closed', (far: Sandbox) => (create(far), close(far))],
  ])('%s is refused with a signed 104', (_, prepare) => {
    const far = openSandbox()
    prepare(far)
    expect(refund(far)).toMatchObject({ signed: true, status: 104 })
    expect(inLedger(far)).toEqual([])
    // Nothing was used up: the same refund is good once the order is paid.
    far.pay(NUMBER, { late: true })
    expect(refund(far)).toMatchObject({ status: 0 })
  })

  test('of an order nobody created is not found', () => {
    const { signed, content } = refund(openSandbox())
    expect(signed).toBe(true)
    expect(content).toMatchObject({ status: 104, internal_status: 400 })
  })

  test.each([
    ['a number without the order prefix', { out_refund_no: 'r1' }, {}],
    ["another provider's out_mch_id", {}, { out_mch_id: 'sandboxmch0000000002' }],
    ['a shop that is not of this sub-merchant', {}, { out_shop_id: 'sandboxshop000000002' }],
    ["another platform than the order's", {}, { pay_platform: 2 }],
    ['no amount', { refund_fee: 0 }, {}],
    ['a fraction of a fen', { refund_fee: 0.5 }, {}],
    ['another currency', { refund_fee_type: 'USD' }, {}],
    ['a reason that is too long', { refund_reason: '茶'.repeat(65) }, {}],
    ['a field nobody knows', { colour: 'green' }, {}],
  ])('with %s breaks a rule', (_, content, key) => {
    for (const [ruleBreach, signed] of [
      ['104', true],
      ['101', false],
    ] as const) {
      const far = paidOrder({ ruleBreach })
      expect(refund(far, content, key)).toMatchObject({ signed, status: Number(ruleBreach) })
      expect(inLedger(far)).toEqual([])
    }
  })

  test("must name the order's own total", () => {
    const far = paidOrder()
    expect(refund(far, { total_fee: 1881, refund_fee: 1 })).toMatchObject({ signed: true, status: 104 })
    expect(inLedger(far)).toEqual([])
  })

  test('of more than is left is refused, to the fen, while others are under way too', () => {
    const far = paidOrder({}, wechat(), { refundDelayMs: Infinity })
    expect(refund(far, { refund_fee: 1000 }).status).toBe(0)
    expect(refund(far, { out_refund_no: SECOND, refund_fee: 881 })).toMatchObject({ status: 104 })
    expect(refund(far, { out_refund_no: SECOND, refund_fee: 880 })).toMatchObject({ status: 0 })
    expect(refund(far, { out_refund_no: `${order_prefix}r3`, refund_fee: 1 })).toMatchObject({ status: 104 })
  })

  test.each(['failed', 'void'] as const)('that %s leaves its money to another', (outcome) => {
    const far = paidOrder({}, wechat(), { refundDelayMs: Infinity })
    refund(far)
    far.finishRefund(REFUND_NUMBER, outcome)
    expect(walletState(far)).toBe(3)
    expect(refund(far, { out_refund_no: SECOND })).toMatchObject({ status: 0 })
    // The number itself is used up: it is still that refund.
    expect(stateOf(refund(far).content.refund.refund_order_content)).toBe(outcome === 'failed' ? 3 : 6)
  })

  test('of another sub-merchant’s order finds nothing, and its number is taken', () => {
    const far = paidOrder()
    const asOther = (content: object) => {
      const request = aRefund(content, { out_sub_mch_id: OTHER_MERCHANT.out_sub_mch_id })
      const { authen_key: key } = OTHER_MERCHANT
      return open(far.answer('refund', sealed(request, key)), key).content
    }
    expect(asOther({})).toMatchObject({ status: 104, internal_status: 400 })
    refund(far)
    expect(asOther({})).toMatchObject({ status: 102 })
  })

  test('is ended by hand once, into every state the wallet has', () => {
    const states = { succeeded: 2, failed: 3, change: 5, void: 6 }
    for (const [outcome, state] of Object.entries(states)) {
      const far = paidOrder({}, wechat(), { refundDelayMs: Infinity })
      refund(far)
      time.nowS += 5
      far.finishRefund(REFUND_NUMBER, outcome as keyof typeof states)
      expect(stateOf(listed(far)[0])).toBe(state)
      expect(listed(far)[0].last_update_time).toBe(time.nowS)
      expect(walletState(far)).toBe(outcome === 'succeeded' ? 4 : 3)
      expect(() => far.finishRefund(REFUND_NUMBER, 'failed')).toThrow('refund is')
    }
    expect(() => openSandbox().finishRefund(REFUND_NUMBER, 'failed')).toThrow('no such refund')
  })

  test('that is due may be ended otherwise until somebody has looked', () => {
    const far = paidOrder()
    refund(far)
    far.finishRefund(REFUND_NUMBER, 'failed')
    expect(stateOf(listed(far)[0])).toBe(3)
    refund(far, { out_refund_no: SECOND })
    far.ledger()
    expect(() => far.finishRefund(SECOND, 'failed')).toThrow('refund is succeeded')
  })

  test('of Alipay has the states of Alipay, and the order shows it only in full', () => {
    const far = paidOrder({}, alipay())
    const part = (out_refund_no: string, refund_fee: number) =>
      refund(far, { out_refund_no, refund_fee }, { pay_platform: 2 }).content.refund
    const { refund_order_content, pay_mch_key } = part(REFUND_NUMBER, 880)
    expect(pay_mch_key).toEqual({ pay_platform: 2, sub_pay_platform: 200, ...IDS })
    expect(refund_order_content).not.toHaveProperty('wxpay_refund_order_content_ext')
    expect(refund_order_content.alipay_refund_order_content_ext).toEqual({ refund_status: 4 })
    expect(listed(far)[0].alipay_refund_order_content_ext).toEqual({ refund_status: 2, fund_change: 'Y' })
    expect(walletState(far)).toBe(2)
    part(SECOND, 1000)
    expect(walletState(far)).toBe(5)
  })

  test.each([
    ['failed', 3, 'failed'],
    ['change', 3, 'failed'],
    ['void', 5, 'void'],
  ] as const)('of Alipay that ends in %s shows %i', (outcome, status, state) => {
    const far = paidOrder({ refundOutcome: 'change' }, alipay())
    refund(far, {}, { pay_platform: 2 })
    far.finishRefund(REFUND_NUMBER, outcome)
    expect(stateOf(listed(far)[0])).toBe(status)
    expect(inLedger(far)[0]!.state).toBe(state)
    expect(walletState(far)).toBe(2)
  })

  test('made in the console is one nobody asked for: it counts, and is listed', () => {
    const far = paidOrder()
    const { out_refund_no } = far.refundInConsole(NUMBER, 1000)
    expect(out_refund_no.startsWith(order_prefix)).toBe(true)
    expect(out_refund_no.length).toBeLessThanOrEqual(32)
    expect(far.refundInConsole(NUMBER, 1).out_refund_no).not.toBe(out_refund_no)
    expect(listed(far)).toMatchObject([
      { out_refund_no, refund_fee: 1000, nonce_str: expect.stringMatching(/^[0-9a-f]{32}$/) },
      { refund_fee: 1 },
    ])
    expect(walletState(far)).toBe(4)
    expect(refund(far, { refund_fee: 880 })).toMatchObject({ status: 104 })
    expect(refund(far, { refund_fee: 879 })).toMatchObject({ status: 0 })
    expect(refund(far, { out_refund_no, refund_fee: 1000 })).toMatchObject({ status: 102 })
  })

  test('in the console is refused as one through the API is', () => {
    const far = paidOrder()
    for (const fee of [0, -1, 0.5, NaN])
      expect(() => far.refundInConsole(NUMBER, fee)).toThrow('not an amount')
    expect(() => far.refundInConsole(NUMBER, 1881)).toThrow('more than was paid')
    expect(() => far.refundInConsole(SECOND, 1)).toThrow('no such order')
    const waiting = openSandbox()
    create(waiting)
    expect(() => waiting.refundInConsole(NUMBER, 1)).toThrow('order is not paid')
  })

  test('in the console takes no number that is taken', () => {
    const far = paidOrder()
    refund(far, { out_refund_no: `${order_prefix}console2`, refund_fee: 1 })
    expect(far.refundInConsole(NUMBER, 1).out_refund_no).toBe(`${order_prefix}console3`)
  })
})

test('a refund is forgotten with its order, however that was forgotten', () => {
  const far = paidOrder()
  refund(far)
  far.orders.clear()
  create(far)
  far.pay(NUMBER)
  expect(() => far.finishRefund(REFUND_NUMBER, 'failed')).toThrow('no such refund')
  expect(refund(far, { refund_fee: 1 })).toMatchObject({ status: 0 })
})

describe('asking for refunds', () => {
  test('lists one or all of them, always as a list, and whose they are', () => {
    const far = paidOrder()
    refund(far, { refund_fee: 1 })
    refund(far, { out_refund_no: SECOND, refund_fee: 2 })
    const numbers = (content: Content[]) => content.map((one) => one.out_refund_no)
    expect(numbers(listed(far))).toEqual([REFUND_NUMBER, SECOND])
    expect(numbers(listed(far, SECOND))).toEqual([SECOND])
    const { pay_mch_key, nonce_str } = queryRefunds(far).content.query_refund_order
    expect(pay_mch_key).toEqual({ pay_platform: 1, sub_pay_platform: 100, ...IDS })
    expect(nonce_str).toMatch(/^[0-9a-f]{32}$/)
  })

  test.each([
    ['an order without any', () => queryRefunds(paidOrder())],
    [
      'a number nobody used',
      () => {
        const far = paidOrder()
        refund(far)
        return queryRefunds(far, SECOND)
      },
    ],
    ['an order nobody created', () => queryRefunds(openSandbox())],
  ])('of %s: a signed failing status with internal_status 426', (_, asked) => {
    const { signed, content } = asked()
    expect(signed).toBe(true)
    expect(content).toMatchObject({ status: 104, internal_status: 426 })
    expect(content).not.toHaveProperty('query_refund_order')
  })

  test('as another sub-merchant lists nothing', () => {
    const far = paidOrder()
    refund(far)
    const { out_sub_mch_id, authen_key: key } = OTHER_MERCHANT
    const request = about(NUMBER, { order_client: { spbill_create_ip: '127.0.0.1' } })
    request.pay_mch_key.out_sub_mch_id = out_sub_mch_id
    const { content } = open(far.answer('query_refund_order', sealed(request, key)), key)
    expect(content.internal_status).toBe(426)
  })
})

describe('what is answered', () => {
  test.each(['object', 'array'] as const)("is what the protocol's own schema reads: %s", (refundAnswer) => {
    for (const request of [wechat(), alipay()]) {
      const far = paidOrder({ refundAnswer }, request)
      const { pay_platform } = request.pay_mch_key
      const { refund_order_content: told } = v.parse(
        refundInterface.answer,
        refund(far, {}, { pay_platform }).content.refund,
      )
      expect(told).toMatchObject([{ out_refund_no: REFUND_NUMBER }])
      const answer = queryRefunds(far).content.query_refund_order
      expect(v.parse(queryRefundOrder.answer, answer)).toEqual(answer)
    }
  })

  test('counts create_time by the clock the switch names, for refunds too', () => {
    const far = paidOrder({ createTime: 'behind' })
    expect(refund(far).content.refund.refund_order_content.create_time).toBe(NOW_S - 200)
  })
})

// ── sentinels ──────────────────────────────────────────────────────────────────────────────────────────────────

/** What a lie says, in the one refund that the answer speaks of. */
const LIES: Partial<Record<FaultName, object>> = {
  'wrong-amount': { out_trade_no: NUMBER, total_fee: 1880, refund_fee: 1881, is_transforming: false },
  foreign: { out_trade_no: `${order_prefix}somebodyelse`, refund_fee: 1880 },
  transforming: { out_trade_no: NUMBER, refund_fee: 1880, is_transforming: true },
}

describe('a sentinel', () => {
  const isStatus = (fault: FaultName) => /^\d{1,3}$/.test(fault) && fault !== '500'

  test.each(FAULTS)('%s acts on a refund or does not, once', (fault) => {
    for (const refundAnswer of ['object', 'array'] as const) {
      const far = paidOrder({ refundAnswer }, wechat({ content: { remark: `sandbox-refund:${fault}` } }))
      const request = aRefund()
      const reply = far.answer('refund', sealed(request))
      expect(inLedger(far)).toHaveLength(isStatus(fault) ? 0 : 1)
      if (isStatus(fault)) expect(open(reply).status).toBe(Number(fault))
      const lie = LIES[fault]
      if (lie) {
        const { refund_order_content: told } = open(reply).content.refund
        expect([told].flat()).toMatchObject([lie])
        expect(Array.isArray(told)).toBe(refundAnswer === 'array')
      }
      expect(ask(far, 'refund', request)).toMatchObject({ http: 200, signed: true, status: 0 })
      expect(inLedger(far)).toHaveLength(1)
    }
  })

  test.each(FAULTS)('%s does its harm to a question about refunds, once', (fault) => {
    const far = paidOrder({}, wechat({ content: { remark: `sandbox-refund-query:${fault}` } }))
    refund(far)
    const request = about(NUMBER, { order_client: { spbill_create_ip: '127.0.0.1' } })
    const reply = far.answer('query_refund_order', sealed(request))
    const lie = LIES[fault]
    if (isStatus(fault)) expect(open(reply).status).toBe(Number(fault))
    if (lie) expect(open(reply).content.query_refund_order.refund_order_content).toMatchObject([lie])
    if (fault === 'lost') expect(reply).toEqual({ kind: 'drop' })
    expect(listed(far)).toMatchObject([{ out_trade_no: NUMBER, refund_fee: 1880, is_transforming: false }])
  })

  test('of one kind leaves the others alone, and has its turn per transmission', () => {
    const remark = 'sandbox-refund:104,ok,103 sandbox-refund-query:3'
    const far = paidOrder({}, wechat({ content: { remark } }))
    const statuses = [1, 2, 3, 4].map(() => refund(far).status)
    expect(statuses).toEqual([104, 0, 103, 0])
    expect([queryRefunds(far).status, queryRefunds(far).status]).toEqual([3, 0])
  })
})

test('the money of an order is told as plain data', () => {
  const far = paidOrder()
  create(far, wechat({ content: { out_trade_no: SECOND }, rest: { nonce_str: nonce() } }))
  refund(far, { refund_fee: 5 })
  const [first, second] = far.ledger()
  expect(first).toEqual({
    out_trade_no: NUMBER,
    out_sub_mch_id: IDS.out_sub_mch_id,
    state: 'paid',
    paid_fen: 1880,
    refunds: [{ out_refund_no: REFUND_NUMBER, fee: 5, state: 'succeeded' }],
  })
  expect(second).toMatchObject({ out_trade_no: SECOND, state: 'waiting', paid_fen: 0, refunds: [] })
  // Nobody can write into the ledger through it.
  first!.refunds[0]!.fee = 1
  expect(far.ledger()[0]!.refunds[0]!.fee).toBe(5)
})
