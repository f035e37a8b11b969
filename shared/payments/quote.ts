import * as v from 'valibot'
import { Fault } from '../base/errors'
import { Fen } from '../base/money'
import type { QuoteKey } from '../base/people'
import { nowS } from '../base/time'
import { EpochSeconds, fieldFaults, NotBlank, S1, visibleAscii } from '../base/validate'
import type { Payments } from './context'
import type * as JoseParts from './jws'

/**
 * A quote: what the merchant's server says one payer may buy once, as a compact JWS. Its key is found by `kid` and has
 * one algorithm, so a token cannot talk us into another; `typ` keeps tokens that were made for something else out.
 *
 * Whether it has expired decides only whether it may become a new order: a repeat gets the order there is.
 */
const Quote = v.strictObject({
  iss: v.string(),
  /** This deployment, and the sub-merchant. */
  aud: v.tuple([v.string(), v.string()]),
  /** The payer's id. */
  sub: S1(128),
  /** One use. */
  jti: visibleAscii(128),
  iat: v.optional(EpochSeconds),
  exp: EpochSeconds,
  /** Integer fen. */
  total_fee: Fen,
  fee_type: v.literal('CNY'),
  body: NotBlank(128),
  merchant_order_id: visibleAscii(64),
})
export type Quote = v.InferOutput<typeof Quote>

export const QUOTE_TYPE = 'quote+jwt'
const QUOTE_MAX = 4096
/** Longer, and it is milliseconds or a mistake. */
const LIFE_MAX_S = 86_400

export type CheckedQuote = { quote: Quote; out_sub_mch_id: string; isOver: boolean }

/** Throws the Fault `quote_invalid`, with the reason for the log alone. */
export async function readQuote(payments: Payments, token: unknown): Promise<CheckedQuote> {
  const { quoteKeys, deployment } = payments.settings.prices
  const refuse = (why: string): Fault => {
    payments.log({ event: 'quote.refused', count: `quote.refused.${why}`, level: 'warn', why })
    return new Fault('quote_invalid', { cause: new Error(why) })
  }
  if (typeof token !== 'string' || token.length > QUOTE_MAX) throw refuse('no_token')
  const jose = await loadJose()
  let key: QuoteKey | undefined
  let payload: Uint8Array
  try {
    const { kid, typ } = jose.decodeProtectedHeader(token)
    key = quoteKeys.find(({ name }) => name === kid)
    if (!key) throw refuse('key_unknown')
    if (typ !== QUOTE_TYPE) throw refuse('type')
    payload = (await jose.compactVerify(token, await importKey(jose, key), { algorithms: [key.alg] })).payload
  } catch (error) {
    if (error instanceof Fault) throw error
    throw refuse('signature')
  }
  let claims: unknown
  try {
    claims = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {
    throw refuse('not_json')
  }
  const read = v.safeParse(Quote, claims)
  // Signed by the merchant: worth telling what is wrong with it.
  if (!read.success)
    throw new Fault('quote_invalid', { cause: new Error('claims'), fields: fieldFaults(read.issues) })
  const quote = read.output
  if (quote.iss !== key.iss) throw refuse('issuer')
  if (quote.aud[0] !== deployment || quote.aud[1] !== key.out_sub_mch_id) throw refuse('audience')
  const now = nowS(payments.clock)
  if (quote.exp > now + LIFE_MAX_S) throw refuse('too_long')
  return { quote, out_sub_mch_id: key.out_sub_mch_id, isOver: quote.exp <= now }
}

type Jose = typeof JoseParts

/**
 * Only for who brings a quote: loading and using it takes 5 to 10 ms. It stands on the Web Crypto of the global object, which Node 18
 * has not put there.
 */
async function loadJose(): Promise<Jose> {
  if (!('crypto' in globalThis)) {
    const { webcrypto } = await import('node:crypto')
    Object.defineProperty(globalThis, 'crypto', { value: webcrypto, configurable: true })
  }
  return import('./jws')
}

type Imported = ReturnType<Jose['importJWK']>
const imported = new WeakMap<QuoteKey, Imported>()

function importKey(jose: Jose, key: QuoteKey): Imported {
  let one = imported.get(key)
  if (!one) {
    const text = key.key.reveal()
    one =
      key.alg === 'HS256'
        ? Promise.resolve(new TextEncoder().encode(text))
        : jose.importJWK(JSON.parse(text) as Parameters<Jose['importJWK']>[0], key.alg)
    imported.set(key, one)
  }
  return one
}
