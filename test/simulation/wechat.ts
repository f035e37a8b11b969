import type { Ask } from '../../shared/net/ask'
import { NetFault } from '../../shared/net/post'
import { CLOSED } from './closed'
import type { Owner } from './scheduler'
import type { World } from './world'

const FAULTS = ['http_500', 'busy', 'gibberish'] as const

/** WeChat's own API, on a network no better than the others: it takes the shipping of an order once. */
export const createWeChat =
  (world: World, owner: Owner): Ask =>
  async ({ method, url, body, timeoutMs }) => {
    const { dice, scheduler, luck } = world
    const { shippings } = world.closed!
    const wayMs = world.latency()
    await scheduler.park(owner, 'asks WeChat', Math.min(wayMs, timeoutMs))
    if (wayMs >= timeoutMs) throw new NetFault('timeout')
    if (dice.chance(luck.network)) {
      world.sawFault(owner, 'WeChat unreachable')
      throw new NetFault('connection')
    }
    if (dice.chance(luck.cloudPay)) shippings.faults.push(dice.pick(FAULTS))
    // Another program of the shop has forced new ones.
    if (world.faultsOn && dice.chance(0.1)) shippings.endTokens()
    const before = shippings.shipped.size
    const reply = shippings.handle({ method, url: new URL(url), body: body ?? Buffer.alloc(0) })!
    if (shippings.shipped.size > before) world.coverage.count('scene', CLOSED[4])
    await scheduler.park(owner, 'WeChat answers', world.latency())
    if (dice.chance(luck.network)) {
      world.sawFault(owner, "WeChat's answer is lost")
      throw new NetFault('answer_cut_off')
    }
    return { status: reply.status, body: Buffer.from(reply.body) }
  }
