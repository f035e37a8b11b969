import type { Order, OrderEvent } from '../../../shared/order/order'
import type { Refund } from '../../../shared/order/refund'
import { viewEvents, viewOrder, viewRefund } from '../../../shared/order/view'

/** What nobody but us may see, each with a mark of its own. */
const hidden = {
  out_mch_id: 'hidden-merchant',
  out_shop_id: 'hidden-shop',
  payer_field: 'hidden-payer-field',
  payer_id: 'hidden-payer-id',
  caller: 'hidden-caller',
  idempotency_key: 'hidden-key',
  content_hash: 'hidden-hash',
  request_content: '{"hidden":"request"}',
  author_code_sealed: 'hidden-code',
  version: 900_001,
  updated_at: 900_002,
  sends: 900_003,
  lease_token: 900_004,
  lease_holder: 'hidden-holder',
  lease_until_ms: 900_005,
  looked_at_ms: 900_006,
  next_due_at_ms: 900_008,
  shipped_at: 900_013,
  looks: 900_009,
  fruitless: 900_010,
  not_founds: 900_011,
  notified_at_ms: 900_012,
  purchase_slot: 'hidden-slot',
  quote_iss: 'hidden-issuer',
  quote_jti: 'hidden-quote',
  jsapi_args: '{"hidden":"wallet arguments"}',
  wallet_state: 900_007,
}

const order: Order = {
  ...hidden,
  out_trade_no: 'sb01x',
  out_sub_mch_id: 'sub1',
  merchant_order_id: 'purchase-7',
  reserved_fen: 700,
  refunded_fen: 300,
  late_policy: 'honour',
  seen: 0,
  purged_at: null,
  pay_platform: 1,
  trade_type: 7,
  total_fee: 1880,
  fee_type: 'CNY',
  state: 'paid',
  flag: null,
  created_at: 1_735_660_800,
  time_expire: 1_735_661_700,
  transaction_id: '4200',
  paid_at: 1_735_660_860,
  cash_fee: 1800,
  settlement_total_fee: 1880,
}

describe("what the order's owner sees of it", () => {
  test('is this and nothing else', () => {
    expect(viewOrder(order)).toEqual({
      out_trade_no: 'sb01x',
      out_sub_mch_id: 'sub1',
      merchant_order_id: 'purchase-7',
      state: 'paid',
      flag: null,
      total_fee: 1880,
      fee_type: 'CNY',
      pay_platform: 1,
      trade_type: 7,
      created_at: { epoch: 1_735_660_800, rfc3339: '2025-01-01T00:00:00+08:00' },
      time_expire: { epoch: 1_735_661_700, rfc3339: '2025-01-01T00:15:00+08:00' },
      paid_at: { epoch: 1_735_660_860, rfc3339: '2025-01-01T00:01:00+08:00' },
      transaction_id: '4200',
      cash_fee: 1800,
      settlement_total_fee: 1880,
      refunded_fee: 300,
      refunding_fee: 400,
    })
  })

  test('has a purchase only where the merchant named one', () => {
    expect(viewOrder({ ...order, merchant_order_id: null })).not.toHaveProperty('merchant_order_id')
  })

  test('has nothing of the policy for late money', () => {
    expect(viewOrder(order)).not.toHaveProperty('late_policy')
    expect(JSON.stringify(viewOrder(order))).not.toContain('honour')
  })

  test.each([
    [0, 0, 0, 0],
    [1880, 0, 0, 1880],
    [1880, 1880, 1880, 0],
  ])(
    'with %d reserved and %d refunded says that %d went back and %d is on its way',
    (reserved_fen, refunded_fen, refunded_fee, refunding_fee) => {
      const view = viewOrder({ ...order, reserved_fen, refunded_fen })
      expect(view).toMatchObject({ refunded_fee, refunding_fee })
    },
  )

  test.each(Object.entries(hidden))('is without %s', (name, value) => {
    const view = viewOrder(order)
    expect(view).not.toHaveProperty(name)
    expect(JSON.stringify(view)).not.toContain(String(value))
    expect(JSON.stringify(view)).not.toContain(JSON.stringify(String(value)).slice(1, -1))
  })

  test('has no member that came into the row later on', () => {
    const wider = { ...order, refund_account: 'hidden-new', authen_code: 'hidden-new' }
    expect(viewOrder(wider)).toEqual(viewOrder(order))
  })

  test('says null where there is nothing yet, and leaves nothing out', () => {
    const unpaid: Order = {
      ...order,
      state: 'pending',
      paid_at: null,
      transaction_id: null,
      cash_fee: null,
      settlement_total_fee: null,
    }
    expect(viewOrder(unpaid)).toMatchObject({
      paid_at: null,
      transaction_id: null,
      cash_fee: null,
      settlement_total_fee: null,
    })
    expect(Object.keys(viewOrder(unpaid))).toEqual(Object.keys(viewOrder(order)))
  })

  test('tells a moment at the epoch from none', () => {
    expect(viewOrder({ ...order, paid_at: 0 }).paid_at).toEqual({
      epoch: 0,
      rfc3339: '1970-01-01T08:00:00+08:00',
    })
  })

  test('shows the flag that makes a person look', () => {
    expect(viewOrder({ ...order, flag: 'create_answered_102' }).flag).toBe('create_answered_102')
  })
})

