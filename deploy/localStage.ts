import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from './bundle'
import { readEnvironment } from './service'

/** The environment of `npm start`, for whoever means this machine. `port`: its PORT, if it was given one. */
export function readLocalStage(port: string | undefined): Record<string, string> {
  const yml = parse(readFileSync(join(ROOT, 'deploy', 'stages', 'local.yml'), 'utf8')) as {
    environment: Record<string, string>
  }
  const environment = readEnvironment(yml.environment)
  if (!port) return environment
  const sandbox = new URL(environment['CLOUD_PAY_BASE_URL']!)
  // The sandbox listens on the one after it.
  sandbox.port = String(Number(port) + 1)
  return { ...environment, CLOUD_PAY_BASE_URL: sandbox.href }
}
