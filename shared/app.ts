import type { Approach, Authorize } from './access/authorize'
import { closedAuthorize, credentialOf, type Credential } from './access/closed'
import { admit, type Door } from './access/doors'
import { openAuthorize } from './access/open'
import type { Caller } from './base/caller'
import { ConfigurationFault, keysOf, readConfig, rootsOf, type Config, type Env } from './base/config'
import { Fault } from './base/errors'
import { createLog, writeLine, type Log } from './base/log'
import { joinMerchants } from './base/merchants'
import { payerTags } from './base/payerTag'
import { secretsOf, type People } from './base/people'
import { secretsIn } from './base/secretVariables'
import { systemRandom, type Random } from './base/random'
import { nowS, systemClock, type Clock } from './base/time'
import { createCloudPay } from './cloudpay/client'
import type { Ask } from './net/ask'
import { createPost, type Post } from './net/post'
import type { Send } from './net/send'
import type { OnMessage } from './outbox/deliver'
import { knownMerchants, type Payments } from './payments/context'
import { findGeneration, listMerchants } from './store/merchants'
import { openStore, type Store } from './store/open'
import { secretsReader } from './tencent/references'

/** Everything a function works with. Made once per instance and kept. */
export type App = Omit<Payments, 'newer' | 'renewed'> & {
  /** Another App, when the sub-merchants in the database are not those this one was made of any more. */
  newer: () => Promise<App | undefined>
  /**
   * The same for a stranger, who names a sub-merchant, an app or a key that this App does not know. The database is asked
   * once in half a minute, whatever strangers do, and never about what the environment says.
   */
  renewed: (name: string) => Promise<App | undefined>
  /** What a request shows, as far as it can be told without the database. */
  credential: (request: Approach) => Credential
  /** Who is calling, if they may come in by this door. Throws the Faults of authorizing, and `caller_not_allowed`. */
  enter: (door: Door, request: Approach) => Promise<Caller>
  people: People
  log: Log
  webhook: Config['webhook']
  /** How notifications are acknowledged. */
  notifyReply: Config['cloudPay']['notifyReply']
  onMessage: OnMessage | undefined
  /** For messages to the merchant, and only when a test brings one. */
  send: Send | undefined
  /** For logins alone, and only when a test brings one. */
  ask: Ask | undefined
}

/** What a test, a simulation or a bundle of your own may bring instead. */
export type Overrides = {
  authorize?: Authorize
  clock?: Clock
  random?: Random
  post?: Post
  store?: Store
  write?: (line: string) => void
  /**
   * A hook of yours, called by the timer for every message to the merchant, beside the webhook or in its place. That the
   * timer is silent `status` and `notify` tell: give it to them as well.
   */
  onMessage?: OnMessage
  send?: Send
  ask?: Ask
  /** The first event will ask Cloud Pay: get ready for that while the database connects. */
  asksAtOnce?: boolean
  /** Strangers may call: nothing is connected to before one of them has shown something good. */
  connectsLate?: boolean
}

/**
 * What a function calls at every event. The App is made at the first one and kept; it is made anew when a secret it was
 * made with has changed, or a sub-merchant in the database. Without secrets by reference there is nothing to look up,
 * and without DATA_KEYS no such sub-merchant to ask the database about.
 */
export function appOpener(env: Env, overrides: Overrides = {}): Opener {
  const write = overrides.write ?? writeLine
  let known = env
  let written = createLog(write, secretsIn(env))
  const log: Log = (line) => written(line)
  const read = secretsReader(env, { log, ...overrides })
  let current: { env: Env; config: Config; store: Store; apps: Apps } | undefined

  const make = (known: Env) => {
    const config = readConfig(known, overrides.authorize !== undefined)
    const before = current
    const sameDatabase =
      before?.config.database.url.reveal() === config.database.url.reveal() &&
      before.config.database.ca === config.database.ca
    const store = before && sameDatabase ? before.store : open(config, overrides)
    current = { env: known, config, store, apps: appsOf(config, overrides, store) }
    // Whoever is still at work on the old connection reads that it is gone, and reads again.
    if (before && !sameDatabase) void before.store.close().catch(() => undefined)
  }

  const opener = async () => {
    const latest = await read()
    // A driver may quote what Secrets Manager has just told.
    if (known !== latest) written = createLog(write, secretsIn(latest))
    known = latest
    if (current?.env !== known) {
      try {
        make(known)
      } catch (error) {
        if (!current || !(error instanceof ConfigurationFault)) throw error
        // A new secret that cannot be right: go on with the old one, and say so once.
        log({ event: 'secrets.refused', count: 'secrets.refused', level: 'error', faults: error.faults })
        current = { ...current, env: known }
      }
    }
    const { apps } = current!
    return overrides.connectsLate ? apps.unasked() : apps.now()
  }
  return Object.assign(opener, { log })
}

