import { createHmac, createSecretKey } from 'node:crypto'
import { ConfigurationFault } from '../base/config'
import { describeError, type Log } from '../base/log'
import type { Random } from '../base/random'
import type { Secret } from '../base/secrets'
import { nowS, type Clock, type Deadline } from '../base/time'
import { Refused } from '../net/address'
import { NetFault } from '../net/post'
import { inTime, type Send } from '../net/send'
import type { NewAnomaly } from '../order/anomaly'
import type { Message } from '../order/message'
import type { Store } from '../store/open'
import {
  claimMessage,
  giveUpMessage,
  listDueMessages,
  markDelivered,
  retryMessage,
  type DueMessage,
} from '../store/outbox'
import { waitAfter } from './ladder'
import { workOff } from './work'

export type Outbox = {
  store: Store
  clock: Clock
  random: Random
  log: Log
  /** `secret`: `whsec_` and base64, as Standard Webhooks has it. */
  webhook: { url: string; secret: Secret; allowPrivate: boolean } | undefined
  onMessage: OnMessage | undefined
  send: Send
}

/** A hook of the merchant's in this very process. Taken when it returns, not taken when it throws. */
export type OnMessage = (message: Pick<Message, 'id' | 'type' | 'payload'>) => Promise<void>

export type Tally = {
  delivered: number
  /** Will be tried again. */
  failed: number
  gaveUp: number
}

const BATCH = 20
const ATTEMPT_MS = 10_000
/** With less, an attempt would mostly fail for want of time, and use up a rung. */
const ATTEMPT_MIN_MS = 2_000
/** For writing down what became of it. */
const RESERVE_MS = 1_000
/** An attempt and two statements, with room. Who dies in between keeps the message back for no longer. */
const LEASE_MS = 30_000
const ERROR_MAX = 128

/**
 * Delivers what is due until nothing is, or the time is nearly up.
 *
 * At least once: who dies between sending and writing it down has it sent again, with the same id. With a webhook and
 * a hook, both must take a message for it to be delivered, and both hear it again if one did not. With neither,
 * nothing is touched: messages wait, unattempted, until there is somebody to tell.
 */
export async function deliverDue(outbox: Outbox, deadline: Deadline): Promise<Tally> {
  const tally: Tally = { delivered: 0, failed: 0, gaveUp: 0 }
  if (!outbox.webhook && !outbox.onMessage) return tally
  const forAttemptMs = () => Math.min(ATTEMPT_MS, deadline.remainingMs() - RESERVE_MS)
  if (forAttemptMs() < ATTEMPT_MIN_MS) return tally

  const first = await listDueMessages(outbox.store, BATCH)
  if (first.length === 0) return tally
  const recipients = recipientsOf(outbox)
  await workOff(
    first,
    () => listDueMessages(outbox.store, BATCH),
    () => forAttemptMs() >= ATTEMPT_MIN_MS,
    async (message) => {
      const end = await deliverOne(outbox, recipients, message, forAttemptMs)
      if (end) tally[end]++
    },
  )
  return tally
}

/** One attempt, if nobody else has it. Undefined: somebody had, or there was no time left. */
export async function deliverOne(
  { store, clock, random, log }: Outbox,
  recipients: Recipient[],
  message: DueMessage,
  forAttemptMs: () => number,
): Promise<keyof Tally | undefined> {
  if ((await claimMessage(store, message, LEASE_MS)) === 'lost') return undefined
  // The database may have kept us waiting.
  const timeoutMs = forAttemptMs()
  if (timeoutMs <= 0) return undefined

  const { id, type } = message
  const attempts = message.attempts + 1
  const ends = await Promise.allSettled(recipients.map((tell) => tell(message, timeoutMs)))
  const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))

  if (errors.length === 0) {
    const mark = () => markDelivered(store, id, attempts, nowS(clock))
    // Lost may mean that the connection broke: said twice it is the same, and saves the merchant a repeat.
    const marked = (await mark()) === 'done' || (await mark()) === 'done'
    log({ event: 'message_delivered', id, type, attempts, ...(marked ? {} : { marked, level: 'warn' }) })
    return 'delivered'
  }

  const why = errors.map(nameOf).join(' ').slice(0, ERROR_MAX)
  const line = { id, type, attempts, why, causes: errors.map((error) => describeError(error)) }
  const waitMs = waitAfter(attempts, nowS(clock) - message.created_at, random)
  if (waitMs !== undefined) {
    await retryMessage(store, id, attempts, why, waitMs)
    log({ event: 'message_failed', level: 'warn', ...line, next_in_s: Math.round(waitMs / 1000) })
    return 'failed'
  }
  const gaveUp = await giveUpMessage(
    store,
    id,
    attempts,
    why,
    nowS(clock),
    undelivered(message, attempts, why),
  )
  log({ event: 'message_given_up', level: 'error', ...line })
  return gaveUp === 'done' ? 'gaveUp' : 'failed'
}

