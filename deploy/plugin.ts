import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'
import { systemChance } from '../shared/base/random'
import type { Work } from './apply'
import { connectControlPlane } from './controlPlane'
import { readCredential } from './credentials'
import { deploy, promote, rollback, type Deployed, type Moved } from './deploy'
import { DeployFault } from './fault'
import { readInfo, tellInfo } from './info'
import { invoke } from './invoke'
import { invokeLocal } from './invokeLocal'
import { readLocalStage } from './localStage'
import { showLogs } from './logs'
import { packageService, readPackage } from './package'
import { hideSecrets } from './print'
import { refuseService } from './refuse'
import { remove } from './remove'
import { defineSchema, idleKeys, shortCrons, tellIdleKeys, tellUnknownKeys, unknownKeys } from './schema'
import { DEFAULT_ALIAS, readService, type Service, type WantedFunction, type Yml } from './service'
import { tellUntaken, untakenVariables } from './variables'
import { visible } from './visible'

/** What of sls we use. */
type Serverless = {
  service: Yml & { functions: Record<string, { package?: { artifact: string } }> }
  serviceDir: string
  configurationInput: unknown
  configSchemaHandler: Parameters<typeof defineSchema>[0] & {
    validateConfig(config: unknown): Promise<void>
  }
  classes: { Error: new (message: string, code?: string) => Error }
  processedInput: { options: Options }
  setProvider(name: string, provider: unknown): void
}
type Options = Partial<
  Record<
    | ('stage' | 'package' | 'function' | 'path' | 'data' | 'qualifier')
    | ('canary' | 'timestamp' | 'startTime' | 'filter' | 'interval'),
    string
  > &
    Record<
      ('raw' | 'log' | 'tail' | 'dry-run' | 'migrate' | 'promote') | ('abandon-open-money' | 'json' | 'yes'),
      boolean
    >
> & { env?: string | string[] }
type Writers = {
  log: Record<'notice' | 'warning' | 'error' | 'info', (text?: string) => void>
  progress: { get(name: string): { update(text: string): void; remove(): void } }
  writeText(text: string): void
}

/** Options that sls offers for its own cloud. */
const FOREIGN = [
  ...[
    'conceal',
    'force',
    'aws-s3-accelerate',
    'minify-template',
    'update-config',
    'type',
    'context',
    'contextPath',
  ],
  ...['durable-execution-name', 'docker', 'docker-arg', 'preserve-runtime-env'],
]

const flag = (usage: string) => ({ usage, type: 'boolean' })
const text = (usage: string) => ({ usage, type: 'string' })
const json = flag('Print the outcome as JSON, and nothing else, on standard output')
const abandon = flag('Go on although orders, refunds or messages are open, or cannot be counted')
const migrate = flag('Apply pending migrations before the new version serves')

/** sls's side of things: which command leads where. What is done stands in the files beside this one. */
export default class TencentProvider {
  readonly commands = {
    deploy: {
      options: {
        'dry-run': flag('Print the plan and change nothing'),
        migrate,
        canary: text('Percent of the traffic that goes to the new version'),
        promote: flag('Give all traffic to the version that has a share of it'),
        'abandon-open-money': abandon,
        json,
      },
      commands: { function: { options: { migrate, 'abandon-open-money': abandon, json } } },
    },
    info: { options: { json } },
    rollback: { options: { json } },
    remove: { options: { yes: flag('Do not ask'), 'abandon-open-money': abandon, json } },
  }
  readonly hooks: Record<string, () => Promise<void>>
  private readonly writers: Writers
  private hasFailed = false

