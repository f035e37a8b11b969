import { isKnownRefundState } from '../order/refund'
import { isKnownState } from '../order/state'
import { useUpTo } from '../store/counters'
import { listDueOrders, listDueRefunds, type DueOrder, type DueRefund, type Work } from '../store/due'
import { timerRate } from './budget'
import type { KnownMerchant, Payments } from './context'
import type { Silence } from './silence'

/**
 * One batch of what is due, put together so that nobody's work waits behind somebody else's: not a new order behind a
 * thousand that always fail, not one sub-merchant behind another, not what can be read behind what cannot.
 */
export type Item = { order: DueOrder } | { refund: DueRefund } | { silent: KnownMerchant }

export type Batch = {
  items: Item[]
  /** Due, and not in this batch although it could have been: there is no more room in it. */
  left: boolean
  /** Whose rate is used up. */
  rated: Set<string>
}

export const BATCH = 60
/** What is asked of the database for one sub-merchant is worth it for so many in one batch. */
const MERCHANTS = 20

/** Runs one of several lists; one that fails is told of, and leaves the others to their work. */
export type Attempt = <T>(lane: string, work: () => Promise<T[]>) => Promise<T[]>

export async function pickDue(
  payments: Payments,
  work: readonly Work[],
  silence: Silence,
  attempt: Attempt,
): Promise<Batch> {
  const waiting = rotate(payments, withWork(payments, work))
  const now = waiting.slice(0, MERCHANTS)
  const share = waiting.length === 1 ? BATCH : BATCH / 2
  const rated = new Set<string>()
  let left = waiting.length > now.length
  const queues: Item[][] = []
  for (const merchant of now) {
    const { out_sub_mch_id } = merchant
    const due = silence.isSilent(out_sub_mch_id)
      ? [{ silent: merchant }]
      : await dueOf(payments, out_sub_mch_id, share, attempt)
    const rate = timerRate(payments, out_sub_mch_id)
    const granted = await attempt('rate', async () =>
      due.slice(0, await useUpTo(payments.store, rate, due.length)),
    )
    if (granted.length < due.length) rated.add(out_sub_mch_id)
    // There may be more of them than were asked for.
    else if (due.length === share) left = true
    queues.push(granted)
  }
  // One of each in turn.
  const items = Array.from({ length: share }, (_, at) =>
    queues.flatMap((queue) => queue.slice(at, at + 1)),
  ).flat()
  return { items: items.slice(0, BATCH), left: left || items.length > BATCH, rated }
}

/** Those we serve, in states that we know. */
function withWork({ merchants }: Payments, work: readonly Work[]): KnownMerchant[] {
  const ids = new Set(work.filter(isKnown).map(({ out_sub_mch_id }) => out_sub_mch_id))
  return merchants.all.filter(({ out_sub_mch_id }) => ids.has(out_sub_mch_id))
}

export const isKnown = ({ of, state }: Work): boolean =>
  of === 'orders' ? isKnownState(state) : isKnownRefundState(state)

/** Not always the same one first. */
function rotate<T>(payments: Payments, list: T[]): T[] {
  const first = list.length === 0 ? 0 : payments.random(2).readUInt16BE() % list.length
  return [...list.slice(first), ...list.slice(0, first)]
}

/** Half of a share are orders nobody has looked at yet, the newest first: those that always fail cannot stand in their way. */
async function dueOf(
  { store }: Payments,
  out_sub_mch_id: string,
  share: number,
  attempt: Attempt,
): Promise<Item[]> {
  const page = (limit: number) => ({ out_sub_mch_id, limit })
  const fresh = await attempt('new', () => listDueOrders(store, page(Math.ceil(share / 2)), 'new'))
  const late = await attempt('late', () => listDueOrders(store, page(share), 'late'))
  const refunds = await attempt('refunds', () => listDueRefunds(store, page(Math.ceil(share / 4))))
  const known = new Set(fresh.map(({ out_trade_no }) => out_trade_no))
  const orders = [...fresh, ...late.filter(({ out_trade_no }) => !known.has(out_trade_no))]
  // In turn, a new order first: when time is short, neither kind stands in the other's way.
  const items = Array.from({ length: share }, (_, at): Item[] => [
    ...orders.slice(at, at + 1).map((order) => ({ order })),
    ...refunds.slice(at, at + 1).map((refund) => ({ refund })),
  ])
  return items.flat().slice(0, share)
}