/**
 * One anomaly for all of them: a server that is away for days leaves one row with a count, not a row per message. An
 * anomaly is a message too, but only once while it is open; so this cannot feed on itself.
 */
const undelivered = ({ id, type, out_sub_mch_id }: Message, attempts: number, why: string): NewAnomaly => ({
  kind: 'webhook_undelivered',
  out_sub_mch_id,
  out_trade_no: '',
  evidence: { message: id, type, attempts, why },
})

/** Settles within `timeoutMs`, and rejects when the message was not taken. */
export type Recipient = (message: DueMessage, timeoutMs: number) => Promise<void>

export const recipientsOf = ({ webhook, onMessage, send, clock }: Outbox): Recipient[] => [
  ...(webhook ? [webhookRecipient(webhook, send, clock)] : []),
  ...(onMessage ? [hookRecipient(onMessage)] : []),
]

function webhookRecipient(
  { url, secret, allowPrivate }: NonNullable<Outbox['webhook']>,
  send: Send,
  clock: Clock,
): Recipient {
  const sign = openWebhookKey(secret)
  return async ({ id, payload }, timeoutMs) => {
    const timestamp = String(nowS(clock))
    const headers = {
      'content-type': 'application/json',
      // Firewalls are suspicious of who has no name.
      'user-agent': 'cloud-pay-scf',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': sign(`${id}.${timestamp}.${payload}`),
    }
    const status = await send(url, Buffer.from(payload), { headers, timeoutMs, allowPrivate })
    if (status < 200 || status > 299) throw new NotTaken(`http_${status}`)
  }
}

/** Standard Webhooks asks for one HMAC over id, time and payload. Its library would be 16 KB in every door that tells. */
function openWebhookKey(secret: Secret): (text: string) => string {
  const [, base64 = ''] = /^whsec_([0-9A-Za-z+/]+={0,2})$/.exec(secret.reveal()) ?? []
  if (base64 === '' || base64.length % 4 !== 0)
    throw new ConfigurationFault(['MERCHANT_WEBHOOK_SECRET must be whsec_ and base64'])
  const key = createSecretKey(Buffer.from(base64, 'base64'))
  return (text) => `v1,${createHmac('sha256', key).update(text, 'utf8').digest('base64')}`
}

/** A hook that does not return cannot be stopped: it is not waited for, and may still be at it when it is told again. */
const hookRecipient =
  (onMessage: OnMessage): Recipient =>
  async ({ id, type, payload }, timeoutMs) => {
    try {
      await inTime(timeoutMs, (async () => onMessage({ id, type, payload }))())
    } catch (cause) {
      throw new NotTaken(
        cause instanceof NetFault && cause.code === 'timeout' ? 'hook_timeout' : 'hook_failed',
        {
          cause,
        },
      )
    }
  }

class NotTaken extends Error {
  override readonly name = 'NotTaken'
}

/** Short and stable, for the row. The rest is in the log. */
const nameOf = (error: unknown): string =>
  error instanceof NetFault || error instanceof Refused
    ? error.code
    : error instanceof NotTaken
      ? error.message
      : 'unexpected'
