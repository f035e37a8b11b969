import type { NewOrder } from '../../shared/store/tables'

export type { NewOrder }

let made = 0

/** A valid order as it is first written: a number and a key of its own, everything else always the same. */
export function newOrder(change: Partial<NewOrder> = {}): NewOrder {
  const number = String(++made).padStart(14, '0')
  return {
    out_sub_mch_id: 'sandboxsub0000000001',
    out_trade_no: `sb01${number}`,
    out_mch_id: 'sandboxmch0000000001',
    out_shop_id: 'sandboxshop000000001',
    pay_platform: 1,
    trade_type: 5,
    total_fee: 100,
    fee_type: 'CNY',
    payer_field: 'sub_open_id',
    payer_id: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
    merchant_order_id: null,
    purchase_slot: null,
    quote_iss: null,
    quote_jti: null,

    caller: 'shop',
    idempotency_key: `key-${number}`,
    content_hash: 'a'.repeat(64),
    request_content: '{"body":"茶 1 杯"}',
    author_code_sealed: null,

    state: 'created',
    version: 1,
    flag: null,
    created_at: 1_900_000_000,
    updated_at: 1_900_000_000,
    time_expire: 1_900_000_900,

    sends: 0,
    lease_token: 1,
    lease_holder: 'instance-1',
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
    ...change,
  }
}
