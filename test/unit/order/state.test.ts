import {
  canStillChange,
  hasMoney,
  isLegalMove,
  isOpen,
  LEGAL_MICRO_MOVES,
  LEGAL_MOVES,
  MEANINGS,
  MICRO,
  MOVES,
  ORDER_STATES,
  walletMeaning,
  type OrderState,
  type Verdict,
} from '../../../shared/order/state'

/**
 * Every cell of (wallet × wallet state × our state), written out from what the wallets' documents say and what we
 * promise, not from the code.
 *
 *   →paid …   the order moves there
 *   =         nothing new
 *   ?         not final: ask again
 *   refunds   look up the refunds
 *   clash     two signed answers disagree: a person looks
 *   unknown   no meaning we know: nothing is concluded
 *   →pending  of micro_pay: the code was taken, and nothing is decided
 */
const HEADER = 'created  pending  closing  closed  failed  paid  paid_after_close  refunded'

const WECHAT = `
 0  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 1  =        =        ?        clash     clash     clash    clash    clash
 2  →paid    →paid    →paid    →late     →late     =        =        =
 3  →paid    →paid    →paid    →late     →late     =        =        =
 4  →paid    →paid    →paid    →late     →late     refunds  refunds  =
 5  →closed  →closed  →closed  =         =         clash    clash    =
 6  =        =        ?        clash     clash     clash    clash    clash
 7  →closed  →closed  →closed  =         =         clash    clash    =
 8  →closed  →closed  →closed  =         =         clash    clash    =
 9  =        =        ?        clash     clash     clash    clash    clash
10  →closed  →closed  →closed  =         =         clash    clash    =
11  →closed  →closed  →closed  =         =         clash    clash    =
12  =        =        ?        clash     clash     clash    clash    clash
13  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
14  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
15  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
16  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
17  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
18  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
19  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
20  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
`

const ALIPAY = `
 0  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 1  =        =        ?        clash     clash     clash    clash    clash
 2  →paid    →paid    →paid    →late     →late     =        =        =
 3  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 4  =        =        ?        clash     clash     clash    clash    clash
 5  →closed  →closed  →closed  =         =         refunds  refunds  =
 6  →paid    →paid    →paid    →late     →late     =        =        =
 7  ?        ?        ?        =         =         clash    clash    clash
 8  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 9  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
10  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
11  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
12  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
13  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
14  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
15  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
16  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
17  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
18  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
19  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
20  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
`

/** micro_pay: 1, 6, 9, 12 and Alipay's 1 and 4 are the payer's time. Nobody closes, so closing is left at once. */
const MICRO_WECHAT = `
 0  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 1  →pending  =  →pending  clash  clash  clash  clash  clash
 2  →paid    →paid    →paid    →late     →late     =        =        =
 3  →paid    →paid    →paid    →late     →late     =        =        =
 4  →paid    →paid    →paid    →late     →late     refunds  refunds  =
 5  →closed  →closed  →closed  =         =         clash    clash    =
 6  →pending  =  →pending  clash  clash  clash  clash  clash
 7  →closed  →closed  →closed  =         =         clash    clash    =
 8  →closed  →closed  →closed  =         =         clash    clash    =
 9  →pending  =  →pending  clash  clash  clash  clash  clash
10  →closed  →closed  →closed  =         =         clash    clash    =
11  →closed  →closed  →closed  =         =         clash    clash    =
12  →pending  =  →pending  clash  clash  clash  clash  clash
13  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
14  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
15  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
16  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
17  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
18  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
19  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
20  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
`

const MICRO_ALIPAY = `
 0  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 1  →pending  =  →pending  clash  clash  clash  clash  clash
 2  →paid    →paid    →paid    →late     →late     =        =        =
 3  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 4  →pending  =  →pending  clash  clash  clash  clash  clash
 5  →closed  →closed  →closed  =         =         refunds  refunds  =
 6  →paid    →paid    →paid    →late     →late     =        =        =
 7  ?        ?        ?        =         =         clash    clash    clash
 8  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
 9  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
10  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
11  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
12  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
13  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
14  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
15  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
16  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
17  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
18  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
19  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
20  unknown  unknown  unknown  unknown   unknown   unknown  unknown  unknown
`

