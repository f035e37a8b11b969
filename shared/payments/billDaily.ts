import { rfc3339, type Deadline } from '../base/time'
import { databaseNow, useUpTo } from '../store/counters'
import {
  claimWindow,
  closeWindow,
  cutWindow,
  insertWindow,
  listDueWindows,
  listWindowsOf,
  postponeWindow,
  postponeWindowsOf,
  type BillWindow,
} from '../store/billWindows'
import { findMark, setMark } from '../store/marks'
import { compareWindow, cutInTwo } from './bill'
import { timerRate } from './budget'
import { noCounts, type BillCounts } from './billCompare'
import type { KnownMerchant, Payments } from './context'
import { raise } from './raise'

/**
 * The daily comparison. Every day the last three days of each sub-merchant are planned as windows, and each run compares
 * some of them. A window that cannot be read waits by itself and the others go on; it stays until it has been compared.
 */
const DAY_S = 86_400
/** The bill of a day is complete some hours after it; three days, because money may come late. */
const DAYS_BACK = 3
/** Sub-merchants planned in one run: each takes a few statements. */
const PLANNED_AT_ONCE = 100
const WINDOWS_AT_ONCE = 50
/** Of one sub-merchant; a day is cut into no more when it is full. */
const WINDOWS_OF_ONE = 500
/** Longer than a run's share of time, so that two runs never have the same window in hand. */
const LEASE_MS = 120_000
/** A window's pages: so many calls are taken from the sub-merchant's rate before it is begun. */
const CALLS = 10
/** What one page and what comes of it needs. */
const WINDOW_MIN_MS = 4000
/** What cannot be read is cut down to this, so that what can be read beside it is compared. */
const UNREAD_MIN_S = 3600
/** After each try that could not be read. */
const WAITS_S = [600, 3600, 3600, 6 * 3600]
const TOLD_AFTER_TRIES = 3
const UNANSWERED_WAIT_S = 600

/** The mark: which day has been planned, and for how many sub-merchants, in the order of their ids. */
const PLAN = 'bill'

export type DailyReport = BillCounts & { windows: number; unread: number }

/** Returns nothing when there was nothing to do. */
export async function reconcileDaily(
  payments: Payments,
  deadline: Deadline,
): Promise<DailyReport | undefined> {
  await plan(payments)
  const report = await compareDue(payments, deadline)
  return report.windows + report.unread === 0 ? undefined : report
}

async function compareDue(payments: Payments, deadline: Deadline): Promise<DailyReport> {
  const report: DailyReport = { windows: 0, unread: 0, ...noCounts() }
  for (;;) {
    const due = await listDueWindows(payments.store, WINDOWS_AT_ONCE)
    // Sub-merchants whose other windows have been put off since the list was read.
    const waiting = new Set<string>()
    for (const window of due) {
      if (deadline.remainingMs() < WINDOW_MIN_MS) return report
      if (waiting.has(window.out_sub_mch_id)) continue
      const outcome = await compareOne(payments, window, deadline, report)
      if (outcome === 'put_off') waiting.add(window.out_sub_mch_id)
    }
    if (due.length === 0) return report
  }
}

async function compareOne(
  payments: Payments,
  window: BillWindow,
  deadline: Deadline,
  daily: DailyReport,
): Promise<'put_off' | undefined> {
  const { store, merchants } = payments
  const { out_sub_mch_id } = window
  const merchant = merchants.find(out_sub_mch_id)
  if (!merchant) {
    // Not served any more. Should it come back, its windows are there.
    await postponeWindowsOf(store, out_sub_mch_id, DAY_S * 1000)
    return 'put_off'
  }
  if ((await claimWindow(store, window, LEASE_MS)) !== 'done') return undefined
  const rate = timerRate(payments, out_sub_mch_id)
  if ((await useUpTo(store, rate, CALLS)) === 0) {
    return putOff(payments, window, rate.periodMs)
  }
  const { from_at: fromS, to_at: toS } = window
  const outcome = await compareWindow(payments, merchant, { fromS, toS }, deadline, daily)
  if (outcome === 'compared') {
    daily.windows++
    await closeWindow(store, window)
  } else if (outcome === 'too_long' || (outcome === 'unread' && toS - fromS > UNREAD_MIN_S)) {
    await cutWindow(store, window, cutInTwo({ fromS, toS })[1].fromS)
  } else if (outcome === 'no_time') {
    await postponeWindow(store, window, 0)
  } else if (outcome === 'unanswered') {
    daily.unread++
    return putOff(payments, window, UNANSWERED_WAIT_S * 1000)
  } else {
    daily.unread++
    await tryLater(payments, window)
  }
  return undefined
}

/** This window, which is in hand, and those of its sub-merchant that are due. */
async function putOff({ store }: Payments, window: BillWindow, inMs: number): Promise<'put_off'> {
  await postponeWindow(store, window, inMs)
  await postponeWindowsOf(store, window.out_sub_mch_id, inMs)
  return 'put_off'
}

async function tryLater(payments: Payments, window: BillWindow): Promise<void> {
  const tries = window.tries + 1
  const waitS = WAITS_S[Math.min(tries, WAITS_S.length) - 1]!
  if (tries === TOLD_AFTER_TRIES) {
    const { out_sub_mch_id, from_at, to_at } = window
    const evidence = { from: rfc3339(from_at), to: rfc3339(to_at), tries }
    // One matter a day, in however many pieces.
    const about = rfc3339(from_at).slice(0, 10)
    await raise(payments, { kind: 'bill_short', out_sub_mch_id, out_trade_no: '', evidence, about })
  }
  await postponeWindow(payments.store, window, waitS * 1000, tries)
}

// ── planning ───────────────────────────────────────────────────────────────────────────────────────────────────

async function plan(payments: Payments): Promise<void> {
  const { store, merchants } = payments
  const today = Math.floor((await databaseNow(store)) / 1000 / DAY_S) * DAY_S
  const mark = await findMark(store, PLAN)
  const [day, planned] = (mark?.value ?? '0 0').split(' ').map(Number)
  const begun = day === today ? planned! : 0
  const sorted = [...merchants.all].sort((a, b) => (a.out_sub_mch_id < b.out_sub_mch_id ? -1 : 1))
  const next = sorted.slice(begun, begun + PLANNED_AT_ONCE)
  if (next.length === 0) return
  for (const merchant of next) await planFor(payments, merchant, today)
  await setMark(store, PLAN, `${today} ${begun + next.length}`)
}

async function planFor(payments: Payments, { out_sub_mch_id }: KnownMerchant, today: number): Promise<void> {
  const { store } = payments
  const open = await listWindowsOf(store, out_sub_mch_id, WINDOWS_OF_ONE)
  const [oldest] = open
  // Planned a day ago or more, and not compared since, whatever else has been.
  if (oldest && oldest.from_at < today - DAY_S) {
    const evidence = { from: rfc3339(oldest.from_at), windows: open.length }
    await raise(payments, { kind: 'bill_unread', out_sub_mch_id, out_trade_no: '', evidence })
  }
  for (let back = DAYS_BACK; back > 0; back--) {
    const [from_at, to_at] = [today - back * DAY_S, today - (back - 1) * DAY_S]
    // What is still open of that day is compared anyway, later than this.
    if (open.some((one) => one.from_at < to_at && one.to_at > from_at)) continue
    await insertWindow(store, { out_sub_mch_id, from_at, to_at })
  }
}
