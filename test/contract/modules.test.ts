import { boardContract } from './board.contract'
import { countersContract } from './counters.contract'
import { dueContract } from './due.contract'
import { describeKinds } from './kinds'
import { migrationsContract } from './migrations.contract'
import { notificationsContract } from './notifications.contract'
import { openMoneyContract } from './openMoney.contract'
import { outboxContract } from './outbox.contract'
import { merchantsContract } from './merchants.contract'
import { peopleContract } from './people.contract'
import { refundsContract } from './refunds.contract'
import { retentionContract } from './retention.contract'

jest.setTimeout(30_000)

/** What the store keeps beside orders and their events. */
describeKinds((kind) => {
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
})
