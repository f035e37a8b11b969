import * as fc from 'fast-check'
import { strict as assert } from 'node:assert'
import { hashedPayerId } from '../../shared/base/payer'
import { purgeExpired } from '../../shared/payments/retention'
import { resolveAnomaly } from '../../shared/store/anomalies'
import { holds, propertyRuns } from '../support/property'
import { allRows, type AnyRow } from '../support/rows'
import { openShop, type Shop } from '../support/shop'
import { freshNumber, orderBody } from '../support/world'

/**
 * Whatever has become of orders: before the retention nothing of them is purged, and after it nothing that tells of a
 * person is left in any column of any table, of those that are over and have no anomaly open. What is over is decided
 * here anew, from the rows.
 */
const DAYS = 30
const DAY_S = 86_400
/** In every text a person could have written or be known by. */
const PRIVATE = 'Zimmer 7 bei Wang'
const TOLD = /Zimmer 7|oRandomPayer|2088777|nonce_str/

const STEPS = [
  ...['pay', 'notify', 'refresh', 'close', 'refund', 'refund all', 'resolve', 'hour', 'two hours'],
  ...['silent', 'well', 'foreign notification', 'timer'],
] as const
type Step = { do: (typeof STEPS)[number]; which: number }

const histories = fc.record({
  orders: fc.array(fc.record({ alipay: fc.boolean(), payer: fc.nat(2) }), { minLength: 1, maxLength: 4 }),
  steps: fc.array(fc.record({ do: fc.constantFrom(...STEPS), which: fc.nat(3) }), { maxLength: 14 }),
  /** Timer runs, two hours apart: what was begun may come to its end, or not. */
  after: fc.nat(16),
  note: fc.boolean(),
})

const ONE = { orders: [{ alipay: false, payer: 0 }], note: false }
const PAID = {
  ...ONE,
  steps: (['pay', 'refresh', 'timer'] as const).map((step) => ({ do: step, which: 0 })),
  after: 16,
}
const NEVER_PAID = { ...ONE, steps: [], after: 0 }

const payerOf = (at: number, alipay: boolean) => (alipay ? `208877700000000${at}` : `oRandomPayer000${at}`)

async function play(shop: Shop, step: Step, numbers: string[]): Promise<void> {
  const number = numbers[step.which % numbers.length]!
  switch (step.do) {
    case 'pay':
      try {
        shop.sandbox.pay(number)
      } catch {
        // Paid, closed or expired: the wallet says no.
      }
      return
    case 'notify':
      if (shop.sandbox.look(number)) await shop.notify(number)
      return
    case 'refresh':
      return void (await shop.refresh(number))
    case 'close':
      return void (await shop.closeOrder(number))
    case 'refund':
    case 'refund all': {
      const refund_fee = step.do === 'refund' ? 80 : 1880
      const out_refund_no = freshNumber().replace('t', 'r')
      return void (await shop.refund(number, { refund_fee, out_refund_no, reason: PRIVATE }))
    }
    case 'resolve':
      for (const { id } of await shop.anomalies())
        await resolveAnomaly(shop.store, id, shop.nowS(), `called ${PRIVATE}`)
      return
    case 'hour':
    case 'two hours':
      return shop.pass(step.do === 'hour' ? 3600 : 7200)
    case 'silent':
      for (const suffix of ['query_order', 'refund', 'close_order', 'query_refund_order'])
        shop.faults[suffix] = 'silent'
      return
    case 'well':
      for (const suffix of Object.keys(shop.faults)) delete shop.faults[suffix]
      return
    case 'foreign notification': {
      if (!shop.sandbox.look(number)) return
      // Ours by its signature, and about another amount: for a person.
      const row = await shop.order(number)
      await shop.store.db
        .updateTable('orders')
        .set({ total_fee: 1881 })
        .where('out_trade_no', '=', number)
        .execute()
      await shop.notify(number)
      await shop.store.db
        .updateTable('orders')
        .set({ total_fee: row.total_fee })
        .where('out_trade_no', '=', number)
        .execute()
      return
    }
    case 'timer':
      return void (await shop.timer())
  }
}

const aboutOrder = (rows: AnyRow[] | undefined, { out_trade_no }: AnyRow) =>
  (rows ?? []).filter((row) => row['out_trade_no'] === out_trade_no)

