import { createSign, createVerify, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { AppKind, PayerField } from '../../shared/base/caller'
import { SANDBOX_SECRET } from '../../shared/base/people'
import type { Random } from '../../shared/base/random'
import type { Clock } from '../../shared/base/time'

/**
 * WeChat's and Alipay's logins, imitated: they give out codes as `wx.login`, a redirect or `my.getAuthCode` would, and
 * exchange each of them once. Everything a real one checks is checked: app, secret, kind of code, whose code, its age
 * and its use; for Alipay the signature over all parameters. Answers are shaped as documented, and Alipay's are signed.
 */
export type SandboxApp = { app_id: string; kind: AppKind; id_field: PayerField; secret: string }

type Code = { app_id: string; kind: AppKind; payer_id: string; at: number; used: boolean }

export type LoginRequest = { method: string; url: URL; body: Buffer }
/** `lost`: it was done, and nobody hears of it. */
export type LoginReply = { status: number; headers: Record<string, string>; body: string; lost?: true }

/** WeChat's codes live five minutes. */
const CODE_LIFE_MS = 300_000

export const SANDBOX_APPS = {
  mini_program: 'wxsandboxmini0001',
  official_account: 'wxsandboxoffi0001',
  alipay: '2021000000000001',
} as const satisfies Record<AppKind, string>

export const SANDBOX_PAYER: Record<AppKind, string> = {
  mini_program: 'oSandboxMiniPayer0001',
  official_account: 'oSandboxOffiPayer0001',
  alipay: '2088000000000001',
}

/** Two pairs, as in Alipay's console: the app's own, and Alipay's. Made when they are first asked for. */
let alipayKeys: ReturnType<typeof makeAlipayKeys> | undefined
const alipay = () => (alipayKeys ??= makeAlipayKeys())

function makeAlipayKeys() {
  const pair = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
  const text = (key: KeyObject) =>
    key.export({ format: 'der', type: key.type === 'private' ? 'pkcs8' : 'spki' }).toString('base64')
  const [app, alipay] = [pair(), pair()]
  return {
    appPrivate: text(app.privateKey),
    appPublic: app.publicKey,
    alipayPrivate: alipay.privateKey,
    alipayPublic: text(alipay.publicKey),
  }
}

export type Logins = ReturnType<typeof createLogins>

export function createLogins({ clock, random }: { clock: Clock; random: Random }) {
  const apps: SandboxApp[] = [
    {
      app_id: SANDBOX_APPS.mini_program,
      kind: 'mini_program',
      id_field: 'sub_open_id',
      secret: `${SANDBOX_SECRET}mini`,
    },
    {
      app_id: SANDBOX_APPS.official_account,
      kind: 'official_account',
      id_field: 'sub_open_id',
      secret: `${SANDBOX_SECRET}offi`,
    },
    {
      app_id: SANDBOX_APPS.alipay,
      kind: 'alipay',
      id_field: 'user_id',
      get secret() {
        return alipay().appPrivate
      },
    },
  ]
  const codes = new Map<string, Code>()
  /** How often somebody asked, whatever came of it. */
  const asked = { wechat: 0, alipay: 0 }
  /** What was handed over and must never be seen again. */
  const handedOver: string[] = []
  const mood: { now: 'well' | 'busy' | 'gibberish' } = { now: 'well' }

  /** A code as the app in the payer's hand would get it. */
  function codeFor(app_id: string, payer_id?: string): string {
    const app = apps.find((one) => one.app_id === app_id)
    if (!app) throw new Error(`no app ${app_id}; there are ${apps.map((one) => one.app_id).join(', ')}`)
    const code = random(16).toString('hex')
    const id = payer_id ?? SANDBOX_PAYER[app.kind]
    codes.set(code, { app_id, kind: app.kind, payer_id: id, at: clock.nowMs(), used: false })
    return code
  }

  /** Uses a code, or says why not. */
  function take(code: string, app_id: string, kind: AppKind): Code | 'invalid' | 'used' {
    const known = codes.get(code)
    if (!known || known.app_id !== app_id || known.kind !== kind) return 'invalid'
    if (known.used) return 'used'
    if (clock.nowMs() - known.at > CODE_LIFE_MS) return 'invalid'
    known.used = true
    return known
  }

  const handOver = (): string => {
    const secret = random(16).toString('base64')
    handedOver.push(secret)
    return secret
  }

  function wechat(request: LoginRequest, kind: 'mini_program' | 'official_account'): LoginReply {
    asked.wechat++
    const query = (name: string) => request.url.searchParams.get(name) ?? ''
    const no = (errcode: number, errmsg: string) => say({ errcode, errmsg })
    if (mood.now === 'busy') return no(-1, 'system error')
    if (mood.now === 'gibberish') return { ...say({}), body: '<html>' }
    if (query('appid') === '') return no(41002, 'appid missing')
    if (query('secret') === '') return no(41004, 'appsecret missing')
    if (query('grant_type') !== 'authorization_code') return no(40002, 'invalid grant_type')
    const app = apps.find((one) => one.app_id === query('appid') && one.kind === kind)
    if (!app) return no(40013, 'invalid appid')
    if (app.secret !== query('secret')) return no(40125, 'invalid appsecret')
    const code = query(kind === 'mini_program' ? 'js_code' : 'code')
    if (code === '') return no(41008, 'missing code')
    const taken = take(code, app.app_id, kind)
    if (taken === 'invalid') return no(40029, 'invalid code')
    if (taken === 'used') return no(40163, 'code been used')
    return say(
      kind === 'mini_program'
        ? { session_key: handOver(), openid: taken.payer_id }
        : {
            access_token: handOver(),
            expires_in: 7200,
            refresh_token: handOver(),
            openid: taken.payer_id,
            scope: 'snsapi_base',
          },
    )
  }

  function gateway(request: LoginRequest): LoginReply {
    asked.alipay++
    const given = Object.fromEntries(new URLSearchParams(request.body.toString('utf8')))
    const answer = (node: string, content: unknown): LoginReply => {
      const text = JSON.stringify(content)
      const sign = createSign('RSA-SHA256').update(text, 'utf8').sign(alipay().alipayPrivate, 'base64')
      return { ...say({}), body: `{"${node}":${text},"sign":${JSON.stringify(sign)}}` }
    }
    const no = (code: string, msg: string, sub_code: string) =>
      answer('error_response', { code, msg, sub_code })
    if (mood.now === 'busy') return no('20000', 'Service Currently Unavailable', 'aop.ACQ.SYSTEM_ERROR')
    if (mood.now === 'gibberish') return { ...say({}), body: '<html>' }
    if (request.method !== 'POST') return no('40002', 'Invalid Arguments', 'isv.invalid-method')
    if (given['method'] !== 'alipay.system.oauth.token')
      return no('40002', 'Invalid Arguments', 'isv.invalid-method')
    const app = apps.find((one) => one.app_id === given['app_id'] && one.kind === 'alipay')
    if (!app) return no('40002', 'Invalid Arguments', 'isv.invalid-app-id')
    if (given['sign_type'] !== 'RSA2' || given['version'] !== '1.0' || given['charset'] !== 'utf-8')
      return no('40002', 'Invalid Arguments', 'isv.invalid-signature-type')
    // Written here anew: every parameter but the signature, sorted by name.
    const text = Object.entries(given)
      .filter(([name]) => name !== 'sign')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map((pair) => pair.join('='))
      .join('&')
    const signed = createVerify('RSA-SHA256').update(text, 'utf8')
    if (!signed.verify(alipay().appPublic, given['sign'] ?? '', 'base64'))
      return no('40002', 'Invalid Arguments', 'isv.invalid-signature')
    const at = Date.parse(`${given['timestamp']?.replace(' ', 'T')}+08:00`)
    if (!(Math.abs(clock.nowMs() - at) < 900_000))
      return no('40002', 'Invalid Arguments', 'isv.invalid-timestamp')
    if (given['grant_type'] !== 'authorization_code')
      return no('40002', 'Invalid Arguments', 'isv.grant-type-invalid')
    const taken = take(given['code'] ?? '', app.app_id, 'alipay')
    if (typeof taken === 'string') return no('40002', 'Invalid Arguments', 'isv.code-invalid')
    return answer('alipay_system_oauth_token_response', {
      access_token: handOver(),
      expires_in: '3600',
      re_expires_in: '3600',
      refresh_token: handOver(),
      user_id: taken.payer_id,
    })
  }

  /** Where a page sends the browser; it comes back with a code and the page's own state. */
  function redirect({ url }: LoginRequest, kind: 'official_account' | 'alipay'): LoginReply {
    const app_id = url.searchParams.get(kind === 'alipay' ? 'app_id' : 'appid') ?? ''
    const back = new URL(url.searchParams.get('redirect_uri') ?? 'http://127.0.0.1/')
    back.searchParams.set(kind === 'alipay' ? 'auth_code' : 'code', codeFor(app_id))
    back.searchParams.set('state', url.searchParams.get('state') ?? '')
    return { status: 302, headers: { location: back.href }, body: '' }
  }

  function handle(request: LoginRequest): LoginReply | undefined {
    switch (`${request.method} ${request.url.pathname}`) {
      case 'GET /wechat/sns/jscode2session':
        return wechat(request, 'mini_program')
      case 'GET /wechat/sns/oauth2/access_token':
        return wechat(request, 'official_account')
      case 'GET /wechat/connect/oauth2/authorize':
        return redirect(request, 'official_account')
      case 'GET /alipay/oauth2/publicAppAuthorize.htm':
        return redirect(request, 'alipay')
      case 'POST /alipay/gateway.do':
        return gateway(request)
      default:
        return undefined
    }
  }

  return { apps, alipayPublicKey: () => alipay().alipayPublic, codeFor, handle, asked, handedOver, mood }
}

const say = (value: unknown): LoginReply => ({
  status: 200,
  headers: { 'content-type': 'application/json;charset=utf-8' },
  body: JSON.stringify(value),
})