/** `log`: for what there is to say before there is an App, with the secrets known by then struck out. */
export type Opener = (() => Promise<App>) & { log: Log }

/** The App as it is now. Begins to connect to the database; what comes of it the first query hears. */
export async function createApp(config: Config, overrides: Overrides = {}): Promise<App> {
  return appsOf(config, overrides, open(config, overrides)).now()
}

function open(config: Config, overrides: Overrides): Store {
  if (overrides.store) return overrides.store
  const store = openStore(config.database, overrides.clock ?? systemClock)
  if (!overrides.connectsLate) store.connection.warm()
  return store
}

type Apps = {
  /** Asks the database whether it has the sub-merchants the last App was made of; whatever has changed holds at once. */
  now(): Promise<App>
  /** Without asking: a stranger gets as far as this. */
  unasked(): App
}

/** What is new is known everywhere by then, even where nothing but strangers' requests arrive. */
const STALE_MS = 30_000
/** How soon a database that could not be asked is asked again because of a stranger. */
const RETRY_MS = 5000

/** Apps of one configuration, one after the other, as the sub-merchants in the database change. */
function appsOf(config: Config, overrides: Overrides, store: Store): Apps {
  const clock = overrides.clock ?? systemClock
  const log = createLog(overrides.write ?? writeLine, config.secrets)
  let made: { app: App; generation: string | undefined } | undefined
  let post: Post | undefined

  const assemble = (joined: Config, generation: string | undefined): App => {
    post ??= overrides.post ?? createPost(networkOf(config, overrides))
    const app: App = {
      ...assembleApp(joined, overrides, { store, clock, post }),
      newer: async () => {
        const latest = await now()
        return latest === app ? undefined : latest
      },
      renewed: async (name) => {
        const latest = ofEnvironment.has(name) ? app : await nowAndThen(app)
        return latest === app ? undefined : latest
      },
    }
    made = { app, generation }
    return app
  }

  /** Names that nobody but a deployment changes. */
  const ofEnvironment = new Set([
    ...config.merchants.map(({ out_sub_mch_id }) => out_sub_mch_id),
    ...config.people.apps.map(({ app_id }) => app_id),
    ...config.people.merchantKeys.map(({ name }) => name),
  ])
  const unasked = () => made?.app ?? assemble(config, undefined)

  let askedAtMs = -Infinity
  let failedAtMs = -Infinity
  let failure: unknown
  let making: { generation: string; app: Promise<App> } | undefined

  async function join(generation: string): Promise<App> {
    const joined = joinMerchants(config, await listMerchants(store))
    for (const { out_sub_mch_id, faults } of joined.leftOut)
      log({ event: 'merchant.left_out', count: 'merchant.left_out', level: 'error', out_sub_mch_id, faults })
    return assemble(joined.config, generation)
  }

  async function now(): Promise<App> {
    if (config.dataKeys.length === 0) return unasked()
    // Before the rows: those that are newer than their generation are only read once more.
    const generation = await findGeneration(store)
    askedAtMs = clock.nowMs()
    if (made?.generation === generation) return made.app
    // One that is being made of an older generation may not have seen what has changed since.
    if (making?.generation !== generation) {
      const one = { generation, app: join(generation) }
      making = one
      const done = () => void (making === one && (making = undefined))
      one.app.then(done, done)
    }
    return making.app
  }

  async function nowAndThen(app: App): Promise<App> {
    const isRead = made?.generation !== undefined
    const nowMs = clock.nowMs()
    if (isRead && nowMs - askedAtMs < STALE_MS) return made!.app
    try {
      if (nowMs - failedAtMs < RETRY_MS) throw failure
      return await now()
    } catch (error) {
      if (error !== failure) {
        failedAtMs = nowMs
        failure = error
      }
      // What has been read once goes on holding. Before that nobody can say that there is no such name.
      if (isRead && error instanceof Fault) return app
      throw error
    }
  }

  return { now, unasked }
}