/** From the rows alone. */
function isOver(rows: Record<string, AnyRow[]>, order: AnyRow): boolean {
  const ended = ['paid', 'closed', 'failed', 'paid_after_close', 'refunded'].includes(String(order['state']))
  const underWay = aboutOrder(rows['refunds'], order).some(({ state }) =>
    ['requested', 'accepted'].includes(String(state)),
  )
  const open = aboutOrder(rows['anomalies'], order).some(({ resolved_at }) => resolved_at === null)
  return ended && order['next_due_at_ms'] === null && !underWay && !open
}

/** What a purge may change; everything else of a row is as it was. */
const TEXTS: Record<string, string[]> = {
  orders: ['payer_id', 'request_content', 'jsapi_args', 'purged_at'],
  refunds: ['reason', 'request_content'],
  outbox: ['payload', 'next_due_at_ms'],
  notifications: ['claims'],
  anomalies: ['resolution'],
}
const without = (table: string, rows: AnyRow[]) =>
  rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !TEXTS[table]?.includes(name))))

test('after the retention nothing tells of a person, before it everything is there, and the books are the same', async () => {
  const seen = { purged: 0, heldBack: 0, states: new Set<string>() }
  await holds(
    fc.asyncProperty(histories, async ({ orders, steps, after, note }) => {
      const shop = await openShop({ env: { CLOSE_NOT_BEFORE: '0', RETENTION_DAYS: String(DAYS) } })
      try {
        const numbers: string[] = []
        for (const { alipay, payer } of orders) {
          const id = payerOf(payer, alipay)
          const key = alipay
            ? { pay_platform: 2, alipay_pay_mch_key_ext: { user_id: id } }
            : { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: id } }
          const out_trade_no = freshNumber()
          await shop.create(orderBody({ out_trade_no, body: PRIVATE, remark: PRIVATE }, { pay_mch_key: key }))
          numbers.push(out_trade_no)
        }
        for (const step of steps) await play(shop, step, numbers)
        for (let run = 0; run < after; run++) {
          shop.pass(7200)
          await shop.timer()
        }
        if (note) await play(shop, { do: 'resolve', which: 0 }, numbers)

        const purge = () => purgeExpired(shop.app, { remainingMs: () => 60_000 })
        const last = async () =>
          Math.max(...(await allRows(shop.store))['orders']!.map((row) => Number(row['updated_at'])))
        // A second before the last of them would be old enough: those that have not changed lately may be already.
        const before = await allRows(shop.store)
        const youngest = await last()
        shop.pass(Math.max(0, youngest + DAYS * DAY_S - 1 - shop.nowS()))
        await purge()
        for (const order of (await allRows(shop.store))['orders']!) {
          const early = Number(order['updated_at']) > shop.nowS() - DAYS * DAY_S
          if (early) assert.match(String(order['request_content']), TOLD)
          if (early) assert.equal(order['purged_at'], null)
        }
        // Long enough for every one, and for what was noted.
        shop.pass(601 + 4 * DAY_S + DAYS * DAY_S)
        await purge()

        const rows = await allRows(shop.store)
        for (const order of rows['orders']!) {
          const was = before['orders']!.find(({ out_trade_no }) => out_trade_no === order['out_trade_no'])!
          seen.states.add(String(order['state']))
          if (isOver(before, was)) {
            seen.purged++
            for (const table of Object.keys(rows))
              assert.doesNotMatch(JSON.stringify(aboutOrder(rows[table], order)), TOLD)
            assert.equal(order['payer_id'], hashedPayerId(was as never))
          } else {
            seen.heldBack++
            assert.deepEqual(
              [order['request_content'], order['payer_id']],
              [was['request_content'], was['payer_id']],
            )
          }
        }
        if (rows['orders']!.every((_, at) => isOver(before, before['orders']![at]!)))
          assert.doesNotMatch(JSON.stringify(rows), TOLD)
        for (const table of ['orders', 'order_events', 'refunds', 'outbox', 'notifications', 'anomalies'])
          assert.deepEqual(without(table, rows[table]!), without(table, before[table]!))
      } finally {
        await shop.close()
      }
    }),
    Math.min(300, Math.max(50, Math.ceil(propertyRuns() / 100))),
    [[PAID], [NEVER_PAID]],
  )
  // It has met what it is about, in the examples if nowhere else.
  assert.ok(seen.purged > 0 && seen.heldBack > 0, JSON.stringify({ ...seen, states: [...seen.states] }))
})
