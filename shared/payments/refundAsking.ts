import { nowS, type Deadline } from '../base/time'
import { refund as refundInterface } from '../cloudpay/schema'
import { databaseNow } from '../store/counters'
import type { Meaning } from '../order/state'
import { countRefundSend } from '../store/refunds'
import { askCloudPay, callBudgetMs, type Payments } from './context'
import { provesPayment } from './evidence'
import { evidenceOfRefund, evidenceOfRefundQuery, type RefundEvidence } from './refundEvidence'
import { importRefunds, isUnexplained, type RefundList } from './refundList'
import { logRefund, queryRefunds } from './refundQuery'
import { concludeRefused } from './refundRefused'
import { lookUpstream } from './refresh'
import { about, raise } from './raise'
import { readBoth, settleRefund, type Both } from './settleRefund'

/** The next step of a refund that is not settled: ask for it, ask for it again, or ask what became of it. */
export async function advanceRefund(payments: Payments, both: Both, deadline: Deadline): Promise<Both> {
  if (both.refund.state === 'accepted') return (await lookAtRefund(payments, both, deadline)).both
  if (both.refund.state !== 'requested') return both
  return both.refund.sends === 0 ? askFirst(payments, both, deadline) : askAgain(payments, both, deadline)
}

/** It may have arrived: what became of it is asked first, and it is sent again only if nobody has refused a repeat. */
async function askAgain(payments: Payments, both: Both, deadline: Deadline): Promise<Both> {
  const nowMs = both.refund.refused === null ? 0 : await databaseNow(payments.store)
  const seen = await lookAtRefund(payments, both, deadline)
  const { refund } = seen.both
  if (refund.state !== 'requested') return seen.both
  if (refund.refused !== null) return concludeRefused(payments, seen.both, seen.evidence, nowMs, deadline)
  if ((await freshMeaning(payments, seen.both, deadline)) === 'not_paid') return readBoth(payments, refund)
  return sendRefund(payments, await readBoth(payments, refund), deadline)
}

/** Nobody may have heard of it yet. Refunds made elsewhere count first, or together they could be more than was paid. */
async function askFirst(payments: Payments, both: Both, deadline: Deadline): Promise<Both> {
  const meaning = await freshMeaning(payments, both, deadline)
  if (meaning === 'not_paid') return readBoth(payments, both.refund)
  const { order } = meaning === undefined ? both : await readBoth(payments, both.refund)
  const list = await importRefunds(payments, order, deadline)
  const current = await readBoth(payments, both.refund)
  if (!list.read) return askWithoutList(payments, current, list, deadline)
  if (isUnexplained(meaning, list, current.order.reserved_fen - current.refund.refund_fee)) return current
  if (list.fits) return sendRefund(payments, current, deadline)
  const withdrawn = await settleRefund(payments, current, { proves: 'no_room' })
  const made = await importRefunds(payments, withdrawn.order, deadline)
  return { ...withdrawn, order: made.order }
}

/** What nobody asked for goes back only after a fresh, verified "paid". What somebody asked for needs no such look. */
async function freshMeaning(
  payments: Payments,
  { order, refund }: Both,
  deadline: Deadline,
): Promise<Meaning | 'not_paid' | undefined> {
  if (refund.origin !== 'automatic') return undefined
  if (order.flag === 'amount_differs') return 'not_paid'
  const { evidence } = await lookUpstream(payments, order, deadline)
  return provesPayment(evidence) ? evidence.meaning : 'not_paid'
}

/**
 * There is no list. Before the first transmission nothing can have gone under our own number, so it is enough that list
 * and number are both answered by a signed "none", and that a fresh query shows the payment and no refund of it. After a
 * transmission the same answers prove nothing.
 */
async function askWithoutList(
  payments: Payments,
  both: Both,
  list: Extract<RefundList, { read: false }>,
  deadline: Deadline,
): Promise<Both> {
  if (list.is !== 'silent' && list.is !== 'refused') return tellUnlisted(payments, both)
  const seen = await lookAtRefund(payments, both, deadline)
  if (seen.both.refund.state !== 'requested' || seen.both.refund.sends > 0) return seen.both
  if (list.is === 'silent' && saysNone(seen.evidence)) {
    const { evidence } = await lookUpstream(payments, seen.both.order, deadline)
    if (evidence.proves === 'wallet' && evidence.meaning === 'paid')
      return sendRefund(payments, await readBoth(payments, both.refund), deadline)
  }
  return tellUnlisted(payments, await readBoth(payments, both.refund))
}

const saysNone = (evidence: RefundEvidence | undefined): boolean =>
  evidence !== undefined &&
  ((evidence.proves === 'not_found' && evidence.signedNone) ||
    (evidence.proves === 'nothing' && evidence.why === 'list_missing'))

/** Longer than that, and a person has to know that it was not even asked for. */
const UNLISTED_MAX_S = 300

async function tellUnlisted(payments: Payments, both: Both): Promise<Both> {
  const { order, refund } = both
  if (refund.sends > 0 || nowS(payments.clock) - refund.created_at < UNLISTED_MAX_S) return both
  const { out_refund_no } = refund
  const anomaly = about(order, 'refund_unresolved', { out_refund_no, reason: 'refunds_cannot_be_listed' })
  await raise(payments, { ...anomaly, about: out_refund_no })
  return both
}

export async function sendRefund(payments: Payments, both: Both, deadline: Deadline): Promise<Both> {
  const { order, refund } = both
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  const mayBeSent = refund.state === 'requested' && refund.refused === null && refund.request_content
  if (!mayBeSent || timeoutMs === undefined) return both
  let current = refund
  class Overtaken extends Error {}
  let answer
  try {
    answer = await askCloudPay(payments, order, refundInterface, mayBeSent, {
      timeoutMs,
      beforeSend: async () => {
        if ((await countRefundSend(payments.store, current)) !== 'done') throw new Overtaken()
        current = { ...current, sends: current.sends + 1, version: current.version + 1 }
      },
    })
  } catch (error) {
    // Somebody else is working on it, or the count is unknown: nothing was sent by us this time.
    if (error instanceof Overtaken) return readBoth(payments, refund)
    throw error
  }
  const evidence = evidenceOfRefund(order, current, answer)
  logRefund(payments, current, 'refund.asked', evidence)
  return settleRefund(payments, { order, refund: current }, evidence)
}

/** `evidence`: what the answer proves; none when there was no time to ask. */
export async function lookAtRefund(
  payments: Payments,
  both: Both,
  deadline: Deadline,
): Promise<{ both: Both; evidence: RefundEvidence | undefined }> {
  const { order, refund } = both
  const answer = await queryRefunds(payments, order, refund.out_refund_no, deadline)
  if (!answer) return { both, evidence: undefined }
  const evidence = evidenceOfRefundQuery(order, refund, answer)
  logRefund(payments, refund, 'refund.looked', evidence)
  return { both: await settleRefund(payments, both, evidence), evidence }
}
