import { describeError } from '../base/log'
import { makeNonce } from '../base/random'
import { rfc3339, type Deadline } from '../base/time'
import { BILL_OF, clientOrderDetail, type BillEntry, type BillRequest } from '../cloudpay/schema'
import { hasMoney, WALLET_MEANING } from '../order/state'
import type { NewAnomaly } from '../order/anomaly'
import type { Order } from '../order/order'
import { databaseNow, useUpTo } from '../store/counters'
import { findMark, setMark } from '../store/marks'
import { findOrder, listPaidOrders } from '../store/orders'
import { findRefund } from '../store/refunds'
import { callBudgetMs, type KnownMerchant, type Payments } from './context'
import { saysPaid } from './evidence'
import { importRefunds } from './refund'
import { lookUpstream } from './refresh'
import { about, raise } from './raise'

/**
 * Cloud Pay's list of what happened against ours, both ways: number, amount, state and refunds. Every difference that
 * a fresh look does not settle is an anomaly; nothing is put right by guessing.
 */
export type BillReport = { payments: number; refunds: number; differences: number; complete: boolean }

const PAGE = 50
/** More in one window, and it is cut in two: what is compared stays small in memory. */
const WINDOW_MAX = 500
const WINDOW_MIN_S = 60
const OURS_PAGE = 500
const DAY_S = 86_400

/** Compares what was created from `fromS` up to `toS`. Throws nothing for what Cloud Pay does not answer: incomplete. */
export async function reconcileWindow(
  payments: Payments,
  merchant: KnownMerchant,
  fromS: number,
  toS: number,
  deadline: Deadline,
): Promise<BillReport> {
  const report: BillReport = { payments: 0, refunds: 0, differences: 0, complete: true }
  await compareWindow(payments, merchant, fromS, toS, deadline, report)
  return report
}

async function compareWindow(
  payments: Payments,
  merchant: KnownMerchant,
  fromS: number,
  toS: number,
  deadline: Deadline,
  report: BillReport,
): Promise<void> {
  const entries: BillEntry[] = []
  let total = Infinity
  for (let page = 1; entries.length < total; page++) {
    const read = await readPage(payments, merchant, fromS, toS, page, deadline)
    if (!read) {
      report.complete = false
      return
    }
    total = read.total_count
    if (total > WINDOW_MAX && toS - fromS > WINDOW_MIN_S) {
      const middleS = Math.floor((fromS + toS) / 2)
      await compareWindow(payments, merchant, fromS, middleS, deadline, report)
      if (report.complete) await compareWindow(payments, merchant, middleS, toS, deadline, report)
      return
    }
    if (read.order_details.length === 0) break
    entries.push(...read.order_details)
  }
  // Its pages ended before its own count: what is missing would be taken for missing there.
  if (entries.length < total) {
    report.complete = false
    return
  }

  const seen = new Set<string>()
  for (const { receipt } of entries) {
    const number = receipt.order?.order_content.out_trade_no
    if (number !== undefined) seen.add(number)
    try {
      if (receipt.order)
        await comparePayment(payments, merchant, receipt.order.order_content, deadline, report)
      if (receipt.refund_order) {
        await compareRefund(payments, merchant, receipt.refund_order.refund_order_content, deadline, report)
      }
    } catch (error) {
      // One entry does not stop the bill; what could not be compared is compared again.
      report.complete = false
      payments.log({
        event: 'bill.entry_failed',
        count: 'bill.entry_failed',
        level: 'error',
        cause: describeError(error),
      })
    }
  }
  await compareOurs(payments, merchant, fromS, toS, seen, deadline, report)
}

async function readPage(
  payments: Payments,
  { out_sub_mch_id, key }: KnownMerchant,
  start_time: number,
  toS: number,
  page_num: number,
  deadline: Deadline,
) {
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (timeoutMs === undefined) return undefined
  const request: BillRequest = {
    out_sub_mch_id,
    query_order_type: BILL_OF.both,
    start_time,
    // Whether an end belongs to it is not documented: ours do not overlap, and a pair is compared twice at worst.
    end_time: toS,
    page_num,
    page_size: PAGE,
    nonce_str: makeNonce(payments.random),
  }
  const answer = await payments.cloudPay.call(clientOrderDetail, JSON.stringify(request), { key, timeoutMs })
  return answer.outcome === 'yes' ? answer.member : undefined
}

