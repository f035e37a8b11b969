import { claimLook } from '../../../shared/store/orders'
import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { lying, put, sealedAnswer, signedText, type Content } from '../../support/tamper'

/** How a refund begins when nobody lists refunds, and how one ends that never arrived. */
let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

const R1 = { out_refund_no: 'sb01r1', refund_fee: 880 }
const R2 = { out_refund_no: 'sb01r2', refund_fee: 1000 }
const asks = () => shop.sent('refund').map(({ request_content }) => JSON.parse(request_content!))
const looks = () => shop.sent('query_refund_order').map(({ request_content }) => JSON.parse(request_content!))
const money = async (number: string) => {
  const { state, reserved_fen, refunded_fen } = await shop.order(number)
  return [state, reserved_fen, refunded_fen]
}
const refundOf = async (number: string, out_refund_no = 'sb01r1') =>
  (await shop.refunds(number)).find((one) => one.out_refund_no === out_refund_no)!
const told = async () => (await shop.anomalyKinds()).filter((kind) => kind !== 'timer_silent')

/** Answers about refunds, of the whole order and by number, as a test would have them. */
type Says = { list?: (content: Content) => void; number?: (content: Content) => void }
function saying(says: Says): NonNullable<ShopOptions['wrapPost']> {
  return (post) => async (url, body, options) => {
    const answer = await post(url, body, options)
    if (!url.endsWith('/query_refund_order')) return answer
    const asked = JSON.parse(signedText(body))
    const change = asked.out_refund_no === undefined ? says.list : says.number
    if (!change) return answer
    const content = JSON.parse(signedText(answer.body))
    change(content)
    return { ...answer, body: sealedAnswer(content) }
  }
}
/** Status 0 and no list: "none" to Tencent's own SDKs. */
const silent = (content: Content) => {
  Object.assign(content, { status: 0, internal_status: 0, query_refund_order: { nonce_str: 'n' } })
}
const none = (content: Content) => {
  Object.assign(content, { status: 104, internal_status: 426 })
  delete content.query_refund_order
}
const refusal = (content: Content) => {
  Object.assign(content, { status: 104, internal_status: 9, description: '门店不存在' })
  delete content.query_refund_order
}
const unreadable = (content: Content) => {
  silent(content)
  put(content, 'query_refund_order.refund_order_content', [{ out_refund_no: 7 }])
}
const another = (content: Content) => {
  silent(content)
  put(content, 'query_refund_order.pay_mch_key', { out_sub_mch_id: 'somebody else' })
}

describe('without a list, before the first transmission', () => {
  test.each([
    ['silence, and no such number', silent, none],
    ['silence, twice', silent, silent],
  ])('%s: it is sent, because the order shows the payment and no refund', async (_, list, number) => {
    await open({ wrapPost: saying({ list, number }) })
    const order = await shop.placePaid()
    const queries = shop.sent('query_order').length
    expect((await shop.refund(order, R1)).body.state).toBe('accepted')
    expect([asks().length, shop.sent('query_order').length - queries]).toEqual([1, 1])
    expect(looks().map(({ out_refund_no }) => out_refund_no)).toEqual([undefined, 'sb01r1'])
  })

  test.each<[string, Says]>([
    ['a refusal that is not "none"', { list: refusal, number: none }],
    ['silence, and a number that cannot be asked about', { list: silent, number: refusal }],
    ['silence, and a number that cannot be read', { list: silent, number: unreadable }],
  ])('%s: it is not sent, and after five minutes a person knows', async (_, says) => {
    await open({ wrapPost: saying(says) })
    const order = await shop.placePaid()
    expect((await shop.refund(order, R1)).body.state).toBe('requested')
    expect(looks().at(-1).out_refund_no).toBe('sb01r1')
    expect(await told()).toEqual([])
    await shop.runFor(360)
    expect([asks(), await money(order)]).toEqual([[], ['paid', 880, 0]])
    expect(await told()).toEqual(['refund_unresolved'])
    const [anomaly] = (await shop.anomalies()).filter(({ kind }) => kind === 'refund_unresolved')
    expect(anomaly!.evidence).toEqual({ out_refund_no: 'sb01r1', reason: 'refunds_cannot_be_listed' })
  })

  test.each<[string, (content: Content) => void]>([
    ['is unreadable', unreadable],
    ['speaks of another sub-merchant', another],
    [
      'speaks of another order',
      (content) => {
        silent(content)
        put(content, 'query_refund_order.refund_order_content', [
          { out_trade_no: 'sb01other', out_refund_no: 'x' },
        ])
      },
    ],
  ])('a list that %s is nothing to fall back from', async (_, list) => {
    await open({ wrapPost: saying({ list, number: none }) })
    const order = await shop.placePaid()
    expect((await shop.refund(order, R1)).body.state).toBe('requested')
    expect([asks(), looks().map(({ out_refund_no }) => out_refund_no)]).toEqual([[], [undefined]])
  })

  test('silence, and an order that has turned into a refund: it is not sent', async () => {
    await open({ wrapPost: saying({ list: silent, number: none }) })
    const order = await shop.placePaid()
    shop.sandbox.refundInConsole(order, 300)
    expect((await shop.refund(order, R1)).body.state).toBe('requested')
    expect(asks()).toEqual([])
  })

  test('after a transmission the same answers prove nothing', async () => {
    const says: Says = {}
    await open({ wrapPost: saying(says) })
    const order = await shop.placePaid()
    shop.faults['refund'] = ['lost']
    await shop.refund(order, R1)
    says.list = silent
    says.number = silent
    await shop.runFor(3600)
    expect([(await refundOf(order)).state, await money(order)]).toEqual(['accepted', ['paid', 880, 0]])
    // It was sent again under its own number, which is safe, and nothing more was concluded.
    expect(new Set(shop.sent('refund').map((one) => one.request_content)).size).toBe(1)
  })
})

