import type { World } from './world'

/**
 * Where the instrumented code (see crash.ts) reports every `await` it comes to: before what it waits for is begun, and
 * when it has come and nothing has been made of it yet. At the chosen one the instance is gone.
 */
export type CrashPlan = {
  /** `file:line:column` of the await. */
  point: string
  phase: Phase
  /** Counted from 0. */
  visit: number
}
export const PHASES = ['before', 'after'] as const
export type Phase = (typeof PHASES)[number]

declare global {
  var crashPoint: (point: string, go: () => Promise<unknown>) => Promise<unknown>
}

const never = new Promise<never>(() => undefined)

globalThis.crashPoint ??= (_point, go) => go()

/** Visits are counted by `point phase`. */
export function installCrashPoints(world: World, plan: CrashPlan | undefined): Map<string, number> {
  const visits = new Map<string, number>()
  const hit = (point: string, phase: Phase): boolean => {
    const owner = world.current as { crash?: () => void }
    // Not the handlers' own time: the schema is being made, or the programs look.
    if (!owner.crash) return false
    const key = `${point} ${phase}`
    const visit = visits.get(key) ?? 0
    visits.set(key, visit + 1)
    if (plan?.point !== point || plan.phase !== phase || plan.visit !== visit) return false
    world.tell(world.current, () => `crashes at await ${point}, ${phase}`)
    owner.crash()
    return true
  }
  globalThis.crashPoint = async (point, go) => {
    if (hit(point, 'before')) return never
    const come = await go()
    return hit(point, 'after') ? never : come
  }
  return visits
}
