import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { openShop, type Shop } from '../support/shop'
import { holds, propertyRuns } from '../support/property'
import { put, sealedAnswer, signedText, type Content } from '../support/tamper'
import type { Answer } from '../support/world'

/**
 * Answers that are not what they should be, to everything we ask about an order that exists. Whatever is wrong with
 * one, it ends no order and no refund, moves no money and brings no handler down.
 */
type Scene = {
  name: string
  /** Whose answer is spoilt. */
  suffix: string
  place(): Promise<void>
  /** Everything back to how it was before the visit. */
  reset(): Promise<void>
  visit(): Promise<Answer>
  /** What is the case, and what it would have become with the answer as it was. */
  seen(): Promise<unknown>
  truth: unknown
  /** Without these, and with something else in their place, the answer proves nothing. */
  reliesOn: string[]
  /** Need not be there (`null` is not there); with something else in their place, the answer proves nothing. */
  ifPresent: string[]
  /** Between the two: counted, and not known to be done. */
  also?: unknown
  /** An empty list is an answer too. */
  takesNone?: boolean
}

let shop: Shop
let number: string
let spoil: (answer: Buffer) => Buffer = (answer) => answer
let suffix = ''
/** The last spoilable answer, as it was. */
let whole: Buffer

async function start(scene: Scene): Promise<void> {
  suffix = scene.suffix
  spoil = (answer) => answer
  shop = await openShop({
    env: { CLOSE_NOT_BEFORE: '0', MERCHANT_LOOKS_PER_MINUTE: '1000000' },
    wrapPost: (post) => async (url, body, options) => {
      const answer = await post(url, body, options)
      if (!url.endsWith(`/${suffix}`)) return answer
      whole = answer.body
      // Accepted, but nothing comes of it: only looking can tell.
      if (suffix === 'close_order') far().state = 'waiting'
      return { ...answer, body: spoil(answer.body) }
    },
  })
  number = await shop.place()
  await scene.place()
}
afterEach(() => shop.close())

const update = (table: 'orders' | 'refunds', set: object) =>
  shop.store.db.updateTable(table).set(set).execute()
const far = () => shop.sandbox.orders.get(number)!
const setOrder = (set: object) => update('orders', { flag: null, looked_at_ms: 0, ...set })
const order = async () => {
  const { state, not_founds, reserved_fen, refunded_fen } = await shop.order(number)
  return [state, not_founds, reserved_fen, refunded_fen]
}
const refund = async () => {
  const { state } = (await shop.refunds(number)).find(({ out_refund_no }) => out_refund_no === 'sb01r1')!
  const { reserved_fen, refunded_fen } = await shop.order(number)
  return [state, reserved_fen, refunded_fen]
}
const refresh = () => shop.status(number, { refresh: '1' })
const askRefund = () => shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 880 })

const ECHOES = ['total_fee', 'create_time', 'out_trade_no'].map((name) => `query_order.order_content.${name}`)
const IDS = ['pay_platform', 'out_mch_id', 'out_sub_mch_id', 'out_shop_id']
const QUERY = [
  'status',
  'query_order',
  'query_order.order_content',
  'query_order.pay_mch_key',
  ...ECHOES,
  ...IDS.map((name) => `query_order.pay_mch_key.${name}`),
  'query_order.order_content.wxpay_order_content_ext',
  'query_order.order_content.wxpay_order_content_ext.current_trade_state',
]
const IF_PRESENT = [
  'query_order.order_content.fee_type',
  'query_order.order_content.trade_type',
  'query_order.pay_mch_key.wxpay_pay_mch_key_ext',
  'query_order.pay_mch_key.wxpay_pay_mch_key_ext.sub_open_id',
]
const refundPaths = (member: string, at: string) => [
  'status',
  member,
  `${member}.refund_order_content`,
  `${member}.pay_mch_key`,
  ...IDS.map((name) => `${member}.pay_mch_key.${name}`),
  ...['out_trade_no', 'out_refund_no', 'total_fee', 'refund_fee'].map((name) => `${member}.${at}.${name}`),
]

/** A refund of ours, recorded and not asked for yet, as far as rows and ledger know. */
async function recorded(): Promise<void> {
  far().refunds = far().refunds.filter((one) => one.request === undefined)
  far().refunded_fen = 0
  await update('refunds', { state: 'requested', sends: 0, wallet_state: null })
  await setOrder({ state: 'paid', reserved_fen: 880, refunded_fen: 0 })
}
const placeRefund = async () => {
  shop.sandbox.pay(number)
  await shop.refresh(number)
  await askRefund()
}

