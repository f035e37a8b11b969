import {
  ALIPAY_ORDER_STATE,
  ALIPAY_REFUND_STATE,
  PAY_PLATFORM,
  SUB_PAY_PLATFORM,
  TRADE_TYPE,
  WXPAY_ORDER_STATE,
  WXPAY_REFUND_STATE,
} from '../../shared/cloudpay/enums'
import type { JsapiArguments, OrderContent, RefundOrderContent } from '../../shared/cloudpay/schema'
import {
  freshNonce,
  isWechat,
  settle,
  shownState,
  type Far,
  type LedgerOrder,
  type LedgerRefund,
} from './ledger'
import { paySign, WECHAT_API_KEY } from './wallet'

/** What answers and notifications say about an order, a refund and whose they are. */

export function walletState(far: Far, order: LedgerOrder): number {
  const { switches } = far
  const state = shownState(far, order)
  const inFull = order.refunded_fen >= order.paid_fen
  const { micro } = order
  if (isWechat(order)) {
    const refunded = order.refunded_fen > 0 && (switches.refundedWechat === '4_on_any' || inFull)
    return {
      waiting: micro ? MICRO_WAITING[micro.script.state] : WXPAY_ORDER_STATE.waiting,
      paid: refunded
        ? WXPAY_ORDER_STATE.refund
        : micro
          ? WXPAY_ORDER_STATE.microPaid
          : WXPAY_ORDER_STATE.paid,
      closed: micro?.reversed
        ? WXPAY_ORDER_STATE.reversed
        : micro
          ? WXPAY_ORDER_STATE.payerStopped
          : WXPAY_ORDER_STATE.closed,
    }[state]
  }
  return {
    waiting:
      switches.alipayBeforeCashier === 'waiting'
        ? ALIPAY_ORDER_STATE.waiting
        : ALIPAY_ORDER_STATE.notExisting,
    paid: inFull ? ALIPAY_ORDER_STATE.closedOrRefunded : ALIPAY_ORDER_STATE.paid,
    closed: ALIPAY_ORDER_STATE.closedOrRefunded,
  }[state]
}

const TRADE_TYPES: Readonly<Record<string, number>> = {
  micro_pay: TRADE_TYPE.micro,
  scan_code_pay: TRADE_TYPE.scanCode,
  official_account_pay: TRADE_TYPE.officialAccount,
  app_pay: TRADE_TYPE.app,
  mob_web_pay: TRADE_TYPE.mobileWeb,
  mini_program_pay: TRADE_TYPE.miniProgram,
}
const tradeType = (order: LedgerOrder): number | undefined => TRADE_TYPES[order.interface]

/** micro_pay's own states (product/569/37628): 2 instead of 3, and 1, 9 and 12 while nothing is decided. */
const MICRO_WAITING = {
  initial: WXPAY_ORDER_STATE.initial,
  typing: WXPAY_ORDER_STATE.typingPassword,
  processing: WXPAY_ORDER_STATE.processing,
} as const

export function orderContent(far: Far, order: LedgerOrder): OrderContent {
  settle(far, order)
  const { pay_content: content, nonce_str } = order.request
  const paid = order.state === 'paid'
  const current_trade_state = walletState(far, order)
  return {
    out_trade_no: order.out_trade_no,
    ...(paid ? { transaction_id: order.transaction_id, time_end: order.time_end } : {}),
    trade_type: tradeType(order)!,
    time_expire: order.time_expire,
    ...(content.author_code === undefined ? {} : { author_code: content.author_code }),
    nonce_str: far.switches.nonceEcho === 'request' ? nonce_str : freshNonce(far),
    create_time: order.create_time,
    last_update_time: order.last_update_time,
    is_transforming: false,
    total_fee: content.total_fee,
    ...(paid ? { cash_fee: content.total_fee, settlement_total_fee: content.total_fee } : {}),
    fee_type: content.fee_type,
    cash_fee_type: content.fee_type,
    body: content.body,
    ...(content.detail === undefined ? {} : { detail: content.detail }),
    ...(isWechat(order)
      ? {
          wxpay_order_content_ext: {
            current_trade_state,
            ...content.wxpay_pay_content_ext,
            goods_tag: content.wxpay_pay_content_ext?.goods_tag ?? '',
            prepare_id: order.prepare_id,
            ...(paid ? { bank_type: 'OTHERS' } : {}),
          },
        }
      : { alipay_order_content_ext: { current_trade_state } }),
  }
}

/** As it is: a refund whose time has come is settled by whoever asks about its order. */
export function refundContent(far: Far, order: LedgerOrder, refund: LedgerRefund): RefundOrderContent {
  const { pay_content } = order.request
  const reason = refund.request?.refund_content.refund_reason
  const succeeded = refund.state === 'succeeded'
  return {
    out_trade_no: order.out_trade_no,
    out_refund_no: refund.out_refund_no,
    refund_id: refund.refund_id,
    trade_type: tradeType(order)!,
    nonce_str: far.switches.nonceEcho === 'request' ? refund.nonce_str : freshNonce(far),
    create_time: refund.create_time,
    last_update_time: refund.last_update_time,
    is_transforming: far.switches.refundTransforming === 'while_processing' && refund.state === 'processing',
    total_fee: pay_content.total_fee,
    refund_fee: refund.fee,
    refund_fee_type: pay_content.fee_type,
    ...(reason === undefined ? {} : { refund_reason: reason }),
    ...(isWechat(order)
      ? {
          wxpay_refund_order_content_ext: {
            state: WXPAY_REFUND_STATE[refund.state],
            refund_channel: 'ORIGINAL',
            ...(succeeded ? { cash_refund_fee: refund.fee, settlement_refund_fee: refund.fee } : {}),
          },
        }
      : {
          alipay_refund_order_content_ext: {
            refund_status: ALIPAY_REFUND[refund.state],
            ...(succeeded ? { fund_change: 'Y' } : {}),
          },
        }),
  }
}

