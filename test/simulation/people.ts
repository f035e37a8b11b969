import type { Instances } from './instances'
import type { Owner } from './scheduler'
import { foreignCreate } from './sealed'
import type { World } from './world'

/**
 * The people around an order, each a little program that behaves as its kind does, retries included. They know what
 * they are told and nothing else; only the payer and the clerk act at Cloud Pay's end.
 */
export type Purchase = {
  number: string
  fee: number
  wechat: boolean
  /** What somebody may want back, one after the other. */
  refundFees: readonly number[]
  /** What the page sends, every time. */
  body: string
}

type Scene = {
  world: World
  instances: Instances
  me: Owner
  purchase: Purchase
  pause: (ms: number) => Promise<void>
}

export type Person = (scene: Scene) => Promise<void>

/** Some press twice. */
async function pressed<T>(world: World, call: () => Promise<T>): Promise<T> {
  if (!world.dice.chance(0.12)) return call()
  const [first] = await Promise.all([call(), call()])
  return first
}

const AGAIN = new Set([0, 409, 500, 503, 504])

/** Orders; asks again with the same number for as long as it has no answer. */
export const page: Person = async ({ world, instances, purchase, pause }) => {
  const { dice } = world
  await pause(dice.chance(0.7) ? dice.below(3) : dice.between(0, dice.chance(0.1) ? 400_000 : 5000))
  for (let attempt = 0; attempt < 4; attempt++) {
    const { statusCode } = await instances.call('createOrder', purchase.number, {
      httpMethod: 'POST',
      path: '/orders',
      body: purchase.body,
    })
    if (!AGAIN.has(statusCode)) return
    await pause(dice.between(50, dice.chance(0.1) ? 120_000 : 8000))
  }
}

/** Looks at the order, with and without asking for a refresh. */
export const reader: Person = async ({ world, instances, purchase, pause }) => {
  const { dice } = world
  for (let look = dice.between(1, 3); look > 0; look--) {
    await pause(dice.between(0, dice.chance(0.2) ? 600_000 : 12_000))
    await pressed(world, () =>
      instances.call('status', purchase.number, {
        httpMethod: 'GET',
        path: `/orders/${purchase.number}`,
        queryString: dice.chance(0.8) ? { refresh: '1' } : {},
      }),
    )
  }
}

/** Pays soon, or when it is nearly too late, or when it is. */
export const payer: Person = async ({ world, instances, me, purchase, pause }) => {
  const { dice, sandbox, scheduler } = world
  const { number } = purchase
  for (let attempt = 0; !sandbox.orders.has(number); attempt++) {
    if (attempt === 6) return
    await pause(dice.between(200, 10_000))
  }
  const order = sandbox.orders.get(number)!
  const toExpiryMs = order.time_expire * 1000 - scheduler.nowMs
  const when = dice.weighted({ now: 35, soon: 40, minutes: 10, end: 8, late: 5, later: 2 })
  if (when === 'soon') await pause(dice.between(0, 15_000))
  if (when === 'minutes') await pause(dice.between(0, 600_000))
  if (when === 'end') await pause(Math.max(0, toExpiryMs + dice.between(-20_000, 20_000)))
  if (when === 'late') await pause(Math.max(0, toExpiryMs) + dice.between(0, 600_000))
  if (when === 'later') await pause(Math.max(0, toExpiryMs) + dice.between(0, 80_000_000))
  try {
    const isInTime = order.state === 'waiting' && scheduler.nowMs <= order.time_expire * 1000
    sandbox.pay(number, { late: dice.chance(when === 'now' || when === 'soon' ? 0.5 : 0.9) })
    if (isInTime) world.paidInTime.add(number)
    world.tell(me, () => 'has paid')
  } catch (refusal) {
    world.tell(me, () => `cannot pay: ${(refusal as Error).message}`)
    return
  }
  // The wallet hands back to the page, which asks at once: while the notification comes in, and sometimes twice.
  if (!dice.chance(0.5)) return
  await pressed(world, () =>
    instances.call('status', number, {
      httpMethod: 'GET',
      path: `/orders/${number}`,
      queryString: { refresh: '1' },
    }),
  )
}

