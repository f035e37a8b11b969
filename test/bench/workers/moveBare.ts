import { statements, type Db, type Words } from '../baseline/order'
import { AT, CHANGE, DETAIL, newRow } from './row'

/** The statements of one guarded move through the bare driver. */
export function moveBare(connect: () => Promise<Db>, words: Words) {
  const sql = statements(words)
  const row = newRow('bare')
  let version = row.version
  let db: Db | undefined

  return async (count: number): Promise<void> => {
    if (!db) {
      db = await connect()
      await db.query(sql.insertOrder, Object.values(row))
    }
    for (let at = 0; at < count; at++) {
      await db.query('BEGIN', [])
      const key = [row.out_sub_mch_id, row.out_trade_no]
      const set = [CHANGE.state, CHANGE.jsapi_args, CHANGE.lease_until_ms, AT, version + 1]
      if ((await db.query(sql.move, [...set, ...key, version, 'pending'])) !== 1) throw new Error('lost')
      const detail = JSON.stringify(DETAIL)
      await db.query(sql.insertEvent, [...key, version + 1, AT, 'moved', 'pending', 'pending', detail])
      await db.query('COMMIT', [])
      version++
    }
  }
}
