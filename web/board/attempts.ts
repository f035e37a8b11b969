import { PayError } from '../client/client'
import type { Operator, RefundAnswer } from '../client/operator'

/**
 * Refunds that were asked for and not answered. Key and text are kept, over a reload too, until an answer came: asking
 * again is then the same refund, and never a second one. Nothing secret is in them.
 */
export type Attempt = {
  key: string
  body: string
  fen: number
  /** Some try got no answer: there may be a refund. */
  unsure: boolean
}
export type RefundEnd =
  | { end: 'answered'; answer: RefundAnswer }
  /** There is no such refund, and there will be none. */
  | { end: 'refused'; error: unknown }
  /** Not to be taken for a failure. */
  | { end: 'unknown'; error: unknown }

export type Attempts = ReturnType<typeof openAttempts>

/** What is used of `sessionStorage`. */
type Kept = { getItem(name: string): string | null; setItem(name: string, value: string): void }

const NAME = 'board.refunds'

/** Said of this refund itself, which the functions look for first: not recorded, or refused for good. */
const VERDICTS = [
  'refund_refused',
  'refund_exceeds',
  'order_not_refundable',
  'order_not_found',
  'content_differs',
  'body_invalid',
]

export function openAttempts(storage: Kept, makeKey: () => string) {
  const kept = new Map<string, Attempt>(read())

  function read(): [string, Attempt][] {
    try {
      return Object.entries(JSON.parse(storage.getItem(NAME) ?? '{}') as Record<string, Attempt>)
    } catch {
      return []
    }
  }
  function write(): void {
    try {
      storage.setItem(NAME, JSON.stringify(Object.fromEntries(kept)))
    } catch {
      // Then it lives as long as the page.
    }
  }
  function put(number: string, attempt: Attempt | undefined): void {
    if (attempt) kept.set(number, attempt)
    else kept.delete(number)
    write()
  }

  return {
    find: (number: string) => kept.get(number),

    /** Refunds, or asks again for the one that got no answer, whatever is wanted now. */
    async send(
      operator: Operator,
      number: string,
      wanted?: { fen: number; reason: string },
    ): Promise<RefundEnd> {
      let attempt = kept.get(number)
      if (!attempt) {
        const { fen, reason } = wanted!
        const body = JSON.stringify({ refund_fee: fen, ...(reason ? { reason } : {}) })
        attempt = { key: makeKey(), body, fen, unsure: false }
      }
      const wasUnsure = attempt.unsure
      // Kept before it is sent, as one that may have arrived: the page may be gone before the answer.
      put(number, { ...attempt, unsure: true })
      try {
        const answer = await operator.refund(number, attempt.body, attempt.key)
        put(number, undefined)
        return { end: 'answered', answer }
      } catch (error) {
        const { code, status } = error instanceof PayError ? error : new PayError('no_answer', 0)
        const said = status >= 400 && status < 500 && code !== 'no_answer' && code !== 'order_in_progress'
        if (VERDICTS.includes(code) || (said && !wasUnsure)) {
          put(number, undefined)
          return { end: 'refused', error }
        }
        return { end: 'unknown', error }
      }
    },
  }
}
