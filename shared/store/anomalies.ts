import type { Selectable } from 'kysely'
import type { Anomaly, Evidence } from '../order/anomaly'
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
  return rows.map((row) => ({
    ...numbers<Anomaly>(row, BIG.anomalies),
    evidence: JSON.parse(row.evidence) as Evidence,
  }))
}

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
