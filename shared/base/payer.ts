import { createHash } from 'node:crypto'

/**
 * Under which a payer is counted, named and ended: their id itself stands in the orders alone. Blanks around an id are no
 * part of it: the document's own example answers with some.
 */
export const payerHash = (
  out_sub_mch_id: string,
  { payer_field, payer_id }: { payer_field: string; payer_id: string },
): string =>
  createHash('sha256').update(`${out_sub_mch_id}\0${payer_field}\0${payer_id.trim()}`).digest('base64url')

/** A payer as an order row names them. */
export type StoredPayer = { out_sub_mch_id: string; payer_field: string; payer_id: string }

/** In no id that WeChat or Alipay gives out. */
const HASHED = 'sha256:'
/** In place of a payer who asked to be forgotten: the same for everybody, so that it leads back to nobody. */
export const ERASED = 'erased'

/** What stands in an old row in place of the id: whoever has the id finds the row, the row does not tell the id. */
export const hashedPayerId = ({ out_sub_mch_id, ...payer }: StoredPayer): string =>
  payer.payer_id === '' || payer.payer_id === ERASED || payer.payer_id.startsWith(HASHED)
    ? payer.payer_id
    : HASHED + payerHash(out_sub_mch_id, payer)

/** Whether `payer_id` is who the row names, however it does; of an erased one nobody can tell, and it is not held against them. */
export const isPayerOf = (row: StoredPayer, payer_id: unknown): boolean =>
  row.payer_id === ERASED ||
  (typeof payer_id === 'string' &&
    (payer_id.trim() === row.payer_id.trim() || row.payer_id === hashedPayerId({ ...row, payer_id })))

/** As `payerHash`, for whoever a row names; none for an erased one, or where nobody is named because anybody may scan. */
export function storedPayerHash(row: StoredPayer): string | undefined {
  if (row.payer_id === '') return undefined
  const id = hashedPayerId(row)
  return id === ERASED ? undefined : id.slice(HASHED.length)
}
