import * as v from 'valibot'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import type { Random } from '../../shared/base/random'
import { nowS, type Clock } from '../../shared/base/time'
import { SCENE_INTERFACES, type AnyPayRequest } from '../../shared/cloudpay/scenes'
import {
  INTERFACES,
  type BillRequest,
  type CloseRequest,
  type QueryRefundRequest,
  type QueryRequest,
  type RefundRequest,
} from '../../shared/cloudpay/schema'
import { breach, refuse, type Said } from './answers'
import { bill } from './bill'
import { openRequest } from './envelope'
import { deliver, statusOf, type Reply } from './faults'
import {
  ledgerRows,
  Refusal,
  settle,
  type Far,
  type LedgerOrder,
  type LedgerRefund,
  type LedgerRow,
  type RefundOutcome,
  type SandboxMerchant,
} from './ledger'
import { notificationBody, refundNotificationBody, type Notification } from './notifications'
import * as orders from './orders'
import * as refunds from './refunds'
import { DEFAULT_SWITCHES, sentinels, SENTINEL_WORDS, type FaultName, type Switches } from './switches'

export { Refusal } from './ledger'
export type {
  LedgerOrder,
  LedgerRefund,
  LedgerRow,
  RefundOutcome,
  RefundState,
  SandboxMerchant,
} from './ledger'
export type { Reply } from './faults'
export type { Notification } from './notifications'

/**
 * Cloud Pay, imitated: it checks the signature over the string it received, enforces the documented limits, keeps a
 * ledger and signs its answers. Shapes come from the protocol's own schemas; signing, ledger and rules are written
 * here anew, so that a mistake of ours cannot agree with itself.
 *
 * This is the service without the network: a request comes in, is opened (envelope.ts), answered (orders.ts,
 * refunds.ts, bill.ts) and delivered well or badly (faults.ts). server.ts puts it behind HTTP. It does nothing by
 * itself: everything follows from the requests, the clock and the randomness it is given.
 */
export type SandboxOptions = {
  clock: Clock
  random: Random
  merchants?: readonly SandboxMerchant[]
  switches?: Partial<Switches>
  slowMs?: number
  /**
   * How long an accepted refund takes on the sandbox's clock. At 0 the next look at it sees its outcome; with
   * Infinity only `finishRefund` ends it.
   */
  refundDelayMs?: number
  /** Called when an order becomes paid, unless the switch `notifications` is off. */
  onNotification?: (notification: Notification) => void
  /** Asked about every request that is well signed and well formed; `undefined` leaves it to the remark. */
  chooseFault?: (at: FaultPoint) => FaultName | undefined
}

/** `turn` counts from 0 the requests of this kind about this order; both kinds of create count as one. */
export type FaultPoint = { interface: string; out_trade_no: string | undefined; turn: number }

/** What arrived, byte for byte, for tests that assert it. */
export type Received = { at: number; interface: string; body: string; request_content: string | undefined }

const RECEIVED_MAX = 10_000

const SERVED = [...INTERFACES, ...SCENE_INTERFACES] as const

const BY_SUFFIX: ReadonlyMap<string, (typeof SERVED)[number]> = new Map(
  SERVED.map((iface) => [iface.suffix, iface]),
)

