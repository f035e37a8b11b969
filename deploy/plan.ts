import type { Actual, ActualDomain, ActualFunction, ActualTrigger, ActualUrl } from './actual'
import { DeployFault } from './fault'
import {
  DEFAULT_ALIAS,
  MIGRATE,
  NOTIFY,
  type Configuration,
  type Cors,
  type FunctionUrl,
  type Service,
  type Timer,
  type Trigger,
  type WantedFunction,
} from './service'

/** Wanted × actual → what to do. Pure: it asks nobody and changes nothing. */

export type Row = { change: 'create' | 'update' | 'delete'; resource: string; detail: string }

export type TriggerChange =
  | { do: 'create'; wanted: Trigger }
  | { do: 'update'; wanted: Trigger; actual: ActualTrigger }
  | { do: 'delete'; actual: ActualTrigger }

export type FunctionPlan = {
  wanted: WantedFunction
  code: string
  actual: ActualFunction | undefined
  /** What is there was never made to its end, and is deleted first. */
  remains: ActualFunction | undefined
  configures: boolean
  /** Always with its code uploaded just before: what `$LATEST` holds could be anybody's, or half of an earlier try. */
  publishes: boolean
  /** The published version that is wanted already; only if nothing has to be published. */
  ready: string | undefined
  alias: { do: 'keep' } | { do: 'move' } | { do: 'split'; weight: number }
  reserve: { do: 'keep' } | { do: 'set'; mb: number } | { do: 'lift' }
  triggers: readonly TriggerChange[]
}

export type DomainPlan = { do: 'keep' } | { do: 'create' | 'update'; domain: ActualDomain }

export type Plan = {
  functions: readonly FunctionPlan[]
  removed: readonly ActualFunction[]
  domain: DomainPlan
  removedDomains: readonly ActualDomain[]
  rows: readonly Row[]
  /** Why money could be left alone by this plan: each a change to the timer or to the notify URL. */
  leavesAlone: readonly string[]
  notifyUrl: { before: string | undefined; after: string | undefined }
}

export type PlanOptions = {
  /** By function: the hash of the zip. */
  codes: ReadonlyMap<string, string>
  /** Percent of the traffic that the new version gets. */
  canary?: number | undefined
  /** One function alone: nothing else is looked at, nothing is removed. */
  only?: string | undefined
}

export const NEW_URL = 'a new address, known after the deployment'

export function plan(service: Service, actual: Actual, options: PlanOptions): Plan {
  const wantedFunctions = service.functions.filter(({ key }) => !options.only || key === options.only)
  const there = new Map(actual.functions.map((one) => [one.name, one]))
  for (const wanted of wantedFunctions) refuseExisting(wanted, there.get(wanted.name))

  const functions = wantedFunctions.map((wanted) => planFunction(wanted, there.get(wanted.name), options))
  const names = new Set(service.functions.map(({ name }) => name))
  const removed = options.only ? [] : actual.functions.filter(({ name, ours }) => ours && !names.has(name))
  const domains = options.only
    ? { domain: { do: 'keep' } as const, removedDomains: [] }
    : planDomains(service, actual)
  const notifyUrl = options.only
    ? { before: undefined, after: undefined }
    : planNotifyUrl(service, actual, functions)
  const parts = { functions, removed, ...domains, notifyUrl }
  return { ...parts, rows: rowsOf(parts), leavesAlone: leftAlone(parts) }
}

/** What cannot be changed in place, before anything is. */
function refuseExisting(wanted: WantedFunction, actual: ActualFunction | undefined): void {
  if (!actual) return
  const { name } = wanted
  if (!actual.ours)
    throw new DeployFault(
      `${name} exists and was not deployed from here: remove it, or choose another service name or stage.`,
      'NOT_OURS',
    )
  if (actual.runtime !== wanted.runtime)
    throw new DeployFault(
      `${name} runs ${actual.runtime}, which cannot become ${wanted.runtime}: a runtime is fixed when a function is ` +
        'created. Put the old one back, or deploy under another stage or service name and move over.',
      'RUNTIME_FIXED',
    )
}