  constructor(
    private readonly serverless: Serverless,
    _options: unknown,
    writers: Writers,
  ) {
    this.writers = showing(writers)
    serverless.setProvider('tencent', this)
    defineSchema(serverless.configSchemaHandler)
    this.nameUnknownKeys()
    const hooks: Record<string, () => Promise<void>> = {
      'before:print:print': async () => hideSecrets(serverless.configurationInput),
      'before:package:createDeploymentArtifacts': () => this.package(),
      'deploy:deploy': () => this.deploy(),
      'deploy:function:packageFunction': () => this.package(),
      'deploy:function:deploy': () => this.deploy(this.find().key),
      'info:info': () => this.info(),
      'invoke:invoke': () => this.invoke(),
      'invoke:local:invoke': () => this.invokeLocal(),
      'logs:logs': () => this.logs(),
      'rollback:rollback': () => this.rollback(),
      'remove:remove': () => this.remove(),
    }
    this.hooks = Object.fromEntries(
      Object.entries(hooks).map(([event, hook]) => [event, () => this.tell(hook)]),
    )
  }

  // ---------------------------------------------------------------- commands

  private async package(): Promise<void> {
    const artifacts = await packageService(this.service, this.packageDir)
    for (const { key, file, zip, sha256 } of artifacts) {
      // Named here, sls takes it as it is instead of zipping the whole folder.
      this.serverless.service.functions[key]!.package = { artifact: file }
      // The hashes say that two machines made the same; --verbose shows them.
      this.writers.log.info(`${sha256}  ${key}.zip`)
      this.writers.log.notice(`${key}.zip  ${Math.ceil(zip.length / 1024)} KB`)
    }
  }

  private async deploy(only?: string): Promise<void> {
    const { options } = this
    if (options.promote) return this.showMoved(await this.work(promote), 'Nothing was moved.')
    const { service } = this
    refuseService(service)
    const untaken = untakenVariables(service, process.env)
    if (untaken.length > 0) this.writers.log.warning(tellUntaken(untaken, service.stage))
    const artifacts = readPackage(service.functions, this.packageDir)
    const show = (plan: string) =>
      options['dry-run'] && !options.json ? this.writers.writeText(plan) : this.writers.log.notice(plan)
    const deployed = await this.work((work) =>
      deploy(
        work,
        artifacts,
        {
          dryRun: options['dry-run'] ?? false,
          migrate: options.migrate ?? false,
          canary: readCanary(options.canary),
          abandonOpenMoney: options['abandon-open-money'] ?? false,
          only,
        },
        show,
      ),
    )
    if (options.json) this.writers.writeText(JSON.stringify(deployed, null, 2))
    else if (!deployed.dry_run) this.writers.writeText(tellDeployed(deployed))
  }

  private async info(): Promise<void> {
    const info = await this.work(readInfo)
    this.writers.writeText(this.options.json ? JSON.stringify(info, null, 2) : tellInfo(info))
  }

  private async invoke(): Promise<void> {
    const { name } = this.find()
    const event = this.readEvent()
    const { qualifier = DEFAULT_ALIAS, log } = this.options
    const answer = await this.work(({ call, service }) =>
      invoke(call, service.namespace, name, qualifier, event),
    )
    if (log && answer.log) this.writers.log.notice(answer.log)
    this.writers.writeText(JSON.stringify(answer.value, null, 2))
  }

  private async invokeLocal(): Promise<void> {
    const { key, handler, configuration } = this.find()
    const configured =
      this.options.stage === undefined ? readLocalStage(process.env['PORT']) : configuration.environment
    const outcome = await invokeLocal({
      key,
      handler,
      event: this.readEvent(),
      // An exported DATABASE_URL is meant for something else, unless it is asked for by name.
      environment: { ...configured, ...readNamed(this.options.env) },
      timeLimitMs: configuration.timeout * 1000,
      memoryMb: configuration.memorySize,
      say: (line) => this.writers.log.warning(line),
    })
    if ('fault' in outcome) {
      // Standard output is for results only, and sls writes errors there.
      this.writers.log.error(outcome.fault)
      process.exitCode = 1
      return
    }
    this.writers.writeText(JSON.stringify(JSON.parse(outcome.result), null, 2))
  }

