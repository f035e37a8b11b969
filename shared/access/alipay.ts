import { createPrivateKey, createPublicKey, createSign, createVerify, type KeyObject } from 'node:crypto'
import { parseStrictJson } from '../base/json'
import type { PayerApp } from '../base/people'
import type { Clock } from '../base/time'
import type { Ask } from '../net/ask'
import { askOnce, type Exchange, type Exchanged } from './exchange'

/**
 * alipay.system.oauth.token: the request is signed with the app's private key, the answer with Alipay's (RSA2, that is
 * RSASSA-PKCS1-v1_5 with SHA-256). An answer is believed only if its signature fits the very text it came in.
 */
const METHOD = 'alipay.system.oauth.token'
const NODE = 'alipay_system_oauth_token_response'
const USER_ID = /^2088\d{12}$/

/** Alipay's tools give keys as bare base64: PKCS#8 or PKCS#1 for the private one, SPKI for the public one. */
export function readPrivateKey(text: string): KeyObject {
  if (text.includes('-----BEGIN')) return createPrivateKey(text)
  const key = Buffer.from(text, 'base64')
  try {
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } catch {
    return createPrivateKey({ key, format: 'der', type: 'pkcs1' })
  }
}

export const readPublicKey = (text: string): KeyObject =>
  text.includes('-----BEGIN')
    ? createPublicKey(text)
    : createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' })

/** Every parameter but `sign`, sorted by name, as it is before it is encoded. */
export const textToSign = (parameters: Record<string, string>): string =>
  Object.keys(parameters)
    .filter((name) => name !== 'sign' && parameters[name] !== '')
    .sort()
    .map((name) => `${name}=${parameters[name]}`)
    .join('&')

export function alipayExchange(ask: Ask, gatewayUrl: string, clock: Clock): Exchange {
  return async (app, code, timeoutMs) => {
    let keys: { ours: KeyObject; theirs: KeyObject }
    try {
      keys = { ours: readPrivateKey(app.secret.reveal()), theirs: readPublicKey(app.alipay_public_key ?? '') }
    } catch {
      return { outcome: 'misconfigured', why: 'key_unreadable' }
    }
    const parameters: Record<string, string> = {
      app_id: app.app_id,
      method: METHOD,
      format: 'JSON',
      charset: 'utf-8',
      sign_type: 'RSA2',
      timestamp: beijingTime(clock),
      version: '1.0',
      grant_type: 'authorization_code',
      code,
    }
    const sign = createSign('RSA-SHA256').update(textToSign(parameters), 'utf8').sign(keys.ours, 'base64')
    const answer = await askOnce(ask, {
      method: 'POST',
      // The gateway wants to know the charset before it reads the body.
      url: `${gatewayUrl}?charset=utf-8`,
      headers: { 'content-type': 'application/x-www-form-urlencoded;charset=utf-8' },
      body: Buffer.from(new URLSearchParams({ ...parameters, sign }).toString(), 'utf8'),
      timeoutMs,
    })
    return 'outcome' in answer ? answer : read(answer.body.toString('utf8'), keys.theirs, app)
  }
}

function read(text: string, theirs: KeyObject, app: PayerApp): Exchanged {
  const parsed = parseStrictJson(text)
  const said = (parsed.ok ? parsed.value : undefined) as Record<string, unknown> | null | undefined
  if (typeof said !== 'object' || said === null) return { outcome: 'unavailable', why: 'not_json' }
  const refusal = (said['error_response'] ?? said[NODE]) as Record<string, unknown> | undefined
  const sub = refusal?.['sub_code']
  if (typeof sub === 'string') {
    const why = /^[\w.-]{1,64}$/.test(sub) ? sub : 'sub_code'
    if (/^isv\.(code-invalid|refresh-token)/.test(sub)) return { outcome: 'refused', why }
    return { outcome: sub.startsWith('isv.') ? 'misconfigured' : 'unavailable', why }
  }
  const content = rawMember(text, NODE)
  const { sign } = said
  if (content === undefined || typeof sign !== 'string') return { outcome: 'unavailable', why: 'no_answer' }
  if (!createVerify('RSA-SHA256').update(content, 'utf8').verify(theirs, sign, 'base64'))
    return { outcome: 'unavailable', why: 'sign_wrong' }
  const { user_id } = JSON.parse(content) as Record<string, unknown>
  // An app that was moved to open_id is told no user_id any more, and Cloud Pay asks for one.
  if (typeof user_id !== 'string' || !USER_ID.test(user_id))
    return { outcome: 'misconfigured', why: `no_${app.id_field}` }
  return { outcome: 'payer', payer_id: user_id }
}

/** The text of one member of a JSON object, as it was sent: that is what is signed. */
function rawMember(text: string, name: string): string | undefined {
  const head = new RegExp(`^\\s*\\{\\s*"${name}"\\s*:\\s*`).exec(text)
  if (!head) return undefined
  let depth = 0
  for (let at = head[0].length; at < text.length; at++) {
    const letter = text[at]
    if (letter === '"') for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++
    if (letter === '{') depth++
    if (letter === '}' && --depth === 0) return text.slice(head[0].length, at + 1)
  }
  return undefined
}

/** `2026-11-23 22:05:00`, in China's time, whatever zone this machine is in. */
const beijingTime = (clock: Clock): string =>
  new Date(clock.nowMs() + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ')