/** A change that failed half-way: the versions published before it serve on, and another change mends it. */
const isHalfChanged = ({ status }: ActualFunction): boolean => /^(Update|Publish)Failed$/.test(status)
const isHalfMade = ({ status }: ActualFunction): boolean => status === 'CreateFailed'

function planFunction(
  wanted: WantedFunction,
  found: ActualFunction | undefined,
  { codes, canary }: PlanOptions,
): FunctionPlan {
  const remains = found && isHalfMade(found) ? found : undefined
  const actual = remains ? undefined : found
  const code = codes.get(wanted.key)!
  const wantedMb =
    wanted.reservedConcurrency === undefined
      ? undefined
      : wanted.reservedConcurrency * wanted.configuration.memorySize
  const reserve: FunctionPlan['reserve'] =
    wantedMb === actual?.reservedMb
      ? { do: 'keep' }
      : wantedMb === undefined
        ? { do: 'lift' }
        : { do: 'set', mb: wantedMb }
  const triggers = planTriggers(wanted.triggers, actual?.triggers ?? [])
  if (!actual) {
    const created = { configures: true, publishes: true, ready: undefined }
    return { wanted, code, actual, remains, ...created, alias: { do: 'move' }, reserve, triggers }
  }
  const configured = (it: Configuration) => configurationChanges(it, wanted.configuration).length === 0
  const { newest } = actual
  const isReady =
    !isHalfChanged(actual) &&
    newest?.code === code &&
    newest.handler === wanted.handler &&
    configured(newest.configuration)
  const ready = isReady ? actual.versions.at(-1)!.version : undefined
  const { alias } = actual
  const splittable = canary !== undefined && wanted.key !== MIGRATE && alias.version !== '$LATEST'
  const weight = (canary ?? 0) / 100
  let move: FunctionPlan['alias'] = { do: 'move' }
  if (ready !== undefined && alias.version === ready && !alias.canary) move = { do: 'keep' }
  else if (splittable && alias.version !== ready) {
    const same = alias.canary && alias.canary.version === ready && alias.canary.weight === weight
    move = same ? { do: 'keep' } : { do: 'split', weight }
  }
  return {
    wanted,
    code,
    actual,
    remains,
    configures: !configured(actual.latest),
    publishes: ready === undefined,
    ready,
    alias: move,
    reserve,
    triggers,
  }
}

// ---------------------------------------------------------------- configuration

/** What differs, by name. Values of variables are never told: they may be secrets. */
export function configurationChanges(actual: Configuration, wanted: Configuration): string[] {
  const changes: string[] = []
  const value = (name: string, before: Told, after: Told, unit = '') => {
    if (before !== after) changes.push(`${name} ${shown(before)} → ${shown(after)}${unit}`)
  }
  value('memory', actual.memorySize, wanted.memorySize, ' MB')
  value('timeout', actual.timeout, wanted.timeout, ' s')
  const [before, after] = [actual.environment, wanted.environment]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  const variables = names.flatMap((name) => {
    if (!Object.hasOwn(before, name)) return [`+${name}`]
    if (!Object.hasOwn(after, name)) return [`-${name}`]
    return before[name] === after[name] ? [] : [`~${name}`]
  })
  if (variables.length > 0) changes.push(`environment ${variables.join(' ')}`)
  value('role', actual.role, wanted.role)
  value('vpc', joined(actual.vpc), joined(wanted.vpc))
  // Without a topic of ours the platform chooses one, and that is no difference.
  if (wanted.cls) value('cls', joined(actual.cls), joined(wanted.cls))
  value('internet', actual.publicNet.enabled, wanted.publicNet.enabled)
  value('fixed ip', actual.publicNet.fixedIp, wanted.publicNet.fixedIp)
  return changes
}

const shown = (value: Told): string => (value === undefined ? 'none' : String(value))
type Told = string | number | boolean | undefined
const joined = (pair: object | undefined): string | undefined => pair && Object.values(pair).join('/')

