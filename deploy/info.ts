import { readActual, type ActualFunction } from './actual'
import type { Work } from './apply'
import { notifyUrlNow } from './plan'

export type Info = {
  service: string
  stage: string
  region: string
  functions: {
    key: string
    name: string
    status: string
    /** Only where the platform says that it is not available. */
    availability?: string
    version: string
    deployment?: string
    canary?: { version: string; weight: number }
    url?: string
    timers?: string[]
  }[]
  domains: { domain: string; paths: Record<string, string> }[]
  /** What has to stand in the Cloud Pay console. */
  notify_url?: string
  deployments: string[]
}

/** What is in the cloud, read anew. */
export async function readInfo({ call, service }: Work): Promise<Info> {
  const actual = await readActual(call, service)
  const { functions, domains } = actual
  const notifyUrl = notifyUrlNow(actual)
  const ours = functions.filter((one) => one.ours)
  const keys = new Map(ours.map(({ name, key }) => [name, key]))
  return {
    service: service.service,
    stage: service.stage,
    region: service.region,
    functions: ours.map(describe),
    domains: domains.flatMap(({ domain, endpoints }) => {
      const paths = endpoints.flatMap(({ path, functionName }) => {
        const key = keys.get(functionName)
        return key === undefined ? [] : [[path, key] as const]
      })
      return paths.length > 0 ? [{ domain, paths: Object.fromEntries(paths) }] : []
    }),
    ...(notifyUrl === undefined ? {} : { notify_url: notifyUrl }),
    deployments: [
      ...new Set(ours.flatMap(({ versions }) => versions.flatMap((one) => one.deployment ?? []))),
    ].sort(),
  }
}

function describe({
  key,
  name,
  status,
  availability,
  alias,
  versions,
  triggers,
}: ActualFunction): Info['functions'][number] {
  const deployment = versions.find(({ version }) => version === alias.version)?.deployment
  const url = triggers.flatMap((one) => (one.type === 'http' ? (one.url ?? []) : []))[0]
  const timers = triggers.flatMap((one) =>
    one.type === 'timer' ? `${one.cron}${one.enabled ? '' : ' (off)'}` : [],
  )
  return {
    key,
    name,
    status,
    ...(availability === 'Available' ? {} : { availability }),
    version: alias.version,
    ...(deployment ? { deployment } : {}),
    ...(alias.canary ? { canary: alias.canary } : {}),
    ...(url ? { url } : {}),
    ...(timers.length > 0 ? { timers } : {}),
  }
}

export function tellInfo({
  service,
  stage,
  region,
  functions,
  domains,
  notify_url,
  deployments,
}: Info): string {
  if (functions.length === 0) return `${service}, stage ${stage}, ${region}: nothing is deployed.`
  const width = Math.max(...functions.map(({ key }) => key.length))
  const lines = functions.map((it) => {
    const share = it.canary ? `, ${Math.round(it.canary.weight * 100)} % to version ${it.canary.version}` : ''
    const states = [it.status === 'Active' ? [] : it.status, it.availability ?? []].flat()
    const state = states.map((one) => `, ${one}`).join('')
    const reached = it.url ?? it.timers?.join(', ') ?? 'no address'
    return `  ${it.key.padEnd(width)}  ${reached}  (version ${it.version}${share}${state})`
  })
  const mapped = domains.flatMap(({ domain, paths }) =>
    Object.entries(paths).map(([path, key]) => `  ${domain}${path}  → ${key}`),
  )
  return [
    `${service}, stage ${stage}, ${region}`,
    ...lines,
    ...mapped,
    ...(notify_url ? [`Cloud Pay calls ${notify_url}`] : []),
    `deployments: ${deployments.slice(-5).join(', ') || 'none'}`,
  ].join('\n')
}
