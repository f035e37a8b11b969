import type { Caller } from '../base/caller'

/** What a door-keeper sees of a request. */
export type Approach = {
  method: string
  path: string
  query: Readonly<Record<string, string>>
  headers: Readonly<Record<string, string>>
  /** The bytes as they came. */
  body: Buffer
}

/** Decides who is calling, or throws the Fault `caller_unknown` or `caller_not_allowed`. */
export type Authorize = (request: Approach) => Promise<Caller>
