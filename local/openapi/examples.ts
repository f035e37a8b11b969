import { anomalyId, type Anomaly, type NewAnomaly } from '../../shared/order/anomaly'
import { dayBegins, viewAnomaly, viewBoardOrder, viewDay } from '../../shared/order/board'
import type { Order, OrderEvent } from '../../shared/order/order'
import { UNSENT, type Refund } from '../../shared/order/refund'
import { viewEvents, viewOrder, viewRefund } from '../../shared/order/view'
import { handover } from '../../shared/payments/handover'

/** One order and its refund, shown by the functions' own views: an example cannot say what they do not. */
const CREATED_AT = 1_900_000_000

const order: Order = {
  out_sub_mch_id: 'sandboxsub0000000001',
  out_trade_no: 'sb01k3v9x2m1q7d4f8',
  out_mch_id: 'sandboxmch0000000001',
  out_shop_id: 'sandboxshop000000001',
  pay_platform: 1,
  trade_type: 9,
  total_fee: 1880,
  fee_type: 'CNY',
  payer_field: 'sub_open_id',
  payer_id: 'oSandboxMiniPayer0001',
  merchant_order_id: 'cart-20300317-1',
  purchase_slot: null,
  quote_iss: null,
  quote_jti: null,
  caller: 'm:sandboxsub0000000001',
  idempotency_key: null,
  content_hash: '',
  request_content: '',
  state: 'pending',
  version: 2,
  flag: null,
  created_at: CREATED_AT,
  updated_at: CREATED_AT,
  time_expire: CREATED_AT + 900,
  sends: 1,
  lease_token: 1,
  lease_holder: '',
  lease_until_ms: 0,
  looked_at_ms: 0,
  next_due_at_ms: null,
  seen: 0,
  looks: 0,
  fruitless: 0,
  not_founds: 0,
  notified_at_ms: null,
  purged_at: null,
  shipped_at: null,
  author_code_sealed: null,
  jsapi_args: JSON.stringify({
    wxpay: {
      mini_program_pay: {
        app_id: 'wxsandboxmini0001',
        timestamp: String(CREATED_AT),
        nonce_str: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS',
        package: 'prepay_id=wx201410272009395522657a690389285100',
        sign_type: 'MD5',
        pay_sign: '12B0C0C4A9CD7DB0D1C0C6A3A4D1D9F0',
      },
    },
  }),
  transaction_id: null,
  paid_at: null,
  cash_fee: null,
  settlement_total_fee: null,
  wallet_state: null,
  reserved_fen: 0,
  refunded_fen: 0,
  late_policy: null,
}

const paid: Order = {
  ...order,
  state: 'paid',
  paid_at: CREATED_AT + 30,
  transaction_id: '4200000000203003170000000001',
  cash_fee: 1880,
  reserved_fen: 500,
}

const refund: Refund = {
  out_sub_mch_id: order.out_sub_mch_id,
  out_refund_no: 'sb01refund1',
  out_trade_no: order.out_trade_no,
  refund_fee: 500,
  origin: 'request',
  reason: '缺货',
  caller: order.caller,
  request_content: null,
  state: 'accepted',
  version: 2,
  created_at: CREATED_AT + 60,
  updated_at: CREATED_AT + 60,
  sends: 1,
  next_due_at_ms: null,
  looks: 0,
  refund_id: null,
  wallet_state: null,
  ...UNSENT,
}

const events: OrderEvent[] = [
  { seq: 1, at: CREATED_AT, kind: 'created', from_state: null, to_state: 'created', detail: {}, note: null },
  {
    seq: 2,
    at: CREATED_AT,
    kind: 'moved',
    from_state: 'created',
    to_state: 'pending',
    detail: {},
    note: null,
  },
  {
    seq: 3,
    at: CREATED_AT + 31,
    kind: 'moved',
    from_state: 'pending',
    to_state: 'paid',
    detail: {},
    note: null,
  },
]

