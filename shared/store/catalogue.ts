import type { Store } from './open'
import { statement } from './statements'
import type { CatalogueTable } from './tables'
import { read } from './transaction'

const findRow = statement<Pick<CatalogueTable, 'out_sub_mch_id' | 'sku'>>((db, given) =>
  db
    .selectFrom('catalogue')
    .selectAll()
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('sku', '=', given.sku),
)

/** The merchant writes this table; we only read it. */
export const findSku = async (
  store: Store,
  out_sub_mch_id: string,
  sku: string,
): Promise<CatalogueTable | undefined> =>
  (await read<CatalogueTable>(store, findRow(store, { out_sub_mch_id, sku })))[0]
