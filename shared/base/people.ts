import { APP_KINDS, SCOPES, type AppKind, type PayerField, type Scope } from './caller'
import {
  KEY_NAME,
  KEY_SECRET,
  readEntries,
  readNamedKeys,
  refuseTwice,
  type Entry,
  type FaultSink,
  type NamedKey,
} from './entries'
import type { NumberName } from './numbers'
import { Secret } from './secrets'
import { readShipping, type ShippingRule } from './shipping'

/** A mini-program, official account or Alipay app whose payers may log in. */
export type PayerApp = {
  out_sub_mch_id: string
  app_id: string
  kind: AppKind
  id_field: PayerField
  /** WeChat's app secret, or the private key of an Alipay app. */
  secret: Secret
  /** Alipay's own key: what its answers are signed with. */
  alipay_public_key: string | undefined
  /** A code that comes with a redirect must come with the `state` this browser was given. */
  needs_state: boolean
  /** Of a sub-merchant that is disabled: who has logged in may see their orders, nobody logs in any more. */
  disabled?: boolean
  /** How its orders ship, for WeChat to be told; left out: it is not. */
  shipping?: ShippingRule | undefined
}

/** A key of the merchant's server. Several are valid at once. */
export type MerchantKey = { name: string; out_sub_mch_id: string; secret: Secret; scopes: readonly Scope[] }

export const QUOTE_ALGORITHMS = ['HS256', 'ES256', 'EdDSA'] as const
/** Whose quotes are taken: one algorithm for each key, so that a token cannot choose another. */
export type QuoteKey = {
  name: string
  iss: string
  out_sub_mch_id: string
  alg: (typeof QUOTE_ALGORITHMS)[number]
  /** The shared secret, or the public key as JWK text. */
  key: Secret
}

export const PRICE_WAYS = ['quote', 'catalogue'] as const
export type PriceWay = (typeof PRICE_WAYS)[number]

export type People = {
  apps: readonly PayerApp[]
  merchantKeys: readonly MerchantKey[]
  sessionKeys: readonly NamedKey[]
  sessionLifeS: number
  wechatApiUrl: string
  alipayGatewayUrl: string
  /** How payers may come to a price. */
  priceWays: readonly PriceWay[]
  quoteKeys: readonly QuoteKey[]
  /** What a quote's `aud` calls this deployment. */
  deployment: string
  limits: Limits
}

/** All of them are held in the database. */
export type Limits = {
  /** Per payer: orders that may still be paid, at one time. */
  payerOpen: number
  payerPerMinute: number
  payerPerDay: number
  /** Questions to Cloud Pay that a payer causes: refreshes, closes, new attempts. */
  payerLooksPerMinute: number
  payerRefundsPerDay: number
  /** Per sub-merchant. Payers together use at most three quarters: the rest is for its server, whatever they do. */
  merchantPerMinute: number
  merchantLooksPerMinute: number
  merchantRefundsPerDay: number
  /** The largest single order. */
  orderMaxFen: number
  /** Logins into one app, before anybody is asked. */
  loginsPerAddress: number
  loginsPerMinute: number
}

/** What the sandbox publishes starts like this, and is refused wherever Cloud Pay is not loopback. */
export const SANDBOX_SECRET = 'sandbox0people0not0a0secret'

type Env = Record<string, string | undefined>
type Whole = (name: NumberName) => number
type MerchantIds = { out_sub_mch_id: string }

const ISSUER = /^[!-~]{1,64}$/
const APP_ID = /^[0-9A-Za-z]{1,32}$/
const ID_FIELDS: Record<AppKind, readonly PayerField[]> = {
  // trade_type 9 knows no other.
  mini_program: ['sub_open_id'],
  official_account: ['open_id', 'sub_open_id'],
  alipay: ['user_id'],
}

