import { createHmac } from 'node:crypto'
import type { Post } from '../../shared/net/post'
import { sandboxPost } from '../support/world'
import { Dice } from '../simulation/dice'
import { propertyRuns, propertySeed } from '../support/property'
import { openTrade, type Instance, type Trade } from '../support/trade'

/**
 * Many requests of many sub-merchants at once, through a few instances that each serve all of them: each is signed with
 * its own key, asked under its own numbers, and answered with its own order. The far end knows every merchant's key and
 * takes no other; which merchant's key it was is told here once more, from the bytes that were sent.
 */
const MERCHANTS = 50
const INSTANCES = 4
const REQUESTS = Math.max(MERCHANTS, Math.min(10_000, propertyRuns()))

type Sent = { out_sub_mch_id: string; out_trade_no: string; signedBy: string | undefined }

/** Lets others go first, as a network does: by chance, a few turns of the event loop. */
async function wait(dice: Dice): Promise<void> {
  for (let turns = dice.below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
}

/** The network, which looks at whose key fits what goes over it. */
function watched(trade: Trade, sent: Sent[], dice: Dice): Post {
  const post = sandboxPost(trade.sandbox)
  return async (url, body, options) => {
    await wait(dice)
    const outer = JSON.parse(body.toString('utf8')) as {
      request_content: string
      authen_info: { a: { authen_code: string } }
    }
    const content = JSON.parse(outer.request_content) as {
      pay_mch_key: { out_sub_mch_id: string }
      pay_content: { out_trade_no: string }
    }
    const { authen_code } = outer.authen_info.a
    const fits = ({ authen_key }: { authen_key: string }) =>
      createHmac('sha256', authen_key).update(outer.request_content).digest('hex').toUpperCase() ===
      authen_code
    sent.push({
      out_sub_mch_id: content.pay_mch_key.out_sub_mch_id,
      out_trade_no: content.pay_content.out_trade_no,
      signedBy: trade.merchants.find(fits)?.out_sub_mch_id,
    })
    const answer = await post(url, body, options)
    await wait(dice)
    return answer
  }
}

test(`${REQUESTS} orders at once over ${MERCHANTS} sub-merchants: each with its own key, number, answer and row`, async () => {
  const seed = propertySeed()
  process.stdout.write(`PROPERTY_SEED=${seed} PROPERTY_RUNS=${REQUESTS}\n`)
  const dice = new Dice(seed)
  const trade = await openTrade(MERCHANTS, { MERCHANT_ORDERS_PER_MINUTE: '100000' })
  const sent: Sent[] = []
  const post = watched(trade, sent, dice)
  const instances = Array.from({ length: INSTANCES }, () => trade.instance('till', { overrides: { post } }))
  const placeOne = async (till: Instance, at: number, total_fee: number) => {
    await wait(dice)
    const { order_prefix } = trade.merchants[at]!
    const number = `${order_prefix}x${total_fee}`
    const body = trade.bodyFor(at, { out_trade_no: number, total_fee })
    return { at, number, total_fee, answer: await till.signed(at, 'POST', '/orders', body) }
  }
  // The fee tells one request from every other.
  const placed = await Promise.all(
    Array.from({ length: REQUESTS }, (_, index) =>
      // Each of them once, and then by chance.
      placeOne(instances[index % INSTANCES]!, index < MERCHANTS ? index : dice.below(MERCHANTS), index + 1),
    ),
  )

  const wrong = placed.filter(({ number, total_fee, answer: { statusCode, body } }) => {
    const { out_trade_no, total_fee: fee, state } = body as Record<string, unknown>
    return statusCode !== 201 || out_trade_no !== number || fee !== total_fee || state !== 'pending'
  })
  expect(wrong.map(({ number, answer }) => [number, answer.statusCode, answer.body.code])).toEqual([])

  expect(sent).toHaveLength(REQUESTS)
  expect(sent.filter(({ out_sub_mch_id, signedBy }) => signedBy !== out_sub_mch_id)).toEqual([])
  const rows = await trade.database.store.db
    .selectFrom('orders')
    .select(['out_sub_mch_id', 'out_trade_no', 'total_fee', 'caller', 'state'])
    .execute()
  expect(rows).toHaveLength(REQUESTS)
  for (const { at, number, total_fee } of placed) {
    const { out_sub_mch_id } = trade.merchants[at]!
    const upstream = trade.sandbox.orders.get(number)
    expect(upstream?.merchant.out_sub_mch_id).toBe(out_sub_mch_id)
    expect(upstream?.request.pay_content.total_fee).toBe(total_fee)
  }
  const ownerOf = new Map(placed.map(({ number, at }) => [number, trade.merchants[at]!.out_sub_mch_id]))
  const strayed = rows.filter(
    ({ out_sub_mch_id, out_trade_no, caller, state }) =>
      ownerOf.get(out_trade_no) !== out_sub_mch_id || caller !== `m:${out_sub_mch_id}` || state !== 'pending',
  )
  expect(strayed).toEqual([])
  // All of them were there, or nothing was shown.
  expect(new Set(sent.map(({ out_sub_mch_id }) => out_sub_mch_id)).size).toBe(MERCHANTS)
})
