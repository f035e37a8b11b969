import type { Instances } from './instances'
import { merchantOf, neighbourOf, STRANGER } from './merchants'
import type { Purchase } from './people'
import type { Owner } from './scheduler'
import { sealedRequest } from './sealed'
import type { World } from './world'

/**
 * Cloud Pay calls us when somebody has paid, over the same network as everything else: late, never, ten times. And
 * strangers call us too, with what they can get hold of.
 */
const LADDER_MS = [15_000, 15_000, 30_000, 180_000, 600_000]

const TAMPERED = [
  'forged',
  'altered',
  'foreign merchant',
  'wrong amount',
  'wrong shop',
  'played back',
  'orphan',
] as const
/** What can be kept: it is signed with the right key, and about nobody else. */
const KEPT = new Set<Kind>(['genuine', 'early', 'orphan'])
type Kind = 'genuine' | 'early' | "a neighbour's" | (typeof TAMPERED)[number]

export function startNotifier(world: World, instances: Instances, purchase: Purchase): void {
  const { dice, scheduler } = world
  const owner: Owner = { name: 'notifier', dead: false }

  const deliver = async (kind: Kind, body: Buffer, tries: number): Promise<void> => {
    // Of an order we do not know yet nothing can be compared: then it is kept as an orphan, as a hint to nothing.
    const isKnown =
      world.server.run('SELECT 1 FROM orders WHERE out_trade_no = ?', [purchase.number]).rows.length > 0
    world.notified.add(purchase.number)
    const { statusCode } = await instances.call('notify', purchase.number, {
      httpMethod: 'POST',
      path: '/notify',
      headers: { 'content-type': 'application/json' },
      body: body.toString('utf8'),
    })
    if (kind !== 'genuine' && kind !== "a neighbour's") world.coverage.count('fault', `notification ${kind}`)
    const isKept = KEPT.has(kind) || (!isKnown && (kind === 'wrong amount' || kind === 'wrong shop'))
    if (statusCode === 200 && !isKept) world.broken.push(`a notification was believed: ${kind}`)
    if (statusCode === 200) {
      const { request_content: text } = JSON.parse(body.toString('utf8')) as Outer
      world.acknowledged.push({ number: purchase.number, text })
    }
    const heard = statusCode >= 200 && statusCode < 300
    // The answer may get lost on its way back: then it is told again.
    const again = !heard || dice.chance(world.luck.network)
    if (again && kind === 'genuine' && tries < LADDER_MS.length)
      send(kind, body, tries + 1, LADDER_MS[tries]!)
  }
  const send = (kind: Kind, body: Buffer, tries: number, afterMs: number): void => {
    scheduler.after(owner, `brings a notification (${kind})`, afterMs, () => void deliver(kind, body, tries))
  }

  world.onNotification(purchase.number, (body) => {
    if (dice.chance(world.luck.network)) {
      world.coverage.count('fault', 'notification dropped')
      return
    }
    const late = dice.chance(world.luck.network + 0.05)
    if (late) world.coverage.count('fault', 'notification late')
    send('genuine', body, 0, late ? dice.between(1000, 3_600_000) : world.latency())
    if (dice.chance(0.2)) {
      world.coverage.count('fault', 'notification repeated')
      for (let copy = dice.between(1, dice.chance(0.2) ? 9 : 2); copy > 0; copy--) {
        send('genuine', body, LADDER_MS.length, dice.between(0, dice.chance(0.2) ? 600_000 : 2000))
      }
    }
  })

  // Before we know of the order: the row was lost, or is not written yet.
  if (dice.chance(0.05)) send('early', early(purchase), LADDER_MS.length, dice.below(2000))

  if (world.scene === 'two merchants' && dice.chance(0.5)) {
    scheduler.after(owner, 'a neighbour writes', dice.between(0, 60_000), () => {
      const { number } = purchase
      if (!world.sandbox.orders.has(number)) return
      world.coverage.count('scene', 'a neighbour signs in our name')
      const body = signedByNeighbour(world.sandbox.notification(number), number)
      send("a neighbour's", body, LADDER_MS.length, 0)
    })
  }

  // A stranger, once in a while: before anything is paid, or after.
  if (dice.chance(0.2)) {
    scheduler.after(owner, 'a stranger writes', dice.between(0, 60_000), () => {
      if (!world.sandbox.orders.has(purchase.number)) return
      const kind = dice.pick(TAMPERED)
      send(kind, tampered(kind, world.sandbox.notification(purchase.number)), LADDER_MS.length, 0)
    })
  }
}

type Outer = { request_content: string; authen_info: unknown }

function tampered(kind: (typeof TAMPERED)[number], genuine: Buffer): Buffer {
  const outer = JSON.parse(genuine.toString('utf8')) as Outer
  const content = JSON.parse(outer.request_content)
  const { authen_key } = merchantOf(content.order_content.out_trade_no)
  switch (kind) {
    case 'forged':
      return sealedRequest(`not-${authen_key}`, outer.request_content)
    case 'altered':
      // The code stays, the text does not.
      return Buffer.from(
        JSON.stringify({
          ...outer,
          request_content: outer.request_content.replace(/"total_fee": ?\d/, '$&0'),
        }),
      )
    case 'foreign merchant':
      content.pay_mch_key.out_sub_mch_id = STRANGER.out_sub_mch_id
      return sealedRequest(STRANGER.authen_key, JSON.stringify(content))
    case 'wrong amount':
      content.order_content.total_fee += 1
      return sealedRequest(authen_key, JSON.stringify(content))
    case 'wrong shop':
      content.pay_mch_key.out_shop_id = 'sandboxshop000000002'
      return sealedRequest(authen_key, JSON.stringify(content))
    case 'played back':
      // An answer that somebody has listened to, code and all.
      return sealedRequest(
        authen_key,
        JSON.stringify({
          status: 0,
          log_id: 1,
          internal_status: 0,
          description: 'OK',
          query_order: content,
          ...content,
        }),
      )
    case 'orphan':
      content.order_content.out_trade_no += 'x'
      return sealedRequest(authen_key, JSON.stringify(content))
  }
}

/** Genuine, for what we can tell. */
function early({ number, fee }: Purchase): Buffer {
  const { authen_key, out_mch_id, out_sub_mch_id, out_shop_id } = merchantOf(number)
  const content = {
    nonce_str: '0123456789abcdef0123456789abcdef',
    pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
    order_content: {
      out_trade_no: number,
      trade_type: 3,
      is_transforming: false,
      total_fee: fee,
      fee_type: 'CNY',
      wxpay_order_content_ext: { current_trade_state: 3 },
    },
  }
  return sealedRequest(authen_key, JSON.stringify(content))
}

/** About our order and with our id, signed by whoever is served beside us. */
function signedByNeighbour(genuine: Buffer, number: string): Buffer {
  const { request_content } = JSON.parse(genuine.toString('utf8')) as Outer
  return sealedRequest(neighbourOf(merchantOf(number)).authen_key, request_content)
}
