import { handOver, insertOrder, statements, type Db, type OrderColumn, type Words } from '../baseline/order'
import { AT, JSAPI_ARGS, newRow, STATE } from './row'

/** The statements of one guarded move through the bare driver. */
export function moveBare(connect: () => Promise<Db>, words: Words) {
  const sql = statements(words)
  // A column of ours that the baseline has forgotten is a type error.
  const row: { [Column in keyof ReturnType<typeof newRow>]: Column extends OrderColumn ? unknown : never } =
    newRow('bare')
  let { version } = newRow('bare')
  let db: Db | undefined

  return async (count: number): Promise<void> => {
    if (!db) {
      db = await connect()
      await insertOrder(db, sql, row)
    }
    for (let at = 0; at < count; at++) {
      await handOver(db, sql, row, { version, state: STATE }, AT, JSAPI_ARGS)
      version++
    }
  }
}
