import { readAll, type ControlPlane } from './controlPlane'
import { DeployFault } from './fault'
import { ownerOf, readMark } from './marks'
import { DEFAULT_ALIAS, type Configuration, type Cors, type Service, type Timer } from './service'

/** What is there, in the words of service.ts. */
export type ActualUrl = {
  type: 'http'
  /** The platform's own: the part of the host that differs. */
  name: string
  authType: string
  cors: Cors
  apiGwCompatible: boolean
  enabled: boolean
  qualifier: string
  /** Who can call it: a URL that leads into the VPC as well, or nowhere else, is not as we make it. */
  reach: 'internet' | 'otherwise'
  /** Undefined until the platform tells it. */
  url: string | undefined
}
export type ActualTrigger = Timer | ActualUrl

/** What a published version consists of. */
export type Snapshot = { code: string | undefined; handler: string; configuration: Configuration }
export type Version = {
  version: string
  code: string | undefined
  deployment: string | undefined
  active: boolean
}
export type Alias = { version: string; canary: { version: string; weight: number } | undefined }

export type ActualFunction = {
  key: string
  name: string
  status: string
  /** Anything else than `Available`: the account is in arrears, or closed. */
  availability: string
  ours: boolean
  runtime: string
  /** Of `$LATEST`. Nothing of ours serves it. */
  latest: Configuration
  /** Oldest first. */
  versions: readonly Version[]
  newest: Snapshot | undefined
  alias: Alias
  /** Versions that some alias leads to, whoever made it. */
  aliased: ReadonlySet<string>
  triggers: readonly ActualTrigger[]
  reservedMb: number | undefined
}

export type ActualDomain = {
  domain: string
  protocol: string
  certificateId: string | undefined
  wafInstanceId: string | undefined
  endpoints: readonly { functionName: string; qualifier: string; path: string }[]
}

export type Actual = { functions: readonly ActualFunction[]; domains: readonly ActualDomain[] }

/** Functions at a time. The calls themselves are spaced: see controlPlane.ts. */
const AT_ONCE = 8

/** Everything of this service and stage that is in the cloud, whether serverless.yml still knows it or not. */
export async function readActual(call: ControlPlane, service: Service, only?: string): Promise<Actual> {
  const { namespace: Namespace } = service
  const prefix = `${service.service}-${service.stage}-`
  const owner = ownerOf(service.service, service.stage)
  const listed = await readAll(async (Offset, Limit) => {
    const page = await call('ListFunctions', { Namespace, SearchKey: prefix, Offset, Limit })
    return { items: page.Functions ?? [], total: page.TotalCount ?? 0 }
  })
  const wanted = new Set(service.functions.map(({ name }) => name))
  const named = listed.filter(({ FunctionName = '', Description }) => {
    if (!FunctionName.startsWith(prefix)) return false
    if (only !== undefined && FunctionName !== only) return false
    // The prefix of one stage may begin the name of another service: only what carries our mark is ever removed.
    return wanted.has(FunctionName) || readMark(Description).owner === owner
  })
  // As serverless.yml has them; what it no longer has comes last.
  const order = [...wanted]
  const place = (name: string) => (wanted.has(name) ? order.indexOf(name) : order.length)
  named.sort((a, b) => place(a.FunctionName!) - place(b.FunctionName!))
  const functions = await inParallel(
    named,
    AT_ONCE,
    ({ FunctionName, Description, ReservedConcurrencyMem }) =>
      readFunction(call, Namespace, {
        name: FunctionName!,
        key: FunctionName!.slice(prefix.length),
        ours: readMark(Description).owner === owner,
        reservedMb: ReservedConcurrencyMem || undefined,
      }),
  )
  return {
    functions: functions.filter((one) => one !== undefined),
    domains: only === undefined ? await readDomains(call) : [],
  }
}

type Listed = Pick<ActualFunction, 'name' | 'key' | 'ours' | 'reservedMb'>

