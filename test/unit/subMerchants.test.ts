import { createHash } from 'node:crypto'
import {
  addMerchant,
  finishRotation,
  rewrapAll,
  rotateKey,
  setDisabled,
  setLists,
} from '../../cli/merchants/change'
import { SANDBOX_APPS } from '../../local/sandbox/logins'
import { readConfig } from '../../shared/base/config'
import { listMerchants } from '../../shared/store/merchants'
import type { Store } from '../../shared/store/open'
import { otherMerchants } from '../support/shop'
import { freshSecret } from '../support/town'
import {
  DATA_KEY,
  merchantFile,
  openTrade,
  serverKey,
  tradeEnv,
  type Instance,
  type Trade,
} from '../support/trade'

/** Several sub-merchants in one deployment, their keys sealed in the database. */
type Created = { statusCode: number; body: { out_trade_no: string; state?: string; code?: string } }

let trade: Trade
const place = async (till: Instance, at: number, content?: Record<string, unknown>): Promise<string> => {
  const created = (await till.signed(at, 'POST', '/orders', trade.bodyFor(at, content))) as Created
  expect([created.statusCode, created.body.state]).toEqual([201, 'pending'])
  return created.body.out_trade_no
}
const idOf = (at: number) => trade.merchants[at]!.out_sub_mch_id
const create = async (till: Instance, at: number) => {
  const { statusCode, body } = (await till.signed(at, 'POST', '/orders', trade.bodyFor(at))) as Created
  return [statusCode, body.code ?? body.state]
}
/** What is due is looked after. */
const paidAndKnown = async (till: Instance, notify: Instance, at: number) => {
  const number = await place(till, at)
  trade.sandbox.pay(number)
  expect(await notify.notify(number)).toBe(200)
  return number
}
const stateOf = async (till: Instance, at: number, number: string) =>
  ((await till.signed(at, 'GET', `/orders/${number}`)).body as { state?: string }).state

describe('a sub-merchant in the database', () => {
  beforeEach(async () => {
    trade = await openTrade(2)
  })

  test('is served with its own key, from order to refund', async () => {
    const [till, notify] = [trade.instance(), trade.instance('notify')]
    for (const at of [0, 1]) {
      const number = await paidAndKnown(till, notify, at)
      expect(number.startsWith(trade.merchants[at]!.order_prefix)).toBe(true)
      expect(await stateOf(till, at, number)).toBe('paid')
      const refund = { refund_fee: 880, out_refund_no: `${number}r` }
      expect((await till.signed(at, 'POST', `/orders/${number}/refunds`, refund)).statusCode).toBe(202)
    }
  })

  test("has servers whose keys open nothing of another's", async () => {
    const till = trade.instance()
    const number = await place(till, 0)
    expect((await till.signed(1, 'POST', '/orders', trade.bodyFor(0))).body).toMatchObject({
      code: 'caller_not_allowed',
    })
    for (const [method, path] of [
      ['GET', `/orders/${number}`],
      ['POST', `/orders/${number}/close`],
      ['POST', `/orders/${number}/refunds`],
    ] as const) {
      const body = path.endsWith('refunds') ? { refund_fee: 1, out_refund_no: `${number}x` } : undefined
      expect([path, (await till.signed(1, method, path, body)).statusCode]).toEqual([path, 404])
    }
    expect(await stateOf(till, 0, number)).toBe('pending')
  })

  test('is known to an instance that is at work already, from its next event on', async () => {
    const [till, notify] = [trade.instance(), trade.instance('notify')]
    await paidAndKnown(till, notify, 0)
    const [added] = otherMerchants(3).slice(2)
    await addMerchant(trade.desk, merchantFile(added!, { merchant_keys: [serverKey(2)] }))
    trade.merchants.push(added!)
    // Signed and asked; the far end alone has not heard of it.
    expect(await create(till, 2)).toEqual([502, 'cloud_pay_rejected_request'])
  })

  test('is known within half a minute also where nobody but strangers calls', async () => {
    const notify = trade.instance('notify')
    expect(await notify.notify(await place(trade.instance(), 1))).toBe(200)
    await rotateKey(trade.desk, idOf(0), 'the-new-key-of-merchant', true)
    const number = await place(trade.instance(), 1)
    trade.merchants[0]!.authen_key = 'the-new-key-of-merchant'
    const other = await place(trade.instance(), 0)
    trade.sandbox.pay(other)
    expect(await notify.notify(other)).toBe(401)
    trade.clock.nowMsValue! += 30_000
    expect(await notify.notify(other)).toBe(200)
    expect(await notify.notify(number)).toBe(200)
  })
})

