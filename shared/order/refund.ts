/**
 * A refund as it is kept. Its amount is reserved on its order from the moment it is recorded, and given back only when
 * the refund has verifiably failed.
 *
 *   requested ──▶ accepted ──▶ succeeded
 *       │             ├──────▶ failed
 *       ├─────────────┼──────▶ needs_person ──▶ succeeded, failed: by a person
 *       └──▶ failed, succeeded: an answer may skip a step
 */
export const REFUND_STATES = [
  'requested', // recorded; asked or not, answer unknown included
  'accepted', // a verified yes: Cloud Pay is working on it
  'succeeded', // a signed query of ours said so
  'failed', // a signed final no: nothing went back and nothing will
  'needs_person', // WeChat 5: the money is back at the merchant and must be paid out by hand
] as const
export type RefundState = (typeof REFUND_STATES)[number]

/** As `isKnownState` for orders. */
export const isKnownRefundState = (state: string): state is RefundState =>
  (REFUND_STATES as readonly string[]).includes(state)

/** `console`: not made by us, found upstream. */
export const REFUND_ORIGINS = ['request', 'automatic', 'console'] as const
export type RefundOrigin = (typeof REFUND_ORIGINS)[number]

export type Refund = {
  out_sub_mch_id: string
  out_refund_no: string
  out_trade_no: string
  /** Integer fen. */
  refund_fee: number
  origin: RefundOrigin
  reason: string | null
  caller: string
  /** The exact text that is signed and sent, every time; null for a refund that is not ours to send. */
  request_content: string | null
  state: RefundState
  version: number
  created_at: number
  updated_at: number
  /** Transmissions, counted before each is sent. */
  sends: number
  next_due_at_ms: number | null
  looks: number
  /** The wallet's number. */
  refund_id: string | null
  wallet_state: number | null
  /** When it was last sent, on the database's clock. */
  sent_at_ms: number | null
  /** A signed refusal of a repeat: its status, or 407. Nothing is sent under this number any more. */
  refused: number | null
  /** When Cloud Pay first said, after that refusal and long after the last transmission, that there is no such refund. */
  missing_at_ms: number | null
  /** When a signed answer last said that it is accepted or under way; within the hour. */
  affirmed_at: number | null
  /** The key of the person who ended it; null when Cloud Pay's answers did. */
  ended_by: string | null
}

/** What a new refund has none of. */
export const UNSENT = {
  sent_at_ms: null,
  refused: null,
  missing_at_ms: null,
  affirmed_at: null,
  ended_by: null,
} as const satisfies Partial<Refund>

/** What a wallet's refund state says, whatever the platform (product/569/37628). */
export type RefundMeaning = 'processing' | 'succeeded' | 'failed' | 'needs_person' | 'not_found'

export const REFUND_MEANING: Record<number, Record<number, RefundMeaning>> = {
  1: {
    1: 'processing', // initial
    2: 'succeeded',
    3: 'failed',
    4: 'processing',
    5: 'needs_person', // CHANGE: the payer's account took nothing
    6: 'failed', // void
  },
  2: { 1: 'processing', 2: 'succeeded', 3: 'failed', 4: 'processing', 5: 'not_found' },
}

/** Nothing more is going to happen to it by itself. */
export const isSettled = (state: RefundState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'needs_person'

/** A refund's promise on the order: a failed one has given its money back. */
export const holdsMoney = (state: RefundState): boolean => state !== 'failed'
