import type * as v from 'valibot'
import type { LatePayment, Merchant, Till } from '../base/config'
import { Fault } from '../base/errors'
import type { NamedKey } from '../base/entries'
import type { Log } from '../base/log'
import type { PayerTag } from '../base/payerTag'
import type { Limits, PriceWay, QuoteKey } from '../base/people'
import type { Random } from '../base/random'
import type { ShippingRule } from '../base/shipping'
import type { Clock, Deadline } from '../base/time'
import type { Answer, CallOptions, CloudPay } from '../cloudpay/client'
import { TERMINAL_TYPE } from '../cloudpay/enums'
import type { Interface } from '../cloudpay/schema'
import { authenKey, type AuthenKey } from '../cloudpay/signing'
import type { Order } from '../order/order'
import type { Store } from '../store/open'

/** What a verb needs of the world. The whole App satisfies it; a test hands over what it likes. */
export type Payments = {
  merchants: Merchants
  store: Store
  cloudPay: CloudPay
  clock: Clock
  random: Random
  log: Log
  /**
   * The same with the sub-merchants as they are now, or nothing when they are these. For whoever was opened without
   * asking the database, once there is something good in hand. Throws the Fault `database_unavailable`.
   */
  newer: () => Promise<Payments | undefined>
  /** The same for a stranger, who names a sub-merchant that is not among `merchants`: asked now and then. */
  renewed: (out_sub_mch_id: string) => Promise<Payments | undefined>
  /** Is told after every call about an order whether an answer came that can be used. */
  heard?: (out_sub_mch_id: string, isAnswer: boolean) => void
  /** How a line of the log names a payer. */
  payerTag: PayerTag
  settings: {
    orderLifeS: number
    spbillCreateIp: string
    cloudPayTimeoutMs: number
    callerNotifyUrl: string | undefined
    closeNotBeforeS: number
    latePayment: LatePayment
    refundCeilings: { hourFen: number; dayFen: number }
    perMinute: number
    /** Cash registers of the same sub-merchants, whose payments are none of ours. */
    otherTills: readonly Till[]
    /** How long texts and payer ids are kept of an order that is over. */
    retentionDays: number
    prices: {
      /** The open door of one machine: payers name their price. */
      free: boolean
      ways: readonly PriceWay[]
      quoteKeys: readonly QuoteKey[]
      deployment: string
    }
    limits: Limits
    /** Open what lies sealed in the database; the first seals what is new. */
    dataKeys: readonly NamedKey[]
    /** The mini-programs whose shipping WeChat is told of; none: nobody's. */
    shipping: readonly (ShippingRule & { out_sub_mch_id: string; app_id: string })[]
  }
}

export type KnownMerchant = Merchant & { key: AuthenKey }

/** Every sub-merchant this deployment serves, in memory: who is not here is refused without asking the database. */
export type Merchants = {
  /** Whose an order is when it names nobody. */
  first: KnownMerchant
  all: readonly KnownMerchant[]
  find(out_sub_mch_id: string): KnownMerchant | undefined
  /** By the prefix: the configuration sees to it that no prefix begins another. */
  ofNumber(number: string): KnownMerchant | undefined
}

export function knownMerchants(merchants: readonly [Merchant, ...Merchant[]]): Merchants {
  const all = merchants.map((merchant) => ({
    ...merchant,
    key: authenKey(merchant.authen_key, merchant.authen_key_also_accepted),
  }))
  const byId = new Map(all.map((merchant) => [merchant.out_sub_mch_id, merchant]))
  return {
    first: all[0]!,
    all,
    find: (out_sub_mch_id) => byId.get(out_sub_mch_id),
    ofNumber: (number) => all.find(({ order_prefix }) => number.startsWith(order_prefix)),
  }
}

/** The key of a row's sub-merchant. One that is not configured any more is a fault of the configuration. */
export function keyOf({ merchants }: Payments, { out_sub_mch_id }: Pick<Order, 'out_sub_mch_id'>): AuthenKey {
  const merchant = merchants.find(out_sub_mch_id)
  if (!merchant) throw new Fault('configuration', { cause: new Error('the sub-merchant is not configured') })
  return merchant.key
}

/**
 * One call about an order, signed with its sub-merchant's key. Each member of the answer that decides nothing and could not
 * be read is a line of the log: a change of theirs that costs us nothing yet.
 */
export async function askCloudPay<I extends Interface>(
  payments: Payments,
  order: Pick<Order, 'out_sub_mch_id' | 'out_trade_no' | 'pay_platform'>,
  iface: I,
  requestContent: string,
  options: Pick<CallOptions, 'timeoutMs' | 'beforeSend'>,
): Promise<Answer<v.InferOutput<I['answer']>>> {
  const { out_trade_no, pay_platform: platform } = order
  const key = keyOf(payments, order)
  const answer = await payments.cloudPay.call(iface, requestContent, { ...options, key, platform })
  logMisfits(payments.log, iface.suffix, out_trade_no, answer)
  payments.heard?.(order.out_sub_mch_id, answer.outcome !== 'unknown')
  return answer
}

/** A list of many would fill the log with one and the same fault. */
const MISFITS_LOGGED = 10

export function logMisfits(
  log: Log,
  suffix: string,
  out_trade_no: string,
  { misfits = [], logId }: Pick<Answer<unknown>, 'misfits' | 'logId'>,
): void {
  for (const at of misfits.slice(0, MISFITS_LOGGED)) {
    log({
      event: 'answer.misfit',
      count: 'answer.misfit',
      level: 'warn',
      interface: suffix,
      out_trade_no,
      at,
      ...(logId === undefined ? {} : { log_id: logId }),
    })
  }
}

/** After the answer of Cloud Pay there must be time to write it down and to answer. */
export const SETTLE_RESERVE_MS = 1500
/** Asking with less than this is asking for an unknown. */
export const ASK_MIN_MS = 1000

/** How long a call to Cloud Pay may take now, or nothing when there is too little left to begin. */
export function callBudgetMs(settings: Payments['settings'], deadline: Deadline): number | undefined {
  const ms = Math.min(settings.cloudPayTimeoutMs, deadline.remainingMs() - SETTLE_RESERVE_MS)
  return ms >= ASK_MIN_MS ? ms : undefined
}

/** Our name towards Cloud Pay, `sdk_version` S10. */
export const SDK_VERSION = 'scf-ts0.1'

/** `pay_mch_key` and `order_client` of every request about an order there is. */
export const aboutOrder = (
  payments: Payments,
  order: Pick<Order, 'pay_platform' | 'out_mch_id' | 'out_sub_mch_id' | 'out_shop_id'>,
) => ({
  pay_mch_key: {
    pay_platform: order.pay_platform as 1 | 2,
    out_mch_id: order.out_mch_id,
    out_sub_mch_id: order.out_sub_mch_id,
    out_shop_id: order.out_shop_id,
  },
  order_client: {
    terminal_type: TERMINAL_TYPE.other,
    sdk_version: SDK_VERSION,
    spbill_create_ip: payments.settings.spbillCreateIp,
  },
})
