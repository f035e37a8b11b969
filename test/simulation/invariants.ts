import { createHash } from 'node:crypto'
import { excusesOf, type Excuses } from './excuses'

/**
 * What must be true when everything has come to rest. Written from the promises and not from the code: imports nothing
 * of it, reads rows by plain SQL, and adds up Cloud Pay's ledger on its own.
 */
export type Row = { [column: string]: string | number | null }

export type Evidence = {
  query(sql: string): Row[]
  ledger: readonly LedgerRow[]
  /** What arrived upstream, in the order in which it came. */
  received: readonly { at: number; interface: string; request_content: string | undefined }[]
  /** How often handlers began to send a create or a refund, by order or refund number. */
  transmissions: ReadonlyMap<string, number>
  /** Order and refund numbers whose request the network delivered twice. */
  duplicated: ReadonlySet<string>
  /** Order numbers under which somebody else ordered something upstream: what is paid there is not ours. */
  squatted: ReadonlySet<string>
  /** Order numbers whose payer paid while upstream the order was open and had not expired. */
  paidInTime: ReadonlySet<string>
  /** Messages that the merchant's server took; nothing when there is no such server. */
  told: ReadonlySet<string> | undefined
  /** Signed texts of notifications that we have acknowledged. */
  acknowledged: readonly { number: string; text: string }[]
  /** The sub-merchant of each prefix, of those that are served. */
  prefixes: ReadonlyMap<string, string>
  /** The database has forgotten transactions it had committed. */
  forgot: boolean
  /** Who may call and what may be charged, where that is not up to everybody; and what WeChat has heard. */
  closed?:
    | {
        who: 'payer' | 'server'
        fees: ReadonlySet<number>
        shippings: {
          shipped: ReadonlyMap<string, { transaction_id: string; uploads: number }>
          received: readonly string[]
        }
      }
    | undefined
}

export type LedgerRow = {
  out_trade_no: string
  out_sub_mch_id: string
  paid_fen: number
  state: string
  refunds: readonly { out_refund_no: string; fee: number; state: string }[]
}

/** An order's life as promised: every arrow there is. */
const EDGES: Readonly<Record<string, readonly string[]>> = {
  created: ['pending', 'paid', 'closing', 'closed', 'failed'],
  pending: ['paid', 'closing', 'closed'],
  closing: ['pending', 'paid', 'closed'],
  closed: ['paid_after_close'],
  failed: ['paid_after_close'],
  paid: ['refunded'],
  paid_after_close: ['refunded'],
  refunded: [],
}

const FINAL = ['paid', 'closed', 'failed', 'refunded']
const PAID = ['paid', 'paid_after_close', 'refunded']

type Books = {
  orders: Row[]
  events: Map<string, Row[]>
  refunds: Map<string, Row[]>
  outbox: Row[]
  /** Of the outbox, what is for WeChat. */
  shipping: Row[]
  anomalies: Row[]
  excuses: Excuses
  upstream: Map<string, LedgerRow>
}

export function violations(evidence: Evidence): string[] {
  const books = openBooks(evidence)
  if (evidence.forgot) return afterForgetting(books, evidence)
  const found = [
    ...legalPaths(books),
    ...sameText(evidence),
    ...kept(evidence),
    ...heard(books, evidence),
    ...freshlyAsked(books, evidence),
    ...ownSubMerchant(evidence),
    ...purged(books),
    ...scanned(books, evidence),
    ...soldAtItsPrice(books, evidence),
    ...shippedOnce(books, evidence),
  ]
  for (const order of books.orders) {
    const key = keyOf(order)
    const refunds = books.refunds.get(key) ?? []
    const ledger = books.upstream.get(key)
    for (const what of [
      ...atItsEnd(books, order, refunds),
      ...sameMoney(books, order, ledger, evidence),
      ...failedOnlyIfRefused(books, order, ledger, evidence),
      ...counted(order, refunds, evidence),
      ...endedRightly(books, order, ledger, evidence),
      ...sameRefunds(books, order, refunds, ledger, evidence),
      ...onlyOnce(books, order, refunds),
      ...neverTooMuch(order, refunds, ledger),
    ]) {
      found.push(`${key}: ${what}`)
    }
  }
  found.push(...everybodyTold(books), ...nobodyForgotten(books, evidence), ...onePaymentPerPurchase(books))
  return found
}

