import { SANDBOX_SECRET } from '../../shared/base/people'
import type { Logins } from './logins'

/** Everything is published, and refused wherever Cloud Pay is not on this machine. */
export const SANDBOX_KEYS = {
  deployment: 'sandbox',
  session: { name: 's1', secret: `${SANDBOX_SECRET}session` },
  /** Everything but `admin`, as a shop's server would have it. */
  server: {
    name: 'server',
    secret: `${SANDBOX_SECRET}server`,
    scopes: ['create', 'read', 'close', 'refund'],
  },
  /** For a program that only looks. */
  reader: { name: 'reader', secret: `${SANDBOX_SECRET}reader`, scopes: ['read'] },
  admin: { name: 'admin', secret: `${SANDBOX_SECRET}admin0`, scopes: ['admin'] },
  /** For a person at the order board: looks, refunds, resolves anomalies; orders and closes nothing. */
  operator: { name: 'operator', secret: `${SANDBOX_SECRET}person`, scopes: ['read', 'refund', 'admin'] },
  quote: { name: 'q1', iss: 'sandbox-shop', alg: 'HS256', secret: `${SANDBOX_SECRET}quotes` },
} as const

/** What the functions read in place of CALLERS=open: payers log in, the merchant's server signs. */
export const peopleEnv = (origin: string, logins: Logins): Record<string, string> => ({
  CLOUD_PAY_APPS: JSON.stringify(
    logins.apps.map((app) =>
      app.kind === 'alipay' ? { ...app, alipay_public_key: logins.alipayPublicKey() } : app,
    ),
  ),
  SESSION_KEYS: JSON.stringify([SANDBOX_KEYS.session]),
  MERCHANT_KEYS: JSON.stringify(
    (['server', 'reader', 'admin', 'operator'] as const).map((name) => SANDBOX_KEYS[name]),
  ),
  QUOTE_KEYS: JSON.stringify([SANDBOX_KEYS.quote]),
  PAYER_PRICES: 'quote,catalogue',
  DEPLOYMENT_NAME: SANDBOX_KEYS.deployment,
  WECHAT_API_URL: `${origin}/wechat/`,
  ALIPAY_GATEWAY_URL: `${origin}/alipay/gateway.do`,
})
