/**
 * Where the public documents are silent or somebody inferred, the sandbox has to choose. Every such choice is one of
 * these; README.md beside this file says for each what is known. Defaults first.
 */
export const SWITCHES = {
  /** How non-ASCII text is written inside response_content. The published example has upper-case escapes. */
  answerEscapes: ['upper', 'lower', 'raw'],
  /** The service's JSON writer may end a content with a line feed, which is then part of what is signed. */
  answerEnding: ['none', 'newline'],
  answerSeparators: ['compact', 'spaced'],
  /** Amounts as `100.0`: seen in requests of a shipped client, so possible. */
  answerNumbers: ['integer', 'float'],
  /** A lower-case authen_code: Tencent's SDK refuses it in answers; what the server does is not known. */
  lowerCaseCode: ['refused', 'accepted'],
  /** How "at most 128" is counted. */
  lengthUnit: ['characters', 'bytes'],
  /** The status for a well-signed request that breaks a rule (prefix, shop, amount, length …). */
  ruleBreach: ['104', '101'],
  /** The identical create again: the same order, or "number already used". */
  repeatedCreate: ['same_order', '102'],
  /** The failing status that comes with internal_status 400, order not found. */
  notFoundStatus: ['104', '102', '101'],
  /** What an order nobody paid shows after its expiry. */
  expiredState: ['waiting', 'closed'],
  /** Closing an order that is already paid. */
  closePaid: ['104', '102'],
  /** Whether order_content.nonce_str repeats the nonce of the create request. */
  nonceEcho: ['request', 'fresh'],
  /** Members of jsapi_args.wxpay.mini_program_pay: three are known, the rest is likely. */
  miniProgramHandover: ['complete', 'three_members'],
  /** Whether mini_program_pay answers repeat pay_mch_key. */
  miniProgramEcho: ['yes', 'no'],
  /** An Alipay trade may exist only once the payer opens the cashier. */
  alipayBeforeCashier: ['waiting', 'not_existing'],
  signType: ['MD5', 'HMAC-SHA256'],
  /** Closing an order that is closed already. */
  closeClosed: ['ok', '104'],
  /** Which orders a payment that was under way can still pay: `pay` with `late`. */
  lateness: ['closed_too', 'expired_only', 'never'],
  /** The server's clock, as create_time shows it: ours, or 200 s behind. */
  createTime: ['exact', 'behind'],
  /** Whether `refund` answers one refund or a list of one. */
  refundAnswer: ['object', 'array'],
  /** The identical refund again: the same refund, or "number already used". */
  repeatedRefund: ['same_refund', '102'],
  /** The status for a refund that the order does not allow: not paid, more than is left, another total. */
  refundRefusal: ['104', '102'],
  /** Whether the pay_platform of a refund must be its order's. */
  refundPlatform: ['checked', 'ignored'],
  /** Whether a refund must name who refunds: by device, member of staff, or as the sub-merchant's administrator. */
  refundOperator: ['optional', 'required'],
  /** How a refund ends that nobody ends by hand. */
  refundOutcome: ['succeeded', 'failed', 'change'],
  /** Whether a refund that is under way says is_transforming. */
  refundTransforming: ['no', 'while_processing'],
  /** Money that came back to the merchant instead of the payer: can it be refunded once more? */
  changedRefund: ['counts', 'frees'],
  /** When a paid WeChat order shows "turned into refund". */
  refundedWechat: ['4_on_any', '4_on_full'],
  /** The failing status that comes with internal_status 426, no refunds. */
  noRefundsStatus: ['104', '102'],
  /** What says that there are no refunds: the failing status with 426, or status 0 without a list. */
  noRefundsAnswer: ['426', 'no_list'],
  /** The internal_status for refunds of an order nobody created. */
  refundsOfNoOrder: ['426', '400'],
  /** Which orders the bill lists. */
  billLists: ['all', 'paid_only'],
  /** Which time of an order the bill compares with start_time and end_time, and sorts by. */
  billTime: ['create_time', 'last_update_time'],
  billOrder: ['oldest_first', 'newest_first'],
  /** Whether an order's caller_notify_url stands in for the console's address or comes beside it. */
  notifyUrl: ['replaces', 'adds'],
  /** Whether an empty 2xx answer to a notification means that it was heard. */
  emptyReply: ['retry', 'delivered'],
  /** Whether scan_code_pay for WeChat must have a product_id: the page says so, Tencent's own SDK may leave it out. */
  scanProductId: ['required', 'optional'],
  /** Whether micro_pay must have an order_client.machine_no: so said the page of 2019-04. */
  machineNo: ['optional', 'required'],
  /** What the answer of mob_web_pay calls the address: no copy of its table is known, and WeChat calls it mweb_url. */
  mobWebAnswer: ['mweb_url', 'nothing'],
  /** Where that address is. */
  mobWebHost: ['wallet', 'elsewhere'],
  /** Whether an undecided micro_pay order answers status 0 and a state, or 103. */
  microUndecided: ['state', '103'],
  /** `off` loses every notification, as a wrong address in the console would. */
  notifications: ['on', 'off'],
} as const satisfies Record<string, readonly [string, ...string[]]>

