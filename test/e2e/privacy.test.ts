import type { Store } from '../../shared/store/open'
import { runCommand } from '../support/cli'
import { allRows } from '../support/rows'
import { fileStore, freshNumber, openWorld, orderBody, type World } from '../support/world'

const PAYER = 'oPrivacyPayer0001'
const OTHER = 'oPrivacyOther0001'

let path: string
let store: Store
let world: World
beforeEach(async () => {
  const file = await fileStore()
  ;({ path, store } = file)
  world = await openWorld({ store })
})
afterEach(() => world.close())

async function privacy(args: string[], input = '') {
  const env = { DATABASE_URL: `sqlite:${path}` }
  const { code, stdout, stderr } = await runCommand('cli/privacy.ts', args, { input, env })
  // Which database it is, it says first.
  return { code, out: stdout, err: stderr.replace(`database: sqlite ${path}\n`, '') }
}

async function place(payer_id: string): Promise<string> {
  const number = freshNumber()
  const body = orderBody(
    { out_trade_no: number },
    {
      pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: payer_id } },
    },
  )
  expect((await world.create(body)).statusCode).toBe(201)
  return number
}
async function pay(number: string) {
  world.sandbox.pay(number)
  await world.notify(number)
}
/** As if the messages had been delivered. */
const deliver = () => store.db.updateTable('outbox').set({ next_due_at_ms: null }).execute()

test('a payer is exported and erased from the command line, and the others are not', async () => {
  const [paid, open, foreign] = [await place(PAYER), await place(PAYER), await place(OTHER)]
  for (const number of [paid, foreign]) await pay(number)
  await deliver()

  const told = await privacy(['--export', '-'], `${PAYER}\n`)
  expect([told.code, told.err]).toEqual([0, ''])
  const { orders, ...rest } = JSON.parse(told.out) as Record<string, Record<string, unknown>[]>
  expect(orders!.map(({ out_trade_no }) => out_trade_no).sort()).toEqual([paid, open].sort())
  expect(Object.keys(rest).sort()).toEqual(
    ['anomalies', 'counters', 'notifications', 'order_events', 'outbox', 'refunds', 'revocations'].sort(),
  )
  expect(told.out).not.toContain(OTHER)

  const before = (await allRows(store))['order_events']
  const erased = await privacy(['--erase', '-'], PAYER)
  expect([erased.code, erased.err]).toEqual([1, ''])
  expect(erased.out).toContain('1 erased')
  expect(erased.out).toMatch(new RegExp(`NOT erased: ${open} \\(pending\\).*\\n  run this again after 20`))
  const rows = await allRows(store)
  expect(rows['order_events']).toEqual(before)
  expect(rows['orders']!.find(({ out_trade_no }) => out_trade_no === paid)).toMatchObject({
    ...{ payer_id: 'erased', request_content: '', state: 'paid', total_fee: 1880 },
  })
  expect(rows['marks']!.filter(({ name }) => String(name).startsWith('erasure:'))).toMatchObject([
    { value: '{"orders_erased":1,"orders_left":1}' },
  ])
  // The row of the trail names nobody.
  expect(JSON.stringify([rows['marks'], rows['revocations']])).not.toContain(PAYER)
  expect(JSON.stringify(rows['orders'])).toContain(OTHER)

  // When it has come to its end, the same command does the rest: nothing of them is left anywhere.
  await pay(open)
  await deliver()
  expect((await privacy(['--erase', PAYER])).code).toBe(0)
  expect(JSON.stringify(await allRows(store))).not.toContain(PAYER)
  expect((await privacy(['--export', PAYER])).out).not.toContain(open)
})

test('a field or a sub-merchant narrows it, and a wrong call does nothing', async () => {
  const number = await place(PAYER)
  const of = async (...more: string[]) => (await privacy(['--export', PAYER, ...more])).out.includes(number)
  expect([await of('--field', 'sub_open_id'), await of('--field', 'user_id')]).toEqual([true, false])
  expect([await of('--merchant', 'sandboxsub0000000001'), await of('--merchant', 'other')]).toEqual([
    true,
    false,
  ])
  const before = JSON.stringify(await allRows(store))
  for (const args of [
    [],
    ['--export', PAYER, '--erase', PAYER],
    ['--erase', PAYER, '--field', 'name'],
    ['--erase', ''],
    ['--erase', '-'],
    ['--forget', PAYER],
  ]) {
    const { code, err } = await privacy(args)
    expect([args, code, err.includes('npm run --silent privacy')]).toEqual([args, 2, true])
  }
  expect(JSON.stringify(await allRows(store))).toBe(before)
})
