import { createHash } from 'node:crypto'
import type {
  DomainInfo,
  RoutingConfig,
  Tag,
  Variable,
} from 'tencentcloud-sdk-nodejs-scf/tencentcloud/services/scf/v20180416/scf_models'
import { ApiFault } from './fault'

export type Configuration = {
  Description: string
  Handler: string
  MemorySize: number
  Timeout: number
  Runtime: string
  Role: string
  InitTimeout: number
  Variables: Variable[]
  VpcConfig: { VpcId: string; SubnetId: string }
  ClsLogsetId: string
  ClsTopicId: string
  PublicNetConfig: { PublicNetStatus: string; EipConfig: { EipStatus: string; EipAddress: string[] } }
  IgnoreSysLog: boolean
}

export type VersionState = {
  version: string
  status: 'Publishing' | 'Active'
  pollsLeft: number
  description: string
  configuration: Configuration
  code: Buffer
  addedMs: number
}

export type AliasState = {
  name: string
  version: string
  routing: Required<RoutingConfig>
  description: string
  addedMs: number
  changedMs: number
}

export type TriggerState = {
  type: 'timer' | 'http'
  name: string
  qualifier: string
  /** As it is read back. */
  desc: Record<string, unknown>
  argument: string
  description: string
  open: boolean
  addedMs: number
  changedMs: number
}

export type FunctionState = {
  name: string
  namespace: string
  id: string
  type: string
  /** What has failed stays so: the first two until another update, the last one until it is deleted. */
  status: 'Creating' | 'Updating' | 'Active' | 'Deleting' | 'UpdateFailed' | 'PublishFailed' | 'CreateFailed'
  /** `Available`, but for an account that owes something. */
  available: string
  /** How many more looks it takes until the work is done. */
  pollsLeft: number
  configuration: Configuration
  code: Buffer
  tags: Tag[]
  versions: VersionState[]
  nextVersion: number
  aliases: Map<string, AliasState>
  triggers: TriggerState[]
  reservedMem: number | undefined
  addedMs: number
  changedMs: number
}

export type LogLine = {
  functionName: string
  qualifier: string
  requestId: string
  atMs: number
  retMsg: string
  failed: boolean
}

/** Everything the fake knows of one account in one region. */
export type Account = {
  appId: string
  region: string
  url: string
  nowMs: () => number
  /** Whether the answer to CreateTrigger leaves out the URL's address: the list has it. */
  tellsUrlLate: boolean
  /** How many looks Creating, Updating, Publishing and Deleting last. */
  busyPolls: number
  functions: Map<string, FunctionState>
  domains: Map<string, DomainInfo>
  invocations: LogLine[]
  answers: Map<string, (event: unknown, qualifier: string) => unknown>
  /** Ids that differ, and are the same in each run. */
  newId: (kind: string) => string
}

export const keyOf = (name: string, namespace = 'default') => `${namespace}/${name}`

/** Time passes by being looked at: what is under way gets done after so many looks, in every run the same. */
export function look(account: Account, it: FunctionState): void {
  if (/ing$/.test(it.status) && --it.pollsLeft <= 0) {
    if (it.status === 'Deleting') account.functions.delete(keyOf(it.name, it.namespace))
    it.status = 'Active'
  }
  for (const version of it.versions) {
    if (version.status === 'Publishing' && --version.pollsLeft <= 0) version.status = 'Active'
  }
}

export function findFunction(
  account: Account,
  name: string | undefined,
  namespace = 'default',
): FunctionState {
  if (!name) throw new ApiFault('MissingParameter', 'FunctionName is missing.')
  const found = account.functions.get(keyOf(name, namespace))
  if (!found) throw new ApiFault('ResourceNotFound.FunctionName', `The function ${name} does not exist.`)
  return found
}

/** What may only happen to a function with nothing under way. */
export function idleFunction(
  account: Account,
  name: string,
  namespace: string | undefined,
  code: string,
): FunctionState {
  const it = findFunction(account, name, namespace)
  const mends = /^FailedOperation\.UpdateFunction/.test(code) ? /^(Update|Publish)Failed$/ : /^CreateFailed$/
  if (mends.test(it.status)) return it
  const publishing = it.versions.some((version) => version.status === 'Publishing')
  // Its triggers can be changed all the while.
  const isFree = it.status === 'Active' || (/Trigger$/.test(code) && /Failed$/.test(it.status))
  if (isFree && !publishing) return it
  const status = it.status === 'Active' ? 'Publishing' : it.status
  look(account, it)
  throw new ApiFault(code, `The function is ${status} and cannot do this now; try again later.`)
}

export function begin(account: Account, it: FunctionState, status: FunctionState['status']): void {
  it.status = account.busyPolls === 0 && status !== 'Deleting' ? 'Active' : status
  it.pollsLeft = account.busyPolls
  it.changedMs = account.nowMs()
  if (status === 'Deleting' && account.busyPolls === 0) account.functions.delete(keyOf(it.name, it.namespace))
}

/** A page of a list, with the API's default of 20 and its limit of 100. */
export function page<T>(all: readonly T[], offset: string | number = 0, limit: string | number = 20): T[] {
  const [from, count] = [Number(offset), Number(limit)]
  if (!Number.isInteger(from) || from < 0) throw new ApiFault('InvalidParameterValue.Offset')
  if (!Number.isInteger(count) || count < 1 || count > 100) throw new ApiFault('InvalidParameterValue.Limit')
  return all.slice(from, from + count)
}

/** `2026-11-22 10:00:00`, Beijing time, as the API writes it. */
export const timeText = (ms: number) =>
  new Date(ms + 8 * 3600_000).toISOString().slice(0, 19).replace('T', ' ')

export const hexOf = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
