import { parseArgs } from 'node:util'
import { createApp, type App } from '../shared/app'
import { readConfig } from '../shared/base/config'
import { Fault } from '../shared/base/errors'
import { deadlineAfter, systemClock } from '../shared/base/time'
import { NOTE_MAX } from '../shared/order/order'
import { giveUp, liftFlag, payOut, type Person } from '../shared/payments/byPerson'
import { chooseDatabase, DATABASE_OPTIONS, DATABASE_USAGE, toolEnv } from './database'
import { runCommand } from './run'

const USAGE = `npm run by-hand -- paid-out OUT_REFUND_NO --by NAME --note "what was done"
  The payer has the money by hand: it counts as refunded. For a refund that needs a person, or that failed.
npm run by-hand -- given-up OUT_REFUND_NO --by NAME --note "why"
  No money goes back by it, and its amount is free again. Cloud Pay is asked once before; refused while it is at work.
npm run by-hand -- lift-flag OUT_TRADE_NO --by NAME --note "why"
  Takes the flag off an order: the next signed answer decides.
  Reads the same variables as the functions, except CALLERS. Nobody can say that an order was paid.
  ${DATABASE_USAGE}`

const LIMIT_MS = 60_000

type Act = (app: App, number: string, person: Person) => Promise<string>

const ACTS: Readonly<Record<string, Act>> = {
  'paid-out': async (app, number, person) => {
    const { refund, order } = await payOut(app, refundKey(app, number), person)
    return `${number} is ${refund.state}; order ${order.out_trade_no} is ${order.state}`
  },
  'given-up': async (app, number, person) => {
    const deadline = deadlineAfter(systemClock, LIMIT_MS)
    const { refund, order } = await giveUp(app, refundKey(app, number), person, deadline)
    return `${number} is ${refund.state}; order ${order.out_trade_no} is ${order.state}`
  },
  'lift-flag': async (app, number, person) => {
    const { out_sub_mch_id } = ownerOf(app, number)
    const { state } = await liftFlag(app, { out_sub_mch_id, out_trade_no: number }, person)
    return `${number} is ${state}, and without a flag`
  },
}

const ownerOf = ({ merchants }: App, number: string) => {
  const merchant = merchants.ofNumber(number)
  if (!merchant) throw new Error(`no sub-merchant's order prefix begins ${number}`)
  return merchant
}
const refundKey = (app: App, out_refund_no: string) => ({
  out_sub_mch_id: ownerOf(app, out_refund_no).out_sub_mch_id,
  out_refund_no,
})

/** 0: done; 1: refused, and nothing was changed; 2: called wrongly. */
async function byHand(args: string[], print: (line: string) => void): Promise<0 | 1 | 2> {
  const options = { by: { type: 'string' }, note: { type: 'string' }, ...DATABASE_OPTIONS } as const
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const [name = '', number = '', ...rest] = positionals
  const act = Object.hasOwn(ACTS, name) ? ACTS[name] : undefined
  const note = values.note?.trim() ?? ''
  const by = values.by ?? ''
  if (!act || number === '' || rest.length > 0) return 2
  if (note === '' || note.length > NOTE_MAX) {
    print(`--note must say what was done, in at most ${NOTE_MAX} characters.`)
    return 2
  }
  if (!/^[0-9A-Za-z_.-]{1,32}$/.test(by)) {
    print('--by must say who did it: 1 to 32 letters, digits, dots, dashes.')
    return 2
  }
  const authorize = () => Promise.reject(new Fault('caller_unknown'))
  const write = (line: string) => void process.stderr.write(line)
  const env = toolEnv(process.env, values)
  chooseDatabase(env)
  const app = await createApp(readConfig(env, true), { authorize, write })
  try {
    print(await act(app, number, { id: `cli:${by}`, note }))
    return 0
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const state = error.extras.extra?.['state']
    print(`nothing was changed: ${error.code}${state === undefined ? '' : ` (it is ${String(state)})`}`)
    return 1
  } finally {
    await app.store.close()
  }
}

/** `npm run by-hand`: what only a person can end. */
runCommand(USAGE, byHand)
