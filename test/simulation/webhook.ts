import { NetFault } from '../../shared/net/post'
import type { Send } from '../../shared/net/send'
import type { OnMessage } from '../../shared/outbox/deliver'
import type { Owner } from './scheduler'
import type { World } from './world'

/** The merchant's server, on a network no better than the other one. What it has taken is remembered by id. */
export const createWebhook =
  (world: World, owner: Owner): Send =>
  async (_url, _body, { headers }) => {
    const { dice, scheduler, luck } = world
    await scheduler.park(owner, 'tells the merchant', world.latency())
    if (world.merchantIsAway || dice.chance(luck.network)) {
      world.sawFault(owner, 'webhook unreachable')
      throw new NetFault('connection')
    }
    world.told.add(headers['webhook-id'] ?? '')
    await scheduler.park(owner, 'the merchant answers', world.latency())
    if (!dice.chance(luck.network)) return 200
    world.sawFault(owner, 'webhook answers 500')
    return 500
  }

/** A hook in the same process, which may fail as well. */
export const createHook =
  (world: World, owner: Owner): OnMessage =>
  async ({ id }) => {
    const { dice, scheduler, luck } = world
    await scheduler.park(owner, 'calls the hook', world.latency())
    if (dice.chance(luck.network)) throw new Error('the hook has failed')
    world.told.add(id)
  }
