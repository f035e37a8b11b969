import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { lying } from '../../support/tamper'

/** 101, 102 and 104 tell a person what to do in `description`: a stranger's text, kept where a person looks. */
let shop: Shop
const open = async (options?: ShopOptions) => (shop = await openShop(options))
afterEach(() => shop.close())

const saying = (suffix: string, description: unknown) => ({
  wrapPost: lying((content, asked) => {
    if (asked === suffix && content.status !== 0) content.description = description
  }),
})
const notes = async (number: string) =>
  (await shop.events(number)).flatMap(({ note }) => (note === null ? [] : [note]))
const logged = () => shop.log.flatMap(({ said }) => (said === undefined ? [] : [said]))

/** The number of the one order there is, whatever became of its create. */
const place = async (): Promise<string> => {
  await shop.place().catch(() => undefined)
  const [order] = await shop.store.db.selectFrom('orders').select('out_trade_no').execute()
  return order!.out_trade_no
}

describe('what a refusal says', () => {
  test.each(['101', '102', '104'] as const)(
    'of a create (%s) is in the log and in the timeline',
    async (status) => {
      await open()
      shop.faults['official_account_pay'] = [status]
      const number = await place()
      expect(await notes(number)).toEqual([`sentinel ${status}`])
      expect(logged()).toEqual([`sentinel ${status}`])
    },
  )

  test('of a refund is in its timeline, and the owner reads it there; a payer does not', async () => {
    await open(saying('refund', '余额不足'))
    const number = await shop.placePaid()
    shop.faults['refund'] = '104'
    await shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 880 })
    expect(await notes(number)).toEqual(['余额不足'])
    expect((await shop.status(number)).body.events.at(-1)).toMatchObject({ note: '余额不足' })
    const asPayer = await shop.status(number, {}, { 'x-local-caller': 'payer:local' })
    expect([asPayer.statusCode, JSON.stringify(asPayer.body).includes('余额不足')]).toEqual([200, false])
  })

  test('of a refund that is told to mend its request (101) is written once, however often it is asked', async () => {
    await open()
    const number = await shop.placePaid()
    shop.faults['refund'] = '101'
    await shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 880 })
    for (let run = 0; run < 3; run++) {
      await shop.allDue()
      await shop.timer()
    }
    expect(shop.sent('refund').length).toBeGreaterThan(2)
    expect(await notes(number)).toEqual(['sentinel 101'])
  })

  test('of a close is in the timeline of the order that goes on', async () => {
    await open({ ...saying('close_order', '用户正在支付'), env: { CLOSE_NOT_BEFORE: '0' } })
    const number = await shop.place()
    shop.faults['close_order'] = '104'
    await shop.closeOrder(number)
    expect([(await shop.order(number)).state, await notes(number)]).toEqual(['pending', ['用户正在支付']])
  })

  test('of a query is in the log alone, because it is asked again and again', async () => {
    await open(saying('query_order', '系统繁忙'))
    const number = await shop.place()
    shop.faults['query_order'] = '104'
    await shop.refresh(number)
    expect([await notes(number), logged()]).toEqual([[], ['系统繁忙']])
  })

  test.each<[string, unknown, string[]]>([
    ['longer than a note', '长'.repeat(300), ['长'.repeat(255)]],
    ['in more than one line, and turned around', 'a\nb\u0000c\u202ed\u2028e', ['a b c d e']],
    ['empty', '   ', []],
    ['of another type', { zh: '余额不足' }, []],
    ['not there', undefined, []],
  ])('and is %s: kept as far as it is a text', async (_, description, expected) => {
    await open(saying('official_account_pay', description))
    shop.faults['official_account_pay'] = ['104']
    expect(await notes(await place())).toEqual(expected)
  })
})
