import { createSandbox, type Sandbox } from '../../local/sandbox/sandbox'
import { SWITCHES, type FaultName } from '../../local/sandbox/switches'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { systemRandom } from '../../shared/base/random'
import { Dice } from '../simulation/dice'
import { CLOUD_PAY_FAULTS, drawLuck, NO_FAULTS, type Luck } from '../simulation/faults'
import type { Instances } from '../simulation/instances'
import { startPrograms } from '../simulation/programs'
import { STRANGER } from '../simulation/merchants'
import type { World } from '../simulation/world'
import type { FromActor, PostAnswered, ToPost } from './programActor'
import { brokenPromises } from './promises'
import { rows, type Actor, type Result, type Stage } from './stage'
import { addUp, type Tallied } from './tally'

/**
 * The simulation's programs on a real server: the same people with the same dice, but who comes first is decided by
 * four processes and the server's own locks. So no run can be played again, and only what must be true at rest is
 * looked at.
 *
 * Time is pushed instead of waited for, and only while no handler is at work: the watches of the Apps and of Cloud Pay
 * go forward, and every time the server's own clock has written is put back by as much. To the code it is the same.
 */
const PROGRAMS = 1000
const BATCH = 125
const ACTORS = 4
const APPS = 4
/** So many who wait are let go together. */
const CROWD = 60
const DAY_MS = 86_400_000
/** How often the way to the database breaks, batch by batch. */
const DATABASE_LUCK = [0.06, 0.03, 0.01, 0]
const QUIET_MS = 3 * DAY_MS
const ROUNDS_MAX = 400
/** As in the simulator: after twenty looks in vain a person knows, and there is a look a day. */
const LOOKS_MAX = 25

const CONFIGS: Record<string, string>[] = [
  {},
  { ORDER_LIFE_SECONDS: '120', LATE_PAYMENT: 'honour' },
  { ORDER_LIFE_SECONDS: '300', CLOSE_NOT_BEFORE: '0' },
  { ORDER_LIFE_SECONDS: '120', CLOSE_NOT_BEFORE: '60', REFUND_HOUR_MAX_FEN: '3000' },
]

type Counts = Record<string, number>

export async function raceOfPrograms(stage: Stage): Promise<Result> {
  const many = Math.max(BATCH, Math.round(PROGRAMS * stage.scale))
  const counts: Counts = { processes: ACTORS, programs: 0, steps: 0, calls: 0, timer_runs: 0, faults: 0 }
  const wrong: string[] = []
  const startMs = Date.now()
  const actors = await stage.startActors(ACTORS)
  for (let from = 0; from < many; from += BATCH) {
    const batch = new Batch(stage, actors, counts, stage.seed * 1_000_000 + from)
    wrong.push(...(await batch.play(Math.min(BATCH, many - from))))
  }
  const tallied = await Promise.all(actors.map((actor) => actor.ask<Tallied>('tally', undefined)))
  const { tally, mistakes } = addUp(tallied)
  wrong.push(...mistakes)
  return {
    counts: {
      ...counts,
      lost_guards: tally.lostGuards,
      lost_to_the_server: tally.lostRaces,
      taken: tally.taken,
      lost_claims: tally.lostClaims,
      disconnected: tally.disconnected,
      commit_unknown: tally.commitUnknown,
      ms: Date.now() - startMs,
    },
    wrong: wrong.slice(0, 20),
  }
}

/** `onTime`: a request on its way is late by so much and not by what a crowd comes too late. */
type Sleeper = { atMs: number; onTime?: true; go: () => void }
type Slot = { actor: Actor; app: number }

