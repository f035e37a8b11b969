/** Types of cloud-pay.js, which `npm run web` makes from web/client. */
type FunctionName = 'session' | 'createOrder' | 'status' | 'closeOrder'
export type BaseUrls = string | Record<FunctionName, string>

export type Sent = { method: 'GET' | 'POST'; url: string; headers: Record<string, string>; body?: string }
export type Answered = { status: number; text: string; retryAfter?: string | null | undefined }
export type Transport = (request: Sent) => Promise<Answered>

export type OrderWish = ({ quote: string } | { sku: string; quantity?: number }) & {
  pay_content?: { remark?: string; time_expire?: number }
}

export type OrderState =
  'created' | 'pending' | 'paid' | 'closing' | 'closed' | 'failed' | 'paid_after_close' | 'refunded'

/** The members the example reads; docs/en/api.md lists all of them. Amounts are fen. */
export type OrderView = {
  out_trade_no: string
  state: OrderState
  total_fee: number
  payment?: unknown
}
export type OrderStatus = OrderView & { refreshed?: boolean }

export declare class PayError extends Error {
  readonly code: string
  readonly status: number
  readonly problem?: { code: string; detail: { zh: string; en: string }; request_id: string }
  readonly retryAfterS?: number
}

export declare function isSettled(order: { state: OrderView['state'] }): boolean

export type Client = {
  login(login: { app_id: string; code: string; secret: string; state?: string }): Promise<unknown>
  createOrder(wish: OrderWish, idempotencyKey: string): Promise<OrderView>
  readOrder(number: string, options?: { refresh?: boolean }): Promise<OrderStatus>
  closeOrder(number: string): Promise<OrderView>
  waitUntilSettled(
    number: string,
    options?: { looks?: number; stop?: () => boolean; onLook?: (order: OrderStatus | undefined) => void },
  ): Promise<{ settled: boolean; order: OrderStatus | undefined }>
}

export declare function createClient(options: { base: BaseUrls; transport: Transport }): Client

export declare function wxTransport(
  request: (options: {
    url: string
    method: 'GET' | 'POST'
    header: Record<string, string>
    data?: string
    dataType: string
    timeout: number
    success: (answer: { statusCode: number; data: unknown; header: Record<string, string> }) => void
    fail: (why: { errMsg: string }) => void
  }) => unknown,
): Transport
