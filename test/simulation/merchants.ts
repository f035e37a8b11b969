import { SANDBOX_MERCHANT } from '../../shared/base/config'
import type { SandboxMerchant } from '../../local/sandbox/sandbox'

/** The sub-merchants there are at the simulated Cloud Pay. Whose a number is, its prefix says. */
export const FIRST: SandboxMerchant = SANDBOX_MERCHANT

/** Served as well in some runs. */
export const OTHER: SandboxMerchant = {
  ...SANDBOX_MERCHANT,
  out_sub_mch_id: 'sandboxsub0000000002',
  out_shop_id: 'sandboxshop000000003',
  order_prefix: 'sb02',
  authen_key: 'sandbox0authen0key0of0the0second',
}

/** Of the same Cloud Pay and never served: its notifications are genuine and not for us. */
export const STRANGER: SandboxMerchant = {
  ...SANDBOX_MERCHANT,
  out_sub_mch_id: 'sandboxsub0000000009',
  order_prefix: 'sb09',
  authen_key: 'sandbox0authen0key0of0a0stranger',
}

export const merchantOf = (number: string): SandboxMerchant =>
  number.startsWith(OTHER.order_prefix) ? OTHER : FIRST

/** Whose a message is that names one of them. */
export const merchantIn = (message: Buffer): SandboxMerchant =>
  message.includes(OTHER.out_sub_mch_id) ? OTHER : FIRST

export const neighbourOf = (merchant: SandboxMerchant): SandboxMerchant =>
  merchant === OTHER ? FIRST : OTHER
