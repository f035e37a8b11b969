import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { Secret } from '../../shared/base/secrets'
import { systemClock, type Clock } from '../../shared/base/time'
import { migrate } from '../../shared/store/migrate'
import { openStore, type Store } from '../../shared/store/open'
import { findOrder, insertOrder, listEvents, moveOrder } from '../../shared/store/orders'
import { killChildren, startChild } from '../support/children'
import { MIGRATIONS } from '../support/migrationNames'
import { newOrder } from '../support/orders'
import { until } from '../support/waiting'
import { describeContracts } from './contracts'
import { openFile } from './ready'

const storeAt = (url: string, clock: Clock = systemClock): Store =>
  openStore({ dialect: 'sqlite', url: new Secret(url) }, clock)

let dir: string
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'store-'))))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

let files = 0
/** In a folder that is not there yet: the store makes it. */
const freshFile = () => `sqlite:${join(dir, 'made by the store', `${++files}.db`)}`

describe('a store on SQLite', () => {
  describeContracts({
    dialect: 'sqlite',
    start: async () => ({ freshDatabase: async () => freshFile(), openSession: openFile }),
  })
})

describe('a file of SQLite', () => {
  const moveOn = { at: 1, kind: 'moved', detail: {} } as const
  let url: string
  let store: Store
  beforeEach(async () => {
    url = freshFile()
    store = storeAt(url)
    await migrate(store)
  })
  afterEach(() => store.close())
  afterEach(killChildren)

  test('lives in memory too', async () => {
    const memory = storeAt('sqlite::memory:')
    expect((await migrate(memory)).applied).toEqual(MIGRATIONS)
    const order = newOrder()
    expect(await insertOrder(memory, order, 1000)).toBe('done')
    const before = await findOrder(memory, order)
    expect(await moveOrder(memory, before!, { state: 'paid' }, moveOn)).toBe('done')
    expect(await findOrder(memory, order)).toMatchObject({ state: 'paid', version: 2 })
    // Every store in memory is one of its own.
    const another = storeAt('sqlite::memory:')
    await migrate(another)
    expect(await findOrder(another, order)).toBeUndefined()
    await Promise.all([memory.close(), another.close()])
  })

  test('waits for another writer without holding up this process, and then writes', async () => {
    const order = newOrder()
    await insertOrder(store, order, 1000)
    const before = await findOrder(store, order)
    const writer = await openFile(url)
    await writer.rows('begin immediate')
    let sleeps = 0
    const sleep = (ms: number) => (sleeps++, systemClock.sleep(ms))
    const waiting = storeAt(url, { ...systemClock, sleep })
    // The driver itself would wait by holding up the process: it is told not to.
    expect((await sql`pragma busy_timeout`.execute(waiting.db)).rows).toEqual([{ timeout: 0 }])
    let outcome: unknown
    const moving = moveOrder(waiting, before!, { state: 'paid' }, moveOn).then((is) => (outcome = is))
    const reader = storeAt(url)
    await until(() => sleeps >= 10)
    // Readers do not wait for writers.
    expect(await findOrder(reader, order)).toMatchObject({ state: 'created' })
    expect(outcome).toBeUndefined()
    await writer.rows('commit')
    expect(await moving).toBe('done')
    await Promise.all([writer.close(), reader.close(), waiting.close()])
  })

  test('loses to a writer that never ends, and writes when it has', async () => {
    // With a clock that does not wait, the limit comes at once.
    const hurried = storeAt(url, { ...systemClock, sleep: () => Promise.resolve() })
    const order = newOrder()
    await insertOrder(hurried, order, 1000)
    const before = await findOrder(hurried, order)
    const writer = await openFile(url)
    await writer.rows('begin immediate')
    expect(await moveOrder(hurried, before!, { state: 'paid' }, moveOn)).toBe('lost')
    await writer.rows('rollback')
    expect(await moveOrder(hurried, before!, { state: 'paid' }, moveOn)).toBe('done')
    await Promise.all([writer.close(), hurried.close()])
  })

  const opened = `
    const { openStore } = load('shared/store/open.ts')
    const { findOrder, moveOrder } = load('shared/store/orders.ts')
    const { Secret } = load('shared/base/secrets.ts')
    const { systemClock } = load('shared/base/time.ts')
    const key = JSON.parse(await told())
    const store = openStore({ dialect: 'sqlite', url: new Secret(key.url) }, systemClock)`

  test('is written by two processes at the same time, and loses nothing', async () => {
    const { out_sub_mch_id, out_trade_no } = newOrder()
    const order = newOrder({ out_sub_mch_id, out_trade_no })
    await insertOrder(store, order, 1000)
    const writing = `${opened}
      console.log('ready')
      await told()
      let done = 0, lost = 0
      while (done < 200 && lost < 20_000) {
        const order = await findOrder(store, key)
        const outcome = await moveOrder(store, order, { jsapi_args: String(process.pid) }, {
          at: 1, kind: 'moved', detail: { by: process.pid } })
        if (outcome === 'done') done++
        else if (outcome === 'lost') lost++
      }
      console.log(JSON.stringify({ done, lost, pid: process.pid }))`
    const children = [startChild(writing), startChild(writing)]
    for (const child of children) child.say(JSON.stringify({ url, out_sub_mch_id, out_trade_no }))
    for (const child of children) expect(await child.line()).toBe('ready')
    for (const child of children) child.say('go')
    const reports = await Promise.all(
      children.map(async (child) => JSON.parse((await child.line()) ?? 'null') as Record<string, number>),
    )
    for (const child of children) expect(await child.ended).toBe(0)

    expect(reports.map((report) => report.done)).toEqual([200, 200])
    const events = await listEvents(store, order)
    expect(await findOrder(store, order)).toMatchObject({ version: 401 })
    expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 401 }, (_, i) => i + 1))
    for (const { pid } of reports) {
      expect(events.filter((event) => event.detail.by === pid)).toHaveLength(200)
    }
  })

  test('forgets the half a killed process has written, and goes on', async () => {
    const order = newOrder()
    await insertOrder(store, order, 1000)
    const before = await findOrder(store, order)
    const child = startChild(`${opened}
      await store.db.transaction().execute(async (trx) => {
        await trx.updateTable('orders').set({ state: 'paid', version: 2 }).execute()
        console.log((await trx.selectFrom('orders').select('state').executeTakeFirst()).state)
        await told()
      })`)
    child.say(JSON.stringify({ url }))
    expect(await child.line()).toBe('paid')
    child.kill('SIGKILL')
    expect(await child.ended).toBe('SIGKILL')

    const next = storeAt(url)
    for (const each of [store, next]) {
      expect(await findOrder(each, order)).toMatchObject({ state: 'created', version: 1 })
    }
    expect(await moveOrder(store, before!, { state: 'pending' }, moveOn)).toBe('done')
    expect(await listEvents(next, order)).toHaveLength(2)
    await next.close()
    const file = await openFile(url)
    expect(await file.rows('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
    await file.close()
  })
})
