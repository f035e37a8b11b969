import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { ConfigurationFault } from '../../../shared/base/config'
import { createLog } from '../../../shared/base/log'
import { systemRandom } from '../../../shared/base/random'
import { Secret } from '../../../shared/base/secrets'
import { deadlineAfter, nowS, systemClock, type Deadline } from '../../../shared/base/time'
import { createSend, type Send } from '../../../shared/net/send'
import { deliverDue, type Outbox } from '../../../shared/outbox/deliver'
import { LADDER_MS, TRY_AT_LEAST_S } from '../../../shared/outbox/ladder'
import type { Store } from '../../../shared/store/open'
import { noteAnomalies } from '../../../shared/store/beside'
import { openTestDatabase } from '../../support/testDatabase'
import { fakeTimeouts, settled, until } from '../../support/waiting'
import { fileStore, testClock, type World } from '../../support/world'

const SECRET = `whsec_${Buffer.from('a secret of exactly 32 bytes!!!!').toString('base64')}`
const LONG: Deadline = { remainingMs: () => 60_000 }
const SUB = 'sandboxsub0000000001'

/** By the watch that `fakeTimeouts` stops. */
const watched = (ms: number): Deadline => {
  const startMs = performance.now()
  return { remainingMs: () => ms - (performance.now() - startMs) }
}

type Seen = { id: string; headers: IncomingHttpHeaders; body: string }

let store: Store
let clock: World['clock']
let log: string
let seen: Seen[]
let url: string
let server: Server
let reply: (seen: Seen, response: Parameters<RequestListener>[1]) => void
const stores: Store[] = []

