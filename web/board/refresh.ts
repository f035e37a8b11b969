/** Between two looks: soon while things happen, then less and less. */
const WAITS_MS = [5000, 5000, 10_000, 10_000, 20_000, 30_000, 60_000]

/**
 * Looks again and again while the page is seen. `look` says whether anything has changed; what a person does begins
 * anew with short waits. No two of these looks are ever under way at once.
 */
export function openRefresh(window: Window, look: () => Promise<boolean>, isFree: () => boolean) {
  let step = 0
  let timer = 0
  let isOn = false
  let isLooking = false

  const schedule = () => {
    window.clearTimeout(timer)
    if (isOn) timer = window.setTimeout(() => void tick(), WAITS_MS[Math.min(step, WAITS_MS.length - 1)])
  }

  async function tick(): Promise<void> {
    if (isLooking) return
    if (isOn && isFree() && window.document.visibilityState === 'visible') {
      isLooking = true
      const changed = await look().finally(() => {
        isLooking = false
      })
      step = changed ? 0 : step + 1
    }
    schedule()
  }

  window.document.addEventListener('visibilitychange', () => {
    if (isOn && window.document.visibilityState === 'visible') void tick()
  })

  return {
    start(): void {
      isOn = true
      step = 0
      schedule()
    },
    stop(): void {
      isOn = false
      window.clearTimeout(timer)
    },
    /** A person is at it. */
    hurry(): void {
      step = 0
      schedule()
    },
  }
}
