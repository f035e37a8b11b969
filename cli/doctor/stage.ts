import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { functionNames, ROOT } from '../../deploy/bundle'
import { ENVIRONMENT_MAX, environmentSize } from '../../deploy/refuse'
import { namesOfConfiguration } from '../../deploy/variables'
import { readService, type Service, type Yml } from '../../deploy/service'
import { ConfigurationFault, readConfig, SANDBOX_MERCHANT, type Env } from '../../shared/base/config'
import { HIDDEN } from '../../shared/base/secrets'
import type { REFERRING_VARIABLES } from '../../shared/tencent/names'
import { referringNames } from '../../shared/tencent/names'
import { mind, nothingThere, ok, wrong, type Finding } from './finding'

/** What a stage of serverless.yml would deploy, as sls itself reads it. */
export async function readStage(stage: string, env: Env): Promise<Service> {
  const file = join('deploy', 'stages', `${stage}.yml`)
  if (!existsSync(join(ROOT, file))) throw new Error(`there is no ${file}`)
  const sls = join(ROOT, 'node_modules', '.bin', 'sls')
  let printed: string
  try {
    const { stdout } = await promisify(execFile)(sls, ['print', '--stage', stage], {
      cwd: ROOT,
      env: { ...env, SLS_TELEMETRY_DISABLED: '1' },
      maxBuffer: 1 << 22,
    })
    printed = stdout
  } catch (error) {
    throw new Error(sentenceOf(error as { stdout?: string; stderr?: string }))
  }
  const service = readService(parse(printed) as Yml, stage)
  // What print keeps from being read over somebody's shoulder stands in the stage file, or in whoever's environment.
  const written = readLiterals(stage)
  for (const { configuration } of service.functions) {
    const environment = configuration.environment as Record<string, string>
    for (const name of Object.keys(environment).filter((one) => environment[one] === HIDDEN))
      environment[name] = written[name] ?? env[name] ?? ''
  }
  return service
}

/** What sls says is wrong: the line after `Error:`, between its decorations. */
function sentenceOf({ stdout = '', stderr = '' }: { stdout?: string; stderr?: string }): string {
  const said = `${stderr}\n${stdout}`
  return /Error:\s*\n(.+)/.exec(said)?.[1]?.trim() ?? 'sls print failed; run it to see why'
}

function readLiterals(stage: string): Record<string, string> {
  const file = parse(readFileSync(join(ROOT, 'deploy', 'stages', `${stage}.yml`), 'utf8')) as {
    environment?: Record<string, unknown>
  } | null
  return Object.fromEntries(
    Object.entries(file?.environment ?? {}).flatMap(([name, value]) =>
      typeof value === 'string' && !value.includes('${') ? [[name, value]] : [],
    ),
  )
}

/** serverless.yml, functions/ and the names the configuration reads. */
export function lookAtNames(service: Service): Finding[] {
  const of = 'serverless.yml'
  const files = functionNames()
  const keys = service.functions.map(({ key }) => key)
  const missing = keys.filter((key) => !files.includes(key))
  const forgotten = files.filter((file) => !keys.includes(file))
  const findings: Finding[] = [
    ...missing.map((key) =>
      wrong(of, `functions.${key} has no functions/${key}.ts`, 'Add the file, or take it out.'),
    ),
    ...forgotten.map((file) =>
      wrong(of, `functions/${file}.ts is not deployed`, `Add functions.${file} to it.`),
    ),
  ]
  if (findings.length === 0) findings.push(ok(of, `${keys.length} functions, each with its file`))

  const known = namesOfConfiguration()
  const given = new Set(
    service.functions.flatMap(({ configuration }) => Object.keys(configuration.environment)),
  )
  const strange = [...given].filter((name) => !known.has(name))
  findings.push(
    strange.length === 0
      ? ok('environment names', `${given.size} are set, all of them known to the code`)
      : wrong(
          'environment names',
          `nobody reads ${strange.join(', ')}`,
          'Correct or delete them in the stage file.',
        ),
  )
  const sizes = service.functions.map(({ key, configuration }) => ({
    key,
    size: environmentSize(configuration.environment),
  }))
  const largest = sizes.sort((a, b) => b.size - a.size)[0]!
  findings.push(
    largest.size <= ENVIRONMENT_MAX
      ? ok('environment size', `${largest.size} of ${ENVIRONMENT_MAX} bytes at most (${largest.key})`)
      : wrong(
          'environment size',
          `${largest.key} has ${largest.size} bytes, the platform takes ${ENVIRONMENT_MAX}`,
          'Keep long values in Secrets Manager: ssm:NAME.',
        ),
  )
  return findings
}

const SHARED = 'stand-in-for-a-reference-32-bytes'

