import { readActual, type ActualFunction } from '../../deploy/actual'
import { connectControlPlane } from '../../deploy/controlPlane'
import { readCredential } from '../../deploy/credentials'
import { DeployFault } from '../../deploy/fault'
import { invoke } from '../../deploy/invoke'
import { DEFAULT_ALIAS, MIGRATE, type Service, type WantedFunction } from '../../deploy/service'
import type { Env } from '../../shared/base/config'
import { systemChance } from '../../shared/base/random'
import type { Clock } from '../../shared/base/time'
import { leftOut, messagesOf, nothingThere, ok, wrong, type Finding } from './finding'

const REDEPLOY = 'sls deploy puts it right.'

/** What is deployed against what serverless.yml says. Reads, and asks `migrate` what is pending; changes nothing. */
export async function lookAtCloud(service: Service, env: Env, clock: Clock): Promise<Finding[]> {
  const of = 'cloud'
  let credential
  try {
    credential = await readCredential(env)
  } catch (error) {
    if (!(error instanceof DeployFault)) throw error
    return [leftOut(of, 'no credentials, so what is deployed was not looked at')]
  }
  try {
    const call = await connectControlPlane({
      region: service.region,
      credential,
      endpoint: env['SCF_ENDPOINT'],
      httpsProxy: env['https_proxy'] ?? env['HTTPS_PROXY'],
      nowMs: () => clock.nowMs(),
      random: systemChance,
      sleep: (ms) => clock.sleep(ms),
    })
    const { functions } = await readActual(call, service)
    const findings: Finding[] = [ok(of, `${service.region} answers, ${functions.length} functions of ours`)]
    if (functions.length === 0)
      return [...findings, nothingThere('deployment', 'nothing is deployed in this stage')]
    for (const wanted of service.functions) {
      findings.push(
        lookAtFunction(
          wanted,
          functions.find(({ key }) => key === wanted.key),
        ),
      )
    }
    for (const { key } of functions.filter(
      (one) => !service.functions.some(({ key: wanted }) => wanted === one.key),
    )) {
      findings.push(wrong(key, 'deployed, and not in serverless.yml any more', REDEPLOY))
    }
    const migrate = functions.find(({ key }) => key === MIGRATE)
    if (migrate) {
      const { value } = await invoke(call, service.namespace, migrate.name, DEFAULT_ALIAS, { do: 'status' })
      const { pending } = value as { pending: string[] }
      findings.push(
        pending.length === 0
          ? ok('migrations there', 'none is pending')
          : wrong('migrations there', `pending: ${pending.join(', ')}`, 'sls deploy --migrate.'),
      )
    }
    return findings
  } catch (error) {
    if (error instanceof DeployFault) return [wrong(of, error.message, 'See the sentence before.')]
    return [wrong(of, messagesOf(error), 'Check the network and SCF_ENDPOINT.')]
  }
}

function lookAtFunction(wanted: WantedFunction, actual: ActualFunction | undefined): Finding {
  const of = wanted.key
  if (!actual) return wrong(of, 'not deployed', 'sls deploy.')
  if (actual.status !== 'Active')
    return wrong(of, `its state is ${actual.status}`, 'Wait a minute; then sls deploy.')
  if (actual.availability !== 'Available')
    return wrong(
      of,
      `the platform says ${actual.availability}`,
      'Settle what is owed: https://console.cloud.tencent.com/expense/overview.',
    )
  if (actual.runtime !== wanted.runtime) {
    const said = `it runs on ${actual.runtime}, serverless.yml says ${wanted.runtime}`
    return wrong(
      of,
      said,
      'A runtime is fixed for good: remove the function and deploy it anew, or say the old one.',
    )
  }
  const names = (environment: Readonly<Record<string, string>>) => Object.keys(environment).sort().join(', ')
  const serving = actual.newest?.configuration.environment ?? {}
  if (names(serving) !== names(wanted.configuration.environment)) {
    return wrong(of, `it has the variables ${names(serving) || '(none)'}`, REDEPLOY)
  }
  for (const { type } of wanted.triggers) {
    const trigger = actual.triggers.find((one) => one.type === type)
    if (!trigger) return wrong(of, `its ${type} trigger is missing`, REDEPLOY)
    if (!trigger.enabled)
      return wrong(of, `its ${type} trigger is switched off`, 'Switch it on in the console.')
  }
  const url = actual.triggers.find((one) => one.type === 'http')?.url
  const canary = actual.alias.canary ? `, canary ${actual.alias.canary.version}` : ''
  return ok(of, `version ${actual.alias.version}${canary}${url ? `, ${url}` : ''}`)
}
