import { nowS } from '../../shared/base/time'
import { findOrder } from '../../shared/store/orders'
import { eraseOrder } from '../../shared/store/retention'
import { merchantOf } from './merchants'
import { page, refunder, type Person } from './people'
import type { World } from './world'

/** What of an order's row says that it is over, and that nobody can be found by it any more. */
type Kept = { state: string; payer_id: string; purged_at: number | null }

const HOUR_MS = 3_600_000
const PATIENCE_H = 80
const TOLD_MAX = 60

/**
 * Waits until the order's texts are gone: by the timer, a day after it is over, or because its payer asks to be forgotten.
 * Then the world comes back to it: a bank that was late by days, a page that asks once more, a clerk who refunds.
 */
export const keeper: Person = async (scene) => {
  const { world, instances, me, purchase, pause } = scene
  const { dice, sandbox } = world
  const { number } = purchase
  const isErasure = world.config.retentionDays > 1
  const isGone = () => typeof rowOf(world, number)?.purged_at === 'number'
  for (let hours = 0; hours < PATIENCE_H && !isGone(); hours += 6) {
    await pause(dice.between(5 * HOUR_MS, 7 * HOUR_MS))
    // A payer who asks a day or two later: what is not over yet stays, and is asked about again.
    if (isErasure && hours > 20) await erase(scene)
  }
  const row = rowOf(world, number)
  if (!row || !isGone() || world.squatted.has(number)) return
  const how = row.payer_id === 'erased' ? 'erased' : 'purged'
  world.tell(me, () => `sees that it is ${how}`)
  await pause(dice.between(0, 24 * HOUR_MS))

  const order = sandbox.orders.get(number)
  const isUnpaid = order && order.state !== 'paid' && ['closed', 'failed'].includes(row.state)
  if (isUnpaid && dice.chance(0.65)) {
    // A bank that was late by days: nothing but its notification tells of it, and that is repeated until it is heard.
    Object.assign(order, { state: 'waiting', time_expire: Math.floor(world.scheduler.nowMs / 1000) + 900 })
    sandbox.pay(number)
    world.coverage.count('scene', `money for an ${how} order`.replace('an p', 'a p'))
    world.tell(me, () => 'brings money')
    const body = sandbox.notification(number).toString('utf8')
    world.notified.add(number)
    for (let tries = 0; tries < TOLD_MAX; tries++) {
      const headers = { 'content-type': 'application/json' }
      const event = { httpMethod: 'POST', path: '/notify', headers, body }
      const { statusCode } = await instances.call('notify', number, event)
      if (statusCode === 200) {
        const { request_content: text } = JSON.parse(body) as { request_content: string }
        world.acknowledged.push({ number, text })
        return
      }
      await pause(60_000)
    }
    world.broken.push(`${number}: nobody hears of money that came late`)
  } else if (isUnpaid || dice.chance(0.2)) {
    world.coverage.count('scene', 'a repeat of an order without its texts')
    await page(scene)
  } else {
    world.coverage.count('scene', 'a refund of an order without its texts')
    await refunder(scene)
  }
}

const rowOf = ({ server }: World, number: string): Kept | undefined =>
  server.run('SELECT state, payer_id, purged_at FROM orders WHERE out_trade_no = ?', [number]).rows[0] as
    Kept | undefined

async function erase({ world, instances, purchase }: Parameters<Person>[0]): Promise<void> {
  const { number } = purchase
  await instances.visit({
    doorName: 'erase',
    about: number,
    work: async (open) => {
      const key = { out_sub_mch_id: merchantOf(number).out_sub_mch_id, out_trade_no: number }
      try {
        const app = await open()
        const order = await findOrder(app.store, key)
        if (order) await eraseOrder(app.store, order, nowS(app.clock))
      } catch (error) {
        // The database may be away; then it is asked again.
        world.tell({ name: 'erase', dead: false }, () => (error as Error).message)
      }
    },
  })
}
