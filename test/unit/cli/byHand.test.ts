import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sandboxEnv } from '../../../local/sandbox/env'
import { migrate } from '../../../shared/store/migrate'
import { findOrder, insertOrder, listEvents } from '../../../shared/store/orders'
import { findRefund, insertRefund } from '../../../shared/store/refunds'
import { runCommand } from '../../support/cli'
import { newOrder } from '../../support/orders'
import { newRefund } from '../../support/refunds'
import { fileStore } from '../../support/world'

const dir = mkdtempSync(join(tmpdir(), 'by-hand-'))
afterAll(() => rmSync(dir, { recursive: true }))

test('ends a refund and lifts a flag under somebody’s name, and says no without changing anything', async () => {
  const file = join(dir, 'orders.db')
  const { store } = await fileStore(file)
  await migrate(store)
  const order = newOrder({ total_fee: 100, state: 'paid', flag: 'unresolved' })
  await insertOrder(store, order, 0)
  const key = { out_sub_mch_id: order.out_sub_mch_id, out_trade_no: order.out_trade_no }
  const refund = newRefund(order, { state: 'needs_person', refund_fee: 30 })
  const event = { at: 1_900_000_100, kind: 'refund', detail: {} } as const
  await insertRefund(store, (await findOrder(store, key))!, refund, null, event, [])

  const env = { ...sandboxEnv('http://127.0.0.1:1/cpay/', `sqlite:${file}`, '127.0.0.1') } as Record<
    string,
    string
  >
  const run = async (...args: string[]) => {
    const { code, stdout } = await runCommand('cli/byHand.ts', args, { env })
    return [code, stdout.trim()]
  }
  const said = ['--by', 'wang', '--note', '已转账']
  const number = refund.out_refund_no
  for (const wrong of [
    [],
    ['paid', number, ...said],
    ['paid-out', ...said],
    ['paid-out', number, '--by', 'wang'],
    ['paid-out', number, '--note', 'x'],
    ['paid-out', number, '--by', 'wang li', '--note', 'x'],
  ])
    expect([wrong, (await run(...wrong))[0]]).toEqual([wrong, 2])
  expect(await run('given-up', 'sb01nothing', ...said)).toEqual([1, 'nothing was changed: refund_not_found'])
  expect(await run('paid-out', number, ...said)).toEqual([
    0,
    `${number} is succeeded; order ${order.out_trade_no} is paid`,
  ])
  expect(await run('given-up', number, ...said)).toEqual([
    1,
    'nothing was changed: refund_not_endable (it is succeeded)',
  ])
  expect(await run('lift-flag', order.out_trade_no, ...said)).toEqual([
    0,
    `${order.out_trade_no} is paid, and without a flag`,
  ])

  expect(await findRefund(store, refund)).toMatchObject({ state: 'succeeded', ended_by: 'cli:wang' })
  expect(await findOrder(store, key)).toMatchObject({ flag: null, refunded_fen: 30, reserved_fen: 30 })
  const events = (await listEvents(store, key)).slice(-2)
  expect(events.map(({ kind, note, detail }) => [kind, note, detail['actor']])).toEqual([
    ['refund', '已转账', 'cli:wang'],
    ['person', '已转账', 'cli:wang'],
  ])
  await store.close()
})
