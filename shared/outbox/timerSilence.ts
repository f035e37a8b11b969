import { describeError } from '../base/log'
import { shorter, type Deadline } from '../base/time'
import { inTime } from '../net/send'
import { findDueAlarm } from '../store/outbox'
import { deliverOne, recipientsOf, type Outbox } from './deliver'

/** Noticing and telling together, so that whoever asked hardly notices. */
const LIMIT_MS = 1_000
/** For the door's own answer. */
const ANSWER_MS = 300
/** For writing down what became of the attempt. */
const RESERVE_MS = 200
/** With less, an attempt would mostly fail for want of time, and use up a rung. */
const ATTEMPT_MIN_MS = 300

/**
 * That the timer is silent is the one message the timer cannot deliver, so the door that notices it does. `notices` says
 * whether it is silent. One attempt, by whoever claims the message; when it fails, the message stays due as any other.
 *
 * Never fails, and never takes longer than a second or than the door has left: what is still going on then goes on, and
 * is only not waited for.
 */
export async function tellTimerSilence(
  outbox: Outbox,
  notices: () => Promise<boolean>,
  deadline: Deadline,
): Promise<void> {
  const limitMs = Math.min(LIMIT_MS, deadline.remainingMs() - ANSWER_MS)
  if (limitMs <= 0) return
  const own = shorter(deadline, limitMs)
  const forAttemptMs = () => own.remainingMs() - RESERVE_MS

  const work = async () => {
    if (!(await notices())) return
    const recipients = recipientsOf(outbox)
    if (recipients.length === 0 || forAttemptMs() < ATTEMPT_MIN_MS) return
    const message = await findDueAlarm(outbox.store, 'timer_silent')
    if (message) await deliverOne(outbox, recipients, message, forAttemptMs)
  }
  try {
    await inTime(limitMs, work())
  } catch (error) {
    const cause = describeError(error)
    outbox.log({ event: 'silence_not_told', count: 'timer.silence_not_told', level: 'warn', cause })
  }
}
