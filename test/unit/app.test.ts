import { createApp } from '../../shared/app'
import { readConfig, type Env } from '../../shared/base/config'
import { openWorld, orderBody, testEnv as sandboxed } from '../support/world'

/** With data keys an App looks for sub-merchants in the database; there is none here. */
const testEnv: Env = { ...sandboxed, DATA_KEYS: '' }

test('a bundle of your own brings its authorize, and then needs no CALLERS', async () => {
  const { CALLERS: _, ...env } = testEnv
  const app = await createApp(readConfig(env, true), {
    authorize: async () => ({ id: 'shop-7', kind: 'merchant' }),
  })
  const request = { method: 'POST', path: '/orders', query: {}, headers: {}, body: Buffer.alloc(0) }
  expect(await app.enter('POST /orders', request)).toEqual({ id: 'shop-7', kind: 'merchant' })
})

test.each(['', 'x ', ' x', 'x\n', '商户', 'x'.repeat(65)])('a caller may not be named %j', async (id) => {
  const world = await openWorld({ overrides: { authorize: async () => ({ id, kind: 'merchant' }) } })
  expect((await world.create(orderBody())).statusCode).toBe(500)
  expect(world.sent()).toHaveLength(0)
  await world.close()
})

test('the password of the database is struck from the log, wherever a driver puts it', async () => {
  const lines: string[] = []
  const DATABASE_URL = 'mysql://user:hunter%402hunter@127.0.0.1:1/orders'
  const app = await createApp(readConfig({ ...testEnv, DATABASE_URL }), { write: (line) => lines.push(line) })
  app.log({ event: 'x', why: `refused: hunter@2hunter, ${DATABASE_URL}, ${testEnv['CLOUD_PAY_AUTHEN_KEY']}` })
  expect(lines.join('')).toContain('refused: ***, ***, ***')
})

test('a CA file that cannot be read is a fault of the configuration', async () => {
  const config = readConfig({
    ...testEnv,
    CLOUD_PAY_BASE_URL: 'https://127.0.0.1:1/cpay/',
    CLOUD_PAY_CA_FILE: '/nowhere/ca.pem',
  })
  await expect(createApp(config, { connectsLate: true })).rejects.toThrow(
    'CLOUD_PAY_CA_FILE names a file that cannot be read',
  )
})