/** Who may call and what may be charged. */
export function readPeople(
  env: Env,
  merchants: readonly [MerchantIds, ...MerchantIds[]],
  loopback: boolean,
  whole: Whole,
  fault: FaultSink,
): People {
  const entries = (name: string) => readEntries(env[name], name, fault)
  /** The first sub-merchant, unless the entry names another one that is configured. */
  const merchantOf = (entry: Entry): string => {
    const id = entry.optional('out_sub_mch_id') ?? merchants[0].out_sub_mch_id
    const known = merchants.find(({ out_sub_mch_id }) => out_sub_mch_id === id)
    if (!known) entry.refuse('out_sub_mch_id')
    return known?.out_sub_mch_id ?? ''
  }

  const apps = readApps(entries('CLOUD_PAY_APPS'), merchantOf)
  const merchantKeys = readMerchantKeys(entries('MERCHANT_KEYS'), merchantOf)
  const sessionKeys = readNamedKeys(env['SESSION_KEYS'], 'SESSION_KEYS', fault)
  if (apps.length > 0 && sessionKeys.length === 0)
    fault('SESSION_KEYS', 'is missing: the payers of CLOUD_PAY_APPS could not log in')

  const priceWays = (env['PAYER_PRICES'] || '').split(',').filter((way) => way !== '')
  if (priceWays.some((way) => !(PRICE_WAYS as readonly string[]).includes(way)))
    fault('PAYER_PRICES', 'must be quote, catalogue or quote,catalogue')

  const quoteKeys = readQuoteKeys(entries('QUOTE_KEYS'), merchantOf)
  refuseRepeats({ apps, merchantKeys, quoteKeys }, ENV_LISTS, fault)
  const deployment = env['DEPLOYMENT_NAME'] || ''
  if (priceWays.includes('quote')) {
    if (quoteKeys.length === 0 && !env['DATA_KEYS'])
      fault('QUOTE_KEYS', 'is missing: PAYER_PRICES says that quotes are taken')
    if (!ISSUER.test(deployment))
      fault('DEPLOYMENT_NAME', 'must be 1 to 64 visible characters: the aud of quotes')
  }

  if (!loopback) {
    refusePublished({ merchantKeys, quoteKeys }, ENV_LISTS, fault)
    if (sessionKeys.some(({ secret }) => isPublished(secret))) fault('SESSION_KEYS', PUBLISHED)
  }

  return {
    apps,
    merchantKeys,
    sessionKeys,
    sessionLifeS: whole('SESSION_LIFE_SECONDS'),
    wechatApiUrl: readEndpoint(env, 'WECHAT_API_URL', 'https://api.weixin.qq.com/', loopback, fault),
    alipayGatewayUrl: readEndpoint(
      env,
      'ALIPAY_GATEWAY_URL',
      'https://openapi.alipay.com/gateway.do',
      loopback,
      fault,
    ),
    priceWays: PRICE_WAYS.filter((way) => priceWays.includes(way)),
    quoteKeys,
    deployment,
    limits: {
      payerOpen: whole('PAYER_OPEN_ORDERS_MAX'),
      payerPerMinute: whole('PAYER_ORDERS_PER_MINUTE'),
      payerPerDay: whole('PAYER_ORDERS_PER_DAY'),
      payerLooksPerMinute: whole('PAYER_LOOKS_PER_MINUTE'),
      payerRefundsPerDay: whole('PAYER_REFUNDS_PER_DAY'),
      merchantPerMinute: whole('MERCHANT_ORDERS_PER_MINUTE'),
      merchantLooksPerMinute: whole('MERCHANT_LOOKS_PER_MINUTE'),
      merchantRefundsPerDay: whole('MERCHANT_REFUNDS_PER_DAY'),
      orderMaxFen: whole('ORDER_MAX_FEN'),
      loginsPerAddress: whole('LOGINS_PER_ADDRESS'),
      loginsPerMinute: whole('LOGINS_PER_MINUTE'),
    },
  }
}

/** What a sub-merchant may bring of its own, wherever it is written down. */
export type Lists = Pick<People, 'apps' | 'merchantKeys' | 'quoteKeys'>
/** How each of them is called where it was read. */
export type ListNames = Record<keyof Lists, string>
const ENV_LISTS: ListNames = {
  apps: 'CLOUD_PAY_APPS',
  merchantKeys: 'MERCHANT_KEYS',
  quoteKeys: 'QUOTE_KEYS',
}

type MerchantOf = (entry: Entry) => string

export const readApps = (entries: readonly Entry[], merchantOf: MerchantOf): PayerApp[] =>
  entries.map((entry) => {
    const kind = entry.oneOf('kind', APP_KINDS)
    const alipay = kind === 'alipay'
    return {
      out_sub_mch_id: merchantOf(entry),
      app_id: entry.text('app_id', APP_ID),
      kind,
      id_field: entry.oneOf('id_field', ID_FIELDS[kind]),
      secret: new Secret(entry.text('secret', alipay ? /^[^]{1,8000}$/ : /^[!-~]{16,64}$/)),
      alipay_public_key: alipay ? entry.text('alipay_public_key', /^[^]{1,2000}$/) : undefined,
      needs_state: kind !== 'mini_program' && entry.optional('state') !== false,
      shipping: readShipping(entry, kind === 'mini_program'),
    }
  })

