import { ConfigurationFault, readConfig, type Env } from '../shared/base/config'
import { REFERRING_VARIABLES } from '../shared/tencent/names'
import type { Service } from './service'

/** Every name the configuration asks for, found by letting it ask. */
export function namesOfConfiguration(): Set<string> {
  const asked = new Set<string>([...REFERRING_VARIABLES, 'SSM_REGION', 'SSM_ENDPOINT'])
  // These make it ask for more.
  const given: Env = { CALLERS: 'open', MERCHANT_WEBHOOK_URL: 'https://example.com/' }
  const env = new Proxy(given, {
    get: (target, name) => {
      asked.add(String(name))
      return target[String(name)]
    },
  })
  try {
    readConfig(env)
  } catch (error) {
    if (!(error instanceof ConfigurationFault)) throw error
  }
  // The platform's own.
  asked.delete('TENCENTCLOUD_RUNENV')
  return asked
}

/** Set by whoever starts the functions on one machine; none of these belongs in a deployment. */
const NOT_DEPLOYED = new Set(['GATEWAY_LISTEN_HOST'])

/** Variables of whoever deploys that the functions know, and that the stage file hands over to none of them. */
export function untakenVariables({ functions }: Service, env: Env): string[] {
  const taken = new Set(functions.flatMap(({ configuration }) => Object.keys(configuration.environment)))
  return [...namesOfConfiguration()]
    .filter((name) => env[name] && !taken.has(name) && !NOT_DEPLOYED.has(name))
    .sort()
}

export function tellUntaken(names: readonly string[], stage: string): string {
  const lines = names.map((name) => `  ${name}: \${env:${name}, null}`)
  return [
    `Exported here, and not taken by deploy/stages/${stage}.yml: nothing of it is deployed. Unset it, or add to its environment`,
    ...lines,
  ].join('\n')
}