// ---------------------------------------------------------------- triggers

export function planTriggers(wanted: readonly Trigger[], actual: readonly ActualTrigger[]): TriggerChange[] {
  const kept = new Set<ActualTrigger>()
  const changes = wanted.flatMap((trigger): TriggerChange[] => {
    const found = actual.find((one) => matches(trigger, one))
    if (!found) return [{ do: 'create', wanted: trigger }]
    kept.add(found)
    return sameTrigger(trigger, found) ? [] : [{ do: 'update', wanted: trigger, actual: found }]
  })
  const gone = actual.filter((one) => !kept.has(one))
  // Something new answers before something old is taken away; a timer of the same name has to give its name up first.
  const first = gone.filter((one) => wanted.some((it) => it.type === 'timer' && it.name === one.name))
  const last = gone.filter((one) => !first.includes(one))
  const deletion = (one: ActualTrigger): TriggerChange => ({ do: 'delete', actual: one })
  return [...first.map(deletion), ...changes, ...last.map(deletion)]
}

/** A URL's name is the platform's, so what it is bound to tells; a trigger cannot be bound to something else later. */
const matches = (wanted: Trigger, actual: ActualTrigger): boolean =>
  wanted.qualifier === actual.qualifier &&
  (wanted.type === 'http' ? actual.type === 'http' : actual.type === 'timer' && actual.name === wanted.name)

function sameTrigger(wanted: Trigger, actual: ActualTrigger): boolean {
  return wanted.type === 'http' ? sameUrl(wanted, actual as ActualUrl) : sameTimer(wanted, actual as Timer)
}

const sameTimer = (wanted: Timer, actual: Timer): boolean =>
  wanted.cron === actual.cron && wanted.enabled === actual.enabled && wanted.argument === actual.argument

const sameUrl = (wanted: FunctionUrl, actual: ActualUrl): boolean =>
  actual.enabled &&
  actual.reach === 'internet' &&
  wanted.authType === actual.authType &&
  wanted.apiGwCompatible === actual.apiGwCompatible &&
  sameCors(wanted.cors, actual.cors)

function sameCors(a: Cors, b: Cors): boolean {
  if (!a.Enable || !b.Enable) return a.Enable === Boolean(b.Enable)
  const flat = ({ Origins, Methods, Headers, ExposeHeaders, MaxAge, Credentials }: Cors) =>
    JSON.stringify([
      // Their order means nothing, and comes back as the platform likes.
      ...[Origins, Methods, Headers, ExposeHeaders].map((list) => [...new Set(list)].sort()),
      MaxAge,
      Credentials,
    ])
  return flat(a) === flat(b)
}

// ---------------------------------------------------------------- custom domain

/**
 * A path the way a domain can match it: exact, or everything below. `undefined`: only a Function URL can carry it,
 * because a domain's match has no wildcard in its middle.
 */
export function pathMatch(path: string): string | undefined {
  const segments = path.split('/')
  if (segments.slice(0, -1).some((segment) => segment.startsWith('{'))) return undefined
  return segments.at(-1)!.startsWith('{') ? [...segments.slice(0, -1), '*'].join('/') : path
}

export function endpointsOf(service: Service): ActualDomain['endpoints'] {
  const taken = new Map<string, string>()
  const endpoints = service.functions.flatMap((wanted) => {
    const url = wanted.triggers.find(({ type }) => type === 'http')
    const paths = [...new Set(wanted.routes.flatMap(({ path }) => pathMatch(path) ?? []))]
    if (url && paths.length === 0)
      throw new DeployFault(
        `functions.${wanted.key} cannot be reached at ${service.customDomain!.domain}: a domain matches whole paths or ` +
          `everything below one, and ${wanted.routes[0]!.path} has a parameter in its middle. Give the function another ` +
          'http event whose only parameter comes last.',
        'DOMAIN_PATH',
      )
    for (const path of paths) {
      const other = taken.get(path)
      if (other !== undefined)
        throw new DeployFault(
          `${path} of ${service.customDomain!.domain} would belong to ${other} and ${wanted.key}: a path has one function.`,
          'DOMAIN_PATH',
        )
      taken.set(path, wanted.key)
    }
    return url ? paths.map((path) => ({ functionName: wanted.name, qualifier: url.qualifier, path })) : []
  })
  return endpoints.sort((a, b) => (a.path < b.path ? -1 : 1))
}

