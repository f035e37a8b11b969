import type { Caller } from '../base/caller'
import { Fault } from '../base/errors'
import type { Approach } from './authorize'

/**
 * Everybody may call: for one machine only, and the configuration refuses it anywhere else. To try out several
 * callers, name one in the header `x-local-caller`: `alice`, or `payer:bob` for a payer.
 */
export const openAuthorize = async ({ headers }: Pick<Approach, 'headers'>): Promise<Caller> => {
  const named = headers['x-local-caller'] ?? 'local'
  const [, kind, id] = /^(payer:)?([0-9A-Za-z_-]{1,40})$/.exec(named) ?? []
  if (id === undefined) throw new Fault('caller_unknown')
  return { id, kind: kind === undefined ? 'merchant' : 'payer' }
}