describe('a refund that never arrived, and whose repeats are refused', () => {
  /** First unknown and not taken (3), then a signed no to the repeat. */
  async function refused(no: '104' | '102', options: ShopOptions = {}) {
    await open(options)
    const number = await shop.placePaid()
    shop.faults['refund'] = ['3', ...Array<'104' | '102'>(50).fill(no)]
    await shop.refund(number, R1)
    shop.pass(3)
    await shop.refund(number, R1)
    expect(await refundOf(number)).toMatchObject({ state: 'requested', sends: 2, refused: Number(no) })
    return number
  }

  test('is not sent again, and has failed when two looks, the list and the order have nothing of it', async () => {
    const number = await refused('104')
    shop.pass(3)
    await shop.refund(number, R1)
    expect([asks().length, (await refundOf(number)).missing_at_ms]).toEqual([2, null])
    expect((await shop.refund(number, R2)).body.code).toBe('refund_unresolved')
    shop.pass(594)
    await shop.refund(number, R1)
    expect((await refundOf(number)).missing_at_ms).toBeNull()
    shop.pass(3)
    await shop.refund(number, R1)
    expect((await refundOf(number)).missing_at_ms).not.toBeNull()
    shop.pass(597)
    await shop.refund(number, R1)
    expect([(await refundOf(number)).state, await money(number)]).toEqual(['requested', ['paid', 880, 0]])
    shop.pass(3)
    expect((await shop.refund(number, R1)).body.state).toBe('failed')
    expect([asks().length, await money(number)]).toEqual([2, ['paid', 0, 0]])
    expect(await shop.messages(number)).toEqual(['order.paid', 'refund.failed'])
    shop.faults['refund'] = []
    expect((await shop.refund(number, R2)).body.state).toBe('accepted')
  })

  test('is ended by the timer alone', async () => {
    const number = await refused('104')
    await shop.runFor(3600)
    expect([(await refundOf(number)).state, asks().length, await told()]).toEqual(['failed', 2, []])
  })

  test.each(['102', '407', 'unreadable'] as const)(
    'by a %s it never is: a person has to see',
    async (why) => {
      const no = why === '102' ? '102' : '104'
      let lie: unknown = why === '407' ? 407 : '407'
      await open({
        wrapPost: lying((content, suffix) => {
          if (suffix === 'refund' && content.status === 104 && why !== '102') content.internal_status = lie
        }),
      })
      const number = await shop.placePaid()
      shop.faults['refund'] = ['3', no, '3', no, '3', no]
      await shop.refund(number, R1)
      await shop.runFor(7200)
      expect([(await refundOf(number)).state === 'failed', (await money(number))[1]]).toEqual([false, 880])
      if (why === 'unreadable') {
        // As unknown as no answer at all: it is asked again, until one can be read.
        lie = 0
        expect(asks().length).toBeGreaterThan(2)
      } else {
        expect([asks().length, await told()]).toEqual([2, ['refund_unresolved']])
        expect(await refundOf(number)).toMatchObject({ refused: why === '407' ? 407 : 102 })
      }
    },
  )

  test.each<[string, Says]>([
    [
      'the list has it',
      {
        list: (content) => {
          Object.assign(content, { status: 0, internal_status: 0 })
          content.query_refund_order = listOf([{ out_refund_no: 'sb01r1', refund_fee: 880, state: 9 }])
        },
        number: none,
      },
    ],
    ['the list is silent', { list: silent, number: none }],
    ['the list cannot be read', { list: unreadable, number: none }],
    ['the number is answered with silence', { number: silent }],
    ['the number is refused for another reason', { number: refusal }],
  ])('does not end while %s', async (_, says) => {
    const number = await refused('104', { wrapPost: saying(says) }).catch(async () => {
      // Where the list is lied about from the beginning, it is not even sent: lie later.
      await shop.close()
      const later: Says = {}
      const order = await refused('104', { wrapPost: saying(later) })
      Object.assign(later, says)
      return order
    })
    await shop.runFor(7200)
    expect([(await refundOf(number)).state, (await money(number))[1]]).toEqual(['requested', 880])
  })

  const listOf = (refunds: { out_refund_no: string; refund_fee: number; state: number }[]) => {
    const [out_trade_no] = [...shop.sandbox.orders.keys()]
    const { out_mch_id, out_sub_mch_id, out_shop_id } = shop.app.merchants.first
    return {
      pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
      refund_order_content: refunds.map(({ out_refund_no, refund_fee, state }) => ({
        ...{ out_trade_no, out_refund_no, total_fee: 1880, refund_fee, refund_fee_type: 'CNY' },
        wxpay_refund_order_content_ext: { state },
      })),
    }
  }

  test('does not end while the order shows a refund that our rows do not explain', async () => {
    const number = await refused('104', {
      wrapPost: lying((content, suffix) => {
        if (suffix === 'query_order' && content.query_order && asks().length > 1)
          put(content, 'query_order.order_content.wxpay_order_content_ext.current_trade_state', 4)
      }),
    })
    await shop.runFor(7200)
    expect((await refundOf(number)).state).toBe('requested')
  })

  test('ends although the order has turned into a refund, when that is one we know of', async () => {
    await open()
    const number = await shop.placePaid()
    shop.sandbox.refundInConsole(number, 300)
    shop.faults['refund'] = ['3', '104']
    await shop.refund(number, R1)
    await shop.runFor(7200)
    expect([(await refundOf(number)).state, await money(number)]).toEqual(['failed', ['paid', 300, 300]])
  })

  test('that arrived after all succeeds', async () => {
    await open()
    const number = await shop.placePaid()
    shop.faults['refund'] = ['lost', '104']
    shop.faults['query_refund_order'] = ['ok', 'silent', 'silent']
    await shop.refund(number, R1)
    shop.pass(3)
    await shop.refund(number, R1)
    expect((await refundOf(number)).refused).toBe(104)
    await shop.runFor(400)
    expect([(await refundOf(number)).state, await money(number)]).toEqual(['succeeded', ['paid', 880, 880]])
  })
})

