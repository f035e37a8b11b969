import type { Secret } from './secrets'

/** One business event as one JSON line; the names of its members are few and stable. */
export type LogLine = { event: string; level?: 'info' | 'warn' | 'error'; [name: string]: unknown }
export type Log = (line: LogLine) => void

/** SCF cuts a line at 8 KB. */
const LINE_MAX = 8000

/**
 * Writes to stdout, where the platform collects it. `secrets` are struck out of the finished line wherever they
 * appear, so even a driver's error text cannot carry one out.
 */
export function createLog(write: (text: string) => void, secrets: readonly Secret[]): Log {
  const hidden = secrets.map((secret) => secret.reveal()).filter((text) => text.length >= 6)
  return (line) => {
    let text = JSON.stringify({ level: 'info', ...line })
    for (const secret of hidden) {
      text = text.replaceAll(secret, '[secret]')
      // Inside a JSON line a secret with quotes or backslashes looks different.
      text = text.replaceAll(JSON.stringify(secret).slice(1, -1), '[secret]')
    }
    write(`${text.slice(0, LINE_MAX)}\n`)
  }
}

/** What the log may know of an error: names, codes and messages down the chain of causes, never its data. */
export function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: typeof error }
  const code = (error as { code?: unknown }).code
  return {
    name: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: error.message.slice(0, 500),
    ...(depth === 0
      ? {
          at: error.stack
            ?.split('\n')
            .slice(1, 4)
            .map((line) => line.trim()),
        }
      : {}),
    ...(error.cause !== undefined && depth < 4 ? { cause: describeError(error.cause, depth + 1) } : {}),
  }
}
