import { readFileSync } from 'node:fs'
import { readCa } from './ca'
import { parseUrl, readServerAddress, type Dialect } from './databaseUrl'
import { readEntries, readNamedKeys, type Entry, type FaultSink, type NamedKey } from './entries'
import { wholeNumber, type NumberName } from './numbers'
import { parseRefundOperator, readRefundOperator, type RefundOperator } from './refundOperator'
import { readPeople, SANDBOX_SECRET, type People } from './people'
import { Secret } from './secrets'
import { secretsIn } from './secretVariables'

export type Merchant = {
  out_mch_id: string
  out_sub_mch_id: string
  out_shop_id: string
  /** `cloud_cashier_id`: every order number of this sub-merchant starts with it. */
  order_prefix: string
  authen_key: Secret
  /** Accepted on what comes, never used to sign: the key before or after this one, while it is being replaced. */
  authen_key_also_accepted: Secret | undefined
  /** Who refunds, in the words of Cloud Pay; none: refunds name nobody. */
  refund_operator: RefundOperator | undefined
  /** No new orders; what is open goes on, and its keys with it. */
  disabled?: boolean
}

/** Money that comes for a closed or failed order. */
export type LatePayment = 'refund' | 'honour'

/**
 * How a notification is acknowledged: the page types `response_content` as a structure and does not say whether that is an
 * object, which a live receiver answers, or its text, as in every other message.
 */
export type ReplyForm = 'object' | 'text'

/** Where the same sub-merchants take money without this deployment: what all the payments made there have. */
export type Till = { out_shop_id?: string; device_id?: string; trade_type?: number }

export type Config = {
  /** At least one; orders go to the first unless they name another. */
  merchants: readonly [Merchant, ...Merchant[]]
  cloudPay: {
    /** Ends with a slash. */
    baseUrl: string
    timeoutMs: number
    /** PEM text, or a file with it, that replaces the built-in roots for Cloud Pay alone. */
    ca: string | undefined
    caFile: string | undefined
    spbillCreateIp: string
    /** `caller_notify_url` of every order, when the console's address is not the one to call. */
    callerNotifyUrl: string | undefined
    notifyReply: ReplyForm
    /** Orders and refunds the timer asks about, per sub-merchant. */
    perMinute: number
  }
  orderLifeS: number
  /** Seconds after create before which nothing is asked to be closed. */
  closeNotBeforeS: number
  latePayment: LatePayment
  /** What refunds may add up to, per sub-merchant. */
  refundCeilings: { hourFen: number; dayFen: number }
  /** Where the merchant is told what happened. */
  webhook: { url: string; secret: Secret; allowPrivate: boolean } | undefined
  /** Texts and payer ids of orders that are over are kept so long. */
  retentionDays: number
  /** `ca`: PEM text that replaces the built-in roots for it. */
  database: { dialect: Dialect; url: Secret; ca?: string | undefined }
  /**
   * `closed`: sessions and signed requests. `open`: anybody may call, for one machine only. `own`: the bundle brings its
   * own `authorize`.
   */
  callers: 'closed' | 'open' | 'own'
  people: People
  otherTills: readonly Till[]
  /** What no line of the log may show. */
  secrets: readonly Secret[]
  /** What lies sealed in the database opens with these; without any, nothing is kept there that needs sealing. */
  dataKeys: readonly NamedKey[]
}

/** All that is wrong with the configuration at once, by variable name and never by value. */
export class ConfigurationFault extends Error {
  override readonly name = 'ConfigurationFault'

  constructor(readonly faults: readonly string[]) {
    super(faults.join('; '))
  }
}

/** What the sandbox publishes, so it must never be worth anything anywhere else. */
export const SANDBOX_MERCHANT = {
  out_mch_id: 'sandboxmch0000000001',
  out_sub_mch_id: 'sandboxsub0000000001',
  out_shop_id: 'sandboxshop000000001',
  order_prefix: 'sb01',
  authen_key: 'sandbox0authen0key0not0a0secret0',
} as const

