import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { SANDBOX_SECRET } from '../../shared/base/people'

export const SANDBOX_DATA_KEY = `${SANDBOX_SECRET}data00`

/** What the functions read, for a sandbox at this address. Everything in it is published and works on loopback only. */
export const sandboxEnv = (
  baseUrl: string,
  databaseUrl: string,
  listenHost: string,
): Record<string, string> => ({
  CLOUD_PAY_BASE_URL: baseUrl,
  CLOUD_PAY_OUT_MCH_ID: SANDBOX_MERCHANT.out_mch_id,
  CLOUD_PAY_OUT_SUB_MCH_ID: SANDBOX_MERCHANT.out_sub_mch_id,
  CLOUD_PAY_OUT_SHOP_ID: SANDBOX_MERCHANT.out_shop_id,
  CLOUD_PAY_ORDER_PREFIX: SANDBOX_MERCHANT.order_prefix,
  CLOUD_PAY_AUTHEN_KEY: SANDBOX_MERCHANT.authen_key,
  CALLERS: 'open',
  // Nobody at a wallet has to be waited for.
  CLOSE_NOT_BEFORE: '0',
  GATEWAY_LISTEN_HOST: listenHost,
  DATABASE_URL: databaseUrl,
  // Seals what may not lie in the database in the clear: a payer's code.
  DATA_KEYS: JSON.stringify([{ name: 'd1', secret: SANDBOX_DATA_KEY }]),
})
