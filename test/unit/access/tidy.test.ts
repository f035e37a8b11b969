import { openTown, type Town } from '../../support/town'

let town: Town
afterEach(() => town.close())

test('the timer forgets what has expired, and nothing that still counts', async () => {
  town = await openTown({ env: { PAYER_REFUNDS_PER_DAY: '5' } })
  const count = async (table: 'spent' | 'revocations' | 'counters') =>
    (await town.store.db.selectFrom(table).selectAll().execute()).length
  const payer = await town.login('official_account')
  await payer.call('POST', '/orders', { body: { quote: town.quote({ sub: 'oSandboxOffiPayer0001' }) } })
  await payer.call('POST', '/session/revoke')
  await town.signed('server', 'GET', '/orders/sb01x')
  const number = (await town.store.db.selectFrom('orders').select('out_trade_no').executeTakeFirstOrThrow())
    .out_trade_no
  town.sandbox.pay(number)
  await town.timer()
  town.pass(30)
  await town.timer()
  const body = { refund_fee: 1, out_refund_no: 'sb01r1' }
  expect((await town.signed('server', 'POST', `/orders/${number}/refunds`, { body })).statusCode).toBe(202)
  // Two nonces, a state; one revocation.
  expect([await count('spent'), await count('revocations')]).toEqual([3, 1])
  await town.runFor(1300)
  expect([await count('spent'), await count('revocations')]).toEqual([0, 1])
  const names = async () =>
    (await town.store.db.selectFrom('counters').select('name').orderBy('name').execute()).map(
      ({ name }) => name,
    )
  expect(
    (await names()).filter((name) => /^(om|rp|refund)/.test(name)).map((name) => name.split(':')[0]),
  ).toEqual([...['refund_d', 'refund_h', 'refunds', 'rp']])
  await town.runFor(8000)
  expect(await count('revocations')).toBe(0)
  // Refunds are limited by the day.
  expect((await names()).some((name) => name.startsWith('rp:'))).toBe(true)
})

test('after a full batch the next run goes on, and otherwise the timer rests for ten minutes', async () => {
  town = await openTown()
  const fill = (count: number) =>
    town.store.db
      .insertInto('spent')
      .values(
        Array.from({ length: count }, (_, at) => ({ kind: 'old', id: `n${at}`, until_at: 1_000_000 + at })),
      )
      .execute()
  const left = async () =>
    (await town.store.db.selectFrom('spent').select('id').where('kind', '=', 'old').execute()).length
  await fill(2500)
  const seen: number[] = []
  for (let run = 0; run < 3; run++) {
    await town.runFor(20)
    seen.push(await left())
  }
  expect(seen).toEqual([1500, 500, 0])
  await fill(1)
  await town.runFor(580)
  expect(await left()).toBe(1)
  await town.runFor(40)
  expect(await left()).toBe(0)
})
