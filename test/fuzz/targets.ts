import { createHash, createHmac, createSign, generateKeyPairSync } from 'node:crypto'
import { openSessions } from '../../shared/access/session'
import { alipayExchange } from '../../shared/access/alipay'
import type { Exchanged } from '../../shared/access/exchange'
import { openLogins } from '../../shared/access/login'
import { openSignedRequests } from '../../shared/access/signed'
import { openStates } from '../../shared/access/state'
import { wechatExchange } from '../../shared/access/wechat'
import type { Caller } from '../../shared/base/caller'
import { ConfigurationFault, readConfig, SANDBOX_MERCHANT } from '../../shared/base/config'
import { readServerAddress } from '../../shared/base/databaseUrl'
import { FAULTS, Fault } from '../../shared/base/errors'
import type { PayerApp } from '../../shared/base/people'
import { Secret } from '../../shared/base/secrets'
import { nowS, type Clock } from '../../shared/base/time'
import type { Answer } from '../../shared/cloudpay/client'
import { echoFaults } from '../../shared/cloudpay/echoes'
import { openAnswer, readMember } from '../../shared/cloudpay/envelope'
import { openNotification } from '../../shared/cloudpay/notification'
import {
  AnswerContent,
  BillEntry,
  clientOrderDetail,
  Detail,
  INTERFACES,
  NotificationContent,
  queryOrder,
  refund as refundInterface,
  retryDelayMs,
  type RefundAnswer,
} from '../../shared/cloudpay/schema'
import { readJsonBody } from '../../shared/http/body'
import { bodyText, isHttpEvent, readBody, readHead } from '../../shared/http/event'
import { idempotencyKey } from '../../shared/http/idempotency'
import { findDestination, Refused } from '../../shared/net/address'
import type { Order } from '../../shared/order/order'
import { knownMerchants, type Payments } from '../../shared/payments/context'
import { contentHash, payerOf, readOrderRequest } from '../../shared/payments/orderRequest'
import { priceOrder } from '../../shared/payments/price'
import { readQuote } from '../../shared/payments/quote'
import { readRefundRequest } from '../../shared/payments/refund'
import { readRefundList } from '../../shared/payments/refundEvidence'
import type { Store } from '../../shared/store/open'
import { callTencent, TencentFault } from '../../shared/tencent/call'
import { SANDBOX_KEYS } from '../../local/sandbox/people'
import type { Dice } from '../simulation/dice'
import { generate } from './generate'
import { mutate, mutateBytes, mutateText, oddText, oddValue } from './mutate'
import type { Target } from './play'

/** What the targets need of the world: a database with the schema in it, and an environment that is accepted. */
export type Ground = { store: Store; env: Record<string, string> }

const NOW_S = 1_900_000_000
const clock: Clock = { nowMs: () => NOW_S * 1000, sleep: async () => undefined }
const silent = () => undefined

/** A refusal that a caller is told is a result; a 500 is ours. */
function refused(error: unknown): false {
  if (error instanceof Fault && FAULTS[error.code].status !== 500) return false
  throw error
}
const taking = (work: () => unknown): boolean => {
  try {
    work()
    return true
  } catch (error) {
    return refused(error)
  }
}
const takingLater = (work: Promise<unknown>): Promise<boolean> => work.then(() => true, refused)

/** Half of all inputs, or so, as they were; the others changed. */
const changed =
  <T>(make: (dice: Dice) => T, share = 0.55) =>
  (dice: Dice): T => {
    const made = make(dice)
    return dice.chance(share) ? mutate(made, dice) : made
  }
const changedText =
  (make: (dice: Dice) => string, share = 0.55) =>
  (dice: Dice): string => {
    const made = make(dice)
    return dice.chance(share) ? mutateText(made, dice) : made
  }

const hmac = (key: string, text: string) => createHmac('sha256', key).update(text, 'utf8')
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
/** JSON as other writers write it. */
const written = (value: unknown, dice: Dice): string => {
  const text = JSON.stringify(value, null, dice.pick([undefined, undefined, 1])) ?? ''
  const escaped = dice.chance(0.2)
    ? text.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : text
  return escaped + dice.pick(['', '', '\n', ' '])
}

// ── what is valid, by kind ─────────────────────────────────────────────────────────────────────────────────────

const letters = (dice: Dice, max: number) => dice.bytes(dice.between(1, max / 2)).toString('hex')
const NUMBER = 'sb01fuzzed'

const SCENE_INFO = '{"h5_info":{"type":"Wap","wap_url":"https://shop.example","wap_name":"shop"}}'

