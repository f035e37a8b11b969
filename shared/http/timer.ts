import { Fault } from '../base/errors'
import { describeError, type Log } from '../base/log'
import type { Deadline } from '../base/time'
import { problem, type HttpAnswer } from './answer'
import { deadlineOf, type ScfContext } from './door'
import { isHttpEvent } from './event'

export type TimerVisit = { requestId: string; deadline: Deadline }

/**
 * The `main_handler` of a function that a timer starts. A run that fails throws: the platform counts it as failed and
 * may run it again, which does no harm. It has no address; should somebody give it one, it answers nothing there.
 */
export function timerDoor<App extends { log: Log }>(
  open: () => Promise<App>,
  bootLog: Log,
  run: (app: App, visit: TimerVisit) => Promise<Record<string, unknown>>,
) {
  return async (event: unknown, context: ScfContext = {}): Promise<Record<string, unknown> | HttpAnswer> => {
    context.callbackWaitsForEmptyEventLoop = false
    const requestId = context.request_id ?? ''
    if (isHttpEvent(event)) return problem(new Fault('path_not_found'), requestId)
    const startMs = performance.now()
    let log = bootLog
    try {
      const app = await open()
      log = (line) => app.log({ ...line, request_id: requestId })
      const summary = await run({ ...app, log }, { requestId, deadline: deadlineOf(context) })
      log({ event: 'timer', count: 'timer.done', ...summary, ms: Math.round(performance.now() - startMs) })
      return summary
    } catch (error) {
      log({
        event: 'timer',
        count: 'timer.failed',
        level: 'error',
        request_id: requestId,
        cause: describeError(error),
      })
      // The platform writes what is thrown to its log, so nothing of the cause goes with it.
      throw new Error('the timer run failed; its cause is in the log line before')
    }
  }
}
