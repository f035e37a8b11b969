import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { systemRandom } from '../../shared/base/random'
import type { Anomaly } from '../../shared/order/anomaly'
import type { Order, OrderEvent } from '../../shared/order/order'
import type { Refund } from '../../shared/order/refund'
import { listAnomalies } from '../../shared/store/anomalies'
import { setMark } from '../../shared/store/marks'
import { findOrder, listEvents } from '../../shared/store/orders'
import { listRefunds } from '../../shared/store/refunds'
import {
  createSandbox,
  type FaultPoint,
  type SandboxMerchant,
  type SandboxOptions,
} from '../../local/sandbox/sandbox'
import type { FaultName } from '../../local/sandbox/switches'
import { openTestDatabase, type TestDatabase } from './testDatabase'
import {
  freshNumber,
  openWorld,
  orderBody,
  testClock,
  type Answer,
  type World,
  type WorldOptions,
} from './world'

/**
 * A world of one watch: the functions, the database and the far end go by the clock the test moves. With short words
 * for what tests about money do and look at.
 */
export type Shop = World & {
  database: TestDatabase
  /** What goes wrong, by interface: always the same, or one after the other. */
  faults: Partial<Record<string, FaultName | FaultName[]>>
  /** Seconds go by. */
  pass(seconds: number): void
  nowS(): number
  /** A pending order; returns its number. */
  place(content?: Record<string, unknown>, rest?: Record<string, unknown>): Promise<string>
  /** An order that was paid, and that we know was paid. */
  placePaid(content?: Record<string, unknown>, rest?: Record<string, unknown>): Promise<string>
  /** Asks Cloud Pay, however short ago it was asked. */
  refresh(number: string): Promise<Answer>
  /** Today's bill counts as compared: the timer does not ask for it. */
  billIsDone(): Promise<unknown>
  /** Runs of the timer, 20 s apart, for so long. */
  runFor(seconds: number): Promise<void>
  /** Makes everything due now. */
  allDue(): Promise<void>
  /** Cloud Pay's words to us, byte for byte. */
  tell(bytes: Buffer): Promise<Answer>
  order(number: string): Promise<Order>
  events(number: string): Promise<OrderEvent[]>
  refunds(number: string): Promise<Refund[]>
  anomalies(): Promise<Anomaly[]>
  /** Of the open ones, sorted. */
  anomalyKinds(): Promise<string[]>
  /** Types of the messages to the merchant about an order. */
  messages(number: string): Promise<string[]>
  inbox(): Promise<{ out_trade_no: string; orphan: number }[]>
  /** The counts in the log, but for those of the doors, with how often each was written. */
  counts(): Record<string, number>
  /** Everything in every table, to see that nothing moved. */
  dump(): Promise<string>
}

export type ShopOptions = Omit<WorldOptions, 'store' | 'sandbox' | 'clock'> &
  Pick<SandboxOptions, 'refundDelayMs' | 'onNotification'> & {
    /** Beside the sandbox's own. */
    merchants?: readonly SandboxMerchant[]
  }

const START_MS = 1_900_000_000_000

