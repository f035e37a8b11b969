/** The clock is passed in, so that a test (or a simulation) can own it. */
export type Clock = {
  /** UTC, milliseconds since the epoch. */
  nowMs(): number
  sleep(ms: number): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}

/** Cloud Pay counts in whole seconds, and so do our rows. */
export const nowS = (clock: Clock): number => Math.floor(clock.nowMs() / 1000)

/** How long a piece of work may still take. */
export type Deadline = { remainingMs(): number }

export function deadlineAfter(clock: Clock, ms: number): Deadline {
  const endMs = clock.nowMs() + ms
  return { remainingMs: () => endMs - clock.nowMs() }
}

/** The same, and over after `ms` at the latest. */
export function shorter(deadline: Deadline, ms: number): Deadline {
  const spareMs = Math.max(0, deadline.remainingMs() - ms)
  return { remainingMs: () => deadline.remainingMs() - spareMs }
}

/**
 * Epoch seconds as RFC 3339 in China's time zone. The offset is written out, so the text means the same instant
 * whatever the reader's zone is; inside we only ever keep the epoch.
 */
export function rfc3339(epochS: number): string {
  return new Date((epochS + 8 * 3600) * 1000).toISOString().replace(/\.000Z$/, '+08:00')
}