type Cell = { platform: number; wallet: number; state: OrderState; tradeType: number; expected: string }

const states = HEADER.split(/\s+/) as OrderState[]

const TABLES = [
  { platform: 1, tradeType: 3, table: WECHAT },
  { platform: 2, tradeType: 3, table: ALIPAY },
  { platform: 1, tradeType: MICRO, table: MICRO_WECHAT },
  { platform: 2, tradeType: MICRO, table: MICRO_ALIPAY },
]

const cells: Cell[] = TABLES.flatMap(({ platform, tradeType, table }) =>
  table
    .trim()
    .split('\n')
    .flatMap((row) => {
      const [wallet, ...expected] = row.trim().split(/\s+/)
      expect(expected).toHaveLength(states.length)
      return states.map((state, column) => ({
        platform,
        tradeType,
        wallet: Number(wallet),
        state,
        expected: expected[column]!,
      }))
    }),
)

const MARKS: Record<string, Verdict | undefined> = {
  '→paid': { to: 'paid' },
  '→pending': { to: 'pending' },
  '→closed': { to: 'closed' },
  '→late': { to: 'paid_after_close' },
  '=': { stay: 'nothing_new' },
  '?': { stay: 'not_final' },
  refunds: { stay: 'refund_lookup' },
  clash: { stay: 'contradiction' },
  unknown: undefined,
}

function verdictOf({ platform, wallet, state, tradeType }: Cell): Verdict | undefined {
  const meaning = walletMeaning(platform, wallet, tradeType)
  return meaning && MOVES[state][meaning]
}

test('the table names every state of ours, both wallets and their states 0 to 20', () => {
  expect([...states].sort()).toEqual([...ORDER_STATES].sort())
  const names = cells.map((cell) => [cell.platform, cell.tradeType, cell.wallet, cell.state].join())
  expect(new Set(names).size).toBe(2 * 2 * 21 * 8)
})

test.each(cells)(
  'wallet $platform says $wallet of an order ($tradeType) that is $state: $expected',
  (cell) => {
    expect(Object.keys(MARKS)).toContain(cell.expected)
    expect(verdictOf(cell)).toEqual(MARKS[cell.expected])
  },
)

test.each([
  [0, 3],
  [3, 2],
  [1, -1],
  [1, 2.5],
  [1, NaN],
  [NaN, 1],
  [2, 21],
  [1, 255],
  [2, 2 ** 31],
])('wallet %d with state %d means nothing', (platform, wallet) => {
  expect(walletMeaning(platform, wallet)).toBeUndefined()
})

/** Every move that evidence makes. */
const moves = ORDER_STATES.flatMap((from) =>
  MEANINGS.flatMap((meaning) => {
    const verdict = MOVES[from][meaning]
    return 'to' in verdict ? [{ from, meaning, to: verdict.to }] : []
  }),
)

