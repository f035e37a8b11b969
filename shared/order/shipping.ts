import type { ShippingRule } from '../base/shipping'

/** `trade_type` of an order that is paid in a mini-program: whose money WeChat freezes until it is told of the shipping. */
export const MINI_PROGRAM = 9

/**
 * What the outbox keeps of an upload, decided when the order was paid. With the order's row it gives the same text
 * whenever it is asked for: another text would be a second shipping to WeChat, of which it allows one.
 */
export type ShippingTask = ShippingRule & {
  app_id: string
  /** RFC 3339 with milliseconds, in China's time. */
  upload_time: string
}

/** The first characters of a text, as people count them. */
export const cutText = (text: string, max: number): string => [...text].slice(0, max).join('')