export const ORDER_NUMBER_MAX = 32
/** What a prefix must leave: 8 characters of time and 6 of chance. */
export const ORDER_NUMBER_OWN_MIN = 14

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

export const IPV4 = /^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/

export type Env = Record<string, string | undefined>

/**
 * Reads the environment once. Throws a ConfigurationFault that lists every fault.
 * `injectedAuthorize`: the caller of `createApp` brings its own door-keeper, so nobody else needs a key.
 */
export function readConfig(env: Env, injectedAuthorize = false): Config {
  const faults: string[] = []
  const fault = (name: string, why: string) => void faults.push(`${name} ${why}`)

  const text = (name: string, pattern: RegExp, shape: string): string => {
    const value = env[name]
    if (value === undefined || value === '') fault(name, 'is missing')
    else if (!pattern.test(value)) fault(name, `must be ${shape}`)
    return value ?? ''
  }
  const whole = (name: NumberName): number => wholeNumber(env, name, fault)

  const merchant: Merchant = {
    out_mch_id: text('CLOUD_PAY_OUT_MCH_ID', ID, '1 to 32 letters and digits'),
    out_sub_mch_id: text('CLOUD_PAY_OUT_SUB_MCH_ID', ID, '1 to 32 letters and digits'),
    out_shop_id: text('CLOUD_PAY_OUT_SHOP_ID', ID, '1 to 32 letters and digits'),
    order_prefix: text('CLOUD_PAY_ORDER_PREFIX', PREFIX, 'letters and digits'),
    // The key is literal text: a stray blank or line break from copying would sign differently.
    authen_key: new Secret(text('CLOUD_PAY_AUTHEN_KEY', AUTHEN_KEY, 'visible ASCII without blanks')),
    authen_key_also_accepted: env['CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED']
      ? new Secret(text('CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED', AUTHEN_KEY, 'visible ASCII without blanks'))
      : undefined,
    refund_operator: parseRefundOperator(env['CLOUD_PAY_REFUND_OPERATOR'], () =>
      fault('CLOUD_PAY_REFUND_OPERATOR', OPERATOR_SHAPE),
    ),
  }
  if (merchant.order_prefix.length > PREFIX_MAX) {
    fault(
      'CLOUD_PAY_ORDER_PREFIX',
      `leaves fewer than ${ORDER_NUMBER_OWN_MIN} of ${ORDER_NUMBER_MAX} characters`,
    )
  }
  const merchants: Config['merchants'] = [
    merchant,
    ...readOtherMerchants(env['CLOUD_PAY_OTHER_MERCHANTS'], merchant, fault),
  ]

  const onScf = Boolean(env['TENCENTCLOUD_RUNENV'])
  const base = readBaseUrl(env['CLOUD_PAY_BASE_URL'] || 'https://pay.qcloud.com/cpay/', fault)
  const database = readDatabaseOf(env, fault)
  const ca = readCa(env, 'CLOUD_PAY_CA', fault)
  const caFile = env['CLOUD_PAY_CA_FILE'] || undefined
  if (ca !== undefined && caFile !== undefined)
    fault('CLOUD_PAY_CA', 'and CLOUD_PAY_CA_FILE are two answers to one question: leave one out')
  else if ((ca ?? caFile) !== undefined && base.url.startsWith('http:'))
    fault(
      ca === undefined ? 'CLOUD_PAY_CA_FILE' : 'CLOUD_PAY_CA',
      'does nothing for a CLOUD_PAY_BASE_URL of http://',
    )

  const spbillCreateIp = env['CLOUD_PAY_SPBILL_CREATE_IP'] || '127.0.0.1'
  if (!IPV4.test(spbillCreateIp)) fault('CLOUD_PAY_SPBILL_CREATE_IP', 'must be an IPv4 address')

  if (merchants.some(isOfSandbox) && !base.loopback) {
    fault(
      'CLOUD_PAY_AUTHEN_KEY',
      'is the key the sandbox publishes; it works with a loopback CLOUD_PAY_BASE_URL only',
    )
  }

  const people = readPeople(env, merchants, base.loopback, whole, fault)
  const callers = env['CALLERS']
  if (callers === 'open') {
    // Three separate locks: any one of them keeps an open door off the internet.
    if (onScf) fault('CALLERS', 'must not be open on SCF (TENCENTCLOUD_RUNENV is set)')
    if (!base.loopback) fault('CALLERS', 'must not be open unless CLOUD_PAY_BASE_URL is loopback')
    const listen = env['GATEWAY_LISTEN_HOST']
    if (listen && !isLoopback(listen))
      fault('CALLERS', 'must not be open while GATEWAY_LISTEN_HOST is not loopback')
  } else if (callers && callers !== 'own') {
    fault('CALLERS', 'must be "own" or "open", or left out')
  } else if (
    !callers &&
    !injectedAuthorize &&
    people.sessionKeys.length === 0 &&
    people.merchantKeys.length === 0 &&
    // The sub-merchants in the database may bring theirs.
    !env['DATA_KEYS']
  ) {
    fault('CALLERS', 'is missing, and so are SESSION_KEYS and MERCHANT_KEYS: nobody could call')
  }

  const latePayment = env['LATE_PAYMENT'] || 'refund'
  if (latePayment !== 'refund' && latePayment !== 'honour') fault('LATE_PAYMENT', 'must be refund or honour')

  const notifyReply = env['NOTIFY_REPLY'] || 'object'
  if (notifyReply !== 'object' && notifyReply !== 'text') fault('NOTIFY_REPLY', 'must be object or text')

  const dataKeys = readNamedKeys(env['DATA_KEYS'], 'DATA_KEYS', fault)
  if (!base.loopback && dataKeys.some(({ secret }) => secret.reveal().startsWith(SANDBOX_SECRET)))
    fault('DATA_KEYS', 'has a key the sandbox publishes; it works with a loopback CLOUD_PAY_BASE_URL only')

  const config: Config = {
    merchants,
    cloudPay: {
      baseUrl: base.url,
      timeoutMs: whole('CLOUD_PAY_TIMEOUT_MS'),
      ca,
      caFile,
      spbillCreateIp,
      callerNotifyUrl: readNotifyUrl(env['CALLER_NOTIFY_URL'], base.loopback, fault),
      notifyReply: notifyReply === 'text' ? 'text' : 'object',
      perMinute: whole('CLOUD_PAY_PER_MINUTE'),
    },
    closeNotBeforeS: whole('CLOSE_NOT_BEFORE'),
    latePayment: latePayment === 'honour' ? 'honour' : 'refund',
    refundCeilings: {
      hourFen: whole('REFUND_HOUR_MAX_FEN'),
      dayFen: whole('REFUND_DAY_MAX_FEN'),
    },
    webhook: readWebhook(env, fault),
    retentionDays: whole('RETENTION_DAYS'),
    orderLifeS: whole('ORDER_LIFE_SECONDS'),
    database,
    callers: injectedAuthorize || callers === 'own' ? 'own' : callers === 'open' ? 'open' : 'closed',
    people,
    otherTills: readTills(env['OTHER_TILLS'], fault),
    dataKeys,
    secrets: secretsIn(env),
  }
  if (faults.length > 0) throw new ConfigurationFault(faults)
  return config
}