  private async logs(): Promise<void> {
    const { name } = this.find()
    const { tail = false, startTime, filter, interval } = this.options
    const credential = await readCredential(process.env)
    await this.work((work) =>
      showLogs(work, {
        name,
        tail,
        startTime,
        filter,
        intervalMs: Number(interval ?? 2000),
        credential,
        endpoint: process.env['CLS_ENDPOINT'],
        write: (line) => this.writers.writeText(line),
      }),
    )
  }

  private async rollback(): Promise<void> {
    const { timestamp } = this.options
    this.showMoved(await this.work((work) => rollback(work, timestamp)), 'That deployment serves already.')
  }

  private async remove(): Promise<void> {
    const { options } = this
    const removed = await this.work((work, pause) =>
      remove(work, {
        abandonOpenMoney: options['abandon-open-money'] ?? false,
        confirm: async (names) => {
          pause()
          if (!options.yes) await askRemoval(names)
        },
      }),
    )
    const told =
      removed.length > 0 ? `Removed: ${removed.join(', ')}` : 'Nothing is deployed: nothing to remove.'
    this.writers.writeText(options.json ? JSON.stringify({ removed }, null, 2) : told)
  }

  // ---------------------------------------------------------------- what they share

  private get options(): Options {
    return this.serverless.processedInput.options
  }

  private get stage(): string {
    const { stage } = this.serverless.service.provider as { stage?: string }
    return this.options.stage ?? stage ?? 'dev'
  }

  private get service(): Service {
    return readService(this.serverless.service, this.stage)
  }

  private get packageDir(): string {
    return resolve(this.serverless.serviceDir, this.options.package ?? '.serverless')
  }

  private find(): WantedFunction {
    const key = this.options.function!
    const found = this.service.functions.find((one) => one.key === key)
    if (!found) throw new DeployFault(`serverless.yml has no function ${key}.`, 'FUNCTION_UNKNOWN')
    return found
  }

  private readEvent(): unknown {
    const { path, data, raw } = this.options
    if (path === undefined && data === undefined)
      throw new DeployFault(
        'There is no event: use --path deploy/events/status.json, or --data with JSON.',
        'EVENT_MISSING',
      )
    if (path === undefined && raw) return data
    try {
      return parse(data ?? readFileSync(resolve(this.serverless.serviceDir, path!), 'utf8'))
    } catch {
      throw new DeployFault(
        `${data === undefined ? path : '--data'} is not to be read: give an event in JSON or YAML.`,
        'EVENT_UNREADABLE',
      )
    }
  }

  /** Something that asks the cloud: a spinner on a terminal, plain lines elsewhere. */
  private async work<T>(task: (work: Work, pause: () => void) => Promise<T>): Promise<T> {
    const { service } = this
    const { env } = process
    const call = await connectControlPlane({
      region: service.region,
      credential: await readCredential(env),
      endpoint: env['SCF_ENDPOINT'],
      httpsProxy: env['https_proxy'] ?? env['HTTPS_PROXY'],
      nowMs: Date.now,
      random: systemChance,
      sleep,
    })
    const spins = process.stderr.isTTY && !env['CI']
    const spinner = this.writers.progress.get('tencent')
    const say = (line: string) => (spins ? spinner.update(line) : this.writers.log.notice(line))
    try {
      return await task({ call, service, say, nowMs: Date.now, sleep }, () => spinner.remove())
    } finally {
      spinner.remove()
    }
  }

  private showMoved(moved: readonly Moved[], none: string): void {
    if (this.options.json) return this.writers.writeText(JSON.stringify({ moved }, null, 2))
    const lines = moved.map(({ key, from, to }) => `  ${key}: version ${from} → ${to}`)
    this.writers.writeText(lines.length > 0 ? lines.join('\n') : none)
  }