/** Gives the order up. */
export const closer: Person = async ({ world, instances, purchase, pause }) => {
  const { dice } = world
  await pause(dice.between(100, dice.pick([5000, 60_000, 400_000, 1_000_000])))
  for (let attempt = dice.between(1, 4); attempt > 0; attempt--) {
    const { statusCode } = await pressed(world, () =>
      instances.call('close', purchase.number, {
        httpMethod: 'POST',
        path: `/orders/${purchase.number}/close`,
      }),
    )
    if (!AGAIN.has(statusCode)) return
    await pause(dice.between(100, dice.chance(0.2) ? 400_000 : 8000))
  }
}

/** Sends money back, in part or in full; after no answer again under the same number, mostly. */
export const refunder: Person = async ({ world, instances, me, purchase, pause }) => {
  const { dice, sandbox } = world
  const { number, refundFees } = purchase
  await pause(dice.between(500, dice.pick([10_000, 60_000, 1_000_000])))
  // Who refunds has mostly seen money.
  for (let patience = 4; patience > 0 && sandbox.orders.get(number)?.state !== 'paid'; patience--) {
    await pause(dice.between(1000, 20_000))
  }
  let given = 0
  // Two clerks may be at the same refund.
  const name = me.name.startsWith('other') && dice.chance(0.4) ? 'p' : 'q'
  for (let refund = dice.between(1, 3); refund > 0; refund--) {
    const refund_fee = refundFees[given % refundFees.length]!
    let out_refund_no = `${number}${name}${++given}`
    for (let attempt = dice.between(1, 4); attempt > 0; attempt--) {
      const body = JSON.stringify({ refund_fee, out_refund_no })
      const { statusCode } = await pressed(world, () =>
        instances.call('refund', number, { httpMethod: 'POST', path: `/orders/${number}/refunds`, body }),
      )
      await pause(dice.between(10, dice.chance(0.2) ? 100_000 : 5000))
      if (!AGAIN.has(statusCode)) break
      // What one should not do, and people do.
      if (dice.chance(0.1)) out_refund_no = `${number}${name}${++given}`
    }
  }
}

/** Another till of the same shop takes the same number for something else, and its payer pays. */
export const squatter: Person = async ({ world, me, purchase, pause }) => {
  const { dice, sandbox } = world
  const { number, fee, wechat } = purchase
  // For the very same amount only where every answer arrives: the answer to our create is what tells them apart.
  const isTwin = dice.chance(0.4)
  if (isTwin) {
    world.becalm()
    world.createsGetLost = false
  } else {
    // Not together with the twin of another order: that one needs its answer.
    world.createsGetLost = !world.watchesAreRight && dice.chance(0.5)
    await pause(world.createsGetLost ? 0 : dice.below(3000))
  }
  if (sandbox.orders.has(number)) return
  const otherFee = isTwin ? fee : fee + dice.between(1, 9)
  sandbox.answer('official_account_pay', foreignCreate(dice, number, otherFee, wechat))
  if (!sandbox.orders.has(number)) return
  world.squatted.add(number)
  world.tell(me, () => 'has taken the number')
}

/** Refunds in Cloud Pay's console, without a word to us. */
export const consoleClerk: Person = async ({ world, me, purchase, pause }) => {
  const { dice, sandbox } = world
  const { number, fee } = purchase
  for (let patience = 6; patience > 0; patience--) {
    await pause(dice.between(500, 30_000))
    if (sandbox.orders.get(number)?.state !== 'paid') continue
    try {
      const refund = sandbox.refundInConsole(number, dice.chance(0.3) ? fee : dice.between(1, fee))
      world.needsBill = true
      world.tell(me, () => `refunds ${refund.fee} in the console`)
    } catch (refusal) {
      world.tell(me, () => `cannot refund: ${(refusal as Error).message}`)
    }
    return
  }
}
