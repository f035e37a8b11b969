import type { Caller } from '../base/caller'

/** Decides who is calling, or throws the Fault `caller_unknown` or `caller_not_allowed`. */
export type Authorize = (request: { headers: Readonly<Record<string, string>> }) => Promise<Caller>
