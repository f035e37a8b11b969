import { ORDER_NUMBER_MAX } from '../base/config'
import { read } from '../cloudpay/reading'
import { BillEntry, BillPayment, BillRefund, type RefundOrderContent } from '../cloudpay/schema'
import type { Place } from './otherTills'

/** What stands in one entry of Cloud Pay's bill. */
const REFUND_NUMBER_MAX = 64

export type BilledPayment = BillPayment['order_content'] & {
  out_trade_no: string
  pay_platform: number | undefined
  place: Place
}
export type BilledRefund = RefundOrderContent & {
  out_trade_no: string
  out_refund_no: string
  place: Place
}
/** What of an entry cannot be read: where, and about which order, if that much can be read. */
export type Unread = { at: string; out_trade_no: string }
export type ReadEntry = { payment?: BilledPayment; refund?: BilledRefund; unread: Unread[] }

/** A payment and a refund are read each by itself, so that one which cannot be read is lost alone. */
export function readEntry(entry: unknown): ReadEntry {
  const whole = read(BillEntry, entry)
  if (!whole.ok) return { unread: [{ at: whole.at, out_trade_no: '' }] }
  const { order, refund_order } = whole.value.receipt ?? {}
  const unread: Unread[] = []
  const payment = isThere(order) ? readPayment(order, unread) : undefined
  const refund = isThere(refund_order) ? readRefund(refund_order, unread) : undefined
  return { ...(payment ? { payment } : {}), ...(refund ? { refund } : {}), unread }
}

const isThere = (given: unknown): boolean => given !== undefined && given !== null

function readPayment(given: unknown, unread: Unread[]): BilledPayment | undefined {
  const platform = at(given, 'order_mch', 'pay_platform')
  const part = read(BillPayment, given, platform as number | undefined)
  const out_trade_no = readNumber(at(given, 'order_content', 'out_trade_no'), ORDER_NUMBER_MAX)
  if (part.ok && out_trade_no !== undefined)
    return {
      ...part.value.order_content,
      out_trade_no,
      pay_platform: part.value.order_mch?.pay_platform,
      place: placeOf(given, 'order'),
    }
  unread.push({
    at: `receipt.order.${part.ok ? 'order_content.out_trade_no' : part.at}`,
    out_trade_no: out_trade_no ?? '',
  })
  return undefined
}

function readRefund(given: unknown, unread: Unread[]): BilledRefund | undefined {
  const platform = at(given, 'refund_order_mch', 'pay_platform')
  const part = read(BillRefund, given, platform as number | undefined)
  const out_trade_no = readNumber(at(given, 'refund_order_content', 'out_trade_no'), ORDER_NUMBER_MAX)
  const out_refund_no = readNumber(at(given, 'refund_order_content', 'out_refund_no'), REFUND_NUMBER_MAX)
  if (part.ok && out_trade_no !== undefined && out_refund_no !== undefined)
    return {
      ...part.value.refund_order_content,
      out_trade_no,
      out_refund_no,
      place: placeOf(given, 'refund_order'),
    }
  const missing = out_trade_no === undefined ? 'out_trade_no' : 'out_refund_no'
  unread.push({
    at: `receipt.refund_order.${part.ok ? `refund_order_content.${missing}` : part.at}`,
    out_trade_no: out_trade_no ?? '',
  })
  return undefined
}

/** Only compared with the tills that are configured, so whatever it is voids nothing. */
const placeOf = (given: unknown, kind: 'order' | 'refund_order'): Place => ({
  out_shop_id: at(given, `${kind}_mch`, 'out_shop_id'),
  device_id: at(given, 'order_client', 'device_id'),
  trade_type: at(given, `${kind}_content`, 'trade_type'),
})

const at = (node: unknown, ...names: string[]): unknown =>
  names.reduce<unknown>((one, name) => (one as Record<string, unknown> | null | undefined)?.[name], node)

const readNumber = (given: unknown, max: number): string | undefined =>
  typeof given === 'string' && given.length <= max && /^[!-~]+$/.test(given) ? given : undefined

/**
 * How many different ones there are, by kind and number: a page that shifted while it was read brings one twice and leaves
 * another out. An entry without any number counts as one of its own.
 */
export function countDifferent(entries: readonly ReadEntry[]): number {
  const named = entries.map(({ payment, refund }) =>
    [payment && `payment ${payment.out_trade_no}`, refund && `refund ${refund.out_refund_no}`]
      .filter((one) => one !== undefined)
      .join(),
  )
  return new Set(named.filter((name) => name !== '')).size + named.filter((name) => name === '').length
}