/** The ways of paying that name nobody: a code to scan, an app, a browser, and a till. */
function sceneBody(dice: Dice) {
  const trade_type = dice.pick([1, 2, 4, 6])
  const alipay = dice.chance(0.2)
  const wechat = !alipay && dice.chance(0.95)
  const ext: Record<number, object> = { 2: { product_id: 'p1' }, 6: { scene_info: SCENE_INFO } }
  const client: Record<number, object> = {
    1: { machine_no: 'till-1', sn_code: 'sn-1' },
    6: { spbill_create_ip: dice.pick(['203.0.113.7', '203.0.113.7', 'fe80::1', '1.2.3']) },
  }
  return {
    trade_type,
    pay_content: {
      total_fee: dice.between(1, 100),
      body: dice.pick(['tea', '湖心-上海人民广场店-大杯']),
      ...(trade_type === 1
        ? { author_code: dice.pick(['134567890123450001', '284567890123450001', '13']) }
        : {}),
      ...(wechat && ext[trade_type] && dice.chance(0.9) ? { wxpay_pay_content_ext: ext[trade_type] } : {}),
      ...(dice.chance(0.1) ? { time_expire: NOW_S + 900 } : {}),
    },
    pay_mch_key: {
      pay_platform: alipay ? 2 : 1,
      ...(trade_type === 4 && wechat ? { wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp1' } } : {}),
    },
    ...(client[trade_type] && dice.chance(0.9) ? { order_client: client[trade_type] } : {}),
  }
}

/** What a payer with a session may say of such a way: nothing of the price. */
const sceneOfPayer = (dice: Dice) => {
  const { trade_type, order_client, pay_mch_key, pay_content } = sceneBody(dice)
  const { wxpay_pay_content_ext } = pay_content
  return {
    trade_type,
    ...(order_client ? { order_client } : {}),
    ...(dice.chance(0.5) ? { pay_mch_key } : {}),
    ...(wxpay_pay_content_ext ? { pay_content: { wxpay_pay_content_ext } } : {}),
  }
}

const anyOrderBody = (dice: Dice) => (dice.chance(0.4) ? sceneBody(dice) : orderBody(dice))

function orderBody(dice: Dice) {
  const wechat = dice.chance(0.7)
  const mini = wechat && dice.chance(0.4)
  const detail = dice.chance(0.3) ? (generate(Detail, dice) as object) : undefined
  return {
    pay_content: {
      ...(dice.chance(0.5) ? { out_trade_no: `sb01${letters(dice, 28)}` } : {}),
      total_fee: dice.between(1, dice.pick([100, 2_147_483_647])),
      ...(dice.chance(0.3) ? { fee_type: 'CNY' } : {}),
      body: dice.pick(['tea', '湖心奶茶-大杯', '🧋'.repeat(128)]),
      ...(detail ? { detail: dice.chance(0.5) ? detail : JSON.stringify(detail) } : {}),
      ...(dice.chance(0.3) ? { remark: '少糖' } : {}),
      ...(dice.chance(0.3) ? { time_expire: NOW_S + 900 } : {}),
      ...(wechat && dice.chance(0.3)
        ? { wxpay_pay_content_ext: { attach: 'a', limit_pay: 'no_credit' } }
        : {}),
    },
    pay_mch_key: {
      pay_platform: wechat ? 1 : 2,
      ...(dice.chance(0.2) ? { out_sub_mch_id: SANDBOX_MERCHANT.out_sub_mch_id } : {}),
      ...(mini
        ? { wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wx1', sub_open_id: 'o1' } }
        : wechat
          ? { wxpay_pay_mch_key_ext: { [dice.pick(['open_id', 'sub_open_id'])]: 'oPayer' } }
          : { alipay_pay_mch_key_ext: { user_id: '2088000000000001' } }),
    },
    ...(mini ? { trade_type: 9 } : dice.chance(0.2) ? { trade_type: 3 } : {}),
    ...(dice.chance(0.2) ? { order_client: { device_id: 'till', terminal_type: 2 } } : {}),
    ...(dice.chance(0.3) ? { merchant_order_id: letters(dice, 60) } : {}),
  }
}

function httpEvent(dice: Dice): Record<string, unknown> {
  const body = dice.pick(['', '{}', '{"a":"茶"}', 'x'.repeat(dice.pick([10, 65_536, 70_000]))])
  const encoded = dice.chance(0.4)
  const headers: Record<string, unknown> = {
    'content-type': 'application/json',
    ...(dice.chance(0.5)
      ? { [dice.pick(['idempotency-key', 'Idempotency-Key'])]: dice.pick(['a', ['b'], 7]) }
      : {}),
    ...(dice.chance(0.3) ? { 'X-Scf-Remote-Addr': dice.pick(ADDRESSES) } : {}),
    ...(dice.chance(0.2) ? { Accept: 'a', accept: ['b', 'c'] } : {}),
  }
  return {
    httpMethod: dice.pick(['GET', 'POST', 'post']),
    path: dice.pick(['/orders', `/orders/${NUMBER}`, '/']),
    headers,
    ...dice.pick([
      { queryString: { refresh: '1' } },
      { queryStringParameters: { a: ['1', '2'] } },
      { queryString: null },
      {},
    ]),
    body: encoded ? Buffer.from(body).toString('base64') : body,
    ...(encoded
      ? { isBase64Encoded: dice.pick([true, 'true']) }
      : dice.pick([{}, { isBase64Encoded: 'false' }])),
    ...(dice.chance(0.3) ? { requestContext: { sourceIp: dice.pick(ADDRESSES) } } : {}),
  }
}
const ADDRESSES = [
  '203.0.113.1',
  '203.0.113.1:80',
  '[2001:db8::1]:80',
  '2001:DB8::7',
  '::1',
  'unknown',
  '1.2.3',
  '',
]

/** A second key, as while the first is being replaced. */
export const ALSO_ACCEPTED = 'the0key0after0this0one'

/** An answer's or a notification's content in its envelope, spoilt before or after it was signed, or not at all. */
function sealed(member: 'request_content' | 'response_content', content: unknown, dice: Dice): Buffer {
  const fate = dice.below(10)
  const inner = fate === 0 ? mutate(content, dice) : content
  const text = fate === 1 ? mutateText(written(inner, dice), dice) : written(inner, dice)
  const signedWith = dice.pick([SANDBOX_MERCHANT.authen_key, SANDBOX_MERCHANT.authen_key, ALSO_ACCEPTED])
  const code = hmac(signedWith, text).digest('hex').toUpperCase()
  const outer: Record<string, unknown> = {
    [member]: text,
    authen_info: { a: { authen_type: 1, authen_code: code } },
  }
  if (member === 'response_content' && dice.chance(0.05)) delete outer['authen_info']
  if (fate === 2) return Buffer.from(written(mutate(outer, dice), dice))
  const bytes = Buffer.from(written(outer, dice))
  return fate === 3 || fate === 4 ? mutateBytes(bytes, dice) : bytes
}

const answerOf = (iface: (typeof INTERFACES)[number], dice: Dice): unknown => {
  const content = generate(AnswerContent, dice) as Record<string, unknown>
  const status = dice.chance(0.7) ? 0 : dice.pick([3, 101, 102, 103, 104])
  if (status !== 0) return { ...content, status }
  const member = generate(iface.answer, dice) as Record<string, unknown>
  if (dice.chance(0.4))
    member['pay_mch_key'] = {
      pay_platform: 1,
      wxpay_pay_mch_key_ext: { sub_open_id: 'oPayer', open_id: 'oOther' },
      alipay_pay_mch_key_ext: { user_id: '2088000000000001' },
    }
  return { ...content, status, [iface.member]: member }
}

/** The order that refund lists and queries are compared with. */
const ORDER = {
  ...SANDBOX_MERCHANT,
  out_trade_no: NUMBER,
  total_fee: 1880,
  fee_type: 'CNY',
  pay_platform: 1,
  trade_type: 3,
  payer_field: 'sub_open_id',
  payer_id: 'oPayer',
  created_at: NOW_S,
} as unknown as Order

const ALIPAY_ORDER: Order = {
  ...ORDER,
  pay_platform: 2,
  payer_field: 'user_id',
  payer_id: '2088000000000001',
}

const refundList = (dice: Dice): RefundAnswer => {
  const one = () => ({
    out_trade_no: NUMBER,
    out_refund_no: `sb01${letters(dice, 20)}`,
    total_fee: 1880,
    refund_fee: dice.between(1, 1880),
    refund_fee_type: 'CNY',
    wxpay_refund_order_content_ext: { state: dice.between(1, 5) },
  })
  const { out_mch_id, out_sub_mch_id, out_shop_id } = SANDBOX_MERCHANT
  return {
    nonce_str: 'n',
    pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
    refund_order_content: Array.from({ length: dice.below(4) }, one),
  }
}

const urlOf = (dice: Dice): string => {
  const host = dice.pick([
    'merchant.test',
    '119.29.29.29',
    '127.0.0.1',
    '[2400:3200::1]',
    '[::1]',
    '2130706433',
    'x.test',
  ])
  const port = dice.pick(['', '', ':8443'])
  return `${dice.pick(['https', 'https', 'https', 'http'])}://${dice.pick(['', '', '', 'u:p@'])}${host}${port}/${dice.pick(['', 'hook?a=1'])}`
}

// ── the targets ────────────────────────────────────────────────────────────────────────────────────────────────

/** Every parser that reads what comes from outside. */
export function targets({ store, env }: Ground): Target[] {
  const config = readConfig(env)
  const { people } = config
  const merchants = knownMerchants(config.merchants)
  const { key } = merchants.first
  const payments = {
    merchants,
    store,
    clock,
    log: silent,
    random: (count: number) => Buffer.alloc(count, 7),
    settings: {
      spbillCreateIp: '127.0.0.1',
      prices: {
        free: false,
        ways: ['quote', 'catalogue'],
        quoteKeys: people.quoteKeys,
        deployment: people.deployment,
      },
      limits: people.limits,
    },
  } as unknown as Payments
  const { settings } = payments
  const quotesOnly: Payments = {
    ...payments,
    settings: { ...settings, prices: { ...settings.prices, ways: ['quote'] } },
  }
  const [mini, offi] = people.apps as [PayerApp, PayerApp]
  const random = (count: number) => Buffer.alloc(count, 9)
  const sessions = openSessions(people.sessionKeys, people.apps)
  const states = openStates(people.sessionKeys)
  const secret = Buffer.alloc(32, 5).toString('base64url')
  const secretHash = createHash('sha256').update(Buffer.alloc(32, 5)).digest('base64url')
  const { out_sub_mch_id } = SANDBOX_MERCHANT
  const payer: Caller = {
    id: 'p:1',
    kind: 'payer',
    out_sub_mch_id,
    payer: {
      field: 'sub_open_id',
      id: 'oPayer',
      app_id: mini.app_id,
      app_kind: 'mini_program',
      session: 's',
    },
  }
  const merchant: Caller = { id: 'm:1', kind: 'merchant', out_sub_mch_id }
  /** Of a deployment that brings its own door-keeper: no session, and no sub-merchant. */
  const nobodysPayer: Caller = { id: 'own:1', kind: 'payer' }
  const nobodysMerchant: Caller = { id: 'own:2', kind: 'merchant' }
  const openIdPayer: Caller = {
    ...payer,
    payer: { ...payer.payer!, field: 'open_id', app_id: offi.app_id, app_kind: 'official_account' },
  }
  const offiPayer: Caller = {
    ...payer,
    payer: { ...payer.payer!, app_id: offi.app_id, app_kind: 'official_account' },
  }
  const alipayPayer: Caller = {
    ...payer,
    payer: { ...payer.payer!, field: 'user_id', id: '2088000000000001', app_kind: 'alipay' },
  }

  let spoken = ''
  let nonces = 0
  const ask = async () => ({ status: spoken === 'away' ? 500 : 200, body: Buffer.from(spoken) })
  // Now and then a sub-merchant has been changed in the meantime.
  let asked = 0
  const newer = async () => (++asked % 10 === 0 ? { people, newer: async () => undefined } : undefined)
  const logins = openLogins({
    people,
    store,
    clock,
    random,
    log: silent,
    ask,
    newer,
    payerTag: () => 'payer',
  })
  const deadline = { remainingMs: () => 5000 }
  const signed = openSignedRequests(people.merchantKeys)
  const exchanged = (work: Promise<Exchanged>) => work.then(({ outcome }) => outcome === 'payer')

  // Small keys: what is tried is reading, and signing takes most of the time.
  const pair = () => generateKeyPairSync('rsa', { modulusLength: 1024 })
  const [own, theirs] = [pair(), pair()]
  const alipayApp = {
    ...(people.apps[2] as PayerApp),
    secret: new Secret(own.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')),
    alipay_public_key: theirs.publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
  }
  const alipayAnswers = Array.from({ length: 40 }, (_, at) => {
    const content = JSON.stringify({
      user_id: `2088${String(at).padStart(12, '0')}`,
      ...(at % 10 === 9 ? { user_id: undefined, open_id: 'x' } : {}),
      ...(at % 3 === 0 ? { note: '茶 "{}" \\' } : {}),
      ...(at % 5 === 0 ? { deep: { a: [{ b: 1 }] } } : {}),
    })
    const sign = createSign('RSA-SHA256').update(content, 'utf8').sign(theirs.privateKey, 'base64')
    return `{"alipay_system_oauth_token_response":${content},"sign":"${sign}"}`
  })

  const quoteOf = (dice: Dice): string => {
    const claims = {
      iss: 'sandbox-shop',
      aud: [SANDBOX_KEYS.deployment, out_sub_mch_id],
      sub: 'oPayer',
      jti: letters(dice, 100),
      exp: NOW_S + dice.pick([600, 86_000, -10]),
      total_fee: dice.between(1, 100_000),
      fee_type: 'CNY',
      body: 'tea',
      merchant_order_id: letters(dice, 40),
      ...(dice.chance(0.5) ? { iat: NOW_S } : {}),
    }
    const header = { alg: 'HS256', kid: 'q1', typ: 'quote+jwt' }
    const fate = dice.below(10)
    const signed = `${part(fate === 0 ? mutate(header, dice) : header)}.${
      fate === 1 || fate === 2
        ? part(mutate(claims, dice))
        : fate === 3
          ? Buffer.from(oddText(dice)).toString('base64url')
          : part(claims)
    }`
    const token = `${signed}.${hmac(SANDBOX_KEYS.quote.secret, signed).digest('base64url')}`
    return fate === 4 || fate === 5 ? mutateText(token, dice) : token
  }

  const all: Target<never>[] = [
    target({
      name: 'HTTP event',
      covers: ['shared/http/event.ts', 'shared/http/idempotency.ts'],
      weight: 12,
      make: (dice) => (dice.chance(0.02) ? oddValue(dice) : changed(httpEvent, 0.6)(dice)),
      run: (event: unknown) =>
        isHttpEvent(event) &&
        taking(() => {
          const head = readHead(event)
          const request = { ...head, params: {}, body: readBody(event) }
          idempotencyKey(request)
          bodyText(request)
        }),
    }),
    target({
      name: 'JSON body',
      covers: ['shared/base/json.ts', 'shared/http/body.ts'],
      weight: 12,
      make: (dice) => {
        const value = dice.pick([
          orderBody,
          httpEvent,
          (): unknown => ({ a: [oddValue(dice)], b: oddValue(dice) }),
          () => oddValue(dice),
        ])(dice)
        const deep = dice.between(1, 12)
        const text = dice.pick([
          ...Array.from({ length: 10 }, () => written(value, dice)),
          `{"x":${'[{"a":'.repeat(deep)}1${'}]'.repeat(deep)}}`,
          `{"a":[{"b":1}],"c":{"d":1,${dice.pick(['"d"', '"\\u0064"', '"__proto__"'])}:2}}`,
        ])
        const bytes = Buffer.from(text)
        return dice.chance(0.5) ? mutateBytes(bytes, dice) : bytes
      },
      run: (body: Buffer) =>
        taking(() =>
          readJsonBody({ method: 'POST', path: '/', params: {}, query: {}, headers: {}, address: '', body }),
        ),
    }),
    target({
      name: 'order request',
      covers: ['shared/payments/orderRequest.ts', 'shared/base/validate.ts'],
      weight: 12,
      make: changed(anyOrderBody, 0.6),
      run: (body: unknown) =>
        taking(() => {
          const request = readOrderRequest(body, payments)
          payerOf(request, payer)
          payerOf(request, merchant)
          contentHash(request, payer, merchants.first)
        }),
    }),
    target({
      name: 'payer’s order',
      covers: ['shared/payments/price.ts'],
      weight: 4,
      make: (dice) => {
        const who = dice.pick([
          payer,
          offiPayer,
          openIdPayer,
          alipayPayer,
          nobodysPayer,
          merchant,
          nobodysMerchant,
        ])
        const on = dice.chance(0.95) ? payments : quotesOnly
        if (who.kind === 'merchant') return { on, who, body: changed(orderBody)(dice) }
        const alipay = who === alipayPayer
        const { field = 'sub_open_id', id = 'oPayer', app_id = '' } = who.payer ?? {}
        const repeated = {
          pay_mch_key: {
            pay_platform: alipay ? 2 : 1,
            ...(dice.chance(0.5) ? { out_sub_mch_id } : {}),
            [alipay ? 'alipay_pay_mch_key_ext' : 'wxpay_pay_mch_key_ext']: {
              [field]: dice.chance(0.9) ? id : 'oOther',
              ...(who === payer ? { mini_program_sub_app_id: app_id } : {}),
            },
          },
          ...(dice.chance(0.4) ? { trade_type: dice.pick([who === payer ? 9 : 3, 3, 1, 2, 4, 6]) } : {}),
          ...(dice.chance(0.1) ? { merchant_order_id: 'another' } : {}),
        }
        const body = {
          ...(dice.chance(0.3)
            ? { quote: quoteOf(dice) }
            : { sku: dice.pick(['tea', 'tea', 'cake', 'gone']) }),
          ...(dice.chance(0.02) ? { sku: 'tea' } : {}),
          ...(dice.chance(0.3) ? { quantity: dice.between(1, 4) } : {}),
          ...(dice.chance(0.3)
            ? { pay_content: { remark: '少糖', ...(dice.chance(0.3) ? { fee_type: 'CNY' } : {}) } }
            : {}),
          ...(dice.chance(0.15) ? sceneOfPayer(dice) : {}),
          ...(dice.chance(0.4) || who === nobodysPayer ? repeated : {}),
        }
        return { on, who, body: dice.chance(0.35) ? mutate<unknown>(body, dice) : body }
      },
      run: ({ on, who, body }: { on: Payments; who: Caller; body: unknown }) =>
        typeof body === 'object' && body !== null && !Array.isArray(body)
          ? takingLater(priceOrder(on, who, body as Record<string, unknown>, null))
          : false,
    }),
    target({
      name: 'refund request',
      covers: ['shared/payments/refund.ts#readRefundRequest'],
      weight: 8,
      make: changed((dice) => ({
        refund_fee: dice.between(1, 5000),
        ...(dice.chance(0.6) ? { out_refund_no: `sb01${letters(dice, 28)}` } : {}),
        ...(dice.chance(0.3) ? { reason: '缺货' } : {}),
      })),
      run: (body: unknown) => taking(() => readRefundRequest(body, payments)),
    }),
    target({
      name: 'login, state and revocation',
      covers: ['shared/access/login.ts'],
      weight: 3,
      make: (dice) => {
        const what = dice.pick(['login', 'login', 'login', 'state', 'state', 'end'] as const)
        const app = dice.pick([mini, mini, offi])
        const state = app.needs_state
          ? { state: states.make(app, secretHash, NOW_S, (count) => dice.bytes(count)) }
          : {}
        const bodies = {
          login: { app_id: app.app_id, code: letters(dice, 40), secret, ...state },
          state: { app_id: dice.chance(0.9) ? offi.app_id : app.app_id, secret_hash: secretHash },
          end: { payer_id: 'oPayer', payer_field: 'sub_open_id' },
        }
        const said = dice.pick([
          '{"openid":"oPayer0001"}',
          '{"openid":"oPayer0001"}',
          '{"errcode":40029}',
          '{"errcode":40125}',
          'away',
        ])
        const caller: Caller = dice.pick([payer, merchant, { id: 'x', kind: 'merchant' }])
        const body: unknown = dice.chance(0.4) ? mutate<unknown>(bodies[what], dice) : bodies[what]
        return { what, body, said, caller, hurry: dice.chance(0.02) }
      },
      run: async ({ what, body, said, caller, hurry }: Login) => {
        spoken = said
        if (what === 'state') return taking(() => logins.beginLogin(body))
        if (what === 'end') return takingLater(logins.endSessions(caller, body as Record<string, unknown>))
        const left = hurry ? { remainingMs: () => 600 } : deadline
        return takingLater(logins.login(body, '203.0.113.1', left))
      },
    }),
    target({
      name: 'signed request',
      covers: ['shared/access/signed.ts'],
      weight: 4,
      make: (dice) => {
        const request = {
          method: dice.pick(['GET', 'POST']),
          path: `/orders/${NUMBER}`,
          query: dice.pick<Record<string, string>>([{}, { refresh: '1' }, { b: '茶 ', a: '%2F&=' }]),
          body: dice.pick(['', '{"a":1}']),
        }
        const at = {
          timestamp: String(NOW_S + dice.pick([0, 0, 0, 300, 301, -900])),
          nonce: `${letters(dice, 30).padEnd(20, '0')}-${dice.chance(0.1) ? 'again' : ++nonces}`,
        }
        const idempotency: Record<string, string> = dice.chance(0.3) ? { 'idempotency-key': 'k' } : {}
        const query = Object.entries(request.query)
          .map((pair) => pair.map(encodeURIComponent).join('='))
          .sort()
          .join('&')
        const hash = createHash('sha256').update(request.body).digest('hex')
        const lines = [
          'v1',
          'server',
          request.method,
          request.path,
          query,
          at.timestamp,
          at.nonce,
          idempotency['idempotency-key'] ?? '',
          hash,
        ]
        const headers = {
          'x-pay-key': 'server',
          'x-pay-timestamp': at.timestamp,
          'x-pay-nonce': at.nonce,
          'x-pay-signature': `v1=${hmac(SANDBOX_KEYS.server.secret, lines.join('\n')).digest('hex')}`,
          ...idempotency,
        }
        const event = {
          httpMethod: request.method,
          path: request.path,
          queryString: request.query,
          headers,
          body: request.body,
        }
        return dice.chance(0.4) ? mutate<Record<string, unknown>>(event, dice) : event
      },
      // As it comes: through the event, so that a header nobody can send is not tried either.
      run: (event: Record<string, unknown>) => {
        let approach
        try {
          if (!isHttpEvent(event)) return false
          approach = { ...readHead(event), body: readBody(event) }
        } catch (error) {
          return refused(error)
        }
        const enter = async () => signed.spend(approach, signed.verify(approach, nowS(clock)), store)
        return takingLater(enter())
      },
    }),
    target({
      name: 'session token',
      covers: ['shared/access/session.ts'],
      weight: 8,
      make: (dice) => {
        const nowS = NOW_S - dice.pick([0, 0, 0, 8000, -400])
        const around = { nowS, lifeS: 7200, random: (count: number) => dice.bytes(count) }
        const app = dice.pick([
          mini,
          offi,
          { ...mini, app_id: 'wxgone' },
          { ...mini, out_sub_mch_id: 'gone' },
        ])
        const { token } = sessions.issue(dice.chance(0.8) ? mini : app, 'oPayer', secretHash, around)
        return {
          token: dice.chance(0.3) ? mutateText(token, dice) : token,
          secret: dice.chance(0.1)
            ? mutateText(secret, dice)
            : dice.chance(0.05)
              ? dice.bytes(32).toString('base64url')
              : secret,
        }
      },
      run: ({ token, secret: given }: { token: string; secret: string }) =>
        typeof sessions.open(token, given, NOW_S) === 'object',
    }),
    target({
      name: 'state of a redirect',
      covers: ['shared/access/state.ts'],
      weight: 8,
      make: changedText(
        (dice) =>
          states.make(offi, secretHash, NOW_S - dice.pick([0, 0, 0, 700]), (count) => dice.bytes(count)),
        0.4,
      ),
      run: (state: string) => states.check(state, offi, secretHash, NOW_S) !== undefined,
    }),
    target({
      name: 'quote',
      covers: ['shared/payments/quote.ts'],
      weight: 2,
      make: (dice) => (dice.chance(0.02) ? oddValue(dice) : quoteOf(dice)),
      run: (token: unknown) => takingLater(readQuote(payments, token)),
    }),
    target({
      name: 'notification',
      covers: ['shared/cloudpay/notification.ts', 'shared/cloudpay/signing.ts'],
      weight: 8,
      make: (dice) => {
        if (dice.chance(0.005)) return Buffer.alloc(40_000, 'x')
        const content = generate(NotificationContent, dice) as Record<string, Record<string, unknown>>
        content['pay_mch_key']!['out_sub_mch_id'] = dice.chance(0.95) ? out_sub_mch_id : 'nobody'
        return sealed('request_content', content, dice)
      },
      run: (bytes: Buffer) => openNotification(bytes, (id) => merchants.find(id)?.key).ok,
    }),
    target({
      name: 'answer',
      covers: [
        'shared/cloudpay/envelope.ts',
        'shared/cloudpay/schema.ts',
        'shared/cloudpay/echoes.ts',
        'shared/cloudpay/reading.ts',
      ],
      weight: 10,
      make: (dice) => {
        const iface = dice.pick(INTERFACES)
        return { iface, bytes: sealed('response_content', answerOf(iface, dice), dice) }
      },
      run: ({ iface, bytes }: { iface: (typeof INTERFACES)[number]; bytes: Buffer }) => {
        const opened = openAnswer(bytes, key)
        if (!opened.ok) return false
        retryDelayMs(opened.content.status)
        const read = readMember(iface, opened.content)
        if (read.ok)
          for (const order of [ORDER, ALIPAY_ORDER]) echoFaults(queryOrder.echoes, read.member, order)
        return read.ok
      },
    }),
    target({
      name: 'page of the bill',
      covers: [],
      weight: 4,
      make: (dice) => {
        const order_details = Array.from({ length: dice.below(5) }, () => generate(BillEntry, dice))
        const content = {
          status: 0,
          order_detail_query: { total_count: order_details.length, order_details },
        }
        return sealed('response_content', content, dice)
      },
      run: (bytes: Buffer) => {
        const opened = openAnswer(bytes, key)
        return opened.ok && readMember(clientOrderDetail, opened.content).ok
      },
    }),
    target({
      name: 'list of refunds',
      covers: ['shared/payments/refundEvidence.ts#readRefundList'],
      weight: 6,
      make: (dice) => {
        const outcome = dice.pick(['yes', 'yes', 'yes', 'yes', 'no', 'unknown', 'rejected'] as const)
        const member = dice.chance(0.4) ? mutate(refundList(dice), dice) : refundList(dice)
        return {
          outcome,
          member,
          internalStatus: dice.pick([426, 400]),
          status: dice.pick([101, 104]),
          why: 'timeout',
        }
      },
      run: (given: { outcome: string; member: unknown }) => {
        // Only what its schema has let by gets as far as this.
        const read = readMember(refundInterface, { status: 0, refund: given.member })
        if (given.outcome === 'yes' && !read.ok) return false
        const answer = { ...given, ...(read.ok ? { member: read.member } : {}) }
        return readRefundList(ORDER, answer as unknown as Answer<RefundAnswer>).ok
      },
    }),
    target({
      name: 'WeChat’s answer',
      covers: ['shared/access/wechat.ts'],
      weight: 8,
      make: (dice) => {
        const said = dice.pick<object>([
          { openid: `o${letters(dice, 40)}`, session_key: 'k' },
          { openid: `o${letters(dice, 40)}xxxxxx`, errcode: 0 },
          { openid: `o${letters(dice, 40)}xxxxxx`, unionid: 'u', access_token: 't' },
          { errcode: dice.pick([40029, 40163, 40125, -1, 45011]), errmsg: 'no' },
        ])
        const text = written(dice.chance(0.3) ? mutate(said, dice) : said, dice)
        return { app: dice.pick([mini, offi]), said: dice.chance(0.2) ? mutateText(text, dice) : text }
      },
      run: ({ app, said }: { app: PayerApp; said: string }) => {
        spoken = said
        return exchanged(wechatExchange(ask, 'https://api.weixin.test/')(app, 'code', 1000))
      },
    }),
    target({
      name: 'Alipay’s answer',
      covers: ['shared/access/alipay.ts'],
      weight: 2,
      make: (dice) => {
        const odd = dice.pick([
          '{"error_response":{"code":"40002","sub_code":"isv.code-invalid"},"sign":"x"}',
          '{"error_response":{"sub_code":"isv.invalid-app-id"}}',
          '{"alipay_system_oauth_token_response":{"sub_code":"aop.unknow error {}"}}',
          '{"alipay_system_oauth_token_response":[1,"}"],"sign":"x"}',
          '{"alipay_system_oauth_token_response":{"a":"\\"","sign":"x"',
        ])
        const text = dice.chance(0.7) ? dice.pick(alipayAnswers) : odd
        const oddKey = dice.pick([
          { alipay_public_key: dice.pick(['', 'x', '-----BEGIN x', undefined]) },
          { secret: new Secret(own.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()) },
          { secret: new Secret(own.privateKey.export({ format: 'der', type: 'pkcs1' }).toString('base64')) },
        ])
        const app = dice.chance(0.95) ? alipayApp : { ...alipayApp, ...oddKey }
        if (dice.chance(0.02)) return { app, said: 'away' }
        return { app, said: dice.chance(0.4) ? mutateText(text, dice) : text }
      },
      run: ({ app, said }: { app: PayerApp; said: string }) => {
        spoken = said
        return exchanged(
          alipayExchange(ask, 'https://openapi.alipay.test/gateway.do', clock)(app, 'code', 1000),
        )
      },
    }),
    target({
      name: 'Secrets Manager’s answer',
      covers: ['shared/tencent/call.ts#readAnswer'],
      weight: 4,
      make: (dice) => {
        const said = dice.pick<object>([
          { Response: { SecretName: 'a', VersionId: 'v', SecretString: '茶', RequestId: 'r' } },
          { Response: { SecretString: 'x', RequestId: 'r' } },
          { Response: { Error: { Code: 'ResourceNotFound', Message: 'm' }, RequestId: 'r' } },
        ])
        const text = written(dice.chance(0.2) ? mutate(said, dice) : said, dice)
        const bytes = Buffer.from(text)
        return {
          status: dice.pick([200, 200, 200, 500]),
          body: dice.chance(0.3) ? mutateBytes(bytes, dice) : bytes,
        }
      },
      run: (answer: { status: number; body: Buffer }) =>
        callTencent(
          { post: async () => answer, clock },
          { endpoint: 'https://ssm.test/', service: 'ssm', version: '2019-09-23', region: 'ap-guangzhou' },
          { secretId: 'i', secretKey: 'k' },
          'GetSecretValue',
          {},
          1000,
        ).then(
          () => true,
          (error: unknown) => {
            if (error instanceof TencentFault) return false
            throw error
          },
        ),
    }),
    target({
      name: 'configuration',
      covers: ['shared/base/config.ts', 'shared/base/people.ts'],
      weight: 4,
      make: (dice) => {
        const given: Record<string, string | undefined> = { ...env }
        for (const [name, values] of Object.entries(SETTINGS))
          if (dice.chance(0.06)) given[name] = dice.pick(values)
        if (dice.chance(0.35)) {
          const name = dice.pick([...Object.keys(env), ...Object.keys(SETTINGS)])
          given[name] = mutateSetting(given[name] ?? '', dice)
        }
        return given
      },
      run: (given: Record<string, string | undefined>) => {
        try {
          readConfig(given)
          return true
        } catch (error) {
          if (error instanceof ConfigurationFault) return false
          throw error
        }
      },
    }),
    target({
      name: 'database URL',
      covers: ['shared/base/databaseUrl.ts'],
      weight: 8,
      make: changedText((dice) => {
        const dialect = dice.pick(['mysql', 'postgres'])
        const host = dice.pick(['db.internal', '10.0.0.5', '[fd00::1]'])
        const more = dice.pick([
          '',
          '?tls=off',
          '?tls=verify-ca',
          '?tls=verify&ca=/a/b.pem',
          '?tls=verify-ca&ca=%2Fx',
        ])
        return `${dialect}://user:${encodeURIComponent(letters(dice, 20))}@${host}${dice.pick(['', ':3307'])}/orders${more}`
      }, 0.45),
      run: (text: string) => {
        try {
          readServerAddress(text, text.startsWith('mysql') ? 'mysql' : 'postgres')
          return true
        } catch (error) {
          // Its refusals are plain Errors of one line that say what it must be, and nothing of the URL.
          if (error instanceof Error && error.constructor === Error && /^(must|has) /.test(error.message))
            return false
          throw error
        }
      },
    }),
    target({
      name: 'outgoing URL',
      covers: ['shared/net/address.ts'],
      weight: 8,
      make: (dice) => ({ url: changedText(urlOf, 0.4)(dice), allowPrivate: dice.chance(0.3) }),
      run: ({ url, allowPrivate }: { url: string; allowPrivate: boolean }) =>
        findDestination(url, allowPrivate, async (host) => {
          if (host === 'x.test') throw new Error('ENOTFOUND')
          return host === 'merchant.test' ? [{ address: '119.29.29.29', family: 4 }] : []
        }).then(
          () => true,
          (error: unknown) => {
            if (error instanceof Refused) return false
            throw error
          },
        ),
    }),
  ]
  return all as unknown as Target[]
}

type Login = {
  what: 'login' | 'state' | 'end'
  body: unknown
  said: string
  caller: Caller
  hurry: boolean
}

/** Keeps what `make` gives and what `run` takes of one type. */
const target = <Input>(one: Target<Input>): Target<never> => one as unknown as Target<never>

/** A list inside a variable is changed as a list; anything else as text. */
function mutateSetting(value: string, dice: Dice): string {
  if (value.startsWith('[') && dice.chance(0.7))
    return JSON.stringify(mutate(JSON.parse(value) as unknown, dice)) ?? ''
  return mutateText(value, dice)
}

/** Variables beside those every configuration has, with values of each kind. */
const OTHER = {
  out_mch_id: 'm2',
  out_sub_mch_id: 's2',
  out_shop_id: 'h2',
  order_prefix: 'zz02',
  authen_key: 'another0key',
}
const HS_KEY = { name: 'q', iss: 'i', alg: 'HS256', secret: 'x'.repeat(40) }
const SETTINGS: Record<string, string[]> = {
  CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: ['another0key'],
  CLOUD_PAY_OTHER_MERCHANTS: [
    JSON.stringify([OTHER]),
    JSON.stringify([{ ...OTHER, authen_key_also_accepted: 'yet0another' }]),
    JSON.stringify([{ ...OTHER, order_prefix: 'sb01x' }]),
    JSON.stringify([{ ...OTHER, order_prefix: 'z'.repeat(19) }]),
    JSON.stringify([OTHER, { ...OTHER, order_prefix: 'yy' }, 7]),
    '{}',
  ],
  CLOUD_PAY_BASE_URL: ['https://pay.qcloud.com/cpay/', 'http://127.0.0.1:1/cpay', 'http://pay.test/'],
  CLOUD_PAY_ORDER_PREFIX: ['sb01', 'a'.repeat(19)],
  DATABASE_URL: ['mysql://u:p@h/d', 'postgres://u:p@h/d', 'sqlite::memory:', 'oracle://h/d', 'mysql://'],
  CLOUD_PAY_SPBILL_CREATE_IP: ['10.0.0.1', '10.0.0'],
  CALLER_NOTIFY_URL: ['https://shop.test/notify', 'http://shop.test/'],
  MERCHANT_WEBHOOK_URL: ['https://shop.test/hook', 'http://shop.test/hook', 'x'],
  MERCHANT_WEBHOOK_SECRET: [`whsec_${'A'.repeat(32)}`, 'whsec_'],
  MERCHANT_WEBHOOK_ALLOW_PRIVATE: ['yes', 'no'],
  LATE_PAYMENT: ['refund', 'honour', 'keep'],
  ORDER_LIFE_SECONDS: ['900', '1'],
  CALLERS: ['', 'own', 'open', 'all'],
  GATEWAY_LISTEN_HOST: ['127.0.0.1', '0.0.0.0'],
  TENCENTCLOUD_RUNENV: ['SCF'],
  SESSION_KEYS: ['', '[]'],
  MERCHANT_KEYS: ['', '[]'],
  CLOUD_PAY_APPS: ['[null]', '[{"out_sub_mch_id":"x"}]'],
  QUOTE_KEYS: [
    JSON.stringify(['a', 'a'].map((name) => ({ ...HS_KEY, name }))),
    JSON.stringify([{ ...HS_KEY, alg: 'ES256', jwk: { kty: 'EC', x: 'AA', d: 'AA' } }]),
    JSON.stringify([{ ...HS_KEY, alg: 'ES256' }]),
    JSON.stringify([{ ...HS_KEY, alg: 'ES256', jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }]),
    '',
    JSON.stringify([{ name: 'p', iss: 'i', alg: 'EdDSA', jwk: { kty: 'OKP', crv: 'Ed25519', x: 'AA' } }]),
  ],
  PAYER_PRICES: ['', 'quote', 'catalogue', 'free'],
  DEPLOYMENT_NAME: ['', 'sandbox'],
  WECHAT_API_URL: ['', 'https://api.weixin.qq.com/', 'http://127.0.0.1:1/wechat/', 'http://x/'],
  ORDER_MAX_FEN: ['1', 'many'],
}
