import type { Deadline } from '../base/time'
import { STATUS } from '../cloudpay/enums'
import { holdsMoney } from '../order/refund'
import { listRefunds } from '../store/refunds'
import type { Payments } from './context'
import type { Evidence } from './evidence'
import type { RefundEvidence } from './refundEvidence'
import { importRefunds } from './refundList'
import { lookUpstream } from './refresh'
import { readBoth, settleRefund, type Both } from './settleRefund'

/**
 * A refund whose repeat was refused with 104, and whose first transmission may never have arrived. Nothing is sent under
 * its number any more. It has failed when Cloud Pay has said twice that there is no such refund, ten minutes apart and
 * both ten minutes after the last transmission, when a readable list does not have it either, and when the order shows no
 * refund that our rows do not explain.
 */
const QUIET_MS = 600_000

/** `nowMs`: the database's clock before the look that brought `evidence`. */
export async function concludeRefused(
  payments: Payments,
  both: Both,
  evidence: RefundEvidence | undefined,
  nowMs: number,
  deadline: Deadline,
): Promise<Both> {
  const { refund } = both
  const isMissing = evidence?.proves === 'not_found' && evidence.signedNone
  if (refund.refused !== STATUS.failed || !isMissing) return both
  const { sent_at_ms, missing_at_ms } = refund
  if (sent_at_ms === null || nowMs < sent_at_ms + QUIET_MS) return both
  if (missing_at_ms === null) return settleRefund(payments, both, { proves: 'missing', nowMs })
  if (nowMs < missing_at_ms + QUIET_MS) return both

  const list = await importRefunds(payments, both.order, deadline)
  if (!list.read || list.numbers.has(refund.out_refund_no)) return readBoth(payments, refund)
  const fresh = await lookUpstream(payments, list.order, deadline)
  const explained = await isExplained(payments, both, fresh.evidence)
  const current = await readBoth(payments, refund)
  return explained ? settleRefund(payments, current, { proves: 'never_arrived' }) : current
}

/** The order shows no refund, or one of those that we know of. */
async function isExplained(
  payments: Payments,
  { order, refund }: Both,
  evidence: Evidence,
): Promise<boolean> {
  if (evidence.proves !== 'wallet') return false
  if (evidence.meaning === 'paid') return true
  const others = (await listRefunds(payments.store, order)).filter(
    (one) => one.out_refund_no !== refund.out_refund_no && one.state !== 'requested' && holdsMoney(one.state),
  )
  return evidence.meaning === 'paid_then_refund' && others.length > 0
}
