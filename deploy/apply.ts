import { inParallel, isGone, readTrigger } from './actual'
import type { ControlPlane } from './controlPlane'
import { DeployFault } from './fault'
import { deploymentId, functionMark, ownerOf, versionMark } from './marks'
import { migrateFirst } from './migrations'
import type { FunctionPlan, Plan, TriggerChange } from './plan'
import type { Artifact } from './package'
import { DEFAULT_ALIAS, MIGRATE, type Configuration, type FunctionUrl, type Service } from './service'

export type Work = {
  call: ControlPlane
  service: Service
  /** What is being done, for whoever waits. */
  say: (line: string) => void
  nowMs: () => number
  sleep: (ms: number) => Promise<void>
}

export type Applied = {
  /** By function: the version that serves it now, or gets its share. */
  versions: ReadonlyMap<string, string>
  /** By function: its URL. */
  urls: ReadonlyMap<string, string>
}

/** Functions at a time: most of it is waiting until each is active again. */
const AT_ONCE = 8

/**
 * Carries a plan out. What serves is touched only after everything new is there and the tables fit, and what is no
 * longer wanted goes last; so wherever it is interrupted the service is whole, and running it again continues.
 */
export async function apply(
  work: Work,
  plan: Plan,
  artifacts: readonly Artifact[],
  options: { migrate: boolean },
): Promise<Applied> {
  const { say } = work
  const deployment = unfinished(plan) ?? deploymentId(work.nowMs())
  const versions = new Map<string, string>()
  const urls = new Map<string, string>()

  await inParallel(plan.functions, AT_ONCE, async (it) => {
    const zip = artifacts.find(({ key }) => key === it.wanted.key)!.zip
    versions.set(it.wanted.key, await publish(work, it, zip, deployment))
  })

  const moving = plan.functions.filter(({ alias }) => alias.do !== 'keep')
  if (moving.length > 0) await lookAtMigrations(work, versions, options.migrate)

  for (const it of lowerFirst(plan.functions)) await reserve(work, it)
  for (const it of moving) await moveAlias(work, it, versions.get(it.wanted.key)!)
  for (const it of plan.functions) {
    for (const trigger of it.actual?.triggers ?? [])
      if (trigger.type === 'http' && trigger.url) urls.set(it.wanted.key, trigger.url)
    for (const change of it.triggers.filter((one) => !takesUrl(one))) {
      const url = await changeTrigger(work, it.wanted.name, change)
      if (url) urls.set(it.wanted.key, url)
    }
    if (it.wanted.triggers.every(({ type }) => type !== 'http')) urls.delete(it.wanted.key)
  }

  for (const it of plan.functions) await prune(work, it, versions.get(it.wanted.key)!)
  await changeDomain(work, plan)
  for (const { domain } of plan.removedDomains) {
    say(`Removing the domain ${domain}`)
    await work.call('DeleteCustomDomain', { Domain: domain })
  }
  // A URL that a domain leads to cannot be taken away.
  for (const it of plan.functions)
    for (const change of it.triggers.filter(takesUrl)) await changeTrigger(work, it.wanted.name, change)
  for (const { key, name } of plan.removed) {
    say(`Removing ${key}`)
    await removeFunction(work, name)
  }
  return { versions, urls }
}

const takesUrl = (change: TriggerChange): boolean => change.do === 'delete' && change.actual.type === 'http'

/** So many versions stay, to roll back to. The platform holds 1 000 at most. */
const VERSIONS_KEPT = 50
/** One deployment removes no more of them, because each costs a call. */
const PRUNED_AT_ONCE = 20

async function prune(
  { call, service, say }: Work,
  { wanted, actual }: FunctionPlan,
  serving: string,
): Promise<void> {
  const old = (actual?.versions ?? []).slice(0, -VERSIONS_KEPT)
  const gone = old.filter(({ version }) => !actual!.aliased.has(version) && version !== serving)
  if (gone.length > 0) say(`${wanted.key}: removing old versions`)
  for (const { version } of gone.slice(0, PRUNED_AT_ONCE)) {
    const named = { FunctionName: wanted.name, Namespace: service.namespace, Qualifier: version }
    await call('DeleteFunction', named).catch((error: unknown) => {
      // Another deployment has removed it already.
      if (!(error instanceof DeployFault) || !/^ResourceNotFound/.test(error.code)) throw error
    })
  }
}

/** What an interrupted deployment has published belongs to the same deployment when it is continued. */
function unfinished(plan: Plan): string | undefined {
  const ids = plan.functions.flatMap(({ ready, alias, actual }) =>
    ready !== undefined && alias.do !== 'keep' ? (actual!.versions.at(-1)!.deployment ?? []) : [],
  )
  return ids.sort().at(-1)
}

