import { PayError, type OrderStatus } from '../client/client'
import type { Operator } from '../client/operator'
import { readYuan, yuan } from '../money'
import type { Attempts } from './attempts'
import type { Confirm } from './confirm'
import { at, button, dialog, facts, fill, input, make, say } from './dom'
import {
  detailWords,
  eventWord,
  explain,
  flagWord,
  originWord,
  refundWord,
  stateWord,
  timeWord,
  walletWord,
} from './words'

/** One order: what it is, what happened to it, and its refunds. */
export function openDrawer({
  operator,
  attempts,
  confirm,
  onClose,
}: {
  operator: () => Operator | undefined
  attempts: Attempts
  confirm: Confirm
  onClose: () => void
}) {
  const box = dialog('drawer')
  let number = ''
  let order: OrderStatus | undefined

  async function read(refresh = false): Promise<boolean> {
    const mine = number
    const found = await operator()?.readOrder(mine, { refresh })
    if (!found || mine !== number) return false
    const isNew = JSON.stringify(found) !== JSON.stringify(order)
    order = found
    show(found)
    return isNew
  }

  /** For what the person asked for: what goes wrong is said here. */
  async function readOrSay(refresh = false): Promise<void> {
    try {
      await read(refresh)
      const unsaid = refresh && order?.refreshed === false
      say('drawer-told', unsaid ? '云支付没有给出可信的应答，显示的是已有的记录。' : '')
    } catch (error) {
      say('drawer-told', explain(error))
    }
  }

  const leftFen = ({ total_fee, refunded_fee, refunding_fee }: OrderStatus) =>
    total_fee - refunded_fee - refunding_fee

  function show(found: OrderStatus): void {
    at('drawer-body').hidden = false
    say('drawer-amount', `¥${yuan(found.total_fee)}`)
    say('drawer-state', stateWord(found.state))
    at('drawer-state').dataset['state'] = found.state
    at('drawer-flag').hidden = found.flag === null
    say('drawer-flag-text', found.flag === null ? '' : flagWord(found.flag))
    const pairs = [
      ['支付方式', walletWord(found)],
      ['业务单号', found.merchant_order_id ?? '—'],
      ['交易号', found.transaction_id ?? '—'],
      ['下单时间', timeWord(found.created_at)],
      ['支付时间', timeWord(found.paid_at)],
      ['支付截止', timeWord(found.time_expire)],
      ['子商户', found.out_sub_mch_id],
    ] as const
    fill(
      at('drawer-facts'),
      pairs,
      ([name]) => name,
      (pair) => facts([pair])[0]!,
    )
    showRefunds(found)
    const events = found.events.map((event, at) => ({ at, event })).reverse()
    fill(at('timeline'), events, ({ at }) => String(at), drawEvent)
  }

  function showRefunds(found: OrderStatus): void {
    fill(
      at('refunds'),
      found.refunds,
      ({ out_refund_no }) => out_refund_no,
      (refund) => drawRefund(refund, askEnd),
    )
    const left = leftFen(found)
    const hasMoney = found.state === 'paid' || found.state === 'paid_after_close'
    const unsure = attempts.find(found.out_trade_no)
    at('refund-form').hidden = !hasMoney || left <= 0 || unsure !== undefined
    at('refund-unsure').hidden = unsure === undefined
    if (unsure)
      say(
        'refund-unsure-text',
        `有一笔 ¥${yuan(unsure.fen)} 的退款没有得到应答：结果未知，不是失败。重试的是同一笔，不会退两次。`,
      )
    const words = [`已退 ¥${yuan(found.refunded_fee)}`]
    if (found.refunding_fee > 0) words.push(`在途 ¥${yuan(found.refunding_fee)}`)
    words.push(`还可退 ¥${yuan(left)}`)
    say(
      'refund-note',
      hasMoney || found.state === 'refunded' ? words.join('，') : '没有收到付款，没有可退的金额。',
    )
  }

  function askRefund(wanted?: { fen: number; reason: string }): void {
    if (!order) return
    const about = order
    const { out_trade_no } = about
    const fen = wanted?.fen ?? attempts.find(out_trade_no)?.fen
    if (fen === undefined) return
    const left = leftFen(about)
    confirm.ask({
      title: wanted ? '确认退款' : '用同一笔退款重试',
      facts: [
        ['订单号', out_trade_no],
        ['退款金额', `¥${yuan(fen)}`],
        ...(wanted
          ? ([
              ['现在可退', `¥${yuan(left)}`],
              ['退后剩余', `¥${yuan(left - fen)}`],
              ...(wanted.reason ? ([['原因', wanted.reason]] as const) : []),
            ] as const)
          : ([['说明', '上一次没有得到应答。号码和金额与上一次完全相同。']] as const)),
      ],
      yes: wanted ? `确认退款 ¥${yuan(fen)}` : '重试同一笔退款',
      async run() {
        const current = operator()
        if (!current) return { no: '已经退出。' }
        const ended = await attempts.send(current, out_trade_no, wanted)
        if (ended.end === 'answered') {
          input('refund-yuan').value = ''
          input('refund-reason').value = ''
          return { done: `退款 ¥${yuan(ended.answer.refund_fee)}：${refundWord(ended.answer.state)}` }
        }
        if (ended.end === 'refused') return { no: `没有退款。${explain(ended.error)}` }
        const unsure = `结果未知，不是失败。${explain(ended.error)}这笔退款可能已经提交；请重试同一笔，不会退两次。`
        return { unsure, again: '重试同一笔退款' }
      },
    })
  }

  /** What only a person can end. Nothing here can say that an order was paid. */
  function askPerson(
    title: string,
    facts: [string, string][],
    yes: string,
    run: (note: string) => Promise<string>,
  ): void {
    confirm.ask({
      title,
      facts,
      field: '做了什么、为什么（会留下记录）',
      yes,
      async run(note) {
        try {
          return { done: await run(note) }
        } catch (error) {
          const { code, status } = error instanceof PayError ? error : new PayError('no_answer', 0)
          if (code === 'no_answer' || status >= 500)
            return { unsure: `${explain(error)}可以再试，重复也只记一次。`, again: '再试一次' }
          return { no: explain(error) }
        }
      },
    })
  }

  function askEnd(refund: RefundShown, ending: 'paid_out' | 'given_up'): void {
    const { out_refund_no, refund_fee } = refund
    const facts: [string, string][] = [
      ['退款单号', out_refund_no],
      ['金额', `¥${yuan(refund_fee)}`],
      ['现在', refundWord(refund.state)],
    ]
    if (ending === 'paid_out')
      return askPerson('登记已人工付款', facts, '付款人已拿到钱', async (note) => {
        await operator()!.payOut(out_refund_no, note)
        return '已登记为人工付款，计入已退金额。'
      })
    askPerson('放弃这笔退款', facts, '放弃，释放金额', async (note) => {
      await operator()!.giveUp(out_refund_no, note)
      return '已放弃，这笔金额可以重新退款。'
    })
  }

  at('drawer-lift').addEventListener('click', () => {
    const about = order
    if (!about || about.flag === null) return
    const facts: [string, string][] = [
      ['订单号', about.out_trade_no],
      ['标记', flagWord(about.flag)],
    ]
    askPerson('解除标记', facts, '解除，由下一次应答决定', async (note) => {
      await operator()!.liftFlag(about.out_trade_no, note)
      return '已解除标记，下一次查询的结果会决定这笔订单。'
    })
  })

  at('refund-form').addEventListener('submit', (event) => {
    event.preventDefault()
    if (!order) return
    const fen = readYuan(input('refund-yuan').value)
    const left = leftFen(order)
    const fault =
      fen === undefined
        ? '请写成 5 或 5.50 这样的金额，至少 0.01 元。'
        : fen > left
          ? `最多还可退 ¥${yuan(left)}。`
          : ''
    say('refund-told', fault)
    if (fen === undefined || fault) return input('refund-yuan').focus()
    askRefund({ fen, reason: input('refund-reason').value.trim() })
  })
  at('refund-again').addEventListener('click', () => askRefund())
  at('drawer-ask').addEventListener('click', () => {
    button('drawer-ask').disabled = true
    void readOrSay(true).finally(() => {
      button('drawer-ask').disabled = false
    })
  })
  at('drawer-close').addEventListener('click', () => box.close())
  // Beside it is what it lies over.
  box.addEventListener('click', (event) => {
    if (event.target === box) box.close()
  })
  box.addEventListener('close', () => {
    number = ''
    order = undefined
    onClose()
  })

  return {
    isOpen: () => box.open,
    tell: (text: string) => say('drawer-told', text),
    close: () => box.close(),
    /** Says whether anything has changed. */
    refresh: async () => box.open && read(),
    async open(wanted: string): Promise<void> {
      number = wanted
      order = undefined
      at('drawer-body').hidden = true
      say('drawer-number', wanted)
      say('drawer-told', '正在读取…')
      say('refund-told', '')
      for (const id of ['refund-yuan', 'refund-reason']) input(id).value = ''
      if (!box.open) box.showModal()
      await readOrSay()
    },
  }
}