describe('a rotation during traffic', () => {
  const NEW = 'the-new-key-of-merchant'
  const sub = () => trade.merchants[0]!
  const oldKey = otherMerchants(1)[0]!.authen_key

  beforeEach(async () => {
    trade = await openTrade(2)
  })

  /** A notification of this order, signed with this key. */
  const told = (number: string, key: string): Buffer => {
    const known = sub().authen_key
    sub().authen_key = key
    try {
      return trade.sandbox.notification(number)
    } finally {
      sub().authen_key = known
    }
  }

  test('keeps both keys good for what comes, in every instance, until it is finished', async () => {
    const till = trade.instance()
    const notifies = [trade.instance('notify'), trade.instance('notify')]
    const number = await place(till, 0)
    for (const notify of notifies) expect(await notify.notify(told(number, oldKey))).toBe(200)

    await rotateKey(trade.desk, idOf(0), NEW, true)
    sub().authen_key = NEW
    const next = await place(till, 0)
    for (const notify of notifies) {
      expect(await notify.notify(told(number, oldKey))).toBe(200)
      expect(await notify.notify(told(next, NEW))).toBe(200)
    }

    await finishRotation(trade.desk, idOf(0))
    for (const notify of notifies) {
      expect(await notify.notify(told(number, oldKey))).toBe(401)
      expect(await notify.notify(told(next, NEW))).toBe(200)
    }
  })

  test('of a key that is compromised ends it at once, in every instance', async () => {
    const till = trade.instance()
    const notifies = [trade.instance('notify'), trade.instance('notify')]
    const number = await place(till, 0)
    for (const notify of notifies) expect(await notify.notify(told(number, oldKey))).toBe(200)
    const before = await trade.database.store.db.selectFrom('notifications').selectAll().execute()

    await rotateKey(trade.desk, idOf(0), NEW, false)
    // It fits what the instance knows; what the database knows decides.
    for (const notify of notifies) expect(await notify.notify(told(number, oldKey))).toBe(401)
    expect(await trade.database.store.db.selectFrom('notifications').selectAll().execute()).toEqual(before)
    expect(trade.log.filter(({ why }) => why === 'authen_code_wrong')).toHaveLength(2)

    sub().authen_key = NEW
    await place(till, 0)
    for (const notify of notifies) expect(await notify.notify(told(number, NEW))).toBe(200)
    // The other one goes on as if nothing had been.
    await paidAndKnown(till, notifies[0]!, 1)
  })

  test('loses no answer that is under way: what was signed before is settled with the key after', async () => {
    const till = trade.instance()
    const number = await place(till, 0)
    trade.sandbox.pay(number)
    await rotateKey(trade.desk, idOf(0), NEW, true)
    sub().authen_key = NEW
    trade.clock.nowMsValue! += 60_000
    await trade.instance().timer()
    expect(await stateOf(till, 0, number)).toBe('paid')
  })

  test('that falls into the making of an App holds for the event after it', async () => {
    const { store } = trade.database
    let open = () => undefined as void
    const gate = new Promise<void>((resolve) => (open = resolve))
    let gates = 0
    // The rows are read, and take their time to arrive.
    const run: Store['connection']['run'] = async (query) => {
      const said = await store.connection.run(query)
      if (/from .merchants/.test(query.sql) && gates++ === 0) await gate
      return said
    }
    const inTransaction = store.connection.inTransaction.bind(store.connection)
    const slow = { ...store, connection: { run, inTransaction } } as unknown as Store
    const till = trade.instance('till', { overrides: { store: slow } })
    const first = create(till, 1)
    while (gates === 0) await new Promise((resolve) => setImmediate(resolve))
    await rotateKey(trade.desk, idOf(0), NEW, false)
    sub().authen_key = NEW
    expect(await create(till, 0)).toEqual([201, 'pending'])
    open()
    expect(await first).toEqual([201, 'pending'])
    expect(await create(till, 0)).toEqual([201, 'pending'])
  })

  test('is refused when it is none', async () => {
    await expect(rotateKey(trade.desk, idOf(0), oldKey, true)).rejects.toThrow('this is the key it has')
    await expect(rotateKey(trade.desk, idOf(0), 'with a blank', true)).rejects.toThrow('no usable authen_key')
    await expect(finishRotation(trade.desk, idOf(0))).rejects.toThrow('no rotation is under way')
    await expect(rotateKey(trade.desk, 'sandboxsub0000000001', NEW, true)).rejects.toThrow('environment')
    await expect(rotateKey(trade.desk, 'nobody', NEW, true)).rejects.toThrow('there is no nobody')
    await rotateKey(trade.desk, idOf(0), NEW, true)
    await expect(rotateKey(trade.desk, idOf(0), 'a-third-key', true)).rejects.toThrow('--finish it first')
    await rotateKey(trade.desk, idOf(0), 'a-third-key', false)
    await expect(finishRotation(trade.desk, idOf(0))).rejects.toThrow('no rotation is under way')
  })
})

