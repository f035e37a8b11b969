import type { Edit } from '../support/planting'

/** One strictness taken away at a time: from here on a member of another type is taken for one that is not there. */
export type LenientPlant = { name: string; edits: readonly Edit[] }

const READING = 'shared/cloudpay/reading.ts'
const ECHOES = 'shared/cloudpay/echoes.ts'
const SCHEMA = 'shared/cloudpay/schema.ts'

const absentWhenMisfit = (path: string): Edit => ({
  file: READING,
  find: "  'description',\n",
  replace: `  'description',\n  '${path}',\n`,
})
/** And what is not there is not missed. */
const notMissed = (path: string): Edit => ({
  file: ECHOES,
  find: "      if (when === 'required') faults.missing.push(at)",
  replace: `      if (when === 'required' && at !== '${path}') faults.missing.push(at)`,
})
const anythingFits = (find: string, replace: string, file = ECHOES): Edit => ({ file, find, replace })

const REQUIRED = [
  'order_content.out_trade_no',
  'order_content.total_fee',
  'order_content.create_time',
  'pay_mch_key.pay_platform',
  'pay_mch_key.out_mch_id',
  'pay_mch_key.out_sub_mch_id',
  'pay_mch_key.out_shop_id',
  'refund_order_content.out_trade_no',
  'refund_order_content.total_fee',
  'refund_order_content.refund_fee',
]
const IF_PRESENT = [
  'order_content.fee_type',
  'order_content.trade_type',
  'refund_order_content.refund_fee_type',
]
/** Of the order's own platform: absent, it is taken for the state that ends the matter. */
const STATES: readonly [string, string, Edit][] = [
  [
    "an order's state on WeChat",
    'order_content.wxpay_order_content_ext.current_trade_state',
    anythingFits(
      '? content.wxpay_order_content_ext : content.alipay_order_content_ext)\n    ?.current_trade_state',
      '? { current_trade_state: 3, ...content.wxpay_order_content_ext } : content.alipay_order_content_ext)\n    ?.current_trade_state',
      'shared/payments/evidence.ts',
    ),
  ],
  [
    "an order's state on Alipay",
    'order_content.alipay_order_content_ext.current_trade_state',
    anythingFits(
      '? content.wxpay_order_content_ext : content.alipay_order_content_ext)\n    ?.current_trade_state',
      '? content.wxpay_order_content_ext : { current_trade_state: 2, ...content.alipay_order_content_ext })\n    ?.current_trade_state',
      'shared/payments/evidence.ts',
    ),
  ],
  [
    "a refund's state on WeChat",
    'refund_order_content.wxpay_refund_order_content_ext.state',
    anythingFits(
      '? content.wxpay_refund_order_content_ext?.state\n',
      '? (content.wxpay_refund_order_content_ext?.state ?? 2)\n',
      'shared/payments/refundEvidence.ts',
    ),
  ],
  [
    "a refund's state on Alipay",
    'refund_order_content.alipay_refund_order_content_ext.refund_status',
    anythingFits(
      ': content.alipay_refund_order_content_ext?.refund_status\n',
      ': (content.alipay_refund_order_content_ext?.refund_status ?? 2)\n',
      'shared/payments/refundEvidence.ts',
    ),
  ],
]

export const LENIENT_PLANTS: readonly LenientPlant[] = [
  ...REQUIRED.map((path) => ({ name: path, edits: [absentWhenMisfit(path), notMissed(path)] })),
  ...IF_PRESENT.map((path) => ({ name: path, edits: [absentWhenMisfit(path)] })),
  ...STATES.map(([name, path, edit]) => ({ name, edits: [absentWhenMisfit(path), edit] })),
  {
    name: 'refund_order_content.out_refund_no',
    edits: [
      absentWhenMisfit('refund_order_content.out_refund_no'),
      notMissed('refund_order_content.out_refund_no'),
      anythingFits(
        'listed.filter((one) => one.out_refund_no === refund.out_refund_no)',
        'listed.filter((one) => (one.out_refund_no ?? refund.out_refund_no) === refund.out_refund_no)',
        'shared/payments/refundEvidence.ts',
      ),
    ],
  },
  {
    name: 'the id of a WeChat payer',
    edits: [
      anythingFits(
        'expected.payer_field !== field || isPayerOf(expected, echoed),',
        "typeof echoed !== 'string' || expected.payer_field !== field || isPayerOf(expected, echoed),",
      ),
    ],
  },
  {
    name: 'the id of an Alipay payer',
    edits: [
      anythingFits(
        "expected.payer_field !== 'user_id' || isPayerOf",
        "typeof echoed !== 'string' || expected.payer_field !== 'user_id' || isPayerOf",
      ),
    ],
  },
  {
    name: 'status',
    edits: [
      anythingFits(
        'status: integer(0, 2_147_483_647),\n  /** Of a failing',
        'status: v.pipe(v.unknown(), v.transform(Number), integer(0, 2_147_483_647)),\n  /** Of a failing',
        SCHEMA,
      ),
    ],
  },
  {
    name: 'is_transforming',
    edits: [
      anythingFits('given !== undefined && given !== null && given !== false', 'given === true', SCHEMA),
    ],
  },
  {
    name: 'internal_status',
    edits: [anythingFits("(given as number) : 'unreadable'", '(given as number) : undefined', SCHEMA)],
  },
  {
    name: 'the hand-over of a create',
    edits: [absentWhenMisfit('jsapi_args')],
  },
]
