import { Agent } from 'node:http'
import type { LookupFunction } from 'node:net'
import type { scf } from 'tencentcloud-sdk-nodejs-scf'
import { isLoopback } from '../shared/base/config'
import type { Credential } from './credentials'
import { DeployFault } from './fault'

/** Everything we ask the cloud: deploy/policies allows a deployer these and no more. */
export const ACTIONS = [
  ...['ListFunctions', 'GetFunction', 'ListVersionByFunction', 'ListAliases', 'ListTriggers'],
  ...['ListCustomDomains', 'GetFunctionAddress'],
  ...['CreateFunction', 'UpdateFunctionCode', 'UpdateFunctionConfiguration', 'DeleteFunction'],
  ...['PublishVersion', 'UpdateAlias'],
  ...['CreateTrigger', 'UpdateTrigger', 'DeleteTrigger'],
  ...['PutReservedConcurrencyConfig', 'DeleteReservedConcurrencyConfig'],
  ...['CreateCustomDomain', 'UpdateCustomDomain', 'DeleteCustomDomain'],
  'Invoke',
] as const satisfies readonly (keyof Sdk)[]

type Sdk = InstanceType<typeof scf.v20180416.Client>
export type Action = (typeof ACTIONS)[number]
type Request<A extends Action> = Parameters<Sdk[A]>[0]
type Response<A extends Action> = Awaited<ReturnType<Sdk[A]>>

/** One call, repeated while the API is busy; fails with a sentence, the API's code and the request id. */
export type ControlPlane = <A extends Action>(action: A, request: Request<A>) => Promise<Response<A>>

export type Connection = {
  region: string
  credential: Credential
  /** SCF_ENDPOINT: a URL. `http://` is for a stand-in on this machine. */
  endpoint: string | undefined
  httpsProxy?: string | undefined
  nowMs: () => number
  random: () => number
  sleep: (ms: number) => Promise<void>
}

const ENDPOINT = 'scf.tencentcloudapi.com'
/** An upload of 7 MB over a slow line takes its time, and so does a migration. */
const timeoutS = (action: Action): number => (action === 'Invoke' ? 310 : isReading(action) ? 20 : 120)
const isReading = (action: Action): boolean => /^(Get|List)/.test(action)
/** The API takes 20 a second of each action. */
const SPACING_MS = 55
const TRIES = 9
const NETWORK_TRIES = 3

export async function connectControlPlane(connection: Connection): Promise<ControlPlane> {
  const { region, credential, nowMs, random, sleep } = connection
  // Loaded only here: packaging and local invocations need no SDK. How it comes depends on who loads it.
  const sdk = (await import('tencentcloud-sdk-nodejs-scf')) as Loaded & { default?: Loaded }
  const { Client } = (sdk.scf ?? sdk.default!.scf).v20180416
  const way = route(connection)
  const clientFor = (action: Action) =>
    new Client({ credential, region, profile: { httpProfile: { ...way, reqTimeout: timeoutS(action) } } })
  const nextMs = new Map<Action, number>()

  return async (action, request) => {
    const reads = isReading(action)
    const client = clientFor(action)
    for (let tried = 1; ; tried++) {
      const startMs = Math.max(nowMs(), nextMs.get(action) ?? 0)
      nextMs.set(action, startMs + SPACING_MS)
      if (startMs > nowMs()) await sleep(startMs - nowMs())
      try {
        const method = client[action] as (given: typeof request) => Promise<never>
        return await method.call(client, request)
      } catch (error) {
        const fault = toFault(error, action, reads)
        if (tried >= triesFor(fault.code, action)) throw fault
        // Full jitter: whoever was refused together does not come back together.
        await sleep(Math.min(8000, 250 * 2 ** tried) * (0.5 + random() / 2))
      }
    }
  }
}

type Loaded = { scf: typeof scf }

/**
 * Where the client sends. On loopback it signs for the real service all the same, and has an agent of its own so that
 * no proxy of the environment gets in between.
 */
function route({ endpoint, httpsProxy }: Pick<Connection, 'endpoint' | 'httpsProxy'>) {
  const proxied = httpsProxy ? { proxy: httpsProxy } : {}
  if (!endpoint) return { endpoint: ENDPOINT, ...proxied }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url?.protocol === 'https:') return { endpoint: url.host, ...proxied }
  if (url?.protocol !== 'http:' || !isLoopback(url.hostname))
    throw new DeployFault('SCF_ENDPOINT must be an https:// URL; http:// is for loopback only.', 'ENDPOINT')
  const address = url.hostname === 'localhost' ? '127.0.0.1' : url.hostname.replace(/^\[|\]$/g, '')
  const family = address.includes(':') ? 6 : 4
  const lookup = ((_host: string, options: { all?: boolean }, done: (...answer: unknown[]) => void) =>
    options.all ? done(null, [{ address, family }]) : done(null, address, family)) as LookupFunction
  return {
    // The SDK takes the service it signs for from the first label.
    endpoint: `scf.localhost:${url.port || '80'}`,
    protocol: 'http://',
    agent: new Agent({ lookup, keepAlive: false }),
  }
}