describe('a disabled sub-merchant', () => {
  beforeEach(async () => {
    trade = await openTrade(2)
  })

  test('takes no new orders from the next event on; what is open goes on to its end', async () => {
    const [till, notify] = [trade.instance(), trade.instance('notify')]
    const [paid, waiting, closing, repeated] = [
      await place(till, 0),
      await place(till, 0),
      await place(till, 0),
      trade.bodyFor(0),
    ]
    expect((await till.signed(0, 'POST', '/orders', repeated)).statusCode).toBe(201)
    await setDisabled(trade.desk, idOf(0), true)

    expect(await create(till, 0)).toEqual([403, 'merchant_disabled'])
    expect(await create(till, 1)).toEqual([201, 'pending'])
    // A repeat is told of the order there is.
    expect((await till.signed(0, 'POST', '/orders', repeated)).statusCode).toBe(200)
    trade.sandbox.pay(paid)
    expect(await notify.notify(paid)).toBe(200)
    expect(await stateOf(till, 0, paid)).toBe('paid')
    const refund = { refund_fee: 1880, out_refund_no: `${paid}r` }
    expect((await till.signed(0, 'POST', `/orders/${paid}/refunds`, refund)).statusCode).toBe(202)
    expect((await till.signed(0, 'POST', `/orders/${closing}/close`)).statusCode).toBe(200)
    trade.sandbox.pay(waiting)
    trade.clock.nowMsValue! += 60_000
    await trade.instance().timer()
    expect(await stateOf(till, 0, waiting)).toBe('paid')
    expect(await stateOf(till, 0, paid)).toBe('refunded')

    await setDisabled(trade.desk, idOf(0), false)
    expect(await create(till, 0)).toEqual([201, 'pending'])
  })

  test('lets nobody log in any more; who has may see their order, and order nothing', async () => {
    const session = trade.instance('session')
    const till = trade.instance('till', { env: { PAYER_PRICES: 'catalogue' } })
    const app_id = SANDBOX_APPS.mini_program
    await trade.database.store.db
      .insertInto('catalogue')
      .values({
        ...{ out_sub_mch_id: idOf(0), sku: 'tea', body: '湖心奶茶', total_fee: 1880 },
        ...{ quantity_max: 1, active: 1 },
      })
      .execute()
    const secret = freshSecret()
    const login = () =>
      session.call('POST', '/session', { app_id, code: trade.logins.codeFor(app_id), secret })
    const { token } = (await login()).body as { token: string }
    const headers = { authorization: `Bearer ${token}`, 'x-session-secret': secret }
    const order = (key: string) =>
      till.call('POST', '/orders', { sku: 'tea' }, { ...headers, 'idempotency-key': key })
    const created = await order('one')
    expect(created.statusCode).toBe(201)
    const { out_trade_no } = created.body as { out_trade_no: string }

    await setDisabled(trade.desk, idOf(0), true)
    expect((await login()).body).toMatchObject({ code: 'app_unknown' })
    expect((await order('two')).body).toMatchObject({ code: 'merchant_disabled' })
    expect((await till.call('GET', `/orders/${out_trade_no}`, undefined, headers)).statusCode).toBe(200)
    await setDisabled(trade.desk, idOf(0), false)
    // Who is refused from memory asks nobody: what is new is known here half a minute later.
    trade.clock.nowMsValue! += 30_000
    expect((await login()).statusCode).toBe(201)
  })

  test("has lists that are replaced at once: a server's key that is not in them any more is unknown", async () => {
    const [till, session] = [trade.instance(), trade.instance('session')]
    await place(till, 0)
    const state = { app_id: 'wx', secret_hash: 'x'.repeat(43) }
    expect((await session.call('POST', '/session/state', state)).body).toMatchObject({ code: 'app_unknown' })
    await setLists(trade.desk, idOf(0), JSON.stringify({ merchant_keys: [] }))
    expect(await create(till, 0)).toEqual([401, 'caller_unknown'])
    const revoke = { payer_field: 'sub_open_id', payer_id: 'oSomebody' }
    expect((await session.signed(0, 'POST', '/session/revoke', revoke)).statusCode).toBe(401)
    expect((await session.signed(1, 'POST', '/session/revoke', revoke)).statusCode).toBe(403)
    // What was not named is still there.
    const app_id = SANDBOX_APPS.mini_program
    const login = { app_id, code: trade.logins.codeFor(app_id), secret: freshSecret() }
    expect((await trade.instance('session').call('POST', '/session', login)).statusCode).toBe(201)
  })
})