/** Every key a merchant's messages may be signed with. */
export const keysOf = ({ authen_key, authen_key_also_accepted: also }: Merchant): Secret[] =>
  also ? [authen_key, also] : [authen_key]

export const isOfSandbox = (merchant: Merchant): boolean =>
  keysOf(merchant).some((key) => key.reveal() === SANDBOX_MERCHANT.authen_key)

/** The database alone, for tools that need nothing else. Throws a ConfigurationFault. */
export function readDatabase(env: Env): Config['database'] {
  const faults: string[] = []
  const database = readDatabaseOf(env, (name, why) => faults.push(`${name} ${why}`))
  if (faults.length > 0) throw new ConfigurationFault(faults)
  return database
}

const ID = /^[0-9A-Za-z]{1,32}$/
const PREFIX = /^[0-9A-Za-z]+$/
export const AUTHEN_KEY = /^[!-~]{6,128}$/
const OPERATOR_SHAPE =
  'must be a JSON object of is_sub_mch_admin, authorization_staff_id (needed when that is false), authorization_name, device_id, staff_id'
const PREFIX_MAX = ORDER_NUMBER_MAX - ORDER_NUMBER_OWN_MIN

/**
 * Further sub-merchants, a JSON list of the five facts of each, who refunds, and a second key during a rotation. One prefix may
 * not begin another: an order number has to tell whose it is.
 */
