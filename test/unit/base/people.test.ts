import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { ConfigurationFault, readConfig } from '../../../shared/base/config'

type Env = Record<string, string | undefined>

const SECRET = 'a0real0secret0of0more0than032characters'
const list = (...entries: object[]) => JSON.stringify(entries)
const app = {
  app_id: 'wx0123456789abcdef',
  kind: 'mini_program',
  id_field: 'sub_open_id',
  secret: 'f'.repeat(32),
}
const merchantKey = { name: 'server', secret: SECRET, scopes: ['create', 'read'] }
const sessionKey = { name: 's1', secret: SECRET }
const quoteKey = { name: 'q1', iss: 'shop', alg: 'HS256', secret: SECRET }

/** A deployed function, closed. */
const deployed: Env = {
  TENCENTCLOUD_RUNENV: 'SCF',
  CLOUD_PAY_OUT_MCH_ID: 'mch1',
  CLOUD_PAY_OUT_SUB_MCH_ID: 'sub1',
  CLOUD_PAY_OUT_SHOP_ID: 'shop1',
  CLOUD_PAY_ORDER_PREFIX: 'ab12',
  CLOUD_PAY_AUTHEN_KEY: 'Zq7!realKey~value',
  DATABASE_URL: 'mysql://pay:Pw9-db-password@10.0.0.5:3306/orders',
  CLOUD_PAY_APPS: list(app),
  SESSION_KEYS: list(sessionKey),
  MERCHANT_KEYS: list(merchantKey),
  QUOTE_KEYS: list(quoteKey),
  PAYER_PRICES: 'quote',
  DEPLOYMENT_NAME: 'production',
}

function faultsOf(env: Env): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationFault)) throw error
    return error.faults
  }
}

test('a deployed function is closed, and needs nobody to say so', () => {
  const config = readConfig(deployed)
  expect(config.callers).toBe('closed')
  expect(config.people).toMatchObject({
    apps: [{ ...app, secret: expect.anything(), out_sub_mch_id: 'sub1', needs_state: false }],
    merchantKeys: [{ name: 'server', out_sub_mch_id: 'sub1', scopes: ['create', 'read'] }],
    priceWays: ['quote'],
    sessionLifeS: 7200,
    wechatApiUrl: 'https://api.weixin.qq.com/',
    limits: {
      payerOpen: 10,
      payerPerMinute: 10,
      payerPerDay: 100,
      payerLooksPerMinute: 60,
      merchantPerMinute: 600,
      merchantLooksPerMinute: 600,
      orderMaxFen: 5_000_000,
    },
  })
  expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toContain(SECRET)
})

test('somebody must be able to call: sessions or signed requests will do', () => {
  const nobody = { ...deployed, CLOUD_PAY_APPS: '', SESSION_KEYS: '', MERCHANT_KEYS: '' }
  expect(faultsOf(nobody)).toEqual([
    expect.stringContaining('CALLERS is missing, and so are SESSION_KEYS and MERCHANT_KEYS'),
  ])
  expect(faultsOf({ ...nobody, MERCHANT_KEYS: list(merchantKey) })).toEqual([])
  expect(faultsOf({ ...nobody, SESSION_KEYS: list(sessionKey), CLOUD_PAY_APPS: list(app) })).toEqual([])
  expect(faultsOf({ ...nobody, CLOUD_PAY_APPS: list(app), MERCHANT_KEYS: list(merchantKey) })).toEqual([
    expect.stringContaining('SESSION_KEYS is missing'),
  ])
})

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwk = publicKey.export({ format: 'jwk' })

