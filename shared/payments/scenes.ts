import { TRADE_TYPE, type TradeType } from '../cloudpay/enums'
import { officialAccountPay, miniProgramPay, type Interface } from '../cloudpay/schema'
import { appPay, microPay, mobWebPay, scanCodePay, type PayAnswer } from '../cloudpay/scenes'

/** Everything in which one way of paying differs from another: one row each, by `trade_type`. */
export type Scene = {
  /** For people: `trade_type 9 (mini-program)`. */
  title: string
  iface: Interface
  /** Not known to work with Alipay. */
  wechatOnly: boolean
  /** A payer with a session may order it, at a quote's or the catalogue's price. Nobody scans themselves. */
  payers: boolean
  /** Who or what is named in the platform's extension; nothing where whoever scans or opens the page pays. */
  wxpayKey: KeyRule | undefined
  alipayKey: boolean
  /** What may be in `wxpay_pay_content_ext`, and what has to be. */
  wxpayContent: { allowed: readonly string[]; required: readonly string[] }
  /** micro_pay is over in two minutes, and the caller says no time. */
  expires: boolean
  /** Members of `order_client` that are sent; none: it has no `order_client`. */
  client: readonly ClientMember[]
  /** `spbill_create_ip` is the payer's address, not ours. */
  payersIp: boolean
  /** At the top level: in the example of one page, and nowhere else. */
  sendsTradeType: boolean
  /** Of a verified yes, what is kept for handing over. */
  keep: (answer: PayAnswer) => object | undefined
  /** The form the documents advise for `body`: so many parts with `-` between them. */
  advice: { parts: number; zh: string; en: string }
}

export type KeyRule = {
  allowed: readonly string[]
  required: readonly string[]
  /** Exactly one of these. */
  oneOf: readonly string[]
}
export type ClientMember =
  'terminal_type' | 'device_id' | 'staff_id' | 'machine_no' | 'sn_code' | 'sdk_version' | 'spbill_create_ip'

const CLIENT = ['terminal_type', 'device_id', 'staff_id', 'sdk_version', 'spbill_create_ip'] as const
const COUPONS = ['attach', 'goods_tag', 'limit_pay'] as const
const WITH_PRODUCT = { allowed: [...COUPONS, 'product_id'], required: [] }

const SITE = { parts: 2, zh: '网站title-商品', en: 'title of the site-article' }

const JSAPI = {
  payers: true,
  wxpayContent: WITH_PRODUCT,
  expires: true,
  client: CLIENT,
  payersIp: false,
  keep: ({ jsapi_args }: PayAnswer) => jsapi_args,
} as const

export const SCENES: Readonly<Record<TradeType, Scene>> = {
  [TRADE_TYPE.micro]: {
    title: 'micro_pay',
    iface: microPay,
    wechatOnly: false,
    payers: false,
    wxpayKey: undefined,
    alipayKey: false,
    wxpayContent: { allowed: COUPONS, required: [] },
    expires: false,
    client: [...CLIENT, 'machine_no', 'sn_code'],
    payersIp: false,
    sendsTradeType: false,
    keep: () => undefined,
    advice: { parts: 3, zh: '门店-城市-商品', en: 'shop-city-article' },
  },
  [TRADE_TYPE.scanCode]: {
    title: 'scan_code_pay',
    iface: scanCodePay,
    wechatOnly: false,
    payers: true,
    wxpayKey: undefined,
    alipayKey: false,
    wxpayContent: WITH_PRODUCT,
    expires: true,
    client: CLIENT,
    payersIp: false,
    sendsTradeType: false,
    keep: ({ code_url }) => (code_url === undefined ? undefined : { code_url }),
    advice: SITE,
  },
  [TRADE_TYPE.officialAccount]: {
    ...JSAPI,
    title: 'official account',
    iface: officialAccountPay,
    wechatOnly: false,
    wxpayKey: {
      allowed: ['app_id', 'sub_app_id', 'open_id', 'sub_open_id'],
      required: [],
      oneOf: ['open_id', 'sub_open_id'],
    },
    alipayKey: true,
    sendsTradeType: true,
    advice: { parts: 2, zh: '公众号名-商品', en: 'name of the account-article' },
  },
  [TRADE_TYPE.app]: {
    title: 'app_pay',
    iface: appPay,
    wechatOnly: true,
    payers: true,
    wxpayKey: { allowed: ['mob_app_id'], required: ['mob_app_id'], oneOf: [] },
    alipayKey: false,
    wxpayContent: { allowed: COUPONS, required: [] },
    expires: true,
    client: [],
    payersIp: false,
    sendsTradeType: false,
    keep: ({ sdk_args }) => (sdk_args === undefined ? undefined : { sdk_args }),
    advice: { parts: 2, zh: 'App 名-商品', en: 'name of the app-article' },
  },
  [TRADE_TYPE.mobileWeb]: {
    title: 'mob_web_pay',
    iface: mobWebPay,
    wechatOnly: true,
    payers: true,
    wxpayKey: undefined,
    alipayKey: false,
    wxpayContent: { allowed: [...COUPONS, 'scene_info'], required: ['scene_info'] },
    expires: true,
    client: ['spbill_create_ip'],
    payersIp: true,
    sendsTradeType: false,
    keep: ({ mweb_url }) => (mweb_url === undefined ? undefined : { mweb_url }),
    advice: SITE,
  },
  [TRADE_TYPE.miniProgram]: {
    ...JSAPI,
    title: 'mini-program',
    iface: miniProgramPay,
    wechatOnly: true,
    wxpayKey: {
      allowed: ['mini_program_sub_app_id', 'sub_open_id'],
      required: ['mini_program_sub_app_id', 'sub_open_id'],
      oneOf: [],
    },
    alipayKey: false,
    // Only known from a client that does not send it.
    sendsTradeType: false,
    advice: { parts: 2, zh: '小程序名-商品', en: 'name of the mini-program-article' },
  },
}

/** Official account when nothing is said. A row of a trade type nobody knows any more is read as one, too. */
export const sceneOf = (tradeType: number | undefined): Scene =>
  SCENES[(tradeType ?? TRADE_TYPE.officialAccount) as TradeType] ?? SCENES[TRADE_TYPE.officialAccount]

/** Whose id an answer can be compared with: only one that we sent. */
export const namesPayer = ({ wxpayKey, alipayKey }: Scene): boolean =>
  alipayKey || (wxpayKey?.allowed.includes('sub_open_id') ?? false)
