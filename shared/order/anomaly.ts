/**
 * Something a person should look at. One row per matter: seeing the same again counts it up, and opens it again if it
 * was resolved.
 */
export const ANOMALY_KINDS = [
  'answer_mismatch', // a signed answer about our number that does not match our order
  'answers_contradict', // two signed answers that cannot both be true
  'number_not_ours', // a create was answered 102: the number may be somebody else's order
  'payment_not_believed', // a payment on such an order
  'amount_differs', // a signed "paid" with another amount: automatic close and refund are frozen
  'notification_mismatch', // signed by the merchant's key, and about another merchant, shop or amount
  'notification_orphan', // signed, and about an order we do not have
  'notified_but_unpaid', // ten minutes after a notification our own queries still say unpaid
  'order_unresolved', // looked at in vain too often
  'refund_unresolved',
  'refund_needs_person', // WeChat 5: pay it out by hand
  'refund_mismatch', // a signed answer about our refund number that does not match our refund
  'refunds_exceed', // upstream lists more refunds than the order has money for
  'refund_ceiling', // the hour's or day's limit stopped an automatic refund
  'second_payment', // two orders of one purchase were paid; this one goes back
  'paid_upstream_only', // the bill has a payment that our rows do not have
  'paid_here_only', // our rows have a payment that the bill does not have
  'refunded_here_only', // a refund that we call done, and that Cloud Pay does not know
  'bill_differs', // amount, state or refunds differ from the bill
  'bill_entry_unread', // a payment or refund in the bill that cannot be read: it was not compared
  'bill_short', // a part of the bill could not be read to its end three times: it was not compared
  'bill_unread', // a part of the bill has not been compared a day after it could have been
  'webhook_undelivered', // the merchant's server took no message for a day
  'shipping_not_uploaded', // WeChat took no shipping info of a mini-program order: its money stays frozen
  'logins_limited', // an app's logins of one minute were used up: payers were turned away
  'state_unknown', // a newer version wrote a state that this one does not know: nothing here touches that row
  'upstream_silent', // Cloud Pay has answered nothing for five minutes that could be used
  'timer_behind', // something has been due for five minutes and the timer does not come to it
  'timer_silent', // no timer run came to an end for five minutes
] as const
export type AnomalyKind = (typeof ANOMALY_KINDS)[number]

/** What a person may say of it when it is resolved, in characters. */
export const RESOLUTION_MAX = 255

export type Evidence = Record<string, string | number | boolean | string[] | null>

export type Anomaly = {
  /** `kind:number`, so the same matter is the same row. */
  id: string
  kind: AnomalyKind
  out_sub_mch_id: string
  /** Empty when it is about no single order. */
  out_trade_no: string
  evidence: Evidence
  first_at: number
  last_at: number
  times: number
  resolved_at: number | null
  resolution: string | null
}

export type NewAnomaly = Pick<Anomaly, 'kind' | 'out_sub_mch_id' | 'out_trade_no' | 'evidence'> & {
  /** Tells apart several of one kind on one order: a refund number, for example. */
  about?: string
}

export const anomalyId = ({ kind, out_sub_mch_id, out_trade_no, about }: NewAnomaly): string =>
  [kind, out_sub_mch_id, out_trade_no, ...(about === undefined ? [] : [about])].join(':')
