import { reconcileWindow } from '../../../shared/payments/bill'
import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { sealedNotification } from '../../support/tamper'

/** Payments that a cash register of the same sub-merchant took: nothing of ours is missing, and nobody should be woken. */
let shop: Shop
const open = async (tills?: object[], options: ShopOptions = {}) =>
  (shop = await openShop({ ...options, env: tills ? { OTHER_TILLS: JSON.stringify(tills) } : {} }))
afterEach(() => shop.close())

const SHOP = 'sandboxshop000000001'
const TILL = 'till-01'
const compare = () =>
  reconcileWindow(shop.app, shop.app.merchants.first, shop.nowS() - 3600, shop.nowS() + 3600, {
    remainingMs: () => 60_000,
  })
const told = async () => (await shop.anomalies()).map(({ kind, out_trade_no }) => `${kind} ${out_trade_no}`)

/** As this code makes numbers: when, and chance. */
const madeBefore = (seconds: number): string =>
  `sb01${(shop.clock.nowMs() - seconds * 1000).toString(36).padStart(8, '0')}aaaabbbbcccc`

let sales = 0
/** Paid at Cloud Pay under this number, and no row of ours. */
async function sell(out_trade_no = `sb01A${++sales}`): Promise<string> {
  await shop.place({ out_trade_no }, { order_client: { device_id: TILL } })
  shop.sandbox.pay(out_trade_no)
  await shop.store.db.deleteFrom('orders').where('out_trade_no', '=', out_trade_no).execute()
  return out_trade_no
}

test.each([
  [undefined],
  [[{ device_id: 'till-02' }]],
  [[{ device_id: TILL, trade_type: 1 }]],
  [[{ trade_type: 5 }]],
])('in the bill of a deployment that names %j are told as before', async (tills) => {
  await open(tills)
  const number = await sell()
  expect(await compare()).toMatchObject({ payments: 1, differences: 1, otherTills: 0 })
  expect(await told()).toEqual([`paid_upstream_only ${number}`])
})

test.each([
  [[{ device_id: TILL }]],
  [[{ out_shop_id: SHOP }]],
  [[{ device_id: 'till-02' }, { trade_type: 3 }]],
  [[{ out_shop_id: SHOP, device_id: TILL, trade_type: 3 }]],
])('in the bill of a deployment that names %j are counted', async (tills) => {
  await open(tills)
  for (let sale = 0; sale < 5; sale++) await sell()
  expect(await compare()).toMatchObject({ payments: 5, differences: 0, otherTills: 5, complete: true })
  expect(await told()).toEqual([])
})

test.each([
  // Nobody's device stands in a refund of the console.
  [[{ device_id: TILL }], 1],
  [[{ out_shop_id: SHOP }], 2],
  [[{ device_id: TILL }, { trade_type: 3 }], 2],
])('a refund in the console is counted by what its entry names: %j', async (tills, otherTills) => {
  await open(tills)
  shop.sandbox.refundInConsole(await sell(), 300)
  expect(await compare()).toMatchObject({ refunds: 1, otherTills, differences: 2 - otherTills })
})

test.each([
  ['a moment ago', 0],
  ['as long ago as a stored text may be sent', 7500],
  ['by a clock that is five minutes ahead', -300],
])('a number that this code would have made %s is ours, whatever the tills', async (_, seconds) => {
  await open([{ device_id: TILL }])
  const number = await sell(madeBefore(seconds))
  expect(await compare()).toMatchObject({ differences: 1, otherTills: 0 })
  expect(await told()).toEqual([`paid_upstream_only ${number}`])
})

test.each([
  ['made too long before', 7501],
  ['made later than it was paid', -301],
])('a number %s only looks like one', async (_, seconds) => {
  await open([{ device_id: TILL }])
  await sell(madeBefore(seconds))
  expect(await compare()).toMatchObject({ differences: 0, otherTills: 1 })
})

test('a refund of an order of ours that is missing is told for a year after it', async () => {
  await open([{ device_id: TILL }])
  const number = await sell(madeBefore(0))
  shop.pass(30 * 86_400)
  shop.sandbox.refundInConsole(number, 300)
  await compare()
  expect(await told()).toEqual([`paid_upstream_only ${number}`])
})

describe('a notification', () => {
  const about = (out_trade_no: string, more: object = {}) => {
    const { out_mch_id, out_sub_mch_id, out_shop_id } = shop.app.merchants.first
    return sealedNotification({
      pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
      order_client: { device_id: TILL },
      order_content: { out_trade_no, total_fee: 1880, fee_type: 'CNY', trade_type: 1, ...more },
    })
  }

  test('of a till that is named is kept and acknowledged, and nobody is told', async () => {
    await open([{ trade_type: 1 }])
    expect((await shop.tell(about('sb01register7'))).body).toMatchObject({ response_content: { status: 0 } })
    expect(await shop.inbox()).toEqual([{ out_trade_no: 'sb01register7', orphan: 1 }])
    expect(await told()).toEqual([])
  })

  test.each([
    ['with the time of its payment', true],
    ['without any time', false],
  ])('about a number that may be ours is told, %s', async (_, isTimed) => {
    await open([{ trade_type: 1 }])
    const number = madeBefore(60)
    await shop.tell(about(number, isTimed ? { create_time: shop.nowS() } : {}))
    expect(await told()).toEqual([`notification_orphan ${number}`])
  })

  test('of a till that nobody names is told', async () => {
    await open([{ device_id: 'till-02' }])
    await shop.tell(about('sb01register7'))
    expect(await told()).toEqual(['notification_orphan sb01register7'])
  })

  test.each([[7], [null], [{}], [['till-01']]])('whose device is %j names no till', async (device_id) => {
    await open([{ device_id: TILL }])
    const { out_mch_id, out_sub_mch_id, out_shop_id } = shop.app.merchants.first
    const bytes = sealedNotification({
      pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
      order_client: { device_id },
      order_content: { out_trade_no: 'sb01register7' },
    })
    expect((await shop.tell(bytes)).body).toMatchObject({ response_content: { status: 0 } })
    expect(await told()).toEqual(['notification_orphan sb01register7'])
  })
})
