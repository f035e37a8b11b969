import type { PayerApp } from '../base/people'
import type { Ask, Question } from '../net/ask'
import type { PostAnswer } from '../net/post'
import { NetFault } from '../net/post'

/**
 * A code for a payer's id. Whatever else comes with it (session_key, access tokens) is not taken out of the answer.
 *
 * `refused`: the code is no good. `unavailable`: nobody can tell just now. `misconfigured`: they know the code's app
 * otherwise than we do, and a person has to look. `why` is for the log: a code of theirs, never their text.
 */
export type Exchanged =
  | { outcome: 'payer'; payer_id: string }
  | { outcome: 'refused' | 'unavailable' | 'misconfigured'; why: string }

export type Exchange = (app: PayerApp, code: string, timeoutMs: number) => Promise<Exchanged>

const ANSWER_MAX_BYTES = 64 * 1024

/** Asks once; a code is good for one question. */
export async function askOnce(
  ask: Ask,
  question: Omit<Question, 'answerMaxBytes'>,
): Promise<PostAnswer | Exchanged> {
  try {
    const answer = await ask({ ...question, answerMaxBytes: ANSWER_MAX_BYTES })
    return answer.status === 200 ? answer : { outcome: 'unavailable', why: `http_${answer.status}` }
  } catch (error) {
    if (error instanceof NetFault) return { outcome: 'unavailable', why: error.code }
    throw error
  }
}
