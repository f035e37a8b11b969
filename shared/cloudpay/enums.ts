/** Closed sets of the protocol, under Cloud Pay's own names (product/569/37628 枚举). */

export const PAY_PLATFORM = { wechat: 1, alipay: 2 } as const
export type PayPlatform = (typeof PAY_PLATFORM)[keyof typeof PAY_PLATFORM]

export const SUB_PAY_PLATFORM = { wechat: 100, alipay: 200 } as const

export const TRADE_TYPE = {
  /** The shop scans the payer's code. */
  micro: 1,
  /** The payer scans a code the shop shows. */
  scanCode: 2,
  officialAccount: 3,
  app: 4,
  /** H5: a page in a phone's browser, outside WeChat. */
  mobileWeb: 6,
  miniProgram: 9,
} as const
export type TradeType = (typeof TRADE_TYPE)[keyof typeof TRADE_TYPE]

export const TERMINAL_TYPE = { windows: 1, android: 2, ios: 3, linux: 4, other: 100 } as const

export const AUTHEN_TYPE_HMAC_SHA256 = 1

/**
 * "Did the call work", never "was it paid". 3 and 101 come without an authen_code; 3 and 103 leave the outcome
 * unknown and allow the identical request again; 101, 102 and 104 do not.
 */
export const STATUS = {
  ok: 0,
  systemError: 3,
  badRequest: 101,
  failedTakeNewNumber: 102,
  failedRetryLater: 103,
  failed: 104,
} as const

/** Debug values of which only these mean anything. 400 and 426 are evidence from SDK code, not from the documents. */
export const INTERNAL_STATUS = {
  orderNotFound: 400,
  numberReusedWithOtherContent: 407,
  noRefunds: 426,
} as const

/** 2–3 success, 4 was paid and went into refund, 1/6/9/12 undecided, the rest ended unpaid (13, 14: deposits). */
export const WXPAY_ORDER_STATE = {
  initial: 1,
  microPaid: 2,
  paid: 3,
  refund: 4,
  payerStopped: 5,
  waiting: 6,
  closed: 7,
  reversed: 8,
  typingPassword: 9,
  payError: 10,
  void: 11,
  processing: 12,
  unfrozen: 13,
  consumed: 14,
} as const

/** 5 is "closed or fully refunded": which of the two only our own evidence of a payment can tell. */
export const ALIPAY_ORDER_STATE = {
  initial: 1,
  paid: 2,
  waiting: 4,
  closedOrRefunded: 5,
  finished: 6,
  notExisting: 7,
} as const

/** WeChat's refund states. 5 (CHANGE): the money came back to the merchant and must be paid out by hand. */
export const WXPAY_REFUND_STATE = {
  initial: 1,
  succeeded: 2,
  failed: 3,
  processing: 4,
  change: 5,
  void: 6,
} as const

/** Alipay's `refund_status`. 5 is "not existing", not WeChat's CHANGE. */
export const ALIPAY_REFUND_STATE = {
  initial: 1,
  succeeded: 2,
  failed: 3,
  processing: 4,
  notExisting: 5,
} as const
