import { parseArgs } from 'node:util'
import { nowS, rfc3339, systemClock } from '../shared/base/time'
import { RESOLUTION_MAX, type Anomaly } from '../shared/order/anomaly'
import { listAnomalies, resolveAnomaly } from '../shared/store/anomalies'
import { openStore } from '../shared/store/open'
import { chooseDatabase, DATABASE_OPTIONS, DATABASE_USAGE, toolEnv } from './database'
import { runCommand } from './run'

const USAGE = `npm run anomalies                                    what is open, the latest first
npm run anomalies -- --all                            the resolved ones too
npm run anomalies -- --resolve ID --note "what was done"
  ${DATABASE_USAGE} An anomaly that shows again after it was resolved is open again.`

const LIMIT = 500

/** 0: nothing open, or resolved as asked; 1: something is open, or there was nothing to resolve; 2: called wrongly. */
async function anomalies(args: string[], print: (line: string) => void): Promise<0 | 1 | 2> {
  const options = {
    all: { type: 'boolean' },
    resolve: { type: 'string' },
    note: { type: 'string' },
    ...DATABASE_OPTIONS,
  } as const
  const { values } = parseArgs({ args, options })
  const { all = false, resolve, note = '' } = values
  if (resolve !== undefined && (note === '' || note.length > RESOLUTION_MAX)) {
    print(`--note must say what was done, in at most ${RESOLUTION_MAX} characters.`)
    return 2
  }
  const store = openStore(chooseDatabase(toolEnv(process.env, values)), systemClock)
  try {
    if (resolve !== undefined) {
      const done = (await resolveAnomaly(store, resolve, nowS(systemClock), note)) === 'done'
      print(done ? `resolved: ${resolve}` : `no open anomaly has this id: ${resolve}`)
      return done ? 0 : 1
    }
    const found = await listAnomalies(store, all ? 'all' : 'open', LIMIT)
    for (const one of found) for (const line of describe(one)) print(line)
    const open = found.filter(({ resolved_at }) => resolved_at === null).length
    print(open === 0 ? 'Nothing is open.' : `${open} open${found.length === LIMIT ? ' or more' : ''}.`)
    return open === 0 ? 0 : 1
  } finally {
    await store.close()
  }
}

function* describe(anomaly: Anomaly): Generator<string> {
  const { kind, out_trade_no, times, first_at, last_at, evidence, resolved_at, resolution } = anomaly
  const seen = times === 1 ? rfc3339(last_at) : `${rfc3339(first_at)} to ${rfc3339(last_at)}, ${times} times`
  yield `${kind}  ${out_trade_no || '(no single order)'}  ${seen}`
  yield `  id        ${anomaly.id}`
  yield `  evidence  ${JSON.stringify(evidence)}`
  if (resolved_at !== null) yield `  resolved  ${rfc3339(resolved_at)}: ${resolution ?? ''}`
  yield ''
}

/** `npm run anomalies`: what a person should look at, and saying that it was looked at. */
runCommand(USAGE, anomalies)
