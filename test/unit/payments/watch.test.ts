import { resolveAnomaly } from '../../../shared/store/anomalies'
import { openShop, type Shop } from '../../support/shop'
import { sealedNotification } from '../../support/tamper'

let shop: Shop
let number: string
beforeEach(async () => {
  shop = await openShop({ env: { CLOSE_NOT_BEFORE: '0' } })
  number = await shop.place()
})
afterEach(() => shop.close())

const silent = async () => (await shop.anomalyKinds()).filter((kind) => kind === 'timer_silent')
const notice = () => {
  const { out_mch_id, out_sub_mch_id, out_shop_id } = shop.app.merchants.first
  return sealedNotification({
    nonce_str: 'n',
    pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
    order_content: { out_trade_no: number, total_fee: 1880, fee_type: 'CNY' },
  })
}

describe('a timer that has not run for five minutes', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['status', () => shop.status(number)],
    ['notify', () => shop.tell(notice())],
    ['closeOrder', () => shop.closeOrder(number)],
    [
      'refund',
      async () => {
        shop.sandbox.pay(number)
        await shop.refresh(number)
        shop.pass(61)
        return shop.refund(number, { out_refund_no: 'sb01r1', refund_fee: 1 })
      },
    ],
  ])('is noticed by %s', async (_, visit) => {
    await shop.timer()
    shop.pass(301)
    await visit()
    expect(await shop.anomalies()).toMatchObject([
      { kind: 'timer_silent', out_trade_no: '', evidence: { last_run: expect.stringContaining('"orders"') } },
    ])
    expect(shop.counts()['anomaly.timer_silent']).toBeGreaterThan(0)
  })

  test('is not noticed at five minutes, and not while it runs', async () => {
    await shop.timer()
    shop.pass(300)
    await shop.status(number)
    for (let minute = 0; minute < 20; minute++) {
      await shop.runFor(60)
      await shop.status(number)
    }
    expect(await silent()).toEqual([])
  })

  test('is looked for once a minute by an instance, however much it is asked', async () => {
    await shop.timer()
    shop.pass(400)
    shop.database.said = 0
    await shop.status(number)
    const first = shop.database.said
    shop.database.said = 0
    await shop.status(number)
    expect(shop.database.said).toBeLessThan(first)
    shop.pass(60)
    await shop.status(number)
    expect(await shop.anomalies()).toMatchObject([{ kind: 'timer_silent', times: 2 }])
  })

  test('is told once while it is open, and again when it comes back after somebody resolved it', async () => {
    const told = () =>
      shop.store.db.selectFrom('outbox').select('id').where('out_sub_mch_id', '=', '').execute()
    const resolve = async () => {
      const [anomaly] = await shop.anomalies()
      expect(await resolveAnomaly(shop.store, anomaly!.id, shop.nowS(), 'the timer runs again')).toBe('done')
    }
    await shop.timer()
    shop.pass(400)
    await shop.status(number)
    shop.pass(60)
    await shop.status(number)
    expect(await told()).toHaveLength(1)
    await resolve()
    await shop.timer()
    shop.pass(400)
    await shop.status(number)
    shop.pass(60)
    await shop.status(number)
    expect(await shop.anomalies()).toMatchObject([{ kind: 'timer_silent', times: 4 }])
    expect(new Set((await told()).map(({ id }) => id)).size).toBe(2)
  })

  test('does not fail the request that noticed it, nor one that could not look', async () => {
    await shop.timer()
    shop.pass(400)
    shop.database.before = (sql) => {
      if (/"marks"|"anomalies"/.test(sql)) throw new Error('disk I/O error')
    }
    expect((await shop.status(number)).statusCode).toBe(200)
    shop.database.before = undefined
    expect(shop.counts()).toMatchObject({ 'timer.watch_failed': 1 })
  })
})

test('a run that fails is no run', async () => {
  await shop.timer()
  shop.database.before = (sql) => {
    if (/from "notifications"/.test(sql)) throw new Error('disk I/O error')
  }
  for (let past = 0; past < 320; past += 20) {
    shop.pass(20)
    await shop.timer().catch(() => undefined)
  }
  shop.database.before = undefined
  await shop.status(number)
  expect(await silent()).toHaveLength(1)
})

test('a new deployment has five minutes from its first visit', async () => {
  await shop.status(number)
  shop.pass(299)
  await shop.status(number)
  expect(await silent()).toEqual([])
  shop.pass(61)
  await shop.status(number)
  expect(await shop.anomalies()).toMatchObject([{ evidence: { last_run: 'never ran' } }])
})
