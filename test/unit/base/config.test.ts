import { SANDBOX_DATA_KEY } from '../../../local/sandbox/env'
import { inspect } from 'node:util'
import {
  ConfigurationFault,
  isLoopback,
  keysOf,
  readConfig,
  readDatabase,
  SANDBOX_MERCHANT,
} from '../../../shared/base/config'

type Env = Record<string, string | undefined>

const KEY = 'Zq7!realKey~value"with\\marks'
const PASSWORD = 'Pw9-db-password'

/** What a deployed function has: a door-keeper of its own and no `CALLERS`. */
const deployed: Env = {
  TENCENTCLOUD_RUNENV: 'SCF',
  CLOUD_PAY_OUT_MCH_ID: 'mch1',
  CLOUD_PAY_OUT_SUB_MCH_ID: 'sub1',
  CLOUD_PAY_OUT_SHOP_ID: 'shop1',
  CLOUD_PAY_ORDER_PREFIX: 'ab12',
  CLOUD_PAY_AUTHEN_KEY: KEY,
  DATABASE_URL: `mysql://pay:${PASSWORD}@10.0.0.5:3306/orders`,
}

/** 32 bytes, as a generator of Standard Webhooks writes them. */
const WEBHOOK_SECRET = `whsec_${Buffer.from('a webhook secret of 32 bytes ok!').toString('base64')}`
const webhook: Env = {
  MERCHANT_WEBHOOK_URL: 'https://shop.example.com/hook?from=pay',
  MERCHANT_WEBHOOK_SECRET: WEBHOOK_SECRET,
}

const second = {
  out_mch_id: 'mch1',
  out_sub_mch_id: 'sub2',
  out_shop_id: 'shop2',
  order_prefix: 'cd34',
  authen_key: 'secondKeyOfAnother=Merchant',
}
const others = (...merchants: unknown[]) => JSON.stringify(merchants)

/** What one machine has. */
const local: Env = {
  ...deployed,
  TENCENTCLOUD_RUNENV: undefined,
  CLOUD_PAY_BASE_URL: 'http://127.0.0.1:9/cpay/',
  DATABASE_URL: undefined,
  CALLERS: 'open',
}

function faultsOf(env: Env, injected = false): readonly string[] {
  try {
    readConfig(env, injected)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationFault)) throw error
    expect(error.message).toBe(error.faults.join('; '))
    return error.faults
  }
}

const namesOf = (faults: readonly string[]) => faults.map((fault) => fault.split(' ')[0])

describe('a complete configuration', () => {
  test('of a deployed function is read, with the defaults filled in', () => {
    const config = readConfig(deployed, true)
    expect(config).toMatchObject({
      merchants: [
        {
          out_mch_id: 'mch1',
          out_sub_mch_id: 'sub1',
          out_shop_id: 'shop1',
          order_prefix: 'ab12',
        },
      ],
      cloudPay: {
        baseUrl: 'https://pay.qcloud.com/cpay/',
        timeoutMs: 6000,
        caFile: undefined,
        spbillCreateIp: '127.0.0.1',
        callerNotifyUrl: undefined,
        notifyReply: 'object',
        perMinute: 600,
      },
      orderLifeS: 900,
      closeNotBeforeS: 300,
      latePayment: 'refund',
      refundCeilings: { hourFen: 2_000_000, dayFen: 10_000_000 },
      webhook: undefined,
      database: { dialect: 'mysql' },
      callers: 'own',
    })
    expect(config.merchants).toHaveLength(1)
    expect(config.merchants[0].authen_key.reveal()).toBe(KEY)
    expect(config.database.url.reveal()).toBe(deployed['DATABASE_URL'])
  })

  test('of one machine keeps its orders in a file', () => {
    const config = readConfig(local)
    expect(config.callers).toBe('open')
    expect(config.database.dialect).toBe('sqlite')
    expect(config.database.url.reveal()).toBe('sqlite:.local/orders.db')
  })

  test('shows neither a key nor the database password, however it is printed', () => {
    const config = readConfig({ ...deployed, ...webhook, CLOUD_PAY_OTHER_MERCHANTS: others(second) }, true)
    expect(config.webhook?.secret.reveal()).toBe(WEBHOOK_SECRET)
    expect(config.merchants[1]?.authen_key.reveal()).toBe(second.authen_key)
    for (const text of [JSON.stringify(config), inspect(config, { depth: 9, showHidden: true })]) {
      expect(text).not.toContain(KEY)
      expect(text).not.toContain(JSON.stringify(KEY).slice(1, -1))
      expect(text).not.toContain(PASSWORD)
      expect(text).not.toContain(second.authen_key)
      expect(text).not.toContain(WEBHOOK_SECRET.slice(6))
    }
  })

  test.each([
    'CLOUD_PAY_BASE_URL',
    'CLOUD_PAY_TIMEOUT_MS',
    'CLOUD_PAY_SPBILL_CREATE_IP',
    'ORDER_LIFE_SECONDS',
    'CLOUD_PAY_OTHER_MERCHANTS',
    'CALLER_NOTIFY_URL',
    'CLOUD_PAY_PER_MINUTE',
    'CLOSE_NOT_BEFORE',
    'LATE_PAYMENT',
    'REFUND_HOUR_MAX_FEN',
    'REFUND_DAY_MAX_FEN',
    'MERCHANT_WEBHOOK_URL',
    'MERCHANT_WEBHOOK_SECRET',
    'MERCHANT_WEBHOOK_ALLOW_PRIVATE',
  ])('takes an empty %s for one that is not there', (name) => {
    expect(readConfig({ ...deployed, [name]: '' }, true)).toEqual(readConfig(deployed, true))
  })

  test('is read with the values it was given', () => {
    const config = readConfig(
      {
        ...deployed,
        CLOUD_PAY_BASE_URL: 'https://pay.example.com/other',
        CLOUD_PAY_TIMEOUT_MS: '500',
        CLOUD_PAY_CA_FILE: '/opt/ca.pem',
        CLOUD_PAY_SPBILL_CREATE_IP: '203.0.113.24',
        ORDER_LIFE_SECONDS: '7200',
        CALLER_NOTIFY_URL: 'https://notify.example.com/notify',
        CLOUD_PAY_PER_MINUTE: '100000',
        CLOSE_NOT_BEFORE: '0',
        LATE_PAYMENT: 'honour',
        REFUND_HOUR_MAX_FEN: '0',
        REFUND_DAY_MAX_FEN: '999999999',
        ...webhook,
      },
      true,
    )
    expect(config.cloudPay).toEqual({
      baseUrl: 'https://pay.example.com/other/',
      timeoutMs: 500,
      caFile: '/opt/ca.pem',
      spbillCreateIp: '203.0.113.24',
      callerNotifyUrl: 'https://notify.example.com/notify',
      notifyReply: 'object',
      perMinute: 100_000,
    })
    expect(config).toMatchObject({
      orderLifeS: 7200,
      closeNotBeforeS: 0,
      latePayment: 'honour',
      refundCeilings: { hourFen: 0, dayFen: 999_999_999 },
      webhook: { url: 'https://shop.example.com/hook?from=pay', allowPrivate: false },
    })
    expect(config.webhook?.secret.reveal()).toBe(WEBHOOK_SECRET)
  })
})

