import type { Compilable, CompiledQuery, Kysely } from 'kysely'
import type { Store } from './open'
import type { Tables } from './tables'

/**
 * Kysely writes every statement once per shape; the calls after that only bring their values. Writing the text costs
 * more than a database round trip on the same machine, and the text never changes.
 */

/** Stands for a value while a statement is written: a parameter that knows its name. */
class Placeholder {
  constructor(readonly name: string) {}
}

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
    const parameters = text.parameters.map((parameter) =>
      parameter instanceof Placeholder ? values[parameter.name as keyof Values] : parameter,
    )
    return { ...text, parameters }
  }
}