type RefundShown = OrderStatus['refunds'][number]

/** What a person may say of a refund in this state. */
const ENDINGS: Readonly<Record<string, readonly ('paid_out' | 'given_up')[]>> = {
  requested: ['given_up'],
  accepted: ['given_up'],
  needs_person: ['paid_out', 'given_up'],
  failed: ['paid_out'],
}
const ENDING_WORDS = { paid_out: '已人工付款…', given_up: '放弃…' } as const

function drawRefund(
  refund: RefundShown,
  askEnd: (refund: RefundShown, ending: 'paid_out' | 'given_up') => void,
): HTMLElement {
  const { out_refund_no, state, refund_fee, origin, reason, created_at, by } = refund
  const pill = make('span', 'pill', refundWord(state))
  pill.dataset['refund'] = state
  const byWhom = by === undefined ? '' : ' · 由人了结'
  // Of one that a person has given up nothing is left to say.
  const endings = by === undefined ? (ENDINGS[state] ?? []) : []
  const buttons = endings.map((ending) => {
    const one = make('button', 'small', ENDING_WORDS[ending]) as HTMLButtonElement
    one.type = 'button'
    one.addEventListener('click', () => askEnd(refund, ending))
    return one
  })
  return make(
    'li',
    '',
    make('div', 'line', make('b', '', `¥${yuan(refund_fee)}`), pill),
    make('p', 'soft', `${timeWord(created_at)} · ${originWord(origin)} · ${out_refund_no}${byWhom}`),
    ...(reason === null ? [] : [make('p', 'reason', reason)]),
    ...(buttons.length > 0 ? [make('div', 'line', ...buttons)] : []),
  )
}

function drawEvent({ event }: { event: OrderStatus['events'][number] }): HTMLElement {
  const { at, kind, from, to, detail = {}, note } = event
  const moved = from !== null && from !== to
  const { to_refund, from_refund: _before, ...rest } = detail
  const title = moved
    ? `${stateWord(from)} → ${stateWord(to)}`
    : typeof to_refund === 'string'
      ? `退款：${refundWord(to_refund)}`
      : `${eventWord(kind)} · ${stateWord(to)}`
  const words = detailWords(rest).map(([name, value]) => `${name} ${value}`)
  const item = make(
    'li',
    '',
    make('time', '', timeWord(at)),
    make('b', '', title),
    ...(words.length > 0 ? [make('p', 'soft', words.join(' · '))] : []),
    ...(note === undefined ? [] : [make('p', 'reason', note)]),
  )
  item.dataset['state'] = to
  return item
}
