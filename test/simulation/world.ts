import { createSandbox, type Reply, type Sandbox, type SandboxMerchant } from '../../local/sandbox/sandbox'
import { SCENE_SWITCHES, SWITCHES, type FaultName, type Switches } from '../../local/sandbox/switches'
import { sandboxEnv } from '../../local/sandbox/env'
import { readConfig, type Config } from '../../shared/base/config'
import { installTime } from './clock'
import { closeDoors, CLOSED_ENV, type Closed } from './closed'
import type { Coverage } from './coverage'
import type { CrashPlan } from './crashPoints'
import type { Server } from './database'
import { Dice } from './dice'
import { drawLuck, NO_FAULTS, type Luck } from './faults'
import { FIRST, OTHER, STRANGER } from './merchants'
import { drawScene, type Scene } from './scenes'
import { Scheduler, type Owner } from './scheduler'
import { Traffic } from './traffic'

type Wire = { freeze(): void; hangUp(): void }

/** What outlives a run: the compiled code, the database's tables, the counters. */
export type Bench = { server: Server; coverage: Coverage }

export type WorldOptions = {
  seed: number
  /** Where an instance dies, in the instrumented build. */
  crash?: CrashPlan
  trace?: (line: string) => void
}

/** Deployments differ; what may be set is set in all ways. */
const CONFIGS = [
  {},
  { ORDER_LIFE_SECONDS: '120', LATE_PAYMENT: 'honour' },
  {
    ORDER_LIFE_SECONDS: '300',
    CLOSE_NOT_BEFORE: '0',
    MERCHANT_WEBHOOK_URL: 'https://shop.example/hook',
    MERCHANT_WEBHOOK_SECRET: `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
  },
  { ORDER_LIFE_SECONDS: '120', CLOSE_NOT_BEFORE: '60', REFUND_HOUR_MAX_FEN: '300' },
]
const { DATA_KEYS = '' } = sandboxEnv('', '', '')
const REFUND_OPERATOR = { is_sub_mch_admin: true }
const TWO = { CLOUD_PAY_OTHER_MERCHANTS: JSON.stringify([{ ...OTHER, refund_operator: REFUND_OPERATOR }]) }

const configsWith = (every: Record<string, string>): Config[] =>
  CONFIGS.map((more: Record<string, string>) =>
    readConfig({
      ...sandboxEnv('http://127.0.0.1:1/cpay/', 'sqlite::memory:', '127.0.0.1'),
      // With data keys every instance would look for sub-merchants in the database first; here the shops are given.
      DATA_KEYS: '',
      // A service that asks who refunds is told.
      CLOUD_PAY_REFUND_OPERATOR: JSON.stringify(REFUND_OPERATOR),
      ...more,
      ...every,
    }),
  )

const PLAIN = configsWith({})
const CONFIGS_OF: Readonly<Record<Scene, readonly Config[]>> = {
  plain: PLAIN,
  crowd: PLAIN,
  'two merchants': configsWith(TWO),
  // With thirty days it is the payer who asks to be forgotten.
  keeping: [...configsWith({ RETENTION_DAYS: '1' }), ...configsWith({ RETENTION_DAYS: '30' })],
  // Codes lie sealed.
  scanned: configsWith({ DATA_KEYS }),
  'closed doors': configsWith(CLOSED_ENV),
}

const START_MS = 1_900_000_000_000
const SKEW_MAX_MS = 5 * 60_000
/** What is left of it ahead when Cloud Pay's own clock is behind: five minutes are borne in all. */
const SKEW_MAX_BEHIND_MS = 95_000

/** One run: its time, its chance, its Cloud Pay. Instances and programs move about in it. */
export class World {
  readonly dice: Dice
  readonly scheduler: Scheduler
  readonly sandbox: Sandbox
  readonly nobody: Owner = { name: 'network', dead: false }
  readonly coverage: Coverage
  readonly server: Server
  readonly config: Config
  readonly tracing: boolean
  luck: Luck
  current: Owner = this.nobody
  inTransaction = false
  /** The database server was replaced by one that had not heard of the last transactions. */
  forgot = false
  readonly traffic = new Traffic(
    (number) =>
      this.sandbox.orders.get(number)?.state !== 'paid' &&
      !this.squatted.has(number) &&
      !this.notified.has(number),
  )
  /** Order numbers somebody has told us about: that makes them due whoever has them in hand. */
  readonly notified = new Set<string>()
  /** The answers to creates are lost, all of them. */
  createsGetLost = false
  /** Numbers whose request was heard twice, though it was sent once. */
  readonly duplicated = new Set<string>()
  /** Numbers whose payer paid while upstream they were open. */
  readonly paidInTime = new Set<string>()
  /** Messages the merchant's server took, by id. */
  readonly told = new Set<string>()
  /** Numbers under which somebody else ordered something. */
  readonly squatted = new Set<string>()
  /** Signed texts we said to have kept. */
  readonly acknowledged: { number: string; text: string }[] = []
  /** Errors of the simulator's or of the code that nobody was there to hear. */
  readonly broken: string[] = []
  /** So many lists are told wrong, at most. */
  listLiesLeft = 2
  billLiesLeft: number
  /** A bill was told empty that was not. */
  billHid = false
  /** For one of two sub-merchants Cloud Pay is not there until then. */
  silence: { about: SandboxMerchant; untilMs: number; isMet?: true } | undefined
  /** What this run has that most have not. */
  readonly scene: Scene
  /** Every page of the bill takes its time, so that a run of the timer ends before its part of the bill does. */
  readonly slowBill: boolean
  /** The platform ends the timer after so long: soon where much is due, or the bill takes its time. */
  readonly timerLimitMs: number
  faultsOn = true
  watchesAreRight = false
  /** For days: the ladder comes to its end. */
  readonly merchantIsAway: boolean
  readonly hasHook: boolean
  /** Somebody did something only the daily bill can tell of: the run goes on until it has been compared. */
  needsBill = false
  /** Who may call, where not everybody may. */
  readonly closed: Closed | undefined
  readonly #heralds = new Map<string, (body: Buffer) => void>()
  readonly #wires = new Map<Owner, Wire>()
  #fault: FaultName | undefined

  constructor(
    bench: Bench,
    readonly options: WorldOptions,
  ) {
    const dice = (this.dice = new Dice(options.seed))
    this.coverage = bench.coverage
    this.server = bench.server
    this.tracing = options.trace !== undefined
    // Not on the hour: the second, the minute and the day begin somewhere in the run.
    this.scheduler = new Scheduler(dice, START_MS + dice.below(86_400_000))
    this.luck = drawLuck(dice)
    this.scene = drawScene(dice)
    this.slowBill = dice.chance(0.06)
    this.billLiesLeft = dice.chance(0.5) ? 2 : 0
    this.timerLimitMs = this.slowBill || this.scene === 'crowd' ? dice.between(7000, 12_000) : 60_000
    this.scheduler.resumed = (owner) => (this.current = owner)
    installTime(this.scheduler, () => this.current)
    this.server.reset()
    if (this.luck.failover > 0) this.server.journal = []
    this.config = dice.pick(CONFIGS_OF[this.scene])
    if (this.scene === 'two merchants' && dice.chance(0.4)) {
      this.silence = {
        about: dice.pick([FIRST, OTHER]),
        untilMs: this.scheduler.nowMs + dice.between(60_000, 7_200_000),
      }
    }
    this.merchantIsAway = dice.chance(0.03)
    this.hasHook = this.config.webhook !== undefined && dice.chance(0.3)
    const databaseSkewMs = dice.between(-SKEW_MAX_MS, SKEW_MAX_MS)
    this.server.nowMs = () => Math.floor(this.scheduler.nowMs + databaseSkewMs)
    if (dice.chance(0.85)) this.#billIsDone()
    const switches = drawSwitches(dice)
    if (this.scene === 'scanned') switches.microUndecided = dice.pick(SWITCHES.microUndecided)
    for (const [name, value] of Object.entries(switches)) this.coverage.count('switch', `${name}=${value}`)
    this.sandbox = createSandbox({
      clock: { nowMs: () => this.scheduler.nowMs, sleep: async () => undefined },
      random: (count) => dice.bytes(count),
      merchants: [FIRST, OTHER, STRANGER],
      switches,
      // Two days are longer than anybody likes to wait.
      refundDelayMs: dice.chance(0.03) ? 172_800_000 : dice.pick([0, 0, 1000, 60_000, 3_600_000]),
      onNotification: ({ out_trade_no, body }) => this.#heralds.get(out_trade_no)?.(body),
      chooseFault: () => this.#fault,
    })
    this.closed = this.scene === 'closed doors' ? closeDoors(this) : undefined
    if (options.trace) {
      const { trace } = options
      const startMs = this.scheduler.nowMs
      this.scheduler.trace = (line) =>
        trace(`${((this.scheduler.nowMs - startMs) / 1000).toFixed(3).padStart(12)} s  ${line}`)
      trace(`luck ${JSON.stringify(this.luck)}`)
      trace(`switches ${JSON.stringify(switches)}`)
    }
  }

  /** In most runs today's bill has been compared before they begin: comparing it in all would take half of the time. */
  #billIsDone(): void {
    const nowMs = this.server.nowMs()
    const today = Math.floor(nowMs / 86_400_000) * 86_400
    // Planned for all the sub-merchants there are, and no window open.
    const mark = ['bill', nowMs, `${today} 1000000`]
    this.server.run('INSERT INTO marks (name, at_ms, value) VALUES (?, ?, ?)', mark)
  }

  /** A line of the timeline, written only when somebody reads it. */
  tell(owner: Owner, line: () => string): void {
    if (this.tracing) this.scheduler.trace?.(`${owner.name}  ${line()}`)
  }

  /** How wrong an instance's watch is. */
  skewMs(): number {
    const { dice, sandbox } = this
    if (this.watchesAreRight || dice.chance(0.7)) return 0
    const aheadMs = sandbox.switches.createTime === 'behind' ? SKEW_MAX_BEHIND_MS : SKEW_MAX_MS
    return dice.between(-SKEW_MAX_MS, aheadMs)
  }

  latency(): number {
    const { dice, luck } = this
    if (!this.faultsOn) return 0
    if (dice.chance(luck.slow)) return dice.between(50, dice.chance(0.2) ? 9000 : 1500)
    return dice.chance(0.6) ? 0 : dice.between(1, 40)
  }

  /** Whether what is sent for this sub-merchant comes to nothing. */
  isSilentFor(merchant: SandboxMerchant): boolean {
    const { silence } = this
    if (!silence || silence.about !== merchant || !this.faultsOn) return false
    if (this.scheduler.nowMs >= silence.untilMs) return false
    if (!silence.isMet) this.coverage.count('scene', 'Cloud Pay is there for one of two sub-merchants')
    return (silence.isMet = true)
  }

  sawFault(owner: Owner, name: string): void {
    if (owner.dead) return
    this.coverage.count('fault', name)
    this.tell(owner, () => `!! ${name}`)
  }

  farEnd(suffix: string, body: Buffer, fault: FaultName | undefined): Reply {
    this.#fault = fault
    const reply = this.sandbox.answer(suffix, body)
    this.#fault = undefined
    return reply
  }

  /** Whom Cloud Pay's notifications about this order are given to. */
  onNotification(number: string, herald: (body: Buffer) => void): void {
    this.#heralds.set(number, herald)
  }

  /** An instance has one connection, and the server hears when it freezes or is gone. */
  connected(owner: Owner, wire: Wire): void {
    this.#wires.set(owner, wire)
  }

  freeze(owner: Owner): void {
    this.#wires.get(owner)?.freeze()
  }

  hangUp(owner: Owner): void {
    this.#wires.get(owner)?.hangUp()
  }

  /** Nothing goes wrong in this run. */
  becalm(): void {
    this.watchesAreRight = true
    this.luck = NO_FAULTS
    this.silence = undefined
  }

  failOver(owner: Owner): void {
    const lost = this.server.loseLast(this.dice.between(1, 4))
    this.forgot = true
    // What was forgotten nobody here knows: only the bill can tell.
    this.needsBill = true
    this.tell(owner, () => `!! the database lost its last ${lost} transactions`)
  }

  /** From now on everything works, and at once. */
  endFaults(): void {
    this.faultsOn = false
    this.scheduler.calm = true
    this.luck = NO_FAULTS
    // A bank that takes no refund would be asked every day, as it should be. Alipay's has no `change`: it fails there.
    const { switches } = this.sandbox
    const failsForEver =
      switches.refundOutcome === 'failed' || (switches.refundOutcome === 'change' && this.#hasAlipay())
    if (failsForEver) switches.refundOutcome = 'succeeded'
  }

  #hasAlipay(): boolean {
    return [...this.sandbox.orders.values()].some(({ request }) => request.pay_mch_key.pay_platform === 2)
  }
}

const drawSwitches = (dice: Dice): Switches =>
  Object.fromEntries(
    Object.entries(SWITCHES)
      .filter(([name]) => !SCENE_SWITCHES.includes(name))
      .map(([name, values]) => [name, dice.pick(values as readonly string[])]),
  ) as Switches