/** Of the scenes that the simulator does not play. */
export const SCENE_SWITCHES: readonly string[] = [
  'scanProductId',
  'machineNo',
  'mobWebAnswer',
  'mobWebHost',
  'microUndecided',
] satisfies (keyof typeof SWITCHES)[]

export type Switches = { -readonly [Name in keyof typeof SWITCHES]: (typeof SWITCHES)[Name][number] }

export const DEFAULT_SWITCHES = Object.fromEntries(
  Object.entries(SWITCHES).map(([name, values]) => [name, values[0]]),
) as Switches

/**
 * What becomes of a micro_pay order, by the last four digits of its `author_code`; any others pay at once. `state`: the
 * wallet's while nothing is decided, for `undecidedS` seconds. `answer`: of the create itself.
 */
export const AUTHOR_CODES: Readonly<Record<string, MicroScript>> = {
  '0009': { answer: 'state', state: 'typing', undecidedS: 20, end: 'paid' },
  '0008': { answer: 'state', state: 'typing', undecidedS: 20, end: 'stopped' },
  '0001': { answer: 'state', state: 'initial', undecidedS: 20, end: 'paid' },
  '0012': { answer: 'state', state: 'processing', undecidedS: 20, end: 'paid' },
  // "Number used before, with other content": it stands all the same, and may be paid.
  '4071': { answer: '407', state: 'typing', undecidedS: 20, end: 'paid' },
  '4072': { answer: '407', state: 'typing', undecidedS: 20, end: 'stopped' },
  // Taken, and nobody is told.
  '0003': { answer: '3', state: 'typing', undecidedS: 20, end: 'paid' },
  // Nothing is ever decided, and only `POST /_sandbox/pay` or `/_sandbox/cancel` ends it.
  '0099': { answer: 'state', state: 'typing', undecidedS: Infinity, end: 'stopped' },
  '0104': { answer: '104', state: 'initial', undecidedS: 0, end: 'stopped' },
}
export type MicroScript = {
  answer: 'state' | '407' | '3' | '104'
  state: 'initial' | 'typing' | 'processing'
  undecidedS: number
  end: 'paid' | 'stopped'
}
export const AT_ONCE: MicroScript = { answer: 'state', state: 'initial', undecidedS: 0, end: 'paid' }

/** How a refund can end: `POST /_sandbox/refund`. */
export const REFUND_OUTCOMES = ['succeeded', 'failed', 'change', 'void'] as const

/** Life of an order whose create named no expiry: both published samples show 120 s (inferred). */
export const DEFAULT_LIFE_S = 120

/**
 * Sentinels: well-known words in `remark` that make the far end misbehave, one per transmission of the order's
 * create, in turn: `sandbox:103,slow`. The other words do the same to requests about the order, each to its own
 * interface. After the last one it behaves. The bill is about no single order and has no word.
 */
export const SENTINEL_WORDS = {
  official_account_pay: 'sandbox',
  mini_program_pay: 'sandbox',
  scan_code_pay: 'sandbox',
  micro_pay: 'sandbox',
  app_pay: 'sandbox',
  mob_web_pay: 'sandbox',
  query_order: 'sandbox-query',
  close_order: 'sandbox-close',
  refund: 'sandbox-refund',
  query_refund_order: 'sandbox-refund-query',
  client_order_detail: undefined,
} as const
export type SentinelWord = NonNullable<(typeof SENTINEL_WORDS)[keyof typeof SENTINEL_WORDS]>

export const FAULTS = [
  'ok', // a place in the list that does nothing
  'slow', // acts, and answers later than anybody waits
  'silent', // acts, and never answers
  'lost', // acts, and drops the connection instead of answering
  'truncated', // acts, and the answer stops half-way
  'wrong-signed', // acts, and signs with another key
  'lower-signed', // acts, and sends the right code in lower case
  'unsigned', // acts, and leaves the code out
  'object', // acts, and sends response_content as an object
  'wrong-amount', // acts, and a signed answer names one fen more
  'foreign', // acts, and a signed answer names another order
  'transforming', // acts, and a signed answer says is_transforming
  'not-json', // acts, and answers with a page of HTML
  '500', // acts, and answers HTTP 500
  '3', // does not act: status 3, unsigned
  '101', // does not act: status 101, unsigned
  '102', // does not act: status 102
  '103', // does not act: status 103
  '104', // does not act: status 104
] as const
export type FaultName = (typeof FAULTS)[number]

/** The faults a remark asks for, under one word. */
export function sentinels(remark: string | undefined, word: SentinelWord): FaultName[] {
  if (!remark?.includes(word)) return []
  const list = new RegExp(`(?:^| )${word}:([a-z0-9,-]+)`).exec(remark)?.[1] ?? ''
  return list.split(',').filter((name): name is FaultName => (FAULTS as readonly string[]).includes(name))
}