/**
 * What is left of the promises when another server has taken over that had not heard of the last transactions. Who was
 * told what, and what was sent how often, nobody can know any more. But nothing is invented, what is in the books adds
 * up, and the daily bill brings to light whatever money they do not show.
 */
function afterForgetting(books: Books, evidence: Evidence): string[] {
  const found = [...legalPaths(books), ...everybodyTold(books)]
  for (const order of books.orders) {
    const key = keyOf(order)
    const refunds = books.refunds.get(key) ?? []
    const ledger = books.upstream.get(key)
    for (const what of [
      ...sameMoney(books, order, ledger, evidence),
      ...onlyOnce(books, order, refunds),
      ...neverTooMuch(order, refunds, ledger),
    ]) {
      found.push(`${key}: ${what}`)
    }
  }
  return [...found, ...nobodyForgotten(books, evidence)]
}

const keyOf = (row: Row | LedgerRow): string => `${row.out_sub_mch_id}/${row.out_trade_no}`

function openBooks({ query, ledger }: Evidence): Books {
  const anomalies = query('SELECT * FROM anomalies')
  const orders = query('SELECT * FROM orders')
  const outbox = query('SELECT * FROM outbox')
  const totals = new Map(orders.map((order) => [keyOf(order), Number(order['total_fee'])]))
  return {
    orders,
    events: grouped(query('SELECT * FROM order_events ORDER BY seq')),
    refunds: grouped(query('SELECT * FROM refunds')),
    outbox: outbox.filter(({ type }) => type !== 'shipping'),
    shipping: outbox.filter(({ type }) => type === 'shipping'),
    anomalies,
    excuses: excusesOf(anomalies, totals),
    upstream: new Map(ledger.map((row) => [keyOf(row), row])),
  }
}

function grouped(rows: Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groups.get(keyOf(row))
    if (group) group.push(row)
    else groups.set(keyOf(row), [row])
  }
  return groups
}

const sum = (rows: readonly Row[], column: string): number =>
  rows.reduce((total, row) => total + Number(row[column]), 0)

/** (1) Every order has come to an end, or a person has been told. */
function atItsEnd(books: Books, order: Row, refunds: Row[]): string[] {
  const { excuses } = books
  const key = keyOf(order)
  const state = String(order['state'])
  const found: string[] = []
  if (state === 'paid_after_close' && order['late_policy'] !== 'honour') {
    const keptFen = Number(order['total_fee']) - backFen(books, key, refunds)
    if (keptFen > 0 && !isFrozen(excuses, order)) {
      found.push(`money came late, ${keptFen} of it stays here, and nobody has been told`)
    }
  } else if (!FINAL.includes(state) && state !== 'paid_after_close' && !excuses.ofEnd(order)) {
    found.push(`is ${state} for ever, and nobody has been told`)
  }
  for (const refund of refunds) {
    if (refund['state'] !== 'requested' && refund['state'] !== 'accepted') continue
    if (isTold(excuses, key, refund)) continue
    found.push(`refund ${refund['out_refund_no']} is ${refund['state']} for ever, and nobody has been told`)
  }
  return found
}

/** A signed answer named another amount: a person decides about all of its money, and knows. */
const isFrozen = (excuses: Excuses, order: Row): boolean =>
  order['flag'] === 'amount_differs' && excuses.ofEnd(order)

/** A person knows about the whole of this refund. */
const isTold = (excuses: Excuses, key: string, refund: Row): boolean =>
  excuses.refundFen(key, String(refund['out_refund_no'])) >= Number(refund['refund_fee'])

