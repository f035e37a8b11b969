import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { ALIPAY, openShop, otherMerchants, type Shop } from '../support/shop'
import { holds, propertyRuns } from '../support/property'
import { put, sealedNotification, signedText, type Content } from '../support/tamper'

let shop: Shop
afterEach(() => shop.close())

const REFUSED = { response_content: { status: 1, description: 'refused' } }
const OK = { response_content: { status: 0, description: 'OK' } }

/** The gate a notification was refused at, or the status of its answer; the log starts afresh. */
async function fate(bytes: Buffer): Promise<string> {
  shop.log.length = 0
  const { statusCode, body } = await shop.tell(bytes)
  if (statusCode !== 401) return String(statusCode)
  assert.deepEqual(body, REFUSED)
  const [count, ...more] = Object.keys(shop.counts()).filter((name) => name.startsWith('notify.'))
  assert(count !== undefined && count.startsWith('notify.refused.') && more.length === 0)
  return count.slice('notify.refused.'.length)
}

const isJson = (text: string) => {
  try {
    return JSON.parse(text) !== undefined
  } catch {
    return false
  }
}

const flipped = (bytes: Buffer, bit: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

/** Turns handed back now and then: prepared work is freed on a turn of the event loop. */
const breathe = () => new Promise((resolve) => setImmediate(resolve))

describe('one bit', () => {
  test('no flipped bit of a signed notification gets past the gates; unflipped it is accepted', async () => {
    shop = await openShop()
    const goods = { goods_id: 'TEA-0001', goods_name: 'milk tea, large, no ice', quantity: 1, price: 188 }
    const detail = { goods_detail: Array.from({ length: 10 }, () => goods) }
    const number = await shop.place({ body: '湖心奶茶 "加冰" \\', total_fee: 1880, detail })
    shop.sandbox.pay(number)
    const bytes = shop.sandbox.notification(number)
    // The text's own place in the envelope: what is before and after it is quotes, names and the code.
    const start = bytes.indexOf('"request_content":"') + 19
    const end = start + Buffer.byteLength(JSON.stringify(signedText(bytes))) - 2
    const before = await shop.dump()

    shop.database.said = 0
    const inside = { readable: 0, hmac: 0 }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const one = flipped(bytes, bit)
      const gate = await fate(one)
      assert(GATES.includes(gate), `bit ${bit}: ${gate}`)
      const within = bit >> 3 >= start && bit >> 3 < end
      // Half of the flips leave no JSON at all: those cannot get as far as the code.
      if (!within || !isReadable(one)) continue
      inside.readable++
      if (gate === 'authen_code_wrong') inside.hmac++
    }
    expect(shop.database.said).toBe(0)
    expect(shop.sent('query_order')).toEqual([])
    expect(await shop.dump()).toBe(before)

    const share = inside.hmac / inside.readable
    process.stdout.write(
      `${inside.readable} readable flips, ${(share * 100).toFixed(1)} % refused by the code\n`,
    )
    // All bits were flipped, so chance decides on the digits of a few ids alone: it is 94 % each time.
    expect(share).toBeGreaterThanOrEqual(0.9)
    expect(await fate(bytes)).toBe('200')
    expect((await shop.order(number)).state).toBe('paid')
  })

  const GATES = ['envelope_malformed', 'content_is_no_notification', 'merchant_unknown', 'authen_code_wrong']
  const isReadable = (bytes: Buffer) => {
    const text = bytes.toString('utf8')
    return Buffer.from(text).equals(bytes) && isJson(text) && isJson(signedText(text))
  }

  test('no edit of any kind does', async () => {
    shop = await openShop()
    const number = await shop.place()
    const bytes = shop.sandbox.notification(number)
    const edit = fc.record({
      at: fc.nat({ max: bytes.length - 1 }),
      take: fc.nat({ max: 40 }),
      put: fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('', '0', '"', '\\', 'a', '\u0000')),
    })
    shop.database.said = 0
    let runs = 0
    await holds(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        let text = bytes.toString('utf8')
        for (const { at, take, put } of edits) text = text.slice(0, at) + put + text.slice(at + take)
        if (++runs % 500 === 0) await breathe()
        // Accepted only if what was signed, and the code, are what they were.
        if (isJson(text) && sameMessage(text, bytes.toString())) return
        assert((await fate(Buffer.from(text))) in { ...zero(GATES), too_large: 0 })
      }),
      Math.min(propertyRuns(), 40_000),
    )
    expect(shop.database.said).toBe(0)
  })

  const zero = (names: string[]) => Object.fromEntries(names.map((name) => [name, 0]))
  const sameMessage = (a: string, b: string) => {
    const [x, y] = [JSON.parse(a), JSON.parse(b)]
    return (
      typeof x === 'object' &&
      x?.request_content === y.request_content &&
      x?.authen_info?.a?.authen_code === y.authen_info.a.authen_code
    )
  }
})

