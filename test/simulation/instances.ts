import { openAuthorize } from '../../shared/access/open'
import { createApp, type App } from '../../shared/app'
import { door, type Route, type ScfContext } from '../../shared/http/door'
import { MISTAKES } from '../support/judging'
import { skewedClock } from './clock'
import type { Request } from './closed'
import { OneConnection } from '../../shared/store/connection'
import { storeOn } from './database'
import { openWire } from './databaseFaults'
import { createNetwork } from './network'
import { createHook, createWebhook } from './webhook'
import { createWeChat } from './wechat'
import type { Owner } from './scheduler'
import type { World } from './world'

/**
 * Function instances as the platform keeps them: one event at a time, reused when free, frozen in between, ended at
 * their time limit, and sometimes simply gone. Each has its own App, connection, chance and (wrong) watch, around the
 * code that is deployed.
 */
export type Answer = {
  statusCode: number
  headers: Record<string, string>
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs look into it freely
  body: any
}

/** No answer: the instance is gone. */
export type Gone = { statusCode: 0; body: undefined }
const GONE: Gone = { statusCode: 0, body: undefined }

export type Visit = {
  /** Which function: for the counters and the timeline. */
  doorName: string
  /** The order it is about, when the request says so. */
  about: string | undefined
  limitMs?: number
  work: (open: () => Promise<App>, handle: Handle, context: ScfContext) => Promise<unknown>
}

type Handle = (
  event: unknown,
  context?: ScfContext,
) => Promise<{ statusCode: number; headers: object; body: string }>

/** Payers' ids and codes, and keys of the simulated shop: no log line and no answer has one. */
const HIDDEN = /oTestPayer0001|(?:13|28)3465011207|208800000000000\d|sandbox0authen0key|whsec_/
const LIMIT_MS = 10_000

export class Instances {
  readonly #free: Instance[] = []
  readonly #inFlight = new Set<Visit>()
  #made = 0
  #requests = 0

  constructor(
    readonly world: World,
    private readonly routes: readonly Route<App>[],
  ) {}

  get busy(): boolean {
    return this.#inFlight.size > 0
  }

  /** Runs one event on some instance and tells what came out, or that nothing will. */
  async visit(visit: Visit): Promise<unknown> {
    const { world } = this
    const instance = this.#take()
    const { scheduler } = world
    for (const other of this.#inFlight) {
      const same = other.about === visit.about || other.about === undefined || visit.about === undefined
      if (same) world.coverage.count('pair', [other.doorName, visit.doorName].sort().join(' + '))
    }
    this.#inFlight.add(visit)
    instance.owner.name = `${instance.name} ${visit.doorName}`
    const requestId = `r${++this.#requests}`
    const startMs = scheduler.nowMs
    const limitMs = visit.limitMs ?? LIMIT_MS
    try {
      return await new Promise<unknown>((resolve, reject) => {
        const limit = scheduler.after(instance.owner, 'reaches its time limit', limitMs, () => {
          world.sawFault(instance.owner, 'time limit')
          instance.crash()
        })
        instance.onCrash = () => resolve(GONE)
        const context: ScfContext = {
          request_id: requestId,
          getRemainingTimeInMillis: () => Math.max(0, limitMs - (scheduler.nowMs - startMs)),
        }
        const done = (finish: () => void) => {
          if (instance.owner.dead) return
          scheduler.cancel(limit)
          instance.onCrash = undefined
          world.freeze(instance.owner)
          this.#free.push(instance)
          finish()
        }
        const work = async () => {
          await scheduler.park(instance.owner, 'starts', world.latency())
          return visit.work(() => instance.app(), instance.handle, context)
        }
        work().then(
          (answer) => done(() => resolve(answer)),
          (error: Error) => done(() => reject(error)),
        )
      })
    } finally {
      this.#inFlight.delete(visit)
    }
  }

