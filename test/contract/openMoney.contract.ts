import type { OrderState } from '../../shared/order/state'
import type { RefundState } from '../../shared/order/refund'
import type { NewMessage } from '../../shared/order/message'
import type { Store } from '../../shared/store/open'
import { countOpenMoney } from '../../shared/store/openMoney'
import { listDueMessages, markDelivered } from '../../shared/store/outbox'
import { insertRefund } from '../../shared/store/refunds'
import { newRefund } from '../support/refunds'
import { inserted, move, read, setUp, type Kind } from './ready'

/** What must not be deployed away. Each test has a database of its own: the count is over all of it. */
export function openMoneyContract(kind: Kind): void {
  const { fresh, open } = setUp(kind)
  let store: Store
  beforeEach(async () => {
    store = open(await fresh())
  })

  const order = async (state: OrderState, due = false) => {
    const { out_sub_mch_id, out_trade_no } = await inserted(store, { state })
    const key = { out_sub_mch_id, out_trade_no }
    if (!due) await move(store, await read(store, key), { due_in_ms: null })
    return read(store, key)
  }
  const counts = async () => Object.values(await countOpenMoney(store))

  test('nothing is open in empty tables', async () => {
    expect(await countOpenMoney(store)).toEqual({ orders: 0, refunds: 0, messages: 0 })
  })

  test('an order counts while it is open, whoever is to look after it', async () => {
    for (const state of ['created', 'pending', 'closing'] as const) await order(state)
    expect(await counts()).toEqual([3, 0, 0])
    for (const state of ['paid', 'closed', 'failed', 'paid_after_close', 'refunded'] as const) {
      await order(state)
    }
    expect(await counts()).toEqual([3, 0, 0])
    // Closed, and looked at again for a day; paid late, and on its way back.
    for (const state of ['closed', 'paid_after_close'] as const) await order(state, true)
    expect(await counts()).toEqual([5, 0, 0])
  })

  test('a refund counts until it is settled', async () => {
    const event = { at: 1, kind: 'refund', detail: {} } as const
    for (const state of ['requested', 'accepted', 'succeeded', 'failed', 'needs_person'] as const) {
      const paid = await order('paid')
      expect(await insertRefund(store, paid, newRefund(paid, { state }), null, event, [])).toBe('done')
    }
    expect(await counts()).toEqual([0, 2, 0])
    const paid = await order('paid')
    expect(await insertRefund(store, paid, newRefund(paid, { state: 'succeeded' }), 0, event, [])).toBe(
      'done',
    )
    expect(await counts()).toEqual([0, 3, 0])
  })

  test('a message counts until it is delivered', async () => {
    const before = await order('pending')
    const { out_trade_no } = before
    const message: NewMessage = { type: 'order.paid', about: out_trade_no, out_trade_no, payload: '{}' }
    await move(store, before, { state: 'paid', due_in_ms: null }, { messages: [message] })
    expect(await counts()).toEqual([0, 0, 1])
    const [due] = await listDueMessages(store, 1)
    await markDelivered(store, due!.id, due!.attempts, 1)
    expect(await counts()).toEqual([0, 0, 0])
  })

  test('states of a newer version count: this one cannot know that they are over', async () => {
    const { out_trade_no } = await order('paid')
    const paid = await order('paid')
    const event = { at: 1, kind: 'refund', detail: {} } as const
    await insertRefund(store, paid, newRefund(paid, { state: 'succeeded' }), null, event, [])
    expect(await counts()).toEqual([0, 0, 0])
    await store.db
      .updateTable('orders')
      .set({ state: 'disputed' as OrderState })
      .where('out_trade_no', '=', out_trade_no)
      .execute()
    await store.db
      .updateTable('refunds')
      .set({ state: 'split' as RefundState })
      .execute()
    expect(await counts()).toEqual([1, 1, 0])
  })
}
