import { execFile } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../deploy/bundle'
import type { Store } from '../shared/store/open'
import type { Timeline } from '../web/console/timeline'
import type { Served } from './gateway'
import { SANDBOX_PAYER } from './sandbox/logins'
import type { SandboxServer } from './sandbox/server'

/**
 * What the console at `npm start`'s address sees and does. It is answered on the sandbox's port, and nothing of it is
 * in the functions: it reads the database beside them, keeps what it saw pass by, and acts as the shop's server, with
 * the keys the sandbox publishes and the program a shop would copy.
 */
const NOTHING = {
  order: null,
  events: [],
  refunds: [],
  served: [],
  exchanged: [],
  notified: [],
  ledger: null,
}

type Around = {
  store: Store
  sandbox: SandboxServer
  origin: string
  served: readonly Served[]
  tick(): Promise<void>
}

type Asked = { method: string; path: string; query: URLSearchParams; body: Record<string, unknown> }

const SHOP = join(ROOT, 'examples', 'merchant-server', 'sandbox.mjs')
/** The shop's server: a program of its own, which knows nothing of ours. */
const shop = async (...given: string[]) =>
  (await promisify(execFile)(process.execPath, [SHOP, ...given])).stdout.trim()

export function openConsole({ store, sandbox, origin, served, tick }: Around) {
  const forged: Timeline['notified'] = []

  const numberOf = async (purchase: string) =>
    (
      await store.db
        .selectFrom('orders')
        .select('out_trade_no')
        .where('merchant_order_id', '=', purchase)
        .executeTakeFirst()
    )?.out_trade_no

  async function timeline(purchase: string): Promise<Timeline> {
    const { notifications } = sandbox.sandbox.switches
    const number = await numberOf(purchase)
    if (number === undefined) return { ...NOTHING, notifications }
    const of = ({ db }: Store) => ({
      order: db.selectFrom('orders').selectAll().where('out_trade_no', '=', number),
      refunds: db.selectFrom('refunds').selectAll().where('out_trade_no', '=', number),
      events: db.selectFrom('order_events').selectAll().where('out_trade_no', '=', number).orderBy('seq'),
    })
    const { order, refunds, events } = of(store)
    const ledger = sandbox.sandbox.look(number)
    return {
      order: (await order.executeTakeFirst()) ?? null,
      events: (await events.execute()).map((event) => ({ ...event, at: Number(event.at) })),
      refunds: await refunds.execute(),
      served: served.filter(({ path, answer }) => path.includes(number) || answer.includes(number)),
      exchanged: sandbox.exchanged.filter(({ request }) => request.includes(number)),
      notified: [...sandbox.notified, ...forged].filter(({ body }) => body.includes(number)),
      ledger: ledger
        ? { state: ledger.state, paid_fen: ledger.paid_fen, refunded_fen: ledger.refunded_fen }
        : null,
      notifications,
    }
  }

  /** A signed request of the shop's server. */
  async function asShop(path: string, body: object) {
    const text = JSON.stringify(body)
    const printed = await shop('sign', 'POST', origin + path, text)
    const headers = Object.fromEntries(
      printed.split('\n').map((line) => line.split(': ') as [string, string]),
    )
    const answer = await fetch(origin + path, { method: 'POST', headers, body: text })
    return { status: answer.status, answer: await answer.json() }
  }

  /** A notification in everything like a real one, by somebody who has not got the key. */
  async function forge(number: string) {
    const { request_content } = JSON.parse(sandbox.sandbox.notification(number).toString('utf8')) as {
      request_content: string
    }
    const content = request_content.replace(/"current_trade_state":\d/, '"current_trade_state":3')
    const authen_code = createHmac('sha256', 'not the key').update(content).digest('hex').toUpperCase()
    const body = JSON.stringify({
      request_content: content,
      authen_info: { a: { authen_type: 1, authen_code } },
    })
    const url = `${origin}/notify`
    const at = Date.now()
    const { status } = await fetch(url, { method: 'POST', body })
    forged.push({ at, url, body, status, forged: true })
    return { status }
  }

  return async ({ method, path, query, body }: Asked): Promise<unknown> => {
    const purchase = typeof body['purchase'] === 'string' ? body['purchase'] : ''
    switch (`${method} ${path}`) {
      case 'GET /_console/timeline':
        return timeline(query.get('purchase') ?? '')
      case 'POST /_console/quote': {
        const payer = SANDBOX_PAYER[body['app'] === 'alipay' ? 'alipay' : 'official_account']
        const quote = await shop('quote', payer, '1880', '湖心奶茶-大杯')
        const claims = JSON.parse(Buffer.from(quote.split('.')[1]!, 'base64url').toString('utf8')) as {
          merchant_order_id: string
        }
        return { quote, purchase: claims.merchant_order_id }
      }
      case 'POST /_console/tick':
        await tick()
        return {}
    }
    const number = await numberOf(purchase)
    if (number === undefined) return undefined
    switch (`${method} ${path}`) {
      case 'POST /_console/close':
        return asShop(`/orders/${number}/close`, {})
      case 'POST /_console/refund': {
        const out_refund_no = `${number.slice(0, 4)}${randomBytes(6).toString('hex')}`
        return asShop(`/orders/${number}/refunds`, { refund_fee: Number(body['refund_fee']), out_refund_no })
      }
      case 'POST /_console/forge':
        return forge(number)
      default:
        return undefined
    }
  }
}

export type Console = ReturnType<typeof openConsole>
