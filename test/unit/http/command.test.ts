import { ConfigurationFault } from '../../../shared/base/config'
import { createLog } from '../../../shared/base/log'
import { command, type Opened } from '../../../shared/http/command'

const SECRET = 'mysql://pay:Pw9-db-password@10.0.0.5/orders'

/** A function with two commands, and everything it writes. */
function house(count: () => Promise<object>, open?: () => Promise<Opened<string>>) {
  const lines: Record<string, unknown>[] = []
  const log = createLog((text) => lines.push(JSON.parse(text) as Record<string, unknown>), [])
  const close = jest.fn(async () => undefined)
  const opening = jest.fn(open ?? (async () => ({ log, of: 'store', close })))
  const handler = command(opening, log, { count, name: async (of) => ({ of }) })
  return { handler, opening, close, lines }
}
const fine = async () => ({ open: { orders: 2 } })
const messageOf = async (work: Promise<unknown>) => (await work.catch((error: unknown) => error)) as Error

test('does what it is told, for one call at a time, and says so in the log', async () => {
  const { handler, opening, close, lines } = house(fine)
  const context = { request_id: 'r-1', callbackWaitsForEmptyEventLoop: true }
  expect(await handler({ do: 'count' }, context)).toEqual({ open: { orders: 2 } })
  expect(context.callbackWaitsForEmptyEventLoop).toBe(false)
  expect(await handler({ do: 'name' })).toEqual({ of: 'store' })
  expect(opening).toHaveBeenCalledTimes(2)
  expect(close).toHaveBeenCalledTimes(2)
  expect(lines[0]).toMatchObject({ event: 'command', do: 'count', request_id: 'r-1', open: { orders: 2 } })
})

test.each([
  undefined,
  null,
  'count',
  {},
  { do: 'drop' },
  { do: 'toString' },
  { do: ['count'] },
  { Type: 'Timer', Message: 'count' },
  { httpMethod: 'POST', path: '/', do: 'count', body: '{"do":"count"}' },
])('%j is no command, and nothing is opened for it', async (event) => {
  const { handler, opening } = house(fine)
  expect((await messageOf(handler(event))).message).toBe(
    'send {"do":"…"} with one of count, name, through the Invoke API',
  )
  expect(opening).not.toHaveBeenCalled()
})

test('what goes wrong is thrown by its names and codes, and told to the log', async () => {
  const cause = Object.assign(new Error(`denied for ${SECRET}`), { code: 'ER_ACCESS_DENIED_ERROR' })
  const odd = Object.assign(new Error('x', { cause }), { code: SECRET })
  const { handler, close, lines } = house(() => Promise.reject(odd))
  const error = await messageOf(handler({ do: 'count' }, { request_id: 'r-2' }))
  expect(error.message).toBe(
    'count failed: Error, Error ER_ACCESS_DENIED_ERROR; the log line of this request says more',
  )
  // The platform passes message and stack on to whoever called.
  expect(`${error.stack} ${String(error.cause)}`).not.toContain('Pw9')
  expect(close).toHaveBeenCalledTimes(1)
  expect(lines).toMatchObject([{ level: 'error', request_id: 'r-2', cause: { message: 'x' } }])
})

test('a fault in the configuration is told by name', async () => {
  const { handler } = house(fine, () => Promise.reject(new ConfigurationFault(['DATABASE_URL is missing'])))
  expect((await messageOf(handler({ do: 'count' }))).message).toContain(
    'count failed: DATABASE_URL is missing;',
  )
})

test('a goodbye that fails spoils nothing', async () => {
  const { handler, close } = house(fine)
  close.mockRejectedValueOnce(new Error('gone'))
  expect(await handler({ do: 'count' })).toEqual({ open: { orders: 2 } })
})