describe('faults', () => {
  const wrong: [name: string, value: string | undefined, says: string][] = [
    ['CLOUD_PAY_OUT_MCH_ID', undefined, 'is missing'],
    ['CLOUD_PAY_OUT_MCH_ID', '', 'is missing'],
    ['CLOUD_PAY_OUT_MCH_ID', 'mch 1', 'letters and digits'],
    ['CLOUD_PAY_OUT_MCH_ID', 'm'.repeat(33), 'letters and digits'],
    ['CLOUD_PAY_OUT_SUB_MCH_ID', undefined, 'is missing'],
    ['CLOUD_PAY_OUT_SUB_MCH_ID', 'sub-1', 'letters and digits'],
    ['CLOUD_PAY_OUT_SHOP_ID', undefined, 'is missing'],
    ['CLOUD_PAY_OUT_SHOP_ID', '商店', 'letters and digits'],
    ['CLOUD_PAY_ORDER_PREFIX', undefined, 'is missing'],
    ['CLOUD_PAY_ORDER_PREFIX', 'ab_1', 'letters and digits'],
    ['CLOUD_PAY_ORDER_PREFIX', 'p'.repeat(19), 'leaves fewer than 14 of 32'],
    ['CLOUD_PAY_AUTHEN_KEY', undefined, 'is missing'],
    ['CLOUD_PAY_AUTHEN_KEY', 'short', 'visible ASCII'],
    ['CLOUD_PAY_AUTHEN_KEY', `${KEY}\n`, 'visible ASCII'],
    ['CLOUD_PAY_AUTHEN_KEY', ` ${KEY}`, 'visible ASCII'],
    ['CLOUD_PAY_AUTHEN_KEY', 'kéyWithAccent', 'visible ASCII'],
    ['CLOUD_PAY_AUTHEN_KEY', 'k'.repeat(129), 'visible ASCII'],
    ['CLOUD_PAY_AUTHEN_KEY', SANDBOX_MERCHANT.authen_key, 'the key the sandbox publishes'],
    ['CLOUD_PAY_BASE_URL', 'pay.qcloud.com/cpay/', 'must be a URL'],
    ['CLOUD_PAY_BASE_URL', 'http://pay.qcloud.com/cpay/', 'must start with https://'],
    ['CLOUD_PAY_BASE_URL', 'ftp://127.0.0.1/cpay/', 'must start with https://'],
    ['CLOUD_PAY_BASE_URL', 'file:///etc/passwd', 'must start with https://'],
    ['CLOUD_PAY_BASE_URL', 'https://pay.qcloud.com/cpay/?a=1', 'must have no query'],
    ['CLOUD_PAY_BASE_URL', 'https://pay.qcloud.com/cpay/#a', 'must have no query, fragment'],
    ['CLOUD_PAY_BASE_URL', 'https://me:pw@pay.qcloud.com/cpay/', 'user or password'],
    ['CLOUD_PAY_TIMEOUT_MS', '499', 'whole number from 500 to 30000'],
    ['CLOUD_PAY_TIMEOUT_MS', '30001', 'whole number from 500 to 30000'],
    ['CLOUD_PAY_TIMEOUT_MS', '6e3', 'whole number'],
    ['CLOUD_PAY_TIMEOUT_MS', '6000.5', 'whole number'],
    ['CLOUD_PAY_TIMEOUT_MS', '-6000', 'whole number'],
    ['CLOUD_PAY_TIMEOUT_MS', ' 6000', 'whole number'],
    ['CLOUD_PAY_TIMEOUT_MS', 'six', 'whole number'],
    ['ORDER_LIFE_SECONDS', '119', 'whole number from 120 to 7200'],
    ['ORDER_LIFE_SECONDS', '7201', 'whole number from 120 to 7200'],
    ['CLOUD_PAY_SPBILL_CREATE_IP', '::1', 'must be an IPv4 address'],
    ['CLOUD_PAY_SPBILL_CREATE_IP', '256.0.0.1', 'must be an IPv4 address'],
    ['CLOUD_PAY_SPBILL_CREATE_IP', '1.2.3', 'must be an IPv4 address'],
    ['CLOUD_PAY_SPBILL_CREATE_IP', '01.2.3.4', 'must be an IPv4 address'],
    ['CLOUD_PAY_SPBILL_CREATE_IP', '1.2.3.4\n', 'must be an IPv4 address'],
    ['DATABASE_URL', undefined, 'is missing'],
    ['DATABASE_URL', '', 'is missing'],
    ['DATABASE_URL', 'sqlite:/tmp/orders.db', 'must not be SQLite on SCF'],
    ['DATABASE_URL', 'sqlite::memory:', 'must not be SQLite on SCF'],
    ['DATABASE_URL', 'oracle://u:p@h/d', 'must start with mysql://'],
    ['DATABASE_URL', `mysql:/u:${PASSWORD}@h/d`, 'must start with mysql://'],
    ['DATABASE_URL', `mysql://u:${PASSWORD}@h:port/d`, 'must be a URL'],
    ['DATABASE_URL', `mysql://u:${PASSWORD}%@h/d`, 'must be percent-encoded'],
    ['DATABASE_URL', `postgres://u:${PASSWORD}@[::1/d`, 'must be a URL'],
    ['DATABASE_URL', `mysql://u:${PASSWORD}@h`, 'must name a database'],
    ['DATABASE_URL', `mysql://u:${PASSWORD}@/d`, 'must be a URL'],
    ['DATABASE_URL', `postgres://u:${PASSWORD}@h/d?tls=maybe`, 'must have tls=off, verify or verify-ca'],
    ['DATABASE_URL', `postgres://u:${PASSWORD}@h/d?ssl=true`, 'has an option other than'],
    ['DATABASE_URL', `mysql://u:${PASSWORD}@10.0.0.5/d?tls=verify`, 'must have a host name for tls=verify'],
    ['DATABASE_URL', `mysql://u:${PASSWORD}%zz@h/d`, ''],
    ['CLOUD_PAY_PER_MINUTE', '0', 'whole number from 1 to 100000'],
    ['CLOUD_PAY_PER_MINUTE', '100001', 'whole number from 1 to 100000'],
    ['CLOUD_PAY_PER_MINUTE', 'many-a-minute', 'whole number'],
    ['CLOSE_NOT_BEFORE', '7201', 'whole number from 0 to 7200'],
    ['CLOSE_NOT_BEFORE', '-1', 'whole number from 0 to 7200'],
    ['CLOSE_NOT_BEFORE', '5 minutes', 'whole number from 0 to 7200'],
    ['LATE_PAYMENT', 'keep', 'must be refund or honour'],
    ['LATE_PAYMENT', 'Refund', 'must be refund or honour'],
    ['LATE_PAYMENT', 'honor', 'must be refund or honour'],
    ['REFUND_HOUR_MAX_FEN', '-1', 'whole number from 0 to 999999999'],
    ['REFUND_HOUR_MAX_FEN', '1000000000', 'whole number from 0 to 999999999'],
    ['REFUND_HOUR_MAX_FEN', '20000.00', 'whole number from 0 to 999999999'],
    ['REFUND_DAY_MAX_FEN', '1e9', 'whole number from 0 to 999999999'],
    ['REFUND_DAY_MAX_FEN', 'unlimited', 'whole number from 0 to 999999999'],
    ['NOTIFY_REPLY', 'xml', 'must be object or text'],
    ['OTHER_TILLS', 'till-01', 'must be a JSON list'],
    ['OTHER_TILLS', '{"device_id":"till-01"}', 'must be a JSON list'],
    ['OTHER_TILLS', '[{}]', 'has neither out_shop_id nor device_id nor trade_type in entry 1'],
    ['OTHER_TILLS', '[{"trade_type":"1"}]', 'has no usable trade_type in entry 1'],
    ['OTHER_TILLS', '[{"trade_type":1},{"device_id":""}]', 'has no usable device_id in entry 2'],
    ['OTHER_TILLS', '[{"out_shop_id":7}]', 'has no usable out_shop_id in entry 1'],
    ['CALLER_NOTIFY_URL', 'http://notify.example.com/notify', 'must be an https:// URL'],
    ['CALLER_NOTIFY_URL', 'notify.example.com/notify', 'must be an https:// URL'],
    ['CALLER_NOTIFY_URL', 'ftp://notify.example.com/', 'must be an https:// URL'],
    ['CALLER_NOTIFY_URL', 'https:///', 'must be an https:// URL'],
    ['CALLER_NOTIFY_URL', 'https://me@notify.example.com/', 'must be an https:// URL'],
    ['CALLER_NOTIFY_URL', `https://me:${PASSWORD}@notify.example.com/`, 'must be an https:// URL'],
    ['CLOUD_PAY_OTHER_MERCHANTS', '{', 'must be a JSON list'],
    ['CLOUD_PAY_OTHER_MERCHANTS', 'null', 'must be a JSON list'],
    ['CLOUD_PAY_OTHER_MERCHANTS', JSON.stringify(second), 'must be a JSON list'],
    ['CLOUD_PAY_OTHER_MERCHANTS', others({ ...second, out_mch_id: '' }), 'no usable out_mch_id in entry 1'],
    ['CLOUD_PAY_OTHER_MERCHANTS', others({ ...second, out_mch_id: 7 }), 'no usable out_mch_id in entry 1'],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, out_sub_mch_id: 'sub-2' }),
      'no usable out_sub_mch_id in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, out_shop_id: 's'.repeat(33) }),
      'no usable out_shop_id in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, order_prefix: 'cd_34' }),
      'no usable order_prefix in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, order_prefix: 'p'.repeat(19) }),
      'too long an order_prefix in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, order_prefix: 'ab12' }),
      'an order_prefix that begins another, in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, order_prefix: 'ab123' }),
      'an order_prefix that begins another, in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, order_prefix: 'ab' }),
      'an order_prefix that begins another, in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others(second, { ...second, out_sub_mch_id: 'sub3', order_prefix: 'cd345' }),
      'an order_prefix that begins another, in entry 2',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, out_sub_mch_id: 'sub1' }),
      'repeats an out_sub_mch_id in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others(second, { ...second, order_prefix: 'ef56' }),
      'repeats an out_sub_mch_id in entry 2',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, authen_key: undefined }),
      'no usable authen_key in entry 1',
    ],
    [
      'CLOUD_PAY_OTHER_MERCHANTS',
      others({ ...second, authen_key: `${second.authen_key}\n` }),
      'no usable authen_key in entry 1',
    ],
    ['CALLERS', 'everybody', 'must be "own" or "open", or left out'],
    ['CALLERS', 'OPEN', 'must be "own" or "open", or left out'],
  ]

  test.each(wrong)('%s = %j is told by name, alone and without its value', (name, value, says) => {
    const faults = faultsOf({ ...deployed, [name]: value }, true)
    expect(faults).toEqual([expect.stringContaining(`${name} `)])
    expect(faults[0]).toContain(says)
    if (value && value.length > 4) expect(faults.join()).not.toContain(value)
    expect(faults.join()).not.toContain(PASSWORD)
    expect(faults.join()).not.toContain(second.authen_key)
  })

  test.each([null, 7, 'sub2', [], [second]])('an other merchant that is %j lacks everything', (entry) => {
    const faults = faultsOf({ ...deployed, CLOUD_PAY_OTHER_MERCHANTS: others(second, entry) }, true)
    for (const name of ['out_mch_id', 'out_sub_mch_id', 'out_shop_id', 'order_prefix', 'authen_key']) {
      expect(faults).toContain(`CLOUD_PAY_OTHER_MERCHANTS has no usable ${name} in entry 2`)
    }
  })

  const wrongWebhook: [name: string, value: string | undefined, says: string][] = [
    ['MERCHANT_WEBHOOK_URL', 'http://shop.example.com/hook', 'must be an https:// URL'],
    ['MERCHANT_WEBHOOK_URL', 'shop.example.com/hook', 'must be an https:// URL'],
    ['MERCHANT_WEBHOOK_URL', 'file:///etc/passwd', 'must be an https:// URL'],
    ['MERCHANT_WEBHOOK_URL', 'https://me@shop.example.com/hook', 'without user or password'],
    ['MERCHANT_WEBHOOK_URL', `https://me:${PASSWORD}@shop.example.com/hook`, 'without user or password'],
    ['MERCHANT_WEBHOOK_URL', 'https://shop.example.com./hook', 'must be an https:// URL'],
    ['MERCHANT_WEBHOOK_SECRET', undefined, 'must be whsec_'],
    ['MERCHANT_WEBHOOK_SECRET', '', 'must be whsec_'],
    ['MERCHANT_WEBHOOK_SECRET', WEBHOOK_SECRET.slice(6), 'must be whsec_'],
    ['MERCHANT_WEBHOOK_SECRET', ` ${WEBHOOK_SECRET}`, 'must be whsec_'],
    ['MERCHANT_WEBHOOK_SECRET', `${WEBHOOK_SECRET}\n`, 'must be whsec_'],
    ['MERCHANT_WEBHOOK_SECRET', `whsec_${'A'.repeat(30)}`, 'base64 of 24 to 64 bytes'],
    ['MERCHANT_WEBHOOK_SECRET', `whsec_${'A'.repeat(28)}`, 'base64 of 24 to 64 bytes'],
    ['MERCHANT_WEBHOOK_SECRET', `whsec_${'A'.repeat(88)}`, 'base64 of 24 to 64 bytes'],
    ['MERCHANT_WEBHOOK_SECRET', `whsec_${'-_'.repeat(16)}`, 'must be whsec_'],
  ]

  test.each(wrongWebhook)('%s = %j is told by name, alone and without its value', (name, value, says) => {
    const faults = faultsOf({ ...deployed, ...webhook, [name]: value }, true)
    expect(faults).toEqual([expect.stringContaining(`${name} `)])
    expect(faults[0]).toContain(says)
    if (value) expect(faults.join()).not.toContain(value.trim())
    expect(faults.join()).not.toContain(PASSWORD)
    expect(faults.join()).not.toContain(WEBHOOK_SECRET.slice(6))
  })

  test('of a webhook are none where no webhook is wanted', () => {
    expect(faultsOf({ ...deployed, MERCHANT_WEBHOOK_SECRET: 'nonsense' }, true)).toEqual([])
    const config = readConfig({ ...deployed, MERCHANT_WEBHOOK_SECRET: WEBHOOK_SECRET }, true)
    expect(config.webhook).toBeUndefined()
  })

  test.each(['postgres', 'postgresql', 'mysql'])('%s is a database SCF may have', (scheme) => {
    const url = `${scheme}://u:${PASSWORD}@h/d`
    expect(faultsOf({ ...deployed, DATABASE_URL: url }, true)).toEqual([])
  })

  test('are all reported at once, each by its variable, and none with a value', () => {
    const secrets: Env = {
      TENCENTCLOUD_RUNENV: 'SCF-secret-runenv',
      CLOUD_PAY_OUT_MCH_ID: 'secret merchant',
      CLOUD_PAY_OUT_SUB_MCH_ID: 'secret sub-merchant',
      CLOUD_PAY_OUT_SHOP_ID: 'secret shop',
      CLOUD_PAY_ORDER_PREFIX: 'secretprefixthatistoolong',
      CLOUD_PAY_AUTHEN_KEY: 'secret key with blanks',
      CLOUD_PAY_BASE_URL: 'http://secret-user:secret-pw@secret.example/?secret#secret',
      CLOUD_PAY_TIMEOUT_MS: 'secret-timeout',
      CLOUD_PAY_SPBILL_CREATE_IP: 'secret-ip',
      ORDER_LIFE_SECONDS: 'secret-life',
      CLOUD_PAY_OTHER_MERCHANTS: '[{"secret":"secret"}]',
      CALLER_NOTIFY_URL: 'secret://secret',
      CLOUD_PAY_PER_MINUTE: 'secret-number',
      CLOSE_NOT_BEFORE: 'secret-seconds',
      LATE_PAYMENT: 'secret-policy',
      REFUND_HOUR_MAX_FEN: 'secret-hour',
      REFUND_DAY_MAX_FEN: 'secret-day',
      MERCHANT_WEBHOOK_URL: 'secret://secret',
      MERCHANT_WEBHOOK_SECRET: 'whsec_secretsecret',
      MERCHANT_WEBHOOK_ALLOW_PRIVATE: 'secret',
      DATABASE_URL: 'secret://database',
      CALLERS: 'secret-callers',
      GATEWAY_LISTEN_HOST: 'secret-listen',
    }
    const faults = faultsOf(secrets)
    expect(new Set(namesOf(faults))).toEqual(
      new Set([
        'CLOUD_PAY_OUT_MCH_ID',
        'CLOUD_PAY_OUT_SUB_MCH_ID',
        'CLOUD_PAY_OUT_SHOP_ID',
        'CLOUD_PAY_ORDER_PREFIX',
        'CLOUD_PAY_AUTHEN_KEY',
        'CLOUD_PAY_BASE_URL',
        'CLOUD_PAY_TIMEOUT_MS',
        'CLOUD_PAY_SPBILL_CREATE_IP',
        'ORDER_LIFE_SECONDS',
        'CLOUD_PAY_OTHER_MERCHANTS',
        'CALLER_NOTIFY_URL',
        'CLOUD_PAY_PER_MINUTE',
        'CLOSE_NOT_BEFORE',
        'LATE_PAYMENT',
        'REFUND_HOUR_MAX_FEN',
        'REFUND_DAY_MAX_FEN',
        'MERCHANT_WEBHOOK_URL',
        'MERCHANT_WEBHOOK_SECRET',
        'DATABASE_URL',
        'CALLERS',
      ]),
    )
    expect(faults.join().replaceAll('MERCHANT_WEBHOOK_SECRET', '')).not.toMatch(/secret/i)
  })

  test('of an empty environment name everything that must be given', () => {
    expect(namesOf(faultsOf({ TENCENTCLOUD_RUNENV: 'SCF' }))).toEqual([
      'CLOUD_PAY_OUT_MCH_ID',
      'CLOUD_PAY_OUT_SUB_MCH_ID',
      'CLOUD_PAY_OUT_SHOP_ID',
      'CLOUD_PAY_ORDER_PREFIX',
      'CLOUD_PAY_AUTHEN_KEY',
      'DATABASE_URL',
      'CALLERS',
    ])
  })

  test('say that nobody decides who may call, unless the bundle brings somebody who does', () => {
    expect(faultsOf({ ...deployed, CALLERS: undefined })).toEqual([
      expect.stringContaining('CALLERS is missing'),
    ])
    expect(faultsOf({ ...deployed, CALLERS: undefined }, true)).toEqual([])
  })
})

