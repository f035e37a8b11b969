import { sameText } from '../base/compare'
import { Fault } from '../base/errors'
import { seal, unseal } from '../base/sealing'
import { nowS } from '../base/time'
import type { Order } from '../order/order'
import { isOpen, MICRO } from '../order/state'
import { moved, type OrderKey } from '../store/orders'
import type { Payments } from './context'
import { about } from './raise'
import { carryOut, readAgain } from './settle'

/**
 * micro_pay: the shop scans the payer's code. With the code money can be taken, so it lies sealed, apart from the text it
 * belongs to, and is gone as soon as nobody may send that text again.
 */
export const isMicro = ({ trade_type }: Pick<Order, 'trade_type'>): boolean => trade_type === MICRO

/** Stands in the stored text where the code goes. Nowhere else: a quote inside a JSON string has a backslash before it. */
const EMPTY = '"author_code":""'

const whose = ({ out_sub_mch_id, out_trade_no }: OrderKey): string =>
  `author_code ${out_sub_mch_id} ${out_trade_no}`

type Sealer = Pick<Payments, 'settings' | 'random'>

/** Throws the Fault `data_keys_missing`: nothing is written, nothing is asked. */
export function sealAuthorCode({ settings, random }: Sealer, order: OrderKey, code: string): string {
  if (settings.dataKeys.length === 0) throw new Fault('data_keys_missing')
  return seal(settings.dataKeys, code, whose(order), random)
}

function openAuthorCode({ settings }: Pick<Payments, 'settings'>, order: Order): string {
  try {
    return unseal(settings.dataKeys, order.author_code_sealed ?? '', whose(order)).reveal()
  } catch (cause) {
    // The key it was sealed with has been taken away: nothing can be sent, and the order is looked at all the same.
    throw new Fault('data_keys_missing', { cause })
  }
}

/** The exact text of the create, first time and every time. */
export function requestText(payments: Payments, order: Order): string {
  if (!isMicro(order)) return order.request_content
  return order.request_content.replace(EMPTY, `"author_code":"${openAuthorCode(payments, order)}"`)
}

/** Nobody may send it any more: it was answered, or its two minutes are over. */
export const isSpent = (order: Order): boolean => isMicro(order) && order.author_code_sealed === null

/** Another code is another payer's, and the stored text would take the first one's money. */
export const isOtherCode = (payments: Payments, order: Order, code: string | undefined): boolean =>
  isMicro(order) && !isSpent(order) && !sameText(openAuthorCode(payments, order), code ?? '')

const ATTEMPTS = 6

/**
 * After two minutes without a decision the code is wiped and a person is told; the order is looked at as before, and
 * nobody closes it. Returns the order as committed.
 */
export async function leaveUndecided<O extends Order>(payments: Payments, order: O): Promise<O> {
  let current = order
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const at = nowS(payments.clock)
    const done = current.flag !== null && isSpent(current)
    if (!isMicro(current) || !isOpen(current.state) || at < current.time_expire || done) return current
    const flag = current.flag === null ? { flag: 'unresolved' as const } : {}
    const change = { author_code_sealed: null, ...flag }
    const detail = { reason: 'undecided_after_two_minutes' }
    const anomalies = [about(current, 'order_unresolved', { state: current.state, ...detail })]
    if ((await carryOut(payments, current, { change, kind: 'anomaly', detail, anomalies }, at)) === 'done')
      return moved(current, change)
    current = await readAgain(payments, current)
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for an order') })
}
