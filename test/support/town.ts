import { createHash, createHmac, randomBytes } from 'node:crypto'
import { createLogins, SANDBOX_APPS, type Logins } from '../../local/sandbox/logins'
import { peopleEnv, SANDBOX_KEYS } from '../../local/sandbox/people'
import { createShippings, type Shippings } from '../../local/sandbox/shipping'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { systemRandom } from '../../shared/base/random'
import { NetFault } from '../../shared/net/post'
import { openShop, type Shop, type ShopOptions } from './shop'
import { testClock, type Answer, type CallOptions } from './world'

/**
 * The shop with its doors as they are deployed: payers log in, the merchant's servers sign. Signing and quoting are
 * written here anew, from their descriptions, so that a mistake of ours cannot agree with itself.
 */
export type Town = Shop & {
  logins: Logins
  shippings: Shippings
  login(kind: keyof typeof SANDBOX_APPS, payer_id?: string): Promise<Visitor>
  /** A call of the merchant's server. */
  signed(key: KeyName, method: string, path: string, options?: CallOptions): Promise<Answer>
  quote(claims?: Record<string, unknown>, change?: QuoteChange): string
  /** Something to sell, in the catalogue. */
  sell(sku: string, total_fee: number, more?: { quantity_max?: number; active?: number }): Promise<void>
}

export type KeyName = 'server' | 'reader' | 'admin'
export type Visitor = {
  token: string
  secret: string
  headers: Record<string, string>
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
}
export type QuoteChange = { header?: Record<string, unknown>; secret?: string; hash?: 'sha256' | 'sha512' }

export const freshSecret = (): string => randomBytes(32).toString('base64url')

/** Headers for a request, as the merchant's server makes them. */
export function signHeaders(
  key: { name: string; secret: string },
  request: {
    method: string
    path: string
    query?: Record<string, string>
    body: string
    idempotencyKey?: string
  },
  at: { timestamp: string; nonce: string },
): Record<string, string> {
  const query = Object.entries(request.query ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join('&')
  const text = `v1
${key.name}
${request.method}
${request.path}
${query}
${at.timestamp}
${at.nonce}
${request.idempotencyKey ?? ''}
${createHash('sha256').update(request.body).digest('hex')}`
  return {
    'x-pay-key': key.name,
    'x-pay-timestamp': at.timestamp,
    'x-pay-nonce': at.nonce,
    'x-pay-signature': `v1=${createHmac('sha256', key.secret).update(text).digest('hex')}`,
  }
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

let quotes = 0

export async function openTown(options: ShopOptions = {}): Promise<Town> {
  const clock = testClock()
  let now = () => clock.nowMs()
  const logins = createLogins({ clock: { ...clock, nowMs: () => now() }, random: systemRandom })
  // Knows what was paid, so it comes after the shop.
  const late: { shippings?: Shippings } = {}
  const { env, overrides, ...rest } = options
  const shop = await openShop({
    ...rest,
    env: { CALLERS: '', ...peopleEnv('http://127.0.0.1:1', logins), ...env },
    overrides: {
      ask: async ({ method, url, body }) => {
        const asked = { method, url: new URL(url), body: body ?? Buffer.alloc(0) }
        const reply = logins.handle(asked) ?? late.shippings?.handle(asked)
        if (reply?.lost) throw new NetFault('connection')
        return { status: reply?.status ?? 404, body: Buffer.from(reply?.body ?? '') }
      },
      ...overrides,
    },
  })
  now = () => shop.clock.nowMs()
  const shippings = (late.shippings = createShippings({
    clock: shop.clock,
    random: systemRandom,
    apps: logins.apps,
    orders: shop.sandbox.orders,
  }))

  return {
    ...shop,
    logins,
    shippings,
    async login(kind, payer_id) {
      const secret = freshSecret()
      const app_id = SANDBOX_APPS[kind]
      let state: { state?: string } = {}
      if (kind !== 'mini_program') {
        const secret_hash = createHash('sha256').update(Buffer.from(secret, 'base64url')).digest('base64url')
        const begun = await shop.call('POST', '/session/state', { body: { app_id, secret_hash } })
        state = { state: begun.body.state as string }
      }
      const body = { app_id, code: logins.codeFor(app_id, payer_id), secret, ...state }
      const answer = await shop.call('POST', '/session', { body })
      if (answer.statusCode !== 201) throw new Error(`not logged in: ${JSON.stringify(answer.body)}`)
      const token = answer.body.token as string
      const headers = { authorization: `Bearer ${token}`, 'x-session-secret': secret }
      return {
        token,
        secret,
        headers,
        call: (method, path, more = {}) =>
          shop.call(method, path, { ...more, headers: { ...headers, ...more.headers } }),
      }
    },
    signed(key, method, path, more = {}) {
      const body = more.body === undefined ? '' : JSON.stringify(more.body)
      const idempotencyKey = more.headers?.['idempotency-key'] ?? ''
      const at = { timestamp: String(shop.nowS()), nonce: randomBytes(16).toString('hex') }
      const request = { method, path, query: more.query ?? {}, body, idempotencyKey }
      const headers = signHeaders(SANDBOX_KEYS[key], request, at)
      return shop.call(method, path, { ...more, body, headers: { ...headers, ...more.headers } })
    },
    quote(claims = {}, { header = {}, secret = SANDBOX_KEYS.quote.secret, hash = 'sha256' } = {}) {
      const head = part({ alg: 'HS256', kid: SANDBOX_KEYS.quote.name, typ: 'quote+jwt', ...header })
      const payload = part({
        iss: SANDBOX_KEYS.quote.iss,
        aud: [SANDBOX_KEYS.deployment, SANDBOX_MERCHANT.out_sub_mch_id],
        sub: 'oSandboxMiniPayer0001',
        jti: `quote-${process.pid}-${++quotes}`,
        exp: shop.nowS() + 600,
        total_fee: 1880,
        fee_type: 'CNY',
        body: '湖心奶茶-大杯',
        merchant_order_id: `cart-${process.pid}-${quotes}`,
        ...claims,
      })
      const mac = createHmac(hash, secret).update(`${head}.${payload}`).digest('base64url')
      return `${head}.${payload}.${mac}`
    },
    async sell(sku, total_fee, { quantity_max = 1, active = 1 } = {}) {
      const { out_sub_mch_id } = SANDBOX_MERCHANT
      await shop.store.db
        .insertInto('catalogue')
        .values({ out_sub_mch_id, sku, body: `商品 ${sku}`, total_fee, quantity_max, active })
        .execute()
    },
  }
}
