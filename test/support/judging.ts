/** What the races and the simulator judge by alike. */

/** Logged by a fault of ours, never by the weather. */
export const MISTAKES = /TypeError|RangeError|ReferenceError|no order moves from|row has vanished/

/** SQL: what a person has been told of is looked at for as long as the person takes. */
export const unlessTold = (table: 'orders' | 'refunds', kind: string): string =>
  `NOT EXISTS (SELECT 1 FROM anomalies WHERE kind = '${kind}' AND resolved_at IS NULL
    AND anomalies.out_trade_no = ${table}.out_trade_no)`
