/**
 * What an order can be, and which evidence moves it where. Pure tables: who fetches the evidence, and how a move is
 * written, is decided elsewhere.
 *
 *   created ──▶ pending ──▶ paid ───────────────▶ refunded
 *      │  │        │  ▲        ▲                      ▲
 *      │  ├────────┼──┼────────┤                      │
 *      │  │        ▼  │        │                      │
 *      │  └────▶ closing ──────┘                      │
 *      │           │                                  │
 *      │           └──▶ closed ──▶ paid_after_close ──┘
 *      └──▶ failed ────────────────────▲
 */
export const ORDER_STATES = [
  'created', // the row is written; asked or not, an unknown answer included
  'pending', // a verified yes: the payer can pay
  'paid',
  'closing', // we asked upstream to close and do not know yet who won
  'closed',
  'failed', // a verified no to the only transmission ever made
  'paid_after_close', // money came for a closed or failed order: refund or honour, by policy
  'refunded', // refunded in full
] as const
export type OrderState = (typeof ORDER_STATES)[number]

/**
 * False for what a newer version has written, before it was rolled back or while both run. Nobody here knows what such
 * a row is waiting for: it is left as it is, and a person is told.
 */
export const isKnownState = (state: string): state is OrderState =>
  (ORDER_STATES as readonly string[]).includes(state)

/** Every move there is; what is not here does not happen, whoever asks. `store/orders.ts` looks here as well. */
export const LEGAL_MOVES: Record<OrderState, readonly OrderState[]> = {
  // Straight to paid or closed when the answer to create was lost. To failed also by signed not-founds, long after
  // the expiry.
  created: ['pending', 'paid', 'closing', 'closed', 'failed'],
  // Straight to closed when the wallet says so, or knows nothing of it long after the expiry.
  pending: ['paid', 'closing', 'closed'],
  // Back to pending when the close was refused and the payer can still pay; to paid when the payment won the race.
  closing: ['pending', 'paid', 'closed'],
  closed: ['paid_after_close'],
  failed: ['paid_after_close'],
  paid: ['refunded'],
  paid_after_close: ['refunded'],
  refunded: [],
}

/** `trade_type` of micro_pay: the shop scans the payer's code, and the money may move while nobody here knows. */
export const MICRO = 1

/**
 * The same for micro_pay, without any closing. "Never close or reverse on 407": the order may be paid, and a close gives
 * the money back; nor while the payer is typing a password (9) or the wallet is at work (1, 12). It ends by the wallet's
 * word, or by signed not-founds long after its two minutes.
 */
export const LEGAL_MICRO_MOVES: Record<OrderState, readonly OrderState[]> = {
  ...LEGAL_MOVES,
  created: ['pending', 'paid', 'closed', 'failed'],
  pending: ['paid', 'closed'],
  // Not to be reached. Should a person have written it, the wallet's word still counts.
  closing: ['pending', 'paid', 'closed'],
}

/** Our own mistake, never the database's or a caller's. */
export class IllegalMove extends Error {
  override readonly name = 'IllegalMove'

  constructor(from: string, to: string, what: 'order' | 'refund' = 'order') {
    super(`no ${what} moves from ${from} to ${to}`)
  }
}

export const isLegalMove = (from: OrderState, to: OrderState, tradeType?: number): boolean =>
  isKnownState(from) &&
  (from === to || (tradeType === MICRO ? LEGAL_MICRO_MOVES : LEGAL_MOVES)[from].includes(to))

/** Unpaid, and it may still be paid or closed. */
export const isOpen = (state: OrderState): boolean =>
  state === 'created' || state === 'pending' || state === 'closing'

/** Paid by our own signed query, whatever became of the money afterwards. */
export const hasMoney = (state: OrderState): boolean =>
  state === 'paid' || state === 'paid_after_close' || state === 'refunded'

/** What a wallet's `current_trade_state` says about the money, whatever the platform. */
export const MEANINGS = [
  'waiting',
  'paying', // of micro_pay alone: the code was taken and nothing is decided
  'paid',
  'paid_then_refund',
  'closed',
  'closed_or_refunded',
  'not_found',
] as const
export type Meaning = (typeof MEANINGS)[number]

