import { isPayerOf } from '../base/payer'

/** What our stored order says an answer about it must repeat. */
export type Expected = {
  out_trade_no: string
  total_fee: number
  fee_type: string
  out_mch_id: string
  out_sub_mch_id: string
  out_shop_id: string
  pay_platform: number
  trade_type: number
  payer_field: string
  payer_id: string
  created_at: number
}

/** What our stored refund, and the order it is of, say an answer about it must repeat. */
export type ExpectedRefund = Expected & { out_refund_no: string; refund_fee: number }

export type Echo<E = Expected> = {
  /** Where in the member, dotted. */
  at: string
  /** `required`: absent proves nothing. `if_present`: only different is bad. `cny`: absent or empty means CNY. */
  when: 'required' | 'if_present' | 'cny'
  matches: (echoed: unknown, expected: E) => boolean
}

const same =
  (name: keyof Expected) =>
  (echoed: unknown, expected: Expected): boolean =>
    echoed === expected[name]

/** The server's clock may be behind ours by this much; an order older than that is another one of the same number. */
export const CREATE_TIME_SKEW_S = 300

export const echoes = (when: Echo['when']): Echo[] => [
  { at: 'order_content.out_trade_no', when: 'required', matches: same('out_trade_no') },
  { at: 'order_content.total_fee', when, matches: same('total_fee') },
  { at: 'order_content.fee_type', when: 'cny', matches: same('fee_type') },
  {
    at: 'order_content.create_time',
    when,
    matches: (echoed, expected) =>
      typeof echoed === 'number' && echoed >= expected.created_at - CREATE_TIME_SKEW_S,
  },
  { at: 'pay_mch_key.pay_platform', when, matches: same('pay_platform') },
  { at: 'pay_mch_key.out_mch_id', when, matches: same('out_mch_id') },
  { at: 'pay_mch_key.out_sub_mch_id', when, matches: same('out_sub_mch_id') },
  { at: 'pay_mch_key.out_shop_id', when, matches: same('out_shop_id') },
  { at: 'order_content.trade_type', when: 'if_present', matches: same('trade_type') },
  ...(['open_id', 'sub_open_id'] as const).map((field) => ({
    at: `pay_mch_key.wxpay_pay_mch_key_ext.${field}`,
    when: 'if_present' as const,
    // The server may add the payer's other id from its own configuration; only the one we sent can be compared.
    matches: (echoed: unknown, expected: Expected) =>
      expected.payer_field !== field || isPayerOf(expected, echoed),
  })),
  {
    at: 'pay_mch_key.alipay_pay_mch_key_ext.user_id',
    when: 'if_present',
    matches: (echoed, expected) => expected.payer_field !== 'user_id' || isPayerOf(expected, echoed),
  },
]

const sameRefund =
  (name: keyof ExpectedRefund) =>
  (echoed: unknown, expected: ExpectedRefund): boolean =>
    echoed === expected[name]

/** Compared on `{refund_order_content: one of the list, pay_mch_key}`. */
export const refundEchoes: readonly Echo<ExpectedRefund>[] = [
  { at: 'refund_order_content.out_trade_no', when: 'required', matches: sameRefund('out_trade_no') },
  { at: 'refund_order_content.out_refund_no', when: 'required', matches: sameRefund('out_refund_no') },
  { at: 'refund_order_content.total_fee', when: 'required', matches: sameRefund('total_fee') },
  { at: 'refund_order_content.refund_fee', when: 'required', matches: sameRefund('refund_fee') },
  { at: 'refund_order_content.refund_fee_type', when: 'cny', matches: sameRefund('fee_type') },
  { at: 'pay_mch_key.pay_platform', when: 'required', matches: sameRefund('pay_platform') },
  { at: 'pay_mch_key.out_mch_id', when: 'required', matches: sameRefund('out_mch_id') },
  { at: 'pay_mch_key.out_sub_mch_id', when: 'required', matches: sameRefund('out_sub_mch_id') },
  { at: 'pay_mch_key.out_shop_id', when: 'required', matches: sameRefund('out_shop_id') },
]

/** What an answer does not repeat as it should: what it says otherwise, and what it had to say and did not. */
export type EchoFaults = { different: string[]; missing: string[] }

/** Both empty: the answer speaks of our order. Only `different` says that it speaks of another one. */
export function echoFaults<E>(list: readonly Echo<E>[], member: unknown, expected: E): EchoFaults {
  const faults: EchoFaults = { different: [], missing: [] }
  for (const { at, when, matches } of list) {
    const echoed = at
      .split('.')
      .reduce<unknown>((node, name) => (node as Record<string, unknown> | null | undefined)?.[name], member)
    const said = when === 'cny' && isBlank(echoed) ? 'CNY' : echoed
    if (said === undefined || said === null) {
      if (when === 'required') faults.missing.push(at)
    } else if (!matches(said, expected)) faults.different.push(at)
  }
  return faults
}

/** CNY is the only currency, and the documents let an answer leave it out. */
export const isBlank = (currency: unknown): boolean =>
  currency === undefined || currency === null || currency === ''
