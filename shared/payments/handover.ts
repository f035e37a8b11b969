import type { JsapiArguments } from '../cloudpay/schema'
import { PAY_PLATFORM, TRADE_TYPE } from '../cloudpay/enums'
import type { Order } from '../order/order'
import { MICRO } from '../order/state'

/**
 * What the page gives to the wallet. Every value is the one Cloud Pay signed, unchanged, strings as strings; only the
 * names are the ones the wallet's function wants. Nothing is made up: a missing member is named, not invented.
 */
export type Handover = {
  /** As they came, for the scenes that have them. */
  jsapi_args?: JsapiArguments | null
  sdk_args?: object | null
  /**
   * `{timeStamp, nonceStr, package, signType, paySign}` for `wx.requestPayment`; the same with `appId` for
   * `WeixinJSBridge`; `{tradeNO}` for Alipay's `tradePay`; `{code_url}` to draw; `{mweb_url}` to go to; and
   * `{appId, partnerId, prepayId, packageValue, nonceStr, timeStamp, sign}` for WeChat's SDK in an app.
   */
  payment: Record<string, string> | null
  /**
   * `handover_incomplete`: the verified answer lacked something `payment` needs. `handover_untrusted`: it has an address
   * that is no wallet's, and nobody is sent there.
   */
  payment_fault?: { code: 'handover_incomplete' | 'handover_untrusted'; missing: string[] }
}

/** A payer who starts later than this before the expiry would be stopped half-way. */
const HANDOVER_MARGIN_S = 30

type Mapping = {
  /** Where it is in what was kept, and under which name that is shown. */
  at: readonly string[]
  shown: 'jsapi_args' | 'sdk_args' | undefined
  /** Wallet's name → Cloud Pay's name. */
  names: Readonly<Record<string, string>>
  trusts?: (value: string) => boolean
}

const WXPAY = {
  timeStamp: 'timestamp',
  nonceStr: 'nonce_str',
  package: 'package',
  signType: 'sign_type',
  paySign: 'pay_sign',
} as const

const SDK = {
  appId: 'app_id',
  partnerId: 'partner_id',
  prepayId: 'prepare_id',
  packageValue: 'package_value',
  nonceStr: 'nonce_str',
  timeStamp: 'timestamp',
  sign: 'sign',
} as const

/** Where WeChat's H5 cashier is, or Cloud Pay's own way there. Anything else would make an open redirect of us. */
const WALLET_HOST = /^https:\/\/([0-9a-z-]+\.)*(tenpay\.com|weixin\.qq\.com|pay\.qcloud\.com)(\/|\?|$)/
const DRAWABLE = /^(weixin|https):\/\/[!-~]{1,500}$/

const OFFICIAL: Mapping = {
  at: ['wxpay', 'get_brand_wcpay'],
  shown: 'jsapi_args',
  names: { appId: 'app_id', ...WXPAY },
}
const ALIPAY: Mapping = { at: ['alipay', 'trade_pay'], shown: 'jsapi_args', names: { tradeNO: 'trade_no' } }

const MAPPINGS: Readonly<Record<number, Mapping>> = {
  [TRADE_TYPE.scanCode]: {
    at: [],
    shown: undefined,
    names: { code_url: 'code_url' },
    trusts: (url) => DRAWABLE.test(url),
  },
  // The mini-program's app id is part of the signature but not handed over.
  [TRADE_TYPE.miniProgram]: { at: ['wxpay', 'mini_program_pay'], shown: 'jsapi_args', names: WXPAY },
  [TRADE_TYPE.app]: { at: ['sdk_args', 'wxpay'], shown: 'sdk_args', names: SDK },
  [TRADE_TYPE.mobileWeb]: {
    at: [],
    shown: undefined,
    names: { mweb_url: 'mweb_url' },
    trusts: (url) => WALLET_HOST.test(url),
  },
}

const mappingOf = ({ trade_type, pay_platform }: Order): Mapping =>
  MAPPINGS[trade_type] ?? (pay_platform === PAY_PLATFORM.alipay ? ALIPAY : OFFICIAL)

/** Only while the payer can still pay; afterwards, or for any other state, nothing. micro_pay hands nothing over. */
export function handover(order: Order, nowS: number): Handover | undefined {
  if (order.state !== 'pending' || order.time_expire - nowS <= HANDOVER_MARGIN_S) return undefined
  if (order.trade_type === MICRO) return undefined
  const kept = order.jsapi_args === null ? null : (JSON.parse(order.jsapi_args) as Record<string, unknown>)
  const { at, shown, names, trusts } = mappingOf(order)
  const source = at.reduce<unknown>(
    (node, name) => (node as Record<string, unknown> | null | undefined)?.[name],
    kept,
  ) as Record<string, unknown> | null | undefined
  const args =
    shown === 'jsapi_args'
      ? { jsapi_args: kept }
      : shown === 'sdk_args'
        ? { sdk_args: (kept?.['sdk_args'] as object | undefined) ?? null }
        : {}

  const payment: Record<string, string> = {}
  const missing: string[] = []
  const untrusted: string[] = []
  for (const [name, theirs] of Object.entries(names)) {
    const value = source?.[theirs]
    const path = [...(shown === 'jsapi_args' ? [shown] : []), ...at, theirs].join('.')
    if (typeof value !== 'string' || value === '') missing.push(path)
    else if (trusts && !trusts(value)) untrusted.push(path)
    else payment[name] = value
  }
  if (untrusted.length > 0)
    return { ...args, payment: null, payment_fault: { code: 'handover_untrusted', missing: untrusted } }
  return missing.length === 0
    ? { ...args, payment }
    : { ...args, payment: null, payment_fault: { code: 'handover_incomplete', missing } }
}