type Payment = NonNullable<BillEntry['receipt']['order']>['order_content']

async function comparePayment(
  payments: Payments,
  merchant: KnownMerchant,
  content: Payment,
  deadline: Deadline,
  report: BillReport,
): Promise<void> {
  const { out_trade_no } = content
  if (out_trade_no === undefined || out_trade_no.length > 32) return
  report.payments++
  const key = { out_sub_mch_id: merchant.out_sub_mch_id, out_trade_no }
  const order = await findOrder(payments.store, key)
  if (!order) {
    // Waiting and closed ones of other tills are nobody's loss.
    if (!wasPaid(content)) return
    const evidence = { total_fee: content.total_fee ?? null, transaction_id: content.transaction_id ?? null }
    return note(payments, report, { kind: 'paid_upstream_only', ...key, evidence })
  }
  let current: Order = order
  const differs = () => billFaults(current, content)
  if (differs().length > 0) {
    // The bill may be older than our row, or know more: a signed query decides, not the bill.
    const look = await lookUpstream(payments, current, deadline)
    current = look.order
    const refunded = content.refunded_fee ?? 0
    if (refunded !== current.refunded_fen) {
      current = (await importRefunds(payments, current, deadline))?.order ?? current
    }
  }
  const fields = differs()
  if (fields.length > 0) await note(payments, report, about(current, 'bill_differs', { fields }))
}

const wasPaid = (content: Payment): boolean => {
  const wxpay = content.wxpay_order_content_ext?.current_trade_state
  const alipay = content.alipay_order_content_ext?.current_trade_state
  const meaning = WALLET_MEANING[wxpay === undefined ? 2 : 1]?.[wxpay ?? alipay ?? 0]
  return meaning !== undefined && saysPaid(meaning)
}

/** What of a bill's payment is not what our row says. */
function billFaults(order: Order, content: Payment): string[] {
  const fields: string[] = []
  if (content.total_fee !== order.total_fee) fields.push('total_fee')
  // A full refund may show as closed there, so for a refunded order only the sum is compared.
  if (order.state !== 'refunded' && wasPaid(content) !== hasMoney(order.state)) fields.push('state')
  const refunded = content.refunded_fee
  if (refunded !== undefined && refunded !== order.refunded_fen) fields.push('refunded_fee')
  return fields
}

type Refunded = NonNullable<BillEntry['receipt']['refund_order']>['refund_order_content']

async function compareRefund(
  payments: Payments,
  merchant: KnownMerchant,
  content: Refunded,
  deadline: Deadline,
  report: BillReport,
): Promise<void> {
  const { out_refund_no, out_trade_no } = content
  if (out_refund_no === undefined || out_trade_no === undefined || out_refund_no.length > 64) return
  report.refunds++
  const { out_sub_mch_id } = merchant
  const order = await findOrder(payments.store, { out_sub_mch_id, out_trade_no })
  if (!order) {
    const evidence = { out_refund_no, refund_fee: content.refund_fee ?? null }
    const anomaly = { kind: 'paid_upstream_only' as const, out_sub_mch_id, out_trade_no, evidence }
    return note(payments, report, { ...anomaly, about: out_refund_no })
  }
  const key = { out_sub_mch_id, out_refund_no }
  const state =
    content.wxpay_refund_order_content_ext?.state ?? content.alipay_refund_order_content_ext?.refund_status
  const fits = async () => {
    const refund = await findRefund(payments.store, key)
    // One that failed there, and that we never made, took nothing.
    if (!refund) return state === 3 || state === 6
    return (
      refund.refund_fee === content.refund_fee &&
      refund.out_trade_no === out_trade_no &&
      (state !== 2 || refund.state === 'succeeded') &&
      (state === 2 || refund.state !== 'succeeded')
    )
  }
  if (await fits()) return
  const current = hasMoney(order.state) ? order : (await lookUpstream(payments, order, deadline)).order
  await importRefunds(payments, current, deadline)
  if (await fits()) return
  const evidence = { out_refund_no, refund_fee: content.refund_fee ?? null, refund_state: state ?? null }
  await note(payments, report, { ...about(order, 'bill_differs', evidence), about: out_refund_no })
}

