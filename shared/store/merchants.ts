import type { MerchantRow } from '../base/merchants'
import { findMark } from './marks'
import type { Store } from './open'
import { statement } from './statements'
import { nowPlus, numbers, one, read, unlessTaken, write, type Outcome } from './transaction'

/**
 * Which state of the table somebody works with: a mark that every change moves, in the same transaction. Comparing it
 * is one row by its key, so it can be done with every event.
 */
const GENERATION = 'merchants'
const NONE = '0'

export const findGeneration = async (store: Store): Promise<string> =>
  (await findMark(store, GENERATION))?.value ?? NONE

const listRows = statement<object>((db) => db.selectFrom('merchants').selectAll())

const BIG = ['disabled_at', 'changed_at'] as const

/** All of them, in an order that is the same on every database. */
export const listMerchants = async (store: Store): Promise<MerchantRow[]> =>
  (await read<object>(store, listRows(store, {})))
    .map((row) => numbers<MerchantRow>(row, BIG))
    .sort((a, b) => (a.out_sub_mch_id < b.out_sub_mch_id ? -1 : 1))

const moveGeneration = statement<{ from: string; to: string }>((db, given, store) =>
  db
    .updateTable('marks')
    .set({ value: given.to, at_ms: nowPlus(store, 0) })
    .where('name', '=', GENERATION)
    .where('value', '=', given.from),
)

const insertGeneration = statement<{ to: string }>((db, given, store) =>
  db.insertInto('marks').values({ name: GENERATION, value: given.to, at_ms: nowPlus(store, 0) }),
)

const insertRow = statement<MerchantRow>((db, given) =>
  db.insertInto('merchants').values({
    out_sub_mch_id: given.out_sub_mch_id,
    out_mch_id: given.out_mch_id,
    out_shop_id: given.out_shop_id,
    order_prefix: given.order_prefix,
    disabled_at: given.disabled_at,
    version: given.version,
    changed_at: given.changed_at,
    sealed: given.sealed,
  }),
)

const updateRow = statement<MerchantRow & { before: number }>((db, given) =>
  db
    .updateTable('merchants')
    .set({
      disabled_at: given.disabled_at,
      version: given.version,
      changed_at: given.changed_at,
      sealed: given.sealed,
    })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('version', '=', given.before),
)

/**
 * All of these rows, or none: version 1 is new, any other takes the place of the version before. `lost` when anything
 * in the table has changed since `generation` was read, so that what was decided by looking at all rows still holds.
 */
export const changeMerchants = (
  store: Store,
  generation: string,
  rows: readonly MerchantRow[],
): Promise<Outcome> =>
  write(store, async (say) => {
    const to = String(Number(generation) + 1)
    if (generation === NONE) await unlessTaken(store, say(insertGeneration(store, { to })), () => undefined)
    else await one(say(moveGeneration(store, { from: generation, to })))
    for (const row of rows) {
      if (row.version === 1) await unlessTaken(store, say(insertRow(store, row)), () => undefined)
      else await one(say(updateRow(store, { ...row, before: row.version - 1 })))
    }
  })