const noticed: NewAnomaly = {
  kind: 'amount_differs',
  out_sub_mch_id: order.out_sub_mch_id,
  out_trade_no: order.out_trade_no,
  evidence: { total_fee: 1 },
}
const anomaly: Anomaly = {
  ...noticed,
  id: anomalyId(noticed),
  first_at: CREATED_AT + 31,
  last_at: CREATED_AT + 31,
  times: 1,
  resolved_at: null,
  resolution: null,
}

export const EXAMPLES = {
  created: { ...viewOrder(order), ...handover(order, CREATED_AT) },
  status: {
    ...viewOrder(paid),
    refreshed: true,
    refunds: [viewRefund(refund)],
    events: viewEvents(events, true),
  },
  closed: viewOrder({ ...order, state: 'closed' }),
  closing: viewOrder({ ...order, state: 'closing' }),
  refundOnItsWay: { ...viewRefund(refund), order: viewOrder(paid) },
  refundSettled: {
    ...viewRefund({ ...refund, state: 'succeeded', refund_id: '50000000002030031700000001' }),
    order: viewOrder({ ...paid, refunded_fen: 500 }),
  },
  newOrder: {
    pay_content: { total_fee: 1880, body: '湖心奶茶-大杯' },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oSandboxOffiPayer0001' } },
    merchant_order_id: 'cart-20300317-1',
  },
  newMiniProgramOrder: {
    trade_type: 9,
    pay_content: { total_fee: 1880, body: '湖心奶茶-大杯' },
    pay_mch_key: {
      pay_platform: 1,
      wxpay_pay_mch_key_ext: {
        mini_program_sub_app_id: 'wxsandboxmini0001',
        sub_open_id: 'oSandboxMiniPayer0001',
      },
    },
  },
  newAlipayOrder: {
    pay_content: { total_fee: 1880, body: '湖心奶茶-大杯' },
    pay_mch_key: { pay_platform: 2, alipay_pay_mch_key_ext: { user_id: '2088000000000001' } },
  },
  quotedOrder: { quote: 'eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl' },
  skuOrder: { sku: 'tea', quantity: 2 },
  newRefund: { refund_fee: 500, out_refund_no: 'sb01refund1', reason: '缺货' },
  login: {
    app_id: 'wxsandboxmini0001',
    code: '081aBcDeFgHiJkLm',
    secret: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8',
  },
  session: {
    token: 'eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl',
    expires_at: CREATED_AT + 7200,
    expires_in: 7200,
    app_id: 'wxsandboxmini0001',
  },
  beginLogin: {
    app_id: 'wxsandboxoffi0001',
    secret_hash: 'Yw3NKWbEM2aRElRIu7JbT_QSpJxzLbLIq8G4WBvXEN0',
  },
  loginState: { state: '713fb300'.padEnd(64, '0'), expires_in: 600 },
  revokePayer: { payer_field: 'sub_open_id', payer_id: 'oSandboxMiniPayer0001' },
  refundPaidOut: {
    ...viewRefund({ ...refund, state: 'succeeded', ended_by: 'operator' }),
    order: viewOrder({ ...paid, refunded_fen: 500 }),
  },
  boardOrder: viewBoardOrder(paid),
  boardOrders: { orders: [viewBoardOrder(paid)], next: null },
  boardAnomalies: { anomalies: [viewAnomaly(anomaly)], next: null },
  anomalyResolved: viewAnomaly({ ...anomaly, resolved_at: CREATED_AT + 3600, resolution: '已与顾客核对' }),
  resolveAnomaly: { note: '已与顾客核对' },
  boardDay: viewDay('2030-03-18', dayBegins('2030-03-18')!, {
    made: [{ hour: CREATED_AT - (CREATED_AT % 3600), number: 1, fen: 1880 }],
    paid: [{ hour: CREATED_AT - (CREATED_AT % 3600), number: 1, fen: 1880 }],
    refunded: [],
  }),
}
