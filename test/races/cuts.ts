import { systemClock } from '../../shared/base/time'
import { readConfig } from '../../shared/base/config'
import { sandboxEnv } from '../../local/sandbox/env'
import { CommitUnknown } from '../../shared/store/connection'
import { openStore, type Store } from '../../shared/store/open'
import { Dice } from '../simulation/dice'
import { openSession, type Session } from '../support/servers'
import { startTcpProxy, type Accident } from '../support/tcpProxy'
import { openRole, type Answer, type Role } from './role'
import type { Tally } from './tally'

/**
 * An actor of the race for commits: order after order, each from its create to its last refund, and nearly every COMMIT
 * on the way loses its connection, just before or just after the server has heard it. Whether it was kept is read
 * from the server over a connection of its own before the code under test hears of anything.
 */
export type CutOrders = {
  url: string
  baseUrl: string
  origin: string
  name: string
  lanes: number
  /** Go on until so many were cut and kept, and so many cut and undone. */
  eachWay: number
  seed: number
}

export type Cuts = { beforeKept: number; beforeUndone: number; afterKept: number; afterUndone: number }
export type CutReport = { cuts: Cuts; orders: number; retries: number; wrong: string[] }

/** Whoever tries six times and loses each time gives up: that happens, but it is not what is to be seen most. */
const IN_A_ROW = 5
const FEE = 1000

type Event = { number: string; seq: number; kind: unknown; to: unknown; detail: unknown }

export async function playCuts(orders: CutOrders, tally: Tally): Promise<CutReport> {
  const { url, lanes, eachWay, name, seed } = orders
  const direct = await openSession(url)
  const cuts: Cuts = { beforeKept: 0, beforeUndone: 0, afterKept: 0, afterUndone: 0 }
  const report: CutReport = { cuts, orders: 0, retries: 0, wrong: [] }
  const enough = () =>
    cuts.beforeKept + cuts.afterKept >= eachWay && cuts.beforeUndone + cuts.afterUndone >= eachWay

  const lane = async (at: number) => {
    const dice = new Dice(seed * 1000 + at)
    const accidents = await openLane(orders, tally, direct, dice, cuts)
    // What is wrong now will not be right in a thousand cuts.
    for (let n = 1; !enough() && report.wrong.length < 5; n++) {
      report.orders++
      await playOrder(`sb01cut${name}l${at}n${n}`, accidents.role, orders.origin, report)
    }
    await accidents.close()
  }
  await Promise.all(Array.from({ length: lanes }, (_, at) => lane(at)))
  await direct.close()
  return report
}

/** An App whose way to the database breaks at nearly every COMMIT. */
async function openLane(orders: CutOrders, tally: Tally, direct: Session, dice: Dice, cuts: Cuts) {
  const through = new URL(orders.url)
  const proxy = await startTcpProxy(new URL(orders.url))
  through.port = String(proxy.port)
  const env = {
    CLOUD_PAY_TIMEOUT_MS: '1000',
    REFUND_HOUR_MAX_FEN: '999999999',
    REFUND_DAY_MAX_FEN: '999999999',
    MERCHANT_LOOKS_PER_MINUTE: '1000000',
  }
  const config = readConfig({ ...sandboxEnv(orders.baseUrl, through.href, '127.0.0.1'), ...env })
  const store = openStore(config.database, systemClock)
  let sprung: Accident | undefined
  let undoneInARow = 0
  cutAtCommit(store, {
    arm() {
      sprung = undefined
      const accident = undoneInARow < IN_A_ROW && dice.chance(0.5) ? 'cut before' : 'cut after'
      if (!dice.chance(0.05)) void proxy.when(/COMMIT/, accident).then(() => (sprung = accident))
    },
    async judge(event) {
      const kept = await isKept(direct, event)
      const when = sprung === 'cut before' ? 'before' : 'after'
      cuts[`${when}${kept ? 'Kept' : 'Undone'}`]++
      undoneInARow = kept ? 0 : undoneInARow + 1
    },
  })
  const lookAtWill = true
  const role = await openRole({ url: through.href, baseUrl: orders.baseUrl, env, lookAtWill }, tally, {
    store,
  })
  return {
    role,
    async close() {
      await store.close()
      await proxy.close()
    },
  }
}