/** What of an order's money has gone back, and what is stuck on its way with a person who knows. */
function backFen({ excuses, upstream }: Books, key: string, refunds: Row[]): number {
  const wentBack = new Set(
    upstream
      .get(key)
      ?.refunds.filter(({ state }) => state === 'succeeded' || state === 'change')
      .map(({ out_refund_no }) => out_refund_no),
  )
  const gone = refunds.filter((refund) => {
    if (refund['state'] === 'succeeded') return true
    // One that failed here, or was refused, is still with the shop, unless it went back all the same, or is stuck on
    // its way back, and a person knows.
    const isGone = refund['state'] !== 'failed' || wentBack.has(String(refund['out_refund_no']))
    return isGone && isTold(excuses, key, refund)
  })
  const recorded = new Set(refunds.map((refund) => String(refund['out_refund_no'])))
  return sum(gone, 'refund_fee') + excuses.heldBackFen(key, recorded)
}

/** (2) What upstream took is in our rows, and what is in our rows was taken upstream. */
function sameMoney(
  { excuses }: Books,
  order: Row,
  ledger: LedgerRow | undefined,
  { squatted }: Evidence,
): string[] {
  const isPaid = PAID.includes(String(order['state']))
  const paidFen = ledger?.paid_fen ?? 0
  if (squatted.has(String(order['out_trade_no']))) {
    return isPaid ? [`invented: is ${order['state']} by a payment for somebody else's order`] : []
  }
  // No anomaly makes up for this one: goods would be handed out for nothing.
  if (isPaid && paidFen !== order['total_fee']) {
    return [`invented: is ${order['state']} with ${order['total_fee']}, upstream took ${paidFen}`]
  }
  if (isPaid) return []
  // What came and went back again upstream is missing nowhere; that it went back is for sameRefunds to look at.
  const missingFen = paidFen - backUpstreamFen(ledger)
  if (missingFen <= excuses.paymentFen(keyOf(order))) return []
  return [`lost: upstream took ${paidFen} and has ${missingFen} of it, is ${order['state']}`]
}

const backUpstreamFen = (ledger: LedgerRow | undefined): number =>
  (ledger?.refunds ?? []).reduce((fen, { fee, state }) => (state === 'succeeded' ? fen + fee : fen), 0)

/** (2) Number by number, what went back upstream went back in our rows. */
function sameRefunds(
  { excuses }: Books,
  order: Row,
  refunds: Row[],
  ledger: LedgerRow | undefined,
  { duplicated }: Evidence,
): string[] {
  const key = keyOf(order)
  const found: string[] = []
  const isPaid = PAID.includes(String(order['state']))
  const ours = new Map(refunds.map((row) => [String(row['out_refund_no']), row]))
  const theirs = new Map((ledger?.refunds ?? []).map((refund) => [refund.out_refund_no, refund]))
  for (const [number, { fee, state }] of theirs) {
    // Heard twice, refused once and taken once: nobody but upstream could know.
    if (duplicated.has(number)) continue
    const isExcused = excuses.refundFen(key, number) >= fee
    const row = ours.get(number)
    if (!row) {
      const took = state !== 'failed' && state !== 'void'
      // Of a payment that is ours it could have been taken over: that a bill shows it is no excuse.
      const isExcusedHere = isPaid ? excuses.outsideFen(key, number) >= fee : isExcused
      if (took && !isExcusedHere) found.push(`refund ${number} of ${fee} is upstream only`)
      continue
    }
    // Of a refund that we did not make the amount is what Cloud Pay says, until it says something else.
    if (row['refund_fee'] !== fee && !isExcused)
      found.push(`refund ${number}: ${row['refund_fee']} here, ${fee} upstream`)
    const expected = { succeeded: 'succeeded', failed: 'failed', void: 'failed', change: 'needs_person' }[
      state
    ]
    // What failed here and went back there can go back once more: no anomaly makes up for that.
    const isLost = row['state'] === 'failed' && state === 'succeeded'
    if (row['state'] !== expected && (!isExcused || isLost)) {
      found.push(`refund ${number}: ${row['state']} here, ${state} upstream`)
    }
  }
  for (const [number, row] of ours) {
    if (!theirs.has(number) && row['state'] === 'succeeded')
      found.push(`refund ${number} succeeded here only`)
  }
  return found
}

