import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { Secret } from '../../shared/base/secrets'
import { migrate } from '../../shared/store/migrate'
import { openStore, type Store } from '../../shared/store/open'
import { runStatements, type Server } from '../support/servers'
import { startTcpProxy, type TcpProxy } from '../support/tcpProxy'
import { until } from '../support/waiting'
import { freshNumber, openWorld, orderBody, testClock, type World } from '../support/world'

type Both = { dialect: 'mysql' | 'postgres'; servers: () => Promise<[Server, Server]> }

/** An account that may not write where nobody may, as ours is at a cloud: the tests' own may do anything. */
const ACCOUNT = {
  mysql: (database: string, name: string, password: string) => [
    `create database ${database} character set utf8mb4`,
    `create user ${name}@'%' identified by '${password}'`,
    `grant all on ${database}.* to ${name}@'%'`,
  ],
  postgres: (database: string, name: string, password: string) => [
    `create role ${name} login password '${password}'`,
    `create database ${database} owner ${name} template template0 encoding 'UTF8'`,
  ],
}

const READ_ONLY = {
  mysql: (on: boolean) => [`set global read_only = ${on ? 1 : 0}`],
  postgres: (on: boolean) => [
    `alter system set default_transaction_read_only = ${on ? 'on' : 'off'}`,
    'select pg_reload_conf()',
  ],
}

/** Two real servers behind one address: the one that had it goes on answering, and takes no writes any more. */
export function failoverContract({ dialect, servers }: Both): void {
  let old: Server, next: Server
  let proxy: TcpProxy
  let store: Store
  let world: World
  const name = `t${randomBytes(4).toString('hex')}`
  const password = randomBytes(8).toString('hex')
  const clock = testClock()

  const urlOf = (address: { hostname: string; port: string | number }) =>
    `${dialect}://${name}:${password}@${address.hostname}:${address.port}/${name}`
  const open = (url: string) => openStore({ dialect, url: new Secret(url) }, clock)
  // By an account that may set it back, whatever it is set to.
  const readOnly = (server: Server, on: boolean) => runStatements(server.url, READ_ONLY[dialect](on))

  beforeAll(async () => {
    ;[old, next] = await servers()
    for (const server of [old, next]) {
      await runStatements(server.url, ACCOUNT[dialect](name, name, password))
      const own = open(urlOf(new URL(server.url)))
      await migrate(own)
      await own.close()
    }
  })

  beforeEach(async () => {
    clock.nowMsValue = Date.now()
    proxy = await startTcpProxy(new URL(old.url))
    store = open(urlOf({ hostname: '127.0.0.1', port: proxy.port }))
    world = await openWorld({ clock, store })
  })

  afterEach(async () => {
    await store.close()
    await proxy.close()
    await readOnly(old, false)
  })

  /** A session of PostgreSQL hears of it a moment later. */
  async function heard(): Promise<void> {
    if (dialect === 'mysql') return
    const isHeard = async () => {
      const { rows } = await sql<{ default_transaction_read_only: string }>`
        show default_transaction_read_only`.execute(store.db)
      return rows[0]!.default_transaction_read_only === 'on'
    }
    while (!(await isHeard()));
  }

  const countOn = async (server: Server, out_trade_no: string): Promise<number> => {
    const own = open(urlOf(new URL(server.url)))
    const found = own.db.selectFrom('orders').select('state').where('out_trade_no', '=', out_trade_no)
    const { length } = await found.execute()
    await own.close()
    return length
  }
  const create = (out_trade_no: string) => world.create(orderBody({ out_trade_no }))

  test('a warm instance answers 503 once, says nothing twice, and goes on with the new server', async () => {
    expect(await create(freshNumber())).toMatchObject({ statusCode: 201 })
    expect(proxy.accepted()).toBe(1)
    await readOnly(old, true)
    proxy.leadTo(new URL(next.url))
    await heard()

    const asked = world.sent().length
    const number = freshNumber()
    expect(await create(number)).toMatchObject({ statusCode: 503, body: { code: 'database_unavailable' } })
    expect(world.sent()).toHaveLength(asked)
    expect([await countOn(old, number), await countOn(next, number)]).toEqual([0, 0])

    expect(await create(number)).toMatchObject({ statusCode: 201 })
    expect([await countOn(old, number), await countOn(next, number)]).toEqual([0, 1])
    expect(await world.status(number)).toMatchObject({ statusCode: 200, body: { state: 'pending' } })
    expect(proxy.accepted()).toBe(2)
  })

  test('a disk that is full answers the same: a new connection every five seconds, not at every call', async () => {
    expect(await create(freshNumber())).toMatchObject({ statusCode: 201 })
    await readOnly(old, true)
    await heard()
    for (let call = 0; call < 10; call++) expect((await create(freshNumber())).statusCode).toBe(503)
    expect(proxy.accepted()).toBe(2)
    clock.nowMsValue! += 5000
    for (let call = 0; call < 10; call++) expect((await create(freshNumber())).statusCode).toBe(503)
    expect(proxy.accepted()).toBe(3)
    // What can be read is read all along.
    expect((await world.status(freshNumber())).statusCode).toBe(404)

    await readOnly(old, false)
    const number = freshNumber()
    await until(async () => (await create(number)).statusCode === 201)
    expect(proxy.accepted()).toBe(3)
  })

  test('a connection that nobody has used for a minute is left, and nobody hears of it', async () => {
    const number = freshNumber()
    expect(await create(number)).toMatchObject({ statusCode: 201 })
    clock.nowMsValue! += 59_999
    expect((await world.status(number)).statusCode).toBe(200)
    expect(proxy.accepted()).toBe(1)
    clock.nowMsValue! += 60_000
    proxy.leadTo(new URL(next.url))
    expect((await create(freshNumber())).statusCode).toBe(201)
    expect([proxy.accepted(), proxy.held()]).toEqual([2, 1])
  })
}
