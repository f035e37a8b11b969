import { Fault } from '../base/errors'
import { rfc3339 } from '../base/time'
import { anomalyId, type NewAnomaly } from '../order/anomaly'
import { messageId, type NewMessage } from '../order/message'
import type { Store } from './open'
import { statement } from './statements'
import { nowPlus, unlessTaken, write, type Say } from './transaction'

/**
 * What a move takes along in its own transaction: messages for the merchant and anomalies for a person. Committed with
 * the move or not at all.
 */
export type Beside = { messages?: NewMessage[]; anomalies?: NewAnomaly[] }

const insertMessage = statement<{
  id: string
  out_sub_mch_id: string
  out_trade_no: string
  type: NewMessage['type']
  payload: string
  created_at: number
}>((db, given, store) =>
  db.insertInto('outbox').values({
    id: given.id,
    out_sub_mch_id: given.out_sub_mch_id,
    out_trade_no: given.out_trade_no,
    type: given.type,
    payload: given.payload,
    created_at: given.created_at,
    attempts: 0,
    next_due_at_ms: nowPlus(store, 0),
    delivered_at: null,
    last_error: null,
  }),
)

type AnomalyRow = {
  id: string
  kind: NewAnomaly['kind']
  out_sub_mch_id: string
  out_trade_no: string
  evidence: string
  at: number
}

/** `resolved`: opens it again. The shapes exclude each other, so of two who see it resolved only one opens it. */
const repeatAnomaly = statement<AnomalyRow, 'open' | 'resolved'>((db, given, _, which) =>
  db
    .updateTable('anomalies')
    .set((eb) => ({
      times: eb('times', '+', 1),
      last_at: given.at,
      evidence: given.evidence,
      resolved_at: null,
      resolution: null,
    }))
    .where('id', '=', given.id)
    .where('resolved_at', which === 'open' ? 'is' : 'is not', null),
)

const selectTimes = statement<{ id: string }>((db, given) =>
  db.selectFrom('anomalies').select('times').where('id', '=', given.id),
)

const insertAnomaly = statement<AnomalyRow>((db, given) =>
  db.insertInto('anomalies').values({
    id: given.id,
    kind: given.kind,
    out_sub_mch_id: given.out_sub_mch_id,
    out_trade_no: given.out_trade_no,
    evidence: given.evidence,
    first_at: given.at,
    last_at: given.at,
    times: 1,
    resolved_at: null,
    resolution: null,
  }),
)

/** What is told of an order whose texts are gone is kept as long as those were, and goes by the next purge. */
const keepAgain = statement<{ out_sub_mch_id: string; out_trade_no: string; at: number }>((db, given) =>
  db
    .updateTable('orders')
    .set({ purged_at: null, updated_at: given.at })
    .where('out_sub_mch_id', '=', given.out_sub_mch_id)
    .where('out_trade_no', '=', given.out_trade_no)
    .where('purged_at', 'is not', null),
)

/** An anomaly is told once each time it opens: when it is new, and when it shows again after it was resolved. */
export async function sayBeside(
  store: Store,
  say: Say,
  out_sub_mch_id: string,
  at: number,
  { messages = [], anomalies = [] }: Beside,
): Promise<void> {
  for (const message of messages) await sayMessage(store, say, out_sub_mch_id, at, message)
  for (const anomaly of anomalies) {
    const id = anomalyId(anomaly)
    const { kind, out_trade_no, evidence } = anomaly
    if (out_trade_no !== '') await say(keepAgain(store, { out_sub_mch_id, out_trade_no, at }))
    const row = { id, kind, out_sub_mch_id, out_trade_no, evidence: JSON.stringify(evidence), at }
    if ((await say(repeatAnomaly(store, row, 'open'))).affected > 0) continue
    let opening = id
    if ((await say(repeatAnomaly(store, row, 'resolved'))).affected > 0) {
      // The count only grows, so it names this opening among all of them. The first one is named by the id alone.
      const { times } = (await say(selectTimes(store, { id }))).rows[0] as { times: number | string }
      opening = `${id}\n${times}`
    } else {
      await insert(store, say(insertAnomaly(store, row)))
    }
    const payload = JSON.stringify({
      type: 'anomaly',
      timestamp: rfc3339(at),
      data: { id, kind, out_trade_no, evidence },
    })
    await sayMessage(store, say, out_sub_mch_id, at, {
      type: 'anomaly',
      about: opening,
      out_trade_no,
      payload,
    })
  }
}

/** The id says what it is about, so telling the same twice is a unique violation: then this move is not the first. */
const sayMessage = (store: Store, say: Say, out_sub_mch_id: string, at: number, message: NewMessage) =>
  insert(
    store,
    say(
      insertMessage(store, {
        id: messageId(message, out_sub_mch_id),
        out_sub_mch_id,
        out_trade_no: message.out_trade_no,
        type: message.type,
        payload: message.payload,
        created_at: at,
      }),
    ),
  )

const insert = (store: Store, said: ReturnType<Say>) => unlessTaken(store, said, () => undefined)

const ATTEMPTS = 6

/** On their own, when there is no move to take them along. Throws `database_unavailable` when they cannot be kept. */
export async function noteAnomalies(store: Store, at: number, anomalies: NewAnomaly[]): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const outcome = await write(store, async (say) => {
      for (const anomaly of anomalies) {
        await sayBeside(store, say, anomaly.out_sub_mch_id, at, { anomalies: [anomaly] })
      }
    })
    if (outcome === 'done') return
  }
  throw new Fault('database_unavailable', { cause: new Error('lost every race for an anomaly') })
}