describe('every field, altered and signed again with the right key', () => {
  /** Without these there is nothing to look at. */
  const NEEDED = ['pay_mch_key', 'pay_mch_key.out_sub_mch_id', 'order_content', 'order_content.out_trade_no']
  /** What else says whose the order is, and how much it is about: may be left out, and may not be anything else. */
  const COMPARED = [
    'pay_mch_key.pay_platform',
    'pay_mch_key.out_mch_id',
    'pay_mch_key.out_shop_id',
    'order_content.total_fee',
    'order_content.fee_type',
  ]
  const VALUES = [
    undefined,
    null,
    '',
    'x',
    '1880',
    'x'.repeat(70),
    0,
    1,
    2,
    -1,
    1.5,
    1e12,
    true,
    false,
    [],
    [{}],
    {},
  ]

  const pathsOf = (node: Content, before = ''): string[] =>
    Object.entries(node as object).flatMap(([name, value]) => [
      before + name,
      ...(typeof value === 'object' && value !== null ? pathsOf(value, `${before}${name}.`) : []),
    ])
  const at = (content: Content, path: string): unknown =>
    path.split('.').reduce<Content>((node, name) => node?.[name], content)

  /** What should become of it, told from the content alone. */
  function judge(path: string, value: unknown, was: unknown): '200' | 'refused' | 'orphan' {
    if (value === was) return '200'
    const absent = value === undefined || value === null || (value === '' && path.endsWith('fee_type'))
    if (COMPARED.includes(path)) return absent ? '200' : 'refused'
    if (!NEEDED.includes(path)) return '200'
    const isOtherNumber = typeof value === 'string' && value !== '' && value.length <= 32
    return path === 'order_content.out_trade_no' && isOtherNumber ? 'orphan' : 'refused'
  }

  test.each([
    ['WeChat', 'nobody has paid', false, {}],
    ['WeChat', 'it was paid', true, {}],
    ['Alipay', 'nobody has paid', false, ALIPAY],
    ['Alipay', 'it was paid', true, ALIPAY],
  ])(
    '%s, %s: taken or refused as the field deserves, and the money is what our query says',
    async (_, __, paid, rest) => {
      shop = await openShop()
      const reset = { state: 'pending' as const, looked_at_ms: 0, transaction_id: null, notified_at_ms: null }
      const number = await shop.place({}, rest)
      const { transaction_id } = shop.sandbox.pay(number)
      const truth = JSON.parse(signedText(shop.sandbox.notification(number)))
      if (!paid) Object.assign(shop.sandbox.orders.get(number)!, { state: 'waiting' })

      const tally = { '200': 0, refused: 0, orphan: 0 }
      for (const path of pathsOf(truth)) {
        for (const value of VALUES) {
          const content = structuredClone<Content>(truth)
          put(content, path, value)
          // A new text every time, or the inbox would know it.
          if (path !== 'nonce_str') content.nonce_str = `${path} ${VALUES.indexOf(value)}`.slice(-64)
          const expected = judge(path, value, at(truth, path))
          const gate = await fate(sealedNotification(content))
          const about = `${path} = ${JSON.stringify(value)}: ${gate}`
          assert.equal(gate === '200', expected !== 'refused', about)
          tally[expected]++

          const order = await shop.order(number)
          const settled = paid && expected === '200'
          assert.equal(order.state, settled ? 'paid' : 'pending', about)
          assert.equal(order.transaction_id, settled ? transaction_id : null, about)
          assert.equal(order.total_fee, 1880)
          assert.deepEqual(await shop.messages(number), settled ? ['order.paid'] : [], about)
          await shop.store.db.updateTable('orders').set(reset).execute()
          await shop.store.db.deleteFrom('outbox').where('type', '=', 'order.paid').execute()
        }
        await breathe()
      }
      for (const seen of Object.values(tally)) expect(seen).toBeGreaterThan(0)
    },
  )
})

