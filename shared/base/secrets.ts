/** What stands in place of a secret, wherever one would have been shown. */
export const HIDDEN = '***'

/**
 * Text that must not be seen: however it is printed, serialised or inspected, it shows `***`.
 * `reveal()` is the one way out, so that searching for it lists every place that uses a secret.
 */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  reveal(): string {
    return this.#text
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN
  }
}