describe('its timeline', () => {
  const events: OrderEvent[] = [
    {
      seq: 1,
      at: 1_735_660_800,
      kind: 'created',
      from_state: null,
      to_state: 'created',
      detail: {},
      note: null,
    },
    {
      seq: 2,
      at: 1_735_660_860,
      kind: 'moved',
      from_state: 'created',
      to_state: 'pending',
      detail: { by: 'create', sends: 1 },
      note: '请联系收银员',
    },
  ]

  test('has the moves in their order, details where there are some, and no more of the row', () => {
    const wider = events.map((event) => ({ ...event, out_trade_no: 'sb01x', payer_id: 'hidden-payer-id' }))
    expect(viewEvents(wider, true)).toEqual([
      {
        at: { epoch: 1_735_660_800, rfc3339: '2025-01-01T00:00:00+08:00' },
        kind: 'created',
        from: null,
        to: 'created',
      },
      {
        at: { epoch: 1_735_660_860, rfc3339: '2025-01-01T00:01:00+08:00' },
        kind: 'moved',
        from: 'created',
        to: 'pending',
        detail: { by: 'create', sends: 1 },
        note: '请联系收银员',
      },
    ])
  })

  test('tells a payer nobody’s words', () => {
    expect(JSON.stringify(viewEvents(events, false))).not.toContain('收银员')
  })

  test('of nothing is empty', () => {
    expect(viewEvents([], true)).toEqual([])
  })
})

describe('what the owner sees of a refund', () => {
  const hiddenOfRefund = {
    caller: 'hidden-caller',
    request_content: '{"hidden":"request"}',
    version: 900_001,
    updated_at: 900_002,
    sends: 900_003,
    next_due_at_ms: 900_004,
    looks: 900_005,
    wallet_state: 900_006,
    sent_at_ms: 900_007,
    refused: 104,
    missing_at_ms: 900_008,
    affirmed_at: 900_009,
  }
  const refund: Refund = {
    ...hiddenOfRefund,
    ended_by: null,
    out_sub_mch_id: 'sub1',
    out_trade_no: 'sb01x',
    out_refund_no: 'sb01xr1',
    refund_fee: 300,
    origin: 'automatic',
    reason: null,
    state: 'accepted',
    created_at: 1_735_660_800,
    refund_id: null,
  }

  test('is this and nothing else, and null where there is nothing yet', () => {
    expect(viewRefund(refund)).toEqual({
      out_refund_no: 'sb01xr1',
      state: 'accepted',
      refund_fee: 300,
      origin: 'automatic',
      reason: null,
      created_at: { epoch: 1_735_660_800, rfc3339: '2025-01-01T00:00:00+08:00' },
      refund_id: null,
    })
    const later = { ...refund, reason: '凉了', refund_id: '5030' }
    expect(viewRefund(later)).toMatchObject({ reason: '凉了', refund_id: '5030' })
  })

  test.each(Object.entries(hiddenOfRefund))('is without %s', (name, value) => {
    expect(viewRefund(refund)).not.toHaveProperty(name)
    expect(JSON.stringify(viewRefund(refund))).not.toContain(String(value))
  })
})
