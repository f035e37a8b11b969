import { createHash, createHmac } from 'node:crypto'
import { SANDBOX_KEYS } from '../../local/sandbox/people'
import { createShippings, type Shippings } from '../../local/sandbox/shipping'
import { hashSecret, openSessions } from '../../shared/access/session'
import type { Dice } from './dice'
import { FIRST } from './merchants'
import type { Person, Purchase } from './people'
import type { World } from './world'

/**
 * The doors as they are deployed: payers come with their session and pay what the catalogue says, the shop's server signs,
 * and WeChat is told how a paid order ships. Beside them somebody tries what nobody may.
 */
const APP = {
  app_id: 'wxsandboxmini0001',
  kind: 'mini_program',
  id_field: 'sub_open_id',
  secret: 'sandbox0app0secret0of0a0mini0program',
} as const
const PAYER = 'oTestPayer0001'
const SOMEBODY_ELSE = 'oTestPayer0002'

export const CLOSED_ENV: Record<string, string> = {
  CALLERS: '',
  SESSION_KEYS: JSON.stringify([SANDBOX_KEYS.session]),
  MERCHANT_KEYS: JSON.stringify([SANDBOX_KEYS.server]),
  CLOUD_PAY_APPS: JSON.stringify([{ ...APP, shipping: { logistics_type: 4, item_desc: 'body' } }]),
  PAYER_PRICES: 'catalogue',
  WECHAT_API_URL: 'http://127.0.0.1:1/wechat/',
}

export const CLOSED = [
  'a payer orders at the price of the catalogue',
  'a price changes while it is asked for',
  "the shop's server orders",
  'what nobody may is refused',
  'WeChat is told of the shipping',
] as const

/** A request as the doors get it. */
export type Request = {
  httpMethod: string
  path: string
  queryString?: Record<string, string>
  headers?: Record<string, string>
  body?: string
}

export type Closed = {
  /** Who orders: a payer, or the shop's server, which then does everything. */
  readonly who: 'payer' | 'server'
  readonly shippings: Shippings
  /** What an order may cost: the prices there were, so many times. */
  readonly fees: ReadonlySet<number>
  readonly quantity: number
  /** The credential of whoever may do this. */
  headersFor(request: Request): Record<string, string>
  sessionOf(payer_id: string): { authorization: string; 'x-session-secret': string }
  signed(request: Request, nonce?: string): Record<string, string>
}

const PRICES = [120, 130] as const

export function closeDoors(world: World): Closed {
  const { dice, scheduler, config } = world
  const { people } = config
  const sessions = openSessions(people.sessionKeys, people.apps)
  const quantity = dice.between(1, 3)
  const article = [FIRST.out_sub_mch_id, 'tea', '湖心奶茶', PRICES[0], 10, 1]
  world.server.run(
    'INSERT INTO catalogue (out_sub_mch_id, sku, body, total_fee, quantity_max, active) VALUES (?, ?, ?, ?, ?, ?)',
    article,
  )
  const who = dice.chance(0.7) ? 'payer' : 'server'
  world.coverage.count('scene', who === 'payer' ? CLOSED[0] : CLOSED[2])

  const sessionOf = (payer_id: string) => {
    const secret = createHash('sha256').update(payer_id).digest('base64url')
    // Begun a while ago: an instance whose watch is behind would take it for one of the future.
    const nowS = Math.floor(scheduler.nowMs / 1000) - 600
    const random = (count: number) => dice.bytes(count)
    const begun = { nowS, lifeS: 7200, random }
    const { token } = sessions.issue(people.apps[0]!, payer_id, hashSecret(secret), begun)
    return { authorization: `Bearer ${token}`, 'x-session-secret': secret }
  }

  /** As the documents say it, without the code that checks it. */
  const signed = (request: Request, nonce = dice.bytes(16).toString('hex')) => {
    const { httpMethod, path, queryString = {}, body = '', headers = {} } = request
    const { name, secret } = SANDBOX_KEYS.server
    const timestamp = String(Math.floor(scheduler.nowMs / 1000))
    const query = Object.entries(queryString)
      .map((pair) => pair.map(encodeURIComponent).join('='))
      .sort()
      .join('&')
    const hash = createHash('sha256').update(body).digest('hex')
    const key = headers['idempotency-key'] ?? ''
    const text = ['v1', name, httpMethod, path, query, timestamp, nonce, key, hash].join('\n')
    return {
      'x-pay-key': name,
      'x-pay-timestamp': timestamp,
      'x-pay-nonce': nonce,
      'x-pay-signature': `v1=${createHmac('sha256', secret).update(text).digest('hex')}`,
    }
  }

  return {
    who,
    quantity,
    fees: new Set(PRICES.map((price) => price * quantity)),
    shippings: createShippings({
      clock: { nowMs: () => scheduler.nowMs, sleep: async () => undefined },
      random: (count) => dice.bytes(count),
      apps: [APP],
      orders: world.sandbox.orders,
    }),
    sessionOf,
    signed,
    headersFor(request) {
      if (request.path === '/notify') return {}
      // Money goes back on the word of the shop alone.
      return who === 'server' || /\/refunds$/.test(request.path) ? signed(request) : sessionOf(PAYER)
    },
  }
}

