import { startSandbox } from '../../local/sandbox/server'
import type { CutReport } from './cuts'
import { brokenPromises } from './promises'
import { count, rows, type Result, type Stage } from './stage'
import { addUp, type Tallied } from './tally'

/** Five thousand connections cut around COMMIT on each server, and nothing happens twice or is lost. See cuts.ts. */
const CUTS_EACH_WAY = 2500
const ACTORS = 4
const LANES = 3

export async function raceForCommits(stage: Stage): Promise<Result> {
  const { session, url, seed } = stage
  const eachWay = Math.ceil((CUTS_EACH_WAY * stage.scale) / ACTORS)
  const farEnd = await startSandbox()
  const actors = await stage.startActors(ACTORS)
  const startMs = Date.now()
  const reports = await Promise.all(
    actors.map((actor, at) =>
      actor.ask<CutReport>('cuts', {
        url,
        baseUrl: farEnd.baseUrl,
        origin: farEnd.origin,
        name: `s${seed}a${at}`,
        lanes: LANES,
        eachWay,
        seed: seed * 100 + at,
      }),
    ),
  )
  const ms = Date.now() - startMs
  const sum = (of: (report: CutReport) => number) => reports.reduce((total, report) => total + of(report), 0)
  const wrong = reports.flatMap((report) => report.wrong)
  const tallied = await Promise.all(actors.map((actor) => actor.ask<Tallied>('tally', undefined)))
  const { tally, mistakes } = addUp(tallied)
  wrong.push(...mistakes)

  // What the proxy was told to do is what the server says has happened, or the cuts were not where they should be.
  const strange = sum(({ cuts }) => cuts.beforeKept + cuts.afterUndone)
  if (strange > 0) wrong.push(`${strange} commits came to another end than the cut meant`)

  const orders = await rows(session, 'select * from orders')
  const events = await eventsOf()
  for (const order of orders) {
    const number = String(order['out_trade_no'])
    // A resend and a takeover count without an event.
    const expected = events.get(number)! + Number(order['sends']) - 1 + Number(order['lease_token']) - 1
    if (order['version'] !== expected) {
      wrong.push(`${number} has version ${String(order['version'])}, its events and sends make ${expected}`)
    }
    if (order['state'] !== 'refunded' || order['reserved_fen'] !== 1000 || order['refunded_fen'] !== 1000) {
      wrong.push(`${number} is ${String(order['state'])}, ${String(order['reserved_fen'])} reserved`)
    }
  }
  const expectRows = async (what: string, expected: number) => {
    const found = await count(session, what)
    if (found !== expected) wrong.push(`${found} rows and not ${expected}: ${what}`)
  }
  const made = sum((report) => report.orders)
  await expectRows('orders', made)
  await expectRows('refunds', made * 2)
  await expectRows("refunds where state = 'succeeded'", made * 2)
  await expectRows("outbox where type = 'order.paid'", made)
  await expectRows("outbox where type = 'refund.succeeded'", made * 2)
  await expectRows('outbox', made * 3)
  await expectRows('anomalies', 0)
  // Of every order once created, handed over, paid, refunded: whatever else there is tells of a release.
  for (const state of ['pending', 'paid', 'refunded']) {
    await expectRows(`order_events where to_state = '${state}' and from_state <> '${state}'`, made)
  }
  wrong.push(...(await brokenPromises(session, farEnd.sandbox)))

  async function eventsOf(): Promise<Map<string, number>> {
    const found = await rows(
      session,
      'select out_trade_no, count(*) as n from order_events group by out_trade_no',
    )
    return new Map(found.map(({ out_trade_no, n }) => [String(out_trade_no), Number(n)]))
  }

  await farEnd.close()
  const kept = sum(({ cuts }) => cuts.beforeKept + cuts.afterKept)
  const undone = sum(({ cuts }) => cuts.beforeUndone + cuts.afterUndone)
  return {
    counts: {
      processes: ACTORS,
      connections: ACTORS * LANES,
      orders: made,
      refunds: made * 2,
      cuts: kept + undone,
      cut_and_kept: kept,
      cut_and_undone: undone,
      committed: tally.committed,
      commit_unknown: tally.commitUnknown,
      lost_guards: tally.lostGuards,
      lost_to_the_server: tally.lostRaces,
      retries: sum((report) => report.retries),
      ms,
    },
    wrong: wrong.slice(0, 20),
  }
}