function readOtherMerchants(value: string | undefined, first: Merchant, fault: FaultSink): Merchant[] {
  const known = [first]
  for (const entry of readEntries(value, 'CLOUD_PAY_OTHER_MERCHANTS', fault))
    known.push(readMerchant(entry, known))
  return known.slice(1)
}

const TILL_TEXT = /^[!-~]{1,64}$/

/** A JSON list of shops, devices and trade types; one entry may name several, and then means all of them together. */
function readTills(value: string | undefined, fault: FaultSink): Till[] {
  return readEntries(value, 'OTHER_TILLS', fault).map((entry) => {
    const [shop, device, type] = (['out_shop_id', 'device_id', 'trade_type'] as const).map(entry.optional)
    if (shop === undefined && device === undefined && type === undefined)
      entry.say('has neither out_shop_id nor device_id nor trade_type')
    if (type !== undefined && !Number.isSafeInteger(type)) entry.refuse('trade_type')
    return {
      ...(shop === undefined ? {} : { out_shop_id: entry.text('out_shop_id', TILL_TEXT) }),
      ...(device === undefined ? {} : { device_id: entry.text('device_id', TILL_TEXT) }),
      ...(type === undefined ? {} : { trade_type: type as number }),
    }
  })
}

/** One sub-merchant beside those that are known. */
export function readMerchant(entry: Entry, known: readonly Merchant[]): Merchant {
  const merchant: Merchant = {
    out_mch_id: entry.text('out_mch_id', ID),
    out_sub_mch_id: entry.text('out_sub_mch_id', ID),
    out_shop_id: entry.text('out_shop_id', ID),
    order_prefix: entry.text('order_prefix', PREFIX),
    authen_key: new Secret(entry.text('authen_key', AUTHEN_KEY)),
    authen_key_also_accepted:
      entry.optional('authen_key_also_accepted') === undefined
        ? undefined
        : new Secret(entry.text('authen_key_also_accepted', AUTHEN_KEY)),
    refund_operator: readRefundOperator(entry.optional('refund_operator'), () =>
      entry.refuse('refund_operator'),
    ),
  }
  if (merchant.order_prefix.length > PREFIX_MAX) entry.say('has too long an order_prefix')
  for (const other of known) {
    const [a, b] = [merchant.order_prefix, other.order_prefix]
    // What is empty here has been told of above.
    if (a && b && (a.startsWith(b) || b.startsWith(a))) entry.say('has an order_prefix that begins another,')
    if (merchant.out_sub_mch_id && merchant.out_sub_mch_id === other.out_sub_mch_id)
      entry.say('repeats an out_sub_mch_id')
  }
  return merchant
}

function readNotifyUrl(value: string | undefined, loopback: boolean, fault: FaultSink): string | undefined {
  if (!value) return undefined
  const url = parseUrl(value)
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)
  if (!url || !secure || url.username || url.password) fault('CALLER_NOTIFY_URL', 'must be an https:// URL')
  return value
}

