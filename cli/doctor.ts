import { parseArgs } from 'node:util'
import { systemClock } from '../shared/base/time'
import { lookAtBundles } from './doctor/bundles'
import { lookAtClock } from './doctor/clock'
import { lookAtCloud } from './doctor/cloud'
import { lookAtDatabase } from './doctor/database'
import { messagesOf, ok, tell, wrong, type Finding } from './doctor/finding'
import { lookAtConfiguration, lookAtNames, readStage } from './doctor/stage'
import { runCommand } from './run'

const USAGE = `npm run doctor                      looks at the stage dev
npm run doctor -- --stage prod      at another; local is what npm start and sls invoke local use
  Reads the variables the stage file takes, DATABASE_URL, and the deployer's credentials if there are any. Changes
  nothing. Ends with 1 when something is wrong, and with 2 when something that is needed was not looked at.`

const NODE_MIN = 20

/** 0: everything needed was looked at, and is well; 1: something is wrong; 2: not looked at, or called wrongly. */
async function doctor(args: string[], print: (line: string) => void): Promise<0 | 1 | 2> {
  const { values } = parseArgs({ args, options: { stage: { type: 'string' } } })
  const { stage = 'dev' } = values
  if (!/^[a-z][\w-]*$/i.test(stage)) return 2
  const { env } = process
  const noted: Finding[] = []
  const note = (findings: readonly Finding[]) => {
    for (const finding of findings) print(tell(finding))
    noted.push(...findings)
  }

  note([lookAtNode(process.versions.node)])
  const service = await readStage(stage, env).catch((error: unknown) => {
    note([wrong('serverless.yml', messagesOf(error), `Mend it, or deploy/stages/${stage}.yml.`)])
    return undefined
  })
  if (service) {
    note(lookAtNames(service))
    note(lookAtConfiguration(service))
    note([await lookAtBundles(service)])
  }
  const isLocal = stage === 'local'
  // Of this machine alone nothing is signed for the cloud.
  if (!isLocal)
    note([
      await lookAtClock(env['SCF_ENDPOINT'] ?? 'https://scf.tencentcloudapi.com/', () => systemClock.nowMs()),
    ])
  const environment = service?.functions[0]?.configuration.environment
  // Whoever sets it here means a database that can be reached from here.
  const ofDatabase = env['DATABASE_URL'] ? env : (environment ?? {})
  const { DATABASE_URL, DATABASE_CA } = ofDatabase
  if (service || DATABASE_URL) note(await lookAtDatabase({ DATABASE_URL, DATABASE_CA }, systemClock))
  if (service && !isLocal) note(await lookAtCloud(service, env, systemClock))
  return conclude(noted, print)
}

function conclude(noted: readonly Finding[], print: (line: string) => void): 0 | 1 | 2 {
  const sick = noted.filter(({ is }) => is === 'wrong').length
  const unseen = noted.filter(({ is }) => is === 'left_out').length
  // The function migrate has looked at the database from where it is.
  const isSeenThere = noted.some(({ of }) => of === 'migrations there')
  const isMissing = noted.some(
    (one) => one.is === 'left_out' && one.needed && !(one.of === 'database' && isSeenThere),
  )
  if (sick > 0) print(`${sick} to put right.`)
  print(`${noted.length - unseen} checked, ${unseen} not looked at`)
  return sick > 0 ? 1 : isMissing ? 2 : 0
}

const lookAtNode = (version: string): Finding =>
  Number.parseInt(version, 10) >= NODE_MIN
    ? ok('node', version)
    : wrong('node', version, `Install Node.js ${NODE_MIN} or newer.`)

/** `npm run doctor`: what is wrong before, and after, a deployment, and what to do about it. */
runCommand(USAGE, doctor)