/** `undefined`: on its way out, or gone while we were looking. */
async function readFunction(
  call: ControlPlane,
  namespace: string,
  listed: Listed,
): Promise<ActualFunction | undefined> {
  try {
    return await describeFunction(call, namespace, listed)
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

export const isGone = (error: unknown): boolean =>
  error instanceof DeployFault && /^ResourceNotFound(\.Function(Name)?)?$/.test(error.code)

async function describeFunction(
  call: ControlPlane,
  Namespace: string,
  listed: Listed,
): Promise<ActualFunction | undefined> {
  const FunctionName = listed.name
  const latest = await call('GetFunction', { FunctionName, Namespace })
  if (latest.Status === 'Deleting') return undefined
  const { Versions = [] } = await readVersions(call, Namespace, FunctionName)
  const versions = Versions.filter(({ Version }) => Version !== '$LATEST')
    .sort((a, b) => Number(a.Version) - Number(b.Version))
    .map(({ Version, Description, Status }): Version => {
      const { code, deployment } = readMark(Description)
      return { version: Version, code, deployment, active: !Status || Status === 'Active' }
    })
  const last = versions.at(-1)
  const newest = last && (await call('GetFunction', { FunctionName, Namespace, Qualifier: last.version }))
  const { Aliases = [] } = await call('ListAliases', { FunctionName, Namespace, Limit: '100' })
  const alias = Aliases.find(({ Name }) => Name === DEFAULT_ALIAS)
  const weight = alias?.RoutingConfig?.AdditionalVersionWeights?.[0]
  const triggers = await readAll(async (Offset, Limit) => {
    const page = await call('ListTriggers', { FunctionName, Namespace, Offset, Limit })
    return { items: page.Triggers ?? [], total: page.TotalCount ?? 0 }
  })
  return {
    ...listed,
    status: latest.Status ?? 'Active',
    availability: latest.AvailableStatus || 'Available',
    runtime: latest.Runtime ?? '',
    latest: readConfiguration(latest),
    versions,
    newest: newest && {
      code: last.code,
      handler: newest.Handler ?? '',
      configuration: readConfiguration(newest),
    },
    alias: {
      version: alias?.FunctionVersion ?? '$LATEST',
      canary: weight && weight.Weight > 0 ? { version: weight.Version, weight: weight.Weight } : undefined,
    },
    aliased: new Set(
      Aliases.flatMap(({ FunctionVersion, RoutingConfig }) => [
        FunctionVersion ?? '',
        ...(RoutingConfig?.AdditionalVersionWeights ?? []).map(({ Version }) => Version),
      ]),
    ),
    triggers: triggers.flatMap((one) => readTrigger(one) ?? []),
  }
}

async function readVersions(call: ControlPlane, Namespace: string, FunctionName: string) {
  const Versions = await readAll(async (Offset, Limit) => {
    const page = await call('ListVersionByFunction', { FunctionName, Namespace, Offset, Limit })
    return { items: page.Versions ?? [], total: page.TotalCount ?? 0 }
  })
  return { Versions }
}

type Described = {
  MemorySize?: number
  Timeout?: number
  Role?: string
  Environment?: { Variables?: { Key?: string; Value?: string }[] }
  VpcConfig?: { VpcId?: string; SubnetId?: string }
  ClsLogsetId?: string
  ClsTopicId?: string
  PublicNetConfig?: { PublicNetStatus?: string; EipConfig?: { EipStatus?: string } }
}

const readConfiguration = (it: Described): Configuration => ({
  memorySize: it.MemorySize ?? 0,
  timeout: it.Timeout ?? 0,
  environment: Object.fromEntries(
    (it.Environment?.Variables ?? []).map(({ Key = '', Value = '' }) => [Key, Value]),
  ),
  role: it.Role || undefined,
  vpc: it.VpcConfig?.VpcId ? { vpcId: it.VpcConfig.VpcId, subnetId: it.VpcConfig.SubnetId ?? '' } : undefined,
  cls: it.ClsTopicId ? { logsetId: it.ClsLogsetId ?? '', topicId: it.ClsTopicId } : undefined,
  publicNet: {
    enabled: it.PublicNetConfig?.PublicNetStatus !== 'DISABLE',
    fixedIp: it.PublicNetConfig?.EipConfig?.EipStatus === 'ENABLE',
  },
})

type Listable = {
  Type?: string
  TriggerName?: string
  TriggerDesc?: string
  Enable?: number
  Qualifier?: string
  CustomArgument?: string
}

/** Triggers of other types are not ours to touch. */
export function readTrigger(it: Listable): ActualTrigger | undefined {
  const { Type, TriggerName: name = '', Qualifier: qualifier = '$LATEST' } = it
  const enabled = it.Enable !== 0
  const desc = readDesc(it.TriggerDesc ?? '')
  if (Type === 'timer') {
    const cron = typeof desc['cron'] === 'string' ? desc['cron'] : (it.TriggerDesc ?? '')
    return { type: 'timer', name, cron, enabled, argument: it.CustomArgument ?? '', qualifier }
  }
  if (Type !== 'http') return undefined
  const net = (desc['NetConfig'] ?? {}) as {
    EnableExtranet?: boolean
    EnableIntranet?: boolean
    ExtranetUrl?: string
    IntranetUrl?: string
  }
  return {
    type: 'http',
    name,
    authType: typeof desc['AuthType'] === 'string' ? desc['AuthType'] : '',
    cors: (desc['CorsConfig'] ?? { Enable: false }) as Cors,
    apiGwCompatible: desc['ApiGwCompatible'] === true,
    enabled,
    qualifier,
    reach: net.EnableExtranet !== false && net.EnableIntranet !== true ? 'internet' : 'otherwise',
    // A URL that leads into the VPC alone comes with an empty ExtranetUrl.
    url: net.ExtranetUrl || net.IntranetUrl || undefined,
  }
}

/** A timer's is a bare cron when written and JSON when read back. */
function readDesc(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

async function readDomains(call: ControlPlane): Promise<ActualDomain[]> {
  const domains = await readAll(async (Offset, Limit) => {
    const page = await call('ListCustomDomains', { Offset, Limit })
    return { items: page.Domains ?? [], total: page.Total ?? 0 }
  })
  return domains.map(({ Domain, Protocol = '', CertConfig, WafConfig, EndpointsConfig = [] }) => ({
    domain: Domain,
    protocol: Protocol,
    certificateId: CertConfig?.CertificateId || undefined,
    wafInstanceId: WafConfig?.WafInstanceId || undefined,
    endpoints: EndpointsConfig.map(({ FunctionName, Qualifier, PathMatch }) => ({
      functionName: FunctionName,
      qualifier: Qualifier,
      path: PathMatch,
    })),
  }))
}

/** In order, `limit` at a time; the first failure ends it. */
export async function inParallel<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next++
      try {
        results[at] = await work(items[at]!)
      } catch (error) {
        // The others finish what they hold and take no more.
        next = items.length
        throw error
      }
    }
  }
  const done = await Promise.allSettled(Array.from({ length: limit }, worker))
  const failed = done.find((one) => one.status === 'rejected')
  if (failed) throw failed.reason
  return results
}