describe('the order prefix', () => {
  test.each(Array.from({ length: 25 }, (_, index) => index + 1))('of %d characters', (length) => {
    const faults = faultsOf({ ...deployed, CLOUD_PAY_ORDER_PREFIX: 'p'.repeat(length) }, true)
    if (length <= 18) expect(faults).toEqual([])
    else expect(faults).toEqual([expect.stringMatching(/^CLOUD_PAY_ORDER_PREFIX leaves fewer than 14/)])
  })
})

describe('other merchants', () => {
  const third = { ...second, out_sub_mch_id: 'sub3', order_prefix: 'ef56' }

  test('come after the first, in their order, each with its own key', () => {
    const { merchants } = readConfig(
      { ...deployed, CLOUD_PAY_OTHER_MERCHANTS: others(second, { ...third, remark: 'ignored' }) },
      true,
    )
    expect(merchants.map((one) => one.out_sub_mch_id)).toEqual(['sub1', 'sub2', 'sub3'])
    expect(merchants.map((one) => one.order_prefix)).toEqual(['ab12', 'cd34', 'ef56'])
    expect(merchants.map((one) => one.authen_key.reveal())).toEqual([
      KEY,
      second.authen_key,
      third.authen_key,
    ])
    expect(Object.keys(merchants[2]!)).toEqual(Object.keys(merchants[0]))
  })

  test('may be none', () => {
    expect(readConfig({ ...deployed, CLOUD_PAY_OTHER_MERCHANTS: '[]' }, true).merchants).toHaveLength(1)
  })

  test('may not have the key the sandbox publishes either, but on one machine', () => {
    const CLOUD_PAY_OTHER_MERCHANTS = others({ ...second, authen_key: SANDBOX_MERCHANT.authen_key })
    expect(faultsOf({ ...deployed, CLOUD_PAY_OTHER_MERCHANTS }, true)).toEqual([
      expect.stringContaining('is the key the sandbox publishes'),
    ])
    expect(faultsOf({ ...local, CLOUD_PAY_OTHER_MERCHANTS })).toEqual([])
  })
})

