import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DeployFault } from './fault'

export type Credential = { secretId: string; secretKey: string; token?: string }

type Env = Record<string, string | undefined>

/** The SDK's names first, then those the old tool chain used. */
const NAMES = [
  ['TENCENTCLOUD_SECRET_ID', 'TENCENTCLOUD_SECRET_KEY', 'TENCENTCLOUD_TOKEN'],
  ['TENCENT_SECRET_ID', 'TENCENT_SECRET_KEY', 'TENCENT_TOKEN'],
] as const

/** Environment, then the SDK's profile file, then the role of the machine this runs on. Kept nowhere, shown nowhere. */
export async function readCredential(env: Env, home = homedir()): Promise<Credential> {
  const found = fromEnvironment(env) ?? fromProfile(home) ?? (await fromMachineRole())
  if (found) return found
  throw new DeployFault(
    'No credentials: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, or write ~/.tencentcloud/credentials.',
    'NO_CREDENTIALS',
  )
}

export function fromEnvironment(env: Env): Credential | undefined {
  for (const [id, key, token] of NAMES) {
    const secretId = env[id]
    const secretKey = env[key]
    if (!secretId || !secretKey) continue
    const session = env[token] || (id === NAMES[0][0] ? env['TENCENTCLOUD_SESSION_TOKEN'] : undefined)
    return { secretId, secretKey, ...(session ? { token: session } : {}) }
  }
  return undefined
}

/** `[default]` of ~/.tencentcloud/credentials: secret_id, secret_key and perhaps token. */
export function fromProfile(home: string): Credential | undefined {
  let file: string
  try {
    file = readFileSync(join(home, '.tencentcloud', 'credentials'), 'utf8')
  } catch {
    return undefined
  }
  const section = /\[default\]([^[]*)/.exec(file)?.[1] ?? ''
  const value = (name: string) => new RegExp(`^\\s*${name}\\s*=\\s*(\\S+)\\s*$`, 'm').exec(section)?.[1]
  const [secretId, secretKey, token] = [value('secret_id'), value('secret_key'), value('token')]
  return secretId && secretKey ? { secretId, secretKey, ...(token ? { token } : {}) } : undefined
}

const METADATA = 'http://metadata.tencentyun.com/latest/meta-data/cam/security-credentials/'
/** Outside Tencent Cloud the name does not resolve, or nobody answers. */
const METADATA_TIMEOUT_MS = 1000

async function fromMachineRole(): Promise<Credential | undefined> {
  try {
    const role = (await read(METADATA)).trim()
    const answer = JSON.parse(await read(METADATA + role)) as Record<string, string>
    const { TmpSecretId: secretId, TmpSecretKey: secretKey, Token: token } = answer
    return secretId && secretKey && token ? { secretId, secretKey, token } : undefined
  } catch {
    return undefined
  }
}

const read = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = get(url, { timeout: METADATA_TIMEOUT_MS }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error('no role'))))
    })
    request.on('timeout', () => request.destroy(new Error('timeout')))
    request.on('error', reject)
  })