/** Alipay's names differ: a void refund is one that does not exist there, and CHANGE is written off as failed. */
const ALIPAY_REFUND = {
  processing: ALIPAY_REFUND_STATE.processing,
  succeeded: ALIPAY_REFUND_STATE.succeeded,
  failed: ALIPAY_REFUND_STATE.failed,
  change: ALIPAY_REFUND_STATE.failed,
  void: ALIPAY_REFUND_STATE.notExisting,
} as const

// ── whose it is ────────────────────────────────────────────────────────────────────────────────────────────────

/** What the create said, and what only the service knows. */
export function payMchKey(order: LedgerOrder) {
  return {
    ...order.request.pay_mch_key,
    sub_pay_platform: subPlatform(order),
    ...(isWechat(order) ? { app_id: PROVIDER_APP_ID, sub_app_id: appId(order) } : {}),
  }
}

/** For answers about refunds, whose requests name no payer. */
export function plainMchKey(order: LedgerOrder) {
  const { pay_platform, out_mch_id, out_sub_mch_id, out_shop_id } = order.request.pay_mch_key
  return { pay_platform, sub_pay_platform: subPlatform(order), out_mch_id, out_sub_mch_id, out_shop_id }
}

/** `order_mch` of the bill. */
export function orderMch(order: LedgerOrder) {
  const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = order.request.pay_mch_key
  const { sub_pay_platform: _, ...ids } = plainMchKey(order)
  return {
    ...ids,
    ...(wxpay
      ? { wxpay_order_mch_ext: { app_id: PROVIDER_APP_ID, sub_app_id: appId(order), ...payerOf(wxpay) } }
      : {}),
    ...(alipay ? { alipay_order_mch_ext: { user_id: alipay.user_id } } : {}),
  }
}

const payerOf = ({
  open_id,
  sub_open_id,
}: {
  open_id?: string | undefined
  sub_open_id?: string | undefined
}) => (open_id === undefined ? { sub_open_id } : { open_id })

const PROVIDER_APP_ID = 'wxsandboxapp00000'

const subPlatform = (order: LedgerOrder): number =>
  isWechat(order) ? SUB_PAY_PLATFORM.wechat : SUB_PAY_PLATFORM.alipay

function appId(order: LedgerOrder): string {
  const ext = order.request.pay_mch_key.wxpay_pay_mch_key_ext
  return (
    ext?.mob_app_id ?? ext?.mini_program_sub_app_id ?? ext?.sub_app_id ?? ext?.app_id ?? 'wxsandboxsub00001'
  )
}

// ── the hand-over ──────────────────────────────────────────────────────────────────────────────────────────────

export function jsapiArgs(far: Far, order: LedgerOrder): JsapiArguments {
  const { switches } = far
  if (order.request.pay_mch_key.pay_platform === PAY_PLATFORM.alipay) {
    return { alipay: { trade_pay: { trade_no: order.trade_no } } }
  }
  const params = {
    appId: appId(order),
    timeStamp: String(order.create_time),
    nonceStr: freshNonce(far),
    package: `prepay_id=${order.prepare_id}`,
    signType: switches.signType,
  }
  const pay_sign = paySign(params, WECHAT_API_KEY, switches.signType)
  const three = { nonce_str: params.nonceStr, package: params.package, pay_sign }
  const all = { app_id: params.appId, timestamp: params.timeStamp, ...three, sign_type: params.signType }
  if (order.interface === 'mini_program_pay') {
    return { wxpay: { mini_program_pay: switches.miniProgramHandover === 'complete' ? all : three } }
  }
  return { wxpay: { get_brand_wcpay: all } }
}

/** What the QR code says: S64. */
export const codeUrl = (order: LedgerOrder): string =>
  isWechat(order)
    ? `weixin://wxpay/bizpayurl?pr=${order.prepare_id.slice(-11)}`
    : `https://qr.alipay.com/bax${order.trade_no.slice(-20)}`

/** Where a browser is sent: WeChat's cashier, which knows no such order. */
export const mwebUrl = (far: Far, order: LedgerOrder): string => {
  const host = far.switches.mobWebHost === 'wallet' ? 'wx.tenpay.com' : 'tenpay.com.sandbox.invalid'
  return `https://${host}/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=${order.prepare_id}`
}

/** WeChat's app signature: the same rule over lower-case names. */
export function sdkArgs(far: Far, order: LedgerOrder) {
  const params = {
    appid: appId(order),
    noncestr: freshNonce(far),
    package: 'Sign=WXPay',
    partnerid: '1900000001',
    prepayid: order.prepare_id,
    timestamp: String(order.create_time),
  }
  return {
    wxpay: {
      app_id: params.appid,
      timestamp: params.timestamp,
      nonce_str: params.noncestr,
      package_value: params.package,
      partner_id: params.partnerid,
      prepare_id: params.prepayid,
      sign: paySign(params, WECHAT_API_KEY, 'MD5'),
    },
  }
}