/** (3) The events of an order tell of one legal path, and its row is where the path ends. */
function legalPaths({ orders, events }: Books): string[] {
  const found: string[] = []
  for (const order of orders) {
    const key = keyOf(order)
    let state: unknown = null
    let before = 0
    for (const { seq, from_state: from, to_state: to } of events.get(key) ?? []) {
      if (from !== state)
        found.push(`${key}: event ${seq} leaves ${from}, the one before ended in ${String(state)}`)
      if (from === null && to !== 'created') found.push(`${key}: begins as ${to}`)
      if (from !== null && from !== to && !EDGES[from!]?.includes(String(to))) {
        found.push(`${key}: ${from} → ${to} is no legal move`)
      }
      if (Number(seq) <= before) found.push(`${key}: event ${seq} after ${before}`)
      before = Number(seq)
      state = to
    }
    if (state !== order['state'])
      found.push(`${key}: is ${order['state']}, its events end in ${String(state)}`)
    if (before > Number(order['version'])) found.push(`${key}: an event from the future`)
  }
  const known = new Set(orders.map(keyOf))
  for (const key of events.keys()) if (!known.has(key)) found.push(`${key}: events of no order`)
  return found
}

/** (4) What happens once happens once. */
function onlyOnce({ events, outbox }: Books, order: Row, refunds: Row[]): string[] {
  const key = keyOf(order)
  const found: string[] = []
  const told = (types: string[]) =>
    outbox.filter((row) => keyOf(row) === key && types.includes(String(row['type']))).length
  for (const states of [['paid', 'paid_after_close'], ['refunded']]) {
    const entered = (events.get(key) ?? []).filter(
      ({ from_state, to_state }) => from_state !== to_state && states.includes(String(to_state)),
    ).length
    if (entered > 1) found.push(`doubled: entered ${states.join(' or ')} ${entered} times`)
  }
  const paidMessages = told(['order.paid', 'order.paid_after_close'])
  if (paidMessages > 1) found.push(`doubled: told ${paidMessages} times that it is paid`)
  // An attempt that failed is followed by another; and so is a refund that somebody asked for, when it fails later on.
  const stands = refunds.filter(({ origin, state }) => origin === 'automatic' && state !== 'failed').length
  const failed = refunds.filter(({ state }) => state === 'failed').length
  if (stands > 1 + failed) found.push(`doubled: ${stands} automatic refunds`)
  return found
}

/** (5) What goes back is never more than what came, and the order's two counters say how much it is. */
function neverTooMuch(order: Row, refunds: Row[], ledger: LedgerRow | undefined): string[] {
  const found: string[] = []
  const total = Number(order['total_fee'])
  const held = sum(
    refunds.filter((refund) => refund['state'] !== 'failed'),
    'refund_fee',
  )
  const back = sum(
    refunds.filter((refund) => refund['state'] === 'succeeded'),
    'refund_fee',
  )
  if (order['reserved_fen'] !== held)
    found.push(`has reserved ${order['reserved_fen']}, its refunds hold ${held}`)
  if (order['refunded_fen'] !== back)
    found.push(`has refunded ${order['refunded_fen']}, its refunds say ${back}`)
  if (held > total) found.push(`refunds of ${held} are promised for ${total}`)
  if ((order['state'] === 'refunded') !== (back === total)) {
    found.push(`is ${order['state']} with ${back} of ${total} gone back`)
  }
  const upstream = (ledger?.refunds ?? []).filter(
    ({ state }) => state === 'succeeded' || state === 'processing',
  )
  const upstreamFen = upstream.reduce((fen, { fee }) => fen + fee, 0)
  if (upstreamFen > (ledger?.paid_fen ?? 0)) {
    found.push(`over-refunded: ${upstreamFen} went back upstream of ${ledger?.paid_fen ?? 0}`)
  }
  return found
}

