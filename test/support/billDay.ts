import { reconcileDaily } from '../../shared/payments/billDaily'
import type { Post } from '../../shared/net/post'
import { openShop, otherMerchants, type Shop } from './shop'
import { signedText } from './tamper'

/**
 * One day of many sub-merchants, and the day after it on which the timer compares its bill: the real orders and the real
 * comparison, on a clock that every call of Cloud Pay and every statement moves on.
 */
export type BillDay = { merchants: number; orders: number; say?: (line: string) => void }

export type BillDayEnd = {
  /** From the first run to the end of the one that compared the last window. */
  tookS: number
  runs: number
  calls: number
  statements: number
  /** Windows that were compared; a day that is full is several. */
  windows: number
  /** Orders that stood in none of the pages. */
  unseen: string[]
  /** Sub-merchants whose one broken order was not told. */
  untold: string[]
  /** What else was told. */
  others: string[]
  /** Windows that are left. */
  left: number
}

const DAY_S = 86_400
/** One call of Cloud Pay, and one statement of a database in the same city. */
const CALL_MS = 300
const STATEMENT_MS = 2
/** As the timer has it: when it starts, and the bill's share of a run. */
const EVERY_MS = 20_000
const SHARE_MS = 20_000
/** Of all orders, those of the first sub-merchant: its day is more than one window. */
const FIRST_SHARE = 0.2

export async function playBillDay({ merchants: count, orders, say }: BillDay): Promise<BillDayEnd> {
  const seen = new Set<string>()
  let calls = 0
  let onAnswer: (url: string, body: Buffer) => void = () => undefined
  const merchants = otherMerchants(count)
  const wrapPost =
    (post: Post): Post =>
    async (url, body, options) => {
      const answer = await post(url, body, options)
      onAnswer(url, answer.body)
      return answer
    }
  const shop = await openShop({ merchants, wrapPost, undescribed: true })
  try {
    const dayMs = (Math.floor(shop.nowS() / DAY_S) + 1) * DAY_S * 1000
    const numbers = await placeDay(shop, merchants, orders, dayMs, say)
    const broken = new Map(
      numbers.map((number) => [shop.app.merchants.ofNumber(number)!.out_sub_mch_id, number]),
    )
    for (const number of broken.values())
      await shop.store.db
        .updateTable('orders')
        .set({ total_fee: 1881 })
        .where('out_trade_no', '=', number)
        .execute()

    onAnswer = (url, body) => {
      calls++
      shop.clock.nowMsValue! += CALL_MS
      if (url.endsWith('client_order_detail')) noteOrders(seen, body)
      shop.sandbox.received.splice(0)
    }
    shop.clock.nowMsValue = dayMs + DAY_S * 1000
    const startMs = shop.clock.nowMsValue
    shop.database.said = 0
    shop.database.before = () => void (shop.clock.nowMsValue! += STATEMENT_MS)
    const end = { runs: 0, windows: 0 }
    let endMs = startMs
    let left = 0
    do {
      const runMs: number = shop.clock.nowMsValue
      const deadline = { remainingMs: () => runMs + SHARE_MS - shop.clock.nowMs() }
      end.runs++
      end.windows += (await reconcileDaily(shop.app, deadline))?.windows ?? 0
      endMs = shop.clock.nowMs()
      left = await leftOf(shop)
      if (end.runs % 20 === 0) say?.(`run ${end.runs}: ${end.windows} windows compared, ${left} left`)
      shop.clock.nowMsValue = Math.max(endMs, runMs + EVERY_MS)
      shop.log.splice(0)
    } while ((left > 0 || end.windows < count) && shop.clock.nowMsValue < startMs + DAY_S * 1000)
    shop.database.before = undefined

    const told = (await shop.anomalies()).filter(({ kind }) => kind === 'bill_differs')
    const toldOf = new Set(told.map(({ out_trade_no }) => out_trade_no))
    return {
      ...{ ...end, calls, statements: shop.database.said, left, tookS: (endMs - startMs) / 1000 },
      unseen: numbers.filter((number) => !seen.has(number)),
      untold: [...broken].flatMap(([merchant, number]) => (toldOf.has(number) ? [] : [merchant])),
      others: told.flatMap(({ out_sub_mch_id, out_trade_no }) =>
        broken.get(out_sub_mch_id) === out_trade_no ? [] : [out_trade_no],
      ),
    }
  } finally {
    await shop.close()
  }
}

/** Paid orders over the whole day, the first sub-merchant's between those of the others. */
async function placeDay(
  shop: Shop,
  merchants: ReturnType<typeof otherMerchants>,
  count: number,
  dayMs: number,
  say: BillDay['say'],
): Promise<string[]> {
  const numbers: string[] = []
  const [first, ...others] = merchants
  const firstEvery = Math.round(1 / FIRST_SHARE)
  for (let at = 0; at < count; at++) {
    const merchant = at % firstEvery === 0 ? first! : others[at % others.length]!
    const { order_prefix, out_sub_mch_id } = merchant
    shop.clock.nowMsValue = dayMs + Math.floor((at * DAY_S) / count) * 1000
    const pay_mch_key = {
      ...{ pay_platform: 1, out_sub_mch_id, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } },
    }
    numbers.push(await shop.placePaid({ out_trade_no: `${order_prefix}t${at}` }, { pay_mch_key }))
    // Kept for tests that look at one of them; here it would be hundreds of thousands.
    shop.log.splice(0)
    shop.sandbox.received.splice(0)
    if (at % 10_000 === 9_999) say?.(`${at + 1} orders paid`)
  }
  return numbers
}

function noteOrders(seen: Set<string>, body: Buffer): void {
  const { order_detail_query } = JSON.parse(signedText(body)) as {
    order_detail_query: {
      order_details?: { receipt: { order?: { order_content: { out_trade_no: string } } } }[]
    }
  }
  for (const { receipt } of order_detail_query.order_details ?? [])
    if (receipt.order) seen.add(receipt.order.order_content.out_trade_no)
}

async function leftOf({ store }: Shop): Promise<number> {
  const { length } = await store.db.selectFrom('bill_windows').select('from_at').execute()
  return length
}
