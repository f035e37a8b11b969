import type { Caller } from '../base/caller'
import { Fault } from '../base/errors'
import { describeError, type Log } from '../base/log'
import type { People } from '../base/people'
import { nowS, type Clock } from '../base/time'
import { setMark } from '../store/marks'
import type { Store } from '../store/open'
import { isRevoked } from '../store/revocations'
import type { Approach, Authorize } from './authorize'
import { openSessions, payerKey } from './session'
import { openSignedRequests, SIGNED_HEADERS } from './signed'

type Around = { people: People; store: Store; clock: Clock; log: Log }

/** The last use of a key is written down this often, however much it is used. */
const KEY_USE_EVERY_MS = 60_000

export const SESSION_SECRET_HEADER = 'x-session-secret'

/** The door as it is deployed: payers with their session, the merchant's servers with signed requests. */
export function closedAuthorize({ people, store, clock, log }: Around): Authorize {
  const sessions = openSessions(people.sessionKeys, people.apps)
  const openSigned = openSignedRequests(people.merchantKeys)
  const lastUses = new Map<string, number>()

  async function payer({ headers }: Approach): Promise<Caller> {
    const [, token] = /^Bearer ([!-~]+)$/i.exec(headers['authorization'] ?? '') ?? []
    if (token === undefined) throw new Fault('caller_unknown')
    const session = sessions.open(token, headers[SESSION_SECRET_HEADER] ?? '', nowS(clock))
    if (session === 'unknown') throw new Fault('caller_unknown')
    if (session === 'ended') throw new Fault('session_ended')
    const { jti, iat, out_sub_mch_id, payer_field: field, payer_id, app_id, app_kind } = session
    const id = payerKey(out_sub_mch_id, field, payer_id)
    if (await isRevoked(store, { session: jti, payer: id, began: iat })) throw new Fault('session_ended')
    const who = { field, id: payer_id, app_id, app_kind, session: jti }
    return { id, kind: 'payer', out_sub_mch_id, payer: who }
  }

  async function merchant(request: Approach): Promise<Caller> {
    const { caller, key } = await openSigned(request, store, clock)
    const nowMs = clock.nowMs()
    if (nowMs - (lastUses.get(key) ?? 0) >= KEY_USE_EVERY_MS) {
      lastUses.set(key, nowMs)
      // Worth knowing, not worth refusing anybody for.
      await setMark(store, `key:${key}`, '').catch((error: unknown) =>
        log({ event: 'key.use_unwritten', level: 'warn', key, cause: describeError(error) }),
      )
    }
    return caller
  }

  return async (request) => {
    const signed = Object.values(SIGNED_HEADERS).some((name) => name in request.headers)
    // Who says two things at once is not believed in either.
    if (signed && 'authorization' in request.headers) throw new Fault('caller_unknown')
    return signed ? merchant(request) : payer(request)
  }
}
