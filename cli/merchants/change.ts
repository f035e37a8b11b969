import { ConfigurationFault, type Config } from '../../shared/base/config'
import {
  joinMerchants,
  sealMerchant,
  unsealMerchant,
  type MerchantFacts,
  type MerchantRow,
  type MerchantSecrets,
} from '../../shared/base/merchants'
import type { Random } from '../../shared/base/random'
import { nowS, type Clock } from '../../shared/base/time'
import { changeMerchants, findGeneration, listMerchants } from '../../shared/store/merchants'
import type { Store } from '../../shared/store/open'

/** What is done to the sub-merchants in the database. Each takes hold with the next event of every instance. */
export type Desk = { config: Config; store: Store; clock: Clock; random: Random }

/** Nothing was changed, and why: by name, never by value. */
export class Refused extends Error {}

const ATTEMPTS = 6

const FACTS = ['out_sub_mch_id', 'out_mch_id', 'out_shop_id', 'order_prefix'] as const
const KEYS = ['authen_key', 'authen_key_also_accepted'] as const
/** What `set` replaces. */
const LISTS = ['apps', 'merchant_keys', 'quote_keys', 'refund_operator'] as const

/** A new one; `text` is JSON of its five facts and of the lists it brings. */
export async function addMerchant(desk: Desk, text: string): Promise<string> {
  const given = readObject(text, [...FACTS, ...KEYS, ...LISTS])
  const facts = Object.fromEntries(FACTS.map((name) => [name, given[name]])) as MerchantFacts
  for (const name of FACTS) if (typeof given[name] !== 'string') throw new Refused(`it has no usable ${name}`)
  const secrets = pick(given, [...KEYS, ...LISTS])
  const { out_sub_mch_id } = facts
  await carryOut(desk, (rows) => {
    if (rows.some((row) => row.out_sub_mch_id === out_sub_mch_id))
      throw new Refused(`${out_sub_mch_id} is there already: set changes its lists, rotate its key`)
    const row = { ...facts, disabled_at: null, version: 0, changed_at: 0, sealed: '' }
    return [checked(desk, rows, sealed(desk, row, secrets))]
  })
  return out_sub_mch_id
}

/** The lists that `text` has take the place of those there are. */
export async function setLists(desk: Desk, id: string, text: string): Promise<void> {
  const given = readObject(text, LISTS)
  await carryOut(desk, (rows) => {
    const row = find(desk, rows, id)
    const next = { ...opened(desk, row), ...pick(given, LISTS) }
    return [checked(desk, rows, sealed(desk, row, next))]
  })
}

/** `overlap`: the key there was is accepted on what comes. Without, it ends at once. */
export const rotateKey = (desk: Desk, id: string, authen_key: string, overlap: boolean): Promise<void> =>
  carryOut(desk, (rows) => {
    const row = find(desk, rows, id)
    const { authen_key: old, authen_key_also_accepted: older, ...rest } = opened(desk, row)
    if (authen_key === old) throw new Refused('this is the key it has')
    if (overlap && older !== undefined)
      throw new Refused('a rotation is under way: --finish it first, or end both keys with --compromised')
    const keys = overlap ? { authen_key, authen_key_also_accepted: old } : { authen_key }
    // Beside the environment's alone: whatever is wrong with another must not keep a key alive.
    return [checked(desk, [], sealed(desk, row, { ...keys, ...rest }))]
  })

/** The key before is not accepted any more. */
export const finishRotation = (desk: Desk, id: string): Promise<void> =>
  carryOut(desk, (rows) => {
    const row = find(desk, rows, id)
    const { authen_key_also_accepted: older, ...rest } = opened(desk, row)
    if (older === undefined) throw new Refused('no rotation is under way')
    return [sealed(desk, row, rest)]
  })