describe('who refunds', () => {
  const name = 'CLOUD_PAY_REFUND_OPERATOR'
  const second = {
    out_mch_id: 'm2',
    out_sub_mch_id: 's2',
    out_shop_id: 'p2',
    order_prefix: 'pfx2',
    authen_key: 'another-key',
  }
  const operators = (env: Env) =>
    readConfig(env, true).merchants.map(({ refund_operator }) => refund_operator)

  test('is nobody, until each sub-merchant says it for itself', () => {
    expect(operators(deployed)).toEqual([undefined])
    const clerk = { device_id: 'd1', staff_id: 's1' }
    const CLOUD_PAY_OTHER_MERCHANTS = JSON.stringify([{ ...second, refund_operator: clerk }])
    expect(operators({ ...deployed, CLOUD_PAY_OTHER_MERCHANTS })).toEqual([undefined, clerk])
    expect(operators({ ...deployed, [name]: '{"is_sub_mch_admin":true,"staff_id":null}' })).toEqual([
      { is_sub_mch_admin: true, staff_id: undefined },
    ])
    expect(operators({ ...deployed, [name]: '' })).toEqual([undefined])
  })

  test.each([
    'no json',
    '[]',
    'null',
    '{}',
    '{"staff_id":null}',
    '{"staff_id":""}',
    '{"staff_id":7}',
    '{"is_sub_mch_admin":"yes"}',
    '{"is_sub_mch_admin":false}',
    '{"staff":"s1"}',
    `{"device_id":"${'d'.repeat(65)}"}`,
    `{"is_sub_mch_admin":true,"authorization_name":"${'名'.repeat(33)}"}`,
  ])('as %s is refused by name', (value) => {
    expect(namesOf(faultsOf({ ...deployed, [name]: value }, true))).toEqual([name])
    if (!value.startsWith('{')) return
    const entry = { ...second, refund_operator: JSON.parse(value) as unknown }
    const CLOUD_PAY_OTHER_MERCHANTS = JSON.stringify([entry])
    expect(faultsOf({ ...deployed, CLOUD_PAY_OTHER_MERCHANTS }, true)).toEqual([
      'CLOUD_PAY_OTHER_MERCHANTS has no usable refund_operator in entry 1',
    ])
  })
})

