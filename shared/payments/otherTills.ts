import type { Till } from '../base/config'
import { madeAtMs } from '../order/number'
import type { KnownMerchant, Payments } from './context'

/**
 * The bill and the callback address belong to a whole sub-merchant, so they tell of its cash registers as well. A number
 * that we do not have is counted instead of alarmed only when `OTHER_TILLS` names where it was made, and never when it
 * looks like one of ours: then our row is missing, and that is what the alarm is for. A number that a shop has chosen for
 * itself cannot be told from a cash register's.
 *
 * Where it was made comes from outside: what is no text or number there names nothing.
 */
export type Place = { [Name in keyof Till]-?: unknown }

/** A payment or refund whose order we do not have. */
export type Stranger = {
  out_trade_no: string
  about: 'order' | 'refund'
  /** When the payment or refund was made there, in epoch seconds. */
  create_time?: number | undefined
  place: Place
}

/** A stored text may be sent until its order's expiry, which is two hours and a little away. */
const SENT_AFTER_MS = 7_500_000
const CLOCKS_DIFFER_MS = 300_000
/** Orders can be refunded for a year. */
const REFUNDED_AFTER_MS = 400 * 86_400_000

export const isOfOtherTill = (
  { settings, clock }: Payments,
  merchant: KnownMerchant,
  stranger: Stranger,
): boolean =>
  !looksLikeOurs(merchant, stranger, clock.nowMs()) &&
  settings.otherTills.some((till) => isMadeAt(till, stranger.place))

/** Of an entry without a time it is only known that it was made before now. */
function looksLikeOurs(
  { order_prefix }: KnownMerchant,
  { out_trade_no, about, create_time }: Stranger,
  nowMs: number,
): boolean {
  const madeMs = madeAtMs(order_prefix, out_trade_no)
  if (madeMs === undefined) return false
  const laterMs = (create_time === undefined ? nowMs : create_time * 1000) - madeMs
  const longestMs = about === 'order' && create_time !== undefined ? SENT_AFTER_MS : REFUNDED_AFTER_MS
  return -CLOCKS_DIFFER_MS <= laterMs && laterMs <= longestMs
}

/** All that the configuration says of the till is true of the place. */
const isMadeAt = (till: Till, place: Place): boolean =>
  Object.entries(till).every(([name, value]) => place[name as keyof Till] === value)
