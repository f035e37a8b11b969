import type { Caller, Scope } from '../base/caller'
import { Fault } from '../base/errors'

/**
 * Who may enter where, and the only place that says so. `merchant`: the scope a key needs. What a payer may see behind
 * a door is decided there: their own orders, and nothing that tells whether there are others.
 */
export const DOORS = {
  'POST /orders': { payer: true, merchant: 'create' },
  'GET /orders/{out_trade_no}': { payer: true, merchant: 'read' },
  // Twice: behind a custom domain `/orders/*` is another function's.
  'POST /orders/{out_trade_no}/close': { payer: true, merchant: 'close' },
  'POST /close/{out_trade_no}': { payer: true, merchant: 'close' },
  // Money out: never by whom it would go to.
  'POST /orders/{out_trade_no}/refunds': { payer: false, merchant: 'refund' },
  'POST /refunds/{out_trade_no}': { payer: false, merchant: 'refund' },
  // What an operator sees: everybody's orders, so no payer.
  'GET /board/orders': { payer: false, merchant: 'read' },
  'GET /board/unshipped': { payer: false, merchant: 'read' },
  'GET /board/anomalies': { payer: false, merchant: 'read' },
  'POST /board/anomalies/{id}/resolve': { payer: false, merchant: 'admin' },
  'POST /board/resolve/{id}': { payer: false, merchant: 'admin' },
  // What only a person can end: money that was paid out by hand, or will not go back.
  'POST /board/paid-out/{out_refund_no}': { payer: false, merchant: 'admin' },
  'POST /board/given-up/{out_refund_no}': { payer: false, merchant: 'admin' },
  'POST /board/lift-flag/{out_trade_no}': { payer: false, merchant: 'admin' },
  'GET /board/day': { payer: false, merchant: 'read' },
  // A payer ends their own session, the merchant those of any payer of theirs.
  'POST /session/revoke': { payer: true, merchant: 'admin' },
  // Nobody is anybody yet. What is checked instead: a code of WeChat's or Alipay's.
  'POST /session': 'anyone',
  'POST /session/state': 'anyone',
  // Cloud Pay calls here; its signature is inside the body.
  'POST /notify': 'anyone',
} as const satisfies Record<string, { payer: boolean; merchant: Scope } | 'anyone'>

/** The doors that ask who is calling. */
export type Door = {
  [Name in keyof typeof DOORS]: (typeof DOORS)[Name] extends 'anyone' ? never : Name
}[keyof typeof DOORS]

/** Throws the Fault `caller_not_allowed`. */
export function admit(door: Door, caller: Caller): void {
  const { payer, merchant } = DOORS[door]
  const welcome = caller.kind === 'payer' ? payer : (caller.scopes ?? [merchant]).includes(merchant)
  if (!welcome) throw new Fault('caller_not_allowed')
}
