import { nowS } from '../base/time'
import type { AnomalyKind, NewAnomaly } from '../order/anomaly'
import type { Order } from '../order/order'
import { noteAnomalies } from '../store/beside'
import type { Payments } from './context'

export const about = (order: Order, kind: AnomalyKind, evidence: NewAnomaly['evidence']): NewAnomaly => ({
  kind,
  out_sub_mch_id: order.out_sub_mch_id,
  out_trade_no: order.out_trade_no,
  evidence,
})

/** Calls a person: a row in the table, a message to the merchant, a line in the log. */
export async function raise(payments: Payments, anomaly: NewAnomaly): Promise<void> {
  await noteAnomalies(payments.store, nowS(payments.clock), [anomaly])
  const { kind, out_trade_no, evidence } = anomaly
  payments.log({ event: 'anomaly', count: `anomaly.${kind}`, level: 'warn', out_trade_no, ...evidence })
}
