import type { Timeline } from './timeline'

/** One line of the story: who did what to whom, why, and the very text of it. */
export type Step = {
  id: string
  atMs: number
  actor: 'page' | 'us' | 'cloud' | 'forger' | 'row'
  title: string
  why: string
  texts: { name: string; text: string }[]
}

const INTERFACES: Record<string, [title: string, why: string]> = {
  official_account_pay: ['下单', '先把这段文字存进数据库，再发出去；重试发的永远是同一段文字。'],
  mini_program_pay: ['下单', '先把这段文字存进数据库，再发出去；重试发的永远是同一段文字。'],
  query_order: ['查单', '只有我们自己查到、签名正确、金额和订单都对得上的应答，才能改动订单。'],
  close_order: ['关单', '关之前先查，关之后再查：付款若更快，付款算数。'],
  refund: ['退款', '金额先在数据库里预留；同一个退款单号永远是同一笔退款。'],
  query_refund_order: ['查退款', '接受不等于完成，查到成功才算退回。'],
}

const MOVES: Record<string, string> = {
  created: '订单已记录，还没有得到可信的应答',
  pending: '云支付已接受，等待付款',
  paid: '我们自己查到了付款',
  closing: '正在关闭',
  closed: '已关闭，没有收款',
  failed: '云支付明确拒绝',
  paid_after_close: '关闭之后到了钱',
  refunded: '已全额退回',
}

/** Everything that is known of the order, in the order it happened. */
export function stepsOf({ served, exchanged, notified, events }: Timeline): Step[] {
  const steps: Step[] = [
    ...served.map(({ at, method, path, body, status, answer }, index): Step => ({
      id: `served-${at}-${index}`,
      atMs: at,
      actor: 'page',
      title: `${method} ${path} → ${status}`,
      why: status < 400 ? '' : '按稳定的错误码拒绝。',
      texts: [
        { name: '请求体', text: pretty(body) },
        { name: '应答', text: pretty(answer) },
      ].filter(({ text }) => text !== ''),
    })),
    ...exchanged.map(({ at, interface: name, request, answer }, index): Step => {
      const [title, why] = INTERFACES[name] ?? [name, '']
      return {
        id: `exchanged-${at}-${index}`,
        atMs: at,
        actor: 'us',
        title: `${title} ${name}`,
        why,
        texts: [
          ...layers('request_content', request, '签名内容'),
          ...layers('response_content', answer, '应答内容'),
        ],
      }
    }),
    ...notified.map(({ at, url, body, status, error, forged }, index): Step => ({
      id: `notified-${at}-${index}`,
      atMs: at,
      actor: forged ? 'forger' : 'cloud',
      title: `${forged ? '伪造的通知' : '通知'} → ${new URL(url).pathname} ${status ?? error ?? ''}`,
      why: forged ? '签名不对：拒绝，什么也没有改动。' : '通知只是提示：先存下来，再用我们自己的查询去核实。',
      texts: layers('request_content', body, '通知内容'),
    })),
    ...events.map(({ at, kind, from_state, to_state, detail }, index): Step => ({
      id: `event-${index}`,
      // Kept in whole seconds: after what else happened in that second, which is why it happened.
      atMs: at * 1000 + 999,
      actor: 'row',
      title: from_state && from_state !== to_state ? `${from_state} → ${to_state}` : `${kind} · ${to_state}`,
      why: from_state === to_state ? '' : (MOVES[to_state] ?? ''),
      texts: [
        { name: '细节', text: pretty(typeof detail === 'string' ? detail : JSON.stringify(detail)) },
      ].filter(({ text }) => text !== '{}'),
    })),
  ]
  return steps.sort((a, b) => a.atMs - b.atMs)
}

/** The inner text that is signed, as it was sent, and its code beside it. */
function layers(member: string, text: string, name: string): Step['texts'] {
  try {
    const outer = JSON.parse(text) as Record<string, unknown>
    const content = outer[member]
    if (typeof content !== 'string') return [{ name, text: pretty(text) }]
    const code = /"authen_code":"(\w+)"/.exec(text)?.[1] ?? '（没有签名）'
    return [
      { name: `${name}（签名所覆盖的原文）`, text: content },
      { name: 'authen_code：HMAC-SHA256', text: code },
    ]
  } catch {
    return [{ name, text }]
  }
}

export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