// ---------------------------------------------------------------- code, configuration, version

async function publish(work: Work, it: FunctionPlan, zip: Buffer, deployment: string): Promise<string> {
  const { call, service, say } = work
  const { wanted, actual, code } = it
  const named = { FunctionName: wanted.name, Namespace: service.namespace }
  if (it.remains) {
    say(`${wanted.key}: removing what is left of it`)
    await removeFunction(work, wanted.name)
  }
  if (!actual) {
    say(`${wanted.key}: creating`)
    const create = () =>
      call('CreateFunction', {
        ...named,
        Description: functionMark(ownerOf(service.service, service.stage)),
        Type: 'Event',
        Handler: wanted.handler,
        Runtime: wanted.runtime,
        Code: { ZipFile: zip.toString('base64') },
        ...configurationOf(wanted.configuration, undefined),
        ...tagsOf(service),
      })
    await create().catch(async (error: unknown) => {
      // Its name is taken as long as the one before it is being deleted.
      if (!(error instanceof DeployFault) || !error.code.startsWith('ResourceInUse')) throw error
      await untilGone(work, wanted.name)
      await create()
    })
    await untilActive(work, wanted.name)
  } else {
    // What has failed stays so until it is changed again.
    if (actual.status !== 'Active' && !/Failed$/.test(actual.status)) await untilActive(work, wanted.name)
    if (it.configures) {
      say(`${wanted.key}: configuring`)
      const configuration = configurationOf(wanted.configuration, actual.latest)
      await call('UpdateFunctionConfiguration', { ...named, ...configuration })
      await untilActive(work, wanted.name)
    }
    if (it.publishes) {
      say(`${wanted.key}: uploading code`)
      await call('UpdateFunctionCode', {
        ...named,
        Handler: wanted.handler,
        CodeSource: 'ZipFile',
        Code: { ZipFile: zip.toString('base64') },
      })
      await untilActive(work, wanted.name)
    }
  }
  let version = it.ready
  if (version === undefined) {
    say(`${wanted.key}: publishing a version`)
    const published = await call('PublishVersion', { ...named, Description: versionMark(deployment, code) })
    version = published.FunctionVersion!
  }
  if (it.alias.do !== 'keep') {
    await untilActive(work, wanted.name, version)
    await compareCode(work, wanted.name, version, code)
  }
  return version
}

/**
 * Two deployments at once: the code that one has uploaded is published by the other, under its mark. Such a version is taken
 * away again, and the slower one stops.
 */
async function compareCode(
  { call, service }: Work,
  name: string,
  version: string,
  code: string,
): Promise<void> {
  const named = { FunctionName: name, Namespace: service.namespace, Qualifier: version }
  const { CodeSha256 } = await call('GetFunctionAddress', named)
  if (!CodeSha256 || hexOf(CodeSha256) === code) return
  await call('DeleteFunction', named)
  throw new DeployFault(
    `Version ${version} of ${name} holds other code than was uploaded: another deployment is at work. ` +
      'Nothing was switched over. Wait until it is done, then run this again.',
    'OTHER_CODE',
  )
}

/** Which of the two the platform writes is not documented. */
const hexOf = (hash: string): string =>
  /^[0-9a-f]{64}$/i.test(hash) ? hash.toLowerCase() : Buffer.from(hash, 'base64').toString('hex')

/** Only what is said changes, so what is taken away has to be said as well. */
export function configurationOf(wanted: Configuration, before: Configuration | undefined) {
  const { memorySize, timeout, environment, role, vpc, cls, publicNet } = wanted
  const Variables = Object.entries(environment).map(([Key, Value]) => ({ Key, Value }))
  const hadVariables = before && Object.keys(before.environment).length > 0
  return {
    MemorySize: memorySize,
    Timeout: timeout,
    ...(Variables.length > 0
      ? { Environment: { Variables } }
      : // An empty list would change nothing: one nameless variable takes all away.
        hadVariables
        ? { Environment: { Variables: [{ Key: '', Value: '' }] } }
        : {}),
    ...(role || before?.role ? { Role: role ?? '' } : {}),
    ...(vpc || before?.vpc ? { VpcConfig: { VpcId: vpc?.vpcId ?? '', SubnetId: vpc?.subnetId ?? '' } } : {}),
    ...(cls ? { ClsLogsetId: cls.logsetId, ClsTopicId: cls.topicId } : {}),
    PublicNetConfig: {
      PublicNetStatus: publicNet.enabled ? 'ENABLE' : 'DISABLE',
      EipConfig: { EipStatus: publicNet.fixedIp ? 'ENABLE' : 'DISABLE' },
    },
  }
}

