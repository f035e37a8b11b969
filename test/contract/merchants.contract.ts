import type { MerchantRow } from '../../shared/base/merchants'
import { changeMerchants, findGeneration, listMerchants } from '../../shared/store/merchants'
import { findMark } from '../../shared/store/marks'
import type { Store } from '../../shared/store/open'
import { during, expectTime } from '../support/databaseClock'
import { count, setUp, type Kind } from './ready'

/** Sub-merchants are changed by a person's command while every instance reads them. */
export function merchantsContract(kind: Kind): void {
  const { fresh, open, openMany } = setUp(kind)
  let url: string
  let store: Store
  let made = 0

  beforeEach(async () => {
    url = await fresh()
    store = open(url)
  })

  const newRow = (change: Partial<MerchantRow> = {}): MerchantRow => {
    const at = ++made
    return {
      ...{ out_sub_mch_id: `sub${at}`, out_mch_id: `mch${at}`, out_shop_id: `shop${at}` },
      ...{ order_prefix: `p${at}`, disabled_at: null, version: 1, changed_at: 1_900_000_000 },
      sealed: `密${'x'.repeat(20_000)}`,
      ...change,
    }
  }
  const change = async (...rows: MerchantRow[]) => changeMerchants(store, await findGeneration(store), rows)

  test('are kept as they were given, and come in one order everywhere', async () => {
    const rows = ['b', 'a', 'B', 'A'].map((out_sub_mch_id) => newRow({ out_sub_mch_id }))
    const disabled = newRow({ out_sub_mch_id: 'c', disabled_at: 4_000_000_000 })
    expect(await change(...rows, disabled)).toBe('done')
    const listed = await listMerchants(store)
    expect(listed.map(({ out_sub_mch_id }) => out_sub_mch_id)).toEqual(['A', 'B', 'a', 'b', 'c'])
    expect(listed).toEqual(expect.arrayContaining([...rows, disabled]))
  })

  test('have a generation that every change moves, and nothing else does', async () => {
    expect(await findGeneration(store)).toBe('0')
    const row = newRow()
    await change(row)
    const first = await findGeneration(store)
    expect(first).not.toBe('0')
    await listMerchants(store)
    expect(await findGeneration(store)).toBe(first)
    const span = await during(store, () => change({ ...row, version: 2, disabled_at: 5 }))
    expect(await findGeneration(store)).not.toBe(first)
    // On the database's clock: when it last changed.
    const mark = (await findMark(store, 'merchants'))!
    expectTime(mark.at_ms, span)
  })

  test('are changed by who has seen the latest, and by nobody else', async () => {
    const [row, other] = [newRow(), newRow()]
    const seen = await findGeneration(store)
    await changeMerchants(store, seen, [row])
    expect(await changeMerchants(store, seen, [other])).toBe('lost')
    expect(await listMerchants(store)).toEqual([row])
    const now = await findGeneration(store)
    const next = { ...row, version: 2, sealed: 'other' }
    expect(await changeMerchants(store, now, [next])).toBe('done')
    expect(await changeMerchants(store, now, [{ ...row, version: 3 }])).toBe('lost')
    expect(await listMerchants(store)).toEqual([next])
  })

  test('are changed all or none, and the generation with them', async () => {
    const row = newRow()
    await change(row)
    const before = await findGeneration(store)
    // No such row, no such version of it, a prefix that belongs to another, a row that is there.
    for (const wrong of [
      newRow({ version: 7 }),
      { ...row, version: 3 },
      newRow({ order_prefix: row.order_prefix }),
      row,
    ])
      expect(await change(newRow(), wrong)).toBe('lost')
    expect(await listMerchants(store)).toEqual([row])
    expect(await findGeneration(store)).toBe(before)
    // Another letter is another prefix.
    expect(await change(newRow({ order_prefix: row.order_prefix.toUpperCase() }))).toBe('done')
  })

  test('changed by eight at once: one is first, the others hear of it', async () => {
    const stores = await openMany(url, 8)
    for (const generation of ['0', '1']) {
      const outcomes = await Promise.all(stores.map((each) => changeMerchants(each, generation, [newRow()])))
      expect([count(outcomes, 'done'), count(outcomes, 'lost')]).toEqual([1, 7])
    }
    expect(await listMerchants(store)).toHaveLength(2)
  })
}
