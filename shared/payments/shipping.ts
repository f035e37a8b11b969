import { ITEM_DESC_MAX } from '../base/shipping'
import { rfc3339 } from '../base/time'
import type { PayRequest } from '../cloudpay/schema'
import { SHIPPING } from '../order/message'
import type { Order } from '../order/order'
import { cutText, MINI_PROGRAM, type ShippingTask } from '../order/shipping'
import type { Beside } from '../store/beside'
import type { Change } from '../store/orders'
import type { Payments } from './context'
import { about } from './raise'

const NOTHING: Required<Beside> = { messages: [], anomalies: [] }

/**
 * What WeChat is to be told when this change makes an order paid: nothing, unless it is a mini-program's whose
 * configuration says how it ships. Late money that will go back is for nobody to ship.
 */
export function shippingBeside(
  { settings }: Pick<Payments, 'settings'>,
  order: Order,
  change: Change,
  at: number,
): Required<Beside> {
  const isPaid =
    change.state === 'paid' || (change.state === 'paid_after_close' && change.late_policy === 'honour')
  if (!isPaid || order.trade_type !== MINI_PROGRAM || settings.shipping.length === 0) return NOTHING
  const { out_sub_mch_id, out_trade_no } = order
  if (order.request_content === '') {
    // Long ago, and purged: neither the mini-program nor the payer can be named to WeChat any more.
    const isShipped = settings.shipping.some((one) => one.out_sub_mch_id === out_sub_mch_id)
    const evidence = { order: out_trade_no, attempts: 0, why: 'texts_purged' }
    return isShipped
      ? { messages: [], anomalies: [about(order, 'shipping_not_uploaded', evidence)] }
      : NOTHING
  }
  const { pay_mch_key, pay_content } = JSON.parse(order.request_content) as PayRequest
  const app_id = pay_mch_key.wxpay_pay_mch_key_ext?.mini_program_sub_app_id
  const rule = settings.shipping.find((one) => one.app_id === app_id && one.out_sub_mch_id === out_sub_mch_id)
  if (!rule) return NOTHING
  const { logistics_type, item_desc } = rule
  const task: ShippingTask = {
    app_id: rule.app_id,
    logistics_type,
    item_desc: item_desc === 'body' ? cutText(pay_content.body, ITEM_DESC_MAX) : item_desc,
    upload_time: rfc3339(at).replace('+08:00', '.000+08:00'),
  }
  const message = {
    type: SHIPPING,
    about: out_trade_no,
    out_trade_no,
    payload: JSON.stringify(task),
  } as const
  return { messages: [message], anomalies: [] }
}
