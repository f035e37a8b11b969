import { mkdtempSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { routes as createRoutes } from '../../functions/createOrder'
import { routes as notifyRoutes } from '../../functions/notify'
import { createSandbox, type SandboxMerchant } from '../../local/sandbox/sandbox'
import { appOpener, type Overrides } from '../../shared/app'
import { ConfigurationFault, SANDBOX_MERCHANT } from '../../shared/base/config'
import { systemRandom } from '../../shared/base/random'
import { door } from '../../shared/http/door'
import { createPost } from '../../shared/net/post'
import { KEEP_MS } from '../../shared/tencent/secrets'
import { startSsm, type Ssm } from '../support/ssm'
import { fileStore, freshNumber, orderBody, sandboxPost, testEnv as sandboxed } from '../support/world'

/** What a function keeps between events, and what becomes of it when a secret changes. */
let ssm: Ssm
let nowMs: number
const clock = { nowMs: () => nowMs, sleep: async () => undefined }
/** With data keys an App looks for sub-merchants in the database; there is none here. */
const testEnv = { ...sandboxed, DATA_KEYS: '' }

let lines: Record<string, unknown>[]
beforeEach(async () => {
  nowMs = Date.now()
  lines = []
  ssm = await startSsm(() => nowMs)
})
afterEach(() => ssm.close())

const overrides = (more: Overrides = {}): Overrides => ({
  clock,
  write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  ...more,
})
const envOf = (more: Record<string, string> = {}) => ({
  ...testEnv,
  TENCENTCLOUD_SECRETID: ssm.secretId,
  TENCENTCLOUD_SECRETKEY: ssm.secretKey,
  TENCENTCLOUD_SESSIONTOKEN: ssm.token!,
  SSM_REGION: 'ap-guangzhou',
  SSM_ENDPOINT: ssm.url,
  ...more,
})
const keyVariables = { CLOUD_PAY_AUTHEN_KEY: 'ssm:key', CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: 'ssm:other' }
const setKeys = (signing: string, alsoAccepted: string) => {
  ssm.secrets.set('key/SSM_Current', signing)
  ssm.secrets.set('other/SSM_Current', alsoAccepted)
}

/** Where a database should be, a server that turns everybody away and says too much about it. */
async function indiscreet(): Promise<{ url: string; close: () => void }> {
  const password = 'a-very-secret-password'
  let url = ''
  const server = createServer((socket) => {
    const message = `cannot log in to ${url}: ${password} is not the password`
    const said = Buffer.from(`\xff\x15\x04#28000${message}`, 'latin1')
    socket.end(Buffer.concat([Buffer.from([said.length, 0, 0, 0]), said]))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `mysql://payer:${password}@127.0.0.1:${(server.address() as AddressInfo).port}/orders`
  return { url, close: () => server.close() }
}

test.each(['in the variable', 'by reference'])(
  'no line shows the database URL while the App is being made: %s',
  async (where) => {
    const database = await indiscreet()
    ssm.secrets.set('url/SSM_Current', database.url)
    const DATABASE_URL = where === 'by reference' ? 'ssm:url' : database.url
    const open = appOpener(envOf({ DATABASE_URL, DATA_KEYS: sandboxed['DATA_KEYS']! }), overrides())
    const handle = door(open, open.log, createRoutes)
    const event = { httpMethod: 'POST', path: '/orders', headers: {}, queryString: {}, body: '{}' }
    const answer = await handle(event)
    expect(answer.statusCode).toBe(503)
    const told = JSON.stringify(lines)
    expect(told).toContain('cannot log in to ***')
    expect(told + answer.body).not.toMatch(/very-secret/)
    database.close()
  },
)

describe('an App', () => {
  test('is made once and kept, when nothing is by reference', async () => {
    const open = appOpener({ ...testEnv }, overrides())
    const [one, two] = await Promise.all([open(), open()])
    expect(one).toBe(two)
    nowMs += 10 * KEEP_MS
    expect(await open()).toBe(one)
    expect(ssm.asked).toEqual([])
    await one.store.close()
  })

  test('is kept while its secrets stay what they are', async () => {
    setKeys('first-key', 'second-key')
    const open = appOpener(envOf(keyVariables), overrides())
    const [one, two] = await Promise.all([open(), open()])
    expect(one).toBe(two)
    nowMs += KEEP_MS
    expect(await open()).toBe(one)
    expect(ssm.asked).toHaveLength(4)
    await one.store.close()
  })

  test('is made anew when one has changed, on the same connection', async () => {
    setKeys('first-key', 'second-key')
    const open = appOpener(envOf(keyVariables), overrides())
    const before = await open()
    setKeys('second-key', 'first-key')
    nowMs += KEEP_MS
    const after = await open()
    expect(after.merchants.first.authen_key.reveal()).toBe('second-key')
    expect(after.store).toBe(before.store)
    // The log strikes out what is secret now, and what was.
    after.log({ event: 'x', why: 'second-key first-key' })
    expect(lines.at(-1)).toMatchObject({ why: '*** ***' })
    await after.store.close()
  })

  test('goes to another database when that is what has changed', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'opener-'))
    const [one, two] = await Promise.all([fileStore(join(dir, '1.db')), fileStore(join(dir, '2.db'))])
    ssm.secrets.set('db/SSM_Current', `sqlite:${one.path}`)
    const open = appOpener(envOf({ DATABASE_URL: 'ssm:db' }), overrides())
    const before = await open()
    ssm.secrets.set('db/SSM_Current', `sqlite:${two.path}`)
    nowMs += KEEP_MS
    const after = await open()
    expect(after.store).not.toBe(before.store)
    for (const store of [after.store, one.store, two.store]) await store.close()
  })

  test('stays what it was when the new secret cannot be right, and says so once', async () => {
    setKeys('first-key', 'second-key')
    const open = appOpener(envOf(keyVariables), overrides())
    const before = await open()
    setKeys('with a blank', 'second-key')
    nowMs += KEEP_MS
    expect(await open()).toBe(before)
    expect(await open()).toBe(before)
    expect(lines.filter(({ event }) => event === 'secrets.refused')).toEqual([
      expect.objectContaining({ faults: ['CLOUD_PAY_AUTHEN_KEY must be visible ASCII without blanks'] }),
    ])
    expect(JSON.stringify(lines)).not.toContain('with a blank')
    await before.store.close()
  })

  test('is not made of a secret that cannot be right from the start, until it is', async () => {
    setKeys('with a blank', 'second-key')
    const open = appOpener(envOf(keyVariables), overrides())
    await expect(open()).rejects.toThrow(ConfigurationFault)
    setKeys('first-key', 'second-key')
    nowMs += KEEP_MS
    const app = await open()
    await app.store.close()
  })
})

