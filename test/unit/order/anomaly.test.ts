import { ANOMALY_KINDS, anomalyId } from '../../../shared/order/anomaly'
import { MESSAGE_TYPES, messageId, type MessageType } from '../../../shared/order/message'

const matter = {
  kind: 'second_payment',
  out_sub_mch_id: 'sub1',
  out_trade_no: 'ab12x',
  evidence: {},
} as const

const idOf = (type: MessageType, about: string, out_sub_mch_id = 'sub1') =>
  messageId({ type, about, out_trade_no: 'ab12x', payload: '{}' }, out_sub_mch_id)

describe('the id of an anomaly', () => {
  test('is the same for the same matter, whatever was seen of it', () => {
    expect(anomalyId(matter)).toBe('second_payment:sub1:ab12x')
    expect(anomalyId({ ...matter, evidence: { other: true } })).toBe(anomalyId(matter))
  })

  test('tells apart kinds, merchants, orders and what it is about', () => {
    const ids = [
      matter,
      { ...matter, kind: 'bill_differs' as const },
      { ...matter, out_sub_mch_id: 'sub2' },
      { ...matter, out_trade_no: 'ab12y' },
      { ...matter, about: 'r1' },
      { ...matter, about: 'r2' },
      { ...matter, out_trade_no: '' },
    ].map(anomalyId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('fits its column at its longest', () => {
    for (const kind of ANOMALY_KINDS) {
      const longest = {
        kind,
        out_sub_mch_id: 'x'.repeat(32),
        out_trade_no: 'x'.repeat(32),
        about: 'x'.repeat(64),
      }
      expect(kind.length).toBeLessThanOrEqual(32)
      const id = anomalyId({ ...longest, evidence: {} })
      expect(idOf('anomaly', id).length).toBeLessThanOrEqual(200)
    }
  })
})

describe('the id of a message', () => {
  test('is the same for the same matter', () => {
    expect(idOf('order.paid', 'ab12x')).toBe('evt_order_paid_ab12x')
  })

  test('has no dot: the webhook is signed over id, time and payload with dots between', () => {
    for (const type of MESSAGE_TYPES) {
      for (const about of ['a.b.c', 'second_payment:sub1:ab12x', '茶', '']) {
        expect(idOf(type, about)).toMatch(/^evt_[a-z_]+_[0-9a-f]{64}$/)
      }
    }
  })

  test('tells apart whatever a console may call a refund, by its merchant too', () => {
    const ids = ['a.b', 'a_b', 'a-b', 'a b', 'ab', 'x'.repeat(65), 'x'.repeat(66)].map((about) =>
      idOf('refund.succeeded', about),
    )
    expect(new Set(ids).size).toBe(ids.length)
    expect(idOf('refund.succeeded', 'a-b', 'sub2')).not.toBe(idOf('refund.succeeded', 'a-b', 'sub1'))
  })

  test('tells types and matters apart', () => {
    const ids = MESSAGE_TYPES.flatMap((type) => ['ab12x', 'ab12y'].map((about) => idOf(type, about)))
    expect(new Set(ids).size).toBe(MESSAGE_TYPES.length * 2)
  })
})