export const readMerchantKeys = (entries: readonly Entry[], merchantOf: MerchantOf): MerchantKey[] =>
  entries.map((entry) => {
    const scopes = entry.optional('scopes')
    const known = Array.isArray(scopes) ? SCOPES.filter((scope) => scopes.includes(scope)) : []
    if (!Array.isArray(scopes) || known.length === 0 || known.length !== scopes.length) entry.refuse('scopes')
    return {
      name: entry.text('name', KEY_NAME),
      out_sub_mch_id: merchantOf(entry),
      secret: new Secret(entry.text('secret', KEY_SECRET)),
      scopes: known,
    }
  })

export const readQuoteKeys = (entries: readonly Entry[], merchantOf: MerchantOf): QuoteKey[] =>
  entries.map((entry) => {
    const alg = entry.oneOf('alg', QUOTE_ALGORITHMS)
    return {
      name: entry.text('name', KEY_NAME),
      iss: entry.text('iss', ISSUER),
      out_sub_mch_id: merchantOf(entry),
      alg,
      key: new Secret(alg === 'HS256' ? entry.text('secret', KEY_SECRET) : publicJwk(entry, 'jwk', alg)),
    }
  })

/** What is looked up by name must be there once, whichever sub-merchants it belongs to. */
export function refuseRepeats(lists: Lists, names: ListNames, fault: FaultSink): void {
  const { apps, merchantKeys, quoteKeys } = lists
  const once = (name: string, member: string, values: string[]) => refuseTwice(name, member, values, fault)
  once(
    names.apps,
    'app_id',
    apps.map(({ app_id }) => app_id),
  )
  once(
    names.merchantKeys,
    'name',
    merchantKeys.map(({ name }) => name),
  )
  once(
    names.quoteKeys,
    'name',
    quoteKeys.map(({ name }) => name),
  )
  // (iss, jti) is unique in one table for all.
  for (const { iss, out_sub_mch_id } of quoteKeys)
    if (quoteKeys.some((other) => other.iss === iss && other.out_sub_mch_id !== out_sub_mch_id))
      fault(names.quoteKeys, 'has one iss for two sub-merchants')
}

const PUBLISHED = 'holds a secret the sandbox publishes; it works with a loopback CLOUD_PAY_BASE_URL only'
const isPublished = (secret: Secret): boolean => secret.reveal().startsWith(SANDBOX_SECRET)

export function refusePublished(
  { merchantKeys, quoteKeys }: Omit<Lists, 'apps'>,
  names: ListNames,
  fault: FaultSink,
): void {
  if (merchantKeys.some(({ secret }) => isPublished(secret))) fault(names.merchantKeys, PUBLISHED)
  if (quoteKeys.some(({ key }) => isPublished(key))) fault(names.quoteKeys, PUBLISHED)
}

/** Every secret in it, for the log to strike out. */
export const secretsOf = (people: People): Secret[] => [
  ...people.apps.map(({ secret }) => secret),
  ...people.merchantKeys.map(({ secret }) => secret),
  ...people.sessionKeys.map(({ secret }) => secret),
  ...people.quoteKeys.filter(({ alg }) => alg === 'HS256').map(({ key }) => key),
]

/** A private key here would be one too many places for it. */
function publicJwk(entry: Entry, member: string, alg: 'ES256' | 'EdDSA'): string {
  const jwk = entry.optional(member) as Record<string, unknown> | undefined
  const fits = jwk?.['kty'] === (alg === 'ES256' ? 'EC' : 'OKP') && typeof jwk['x'] === 'string'
  if (!fits || 'd' in jwk) entry.refuse(member)
  return JSON.stringify(jwk ?? {})
}

function readEndpoint(env: Env, name: string, fallback: string, loopback: boolean, fault: FaultSink): string {
  const value = env[name] || fallback
  // Plain text only where Cloud Pay itself is on this machine.
  const local = loopback && /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\//.test(value)
  if (!/^https:\/\/[^/?#@\s]+\/[^?#\s]*$/.test(value) && !(local && !/[?#@\s]/.test(value)))
    fault(name, 'must be an https:// URL without query, user or password')
  return value
}