describe('a payment a moment ago', () => {
  test('is looked up once before anybody hears that it cannot be refunded', async () => {
    await open()
    const number = await shop.place()
    shop.sandbox.pay(number)
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
    expect(shop.sent('query_order')).toHaveLength(1)
  })

  test('and a stampede asks Cloud Pay once', async () => {
    await open()
    const number = await shop.place()
    for (let at = 0; at < 5; at++)
      expect((await shop.refund(number, R1)).body.code).toBe('order_not_refundable')
    expect(shop.sent('query_order')).toHaveLength(1)
    const { out_sub_mch_id } = shop.app.merchants.first
    await claimLook(shop.store, { out_sub_mch_id, out_trade_no: number }, 0, {
      payer: undefined,
      merchant: { name: 'lm:free', periodMs: 60_000, max: 9 },
      nowMs: 0,
    })
    shop.sandbox.pay(number)
    expect((await shop.refund(number, R1)).body.code).toBe('order_not_refundable')
    shop.pass(4)
    expect((await shop.refund(number, R1)).body.state).toBe('accepted')
  })
})

describe('what the list says of ours', () => {
  test.each(['succeeded', 'change'] as const)(
    'a refund that failed here and is %s there is told at once, and makes no room',
    async (end) => {
      await open({ refundDelayMs: Infinity })
      const number = await shop.placePaid()
      await shop.refund(number, R1)
      await shop.store.db.updateTable('refunds').set({ state: 'failed', wallet_state: 3 }).execute()
      await shop.store.db.updateTable('orders').set({ reserved_fen: 0 }).execute()
      shop.sandbox.finishRefund('sb01r1', end)
      const { body } = await shop.refund(number, { ...R2, refund_fee: 1001 })
      expect([body.code, asks().length]).toEqual(['refund_exceeds', 1])
      expect(await told()).toEqual(['refund_mismatch'])
      expect(await money(number)).toEqual(['paid', 0, 0])
      // Once: what is known is not told again.
      const events = (await shop.events(number)).length
      expect((await shop.refund(number, { ...R2, out_refund_no: 'sb01r3' })).body.state).toBe('accepted')
      const more = (await shop.events(number)).slice(events).map(({ detail }) => detail['reason'])
      expect(more.filter((reason) => /^failed_here/.test(String(reason)))).toEqual([])
    },
  )
})
