import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { routes as notifyRoutes } from '../../../functions/notify'
import { routes as sessionRoutes } from '../../../functions/session'
import { createLogins } from '../../../local/sandbox/logins'
import { peopleEnv } from '../../../local/sandbox/people'
import { createSandbox } from '../../../local/sandbox/sandbox'
import { createApp } from '../../../shared/app'
import { readConfig } from '../../../shared/base/config'
import { systemRandom } from '../../../shared/base/random'
import { systemClock } from '../../../shared/base/time'
import { door } from '../../../shared/http/door'
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
async function instance(routes: typeof notifyRoutes, port: number) {
  let asked = 0
  const logins = createLogins({ clock: systemClock, random: systemRandom })
  const config = readConfig({
    ...testEnv,
    CALLERS: '',
    ...peopleEnv('http://127.0.0.1:1', logins),
    // With it the sub-merchants in the database are read once, at an instance's first event: see subMerchants.test.ts.
    DATA_KEYS: '',
    DATABASE_URL: `mysql://user:password@127.0.0.1:${port}/orders`,
  })
  const app = await createApp(config, {
    connectsLate: true,
    write: () => undefined,
    post: async () => {
      asked++
      throw new Error('asked')
    },
    ask: async () => {
      asked++
      throw new Error('asked')
    },
  })
  const handle = door(async () => app, app.log, routes)
  const visit = (path: string, body: Buffer | string) =>
    handle(
      {
        httpMethod: 'POST',
        path,
        headers: {},
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

test('10 000 notifications with a bad code or an unknown merchant: 0 connections, 0 questions upstream', async () => {
  const database = await listen()
  const { visit, asked } = await instance(notifyRoutes, database.port)
  const good = await realNotification()
  const code = /"authen_code":"([0-9A-F]{64})"/.exec(good)![1]!
  for (let at = 0; at < 10_000; at++) {
    const forged =
      at % 2 === 0
        ? good.replace(code, randomBytes(32).toString('hex').toUpperCase())
        : good.replaceAll('sandboxsub0000000001', `unknown${at}`)
    expect((await visit('/notify', forged)).statusCode).toBe(401)
  }
  expect([database.connections(), asked()]).toEqual([0, 0])
  // The positive control: with its own code it is looked up, and the listener hears of it.
  expect((await visit('/notify', good)).statusCode).toBe(503)
  expect(database.connections()).toBeGreaterThan(0)
  database.close()
})

test('10 000 logins that are none: 0 connections, WeChat is not asked', async () => {
  const database = await listen()
  const { visit, asked } = await instance(sessionRoutes, database.port)
  for (let at = 0; at < 10_000; at++) {
    const body = [
      { app_id: `wx${at}`, code: 'abc', secret: freshSecret() },
      { app_id: 'wxsandboxmini0001', code: `a b ${at}`, secret: freshSecret() },
      {
        app_id: 'wxsandboxoffi0001',
        code: 'abc',
        secret: freshSecret(),
        state: randomBytes(32).toString('hex'),
      },
    ][at % 3]
    expect([400, 401]).toContain((await visit('/session', JSON.stringify(body))).statusCode)
  }
  expect([database.connections(), asked()]).toEqual([0, 0])
  const real = { app_id: 'wxsandboxmini0001', code: 'abc', secret: freshSecret() }
  expect((await visit('/session', JSON.stringify(real))).statusCode).toBe(503)
  expect(database.connections()).toBeGreaterThan(0)
  database.close()
})
