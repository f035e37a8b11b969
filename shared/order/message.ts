import { createHash } from 'node:crypto'

/** What the merchant is told, once per matter, whatever happens in between; of an anomaly, once each time it opens. */
export const MESSAGE_TYPES = [
  'order.paid',
  'order.closed',
  'order.paid_after_close',
  'refund.succeeded',
  'refund.failed',
  'anomaly',
] as const
export type MessageType = (typeof MESSAGE_TYPES)[number]

/**
 * What waits in the outbox beside them and is not for the merchant: shipping info for WeChat, see shipping.ts. Each kind
 * is read by its own consumer, and one that a newer version has written by nobody here.
 */
export const SHIPPING = 'shipping'
export type OutboxKind = MessageType | typeof SHIPPING

/** A message to the merchant, kept until it is delivered. */
export type Message = {
  /** Also the webhook-id: stays the same in every attempt, so that the merchant can tell a repeat. */
  id: string
  out_sub_mch_id: string
  out_trade_no: string
  type: MessageType
  /** JSON text, as it is signed and sent. */
  payload: string
  created_at: number
  attempts: number
  /** Null once delivered or given up. */
  next_due_at_ms: number | null
  delivered_at: number | null
  last_error: string | null
}

export type NewMessage = Pick<Message, 'out_trade_no' | 'payload'> & {
  type: OutboxKind
  /** What the message is about, unique within its type: an order, a refund, or one opening of an anomaly. */
  about: string
}

/**
 * The same matter gives the same id, so the database refuses to tell it twice. Our own numbers are told apart by their
 * prefix; any other name is hashed with its merchant: ids are short, and no dot may be in them (they are signed with dots).
 */
export function messageId({ type, about }: NewMessage, out_sub_mch_id: string): string {
  const plain = /^[0-9A-Za-z]{1,64}$/.test(about)
  const name = plain ? about : createHash('sha256').update(`${out_sub_mch_id} ${about}`).digest('hex')
  return `evt_${type.replace('.', '_')}_${name}`
}
