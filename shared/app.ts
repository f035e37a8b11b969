import { readFileSync } from 'node:fs'
import type { Approach, Authorize } from './access/authorize'
import { closedAuthorize } from './access/closed'
import { admit, type Door } from './access/doors'
import { openAuthorize } from './access/open'
import type { Caller } from './base/caller'
import { ConfigurationFault, databaseSecrets, keysOf, readConfig, type Config, type Env } from './base/config'
import { createLog, writeLine, type Log } from './base/log'
import { secretsOf, type People } from './base/people'
import { systemRandom, type Random } from './base/random'
import { systemClock, type Clock } from './base/time'
import { createCloudPay } from './cloudpay/client'
import type { Ask } from './net/ask'
import { createPost, type Post } from './net/post'
import type { Send } from './net/send'
import type { OnMessage } from './outbox/deliver'
import { knownMerchants, type Payments } from './payments/context'
import { openStore, type Store } from './store/open'
import { secretsReader } from './tencent/references'

/** Everything a function works with. Made once per instance and kept. */
export type App = Payments & {
  /** Who is calling, if they may come in by this door. Throws the Faults of authorizing, and `caller_not_allowed`. */
  enter: (door: Door, request: Approach) => Promise<Caller>
  people: People
  log: Log
  webhook: Config['webhook']
  onMessage: OnMessage | undefined
  /** For the timer alone, and only when a test brings one. */
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
  /** A hook of yours, called by the timer for every message to the merchant, beside the webhook or in its place. */
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
 * made with has changed. Without secrets by reference there is nothing to look up, and nothing is loaded for it.
 */
export function appOpener(env: Env, overrides: Overrides = {}): () => Promise<App> {
  const log = createLog(overrides.write ?? writeLine, [])
  const read = secretsReader(env, { log, ...overrides })
  let current: { env: Env; config: Config; app: Promise<App> } | undefined

  const make = (known: Env) => {
    const config = readConfig(known, overrides.authorize !== undefined)
    const before = current
    const sameDatabase = before?.config.database.url.reveal() === config.database.url.reveal()
    const app =
      before && sameDatabase ? keepStore(before.app, config, overrides) : createApp(config, overrides)
    current = { env: known, config, app }
    // Whoever is still at work on the old connection reads that it is gone, and reads again.
    if (before && !sameDatabase) void before.app.then(({ store }) => store.close()).catch(() => undefined)
  }

  return async () => {
    const known = await read()
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
    return current!.app
  }
}

const keepStore = async (before: Promise<App>, config: Config, overrides: Overrides): Promise<App> =>
  createApp(config, { ...overrides, store: (await before).store })

/** The only place where the parts meet. Begins to connect to the database; what comes of it the first query hears. */
export async function createApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const { merchants, cloudPay } = config
  const clock = overrides.clock ?? systemClock
  const log = createLog(overrides.write ?? writeLine, [
    ...merchants.flatMap(keysOf),
    ...(config.webhook ? [config.webhook.secret] : []),
    ...secretsOf(config.people),
    ...config.dataKeys.map(({ secret }) => secret),
    ...databaseSecrets(config.database),
  ])
  const store = overrides.store ?? openStore(config.database, clock)
  if (!overrides.store && !overrides.connectsLate) store.connection.warm()
  const ca = readCa(cloudPay.caFile)
  const post =
    overrides.post ?? createPost({ ca, prepareFor: overrides.asksAtOnce ? cloudPay.baseUrl : undefined })
  const authorize = overrides.authorize ?? doorKeeper(config, { store, clock, log })
  return {
    merchants: knownMerchants(merchants),
    store,
    cloudPay: createCloudPay(post, cloudPay.baseUrl),
    clock,
    random: overrides.random ?? systemRandom,
    log,
    enter: async (door, request) => {
      const caller = await named(authorize)(request)
      admit(door, caller)
      return caller
    },
    people: config.people,
    webhook: config.webhook,
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
      prices: {
        free: config.callers === 'open' && !overrides.authorize,
        ways: config.people.priceWays,
        quoteKeys: config.people.quoteKeys,
        deployment: config.people.deployment,
      },
      limits: config.people.limits,
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

function readCa(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new ConfigurationFault(['CLOUD_PAY_CA_FILE cannot be read'])
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