const AGAIN = new Set([0, 401, 409, 429, 500, 503, 504])

/** A payer's page: the number is ours to make, and the page learns it from an answer. */
export async function orderFromCatalogue(
  { world, instances, pause }: Parameters<Person>[0],
  closed: Closed,
): Promise<string | undefined> {
  const { dice } = world
  let number: string | undefined
  const ask = async () => {
    const { statusCode, body } = await instances.call('createOrder', undefined, {
      httpMethod: 'POST',
      path: '/orders',
      headers: { 'idempotency-key': `key${world.options.seed}` },
      body: JSON.stringify({ sku: 'tea', quantity: closed.quantity }),
    })
    number ??= (body as { out_trade_no?: string } | undefined)?.out_trade_no
    return statusCode
  }
  for (let attempt = 0; attempt < 5; attempt++) {
    const [statusCode] = await Promise.all(dice.chance(0.3) ? [ask(), ask()] : [ask()])
    if (!AGAIN.has(statusCode)) break
    await pause(dice.between(50, dice.chance(0.1) ? 120_000 : 8000))
  }
  // Somebody else in the shop has seen it, when the page never heard of it.
  return number ?? [...world.sandbox.orders.keys()][0]
}

/** The shop changes a price. */
export const repricer: Person = async ({ world, pause }) => {
  await pause(world.dice.between(0, 6000))
  world.server.run('UPDATE catalogue SET total_fee = ?', [PRICES[1]])
  world.coverage.count('scene', CLOSED[1])
}

/** Tries what nobody may, with credentials of its own, stolen halves and altered ones. */
export const forger: Person = async ({ world, instances, purchase, pause }) => {
  const { dice } = world
  const closed = world.closed!
  const { number } = purchase
  const read = { httpMethod: 'GET', path: `/orders/${number}` }
  const close = { httpMethod: 'POST', path: `/orders/${number}/close` }
  const refund = {
    httpMethod: 'POST',
    path: `/orders/${number}/refunds`,
    body: JSON.stringify({ refund_fee: 1, out_refund_no: `${number}x` }),
  }
  const order = (more: object) => ({ httpMethod: 'POST', path: '/orders', body: JSON.stringify(more) })
  const [own, other] = [closed.sessionOf(PAYER), closed.sessionOf(SOMEBODY_ELSE)]
  const key = { 'idempotency-key': `forged${dice.below(1000)}` }
  const content = (more: object) => ({ sku: 'tea', quantity: 1, ...more })
  const attempts: Record<string, () => Request> = {
    "reads another's order": () => ({ ...read, headers: other }),
    "closes another's order": () => ({ ...close, headers: other }),
    'refunds as a payer': () => ({ ...refund, headers: own }),
    'names a price': () => ({
      ...order(content({ pay_content: { total_fee: 1 } })),
      headers: { ...own, ...key },
    }),
    'names another payer': () => ({
      ...order(content({ pay_mch_key: { wxpay_pay_mch_key_ext: { sub_open_id: SOMEBODY_ELSE } } })),
      headers: { ...own, ...key },
    }),
    'orders what is not sold': () => ({ ...order({ sku: 'gold' }), headers: { ...own, ...key } }),
    'has half of a session': () => ({ ...read, headers: { authorization: own.authorization } }),
    "has another's half": () => ({
      ...read,
      headers: { ...own, 'x-session-secret': other['x-session-secret'] },
    }),
    'alters a token': () => ({
      ...read,
      headers: { ...own, authorization: altered(dice, own.authorization) },
    }),
    'signs for another path': () => ({ ...refund, headers: closed.signed(read) }),
    'signs for another body': () => ({ ...refund, headers: closed.signed({ ...refund, body: '{}' }) }),
    'says both': () => ({ ...read, headers: { ...own, ...closed.signed(read) } }),
  }
  for (let turn = dice.between(3, 8); turn > 0; turn--) {
    await pause(dice.between(0, 20_000))
    const name = dice.pick(Object.keys(attempts))
    const request = attempts[name]!()
    const { statusCode } = await instances.call('forged', undefined, request)
    if (statusCode >= 200 && statusCode < 300) world.broken.push(`somebody ${name}, and is let in`)
    else if (statusCode >= 400 && statusCode < 500) world.coverage.count('scene', CLOSED[3])
  }
  // The same signed request once more.
  const again = { ...read, headers: closed.signed(read) }
  const first = await instances.call('forged', undefined, again)
  if (first.statusCode !== 200) return
  const second = await instances.call('forged', undefined, again)
  // What a lost database has forgotten, it takes again.
  if (second.statusCode === 200 && !world.forgot) world.broken.push('a signed request is taken twice')
}

/** One character is another; the last one of a signature may be the same bits. */
function altered(dice: Dice, token: string): string {
  const at = dice.between('Bearer '.length, token.length - 2)
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
}

/** What it costs is known when it is ordered. */
export const closedPurchase = (number: string, fee: number, refundFees: readonly number[]): Purchase => ({
  number,
  fee,
  wechat: true,
  refundFees,
  body: '',
})
