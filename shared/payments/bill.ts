import { ORDER_NUMBER_MAX } from '../base/config'
import { describeError } from '../base/log'
import { makeNonce } from '../base/random'
import { rfc3339, type Deadline } from '../base/time'
import { PAY_PLATFORM } from '../cloudpay/enums'
import { read } from '../cloudpay/reading'
import {
  BILL_OF,
  BillEntry,
  BillPayment,
  BillRefund,
  clientOrderDetail,
  type BillRequest,
  type RefundOrderContent,
} from '../cloudpay/schema'
import { REFUND_MEANING, type Refund } from '../order/refund'
import { hasMoney, WALLET_MEANING } from '../order/state'
import type { NewAnomaly } from '../order/anomaly'
import type { Order } from '../order/order'
import { databaseNow, useUpTo } from '../store/counters'
import { findMark, setMark } from '../store/marks'
import { findOrder, listPaidOrders } from '../store/orders'
import { findRefund, listRefunds } from '../store/refunds'
import { callBudgetMs, logMisfits, type KnownMerchant, type Payments } from './context'
import { saysPaid } from './evidence'
import { importRefunds } from './refundList'
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
/** Of a bill that does not say how long it is, and does not end. */
const PAGES_MAX = 200
const REFUND_NUMBER_MAX = 64
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
  const entries: unknown[] = []
  let total: number | undefined
  for (let page = 1; total === undefined || entries.length < total; page++) {
    // Only one that says how long it is may be as long as it says.
    const isEndless = total === undefined && page > PAGES_MAX
    const read = !isEndless && (await readPage(payments, merchant, fromS, toS, page, deadline))
    if (!read) {
      report.complete = false
      return
    }
    total = read.total_count ?? total
    const { order_details: listed = [] } = read
    const known = Math.max(total ?? 0, entries.length + listed.length)
    if (known > WINDOW_MAX && toS - fromS > WINDOW_MIN_S) {
      const middleS = Math.floor((fromS + toS) / 2)
      await compareWindow(payments, merchant, fromS, middleS, deadline, report)
      if (report.complete) await compareWindow(payments, merchant, middleS, toS, deadline, report)
      return
    }
    if (listed.length === 0) break
    entries.push(...listed)
  }
  // Its pages ended before its own count: what is missing would be taken for missing there.
  if (entries.length < (total ?? 0)) {
    report.complete = false
    return
  }

  const seen = new Set<string>()
  for (const entry of entries) {
    try {
      const { payment, refund, unread } = readEntry(entry)
      for (const one of unread) await noteUnreadEntry(payments, merchant, one, fromS, report)
      if (payment) {
        seen.add(payment.out_trade_no)
        await comparePayment(payments, merchant, payment, deadline, report)
      }
      if (refund) await compareRefund(payments, merchant, refund, deadline, report)
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
  logMisfits(payments.log, clientOrderDetail.suffix, '', answer)
  return answer.outcome === 'yes' ? answer.member : undefined
}

// ── one entry ──────────────────────────────────────────────────────────────────────────────────────────────────

type Payment = BillPayment['order_content'] & { out_trade_no: string; pay_platform: number | undefined }
type Refunded = RefundOrderContent & { out_trade_no: string; out_refund_no: string }
/** What of an entry cannot be read: where, and about which order, if that much can be read. */
type Unread = { at: string; out_trade_no: string }

/** A payment and a refund are read each by itself, so that one which cannot be read is lost alone. */
function readEntry(entry: unknown): { payment?: Payment; refund?: Refunded; unread: Unread[] } {
  const whole = read(BillEntry, entry)
  if (!whole.ok) return { unread: [{ at: whole.at, out_trade_no: '' }] }
  const { order, refund_order } = whole.value.receipt ?? {}
  const unread: Unread[] = []
  const payment = isThere(order) ? readPayment(order, unread) : undefined
  const refund = isThere(refund_order) ? readRefund(refund_order, unread) : undefined
  return { ...(payment ? { payment } : {}), ...(refund ? { refund } : {}), unread }
}

const isThere = (given: unknown): boolean => given !== undefined && given !== null

function readPayment(given: unknown, unread: Unread[]): Payment | undefined {
  const platform = at(given, 'order_mch', 'pay_platform')
  const part = read(BillPayment, given, platform as number | undefined)
  const out_trade_no = readNumber(at(given, 'order_content', 'out_trade_no'), ORDER_NUMBER_MAX)
  if (part.ok && out_trade_no !== undefined)
    return { ...part.value.order_content, out_trade_no, pay_platform: part.value.order_mch?.pay_platform }
  unread.push({
    at: `receipt.order.${part.ok ? 'order_content.out_trade_no' : part.at}`,
    out_trade_no: out_trade_no ?? '',
  })
  return undefined
}

function readRefund(given: unknown, unread: Unread[]): Refunded | undefined {
  const platform = at(given, 'refund_order_mch', 'pay_platform')
  const part = read(BillRefund, given, platform as number | undefined)
  const out_trade_no = readNumber(at(given, 'refund_order_content', 'out_trade_no'), ORDER_NUMBER_MAX)
  const out_refund_no = readNumber(at(given, 'refund_order_content', 'out_refund_no'), REFUND_NUMBER_MAX)
  if (part.ok && out_trade_no !== undefined && out_refund_no !== undefined)
    return { ...part.value.refund_order_content, out_trade_no, out_refund_no }
  const missing = out_trade_no === undefined ? 'out_trade_no' : 'out_refund_no'
  unread.push({
    at: `receipt.refund_order.${part.ok ? `refund_order_content.${missing}` : part.at}`,
    out_trade_no: out_trade_no ?? '',
  })
  return undefined
}

const at = (node: unknown, ...names: string[]): unknown =>
  names.reduce<unknown>((one, name) => (one as Record<string, unknown> | null | undefined)?.[name], node)

const readNumber = (given: unknown, max: number): string | undefined =>
  typeof given === 'string' && given.length <= max && /^[!-~]+$/.test(given) ? given : undefined

const noteUnreadEntry = (
  payments: Payments,
  { out_sub_mch_id }: KnownMerchant,
  { at: where, out_trade_no }: Unread,
  fromS: number,
  report: BillReport,
): Promise<void> =>
  note(payments, report, {
    kind: 'bill_entry_unread',
    out_sub_mch_id,
    out_trade_no,
    evidence: { at: where, from: rfc3339(fromS) },
    ...(out_trade_no === '' ? { about: `${fromS}` } : {}),
  })

async function comparePayment(
  payments: Payments,
  merchant: KnownMerchant,
  content: Payment,
  deadline: Deadline,
  report: BillReport,
): Promise<void> {
  const { out_trade_no } = content
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
const wasPaid = (content: Payment): boolean => {
  const wxpay = content.wxpay_order_content_ext?.current_trade_state
  const alipay = content.alipay_order_content_ext?.current_trade_state
  const platform = content.pay_platform ?? (wxpay === undefined ? PAY_PLATFORM.alipay : PAY_PLATFORM.wechat)
  const state = platform === PAY_PLATFORM.wechat ? wxpay : alipay
  const meaning = state === undefined ? undefined : WALLET_MEANING[platform]?.[state]
  return meaning !== undefined && saysPaid(meaning)
}

/** What of a bill's payment is not what our row says. `byHandFen`: paid out by a person, of which it knows nothing. */
function billFaults(order: Order, content: Payment, byHandFen: number): string[] {
  const fields: string[] = []
  const { total_fee } = content
  if (total_fee !== undefined && total_fee !== order.total_fee) fields.push('total_fee')
  // A full refund may show as closed there, so for a refunded order only the sum is compared.
  if (order.state !== 'refunded' && wasPaid(content) !== hasMoney(order.state)) fields.push('state')
  const refunded = content.refunded_fee
  const knownFen = order.refunded_fen - byHandFen
  if (refunded !== undefined && refunded !== knownFen) fields.push('refunded_fee')
  return fields
}

async function compareRefund(
  payments: Payments,
  merchant: KnownMerchant,
  content: Refunded,
  deadline: Deadline,
  report: BillReport,
): Promise<void> {
  const { out_refund_no, out_trade_no } = content
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
