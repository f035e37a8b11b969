import { ConfigurationFault } from '../base/config'
import { describeError, type Log } from '../base/log'
import type { ScfContext } from './door'
import { isHttpEvent } from './event'

/** What a command works with: opened for one call and closed behind it, for the next may be weeks away. */
export type Opened<Of> = { log: Log; of: Of; close: (of: Of) => Promise<void> }

type Commands<Of> = Readonly<Record<string, (of: Of) => Promise<object>>>

/**
 * The `main_handler` of a function without an address, told what to do by `{"do":"…"}` through the Invoke API. What
 * goes wrong is thrown: the platform passes it on to whoever called, and into its log, so it is names and codes only.
 */
export function command<Of>(open: () => Promise<Opened<Of>>, bootLog: Log, commands: Commands<Of>) {
  return async (event: unknown, context: ScfContext = {}): Promise<object> => {
    context.callbackWaitsForEmptyEventLoop = false
    const wanted = isHttpEvent(event) ? undefined : (event as { do?: unknown } | null)?.do
    const names = Object.keys(commands)
    if (typeof wanted !== 'string' || !names.includes(wanted)) {
      throw new Error(`send {"do":"…"} with one of ${names.join(', ')}, through the Invoke API`)
    }
    const startMs = performance.now()
    const line = { event: 'command', do: wanted, request_id: context.request_id ?? '' }
    let log = bootLog
    try {
      const opened = await open()
      log = opened.log
      try {
        const result = await commands[wanted]!(opened.of)
        log({ ...line, ms: Math.round(performance.now() - startMs), ...result })
        return result
      } finally {
        // Whatever becomes of the goodbye, the work is done or has failed.
        await opened.close(opened.of).catch(() => undefined)
      }
    } catch (error) {
      log({ ...line, level: 'error', cause: describeError(error) })
      const why = error instanceof ConfigurationFault ? error.message : kindsOf(error)
      throw new Error(`${wanted} failed: ${why}; the log line of this request says more`)
    }
  }
}

/** Names and codes down the chain of causes. Messages may quote an address or a statement. */
function kindsOf(error: unknown): string {
  const kinds: string[] = []
  for (let one = error; one instanceof Error && kinds.length < 5; one = one.cause) {
    const { code } = one as { code?: unknown }
    const isCode = typeof code === 'number' || (typeof code === 'string' && /^[\w.-]{1,40}$/.test(code))
    kinds.push(isCode ? `${one.name} ${code}` : one.name)
  }
  return kinds.join(', ') || typeof error
}