/** Some programs at the same time, on one database, with one Cloud Pay. */
class Batch {
  readonly #dice: Dice
  readonly #sandbox: Sandbox
  readonly #sleepers: Sleeper[] = []
  readonly #free: Slot[] = []
  readonly #waiting: ((slot: Slot) => void)[] = []
  readonly #luckOf = new Map<string, () => Luck>()
  readonly #heralds = new Map<string, (body: Buffer) => void>()
  readonly #broken: string[] = []
  readonly #transmissions = new Map<string, number>()
  readonly #duplicated = new Set<string>()
  readonly #squatted = new Set<string>()
  readonly #paidInTime = new Set<string>()
  readonly #acknowledged: { number: string; text: string }[] = []
  /** Where somebody else's order is told from ours by one answer alone, that answer may not get lost: it may here. */
  readonly #setAside = new Set<string>()
  readonly #mayAnyFault = { now: true }
  readonly #bill = { needed: false }
  #inFlight = 0
  #rested: () => void = () => undefined
  #fault: FaultName | undefined
  /** The watches' lead over the machine's: they begin days ago, so that today's bill can tell of everything. */
  #aheadMs = (Math.floor(Date.now() / DAY_MS) - 2.9) * DAY_MS - Date.now()
  #sinceHourMs = 0

