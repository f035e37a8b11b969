import { sql, type Selectable } from 'kysely'
import type { Anomaly, Evidence } from '../order/anomaly'
import { inBytes } from './dialect'
import type { Store } from './open'
import { statement } from './statements'
import { BIG, type AnomaliesTable } from './tables'
import { numbers, read, writeOne, type Outcome } from './transaction'

const selectRows = statement<{ limit: number }, 'open' | 'all'>((db, given, _, which) => {
  const rows = db.selectFrom('anomalies').selectAll().orderBy('last_at', 'desc').limit(given.limit)
  return which === 'open' ? rows.where('resolved_at', 'is', null) : rows
})

/** The latest first. */
export async function listAnomalies(store: Store, which: 'open' | 'all', limit: number): Promise<Anomaly[]> {
  const rows = await read<Selectable<AnomaliesTable>>(store, selectRows(store, { limit }, which))
  return rows.map(toAnomaly)
}

const toAnomaly = (row: Selectable<AnomaliesTable>): Anomaly => ({
  ...numbers<Anomaly>(row, BIG.anomalies),
  evidence: JSON.parse(row.evidence) as Evidence,
})

type Page = { out_sub_mch_id: string; at: number; id: string; limit: number }

const selectOwned = statement<Page, 'open' | 'resolved'>((db, given, store, which) => {
  const id = inBytes(store.dialect, 'id')
  const column = which === 'open' ? 'last_at' : 'resolved_at'
  const rows = db
    .selectFrom('anomalies')
    .selectAll()
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where(column, '<=', given.at)
    .where(({ or, eb }) => or([eb(column, '<', given.at), sql<boolean>`${id} < ${given.id}`]))
    .orderBy(column, 'desc')
    .orderBy(id, 'desc')
    .limit(given.limit)
  return which === 'open' ? rows.where('resolved_at', 'is', null) : rows
})

/**
 * Of one sub-merchant (empty: of the deployment as a whole), the latest first: open ones by when they were last seen,
 * resolved ones by when that was. `at` and `id`: the row the page begins behind.
 */
export const listOwnedAnomalies = async (
  store: Store,
  which: 'open' | 'resolved',
  page: Page,
): Promise<Anomaly[]> =>
  (await read<Selectable<AnomaliesTable>>(store, selectOwned(store, page, which))).map(toAnomaly)

const selectOne = statement<{ id: string }>((db, given) =>
  db.selectFrom('anomalies').selectAll().where('id', '=', given.id),
)

export const findAnomaly = async (store: Store, id: string): Promise<Anomaly | undefined> =>
  (await read<Selectable<AnomaliesTable>>(store, selectOne(store, { id }))).map(toAnomaly)[0]

const resolveRow = statement<{ id: string; at: number; resolution: string }>((db, given) =>
  db
    .updateTable('anomalies')
    .set({ resolved_at: given.at, resolution: given.resolution })
    .where('id', '=', given.id)
    .where('resolved_at', 'is', null),
)

/** `lost`: there is no such open anomaly. */
export const resolveAnomaly = (store: Store, id: string, at: number, resolution: string): Promise<Outcome> =>
  writeOne(store, resolveRow(store, { id, at, resolution }))
