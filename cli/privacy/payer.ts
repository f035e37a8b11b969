import { PAYER_FIELDS, type PayerField } from '../../shared/base/caller'
import { hashedPayerId, payerHash } from '../../shared/base/payer'
import type { Env } from '../../shared/base/config'
import type { Store } from '../../shared/store/open'

/** Whom a request is about: an id, under which field and with which sub-merchant it may stand. */
export type Whom = { payer_id: string; fields: readonly PayerField[]; merchants: readonly string[] }

/**
 * Every way in which the id may stand in a row. Without `merchant`, with every sub-merchant that has an order, and with
 * the one of the environment: sessions can be those of somebody who never ordered.
 */
export async function findWhom(
  { db }: Store,
  env: Env,
  payer_id: string,
  { field, merchant }: { field: PayerField | undefined; merchant: string | undefined },
): Promise<Whom> {
  const fields = field === undefined ? PAYER_FIELDS : [field]
  if (merchant !== undefined) return { payer_id, fields, merchants: [merchant] }
  const known = await db.selectFrom('orders').select('out_sub_mch_id').distinct().execute()
  const own = env['CLOUD_PAY_OUT_SUB_MCH_ID'] || undefined
  const merchants = new Set([
    ...(own === undefined ? [] : [own]),
    ...known.map(({ out_sub_mch_id }) => out_sub_mch_id),
  ])
  return { payer_id, fields, merchants: [...merchants] }
}

export type Name = {
  out_sub_mch_id: string
  payer_field: PayerField
  /** What stands in a row: the id, or its hash once it is old. */
  ids: [string, string]
  /** In names of counters, callers and revocations. */
  hash: string
}

export const namesOf = ({ payer_id, fields, merchants }: Whom): Name[] =>
  merchants.flatMap((out_sub_mch_id) =>
    fields.map((payer_field) => ({
      out_sub_mch_id,
      payer_field,
      ids: [payer_id, hashedPayerId({ out_sub_mch_id, payer_field, payer_id })],
      hash: payerHash(out_sub_mch_id, { payer_field, payer_id }),
    })),
  )
