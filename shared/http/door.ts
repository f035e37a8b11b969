import { ConfigurationFault } from '../base/config'
import { Fault } from '../base/errors'
import { describeError, type Log } from '../base/log'
import { shorter, type Deadline } from '../base/time'
import { problem, type HttpAnswer } from './answer'
import { isHttpEvent, readBody, readHead, type HttpRequest } from './event'

/** What the platform passes beside the event. Never logged: its `environment` holds every variable. */
export type ScfContext = {
  request_id?: string
  getRemainingTimeInMillis?: () => number
  time_limit_in_ms?: number
  callbackWaitsForEmptyEventLoop?: boolean
}

export type Visit = { request: HttpRequest; requestId: string; deadline: Deadline }

export type Route<App> = {
  method: string
  /** `/orders/{out_trade_no}`: a name in braces is one segment. */
  path: string
  handle: (app: App, visit: Visit) => Promise<HttpAnswer>
  /** How a refusal is put when the caller wants another shape than a problem. */
  refuse?: (fault: Fault, requestId: string) => HttpAnswer
  /** The same path with a slash at its end is this one as well. */
  slashToo?: true
  /** Larger bodies are refused before they are decoded or parsed; left out: `BODY_MAX_BYTES`. */
  bodyMaxBytes?: number
  /** The caller waits no longer: by then the answer is the refusal of `no_time_left`. */
  withinMs?: number
}

type Opened = { log: Log }

/** What is left of a function's time when the platform does not say: its default limit. */
const DEFAULT_TIME_MS = 3000

/**
 * The `main_handler` of a function. `open` is called at every event, and gives what it keeps from the first one on; a
 * fault in the configuration stops every event before anything is read or written.
 */
export function door<App extends Opened>(
  open: () => Promise<App>,
  bootLog: Log,
  routes: readonly Route<App>[],
) {
  return async (event: unknown, context: ScfContext = {}): Promise<HttpAnswer> => {
    // A kept database connection would keep the event loop busy: without this the call is billed until its limit.
    context.callbackWaitsForEmptyEventLoop = false
    const requestId = context.request_id ?? ''
    const startMs = performance.now()
    const deadline = deadlineOf(context)
    // Every line written on the way carries the request's id.
    const bound =
      (log: Log): Log =>
      (line) =>
        log({ ...line, request_id: requestId })
    let log = bound(bootLog)
    let answer: HttpAnswer
    let route: Route<App> | undefined
    let fault: Fault | undefined
    try {
      // Before anything can fail: who calls decides how a failure is put.
      if (!isHttpEvent(event)) throw new Fault('path_not_found')
      const head = readHead(event)
      const found = match(routes, head)
      route = found.route
      const { handle, withinMs, bodyMaxBytes } = route
      const own = withinMs === undefined ? deadline : shorter(deadline, withinMs)
      const work = async () => {
        const app = await open()
        log = bound(app.log)
        const request = { ...head, params: found.params, body: readBody(event, bodyMaxBytes) }
        return handle({ ...app, log }, { request, requestId, deadline: own })
      }
      answer = withinMs === undefined ? await work() : await inTime(work(), withinMs)
    } catch (error) {
      fault = toFault(error)
      answer = (route?.refuse ?? problem)(fault, requestId)
    }
    const seen = { method: route?.method ?? '', route: route?.path ?? '' }
    const ms = Math.round(performance.now() - startMs)
    const status = answer.statusCode
    const line = { event: 'http', count: `http.${fault?.code ?? 'ok'}`, ...seen, status, ms }
    if (!fault) log(line)
    else {
      const cause = fault.cause === undefined ? {} : { cause: describeError(fault.cause) }
      log({ ...line, level: status >= 500 ? 'error' : 'info', code: fault.code, ...cause })
    }
    return answer
  }
}

/** What the platform says is left, asked anew each time; without its word, its limit and our own watch. */
export function deadlineOf(context: ScfContext): Deadline {
  if (context.getRemainingTimeInMillis) return { remainingMs: () => context.getRemainingTimeInMillis!() }
  const { time_limit_in_ms: limitMs = DEFAULT_TIME_MS } = context
  const startMs = performance.now()
  return { remainingMs: () => limitMs - (performance.now() - startMs) }
}

/** What is still going on then goes on; it is only not waited for. */
async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Fault('no_time_left')), ms)
  })
  work.catch(() => undefined)
  try {
    return await Promise.race([work, over])
  } finally {
    clearTimeout(timer)
  }
}

/** Whatever was not meant for a caller becomes a 500, or the configuration's 503; never somebody's 400. */
function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  return new Fault(error instanceof ConfigurationFault ? 'configuration' : 'internal', { cause: error })
}

/** A function answers for its own paths only. Parameters come from the path: the Function URL gives no others. */
function match<App>(routes: readonly Route<App>[], request: Pick<HttpRequest, 'method' | 'path'>) {
  const segments = request.path.split('/')
  for (const route of routes) {
    const pattern = route.path.split('/')
    if (route.method !== request.method) continue
    if (route.slashToo && request.path === `${route.path}/`) return { route, params: {} }
    if (pattern.length !== segments.length) continue
    const params: Record<string, string> = {}
    const fits = pattern.every((part, at) => {
      const segment = segments[at] ?? ''
      if (!part.startsWith('{')) return part === segment
      params[part.slice(1, -1)] = segment
      return segment !== ''
    })
    if (fits) return { route, params }
  }
  throw new Fault('path_not_found')
}
