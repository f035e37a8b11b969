import { CLOSED } from './closed'
import type { Dice } from './dice'
import { LIST_LIES } from './lists'
import { SCANNED } from './scanned'

/**
 * What most runs have not, so that it costs the others nothing: each is rare, and has a few runs in a thousand to itself.
 */
const WEIGHTS = {
  plain: 935,
  /** Many orders at once, and a Cloud Pay that takes its time: what is due when they expire takes more than one run. */
  crowd: 5,
  /** Of one Cloud Pay, each with an order of its own, and all that happens around one. */
  'two merchants': 20,
  /** Days go by, texts are purged and payers erased, and the world comes back to the order. */
  keeping: 10,
  /** The shop scans the payer's code. */
  scanned: 10,
  /** Sessions, signatures, the catalogue, and shipping. */
  'closed doors': 20,
} as const
export type Scene = keyof typeof WEIGHTS

export const drawScene = (dice: Dice): Scene => dice.weighted(WEIGHTS)

/** What has to have happened in enough runs, whatever was drawn. */
export const HAPPENINGS: readonly string[] = [
  ...LIST_LIES,
  'a backlog larger than a run of the timer',
  'a bill that outlasts a run of the timer',
  'Cloud Pay is there for one of two sub-merchants',
  'a neighbour signs in our name',
  'a purchase under one number at two sub-merchants',
  'money for a purged order',
  'money for an erased order',
  'a repeat of an order without its texts',
  'a refund of an order without its texts',
  ...SCANNED,
  ...CLOSED,
  'a payer who decides after the two minutes',
]
