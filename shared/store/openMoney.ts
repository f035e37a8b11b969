import { sql } from 'kysely'
import { ORDER_STATES, isOpen } from '../order/state'
import { REFUND_STATES, isSettled } from '../order/refund'
import type { Store } from './open'

/** What somebody still has to look after: taking the timer or the notify address away would leave it lying. */
export type OpenMoney = {
  /** Open, or paid late and not yet sent back, or looked at again for a day. */
  orders: number
  refunds: number
  /** To the merchant, and not given up. Without anybody to tell, they wait for ever. */
  messages: number
}

/**
 * Counts by "not known to be over" and not by "known to be open": a state that a newer version has written counts.
 * Reads whole tables; for a deployment, not for a door.
 */
export async function countOpenMoney({ db }: Store): Promise<OpenMoney> {
  const number = sql<number | string>`count(*)`.as('number')
  const over = ORDER_STATES.filter((state) => !isOpen(state))
  const settled = REFUND_STATES.filter(isSettled)
  const orders = db
    .selectFrom('orders')
    .select(number)
    .where(({ or, eb }) => or([eb('next_due_at_ms', 'is not', null), eb('state', 'not in', over)]))
  const refunds = db
    .selectFrom('refunds')
    .select(number)
    .where(({ or, eb }) => or([eb('next_due_at_ms', 'is not', null), eb('state', 'not in', settled)]))
  const messages = db.selectFrom('outbox').select(number).where('next_due_at_ms', 'is not', null)
  const count = async (query: { executeTakeFirstOrThrow(): Promise<{ number: number | string }> }) =>
    Number((await query.executeTakeFirstOrThrow()).number)
  return { orders: await count(orders), refunds: await count(refunds), messages: await count(messages) }
}
