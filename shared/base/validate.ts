import * as v from 'valibot'
import type { FieldFault } from './errors'

export const flaw = (field: string, code: string, message: string): FieldFault => ({ field, code, message })

/** Length in characters as people count them: Unicode code points, so 湖 and 🧋 are one each. */
export const characters = (text: string): number => {
  let count = 0
  for (const _ of text) count++
  return count
}

/** Half a surrogate pair has no UTF-8 form: signing it and sending it would not be the same bytes. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

/**
 * `S32`, `S128` … of the Cloud Pay documents: at most `max` characters. Whether the service counts characters or
 * bytes is not documented; characters it is, here and in the sandbox.
 */
export const S = (max: number) =>
  v.pipe(
    v.string(),
    v.check((text) => characters(text) <= max, `must be at most ${max} characters`),
    v.check(isWellFormed, 'must not contain half of a surrogate pair'),
    // PostgreSQL cannot store it, and SQLite's driver cuts the text off there.
    v.check((text) => !text.includes('\0'), 'must not contain U+0000'),
  )

/** As `S`, and not empty. */
export const S1 = (max: number) => v.pipe(S(max), v.minLength(1, 'must not be empty'))

/** `v.strictObject` takes `[]` for an object without members; where no member is required, that would pass. */
export const exactObject = <const Entries extends v.ObjectEntries>(entries: Entries) =>
  reading(v.strictObject(entries), noList)

/** As `exactObject`, and members nobody knows pass. */
export const openObject = <const Entries extends v.ObjectEntries>(entries: Entries) =>
  reading(v.looseObject(entries), noList)

/** May be left out; `null` says the same as leaving it out. */
export const maybe = <const Schema extends v.GenericSchema>(schema: Schema) =>
  reading(v.optional(schema), (given) => given ?? undefined)

const noList = (given: unknown): unknown => (Array.isArray(given) ? null : given)

/** The same schema, of what `read` makes of what is given. */
function reading<const Schema extends v.GenericSchema>(
  schema: Schema,
  read: (given: unknown) => unknown,
): Schema {
  const run: Schema['~run'] = (given, config) => {
    const value = read(given.value)
    return schema['~run'](value === given.value ? given : { value }, config)
  }
  return { ...schema, '~run': run }
}

export const integer = (min: number, max: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max))

const FIELDS_MAX = 20

/** valibot's issues as field faults: dotted path, short code, one sentence without the offending value. */
export function fieldFaults(issues: readonly v.BaseIssue<unknown>[]): FieldFault[] {
  return issues.slice(0, FIELDS_MAX).map((issue) => {
    const field = v.getDotPath(issue) ?? ''
    if (issue.type === 'strict_object' && issue.expected === 'never') {
      return { field, code: 'unknown_field', message: 'is not a field of this request' }
    }
    if (issue.kind === 'schema' && issue.received === 'undefined') {
      return { field, code: 'required', message: 'is required' }
    }
    if (issue.kind === 'schema')
      return { field, code: 'type', message: `must be ${issue.expected ?? 'different'}` }
    const message =
      issue.type === 'check' ? issue.message : `must satisfy ${issue.type} ${issue.expected ?? ''}`.trim()
    return { field, code: issue.type === 'check' ? 'value' : issue.type, message }
  })
}
