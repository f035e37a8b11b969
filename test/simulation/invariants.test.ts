import { messageId } from '../../shared/order/message'
import { violations, type LedgerRow, type Row } from './invariants'

/**
 * What excuses a difference and what does not. Each case is the end of a run in which nothing else is wrong; without an
 * anomaly that names the very order or refund and all of the money, it has to be a violation.
 */
const SUB = 'sub1'

type Given = {
  orders?: Row[]
  refunds?: Row[]
  anomalies?: {
    kind: string
    about?: string
    number?: string
    evidence?: object
    resolved_at?: number
    times?: number
  }[]
  ledger?: Partial<LedgerRow>[]
  undelivered?: number
  /** Refunds that were heard twice. */
  duplicated?: string[]
}

const order = (given: Row): Row => ({
  out_sub_mch_id: SUB,
  out_trade_no: 'o1',
  state: 'paid',
  flag: null,
  late_policy: null,
  merchant_order_id: null,
  total_fee: 100,
  refunded_fen: 0,
  reserved_fen: 0,
  sends: 1,
  version: 9,
  time_expire: 0,
  ...given,
})

const refund = (given: Row): Row => ({
  out_sub_mch_id: SUB,
  out_trade_no: 'o1',
  out_refund_no: 'r1',
  refund_fee: 100,
  state: 'succeeded',
  origin: 'request',
  sends: 1,
  ...given,
})

