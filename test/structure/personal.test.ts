import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { sql } from 'kysely'
import { memoryStore } from '../support/world'

/** Columns that tell nothing of a person. A new column belongs here, or into the table of docs/security/personal-data.md. */
const NOT_PERSONAL: Record<string, string> = {
  orders: `out_sub_mch_id out_trade_no out_mch_id out_shop_id pay_platform trade_type total_fee fee_type state version
    flag created_at updated_at time_expire sends lease_token lease_holder lease_until_ms looked_at_ms paid_at cash_fee
    settlement_total_fee wallet_state next_due_at_ms seen looks fruitless not_founds notified_at_ms refunded_fen late_policy
    reserved_fen quote_iss purged_at shipped_at`,
  // What a sub-merchant brings is a shop's; its keys are sealed.
  merchants: 'out_sub_mch_id out_mch_id out_shop_id order_prefix disabled_at version changed_at sealed',
  order_events: 'out_sub_mch_id out_trade_no seq at kind from_state to_state detail',
  refunds: `out_sub_mch_id out_refund_no out_trade_no refund_fee origin state version created_at updated_at sends
    next_due_at_ms looks wallet_state sent_at_ms refused missing_at_ms affirmed_at`,
  outbox: 'id out_sub_mch_id out_trade_no type created_at attempts next_due_at_ms delivered_at last_error',
  anomalies: 'id kind out_sub_mch_id out_trade_no first_at last_at times resolved_at',
  notifications: 'out_sub_mch_id id out_trade_no received_at orphan',
  counters: 'period used',
  marks: 'name at_ms value',
  bill_windows: 'out_sub_mch_id from_at to_at tries next_due_at_ms',
  catalogue: 'out_sub_mch_id sku body total_fee quantity_max active',
  spent: 'kind until_at',
  revocations: 'at until_at',
}
/** The builder's own. */
const NOT_OURS = /^(kysely_|sqlite_)/

const text = readFileSync(resolve(__dirname, '../../docs/security/personal-data.md'), 'utf8')
const personal = [...text.matchAll(/^\|[^|]*\|([^|]*)\|/gm)].flatMap(([, where]) =>
  [...where!.matchAll(/`(\w+\.\w+)`/g)].map(([, name]) => name!),
)
const notPersonal = Object.entries(NOT_PERSONAL).flatMap(([table, columns]) =>
  columns.split(/\s+/).map((column) => `${table}.${column}`),
)

test('every column of the schema is told of as personal in docs/security, or known not to be', async () => {
  const store = await memoryStore()
  const { rows } = await sql<{ name: string }>`select m.name || '.' || c.name as name
    from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table'`.execute(store.db)
  await store.close()
  const live = rows.map(({ name }) => name).filter((name) => !NOT_OURS.test(name))
  expect(live.length).toBeGreaterThan(90)
  const told = [...personal, ...notPersonal]
  expect({
    unclassified: live.filter((name) => !told.includes(name)),
    gone: told.filter((name) => !live.includes(name)),
    both: personal.filter((name) => notPersonal.includes(name)),
  }).toEqual({ unclassified: [], gone: [], both: [] })
})

test('whatever is personal says why it is kept and for how long', () => {
  const rows = text.split('\n').filter((line) => line.startsWith('|'))
  for (const row of rows)
    expect(
      row
        .split('|')
        .slice(1, -1)
        .filter((cell) => cell.trim() === ''),
    ).toEqual([])
  expect(rows.length).toBeGreaterThan(15)
})