describe('whatever the evidence', () => {
  const movesFrom = (state: OrderState) => moves.filter(({ from }) => from === state)

  test('every state has a verdict for every meaning, and no others', () => {
    for (const state of ORDER_STATES) expect(Object.keys(MOVES[state]).sort()).toEqual([...MEANINGS].sort())
    expect(Object.keys(MOVES).sort()).toEqual([...ORDER_STATES].sort())
  })

  test.each(['refunded', 'paid', 'paid_after_close'] as const)('nothing leads out of %s', (state) => {
    expect(movesFrom(state)).toEqual([])
  })

  test('a refund is never concluded from a wallet state alone', () => {
    expect(moves.filter(({ to }) => to === 'refunded')).toEqual([])
  })

  test('nothing leads back to created or pending, nor to failed or closing: those are our own doing', () => {
    const back = ['created', 'pending', 'failed', 'closing']
    const unified = moves.filter(({ meaning }) => meaning !== 'paying')
    expect(unified.filter(({ to }) => back.includes(to))).toEqual([])
  })

  test('a micro_pay order that the wallet has is pending: nothing is handed over, so nothing is missing', () => {
    const paying = moves.filter(({ meaning }) => meaning === 'paying')
    expect(paying.map(({ from, to }) => `${from} ${to}`)).toEqual(['created pending', 'closing pending'])
  })

  test('paying is said of micro_pay alone, and waiting of all others alone', () => {
    for (const { platform, wallet } of cells) {
      expect(walletMeaning(platform, wallet, 3)).not.toBe('paying')
      expect(walletMeaning(platform, wallet)).toBe(walletMeaning(platform, wallet, 3))
      expect(walletMeaning(platform, wallet, MICRO)).not.toBe('waiting')
    }
  })

  test.each(['closed', 'failed'] as const)('money that comes for a %s order is paid_after_close', (state) => {
    for (const meaning of ['paid', 'paid_then_refund'] as const) {
      expect(MOVES[state][meaning]).toEqual({ to: 'paid_after_close' })
    }
    expect(movesFrom(state).every(({ to }) => to === 'paid_after_close')).toBe(true)
  })

  test('money that comes for a closed or failed order is never plain paid, and for an open one always', () => {
    expect(moves.filter(({ to }) => to === 'paid').map(({ from }) => from)).toEqual(
      expect.not.arrayContaining(['closed', 'failed']),
    )
    for (const state of ['created', 'pending', 'closing'] as const)
      expect(MOVES[state].paid).toEqual({ to: 'paid' })
  })

  test('not found never moves an order', () => {
    expect(moves.filter(({ meaning }) => meaning === 'not_found')).toEqual([])
  })

  test('neither does waiting', () => {
    expect(moves.filter(({ meaning }) => meaning === 'waiting')).toEqual([])
  })

  test('the same evidence twice is one move at most, and no contradiction of itself', () => {
    for (const { meaning, to } of moves) {
      expect(MOVES[to][meaning]).toHaveProperty('stay')
      expect(MOVES[to][meaning]).not.toEqual({ stay: 'contradiction' })
    }
  })

  test('no chain of evidence runs in a circle', () => {
    const reach = (state: OrderState, seen: OrderState[]): void => {
      expect(seen).not.toContain(state)
      for (const { to } of movesFrom(state)) reach(to, [...seen, state])
    }
    for (const state of ORDER_STATES) reach(state, [])
  })

  test('an order that was paid is never taken for unpaid', () => {
    const unpaid = ['created', 'pending', 'closing', 'closed', 'failed']
    for (const state of ['paid', 'paid_after_close', 'refunded'] as const) {
      expect(movesFrom(state).filter(({ to }) => unpaid.includes(to))).toEqual([])
    }
  })

  const changing: Record<OrderState, boolean> = {
    created: true,
    pending: true,
    closing: true,
    closed: true,
    failed: true,
    paid: false,
    paid_after_close: false,
    refunded: false,
  }
  test.each(Object.entries(changing) as [OrderState, boolean][])(
    '%s is worth asking about: %s',
    (state, worth) => {
      expect(canStillChange(state)).toBe(worth)
    },
  )
})

// ── which moves there are at all ───────────────────────────────────────────────────────────────────────────────

