import type { Merchant } from '../base/config'
import type { Log } from '../base/log'
import type { Random } from '../base/random'
import type { Clock, Deadline } from '../base/time'
import type { CloudPay } from '../cloudpay/client'
import type { AuthenKey } from '../cloudpay/signing'
import type { Store } from '../store/open'

/** What a verb needs of the world. The whole App satisfies it; a test hands over what it likes. */
export type Payments = {
  merchant: Merchant
  authenKey: AuthenKey
  store: Store
  cloudPay: CloudPay
  clock: Clock
  random: Random
  log: Log
  settings: {
    orderLifeS: number
    spbillCreateIp: string
    cloudPayTimeoutMs: number
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
