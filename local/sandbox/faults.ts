import { ALIPAY_REFUND_STATE, WXPAY_REFUND_STATE } from '../../shared/cloudpay/enums'
import type { OrderContent, RefundOrderContent } from '../../shared/cloudpay/schema'
import type { Content, Said } from './answers'
import { authenInfo, write } from './envelope'
import type { FaultName, Switches } from './switches'

/** What the network should carry: bytes, or one of the ways in which it carries none. */
export type Reply =
  | { kind: 'answer'; httpStatus: number; body: Buffer; delayMs: number }
  | { kind: 'silent' }
  | { kind: 'drop' }
  | { kind: 'truncated'; body: Buffer }

/** The faults in which nothing happens upstream are the statuses themselves. */
export const statusOf = (fault: FaultName): number | undefined =>
  /^\d{1,3}$/.test(fault) && fault !== '500' ? Number(fault) : undefined

/** The faults in which it has happened, and the answer goes wrong. The code is right unless the fault is about it. */
export function deliver(fault: FaultName, said: Said, switches: Switches, slowMs: number): Reply {
  const { merchant } = said
  const lie = LIES[fault]
  const text = write(switches, lie ? lied(said, lie) : said.content)
  const good = {
    response_content: text,
    ...(merchant ? { authen_info: authenInfo(merchant.authen_key, text) } : {}),
  }
  switch (fault) {
    case 'slow':
      return reply(good, 200, slowMs)
    case 'silent':
      return { kind: 'silent' }
    case 'lost':
      return { kind: 'drop' }
    case 'truncated':
      return { kind: 'truncated', body: Buffer.from(JSON.stringify(good)) }
    case 'wrong-signed':
      return reply(merchant ? { ...good, authen_info: authenInfo(`not-${merchant.authen_key}`, text) } : good)
    case 'lower-signed': {
      if (!good.authen_info) return reply(good)
      const { authen_code } = good.authen_info.a
      return reply({
        ...good,
        authen_info: { a: { authen_type: 1, authen_code: authen_code.toLowerCase() } },
      })
    }
    case 'unsigned':
      return reply({ response_content: text })
    case 'object':
      return reply({ ...good, response_content: JSON.parse(text) as unknown })
    case 'not-json':
      return { kind: 'answer', httpStatus: 200, body: Buffer.from('<html>Bad Gateway</html>'), delayMs: 0 }
    case '500':
      return reply(good, 500)
    default:
      return reply(good)
  }
}

const reply = (outer: unknown, httpStatus = 200, delayMs = 0): Reply => ({
  kind: 'answer',
  httpStatus,
  body: Buffer.from(JSON.stringify(outer), 'utf8'),
  delayMs,
})

// ── lies under the right key ───────────────────────────────────────────────────────────────────────────────────

type Lie = {
  order(order: OrderContent, foreign: string): Partial<OrderContent>
  refund(refund: RefundOrderContent, foreign: string): Partial<RefundOrderContent>
}

const LIES: Partial<Record<FaultName, Lie>> = {
  'wrong-amount': {
    order: ({ total_fee = 0 }) => ({ total_fee: total_fee + 1 }),
    // Another refund under its number, and one that is done.
    refund: (refund) => ({
      refund_fee: (refund.refund_fee ?? 0) + 1,
      ...(refund.wxpay_refund_order_content_ext
        ? { wxpay_refund_order_content_ext: { state: WXPAY_REFUND_STATE.succeeded } }
        : { alipay_refund_order_content_ext: { refund_status: ALIPAY_REFUND_STATE.succeeded } }),
    }),
  },
  foreign: {
    order: (_, out_trade_no) => ({ out_trade_no }),
    refund: (_, out_trade_no) => ({ out_trade_no }),
  },
  transforming: {
    order: () => ({ is_transforming: true }),
    refund: () => ({ is_transforming: true }),
  },
}

type Told = { order_content?: OrderContent; refund_order_content?: RefundOrderContent | RefundOrderContent[] }
type Listed = { receipt: { order?: Told; refund_order?: Told } }

/** Lies about every order and refund the answer speaks of; one that speaks of none stays as it was. */
function lied({ content, merchant }: Said, lie: Lie): Content {
  const foreign = `${merchant?.order_prefix ?? ''}somebodyelse`
  const orderLie = (order: OrderContent) => ({ ...order, ...lie.order(order, foreign) })
  const refundLie = (refund: RefundOrderContent) => ({ ...refund, ...lie.refund(refund, foreign) })
  const told = <T extends Told>(value: T): T => {
    const { order_content, refund_order_content: refunds } = value
    return {
      ...value,
      ...(order_content ? { order_content: orderLie(order_content) } : {}),
      ...(Array.isArray(refunds) ? { refund_order_content: refunds.map(refundLie) } : {}),
      ...(refunds && !Array.isArray(refunds) ? { refund_order_content: refundLie(refunds) } : {}),
    }
  }
  const member = Object.keys(content).find((name) => typeof content[name] === 'object')
  if (member === undefined) return content
  const value = content[member] as Told & { order_details?: Listed[] }
  const { order_details } = value
  return {
    ...content,
    [member]: {
      ...told(value),
      ...(order_details ? { order_details: order_details.map((one) => receiptLie(one, told)) } : {}),
    },
  }
}

const receiptLie = ({ receipt: { order, refund_order }, ...rest }: Listed, told: (value: Told) => Told) => ({
  ...rest,
  receipt: {
    ...(order ? { order: told(order) } : {}),
    ...(refund_order ? { refund_order: told(refund_order) } : {}),
  },
})
