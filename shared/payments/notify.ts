import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { Fault } from '../base/errors'
import { nowS, shorter, type Deadline } from '../base/time'
import { S } from '../base/validate'
import { isBlank } from '../cloudpay/echoes'
import { openNotification, type NotificationFlaw } from '../cloudpay/notification'
import type { NotificationContent } from '../cloudpay/schema'
import type { NewAnomaly } from '../order/anomaly'
import type { Order } from '../order/order'
import { isSettled } from '../order/refund'
import { canStillChange, hasMoney } from '../order/state'
import { insertNotification, type NewNotification } from '../store/notifications'
import { findOrder } from '../store/orders'
import { findRefund } from '../store/refunds'
import { mayLook } from './budget'
import { SETTLE_RESERVE_MS, type Payments } from './context'
import { lookUpstream } from './refresh'
import { isOfOtherTill, type Stranger } from './otherTills'
import { lookAtRefund } from './refundAsking'
import { importRefunds } from './refundList'
import { about, raise } from './raise'

/**
 * Cloud Pay calls us. What it says is a hint, never proof: there is no timestamp in it, and a leaked key must not print
 * money. So it is kept, its order is due now, and if there is time our own query settles it before we answer.
 */
export type NotificationRefusal = NotificationFlaw | 'order_differs' | 'amount_differs'

const ATTEMPTS = 6
/** A look may take this much of the three seconds; otherwise the timer looks. */
const LOOK_MAX_MS = 1500

/**
 * Returns once the notification is kept: only then may it be acknowledged. Throws `notification_refused`, with the
 * reason for the log alone, and `database_unavailable` when it could not be kept.
 */
export async function takeNotification(payments: Payments, body: Buffer, deadline: Deadline): Promise<void> {
  const opened = openNotification(body, (id) => payments.merchants.find(id)?.key)
  if (!opened.ok) {
    const renewed = opened.claims === undefined ? undefined : await payments.renewed(opened.claims)
    if (!renewed) throw refused(payments, opened.flaw)
    return takeNotification({ ...renewed, log: payments.log }, body, deadline)
  }
  // The key that fits may have been taken away a moment ago: then it has to fit again.
  const newer = await payments.newer()
  if (newer) return takeNotification({ ...newer, log: payments.log }, body, deadline)
  const { content, text } = opened
  const out_sub_mch_id = content.pay_mch_key.out_sub_mch_id!
  const hint = hintOf(content)
  const { out_trade_no, about: isAbout } = hint
  const key = { out_sub_mch_id, out_trade_no }

  const order: Order | undefined = await findOrder(payments.store, key)
  const mismatch = order && mismatchOf(order, content, hint)
  if (order && mismatch) {
    // Signed with the merchant's own key, so worth a person's look.
    const anomaly = about(order, 'notification_mismatch', { fields: mismatch.fields })
    await raise(payments, anomaly)
    throw refused(payments, mismatch.why, out_trade_no)
  }

  const notification: NewNotification = {
    ...key,
    id: createHash('sha256').update(text).digest('hex'),
    received_at: nowS(payments.clock),
    orphan: order === undefined,
    about: isAbout,
    claims: claimsOf(hint),
  }
  const isOther =
    !order && isOfOtherTill(payments, payments.merchants.find(out_sub_mch_id)!, strangerOf(content, hint))
  const kept = await keep(payments, notification, order || isOther ? [] : [orphanOf(notification)])
  payments.log({
    event: 'notify.kept',
    count: `notify.${kept}`,
    out_trade_no,
    about: isAbout,
    orphan: order === undefined,
    ...(isOther ? { other_till: true } : {}),
  })

  if (!order || kept === 'known') return
  if (isAbout === 'refund' ? !hasMoney(order.state) : !canStillChange(order.state)) return
  await lookIfThereIsTime(payments, order, hint, deadline)
}

async function keep(
  payments: Payments,
  notification: NewNotification,
  anomalies: NewAnomaly[],
): Promise<'done' | 'known'> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const outcome = await insertNotification(payments.store, notification, anomalies)
    if (outcome !== 'lost') return outcome
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for a notification') })
}

/** Whatever this runs into, the notification is kept and the timer will look. */
async function lookIfThereIsTime(
  payments: Payments,
  order: Order,
  { about: isAbout, out_refund_no }: Hint,
  deadline: Deadline,
): Promise<void> {
  const own = shorter(deadline, LOOK_MAX_MS + SETTLE_RESERVE_MS)
  try {
    if (!(await mayLook(payments, 'notification', order))) return
    if (isAbout === 'order') await lookUpstream(payments, order, own)
    else await lookAtNotified(payments, order, out_refund_no, own)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    payments.log({
      event: 'notify.left_to_timer',
      count: 'notify.left_to_timer',
      level: 'warn',
      out_trade_no: order.out_trade_no,
      code: error.code,
    })
  }
}

