import * as v from 'valibot'
import type { FieldFault } from './errors'

/** An English sentence whose Chinese one is known: made by `said` alone. */
export type Said = string & { readonly inBothLanguages: true }

const CHINESE = new Map<string, string>()

/**
 * What is wrong, in both languages, to be read behind the name of the field; it never repeats what was sent. What comes
 * back is the English sentence, because a message of valibot is one text; the Chinese one is found by it.
 */
export function said(en: string, zh: string): Said {
  CHINESE.set(en, zh)
  return en as Said
}

export const flaw = (field: string, code: string, message: Said): FieldFault => ({
  field,
  code,
  message,
  message_zh: CHINESE.get(message)!,
})

export const REQUIRED = said('is required', '必须提供')

/** Length in characters as people count them: Unicode code points, so 湖 and 🧋 are one each. */
export const characters = (text: string): number => {
  let count = 0
  for (const _ of text) count++
  return count
}

/** Half a surrogate pair has no UTF-8 form: signing it and sending it would not be the same bytes. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

export const atMost = (max: number) => said(`must be at most ${max} characters`, `最多 ${max} 个字符`)

/**
 * `S32`, `S128` … of the Cloud Pay documents: at most `max` characters. Whether the service counts characters or
 * bytes is not documented; characters it is, here and in the sandbox.
 */
export const S = (max: number) =>
  v.pipe(
    v.string(),
    v.check((text) => characters(text) <= max, atMost(max)),
    v.check(isWellFormed, said('must not contain half of a surrogate pair', '不能含有半个代理对')),
    // PostgreSQL cannot store it, and SQLite's driver cuts the text off there.
    v.check((text) => !text.includes('\0'), said('must not contain U+0000', '不能含有 U+0000')),
  )

const EMPTY = said('must not be empty', '不能为空')

/** As `S`, and not empty. */
export const S1 = (max: number) => v.pipe(S(max), v.minLength(1, EMPTY))

/** As `S1`, and a person can read it. */
export const NotBlank = (max: number) =>
  v.pipe(
    S1(max),
    // What is empty has been told so.
    v.check((text) => text === '' || text.trim() !== '', said('must not be blanks only', '不能只有空白')),
  )

export const asciiUpTo = (max: number) =>
  said(
    `must be visible ASCII without blanks, 1 to ${max} characters`,
    `须为 1 至 ${max} 个可见 ASCII 字符，不含空格和中文`,
  )

export const visibleAscii = (max: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^[!-~]{1,${max}}$`), asciiUpTo(max)))

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

/** Who is told twenty things needs no more, and who sends thousands of wrong ones makes us look at no more. */
const FAULTS_MAX = 20

/** As `v.array`, and looks no further once it has found `FAULTS_MAX` faults. Of lists that strangers send. */
export function listOf<const Item extends v.GenericSchema>(item: Item): v.ArraySchema<Item, undefined> {
  const schema = v.array(item)
  const run: (typeof schema)['~run'] = (given, config) => {
    const { value } = given
    if (!Array.isArray(value)) return schema['~run'](given, config)
    const output: unknown[] = []
    const issues: Issue[] = []
    let typed = true
    for (const [key, one] of (value as unknown[]).entries()) {
      const read = item['~run']({ value: one }, config)
      const place = { type: 'array', origin: 'value', input: value as unknown[], key, value: one } as const
      for (const issue of read.issues ?? []) issues.push({ ...issue, path: [place, ...(issue.path ?? [])] })
      typed &&= read.typed
      output.push(read.value)
      if (issues.length >= FAULTS_MAX) break
    }
    const found = issues.length > 0 ? { issues } : {}
    return { typed, value: output, ...found } as ReturnType<typeof run>
  }
  return { ...schema, '~run': run }
}

export const integer = (min: number, max: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max))

const EPOCH_SECONDS = said('must be whole epoch seconds, not milliseconds', '须为 Unix 秒（整数），不是毫秒')
/** Milliseconds have thirteen digits. */
const EPOCH_MAX_S = 99_999_999_999

export const EpochSeconds = v.pipe(
  v.number(EPOCH_SECONDS),
  v.safeInteger(EPOCH_SECONDS),
  v.minValue(0, EPOCH_SECONDS),
  v.maxValue(EPOCH_MAX_S, EPOCH_SECONDS),
)

// ── what is said of a field ────────────────────────────────────────────────────────────────────────────────────

type Issue = v.BaseIssue<unknown>

export const OBJECT = said('must be an object', '须为对象')
const LIST = said('must be a list', '须为列表')

/** Where a schema has no words of its own: by what valibot calls the issue. Its own sentences repeat what was sent. */
const WORDS: Record<string, Said | ((issue: Issue) => Said)> = {
  string: said('must be text, in quotes', '须为文本，放在引号里'),
  number: said('must be a number, without quotes', '须为数字，不带引号'),
  boolean: said('must be true or false', '须为 true 或 false'),
  array: LIST,
  tuple: LIST,
  object: OBJECT,
  strict_object: OBJECT,
  picklist: oneOf,
  literal: oneOf,
  safe_integer: said('must be a whole number', '须为整数'),
  min_value: ({ requirement: least }) =>
    said(`must be at least ${least as number}`, `不能小于 ${least as number}`),
  max_value: ({ requirement: most }) =>
    said(`must be at most ${most as number}`, `不能大于 ${most as number}`),
  // No text that is sent to us has another least length.
  min_length: EMPTY,
  max_length: ({ requirement: most }) => atMost(most as number),
  regex: said('is not in the form of this field', '格式不对'),
}
const SOMEHOW = said('is not acceptable', '不合规')

/** valibot says what it takes as `(1 | 2)`, `("a" | "b")` or `"CNY"`. */
function oneOf({ expected }: Issue): Said {
  const values = (expected ?? '').replace(/[()]/g, '')
  const [kind, kindZh] = values.startsWith('"') ? ['text', '文本'] : ['number', '数字']
  const zh = values.replaceAll('"', '').replaceAll('|', '或')
  return said(`must be the ${kind} ${values.replaceAll('|', 'or')}`, `须为${kindZh} ${zh}`)
}

/** valibot's issues as field faults: dotted path, short code, one sentence in each language without what was sent. */
export function fieldFaults(issues: readonly Issue[]): FieldFault[] {
  return issues.slice(0, FAULTS_MAX).map((issue) => {
    const { kind, type, expected, received, message } = issue
    const field = v.getDotPath(issue) ?? ''
    if (type === 'strict_object' && expected === 'never')
      return flaw(field, 'unknown_field', said('is not a field of this request', '不是这个请求的字段'))
    if (kind === 'schema' && received === 'undefined') return flaw(field, 'required', REQUIRED)
    const code = kind === 'schema' ? 'type' : type === 'check' ? 'value' : type
    if (CHINESE.has(message)) return flaw(field, code, message as Said)
    const words = WORDS[type] ?? SOMEHOW
    return flaw(field, code, typeof words === 'function' ? words(issue) : words)
  })
}