/** The way into each state, and what the merchant is told on it. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  pending: ['created', 'pending'],
  closing: ['created', 'closing'],
  paid: ['created', 'paid'],
  closed: ['created', 'closed'],
  paid_after_close: ['created', 'closed', 'paid_after_close'],
  refunded: ['created', 'paid', 'refunded'],
}

function atTheEnd({
  orders = [],
  refunds = [],
  anomalies = [],
  ledger = [],
  undelivered = 0,
  duplicated = [],
}: Given) {
  const found = anomalies.map(
    ({ kind, about, number = 'o1', evidence = {}, resolved_at, times = 1 }, at) => ({
      id: about === undefined ? `a${at}` : `a${at}:${about}`,
      kind,
      out_sub_mch_id: SUB,
      out_trade_no: number,
      evidence: JSON.stringify(evidence),
      resolved_at: resolved_at ?? null,
      times,
    }),
  )
  const events = orders.flatMap(({ out_trade_no, state }) =>
    PATHS[String(state)]!.map((to_state, at, path) => ({
      out_sub_mch_id: SUB,
      out_trade_no: out_trade_no!,
      seq: at + 1,
      from_state: path[at - 1] ?? null,
      to_state,
      at: 9_999,
      detail: '{}',
    })),
  )
  const messages = [
    ...events
      .filter(({ to_state }) => /^(paid|closed|paid_after_close)$/.test(to_state))
      .map(({ to_state, out_trade_no }) => [`evt_order_${to_state}_${out_trade_no}`, `order.${to_state}`]),
    ...refunds
      .filter(({ state }) => state === 'succeeded' || state === 'failed')
      .map(({ state, out_refund_no }) => [`evt_refund_${state}_${out_refund_no}`, `refund.${state}`]),
    ...found.map(({ id, out_trade_no }) => [
      messageId({ type: 'anomaly', about: id, out_trade_no, payload: '' }, SUB),
      'anomaly',
    ]),
  ].map(([id, type], at) => ({
    id: id!,
    type: type!,
    out_sub_mch_id: SUB,
    out_trade_no: '',
    delivered_at: at < undelivered ? null : 1,
  }))
  const tables: Record<string, Row[]> = {
    orders,
    refunds,
    order_events: events,
    anomalies: found,
    outbox: messages,
    notifications: [],
  }
  return violations({
    query: (sql) => tables[/FROM (\w+)/.exec(sql)![1]!]!,
    ledger: ledger.map((row) => ({
      out_sub_mch_id: SUB,
      out_trade_no: 'o1',
      paid_fen: 100,
      state: 'paid',
      refunds: [],
      ...row,
    })),
    received: [],
    transmissions: new Map(),
    duplicated: new Set(duplicated),
    squatted: new Set(),
    paidInTime: new Set(),
    told: new Set(messages.map(({ id }) => id)),
    acknowledged: [],
    prefixes: new Map(),
    forgot: false,
  })
}

const back = (fee: number, number = 'r1', state = 'succeeded') => ({ out_refund_no: number, fee, state })

test('a payment that is known on both sides, and an order that nobody paid, violate nothing', () => {
  expect(atTheEnd({ orders: [order({})], ledger: [{}] })).toEqual([])
  expect(atTheEnd({ orders: [order({ state: 'closed' })] })).toEqual([])
})

describe('an order that does not come to its end', () => {
  const open = order({ state: 'pending' })
  const wrong = ['sub1/o1: is pending for ever, and nobody has been told']

  test('is not excused by an anomaly about something else', () => {
    for (const kind of ['notified_but_unpaid', 'second_payment', 'bill_differs', 'refund_needs_person'])
      expect(atTheEnd({ orders: [open], anomalies: [{ kind }] })).toEqual(wrong)
  })
  test('is not excused by its flag alone, nor by the anomaly of another order, nor by one that is closed', () => {
    const orders = [{ ...open, flag: 'unresolved' }]
    const kind = 'order_unresolved'
    expect(atTheEnd({ orders })).toEqual(wrong)
    expect(atTheEnd({ orders, anomalies: [{ kind, number: 'o2' }] })).toEqual(wrong)
    expect(atTheEnd({ orders, anomalies: [{ kind, resolved_at: 5 }] })).toEqual(wrong)
    expect(atTheEnd({ orders, anomalies: [{ kind: 'amount_differs' }] })).toEqual(wrong)
  })
  test('is excused by the anomaly that its flag stands for', () => {
    for (const [flag, kind] of [
      ['unresolved', 'order_unresolved'],
      ['create_answered_102', 'number_not_ours'],
      ['amount_differs', 'amount_differs'],
    ] as const)
      expect(atTheEnd({ orders: [{ ...open, flag }], anomalies: [{ kind }] })).toEqual([])
  })
})

describe('money upstream that our rows do not have', () => {
  const lost = ['sub1/o1: lost: upstream took 100 and has 100 of it, is closed']
  const orders = [order({ state: 'closed' })]
  const ledger = [{}]

  test('is not excused by an anomaly about something else of the same order', () => {
    for (const [kind, evidence] of [
      ['number_not_ours', {}],
      ['answers_contradict', {}],
      ['bill_differs', { fields: ['refunded_fee'] }],
      ['bill_differs', { out_refund_no: 'r1', refund_fee: 100 }],
      ['paid_upstream_only', { out_refund_no: 'r1', refund_fee: 100 }],
    ] as const)
      expect(atTheEnd({ orders, ledger, anomalies: [{ kind, evidence }] })).toEqual(lost)
  })
  test('is not excused by the flag of an order that was looked at in vain', () => {
    const anomalies = [{ kind: 'order_unresolved' }]
    expect(atTheEnd({ orders: [{ ...orders[0], flag: 'unresolved' }], ledger, anomalies })).toEqual(lost)
  })
  test('is not excused by an anomaly that names less', () => {
    const told = (total_fee: number) => [{ kind: 'paid_upstream_only', evidence: { total_fee } }]
    expect(atTheEnd({ ledger, anomalies: told(99) })).toEqual([
      'sub1/o1: lost: upstream took 100, we know of no such order',
    ])
    expect(atTheEnd({ ledger, anomalies: told(100) })).toEqual([])
  })
  test('is excused by the payment that was not believed, and by the bill that shows the state', () => {
    const differs = { kind: 'bill_differs', evidence: { fields: ['state'] } }
    expect(atTheEnd({ orders, ledger, anomalies: [{ kind: 'payment_not_believed' }] })).toEqual([])
    expect(atTheEnd({ orders, ledger, anomalies: [differs] })).toEqual([])
  })
})

describe('a refund upstream that our rows do not have', () => {
  const upstream = (evidence: object, kind = 'refunds_exceed') =>
    atTheEnd({
      orders: [order({})],
      ledger: [{ refunds: [back(30)] }],
      anomalies: [{ kind, evidence }],
    })
  const wrong = ['sub1/o1: refund r1 of 30 is upstream only']

  test('is not excused by what is said of another refund, of less, or of no refund', () => {
    expect(upstream({ out_refund_no: 'r2', refund_fee: 30 })).toEqual(wrong)
    expect(upstream({ out_refund_no: 'r1', refund_fee: 29 })).toEqual(wrong)
    expect(upstream({ fields: [] }, 'refund_mismatch')).toEqual(wrong)
    expect(upstream({ reason: 'x' }, 'payment_not_believed')).toEqual(wrong)
  })
  test('is excused by what names it and its fen', () => {
    expect(upstream({ out_refund_no: 'r1', refund_fee: 30 })).toEqual([])
    expect(upstream({ out_refund_no: 'r1', refund_fee: 30 }, 'refund_mismatch')).toEqual([])
  })
  test('is not excused by a bill that shows it: it could have been taken over', () => {
    expect(upstream({ out_refund_no: 'r1', refund_fee: 30 }, 'bill_differs')).toEqual(wrong)
  })
})

test('a refund that waits for ever is excused by an anomaly about this refund alone', () => {
  const given = (number: string) =>
    atTheEnd({
      orders: [order({ reserved_fen: 100 })],
      refunds: [refund({ state: 'requested' })],
      ledger: [{}],
      anomalies: [{ kind: 'refund_unresolved', evidence: { out_refund_no: number, looks: 20 } }],
    })
  expect(given('r2')).toEqual(['sub1/o1: refund r1 is requested for ever, and nobody has been told'])
  expect(given('r1')).toEqual([])
})

describe('money that came late', () => {
  const late = order({ state: 'paid_after_close', late_policy: 'refund' })
  const stays = (fen: number) => [
    `sub1/o1: money came late, ${fen} of it stays here, and nobody has been told`,
  ]
  const second = { kind: 'second_payment', evidence: { purchase: 'p' } }

  test('is not excused by the word that it is a second payment', () => {
    expect(atTheEnd({ orders: [late], ledger: [{}], anomalies: [second] })).toEqual(stays(100))
  })
  test('has to go back whole, and a refund that failed takes nothing back', () => {
    const part = refund({ refund_fee: 60 })
    const ledger = [{ refunds: [back(60)] }]
    const orders = [{ ...late, refunded_fen: 60, reserved_fen: 60 }]
    expect(atTheEnd({ orders, refunds: [part], ledger })).toEqual(stays(40))
    const failed = [{ refunds: [back(100, 'r1', 'failed')] }]
    expect(atTheEnd({ orders: [late], refunds: [refund({ state: 'failed' })], ledger: failed })).toEqual(
      stays(100),
    )
  })
  test('is excused when a refund that was refused went back all the same, and a person knows', () => {
    const given = (state: string, evidence: object) =>
      atTheEnd({
        orders: [late],
        refunds: [refund({ state: 'failed' })],
        ledger: [{ refunds: [back(100, 'r1', state)] }],
        anomalies: [{ kind: 'bill_differs', evidence }],
        duplicated: ['r1'],
      })
    const known = { out_refund_no: 'r1', refund_fee: 100 }
    expect(given('succeeded', known)).toEqual([])
    expect(given('failed', known)).toEqual(stays(100))
    expect(given('succeeded', { out_refund_no: 'r2', refund_fee: 100 })).toContainEqual(stays(100)[0])
  })
  test('is excused when a refund of it is stuck with a person who knows its amount', () => {
    const given = (evidence: object) =>
      atTheEnd({
        orders: [{ ...late, reserved_fen: 100 }],
        refunds: [refund({ state: 'needs_person' })],
        ledger: [{ refunds: [back(100, 'r1', 'change')] }],
        anomalies: [second, { kind: 'refund_needs_person', evidence }],
      })
    expect(given({ out_refund_no: 'r1', refund_fee: 100 })).toEqual([])
    expect(given({ out_refund_no: 'r1', refund_fee: 99 })).toEqual(stays(100))
    expect(given({ out_refund_no: 'r2', refund_fee: 100 })).toEqual(stays(100))
  })
  test('is excused as far as the ceiling is said to hold it back, until a refund of it is recorded', () => {
    const given = (refund_fee: number, refunds: Row[] = []) =>
      atTheEnd({
        orders: [late],
        refunds,
        ledger: [{ refunds: refunds.map(() => back(100, 'r1', 'failed')) }],
        anomalies: [
          { kind: 'refund_ceiling', about: 'automatic', evidence: { out_refund_no: 'r1', refund_fee } },
        ],
      })
    expect(given(100)).toEqual([])
    expect(given(40)).toEqual(stays(60))
    expect(given(100, [refund({ state: 'failed' })])).toEqual(stays(100))
  })
})

test('two payments of one purchase are not excused by the word that one is the second', () => {
  const orders = ['o1', 'o2'].map((out_trade_no) => order({ out_trade_no, merchant_order_id: 'p' }))
  const ledger = [{}, { out_trade_no: 'o2' }]
  const anomalies = [{ kind: 'second_payment', number: 'o2', evidence: { purchase: 'p' } }]
  expect(atTheEnd({ orders, ledger, anomalies })).toEqual(['sub1/p: paid twice and kept, as o1 and o2'])
})

test('messages that were given up are excused as far as they are counted', () => {
  const given = (times: number) =>
    atTheEnd({
      orders: [order({})],
      ledger: [{}],
      anomalies: [{ kind: 'webhook_undelivered', number: '', times }],
      undelivered: 2,
    })
  expect(given(1)).toEqual(['evt_anomaly_a0: never delivered'])
  expect(given(2)).toEqual([])
})
