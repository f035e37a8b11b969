import type { Entry } from './entries'
import { characters, isWellFormed } from './validate'

/**
 * How a mini-program's orders reach their payers, in WeChat's numbers: 2 delivered in the same city, 3 virtual, 4 picked
 * up. Not 1, sent by a carrier: see readShipping.
 */
export const LOGISTICS_TYPES = [2, 3, 4] as const
export type LogisticsType = (typeof LOGISTICS_TYPES)[number]

const CARRIER = 1
/** Characters of `item_desc`. */
export const ITEM_DESC_MAX = 120

export type ShippingRule = {
  logistics_type: LogisticsType
  /** `body`: what each order is called; any other text: that, for every order. */
  item_desc: string
}

/** `shipping` of an entry of CLOUD_PAY_APPS: left out, WeChat is told nothing. */
export function readShipping(entry: Entry, isMiniProgram: boolean): ShippingRule | undefined {
  const given = entry.optional('shipping')
  if (given === undefined) return undefined
  if (!isMiniProgram) {
    entry.say('has shipping, which is for mini-programs alone,')
    return undefined
  }
  const { logistics_type, item_desc, ...more } = (
    typeof given === 'object' && given !== null ? given : {}
  ) as Record<string, unknown>
  if (logistics_type === CARRIER) {
    entry.say(
      'has shipping with logistics_type 1, which takes tracking numbers that only your own server knows: leave shipping ' +
        'out, let that server read GET /board/unshipped and upload them itself;',
    )
    return undefined
  }
  const known = LOGISTICS_TYPES.find((type) => type === logistics_type)
  const isText =
    typeof item_desc === 'string' &&
    item_desc !== '' &&
    isWellFormed(item_desc) &&
    characters(item_desc) <= ITEM_DESC_MAX
  if (known === undefined || !isText || Object.keys(more).length > 0) {
    entry.refuse('shipping')
    return undefined
  }
  return { logistics_type: known, item_desc }
}
