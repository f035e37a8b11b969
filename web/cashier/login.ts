import type { Client } from '../client/client'
import type { LoginApp } from './config'
import type { Memory } from './memory'
import type { WalletKind } from './wallet'

const AUTHORIZE: Record<WalletKind, (app: LoginApp, back: string, state: string) => string> = {
  wechat: ({ app_id, authorize_url }, back, state) =>
    `${authorize_url ?? 'https://open.weixin.qq.com/connect/oauth2/authorize'}?appid=${app_id}` +
    `&redirect_uri=${encodeURIComponent(back)}&response_type=code&scope=snsapi_base&state=${state}#wechat_redirect`,
  alipay: ({ app_id, authorize_url }, back, state) =>
    `${authorize_url ?? 'https://openauth.alipay.com/oauth2/publicAppAuthorize.htm'}?app_id=${app_id}` +
    `&scope=auth_base&redirect_uri=${encodeURIComponent(back)}&state=${state}`,
}

export type Return = { code: string; state: string; fragment: string; secret: string }

/**
 * Whether the browser has come back with a code. Code and state leave the address at once, and what was to be paid is
 * put back: a reload, the history and a shared link have no code, and a code is used once.
 */
export function takeReturn(window: Window, memory: Memory): Return | undefined {
  const { search, pathname, hash } = window.location
  const query = new URLSearchParams(search)
  const code = query.get('code') ?? query.get('auth_code')
  const state = query.get('state')
  if (code === null || state === null) return undefined
  const kept = memory.login.read()
  memory.login.forget()
  window.history.replaceState(null, '', pathname + (kept?.fragment || hash))
  return kept && { code, state, ...kept }
}

/** Sends the browser for a code. What is to be paid waits in this tab. */
export async function sendForCode(
  window: Window,
  {
    client,
    memory,
    app,
    kind,
    fragment,
  }: {
    client: Client
    memory: Memory
    app: LoginApp
    kind: WalletKind
    fragment: string
  },
): Promise<void> {
  const bytes = makeBytes(window)
  const hash = new Uint8Array(await window.crypto.subtle.digest('SHA-256', bytes))
  const { state } = await client.beginLogin({ app_id: app.app_id, secret_hash: base64url(hash) })
  memory.login.write({ secret: base64url(bytes), fragment })
  const { origin, pathname } = window.location
  // Not added to the history: the way back leads to the merchant's page, not to a code that is used up.
  window.location.replace(AUTHORIZE[kind](app, origin + pathname, state))
}

/** 32 of them, which nobody guesses. */
export const makeBytes = ({ crypto }: Pick<Window, 'crypto'>) => crypto.getRandomValues(new Uint8Array(32))

export const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '')