const SCENES: Scene[] = [
  {
    name: 'query_order, paid',
    suffix: 'query_order',
    place: async () => void shop.sandbox.pay(number),
    reset: async () => void (await setOrder({ state: 'pending', transaction_id: null })),
    visit: refresh,
    seen: order,
    truth: ['paid', 0, 0, 0],
    reliesOn: QUERY,
    ifPresent: IF_PRESENT,
  },
  {
    name: 'query_order, closed',
    suffix: 'query_order',
    place: async () => shop.sandbox.close(number),
    reset: async () => void (await setOrder({ state: 'closing' })),
    visit: refresh,
    seen: order,
    truth: ['closed', 0, 0, 0],
    reliesOn: QUERY,
    ifPresent: [...IF_PRESENT, 'query_order.order_content.is_transforming'],
  },
  {
    name: 'query_order, not found',
    suffix: 'query_order',
    async place() {
      shop.sandbox.orders.delete(number)
      shop.pass(900 + 600)
    },
    reset: async () => void (await setOrder({ state: 'pending', not_founds: 0 })),
    visit: refresh,
    seen: order,
    truth: ['pending', 1, 0, 0],
    reliesOn: ['status', 'internal_status'],
    ifPresent: [],
  },
  {
    name: 'close_order, accepted and not carried out',
    suffix: 'close_order',
    place: async () => undefined,
    async reset() {
      far().state = 'waiting'
      await setOrder({ state: 'closing' })
    },
    visit: () => shop.closeOrder(number),
    seen: order,
    truth: ['closing', 0, 0, 0],
    reliesOn: [],
    ifPresent: [],
  },
  {
    name: 'close_order, refused',
    suffix: 'close_order',
    place: async () => void (shop.faults['close_order'] = '104'),
    reset: async () => void (await setOrder({ state: 'closing' })),
    visit: () => shop.closeOrder(number),
    seen: order,
    truth: ['pending', 0, 0, 0],
    reliesOn: ['status'],
    ifPresent: [],
  },
  {
    name: 'refund, accepted',
    suffix: 'refund',
    place: placeRefund,
    reset: recorded,
    visit: askRefund,
    seen: refund,
    truth: ['accepted', 880, 0],
    reliesOn: refundPaths('refund', 'refund_order_content'),
    ifPresent: ['refund.refund_order_content.refund_fee_type'],
  },
  {
    name: 'refund, refused',
    suffix: 'refund',
    async place() {
      await placeRefund()
      shop.faults['refund'] = '104'
    },
    reset: recorded,
    visit: askRefund,
    seen: refund,
    truth: ['failed', 0, 0],
    reliesOn: ['status'],
    ifPresent: ['internal_status'],
  },
  {
    name: 'query_refund_order, succeeded',
    suffix: 'query_refund_order',
    place: placeRefund,
    async reset() {
      await update('refunds', { state: 'accepted', sends: 1, wallet_state: null })
      await setOrder({ state: 'paid', reserved_fen: 880, refunded_fen: 0 })
    },
    visit: askRefund,
    seen: refund,
    truth: ['succeeded', 880, 880],
    reliesOn: [
      ...refundPaths('query_refund_order', 'refund_order_content.0'),
      'query_refund_order.refund_order_content.0.wxpay_refund_order_content_ext',
      'query_refund_order.refund_order_content.0.wxpay_refund_order_content_ext.state',
    ],
    ifPresent: ['query_refund_order.refund_order_content.0.refund_fee_type'],
  },
  {
    name: 'query_refund_order, failed',
    suffix: 'query_refund_order',
    async place() {
      shop.sandbox.switches.refundOutcome = 'failed'
      await placeRefund()
    },
    async reset() {
      await update('refunds', { state: 'accepted', sends: 1, wallet_state: null })
      await setOrder({ state: 'paid', reserved_fen: 880, refunded_fen: 0 })
    },
    visit: askRefund,
    seen: refund,
    truth: ['failed', 0, 0],
    reliesOn: [
      ...refundPaths('query_refund_order', 'refund_order_content.0'),
      'query_refund_order.refund_order_content.0.wxpay_refund_order_content_ext.state',
    ],
    ifPresent: ['refund_fee_type', 'is_transforming'].map(
      (name) => `query_refund_order.refund_order_content.0.${name}`,
    ),
  },
  {
    name: 'query_refund_order, the list before the first ask',
    suffix: 'query_refund_order',
    async place() {
      await placeRefund()
      shop.sandbox.refundInConsole(number, 300)
    },
    async reset() {
      await shop.store.db.deleteFrom('refunds').where('origin', '=', 'console').execute()
      await recorded()
      shop.sandbox.received.length = 0
    },
    visit: askRefund,
    seen: async () => [shop.sent('refund').length, ...(await order())],
    truth: [1, 'paid', 0, 1180, 300],
    also: [1, 'paid', 0, 1180, 0],
    takesNone: true,
    reliesOn: refundPaths('query_refund_order', 'refund_order_content.0'),
    ifPresent: ['query_refund_order.refund_order_content.0.refund_fee_type'],
  },
]

