import { HIDDEN, type Secret } from './secrets'

/** One business event as one JSON line; the names of its members are few and stable. */
export type LogLine = { event: string; level?: 'info' | 'warn' | 'error'; [name: string]: unknown }
export type Log = (line: LogLine) => void

/** SCF cuts a line at 8 KB. */
const LINE_MAX = 8000
/** What is kept of one text in it. */
const TEXT_MAX = 500

/**
 * Writes to stdout, where the platform collects it. `secrets` are struck out of the finished line wherever they
 * appear, so even a driver's error text cannot carry one out.
 */
export function createLog(write: (text: string) => void, secrets: readonly Secret[]): Log {
  const strike = striking(secrets)
  // Before a text is cut: the first half of a secret would not be recognised any more.
  const short = (_: string, value: unknown) =>
    typeof value === 'string' && value.length > TEXT_MAX ? strike(value).slice(0, TEXT_MAX) : value
  return (line) => write(`${strike(JSON.stringify({ level: 'info', ...line }, short)).slice(0, LINE_MAX)}\n`)
}

/** Takes the secrets out of a text, wherever they stand in it. Those of fewer than six characters may be any word. */
export function striking(secrets: readonly Secret[]): (text: string) => string {
  const escaped = (text: string) => JSON.stringify(text).slice(1, -1)
  const texts = secrets.map((secret) => secret.reveal()).filter((text) => text.length >= 6)
  // Inside JSON, and inside JSON inside JSON, a secret with quotes or backslashes looks different.
  const hidden = [...new Set(texts.flatMap((text) => [text, escaped(text), escaped(escaped(text))]))]
    // One secret may contain another.
    .sort((a, b) => b.length - a.length)
  return (text) => hidden.reduce((left, secret) => left.replaceAll(secret, HIDDEN), text)
}

/** To where the platform collects it. */
export const writeLine = (line: string): void => void process.stdout.write(line)

/** What the log may know of an error: names, codes and messages down the chain of causes, never its data. */
export function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: typeof error }
  const code = (error as { code?: unknown }).code
  return {
    name: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: error.message,
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
