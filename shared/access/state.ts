import { createHmac, type KeyObject } from 'node:crypto'
import type { NamedKey } from '../base/entries'
import type { PayerApp } from '../base/people'
import type { Random } from '../base/random'
import { deriveKey, sameText } from '../base/sealing'

/**
 * The `state` of a login by redirect. Who comes back with a code must be the browser that was sent: otherwise a link
 * logs a victim in as the attacker. The browser makes its secret first and names its hash; the state is good for that
 * hash, that app and ten minutes. It is used once, which the database remembers.
 *
 * 64 hexadecimal characters, because WeChat takes letters and digits only: when it ends, chance, and a MAC over both.
 */
export const STATE_LIFE_S = 600

const STATE = /^[0-9a-f]{64}$/
const HEAD_BYTES = 16

export function openStates(sessionKeys: readonly NamedKey[]) {
  const keys = sessionKeys.map(({ secret }) => deriveKey(secret.reveal(), 'oauth-state'))
  const macOf = (key: KeyObject, head: string, app: PayerApp, secretHash: string) =>
    createHmac('sha256', key).update(`${head}\0${app.app_id}\0${secretHash}`).digest('hex').slice(0, 32)

  return {
    make(app: PayerApp, secretHash: string, nowS: number, random: Random): string {
      const head = Buffer.concat([Buffer.alloc(4), random(HEAD_BYTES - 4)])
      head.writeUInt32BE(nowS + STATE_LIFE_S)
      const text = head.toString('hex')
      return text + macOf(keys[0]!, text, app, secretHash)
    },

    /** When it ends, if it is one of ours for this browser and app, and has not ended. */
    check(state: string, app: PayerApp, secretHash: string, nowS: number): number | undefined {
      if (!STATE.test(state)) return undefined
      const head = state.slice(0, 2 * HEAD_BYTES)
      const mac = state.slice(2 * HEAD_BYTES)
      if (!keys.some((key) => sameText(mac, macOf(key, head, app, secretHash)))) return undefined
      const until = Buffer.from(head, 'hex').readUInt32BE(0)
      return until > nowS ? until : undefined
    },
  }
}
