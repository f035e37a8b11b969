import type { ServerResponse } from 'node:http'
import { sameText } from '../../shared/base/compare'
import type { Logins } from './logins'
import type { Notifier } from './notifier'
import { Refusal, type RefundOutcome, type Sandbox } from './sandbox'
import { paySign, WECHAT_API_KEY, type SignType } from './wallet'
import { REFUND_OUTCOMES, SWITCHES, type Switches } from './switches'

/**
 * What a person or a test does to the far end: pay an order, refund it in the console, end a refund, turn a switch,
 * send a notification again, read the ledger and what arrived.
 */
export async function control(
  { sandbox, notifier, logins }: { sandbox: Sandbox; notifier: Notifier; logins: Logins },
  method: string,
  path: string,
  body: Buffer,
  response: ServerResponse,
): Promise<void> {
  const say = (status: number, value: unknown) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  try {
    const given = (body.length === 0 ? {} : JSON.parse(body.toString('utf8'))) as Record<string, unknown>
    const text = (name: string) => (typeof given[name] === 'string' ? given[name] : '')
    switch (`${method} ${path}`) {
      case 'POST /_sandbox/pay': {
        const order = sandbox.pay(text('out_trade_no'), { late: given['late'] === true })
        const { out_trade_no, state, transaction_id } = order
        return say(200, { out_trade_no, state, transaction_id })
      }
      case 'POST /_sandbox/wallet': {
        const number = orderOfPayment(sandbox, given['payment'])
        const order = sandbox.pay(number)
        return say(200, { out_trade_no: number, state: order.state })
      }
      case 'POST /_sandbox/cancel': {
        const { out_trade_no, state } = sandbox.cancel(text('out_trade_no'))
        return say(200, { out_trade_no, state })
      }
      case 'POST /_sandbox/login': {
        const payer = given['payer_id'] === undefined ? undefined : text('payer_id')
        return say(200, { code: logins.codeFor(text('app_id'), payer) })
      }
      case 'POST /_sandbox/refund': {
        const refund = sandbox.finishRefund(text('out_refund_no'), readOutcome(given['outcome']))
        const { out_trade_no, out_refund_no, state } = refund
        return say(200, { out_trade_no, out_refund_no, state })
      }
      case 'POST /_sandbox/console-refund': {
        const refund = sandbox.refundInConsole(text('out_trade_no'), readWhole(given, 'refund_fee'))
        const { out_trade_no, out_refund_no, state } = refund
        return say(200, { out_trade_no, out_refund_no, state })
      }
      case 'POST /_sandbox/notify': {
        const out_trade_no = text('out_trade_no')
        const times = given['times'] === undefined ? 1 : readWhole(given, 'times')
        if (times > TIMES_MAX) throw new Error(`times is at most ${TIMES_MAX}`)
        const out_refund_no = text('out_refund_no')
        const one = {
          out_trade_no,
          url: sandbox.notifyUrlOf(out_trade_no),
          body:
            out_refund_no === ''
              ? sandbox.notification(out_trade_no)
              : sandbox.refundNotification(out_refund_no),
        }
        return say(200, await notifier.sendNow(one, times))
      }
      case 'POST /_sandbox/notifications-off':
        sandbox.switches.notifications = 'off'
        return say(200, { notifications: sandbox.switches.notifications })
      case 'GET /_sandbox/notifications':
        return say(200, notifier.notified)
      case 'POST /_sandbox/switches':
        return say(200, Object.assign(sandbox.switches, readSwitches(given)))
      case 'GET /_sandbox/orders':
        return say(200, shownOrders(sandbox))
      case 'GET /_sandbox/received':
        return say(200, sandbox.received)
      default:
        return say(404, { error: 'no such control' })
    }
  } catch (error) {
    return say(error instanceof Refusal ? 409 : 400, {
      error: error instanceof Error ? error.message : 'bad request',
    })
  }
}

/**
 * Which order a page has handed to the wallet. WeChat's checks its signature, over exactly these members; Alipay's
 * knows the trade by its number.
 */
function orderOfPayment(sandbox: Sandbox, payment: unknown): string {
  const given = (typeof payment === 'object' && payment !== null ? payment : {}) as Record<string, string>
  const { paySign: sign, ...signed } = given
  const { tradeNO, signType, package: prepared } = given
  const found = [...sandbox.orders.values()].find((order) =>
    tradeNO === undefined ? prepared === `prepay_id=${order.prepare_id}` : tradeNO === order.trade_no,
  )
  if (!found) throw new Refusal('no such payment')
  const right = () => paySign(signed, WECHAT_API_KEY, signType as SignType)
  if (tradeNO === undefined && !sameText(sign ?? '', right())) throw new Refusal('paySign is wrong')
  return found.out_trade_no
}

const TIMES_MAX = 100

function shownOrders(sandbox: Sandbox) {
  return [...sandbox.orders.keys()].map((number) => {
    const order = sandbox.look(number)!
    const { out_trade_no, state, create_time, time_expire, transaction_id, paid_fen, refunded_fen } = order
    return {
      out_trade_no,
      state,
      create_time,
      time_expire,
      transaction_id: transaction_id ?? null,
      paid_fen,
      refunded_fen,
      refunds: order.refunds.map(({ out_refund_no, fee, state }) => ({ out_refund_no, fee, state })),
    }
  })
}

function readOutcome(given: unknown): RefundOutcome {
  const outcome = REFUND_OUTCOMES.find((one) => one === given)
  if (!outcome) throw new Error(`outcome is one of ${REFUND_OUTCOMES.join(', ')}`)
  return outcome
}

function readWhole(given: Record<string, unknown>, name: string): number {
  const value = given[name]
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new Error(`${name} must be a whole number from 1`)
  return value as number
}

function readSwitches(given: Record<string, unknown>): Partial<Switches> {
  for (const [name, value] of Object.entries(given)) {
    const values = (SWITCHES as Record<string, readonly string[]>)[name]
    if (!values) throw new Error(`no switch ${name}; there are ${Object.keys(SWITCHES).join(', ')}`)
    if (typeof value !== 'string' || !values.includes(value))
      throw new Error(`${name} is one of ${values.join(', ')}`)
  }
  return given
}
