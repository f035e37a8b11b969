import type { Phone } from './phone'

/**
 * The phone with a login and a wallet of the sandbox: WeChat's own know neither its AppID nor its payments. Everything
 * else is the real one.
 */
export function sandboxPhone(
  phone: Phone & {
    showModal(options: {
      title: string
      content: string
      confirmText: string
      cancelText: string
      success: (said: { confirm: boolean }) => void
    }): unknown
  },
  origin: string,
  appId: string,
): Phone {
  const ask = (path: string, data: object, done: (answer: unknown) => void, fail: (errMsg: string) => void) =>
    phone.request({
      url: origin + path,
      method: 'POST',
      header: { 'content-type': 'application/json' },
      data: JSON.stringify(data),
      dataType: 'text',
      timeout: 10_000,
      success: ({ statusCode, data: text }) =>
        statusCode === 200 ? done(JSON.parse(String(text))) : fail(String(text)),
      fail: ({ errMsg }) => fail(errMsg),
    })

  return {
    request: (options) => phone.request(options),
    getRandomValues: (options) => phone.getRandomValues(options),
    arrayBufferToBase64: (bytes) => phone.arrayBufferToBase64(bytes),
    getStorageSync: (name) => phone.getStorageSync(name),
    setStorageSync: (name, value) => phone.setStorageSync(name, value),
    removeStorageSync: (name) => phone.removeStorageSync(name),
    login: ({ success, fail }) =>
      ask(
        '/_sandbox/login',
        { app_id: appId },
        (answer) => success(answer as { code: string }),
        (errMsg) => fail({ errMsg: `login:fail ${errMsg}` }),
      ),
    requestPayment: ({ timeStamp, nonceStr, package: prepared, signType, paySign, success: done, fail }) =>
      phone.showModal({
        title: '沙箱钱包',
        content: '这里没有真的钱。要付款吗？',
        confirmText: '付款',
        cancelText: '取消',
        success: ({ confirm }) => {
          if (!confirm) return fail({ errMsg: 'requestPayment:fail cancel' })
          ask(
            '/_sandbox/wallet',
            // A mini-program's wallet adds the AppID by itself.
            { payment: { appId, timeStamp, nonceStr, package: prepared, signType, paySign } },
            () => done(),
            (errMsg) => fail({ errMsg: `requestPayment:fail ${errMsg}` }),
          )
        },
      }),
  }
}
