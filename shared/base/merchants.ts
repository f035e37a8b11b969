import { isLoopback, isOfSandbox, readMerchant, type Config, type Merchant } from './config'
import { readEntries, type FaultSink, type NamedKey } from './entries'
import {
  readApps,
  readMerchantKeys,
  readQuoteKeys,
  refusePublished,
  refuseRepeats,
  type ListNames,
  type Lists,
} from './people'
import type { Random } from './random'
import { seal, unseal } from './sealing'

/**
 * A sub-merchant as it is kept in the database: its public facts in the open, because the database keeps prefixes apart,
 * and everything secret sealed. What is sealed opens for these very facts alone: keys in another's row are no keys.
 */
export type MerchantRow = {
  out_sub_mch_id: string
  out_mch_id: string
  out_shop_id: string
  order_prefix: string
  /** Epoch seconds. */
  disabled_at: number | null
  version: number
  /** Epoch seconds. */
  changed_at: number
  /** `seal` of the JSON text of `MerchantSecrets`. */
  sealed: string
}

export type MerchantFacts = Pick<
  MerchantRow,
  'out_sub_mch_id' | 'out_mch_id' | 'out_shop_id' | 'order_prefix'
>

/** The lists have the shapes of CLOUD_PAY_APPS, MERCHANT_KEYS and QUOTE_KEYS; whose they are goes without saying. */
export type MerchantSecrets = {
  authen_key?: unknown
  authen_key_also_accepted?: unknown
  refund_operator?: unknown
  apps?: unknown
  merchant_keys?: unknown
  quote_keys?: unknown
}

const LISTS: ListNames = { apps: 'apps', merchantKeys: 'merchant_keys', quoteKeys: 'quote_keys' }

const aboutOf = ({ out_sub_mch_id, out_mch_id, out_shop_id, order_prefix }: MerchantFacts): string =>
  `merchants:${[out_sub_mch_id, out_mch_id, out_shop_id, order_prefix].join(':')}`

export const sealMerchant = (
  keys: readonly NamedKey[],
  facts: MerchantFacts,
  secrets: MerchantSecrets,
  random: Random,
): string => seal(keys, JSON.stringify(secrets), aboutOf(facts), random)

/** Throws when no data key opens it, or when a fact of the row is another than it was sealed for. */
export function unsealMerchant(
  keys: readonly NamedKey[],
  row: MerchantFacts & { sealed: string },
): MerchantSecrets {
  const secrets: unknown = JSON.parse(unseal(keys, row.sealed, aboutOf(row)).reveal())
  if (typeof secrets !== 'object' || secrets === null) throw new Error('what was sealed is no object')
  return secrets
}

/** A row that is left out, and what is wrong with it: by member, never by value. */
export type LeftOut = { out_sub_mch_id: string; faults: string[] }

/**
 * The configuration with the sub-merchants of the database in it. A row that does not open or does not fit beside those
 * before it is left out alone: whoever comes after it is served all the same.
 */
export function joinMerchants(
  config: Config,
  rows: readonly MerchantRow[],
): { config: Config; leftOut: LeftOut[] } {
  const leftOut: LeftOut[] = []
  let joined = config
  for (const row of rows) {
    const faults: string[] = []
    const next = joinOne(joined, row, (name, why) => faults.push(`${name} ${why}`))
    if (next && faults.length === 0) joined = next
    else leftOut.push({ out_sub_mch_id: row.out_sub_mch_id, faults })
  }
  return { config: joined, leftOut }
}

function joinOne(config: Config, row: MerchantRow, fault: FaultSink): Config | undefined {
  let secrets: MerchantSecrets
  try {
    secrets = unsealMerchant(config.dataKeys, row)
  } catch {
    fault('sealed', 'cannot be opened with DATA_KEYS')
    return undefined
  }
  const { people } = config
  const merchant = readRow(row, secrets, config.merchants, fault)
  const disabled = row.disabled_at !== null
  const own = readLists(secrets, row.out_sub_mch_id, fault)
  const lists: Lists = {
    apps: [...people.apps, ...own.apps.map((app) => ({ ...app, disabled }))],
    merchantKeys: [...people.merchantKeys, ...own.merchantKeys],
    quoteKeys: [...people.quoteKeys, ...own.quoteKeys],
  }
  refuseRepeats(lists, LISTS, fault)
  if (own.apps.length > 0 && people.sessionKeys.length === 0)
    fault('apps', 'need SESSION_KEYS: their payers could not log in')
  if (!isLoopback(new URL(config.cloudPay.baseUrl).hostname)) {
    refusePublished(own, LISTS, fault)
    if (isOfSandbox(merchant)) fault('authen_key', 'is the key the sandbox publishes')
  }
  return {
    ...config,
    merchants: [...config.merchants, { ...merchant, disabled }],
    people: { ...people, ...lists },
  }
}

function readRow(
  { out_sub_mch_id, out_mch_id, out_shop_id, order_prefix }: MerchantFacts,
  { authen_key, authen_key_also_accepted, refund_operator }: MerchantSecrets,
  known: readonly Merchant[],
  fault: FaultSink,
): Merchant {
  const facts = { out_sub_mch_id, out_mch_id, out_shop_id, order_prefix }
  const text = JSON.stringify([{ ...facts, authen_key, authen_key_also_accepted, refund_operator }])
  // It is read as a list of one, of which nobody who wrote it knows.
  const [entry] = readEntries(text, 'it', (name, why) => fault(name, why.replace(/,? in entry 1$/, '')))
  return readMerchant(entry!, known)
}

function readLists(secrets: MerchantSecrets, out_sub_mch_id: string, fault: FaultSink): Lists {
  const entries = (name: 'apps' | 'merchant_keys' | 'quote_keys') =>
    secrets[name] === undefined ? [] : readEntries(JSON.stringify(secrets[name]), name, fault)
  type Entries = ReturnType<typeof entries>
  const own = (entry: Entries[number]): string => {
    if (![undefined, out_sub_mch_id].includes(entry.optional('out_sub_mch_id') as string | undefined))
      entry.refuse('out_sub_mch_id')
    return out_sub_mch_id
  }
  return {
    apps: readApps(entries('apps'), own),
    merchantKeys: readMerchantKeys(entries('merchant_keys'), own),
    quoteKeys: readQuoteKeys(entries('quote_keys'), own),
  }
}
