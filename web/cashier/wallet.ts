/**
 * The wallet around the page. What it says is a hint and never proof: a page can be lied to, a phone can be switched
 * off, and an answer may never come. What happened is asked of the functions.
 */
export type Hint = 'ok' | 'cancelled' | 'failed' | 'unsure' | 'not_opened'
export type WalletKind = 'wechat' | 'alipay'
export type Wallet = {
  kind: WalletKind
  /** Hands over `payment` exactly as it came. May never end. */
  pay(payment: Record<string, string>): Promise<Hint>
  /** Closes the page around us. */
  leave(): void
}

type WeixinBridge = {
  invoke(name: string, args: object, answer: (said: { err_msg?: string }) => void): void
  call(name: string): void
}
type AlipayBridge = {
  call(name: string, args?: object, answer?: (said: { resultCode?: unknown }) => void): void
}
type Around = Window & { WeixinJSBridge?: WeixinBridge; AlipayJSBridge?: AlipayBridge }

/** Bridges come a moment after the page. */
const BRIDGE_MS = 5000

export function findWallet(window: Around): Wallet | undefined {
  const { userAgent } = window.navigator
  if (window.WeixinJSBridge || /MicroMessenger/i.test(userAgent)) return wechat(window)
  if (window.AlipayJSBridge || /AlipayClient/i.test(userAgent)) return alipay(window)
  return undefined
}

/** `get_brand_wcpay_request:ok`, `:cancel`, `:fail`. */
const WECHAT_HINTS: Record<string, Hint> = { ok: 'ok', cancel: 'cancelled', fail: 'failed' }

const wechat = (window: Around): Wallet => ({
  kind: 'wechat',
  async pay(payment) {
    const bridge = await ready(window, 'WeixinJSBridge')
    if (!bridge) return 'not_opened'
    return new Promise((resolve) =>
      bridge.invoke('getBrandWCPayRequest', payment, ({ err_msg = '' }) =>
        resolve(WECHAT_HINTS[err_msg.slice(err_msg.lastIndexOf(':') + 1)] ?? 'unsure'),
      ),
    )
  },
  leave: () => window.WeixinJSBridge?.call('closeWindow'),
})

/** 8000 under way, 6004 unknown, 6002 no network: all of them may have been paid. */
const ALIPAY_HINTS: Record<string, Hint> = { 9000: 'ok', 6001: 'cancelled', 4000: 'failed' }

const alipay = (window: Around): Wallet => ({
  kind: 'alipay',
  async pay(payment) {
    const bridge = await ready(window, 'AlipayJSBridge')
    if (!bridge) return 'not_opened'
    return new Promise((resolve) =>
      bridge.call('tradePay', payment, ({ resultCode }) =>
        resolve(ALIPAY_HINTS[String(resultCode)] ?? 'unsure'),
      ),
    )
  },
  leave: () => window.AlipayJSBridge?.call('closeWebview'),
})

function ready<Name extends 'WeixinJSBridge' | 'AlipayJSBridge'>(window: Around, name: Name) {
  return new Promise<Around[Name]>((resolve) => {
    const look = () => resolve(window[name])
    if (window[name]) return look()
    window.document.addEventListener(`${name}Ready`, look, { once: true })
    setTimeout(look, BRIDGE_MS)
  })
}
