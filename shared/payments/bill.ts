import { describeError } from '../base/log'
import { makeNonce } from '../base/random'
import type { Deadline } from '../base/time'
import { BILL_OF, clientOrderDetail, type BillRequest } from '../cloudpay/schema'
import {
  compareOurs,
  comparePayment,
  compareRefund,
  noCounts,
  noteUnreadEntry,
  type BillCounts,
  type Window,
} from './billCompare'
import { countDifferent, readEntry } from './billEntries'
import { callBudgetMs, logMisfits, type KnownMerchant, type Payments } from './context'

/**
 * Cloud Pay's list of what happened against ours, both ways, a window at a time (billCompare.ts says what is compared).
 * A window is compared to its end or not at all.
 */
const PAGE = 50
/** More in one window, and it is cut in two: what is compared stays small in memory. */
const WINDOW_MAX = 500
const WINDOW_MIN_S = 60
/** Of a bill that does not say how long it is, and does not end. */
const PAGES_MAX = 200

export type BillReport = BillCounts & { complete: boolean }

type WindowOutcome =
  | 'compared'
  /** Too much for one window, or for the time there was: its halves may do. */
  | 'too_long'
  /** Answered, and not to be read to its end. */
  | 'unread'
  /** Nobody answered; nothing is known of it. */
  | 'unanswered'
  | 'no_time'

/** Compares a window of any length, cut as often as it takes. What cannot be read makes the report incomplete. */
export async function reconcileWindow(
  payments: Payments,
  merchant: KnownMerchant,
  fromS: number,
  toS: number,
  deadline: Deadline,
): Promise<BillReport> {
  const report: BillReport = { ...noCounts(), complete: true }
  const open: Window[] = [{ fromS, toS }]
  for (let window = open.pop(); window; window = open.pop()) {
    const outcome = await compareWindow(payments, merchant, window, deadline, report)
    if (outcome === 'too_long') open.push(...cutInTwo(window).reverse())
    else if (outcome !== 'compared') report.complete = false
  }
  return report
}

export function cutInTwo({ fromS, toS }: Window): [Window, Window] {
  const middleS = Math.floor((fromS + toS) / 2)
  return [
    { fromS, toS: middleS },
    { fromS: middleS, toS },
  ]
}

/** Compares a window that is read as a whole. Throws nothing for what Cloud Pay does not answer. */
export async function compareWindow(
  payments: Payments,
  merchant: KnownMerchant,
  window: Window,
  deadline: Deadline,
  report: BillCounts,
): Promise<WindowOutcome> {
  const { fromS, toS } = window
  const mayBeCut = toS - fromS > WINDOW_MIN_S
  const listed: unknown[] = []
  let total: number | undefined
  for (let page = 1; total === undefined || listed.length < total; page++) {
    // Only one that says how long it is may be as long as it says.
    if (total === undefined && page > PAGES_MAX) return 'unread'
    const read = await readPage(payments, merchant, window, page, deadline)
    if (typeof read === 'string') return read
    total = read.total_count ?? total
    const { order_details: details = [] } = read
    if (mayBeCut && Math.max(total ?? 0, listed.length + details.length) > WINDOW_MAX) return 'too_long'
    if (details.length === 0) break
    listed.push(...details)
  }
  const entries = listed.map(readEntry)
  // Its pages ended before its own count, or shifted: what is missing would be taken for missing there.
  if (countDifferent(entries) < (total ?? 0)) return 'unread'

  let isWhole = true
  const seen = { orders: new Set<string>(), refunds: new Set<string>() }
  for (const { payment, refund, unread } of entries) {
    if (callBudgetMs(payments.settings, deadline) === undefined) return mayBeCut ? 'too_long' : 'no_time'
    try {
      for (const one of unread) await noteUnreadEntry(payments, merchant, one, fromS, report)
      if (payment) {
        seen.orders.add(payment.out_trade_no)
        await comparePayment(payments, merchant, payment, deadline, report)
      }
      if (refund) {
        seen.refunds.add(refund.out_refund_no)
        await compareRefund(payments, merchant, refund, deadline, report)
      }
    } catch (error) {
      // One entry does not stop the bill; what could not be compared is compared again.
      isWhole = false
      payments.log({
        event: 'bill.entry_failed',
        count: 'bill.entry_failed',
        level: 'error',
        cause: describeError(error),
      })
    }
  }
  const isOursWhole = await compareOurs(payments, merchant, window, seen, deadline, report)
  return isWhole && isOursWhole ? 'compared' : 'unread'
}

async function readPage(
  payments: Payments,
  { out_sub_mch_id, key }: KnownMerchant,
  { fromS, toS }: Window,
  page_num: number,
  deadline: Deadline,
) {
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (timeoutMs === undefined) return 'no_time'
  const request: BillRequest = {
    out_sub_mch_id,
    query_order_type: BILL_OF.both,
    start_time: fromS,
    // Whether an end belongs to it is not documented: ours do not overlap, and a pair is compared twice at worst.
    end_time: toS,
    page_num,
    page_size: PAGE,
    nonce_str: makeNonce(payments.random),
  }
  const answer = await payments.cloudPay.call(clientOrderDetail, JSON.stringify(request), { key, timeoutMs })
  logMisfits(payments.log, clientOrderDetail.suffix, '', answer)
  if (answer.outcome === 'yes') return answer.member
  // Whether it was opened: then somebody has answered, and it is the answer that cannot be used.
  return answer.outcome === 'unknown' && answer.misfits === undefined ? 'unanswered' : 'unread'
}