describe('a second key', () => {
  const also = 'Key-during-a-rotation'

  test('is none unless it is given, and then an addition to the first', () => {
    expect(readConfig(deployed, true).merchants[0].authen_key_also_accepted).toBeUndefined()
    const env = { ...deployed, CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: also }
    const [merchant] = readConfig(env, true).merchants
    expect(keysOf(merchant).map((key) => key.reveal())).toEqual([KEY, also])
  })

  test('of a further sub-merchant stands with it', () => {
    const CLOUD_PAY_OTHER_MERCHANTS = others({ ...second, authen_key_also_accepted: also })
    const { merchants } = readConfig({ ...deployed, CLOUD_PAY_OTHER_MERCHANTS }, true)
    expect(merchants[1]!.authen_key_also_accepted!.reveal()).toBe(also)
  })

  test.each(['with a blank', 'short', '密码密码密码'])('may not be %j', (value) => {
    expect(namesOf(faultsOf({ ...deployed, CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: value }, true))).toEqual([
      'CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED',
    ])
    const CLOUD_PAY_OTHER_MERCHANTS = others({ ...second, authen_key_also_accepted: value })
    expect(faultsOf({ ...deployed, CLOUD_PAY_OTHER_MERCHANTS }, true)).toEqual([
      'CLOUD_PAY_OTHER_MERCHANTS has no usable authen_key_also_accepted in entry 1',
    ])
  })

  test('may not be the key the sandbox publishes either, but on one machine', () => {
    const published = { CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: SANDBOX_MERCHANT.authen_key }
    expect(faultsOf({ ...deployed, ...published }, true).join()).toContain('is the key the sandbox publishes')
    expect(faultsOf({ ...local, ...published })).toEqual([])
  })
})