export async function openShop(options: ShopOptions = {}): Promise<Shop> {
  const clock = testClock()
  clock.nowMsValue = START_MS
  const database = await openTestDatabase(clock)
  const faults: Shop['faults'] = {}
  const { merchants = [], refundDelayMs, onNotification, switches, env, ...rest } = options
  const sandbox = createSandbox({
    clock,
    random: systemRandom,
    merchants: [SANDBOX_MERCHANT, ...merchants],
    chooseFault: ({ interface: suffix }: FaultPoint) => {
      const chosen = faults[suffix]
      return Array.isArray(chosen) ? chosen.shift() : chosen
    },
    ...(refundDelayMs === undefined ? {} : { refundDelayMs }),
    ...(onNotification === undefined ? {} : { onNotification }),
    ...(switches === undefined ? {} : { switches }),
  })
  const world = await openWorld({
    ...rest,
    clock,
    store: database.store,
    sandbox,
    env: {
      ...(merchants.length > 0 ? { CLOUD_PAY_OTHER_MERCHANTS: JSON.stringify(merchants) } : {}),
      ...env,
    },
  })
  const { store } = world
  const keyOf = (out_trade_no: string) => ({
    out_sub_mch_id: world.app.merchants.ofNumber(out_trade_no)!.out_sub_mch_id,
    out_trade_no,
  })

  const shop: Shop = {
    ...world,
    database,
    faults,
    pass: (seconds) => void (clock.nowMsValue! += seconds * 1000),
    nowS: () => Math.floor(clock.nowMs() / 1000),

    async place(content = {}, more = {}) {
      const out_trade_no =
        typeof content['out_trade_no'] === 'string' ? content['out_trade_no'] : freshNumber()
      const answer = await world.create(orderBody({ ...content, out_trade_no }, more))
      if (answer.statusCode !== 201) throw new Error(`not created: ${JSON.stringify(answer.body)}`)
      return out_trade_no
    },
    async placePaid(content, more) {
      const number = await shop.place(content, more)
      sandbox.pay(number)
      await shop.refresh(number)
      return number
    },
    async refresh(number) {
      await store.db
        .updateTable('orders')
        .set({ looked_at_ms: 0 })
        .where('out_trade_no', '=', number)
        .execute()
      return world.status(number, { refresh: '1' })
    },
    billIsDone: () => setMark(store, 'bill', `${Math.floor(shop.nowS() / 86_400) * 86_400} 1000000`),
    async runFor(seconds) {
      for (let past = 0; past < seconds; past += 20) {
        shop.pass(20)
        await world.timer()
      }
    },
    async allDue() {
      const due = { next_due_at_ms: 0 }
      await store.db.updateTable('orders').set(due).where('next_due_at_ms', 'is not', null).execute()
      await store.db.updateTable('refunds').set(due).where('next_due_at_ms', 'is not', null).execute()
    },
    tell: (bytes) =>
      world.call('POST', '/notify', { event: { body: bytes.toString('base64'), isBase64Encoded: true } }),

    order: async (number) => (await findOrder(store, keyOf(number)))!,
    events: (number) => listEvents(store, keyOf(number)),
    refunds: (number) => listRefunds(store, keyOf(number)),
    anomalies: () => listAnomalies(store, 'open', 10_000),
    anomalyKinds: async () => (await shop.anomalies()).map(({ kind }) => kind).sort(),
    messages: async (number) =>
      (
        await store.db
          .selectFrom('outbox')
          .select('type')
          .where('out_trade_no', '=', number)
          .where('type', '!=', 'anomaly')
          .orderBy('type')
          .execute()
      ).map(({ type }) => type),
    inbox: () => store.db.selectFrom('notifications').select(['out_trade_no', 'orphan']).execute(),
    counts() {
      const counts: Record<string, number> = {}
      for (const { event, count } of world.log) {
        if (typeof count === 'string' && event !== 'http') counts[count] = (counts[count] ?? 0) + 1
      }
      return counts
    },
    async dump() {
      const rows = await Promise.all(TABLES.map((table) => store.db.selectFrom(table).selectAll().execute()))
      return JSON.stringify(rows)
    },
  }
  return shop
}

const TABLES = ['orders', 'order_events', 'refunds', 'outbox', 'anomalies', 'notifications'] as const

/** The rest of a body that is paid with Alipay. */
export const ALIPAY = {
  pay_mch_key: { pay_platform: 2, alipay_pay_mch_key_ext: { user_id: '2088000000000001' } },
}

/** Merchants beside the sandbox's, each with an order prefix and a key of its own. */
export const otherMerchants = (count: number): SandboxMerchant[] =>
  Array.from({ length: count }, (_, at) => {
    // As long as the longest, so that no prefix begins another.
    const name = String(at).padStart(Math.max(2, String(count).length), '0')
    return {
      out_mch_id: `mch${name}`,
      out_sub_mch_id: `sub${name}`,
      out_shop_id: `shop${name}`,
      order_prefix: `m${name}`,
      authen_key: `key-of-merchant-${name}`,
    }
  })
