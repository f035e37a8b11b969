import { run as runTimer } from '../../functions/timer'
import { sandboxEnv } from '../../local/sandbox/env'
import { readConfig } from '../../shared/base/config'
import { NetFault, type Post, type PostAnswer } from '../../shared/net/post'
import { openStore, type Store } from '../../shared/store/open'
import { Dice } from '../simulation/dice'
import { startTcpProxy, type TcpProxy } from '../support/tcpProxy'
import { noteMistakes, openRole, type Role } from './role'
import type { Tally } from './tally'

/** An actor of the race of programs: instances, whose Cloud Pay is at the other end of a line to the stage. */
export type ProgramOrders = {
  url: string
  apps: number
  env: Record<string, string>
  /** How far the watches are ahead of the machine's. */
  aheadMs: number
  /** How often the way to the database breaks. */
  databaseLuck: number
  seed: number
}

export type ToPost = { post: number; suffix: string; body: string }
export type FromActor = ToPost
export type PostAnswered = {
  posted: number
  fault?: NetFault['code']
  status?: number
  body?: string
}

type Instance = { role: Role; store: Store; proxy: TcpProxy }

let instances: Instance[] = []
let aheadMs = 0
let luck = 0
let posts = 0
const posting = new Map<number, (answer: PostAnswered) => void>()

process.on('message', (message: Partial<PostAnswered>) => {
  if (message.posted === undefined) return
  posting.get(message.posted)?.(message as PostAnswered)
  posting.delete(message.posted)
})

const clock = {
  nowMs: () => Date.now() + aheadMs,
  /** What is slept is not waited for: time passes only while nobody is at work. */
  sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.min(ms, 5))),
}

async function exchange(suffix: string, body: Buffer): Promise<PostAnswer> {
  const post = ++posts
  const answer = await new Promise<PostAnswered>((resolve) => {
    posting.set(post, resolve)
    process.send!({ post, suffix, body: body.toString('base64') } satisfies ToPost)
  })
  if (answer.fault !== undefined) throw new NetFault(answer.fault)
  return { status: answer.status!, body: Buffer.from(answer.body!, 'base64') }
}

/** As net/post.ts: a kept socket that was dead is tried once more, and counted once more. */
const post: Post = async (url, body, { beforeSend }) => {
  const suffix = url.slice(url.lastIndexOf('/') + 1)
  await beforeSend?.()
  try {
    return await exchange(suffix, body)
  } catch (error) {
    if (!(error instanceof NetFault && error.code === 'connection')) throw error
    await beforeSend?.()
    return exchange(suffix, body)
  }
}

export async function joinPrograms(orders: ProgramOrders, tally: Tally): Promise<void> {
  const { url, apps, env, seed, databaseLuck } = orders
  aheadMs = orders.aheadMs
  luck = databaseLuck
  const open = async (at: number): Promise<Instance> => {
    const proxy = await startTcpProxy(new URL(url))
    const through = new URL(url)
    through.port = String(proxy.port)
    const baseUrl = 'http://127.0.0.1:1/cpay/'
    const config = readConfig({ ...sandboxEnv(baseUrl, through.href, '127.0.0.1'), ...env })
    const store = openStore(config.database, clock)
    breakNowAndThen(store, proxy, new Dice(seed * 10 + at))
    const role = await openRole({ url: through.href, baseUrl, env }, tally, {
      store,
      clock,
      post,
      write: noteMistakes,
    })
    return { role, store, proxy }
  }
  instances = await Promise.all(Array.from({ length: apps + 1 }, (_, at) => open(at)))
}

/** The way to the database breaks: while nobody speaks, or around COMMIT. */
function breakNowAndThen(store: Store, proxy: TcpProxy, dice: Dice): void {
  const { connection } = store
  const run = connection.run.bind(connection)
  const inTransaction = connection.inTransaction.bind(connection)
  connection.run = (query) => {
    if (dice.chance(luck / 2)) proxy.cut()
    return run(query)
  }
  connection.inTransaction = (work) => {
    if (dice.chance(luck)) void proxy.when(/COMMIT/, dice.chance(0.5) ? 'cut before' : 'cut after')
    return inTransaction(work)
  }
}

/** What else an actor does when it is told. The timer has an instance of its own. */
export const PROGRAM_COMMANDS = {
  visit: ({ app, event }: { app: number; event: Record<string, unknown> }) =>
    instances[app]!.role.call(event, 10_000),

  async 'run timer'({ remainingMs }: { remainingMs: number }): Promise<string | undefined> {
    const startMs = Date.now()
    const deadline = { remainingMs: () => remainingMs - (Date.now() - startMs) }
    try {
      await runTimer(instances.at(-1)!.role.app, { requestId: 'timer', deadline })
      return undefined
    } catch (error) {
      return String((error as Error).stack)
    }
  },

  async ahead(given: { aheadMs: number }): Promise<void> {
    aheadMs = given.aheadMs
  },

  async calm(): Promise<void> {
    luck = 0
  },

  async leave(): Promise<void> {
    for (const { store, proxy } of instances.splice(0)) {
      await store.close()
      await proxy.close()
    }
  },
}