test('DATA_KEYS may hold the key the sandbox publishes on one machine only', () => {
  const DATA_KEYS = JSON.stringify([{ name: 'd1', secret: SANDBOX_DATA_KEY }])
  expect(faultsOf({ ...deployed, DATA_KEYS }, true).join()).toContain(
    'DATA_KEYS has a key the sandbox publishes',
  )
  expect(faultsOf({ ...local, DATA_KEYS })).toEqual([])
})

describe('CALLERS=own', () => {
  test('needs nothing brought to be read: the doors that ask who calls see to that', () => {
    for (const injected of [false, true])
      expect(readConfig({ ...deployed, CALLERS: 'own' }, injected).callers).toBe('own')
    expect(readConfig({ ...deployed, CALLERS: 'own', TENCENTCLOUD_RUNENV: 'SCF' }).callers).toBe('own')
  })
})

describe('addresses that are called', () => {
  test('the notify URL may be http:// only while Cloud Pay itself is on this machine', () => {
    const CALLER_NOTIFY_URL = 'http://127.0.0.1:8080/notify'
    expect(readConfig({ ...local, CALLER_NOTIFY_URL }).cloudPay.callerNotifyUrl).toBe(CALLER_NOTIFY_URL)
    expect(namesOf(faultsOf({ ...deployed, CALLER_NOTIFY_URL }, true))).toEqual(['CALLER_NOTIFY_URL'])
  })

  test('the webhook may be http:// only when private addresses are allowed, by exactly "yes"', () => {
    const http = { ...deployed, ...webhook, MERCHANT_WEBHOOK_URL: 'http://10.0.0.8/hook' }
    const allowed = { ...http, MERCHANT_WEBHOOK_ALLOW_PRIVATE: 'yes' }
    expect(readConfig(allowed, true).webhook).toMatchObject({
      url: 'http://10.0.0.8/hook',
      allowPrivate: true,
    })
    for (const value of [undefined, '', 'no', 'YES', 'true', '1', ' yes']) {
      const faults = faultsOf({ ...http, MERCHANT_WEBHOOK_ALLOW_PRIVATE: value }, true)
      expect(namesOf(faults)).toEqual(['MERCHANT_WEBHOOK_URL'])
    }
    expect(readConfig({ ...deployed, ...webhook }, true).webhook?.allowPrivate).toBe(false)
  })

  test.each([24, 32, 64])('the webhook may have a secret of %d bytes', (bytes) => {
    const secret = `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`
    expect(faultsOf({ ...deployed, ...webhook, MERCHANT_WEBHOOK_SECRET: secret }, true)).toEqual([])
  })

  test.each([0, 1, 23, 65, 128])('the webhook may not have a secret of %d bytes', (bytes) => {
    const secret = `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`
    expect(namesOf(faultsOf({ ...deployed, ...webhook, MERCHANT_WEBHOOK_SECRET: secret }, true))).toEqual([
      'MERCHANT_WEBHOOK_SECRET',
    ])
  })
})