beforeEach(async () => {
  clock = testClock()
  // Of today, because the library of the other side compares with its own watch; it stands still until a test moves it.
  clock.nowMsValue = Math.floor(systemClock.nowMs() / 1000) * 1000
  store = (await openTestDatabase(clock)).store
  stores.push(store)
  log = ''
  seen = []
  reply = (_, response) => void response.end('thanks')
  server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const one = { id: String(request.headers['webhook-id']), headers: request.headers, body }
      seen.push(one)
      reply(one, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`
})
afterEach(async () => {
  jest.useRealTimers()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  for (const one of stores.splice(0)) await one.close()
})

const outbox = (changes: Partial<Outbox> = {}): Outbox => ({
  store,
  clock,
  random: systemRandom,
  // Without the secret among those it would strike out: it must not come as far as that.
  log: createLog((line) => (log += line), []),
  webhook: { url, secret: new Secret(SECRET), allowPrivate: true },
  onMessage: undefined,
  send: createSend(),
  ...changes,
})

/** Anomalies come with a message each, so they are an easy way to have some. */
async function putMessages(count: number, into = store): Promise<string[]> {
  for (let nth = 1; nth <= count; nth++) {
    const evidence = { note: '湖心奶茶🧋 "quoted"' }
    const anomaly = {
      kind: 'order_unresolved',
      out_sub_mch_id: SUB,
      out_trade_no: `t${nth}`,
      evidence,
    } as const
    await noteAnomalies(into, nowS(clock), [anomaly])
  }
  return (await rows(into)).map(({ id }) => id)
}

const rows = (from = store) => from.db.selectFrom('outbox').selectAll().orderBy('id').execute()
const anomalies = (kind: 'webhook_undelivered') =>
  store.db.selectFrom('anomalies').selectAll().where('kind', '=', kind).execute()
const makeDue = (of = store) =>
  of.db
    .updateTable('outbox')
    .set((eb) => ({ next_due_at_ms: eb('attempts', '+', 1) }))
    .where('next_due_at_ms', 'is not', null)
    .execute()
const status = (code: number, headers = {}) => {
  reply = (_, response) => void response.writeHead(code, headers).end('no')
}

describe('a message', () => {
  test('is delivered, signed so that the library of the other side accepts it', async () => {
    const [id] = await putMessages(1)
    expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 1, failed: 0, gaveUp: 0 })
    const [row] = await rows()
    expect(row).toMatchObject({ attempts: 1, next_due_at_ms: null, last_error: null })
    expect(Number(row!.delivered_at)).toBe(nowS(clock))
    const [{ headers, body }] = seen as [Seen]
    expect(body).toBe(row!.payload)
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': id })
    expect(headers.authorization).toBeUndefined()
    const verify = (text: string, by = SECRET) =>
      new Webhook(by).verify(text, headers as Record<string, string>)
    expect(verify(body)).toEqual(JSON.parse(row!.payload))
    expect(() => verify(body.replace('t1', 't2'))).toThrow()
    expect(() => verify(body, 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')).toThrow()
    // Nothing is left to do.
    expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 0, failed: 0, gaveUp: 0 })
    expect(seen).toHaveLength(1)
  })

  test.each([200, 201, 202, 204, 299])('is delivered when the answer is %d', async (code) => {
    await putMessages(1)
    status(code)
    expect(await deliverDue(outbox(), LONG)).toMatchObject({ delivered: 1 })
  })

  test.each([300, 301, 302, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503])(
    'is not delivered when the answer is %d, and no redirect is followed',
    async (code) => {
      await putMessages(1)
      status(code, { location: '/elsewhere' })
      expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 0, failed: 1, gaveUp: 0 })
      expect(seen).toHaveLength(1)
      expect((await rows())[0]).toMatchObject({ attempts: 1, last_error: `http_${code}`, delivered_at: null })
    },
  )

  test('keeps its id in every attempt, and is signed anew', async () => {
    const [id] = await putMessages(1)
    status(503)
    const firstS = nowS(clock)
    await deliverDue(outbox(), LONG)
    clock.nowMsValue! += 7_000
    await makeDue()
    reply = (_, response) => void response.end()
    expect(await deliverDue(outbox(), LONG)).toMatchObject({ delivered: 1 })
    expect(seen.map((one) => [one.id, one.headers['webhook-timestamp']])).toEqual([
      [id, `${firstS}`],
      [id, `${firstS + 7}`],
    ])
    const signatures = seen.map(({ headers }) => headers['webhook-signature'])
    expect(new Set(signatures).size).toBe(2)
    expect(seen[1]!.body).toBe(seen[0]!.body)
  })

  test('is not asked about twice: an answer without end counts by its status, and is not logged', async () => {
    await putMessages(1)
    let open = true
    reply = (_, response) => {
      response.on('close', () => (open = false))
      const more = () =>
        void (response.destroyed || response.write('tell'.repeat(4096), () => setImmediate(more)))
      more()
    }
    expect(await deliverDue(outbox(), LONG)).toMatchObject({ delivered: 1 })
    await until(() => !open)
    expect(log).not.toContain('telltell')
  })

  test('does not go to an address inside', async () => {
    await putMessages(1)
    const to = (target: string) => ({ url: target, secret: new Secret(SECRET), allowPrivate: false })
    expect(await deliverDue(outbox({ webhook: to(url) }), LONG)).toMatchObject({ failed: 1 })
    expect((await rows())[0]!.last_error).toBe('url_refused')
    await makeDue()
    const inside = to(url.replace('http:', 'https:'))
    expect(await deliverDue(outbox({ webhook: inside }), LONG)).toMatchObject({ failed: 1 })
    expect((await rows())[0]!.last_error).toBe('address_refused')
    expect(seen).toHaveLength(0)
  })
})

describe('trying again', () => {
  test('goes up the ladder for a day and more, then gives up with one anomaly that breeds no other', async () => {
    await putMessages(3)
    status(500)
    const startMs = clock.nowMs()
    for (const [nth, rung] of LADDER_MS.entries()) {
      expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 0, failed: 3, gaveUp: 0 })
      const waits: number[] = []
      for (const row of await rows()) {
        expect(row.attempts).toBe(nth + 1)
        waits.push(Number(row.next_due_at_ms) - clock.nowMs())
      }
      const [shortest, longest] = [Math.min(...waits), Math.max(...waits)]
      expect(shortest).toBeGreaterThanOrEqual(Math.floor(rung * 0.9))
      expect(longest).toBeLessThanOrEqual(Math.ceil(rung * 1.1))
      clock.nowMsValue! += shortest - 1
      expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 0, failed: 0, gaveUp: 0 })
      clock.nowMsValue! += longest - shortest + 1
    }
    expect(clock.nowMs() - startMs).toBeGreaterThan(TRY_AT_LEAST_S * 1000)
    // The fourth is the anomaly, which is a message as well: it is due at once.
    expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 0, failed: 1, gaveUp: 3 })
    expect(seen).toHaveLength(3 * 8 + 1)
    expect(new Set(seen.map(({ id }) => id)).size).toBe(4)

    const given = (await rows()).filter(({ next_due_at_ms }) => next_due_at_ms === null)
    expect(given).toHaveLength(3)
    for (const row of given) expect(row).toMatchObject({ delivered_at: null, last_error: 'http_500' })
    expect(await anomalies('webhook_undelivered')).toMatchObject([
      { out_sub_mch_id: SUB, out_trade_no: '', times: 3, resolved_at: null },
    ])

    // It fares no better, and that is the end of it.
    expect(await rows()).toHaveLength(4)
    for (let nth = 1; nth <= 8; nth++) {
      await deliverDue(outbox(), LONG)
      clock.nowMsValue! += 15 * 3600 * 1000
      await makeDue()
    }
    expect(await rows()).toHaveLength(4)
    expect(await anomalies('webhook_undelivered')).toMatchObject([{ times: 4 }])
    expect((await rows()).every(({ next_due_at_ms }) => next_due_at_ms === null)).toBe(true)
    expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 0, failed: 0, gaveUp: 0 })
  })

  test('attempts that died with their instance do not make it give up within the day', async () => {
    await putMessages(1)
    await store.db.updateTable('outbox').set({ attempts: 20 }).execute()
    status(500)
    expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 0, failed: 1, gaveUp: 0 })
    expect(await anomalies('webhook_undelivered')).toEqual([])
  })
})

describe('side by side', () => {
  test('a slow server is left in time, and the other messages do not wait for it', async () => {
    const ids = await putMessages(6)
    reply = ({ id }, response) => {
      if (id !== ids[0]) response.end()
    }
    fakeTimeouts()
    const deadline = watched(4000)
    const delivering = deliverDue(outbox(), deadline)
    // No time passes until all the others have been delivered.
    await until(async () => (await rows()).filter((row) => row.delivered_at !== null).length === 5)
    expect((await rows())[0]).toMatchObject({ delivered_at: null, last_error: null })
    jest.advanceTimersByTime(3999)
    expect(await delivering).toEqual({ delivered: 5, failed: 1, gaveUp: 0 })
    expect(deadline.remainingMs()).toBe(1)
    expect((await rows())[0]).toMatchObject({ attempts: 1, last_error: 'timeout' })
  })

  test('at most four at once', async () => {
    await putMessages(11)
    let now = 0
    let over = 0
    let most = 0
    const send: Send = async () => {
      most = Math.max(most, ++now)
      // Whoever may begin beside this one has begun by then: the database is in this process.
      await until(() => now === Math.min(4, 11 - over))
      await settled()
      now--
      over++
      return 200
    }
    expect(await deliverDue(outbox({ send }), LONG)).toMatchObject({ delivered: 11 })
    expect(most).toBe(4)
  })

  test('more than a batch is delivered in one run', async () => {
    const ids = await putMessages(50)
    expect(await deliverDue(outbox(), LONG)).toEqual({ delivered: 50, failed: 0, gaveUp: 0 })
    expect(seen.map(({ id }) => id).sort()).toEqual(ids)
  })

  test('two deliverers at once send each message once', async () => {
    const file = await fileStore()
    const others = [file.store, file.open(), file.open()]
    stores.push(...others)
    const ids = await putMessages(30, file.store)
    const tallies = await Promise.all(others.map((store) => deliverDue(outbox({ store }), LONG)))
    expect(seen.map(({ id }) => id).sort()).toEqual(ids)
    expect(tallies.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(30)
  })

  test('who dies between sending and writing it down has it sent again, with the same id; and says nothing late', async () => {
    const file = await fileStore()
    const other = file.open()
    stores.push(file.store, other)
    const [id] = await putMessages(1, file.store)
    const beforeMs = systemClock.nowMs()
    let wake: () => void = () => undefined
    const frozen = new Promise<void>((resolve) => (wake = resolve))
    const send: Send = async (...given) => {
      const status = await createSend()(...given)
      await frozen
      return status
    }
    const first = deliverDue(outbox({ store: file.store, send }), LONG)
    await until(() => seen.length > 0)
    // Claimed: nobody else takes it before the lease is over …
    expect(await deliverDue(outbox({ store: other }), LONG)).toMatchObject({ delivered: 0 })
    expect(Number((await rows(other))[0]!.next_due_at_ms)).toBeGreaterThan(beforeMs + 10_000 + 5_000)
    // … and then somebody does, and fails.
    await makeDue(other)
    status(500)
    expect(await deliverDue(outbox({ store: other }), LONG)).toMatchObject({ failed: 1 })
    expect(seen.map((one) => one.id)).toEqual([id, id])
    const [before] = await rows(other)
    wake()
    await first
    expect(await rows(other)).toEqual([before])
    expect(before).toMatchObject({ attempts: 2, delivered_at: null, last_error: 'http_500' })
  })

  test('nothing new is begun when the time is nearly up', async () => {
    await putMessages(12)
    const attempts: [remaining: number, timeout: number][] = []
    const deadline = deadlineAfter(clock, 13_000)
    const send: Send = async (_url, _body, { timeoutMs }) => {
      attempts.push([deadline.remainingMs(), timeoutMs])
      await settled()
      clock.nowMsValue! += 1_500
      return 200
    }
    const { delivered } = await deliverDue(outbox({ send }), deadline)
    expect(delivered).toBe(attempts.length)
    expect(delivered).toBeGreaterThan(3)
    expect(delivered).toBeLessThan(12)
    expect(attempts[0]).toEqual([13_000, 10_000])
    for (const [remaining, timeout] of attempts) expect(timeout).toBeLessThanOrEqual(remaining - 1000)
    const untouched = (await rows()).filter(({ attempts }) => attempts === 0)
    expect(untouched).toHaveLength(12 - delivered)
    expect(await deliverDue(outbox({ send }), { remainingMs: () => 2_900 })).toMatchObject({ delivered: 0 })
  })

  test('a database that fails is heard of, when all attempts under way are over', async () => {
    await putMessages(4)
    let under = 0
    let broken = false
    const send: Send = async (_url, body) => {
      under++
      const last = body.includes('t4')
      await until(() => (last ? broken && under === 1 : broken || under === 4))
      // By then the others have been told that they cannot write.
      if (last) await settled()
      broken = true
      if (!last)
        await store.db.schema
          .alterTable('outbox')
          .renameTo('gone')
          .execute()
          .catch(() => undefined)
      else await store.db.schema.alterTable('gone').renameTo('outbox').execute()
      under--
      return 200
    }
    await expect(deliverDue(outbox({ send }), LONG)).rejects.toMatchObject({ code: 'database_unavailable' })
    expect(under).toBe(0)
    expect((await rows()).filter(({ delivered_at }) => delivered_at !== null)).toHaveLength(1)
  })
})

describe('who is told', () => {
  test('nobody: messages wait untouched, and go out once there is a webhook', async () => {
    await putMessages(2)
    const before = await rows()
    expect(await deliverDue(outbox({ webhook: undefined }), LONG)).toEqual({
      delivered: 0,
      failed: 0,
      gaveUp: 0,
    })
    expect(await rows()).toEqual(before)
    expect(await deliverDue(outbox(), LONG)).toMatchObject({ delivered: 2 })
  })

  test('a hook alone', async () => {
    const [id] = await putMessages(1)
    const told: unknown[] = []
    const onMessage = async (message: unknown) => void told.push(message)
    expect(await deliverDue(outbox({ webhook: undefined, onMessage }), LONG)).toMatchObject({ delivered: 1 })
    expect(told).toEqual([{ id, type: 'anomaly', payload: (await rows())[0]!.payload }])
    expect(seen).toHaveLength(0)
  })

  test.each([
    ['rejects', async () => Promise.reject(new Error('no room'))],
    [
      'throws',
      () => {
        throw new Error('no room')
      },
    ],
  ])('a hook that %s is told again', async (_how, fails) => {
    await putMessages(1)
    const onMessage = jest.fn<Promise<void>, [{ id: string }]>().mockImplementationOnce(fails)
    const alone = outbox({ webhook: undefined, onMessage })
    expect(await deliverDue(alone, LONG)).toEqual({ delivered: 0, failed: 1, gaveUp: 0 })
    expect((await rows())[0]).toMatchObject({ attempts: 1, last_error: 'hook_failed' })
    // Its author wants to know why.
    expect(log).toContain('no room')
    await makeDue()
    onMessage.mockResolvedValue()
    expect(await deliverDue(alone, LONG)).toMatchObject({ delivered: 1 })
    expect(onMessage.mock.calls[1]![0].id).toBe(onMessage.mock.calls[0]![0].id)
  })

  test('a hook that never returns is not waited for', async () => {
    await putMessages(1)
    let told = false
    const onMessage = () => ((told = true), new Promise<void>(() => undefined))
    fakeTimeouts()
    const deadline = watched(3600)
    const delivering = deliverDue(outbox({ webhook: undefined, onMessage }), deadline)
    await until(() => told)
    jest.advanceTimersByTime(3599)
    expect(await delivering).toMatchObject({ failed: 1 })
    expect((await rows())[0]).toMatchObject({ last_error: 'hook_timeout' })
  })

  test('both: only when both took it is it delivered, and until then both are told again', async () => {
    await putMessages(1)
    const onMessage = jest.fn(async () => undefined)
    const both = outbox({ onMessage })
    status(500)
    expect(await deliverDue(both, LONG)).toMatchObject({ failed: 1 })
    await makeDue()
    status(200)
    onMessage.mockRejectedValueOnce(new Error('no'))
    expect(await deliverDue(both, LONG)).toMatchObject({ failed: 1 })
    await makeDue()
    expect(await deliverDue(both, LONG)).toMatchObject({ delivered: 1 })
    expect([onMessage.mock.calls.length, seen.length]).toEqual([3, 3])
  })
})

test.each(['whsec_', 'whsec_not base64!', 'whsec_AAA', ''])(
  'the secret %j is a fault of the configuration; no attempt is used up',
  async (text) => {
    await putMessages(1)
    const webhook = { url, secret: new Secret(text), allowPrivate: true }
    await expect(deliverDue(outbox({ webhook }), LONG)).rejects.toBeInstanceOf(ConfigurationFault)
    expect((await rows())[0]).toMatchObject({ attempts: 0 })
    expect(seen).toHaveLength(0)
  },
)

test('no secret, signature, answer, payload or URL is in any line of the log or the database', async () => {
  await putMessages(4)
  const webhook = { url: `${url}?token=hunter2`, secret: new Secret(SECRET), allowPrivate: true }
  let nth = 0
  reply = (_, response) => {
    nth++
    if (nth === 1) response.socket?.destroy()
    else if (nth === 2) response.writeHead(500).end('answer of hunter3')
    else response.end('answer of hunter3')
  }
  await deliverDue(outbox({ webhook }), LONG)
  await makeDue()
  await deliverDue(outbox({ webhook: { ...webhook, allowPrivate: false } }), LONG)
  const told = log + (await rows()).map(({ last_error }) => last_error).join()
  expect(log.split('\n').length).toBeGreaterThan(5)
  for (const secret of [SECRET, SECRET.slice(6), 'hunter2', 'hunter3', '湖心', 'v1,']) {
    expect(told).not.toContain(secret)
  }
  for (const { headers } of seen) expect(told).not.toContain(String(headers['webhook-signature']).slice(3))
})