function planDomains(service: Service, actual: Actual): Pick<Plan, 'domain' | 'removedDomains'> {
  const ours = new Set(actual.functions.filter(({ ours }) => ours).map(({ name }) => name))
  const { customDomain } = service
  // A domain that also leads elsewhere is somebody's own arrangement.
  const removedDomains = actual.domains.filter(
    ({ domain, endpoints }) =>
      domain !== customDomain?.domain &&
      endpoints.length > 0 &&
      endpoints.every(({ functionName }) => ours.has(functionName)),
  )
  if (!customDomain) return { domain: { do: 'keep' }, removedDomains }
  const domain: ActualDomain = { ...customDomain, endpoints: endpointsOf(service) }
  const found = actual.domains.find((one) => one.domain === customDomain.domain)
  if (!found) return { domain: { do: 'create', domain }, removedDomains }
  const flat = (one: ActualDomain) =>
    JSON.stringify([
      one.protocol,
      one.certificateId ?? '',
      one.wafInstanceId ?? '',
      [...one.endpoints]
        .sort((a, b) => (a.path < b.path ? -1 : 1))
        .map(({ functionName, qualifier, path }) => [functionName, qualifier, path]),
    ])
  return { domain: flat(found) === flat(domain) ? { do: 'keep' } : { do: 'update', domain }, removedDomains }
}

/** Where Cloud Pay calls: the domain if there is one, or else the function's own URL. */
export function notifyUrlNow(actual: Actual): string | undefined {
  const notify = actual.functions.find(({ key, ours }) => key === NOTIFY && ours)
  if (!notify) return undefined
  for (const { domain, protocol, endpoints } of actual.domains) {
    const endpoint = endpoints.find(({ functionName }) => functionName === notify.name)
    if (endpoint) return `${protocol.includes('HTTPS') ? 'https' : 'http'}://${domain}${endpoint.path}`
  }
  const url = notify.triggers.find((one) => one.type === 'http')?.url
  return url && `${url}/${NOTIFY}`
}

function planNotifyUrl(
  service: Service,
  actual: Actual,
  functions: readonly FunctionPlan[],
): Plan['notifyUrl'] {
  const before = notifyUrlNow(actual)
  const it = functions.find(({ wanted }) => wanted.key === NOTIFY)
  const route = it?.wanted.routes[0]
  if (!it || !route) return { before, after: undefined }
  if (service.customDomain) {
    const { protocol, domain } = service.customDomain
    return { before, after: `${protocol.includes('HTTPS') ? 'https' : 'http'}://${domain}${route.path}` }
  }
  const gone = it.triggers.some((change) => change.do === 'delete' && change.actual.type === 'http')
  const url = gone ? undefined : it.actual?.triggers.find((one) => one.type === 'http')?.url
  return { before, after: url ? `${url}${route.path}` : NEW_URL }
}

// ---------------------------------------------------------------- what a person reads

type Parts = Omit<Plan, 'rows' | 'leavesAlone'>