describe('fifty merchants', () => {
  const merchants = otherMerchants(50)

  test('no merchant’s notification, key or ids are taken for another’s order', async () => {
    shop = await openShop({ merchants })
    const numbers: string[] = []
    for (const { order_prefix, out_sub_mch_id } of merchants) {
      const number = `${order_prefix}order`
      const payer = { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'o' } }
      await shop.place({ out_trade_no: number }, { pay_mch_key: { ...payer, out_sub_mch_id } })
      shop.sandbox.pay(number)
      numbers.push(number)
    }
    const contents = numbers.map((number) => JSON.parse(signedText(shop.sandbox.notification(number))))
    const orders = () => shop.store.db.selectFrom('orders').selectAll().execute()
    const before = await orders()
    const idsOf = ({ out_mch_id, out_sub_mch_id, out_shop_id }: (typeof merchants)[number]) => ({
      out_mch_id,
      out_sub_mch_id,
      out_shop_id,
    })

    const fates: Record<string, Record<string, number>> = {}
    for (const [a, mine] of merchants.entries()) {
      for (const [b, theirs] of merchants.entries()) {
        if (a === b) continue
        const key = mine.authen_key
        const with_ = (at: number, ids: object, out_trade_no: string) => ({
          ...contents[at],
          pay_mch_key: { ...contents[at].pay_mch_key, ...ids },
          order_content: { ...contents[at].order_content, out_trade_no },
        })
        const tries: Record<string, Buffer> = {
          'their notification, our key': sealedNotification(contents[b], key),
          'our notification, their sub-merchant': sealedNotification(
            with_(a, { out_sub_mch_id: theirs.out_sub_mch_id }, numbers[a]!),
            key,
          ),
          'our notification, their other ids': sealedNotification(
            with_(a, { ...idsOf(theirs), out_sub_mch_id: mine.out_sub_mch_id }, numbers[a]!),
            key,
          ),
          'our notification, their shop': sealedNotification(
            with_(a, { out_shop_id: theirs.out_shop_id }, numbers[a]!),
            key,
          ),
          'our notification, their number': sealedNotification(with_(a, {}, numbers[b]!), key),
        }
        for (const [name, bytes] of Object.entries(tries)) {
          const gate = await fate(bytes)
          ;(fates[name] ??= {})[gate] = (fates[name][gate] ?? 0) + 1
        }
      }
      await breathe()
    }
    const pairs = 50 * 49
    expect(fates).toEqual({
      'their notification, our key': { authen_code_wrong: pairs },
      'our notification, their sub-merchant': { authen_code_wrong: pairs },
      'our notification, their other ids': { order_differs: pairs },
      'our notification, their shop': { order_differs: pairs },
      // Under the number alone there is no order of ours: kept as an orphan of our own.
      'our notification, their number': { '200': pairs },
    })
    expect(await orders()).toEqual(before)
    expect((await shop.inbox()).every(({ orphan }) => orphan === 1)).toBe(true)
    expect(shop.sent('query_order')).toEqual([])
    // What is kept under our own sub-merchant stays there, also when the timer looks at orphans.
    expect(await shop.timer(100)).toMatchObject({ orphans: 0, orders: 0 })
    // And each is accepted where it belongs.
    for (const [at, { authen_key }] of merchants.entries()) {
      expect((await shop.tell(sealedNotification(contents[at], authen_key))).body).toEqual(OK)
      expect((await shop.order(numbers[at]!)).state).toBe('paid')
    }
  })
})

test('ten thousand with an unknown merchant or a wrong code cost no statement and no query', async () => {
  shop = await openShop()
  const number = await shop.place()
  shop.sandbox.pay(number)
  const content = JSON.parse(signedText(shop.sandbox.notification(number)))
  const unknown = { ...content, pay_mch_key: { ...content.pay_mch_key, out_sub_mch_id: 'nobody' } }
  const before = shop.sent().length
  shop.database.said = shop.log.length = 0
  for (let at = 0; at < 5000; at++) {
    await shop.tell(sealedNotification({ ...unknown, nonce_str: `n${at}` }))
    await shop.tell(sealedNotification({ ...content, nonce_str: `n${at}` }, `key-${at}`))
  }
  expect(shop.counts()).toEqual({
    'notify.refused.merchant_unknown': 5000,
    'notify.refused.authen_code_wrong': 5000,
  })
  expect(shop.database.said).toBe(0)
  expect(shop.sent()).toHaveLength(before)
})
