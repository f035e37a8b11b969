/** Taken before anybody fakes it: for what a test has around it, and the test's watch must not hold up. */
export const realTimeout = globalThis.setTimeout

const GIVE_UP_MS = 50_000

/**
 * Waits for a condition and for no time: how fast the machine is decides only how long this takes. It gives up shortly
 * before Jest would, because it can name what did not come.
 */
export async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + GIVE_UP_MS
  while (!(await what())) {
    if (Date.now() > endMs) throw new Error(`waited in vain for ${String(what)}`)
    await new Promise((resolve) => realTimeout(resolve, 2))
  }
}

/** What has happened on a socket of this process is heard of within a few turns of its loop. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/**
 * The test moves the time of setTimeout and of `performance`. The code under test waits by those; sockets, whose work is
 * real, do not. `jest.useRealTimers()` belongs behind it.
 */
export function fakeTimeouts(): void {
  jest.useFakeTimers({
    doNotFake: [
      'Date',
      'hrtime',
      'nextTick',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
    ],
  })
}
