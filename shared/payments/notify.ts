import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { Fault } from '../base/errors'
import { nowS, type Deadline } from '../base/time'
import { S } from '../base/validate'
import { isBlank } from '../cloudpay/echoes'
import { openNotification, type NotificationFlaw } from '../cloudpay/notification'
import type { NotificationContent } from '../cloudpay/schema'
import type { NewAnomaly } from '../order/anomaly'
import type { Order } from '../order/order'
import { canStillChange } from '../order/state'
import { insertNotification, type NewNotification } from '../store/notifications'
import { claimLook, findOrder } from '../store/orders'
import { SETTLE_RESERVE_MS, type Payments } from './context'
import { LOOK_INTERVAL_MS, lookUpstream } from './refresh'
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
  if (!opened.ok) throw refused(payments, opened.flaw)
  // The key that fits may have been taken away a moment ago: then it has to fit again.
  const newer = await payments.newer()
  if (newer) return takeNotification({ ...newer, log: payments.log }, body, deadline)
  const { content, text } = opened
  const out_sub_mch_id = content.pay_mch_key.out_sub_mch_id!
  const { out_trade_no } = content.order_content
  const key = { out_sub_mch_id, out_trade_no }

  const order: Order | undefined = await findOrder(payments.store, key)
  const mismatch = order && mismatchOf(order, content)
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
    claims: claimsOf(content),
  }
  const kept = await keep(payments, notification, order ? [] : [orphanOf(notification)])
  payments.log({ event: 'notify.kept', count: `notify.${kept}`, out_trade_no, orphan: order === undefined })

  if (!order || kept === 'known' || !canStillChange(order.state)) return
  await lookIfThereIsTime(payments, order, deadline)
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
async function lookIfThereIsTime(payments: Payments, order: Order, deadline: Deadline): Promise<void> {
  const untilMs = Math.min(LOOK_MAX_MS + SETTLE_RESERVE_MS, deadline.remainingMs())
  const startMs = deadline.remainingMs()
  const shorter: Deadline = { remainingMs: () => untilMs - (startMs - deadline.remainingMs()) }
  try {
    if ((await claimLook(payments.store, order, LOOK_INTERVAL_MS)) === 'done') {
      await lookUpstream(payments, order, shorter)
    }
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

/** What a notification says is compared with the order's own row; what it does not say is for our own query to say. */
function mismatchOf(
  order: Order,
  { pay_mch_key: key, order_content: content }: NotificationContent,
): { why: NotificationRefusal; fields: string[] } | undefined {
  const says = (value: unknown) => value !== undefined && value !== null
  const ids = (['out_mch_id', 'out_sub_mch_id', 'out_shop_id', 'pay_platform'] as const).filter(
    (name) => says(key[name]) && key[name] !== order[name],
  )
  if (ids.length > 0) return { why: 'order_differs', fields: ids.map((name) => `pay_mch_key.${name}`) }
  const { total_fee, fee_type } = content
  const amounts = [
    ...(says(total_fee) && total_fee !== order.total_fee ? ['total_fee'] : []),
    ...((isBlank(fee_type) ? 'CNY' : fee_type) === order.fee_type ? [] : ['fee_type']),
  ]
  if (amounts.length > 0)
    return { why: 'amount_differs', fields: amounts.map((name) => `order_content.${name}`) }
  return undefined
}

/** Kept for people: nothing is decided by it, so whatever does not look like what it should be is left out. */
function claimsOf({ order_content: content }: NotificationContent): NewNotification['claims'] {
  const { total_fee, transaction_id, time_end } = content
  const { wxpay_order_content_ext: wxpay, alipay_order_content_ext: alipay } = content
  const state = (wxpay ?? alipay) as { current_trade_state?: unknown } | null | undefined
  return {
    total_fee: wholeOrNull(total_fee),
    transaction_id: typeof transaction_id === 'string' && v.is(S(64), transaction_id) ? transaction_id : null,
    wallet_state: wholeOrNull(state?.current_trade_state),
    time_end: wholeOrNull(time_end),
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
