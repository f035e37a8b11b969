import type { Owner } from './scheduler'

/**
 * Watches what leaves for Cloud Pay, for promises that rows alone cannot show: what is sent has been counted, nobody
 * sends while somebody else holds the lease, and two timer runs never have the same thing in hand.
 */
export type Sent = { suffix: string; number: string; refund: string | undefined }

type Flight = Sent & { owner: Owner }

export class Traffic {
  /** Transmissions of creates and refunds, by order or refund number: what a handler has really begun to send. */
  readonly transmissions = new Map<string, number>()
  readonly violations: string[] = []
  readonly #inFlight = new Set<Flight>()

  /** `isQuiet`: nothing but the order's own turn makes the timer ask about it. */
  constructor(private readonly isQuiet: (number: string) => boolean) {}

  begin(owner: Owner, body: Buffer, suffix: string): Flight {
    const text = body.toString('latin1')
    const number = /out_trade_no\\":\\"([^\\"]+)/.exec(text)?.[1] ?? ''
    const refund = /out_refund_no\\":\\"([^\\"]+)/.exec(text)?.[1]
    const flight: Flight = { owner, suffix, number, refund }
    const what = this.#whatIsAlone(flight)
    if (what !== undefined) {
      for (const other of this.#inFlight) {
        if (other.owner !== owner && !other.owner.dead && this.#whatIsAlone(other) === what) {
          this.violations.push(`${owner.name} and ${other.owner.name} send at once: ${what}`)
        }
      }
    }
    this.#inFlight.add(flight)
    if (suffix.endsWith('_pay') || suffix === 'refund') {
      const key = suffix === 'refund' ? (refund ?? '') : number
      this.transmissions.set(key, (this.transmissions.get(key) ?? 0) + 1)
    }
    return flight
  }

  end(flight: Flight): void {
    this.#inFlight.delete(flight)
  }

  /** What only one may be doing at a time, if this is such a thing. */
  #whatIsAlone({ owner, suffix, number, refund }: Flight): string | undefined {
    if (suffix.endsWith('_pay')) return `create ${number}`
    if (!owner.name.endsWith('timer')) return undefined
    if (suffix === 'close_order') return `the timer's close of ${number}`
    if (suffix === 'query_order' && this.isQuiet(number)) return `the timer's look at ${number}`
    return suffix === 'query_refund_order' && refund !== undefined
      ? `the timer's look at ${refund}`
      : undefined
  }
}
