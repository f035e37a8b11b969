import { boardContract } from './board.contract'
import { countersContract } from './counters.contract'
import { doctorContract } from './doctor.contract'
import { dueContract } from './due.contract'
import { migrationsContract } from './migrations.contract'
import { notificationsContract } from './notifications.contract'
import { openMoneyContract } from './openMoney.contract'
import { outboxContract } from './outbox.contract'
import { merchantsContract } from './merchants.contract'
import { peopleContract } from './people.contract'
import { refundsContract } from './refunds.contract'
import type { Kind } from './ready'
import { retentionContract } from './retention.contract'
import { storeContract } from './store.contract'

/** What the store promises, whichever database it is on. */
export function describeContracts(kind: Kind): void {
  describe('orders and their events', () => storeContract(kind))
  describe('a migration', () => migrationsContract(kind))
  describe('refunds', () => refundsContract(kind))
  describe('looking after orders', () => dueContract(kind))
  describe('notifications', () => notificationsContract(kind))
  describe('messages and anomalies', () => outboxContract(kind))
  describe('callers, quotes and limits', () => peopleContract(kind))
  describe('sub-merchants', () => merchantsContract(kind))
  describe('what is kept of a person', () => retentionContract(kind))
  describe('what is open', () => openMoneyContract(kind))
  describe('what the board reads', () => boardContract(kind))
  describe('counters and marks', () => countersContract(kind))
  describe('the doctor', () => doctorContract(kind))
}
