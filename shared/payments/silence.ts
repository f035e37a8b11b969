import type { Deadline } from '../base/time'
import { PAY_PLATFORM, TRADE_TYPE } from '../cloudpay/enums'
import { makeOrderNumber } from '../order/number'
import { listMarks, setMark } from '../store/marks'
import { callBudgetMs, type KnownMerchant, type Payments } from './context'
import { raise } from './raise'
import { askAboutOrder } from './refresh'

/**
 * Cloud Pay may be silent for hours, for everybody or for one sub-merchant whose key went wrong. A look that nobody answers
 * says nothing about its order then. So while a sub-merchant is silent its orders are left due as they are, and a run asks
 * about a number that nobody has. The first answer ends the silence, and whatever is due is looked at in the same run.
 */
export type Silence = {
  /** Nothing was heard in the last run that asked, nor in this one so far. */
  isSilent(out_sub_mch_id: string): boolean
  /** After every call: whether an answer came that can be used. */
  note(out_sub_mch_id: string, isAnswer: boolean): void
  /** Keeps what this run has heard, and calls a person when the silence lasts. */
  end(): Promise<void>
}

const TOLD_AFTER_MS = 300_000

const PREFIX = 'silent:'
const SILENT = 'silent'

export async function openSilence(payments: Payments): Promise<Silence> {
  const marks = (await listMarks(payments.store, PREFIX)).filter(({ value }) => value === SILENT)
  const since = new Map(marks.map((mark) => [mark.name.slice(PREFIX.length), mark.at_ms]))
  const nowMs = marks[0]?.now_ms ?? 0
  const asked = new Set<string>()
  const heard = new Set<string>()

  async function tell(): Promise<void> {
    const lasting = [...since].filter(
      ([id, atMs]) => asked.has(id) && !heard.has(id) && nowMs - atMs > TOLD_AFTER_MS,
    )
    const about = { kind: 'upstream_silent', out_sub_mch_id: '', out_trade_no: '' } as const
    const silentS = (atMs: number) => Math.round((nowMs - atMs) / 1000)
    // Nobody was answered: that is one matter, however many sub-merchants there are.
    if (heard.size === 0 && lasting.length > 1) {
      const silent_s = silentS(Math.min(...lasting.map(([, atMs]) => atMs)))
      return raise(payments, { ...about, evidence: { silent_s } })
    }
    for (const [out_sub_mch_id, atMs] of lasting)
      await raise(payments, { ...about, out_sub_mch_id, evidence: { silent_s: silentS(atMs) } })
  }

  return {
    isSilent: (id) => since.has(id) && !heard.has(id),
    note(id, isAnswer) {
      asked.add(id)
      if (isAnswer) heard.add(id)
    },
    async end() {
      for (const id of asked) {
        if (heard.has(id) === since.has(id))
          await setMark(payments.store, `${PREFIX}${id}`, heard.has(id) ? 'heard' : SILENT)
      }
      await tell()
    },
  }
}

/** Asks about an order number that does not exist. Any readable answer shows that Cloud Pay answers again. */
export async function askAnything(
  payments: Payments,
  merchant: KnownMerchant,
  deadline: Deadline,
): Promise<void> {
  const timeoutMs = callBudgetMs(payments.settings, deadline)
  if (timeoutMs === undefined) return
  const out_trade_no = makeOrderNumber(merchant.order_prefix, payments.clock.nowMs(), payments.random)
  const { officialAccount: trade_type } = TRADE_TYPE
  const order = { ...merchant, pay_platform: PAY_PLATFORM.wechat, out_trade_no, trade_type }
  const { outcome } = await askAboutOrder(payments, order, timeoutMs)
  const { out_sub_mch_id } = merchant
  payments.log({ event: 'upstream.tried', count: `upstream.${outcome}`, out_sub_mch_id, outcome })
}
