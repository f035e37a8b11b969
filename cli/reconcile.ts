import { parseArgs } from 'node:util'
import { createApp } from '../shared/app'
import { readConfig } from '../shared/base/config'
import { Fault } from '../shared/base/errors'
import { deadlineAfter, systemClock } from '../shared/base/time'
import { dayBegins } from '../shared/order/board'
import { reconcileWindow } from '../shared/payments/bill'
import { chooseDatabase, DATABASE_OPTIONS, DATABASE_USAGE, toolEnv } from './database'
import { runCommand } from './run'

const USAGE = `npm run reconcile -- --day 2026-11-22 [--merchant OUT_SUB_MCH_ID]
  Compares Cloud Pay's list of that day (China time) with ours, both ways. Every difference that a fresh query does
  not settle becomes an anomaly: npm run anomalies. Reads the same variables as the functions, except CALLERS.
  ${DATABASE_USAGE}`

const DAY_S = 86_400
/** A day with very many orders takes minutes; a run that takes longer is stuck. */
const LIMIT_MS = 3_600_000

/** 0: all the same; 1: differences, or the list could not be read to its end; 2: called wrongly. */
async function reconcile(args: string[], print: (line: string) => void): Promise<0 | 1 | 2> {
  const options = { day: { type: 'string' }, merchant: { type: 'string' }, ...DATABASE_OPTIONS } as const
  const { values } = parseArgs({ args, options })
  if (values.day === undefined) return 2
  // Where the bill's days begin: in China.
  const fromS = dayBegins(values.day)
  if (fromS === undefined) {
    console.error('--day must be a day there is, written like 2026-11-22. Nothing was asked.')
    return 2
  }
  const env = toolEnv(process.env, values)
  chooseDatabase(env)
  const config = readConfig(env, true)
  const authorize = () => Promise.reject(new Fault('caller_unknown'))
  const app = await createApp(config, { authorize, write: (line) => void process.stderr.write(line) })
  try {
    const { merchants } = app
    const chosen = merchants.all.filter(
      ({ out_sub_mch_id }) => values.merchant === undefined || out_sub_mch_id === values.merchant,
    )
    if (chosen.length === 0) return 2
    let clean = true
    for (const merchant of chosen) {
      const deadline = deadlineAfter(systemClock, LIMIT_MS)
      const report = await reconcileWindow(app, merchant, fromS, fromS + DAY_S, deadline)
      clean &&= report.complete && report.differences === 0
      const { payments, refunds, differences, otherTills, complete } = report
      print(
        `${merchant.out_sub_mch_id}  ${payments} payments, ${refunds} refunds, ${differences} differences` +
          (otherTills > 0 ? `, ${otherTills} of other tills` : '') +
          (complete ? '' : ', NOT complete: run it again'),
      )
    }
    return clean ? 0 : 1
  } finally {
    await app.store.close()
  }
}

/** `npm run reconcile`: one day's bill, now. */
runCommand(USAGE, reconcile)
