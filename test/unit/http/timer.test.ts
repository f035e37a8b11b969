import { ConfigurationFault } from '../../../shared/base/config'
import { createLog, type Log } from '../../../shared/base/log'
import type { ScfContext } from '../../../shared/http/door'
import { timerDoor, type TimerVisit } from '../../../shared/http/timer'

type Line = Record<string, unknown>
type App = { log: Log; name: string }
type Run = (app: App, visit: TimerVisit) => Promise<Record<string, unknown>>

const SECRET = 'mysql://pay:Pw9-db-password@10.0.0.5/orders'
/** As the platform sends it. */
const tick = { Type: 'Timer', TriggerName: 'every20s', Time: '2026-11-23T02:05:00Z', Message: '{}' }

function house(run: Run, open?: () => Promise<App>) {
  const boot: Line[] = []
  const lines: Line[] = []
  const into = (list: Line[]) => createLog((text) => list.push(JSON.parse(text) as Line), [])
  const app: App = { log: into(lines), name: 'app' }
  const opening = jest.fn(open ?? (async () => app))
  const running = jest.fn(run)
  return { start: timerDoor(opening, into(boot), running), opening, running, boot, lines }
}

const fine: Run = async () => ({ orders: 3, messages: 1 })
const failing =
  (error: unknown): Run =>
  async () => {
    throw error
  }

describe('a run of the timer', () => {
  test('gives back what it did, and leaves one line about it', async () => {
    const { start, lines, boot } = house(fine)
    expect(await start(tick, { request_id: 'r-1' })).toEqual({ orders: 3, messages: 1 })
    expect(lines).toEqual([
      {
        level: 'info',
        event: 'timer',
        count: 'timer.done',
        orders: 3,
        messages: 1,
        ms: expect.any(Number),
        request_id: 'r-1',
      },
    ])
    expect(boot).toEqual([])
  })

  test('is told its id and what the platform says is left, asked anew each time', async () => {
    const says = [60_000, 5000]
    const told: unknown[] = []
    const { start } = house(async (app, { requestId, deadline }) => {
      told.push(app.name, requestId, deadline.remainingMs(), deadline.remainingMs())
      return {}
    })
    await start(tick, { request_id: 'r-2', getRemainingTimeInMillis: () => says.shift()! })
    expect(told).toEqual(['app', 'r-2', 60_000, 5000])
  })

  test('needs neither an event nor a context', async () => {
    const { start, running } = house(fine)
    await start(undefined)
    expect(running).toHaveBeenCalledWith(
      expect.anything(),
      expect.objectContaining({ requestId: '', deadline: expect.anything() }),
    )
  })

  test('has its id in every line it writes, also when two run at once', async () => {
    const { start, lines } = house(async (app, { requestId }) => {
      app.log({ event: 'first', of: requestId })
      await new Promise((resolve) => setImmediate(resolve))
      app.log({ event: 'second', of: requestId })
      return {}
    })
    await Promise.all([start(tick, { request_id: 'a' }), start(tick, { request_id: 'b' })])
    const own = lines.filter((line) => line['event'] !== 'timer')
    expect(own).toHaveLength(4)
    for (const line of own) expect(line['request_id']).toBe(line['of'])
  })

  test('does not wait for connections that are kept, whatever becomes of it', async () => {
    for (const run of [fine, failing(new Error('x'))]) {
      const { start } = house(run)
      const context: ScfContext = { callbackWaitsForEmptyEventLoop: true }
      const ended = start(tick, context)
      expect(context.callbackWaitsForEmptyEventLoop).toBe(false)
      await ended.catch(() => undefined)
    }
  })

  test('opens at its events, and not before', async () => {
    const { start, opening } = house(fine)
    expect(opening).not.toHaveBeenCalled()
    await start(tick)
    expect(opening).toHaveBeenCalledTimes(1)
  })
})

describe('a run that fails', () => {
  test('throws, so that the platform counts it, and says nothing of its cause there', async () => {
    const { start, lines } = house(failing(new Error('these parts failed', { cause: new Error(SECRET) })))
    const error = await start(tick, { request_id: 'r-3' }).catch((error: unknown) => error)
    // The platform writes message, stack and cause into its log.
    expect(error).toBeInstanceOf(Error)
    expect((error as Error).message).toBe('the timer run failed; its cause is in the log line before')
    expect((error as Error).cause).toBeUndefined()
    expect((error as Error).stack).not.toContain('Pw9')
    expect(lines).toEqual([
      {
        level: 'error',
        event: 'timer',
        count: 'timer.failed',
        request_id: 'r-3',
        cause: expect.objectContaining({ name: 'Error', message: 'these parts failed' }),
      },
    ])
  })

  test('does not spoil the next one', async () => {
    let nth = 0
    const { start } = house(async () => {
      if (++nth === 1) throw new Error('once')
      return { nth }
    })
    await expect(start(tick)).rejects.toThrow('the timer run failed')
    expect(await start(tick)).toEqual({ nth: 2 })
  })

  test('because the configuration is at fault says so in the log of the start, each time', async () => {
    const broken = () => Promise.reject(new ConfigurationFault(['DATABASE_URL is missing']))
    const { start, running, boot, lines } = house(fine, broken)
    for (let nth = 0; nth < 2; nth++) {
      const error = await start(tick, { request_id: `r${nth}` }).catch((error: unknown) => error)
      expect(String(error)).not.toContain('DATABASE_URL')
    }
    expect(running).not.toHaveBeenCalled()
    expect(lines).toEqual([])
    expect(boot).toHaveLength(2)
    expect(boot[1]).toMatchObject({
      event: 'timer',
      level: 'error',
      request_id: 'r1',
      cause: { name: 'ConfigurationFault', message: 'DATABASE_URL is missing' },
    })
  })
})

describe('the timer at an address', () => {
  test.each([
    ['POST', '/'],
    ['GET', '/timer'],
    ['POST', '/orders'],
  ])('answers %s %s that nothing is there, and does nothing', async (httpMethod, path) => {
    const { start, opening, running, lines, boot } = house(fine)
    const answer = await start(
      { httpMethod, path, headers: {}, body: JSON.stringify(tick) },
      { request_id: 'r' },
    )
    expect(answer).toMatchObject({ statusCode: 404, headers: { 'x-request-id': 'r' } })
    expect(JSON.parse((answer as { body: string }).body)).toMatchObject({ code: 'path_not_found' })
    expect(opening).not.toHaveBeenCalled()
    expect(running).not.toHaveBeenCalled()
    expect([...lines, ...boot]).toEqual([])
  })
})
