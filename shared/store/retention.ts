import { sql, type Expression, type ExpressionBuilder, type SqlBool } from 'kysely'
import { ERASED, hashedPayerId } from '../base/payer'
import type { Order } from '../order/order'
import { isSettled, REFUND_STATES } from '../order/refund'
import { isOpen, ORDER_STATES } from '../order/state'
import type { Store } from './open'
import type { OrderKey } from './orders'
import { allOf, statement } from './statements'
import type { Tables } from './tables'
import { numbers, one, read, write, writeOne, type Outcome, type Say } from './transaction'

/**
 * What is kept of a person, and for how long. An order is over when it is in no state that waits for anything, when
 * nothing is due for it, when none of its refunds is under way, when no anomaly about it is open, and when its messages
 * have been delivered or nobody takes them. Then its texts have no purpose left but disputes; after the retention they
 * go: the request as it was sent, the hand-over, what its notifications claimed, the bodies of its messages, reasons and
 * notes in free text, what Cloud Pay wrote of a refusal. The payer's id becomes its hash: who has the id still finds the order, the order does not tell it.
 *
 * Everything that counts stays: numbers, amounts, states, events, refunds, and `content_hash`, so that a repeat under
 * the same number is still told from another order. A refund needs no more than that.
 *
 * A purge does not move the version: it is guarded by the one it was decided on, so a change that comes first wins; and
 * one that comes later sets `purged_at` to null, and is purged in its turn.
 */
export type Purgeable = OrderKey &
  Pick<Order, 'version' | 'state' | 'payer_field' | 'payer_id' | 'caller' | 'updated_at'>

const OVER = ORDER_STATES.filter((state) => !isOpen(state))
const SETTLED = REFUND_STATES.filter(isSettled)
/** Longer than the ladder: who has not taken a message by then is not waiting for it. */
export const MESSAGE_LIFE_S = 3 * 86_400

type Given = { sent_by: number }

/** Said where orders are looked for, and again where one is written: nothing may have changed in between. */
const isOver =
  ({ sent_by }: Given) =>
  ({ and, eb, not, exists, selectFrom }: ExpressionBuilder<Tables, 'orders'>): Expression<SqlBool> =>
    and([
      eb('orders.state', 'in', OVER),
      eb('orders.next_due_at_ms', 'is', null),
      not(
        exists(
          selectFrom('refunds')
            .select('refunds.out_refund_no')
            .whereRef('refunds.out_sub_mch_id', '=', 'orders.out_sub_mch_id')
            .whereRef('refunds.out_trade_no', '=', 'orders.out_trade_no')
            .where('refunds.state', 'not in', SETTLED),
        ),
      ),
      not(
        exists(
          selectFrom('anomalies')
            .select('anomalies.id')
            .whereRef('anomalies.out_sub_mch_id', '=', 'orders.out_sub_mch_id')
            .whereRef('anomalies.out_trade_no', '=', 'orders.out_trade_no')
            .where('anomalies.resolved_at', 'is', null),
        ),
      ),
      not(
        exists(
          selectFrom('outbox')
            .select('outbox.id')
            .whereRef('outbox.out_sub_mch_id', '=', 'orders.out_sub_mch_id')
            .whereRef('outbox.out_trade_no', '=', 'orders.out_trade_no')
            .where('outbox.next_due_at_ms', 'is not', null)
            .where('outbox.created_at', '>', sent_by),
        ),
      ),
    ])

/** Which row a page begins behind; the values are those of its index, in its order. */
export type KeptPlace = OrderKey & Pick<Order, 'updated_at'>
export const FIRST_KEPT: KeptPlace = { updated_at: -1, out_sub_mch_id: '', out_trade_no: '' }