describe('the legal moves', () => {
  /** Written out from what we promise, not from the code: a row per state, ✓ where it may go. */
  const LEGAL = `
    created             .  ✓  ✓  ✓  ✓  ✓  .  .
    pending             .  .  ✓  ✓  .  ✓  .  .
    closing             .  ✓  .  ✓  .  ✓  .  .
    closed              .  .  .  .  .  .  ✓  .
    failed              .  .  .  .  .  .  ✓  .
    paid                .  .  .  .  .  .  .  ✓
    paid_after_close    .  .  .  .  .  .  .  ✓
    refunded            .  .  .  .  .  .  .  .
  ` // to: created, pending, closing, closed, failed, paid, paid_after_close, refunded
  const rows = LEGAL.trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  const pairs = rows.flatMap(([from, ...marks]) =>
    states.map((to, at) => ({ from: from as OrderState, to, legal: marks[at] === '✓' })),
  )

  test('are told of every pair of states', () => {
    expect(rows.map(([from]) => from)).toEqual(states)
    expect(states).toEqual([
      ...(['created', 'pending', 'closing', 'closed', 'failed', 'paid', 'paid_after_close'] as const),
      'refunded',
    ])
    expect(pairs).toHaveLength(64)
    expect(Object.keys(LEGAL_MOVES).sort()).toEqual([...ORDER_STATES].sort())
  })

  test.each(pairs)('$from → $to: $legal', ({ from, to, legal }) => {
    // To stay is no move: an event may be told of an order that stays what it is.
    expect(isLegalMove(from, to)).toBe(legal || from === to)
  })

  test('allow everything that evidence asks for', () => {
    for (const { from, to } of moves) expect([from, to, isLegalMove(from, to)]).toEqual([from, to, true])
    for (const { from, to } of moves)
      expect([from, to, isLegalMove(from, to, MICRO)]).toEqual([from, to, true])
  })

  test('of micro_pay are the same without closing: no way leads there, whoever asks', () => {
    for (const from of ORDER_STATES) {
      expect(isLegalMove(from, 'closing', MICRO)).toBe(from === 'closing')
      for (const to of ORDER_STATES.filter((one) => one !== 'closing' && one !== from))
        expect([from, to, isLegalMove(from, to, MICRO)]).toEqual([from, to, isLegalMove(from, to)])
    }
    expect(Object.values(LEGAL_MICRO_MOVES).flat()).not.toContain('closing')
  })

  test('are listed once each, and none leads to where it came from', () => {
    for (const from of ORDER_STATES) {
      expect(new Set(LEGAL_MOVES[from]).size).toBe(LEGAL_MOVES[from].length)
      expect(LEGAL_MOVES[from]).not.toContain(from)
    }
  })

  /** Every state that can be reached, in any number of moves. */
  const reach = (from: OrderState, seen = new Set<OrderState>()): Set<OrderState> => {
    for (const to of LEGAL_MOVES[from]) {
      if (seen.has(to)) continue
      seen.add(to)
      reach(to, seen)
    }
    return seen
  }

  test('reach every state from a new order, and refunded is the end of it', () => {
    expect([...reach('created')].sort()).toEqual(ORDER_STATES.filter((state) => state !== 'created').sort())
    expect([...reach('refunded')]).toEqual([])
  })

  test('never make an order unpaid that has money, nor open one that has ended', () => {
    for (const from of ORDER_STATES) {
      for (const to of reach(from)) {
        if (hasMoney(from)) expect(hasMoney(to)).toBe(true)
        if (!isOpen(from)) expect(isOpen(to)).toBe(false)
      }
    }
  })

  test('lead to refunded from orders with money only', () => {
    for (const from of ORDER_STATES) {
      if (isLegalMove(from, 'refunded')) expect(hasMoney(from)).toBe(true)
    }
  })
})

describe('a state', () => {
  const of: Record<OrderState, 'open' | 'ended' | 'money'> = {
    created: 'open',
    pending: 'open',
    closing: 'open',
    paid: 'money',
    closed: 'ended',
    failed: 'ended',
    paid_after_close: 'money',
    refunded: 'money',
  }
  test.each(Object.entries(of) as [OrderState, string][])('%s is %s', (state, kind) => {
    expect([isOpen(state), hasMoney(state)]).toEqual([kind === 'open', kind === 'money'])
  })
})
