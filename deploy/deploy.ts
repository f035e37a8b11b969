import { readActual } from './actual'
import { apply, routing, type Work } from './apply'
import { DeployFault } from './fault'
import { refuseOpenMoney } from './money'
import type { Artifact } from './package'
import { NEW_URL, plan, type Plan, type Row } from './plan'
import { countOf, table } from './report'
import { DEFAULT_ALIAS, type Service } from './service'

export type DeployOptions = {
  dryRun: boolean
  migrate: boolean
  canary: number | undefined
  abandonOpenMoney: boolean
  only: string | undefined
}

/** What a pipeline gets with --json. */
export type Deployed = {
  service: string
  stage: string
  region: string
  dry_run: boolean
  plan: readonly Row[]
  functions: { name: string; key: string; version?: string; url?: string }[]
  domain?: string
  notify_url?: string
  /** Things a person has to do elsewhere. */
  todo: string[]
}

export async function deploy(
  work: Work,
  artifacts: readonly Artifact[],
  options: DeployOptions,
  show: (text: string) => void,
): Promise<Deployed> {
  const { call, service, say } = work
  const only = options.only && service.functions.find(({ key }) => key === options.only)?.name
  say('Reading what is there')
  const actual = await readActual(call, service, only)
  const codes = new Map(artifacts.map(({ key, sha256 }) => [key, sha256]))
  const planned = plan(service, actual, { codes, canary: options.canary, only: options.only })
  show(planned.rows.length > 0 ? `${table(planned.rows)}\n${countOf(planned.rows)}` : 'Nothing to change.')

  const { leavesAlone, domain } = planned
  if (domain.do === 'create')
    show(
      `${domain.domain.domain} needs, before this: a CNAME to APPID.${service.region}.tencentscf.com, for HTTPS a ` +
        'certificate in the SSL console, and in mainland China an ICP filing.',
    )
  if (leavesAlone.length > 0 && !options.abandonOpenMoney && !options.dryRun)
    await refuseOpenMoney(call, service, actual, leavesAlone)

  if (options.dryRun || planned.rows.length === 0) return summary(service, planned, options)
  const applied = await apply(work, planned, artifacts, { migrate: options.migrate })
  return summary(service, planned, options, applied)
}

function summary(
  service: Service,
  planned: Plan,
  { dryRun, only }: DeployOptions,
  applied?: Awaited<ReturnType<typeof apply>>,
): Deployed {
  const functions = planned.functions.map(({ wanted, ready, actual: there }) => {
    const url = applied
      ? applied.urls.get(wanted.key)
      : there?.triggers.flatMap((one) => (one.type === 'http' ? (one.url ?? []) : []))[0]
    const version = applied?.versions.get(wanted.key) ?? ready
    return {
      name: wanted.name,
      key: wanted.key,
      ...(version === undefined ? {} : { version }),
      ...(url === undefined ? {} : { url }),
    }
  })
  const { before, after } = planned.notifyUrl
  const made = functions.find(({ key }) => key === 'notify')?.url
  const notifyUrl = after === NEW_URL ? made && `${made}/notify` : after
  const todo: string[] = []
  if (!only && notifyUrl !== undefined && notifyUrl !== before)
    todo.push(`Enter the trade-complete callback URL in the Cloud Pay console: ${notifyUrl}`)
  if (before !== undefined && (after === undefined || after === NEW_URL || after !== before))
    todo.push(`Take the old callback URL out of the Cloud Pay console: ${before}`)
  return {
    service: service.service,
    stage: service.stage,
    region: service.region,
    dry_run: dryRun,
    plan: planned.rows,
    functions,
    ...(service.customDomain ? { domain: service.customDomain.domain } : {}),
    ...(notifyUrl === undefined ? {} : { notify_url: notifyUrl }),
    todo: planned.rows.length > 0 ? todo : [],
  }
}

export type Moved = { key: string; from: string; to: string }

/** Gives all of the traffic to the versions that have a share of it. */
export async function promote(work: Work): Promise<Moved[]> {
  const { call, service, say } = work
  const actual = await readActual(call, service)
  const split = actual.functions.filter(({ alias, ours }) => ours && alias.canary)
  if (split.length === 0)
    throw new DeployFault(
      'No version has a share of the traffic: deploy with --canary 10 first.',
      'NO_CANARY',
    )
  const moved: Moved[] = []
  for (const { key, name, alias } of split) {
    say(`${key}: version ${alias.canary!.version} serves`)
    await pointAlias(work, name, alias.canary!.version)
    moved.push({ key, from: alias.version, to: alias.canary!.version })
  }
  return moved
}

/**
 * Back to the deployment before the one that serves now, or to a named one; a share that a new version has is taken
 * back first. Code and configuration come with the version; triggers and tables stay as they are.
 */
export async function rollback(work: Work, to: string | undefined): Promise<Moved[]> {
  const { call, service, say } = work
  const functions = (await readActual(call, service)).functions.filter(({ ours }) => ours)
  const moved: Moved[] = []
  const back = async (key: string, name: string, from: string, version: string) => {
    say(`${key}: version ${version} serves`)
    await pointAlias(work, name, version)
    moved.push({ key, from, to: version })
  }
  const split = functions.filter(({ alias }) => alias.canary)
  if (split.length > 0 && to === undefined) {
    for (const { key, name, alias } of split) await back(key, name, alias.canary!.version, alias.version)
    return moved
  }
  const serving = functions.flatMap(
    ({ alias, versions }) => versions.find(({ version }) => version === alias.version)?.deployment ?? [],
  )
  const now = serving.sort().at(-1)
  const known = [
    ...new Set(functions.flatMap(({ versions }) => versions.flatMap((one) => one.deployment ?? []))),
  ]
  const earlier = known.filter((one) => now !== undefined && one < now).sort()
  const target = to ?? earlier.at(-1)
  if (target === undefined || !known.includes(target))
    throw new DeployFault(
      to === undefined
        ? 'There is no deployment before the one that serves: nothing to go back to.'
        : `There is no deployment ${to}. There are: ${known.sort().join(', ') || 'none'}.`,
      'NO_DEPLOYMENT',
    )
  for (const { key, name, alias, versions } of functions) {
    // Versions that no deployment of ours published are nobody's to return to.
    const found = versions.filter(({ deployment }) => deployment !== undefined && deployment <= target).at(-1)
    if (!found) {
      say(`${key}: did not exist then, stays as it is`)
      continue
    }
    if (found.version !== alias.version || alias.canary) await back(key, name, alias.version, found.version)
  }
  return moved
}

const pointAlias = ({ call, service }: Work, FunctionName: string, FunctionVersion: string) =>
  call('UpdateAlias', {
    FunctionName,
    Namespace: service.namespace,
    Name: DEFAULT_ALIAS,
    FunctionVersion,
    RoutingConfig: routing(undefined),
  })