describe('the base URL', () => {
  test.each([
    ['https://pay.qcloud.com/cpay/', 'https://pay.qcloud.com/cpay/'],
    ['https://pay.qcloud.com/cpay', 'https://pay.qcloud.com/cpay/'],
    ['https://pay.qcloud.com', 'https://pay.qcloud.com/'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/'],
  ])('%s becomes %s', (given, read) => {
    expect(readConfig({ ...deployed, CLOUD_PAY_BASE_URL: given }, true).cloudPay.baseUrl).toBe(read)
  })

  // `search` and `hash` are empty for a bare `?` or `#`, and `href` keeps the mark: an interface name put behind it
  // would be a query.
  test.each([
    'https://pay.qcloud.com/cpay/?',
    'https://pay.qcloud.com/cpay/#',
    'https://pay.qcloud.com/cpay?#',
  ])('%s is refused although its query and fragment are empty', (given) => {
    expect(faultsOf({ ...deployed, CLOUD_PAY_BASE_URL: given }, true)).toEqual([
      expect.stringContaining('CLOUD_PAY_BASE_URL must have no query, fragment'),
    ])
  })
})

describe('the locks on an open door', () => {
  const OFF_SCF = 'must not be open on SCF'
  const BASE = 'unless CLOUD_PAY_BASE_URL is loopback'
  const LISTEN = 'while GATEWAY_LISTEN_HOST is not loopback'

  const runenvs: [string | undefined, string[]][] = [
    [undefined, []],
    ['SCF', [OFF_SCF]],
  ]
  const hosts: [string | undefined, string[]][] = [
    [undefined, []],
    ['127.0.0.1', []],
    ['0.0.0.0', [LISTEN]],
    ['192.168.1.2', [LISTEN]],
  ]
  const bases: [string, string[]][] = [
    ['http://127.0.0.1:8080/cpay/', []],
    ['https://localhost:8443/cpay/', []],
    ['https://pay.qcloud.com/cpay/', [BASE]],
  ]
  const cells = runenvs.flatMap(([runenv, a]) =>
    hosts.flatMap(([host, b]) =>
      bases.map(([base, c]) => ({ runenv, host, base, locks: [...a, ...c, ...b] })),
    ),
  )
  const envOf = ({ runenv, host, base }: (typeof cells)[number]): Env => ({
    ...deployed,
    CALLERS: 'open',
    TENCENTCLOUD_RUNENV: runenv,
    GATEWAY_LISTEN_HOST: host,
    CLOUD_PAY_BASE_URL: base,
  })

  test.each(cells)('RUNENV $runenv, listening on $host, asking $base: $locks', (cell) => {
    for (const injected of [false, true]) {
      const faults = faultsOf(envOf(cell), injected)
      expect(faults).toEqual(cell.locks.map(() => expect.stringMatching(/^CALLERS must not be open /)))
      cell.locks.forEach((lock, at) => expect(faults[at]).toContain(lock))
    }
  })

  test.each(cells)('the same with the sandbox key: RUNENV $runenv, $host, $base', (cell) => {
    const faults = faultsOf({ ...envOf(cell), CLOUD_PAY_AUTHEN_KEY: SANDBOX_MERCHANT.authen_key })
    const keyFaults = faults.filter((fault) => fault.startsWith('CLOUD_PAY_AUTHEN_KEY '))
    expect(keyFaults).toHaveLength(cell.base.includes('qcloud') ? 1 : 0)
    expect(faults).toHaveLength(cell.locks.length + keyFaults.length)
    expect(faults.join()).not.toContain(SANDBOX_MERCHANT.authen_key)
  })

  test.each(cells)('without CALLERS none of them closes: RUNENV $runenv, $host, $base', (cell) => {
    expect(faultsOf({ ...envOf(cell), CALLERS: undefined }, true)).toEqual([])
  })

  test('exactly one combination in four lets everybody in', () => {
    expect(cells.filter((cell) => faultsOf(envOf(cell)).length === 0)).toHaveLength(4)
    expect(cells).toHaveLength(24)
  })

  test.each(['1', 'scf', 'anything'])('TENCENTCLOUD_RUNENV=%s counts as SCF', (runenv) => {
    expect(faultsOf({ ...local, TENCENTCLOUD_RUNENV: runenv }).join()).toContain(OFF_SCF)
  })

  test.each([
    '::',
    '0',
    '127.1',
    '127.0.0.1.evil.com',
    'localhost.evil',
    'LOCALHOST',
    '::ffff:127.0.0.1',
    '*',
    ' ',
  ])('listening on %j is not taken for loopback', (host) => {
    expect(faultsOf({ ...local, GATEWAY_LISTEN_HOST: host })).toEqual([expect.stringContaining(LISTEN)])
  })

  test.each(['localhost', '::1', '[::1]', '127.0.0.1', '127.8.9.10'])('listening on %s is', (host) => {
    expect(faultsOf({ ...local, GATEWAY_LISTEN_HOST: host })).toEqual([])
  })
})

describe('loopback, as a URL names it', () => {
  // Whoever writes an address in a strange way gets what the URL makes of it, and the request goes there too.
  const hosts: [url: string, hostname: string, loopback: boolean][] = [
    ['http://127.0.0.1/', '127.0.0.1', true],
    ['http://localhost/', 'localhost', true],
    ['http://LOCALHOST/', 'localhost', true],
    ['http://[::1]/', '[::1]', true],
    ['http://[0:0:0:0:0:0:0:1]/', '[::1]', true],
    ['http://127.1/', '127.0.0.1', true],
    ['http://0x7f000001/', '127.0.0.1', true],
    ['http://0177.0.0.1/', '127.0.0.1', true],
    ['http://2130706433/', '127.0.0.1', true],
    ['http://127.0.0.1./', '127.0.0.1', true],
    ['http://127。0。0。1/', '127.0.0.1', true],
    ['http://127.0.0.1\\@evil.com/', '127.0.0.1', true],
    ['http://127.0.0.1.evil.com/', '127.0.0.1.evil.com', false],
    ['http://127.0.0.1%2eevil.com/', '127.0.0.1.evil.com', false],
    ['http://127.0.0.1\t.evil.com/', '127.0.0.1.evil.com', false],
    ['http://localhost.evil/', 'localhost.evil', false],
    ['http://localhost./', 'localhost.', false],
    ['http://evil-localhost/', 'evil-localhost', false],
    ['http://127.0.0.1@evil.com/', 'evil.com', false],
    ['http://127.0.0.1:80@evil.com/', 'evil.com', false],
    ['http://evil.com#@127.0.0.1/', 'evil.com', false],
    ['http://evil.com?@127.0.0.1/', 'evil.com', false],
    ['http://[::ffff:127.0.0.1]/', '[::ffff:7f00:1]', false],
    ['http://[::]/', '[::]', false],
    ['http://0/', '0.0.0.0', false],
    ['http://128.0.0.1/', '128.0.0.1', false],
    ['http://12.7.0.1/', '12.7.0.1', false],
  ]

  test.each(hosts)('%j goes to %s: loopback %s', (url, hostname, loopback) => {
    expect(new URL(url).hostname).toBe(hostname)
    expect(isLoopback(new URL(url).hostname)).toBe(loopback)
  })

  test.each(hosts)(
    'http:// to %j is refused exactly when %s is another machine',
    (url, _hostname, loopback) => {
      const faults = faultsOf({ ...local, CLOUD_PAY_BASE_URL: url })
      const plain = faults.filter((fault) => fault.startsWith('CLOUD_PAY_BASE_URL must start with https://'))
      expect(plain).toHaveLength(loopback ? 0 : 1)
      expect(faults.some((fault) => fault.includes('unless CLOUD_PAY_BASE_URL is loopback'))).toBe(!loopback)
    },
  )

  test.each([
    'http://127.256.0.1/',
    'http://1.127.0.0.1/',
    'http://localhost%00/',
    'http://127.0.0.1 .evil/',
    'http://[::1%25lo]/',
  ])('%j is no URL at all', (url) => {
    const faults = faultsOf({ ...local, CLOUD_PAY_BASE_URL: url })
    expect(faults).toContain('CLOUD_PAY_BASE_URL must be a URL')
    // And what is no URL is not loopback, so the door stays shut.
    expect(faults.join()).toContain('CALLERS must not be open unless CLOUD_PAY_BASE_URL is loopback')
  })

  test('a user name in front of a loopback address is refused', () => {
    expect(faultsOf({ ...local, CLOUD_PAY_BASE_URL: 'http://user@127.0.0.1/' })).toEqual([
      'CLOUD_PAY_BASE_URL must have no query, fragment, user or password',
    ])
  })

  test.each([
    '127.0.0.1.',
    '127.0.0',
    '127.0.0.1.1',
    '1127.0.0.1',
    '127.0.0.1\n',
    'localhost\n',
    '',
    '::1%lo',
  ])('the host %j is not', (host) => {
    expect(isLoopback(host)).toBe(false)
  })
})

describe('the database alone', () => {
  const cases: [url: string | undefined, onScf: boolean, reads: string][] = [
    [undefined, false, 'sqlite sqlite:.local/orders.db'],
    ['', false, 'sqlite sqlite:.local/orders.db'],
    ['sqlite:x.db', false, 'sqlite sqlite:x.db'],
    [`mysql://u:${PASSWORD}@h/d`, true, `mysql mysql://u:${PASSWORD}@h/d`],
    [`postgresql://u:${PASSWORD}@h/d`, false, `postgres postgresql://u:${PASSWORD}@h/d`],
    [undefined, true, 'DATABASE_URL is missing'],
    ['sqlite:x.db', true, 'DATABASE_URL must not be SQLite on SCF'],
    ['sqlite:', false, 'DATABASE_URL must start with'],
    ['x', false, 'DATABASE_URL must start with'],
  ]

  test.each(cases)('%j (on SCF: %s) → %s', (url, onScf, reads) => {
    const read = () => {
      try {
        const database = readDatabase({ DATABASE_URL: url, TENCENTCLOUD_RUNENV: onScf ? 'SCF' : undefined })
        return `${database.dialect} ${database.url.reveal()}`
      } catch (error) {
        return (error as ConfigurationFault).message
      }
    }
    expect(read()).toContain(reads)
  })

  test('needs nothing else to be configured', () => {
    expect(() => readDatabase({})).not.toThrow()
  })
})
