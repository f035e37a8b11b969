import {
  sql,
  type Compilable,
  type CompiledQuery,
  type Expression,
  type Kysely,
  type RawBuilder,
} from 'kysely'
import type { Store } from './open'
import type { Tables } from './tables'

/**
 * Kysely writes every statement once per shape; the calls after that only bring their values. Writing the text costs
 * more than a database round trip on the same machine, and the text never changes.
 */

/** Stands for a value while a statement is written: a parameter that knows its name, or its name in a member. */
class Placeholder {
  constructor(
    readonly name: string,
    readonly inside?: string,
  ) {}
}

/** `values[member]` is a set of changes: in the text each of them is a parameter of its own. */
export const parametersOf = (member: string, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, new Placeholder(name, member)]))

/** Typed as the value, so that a statement reads as if it had it. */
type Placeholders<Values> = { [Name in keyof Values]: Values[Name] }

const placeholders = <Values>(): Placeholders<Values> =>
  new Proxy({} as Placeholders<Values>, { get: (_, name) => new Placeholder(String(name)) })

/**
 * `write` is called once per store and shape. In it, `given.x` is a parameter that later calls fill with `values.x`;
 * anything else it uses is part of the text, so what varies must be in `values` or decide the `shape`.
 */
export function statement<Values extends object, Shape = void>(
  write: (db: Kysely<Tables>, given: Placeholders<Values>, store: Store, shape: Shape) => Compilable,
) {
  const written = new WeakMap<Store, Map<string, CompiledQuery>>()
  return (store: Store, values: Values, shape: Shape): CompiledQuery => {
    let texts = written.get(store)
    if (!texts) written.set(store, (texts = new Map<string, CompiledQuery>()))
    const key = shape === undefined ? '' : String(shape)
    let text = texts.get(key)
    if (!text) texts.set(key, (text = write(store.db, placeholders(), store, shape).compile()))
    const parameters = text.parameters.map((parameter) => {
      if (!(parameter instanceof Placeholder)) return parameter
      const { name, inside } = parameter
      const from = (inside === undefined ? values : values[inside as keyof Values]) as Record<string, unknown>
      return from[name]
    })
    return { ...text, parameters }
  }
}

/** A statement written out. */
export const textOf = (db: Kysely<Tables>, text: RawBuilder<unknown>): Compilable => ({
  compile: () => text.compile(db),
})

/** Written out: Kysely's builder of deletions is in no bundle, and what expires needs three of them. */
export const deletion = textOf

/** Written out, like deletions: Kysely's UNION is in no bundle. */
export const allOf = <Row>(ranges: readonly Expression<Row>[]): RawBuilder<Row> =>
  sql<Row>`(${sql.join(
    // Each range in a query of its own: SQLite takes ORDER BY and LIMIT of a part in no other way.
    ranges.map((range) => sql`select * from ${range} as part`),
    sql` union all `,
  )})`
