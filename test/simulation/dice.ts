/**
 * All chance of one run comes from one seed, so that a run can be played again. sfc32: small, fast, and good enough to
 * choose by.
 */
export class Dice {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#a = seed | 0
    this.#b = Math.floor(seed / 2 ** 32) | 0
    this.#c = 0x9e3779b9 | 0
    for (let i = 0; i < 12; i++) this.next()
  }

  /** 32 bits, unsigned. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit)
  }

  /** Both ends included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability * 2 ** 32
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  /** One of the names, as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][]
    let left = (this.next() / 2 ** 32) * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) if ((left -= weight) < 0) return name
    return entries.at(-1)![0]
  }

  bytes(count: number): Buffer {
    const buffer = Buffer.allocUnsafe(count)
    for (let i = 0; i < count; i += 4) {
      const word = this.next()
      for (let j = i; j < Math.min(i + 4, count); j++) buffer[j] = word >>> ((j - i) * 8)
    }
    return buffer
  }
}
