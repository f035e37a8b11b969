import { parseStrictJson } from '../base/json'
import type { Ask } from '../net/ask'
import { askOnce, type Exchange, type Exchanged } from './exchange'

/**
 * jscode2session for mini-programs, sns/oauth2/access_token for official accounts. Both are GET with the app's secret
 * in the query, as WeChat documents them: the URL is a secret and is never logged.
 */
const PATHS = {
  mini_program: { path: 'sns/jscode2session', codeName: 'js_code' },
  official_account: { path: 'sns/oauth2/access_token', codeName: 'code' },
} as const

const OPENID = /^[0-9A-Za-z_-]{6,64}$/

/** The code is wrong, expired, used, or its user is under suspicion. */
const CODE_REFUSED = new Set([40029, 40163, 40226, 41008, 42003])
/** The app id or its secret is not what WeChat knows, or this server's address is not on its list. */
const MISCONFIGURED = new Set([40001, 40013, 40125, 40164, 41002, 41004, 50002, 61004])

export const wechatExchange =
  (ask: Ask, baseUrl: string): Exchange =>
  async (app, code, timeoutMs) => {
    if (app.kind === 'alipay') throw new Error('not an app of WeChat')
    const { path, codeName } = PATHS[app.kind]
    const query = new URLSearchParams({
      appid: app.app_id,
      secret: app.secret.reveal(),
      [codeName]: code,
      grant_type: 'authorization_code',
    })
    const url = `${baseUrl}${path}?${query.toString()}`
    const answer = await askOnce(ask, { method: 'GET', url, timeoutMs })
    return 'outcome' in answer ? answer : read(answer.body)
  }

function read(body: Buffer): Exchanged {
  const parsed = parseStrictJson(body.toString('utf8'))
  const said = (parsed.ok ? parsed.value : undefined) as Record<string, unknown> | null | undefined
  if (typeof said !== 'object' || said === null) return { outcome: 'unavailable', why: 'not_json' }
  const { errcode, openid } = said
  if (errcode !== undefined && errcode !== 0) {
    const number = typeof errcode === 'number' ? errcode : NaN
    const why = `errcode_${number}`
    if (CODE_REFUSED.has(number)) return { outcome: 'refused', why }
    return { outcome: MISCONFIGURED.has(number) ? 'misconfigured' : 'unavailable', why }
  }
  if (typeof openid !== 'string' || !OPENID.test(openid)) return { outcome: 'unavailable', why: 'no_openid' }
  return { outcome: 'payer', payer_id: openid }
}
