import { listDueWindows, listWindowsOf, postponeWindowsOf } from '../../shared/store/billWindows'
import { forgetCounters } from '../../shared/store/counters'
import { listDueOrders, listDueRefunds, listUnknownStates, listWork } from '../../shared/store/due'
import { listMarks } from '../../shared/store/marks'
import { listAdoptable } from '../../shared/store/notifications'
import type { Store } from '../../shared/store/open'
import { listOrdersIn } from '../../shared/store/orders'
import { listDueMessages, listDueShipping } from '../../shared/store/outbox'
import { listSucceededRefunds } from '../../shared/store/refunds'
import { listPurgeable, listResolved } from '../../shared/store/retention'
import { forgetRevocations } from '../../shared/store/revocations'
import { forgetSpent } from '../../shared/store/spent'
import { setUp, unhurried, type ServerKind } from '../contract/ready'
import { addRows, analyse, AT, doubleRows, LATER_MS, putOff, SUB } from '../support/backlogRows'
import { readingOf } from '../support/rowsRead'

/**
 * What the timer reads must not depend on how much is due, nor on how much is kept: each of its statements for more than one
 * row, with a thousand rows and with a quarter of a million, by what the server says it has read.
 */
const FEW = 1_000
const MANY = 256_000
/** The most any of them may read, the parts that are put together and sorted included. */
const READ_MAX = 6_000

const page = { out_sub_mch_id: SUB, limit: 60 }
const window = { out_sub_mch_id: SUB, from: 0, to: 3_000_000_000, after: '', limit: 500 }
/** Not all there is: what is deleted with a thousand rows is not there to be doubled. */
const FORGOTTEN = 300
const kept = { nowS: 2_000_000_000, before: 2_000_000_000, limit: 200 }
const LISTS: Record<string, (store: Store) => Promise<unknown>> = {
  'who has work': listWork,
  'new orders': (store) => listDueOrders(store, page, 'new'),
  'late orders': (store) => listDueOrders(store, page, 'late'),
  refunds: (store) => listDueRefunds(store, page),
  'states of a newer version': (store) =>
    listUnknownStates(store, { of: 'orders', state: 'disputed', ...page }),
  'notifications without an order': (store) => listAdoptable(store, 200),
  messages: (store) => listDueMessages(store, 50),
  shipping: (store) => listDueShipping(store, 50),
  marks: (store) => listMarks(store, 'silent:'),
  'windows of the bill': (store) => listDueWindows(store, 50),
  'windows of one': (store) => listWindowsOf(store, SUB, 500),
  'orders of a window': (store) => listOrdersIn(store, { ...window, state: 'paid' }),
  'refunds of a window': (store) => listSucceededRefunds(store, window),
  'orders that are kept': (store) => listPurgeable(store, kept),
  'orders that are kept, behind one of the same second': (store) =>
    listPurgeable(store, { ...kept, after: { updated_at: AT, out_sub_mch_id: SUB, out_trade_no: 'b3' } }),
  'orders that are kept, behind those of another sub-merchant': (store) =>
    listPurgeable(store, { ...kept, after: { updated_at: AT, out_sub_mch_id: 'a', out_trade_no: 'b3' } }),
  'resolved anomalies': (store) => listResolved(store, kept),
  'resolved anomalies, behind one of the same second': (store) =>
    listResolved(store, { ...kept, after: { resolved_at: AT, id: 'a3' } }),
}

const WRITES: Record<string, (store: Store) => Promise<unknown>> = {
  'forget what may be used once': (store) => forgetSpent(store, AT, FORGOTTEN),
  'forget revocations': (store) => forgetRevocations(store, AT, FORGOTTEN),
  'forget counters of minutes': (store) => forgetCounters(store, 60_000, Date.now(), FORGOTTEN),
  'forget counters of days': (store) => forgetCounters(store, 86_400_000, Date.now(), FORGOTTEN),
  'put off the windows of one': (store) => postponeWindowsOf(store, SUB, 1000),
}

export function backlogContract({ start }: ServerKind): void {
  const { fresh, open } = setUp({ start })
  let url: string
  let rows = 0
  beforeAll(async () => {
    url = await fresh()
  })

  async function fill(upTo: number): Promise<Store> {
    const store = open(url)
    unhurried(store)
    if (rows === 0) await addRows(store, (rows = FEW))
    for (; rows < upTo; rows *= 2) await doubleRows(store, rows)
    await analyse(store)
    return store
  }

  const readBy = async (store: Store, work: (store: Store) => Promise<unknown>) =>
    (await readingOf(store, work)).rows

  describe('with a backlog', () => {
    test.each([FEW, MANY])(
      'of %i rows, each list of the timer reads a bounded number of them',
      async (upTo) => {
        const store = await fill(upTo)
        const read: Record<string, number> = {}
        for (const [name, say] of Object.entries({ ...LISTS, ...WRITES }))
          read[name] = await readBy(store, say)
        // As many rows, and none of them due yet.
        await putOff(store, LATER_MS)
        for (const [name, say] of Object.entries(LISTS)) read[`${name}, not due`] = await readBy(store, say)
        await putOff(store, -LATER_MS)
        const tooMuch = Object.entries(read).filter(([, count]) => !(count <= READ_MAX))
        expect(tooMuch).toEqual([])
        // A measure that sees nothing would hold as well.
        for (const name of ['late orders', 'orders that are kept', 'resolved anomalies'])
          expect([name, read[name]! > 0]).toEqual([name, true])
        for (const name of Object.keys(WRITES).filter((one) => !/days/.test(one)))
          expect([name, read[name]! >= FORGOTTEN]).toEqual([name, true])
      },
    )
  })
}