/** Orders that are not over are part of the page: they may be many, and no page reads more rows than it has. */
const selectKept = statement<Given & KeptPlace & { before: number; limit: number }>((db, given) => {
  const kept = db
    .selectFrom('orders')
    .select(['out_sub_mch_id', 'out_trade_no', 'version', 'state', 'payer_field', 'payer_id', 'caller'])
    .select(['updated_at', 'next_due_at_ms'])
    .where('purged_at', 'is', null)
    .where('updated_at', '<', given.before)
    .limit(given.limit)
  const sameSecond = kept.where('updated_at', '=', given.updated_at)
  const page = db
    .selectFrom(
      allOf([
        sameSecond
          .where('out_sub_mch_id', '=', given.out_sub_mch_id)
          .where('out_trade_no', '>', given.out_trade_no)
          .orderBy('out_trade_no'),
        sameSecond
          .where('out_sub_mch_id', '>', given.out_sub_mch_id)
          .orderBy('out_sub_mch_id')
          .orderBy('out_trade_no'),
        kept
          .where('updated_at', '>', given.updated_at)
          .orderBy('updated_at')
          .orderBy('out_sub_mch_id')
          .orderBy('out_trade_no'),
      ]).as('ranges'),
    )
    .selectAll()
    .orderBy('updated_at')
    .orderBy('out_sub_mch_id')
    .orderBy('out_trade_no')
    .limit(given.limit)
  return db
    .selectFrom(page.as('orders'))
    .selectAll()
    .select((eb) => eb.and([isOver(given)(eb)]).as('is_over'))
    .orderBy('updated_at')
    .orderBy('out_sub_mch_id')
    .orderBy('out_trade_no')
})

/**
 * Of the first orders behind `after` that have not changed since `before` (epoch seconds), the oldest first, those that are
 * over. `last`: the last one that was looked at, if there may be more behind it.
 */
export async function listPurgeable(
  store: Store,
  { nowS, ...page }: { nowS: number; before: number; limit: number; after?: KeptPlace },
): Promise<{ orders: Purgeable[]; last: KeptPlace | undefined }> {
  const { before, limit, after = FIRST_KEPT } = page
  const given = { before, limit, ...placeOf(after), sent_by: nowS - MESSAGE_LIFE_S }
  const rows = (await read<object>(store, selectKept(store, given))).map((row) =>
    numbers<Purgeable & { is_over: number }>(row, ['updated_at', 'is_over']),
  )
  const last = rows.length < limit ? undefined : rows.at(-1)
  const orders = rows.flatMap(({ is_over, ...order }) => (is_over ? [order] : []))
  return { orders, last: last && placeOf(last) }
}

export const placeOf = ({ updated_at, out_sub_mch_id, out_trade_no }: KeptPlace): KeptPlace => ({
  updated_at,
  out_sub_mch_id,
  out_trade_no,
})

type OrderValues = Given &
  OrderKey &
  Pick<Order, 'version' | 'state' | 'payer_id'> & { payer_was: string; now: number }

/**
 * `erase`: the purge, and nothing stays by which a person could be found. `erase_own`: of an order that the payer made;
 * the caller is the payer, and the key the payer's own. A merchant's repeat must still find the merchant's order.
 */
type How = 'purge' | 'erase' | 'erase_own'

/** What was never there stays null: that there was a hand-over tells that the order had been taken. */
const emptied = (name: string, text: '' | '{}') =>
  sql<string>`case when ${sql.ref(name)} is null then null else ${sql.lit(text)} end`

const purgeRow = statement<OrderValues, How>((db, given, _, how) =>
  db
    .updateTable('orders')
    .set({
      payer_id: given.payer_id,
      request_content: '',
      jsapi_args: emptied('jsapi_args', '{}'),
      purged_at: given.now,
      ...(how === 'purge' ? {} : { content_hash: ERASED }),
      ...(how === 'erase_own' ? { caller: ERASED, idempotency_key: null } : {}),
    })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('version', '=', given.version)
    .where('state', '=', given.state)
    .where('payer_id', '=', given.payer_was)
    .where(isOver(given)),
)

const purgeRefunds = statement<OrderKey>((db, given) =>
  db
    .updateTable('refunds')
    .set({ reason: emptied('reason', ''), request_content: emptied('request_content', '') })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no),
)

const purgeEvents = statement<OrderKey>((db, given) =>
  db
    .updateTable('order_events')
    .set({ note: null })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('note', 'is not', null),
)

