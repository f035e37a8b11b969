import type { Store } from '../../shared/store/open'
import { namesOf, type Name, type Whom } from './payer'

type Row = Record<string, unknown>

/** Everything that is stored about somebody, by table, row by row as it lies there. */
export async function exportPayer(store: Store, whom: Whom): Promise<Record<string, Row[]>> {
  const found: Record<string, Row[]> = {}
  const keep = (table: string, rows: Row[]) => (found[table] = [...(found[table] ?? []), ...rows])
  const { db } = store
  for (const name of namesOf(whom)) {
    const orders = await ordersOf(store, name)
    keep('orders', orders)
    for (const { out_sub_mch_id, out_trade_no } of orders) {
      for (const table of ['order_events', 'refunds', 'outbox', 'anomalies', 'notifications'] as const) {
        const rows = db.selectFrom(table).selectAll()
        keep(
          table,
          await rows
            .where('out_sub_mch_id', '=', out_sub_mch_id)
            .where('out_trade_no', '=', out_trade_no)
            .execute(),
        )
      }
    }
    const { hash } = name
    keep(
      'counters',
      await db
        .selectFrom('counters')
        .selectAll()
        .where('name', 'in', [`om:${hash}`, `rp:${hash}`])
        .execute(),
    )
    keep(
      'revocations',
      await db.selectFrom('revocations').selectAll().where('id', '=', `p:${hash}`).execute(),
    )
  }
  return found
}

export const ordersOf = ({ db }: Store, { out_sub_mch_id, payer_field, ids }: Name) =>
  db
    .selectFrom('orders')
    .selectAll()
    .where('out_sub_mch_id', '=', out_sub_mch_id)
    .where('payer_field', '=', payer_field)
    .where('payer_id', 'in', ids)
    .orderBy('created_at')
    .execute()
