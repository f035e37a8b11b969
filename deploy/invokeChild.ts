import { makeContext } from './context'

/** Runs in the process that `sls invoke local` starts: one event, one answer, and that is all. */
export type Order = { file: string; key: string; event: unknown; timeLimitMs: number; memoryMb: number }
/** `result` is JSON, as the platform passes it on. */
export type Outcome = { result: string } | { fault: string }

process.once('message', (order: Order) => {
  void invoke(order).then((outcome) => process.send!(outcome, () => process.exit(0)))
})

async function invoke({ file, key, event, timeLimitMs, memoryMb }: Order): Promise<Outcome> {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a bundle, known only now
    const { main_handler } = require(file) as { main_handler(event: unknown, context: unknown): unknown }
    const result = await main_handler(event, makeContext(key, timeLimitMs, memoryMb))
    return { result: JSON.stringify(result) ?? 'null' }
  } catch (error) {
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
