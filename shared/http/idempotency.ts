import { Fault } from '../base/errors'
import type { HttpRequest } from './event'

/** The `Idempotency-Key` header. Throws the Fault `idempotency_key_invalid`. */
export function idempotencyKey({ headers }: Pick<HttpRequest, 'headers'>): string | null {
  const given = headers['idempotency-key']
  if (given === undefined) return null
  // Visible ASCII: MySQL would take a key with blanks at its end for the one without.
  if (!/^[!-~]{1,255}$/.test(given)) throw new Fault('idempotency_key_invalid')
  return given
}
