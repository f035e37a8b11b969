import { createHash, createHmac, type KeyObject } from 'node:crypto'
import { payerHash, PAYER_FIELDS, type AppKind, type PayerField } from '../base/caller'
import type { NamedKey } from '../base/entries'
import type { PayerApp } from '../base/people'
import type { Random } from '../base/random'
import { deriveKey, sameText, sealText, unsealText } from '../base/sealing'

/**
 * A payer's session: a compact JWS (RFC 7515), HS256 and nothing else. It is half of a credential. The platform writes
 * what we answer to its log, so the other half, a secret of 32 random bytes, is made by the client and never comes back
 * from us: the token holds its hash, and every call presents both.
 *
 * Written on node:crypto: a library costs a cold start 5 to 10 ms, and of JWS this needs one algorithm. There is
 * no algorithm to be talked into: a header is one of those we write, byte for byte, or the token is not ours.
 */
export type Session = {
  jti: string
  app_id: string
  app_kind: AppKind
  out_sub_mch_id: string
  payer_field: PayerField
  payer_id: string
  iat: number
  exp: number
}

type Claims = {
  jti: string
  app: string
  mch: string
  fld: string
  /** The payer's id, sealed: a token that is seen does not tell whose it is. */
  pid: string
  /** SHA-256 of the client's secret. */
  sec: string
  iat: number
  exp: number
}

type Key = { header: string; mac: KeyObject; seal: KeyObject }

const TOKEN_MAX = 2048
/** 32 bytes as base64url. */
const SECRET = /^[A-Za-z0-9_-]{43}$/
/** Clocks of instances may differ by this much. */
const SKEW_S = 300

export const isSessionSecret = (text: string): boolean =>
  SECRET.test(text) && Buffer.from(text, 'base64url').toString('base64url') === text

/** Of the 32 bytes, not of their text. */
export const hashSecret = (secret: string): string =>
  createHash('sha256').update(Buffer.from(secret, 'base64url')).digest('base64url')

const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64url')

export type Sessions = ReturnType<typeof openSessions>

export function openSessions(sessionKeys: readonly NamedKey[], apps: readonly PayerApp[]) {
  const keys = sessionKeys.map(({ name, secret }): Key => ({
    header: encode(JSON.stringify({ alg: 'HS256', typ: 'session+jwt', kid: name })),
    mac: deriveKey(secret.reveal(), 'session'),
    seal: deriveKey(secret.reveal(), 'payer'),
  }))

  return {
    /** A token for who has just been told apart by `app`, and who keeps the secret with this hash. */
    issue(
      app: PayerApp,
      payer_id: string,
      secretHash: string,
      { nowS, lifeS, random }: { nowS: number; lifeS: number; random: Random },
    ): { token: string; session: Session } {
      const key = keys[0]
      if (!key) throw new Error('there is no session key')
      const session: Session = {
        jti: random(16).toString('hex'),
        app_id: app.app_id,
        app_kind: app.kind,
        out_sub_mch_id: app.out_sub_mch_id,
        payer_field: app.id_field,
        payer_id,
        iat: nowS,
        exp: nowS + lifeS,
      }
      const claims: Claims = {
        jti: session.jti,
        app: session.app_id,
        mch: session.out_sub_mch_id,
        fld: session.payer_field,
        pid: sealText(key.seal, payer_id, session.jti, random),
        sec: secretHash,
        iat: session.iat,
        exp: session.exp,
      }
      const signed = `${key.header}.${encode(JSON.stringify(claims))}`
      return { token: `${signed}.${sign(key.mac, signed)}`, session }
    },

    /**
     * Whose token this is. `unknown`: not one of ours, or not presented by who has its secret. `ended`: it was, and has
     * expired, or its app is not served any more. Whether it was revoked the database knows.
     */
    open(token: string, secret: string, nowS: number): Session | 'unknown' | 'ended' {
      const [header, payload, mac, ...more] = token.length > TOKEN_MAX ? [] : token.split('.')
      if (header === undefined || payload === undefined || mac === undefined || more.length > 0)
        return 'unknown'
      const key = keys.find((one) => one.header === header)
      if (!key || !isSessionSecret(secret)) return 'unknown'
      if (!sameText(mac, sign(key.mac, `${header}.${payload}`))) return 'unknown'
      // From here on it is what we wrote ourselves.
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Claims
      if (!sameText(claims.sec, hashSecret(secret))) return 'unknown'
      const app = apps.find(({ app_id }) => app_id === claims.app)
      const payer_field = PAYER_FIELDS.find((field) => field === claims.fld)
      if (claims.exp <= nowS || claims.iat > nowS + SKEW_S) return 'ended'
      if (!app || app.out_sub_mch_id !== claims.mch || app.id_field !== payer_field) return 'ended'
      return {
        jti: claims.jti,
        app_id: claims.app,
        app_kind: app.kind,
        out_sub_mch_id: claims.mch,
        payer_field,
        payer_id: unsealText(key.seal, claims.pid, claims.jti),
        iat: claims.iat,
        exp: claims.exp,
      }
    },
  }
}

/** Under which a payer's orders and revocations are kept: the same person, in whichever session. */
export const payerKey = (out_sub_mch_id: string, payer_field: string, payer_id: string): string =>
  `p:${payerHash(out_sub_mch_id, { payer_field, payer_id })}`

const sign = (key: KeyObject, text: string): string =>
  createHmac('sha256', key).update(text, 'utf8').digest('base64url')