describe('CALLERS=own', () => {
  const own = () => envOf({ CALLERS: 'own' })
  const visit = async (authorize?: Overrides['authorize']) => {
    const { store } = await fileStore()
    const more = authorize ? { authorize } : {}
    const sandbox = createSandbox({ clock, random: systemRandom })
    const open = appOpener(own(), overrides({ ...more, store, post: sandboxPost(sandbox) }))
    const handle = door(open, (await open()).log, [...createRoutes, ...notifyRoutes])
    const call = (path: string, body: string) =>
      handle({ httpMethod: 'POST', path, headers: {}, queryString: {}, body }, {})
    const number = freshNumber()
    const created = await call('/orders', JSON.stringify(orderBody({ out_trade_no: number })))
    const notified = await call('/notify', '{}')
    await store.close()
    return { created: created.statusCode, notified: notified.statusCode, asked: sandbox.received.length }
  }

  test('is for a bundle that brings its authorize', async () => {
    const authorize = async () => ({ id: 'shop-7', kind: 'merchant' as const })
    expect(await visit(authorize)).toEqual({ created: 201, notified: 401, asked: 1 })
  })

  test('without one keeps the doors shut that ask who calls, and no other', async () => {
    expect(await visit()).toEqual({ created: 503, notified: 401, asked: 0 })
    expect(JSON.stringify(lines)).toContain('CALLERS is own, and this bundle brings no authorize')
  })
})

describe('a rotation of the authen key', () => {
  const oldKey = SANDBOX_MERCHANT.authen_key
  const newKey = 'the0new0key0of0the0same0merchant'

  test('loses no order and no notification, whoever changes first', async () => {
    const merchant: { -readonly [Name in keyof SandboxMerchant]: SandboxMerchant[Name] } = {
      ...SANDBOX_MERCHANT,
    }
    const sandbox = createSandbox({ clock, random: systemRandom, merchants: [merchant] })
    const { store } = await fileStore()
    const post = sandboxPost(sandbox)
    const toSsm = createPost()
    // One door to two far ends, as the network is.
    const both: typeof post = (url, ...rest) => (url.startsWith(ssm.url) ? toSsm : post)(url, ...rest)
    setKeys(oldKey, newKey)
    const open = appOpener(envOf(keyVariables), overrides({ store, post: both }))
    const handle = door(open, (await open()).log, [...createRoutes, ...notifyRoutes])
    const call = async (path: string, body: string) => {
      const answer = await handle({ httpMethod: 'POST', path, headers: {}, queryString: {}, body }, {})
      return { status: answer.statusCode, state: (JSON.parse(answer.body) as { state?: string }).state }
    }
    const create = async (number: string) =>
      call('/orders', JSON.stringify(orderBody({ out_trade_no: number })))
    const notify = (number: string) => call('/notify', sandbox.notification(number).toString())

    // Before: the new key is known to us, and signs nothing.
    const first = freshNumber()
    expect(await create(first)).toEqual({ status: 201, state: 'pending' })
    expect((await notify(first)).status).toBe(200)

    // The console has changed; we sign with the old one still, and are told so in the new one.
    merchant.authen_key = newKey
    expect((await notify(first)).status).toBe(200)
    const second = freshNumber()
    // What is signed with a key that no longer holds is not taken. It stays open: nothing is known of it.
    expect((await create(second)).state).not.toBe('failed')

    // The secrets follow.
    setKeys(newKey, oldKey)
    nowMs += KEEP_MS
    expect(await create(second)).toEqual({ status: 200, state: 'pending' })
    const third = freshNumber()
    expect(await create(third)).toEqual({ status: 201, state: 'pending' })
    expect((await notify(third)).status).toBe(200)

    // A notification under way since before the change.
    merchant.authen_key = oldKey
    expect((await notify(third)).status).toBe(200)

    // The rotation is over.
    setKeys(newKey, newKey)
    nowMs += KEEP_MS
    expect((await notify(third)).status).toBe(401)
    await store.close()
  })
})
