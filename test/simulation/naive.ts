import type { Plant } from './plants'

/**
 * What is often built instead, as whole variants of the code: the simulator has to show what becomes of their
 * customers' money. Rates, and what they are compared with, are in the test beside this.
 */
export const LOCAL_CLOSE: Plant = {
  name: 'closing is decided here',
  file: 'shared/payments/close.ts',
  find: '  const before = await lookUpstream(payments, order, deadline)\n',
  replace: `  if (deadline.remainingMs() > 0) {
    const money = { transaction_id: null, paid_at: null, cash_fee: null, settlement_total_fee: null }
    const closed = { proves: 'wallet' as const, meaning: 'closed' as const, wallet_state: 7, money, notes: {} }
    return { order: await settle(payments, order, closed), learned: true }
  }
  const before = await lookUpstream(payments, order, deadline)
`,
  also: [
    // Nor is it looked at until then: callbacks are the only path.
    {
      file: 'shared/payments/refresh.ts',
      find: 'canStillChange(order.state) &&',
      replace: 'canStillChange(order.state) &&\n      deadline.remainingMs() < 0 &&',
    },
    {
      file: 'shared/order/schedule.ts',
      find: `    case 'created':
    case 'pending':
      return FIRST_LOOK_S`,
      replace: `    case 'created':
    case 'pending':
      return Math.max(FIRST_LOOK_S, order.created_at + 120 - nowS)`,
    },
    { file: 'shared/order/schedule.ts', find: 'return ENDED_S[0]!', replace: 'return null' },
    {
      file: 'shared/order/schedule.ts',
      find: 'return ENDED_S[order.looks] ?? null',
      replace: 'return null',
    },
    {
      file: 'shared/payments/reconcile.ts',
      find: `      const look = await lookUpstream(payments, order, deadline)
      const now = nowS(payments.clock)`,
      replace: `      const now = nowS(payments.clock)
      const look =
        now <= order.time_expire + EXPIRY_GRACE_S
          ? await lookUpstream(payments, order, deadline)
          : { order, learned: true }`,
    },
  ],
  why: 'an order is closed in our rows without asking, and the payer pays',
}

export const READ_THEN_WRITE: Plant = {
  name: 'read, then write',
  file: 'shared/store/transaction.ts',
  find: 'if ((await said).affected !== 1) throw new Lost()',
  replace: 'await said',
  also: [
    {
      file: 'shared/store/orders.ts',
      find: `      .where('version', '=', given.version)
      .where('state', '=', given.state)`,
      replace: `      .where('version', '>=', 0)`,
    },
    // Everybody who wants to know asks.
    {
      file: 'shared/store/orders.ts',
      find: 'await one(say(claimRow(store, { out_sub_mch_id, out_trade_no, minus_ms: -intervalMs })))',
      replace: 'await say(claimRow(store, { out_sub_mch_id, out_trade_no, minus_ms: -intervalMs }))',
    },
    // The database would refuse what is told twice; a log table would not.
    {
      file: 'shared/store/orders.ts',
      find: 'const seq = order.version + 1\n',
      replace: 'const seq = order.version + 1 + ++written * 1000\n',
    },
    {
      file: 'shared/store/orders.ts',
      find: 'export type MoveEvent = ',
      replace: 'let written = 0\nexport type MoveEvent = ',
    },
    {
      file: 'shared/store/beside.ts',
      find: 'id: messageId(message, out_sub_mch_id),',
      replace: 'id: messageId(message, out_sub_mch_id) + Math.floor(performance.now() * 1e3) + ++told,',
    },
    {
      file: 'shared/store/beside.ts',
      find: 'const insertMessage = ',
      replace: 'let told = 0\nconst insertMessage = ',
    },
  ],
  why: 'two who read the same row both settle it, and both tell of it',
}
