import type { Row } from './invariants'

/**
 * What the open anomalies tell a person, piece by piece: about which order or which refund, and for how many fen. A
 * difference between Cloud Pay's ledger and our rows is excused by an anomaly that says this very thing about this very
 * order or refund, and names at least as much money. Every other anomaly excuses nothing.
 */
export type Excuses = {
  /** A person knows that this order does not come to its end. */
  ofEnd(order: Row): boolean
  /** So much that was paid upstream under this number, and is in no row of ours, has a person been told of. */
  paymentFen(key: string): number
  /** So much has a person been told of about this one refund. */
  refundFen(key: string, out_refund_no: string): number
  /** The same, where a signed list has been read and the refund could not be taken over from it. */
  outsideFen(key: string, out_refund_no: string): number
  /** So much of an order's money has a person been told of as held back by the ceiling: no refund of it is recorded. */
  heldBackFen(key: string, recorded: ReadonlySet<string>): number
  /** So many messages of this sub-merchant has a person been told of as not delivered. */
  messages(out_sub_mch_id: string): number
}

type Facts = Readonly<Record<string, unknown>>

/**
 * Why an order does not come to its end: the flag in its row, and which anomaly has to say so. An order without a flag
 * has no excuse.
 */
const OPEN_ENDS: Readonly<Record<string, readonly string[]>> = {
  unresolved: ['order_unresolved'],
  create_answered_102: ['number_not_ours', 'payment_not_believed'],
  amount_differs: ['amount_differs'],
}

/** Fen of a payment that is upstream and not in our rows. `total`: what our own row of this order asks for. */
const PAYMENTS: Readonly<Record<string, (facts: Facts, total: number) => number>> = {
  payment_not_believed: (_, total) => total,
  paid_upstream_only: ({ total_fee }) => fen(total_fee),
  bill_differs: ({ fields }, total) => (Array.isArray(fields) && fields.includes('state') ? total : 0),
}

/** These name one refund. One that says no amount is about all of it, whatever that is. */
const REFUNDS = new Set([
  'refund_unresolved',
  'refund_needs_person',
  'refund_mismatch',
  'refunds_exceed',
  'bill_differs',
  'paid_upstream_only',
])

/** Of these, what says that a refund is upstream and cannot become a row of ours. A bill that only shows it is no excuse. */
const OUTSIDE = new Set(['refunds_exceed', 'refund_mismatch'])

const fen = (given: unknown): number => (typeof given === 'number' ? given : 0)

export function excusesOf(anomalies: readonly Row[], totals: ReadonlyMap<string, number>): Excuses {
  const kinds = new Map<string, Set<string>>()
  const payments = new Map<string, number>()
  const refunds = new Map<string, number>()
  const outside = new Map<string, number>()
  const heldBack = new Map<string, { number: string; fen: number }>()
  const messages = new Map<string, number>()
  const most = (map: Map<string, number>, key: string, more: number) =>
    map.set(key, Math.max(map.get(key) ?? 0, more))

  for (const row of anomalies) {
    if (row['resolved_at'] !== null) continue
    const kind = String(row['kind'])
    const key = `${row['out_sub_mch_id']}/${row['out_trade_no']}`
    const facts = JSON.parse(String(row['evidence'])) as Facts
    kinds.set(key, (kinds.get(key) ?? new Set()).add(kind))
    if (kind === 'webhook_undelivered') messages.set(String(row['out_sub_mch_id']), Number(row['times']))
    const { out_refund_no: number, refund_fee } = facts
    if (kind === 'refund_ceiling') {
      // The automatic one has a row of its own, which names what is left to go back; a clerk's was refused to the clerk.
      if (!String(row['id']).endsWith(':automatic')) continue
      heldBack.set(key, { number: String(number), fen: fen(refund_fee) })
    }
    if (typeof number === 'string') {
      if (!REFUNDS.has(kind)) continue
      const told = typeof refund_fee === 'number' ? refund_fee : Infinity
      most(refunds, `${key} ${number}`, told)
      if (OUTSIDE.has(kind)) most(outside, `${key} ${number}`, told)
    } else {
      most(payments, key, PAYMENTS[kind]?.(facts, totals.get(key) ?? 0) ?? 0)
    }
  }
  return {
    ofEnd: (order) =>
      (OPEN_ENDS[String(order['flag'])] ?? []).some((kind) =>
        kinds.get(`${order['out_sub_mch_id']}/${order['out_trade_no']}`)?.has(kind),
      ),
    paymentFen: (key) => payments.get(key) ?? 0,
    refundFen: (key, number) => refunds.get(`${key} ${number}`) ?? 0,
    outsideFen: (key, number) => outside.get(`${key} ${number}`) ?? 0,
    heldBackFen: (key, recorded) => {
      const held = heldBack.get(key)
      return held && !recorded.has(held.number) ? held.fen : 0
    },
    messages: (out_sub_mch_id) => messages.get(out_sub_mch_id) ?? 0,
  }
}