const purgeMessages = statement<OrderKey>((db, given) =>
  db
    .updateTable('outbox')
    .set({ payload: '', next_due_at_ms: null })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no),
)

const purgeClaims = statement<OrderKey>((db, given) =>
  db
    .updateTable('notifications')
    .set({ claims: '{}' })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no),
)

const purgeNotes = statement<OrderKey>((db, given) =>
  db
    .updateTable('anomalies')
    .set({ resolution: null })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no),
)

/** All of one order in one transaction. `lost`: it has changed, or is not over any more; nothing was purged. */
export const purgeOrder = (store: Store, order: Purgeable, nowS: number): Promise<Outcome> =>
  write(store, (say) => sayPurge(store, say, order, nowS, 'purge'))

/**
 * As `purgeOrder`, and the row leads back to nobody: id, caller and content hash become one word that is the same for
 * everybody. A repeat under its number is then another order's content (422).
 */
export const eraseOrder = (store: Store, order: Purgeable, nowS: number): Promise<Outcome> =>
  write(store, (say) => sayPurge(store, say, order, nowS, isPayers(order) ? 'erase_own' : 'erase'))

const isPayers = ({ caller }: Purgeable): boolean => caller.startsWith('p:')

async function sayPurge(store: Store, say: Say, order: Purgeable, nowS: number, how: How): Promise<void> {
  const { out_sub_mch_id, out_trade_no, version, state, payer_id: payer_was } = order
  const key = { out_sub_mch_id, out_trade_no }
  const payer_id = how === 'purge' ? hashedPayerId(order) : ERASED
  const sent_by = nowS - MESSAGE_LIFE_S
  await one(say(purgeRow(store, { ...key, version, state, payer_was, payer_id, now: nowS, sent_by }, how)))
  await say(purgeRefunds(store, key))
  await say(purgeEvents(store, key))
  await say(purgeMessages(store, key))
  await say(purgeClaims(store, key))
  await say(purgeNotes(store, key))
}

/** An anomaly that was resolved, in the order of their index. */
export type ResolvedPlace = { resolved_at: number; id: string }
export const FIRST_RESOLVED: ResolvedPlace = { resolved_at: -1, id: '' }

const selectResolved = statement<ResolvedPlace & { before: number; limit: number }>((db, given) => {
  const resolved = db
    .selectFrom('anomalies')
    .select(['id', 'resolved_at', 'resolution'])
    .where('resolved_at', '<', given.before)
    .limit(given.limit)
  return db
    .selectFrom(
      allOf([
        resolved.where('resolved_at', '=', given.resolved_at).where('id', '>', given.id).orderBy('id'),
        resolved.where('resolved_at', '>', given.resolved_at).orderBy('resolved_at').orderBy('id'),
      ]).as('ranges'),
    )
    .selectAll()
    .orderBy('resolved_at')
    .orderBy('id')
    .limit(given.limit)
})

/** The first anomalies behind `after` that were resolved before then (epoch seconds), and whether something is noted of each. */
export async function listResolved(
  store: Store,
  { after = FIRST_RESOLVED, ...page }: { before: number; limit: number; after?: ResolvedPlace },
): Promise<(ResolvedPlace & { isNoted: boolean })[]> {
  const rows = await read<object>(store, selectResolved(store, { ...page, ...after }))
  return rows.map((row) => {
    const { id, resolved_at, resolution } = numbers<ResolvedPlace & { resolution: string | null }>(row, [
      'resolved_at',
    ])
    return { id, resolved_at, isNoted: resolution !== null }
  })
}

const forgetNoteRow = statement<ResolvedPlace>((db, given) =>
  db
    .updateTable('anomalies')
    .set({ resolution: null })
    .where('id', '=', given.id)
    .where('resolved_at', '=', given.resolved_at),
)

/** What somebody wrote about it. `lost`: it has been opened again, and is another matter. */
export const forgetNote = (store: Store, { id, resolved_at }: ResolvedPlace): Promise<Outcome> =>
  writeOne(store, forgetNoteRow(store, { id, resolved_at }))
