import { ConfigurationFault, isLoopback, type Env } from '../base/config'
import type { Log } from '../base/log'
import { systemClock, type Clock } from '../base/time'
import { createPost, type Post } from '../net/post'
import { callTencent, TencentFault, type TencentApi } from './call'
import { referringNames, REFERRING_VARIABLES, type ReferringVariable } from './names'
import type { Credential } from './tc3'

/**
 * Secrets by reference. Read at a cold start, kept for a while, read again; who comes meanwhile waits for the same
 * answer. When Secrets Manager cannot be asked, the values known go on being used: it must not stand between a payer
 * and a payment.
 */
/** How soon a rotation is noticed. */
export const KEEP_MS = 300_000
/** After a failure, the values known are used for so long before anybody asks again. */
export const RETRY_AFTER_MS = 15_000
/** Twice this is what a cold start waits at most: a notification is given up after three seconds. */
const ATTEMPT_MS = 1200

const REFERENCE = /^ssm:([0-9A-Za-z][\w-]{0,127})(?:\/([0-9A-Za-z][\w.-]{0,63}))?$/

export type SecretsOptions = {
  names?: readonly ReferringVariable[]
  post?: Post
  clock?: Clock
  log?: Log
}

/** Gives the environment with its references replaced; the very same object as long as no secret has changed. */
export function createSecrets(env: Env, options: SecretsOptions = {}): () => Promise<Env> {
  const { clock = systemClock, post = createPost(), names = REFERRING_VARIABLES } = options
  const referring = referringNames(env, names)
  let known: Env | undefined
  let askAgainMs = 0
  let asking: Promise<Env> | undefined

  const ask = async (): Promise<Env> => {
    try {
      const read = await readAll(env, referring, { post, clock })
      askAgainMs = clock.nowMs() + KEEP_MS
      return referring.every((name) => known?.[name] === read[name]) && known ? known : { ...env, ...read }
    } catch (error) {
      if (!known || !(error instanceof ConfigurationFault)) throw error
      askAgainMs = clock.nowMs() + RETRY_AFTER_MS
      options.log?.({ event: 'secrets.stale', count: 'secrets.stale', level: 'warn', faults: error.faults })
      return known
    }
  }

  return async () => {
    if (known && clock.nowMs() < askAgainMs) return known
    asking ??= ask().finally(() => (asking = undefined))
    return (known = await asking)
  }
}

type Net = { post: Post; clock: Clock }

/** All of them side by side, and a secret that two variables name only once. */
async function readAll(env: Env, names: readonly ReferringVariable[], net: Net): Promise<Env> {
  const faults: string[] = []
  const api = readApi(env, faults)
  const references = names.flatMap((name) => {
    const match = REFERENCE.exec(env[name]!)
    if (!match) {
      faults.push(`${name} must be ssm:NAME or ssm:NAME/VERSION when it refers to a secret`)
      return []
    }
    return [{ name, secret: { SecretName: match[1]!, VersionId: match[2] ?? 'SSM_Current' } }]
  })
  if (faults.length > 0) throw new ConfigurationFault(faults)

  const reading = new Map<string, Promise<string>>()
  const entries = await Promise.all(
    references.map(async ({ name, secret }) => {
      const key = `${secret.SecretName}/${secret.VersionId}`
      if (!reading.has(key)) reading.set(key, readSecret(env, api, secret, net))
      try {
        return [name, await reading.get(key)!] as const
      } catch (error) {
        if (!(error instanceof TencentFault)) throw error
        faults.push(`${name} cannot be read from Secrets Manager: ${error.message}`)
        return [name, undefined] as const
      }
    }),
  )
  if (faults.length > 0) throw new ConfigurationFault(faults)
  return Object.fromEntries(entries)
}

type SecretKey = { SecretName: string; VersionId: string }

async function readSecret(env: Env, api: TencentApi, secret: SecretKey, net: Net): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await callTencent(net, api, readCredential(env), 'GetSecretValue', secret, ATTEMPT_MS)
      const { SecretString: text } = answer
      // One with bytes has SecretBinary instead: none of our variables is bytes.
      if (typeof text !== 'string' || text === '') throw new TencentFault('secret_is_no_text')
      return text
    } catch (error) {
      const passing =
        error instanceof TencentFault &&
        (error.cause !== undefined || /^(InternalError|RequestLimitExceeded|http_5)/.test(error.code))
      if (!passing || attempt === 2) throw error
    }
  }
}

/** The role's key as it is now: the platform replaces it within hours. */
function readCredential(env: Env): Credential {
  const { TENCENTCLOUD_SECRETID: secretId, TENCENTCLOUD_SECRETKEY: secretKey } = env
  if (!secretId || !secretKey) throw new TencentFault('the function has no role whose key could be used')
  return { secretId, secretKey, token: env['TENCENTCLOUD_SESSIONTOKEN'] }
}

/** `SSM_ENDPOINT`: for functions that reach it by an address of its own, such as inside a VPC. */
function readApi(env: Env, faults: string[]): TencentApi {
  const region = env['SSM_REGION'] || env['TENCENTCLOUD_REGION'] || ''
  if (!/^[a-z]{2}-[a-z0-9-]+$/.test(region)) faults.push('SSM_REGION must name the region of the secrets')
  const endpoint = env['SSM_ENDPOINT'] || 'https://ssm.tencentcloudapi.com/'
  let url: URL | undefined
  try {
    url = new URL(endpoint)
  } catch {
    // Told of below.
  }
  const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (!url || !safe || url.pathname !== '/' || url.search || url.username || url.password) {
    faults.push('SSM_ENDPOINT must be https:// and a host (http:// is for loopback only)')
  }
  return { endpoint: url?.href ?? endpoint, service: 'ssm', version: '2019-09-23', region }
}
