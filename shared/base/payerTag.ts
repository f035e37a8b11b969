import { createHmac, type KeyObject } from 'node:crypto'
import { ERASED, storedPayerHash, type StoredPayer } from './payer'
import type { Random } from './random'
import { deriveKey } from './sealing'
import type { Secret } from './secrets'

/**
 * How the log names a payer: the same person is the same 16 characters, in every line and every door, and only who has
 * the key could tell whose they are. With no key to derive it from, it is the instance's own and ends with it.
 */
export type PayerTag = (payer: StoredPayer) => string

const LENGTH = 16

export function payerTags(secret: Secret | undefined, random: Random): PayerTag {
  let key: KeyObject | undefined
  return (payer) => {
    if (payer.payer_id === '') return 'nobody'
    const hash = storedPayerHash(payer)
    if (hash === undefined) return ERASED
    key ??= deriveKey(secret?.reveal() ?? random(32).toString('hex'), 'payers in the log')
    return createHmac('sha256', key).update(hash).digest('base64url').slice(0, LENGTH)
  }
}
