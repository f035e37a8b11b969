import type { Deadline } from '../base/time'
import { refund as refundInterface } from '../cloudpay/schema'
import { countRefundSend } from '../store/refunds'
import { askCloudPay, callBudgetMs, type Payments } from './context'
import { provesPayment } from './evidence'
import { evidenceOfRefund, evidenceOfRefundQuery } from './refundEvidence'
import { importRefunds } from './refundList'
import { logRefund, queryRefunds } from './refundQuery'
import { lookUpstream } from './refresh'
import { readBoth, settleRefund, type Both } from './settleRefund'

/** The next step of a refund that is not settled: ask for it, ask for it again, or ask what became of it. */
export async function advanceRefund(payments: Payments, both: Both, deadline: Deadline): Promise<Both> {
  if (both.refund.state === 'accepted') return lookAtRefund(payments, both, deadline)
  if (both.refund.state !== 'requested') return both
  // It may have arrived: what became of it is asked first.
  const seen = both.refund.sends > 0 ? await lookAtRefund(payments, both, deadline) : both
  const { order, refund } = seen
  if (refund.state !== 'requested') return seen
  if (refund.origin === 'automatic') {
    if (order.flag === 'amount_differs') return seen
    const fresh = await lookUpstream(payments, order, deadline)
    if (!provesPayment(fresh.evidence)) return readBoth(payments, refund)
  }
  if (refund.sends > 0) return sendRefund(payments, await readBoth(payments, refund), deadline)
  // Refunds made elsewhere count before the first ask, or together they could be more than was paid.
  const listed = await importRefunds(payments, order, deadline)
  const current = await readBoth(payments, refund)
  if (!listed) return current
  if (listed.fits) return sendRefund(payments, current, deadline)
  const withdrawn = await settleRefund(payments, current, { proves: 'no_room' })
  const made = await importRefunds(payments, withdrawn.order, deadline)
  return { ...withdrawn, order: made?.order ?? withdrawn.order }
}

export async function sendRefund(payments: Payments, both: Both, deadline: Deadline): Promise<Both> {
  const { order, refund } = both
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (refund.state !== 'requested' || refund.request_content === null || timeoutMs === undefined) return both
  let current = refund
  class Overtaken extends Error {}
  let answer
  try {
    answer = await askCloudPay(payments, order, refundInterface, refund.request_content, {
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

async function lookAtRefund(payments: Payments, both: Both, deadline: Deadline): Promise<Both> {
  const { order, refund } = both
  const answer = await queryRefunds(payments, order, refund.out_refund_no, deadline)
  if (!answer) return both
  const evidence = evidenceOfRefundQuery(order, refund, answer)
  logRefund(payments, refund, 'refund.looked', evidence)
  return settleRefund(payments, both, evidence)
}
