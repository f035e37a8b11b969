import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { noteAnomalies } from '../../shared/store/beside'
import { newOrder } from '../support/orders'
import { holds, propertyRuns } from '../support/property'
import { openShop, otherMerchants, type Shop } from '../support/shop'

/**
 * Nobody's board shows what is another's: whatever orders and anomalies there are, of whomever, and whatever is asked.
 * Who asks is named by a door-keeper of the test's; everything behind it is real.
 */
const MERCHANTS = otherMerchants(3)
const OWNERS = MERCHANTS.map(({ out_sub_mch_id }) => out_sub_mch_id)

let shop: Shop
let caller = OWNERS[0]!
beforeAll(async () => {
  const authorize = async () => ({ id: 'clerk', kind: 'merchant' as const, out_sub_mch_id: caller })
  shop = await openShop({ merchants: MERCHANTS, overrides: { authorize } })
})
afterAll(() => shop.close())

const owner = fc.constantFrom(...OWNERS)
const STATES = ['created', 'pending', 'paid', 'paid_after_close', 'closed', 'refunded'] as const
/** Few seconds, transactions and numbers, so that they meet. */
const order = fc.record({
  out_sub_mch_id: owner,
  number: fc.stringMatching(/^[a-cA-C]{1,4}$/),
  state: fc.constantFrom(...STATES),
  trade_type: fc.constantFrom(3, 9),
  created_at: fc.integer({ min: 1_899_990_000, max: 1_899_990_003 }),
  total_fee: fc.integer({ min: 1, max: 2_147_483_647 }),
  transaction_id: fc.constantFrom('4200a', '4200b', null),
})
const anomaly = fc.record({
  out_sub_mch_id: owner,
  out_trade_no: fc.stringMatching(/^[a-cA-C]{1,3}$/),
  at: fc.integer({ min: 1, max: 4 }),
  resolved: fc.boolean(),
})
const search = fc.oneof(
  fc.stringMatching(/^m0[0-2][a-cA-C]{0,2}$/),
  fc.constantFrom('4200a', '4200', '%', 'm%', '_', "' or 1=1 --", 'm'),
)
const query = fc.oneof(
  fc.record({ limit: fc.constantFrom('1', '2', '100') }),
  fc.record({ limit: fc.constantFrom('1', '3'), state: fc.constantFrom(...STATES) }),
  fc.record({ limit: fc.constantFrom('1', '3'), search }),
)

type Row = { out_sub_mch_id: string; out_trade_no: string }

type Drawn<A> = A extends fc.Arbitrary<infer Value> ? Value : never
/** Each of the three has six orders and two anomalies, and each asks. */
const FULL = OWNERS.flatMap((out_sub_mch_id) =>
  STATES.map((state, at): Drawn<typeof order> => ({
    ...{ out_sub_mch_id, state, number: 'abcABC'.charAt(at), trade_type: at % 2 === 0 ? 3 : 9 },
    ...{ created_at: 1_899_990_000 + (at % 4), total_fee: 100 + at, transaction_id: '4200a' },
  })),
)
const MATTERS = OWNERS.flatMap((out_sub_mch_id) => [
  { out_sub_mch_id, out_trade_no: 'a', at: 1, resolved: true },
  { out_sub_mch_id, out_trade_no: 'b', at: 2, resolved: false },
])
const ASKED: Drawn<typeof query>[] = [
  { limit: '1' },
  { limit: '3', state: 'paid' },
  { limit: '3', search: '4200a' },
]
const EXAMPLES = OWNERS.flatMap((asking) =>
  ASKED.map((asked): [typeof FULL, typeof MATTERS, string, typeof asked] => [FULL, MATTERS, asking, asked]),
)