type Verdict = 'nothing' | 'truth'

let spoilt = 0
afterAll(() => {
  process.stdout.write(`${spoilt} malformed answers\n`)
  if (propertyRuns() >= 1000) expect(spoilt).toBeGreaterThan(10_000)
})

/** One visit with a spoilt answer; what it came to has to be one of these. */
async function check(scene: Scene, bytes: (whole: Buffer) => Buffer, allowed: Verdict[], what: string) {
  spoil = (answer) => answer
  await scene.reset()
  await shop.store.db.deleteFrom('outbox').execute()
  const before = await scene.seen()
  shop.log.length = 0
  spoil = (answer) => {
    const sent = bytes(answer)
    // Some of its digits are chance: at times nothing was spoilt at all.
    if (saysTheSame(sent, answer)) allowed = ['truth']
    else spoilt++
    return sent
  }
  const { statusCode, body } = await scene.visit()
  const after = await scene.seen()
  const about = `${scene.name}: ${what}: ${statusCode} ${JSON.stringify(body).slice(0, 200)}`
  // Nobody is told that something broke, because nothing did.
  assert(statusCode < 500 || body.code === 'refund_refused', about)
  assert(!shop.log.some(({ level }) => level === 'error'), `${about} ${JSON.stringify(shop.log)}`)
  const good = [
    ...(allowed.includes('nothing') ? [before] : []),
    ...(allowed.includes('truth') ? [scene.truth, scene.also] : []),
  ]
  assert(
    good.some((one) => JSON.stringify(one) === JSON.stringify(after)),
    `${about}: ${JSON.stringify(after)} instead of ${JSON.stringify(good)}`,
  )
  if (JSON.stringify(after) === JSON.stringify(before)) {
    const { n } = await shop.store.db
      .selectFrom('outbox')
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .where('type', '!=', 'anomaly')
      .executeTakeFirstOrThrow()
    assert.equal(n, 0, about)
  }
}

/** The same words under the same code, whatever the envelope around them looks like. */
function saysTheSame(a: Buffer, b: Buffer): boolean {
  const read = (bytes: Buffer) => {
    try {
      const outer = JSON.parse(bytes.toString())
      return Buffer.from(bytes.toString()).equals(bytes)
        ? [outer.response_content, outer.authen_info?.a?.authen_type, outer.authen_info?.a?.authen_code]
        : undefined
    } catch {
      return undefined
    }
  }
  return JSON.stringify(read(a)) === JSON.stringify(read(b))
}

const breathe = () => new Promise((resolve) => setImmediate(resolve))

