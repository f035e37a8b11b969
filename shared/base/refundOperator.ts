import * as v from 'valibot'
import { maybe, S1 } from './validate'

/**
 * Who refunds, as Cloud Pay wants to know it of every refund (product/569/37673): an administrator of the sub-merchant, or
 * a member of staff by id; and the device and member of staff that every shipped client names. Without any of it the live
 * service may refuse with 104: a public report shows it do so. All are optional, one is needed.
 */
export const RefundOperator = v.pipe(
  v.strictObject({
    is_sub_mch_admin: maybe(v.boolean()),
    /** Needed when `is_sub_mch_admin` is false. */
    authorization_staff_id: maybe(S1(64)),
    /** Shown as the reason of the refund. */
    authorization_name: maybe(S1(32)),
    device_id: maybe(S1(64)),
    staff_id: maybe(S1(64)),
  }),
  v.check((given) => Object.values(given).some((value) => value !== undefined)),
  v.check((given) => given.is_sub_mch_admin !== false || given.authorization_staff_id !== undefined),
)
export type RefundOperator = v.InferOutput<typeof RefundOperator>

/** Nothing when there is none, or when it is not usable: `refuse` is called then. */
export function readRefundOperator(given: unknown, refuse: () => unknown): RefundOperator | undefined {
  if (given === undefined || given === null) return undefined
  const read = v.safeParse(RefundOperator, given)
  if (read.success) return read.output
  refuse()
  return undefined
}

/** From a variable, as JSON. */
export function parseRefundOperator(
  value: string | undefined,
  refuse: () => unknown,
): RefundOperator | undefined {
  if (!value) return undefined
  let given: unknown
  try {
    given = JSON.parse(value) as unknown
  } catch {
    given = []
  }
  return readRefundOperator(given ?? [], refuse)
}