/** What was asked for may have happened when nothing came back: only reading may be repeated then. */
function triesFor(code: string, action: Action): number {
  if (isPassing(code, action)) return TRIES
  return isReading(action) && /^(NETWORK|InternalError)/.test(code) ? NETWORK_TRIES : 1
}

/** Passes by itself: too many calls, or a function that is still being changed. */
const isPassing = (code: string, action: Action): boolean =>
  /(^|\.)OperationConflict|InProgress$|^UnauthorizedOperation\.FunctionStatus/.test(code) ||
  // While a function goes, its versions go one by one.
  (action === 'DeleteFunction' && /^ResourceNotFound\.Version/.test(code)) ||
  /^RequestLimitExceeded|^FailedOperation(\.(Update(FunctionCode|FunctionConfiguration|Alias|Trigger)|PublishVersion|(Create|Delete)Trigger|DeleteFunction|Function(Version)?Status\w*|FunctionNameStatusError|InvokeFunction|ReservedInProgress))?$|^ResourceUnavailable\.FunctionStatus/.test(
    code,
  )

const CONSOLE = 'https://console.cloud.tencent.com'

/** What the deployer is told to do about an error code; the first that fits. */
const WHAT_TO_DO: readonly [RegExp, string][] = [
  [/UnOpenedService/, `Open the service once: ${CONSOLE}/scf.`],
  [/QcsRoleNotFound/, `Let SCF have its service role SCF_QcsRole: ${CONSOLE}/cam/role.`],
  [/ClsServiceUnregistered/, `Open the log service once, or take cls out of the stage file: ${CONSOLE}/cls.`],
  [/InsufficientBalance/, `Settle what the account owes: ${CONSOLE}/expense/overview.`],
  [
    /ReservedExceedTotal/,
    `Lower reservedConcurrency, or ask for a higher quota of the region: ${CONSOLE}/scf/quota.`,
  ],
  [
    /DeleteTrigger\.UrlUsed/,
    `A custom domain leads to this URL: take its path out first: ${CONSOLE}/scf/domain.`,
  ],
  [/^AuthFailure\.SignatureExpire/, 'Set the clock of this machine: it is more than five minutes off.'],
  [
    /^AuthFailure\.(SignatureFailure|SecretIdNotFound|InvalidSecretId|InvalidAuthorization)/,
    'Check the secret id and key.',
  ],
  [/^AuthFailure\.Token/, 'Get new temporary keys: the token does not fit or has expired.'],
  [/^(AuthFailure|UnauthorizedOperation)/, 'Give the deployer the policy in deploy/policies.'],
  [/^RequestSizeLimitExceeded/, 'Make the zip smaller.'],
  [/^RequestLimitExceeded/, 'Wait a minute and run it again.'],
  [
    /^LimitExceeded\.FunctionReserved/,
    'Lower reservedConcurrency: the account has not that much to keep free.',
  ],
  [/^LimitExceeded|^ResourceInsufficient/, 'Ask for a higher quota, or use less.'],
  [/^FailedOperation\.CNAME/, 'Set the CNAME of the domain to APPID.REGION.tencentscf.com first.'],
  [
    /^ResourceNotFound\.Role|^InvalidParameterValue\.Role/,
    'Create the role, or correct it in the stage file.',
  ],
  [/^UnsupportedRegion/, 'Correct provider.region.'],
  [/^InternalError|^FailedOperation/, 'Run it again: it continues where it stopped.'],
]

type SdkError = Error & { code?: string; requestId?: string; httpCode?: number }

function toFault(error: unknown, action: Action, reads: boolean): DeployFault {
  const { code, requestId, message, httpCode } = error as SdkError
  if (!code || typeof code !== 'string' || !/^[A-Z]/.test(code) || code.startsWith('E')) {
    const said =
      httpCode === undefined ? message.replace(/^request to (\S+) failed, reason: /, '') : `HTTP ${httpCode}`
    const next = reads
      ? 'Check the network and SCF_ENDPOINT.'
      : 'Run it again: it finds out what happened and continues.'
    return new DeployFault(`${action} got no answer (${said}). ${next}`, 'NETWORK')
  }
  const advice =
    WHAT_TO_DO.find(([pattern]) => pattern.test(code))?.[1] ?? 'See the API Explorer for this code.'
  return new DeployFault(
    `${action}: ${message} ${advice} (${code}, request ${requestId || 'unknown'})`,
    code,
    requestId || undefined,
  )
}

/** Every page of a list. */
export async function readAll<T>(
  readPage: (offset: number, limit: number) => Promise<{ items: T[]; total: number }>,
): Promise<T[]> {
  const all: T[] = []
  for (;;) {
    const { items, total } = await readPage(all.length, 100)
    all.push(...items)
    if (items.length === 0 || all.length >= total) return all
  }
}