export function createSandbox(options: SandboxOptions) {
  const switches: Switches = { ...DEFAULT_SWITCHES, ...options.switches }
  const far: Far = {
    clock: options.clock,
    random: options.random,
    switches,
    refundDelayMs: options.refundDelayMs ?? 0,
    orders: new Map(),
    refunds: new Map(),
  }
  const merchants = new Map(
    (options.merchants ?? [SANDBOX_MERCHANT]).map((one) => [one.out_sub_mch_id as unknown, one]),
  )
  const received: Received[] = []
  const turns = new Map<string, number>()

  /** Whether anybody is there: no envelope, no code, and whatever was sent is not looked at. */
  const pong = (): Reply => ({
    kind: 'answer',
    httpStatus: 200,
    body: Buffer.from(JSON.stringify({ description: 'ok', status: 0, timestamp: nowS(far.clock) })),
    delayMs: 0,
  })

  function answer(suffix: string, body: Buffer): Reply {
    const opened = openRequest(body, (id) => merchants.get(id), switches)
    received.push({
      at: far.clock.nowMs(),
      interface: suffix,
      body: body.toString('utf8'),
      request_content: opened?.text,
    })
    if (received.length > RECEIVED_MAX) received.shift()
    if (suffix === 'ping') return pong()
    const say = (said: Said, fault: FaultName = 'ok') =>
      deliver(fault, said, switches, options.slowMs ?? 12_000)
    const bad = (why: string) => say(refuse(far, undefined, 101, why))

    const iface = BY_SUFFIX.get(suffix)
    if (!opened || !iface) return bad('request malformed')
    const { content, merchant, verified } = opened
    if (!merchant) return bad('unknown sub-merchant')
    if (!verified) return bad('authen code check fail')
    const read = v.safeParse(iface.request, content)
    if (!read.success) {
      const path = v.getDotPath(read.issues[0]) ?? ''
      return say(breach(far, merchant, `${path} ${read.issues[0].message}`))
    }

    const fault = faultFor(iface.suffix, merchant, content)
    const status = statusOf(fault)
    if (status !== undefined) return say(refuse(far, merchant, status, `sentinel ${fault}`))
    return say(act(iface.suffix, merchant, content), fault)
  }

  /** `content` has passed the schema of this interface. */
  function act(suffix: Suffix, merchant: SandboxMerchant, content: unknown): Said {
    switch (suffix) {
      case 'official_account_pay':
      case 'mini_program_pay':
      case 'scan_code_pay':
      case 'micro_pay':
      case 'app_pay':
      case 'mob_web_pay':
        return orders.create(far, merchant, suffix, content as AnyPayRequest)
      case 'query_order':
        return orders.query(far, merchant, content as QueryRequest)
      case 'close_order':
        return orders.close(far, merchant, content as CloseRequest)
      case 'refund':
        return refunds.refund(far, merchant, content as RefundRequest)
      case 'query_refund_order':
        return refunds.queryRefunds(far, merchant, content as QueryRefundRequest)
      case 'client_order_detail':
        return bill(far, merchant, content as BillRequest)
    }
  }

  /** What goes wrong with this request: as the caller of createSandbox chooses, else as the order's remark says. */
  function faultFor(suffix: Suffix, merchant: SandboxMerchant, content: Record<string, unknown>): FaultName {
    const {
      pay_content,
      refund_content,
      out_trade_no: number,
    } = content as Partial<
      Pick<AnyPayRequest, 'pay_content'> & Pick<RefundRequest, 'refund_content'> & QueryRequest
    >
    const out_trade_no = pay_content?.out_trade_no ?? refund_content?.out_trade_no ?? number
    const word = SENTINEL_WORDS[suffix]
    // Counted here and not in the ledger: a create that was refused is no order, and its turn goes on.
    const key = `${word ?? suffix}:${out_trade_no ?? merchant.out_sub_mch_id}`
    const turn = turns.get(key) ?? 0
    turns.set(key, turn + 1)
    const chosen = options.chooseFault?.({ interface: suffix, out_trade_no, turn })
    if (chosen !== undefined || out_trade_no === undefined || word === undefined) return chosen ?? 'ok'
    const { remark } = pay_content ?? orders.orderOf(far, merchant, out_trade_no)?.request.pay_content ?? {}
    return sentinels(remark, word)[turn] ?? 'ok'
  }

  // ── what happens without a request ───────────────────────────────────────────────────────────────────────────

  /** The payer pays; the sandbox notifies. */
  function pay(out_trade_no: string, payOptions?: orders.PayOptions): LedgerOrder {
    const order = orders.pay(far, out_trade_no, payOptions)
    if (options.onNotification && switches.notifications === 'on') {
      options.onNotification({
        out_trade_no,
        url: notifyUrlOf(out_trade_no),
        body: notificationBody(far, order),
      })
    }
    return order
  }

  /** A fresh notification of how the order is now, with a nonce of its own; nobody is told. */
  function notification(out_trade_no: string): Buffer {
    const order = far.orders.get(out_trade_no)
    if (!order) throw new Refusal('no such order')
    return notificationBody(far, order)
  }

  /** The same of a refund, in the shape of 2017. */
  function refundNotification(out_refund_no: string): Buffer {
    const refund = far.refunds.get(out_refund_no)
    const order = refund && far.orders.get(refund.out_trade_no)
    if (!refund || !order) throw new Refusal('no such refund')
    settle(far, order)
    return refundNotificationBody(far, order, refund)
  }

  const notifyUrlOf = (out_trade_no: string): string | undefined =>
    far.orders.get(out_trade_no)?.request.pay_content.caller_notify_url

  /** An order with its refunds as they are by now. */
  function look(out_trade_no: string): LedgerOrder | undefined {
    const order = far.orders.get(out_trade_no)
    if (order) settle(far, order)
    return order
  }

  /** Forgets every order, refund, turn and request; switches stay as they are. */
  function reset(): void {
    far.orders.clear()
    far.refunds.clear()
    turns.clear()
    received.length = 0
  }

  return {
    switches,
    orders: far.orders,
    received,
    answer,
    pay,
    cancel: (out_trade_no: string): LedgerOrder => orders.cancel(far, out_trade_no),
    close: (out_trade_no: string): void => orders.closeByMerchant(far, out_trade_no),
    finishRefund: (out_refund_no: string, outcome: RefundOutcome): LedgerRefund =>
      refunds.finishRefund(far, out_refund_no, outcome),
    refundInConsole: (out_trade_no: string, refund_fee: number): LedgerRefund =>
      refunds.refundInConsole(far, out_trade_no, refund_fee),
    notification,
    refundNotification,
    notifyUrlOf,
    look,
    ledger: (): LedgerRow[] => ledgerRows(far),
    reset,
  }
}

export type Sandbox = ReturnType<typeof createSandbox>

type Suffix = (typeof SERVED)[number]['suffix']