function rowsOf({ functions, removed, domain, removedDomains }: Parts): Row[] {
  const rows: Row[] = []
  const row = (change: Row['change'], resource: string, detail: string) =>
    void rows.push({ change, resource, detail })
  for (const it of functions) {
    const { wanted, actual } = it
    const { key, configuration } = wanted
    if (it.remains) row('delete', key, `what is left of it: ${it.remains.status}`)
    if (!actual)
      row('create', key, `${configuration.memorySize} MB, ${configuration.timeout} s, ${wanted.runtime}`)
    else {
      const before = actual.newest?.code
      if (before !== undefined && before !== it.code)
        row('update', key, `code ${shortCode(before)} → ${shortCode(it.code)}`)
      for (const change of configurationChanges(actual.latest, configuration)) row('update', key, change)
    }
    if (it.publishes) row('create', `${key} version`, `code ${shortCode(it.code)}`)
    const target = it.ready ?? 'the new version'
    const before = actual?.alias.version ?? '$LATEST'
    if (it.alias.do === 'move') row('update', `${key} ${DEFAULT_ALIAS}`, `${before} → ${target}`)
    if (it.alias.do === 'split')
      row(
        'update',
        `${key} ${DEFAULT_ALIAS}`,
        `${percent(it.alias.weight)} to ${target}, the rest stays with ${before}`,
      )
    if (it.reserve.do === 'set')
      row('update', `${key} concurrency`, `${actual?.reservedMb ?? 0} → ${it.reserve.mb} MB reserved`)
    if (it.reserve.do === 'lift') row('delete', `${key} concurrency`, `${actual!.reservedMb} MB reserved`)
    for (const change of it.triggers) {
      const trigger = change.do === 'delete' ? change.actual : change.wanted
      const resource = trigger.type === 'timer' ? `${key} timer ${trigger.name}` : `${key} URL`
      row(change.do, resource, tellTrigger(change))
    }
  }
  for (const { key, triggers } of removed)
    row(
      'delete',
      key,
      ['function', ...triggers.map((one) => (one.type === 'timer' ? 'timer' : 'URL'))].join(', '),
    )
  if (domain.do !== 'keep')
    row(domain.do, domain.domain.domain, domain.domain.endpoints.map(({ path }) => path).join(' '))
  for (const { domain: name } of removedDomains) row('delete', name, 'custom domain')
  return rows
}

function tellTrigger(change: TriggerChange): string {
  if (change.do === 'delete')
    return change.actual.type === 'timer' ? change.actual.cron : (change.actual.url ?? '')
  const { wanted } = change
  if (wanted.type === 'timer') {
    const off = wanted.enabled ? '' : ', off'
    const before = change.do === 'update' ? (change.actual as Timer).cron : wanted.cron
    return (before === wanted.cron ? wanted.cron : `${before} → ${wanted.cron}`) + off
  }
  return `${wanted.authType}${wanted.cors.Enable ? ', cors' : ''}`
}

const shortCode = (code: string | undefined): string => code?.slice(0, 8) ?? 'unknown'
const percent = (weight: number): string => `${Math.round(weight * 100)} %`

/** Without its timer or its notifications an open order stays open: nobody looks at it any more. */
function leftAlone({ functions, removed, notifyUrl, removedDomains, domain }: Parts): string[] {
  const reasons: string[] = []
  for (const { wanted, triggers } of functions) {
    for (const change of triggers) {
      const timer = change.do !== 'create' && change.actual.type === 'timer' ? change.actual : undefined
      if (change.do === 'delete' && timer) reasons.push(`the timer ${timer.name} is deleted`)
      if (change.do === 'update' && timer?.enabled && !(change.wanted as Timer).enabled)
        reasons.push(`the timer ${timer.name} is switched off`)
      if (change.do === 'delete' && change.actual.type === 'http' && wanted.key === NOTIFY)
        reasons.push('the URL of notify is deleted or replaced')
    }
  }
  for (const { key, triggers } of removed) {
    if (key === NOTIFY) reasons.push('the function notify is deleted')
    if (triggers.some(({ type }) => type === 'timer'))
      reasons.push(`the function ${key} is deleted with its timer`)
  }
  // A new domain takes nothing away: the URL behind it goes on answering.
  const { before, after } = notifyUrl
  const touched = removedDomains.map((one) => one.domain)
  if (domain.do === 'update') touched.push(domain.domain.domain)
  if (before !== undefined && before !== after && touched.includes(new URL(before).host))
    reasons.push(`the notify URL ${before} is taken away`)
  return reasons
}
