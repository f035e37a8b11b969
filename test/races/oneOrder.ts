import { startSandbox } from '../../local/sandbox/server'
import { Dice } from '../simulation/dice'
import { watchLockWaits } from './lockWaits'
import { count, rows, type Result, type Stage } from './stage'
import type { Answer } from './role'
import { addUp, type Tallied } from './tally'

/**
 * One paid order, and a thousand copies of its notification at once: some byte for byte the same, some fresh, so that
 * it is not only the inbox's unique key that races. The throttle of looks is turned around, and Cloud Pay takes its
 * time with the first answers: whoever is there by then has decided on the same row.
 *
 * Fifty at a time lose at most one guard each before the order is paid, so it takes several orders to see enough.
 */
const ORDERS = 3
const COPIES = 1000
const ACTORS = 5
const AT_ONCE = 50
const SLOW_MS = 250

export async function raceForOneOrder(stage: Stage): Promise<Result> {
  const { session, url, seed } = stage
  const copies = Math.max(AT_ONCE * 2, Math.round(COPIES * stage.scale))
  const wrong: string[] = []
  let slow = 0
  const farEnd = await startSandbox({
    slowMs: SLOW_MS,
    chooseFault: ({ interface: suffix }) => (suffix === 'query_order' && slow-- > 0 ? 'slow' : undefined),
  })
  const actors = await stage.startActors(ACTORS)
  const apps = AT_ONCE / ACTORS
  const env = { MERCHANT_LOOKS_PER_MINUTE: '1000000' }
  await Promise.all(
    actors.map((actor) => actor.ask('open', { url, baseUrl: farEnd.baseUrl, apps, lookAtWill: true, env })),
  )
  const waits = await watchLockWaits(stage)
  const dice = new Dice(seed)
  let answered = 0
  let distinct = 0
  const startMs = Date.now()

  for (let n = 1; n <= ORDERS; n++) {
    const number = `sb01race${seed}n${n}`
    const body = JSON.stringify({
      pay_content: { out_trade_no: number, total_fee: 1880, body: '湖心奶茶-大杯' },
      pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } },
    })
    const created = await actors[0]!.ask<Answer>('call', {
      event: { httpMethod: 'POST', path: '/orders', body },
    })
    if (created.statusCode !== 201) throw new Error(`create answered ${JSON.stringify(created)}`)
    farEnd.sandbox.pay(number)

    // Two in five are fresh, the others are copies of a few.
    const same = Array.from({ length: 8 }, () => farEnd.sandbox.notification(number).toString('utf8'))
    const bodies = Array.from({ length: copies }, () =>
      dice.chance(0.4) ? farEnd.sandbox.notification(number).toString('utf8') : dice.pick(same),
    )
    distinct += new Set(bodies).size
    slow = AT_ONCE
    const reports = await Promise.all(
      actors.map((actor, at) =>
        actor.ask<{ answered: number; bad: Answer[] }>('notify', {
          bodies: bodies.filter((_, index) => index % ACTORS === at),
        }),
      ),
    )
    for (const { answered: some, bad } of reports) {
      answered += some - bad.length
      for (const one of bad.slice(0, 3)) wrong.push(`${number}: answered ${JSON.stringify(one)}`)
    }

    const [order] = await rows(session, `select * from orders where out_trade_no = '${number}'`)
    if (order?.['state'] !== 'paid') wrong.push(`${number} is ${String(order?.['state'])}`)
    const events = await count(session, `order_events where out_trade_no = '${number}'`)
    // created, pending, paid
    if (order?.['version'] !== events || events !== 3) {
      wrong.push(`${number} has version ${String(order?.['version'])} and ${events} events`)
    }
  }
  const ms = Date.now() - startMs
  const moves = await count(session, "order_events where to_state = 'paid' and from_state <> 'paid'")
  const told = await count(session, "outbox where type = 'order.paid'")
  const inbox = await count(session, 'notifications')
  const others = await count(session, "outbox where type <> 'order.paid'")
  if (moves !== ORDERS) wrong.push(`${moves} moves into paid`)
  if (told !== ORDERS) wrong.push(`told ${told} times that it is paid`)
  if (others !== 0) wrong.push(`${others} messages about something else`)
  if (inbox !== distinct) wrong.push(`${inbox} notifications are kept of ${distinct} different ones`)
  if (answered !== ORDERS * copies) wrong.push(`${answered} positive answers to ${ORDERS * copies}`)

  const tallied = await Promise.all(actors.map((actor) => actor.ask<Tallied>('tally', undefined)))
  const { tally, mistakes } = addUp(tallied)
  wrong.push(...mistakes)
  const lockWaits = await waits.stop()
  await farEnd.close()
  return {
    counts: {
      processes: ACTORS,
      at_once: AT_ONCE,
      orders: ORDERS,
      notifications: ORDERS * copies,
      distinct,
      positive_answers: answered,
      moves_into_paid: moves,
      messages_paid: told,
      lost_guards: tally.lostGuards,
      lost_to_the_server: tally.lostRaces,
      taken: tally.taken,
      lock_waits: lockWaits,
      ms,
    },
    wrong,
  }
}