const TOLD_OF_STATE: Readonly<Record<string, string>> = {
  paid: 'order.paid',
  closed: 'order.closed',
  paid_after_close: 'order.paid_after_close',
}
const TOLD_OF_REFUND: Readonly<Record<string, string>> = {
  succeeded: 'refund.succeeded',
  failed: 'refund.failed',
}

/** (6) The merchant is told what happened: all of it, and nothing else. */
function everybodyTold({ orders, events, refunds, anomalies, outbox }: Books): string[] {
  const expected = new Map<string, string>()
  const expect = (type: string, about: unknown, merchant: unknown, why: string) => {
    const text = String(about)
    const name = /^[0-9A-Za-z]{1,64}$/.test(text)
      ? text
      : createHash('sha256')
          .update(`${String(merchant)} ${text}`)
          .digest('hex')
    expected.set(`evt_${type.replace('.', '_')}_${name}`, why)
  }
  for (const order of orders) {
    const key = keyOf(order)
    for (const { from_state, to_state, seq } of events.get(key) ?? []) {
      const type = from_state === to_state ? undefined : TOLD_OF_STATE[String(to_state)]
      if (type !== undefined)
        expect(type, order['out_trade_no'], order['out_sub_mch_id'], `event ${seq} of ${key}`)
    }
    for (const refund of refunds.get(key) ?? []) {
      const type = TOLD_OF_REFUND[String(refund['state'])]
      if (type !== undefined)
        expect(type, refund['out_refund_no'], refund['out_sub_mch_id'], `refund ${refund['out_refund_no']}`)
    }
  }
  for (const { id, out_sub_mch_id } of anomalies) expect('anomaly', id, out_sub_mch_id, `anomaly ${id}`)

  const told = new Set(outbox.map(({ id }) => String(id)))
  const found: string[] = []
  for (const [id, why] of expected) if (!told.has(id)) found.push(`not told: ${id}, for ${why}`)
  for (const id of told) if (!expected.has(id)) found.push(`told for nothing: ${id}`)
  return found
}

/** What is marked as delivered was taken by somebody, and nothing waits for ever. */
function heard({ outbox, excuses }: Books, { told }: Evidence): string[] {
  if (!told) return []
  const found: string[] = []
  const undelivered = new Map<string, number>()
  for (const { id, delivered_at, out_sub_mch_id } of outbox) {
    if (delivered_at === null) {
      const count = (undelivered.get(String(out_sub_mch_id)) ?? 0) + 1
      undelivered.set(String(out_sub_mch_id), count)
      if (count > excuses.messages(String(out_sub_mch_id))) found.push(`${id}: never delivered`)
    } else if (!told.has(String(id))) found.push(`${id}: marked as delivered, and nobody has heard it`)
  }
  return found
}

/** (2) No money upstream without a row that knows of it. */
function nobodyForgotten({ upstream, orders, excuses }: Books, { squatted }: Evidence): string[] {
  const known = new Set(orders.map(keyOf))
  return [...upstream]
    .filter(([key, row]) => row.paid_fen > 0 && !known.has(key) && !squatted.has(row.out_trade_no))
    .filter(([key, { paid_fen }]) => paid_fen > excuses.paymentFen(key))
    .map(([key, { paid_fen }]) => `${key}: lost: upstream took ${paid_fen}, we know of no such order`)
}