test('no board shows an order or an anomaly of another sub-merchant, and each shows all of its own', async () => {
  let shown = 0
  const body = fc.asyncProperty(
    fc.array(order, { maxLength: 25 }),
    fc.array(anomaly, { maxLength: 10 }),
    owner,
    query,
    async (wanted, matters, asking, asked) => {
      caller = asking
      for (const table of ['orders', 'anomalies', 'outbox'] as const)
        await shop.store.db.deleteFrom(table).execute()
      const orders = new Map<string, (typeof wanted)[number] & Row>()
      for (const one of wanted) {
        const prefix = `m${one.out_sub_mch_id.slice(3)}`
        const out_trade_no = `${prefix}${one.number}`
        if (orders.has(out_trade_no)) continue
        orders.set(out_trade_no, { ...one, out_trade_no })
        const { number: _, ...row } = one
        const paid_at = one.state.startsWith('paid') || one.state === 'refunded' ? one.created_at + 1 : null
        const full = newOrder({ ...row, out_trade_no, paid_at, payer_id: 'oSecretPayer' })
        await shop.store.db
          .insertInto('orders')
          .values({ ...full, lease_until_ms: 0, next_due_at_ms: null })
          .execute()
      }
      const noted = new Map<string, boolean>()
      for (const { out_sub_mch_id, out_trade_no, at, resolved } of matters) {
        const id = `bill_differs:${out_sub_mch_id}:${out_trade_no}`
        if (noted.has(id)) continue
        await noteAnomalies(shop.store, at, [
          { kind: 'bill_differs', out_sub_mch_id, out_trade_no, evidence: {} },
        ])
        noted.set(id, resolved)
        if (resolved)
          await shop.store.db
            .updateTable('anomalies')
            .set({ resolved_at: at + 1 })
            .where('id', '=', id)
            .execute()
      }
      const own = [...orders.values()].filter((one) => one.out_sub_mch_id === asking)
      const names = (list: Row[]) => list.map(({ out_trade_no }) => out_trade_no).sort()

      const listed = await everyPage('/board/orders', asked, 'orders')
      const fits = (one: (typeof own)[number]) =>
        'search' in asked
          ? one.out_trade_no.startsWith(asked.search) || one.transaction_id === asked.search
          : !('state' in asked) || one.state === asked.state
      if ('search' in asked && !/^[!-~]{1,64}$/.test(asked.search)) assert.equal(listed, undefined)
      else assert.deepEqual(names(listed as Row[]), names(own.filter(fits)))

      const unshipped = await everyPage('/board/unshipped', { limit: asked.limit }, 'orders')
      const frozen = own.filter((one) => one.trade_type === 9 && /^paid/.test(one.state))
      assert.deepEqual(names(unshipped as Row[]), names(frozen))

      const anomalies = (await everyPage('/board/anomalies', { limit: asked.limit }, 'anomalies')) as {
        id: string
        resolved_at: unknown
      }[]
      const mine = [...noted].filter(([id]) => id.includes(`:${asking}:`))
      assert.deepEqual(anomalies.map(({ id }) => id).sort(), mine.map(([id]) => id).sort())
      const open = anomalies.map(({ resolved_at }) => resolved_at === null)
      assert.deepEqual(
        open,
        [...open].sort((a, b) => Number(b) - Number(a)),
      )

      const day = await shop.call('GET', '/board/day', { query: { date: dateOf(1_899_990_000) } })
      const sum = (of: { total_fee: number }[]) => of.reduce((all, one) => all + one.total_fee, 0)
      const paid = own.filter(({ state }) => /^(paid|refunded)/.test(state))
      assert.deepEqual(day.body.total.made, { count: own.length, fen: sum(own) })
      assert.deepEqual(day.body.total.paid, { count: paid.length, fen: sum(paid) })

      for (const [id, resolved] of noted) {
        const answer = await shop.call('POST', `/board/resolve/${id}`, { body: { note: 'x' } })
        const isMine = id.includes(`:${asking}:`)
        assert.equal(answer.statusCode, isMine ? 200 : 404)
        const [row] = await shop.store.db.selectFrom('anomalies').selectAll().where('id', '=', id).execute()
        assert.equal(row!.resolved_at !== null, resolved || isMine)
      }
      shown += own.length + mine.length
    },
  )
  // Each run is a database filled and read page by page.
  await holds(body, Math.min(propertyRuns(), 1000), EXAMPLES)
  // There was something to be shown, or all of the above was true of nothing.
  expect(shown).toBeGreaterThanOrEqual(EXAMPLES.length * (6 + 2))
})

const dateOf = (epochS: number) => new Date((epochS + 8 * 3600) * 1000).toISOString().slice(0, 10)

/** All pages, or nothing when the question is refused. Each row once, and no payer in any. */
async function everyPage(
  path: string,
  query: Record<string, string>,
  name: 'orders' | 'anomalies',
): Promise<unknown[] | undefined> {
  const seen: unknown[] = []
  let before: string | null | undefined
  for (let pages = 0; before !== null; pages++) {
    assert.ok(pages < 100)
    const answer = await shop.call('GET', path, {
      query: { ...query, ...(before === undefined ? {} : { before }) },
    })
    if (answer.statusCode === 400) return undefined
    assert.equal(answer.statusCode, 200)
    assert.ok(!JSON.stringify(answer.body).includes('oSecretPayer'))
    seen.push(...(answer.body[name] as unknown[]))
    before = answer.body.next as string | null
  }
  return seen
}