  /**
   * A fault is told in its sentence alone: of errors that are not its own sls prints the stack. With --json it is the
   * one object on standard output, and what sls would do next is left out.
   */
  private async tell(work: () => Promise<void>): Promise<void> {
    if (this.hasFailed) return
    try {
      const foreign = FOREIGN.find((name) => (this.options as Record<string, unknown>)[name] !== undefined)
      if (foreign)
        throw new DeployFault(
          `--${foreign} is for another cloud and would do nothing here: leave it out.`,
          'OPTION',
        )
      await work()
    } catch (error) {
      if (!(error instanceof DeployFault)) throw error
      const { code, message, requestId } = error
      if (!this.options.json) throw new this.serverless.classes.Error(message, code)
      this.writers.writeText(
        JSON.stringify(
          { error: { code, message, ...(requestId ? { request_id: requestId } : {}) } },
          null,
          2,
        ),
      )
      this.hasFailed = true
      process.exitCode = 1
    }
  }

  /** Before sls's own validation, which would not say what was probably meant. */
  private nameUnknownKeys(): void {
    const { configSchemaHandler: handler, classes } = this.serverless
    const validate = handler.validateConfig.bind(handler)
    handler.validateConfig = async (config) => {
      const unknown = unknownKeys(config, handler.schema)
      if (unknown.length > 0) throw new classes.Error(tellUnknownKeys(unknown, this.stage), 'UNKNOWN_KEY')
      const idle = idleKeys(config, this.stage)
      if (idle.length > 0) throw new classes.Error(tellIdleKeys(idle), 'IDLE_KEY')
      const crons = shortCrons(config)
      if (crons.length > 0) throw new classes.Error(crons.join('\n'), 'CRON')
      await validate(config)
    }
  }
}

/** Lines of a log and descriptions in the cloud are other people's texts, and could steer the terminal. */
function showing({ log, progress, writeText }: Writers): Writers {
  const shown = (write: (text?: string) => void) => (text?: string) =>
    text === undefined ? write() : write(visible(text))
  return {
    log: {
      notice: shown(log.notice),
      warning: shown(log.warning),
      error: shown(log.error),
      info: shown(log.info),
    },
    progress,
    writeText: (text) => writeText(visible(text)),
  }
}

/** `--env NAME=value`, as often as there are variables to ask for. */
function readNamed(given: string | string[] = []): Record<string, string> {
  return Object.fromEntries(
    [given].flat().map((one) => {
      const at = one.indexOf('=')
      if (at < 1)
        throw new DeployFault('--env takes NAME=value: --env NAME="$NAME" for one of the shell.', 'ENV')
      return [one.slice(0, at), one.slice(at + 1)]
    }),
  )
}

function readCanary(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const percent = /^\d{1,2}$/.test(value) ? Number(value) : 0
  if (percent < 1) throw new DeployFault('--canary takes a whole number of percent from 1 to 99.', 'CANARY')
  return percent
}

async function askRemoval(names: readonly string[]): Promise<void> {
  if (!process.stdin.isTTY)
    throw new DeployFault('Nobody is there to ask: say --yes to remove.', 'NOT_CONFIRMED')
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await asking.question(`${names.join('\n')}\nRemove all of this? Type yes: `)
  asking.close()
  if (answer.trim() !== 'yes') throw new DeployFault('Nothing was removed.', 'NOT_CONFIRMED')
}

function tellDeployed({
  service,
  stage,
  region,
  functions,
  domain,
  notify_url,
  plan,
  todo,
}: Deployed): string {
  const width = Math.max(...functions.map(({ key }) => key.length))
  const lines = functions.map(
    ({ key, url, version }) => `  ${key.padEnd(width)}  version ${version}${url ? `  ${url}` : ''}`,
  )
  return [
    plan.length > 0
      ? `Deployed ${service}, stage ${stage}, ${region}`
      : `${service}, stage ${stage}, ${region}`,
    ...lines,
    ...(domain ? [`  domain  ${domain}`] : []),
    ...(notify_url ? [`Cloud Pay calls ${notify_url}`] : []),
    ...todo.map((one) => `To do: ${one}`),
  ].join('\n')
}