/** Two orders for one thing are never both kept: what is left of the other goes back, or is stuck and a person knows. */
function onePaymentPerPurchase(books: Books): string[] {
  const { orders, refunds, excuses } = books
  const paid = new Map<string, string[]>()
  for (const order of orders) {
    if (order['merchant_order_id'] === null || !PAID.includes(String(order['state']))) continue
    const key = keyOf(order)
    if (isFrozen(excuses, order) || backFen(books, key, refunds.get(key) ?? []) >= Number(order['total_fee']))
      continue
    const purchase = `${order['out_sub_mch_id']}/${order['merchant_order_id']}`
    paid.set(purchase, [...(paid.get(purchase) ?? []), String(order['out_trade_no'])])
  }
  return [...paid]
    .filter(([, numbers]) => numbers.length > 1)
    .map(([purchase, numbers]) => `${purchase}: paid twice and kept, as ${numbers.join(' and ')}`)
}

/** Who is told "refused" can order anew: so upstream must not have the order. */
function failedOnlyIfRefused(
  { events }: Books,
  order: Row,
  ledger: LedgerRow | undefined,
  { duplicated, squatted }: Evidence,
): string[] {
  const number = String(order['out_trade_no'])
  const failed = (events.get(keyOf(order)) ?? []).some(
    // Not one that was never found until long after its expiry: Alipay knows no trade that nobody has opened.
    ({ to_state, detail }) => to_state === 'failed' && String(detail).includes('"by":"create"'),
  )
  // A request that the network delivers twice can be taken and refused: nobody but upstream could know.
  if (!failed || !ledger || duplicated.has(number) || squatted.has(number)) return []
  return [`failed, and yet upstream has it as ${ledger.state}`]
}

/** Not found counts from then on, in seconds after the expiry. */
const NOT_FOUND_AFTER_S = 600

/** An order ends unpaid only when nobody can pay it any more. */
function endedRightly(
  { events }: Books,
  order: Row,
  ledger: LedgerRow | undefined,
  { paidInTime, duplicated, squatted }: Evidence,
): string[] {
  const number = String(order['out_trade_no'])
  if (duplicated.has(number) || squatted.has(number)) return []
  const found: string[] = []
  for (const { from_state, to_state, at, detail } of events.get(keyOf(order)) ?? []) {
    if (from_state === to_state || (to_state !== 'closed' && to_state !== 'failed')) continue
    const isEarly = Number(at) < Number(order['time_expire']) + NOT_FOUND_AFTER_S
    if (String(detail).includes('not_found') && isEarly)
      found.push(`is ${to_state} because it was not found yet`)
    // Alipay shows what went back in full as closed.
    if (paidInTime.has(number) && backUpstreamFen(ledger) < (ledger?.paid_fen ?? 0))
      found.push(`was ${to_state}, and could be paid`)
  }
  return found
}

/** What was sent had been counted, or a second answer would be taken for the only one. */
function counted(order: Row, refunds: Row[], { transmissions }: Evidence): string[] {
  const found: string[] = []
  const check = (number: string, sends: number) => {
    const sent = transmissions.get(number) ?? 0
    if (sent > sends) found.push(`${number}: was sent ${sent} times, counted ${sends} times`)
  }
  check(String(order['out_trade_no']), Number(order['sends']))
  for (const refund of refunds) check(String(refund['out_refund_no']), Number(refund['sends']))
  return found
}

/** What we said to have kept is kept. */
function kept({ query, acknowledged }: Evidence): string[] {
  const ids = new Set(query('SELECT id FROM notifications').map(({ id }) => id))
  return acknowledged
    .filter(({ text }) => !ids.has(createHash('sha256').update(text).digest('hex')))
    .map(({ number }) => `${number}: a notification was acknowledged and is not kept`)
}

