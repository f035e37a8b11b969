import type { NewOrder } from '../../../shared/store/tables'

export const AT = 1_795_422_173
export const JSAPI_ARGS = `{"wxpay":"${'x'.repeat(250)}"}`
/** Where it is and where it moves to, so that one row can be moved for ever. */
export const STATE = 'pending' as const

export const DETAIL = { by: 'create' }
/** What a create whose answer was a yes changes. */
export const CHANGE = {
  state: STATE,
  lease_until_ms: 0,
  looks: 0,
  seen: 0 as const,
  fruitless: 0,
  not_founds: 0,
  due_in_ms: 20_000,
  jsapi_args: JSAPI_ARGS,
}

export const newRow = (whose: string): NewOrder => ({
  out_sub_mch_id: 'sandboxsub0000000001',
  out_trade_no: `sb01${whose}${process.pid}`,
  out_mch_id: 'sandboxmch0000000001',
  out_shop_id: 'sandboxshop000000001',
  pay_platform: 1,
  trade_type: 3,
  total_fee: 1880,
  fee_type: 'CNY',
  payer_field: 'sub_open_id',
  payer_id: 'oTestPayer0001',
  merchant_order_id: null,
  purchase_slot: null,
  quote_iss: null,
  quote_jti: null,
  caller: 'local',
  idempotency_key: null,
  content_hash: 'hash',
  request_content: '{}',
  author_code_sealed: null,
  state: STATE,
  version: 1,
  flag: null,
  created_at: AT,
  updated_at: AT,
  time_expire: AT + 900,
  sends: 1,
  lease_token: 1,
  lease_holder: 'bench',
  looked_at_ms: 0,
  looks: 0,
  fruitless: 0,
  not_founds: 0,
  notified_at_ms: null,
  jsapi_args: null,
  transaction_id: null,
  paid_at: null,
  cash_fee: null,
  settlement_total_fee: null,
  wallet_state: null,
  reserved_fen: 0,
  refunded_fen: 0,
  late_policy: null,
})
