/**
 * Stands in the phone of the console where WeChat's or Alipay's app would be: the bridge of the app the frame is named
 * after. What it is handed goes to the console around it, and the console's wallet says how it ends.
 */
export type ToConsole = { kind: 'pay'; id: number; payment: Record<string, string> }
/** `end` as the bridges word it: ok, cancel, fail. */
export type ToPhone = { kind: 'end'; id: number; end: string }

type Say = (said: Record<string, string>) => void

let lastId = 0
const waiting = new Map<number, (end: string) => void>()

window.addEventListener('message', ({ origin, data }: MessageEvent<ToPhone>) => {
  if (origin !== location.origin || data.kind !== 'end') return
  waiting.get(data.id)?.(data.end)
  waiting.delete(data.id)
})

function ask(payment: Record<string, string>, done: (end: string) => void): void {
  const id = ++lastId
  waiting.set(id, done)
  parent.postMessage({ kind: 'pay', id, payment } satisfies ToConsole, location.origin)
}

const ALIPAY_CODES: Record<string, string> = { ok: '9000', cancel: '6001', fail: '4000' }

const bridges = {
  wechat: {
    WeixinJSBridge: {
      invoke: (_name: string, payment: Record<string, string>, say: Say) =>
        ask(payment, (end) => say({ err_msg: `get_brand_wcpay_request:${end}` })),
      call: () => {},
    },
  },
  alipay: {
    AlipayJSBridge: {
      call: (name: string, payment: Record<string, string>, say: Say) => {
        if (name === 'tradePay') ask(payment, (end) => say({ resultCode: ALIPAY_CODES[end] ?? end }))
      },
    },
  },
}

Object.assign(window, bridges[window.name === 'alipay' ? 'alipay' : 'wechat'])
