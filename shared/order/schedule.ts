import type { Order } from './order'
import type { Refund } from './refund'
import { MICRO, type OrderState } from './state'

/**
 * When the timer looks again. Early and often while a payer may be paying, then further and further apart; a day after
 * it ended an order is let go.
 */

/** After the hand-over, and after every sign of life. With a timer every 20 s this is within a minute. */
export const FIRST_LOOK_S = 20
/** An order's last seconds are the payer's. */
export const EXPIRY_GRACE_S = 10
/** A till is waiting: at every run of the timer until its two minutes are over. */
export const MICRO_LOOK_S = 10
/** What a micro_pay order has to be decided in; after that a person is told, and it goes on being looked at. */
export const MICRO_LIFE_S = 120
/** A signed "no such order" counts only this long after the expiry: no create of ours can still be under way. */
export const NOT_FOUND_AFTER_S = 600
/** Fruitless looks in a row, until a person is told and the order is looked at daily. */
export const FRUITLESS_MAX = 20
export const DAY_S = 86_400

const GROWING_S = [30, 60, 120, 240, 480, 900]
const BACKOFF_S = [5, 10, 20, 40, 80, 160, 320, 600]
/** Money may come late: after 5 minutes, an hour, a day. */
const ENDED_S = [300, 3300, 82_800]
const REFUND_S = [60, 300, 600, 1200, 1800, 3600]

const at = (list: readonly number[], index: number): number => list[Math.min(index, list.length - 1)]!

/** Seconds until the first look at an order that has just got into this state; null for never. */
export function firstLookS(
  state: OrderState,
  order: Pick<Order, 'created_at'>,
  nowS: number,
  closeNotBeforeS: number,
): number | null {
  switch (state) {
    case 'created':
    case 'pending':
      return FIRST_LOOK_S
    case 'closing':
      // Whoever made it closing is asking right now.
      return Math.max(FIRST_LOOK_S, order.created_at + closeNotBeforeS - nowS)
    case 'closed':
    case 'failed':
      return ENDED_S[0]!
    case 'paid':
    case 'paid_after_close':
    case 'refunded':
      return null
  }
}

/**
 * Seconds until the next look after one that left the order in its state; null for never. `order.looks` and
 * `order.fruitless` count the look just made.
 */
export function nextLookS(
  order: Pick<Order, 'state' | 'looks' | 'fruitless' | 'time_expire' | 'created_at' | 'trade_type'>,
  nowS: number,
  closeNotBeforeS: number,
): number | null {
  if (order.fruitless >= FRUITLESS_MAX) return DAY_S
  if (order.trade_type === MICRO && (order.state === 'created' || order.state === 'pending')) {
    const leftS = order.time_expire - nowS
    return leftS > 0 ? Math.min(MICRO_LOOK_S, leftS) : at(BACKOFF_S, order.fruitless)
  }
  switch (order.state) {
    case 'created':
    case 'pending': {
      const toExpiryS = order.time_expire + EXPIRY_GRACE_S - nowS
      if (toExpiryS > 0) {
        const next = order.fruitless > 0 ? at(BACKOFF_S, order.fruitless) : at(GROWING_S, order.looks - 1)
        return Math.min(next, toExpiryS)
      }
      return Math.max(at(BACKOFF_S, order.fruitless), order.created_at + closeNotBeforeS - nowS)
    }
    case 'closing':
      return Math.max(at(BACKOFF_S, order.fruitless), order.created_at + closeNotBeforeS - nowS)
    case 'closed':
    case 'failed':
      if (order.fruitless > 0) return at(BACKOFF_S, order.fruitless)
      return ENDED_S[order.looks] ?? null
    case 'paid':
    case 'paid_after_close':
      return order.fruitless > 0 ? at(BACKOFF_S, order.fruitless) : null
    case 'refunded':
      return null
  }
}

/** Seconds until the next look at a refund; `looks` counts the one just made. */
export const nextRefundLookS = (refund: Pick<Refund, 'looks'>): number =>
  refund.looks >= FRUITLESS_MAX ? DAY_S : at(REFUND_S, refund.looks)