/** WxpayOrderState and AlipayOrderState (product/569/37628, the 2019 table; the 2017 one was shifted by one). */
export const WALLET_MEANING: Record<number, Record<number, Meaning>> = {
  1: {
    1: 'waiting', // initial
    2: 'paid', // micro_pay paid
    3: 'paid',
    4: 'paid_then_refund', // "turned into refund": it was paid, in full or in part it went back
    5: 'closed', // micro_pay: the payer stopped
    6: 'waiting',
    7: 'closed',
    8: 'closed', // reversed
    9: 'waiting', // the payer is typing the password
    10: 'closed', // micro_pay: payment error
    11: 'closed', // void: known to Cloud Pay, unknown to WeChat
    12: 'waiting', // accepted, processing
    // 13 and 14 are deposits unfrozen or consumed: not ours, so no meaning, so unknown.
  },
  2: {
    1: 'waiting',
    2: 'paid',
    4: 'waiting',
    5: 'closed_or_refunded', // only our own evidence of a payment tells which
    6: 'paid', // finished, no longer refundable
    7: 'not_found', // an Alipay trade may appear only once the payer opens the cashier: never final on its own
  },
}

/** A move, or why the order stays as it is. `contradiction`: two signed answers disagree, a person looks. */
export type Verdict =
  { to: OrderState } | { stay: 'nothing_new' | 'not_final' | 'refund_lookup' | 'contradiction' }

const to = (state: OrderState): Verdict => ({ to: state })
const same: Verdict = { stay: 'nothing_new' }
const notFinal: Verdict = { stay: 'not_final' }
const lookAtRefunds: Verdict = { stay: 'refund_lookup' }
const contradiction: Verdict = { stay: 'contradiction' }

/** Every cell of (our state × what a signed query says), unusual ones explained. */
export const MOVES: Record<OrderState, Record<Meaning, Verdict>> = {
  created: {
    // The order exists upstream but its jsapi_args are not here; only the identical create can bring them.
    waiting: same,
    // Possible when the answer to create was lost: another instance, or a takeover, handed the order over.
    paid: to('paid'),
    paid_then_refund: to('paid'),
    closed: to('closed'),
    closed_or_refunded: to('closed'),
    // The first transmission may still be under way.
    not_found: notFinal,
    // micro_pay hands nothing over, so nothing is missing: the wallet has the order.
    paying: to('pending'),
  },
  pending: {
    waiting: same,
    paying: same,
    paid: to('paid'),
    // Proves that it was paid; what went back is for the refund look-up to say.
    paid_then_refund: to('paid'),
    closed: to('closed'),
    closed_or_refunded: to('closed'),
    not_found: notFinal,
  },
  closing: {
    // Whether the close was refused (back to pending) only the one who asked for it can say, after asking again.
    waiting: notFinal,
    // Never to be closed, whoever would like it to.
    paying: to('pending'),
    // The payment won the race.
    paid: to('paid'),
    paid_then_refund: to('paid'),
    closed: to('closed'),
    closed_or_refunded: to('closed'),
    not_found: notFinal,
  },
  closed: {
    waiting: contradiction,
    paying: contradiction,
    // Money that came late is money: never left as closed.
    paid: to('paid_after_close'),
    paid_then_refund: to('paid_after_close'),
    closed: same,
    closed_or_refunded: same,
    not_found: same,
  },
  failed: {
    // Refused when we asked, yet upstream has it: it may still be paid.
    waiting: contradiction,
    paying: contradiction,
    // Our "no" was wrong, or somebody paid under this number: never left as failed.
    paid: to('paid_after_close'),
    paid_then_refund: to('paid_after_close'),
    closed: same,
    closed_or_refunded: same,
    not_found: same,
  },
  paid: {
    waiting: contradiction,
    paying: contradiction,
    paid: same,
    paid_then_refund: lookAtRefunds,
    closed: contradiction,
    // With paid evidence in our row, Alipay's 5 is a full refund; how much and by whom, the look-up says.
    closed_or_refunded: lookAtRefunds,
    not_found: contradiction,
  },
  paid_after_close: {
    waiting: contradiction,
    paying: contradiction,
    paid: same,
    paid_then_refund: lookAtRefunds,
    closed: contradiction,
    closed_or_refunded: lookAtRefunds,
    not_found: contradiction,
  },
  refunded: {
    waiting: contradiction,
    paying: contradiction,
    // An answer older than the refund says no more than we know.
    paid: same,
    paid_then_refund: same,
    closed: same,
    closed_or_refunded: same,
    not_found: contradiction,
  },
}

/** What a wallet state means, or nothing for one the documents do not list: then the answer is unknown. */
export function walletMeaning(
  platform: number,
  walletState: number,
  tradeType?: number,
): Meaning | undefined {
  const meaning = WALLET_MEANING[platform]?.[walletState]
  return meaning === 'waiting' && tradeType === MICRO ? 'paying' : meaning
}

/** States that evidence can still move without a refund: worth asking about. */
export const canStillChange = (state: OrderState): boolean =>
  isKnownState(state) && Object.values(MOVES[state]).some((verdict) => 'to' in verdict)