/** Standard Webhooks: the secret is `whsec_` and base64 of 24 to 64 bytes. */
function readWebhook(env: Env, fault: FaultSink): Config['webhook'] {
  const value = env['MERCHANT_WEBHOOK_URL']
  if (!value) return undefined
  const url = parseUrl(value)
  const allowPrivate = env['MERCHANT_WEBHOOK_ALLOW_PRIVATE'] === 'yes'
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && allowPrivate)
  if (!url || !secure || url.username || url.password || url.hostname.endsWith('.')) {
    fault('MERCHANT_WEBHOOK_URL', 'must be an https:// URL without user or password')
  }
  const secret = env['MERCHANT_WEBHOOK_SECRET'] ?? ''
  const text = secret.replace(/^whsec_/, '')
  const bytes = Buffer.from(text, 'base64').length
  const isBase64 = /^whsec_[0-9A-Za-z+/]+={0,2}$/.test(secret) && text.length % 4 === 0
  if (!isBase64 || bytes < 24 || bytes > 64) {
    fault('MERCHANT_WEBHOOK_SECRET', 'must be whsec_ followed by base64 of 24 to 64 bytes')
  }
  return { url: value, secret: new Secret(secret), allowPrivate }
}

function readBaseUrl(value: string, fault: FaultSink): { url: string; loopback: boolean } {
  const name = 'CLOUD_PAY_BASE_URL'
  const url = parseUrl(value)
  if (!url) {
    fault(name, 'must be a URL')
    return { url: '', loopback: false }
  }
  const loopback = isLoopback(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    fault(name, 'must start with https:// (http:// is for loopback only)')
  }
  // A bare `?` or `#` leaves `search` and `hash` empty, and still stands in `href`.
  if (/[?#]/.test(value) || url.username || url.password) {
    fault(name, 'must have no query, fragment, user or password')
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return { url: url.href, loopback }
}

/**
 * The roots to trust in the place of the built-in ones, if there are any: the PEM text, or what a file of this machine holds.
 * Throws a ConfigurationFault that names the variable which names the file.
 */
export function rootsOf(text: string | undefined, file: string | undefined, variable: string) {
  if (text !== undefined || file === undefined) return text
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new ConfigurationFault([`${variable} names a file that cannot be read`])
  }
}

function readDatabaseOf(env: Env, fault: FaultSink): Config['database'] {
  const database = readDatabaseUrl(env['DATABASE_URL'], Boolean(env['TENCENTCLOUD_RUNENV']), fault)
  const ca = readCa(env, 'DATABASE_CA', fault)
  if (ca === undefined) return database
  const url = parseUrl(database.url.reveal())
  if (database.dialect === 'sqlite' || !['verify', 'verify-ca'].includes(url?.searchParams.get('tls') ?? ''))
    fault('DATABASE_CA', 'does nothing without tls=verify or tls=verify-ca in DATABASE_URL')
  if (url?.searchParams.has('ca'))
    fault('DATABASE_CA', 'and the ca of DATABASE_URL are two answers to one question: leave one out')
  return { ...database, ca }
}

function readDatabaseUrl(value: string | undefined, onScf: boolean, fault: FaultSink): Config['database'] {
  const name = 'DATABASE_URL'
  if (!value) {
    if (onScf) fault(name, 'is missing')
    return { dialect: 'sqlite', url: new Secret('sqlite:.local/orders.db') }
  }
  const dialect: Dialect | undefined = /^mysql:\/\//.test(value)
    ? 'mysql'
    : /^postgres(ql)?:\/\//.test(value)
      ? 'postgres'
      : /^sqlite:./.test(value)
        ? 'sqlite'
        : undefined
  if (!dialect) fault(name, 'must start with mysql://, postgres:// or sqlite:')
  if (dialect === 'sqlite' && onScf)
    fault(name, 'must not be SQLite on SCF: the file would vanish with the instance')
  if (dialect === 'mysql' || dialect === 'postgres') {
    try {
      readServerAddress(value, dialect)
    } catch (error) {
      fault(name, error instanceof Error ? error.message : 'must be a URL')
    }
  }
  return { dialect: dialect ?? 'sqlite', url: new Secret(value) }
}
