import type { OrderView } from '../client/client'
import { yuan } from '../money'
import type { WalletKind } from './wallet'

/** `halted`: nothing can be paid from here. */
export type Phase =
  'opening' | 'waiting' | 'ordering' | 'confirming' | 'paid' | 'closed' | 'failed' | 'unknown' | 'halted'

export type Action = { label: string; run: () => unknown }

export type Screen = {
  phase: Phase
  note: string
  /** Small print for who asks the merchant: an id to find the cause by. */
  reference?: string | undefined
  main?: Action | undefined
  second?: Action | undefined
  what?: string | undefined
  totalFen?: number | undefined
  order?: OrderView | undefined
  wallet?: WalletKind | undefined
}

const WORDS: Record<Phase, string> = {
  opening: '请稍候',
  waiting: '待支付',
  ordering: '正在下单',
  confirming: '支付确认中',
  paid: '已支付',
  closed: '已关闭',
  failed: '支付失败',
  unknown: '结果未知，请勿重复支付',
  halted: '无法支付',
}

const WALLETS: Record<WalletKind, string> = { wechat: '微信支付', alipay: '支付宝' }

/** Puts a screen on the page: texts and attributes of what stands in index.html, nothing else. */
export function openScreen(document: Document): (screen: Screen) => void {
  const at = (id: string) => document.getElementById(id)!
  const say = (id: string, text: string | undefined) => {
    const element = at(id)
    // Written only when it changes: a screen reader reads what is written.
    if (element.textContent !== (text ?? '')) element.textContent = text ?? ''
  }
  const fact = (id: string, text: string | undefined) => {
    at(`${id}-row`).hidden = text === undefined
    say(id, text)
  }
  const button = (id: string, action: Action | undefined) => {
    const element = at(id) as HTMLButtonElement
    element.hidden = !action
    say(`${id}-label`, action?.label)
    element.onclick = action ? () => void action.run() : null
  }
  return ({ phase, note, reference, main, second, what, totalFen, order, wallet }) => {
    document.body.dataset['phase'] = phase
    document.body.dataset['wallet'] = wallet ?? ''
    document.title = `${WORDS[phase]} - 收银台`
    say('state', WORDS[phase])
    say('note', note)
    say('what', what ?? '订单支付')
    const fen = order?.total_fee ?? totalFen
    at('amount-row').hidden = fen === undefined
    say('amount', fen === undefined ? undefined : yuan(fen))
    fact('number', order?.out_trade_no)
    fact('wallet', wallet && WALLETS[wallet])
    fact('until', order && phase === 'waiting' ? clock(order.time_expire.epoch) : undefined)
    fact('paid-at', order?.paid_at ? clock(order.paid_at.epoch, 'with date') : undefined)
    fact('reference', reference)
    // Announced as busy, so that the changes in between are not read out one by one.
    at('result').setAttribute('aria-busy', String(phase === 'opening' || phase === 'ordering'))
    button('main', main)
    button('second', second)
  }
}

/** In the payer's own time zone. */
function clock(epochS: number, date?: 'with date'): string {
  const moment = new Date(epochS * 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}`
  if (!date) return time
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${time}`
}