/** The other way: what we say was paid has to be in the list. One that is not is asked about by itself. */
async function compareOurs(
  payments: Payments,
  { out_sub_mch_id }: KnownMerchant,
  fromS: number,
  toS: number,
  seen: ReadonlySet<string>,
  deadline: Deadline,
  report: BillReport,
): Promise<void> {
  for (let after = ''; ;) {
    const window = { out_sub_mch_id, from: fromS, to: toS, after, limit: OURS_PAGE }
    const ours = await listPaidOrders(payments.store, window)
    for (const order of ours) {
      if (seen.has(order.out_trade_no)) continue
      // The bill may go by another time than ours, so it may be in another window: its own query tells as much.
      const { evidence, learned } = await lookUpstream(payments, order, deadline)
      if (!learned) report.complete = false
      if (!learned || (evidence.proves === 'wallet' && evidence.meaning !== 'waiting')) continue
      const { total_fee, state } = order
      await note(payments, report, about(order, 'paid_here_only', { total_fee, state }))
    }
    const last = ours.at(-1)
    if (!last || ours.length < OURS_PAGE) return
    after = last.out_trade_no
  }
}

async function note(payments: Payments, report: BillReport, anomaly: NewAnomaly): Promise<void> {
  report.differences++
  await raise(payments, anomaly)
}

// ── once a day ─────────────────────────────────────────────────────────────────────────────────────────────────

/** The bill of a day is complete some hours after it; three days, because money may come late. */
const BACK_S = 3 * DAY_S
const SLICE_S = 6 * 3600
const TRIES = { name: 'bill', periodMs: 3_600_000, max: 120 }

/**
 * The daily comparison, a slice per run as long as there is time: the mark says up to where today's has come.
 * Returns nothing when today's is done.
 */
export async function reconcileDaily(
  payments: Payments,
  deadline: Deadline,
): Promise<BillReport | undefined> {
  const today = Math.floor((await databaseNow(payments.store)) / 1000 / DAY_S) * DAY_S
  const { all } = payments.merchants
  // Not always the same one first: one whose bill cannot be read would keep the others waiting.
  const first = payments.random(1)[0]! % all.length
  for (const merchant of [...all.slice(first), ...all.slice(0, first)]) {
    const name = `bill:${merchant.out_sub_mch_id}`
    const mark = await findMark(payments.store, name)
    // From now on it is known how long nothing could be compared.
    if (!mark) await setMark(payments.store, name, `${today} ${today - BACK_S}`)
    const [day, done] = (mark?.value ?? '0 0').split(' ').map(Number)
    const fromS = day === today ? done! : today - BACK_S
    if (fromS >= today) continue
    // A bill that cannot be read is not asked for at every run.
    if ((await useUpTo(payments.store, TRIES, 1)) === 0) return undefined
    const toS = Math.min(today, fromS + SLICE_S)
    const report = await reconcileWindow(payments, merchant, fromS, toS, deadline)
    if (report.complete) await setMark(payments.store, name, `${today} ${toS}`)
    else if (mark && day! < today - DAY_S) await noteUnread(payments, merchant, day!)
    return report
  }
  return undefined
}

/** A whole day went by without a bill that could be compared to its end. */
const noteUnread = (payments: Payments, { out_sub_mch_id }: KnownMerchant, dayS: number) =>
  raise(payments, {
    kind: 'bill_unread',
    out_sub_mch_id,
    out_trade_no: '',
    evidence: { last_day: rfc3339(dayS) },
  })
