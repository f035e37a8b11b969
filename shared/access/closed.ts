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
import { callerOf, openSignedRequests, SIGNED_HEADERS } from './signed'

type Around = { people: People; store: Store; clock: Clock; log: Log }

/** The last use of a key is written down this often, however much it is used. */
const KEY_USE_EVERY_MS = 60_000

export const SESSION_SECRET_HEADER = 'x-session-secret'

/** The door as it is deployed: payers with their session, the merchant's servers with signed requests. */
export function closedAuthorize({ people, store, clock, log }: Around): Authorize {
  const sessions = openSessions(people.sessionKeys, people.apps)
  const signed = openSignedRequests(people.merchantKeys)
  const lastUses = new Map<string, number>()

  async function payer(request: Approach): Promise<Caller> {
    const { headers } = request
    const token = tokenOf(request)
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
    const known = signed.verify(request, nowS(clock))
    await signed.spend(request, known, store)
    const key = known.name
    const nowMs = clock.nowMs()
    if (nowMs - (lastUses.get(key) ?? 0) >= KEY_USE_EVERY_MS) {
      lastUses.set(key, nowMs)
      // Worth knowing, not worth refusing anybody for.
      await setMark(store, `key:${key}`, '').catch((error: unknown) =>
        log({ event: 'key.use_unwritten', level: 'warn', key, cause: describeError(error) }),
      )
    }
    return callerOf(known)
  }

  return async (request) => {
    // Who says two things at once is not believed in either.
    if (isSigned(request) && 'authorization' in request.headers) throw new Fault('caller_unknown')
    return isSigned(request) ? merchant(request) : payer(request)
  }
}

const isSigned = ({ headers }: Approach): boolean =>
  Object.values(SIGNED_HEADERS).some((name) => name in headers)

const tokenOf = ({ headers }: Approach): string | undefined =>
  /^Bearer ([!-~]+)$/i.exec(headers['authorization'] ?? '')?.[1]

/** `unknown`: signed with a key of a name nobody here knows. */
export type Credential = 'good' | 'wrong' | { unknown: string }

/** What a request shows, before the database is asked whether it still holds. */
export function credentialOf(people: People, request: Approach, nowS: number): Credential {
  if (!isSigned(request)) {
    const sessions = openSessions(people.sessionKeys, people.apps)
    const token = tokenOf(request) ?? ''
    return sessions.open(token, request.headers[SESSION_SECRET_HEADER] ?? '', nowS) === 'unknown'
      ? 'wrong'
      : 'good'
  }
  const signed = openSignedRequests(people.merchantKeys)
  const name = request.headers[SIGNED_HEADERS.key] ?? ''
  if (!signed.knows(name)) return { unknown: name }
  try {
    signed.verify(request, nowS)
    return 'good'
  } catch {
    return 'wrong'
  }
}
