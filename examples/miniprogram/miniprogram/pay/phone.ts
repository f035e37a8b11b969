/** What the cashier uses of `wx`. The sandbox and the tests bring another phone; app.ts shows that the real one fits. */
export type Phone = {
  login(options: {
    success: (said: { code: string }) => void
    fail: (why: { errMsg: string }) => void
  }): unknown
  request(options: RequestOptions): unknown
  requestPayment(options: Payment & { success: () => void; fail: (why: { errMsg: string }) => void }): unknown
  getRandomValues(options: {
    length: number
    success: (said: { randomValues: ArrayBuffer }) => void
    fail: (why: { errMsg: string }) => void
  }): unknown
  arrayBufferToBase64(bytes: ArrayBuffer): string
  getStorageSync(name: string): unknown
  setStorageSync(name: string, value: string): void
  removeStorageSync(name: string): void
}

export type RequestOptions = {
  url: string
  method: 'GET' | 'POST'
  header: Record<string, string>
  data?: string
  dataType: string
  timeout: number
  success: (answer: { statusCode: number; data: unknown; header: Record<string, string> }) => void
  fail: (why: { errMsg: string }) => void
}

/** What createOrder answers, unchanged. */
export type Payment = {
  timeStamp: string
  nonceStr: string
  package: string
  signType: 'MD5' | 'HMAC-SHA256' | 'RSA'
  paySign: string
}
