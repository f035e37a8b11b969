import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SANDBOX_KEYS } from '../../../local/sandbox/people'
import { DOORS } from '../../../shared/access/doors'
import { SCOPES, type Scope } from '../../../shared/base/caller'
import { SANDBOX_SECRET } from '../../../shared/base/people'
import { openTown, signHeaders, type Town } from '../../support/town'

/**
 * Every door × every kind of caller × every set of scopes there is (32), on the real functions, compared with the one
 * table. A door that is in no table, or in the table and not there, is found too.
 */
const setOf = (bits: number): Scope[] => SCOPES.filter((_, at) => bits & (1 << at))
const SETS = Array.from({ length: 1 << SCOPES.length }, (_, bits) => setOf(bits))
const keys = SETS.filter((scopes) => scopes.length > 0).map((scopes) => ({
  name: `k-${scopes.join('-')}`,
  secret: `${SANDBOX_SECRET}-${scopes.join('-')}-0123456789`,
  scopes,
}))

type Route = { method: string; path: string }
const folder = join(__dirname, '../../../functions')
const routesThere = async (): Promise<string[]> => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'))
  const modules = (await Promise.all(files.map((file) => import(join(folder, file))))) as {
    routes?: Route[]
  }[]
  return modules.flatMap(({ routes = [] }) => routes.map(({ method, path }) => `${method} ${path}`))
}

let town: Town
beforeAll(async () => {
  const MERCHANT_KEYS = JSON.stringify([...keys, SANDBOX_KEYS.server])
  town = await openTown({ env: { MERCHANT_KEYS, LOGINS_PER_ADDRESS: '1000' } })
})
afterAll(() => town.close())

test('the table has every door there is, and no other', async () => {
  expect((await routesThere()).sort()).toEqual(Object.keys(DOORS).sort())
})

// Written out: who may enter is a promise to the merchant, and the table could be wrong as a whole.
test('refunds are the merchant’s, the rest is open to payers for what is theirs', () => {
  const lines = Object.entries(DOORS).map(([door, rule]) =>
    rule === 'anyone' ? `${door}: anyone` : `${door}: ${rule.payer ? 'payer, ' : ''}${rule.merchant}`,
  )
  expect(lines).toEqual([
    'POST /orders: payer, create',
    'GET /orders/{out_trade_no}: payer, read',
    'POST /orders/{out_trade_no}/close: payer, close',
    'POST /close/{out_trade_no}: payer, close',
    'POST /orders/{out_trade_no}/refunds: refund',
    'POST /refunds/{out_trade_no}: refund',
    'GET /board/orders: read',
    'GET /board/unshipped: read',
    'GET /board/anomalies: read',
    'POST /board/anomalies/{id}/resolve: admin',
    'POST /board/resolve/{id}: admin',
    'POST /board/paid-out/{out_refund_no}: admin',
    'POST /board/given-up/{out_refund_no}: admin',
    'POST /board/lift-flag/{out_trade_no}: admin',
    'GET /board/day: read',
    'POST /session/revoke: payer, admin',
    'POST /session: anyone',
    'POST /session/state: anyone',
    'POST /notify: anyone',
  ])
})

/** Nothing is there and nothing is right: who is let in hears of that, who is not never gets so far. */
const shut = (status: number, code: unknown) => {
  if (status === 401 && code === 'caller_unknown') return 'unknown'
  if (status === 403 && code === 'caller_not_allowed') return 'not allowed'
  return 'in'
}

describe.each(Object.entries(DOORS))('%s', (door, rule) => {
  const [method = '', pattern = ''] = door.split(' ')
  const path = pattern.replace('{out_trade_no}', 'sb01nothing').replace('{id}', 'nothing')
  const body = method === 'POST' ? '{"x":1}' : ''
  const asks = rule !== 'anyone'
  const enter = async (headers: Record<string, string>) => {
    const answer = await town.call(method, path, { body, headers })
    return shut(answer.statusCode, answer.body.code)
  }

  test(asks ? 'knows nobody who shows nothing' : 'asks nobody who they are', async () => {
    expect(await enter({})).toBe(asks ? 'unknown' : 'in')
    expect(await enter({ 'x-local-caller': 'alice' })).toBe(asks ? 'unknown' : 'in')
  })

  test('payers', async () => {
    for (const kind of ['mini_program', 'official_account', 'alipay'] as const) {
      const payer = await town.login(kind)
      expect([kind, await enter(payer.headers)]).toEqual([kind, !asks || rule.payer ? 'in' : 'not allowed'])
      const half = [{ authorization: payer.headers['authorization']! }, { 'x-session-secret': payer.secret }]
      for (const headers of half) expect(await enter(headers)).toBe(asks ? 'unknown' : 'in')
    }
  })

  test.each(keys)('a merchant key with $scopes', async (key) => {
    const at = { timestamp: String(town.nowS()), nonce: randomBytes(16).toString('hex') }
    const headers = signHeaders(key, { method, path, body }, at)
    const mayEnter = !asks || key.scopes.includes(rule.merchant)
    expect(await enter(headers)).toBe(mayEnter ? 'in' : 'not allowed')
  })
})
