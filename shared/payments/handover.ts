import { TRADE_TYPE } from '../cloudpay/enums'
import type { JsapiArguments } from '../cloudpay/schema'
import type { Order } from '../order/order'

/**
 * What the page gives to the wallet. Every value is the one Cloud Pay signed, unchanged, strings as strings; only the
 * names are the ones the wallet's function wants. Nothing is made up: a missing member is named, not invented.
 */
export type Handover = {
  jsapi_args: JsapiArguments | null
  /**
   * `{timeStamp, nonceStr, package, signType, paySign}` for `wx.requestPayment`; the same with `appId` for
   * `WeixinJSBridge`; `{tradeNO}` for Alipay's `tradePay`.
   */
  payment: Record<string, string> | null
  /** With code `handover_incomplete` when the verified answer lacked something `payment` needs. */
  payment_fault?: { code: 'handover_incomplete'; missing: string[] }
}

/** A payer who starts later than this before the expiry would be stopped half-way. */
const HANDOVER_MARGIN_S = 30

/** Wallet's name → Cloud Pay's name, per way of paying. */
const WXPAY = {
  timeStamp: 'timestamp',
  nonceStr: 'nonce_str',
  package: 'package',
  signType: 'sign_type',
  paySign: 'pay_sign',
} as const

const MAPPINGS = {
  officialAccount: { at: ['wxpay', 'get_brand_wcpay'], names: { appId: 'app_id', ...WXPAY } },
  // The mini-program's app id is part of the signature but not handed over.
  miniProgram: { at: ['wxpay', 'mini_program_pay'], names: WXPAY },
  alipay: { at: ['alipay', 'trade_pay'], names: { tradeNO: 'trade_no' } },
} as const

/** Only while the payer can still pay; afterwards, or for any other state, nothing. */
export function handover(order: Order, nowS: number): Handover | undefined {
  if (order.state !== 'pending' || order.time_expire - nowS <= HANDOVER_MARGIN_S) return undefined
  const jsapi_args = order.jsapi_args === null ? null : (JSON.parse(order.jsapi_args) as JsapiArguments)
  const { at, names } =
    order.pay_platform === 2
      ? MAPPINGS.alipay
      : order.trade_type === TRADE_TYPE.miniProgram
        ? MAPPINGS.miniProgram
        : MAPPINGS.officialAccount
  const source = at.reduce<unknown>(
    (node, name) => (node as Record<string, unknown> | null | undefined)?.[name],
    jsapi_args,
  ) as Record<string, unknown> | undefined

  const payment: Record<string, string> = {}
  const missing: string[] = []
  for (const [name, theirs] of Object.entries(names)) {
    const value = source?.[theirs]
    if (typeof value === 'string' && value !== '') payment[name] = value
    else missing.push(['jsapi_args', ...at, theirs].join('.'))
  }
  return missing.length === 0
    ? { jsapi_args, payment }
    : { jsapi_args, payment: null, payment_fault: { code: 'handover_incomplete', missing } }
}
