import type { Caller } from '../base/caller'
import type { Order } from '../order/order'
import { storedPayerHash } from '../base/payer'
import type { Limit } from '../store/counters'
import { claimLook, type LookLimits } from '../store/orders'
import type { Payments } from './context'

/**
 * What a door may cost upstream. Whoever calls, an order is asked about at most once in three seconds, and its payer and its
 * sub-merchant have so many such looks in a minute; refresh, close, a new attempt for the same purchase, a repeated create
 * or refund and a notification all pass here. A look is up to three calls. The timer and the daily bill use `rate:`, which
 * no door uses up.
 *
 * Of what a sub-merchant has, payers together use three quarters: they may be many, or one who pretends to be many, and the
 * shop's own server goes on.
 */
const MINUTE_MS = 60_000

/** A stampede asks Cloud Pay once in this time. */
export const LOOK_INTERVAL_MS = 3000
/** The shortest Retry-After of an answer that refuses a look. */
export const LOOK_INTERVAL_S = LOOK_INTERVAL_MS / 1000

/** `notification`: Cloud Pay itself has called. */
type Looker = Pick<Caller, 'id' | 'kind'> | 'notification'

/**
 * Whether this order may be asked about now; then nobody else asks about it for three seconds. `isBegun`: it has just begun
 * to close, which need not wait for somebody's look of a moment ago.
 */
export async function mayLook(
  payments: Payments,
  by: Looker,
  order: Order,
  isBegun = false,
): Promise<boolean> {
  const intervalMs = isBegun ? 0 : LOOK_INTERVAL_MS
  const claimed = await claimLook(payments.store, order, intervalMs, lookLimits(payments, by, order))
  if (claimed === 'over') {
    const { out_trade_no } = order
    payments.log({ event: 'look.limited', count: 'look.limited', level: 'warn', out_trade_no })
  }
  return claimed === 'done'
}

function lookLimits({ settings, clock }: Payments, by: Looker, order: Order): LookLimits {
  const { payerLooksPerMinute, merchantLooksPerMinute } = settings.limits
  const payer = by !== 'notification' && by.kind === 'payer' ? (storedPayerHash(order) ?? by.id) : undefined
  return {
    payer:
      payer === undefined
        ? undefined
        : { name: `lp:${payer}`, periodMs: MINUTE_MS, max: payerLooksPerMinute },
    merchant: {
      name: `lm:${order.out_sub_mch_id}`,
      periodMs: MINUTE_MS,
      max: payer !== undefined ? payersShare(merchantLooksPerMinute) : merchantLooksPerMinute,
    },
    nowMs: clock.nowMs(),
  }
}

/** What the timer and the daily bill may ask about a sub-merchant's orders. */
export const timerRate = ({ settings }: Payments, out_sub_mch_id: string): Limit => ({
  name: `rate:${out_sub_mch_id}`,
  periodMs: MINUTE_MS,
  max: settings.perMinute,
})

/** What of a sub-merchant's limit its payers together may use. */
export const payersShare = (max: number): number => max - Math.floor(max / 4)
