import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { PAYER_FIELDS } from '../shared/base/caller'
import { systemRandom } from '../shared/base/random'
import { systemClock } from '../shared/base/time'
import { openStore } from '../shared/store/open'
import { chooseDatabase, DATABASE_OPTIONS, DATABASE_USAGE, toolEnv } from './database'
import { erasePayer } from './privacy/erase'
import { exportPayer } from './privacy/export'
import { findWhom } from './privacy/payer'
import { runCommand } from './run'

const USAGE = `npm run --silent privacy -- --export PAYER   everything stored about a payer, as JSON
npm run --silent privacy -- --erase PAYER    takes the payer out of every order that is over, and says which are not
  PAYER  the openid or user_id; "-" reads it from stdin, because arguments can be seen by every user of this machine
  --field open_id|sub_open_id|user_id, --merchant OUT_SUB_MCH_ID   only there
  ${DATABASE_USAGE} What you keep in other systems, and the platform's log, are yours to look after.`

const PAYER = /^[!-~]{1,128}$/

/** 0: done; 1: some orders are not over yet and were left; 2: called wrongly. */
async function privacy(args: string[], print: (line: string) => void): Promise<0 | 1 | 2> {
  const string = { type: 'string' } as const
  const options = { export: string, erase: string, field: string, merchant: string, ...DATABASE_OPTIONS }
  const { values } = parseArgs({ args, options })
  const given = values.export ?? values.erase
  const field = PAYER_FIELDS.find((one) => one === values.field)
  if (given === undefined || (values.export === undefined) === (values.erase === undefined)) return 2
  if (values.field !== undefined && field === undefined) return 2
  const payer = given === '-' ? (await text(process.stdin)).trim() : given
  if (!PAYER.test(payer)) return 2
  const env = toolEnv(process.env, values)
  const store = openStore(chooseDatabase(env), systemClock)
  try {
    const whom = await findWhom(store, env, payer, { field, merchant: values.merchant })
    if (values.export !== undefined) {
      print(JSON.stringify(await exportPayer(store, whom), null, 2))
      return 0
    }
    const { erased, left } = await erasePayer(store, systemClock, systemRandom, whom)
    print(`${erased} erased, sessions ended.`)
    for (const { out_trade_no, state, because, come_back_after } of left) {
      print(`NOT erased: ${out_trade_no} (${state}), because ${because.join('; ')}`)
      print(`  run this again after ${come_back_after}`)
    }
    return left.length === 0 ? 0 : 1
  } finally {
    await store.close()
  }
}

/** `npm run privacy`: what a person may ask of whoever keeps their data. */
runCommand(USAGE, privacy)
