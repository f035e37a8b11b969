import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invokeLocal, readLocalStage, type LocalInvocation } from '../../../deploy/invokeLocal'
import { makeContext } from '../../../deploy/context'

const invoke = (it: Partial<LocalInvocation>) =>
  invokeLocal({
    key: 'migrate',
    handler: 'migrate.main_handler',
    event: { do: 'count' },
    environment: {
      ...readLocalStage(),
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
  const file = join(mkdtempSync(join(tmpdir(), 'invoke-')), 'orders.db')
  const environment = { ...readLocalStage(), DATABASE_URL: `sqlite:${file}` }
  expect(await invoke({ timeLimitMs: 1, environment })).toMatchObject({
    fault: expect.stringContaining('0.001 s and was stopped'),
  })
  // It did not get as far as opening its database.
  expect(existsSync(file)).toBe(false)
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

test('the context counts down to the limit', async () => {
  const context = makeContext('status', 1000, 128)
  expect(context).toMatchObject({ time_limit_in_ms: 1000, memory_limit_in_mb: 128, function_name: 'status' })
  const before = context.getRemainingTimeInMillis()
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(context.getRemainingTimeInMillis()).toBeLessThan(before - 10)
  expect(makeContext('status', 0).getRemainingTimeInMillis()).toBe(0)
})
