import { Secret } from '../../../shared/base/secrets'
import { systemClock } from '../../../shared/base/time'
import type { Order } from '../../../shared/order/order'
import { openStore } from '../../../shared/store/open'
import { insertOrder, moved, moveOrder } from '../../../shared/store/orders'
import { AT, CHANGE, DETAIL, newRow } from './row'

const url = process.env['DATABASE_URL'] ?? ''
const dialect = url.startsWith('mysql') ? 'mysql' : 'postgres'
const store = openStore({ dialect, url: new Secret(url) }, systemClock)

let moving: Order | undefined

export async function batch(count: number): Promise<void> {
  if (!moving) {
    const row = newRow('ours')
    if ((await insertOrder(store, row, 11_000)) !== 'done') throw new Error('not inserted')
    moving = { ...row, lease_until_ms: 0, next_due_at_ms: null, seen: 0, purged_at: null, shipped_at: null }
  }
  let order = moving
  for (let at = 0; at < count; at++) {
    const outcome = await moveOrder(store, order, CHANGE, { at: AT, kind: 'moved', detail: DETAIL })
    if (outcome !== 'done') throw new Error(outcome)
    order = moved(order, CHANGE)
  }
  moving = order
}