  constructor(
    private readonly stage: Stage,
    private readonly actors: Actor[],
    private readonly counts: Counts,
    private readonly seed: number,
  ) {
    const dice = (this.#dice = new Dice(seed))
    this.#sandbox = createSandbox({
      clock: { nowMs: () => this.nowMs(), sleep: async () => undefined },
      random: systemRandom,
      merchants: [SANDBOX_MERCHANT, STRANGER],
      switches: Object.fromEntries(
        Object.entries(SWITCHES).map(([name, values]) => [name, dice.pick(values as readonly string[])]),
      ),
      refundDelayMs: dice.pick([0, 0, 1000, 60_000, 3_600_000]),
      onNotification: ({ out_trade_no, body }) => this.#heralds.get(out_trade_no)?.(body),
      chooseFault: () => this.#fault,
    })
  }

  nowMs(): number {
    return Date.now() + this.#aheadMs
  }

  async play(many: number): Promise<string[]> {
    const { actors, stage, counts } = this
    await this.#clear()
    const env = { ...this.#dice.pick(CONFIGS), CLOUD_PAY_PER_MINUTE: '100000' }
    // In turns and not by the dice: so few batches might draw nothing but calm ones.
    const databaseLuck = DATABASE_LUCK[(this.seed / BATCH) % DATABASE_LUCK.length]!
    for (const [at, actor] of actors.entries()) {
      actor.onMessage = (message) => void this.#heard(actor, message as FromActor)
      await actor.ask('programs', {
        url: stage.url,
        apps: APPS,
        env,
        aheadMs: this.#aheadMs,
        databaseLuck,
        seed: this.seed + at,
      })
      for (let app = 0; app < APPS; app++) this.#free.push({ actor, app })
    }

    const programs = Array.from({ length: many }, (_, n) => {
      counts['programs']!++
      const world = this.#worldOf(this.seed + n)
      return startPrograms(world, this.#instancesOf(world))
    })
    while (this.#sleepers.length > 0 || programs.some(({ done }) => !done)) {
      await this.#rest()
      if (this.#sleepers.length === 0) break
      this.#sleepers.sort((one, other) => one.atMs - other.atMs)
      const punctual = this.#sleepers.findIndex(({ onTime }) => onTime)
      const crowd = this.#sleepers.splice(0, punctual < 0 ? CROWD : Math.min(CROWD, punctual + 1))
      await this.#passTo(crowd.at(-1)!.atMs)
      counts['steps']!++
      for (const { go } of crowd) go()
      // The platform may fire it twice.
      for (let runs = this.#dice.chance(0.3) ? 2 : 1; runs > 0; runs--)
        void this.#fireTimer(this.#dice.pick(actors))
    }
    await this.#rest()
    if (programs.some(({ done }) => !done)) this.#broken.push('a program waits for ever')

    this.#mayAnyFault.now = false
    await Promise.all(actors.map((actor) => actor.ask('calm', undefined)))
    // A bank that takes no refund would be asked every day for ever, as it should be.
    this.#sandbox.switches.refundOutcome = 'succeeded'
    await this.#untilQuiet()
    const found = await brokenPromises(stage.session, this.#sandbox, {
      transmissions: this.#transmissions,
      duplicated: this.#duplicated,
      squatted: this.#squatted,
      paidInTime: this.#paidInTime,
      acknowledged: this.#acknowledged,
    })
    const known = [...this.#setAside]
    counts['set_aside'] = (counts['set_aside'] ?? 0) + known.length
    await Promise.all(actors.map((actor) => actor.ask('leave', undefined)))
    const about = `batch ${this.seed} (${JSON.stringify(env)} ${JSON.stringify(this.#sandbox.switches)})`
    const wrong = [...this.#broken, ...found.filter((one) => !known.some((number) => one.includes(number)))]
    return wrong.map((one) => `${one} in ${about}`)
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Returns when no handler is at work. */
  async #rest(): Promise<void> {
    for (;;) {
      // Whoever has just been answered goes on in a microtask, and may call again.
      await new Promise<void>((resolve) => setImmediate(resolve))
      if (this.#inFlight === 0) return
      await new Promise<void>((resolve) => (this.#rested = resolve))
    }
  }

  async #passTo(atMs: number): Promise<void> {
    const byMs = Math.ceil(atMs - this.nowMs())
    if (byMs <= 0) return
    const { rows: say } = this.stage.session
    const back = (table: string, columns: string[]) =>
      say(`update ${table} set ${columns.map((name) => `${name} = ${name} - ${byMs}`).join(', ')}`)
    await back('orders', ['lease_until_ms', 'looked_at_ms', 'next_due_at_ms', 'notified_at_ms'])
    await back('refunds', ['next_due_at_ms'])
    await back('outbox', ['next_due_at_ms'])
    await back('bill_windows', ['next_due_at_ms'])
    await back('marks', ['at_ms'])
    this.#sinceHourMs += byMs
    if (this.#sinceHourMs >= 3_600_000) {
      await say('delete from counters')
      this.#sinceHourMs = 0
    }
    this.#aheadMs += byMs
    await Promise.all(this.actors.map((actor) => actor.ask('ahead', { aheadMs: this.#aheadMs })))
  }

  /** The timer in every process at once, until nothing is due but what waits for a person. */
  async #untilQuiet(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const due = await this.#dueMs()
      const [next] = due
      if (next === undefined || next > QUIET_MS) {
        if (!this.#bill.needed) return
        this.#bill.needed = false
        await this.#compareBill()
        continue
      }
      // A crowd here as well: a timer may be late.
      const upTo = due[Math.min(due.length - 1, 7)]!
      if (upTo > 0) await this.#passTo(this.nowMs() + Math.min(upTo, next + 600_000))
      await Promise.all(this.actors.map((actor) => this.#fireTimer(actor)))
    }
    this.#broken.push(`not quiet after ${ROUNDS_MAX} rounds of the timer`)
  }

  /** How long until each is due, in order; after so many looks in vain a person has been told. */
  async #dueMs(): Promise<number[]> {
    const found = [
      ...(await rows(
        this.stage.session,
        `select next_due_at_ms as at_ms from orders where next_due_at_ms is not null
         and (flag is null or fruitless < ${LOOKS_MAX})`,
      )),
      ...(await rows(
        this.stage.session,
        `select next_due_at_ms as at_ms from refunds where next_due_at_ms is not null and looks < ${LOOKS_MAX}`,
      )),
    ]
    const nowMs = Date.now()
    return found.map((row) => Number(row['at_ms']) - nowMs).sort((one, other) => one - other)
  }

  /** Today's, from its beginning: everything has happened before today. */
  async #compareBill(): Promise<void> {
    const { session } = this.stage
    await session.rows("delete from marks where name = 'bill'")
    await session.rows('delete from bill_windows')
    await session.rows('delete from counters')
    const today = Math.floor(Date.now() / DAY_MS) * 86_400
    for (let slice = 0; slice < 40; slice++) {
      await this.#fireTimer(this.actors[slice % ACTORS]!)
      const [mark] = await rows(session, "select value from marks where name = 'bill'")
      const open = await rows(session, 'select from_at from bill_windows')
      if (String(mark?.['value']).startsWith(`${today} `) && open.length === 0) return
    }
    this.#broken.push('the bill is never compared to its end')
  }

  // ── handlers ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #fireTimer(actor: Actor): Promise<void> {
    this.counts['timer_runs']!++
    this.#inFlight++
    try {
      const failure = await actor.ask<string | undefined>('run timer', { remainingMs: 10_000 })
      if (failure !== undefined && !/these parts failed|Fault/.test(failure))
        this.#broken.push(`timer: ${failure}`)
    } finally {
      this.#landed()
    }
  }

  async #call(doorName: string, event: Record<string, unknown>) {
    this.#inFlight++
    this.counts['calls']!++
    const slot = this.#free.shift() ?? (await new Promise<Slot>((resolve) => this.#waiting.push(resolve)))
    try {
      const answer = await slot.actor.ask<{ statusCode: number; body: unknown }>('visit', {
        app: slot.app,
        event,
      })
      if (answer.statusCode === 500)
        this.#broken.push(`${doorName} answered 500: ${JSON.stringify(answer.body)}`)
      return { headers: {}, ...answer }
    } finally {
      const next = this.#waiting.shift()
      if (next) next(slot)
      // Not always the same ones: the next one gets the one that has rested longest.
      else this.#free.push(slot)
      this.#landed()
    }
  }

  #landed(): void {
    this.#inFlight--
    if (this.#inFlight === 0) this.#rested()
  }

  // ── the world of one program, as far as programs know it ───────────────────────────────────────────────────────

  #worldOf(seed: number): World {
    const dice = new Dice(seed)
    let luck = drawLuck(dice)
    const numbers: string[] = []
    const luckNow = () => (this.#mayAnyFault.now ? luck : NO_FAULTS)
    const nowMs = () => this.nowMs()
    const [setAside, bill, mayAnyFault] = [this.#setAside, this.#bill, this.#mayAnyFault]
    const park = (afterMs: number, go: () => void) =>
      void this.#sleepers.push({ atMs: this.nowMs() + afterMs, go })
    const world = {
      options: { seed },
      dice,
      sandbox: this.#sandbox,
      coverage: { count: () => undefined },
      server: { run: () => ({ rows: [] }), nowMs: () => this.nowMs() },
      config: { webhook: undefined },
      scheduler: {
        get nowMs() {
          return nowMs()
        },
        // The timer here is another one.
        park: (owner: { name: string }, _: string, afterMs = 0) =>
          new Promise<void>((resolve) => void (owner.name === 'timer' || park(afterMs, resolve))),
        after: (_: unknown, __: string, afterMs: number, go: () => void) => park(afterMs, go),
      },
      get luck() {
        return luckNow()
      },
      becalm() {
        luck = NO_FAULTS
        for (const number of numbers) setAside.add(number)
        setAside.add(`sb01n${seed}o`)
      },
      latency: () => dice.below(100),
      tell: () => undefined,
      broken: this.#broken,
      squatted: this.#squatted,
      duplicated: this.#duplicated,
      paidInTime: this.#paidInTime,
      acknowledged: this.#acknowledged,
      notified: new Set(),
      createsGetLost: false,
      watchesAreRight: true,
      onNotification: (number: string, herald: (body: Buffer) => void) => {
        numbers.push(number)
        this.#heralds.set(number, herald)
        this.#luckOf.set(number, luckNow)
      },
      get needsBill() {
        return bill.needed
      },
      set needsBill(needed: boolean) {
        bill.needed ||= needed
      },
      get faultsOn() {
        return mayAnyFault.now
      },
    }
    return world as unknown as World
  }

  #instancesOf(_: World): Instances {
    const call = (doorName: string, __: string | undefined, event: Record<string, unknown>) =>
      this.#call(doorName, event)
    return { call, busy: false } as unknown as Instances
  }

  // ── the network, and Cloud Pay at its end ──────────────────────────────────────────────────────────────────────

  async #heard(actor: Actor, message: FromActor): Promise<void> {
    const { post, suffix, body } = message
    const answer = this.#carry({ suffix, body: Buffer.from(body, 'base64') })
    actor.tell({ posted: post, ...answer } satisfies PostAnswered)
  }

  #carry({ suffix, body }: Pick<ToPost, 'suffix'> & { body: Buffer }): Omit<PostAnswered, 'posted'> {
    const text = body.toString('latin1')
    const number = /out_trade_no\\":\\"([^\\"]+)/.exec(text)?.[1] ?? ''
    if (suffix.endsWith('_pay') || suffix === 'refund') {
      const key = suffix === 'refund' ? (/out_refund_no\\":\\"([^\\"]+)/.exec(text)?.[1] ?? '') : number
      this.#transmissions.set(key, (this.#transmissions.get(key) ?? 0) + 1)
    }
    const dice = this.#dice
    const luck = this.#luckOf.get(number)?.() ?? NO_FAULTS
    const fault = dice.chance(luck.network) ? dice.pick(NETWORK) : undefined
    if (fault !== undefined) this.counts['faults']!++
    const arrive = () => {
      this.#fault = dice.chance(luck.cloudPay) ? dice.pick(CLOUD_PAY_FAULTS) : undefined
      if (this.#fault !== undefined) this.counts['faults']!++
      const reply = this.#sandbox.answer(suffix, body)
      this.#fault = undefined
      if (reply.kind !== 'answer') throw new Error(`the sandbox says ${reply.kind}`)
      return { status: reply.httpStatus, answer: reply.body }
    }
    const later = () =>
      this.#sleepers.push({
        atMs: this.nowMs() + dice.between(500, dice.chance(0.3) ? 60_000 : 7000),
        onTime: true,
        go: arrive,
      })
    switch (fault) {
      case 'request dropped':
        return { fault: 'timeout' }
      case 'connect timeout':
        return { fault: 'connect_timeout' }
      case 'stale socket, unheard':
        return { fault: 'connection' }
      case 'request late':
        later()
        return { fault: 'timeout' }
      default: // The others let it arrive.
    }
    const { status, answer } = arrive()
    switch (fault) {
      case 'answer dropped':
        return { fault: 'timeout' }
      case 'stale socket, heard':
        return { fault: 'connection' }
      case 'cut off':
        return { fault: 'answer_cut_off' }
      case 'request twice':
        this.#duplicated.add(number)
        later()
        break
      case 'cut short':
        return { status, body: answer.subarray(0, dice.below(answer.length)).toString('base64') }
      case '5xx':
        return { status: dice.pick([500, 502, 503, 504]), body: answer.toString('base64') }
      default:
    }
    return { status, body: answer.toString('base64') }
  }

  async #clear(): Promise<void> {
    const { session } = this.stage
    const tables = [
      'orders',
      'order_events',
      'refunds',
      'outbox',
      'anomalies',
      'notifications',
      'counters',
      'marks',
      'bill_windows',
    ]
    for (const table of tables) await session.rows(`delete from ${table}`)
    const today = Math.floor(Date.now() / DAY_MS) * 86_400
    await session.rows(
      `insert into marks (name, at_ms, value) values
       ('bill', ${Date.now()}, '${today} 1000000')`,
    )
  }
}

const NETWORK = [
  'request dropped',
  'answer dropped',
  'answer dropped',
  'request late',
  'request twice',
  'stale socket, unheard',
  'stale socket, heard',
  'cut off',
  'cut short',
  '5xx',
  'connect timeout',
] as const
