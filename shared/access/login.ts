import { createHmac } from 'node:crypto'
import * as v from 'valibot'
import type { Caller } from '../base/caller'
import { Fault } from '../base/errors'
import { describeError, type Log } from '../base/log'
import type { PayerTag } from '../base/payerTag'
import type { PayerApp, People } from '../base/people'
import type { Random } from '../base/random'
import { deriveKey } from '../base/sealing'
import { nowS, type Clock, type Deadline } from '../base/time'
import { fieldFaults, said, visibleAscii } from '../base/validate'
import type { Ask } from '../net/ask'
import { noteAnomalies } from '../store/beside'
import { count } from '../store/counters'
import type { Store } from '../store/open'
import { revoke } from '../store/revocations'
import { spend } from '../store/spent'
import { alipayExchange } from './alipay'
import type { Exchange } from './exchange'
import { hashSecret, isSessionSecret, openSessions, payerKey } from './session'
import { openStates, STATE_LIFE_S } from './state'
import { wechatExchange } from './wechat'

type Around = {
  people: People
  /** As it is now, when that is not this. */
  newer: () => Promise<{ people: People; newer: Around['newer'] } | undefined>
  store: Store
  clock: Clock
  random: Random
  log: Log
  payerTag: PayerTag
  ask: Ask
}

const Secret32 = v.pipe(
  v.string(),
  v.check(isSessionSecret, said('must be 32 bytes as base64url', '须为 32 个字节的 base64url 编码')),
)
const AppId = v.pipe(
  v.string(),
  v.regex(/^[0-9A-Za-z]{1,32}$/, said('must be 1 to 32 letters and digits', '须为 1 至 32 个字母或数字')),
)

export const LoginRequest = v.strictObject({
  app_id: AppId,
  /** Of `wx.login`, of the redirect, of `my.getAuthCode`. */
  code: v.pipe(
    v.string(),
    v.regex(
      /^[0-9A-Za-z_-]{1,256}$/,
      said('must be the code as the wallet gave it', '须为微信或支付宝给出的 code，原样发送'),
    ),
  ),
  /** 32 random bytes of the client's own, as base64url: sent with every later call, never sent back. */
  secret: Secret32,
  state: v.optional(v.pipe(v.string(), v.maxLength(128))),
})

export const StateRequest = v.strictObject({
  app_id: AppId,
  /** SHA-256 of the secret's 32 bytes, as base64url. */
  secret_hash: v.pipe(
    v.string(),
    v.regex(/^[0-9A-Za-z_-]{43}$/, said('must be a SHA-256 as base64url', '须为 SHA-256 的 base64url 编码')),
  ),
})

export const RevokeRequest = v.strictObject({
  payer_id: visibleAscii(128),
  payer_field: v.picklist(['open_id', 'sub_open_id', 'user_id']),
})

const MINUTE_MS = 60_000
const EXCHANGE_TIMEOUT_MS = 5000
/** To write nothing more, only to answer. */
const ANSWER_RESERVE_MS = 500

function readAs<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const read = v.safeParse(schema, body)
  if (!read.success) throw new Fault('body_invalid', { fields: fieldFaults(read.issues) })
  return read.output
}

/** In which minute this instance last noted an app's limit: a flood is one row and one write a minute, not one for each. */
const notedIn = new WeakMap<Store, Map<string, number>>()

export type NewSession = { token: string; expires_at: number; expires_in: number; app_id: string }