/** Nobody sends money back by himself without having asked just before whether it is there. */
function freshlyAsked({ refunds }: Books, { received }: Evidence): string[] {
  const automatic = new Set(
    [...refunds.values()]
      .flat()
      .filter((refund) => refund['origin'] === 'automatic')
      .map((refund) => String(refund['out_refund_no'])),
  )
  if (automatic.size === 0) return []
  const asked = new Map<string, number>()
  const found: string[] = []
  for (const { at, interface: suffix, request_content: text } of received) {
    if (text === undefined || (suffix !== 'query_order' && suffix !== 'refund')) continue
    const content = JSON.parse(text) as {
      out_trade_no: string
      refund_content?: { out_trade_no: string; out_refund_no: string }
    }
    if (suffix === 'query_order') asked.set(content.out_trade_no, at)
    const refund = content.refund_content
    if (!refund || !automatic.delete(refund.out_refund_no)) continue
    if (at - (asked.get(refund.out_trade_no) ?? 0) > FRESH_MS) {
      found.push(`${refund.out_refund_no}: sent back automatically, and nobody had asked whether it was paid`)
    }
  }
  return found
}

/** A function's life, and a request that dawdles. */
const FRESH_MS = 130_000

/** Every row and every request about a number names the sub-merchant whose prefix it has. */
function ownSubMerchant({ query, received, prefixes }: Evidence): string[] {
  if (prefixes.size < 2) return []
  const found: string[] = []
  const check = (what: string, number: string, named: unknown) => {
    const whose = [...prefixes].find(([prefix]) => number.startsWith(prefix))?.[1]
    if (number !== '' && whose !== named) found.push(`${what} about ${number} names ${String(named)}`)
  }
  for (const table of ['orders', 'order_events', 'refunds', 'outbox', 'anomalies'])
    for (const row of query(`SELECT out_sub_mch_id, out_trade_no FROM ${table}`))
      check(`a row of ${table}`, String(row['out_trade_no'] ?? ''), row['out_sub_mch_id'])
  for (const { interface: suffix, request_content: text } of received) {
    if (text === undefined) continue
    const { pay_mch_key, pay_content, refund_content, out_trade_no } = JSON.parse(text) as {
      pay_mch_key?: { out_sub_mch_id?: string }
      pay_content?: { out_trade_no: string }
      refund_content?: { out_trade_no: string }
      out_trade_no?: string
    }
    const number = pay_content?.out_trade_no ?? refund_content?.out_trade_no ?? out_trade_no ?? ''
    check(suffix, number, pay_mch_key?.out_sub_mch_id)
  }
  return found
}

/** What was paid by code is never closed: that gives the money back. And a code that nobody may send again is gone. */
function scanned({ orders }: Books, { received }: Evidence): string[] {
  const numbers = new Map(
    orders
      .filter((order) => order['trade_type'] === 1)
      .map((order) => [String(order['out_trade_no']), order]),
  )
  if (numbers.size === 0) return []
  const found: string[] = []
  for (const [number, order] of numbers) {
    if (/author_code[^,}]*\d{16}/.test(String(order['request_content'])))
      found.push(`${number}: its code lies in the clear`)
    if ((order['author_code_sealed'] ?? null) !== null && FINAL.includes(String(order['state'])))
      found.push(`${number}: is ${order['state']}, and its code is still there`)
  }
  for (const { interface: suffix, request_content: text } of received) {
    if (suffix !== 'close_order' || text === undefined) continue
    const { out_trade_no } = JSON.parse(text) as { out_trade_no: string }
    if (numbers.has(out_trade_no)) found.push(`${out_trade_no}: was scanned, and somebody asked to close it`)
  }
  return found
}

/** An order that says it is purged has no texts left, and names nobody. */
function purged({ orders, refunds, outbox }: Books): string[] {
  const found: string[] = []
  for (const order of orders) {
    if ((order['purged_at'] ?? null) === null) continue
    const key = keyOf(order)
    if (order['request_content'] !== '') found.push(`${key}: is purged, and has its request`)
    if (!/^(erased|sha256:.*|)$/.test(String(order['payer_id'])))
      found.push(`${key}: is purged, and names its payer`)
    for (const { out_refund_no, request_content: text } of refunds.get(key) ?? [])
      if (text !== '' && text !== null)
        found.push(`${key}: is purged, and has the request of ${out_refund_no}`)
    for (const row of outbox)
      if (keyOf(row) === key && row['payload'] !== '')
        found.push(`${key}: is purged, and has the message ${row['id']}`)
  }
  return found
}

