/** Guards of micro_pay taken away one at a time: histories have to notice each. */
export type Edit = { file: string; /** Stands there exactly once. */ find: string; replace: string }
export type MicroPlant = { name: string; edits: readonly Edit[]; why: string }

const CLOSING_IS_LEGAL: Edit = {
  file: 'shared/order/state.ts',
  find: '(tradeType === MICRO ? LEGAL_MICRO_MOVES : LEGAL_MOVES)[from]',
  replace: '(tradeType === -1 ? LEGAL_MICRO_MOVES : LEGAL_MOVES)[from]',
}
const MAY_ENTER_CLOSING: Edit = {
  file: 'shared/payments/close.ts',
  find: "(current.state !== 'created' && current.state !== 'pending') || isMicro(current)",
  replace: "current.state !== 'created' && current.state !== 'pending'",
}
const MAY_BE_ASKED_TO_CLOSE: Edit = {
  file: 'shared/payments/close.ts',
  find: '!isMicro(order) && nowS',
  replace: 'nowS',
}
/** One guard stands behind another: these have to be gone before the first one can be seen to be. */
const MAY_CLOSE = [CLOSING_IS_LEGAL, MAY_ENTER_CLOSING]

export const MICRO_PLANTS: readonly MicroPlant[] = [
  {
    name: 'a 407 is answered with a close',
    edits: [
      {
        file: 'shared/payments/create.ts',
        find: 'const evidence = await askWithRetries()\n',
        replace:
          "const evidence = await askWithRetries()\n    if (evidence.proves === 'refused' && evidence.internalStatus === 407) await askToClose(payments, current, deadline)\n",
      },
      {
        file: 'shared/payments/create.ts',
        find: "import { makeWay } from './close'",
        replace: "import { askToClose, makeWay } from './close'",
      },
      {
        file: 'shared/payments/close.ts',
        find: 'async function askToClose(',
        replace: 'export async function askToClose(',
      },
    ],
    why: 'the first order of this number may be paid, and a close gives the money back',
  },
  {
    name: 'a clerk may close it',
    edits: [
      ...MAY_CLOSE,
      {
        file: 'shared/payments/close.ts',
        find: 'if (isMicro(found) && isOpen(found.state))',
        replace: 'if (isMicro(found) && !isOpen(found.state))',
      },
    ],
    why: 'the payer is typing a password',
  },
  {
    name: 'the timer closes it when its time is over',
    edits: [
      ...MAY_CLOSE,
      {
        file: 'shared/payments/reconcile.ts',
        find: 'if (!open || isMicro(order) || isFrozen(look.order)',
        replace: 'if (!open || isFrozen(look.order)',
      },
    ],
    why: 'the wallet decides, however long that takes',
  },
  {
    name: 'another order of its purchase closes it',
    edits: [...MAY_CLOSE, MAY_BE_ASKED_TO_CLOSE],
    why: 'the payer is typing a password',
  },
  {
    name: 'a decision leaves the code where it is',
    edits: [
      {
        file: 'shared/payments/settle.ts',
        find: '...(order.author_code_sealed === null ? {} : { author_code_sealed: null }),',
        replace: '',
      },
    ],
    why: 'nobody needs it any more, and it is a way to money',
  },
  {
    name: 'two minutes leave the code where it is',
    edits: [
      {
        file: 'shared/payments/micro.ts',
        find: 'const change = { author_code_sealed: null, ...flag }',
        replace: 'const change = { ...flag }',
      },
      {
        file: 'shared/payments/micro.ts',
        find: 'const done = current.flag !== null && isSpent(current)',
        replace: 'const done = current.flag !== null',
      },
    ],
    why: 'nobody needs it any more, and it is a way to money',
  },
  {
    name: 'the code is stored in the clear',
    edits: [
      {
        file: 'shared/payments/draft.ts',
        find: "...(author_code !== undefined && { author_code: '' }),",
        replace: '...(author_code !== undefined && { author_code }),',
      },
    ],
    why: 'whoever reads the database could take money with it',
  },
  {
    name: 'another code is taken for the first one',
    edits: [
      {
        file: 'shared/payments/create.ts',
        find: 'if (isOtherCode(payments, found, request.pay_content.author_code))',
        replace: 'if (found.sends < 0)',
      },
    ],
    why: 'the first payer pays for the second one',
  },
  {
    name: 'it is sent however late it is',
    edits: [
      {
        file: 'shared/payments/create.ts',
        find: 'if (found.flag !== null || isSpent(found) || found.sends >= SENDS_MAX || isTooLate(payments, found)) {',
        replace: 'if (found.flag !== null || isSpent(found)) {',
      },
    ],
    why: 'nobody stands at the till any more',
  },
  {
    name: 'nobody is told that it is undecided',
    edits: [
      {
        file: 'shared/payments/micro.ts',
        find: "current.flag === null ? { flag: 'unresolved' as const } : {}",
        replace: "current.flag === 'amount_differs' ? { flag: 'unresolved' as const } : {}",
      },
    ],
    why: 'a payer has waited at the till for two minutes',
  },
  {
    name: 'a payer who is typing is taken for one who has paid',
    edits: [
      {
        file: 'shared/order/state.ts',
        find: "return meaning === 'waiting' && tradeType === MICRO ? 'paying' : meaning",
        replace: "return meaning === 'waiting' && tradeType === MICRO ? 'paid' : meaning",
      },
    ],
    why: 'the goods go, and the money never comes',
  },
]
