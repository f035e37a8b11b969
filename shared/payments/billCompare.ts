import { rfc3339, type Deadline } from '../base/time'
import { PAY_PLATFORM } from '../cloudpay/enums'
import type { NewAnomaly } from '../order/anomaly'
import type { Order } from '../order/order'
import { REFUND_MEANING, type Refund } from '../order/refund'
import { hasMoney, ORDER_STATES, WALLET_MEANING } from '../order/state'
import { findOrder, listOrdersIn } from '../store/orders'
import { findRefund, listRefunds, listSucceededRefunds } from '../store/refunds'
import type { BilledPayment, BilledRefund, Unread } from './billEntries'
import type { KnownMerchant, Payments } from './context'
import { saysPaid } from './evidence'
import { isOfOtherTill } from './otherTills'
import { about, raise } from './raise'
import { importRefunds } from './refundList'
import { lookUpstream } from './refresh'

/**
 * One entry of Cloud Pay's bill against our row, and our rows against the bill: number, amount, state and refunds. Every
 * difference that a fresh look does not settle is an anomaly; nothing is put right by guessing.
 */
export type BillCounts = {
  payments: number
  refunds: number
  differences: number
  /** Payments and refunds of cash registers that `OTHER_TILLS` names. */
  otherTills: number
}

export const noCounts = (): BillCounts => ({ payments: 0, refunds: 0, differences: 0, otherTills: 0 })

/** Made from `fromS` up to `toS`, in epoch seconds; the end does not belong to it. */
export type Window = { fromS: number; toS: number }

const OURS_PAGE = 500

export const noteUnreadEntry = (
  payments: Payments,
  { out_sub_mch_id }: KnownMerchant,
  { at: where, out_trade_no }: Unread,
  fromS: number,
  report: BillCounts,
): Promise<void> =>
  note(payments, report, {
    kind: 'bill_entry_unread',
    out_sub_mch_id,
    out_trade_no,
    evidence: { at: where, from: rfc3339(fromS) },
    ...(out_trade_no === '' ? { about: `${fromS}` } : {}),
  })

export async function comparePayment(
  payments: Payments,
  merchant: KnownMerchant,
  content: BilledPayment,
  deadline: Deadline,
  report: BillCounts,
): Promise<void> {
  const { out_trade_no } = content
  report.payments++
  const key = { out_sub_mch_id: merchant.out_sub_mch_id, out_trade_no }
  const order = await findOrder(payments.store, key)
  if (!order) {
    // Waiting and closed ones of other tills are nobody's loss.
    if (!wasPaid(content)) return
    const { place, create_time } = content
    const stranger = { out_trade_no, about: 'order', create_time, place } as const
    if (isOfOtherTill(payments, merchant, stranger)) return void report.otherTills++
    const evidence = { total_fee: content.total_fee ?? null, transaction_id: content.transaction_id ?? null }
    return note(payments, report, { kind: 'paid_upstream_only', ...key, evidence })
  }
  let current: Order = order
  let byHandFen = 0
  const differs = () => billFaults(current, content, byHandFen)
  if (differs().length > 0) {
    // The bill may be older than our row, or know more: a signed query decides, not the bill.
    const look = await lookUpstream(payments, current, deadline)
    current = look.order
    const refunded = content.refunded_fee ?? 0
    if (refunded !== current.refunded_fen) {
      current = (await importRefunds(payments, current, deadline)).order
      const refunds = await listRefunds(payments.store, current)
      for (const refund of refunds)
        if (refund.state === 'succeeded' && !isSucceededThere(refund)) byHandFen += refund.refund_fee
    }
  }
  const fields = differs()
  if (fields.length > 0) await note(payments, report, about(current, 'bill_differs', { fields }))
}

/** By the extension of its own platform; of one that does not say which it is, by the one that is there. */
const wasPaid = (content: BilledPayment): boolean => {
  const wxpay = content.wxpay_order_content_ext?.current_trade_state
  const alipay = content.alipay_order_content_ext?.current_trade_state
  const platform = content.pay_platform ?? (wxpay === undefined ? PAY_PLATFORM.alipay : PAY_PLATFORM.wechat)
  const state = platform === PAY_PLATFORM.wechat ? wxpay : alipay
  const meaning = state === undefined ? undefined : WALLET_MEANING[platform]?.[state]
  return meaning !== undefined && saysPaid(meaning)
}

/** What of a bill's payment is not what our row says. `byHandFen`: paid out by a person, of which it knows nothing. */
function billFaults(order: Order, content: BilledPayment, byHandFen: number): string[] {
  const fields: string[] = []
  const { total_fee } = content
  if (total_fee !== undefined && total_fee !== order.total_fee) fields.push('total_fee')
  // A full refund may show as closed there, so for a refunded order only the sum is compared.
  if (order.state !== 'refunded' && wasPaid(content) !== hasMoney(order.state)) fields.push('state')
  // What is only stored, where both know it.
  for (const name of ['transaction_id', 'cash_fee', 'settlement_total_fee'] as const) {
    const [theirs, ours] = [content[name], order[name]]
    if (theirs !== undefined && ours !== null && theirs !== ours) fields.push(name)
  }
  const refunded = content.refunded_fee
  const knownFen = order.refunded_fen - byHandFen
  if (refunded !== undefined && refunded !== knownFen) fields.push('refunded_fee')
  return fields
}