/** Of a transaction that writes an event: whether the event is there says whether it was kept. */
function cutAtCommit(store: Store, cut: { arm(): void; judge(event: Event): Promise<void> }): void {
  const { connection } = store
  const inTransaction = connection.inTransaction.bind(connection)
  connection.inTransaction = async (work) => {
    let event: Event | undefined
    try {
      await inTransaction((say) =>
        work((query) => {
          if (/^insert into .order_events. /.test(query.sql)) {
            if (!event) cut.arm()
            const [, number, seq, , kind, , to, detail] = query.parameters
            event = { number: number as string, seq: seq as number, kind, to, detail }
          }
          return say(query)
        }),
      )
    } catch (error) {
      if (error instanceof CommitUnknown && event) await cut.judge(event)
      throw error
    }
  }
}

async function isKept(direct: Session, { number, seq, kind, to, detail }: Event): Promise<boolean> {
  const [row] = await direct.rows(
    `select kind, to_state, detail from order_events where out_trade_no = '${number}' and seq = ${seq}`,
  )
  return row !== undefined && row.kind === kind && row.to_state === to && row.detail === detail
}

// ── one order ──────────────────────────────────────────────────────────────────────────────────────────────────

/** A lease lasts six seconds, and there are six attempts in every answer. */
const PATIENCE = 120

/** From create to refunded, as a caller that asks again with the same words until it has its answer. */
async function playOrder(number: string, { call }: Role, origin: string, report: CutReport): Promise<void> {
  const insist = async (what: string, event: Record<string, unknown>, until: (answer: Answer) => boolean) => {
    for (let attempt = 0; attempt < PATIENCE; attempt++) {
      const answer = await call(event)
      if (until(answer)) return answer
      report.retries++
      // Somebody (the attempt before) still holds the lease, or the database was away: later.
      if (![200, 202, 409, 503, 504].includes(answer.statusCode)) {
        report.wrong.push(`${number}: ${what} answered ${JSON.stringify(answer)}`)
        return answer
      }
      if (answer.statusCode >= 400) await new Promise((resolve) => setTimeout(resolve, 100))
    }
    report.wrong.push(`${number}: ${what} has no answer after ${PATIENCE} attempts`)
    return undefined
  }

  const created = await insist(
    'create',
    {
      httpMethod: 'POST',
      path: '/orders',
      body: JSON.stringify({
        pay_content: { out_trade_no: number, total_fee: FEE, body: '湖心奶茶-大杯' },
        pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } },
      }),
    },
    ({ statusCode }) => statusCode === 200 || statusCode === 201,
  )
  if (created?.body.state !== 'pending' || created.body.payment === null) {
    report.wrong.push(`${number}: created as ${JSON.stringify(created?.body)}`)
    return
  }

  const paid = await fetch(`${origin}/_sandbox/pay`, {
    method: 'POST',
    body: JSON.stringify({ out_trade_no: number }),
  })
  if (paid.status !== 200) report.wrong.push(`${number}: the sandbox did not let it be paid`)
  await insist(
    'refresh',
    { httpMethod: 'GET', path: `/orders/${number}`, queryString: { refresh: '1' } },
    ({ body }) => body.state === 'paid',
  )

  const parts = [300, FEE - 300]
  for (const [at, refund_fee] of parts.entries()) {
    const body = JSON.stringify({ refund_fee, out_refund_no: `${number}r${at + 1}` })
    const refunded = await insist(
      `refund ${at + 1}`,
      { httpMethod: 'POST', path: `/orders/${number}/refunds`, body },
      (answer) => answer.statusCode === 200 && answer.body.state === 'succeeded',
    )
    if (refunded?.body.refund_fee !== refund_fee) {
      report.wrong.push(`${number}: refund ${at + 1} is ${JSON.stringify(refunded?.body)}`)
    }
  }
  const last = await insist(
    'the last look',
    { httpMethod: 'GET', path: `/orders/${number}` },
    ({ statusCode }) => statusCode === 200,
  )
  if (last?.body.state !== 'refunded') report.wrong.push(`${number} ends as ${JSON.stringify(last?.body)}`)
}