const tagsOf = ({ tags }: Service) => {
  const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
  return Tags.length > 0 ? { Tags } : {}
}

const POLL_MS = 250
const POLL_MAX_MS = 3000
const SETTLE_MAX_MS = 5 * 60_000

/** Changes are not done when the call returns; the next one is refused until they are. */
async function untilActive(work: Work, name: string, version?: string): Promise<void> {
  const { call, service, sleep, nowMs } = work
  const startMs = nowMs()
  const qualified = version === undefined ? {} : { Qualifier: version }
  for (let waitMs = POLL_MS; ; waitMs = Math.min(POLL_MAX_MS, waitMs * 1.5)) {
    const it = await call('GetFunction', { FunctionName: name, Namespace: service.namespace, ...qualified })
    if (it.Status === 'Active') return
    if (/Fail/.test(it.Status ?? '')) {
      const reasons = (it.StatusReasons ?? []).map(({ ErrorMessage }) => ErrorMessage).join('; ')
      throw new DeployFault(
        `${name} is ${it.Status}: ${reasons || it.StatusDesc || 'the platform does not say why'}. Mend it and run this again.`,
        'FUNCTION_FAILED',
        it.RequestId,
      )
    }
    if (nowMs() - startMs > SETTLE_MAX_MS)
      throw new DeployFault(
        `${name} is still ${it.Status} after five minutes. Run this again: it continues where it stopped.`,
        'FUNCTION_BUSY',
      )
    await sleep(waitMs)
  }
}

// ---------------------------------------------------------------- what serves

async function lookAtMigrations(
  work: Work,
  versions: ReadonlyMap<string, string>,
  applies: boolean,
): Promise<void> {
  const { call, service, say } = work
  const migrate = service.functions.find(({ key }) => key === MIGRATE)
  if (!migrate)
    return say('serverless.yml has no function migrate: nobody looks whether migrations are pending.')
  say('Looking for pending migrations')
  // Deployed alone, another function finds migrate as it serves now.
  const version = versions.get(MIGRATE) ?? DEFAULT_ALIAS
  const { namespace } = service
  await migrateFirst(call, { namespace, name: migrate.name, version, apply: applies, say })
}

/** Whoever gives memory up goes first, or there is not enough for the others. */
const lowerFirst = (functions: readonly FunctionPlan[]): FunctionPlan[] => {
  const more = ({ reserve, actual }: FunctionPlan) =>
    reserve.do === 'keep' ? 0 : (reserve.do === 'set' ? reserve.mb : 0) - (actual?.reservedMb ?? 0)
  return functions.filter(({ reserve }) => reserve.do !== 'keep').sort((a, b) => more(a) - more(b))
}

async function reserve(
  { call, service, say }: Work,
  { wanted, reserve: change }: FunctionPlan,
): Promise<void> {
  const named = { FunctionName: wanted.name, Namespace: service.namespace }
  say(`${wanted.key}: reserving concurrency`)
  if (change.do === 'set')
    await call('PutReservedConcurrencyConfig', { ...named, ReservedConcurrencyMem: change.mb })
  else await call('DeleteReservedConcurrencyConfig', named)
}

async function moveAlias({ call, service, say }: Work, it: FunctionPlan, version: string): Promise<void> {
  const { wanted, alias, actual } = it
  const splits = alias.do === 'split'
  say(`${wanted.key}: ${splits ? `a share to version ${version}` : `version ${version} serves`}`)
  await call('UpdateAlias', {
    FunctionName: wanted.name,
    Namespace: service.namespace,
    Name: DEFAULT_ALIAS,
    FunctionVersion: splits ? actual!.alias.version : version,
    RoutingConfig: routing(splits ? { version, weight: alias.weight } : undefined),
  })
}

/** Left out, the routes would stay as they are. */
export const routing = (canary: { version: string; weight: number } | undefined) => ({
  AdditionalVersionWeights: canary ? [{ Version: canary.version, Weight: canary.weight }] : [],
  AddtionVersionMatchs: [],
})

