import * as v from 'valibot'
import { PAY_PLATFORM } from './enums'

/**
 * What of an answer is relied on has to fit its schema, or nothing of the answer is believed. The rest decides nothing:
 * it is read where it fits, and where it does not it is absent. Nothing is coerced.
 */
export type Reading<T> = { ok: true; value: T; misfits: string[] } | { ok: false; at: string }

/** By their path in `response_content`'s member, without the places in lists. What is not here is relied on. */
const DECIDES_NOTHING: readonly string[] = [
  'description',
  'log_id',
  'nonce_str',
  'order_content.nonce_str',
  'order_content.last_update_time',
  'order_content.transaction_id',
  'order_content.time_end',
  'order_content.time_expire',
  'order_content.cash_fee',
  'order_content.settlement_total_fee',
  'order_content.wxpay_order_content_ext.prepare_id',
  'refund_order_content.nonce_str',
  'refund_order_content.last_update_time',
  'refund_order_content.create_time',
  'refund_order_content.refund_id',
]

const WXPAY_EXTENSIONS: readonly string[] = [
  'pay_mch_key.wxpay_pay_mch_key_ext',
  'order_content.wxpay_order_content_ext',
  'refund_order_content.wxpay_refund_order_content_ext',
]
const ALIPAY_EXTENSIONS: readonly string[] = [
  'pay_mch_key.alipay_pay_mch_key_ext',
  'order_content.alipay_order_content_ext',
  'refund_order_content.alipay_refund_order_content_ext',
]

const extensionsOfOther = (platform: number | undefined): readonly string[] =>
  platform === PAY_PLATFORM.wechat
    ? ALIPAY_EXTENSIONS
    : platform === PAY_PLATFORM.alipay
      ? WXPAY_EXTENSIONS
      : []

/** A member that went away may show a fault behind it; this is far deeper than any answer. */
const ROUNDS_MAX = 9

/**
 * Reads what a schema says. `platform`: whose extensions count; those of the other one decide nothing. `misfits`: paths
 * of what was there, did not fit and is absent now. Not readable: `at` is the path of the first fault that counts.
 */
export function read<Schema extends v.GenericSchema>(
  schema: Schema,
  given: unknown,
  platform?: number,
): Reading<v.InferOutput<Schema>> {
  const first = v.safeParse(schema, given)
  if (first.success) return { ok: true, value: first.output, misfits: [] }
  const lenient = [...DECIDES_NOTHING, ...extensionsOfOther(platform)]
  const copy: unknown = JSON.parse(JSON.stringify(given))
  const misfits: string[] = []
  let issues: readonly v.BaseIssue<unknown>[] = first.issues
  for (let round = 0; round < ROUNDS_MAX; round++) {
    for (const issue of issues) {
      const keys = (issue.path ?? []).map(({ key }) => key as string | number)
      const length = keys.findIndex((_, at) => lenient.includes(named(keys.slice(0, at + 1)))) + 1
      if (length === 0) return { ok: false, at: keys.join('.') }
      misfits.push(keys.slice(0, length).join('.'))
      remove(copy, keys.slice(0, length))
    }
    const again = v.safeParse(schema, copy)
    if (again.success) return { ok: true, value: again.output, misfits: [...new Set(misfits)] }
    issues = again.issues
  }
  return { ok: false, at: misfits.at(-1) ?? '' }
}

const named = (keys: readonly (string | number)[]): string =>
  keys.filter((key) => typeof key === 'string').join('.')

/** A single refund is read as a list of one: its path then has a place in a list that is not there. */
function remove(root: unknown, keys: readonly (string | number)[]): void {
  type Node = Record<string | number, unknown>
  let node = root as Node
  for (const key of keys.slice(0, -1))
    if (typeof key === 'string' || Array.isArray(node)) node = node[key] as Node
  delete node[keys.at(-1)!]
}
