import type { OrderWish } from '../client/client'

/**
 * What is to be paid, as the merchant's page put it behind the `#` of the address, which no server is sent:
 *
 *   #quote=…                a quote; article and price are read from it, and the server checks it
 *   #sku=tea&quantity=2     an article of the catalogue; `&id=…` names the purchase
 *   #order=…                an order the merchant's server made for this payer
 */
export type Purchase = {
  fragment: string
  /** None: the order is there already. */
  wish: OrderWish | undefined
  number: string | undefined
  /** Of the purchase: the same one is the same order, on any device of the payer's. */
  id: string | undefined
  what: string | undefined
  totalFen: number | undefined
}

const NOTHING = { wish: undefined, number: undefined, id: undefined, what: undefined, totalFen: undefined }

export function readPurchase(fragment: string, titles: Record<string, string> = {}): Purchase | undefined {
  const given = new URLSearchParams(fragment.replace(/^#/, ''))
  const base = { ...NOTHING, fragment }
  const [quote, sku, number] = ['quote', 'sku', 'order'].map((name) => given.get(name) || undefined)
  if (quote !== undefined) return { ...base, wish: { quote }, ...readQuote(quote) }
  if (sku !== undefined) {
    const quantity = Number(given.get('quantity') || 1)
    if (!Number.isSafeInteger(quantity) || quantity < 1) return undefined
    const title = new Map(Object.entries(titles)).get(sku) ?? sku
    const what = quantity > 1 ? `${title} × ${quantity}` : title
    return { ...base, wish: { sku, quantity }, id: given.get('id') || undefined, what }
  }
  return number === undefined ? undefined : { ...base, number }
}

/** What the quote says, to show it. Whether it is true the server knows; a forged one makes no order. */
function readQuote(quote: string): Pick<Purchase, 'what' | 'totalFen'> {
  try {
    const binary = atob(quote.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/'))
    const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0))
    const { body, total_fee } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
    return {
      what: typeof body === 'string' ? body : undefined,
      totalFen: Number.isSafeInteger(total_fee) ? (total_fee as number) : undefined,
    }
  } catch {
    return { what: undefined, totalFen: undefined }
  }
}