/** Whatever is sent again is sent byte for byte. */
function sameText({ received, squatted }: Evidence): string[] {
  const found: string[] = []
  const texts = new Map<string, string>()
  for (const { interface: suffix, request_content: text } of received) {
    if (text === undefined || !/_pay$|^refund$/.test(suffix)) continue
    const content = JSON.parse(text) as {
      pay_content?: { out_trade_no: string }
      refund_content?: { out_refund_no: string }
    }
    const number = content.pay_content?.out_trade_no ?? content.refund_content?.out_refund_no
    if (squatted.has(number ?? '')) continue
    const key = `${suffix} ${number}`
    const before = texts.get(key)
    if (before !== undefined && before !== text) found.push(`${key}: sent again with another text`)
    texts.set(key, text)
  }
  return found
}

/** What a payer ordered costs what the catalogue said, and is the payer's. */
function soldAtItsPrice({ orders }: Books, { closed }: Evidence): string[] {
  if (closed?.who !== 'payer') return []
  const found: string[] = []
  for (const order of orders) {
    if (!closed.fees.has(Number(order['total_fee'])))
      found.push(`${keyOf(order)}: costs ${order['total_fee']}, which was never its price`)
    if (!/^(oTestPayer0001|erased|sha256:.*)$/.test(String(order['payer_id'])))
      found.push(`${keyOf(order)}: is somebody else's`)
  }
  return found
}

/** WeChat is told of every order that was paid in the mini-program, once, in one text, and of no other. */
function shippedOnce({ orders, events, shipping, anomalies }: Books, { closed }: Evidence): string[] {
  if (closed?.who !== 'payer') return shipping.map(({ id }) => `${id}: nobody ships it`)
  const { shipped, received } = closed.shippings
  const found: string[] = []
  const paid = new Set<string>()
  for (const order of orders) {
    const key = keyOf(order)
    const isPaid = (events.get(key) ?? []).some(
      ({ from_state, to_state }) =>
        from_state !== to_state &&
        (to_state === 'paid' || (to_state === 'paid_after_close' && order['late_policy'] === 'honour')),
    )
    const tasks = shipping.filter((row) => keyOf(row) === key)
    if (tasks.length !== (isPaid ? 1 : 0)) found.push(`${key}: is told to WeChat ${tasks.length} times`)
    if (isPaid) paid.add(String(order['transaction_id']))
    for (const { delivered_at, next_due_at_ms, last_error } of tasks) {
      const isKnown = shipped.has(String(order['transaction_id']))
      if (next_due_at_ms !== null) found.push(`${key}: its shipping waits for ever`)
      else if (delivered_at !== null && !isKnown)
        found.push(`${key}: is marked as shipped, and WeChat does not know`)
      else if (delivered_at === null && last_error !== 'refunded' && !anomalies.some(isFrozenAtWeChat))
        found.push(`${key}: its money is frozen, and nobody has been told`)
    }
  }
  const texts = new Map<string, Set<string>>()
  for (const text of received) {
    const { order_key } = JSON.parse(text) as { order_key: { transaction_id: string } }
    const { transaction_id } = order_key
    if (!paid.has(transaction_id)) found.push(`WeChat is told of ${transaction_id}, which nobody paid`)
    texts.set(transaction_id, (texts.get(transaction_id) ?? new Set()).add(text))
  }
  for (const [transaction_id, { size }] of texts)
    if (size > 1) found.push(`WeChat is told of ${transaction_id} in ${size} texts`)
  return found
}

const isFrozenAtWeChat = ({ kind }: Row): boolean => kind === 'shipping_not_uploaded'