/** What payers do before they are anybody: get a `state`, bring a code, and later end what they began. */
export function openLogins(around: Around) {
  const { people, store, clock, random, log, payerTag, ask } = around
  const sessions = openSessions(people.sessionKeys, people.apps)
  const states = openStates(people.sessionKeys)
  const exchanges: Record<'wechat' | 'alipay', Exchange> = {
    wechat: wechatExchange(ask, people.wechatApiUrl),
    alipay: alipayExchange(ask, people.alipayGatewayUrl, clock),
  }

  function appOf(app_id: string): PayerApp {
    const app = people.apps.find((one) => one.app_id === app_id)
    if (!app || app.disabled) throw new Fault('app_unknown')
    return app
  }

  const refuse = (app: PayerApp, why: string): Fault => {
    log({ event: 'login.refused', count: 'login.refused', app_id: app.app_id, why })
    return new Fault('login_refused')
  }

  const limited = (app: PayerApp, by: 'address' | 'app'): Fault => {
    log({ event: 'login.limited', count: `login.limited.${by}`, level: 'warn', app_id: app.app_id })
    return new Fault('too_many_logins', { retryAfterS: 60 })
  }

  /**
   * In 65536 drawers, so that whoever has many addresses does not fill the table; by a key, so that nobody can work out
   * which address shares a drawer with somebody they want to lock out.
   */
  function drawerOf({ app_id }: PayerApp, address: string): string {
    const key = deriveKey(people.sessionKeys[0]!.secret.reveal(), 'login-drawer')
    return createHmac('sha256', key).update(`${app_id}\0${address}`).digest('hex').slice(0, 4)
  }

  /** Tells a person that an app's payers are being turned away. Whatever becomes of it, the login is refused. */
  async function noteLimit({ app_id, out_sub_mch_id }: PayerApp, nowMs: number): Promise<void> {
    const minutes = notedIn.get(store) ?? new Map<string, number>()
    notedIn.set(store, minutes)
    const minute = Math.floor(nowMs / MINUTE_MS)
    if (minutes.get(app_id) === minute) return
    minutes.set(app_id, minute)
    const kind = 'logins_limited'
    const evidence = { app_id, per_minute: people.limits.loginsPerMinute }
    const anomaly = { kind, out_sub_mch_id, out_trade_no: '', about: app_id, evidence } as const
    try {
      await noteAnomalies(store, nowS(clock), [anomaly])
      log({ event: 'anomaly', count: `anomaly.${kind}`, level: 'warn', ...evidence })
    } catch (error) {
      log({ event: 'anomaly_not_kept', level: 'error', kind, cause: describeError(error) })
    }
  }

  return {
    /** A `state` for one redirect of this browser. Nothing is written: the state is its own proof. */
    beginLogin(body: unknown): { state: string; expires_in: number } {
      const request = readAs(StateRequest, body)
      const app = appOf(request.app_id)
      if (!app.needs_state) throw refuse(app, 'no_redirect')
      return {
        state: states.make(app, request.secret_hash, nowS(clock), random),
        expires_in: STATE_LIFE_S,
      }
    },

    /**
     * A session for who brings a code. What can be refused from memory is, before the database is touched; what is over
     * a limit, before WeChat or Alipay are.
     */
    async login(body: unknown, address: string | undefined, deadline: Deadline): Promise<NewSession> {
      const request = readAs(LoginRequest, body)
      const app = appOf(request.app_id)
      const secretHash = hashSecret(request.secret)
      const until =
        request.state === undefined ? undefined : states.check(request.state, app, secretHash, nowS(clock))
      if (app.needs_state !== (request.state !== undefined)) throw refuse(app, 'state_missing')
      if (app.needs_state && until === undefined) throw refuse(app, 'state_wrong')

      // The app may not be served any more since a moment ago.
      const now = await around.newer()
      if (now) {
        const { people, newer } = now
        return openLogins({ ...around, people, newer }).login(body, address, deadline)
      }
      await this.countLogin(app, address)
      if (until !== undefined && !(await spend(store, { kind: 'state', id: request.state!, until })))
        throw refuse(app, 'state_used')

      const timeoutMs = Math.min(EXCHANGE_TIMEOUT_MS, deadline.remainingMs() - ANSWER_RESERVE_MS)
      if (timeoutMs < 500) throw new Fault('no_time_left')
      const exchange = exchanges[app.kind === 'alipay' ? 'alipay' : 'wechat']
      const exchanged = await exchange(app, request.code, timeoutMs)
      if (exchanged.outcome === 'refused') throw refuse(app, exchanged.why)
      if (exchanged.outcome !== 'payer') {
        const level = exchanged.outcome === 'misconfigured' ? 'error' : 'warn'
        const { outcome, why } = exchanged
        log({ event: 'login.failed', count: `login.${outcome}`, level, app_id: app.app_id, why })
        throw new Fault('login_unavailable')
      }

      const begun = { nowS: nowS(clock), lifeS: people.sessionLifeS, random }
      const { token, session } = sessions.issue(app, exchanged.payer_id, secretHash, begun)
      const payer = payerTag(session)
      log({ event: 'login.done', count: 'login.done', app_id: app.app_id, session: session.jti, payer })
      return { token, expires_at: session.exp, expires_in: session.exp - session.iat, app_id: app.app_id }
    },

    /**
     * Per address, which can be forged, and per app, which cannot: one tenant's crowd, or its attacker, uses up nothing of
     * another's. Where the platform gives no address there is only the app's budget: people who have nothing in common but
     * that must not share the drawer of one. Throws the Fault `too_many_logins`.
     */
    async countLogin(app: PayerApp, address: string | undefined): Promise<void> {
      const nowMs = clock.nowMs()
      const { loginsPerAddress, loginsPerMinute } = people.limits
      const name = `login:${app.app_id}`
      if (address !== undefined) {
        const mine = { name: `${name}:${drawerOf(app, address)}`, periodMs: MINUTE_MS, max: loginsPerAddress }
        if (!(await count(store, mine, nowMs))) throw limited(app, 'address')
      }
      if (await count(store, { name, periodMs: MINUTE_MS, max: loginsPerMinute }, nowMs)) return
      await noteLimit(app, nowMs)
      throw limited(app, 'app')
    },

    /** A payer's own session; for the merchant, all that a payer of theirs has. */
    async endSessions(caller: Caller, body: Record<string, unknown>): Promise<void> {
      const at = nowS(clock)
      const until = at + people.sessionLifeS + 2 * SKEW_S
      const { out_sub_mch_id } = caller
      if (caller.payer) return revoke(store, { id: caller.payer.session, at, until })
      if (out_sub_mch_id === undefined) throw new Fault('caller_not_allowed')
      const whose = readAs(RevokeRequest, body)
      await revoke(store, { id: payerKey(out_sub_mch_id, whose.payer_field, whose.payer_id), at, until })
      const payer = payerTag({ out_sub_mch_id, ...whose })
      log({ event: 'sessions.ended', count: 'sessions.ended', payer })
    },
  }
}

/** A session of a clock that is ahead must not outlive what ended it. */
const SKEW_S = 300