test.each<[string, Env, string]>([
  ['no list', { MERCHANT_KEYS: '{}' }, 'MERCHANT_KEYS must be a JSON list'],
  ['no JSON', { SESSION_KEYS: '[' }, 'SESSION_KEYS must be a JSON list'],
  ['an entry that is none', { MERCHANT_KEYS: '[null]' }, 'MERCHANT_KEYS has no usable name in entry 1'],
  [
    'a short secret',
    { MERCHANT_KEYS: list({ ...merchantKey, secret: 'short' }) },
    'no usable secret in entry 1',
  ],
  ['no scopes', { MERCHANT_KEYS: list({ ...merchantKey, scopes: [] }) }, 'no usable scopes in entry 1'],
  [
    'an unknown scope',
    { MERCHANT_KEYS: list({ ...merchantKey, scopes: ['read', 'everything'] }) },
    'no usable scopes',
  ],
  ['a name twice', { MERCHANT_KEYS: list(merchantKey, merchantKey) }, 'MERCHANT_KEYS has one name twice'],
  ['an app twice', { CLOUD_PAY_APPS: list(app, app) }, 'CLOUD_PAY_APPS has one app_id twice'],
  ['an unknown kind', { CLOUD_PAY_APPS: list({ ...app, kind: 'qq' }) }, 'no usable kind in entry 1'],
  [
    'a field of another kind',
    { CLOUD_PAY_APPS: list({ ...app, id_field: 'user_id' }) },
    'no usable id_field',
  ],
  [
    'a sub-merchant nobody has',
    { CLOUD_PAY_APPS: list({ ...app, out_sub_mch_id: 'sub9' }) },
    'no usable out_sub_mch_id',
  ],
  [
    'Alipay without its key',
    { CLOUD_PAY_APPS: list({ ...app, kind: 'alipay', id_field: 'user_id' }) },
    'no usable alipay_public_key',
  ],
  ['a price by wish', { PAYER_PRICES: 'payer' }, 'PAYER_PRICES must be'],
  ['quotes of nobody', { QUOTE_KEYS: '' }, 'QUOTE_KEYS is missing'],
  ['quotes for nowhere', { DEPLOYMENT_NAME: '' }, 'DEPLOYMENT_NAME must be'],
  ['an algorithm of another kind', { QUOTE_KEYS: list({ ...quoteKey, alg: 'none' }) }, 'no usable alg'],
  [
    'a public key as a secret',
    { QUOTE_KEYS: list({ name: 'q', iss: 's', alg: 'ES256', jwk: { kty: 'oct', k: 'x' } }) },
    'no usable jwk',
  ],
  [
    'a private key',
    { QUOTE_KEYS: list({ name: 'q', iss: 's', alg: 'ES256', jwk: privateKey.export({ format: 'jwk' }) }) },
    'no usable jwk',
  ],
  [
    'a session for a day',
    { SESSION_LIFE_SECONDS: '86400' },
    'SESSION_LIFE_SECONDS must be a whole number from 60 to 7200',
  ],
  ['WeChat in plain text', { WECHAT_API_URL: 'http://api.weixin.qq.com/' }, 'WECHAT_API_URL must be'],
  ['WeChat on this machine', { WECHAT_API_URL: 'http://127.0.0.1:1/' }, 'WECHAT_API_URL must be'],
  ['WeChat with a query', { WECHAT_API_URL: 'https://api.weixin.qq.com/?x=' }, 'WECHAT_API_URL must be'],
  ['somebody in front of WeChat', { WECHAT_API_URL: 'https://a@evil.com/' }, 'WECHAT_API_URL must be'],
  [
    'what the sandbox publishes',
    { MERCHANT_KEYS: list({ ...merchantKey, secret: 'sandbox0people0not0a0secretserver' }) },
    'MERCHANT_KEYS holds a secret the sandbox publishes',
  ],
  [
    'its session key',
    { SESSION_KEYS: list({ ...sessionKey, secret: 'sandbox0people0not0a0secretsession' }) },
    'SESSION_KEYS holds a secret',
  ],
])('%s is a fault, told by name and never by value', (_what, change, fault) => {
  const faults = faultsOf({ ...deployed, ...change })
  expect(faults.join('; ')).toContain(fault)
  for (const secret of [SECRET, 'short', 'everything', 'f'.repeat(32)])
    expect(faults.join()).not.toContain(secret)
})

test('a public key is taken as JWK', () => {
  expect(faultsOf({ ...deployed, QUOTE_KEYS: list({ name: 'q', iss: 'shop', alg: 'ES256', jwk }) })).toEqual(
    [],
  )
})

test('an issuer belongs to one sub-merchant', () => {
  const other = {
    out_mch_id: 'm',
    out_sub_mch_id: 'sub2',
    out_shop_id: 's',
    order_prefix: 'cd34',
    authen_key: 'another0key',
  }
  const QUOTE_KEYS = list(quoteKey, { ...quoteKey, name: 'q2', out_sub_mch_id: 'sub2' })
  const env = { ...deployed, CLOUD_PAY_OTHER_MERCHANTS: list(other), QUOTE_KEYS }
  expect(faultsOf(env)).toContain('QUOTE_KEYS has one iss for two sub-merchants')
})

test('what the sub-merchants in the database may bring is not missing in the environment', () => {
  const quoting = { ...deployed, QUOTE_KEYS: '', PAYER_PRICES: 'quote', DEPLOYMENT_NAME: 'prod' }
  const DATA_KEYS = list({ name: 'd', secret: SECRET })
  expect(faultsOf(quoting).join()).toContain('QUOTE_KEYS is missing')
  expect(faultsOf({ ...quoting, DATA_KEYS })).toEqual([])
  const nobody = { ...deployed, CLOUD_PAY_APPS: '', SESSION_KEYS: '', MERCHANT_KEYS: '', CALLERS: '' }
  expect(faultsOf(nobody).join()).toContain('nobody could call')
  expect(faultsOf({ ...nobody, DATA_KEYS })).toEqual([])
})

describe('how a mini-program’s orders ship', () => {
  const shipping = (given: unknown, more: object = {}) =>
    faultsOf({ ...deployed, CLOUD_PAY_APPS: list({ ...app, ...more, shipping: given }) })

  test('is said for each app, and for none that says nothing', () => {
    const rule = { logistics_type: 4, item_desc: 'body' }
    const second = { ...app, app_id: 'wx2' }
    const { people } = readConfig({ ...deployed, CLOUD_PAY_APPS: list({ ...app, shipping: rule }, second) })
    expect(people.apps.map((one) => one.shipping)).toEqual([rule, undefined])
  })

  test.each([
    [null],
    ['4'],
    [{}],
    [{ logistics_type: 4 }],
    [{ logistics_type: 5, item_desc: 'body' }],
    [{ logistics_type: '4', item_desc: 'body' }],
    [{ logistics_type: 4, item_desc: '' }],
    [{ logistics_type: 4, item_desc: '茶'.repeat(121) }],
    [{ logistics_type: 4, item_desc: 'body', express_company: 'STO' }],
  ])('is not %j', (given) => {
    expect(shipping(given)).toEqual(['CLOUD_PAY_APPS has no usable shipping in entry 1'])
  })

  test('is not by a carrier, whose tracking numbers are not ours to know, and it says what to do instead', () => {
    const faults = shipping({ logistics_type: 1, item_desc: 'body' })
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/logistics_type 1.*tracking numbers.*GET \/board\/unshipped.* in entry 1$/)
  })

  test('is nothing for an official account', () => {
    const rule = { logistics_type: 4, item_desc: 'body' }
    expect(shipping(rule, { kind: 'official_account' })).toHaveLength(1)
  })
})