/** Needs no data key, for the day when it is the data key that is in doubt. */
export const setDisabled = (desk: Desk, id: string, disabled: boolean): Promise<void> =>
  carryOut(desk, (rows) => {
    const row = find(desk, rows, id)
    if ((row.disabled_at !== null) === disabled) return []
    const at = nowS(desk.clock)
    return [{ ...row, disabled_at: disabled ? at : null, version: row.version + 1, changed_at: at }]
  })

/** All of them sealed anew with the first data key, or none; after that the others are not needed any more. */
export async function rewrapAll(desk: Desk): Promise<number> {
  let count = 0
  await carryOut(desk, (rows) => {
    count = rows.length
    return rows.map((row) => sealed(desk, row, opened(desk, row)))
  })
  return count
}

// ── how ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Decides by all rows, and writes only if they are still the same; otherwise decides again. */
async function carryOut(desk: Desk, decide: (rows: MerchantRow[]) => MerchantRow[]): Promise<void> {
  let tried: MerchantRow[] | undefined
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // In this order: rows that are newer than the generation are only decided about once more.
    const generation = await findGeneration(desk.store)
    const rows = await listMerchants(desk.store)
    // A COMMIT whose answer was lost did take effect.
    if (tried?.every((one) => rows.some((row) => isSame(row, one)))) return
    tried = decide(rows)
    if (tried.length === 0) return
    if ((await changeMerchants(desk.store, generation, tried)) === 'done') return
  }
  throw new Refused('others are changing sub-merchants at the same time: try again')
}

const isSame = (a: MerchantRow, b: MerchantRow): boolean =>
  a.out_sub_mch_id === b.out_sub_mch_id && a.version === b.version && a.sealed === b.sealed

function find({ config }: Desk, rows: readonly MerchantRow[], id: string): MerchantRow {
  const row = rows.find(({ out_sub_mch_id }) => out_sub_mch_id === id)
  if (row) return row
  const configured = config.merchants.some(({ out_sub_mch_id }) => out_sub_mch_id === id)
  throw new Refused(configured ? `${id} is in the environment, not in the database` : `there is no ${id}`)
}

function opened({ config }: Desk, row: MerchantRow): MerchantSecrets {
  try {
    return unsealMerchant(config.dataKeys, row)
  } catch {
    throw new Refused(`${row.out_sub_mch_id} cannot be opened with DATA_KEYS`)
  }
}

const sealed = (
  { config, clock, random }: Desk,
  row: MerchantRow,
  secrets: MerchantSecrets,
): MerchantRow => ({
  ...row,
  version: row.version + 1,
  changed_at: nowS(clock),
  sealed: sealMerchant(config.dataKeys, row, secrets, random),
})

/** As the functions will read it, beside all the others. Throws Refused. */
function checked({ config }: Desk, rows: readonly MerchantRow[], row: MerchantRow): MerchantRow {
  const others = rows.filter(({ out_sub_mch_id }) => out_sub_mch_id !== row.out_sub_mch_id)
  const before = joinMerchants(config, others)
  const unread = before.leftOut.map(({ out_sub_mch_id }) => out_sub_mch_id)
  if (unread.length > 0)
    throw new Refused(`these cannot be read, so nothing can be compared with them: ${unread.join(', ')}`)
  const [leftOut] = joinMerchants(before.config, [row]).leftOut
  if (leftOut) throw new Refused(leftOut.faults.join('; '))
  return row
}

function readObject(text: string, names: readonly string[]): Record<string, unknown> {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    // Told of below: the parser's words would quote the text.
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new Refused('it must be one JSON object')
  const strange = Object.keys(given).filter((name) => !names.includes(name))
  if (strange.length > 0)
    throw new Refused(`${strange.length} of its members are none of ${names.join(', ')}`)
  return given as Record<string, unknown>
}

const pick = (given: Record<string, unknown>, names: readonly string[]): MerchantSecrets =>
  Object.fromEntries(names.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]))

/** Throws a ConfigurationFault: without a data key nothing can be read or written here. */
export function requireDataKeys({ dataKeys }: Config): void {
  if (dataKeys.length === 0) throw new ConfigurationFault(['DATA_KEYS is missing'])
}
