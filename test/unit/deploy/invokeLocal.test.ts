import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invokeLocal, type LocalInvocation } from '../../../deploy/invokeLocal'
import { readLocalStage } from '../../../deploy/localStage'
import { makeContext } from '../../../deploy/context'
import { fakeTimeouts } from '../../support/waiting'

const invoke = (it: Partial<LocalInvocation>) =>
  invokeLocal({
    key: 'migrate',
    handler: 'migrate.main_handler',
    event: { do: 'count' },
    environment: {
      ...readLocalStage(undefined),
      // Nobody listens there: these tests say what happens without the sandbox as well.
      CLOUD_PAY_BASE_URL: 'http://127.0.0.1:9/cpay/',
      DATABASE_URL: `sqlite:${join(mkdtempSync(join(tmpdir(), 'invoke-')), 'orders.db')}`,
    },
    timeLimitMs: 10_000,
    memoryMb: 256,
    say: () => undefined,
    ...it,
  })

test('what the handler returns is the result, whatever it writes to its log', async () => {
  const outcome = await invoke({})
  expect(outcome).toEqual({ result: '{"open":{"orders":0,"refunds":0,"messages":0}}' })
})

test('what it throws is a fault', async () => {
  expect(await invoke({ event: { do: 'nonsense' } })).toMatchObject({
    fault: expect.stringMatching(/^Error: /),
  })
})

test('past its time limit it is stopped', async () => {
  const stuck = join(mkdtempSync(join(tmpdir(), 'invoke-')), 'stuck.cjs')
  writeFileSync(stuck, 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)')
  const environment = { ...readLocalStage(undefined), NODE_OPTIONS: `--require ${stuck}` }
  // There is an outcome only when the process has ended, which this one never does by itself.
  expect(await invoke({ timeLimitMs: 1, environment })).toMatchObject({
    fault: expect.stringContaining('0.001 s and was stopped'),
  })
})

test('the embedded database is migrated first, and a missing sandbox is named', async () => {
  const said: string[] = []
  const event = { httpMethod: 'GET', path: '/orders/sb01none', headers: {}, queryString: {}, body: '' }
  const outcome = await invoke({
    key: 'status',
    handler: 'status.main_handler',
    event,
    say: (line) => said.push(line),
  })
  // Without its tables this would be a 503.
  expect(JSON.parse((outcome as { result: string }).result)).toMatchObject({ statusCode: 404 })
  expect(said).toEqual([expect.stringMatching(/Nothing listens at .*npm start/)])
})

test('the context counts down to the limit', () => {
  fakeTimeouts()
  try {
    const context = makeContext('status', 1000, 128)
    const said = { time_limit_in_ms: 1000, memory_limit_in_mb: 128, function_name: 'status' }
    expect(context).toMatchObject(said)
    expect(context.getRemainingTimeInMillis()).toBe(1000)
    jest.advanceTimersByTime(20)
    expect(context.getRemainingTimeInMillis()).toBe(980)
    jest.advanceTimersByTime(1000)
    expect(context.getRemainingTimeInMillis()).toBe(0)
    expect(makeContext('status', 0).getRemainingTimeInMillis()).toBe(0)
  } finally {
    jest.useRealTimers()
  }
})
