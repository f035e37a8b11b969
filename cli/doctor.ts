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
  nothing. Ends with 1 when something is wrong.`

const NODE_MIN = 20

/** 0: nothing is wrong; 1: something is; 2: called wrongly. */
async function doctor(args: string[], print: (line: string) => void): Promise<0 | 1 | 2> {
  const { values } = parseArgs({ args, options: { stage: { type: 'string' } } })
  const { stage = 'dev' } = values
  if (!/^[a-z][\w-]*$/i.test(stage)) return 2
  const { env } = process
  let sick = 0
  const note = (findings: readonly Finding[]) => {
    for (const finding of findings) {
      print(tell(finding))
      if (finding.is === 'wrong') sick++
    }
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
  note([
    await lookAtClock(env['SCF_ENDPOINT'] ?? 'https://scf.tencentcloudapi.com/', () => systemClock.nowMs()),
  ])
  const environment = service?.functions[0]?.configuration.environment
  // Whoever sets it here means a database that can be reached from here.
  const DATABASE_URL = env['DATABASE_URL'] || environment?.['DATABASE_URL']
  if (service || DATABASE_URL) note(await lookAtDatabase({ DATABASE_URL }, systemClock))
  if (service && stage !== 'local') note(await lookAtCloud(service, env, systemClock))

  print(sick === 0 ? 'Nothing is wrong.' : `${sick} to put right.`)
  return sick === 0 ? 0 : 1
}

const lookAtNode = (version: string): Finding =>
  Number.parseInt(version, 10) >= NODE_MIN
    ? ok('node', version)
    : wrong('node', version, `Install Node.js ${NODE_MIN} or newer.`)

/** `npm run doctor`: what is wrong before, and after, a deployment, and what to do about it. */
runCommand(USAGE, doctor)
