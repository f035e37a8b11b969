import { readFileSync } from 'node:fs'
import { text as readAll } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { readConfig } from '../shared/base/config'
import { systemRandom } from '../shared/base/random'
import { systemClock } from '../shared/base/time'
import { listMerchants } from '../shared/store/merchants'
import { openStore } from '../shared/store/open'
import {
  addMerchant,
  finishRotation,
  Refused,
  requireDataKeys,
  rewrapAll,
  rotateKey,
  setDisabled,
  setLists,
  type Desk,
} from './merchants/change'
import { describeMerchants } from './merchants/describe'
import { chooseDatabase, DATABASE_OPTIONS, DATABASE_USAGE, toolEnv } from './database'
import { runCommand } from './run'

const USAGE = `npm run merchants -- list
npm run merchants -- add FILE|-                            JSON: out_mch_id, out_sub_mch_id, out_shop_id, order_prefix, authen_key,
                                                           and what it brings: apps, merchant_keys, quote_keys, refund_operator
npm run merchants -- set OUT_SUB_MCH_ID FILE|-             JSON: what of these takes the place of what it has; null takes it away
npm run merchants -- rotate OUT_SUB_MCH_ID FILE|-          the new authen key; the one before is still accepted on what comes,
npm run merchants -- rotate OUT_SUB_MCH_ID --finish        until this
npm run merchants -- rotate OUT_SUB_MCH_ID FILE|- --compromised   the new authen key; the one before ends at once
npm run merchants -- disable|enable OUT_SUB_MCH_ID         no new orders and logins; what is open goes on to its end
npm run merchants -- rewrap                                seals all of them anew with the first of DATA_KEYS
  - reads standard input; no secret is ever an argument. Reads the same variables as the functions, except CALLERS.
  Every change holds from the next event on, in every instance.
  ${DATABASE_USAGE}`

/** 0: done; 1: refused, and nothing was changed; 2: called wrongly. */
async function merchants(args: string[], print: (line: string) => void): Promise<0 | 1 | 2> {
  const options = {
    finish: { type: 'boolean' },
    compromised: { type: 'boolean' },
    ...DATABASE_OPTIONS,
  } as const
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const command = commandOf(positionals, values)
  if (!command) return 2
  const env = toolEnv(process.env, values)
  const config = readConfig(env, true)
  requireDataKeys(config)
  const store = openStore(chooseDatabase(env), systemClock)
  try {
    for (const line of await command({ config, store, clock: systemClock, random: systemRandom })) print(line)
    return 0
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    print(`nothing was changed: ${error.message}`)
    return 1
  } finally {
    await store.close()
  }
}

type Command = (desk: Desk) => Promise<Iterable<string>>

function commandOf(
  [name, ...rest]: string[],
  { finish = false, compromised = false }: { finish?: boolean; compromised?: boolean },
): Command | undefined {
  const [first = '', second = ''] = rest
  const flags = finish || compromised
  const fits = (count: number) => rest.length === count && (name === 'rotate' || !flags)
  switch (name) {
    case 'list':
      if (!fits(0)) return undefined
      return async ({ config, store }) => describeMerchants(config, await listMerchants(store))
    case 'add':
      if (!fits(1)) return undefined
      return async (desk) => [`added: ${await addMerchant(desk, await read(first))}`]
    case 'set':
      if (!fits(2)) return undefined
      return done(`set: ${first}`, async (desk) => setLists(desk, first, await read(second)))
    case 'rotate':
      if (finish && compromised) return undefined
      if (finish)
        return fits(1) ? done(`finished: ${first}`, (desk) => finishRotation(desk, first)) : undefined
      if (!fits(2)) return undefined
      return done(`rotated: ${first}`, async (desk) => {
        // A line break at the end is the editor's; anything else would be part of the key.
        const key = (await read(second)).replace(/\r?\n$/, '')
        await rotateKey(desk, first, key, !compromised)
      })
    case 'disable':
    case 'enable':
      if (!fits(1)) return undefined
      return done(`${name}d: ${first}`, (desk) => setDisabled(desk, first, name === 'disable'))
    case 'rewrap':
      if (!fits(0)) return undefined
      return async (desk) => [`sealed anew: ${await rewrapAll(desk)}`]
    default:
      return undefined
  }
}

const done =
  (said: string, work: (desk: Desk) => Promise<void>): Command =>
  async (desk) => {
    await work(desk)
    return [said]
  }

const read = async (file: string): Promise<string> =>
  file === '-' ? readAll(process.stdin) : readFileSync(file, 'utf8')

/** `npm run merchants`: the sub-merchants in the database. */
runCommand(USAGE, merchants)