/** A reference says nothing about its secret, so something acceptable stands in for it. */
const STAND_INS: Record<(typeof REFERRING_VARIABLES)[number], string> = {
  CLOUD_PAY_AUTHEN_KEY: 'stand-in-for-a-reference',
  CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: 'stand-in-for-a-reference',
  CLOUD_PAY_APPS: '[]',
  CLOUD_PAY_OTHER_MERCHANTS: '[]',
  DATABASE_URL: 'mysql://stand:in@localhost/reference?tls=verify',
  // Left out, as nothing else depends on what is in it.
  DATABASE_CA: '',
  CLOUD_PAY_CA: '',
  MERCHANT_WEBHOOK_URL: 'https://stand.in/reference',
  MERCHANT_KEYS: JSON.stringify([{ name: 'standin', secret: SHARED, scopes: ['read'] }]),
  MERCHANT_WEBHOOK_SECRET: `whsec_${Buffer.alloc(24).toString('base64')}`,
  QUOTE_KEYS: JSON.stringify([{ name: 'standin', iss: 'standin', alg: 'HS256', secret: SHARED }]),
  DATA_KEYS: JSON.stringify([{ name: 'standin', secret: SHARED }]),
  SESSION_KEYS: JSON.stringify([{ name: 'standin', secret: SHARED }]),
}

const VIRTUAL = 3
/** The notice of 2026-02-27, as the community quotes it; WeChat's own page was not seen. */
const VIRTUAL_GOODS =
  'says that it sells virtual goods (logistics_type 3): since 2026-04-01 a mini-program has to sell what is no physical ' +
  'good through another channel, 虚拟支付 of WeChat, which is not served here.'

const NOBODY_REFUNDS =
  'has no refund operator: its refunds name nobody, and the live service may refuse them with 104. Set ' +
  'CLOUD_PAY_REFUND_OPERATOR, or refund_operator of this sub-merchant.'

/** As a function would read it at its start; on SCF when the stage is one that is deployed. */
export function lookAtConfiguration(service: Service): Finding[] {
  const createOrder = service.functions.find(({ key }) => key === 'createOrder')?.configuration
  const environment = createOrder?.environment ?? {}
  const references = referringNames(environment)
  const local = service.stage === 'local'
  const env: Env = {
    ...environment,
    ...Object.fromEntries(references.map((name) => [name, STAND_INS[name]])),
    ...(local ? {} : { TENCENTCLOUD_RUNENV: 'SCF' }),
  }
  const cure = `Set it in deploy/stages/${service.stage}.yml, or the variable that file takes it from.`
  const findings: Finding[] = []
  try {
    const { merchants, callers, people } = readConfig(env)
    findings.push(ok('configuration', `complete: ${merchants.length} sub-merchant(s), CALLERS=${callers}`))
    findings.push(
      ...merchants
        .filter(({ refund_operator }) => !refund_operator && !local)
        .map(({ out_sub_mch_id }) => mind('refunds', `${out_sub_mch_id} ${NOBODY_REFUNDS}`)),
      ...people.apps
        .filter(({ shipping }) => shipping?.logistics_type === VIRTUAL)
        .map(({ app_id }) => mind('goods', `${app_id} ${VIRTUAL_GOODS}`)),
    )
  } catch (error) {
    if (!(error instanceof ConfigurationFault)) throw error
    findings.push(...error.faults.map((fault) => wrong('configuration', fault, cure)))
  }
  const key = environment['CLOUD_PAY_AUTHEN_KEY']
  if (references.includes('CLOUD_PAY_AUTHEN_KEY')) {
    findings.push(
      nothingThere('authen key', `${key} is read when a function starts; only its role can read it`),
    )
  } else if (key !== undefined) {
    const published = key === SANDBOX_MERCHANT.authen_key
    findings.push(
      published && !local
        ? wrong('authen key', 'it is the one the sandbox publishes', 'Take yours from the Cloud Pay console.')
        : published
          ? ok('authen key', "the sandbox's, for this machine alone")
          : wrong(
              'authen key',
              'it is a plain variable: whoever may look at the function reads it',
              'Keep it in Secrets Manager and say ssm:NAME.',
            ),
    )
  }
  if (references.length > 0 && !local && !createOrder?.role) {
    const said = `${references.join(', ')} refer to secrets, and the functions have no role that may read them`
    findings.push(
      wrong(
        'role',
        said,
        `Set role in deploy/stages/${service.stage}.yml; deploy/policies says what it may do.`,
      ),
    )
  }
  if (references.length > 0 && !environment['SSM_REGION']) {
    const said = `${references.join(', ')} refer to secrets, and SSM_REGION does not say where those are`
    findings.push(wrong('secrets', said, cure))
  }
  return findings
}
