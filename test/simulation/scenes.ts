import type { Dice } from './dice'
import { LIST_LIES } from './lists'

/**
 * What most runs have not, so that it costs the others nothing: each is rare, and has a few runs in a thousand to itself.
 */
const WEIGHTS = {
  plain: 990,
  /** Many orders at once, and a Cloud Pay that takes its time: what is due when they expire takes more than one run. */
  crowd: 10,
} as const
export type Scene = keyof typeof WEIGHTS

export const drawScene = (dice: Dice): Scene => dice.weighted(WEIGHTS)

/** What has to have happened in enough runs, whatever was drawn. */
export const HAPPENINGS = [
  ...LIST_LIES,
  'a backlog larger than a run of the timer',
  'a bill that outlasts a run of the timer',
] as const
