import type { Dice } from './dice'

/**
 * Virtual time, and who goes on next. Everything that waits, waits here; between two steps nothing runs but the
 * microtasks of the one that was resumed. Among those whose time has come the dice choose, so every order in which a
 * real network and a real database could let them go on can happen, and the seed says which one did.
 */

/** Whoever waits: an instance, a page, the network. What the dead wait for never comes. */
export type Owner = { readonly name: string; dead: boolean }

export type Waiting = {
  readonly owner: Owner
  /** What it waits for. */
  readonly what: string
  readonly atMs: number
  readonly go: () => void
  /** Its place in the list; -1 when it is out. */
  place: number
}

const GO_ON = Promise.resolve()

export class Scheduler {
  nowMs: number
  steps = 0
  /** Nothing goes wrong any more: who is alone goes on without being chosen. */
  calm = false
  /** FNV-1a over what was chosen: two runs with the same number took the same course. */
  hash = 0x811c9dc5
  /** Called before a step is taken; true takes it away from its owner. */
  intercept: (next: Waiting) => boolean = () => false
  /** Whose step begins. */
  resumed: (owner: Owner) => void = () => undefined
  trace: ((line: string) => void) | undefined
  readonly #waiting: Waiting[] = []
  readonly #ready: Waiting[] = []

  constructor(
    private readonly dice: Dice,
    startMs: number,
  ) {
    this.nowMs = startMs
  }

  /** Calls `go` when `afterMs` have passed and the dice choose it. */
  after(owner: Owner, what: string, afterMs: number, go: () => void): Waiting {
    const waiting = { owner, what, atMs: this.nowMs + afterMs, go, place: this.#waiting.length }
    this.#waiting.push(waiting)
    return waiting
  }

  cancel(waiting: Waiting): void {
    const { place } = waiting
    if (place < 0) return
    const last = this.#waiting.pop()!
    if (last !== waiting) {
      this.#waiting[place] = last
      last.place = place
    }
    waiting.place = -1
  }

  park(owner: Owner, what: string, afterMs = 0): Promise<void> {
    if (this.calm && afterMs === 0 && !owner.dead && !this.#anyReady()) {
      this.resumed(owner)
      return GO_ON
    }
    return new Promise((resolve) => {
      if (!owner.dead) this.after(owner, what, afterMs, resolve)
    })
  }

  #anyReady(): boolean {
    for (const { atMs } of this.#waiting) if (atMs <= this.nowMs) return true
    return false
  }

  /** What a crash leaves behind: nothing. */
  forget(owner: Owner): void {
    for (let at = this.#waiting.length - 1; at >= 0; at--) {
      const waiting = this.#waiting[at]!
      if (waiting.owner === owner) this.cancel(waiting)
    }
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Lets one go on. False when nobody waits. The caller lets the microtasks run out before the next. */
  step(): boolean {
    const ready = this.#ready
    ready.length = 0
    let next = Infinity
    for (const waiting of this.#waiting) {
      if (waiting.atMs <= this.nowMs) ready.push(waiting)
      else if (waiting.atMs < next) next = waiting.atMs
    }
    if (ready.length === 0) {
      if (next === Infinity) return false
      this.nowMs = next
      for (const waiting of this.#waiting) if (waiting.atMs <= next) ready.push(waiting)
    }
    const chosen = ready[ready.length === 1 ? 0 : this.dice.below(ready.length)]!
    this.cancel(chosen)
    this.steps++
    this.#mix(chosen)
    if (chosen.owner.dead) return true
    this.resumed(chosen.owner)
    if (this.intercept(chosen)) return true
    this.trace?.(`${chosen.owner.name}  ${chosen.what}`)
    chosen.go()
    return true
  }

  #mix({ owner, what }: Waiting): void {
    let hash = this.hash
    for (const text of [owner.name, what]) {
      for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    }
    this.hash = hash >>> 0
  }
}
