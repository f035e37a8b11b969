import type { Dice } from './dice'

/** Everything that can go wrong, and how often in a run: most runs are a little unlucky, some very, some not at all. */
export const DATABASE_FAULTS = [
  'db refused', // no connection
  'db stale', // the connection died while the instance was frozen
  'db lost before commit', // undone, and the client hears of a broken connection
  'db lost commit kept', // kept, and the client hears of a broken connection
  'db lost commit undone', // COMMIT was sent and never arrived
  'db deadlock', // undone in favour of another
  'db busy', // the write lock is taken
  'db silent', // no answer in time; what was asked may have been done
  'db failover', // the last transactions are gone
] as const

export const NETWORK_FAULTS = [
  'request dropped',
  'answer dropped',
  'request late',
  'answer late',
  'request twice',
  'stale socket, unheard', // the kept socket is dead, the request did not arrive
  'stale socket, heard', // the kept socket died after the request had arrived
  'cut off',
  'cut short', // a whole answer that carries half a body
  '5xx',
  'slow body',
  'connect timeout',
  'answer of another order', // genuine, and meant for somebody else
  'transforming', // signed: still being worked on, and showing what it is not
  'forged answer', // somebody in between claims a payment, and cannot sign it
] as const

/** What Cloud Pay itself does wrong: names of the sandbox's own faults. */
export const CLOUD_PAY_FAULTS = [
  'wrong-signed',
  'lower-signed',
  'unsigned',
  'object',
  'wrong-amount',
  'foreign',
  'not-json',
  '3',
  '101',
  '102',
  '103',
  '104',
] as const

export const PLATFORM_FAULTS = [
  'crash', // the instance is gone, whatever it was doing
  'time limit', // the platform ends it
] as const

export const NOTIFICATION_FAULTS = [
  'notification dropped',
  'notification late',
  'notification repeated',
  'notification early', // before there is a row
  // What strangers send.
  'notification forged',
  'notification altered',
  'notification foreign merchant',
  'notification wrong amount',
  'notification wrong shop',
  'notification played back',
  'notification orphan',
] as const

export const WEBHOOK_FAULTS = ['webhook unreachable', 'webhook answers 500'] as const

export type DatabaseFault = (typeof DATABASE_FAULTS)[number]
export type NetworkFault = (typeof NETWORK_FAULTS)[number]
export type CloudPayFault = (typeof CLOUD_PAY_FAULTS)[number]

/** How likely each kind is at each chance it has. All zero once the faults stop. */
export type Luck = {
  database: number
  network: number
  cloudPay: number
  crash: number
  /** Anything may take longer than it should. */
  slow: number
  failover: number
}

export const NO_FAULTS: Luck = { database: 0, network: 0, cloudPay: 0, crash: 0, slow: 0, failover: 0 }

const LEVELS = [0, 0.02, 0.05, 0.1, 0.25]
/** A handler has many chances at the database and few at the network. */
const DATABASE_LEVELS = [0, 0, 0.01, 0.03, 0.08]

export const drawLuck = (dice: Dice): Luck => ({
  database: dice.pick(DATABASE_LEVELS),
  network: dice.pick(LEVELS),
  cloudPay: dice.pick(LEVELS),
  crash: dice.pick([0, 0.003, 0.01, 0.03]),
  slow: dice.pick(LEVELS),
  failover: dice.chance(0.06) ? dice.pick([0.005, 0.02]) : 0,
})
