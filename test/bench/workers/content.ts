export const KEY = 'sandbox0authen0key0not0a0secret0'

/** About as long as a real request, a third of it Chinese. */
export const CONTENT = JSON.stringify({
  pay_mch_key: {
    pay_platform: 1,
    out_mch_id: 'sandboxmch0000000001',
    out_sub_mch_id: 'sandboxsub0000000001',
  },
  pay_content: {
    out_trade_no: 'sb01bench000001',
    total_fee: 1880,
    fee_type: 'CNY',
    body: '湖心奶茶-大杯'.repeat(10),
    remark: '少冰,半糖,不要吸管;'.repeat(11),
  },
  order_client: { terminal_type: 100, sdk_version: 'scf-ts0.1', spbill_create_ip: '127.0.0.1' },
  nonce_str: '550cc1638d49b9b4f918441b9dff6cb1',
})
