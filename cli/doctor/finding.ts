/**
 * One line of the doctor's: all is well, something is wrong (and what to do), something is to be thought of although it
 * works, or it could not be looked at here.
 */
export type Finding = { of: string; said: string } & (
  | { is: 'ok' }
  | { is: 'wrong'; cure: string }
  | { is: 'mind' }
  /** `needed`: without it nobody can say that the stage works. */
  | { is: 'left_out'; needed: boolean }
)

export const ok = (of: string, said: string): Finding => ({ of, is: 'ok', said })
export const wrong = (of: string, said: string, cure: string): Finding => ({ of, is: 'wrong', said, cure })
export const mind = (of: string, said: string): Finding => ({ of, is: 'mind', said })
export const leftOut = (of: string, said: string): Finding => ({ of, is: 'left_out', said, needed: true })
/** There is nothing to look at yet, or nothing anybody could look at from here. */
export const nothingThere = (of: string, said: string): Finding => ({
  of,
  is: 'left_out',
  said,
  needed: false,
})

const WORDS = { ok: 'ok   ', wrong: 'WRONG', mind: 'mind ', left_out: '-    ' }

export const tell = (finding: Finding): string =>
  `${WORDS[finding.is]}  ${finding.of}: ${finding.said}${finding.is === 'wrong' ? ` → ${finding.cure}` : ''}`

/** The chain of messages, not the objects: a driver's error may carry the connection's settings. */
export function messagesOf(error: unknown): string {
  const messages: string[] = []
  for (let one = error; one instanceof Error && messages.length < 4; one = one.cause)
    messages.push(one.message)
  return messages.join(': ') || String(error)
}