/** One of ours is asked about by its number, whatever else there is by the list. */
async function lookAtNotified(
  payments: Payments,
  order: Order,
  out_refund_no: string | undefined,
  deadline: Deadline,
): Promise<void> {
  const { out_sub_mch_id } = order
  const refund =
    out_refund_no === undefined
      ? undefined
      : await findRefund(payments.store, { out_sub_mch_id, out_refund_no })
  if (refund && refund.out_trade_no === order.out_trade_no && !isSettled(refund.state))
    await lookAtRefund(payments, { order, refund }, deadline)
  else await importRefunds(payments, order, deadline)
}

/** What of a notification there is to look at, whichever of the two kinds it is. */
type Hint = {
  about: 'order' | 'refund'
  out_trade_no: string
  out_refund_no: string | undefined
  /** What it says of amounts and states: anything, or nothing. */
  said: Record<string, unknown>
}

function hintOf({ order_content, refund_order_content }: NotificationContent): Hint {
  if (order_content)
    return {
      about: 'order',
      out_trade_no: order_content.out_trade_no,
      out_refund_no: undefined,
      said: order_content,
    }
  // Of several, the first: what became of the others the list says.
  const said = [refund_order_content!].flat()[0]!
  const { out_refund_no } = said
  const isNumber = typeof out_refund_no === 'string' && /^[!-~]{1,64}$/.test(out_refund_no)
  return {
    about: 'refund',
    out_trade_no: said.out_trade_no,
    out_refund_no: isNumber ? out_refund_no : undefined,
    said,
  }
}

/** What a notification says is compared with the order's own row; what it does not say is for our own query to say. */
function mismatchOf(
  order: Order,
  { pay_mch_key: key }: NotificationContent,
  { about: isAbout, said }: Hint,
): { why: NotificationRefusal; fields: string[] } | undefined {
  const says = (value: unknown) => value !== undefined && value !== null
  const ids = (['out_mch_id', 'out_sub_mch_id', 'out_shop_id', 'pay_platform'] as const).filter(
    (name) => says(key[name]) && key[name] !== order[name],
  )
  if (ids.length > 0) return { why: 'order_differs', fields: ids.map((name) => `pay_mch_key.${name}`) }
  const [member, feeType] =
    isAbout === 'order' ? ['order_content', 'fee_type'] : ['refund_order_content', 'refund_fee_type']
  const { total_fee } = said
  const fee_type = said[feeType]
  const amounts = [
    ...(says(total_fee) && total_fee !== order.total_fee ? ['total_fee'] : []),
    ...((isBlank(fee_type) ? 'CNY' : fee_type) === order.fee_type ? [] : [feeType]),
  ]
  if (amounts.length > 0) return { why: 'amount_differs', fields: amounts.map((name) => `${member}.${name}`) }
  return undefined
}

/** Kept for people: nothing is decided by it, so whatever does not look like what it should be is left out. */
function claimsOf({ about: isAbout, out_refund_no, said }: Hint): NewNotification['claims'] {
  const { total_fee, transaction_id, time_end, refund_fee } = said
  const ext = said['wxpay_order_content_ext'] ?? said['alipay_order_content_ext']
  const refundExt = said['wxpay_refund_order_content_ext'] ?? said['alipay_refund_order_content_ext']
  const state = (ext as { current_trade_state?: unknown } | null | undefined)?.current_trade_state
  const { state: wxpay, refund_status: alipay } = (refundExt ?? {}) as Record<string, unknown>
  if (isAbout === 'refund')
    return {
      out_refund_no: out_refund_no ?? null,
      refund_fee: wholeOrNull(refund_fee),
      wallet_state: wholeOrNull(wxpay ?? alipay),
    }
  return {
    total_fee: wholeOrNull(total_fee),
    transaction_id: typeof transaction_id === 'string' && v.is(S(64), transaction_id) ? transaction_id : null,
    wallet_state: wholeOrNull(state),
    time_end: wholeOrNull(time_end),
  }
}

function strangerOf({ pay_mch_key, order_client }: NotificationContent, hint: Hint): Stranger {
  const { out_trade_no, about: isAbout, said } = hint
  const client = (order_client ?? {}) as Record<string, unknown>
  return {
    out_trade_no,
    about: isAbout,
    create_time: wholeOrNull(said['create_time']) ?? undefined,
    place: {
      out_shop_id: pay_mch_key['out_shop_id'],
      device_id: client['device_id'],
      trade_type: said['trade_type'],
    },
  }
}

const wholeOrNull = (given: unknown): number | null =>
  typeof given === 'number' && Number.isSafeInteger(given) ? given : null

const orphanOf = ({ out_sub_mch_id, out_trade_no, claims }: NewNotification): NewAnomaly => ({
  kind: 'notification_orphan',
  out_sub_mch_id,
  out_trade_no,
  evidence: claims,
})

function refused(payments: Payments, why: NotificationRefusal, out_trade_no?: string): Fault {
  payments.log({
    event: 'notify.refused',
    count: `notify.refused.${why}`,
    level: 'warn',
    why,
    ...(out_trade_no === undefined ? {} : { out_trade_no }),
  })
  return new Fault('notification_refused', { cause: new Error(why) })
}
