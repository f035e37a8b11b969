import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { systemRandom } from '../../../shared/base/random'
import { Secret } from '../../../shared/base/secrets'
import { nowS, systemClock, type Deadline } from '../../../shared/base/time'
import { createSend, type Send } from '../../../shared/net/send'
import type { Outbox } from '../../../shared/outbox/deliver'
import { tellTimerSilence } from '../../../shared/outbox/timerSilence'
import { noteAnomalies } from '../../../shared/store/beside'
import type { Store } from '../../../shared/store/open'
import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { sealedNotification } from '../../support/tamper'
import { fakeTimeouts, until } from '../../support/waiting'
import { fileStore } from '../../support/world'

/** The timer delivers messages, and this one says that it does not run. */
const SECRET = `whsec_${Buffer.from('a secret of exactly 32 bytes!!!!').toString('base64')}`

let shop: Shop
let number: string
let server: Server
let url: string
type Seen = { type: string; kind: string; headers: IncomingHttpHeaders; body: string }
let seen: Seen[]
let reply: (response: ServerResponse) => void
const stores: Store[] = []

beforeEach(async () => {
  seen = []
  reply = (response) => void response.end('thanks')
  server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const { type, data } = JSON.parse(body) as { type: string; data: { kind: string } }
      seen.push({ type, kind: data.kind, headers: request.headers, body })
      reply(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`
})
afterEach(async () => {
  jest.useRealTimers()
  await shop.close()
  for (const store of stores.splice(0)) await store.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

/** A shop whose timer has not run for longer than five minutes; `number` waits to be paid in it. */
async function openSilent(options: ShopOptions = {}): Promise<void> {
  shop = await openShop({
    ...options,
    env: {
      CLOSE_NOT_BEFORE: '0',
      MERCHANT_WEBHOOK_URL: url,
      MERCHANT_WEBHOOK_SECRET: SECRET,
      MERCHANT_WEBHOOK_ALLOW_PRIVATE: 'yes',
      ...options.env,
    },
  })
  number = await shop.place()
  await shop.timer()
  shop.pass(301)
}

const notice = (key?: string) => {
  const { out_mch_id, out_sub_mch_id, out_shop_id } = shop.app.merchants.first
  return sealedNotification(
    {
      nonce_str: 'n',
      pay_mch_key: { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id },
      order_content: { out_trade_no: number, total_fee: 1880, fee_type: 'CNY' },
    },
    key,
  )
}
const message = async () => (await shop.store.db.selectFrom('outbox').selectAll().execute())[0]

describe('a silent timer', () => {
  test.each<[string, () => Promise<{ statusCode: number }>]>([
    ['status', () => shop.status(number)],
    ['notify', () => shop.tell(notice())],
  ])('is told by %s, once, signed as every message', async (_, visit) => {
    await openSilent()
    expect((await visit()).statusCode).toBe(200)
    expect(seen).toMatchObject([{ type: 'anomaly', kind: 'timer_silent' }])
    const [{ headers, body }] = seen as [Seen]
    // The library compares with its own watch, so the text is signed again for the time that was told.
    const at = new Date(Number(headers['webhook-timestamp']) * 1000)
    const id = String(headers['webhook-id'])
    expect(headers['webhook-signature']).toBe(new Webhook(SECRET).sign(id, at, body))
    expect(await message()).toMatchObject({ id, attempts: 1, next_due_at_ms: null, last_error: null })
    for (let minute = 0; minute < 3; minute++) {
      shop.pass(60)
      expect((await visit()).statusCode).toBe(200)
    }
    expect(seen).toHaveLength(1)
  })

  test('is only noted by the other doors: the message waits', async () => {
    await openSilent()
    expect((await shop.closeOrder(number)).statusCode).toBe(200)
    expect(await shop.anomalyKinds()).toEqual(['timer_silent'])
    expect(await message()).toMatchObject({ attempts: 0, next_due_at_ms: expect.any(Number) })
    expect(seen).toEqual([])
    shop.pass(60)
    await shop.status(number)
    expect(seen).toHaveLength(1)
  })

  test('is told again when it comes back', async () => {
    await openSilent()
    await shop.status(number)
    const [anomaly] = await shop.anomalies()
    await shop.store.db.updateTable('anomalies').set({ resolved_at: shop.nowS() }).execute()
    await shop.timer()
    shop.pass(301)
    await shop.status(number)
    expect(seen.map(({ kind }) => kind)).toEqual(['timer_silent', 'timer_silent'])
    expect(new Set(seen.map(({ headers }) => headers['webhook-id'])).size).toBe(2)
    expect(await shop.anomalies()).toMatchObject([{ id: anomaly!.id }])
  })

  test('is the only thing told: every other message is left to the timer', async () => {
    await openSilent()
    shop.sandbox.pay(number)
    await noteAnomalies(shop.store, shop.nowS(), [
      { kind: 'bill_unread', out_sub_mch_id: '', out_trade_no: '', evidence: {} },
    ])
    expect((await shop.refresh(number)).body).toMatchObject({ state: 'paid' })
    expect(seen.map(({ kind }) => kind)).toEqual(['timer_silent'])
    const waiting = await shop.store.db
      .selectFrom('outbox')
      .select(['type', 'attempts'])
      .where('next_due_at_ms', 'is not', null)
      .orderBy('type')
      .execute()
    expect(waiting).toEqual([
      { type: 'anomaly', attempts: 0 },
      { type: 'order.paid', attempts: 0 },
    ])
  })

  test('is told on /notify once the notification is kept, and not for one that is refused', async () => {
    let kept = -1
    await openSilent()
    expect((await shop.tell(notice('another key'))).statusCode).toBe(401)
    expect(seen).toEqual([])
    reply = (response) =>
      void shop.inbox().then((rows) => {
        kept = rows.length
        response.end()
      })
    expect((await shop.tell(notice())).statusCode).toBe(200)
    expect([kept, seen.length]).toEqual([1, 1])
  })

  test('waits untouched while there is nobody to tell', async () => {
    await openSilent({ env: { MERCHANT_WEBHOOK_URL: '' } })
    expect((await shop.status(number)).statusCode).toBe(200)
    expect(await message()).toMatchObject({ attempts: 0, next_due_at_ms: expect.any(Number) })
  })
})

describe('the request that tells', () => {
  test.each<[string, () => Promise<{ statusCode: number }>]>([
    ['status', () => shop.status(number)],
    ['notify', () => shop.tell(notice())],
  ])(
    '%s is answered within a second when the merchant’s server hangs, and the message stays due',
    async (_, visit) => {
      await openSilent()
      reply = () => undefined
      fakeTimeouts()
      let code: number | undefined
      const visiting = visit().then(({ statusCode }) => (code = statusCode))
      await until(() => seen.length === 1)
      expect(code).toBeUndefined()
      jest.advanceTimersByTime(1000)
      await visiting
      expect(code).toBe(200)
      await until(async () => (await message())!.last_error === 'timeout')
      expect(await message()).toMatchObject({
        attempts: 1,
        delivered_at: null,
        next_due_at_ms: expect.any(Number),
      })
      jest.useRealTimers()
      reply = (response) => void response.end()
      shop.pass(60)
      await visit()
      expect([seen.length, (await message())!.next_due_at_ms]).toEqual([2, null])
    },
  )

  test('is answered within a second when the database hangs', async () => {
    await openSilent()
    shop.database.before = (sql) => {
      if (/from "outbox"/.test(sql)) shop.database.mood = 'stalled'
    }
    fakeTimeouts()
    const visiting = shop.tell(notice())
    await until(() => shop.database.mood === 'stalled')
    jest.advanceTimersByTime(1000)
    expect((await visiting).statusCode).toBe(200)
    shop.database.mood = 'well'
    expect(shop.counts()).toMatchObject({ 'timer.silence_not_told': 1 })
  })

  test('is answered when the merchant’s server refuses, and the message is tried again', async () => {
    await openSilent()
    reply = (response) => void response.writeHead(500).end()
    expect((await shop.tell(notice())).statusCode).toBe(200)
    expect(await message()).toMatchObject({ attempts: 1, last_error: 'http_500', delivered_at: null })
    reply = (response) => void response.end()
    shop.pass(60)
    expect((await shop.status(number)).statusCode).toBe(200)
    expect(await message()).toMatchObject({ attempts: 2, next_due_at_ms: null })
  })

  test('tells nobody when its own time is nearly up', async () => {
    await openSilent()
    const visit = (remainingMs: number) => shop.call('GET', `/orders/${number}`, { remainingMs })
    expect((await visit(300)).statusCode).toBe(200)
    expect(await shop.anomalyKinds()).toEqual([])
    expect((await visit(799)).statusCode).toBe(200)
    expect(await shop.anomalyKinds()).toEqual(['timer_silent'])
    expect(await message()).toMatchObject({ attempts: 0, next_due_at_ms: expect.any(Number) })
    shop.pass(60)
    expect((await visit(800)).statusCode).toBe(200)
    expect(seen).toHaveLength(1)
  })

  test('is answered when what it needs for telling cannot be read', async () => {
    await openSilent()
    shop.database.before = (sql) => {
      if (/from "outbox"/.test(sql)) throw new Error('disk I/O error')
    }
    expect((await shop.tell(notice())).statusCode).toBe(200)
    shop.database.before = undefined
    expect(shop.counts()).toMatchObject({ 'timer.silence_not_told': 1 })
    expect(seen).toEqual([])
  })
})

test('two instances that notice it at once tell it once', async () => {
  await openSilent()
  const file = await fileStore()
  const both = [file.store, file.open()]
  stores.push(...both)
  const alarm = { kind: 'timer_silent', out_sub_mch_id: '', out_trade_no: '', evidence: {} } as const
  let sends = 0
  const send: Send = async (...given) => {
    sends++
    return createSend()(...given)
  }
  const outboxOf = (store: Store): Outbox => ({
    store,
    clock: systemClock,
    random: systemRandom,
    log: () => undefined,
    webhook: { url, secret: new Secret(SECRET), allowPrivate: true },
    onMessage: undefined,
    send,
  })
  // Both have found the message before either goes on to claim it.
  let found = 0
  for (const store of both) {
    const run = store.connection.run.bind(store.connection)
    jest.spyOn(store.connection, 'run').mockImplementation(async (query) => {
      const said = await run(query)
      if (/from "outbox"/.test(query.sql)) {
        expect(said.rows).toHaveLength(1)
        found++
        await until(() => found === 2)
      }
      return said
    })
  }
  const notices = (store: Store) => async () => {
    await noteAnomalies(store, nowS(systemClock), [alarm])
    return true
  }
  const deadline: Deadline = { remainingMs: () => 10_000 }
  await Promise.all(both.map((store) => tellTimerSilence(outboxOf(store), notices(store), deadline)))
  expect([found, sends, seen.length]).toEqual([2, 1, 1])
  const [row] = await file.store.db.selectFrom('outbox').selectAll().execute()
  expect(row).toMatchObject({ attempts: 1, next_due_at_ms: null })
})