describe('what it costs', () => {
  test('is one statement per event, and the rows once per instance', async () => {
    trade = await openTrade(2)
    const statements: string[] = []
    trade.database.before = (sql) => void statements.push(sql)
    /** What an order makes an instance say when it has made one before. */
    const said = async (till: Instance) => {
      await place(till, 0)
      statements.length = 0
      await place(till, 0)
      return [...statements]
    }
    // The very same sub-merchants, in the environment.
    const fromEnv = trade.instance('till', {
      env: {
        DATA_KEYS: '',
        CLOUD_PAY_OTHER_MERCHANTS: JSON.stringify(trade.merchants),
        MERCHANT_KEYS: JSON.stringify([{ ...serverKey(0), out_sub_mch_id: idOf(0) }]),
      },
    })
    const before = await said(fromEnv)
    // Without DATA_KEYS nobody asks for them.
    expect(before.filter((sql) => /merchants|from .marks/.test(sql))).toEqual([])

    const till = trade.instance()
    statements.length = 0
    await place(till, 0)
    expect(statements.filter((sql) => sql.includes('merchants'))).toHaveLength(1)
    const after = await said(till)
    expect(after).toHaveLength(before.length + 1)
    expect(after.filter((sql) => /from .marks/.test(sql))).toHaveLength(1)
    expect(after.slice(1)).toEqual(before)
  })

  test('10 000 refused notifications say nothing to the database, once the rows are known', async () => {
    trade = await openTrade(2)
    const [till, notify] = [trade.instance(), trade.instance('notify')]
    const number = await place(till, 0)
    const good = trade.sandbox.notification(number).toString('utf8')
    expect(await notify.notify(Buffer.from(good))).toBe(200)
    const code = /"authen_code":"([0-9A-F]{64})"/.exec(good)![1]!
    const before = trade.database.said
    for (let at = 0; at < 10_000; at++) {
      const forged =
        at % 2 === 0
          ? good.replace(code, createHash('sha256').update(String(at)).digest('hex').toUpperCase())
          : good.replaceAll(idOf(0), `unknown${at}`)
      expect(await notify.notify(Buffer.from(forged))).toBe(401)
    }
    expect(trade.database.said).toBe(before)
    expect(await notify.notify(Buffer.from(good))).toBe(200)
    expect(trade.database.said).toBeGreaterThan(before)
  })
})