export async function compareRefund(
  payments: Payments,
  merchant: KnownMerchant,
  content: BilledRefund,
  deadline: Deadline,
  report: BillCounts,
): Promise<void> {
  const { out_refund_no, out_trade_no } = content
  report.refunds++
  const { out_sub_mch_id } = merchant
  const order = await findOrder(payments.store, { out_sub_mch_id, out_trade_no })
  if (!order) {
    const { place, create_time } = content
    const stranger = { out_trade_no, about: 'refund', create_time, place } as const
    if (isOfOtherTill(payments, merchant, stranger)) return void report.otherTills++
    const evidence = { out_refund_no, refund_fee: content.refund_fee ?? null }
    const anomaly = { kind: 'paid_upstream_only' as const, out_sub_mch_id, out_trade_no, evidence }
    return note(payments, report, { ...anomaly, about: out_refund_no })
  }
  const key = { out_sub_mch_id, out_refund_no }
  const state =
    order.pay_platform === PAY_PLATFORM.wechat
      ? content.wxpay_refund_order_content_ext?.state
      : content.alipay_refund_order_content_ext?.refund_status
  const meaning = state === undefined ? undefined : REFUND_MEANING[order.pay_platform]?.[state]
  const fits = async () => {
    const refund = await findRefund(payments.store, key)
    // One that failed there, and that we never made, took nothing.
    if (!refund) return meaning === 'failed' || meaning === 'not_found'
    return (
      (content.refund_fee === undefined || refund.refund_fee === content.refund_fee) &&
      refund.out_trade_no === out_trade_no &&
      // Without a state it says that there is such a refund, and no more.
      (state === undefined || (meaning === 'succeeded') === isSucceededThere(refund))
    )
  }
  if (await fits()) return
  const current = hasMoney(order.state) ? order : (await lookUpstream(payments, order, deadline)).order
  await importRefunds(payments, current, deadline)
  if (await fits()) return
  const evidence = { out_refund_no, refund_fee: content.refund_fee ?? null, refund_state: state ?? null }
  await note(payments, report, { ...about(order, 'bill_differs', evidence), about: out_refund_no })
}

/** What a person ended, Cloud Pay has not carried out. */
const isSucceededThere = ({ state, ended_by }: Refund): boolean => state === 'succeeded' && ended_by === null

/**
 * The other way: what we say was paid, and what we say went back, has to be in the list. The bill may go by another time
 * than ours, so what is not in this window may be in another: its own query tells as much. Returns whether each was answered.
 */
export async function compareOurs(
  payments: Payments,
  { out_sub_mch_id }: KnownMerchant,
  { fromS, toS }: Window,
  seen: { orders: ReadonlySet<string>; refunds: ReadonlySet<string> },
  deadline: Deadline,
  report: BillCounts,
): Promise<boolean> {
  let isWhole = true
  const window = { out_sub_mch_id, from: fromS, to: toS }
  for (const state of ORDER_STATES.filter(hasMoney)) {
    await eachOf(
      (after) => listOrdersIn(payments.store, { ...window, ...after, state }),
      (order) => order.out_trade_no,
      async (order) => {
        if (!seen.orders.has(order.out_trade_no))
          isWhole = (await lookForOrder(payments, order, deadline, report)) && isWhole
      },
    )
  }
  await eachOf(
    (after) => listSucceededRefunds(payments.store, { ...window, ...after }),
    (refund) => refund.out_refund_no,
    async (refund) => {
      const isTheirs = isSucceededThere(refund) && !seen.refunds.has(refund.out_refund_no)
      if (isTheirs) isWhole = (await lookForRefund(payments, refund, deadline, report)) && isWhole
    },
  )
  return isWhole
}

/** Page after page, by the time they were made; of one second by number. */
async function eachOf<Row extends { created_at: number }>(
  list: (after: { from?: number; after: string; limit: number }) => Promise<Row[]>,
  numberOf: (row: Row) => string,
  visit: (row: Row) => Promise<void>,
): Promise<void> {
  let after: { from?: number; after: string } = { after: '' }
  for (;;) {
    const rows = await list({ ...after, limit: OURS_PAGE })
    for (const row of rows) await visit(row)
    const last = rows.at(-1)
    if (!last || rows.length < OURS_PAGE) return
    after = { from: last.created_at, after: numberOf(last) }
  }
}

async function lookForOrder(
  payments: Payments,
  order: Order,
  deadline: Deadline,
  report: BillCounts,
): Promise<boolean> {
  const { evidence, learned } = await lookUpstream(payments, order, deadline)
  if (!learned || (evidence.proves === 'wallet' && evidence.meaning !== 'waiting')) return learned
  const { total_fee, state } = order
  await note(payments, report, about(order, 'paid_here_only', { total_fee, state }))
  return true
}

async function lookForRefund(
  payments: Payments,
  refund: Refund,
  deadline: Deadline,
  report: BillCounts,
): Promise<boolean> {
  const order = await findOrder(payments.store, refund)
  if (!order) return true
  const list = await importRefunds(payments, order, deadline)
  const isNone = list.read ? !list.numbers.has(refund.out_refund_no) : list.is === 'refused'
  if (!isNone) return list.read
  const { out_refund_no, refund_fee } = refund
  const anomaly = about(order, 'refunded_here_only', { out_refund_no, refund_fee })
  await note(payments, report, { ...anomaly, about: out_refund_no })
  return true
}

async function note(payments: Payments, report: BillCounts, anomaly: NewAnomaly): Promise<void> {
  report.differences++
  await raise(payments, anomaly)
}