describe.each(SCENES)('$name', (scene) => {
  beforeEach(() => start(scene))

  test('whole, it does what it should; cut short at any byte, nothing', async () => {
    await check(scene, (answer) => answer, ['truth'], 'whole')
    for (let length = 0; length < whole.length; length++) {
      await check(scene, (answer) => answer.subarray(0, length), ['nothing'], `cut at ${length}`)
      if (length % 200 === 0) await breathe()
    }
  })

  test('with its code taken away, or not quite the code, nothing', async () => {
    const envelopes: ((outer: Content) => void)[] = [
      (outer) => delete outer.authen_info,
      (outer) => (outer.authen_info = null),
      (outer) => (outer.authen_info = {}),
      (outer) => (outer.authen_info = { s: outer.authen_info.a }),
      (outer) => (outer.authen_info.a.authen_type = 2),
      (outer) => (outer.authen_info.a.authen_code = outer.authen_info.a.authen_code.toLowerCase()),
      (outer) => (outer.authen_info.a.authen_code += ' '),
      (outer) => (outer.response_content += ' '),
      (outer) => (outer.response_content = JSON.parse(outer.response_content as string)),
      (outer) => (outer.request_content = outer.response_content) && delete outer.response_content,
    ]
    for (const [at, change] of envelopes.entries()) {
      const bytes = (answer: Buffer) => {
        const outer = JSON.parse(answer.toString())
        change(outer)
        return Buffer.from(JSON.stringify(outer))
      }
      await check(scene, bytes, ['nothing'], `envelope ${at}`)
    }
  })

  test('edited anywhere without the key, nothing', async () => {
    await check(scene, (answer) => answer, ['truth', 'nothing'], 'whole')
    const edit = fc.tuple(fc.nat({ max: 5000 }), fc.nat({ max: 255 }))
    let runs = 0
    await holds(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        if (++runs % 200 === 0) await breathe()
        const change = (answer: Buffer) => {
          const copy = Buffer.from(answer)
          for (const [at, byte] of edits) copy[at % copy.length] = byte
          return copy
        }
        await check(scene, change, ['nothing'], JSON.stringify(edits))
      }),
      Math.ceil(Math.min(propertyRuns(), 20_000) / SCENES.length),
    )
  })

  test('signed again with a field of the wrong type, it proves nothing, or what it would have proved', async () => {
    await check(scene, (answer) => answer, ['truth', 'nothing'], 'whole')
    const content = JSON.parse(signedText(whole))
    for (const path of pathsOf(content)) {
      for (const value of WRONG) {
        if (
          typeof value === typeof at(content, path) &&
          typeof value !== 'number' &&
          typeof value !== 'object'
        )
          continue
        // Signed, and a list: there are none.
        if (scene.takesNone && isNoList(path, value)) continue
        const bytes = (answer: Buffer) => {
          const changed = JSON.parse(signedText(answer))
          put(changed, path, value)
          return sealedAnswer(changed)
        }
        // A clock that is ahead is no earlier order.
        const fits = /create_time$/.test(path) && value === 1e300
        // CNY is the only currency there is, so leaving it out says nothing else.
        const isAbsent =
          value === null ||
          (value === '' && path.endsWith('fee_type')) ||
          // Names nobody.
          (path.endsWith('_ext') && JSON.stringify(value) === '{}') ||
          // A number, and none that means anything.
          (value === -1 && path === 'internal_status')
        const isPresent = scene.ifPresent.includes(path) && !isAbsent
        const relied = (scene.reliesOn.includes(path) && !fits) || isPresent
        const allowed: Verdict[] = relied
          ? ['nothing']
          : DECIDES_NOTHING.test(path) || scene.ifPresent.includes(path)
            ? ['truth']
            : ['nothing', 'truth']
        await check(scene, bytes, allowed, `${path} = ${JSON.stringify(value)}`)
      }
      await breathe()
    }
  })
})

/** Whatever stands there, the answer proves what it proved. */
const DECIDES_NOTHING =
  /^(description|log_id)$|\.(nonce_str|last_update_time|transaction_id|time_end|time_expire|cash_fee|settlement_total_fee|prepare_id|refund_id|jsapi_args.*)$|refund_order_content(\.0)?\.create_time$/

/** An empty list, none at all, or nothing but a nonce around it. */
const isNoList = (path: string, value: unknown) =>
  path.endsWith('refund_order_content')
    ? value === null || (Array.isArray(value) && value.length === 0)
    : path === 'query_refund_order' && JSON.stringify(value) === '{}'

/** Of no type anything has, or beyond what any number can be. */
const WRONG = [null, 'x', '', '3', true, -1, 1.5, 1e300, [], {}, ['x']]

function pathsOf(node: Content, before = ''): string[] {
  return Object.entries(node as object).flatMap(([name, value]) => [
    before + name,
    ...(typeof value === 'object' && value !== null ? pathsOf(value, `${before}${name}.`) : []),
  ])
}
const at = (content: Content, path: string): unknown =>
  path.split('.').reduce<Content>((node, name) => node?.[name], content)
