import { createPost } from '../shared/net/post'
import { systemClock } from '../shared/base/time'
import { callTencent, TencentFault } from '../shared/tencent/call'
import type { Work } from './apply'
import type { Credential } from './credentials'
import { DeployFault } from './fault'

export type LogOptions = {
  name: string
  tail: boolean
  /** `10m`, `2h`, `1d` ago. */
  startTime: string | undefined
  filter: string | undefined
  intervalMs: number
  credential: Credential
  /** CLS_ENDPOINT: where a stand-in listens. */
  endpoint: string | undefined
  write: (line: string) => void
}

/** SCF's own action for logs is offline: they are in the log service, in the topic of the function. */
const CLS = { service: 'cls', version: '2020-10-16' }
/** A line has 8 KB at most, so a page stays within what we read. */
const PAGE = 30
const TIMEOUT_MS = 10_000
/** Lines arrive late and out of order: each look goes back this far and leaves out what was shown. */
const OVERLAP_MS = 30_000

type Line = { Time?: number; PkgId?: string; PkgLogId?: string; LogJson?: string }

export async function showLogs(work: Work, options: LogOptions): Promise<void> {
  const { call, service, nowMs, sleep } = work
  const { name, tail, filter, intervalMs, write } = options
  let fromMs = nowMs() - readPeriod(options.startTime ?? '10m')
  const { ClsTopicId } = await call('GetFunction', { FunctionName: name, Namespace: service.namespace })
  if (!ClsTopicId)
    throw new DeployFault(
      `${name} writes to no log topic that is known: set cls (logsetId, topicId) in the stage file and deploy.`,
      'NO_LOG_TOPIC',
    )
  const query = `SCF_FunctionName:"${name}"${filter ? ` AND (${filter})` : ''}`
  const shown = new Set<string>()
  for (;;) {
    const toMs = nowMs()
    for (const line of await search(options, service.region, ClsTopicId, query, fromMs, toMs)) {
      const id = `${line.PkgId}/${line.PkgLogId}/${line.Time}`
      if (shown.has(id)) continue
      shown.add(id)
      write(tellLine(line))
    }
    if (!tail) return
    fromMs = toMs - OVERLAP_MS
    await sleep(intervalMs)
  }
}

async function search(
  { credential, endpoint }: LogOptions,
  region: string,
  TopicId: string,
  Query: string,
  From: number,
  To: number,
): Promise<Line[]> {
  const api = { ...CLS, endpoint: endpoint ?? 'https://cls.tencentcloudapi.com/', region }
  const lines: Line[] = []
  for (let Context = ''; ;) {
    // SyntaxRule 1 is CQL, the log service's own language.
    const request = { TopicId, From, To, Query, SyntaxRule: 1, Sort: 'asc', Limit: PAGE, Context }
    const answer = await callTencent(
      { post: createPost(), clock: systemClock },
      api,
      credential,
      'SearchLog',
      request,
      TIMEOUT_MS,
    ).catch((error: unknown) => {
      if (!(error instanceof TencentFault)) throw error
      throw new DeployFault(
        `SearchLog: ${error.message}. Check the network, and that the deployer may read logs (cls:SearchLog).`,
        error.code,
        error.requestId,
      )
    })
    lines.push(...((answer['Results'] ?? []) as Line[]))
    const next = answer['Context']
    if (answer['ListOver'] !== false || typeof next !== 'string' || next === '') return lines
    Context = next
  }
}

/** The time and what was written; a line that is not as the platform writes them is shown whole. */
function tellLine({ Time, LogJson = '' }: Line): string {
  const time = Time === undefined ? '' : `${new Date(Time).toISOString()}  `
  try {
    const { SCF_Message } = JSON.parse(LogJson) as { SCF_Message?: unknown }
    return time + (typeof SCF_Message === 'string' ? SCF_Message.trimEnd() : LogJson)
  } catch {
    return time + LogJson
  }
}

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export function readPeriod(text: string): number {
  const [, count, unit] = /^(\d{1,4})([smhd])$/.exec(text) ?? []
  if (!count || !unit)
    throw new DeployFault('--startTime takes a period such as 10m, 2h or 1d.', 'START_TIME')
  return Number(count) * UNITS[unit]!
}