  async call(doorName: string, about: string | undefined, event: Request): Promise<Answer | Gone> {
    // Whoever brings a credential of its own is not given one.
    const isOwn = 'authorization' in (event.headers ?? {}) || 'x-pay-key' in (event.headers ?? {})
    const credential = isOwn ? {} : this.world.closed?.headersFor(event)
    const headers = { ...event.headers, ...credential }
    const answer = (await this.visit({
      doorName,
      about,
      work: async (_, handle, context) => handle({ queryString: {}, body: '', ...event, headers }, context),
    })) as { statusCode: number; headers: Record<string, string>; body: string } | Gone
    if (answer.statusCode === 0) return GONE
    const read = { ...answer, body: parse(answer.body ?? '') } as Answer
    const code = (read.body as { code?: string } | undefined)?.code
    this.world.coverage.count(
      'answer',
      `${doorName} ${read.statusCode}${code === undefined ? '' : ` ${code}`}`,
    )
    this.world.tell(this.world.nobody, () => `${doorName} answered ${read.statusCode} ${code ?? ''}`)
    if (HIDDEN.test(answer.body ?? '')) this.world.broken.push(`${doorName} gives away: ${answer.body}`)
    if (read.statusCode === 500) this.world.broken.push(`${doorName} answered 500: ${answer.body}`)
    return read
  }

  #take(): Instance {
    const { dice } = this.world
    // What dies while nobody uses it is not missed.
    for (let at = this.#free.length - 1; at >= 0; at--)
      if (this.#free[at]!.owner.dead) this.#free.splice(at, 1)
    if (this.#free.length > 0 && dice.chance(0.8)) {
      return this.#free.splice(dice.below(this.#free.length), 1)[0]!
    }
    return new Instance(this.world, `i${++this.#made}`, this.routes)
  }
}

export class Instance {
  readonly owner: Owner & { name: string; crash: () => void }
  readonly handle: Handle
  onCrash: (() => void) | undefined
  readonly #open: () => Promise<App>
  #app: Promise<App> | undefined

  constructor(
    private readonly world: World,
    readonly name: string,
    routes: readonly Route<App>[],
  ) {
    const { dice, scheduler } = world
    const owner = (this.owner = { name, dead: false, crash: () => this.crash() })
    const clock = skewedClock(scheduler, owner, world.skewMs())
    const store = storeOn(
      new OneConnection('sqlite', () => openWire(world, world.server, owner), {
        nowMs: () => scheduler.nowMs,
        sleep: (ms) => scheduler.park(owner, 'waits for the write lock', ms),
      }),
    )
    this.#open = () =>
      createApp(world.config, {
        clock,
        store,
        random: (count) => dice.bytes(count),
        post: createNetwork(world, owner, (suffix, body, fault) => world.farEnd(suffix, body, fault)),
        send: createWebhook(world, owner),
        ...(world.closed ? { ask: createWeChat(world, owner) } : {}),
        // With door-keepers the timer purges; these let everybody in all the same.
        ...(world.scene === 'keeping' ? { authorize: openAuthorize } : {}),
        ...(world.hasHook ? { onMessage: createHook(world, owner) } : {}),
        write: (line) => {
          world.tell(owner, () => `log ${line.trim()}`)
          // What a handler swallows as "try again later" and is a mistake of ours.
          if (MISTAKES.test(line) || HIDDEN.test(line)) world.broken.push(line.slice(0, 400))
        },
      })
    this.handle = door(
      () => this.app(),
      () => undefined,
      routes,
    )
  }

  app(): Promise<App> {
    // With data keys it looks into the database first; where that fails, the next event begins anew.
    return (this.#app ??= this.#open().catch((error: unknown) => {
      this.#app = undefined
      throw error
    }))
  }

  crash(): void {
    const { owner, world } = this
    if (owner.dead) return
    world.tell(owner, () => '†')
    owner.dead = true
    world.scheduler.forget(owner)
    world.hangUp(owner)
    const { onCrash } = this
    this.onCrash = undefined
    // Whoever waits for the answer notices after a while.
    if (onCrash) world.scheduler.after(world.nobody, `${owner.name} is missed`, world.latency(), onCrash)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
