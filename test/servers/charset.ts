import { lookAtDatabase } from '../../cli/doctor/database'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { setMark } from '../../shared/store/marks'
import { migrate } from '../../shared/store/migrate'
import { openStore, type Store } from '../../shared/store/open'
import { runStatements, type Server } from '../support/servers'
import { freshNumber, openWorld, orderBody } from '../support/world'

const TEXT = '奶茶🧋'
/** What a driver quotes of it. */
const QUOTED = /\\\\?xF0|0xf0|🧋|奶茶/i

/** Opens stores, and closes them after the test. */
function storeOpener(dialect: 'mysql' | 'postgres'): (url: string) => Store {
  const opened: Store[] = []
  afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
  return (url) => {
    const store = openStore({ dialect, url: new Secret(url) }, systemClock)
    opened.push(store)
    return store
  }
}

const say = (url: string, statement: string) => runStatements(url, [statement])

const charsetOf = async (url: string) =>
  (await lookAtDatabase({ DATABASE_URL: url }, systemClock)).filter(({ of }) => of === 'charset')

const refusal = (store: Store) => migrate(store).then(String, (error: unknown) => String(error))

/** `stubborn`: a server that takes no notice of the charset a client asks for when it connects. */
export function mysqlCharsetContract(stubborn: () => Promise<Server>): void {
  const open = storeOpener('mysql')

  test.each(['latin1', 'utf8mb3'])(
    'a server that would rather speak %s gets the same text, and gives it back',
    async (charset) => {
      const server = await stubborn()
      await say(server.url, `set global character_set_server = '${charset}'`)
      const url = await server.freshDatabase()
      await migrate(open(url))
      const world = await openWorld({ store: open(url) })
      const body = orderBody({
        out_trade_no: freshNumber(),
        body: TEXT,
        remark: 'sandbox:silent,silent,silent',
      })
      expect((await world.create(body)).statusCode).toBe(504)
      // Another instance says it again, as it was stored.
      const again = await openWorld({ store: open(url), sandbox: world.sandbox })
      await again.create(body)
      const texts = world.sandbox.received.flatMap(({ interface: one, request_content }) =>
        one === 'official_account_pay' ? [request_content] : [],
      )
      expect(texts.length).toBeGreaterThan(1)
      expect(new Set(texts).size).toBe(1)
      expect(texts[0]).toContain(TEXT)
    },
  )

  test('a column that cannot hold the text is named in the log, and nobody is told to try again', async () => {
    const url = await (await stubborn()).freshDatabase()
    await migrate(open(url))
    await say(url, 'alter table orders modify request_content mediumtext character set utf8mb3 not null')
    const world = await openWorld({ store: open(url) })
    const { statusCode, body } = await world.create(orderBody({ body: TEXT }))
    expect([statusCode, body.code]).toEqual([503, 'configuration'])
    expect(world.sandbox.received).toEqual([])
    const log = JSON.stringify(world.log)
    expect(log).toContain('column request_content of the database cannot hold a value')
    expect(log).not.toMatch(QUOTED)

    expect(await charsetOf(url)).toEqual([
      {
        of: 'charset',
        is: 'wrong',
        said: expect.stringMatching(/^orders\.request_content is utf8(mb3)?$/),
        cure: 'ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin.',
      },
    ])
    expect(await refusal(open(url))).toMatch(/^ConfigurationFault: orders\.request_content is utf8/)
    // As the doctor said.
    await say(url, 'alter table orders convert to character set utf8mb4 collate utf8mb4_bin')
    expect(await charsetOf(url)).toMatchObject([{ is: 'ok' }])
    expect((await world.create(orderBody({ body: TEXT }))).statusCode).toBe(201)
  })

  test('a new database that is not utf8mb4 is refused; one whose tables are ours already is not', async () => {
    const server = await stubborn()
    const [latin, grown] = [await server.freshDatabase(), await server.freshDatabase()]
    const nameOf = (url: string) => new URL(url).pathname.slice(1)
    await migrate(open(grown))
    for (const url of [latin, grown]) await say(url, `alter database ${nameOf(url)} character set latin1`)
    expect(await refusal(open(latin))).toMatch(/^ConfigurationFault: the database is latin1: ALTER DATABASE/)
    expect(await charsetOf(latin)).toMatchObject([{ is: 'wrong', said: 'the database is latin1' }])
    expect(await migrate(open(grown))).toEqual({ applied: [], pending: [] })
  })
}

export function postgresCharsetContract(launched: () => Promise<Server>): void {
  const open = storeOpener('postgres')

  test('a database that is not UTF8 is refused, and what does not fit is no outage', async () => {
    const { url } = await launched()
    await say(url, `create database narrow template template0 encoding 'LATIN1'`)
    const narrow = Object.assign(new URL(url), { pathname: '/narrow' }).href
    expect(await refusal(open(narrow))).toMatch(
      /^ConfigurationFault: the database is LATIN1: CREATE DATABASE/,
    )
    expect(await charsetOf(narrow)).toMatchObject([{ is: 'wrong', said: 'the database is LATIN1' }])
    await say(narrow, 'create table marks (name text primary key, value text, at_ms bigint)')
    const fault = await setMark(open(narrow), 'timer', TEXT).catch((error: unknown) => error)
    expect(fault).toMatchObject({
      code: 'configuration',
      cause: { faults: [expect.stringMatching(/^a column of the database cannot hold a value \(22P05\)/)] },
    })
  })
}
