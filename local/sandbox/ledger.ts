import { makeNonce, type Random } from '../../shared/base/random'
import { nowS, type Clock } from '../../shared/base/time'
import { PAY_PLATFORM } from '../../shared/cloudpay/enums'
import type { AnyPayRequest } from '../../shared/cloudpay/scenes'
import type { RefundRequest } from '../../shared/cloudpay/schema'
import type { MicroScript, REFUND_OUTCOMES, Switches } from './switches'

/** What the far end knows, and what every part of it works on. It lives in memory and nowhere else. */
export type Far = {
  clock: Clock
  random: Random
  switches: Switches
  refundDelayMs: number
  orders: Map<string, LedgerOrder>
  /** By refund number: numbers are unique across all of Cloud Pay, and looked up on every request. */
  refunds: Map<string, LedgerRefund>
}

export type SandboxMerchant = {
  out_mch_id: string
  out_sub_mch_id: string
  out_shop_id: string
  order_prefix: string
  authen_key: string
  /** PEM: what signs refunds by `authen_info.s`; without one they are refused. */
  public_key?: string
}

/** One order as the far end knows it. */
export type LedgerOrder = {
  out_trade_no: string
  merchant: SandboxMerchant
  request: AnyPayRequest
  interface: string
  /** Of micro_pay: what its code makes of it, and when that is decided. */
  micro?: { script: MicroScript; decided_ms: number; reversed?: true }
  state: 'waiting' | 'paid' | 'closed'
  create_time: number
  last_update_time: number
  time_expire: number
  prepare_id: string
  trade_no: string
  transaction_id?: string
  time_end?: number
  /** What the payer gave: 0 or `total_fee`. */
  paid_fen: number
  /** What went back to the payer: refunds that succeeded, as of the last time somebody looked. */
  refunded_fen: number
  refunds: LedgerRefund[]
}

export type RefundOutcome = (typeof REFUND_OUTCOMES)[number]
export type RefundState = 'processing' | RefundOutcome

export type LedgerRefund = {
  out_trade_no: string
  out_refund_no: string
  refund_id: string
  fee: number
  state: RefundState
  /** None for a refund somebody made in the console. */
  request?: RefundRequest
  nonce_str: string
  create_time: number
  last_update_time: number
  /** When it finishes by itself, and how: settled at the first look after this. */
  due_ms: number
  outcome: RefundOutcome
}

/** Plain data for whoever adds the money up. */
export type LedgerRow = {
  out_trade_no: string
  out_sub_mch_id: string
  state: LedgerOrder['state']
  paid_fen: number
  refunds: { out_refund_no: string; fee: number; state: RefundState }[]
}

/** Why a wallet, a console or a clerk cannot do what was asked. */
export class Refusal extends Error {}

export const isWechat = (order: LedgerOrder): boolean =>
  order.request.pay_mch_key.pay_platform === PAY_PLATFORM.wechat

export const digits = (random: Random, length: number): string =>
  [...random(length)].map((byte) => String(byte % 10)).join('')

/** How far the server's clock is behind when the switch says so: within what a client should bear. */
export const BEHIND_S = 200

export const createTime = (far: Far): number =>
  nowS(far.clock) - (far.switches.createTime === 'behind' ? BEHIND_S : 0)

/** Everything but the nonce, in whatever order it was written: what makes a repeated request the same. */
export function business(request: AnyPayRequest | RefundRequest): string {
  return JSON.stringify({ ...request, nonce_str: '' }, (_, node: unknown) =>
    typeof node === 'object' && node !== null && !Array.isArray(node)
      ? Object.fromEntries(Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)))
      : node,
  )
}

/** An unpaid order shows as closed once it is, or once it has expired and the switch says that this shows. */
export function shownState(far: Far, order: LedgerOrder): LedgerOrder['state'] {
  const expired = order.state === 'waiting' && !order.micro && nowS(far.clock) > order.time_expire
  return expired && far.switches.expiredState === 'closed' ? 'closed' : order.state
}

// ── refunds in the ledger ──────────────────────────────────────────────────────────────────────────────────────

/** Money that is not to be refunded once more: what went back, what is on its way, and what lies at the merchant's. */
export function heldFen(far: Far, order: LedgerOrder): number {
  settle(far, order)
  const free: RefundState[] = ['failed', 'void']
  if (far.switches.changedRefund === 'frees') free.push('change')
  return order.refunds.reduce((sum, { fee, state }) => (free.includes(state) ? sum : sum + fee), 0)
}

export function addRefund(far: Far, order: LedgerOrder, facts: RefundFacts): LedgerRefund {
  const refund: LedgerRefund = {
    out_trade_no: order.out_trade_no,
    ...facts,
    refund_id: isWechat(order) ? `5030${digits(far.random, 25)}` : order.trade_no,
    state: 'processing',
    create_time: createTime(far),
    last_update_time: nowS(far.clock),
    due_ms: far.clock.nowMs() + far.refundDelayMs,
    // Chosen now, so that it does not depend on when somebody looks.
    outcome: far.switches.refundOutcome,
  }
  order.refunds.push(refund)
  far.refunds.set(refund.out_refund_no, refund)
  return refund
}

export type RefundFacts = { out_refund_no: string; fee: number; nonce_str: string; request?: RefundRequest }

/** The payer gives the money. */
export function takeMoney(far: Far, order: LedgerOrder, timeS: number): void {
  order.state = 'paid'
  order.paid_fen = order.request.pay_content.total_fee
  order.time_end = timeS
  order.last_update_time = timeS
  order.transaction_id = isWechat(order) ? `4200${digits(far.random, 24)}` : order.trade_no
}

/**
 * No timers: whoever looks at an order first decides what the payer's code decides by then, and finishes the refunds
 * whose time has come.
 */
export function settle(far: Far, order: LedgerOrder): void {
  const { micro } = order
  if (micro && order.state === 'waiting' && far.clock.nowMs() >= micro.decided_ms) {
    const timeS = Math.floor(micro.decided_ms / 1000)
    if (micro.script.end === 'paid') takeMoney(far, order, timeS)
    else Object.assign(order, { state: 'closed', last_update_time: timeS })
  }
  for (const refund of order.refunds) {
    if (refund.state !== 'processing' || far.clock.nowMs() < refund.due_ms) continue
    finish(order, refund, refund.outcome, Math.floor(refund.due_ms / 1000))
  }
}

export function finish(
  order: LedgerOrder,
  refund: LedgerRefund,
  outcome: RefundOutcome,
  timeS: number,
): void {
  // Alipay has no CHANGE: its 5 means that there is no such refund.
  refund.state = outcome === 'change' && !isWechat(order) ? 'failed' : outcome
  refund.last_update_time = timeS
  order.last_update_time = Math.max(order.last_update_time, timeS)
  if (refund.state === 'succeeded') order.refunded_fen += refund.fee
}

export function ledgerRows(far: Far): LedgerRow[] {
  return [...far.orders.values()].map((order) => {
    settle(far, order)
    return {
      out_trade_no: order.out_trade_no,
      out_sub_mch_id: order.merchant.out_sub_mch_id,
      state: order.state,
      paid_fen: order.paid_fen,
      refunds: order.refunds.map(({ out_refund_no, fee, state }) => ({ out_refund_no, fee, state })),
    }
  })
}

export const freshNonce = (far: Far): string => makeNonce(far.random)