describe('what cannot be read', () => {
  beforeEach(async () => {
    trade = await openTrade(3)
  })

  const leftOut = () =>
    trade.log
      .filter(({ event }) => event === 'merchant.left_out')
      .map(({ level, out_sub_mch_id, faults }) => [level, out_sub_mch_id, faults])
  const spoil = (at: number, change: Record<string, unknown>) =>
    trade.database.store.db
      .updateTable('merchants')
      .set(change)
      .where('out_sub_mch_id', '=', idOf(at))
      .execute()

  test.each<[string, (rows: { sealed: string }[]) => Record<string, unknown>]>([
    ['no envelope', () => ({ sealed: 'nothing' })],
    ["another row's envelope", (rows) => ({ sealed: rows[1]!.sealed })],
    ['another merchant number than it was sealed for', () => ({ out_mch_id: 'mch99' })],
    ['another shop than it was sealed for', () => ({ out_shop_id: 'shop99' })],
    ['another prefix than it was sealed for', () => ({ order_prefix: 'zz' })],
  ])('is left out with a line that names it, and takes nobody along: %s', async (_what, change) => {
    await spoil(0, change(await listMerchants(trade.database.store)))
    const till = trade.instance()
    expect(await create(till, 0)).toEqual([401, 'caller_unknown'])
    expect(await create(till, 1)).toEqual([201, 'pending'])
    expect(await create(till, 2)).toEqual([201, 'pending'])
    expect(leftOut()).toEqual([['error', idOf(0), ['sealed cannot be opened with DATA_KEYS']]])
  })

  test('opens again when its data key is there', async () => {
    const other = { name: '2027-02', secret: 'another-data-key-0123456789abcdefghij' }
    const blind = trade.instance('till', { env: { DATA_KEYS: JSON.stringify([other]) } })
    expect(await create(blind, 0)).toEqual([401, 'caller_unknown'])
    expect(leftOut()).toHaveLength(3)

    const both = { ...tradeEnv, DATA_KEYS: JSON.stringify([other, DATA_KEY]) }
    expect(await rewrapAll({ ...trade.desk, config: readConfig(both, true) })).toBe(3)
    expect(await create(blind, 0)).toEqual([201, 'pending'])
    // The first one is not needed any more, and opens nothing.
    expect(await create(trade.instance(), 0)).toEqual([401, 'caller_unknown'])
  })

  test('while the database cannot be asked, nothing is signed; strangers are refused as ever', async () => {
    const [till, notify] = [trade.instance(), trade.instance('notify')]
    const number = await place(till, 0)
    const good = trade.sandbox.notification(number)
    expect(await notify.notify(good)).toBe(200)
    trade.database.mood = 'down'
    trade.clock.nowMsValue! += 60_000
    const asked = trade.sandbox.received.length
    expect(await create(till, 0)).toEqual([503, 'database_unavailable'])
    expect(
      await notify.notify(Buffer.from(good.toString().replace(/"authen_code":"./, '"authen_code":"X'))),
    ).toBe(401)
    expect(await notify.notify(good)).toBe(503)
    expect(trade.sandbox.received).toHaveLength(asked)
    trade.database.mood = 'well'
    expect(await create(till, 0)).toEqual([201, 'pending'])
    expect(await notify.notify(good)).toBe(200)
    // An instance whose first event met a dead database is no worse for it.
    trade.database.mood = 'down'
    const late = trade.instance('notify')
    expect(await late.notify(good)).toBe(503)
    trade.database.mood = 'well'
    // A database that could not be asked is left alone for a moment, whatever strangers do.
    expect(await late.notify(good)).toBe(503)
    trade.clock.nowMsValue! += 5000
    expect(await late.notify(good)).toBe(200)
  })
})
