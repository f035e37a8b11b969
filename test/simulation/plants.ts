import type { Edit } from '../support/planting'

/**
 * Faults planted on purpose, one at a time: each takes away one thing the code does so that no payment is lost,
 * doubled or invented. The simulator has to notice every one of them within two thousand runs, or a staged scene; one that
 * neither notices is either a guard that guards nothing or a hole in the simulator.
 */
export type Plant = Edit & {
  name: string
  /** Further places, where one guard stands behind another. */
  also?: readonly Edit[]
  /** What goes wrong without it. */
  why: string
  /** Two things have to happen in one moment, or after a silence: a staged scene notices it, see refundRaces.ts. */
  staged?: true
}

export const PLANTS: readonly Plant[] = [
  // ── recording and sending ────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'a transmission is not counted',
    file: 'shared/payments/create.ts',
    find: 'else current = await countTransmission(payments, current, lease)',
    replace: 'else current = await Promise.resolve(current)',
    why: 'the answer to a second transmission is taken for the only one',
  },
  {
    name: 'the lease is not asked about',
    file: 'shared/payments/create.ts',
    find: 'if (found.lease_until_ms > found.now_ms) {',
    replace: 'if (found.lease_until_ms > found.now_ms && found.sends > 99) {',
    also: [
      {
        file: 'shared/store/orders.ts',
        find: `    .where('lease_until_ms', '<=', databaseNowMs(store.dialect)),`,
        replace: `    .where('lease_until_ms', '>=', 0),`,
      },
    ],
    why: 'two instances send one order at the same time',
  },
  {
    name: 'a retry writes its text anew',
    file: 'shared/payments/create.ts',
    find: 'sceneOf(order.trade_type).iface, text, {',
    replace: `sceneOf(order.trade_type).iface, text.replace(/"nonce_str":"[^"]{8}/, '"nonce_str":"' + payments.random(4).toString('hex')), {`,
    why: 'upstream may take the second text for another order',
  },
  {
    name: 'a second no ends the order',
    file: 'shared/payments/evidence.ts',
    find: 'order.sends === 1 && mayBeFinal(evidence.internalStatus)',
    replace: 'mayBeFinal(evidence.internalStatus)',
    why: 'the first transmission stands, and can be paid',
  },
  {
    name: 'a 102 is forgotten',
    file: 'shared/payments/evidence.ts',
    find: 'evidence.status === STATUS.failedTakeNewNumber',
    replace: 'evidence.status === -1',
    why: "somebody else's payment under our number is believed",
  },
  {
    name: 'a refund is not counted before it is sent',
    file: 'shared/payments/refundAsking.ts',
    find: "if ((await countRefundSend(payments.store, current)) !== 'done') throw new Overtaken()",
    replace: 'await Promise.resolve()',
    why: 'a no to the second transmission is taken for the only one',
  },
  {
    name: 'a refused refund is final whatever was sent before',
    file: 'shared/payments/settleRefund.ts',
    find: 'if (refund.sends === 1 && mayBeFinal(internalStatus))',
    replace: 'if (mayBeFinal(internalStatus))',
    why: 'the first transmission is carried out, and our row says that it failed',
  },

  // ── believing ────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'an unsigned success is believed',
    file: 'shared/cloudpay/envelope.ts',
    find: 'if (!signed && answer.value.status === STATUS.ok)',
    replace: 'if (!signed && answer.value.status === -1)',
    why: 'whoever sits in between pays for nothing',
  },
  {
    name: 'a wrong code is believed on an answer',
    file: 'shared/cloudpay/envelope.ts',
    find: 'if (!verifyAuthenCode(key, text, authen_code))',
    replace: 'if (!verifyAuthenCode(key, text, authen_code) && text.length < 99)',
    why: 'whoever sits in between pays for nothing',
  },
  {
    name: 'amounts are not compared',
    file: 'shared/cloudpay/echoes.ts',
    find: "  { at: 'order_content.total_fee', when, matches: same('total_fee') },\n",
    replace: '',
    why: 'another amount under our number is taken for ours',
  },
  {
    name: 'numbers are not compared',
    file: 'shared/cloudpay/echoes.ts',
    find: "  { at: 'order_content.out_trade_no', when: 'required', matches: same('out_trade_no') },\n",
    replace: '',
    why: "an answer about somebody else's order is taken for ours",
  },
  {
    name: 'what is being worked on is believed to have ended',
    file: 'shared/payments/evidence.ts',
    find: 'if (isTransforming(content) && isNo)',
    replace: 'if (isTransforming(content) && isNo && meaning === undefined)',
    why: 'an order ends that is about to become something else',
  },
  {
    name: 'not found is final at once',
    file: 'shared/payments/settle.ts',
    find: 'if (!isOpen(order.state) || around.nowS < order.time_expire + NOT_FOUND_AFTER_S) return undefined',
    replace: 'if (!isOpen(order.state)) return undefined',
    why: 'the first transmission is still under way, arrives, and is paid',
  },

  // ── settling ─────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'an order moves without the guard of its version and state',
    file: 'shared/store/orders.ts',
    find: `      .where('version', '=', given.version)
      .where('state', '=', given.state)`,
    replace: `      .where('version', '>=', 0)`,
    why: 'a decision on an old row overwrites a newer one',
  },
  {
    name: 'compare-and-set does not look at what it set',
    file: 'shared/store/transaction.ts',
    find: 'if ((await said).affected !== 1) throw new Lost()',
    replace: 'await said',
    why: 'who came second goes on as if first, and tells of it',
  },
  {
    name: 'the event is written after the move has been committed',
    file: 'shared/store/orders.ts',
    find: 'await say(eventRow(store, order, seq, { ...event, from: order.state, to }))',
    replace:
      'setTimeout(() => void store.connection.run(eventRow(store, order, seq, { ...event, from: order.state, to })).catch(() => undefined), 0)',
    why: 'a crash in between loses what happened',
  },
  {
    name: 'the messages are written after the move has been committed',
    file: 'shared/store/orders.ts',
    find: 'await sayBeside(store, say, order.out_sub_mch_id, event.at, beside)',
    replace:
      'setTimeout(() => void write(store, (later) => sayBeside(store, later, order.out_sub_mch_id, event.at, beside)).catch(() => undefined), 0)',
    why: 'a crash in between leaves the merchant untold',
  },
  {
    name: 'a lost COMMIT is taken for done',
    file: 'shared/store/transaction.ts',
    find: 'if (error instanceof Lost || error instanceof Disconnected) return',
    replace:
      "if (error instanceof Disconnected) return 'done' as 'lost'\n  if (error instanceof Lost) return",
    why: 'we go on from a row that is not there',
  },

  // ── notifications ────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'a notification is acknowledged and not kept',
    file: 'shared/payments/notify.ts',
    find: "if (outcome !== 'lost') return outcome",
    replace: "return outcome === 'lost' ? 'done' : outcome",
    why: 'Cloud Pay does not tell it again',
  },
  {
    name: "a notification's code is not checked",
    file: 'shared/cloudpay/notification.ts',
    find: 'if (!verifyAuthenCode(key, text, authen_code))',
    replace: 'if (!verifyAuthenCode(key, text, authen_code) && text.length < 99)',
    why: 'anybody can make us ask, and fill our rows',
  },
  {
    name: "an unknown merchant's notification is read with our key",
    file: 'shared/cloudpay/notification.ts',
    find: "if (!key) return { ok: false, flaw: 'merchant_unknown', claims }",
    replace: 'if (!key) return { ok: true, text, content }',
    why: 'whoever names a merchant we do not know needs no key',
  },
  {
    name: 'an answer is taken for a notification',
    file: 'shared/cloudpay/notification.ts',
    find: "if (contentKind(parsed) !== 'notification')",
    replace: "if (contentKind(parsed) === 'request')",
    why: 'what is signed with the same key can be played back',
  },
  {
    name: "a notification's amount is not compared",
    file: 'shared/payments/notify.ts',
    find: 'if (amounts.length > 0)',
    replace: 'if (amounts.length > 2)',
    why: 'an amount that is not ours is acknowledged',
  },
  {
    name: "a notification's merchant and shop are not compared",
    file: 'shared/payments/notify.ts',
    find: 'if (ids.length > 0)',
    replace: 'if (ids.length > 4)',
    why: "another shop's notification is acknowledged",
  },

  // ── the timer ────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'due orders are taken by everybody',
    file: 'shared/store/due.ts',
    find: `    .where('out_trade_no', '=', given.out_trade_no)
    .where('next_due_at_ms', '=', given.next_due_at_ms),`,
    replace: `    .where('out_trade_no', '=', given.out_trade_no),`,
    why: 'two timer runs close one order at the same time',
  },
  {
    name: 'due refunds are taken by everybody',
    file: 'shared/store/due.ts',
    find: `    .where('out_refund_no', '=', given.out_refund_no)
    .where('next_due_at_ms', '=', given.next_due_at_ms),`,
    replace: `    .where('out_refund_no', '=', given.out_refund_no),`,
    why: 'two timer runs ask for one refund at the same time',
  },
  {
    name: 'nobody looks after an order that has ended',
    file: 'shared/order/schedule.ts',
    find: 'return ENDED_S[0]!',
    replace: 'return null',
    why: 'money that comes late is never seen',
  },
  {
    name: 'an order is not looked at until it expires',
    file: 'shared/order/schedule.ts',
    find: `    case 'pending':
      return FIRST_LOOK_S`,
    replace: `    case 'pending':
      return null`,
    why: 'without a notification nobody ever looks',
  },
  {
    name: 'an answer to a close is taken for closed',
    file: 'shared/payments/close.ts',
    find: '  const after = await lookUpstream(payments, before.order, deadline)\n',
    replace:
      "  const after = await lookUpstream(payments, before.order, deadline)\n  if (!refusal && after.order.state === 'closing') return { ...after, order: await settle(payments, after.order, { proves: 'wallet', meaning: 'closed', wallet_state: 7, money: { transaction_id: null, paid_at: null, cash_fee: null, settlement_total_fee: null }, notes: {} }) }\n",
    why: 'a close nobody answered, and the payer pays',
  },

  // ── refunds ──────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'a refund reserves nothing',
    file: 'shared/store/refunds.ts',
    find: ".set((eb) => ({ reserved_fen: eb('reserved_fen', '+', given.fee) }))",
    replace: ".set((eb) => ({ reserved_fen: eb('reserved_fen', '+', 0) }))",
    why: 'two refunds promise the same money',
  },
  {
    name: 'a failed refund keeps its money',
    file: 'shared/payments/settleRefund.ts',
    find: 'const released = holdsMoney(refund.state) && !holdsMoney(state)',
    replace: "const released = holdsMoney(refund.state) && !holdsMoney(state) && state === 'accepted'",
    why: 'what did not go back can never be sent back',
  },
  {
    name: 'refunds made in the console are not imported',
    file: 'shared/payments/refundList.ts',
    find: '    if (tookNothing) return { order: current',
    replace: "    if (tookNothing || evidence.proves !== 'mismatch') return { order: current",
    why: 'our sum says there is more left than there is',
  },
  {
    name: 'a late payment is sent back without asking',
    file: 'shared/payments/refundLate.ts',
    find: '  const fresh = await lookUpstream(payments, order, deadline)\n  if (!provesPayment(fresh.evidence)) return\n',
    replace: "  const fresh = { order, evidence: { meaning: 'paid' as const } }\n",
    why: 'money goes back that did not come',
  },
  {
    name: 'a late payment is left where it is',
    file: 'shared/payments/reconcile.ts',
    find: "if (order.state === 'paid_after_close' && order.late_policy === 'refund' && !isFrozen(order)) {",
    replace: "if (order.state === 'paid_after_close' && order.late_policy === 'honour') {",
    why: 'the payer has neither goods nor money',
  },
  {
    name: 'a second payment is left where it is',
    file: 'shared/payments/settle.ts',
    find: `...(late_policy === 'refund' ? { due_in_ms: 0 }`,
    replace: `...(late_policy === 'refund' ? { due_in_ms: around.isSecond ? null : 0 }`,
    why: 'the merchant hears that it goes back, and it stays',
  },
  {
    name: 'an accepted refund counts as done',
    file: 'shared/payments/settleRefund.ts',
    find: "return isAsked ? step('accepted', {}, { affirmed_at: at }) : undefined",
    replace: "return isAsked ? step('succeeded', {}, { affirmed_at: at }) : undefined",
    why: 'what was accepted may fail',
  },
  {
    name: 'due refunds are forgotten',
    file: 'shared/store/due.ts',
    find: '  return (await read<object>(store, selectRefunds(store, page))).map((row) =>',
    replace: '  return (await read<object>(store, selectRefunds(store, page))).slice(0, 0).map((row) =>',
    why: 'a refund that got no answer is never asked for again',
  },

  {
    name: 'a refund that is being sent is released because there is no room',
    file: 'shared/payments/settleRefund.ts',
    find: "return isAsked && refund.sends === 0 ? step('failed') : undefined",
    replace: "return isAsked ? step('failed') : undefined",
    why: 'it goes back, and our sum says that it did not',
    staged: true,
  },
  {
    name: 'our number with another amount settles ours',
    file: 'shared/payments/refundList.ts',
    find: 'if (known.out_trade_no !== order.out_trade_no || known.refund_fee !== refund_fee) {',
    replace: 'if (known.out_trade_no !== order.out_trade_no) {',
    why: 'what became of another refund is taken for what became of ours',
    staged: true,
  },
  {
    name: 'a refund is sent again after its repeat was refused',
    file: 'shared/payments/refundAsking.ts',
    find: "refund.state === 'requested' && refund.refused === null && refund.request_content",
    replace: "refund.state === 'requested' && refund.request_content",
    also: [
      {
        file: 'shared/payments/refundAsking.ts',
        find: '  if (refund.refused !== null) return concludeRefused(payments, seen.both, seen.evidence, nowMs, deadline)\n',
        replace:
          '  await sendRefund(payments, seen.both, deadline)\n  if (refund.refused !== null) return concludeRefused(payments, await readBoth(payments, refund), seen.evidence, nowMs, deadline)\n',
      },
    ],
    why: 'it may arrive after it was given up',
    staged: true,
  },
  {
    name: 'one "no such refund" is enough',
    file: 'shared/payments/refundRefused.ts',
    find: '  if (sent_at_ms === null || nowMs < sent_at_ms + QUIET_MS) return both\n',
    replace: '',
    also: [
      {
        file: 'shared/payments/refundRefused.ts',
        find: '  if (nowMs < missing_at_ms + QUIET_MS) return both\n',
        replace: '',
      },
    ],
    why: 'the first transmission is still under way, and arrives',
    staged: true,
  },

  // ── purchases and messages ───────────────────────────────────────────────────────────────────────────────────
  {
    name: 'a purchase may have two orders',
    file: 'shared/payments/draft.ts',
    find: 'purchase_slot: request.merchant_order_id ?? null',
    replace: 'purchase_slot: null',
    why: 'both are paid',
  },
  {
    name: 'a message that was not taken counts as delivered',
    file: 'shared/outbox/deliver.ts',
    find: '  if (errors.length === 0) {',
    replace: '  if (errors.length < 9) {',
    why: 'the merchant never hears of it',
  },
  {
    name: 'a message is not tried again',
    file: 'shared/outbox/deliver.ts',
    find: 'await retryMessage(store, id, attempts, why, waitMs)',
    replace: 'await retryMessage(store, id, attempts, why, waitMs * 0 + 9e12)',
    why: 'the merchant never hears of it',
  },

  // ── lists that lie, and more work than time ─────────────────────────────────────────────────────────────────
  {
    name: 'a bill that is shorter than it says is compared',
    file: 'shared/payments/bill.ts',
    find: "if (countDifferent(entries) < (total ?? 0)) return 'unread'",
    replace: "if (countDifferent(entries) < 0) return 'unread'",
    why: 'what it leaves out nobody looks for any more',
  },
  {
    name: 'a bill counts an entry twice',
    file: 'shared/payments/billEntries.ts',
    find: "return new Set(named.filter((name) => name !== '')).size + named.filter((name) => name === '').length",
    replace: 'return named.length',
    why: 'its pages shifted while they were read, and what slipped through nobody looks for any more',
  },
  {
    name: 'the other half of a window that is cut is forgotten',
    file: 'shared/store/billWindows.ts',
    find: 'await unlessTaken(store, say(insertRow(store, rest)), () => undefined)',
    replace: 'void rest',
    why: 'of a bill that is too long for a run, or cannot be read at once, a part is never compared',
  },
  {
    name: 'what a run of the timer has no time for is put off for good',
    file: 'shared/payments/reconcile.ts',
    find: 'if (deadline.remainingMs() < ITEM_MIN_MS) continue',
    replace: `if (deadline.remainingMs() < ITEM_MIN_MS) {
          if ('order' in item) await claimDueOrder(payments.store, item.order, 9e12)
          continue
        }`,
    why: 'a backlog larger than a run is never looked at again',
  },

  {
    name: 'a list that names a refund twice is read',
    file: 'shared/payments/refundEvidence.ts',
    find: 'if (refunds.some((one) => one.out_refund_no === out_refund_no))',
    replace: 'if (refunds.length < 0)',
    why: 'of a refund under way it says that it is done, and that it is not; the first to be settled wins',
    staged: true,
  },

  // ── two sub-merchants ────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'the bill of the first sub-merchant alone is compared',
    file: 'shared/payments/billDaily.ts',
    find: 'for (const merchant of next) await planFor(payments, merchant, today)',
    replace: 'for (const merchant of next.slice(0, 1)) await planFor(payments, merchant, today)',
    why: 'what happens at the others in the console nobody sees',
  },
  {
    name: "a notification's code is checked with a neighbour's key",
    file: 'shared/payments/notify.ts',
    find: 'openNotification(body, (id) => payments.merchants.find(id)?.key)',
    replace:
      'openNotification(body, (id) => payments.merchants.all.find((one) => one.out_sub_mch_id !== id)?.key)',
    why: 'one sub-merchant speaks in the name of another',
  },

  // ── days later ───────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'nobody looks at what a notification says of a purged order',
    file: 'shared/payments/notify.ts',
    find: "if (!order || kept === 'known') return",
    replace: "if (!order || order.purged_at !== null || kept === 'known') return",
    also: [
      {
        file: 'shared/store/notifications.ts',
        find: '.set({ next_due_at_ms: nowPlus(store, 0), seen: 0 })',
        replace: ".set({ next_due_at_ms: nowPlus(store, 0), seen: 0 }).where('purged_at', 'is', null)",
      },
    ],
    why: 'money of a bank that was late by days is taken and forgotten',
    staged: true,
  },
  {
    name: 'a purge leaves the row as it was',
    file: 'shared/store/retention.ts',
    find: "      request_content: '',",
    replace: '',
    why: 'the text of an order stays, and whoever paid it can be found by it',
  },

  // ── the payer's code ─────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'what was scanned is closed when its two minutes are over',
    file: 'shared/payments/reconcile.ts',
    find: 'if (!open || isMicro(order) || isFrozen',
    replace: 'if (!open || isFrozen',
    also: [
      {
        file: 'shared/payments/close.ts',
        find: "if ((current.state !== 'created' && current.state !== 'pending') || isMicro(current))",
        replace: "if (current.state !== 'created' && current.state !== 'pending')",
      },
      {
        file: 'shared/payments/close.ts',
        find: '!isMicro(order) && nowS(payments.clock)',
        replace: 'nowS(payments.clock)',
      },
    ],
    why: 'a close gives the money back that the payer has just paid',
  },
  {
    name: '407 is a final no',
    file: 'shared/payments/evidence.ts',
    find: "internalStatus !== INTERNAL_STATUS.numberReusedWithOtherContent && internalStatus !== 'unreadable'",
    replace: "internalStatus !== 1 && internalStatus !== 'unreadable'",
    why: 'the order stands there and is paid, and ours has failed',
  },

  // ── who calls, what is charged, what is shipped ──────────────────────────────────────────────────────────────
  {
    name: 'a payer names the price',
    file: 'shared/payments/price.ts',
    find: 'pay_content: { ...content, ...priced },',
    replace: 'pay_content: { ...priced, ...content },',
    also: [
      {
        file: 'shared/payments/price.ts',
        find: 'if (content[name] !== undefined && content[name] !== value)',
        replace: 'if (content[name] === null && value === undefined)',
      },
    ],
    why: 'tea is sold for a fen',
  },
  {
    name: 'a signed request is good twice',
    file: 'shared/access/signed.ts',
    find: 'if (!(await spend(store, { kind: `request:${key.name}`, id, until }))) throw',
    replace: 'if (!(await spend(store, { kind: `request:${key.name}`, id, until })) && until < 0) throw',
    why: 'whoever has overheard a refund has it made again',
  },
  {
    name: "a token's secret is not asked for",
    file: 'shared/access/session.ts',
    find: "if (!sameText(claims.sec, hashSecret(secret))) return 'unknown'",
    replace: "if (claims.sec === '') return 'unknown'",
    also: [
      {
        file: 'shared/access/session.ts',
        find: 'if (!key || !isSessionSecret(secret))',
        replace: 'if (!key)',
      },
    ],
    why: 'a token that stands in somebody’s log opens the door',
  },
  {
    name: 'shipping is told of late money that goes back',
    file: 'shared/payments/shipping.ts',
    find: "(change.state === 'paid_after_close' && change.late_policy === 'honour')",
    replace: "change.state === 'closing' || change.state === 'paid_after_close'",
    why: 'WeChat is told of an order that nobody paid, or that is not delivered',
  },
]