const networkOf = ({ cloudPay }: Config, overrides: Overrides) => ({
  ca: rootsOf(cloudPay.ca, cloudPay.caFile, 'CLOUD_PAY_CA_FILE'),
  prepareFor: overrides.asksAtOnce ? cloudPay.baseUrl : undefined,
})

/** The only place where the parts meet. */
function assembleApp(
  config: Config,
  overrides: Overrides,
  { store, clock, post }: { store: Store; clock: Clock; post: Post },
): Omit<App, 'newer' | 'renewed'> {
  const { merchants, cloudPay } = config
  const log = createLog(overrides.write ?? writeLine, [
    ...config.secrets,
    // Of the sub-merchants in the database.
    ...merchants.flatMap(keysOf),
    ...secretsOf(config.people),
  ])
  const authorize = overrides.authorize ?? doorKeeper(config, { store, clock, log })
  return {
    merchants: knownMerchants(merchants),
    store,
    cloudPay: createCloudPay(post, cloudPay.baseUrl),
    clock,
    random: overrides.random ?? systemRandom,
    log,
    // Apart from the App's own chance: what the log is written with decides nothing.
    payerTag: payerTags(config.dataKeys[0]?.secret, systemRandom),
    enter: async (door, request) => {
      const caller = await named(authorize)(request)
      admit(door, caller)
      return caller
    },
    credential: (request) =>
      config.callers === 'closed' ? credentialOf(config.people, request, nowS(clock)) : 'good',
    people: config.people,
    webhook: config.webhook,
    notifyReply: cloudPay.notifyReply,
    onMessage: overrides.onMessage,
    send: overrides.send,
    ask: overrides.ask,
    settings: {
      orderLifeS: config.orderLifeS,
      spbillCreateIp: cloudPay.spbillCreateIp,
      cloudPayTimeoutMs: cloudPay.timeoutMs,
      callerNotifyUrl: cloudPay.callerNotifyUrl,
      closeNotBeforeS: config.closeNotBeforeS,
      latePayment: config.latePayment,
      refundCeilings: config.refundCeilings,
      perMinute: cloudPay.perMinute,
      otherTills: config.otherTills,
      retentionDays: config.retentionDays,
      prices: {
        free: config.callers === 'open' && !overrides.authorize,
        ways: config.people.priceWays,
        quoteKeys: config.people.quoteKeys,
        deployment: config.people.deployment,
      },
      limits: config.people.limits,
      dataKeys: config.dataKeys,
      shipping: config.people.apps.flatMap(({ out_sub_mch_id, app_id, shipping }) =>
        shipping ? [{ out_sub_mch_id, app_id, ...shipping }] : [],
      ),
    },
  }
}

function doorKeeper(config: Config, around: { store: Store; clock: Clock; log: Log }): Authorize {
  switch (config.callers) {
    case 'open':
      return openAuthorize
    case 'closed':
      return closedAuthorize({ ...around, people: config.people })
    case 'own':
      return nobody
  }
}

/** `CALLERS=own`, and nothing of one's own brought: doors that ask who calls stay shut, the others need not. */
const nobody: Authorize = async () => {
  throw new ConfigurationFault(['CALLERS is own, and this bundle brings no authorize: give it to appOpener'])
}

/** A caller's id is part of a unique key, and MySQL takes `x` and `x ` for the same. */
const named =
  (authorize: Authorize): Authorize =>
  async (request) => {
    const caller = await authorize(request)
    if (!/^[!-~]{1,64}$/.test(caller.id))
      throw new Error('authorize must name callers in 1 to 64 visible ASCII characters')
    return caller
  }
