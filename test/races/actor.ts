import { run as runTimer } from '../../functions/timer'
import { playCuts, type CutOrders } from './cuts'
import { joinPrograms, PROGRAM_COMMANDS, type ProgramOrders } from './programActor'
import { mistakes, openRole, type Answer, type AppOrders, type Role } from './role'
import { newTally } from './tally'

/**
 * One of the processes that race: Apps with connections of their own, around the code that is deployed. It does what
 * the stage tells it.
 */
const tally = newTally()
let requests = 0
let roles: Role[] = []

const COMMANDS: Record<string, (given: never) => Promise<unknown>> = {
  ready: async () => undefined,

  /** Connects, so that nobody is late because of a handshake. */
  async open({ apps, ...orders }: AppOrders & { apps: number }) {
    roles = await Promise.all(Array.from({ length: apps }, () => openRole(orders, tally)))
    for (const role of roles) await role.call({ httpMethod: 'GET', path: '/orders/sb01nobody' })
  },

  async call({ event }: { event: Record<string, unknown> }) {
    return roles[0]!.call(event)
  },

  /** Brings these notifications, as many at a time as there are Apps. Returns the answers that were no yes. */
  async notify({ bodies }: { bodies: string[] }) {
    let next = 0
    const bad: Answer[] = []
    const lane = async ({ call }: Role) => {
      for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) {
        const answer = await call({ httpMethod: 'POST', path: '/notify', body }, 3000)
        const { response_content } = answer.body as { response_content?: { status?: number } }
        if (answer.statusCode !== 200 || response_content?.status !== 0) bad.push(answer)
      }
    }
    await Promise.all(roles.map(lane))
    return { answered: bodies.length, bad }
  },

  /** One run of the timer function. */
  async timer({ remainingMs }: { remainingMs: number }) {
    const startMs = Date.now()
    const deadline = { remainingMs: () => remainingMs - (Date.now() - startMs) }
    const summary = await runTimer(roles[0]!.app, { requestId: `${process.pid}-${++requests}`, deadline })
    return { startMs, endMs: Date.now(), summary }
  },

  cuts: (orders: CutOrders) => playCuts(orders, tally),
  programs: (orders: ProgramOrders) => joinPrograms(orders, tally),
  ...PROGRAM_COMMANDS,
  tally: async () => ({ tally, mistakes }),
}

type Asked = { id: number; command: string; given: never }

process.on('disconnect', () => process.exit())
process.on('message', ({ id, command, given }: Asked) => {
  // What is not for a command is for the programs, who listen for themselves.
  const work = id === undefined ? undefined : COMMANDS[command]
  if (!work) return
  work(given).then(
    (value) => process.send!({ id, value }),
    (error: Error) => process.send!({ id, error: error.stack ?? String(error) }),
  )
})