async function changeTrigger(work: Work, name: string, change: TriggerChange): Promise<string | undefined> {
  const { call, service, say } = work
  const named = { FunctionName: name, Namespace: service.namespace }
  if (change.do === 'delete') {
    const { type, name: TriggerName, qualifier: Qualifier } = change.actual
    say(`${name}: removing ${type === 'http' ? 'the URL' : `the timer ${TriggerName}`}`)
    await call('DeleteTrigger', { ...named, Type: type, TriggerName, Qualifier })
    return undefined
  }
  const { wanted } = change
  // A URL's name is the platform's to choose; this one only has to be there.
  const wantedName = wanted.type === 'http' ? 'url-trigger' : wanted.name
  const TriggerName = change.do === 'update' ? change.actual.name : wantedName
  const described = {
    ...named,
    Type: wanted.type,
    TriggerName,
    Qualifier: wanted.qualifier,
    TriggerDesc: wanted.type === 'http' ? urlDesc(wanted) : wanted.cron,
    Enable: wanted.type === 'http' || wanted.enabled ? 'OPEN' : 'CLOSE',
    ...(wanted.type === 'timer' ? { CustomArgument: wanted.argument } : {}),
  }
  say(
    `${name}: ${change.do === 'create' ? 'adding' : 'changing'} ${wanted.type === 'http' ? 'the URL' : 'the timer'}`,
  )
  if (change.do === 'update') {
    await call('UpdateTrigger', described)
    return undefined
  }
  const { TriggerInfo } = await call('CreateTrigger', described)
  if (wanted.type !== 'http') return undefined
  const created = TriggerInfo && readTrigger(TriggerInfo)
  return (created?.type === 'http' && created.url) || listUrl(work, name, wanted.qualifier)
}

const URL_MAX_MS = 30_000

/** Some answers come before the address is known. One that is not told in time is shown by `sls info` later. */
async function listUrl(work: Work, name: string, qualifier: string): Promise<string | undefined> {
  const { call, service, say, sleep, nowMs } = work
  for (const startMs = nowMs(); nowMs() - startMs <= URL_MAX_MS; await sleep(POLL_MAX_MS)) {
    const { Triggers = [] } = await call('ListTriggers', {
      FunctionName: name,
      Namespace: service.namespace,
      Limit: 100,
    })
    const found = Triggers.flatMap((one) => readTrigger(one) ?? []).find(
      (one) => one.type === 'http' && one.qualifier === qualifier,
    )
    if (found?.type === 'http' && found.url) return found.url
  }
  say(`${name}: its address is not known yet; sls info shows it`)
  return undefined
}

const urlDesc = ({ authType, cors, apiGwCompatible }: FunctionUrl): string =>
  JSON.stringify({
    AuthType: authType,
    NetConfig: { EnableIntranet: false, EnableExtranet: true },
    CorsConfig: cors,
    ApiGwCompatible: apiGwCompatible,
  })

const CNAME_EVERY_MS = 15_000
const CNAME_MAX_MS = 10 * 60_000

async function changeDomain(
  { call, service, say, sleep, nowMs }: Work,
  { domain: change }: Plan,
): Promise<void> {
  if (change.do === 'keep') return
  const { domain, protocol, certificateId, wafInstanceId, endpoints } = change.domain
  say(`${domain}: ${endpoints.length} paths`)
  const request = {
    Domain: domain,
    Protocol: protocol,
    ...(certificateId ? { CertConfig: { CertificateId: certificateId } } : {}),
    WafConfig: wafInstanceId ? { WafOpen: 'OPEN', WafInstanceId: wafInstanceId } : { WafOpen: 'CLOSE' },
    EndpointsConfig: endpoints.map(({ functionName, qualifier, path }) => ({
      Namespace: service.namespace,
      FunctionName: functionName,
      Qualifier: qualifier,
      PathMatch: path,
    })),
  }
  const action = change.do === 'create' ? 'CreateCustomDomain' : 'UpdateCustomDomain'
  for (const startMs = nowMs(); ; await sleep(CNAME_EVERY_MS)) {
    try {
      return void (await call(action, request))
    } catch (error) {
      const isWaiting = error instanceof DeployFault && /^FailedOperation\.CNAME/.test(error.code)
      if (!isWaiting || nowMs() - startMs > CNAME_MAX_MS) throw error
      say(`${domain}: its CNAME is not seen yet; asking again for ten minutes`)
    }
  }
}

export async function removeFunction(work: Work, name: string): Promise<void> {
  try {
    await work.call('DeleteFunction', { FunctionName: name, Namespace: work.service.namespace })
  } catch (error) {
    if (!isGone(error)) throw error
  }
  await untilGone(work, name)
}

/** Until it cannot be found any more its name is taken. */
async function untilGone({ call, service, sleep, nowMs }: Work, name: string): Promise<void> {
  const startMs = nowMs()
  try {
    for (;;) {
      await call('GetFunction', { FunctionName: name, Namespace: service.namespace })
      if (nowMs() - startMs > SETTLE_MAX_MS)
        throw new DeployFault(`${name} is still there after five minutes: run this again.`, 'FUNCTION_BUSY')
      await sleep(POLL_MS)
    }
  } catch (error) {
    if (!isGone(error)) throw error
  }
}
