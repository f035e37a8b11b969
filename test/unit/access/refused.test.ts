import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { routes as notifyRoutes } from '../../../functions/notify'
import { routes as sessionRoutes } from '../../../functions/session'
import { createLogins } from '../../../local/sandbox/logins'
import { peopleEnv } from '../../../local/sandbox/people'
import { createSandbox } from '../../../local/sandbox/sandbox'
import { appOpener } from '../../../shared/app'
import { systemRandom } from '../../../shared/base/random'
import { systemClock } from '../../../shared/base/time'
import { door } from '../../../shared/http/door'
import { DATA_KEY } from '../../support/trade'
import { freshSecret } from '../../support/town'
import { freshNumber, orderBody, openWorld, testEnv } from '../../support/world'

/** A real listener in the place of the database: whoever opens a connection is counted. */
async function listen() {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return { port, connections: () => connections, close: () => server.close() }
}

/** The functions as they are opened in a new instance, with their own way of connecting. */
function instance(routes: typeof notifyRoutes, port: number, DATA_KEYS: string) {
  let asked = 0
  const logins = createLogins({ clock: systemClock, random: systemRandom })
  const env = {
    ...testEnv,
    CALLERS: '',
    ...peopleEnv('http://127.0.0.1:1', logins),
    DATA_KEYS,
    DATABASE_URL: `mysql://user:password@127.0.0.1:${port}/orders`,
  }
  const askNobody = async () => {
    asked++
    throw new Error('asked')
  }
  const clock = { ...systemClock, nowMs: () => nowMs }
  const nowMs = Date.now()
  const open = appOpener(env, {
    connectsLate: true,
    write: () => undefined,
    clock,
    post: askNobody,
    ask: askNobody,
  })
  const handle = door(open, open.log, routes)
  const visit = (path: string, body: Buffer | string, headers: Record<string, string> = {}) =>
    handle(
      {
        httpMethod: 'POST',
        path,
        headers,
        queryString: {},
        body: Buffer.from(body).toString('base64'),
        isBase64Encoded: true,
      },
      { getRemainingTimeInMillis: () => 5000 },
    )
  return { visit, asked: () => asked, logins }
}

/** A notification as Cloud Pay signs it, of an order of the sandbox. */
async function realNotification(): Promise<string> {
  const sandbox = createSandbox({ clock: systemClock, random: systemRandom })
  const world = await openWorld({ sandbox })
  const number = freshNumber()
  await world.create(orderBody({ out_trade_no: number }))
  sandbox.pay(number)
  await world.close()
  return sandbox.notification(number).toString('utf8')
}

/** Every way in which the sub-merchants can be known. */
const CONFIGURATIONS = [
  ['in the environment alone', ''],
  ['in the database as well', JSON.stringify([DATA_KEY])],
] as const

describe.each(CONFIGURATIONS)('with sub-merchants %s', (_where, dataKeys) => {
  let database: Awaited<ReturnType<typeof listen>>
  beforeEach(async () => (database = await listen()))
  afterEach(() => database.close())

  test('10 000 notifications that are none: 0 connections, 0 questions upstream', async () => {
    const { visit, asked } = instance(notifyRoutes, database.port, dataKeys)
    const good = await realNotification()
    const code = /"authen_code":"([0-9A-F]{64})"/.exec(good)![1]!
    for (let at = 0; at < 10_000; at++) {
      const forged = [
        good.replace(code, randomBytes(32).toString('hex').toUpperCase()),
        good.replace('"authen_code"', '"code"'),
        good.slice(0, at % good.length),
      ][at % 3]!
      expect((await visit('/notify', forged)).statusCode).toBe(401)
    }
    expect([database.connections(), asked()]).toEqual([0, 0])
    // The positive control: with its own code it is looked up, and the listener hears of it.
    expect((await visit('/notify', good)).statusCode).toBe(503)
    expect(database.connections()).toBeGreaterThan(0)
  })

  test('10 000 logins that are none, and revocations: 0 connections, WeChat is not asked', async () => {
    const { visit, asked } = instance(sessionRoutes, database.port, dataKeys)
    for (let at = 0; at < 10_000; at++) {
      const [path, body, headers] = [
        ['/session', { app_id: 'wxsandboxmini0001', code: `a b ${at}`, secret: freshSecret() }],
        [
          '/session',
          {
            app_id: 'wxsandboxoffi0001',
            code: 'abc',
            secret: freshSecret(),
            state: randomBytes(32).toString('hex'),
          },
        ],
        ['/session/revoke', {}, { authorization: `Bearer ${randomBytes(20).toString('hex')}` }],
        ['/session/revoke', {}],
      ][at % 4] as [string, object, Record<string, string>?]
      expect([400, 401]).toContain((await visit(path, JSON.stringify(body), headers)).statusCode)
    }
    expect([database.connections(), asked()]).toEqual([0, 0])
    const real = { app_id: 'wxsandboxmini0001', code: 'abc', secret: freshSecret() }
    expect((await visit('/session', JSON.stringify(real))).statusCode).toBe(503)
    expect(database.connections()).toBeGreaterThan(0)
  })

  // Whether such a name is known the database alone can say, where it has some: it is asked once, and not by everybody.
  test('10 000 unknown merchants and apps: at most one connection, and where all are known none', async () => {
    const good = await realNotification()
    const unknowns = [
      [notifyRoutes, (at: number) => ['/notify', good.replaceAll('sandboxsub0000000001', `unknown${at}`)]],
      [
        sessionRoutes,
        (at: number) => [
          '/session',
          JSON.stringify({ app_id: `wx${at}`, code: 'abc', secret: freshSecret() }),
        ],
      ],
    ] as const
    for (const [routes, request] of unknowns) {
      const before = database.connections()
      const { visit, asked } = instance(routes, database.port, dataKeys)
      const seen = new Set<number>()
      for (let at = 0; at < 10_000; at++) {
        const [path, body] = request(at) as [string, string]
        seen.add((await visit(path, body)).statusCode)
      }
      const refusal = routes === notifyRoutes ? 401 : 400
      expect([...seen]).toEqual([dataKeys === '' ? refusal : 503])
      expect([database.connections() - before, asked()]).toEqual([dataKeys === '' ? 0 : 1, 0])
    }
  })
})
