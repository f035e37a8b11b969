import { createHmac } from 'node:crypto'
import type { Config, Merchant } from '../../shared/base/config'
import { joinMerchants, type MerchantRow } from '../../shared/base/merchants'
import { deriveKey, sealedWith } from '../../shared/base/sealing'
import type { Secret } from '../../shared/base/secrets'
import { rfc3339 } from '../../shared/base/time'

/** What may be seen of every sub-merchant: ids, states and names; of a key only whether it is the same as another. */
export function* describeMerchants(config: Config, rows: readonly MerchantRow[]): Generator<string> {
  const { config: joined, leftOut } = joinMerchants(config, rows)
  for (const merchant of joined.merchants) {
    const { out_sub_mch_id, order_prefix } = merchant
    const row = rows.find((one) => one.out_sub_mch_id === out_sub_mch_id)
    yield `${out_sub_mch_id}  ${order_prefix}  ${stateOf(row)}  ${keysOf(config, merchant)}`
    if (!merchant.refund_operator)
      yield '  no refund_operator: the live service may refuse a refund that names nobody'
    yield* listsOf(joined, out_sub_mch_id)
  }
  for (const { out_sub_mch_id, faults } of leftOut) {
    const row = rows.find((one) => one.out_sub_mch_id === out_sub_mch_id)
    yield `${out_sub_mch_id}  ${row?.order_prefix}  NOT SERVED: ${faults.join('; ')}`
  }
}

function stateOf(row: MerchantRow | undefined): string {
  if (!row) return 'in the environment'
  const state = row.disabled_at === null ? 'active' : `disabled ${rfc3339(row.disabled_at)}`
  return `${state}  changed ${rfc3339(row.changed_at)}  sealed with ${sealedWith(row.sealed)}`
}

function keysOf(config: Config, { authen_key, authen_key_also_accepted: also }: Merchant): string {
  const overlap = also ? `, ${fingerprint(config, also)} still accepted` : ''
  return `key ${fingerprint(config, authen_key)}${overlap}`
}

/** Tells nothing to whoever has no data key: a plain hash could be compared with guesses. */
const fingerprint = ({ dataKeys }: Config, key: Secret): string =>
  createHmac('sha256', deriveKey(dataKeys[0]!.secret.reveal(), 'fingerprint'))
    .update(key.reveal())
    .digest('hex')
    .slice(0, 8)

function* listsOf({ people }: Config, id: string): Generator<string> {
  const own = <One extends { out_sub_mch_id: string }>(all: readonly One[]) =>
    all.filter(({ out_sub_mch_id }) => out_sub_mch_id === id)
  for (const { app_id, kind } of own(people.apps)) yield `  app    ${app_id}  ${kind}`
  for (const { name, scopes } of own(people.merchantKeys)) yield `  key    ${name}  ${scopes.join(', ')}`
  for (const { name, iss, alg } of own(people.quoteKeys)) yield `  quote  ${name}  ${iss}  ${alg}`
}
