import type { ToConsole, ToPhone } from './bridge'
import { stepsOf, type Step } from './steps'
import type { Timeline } from './timeline'

/**
 * The sandbox's console: a phone with the payer's page in it, and beside it all that the same order leaves in the
 * system. For a machine of one's own; everything it does it asks of the sandbox's port.
 */
const { sandbox } = JSON.parse(document.getElementById('config')!.textContent) as { sandbox: string }
const at = (id: string) => document.getElementById(id)!
const phone = at('phone') as HTMLIFrameElement
const POLL_MS = 1000

let purchase = ''
let number = ''

async function ask(path: string, body?: object): Promise<{ status: number; said: Record<string, unknown> }> {
  const answer = await fetch(sandbox + path, body ? { method: 'POST', body: JSON.stringify(body) } : {})
  return { status: answer.status, said: (await answer.json()) as Record<string, unknown> }
}

// ── the phone and its wallet ─────────────────────────────────────────────────────────────────────────────────────

const WALLETS = { wechat: '微信支付', alipay: '支付宝' }

async function begin(app: 'wechat' | 'alipay'): Promise<void> {
  const { said } = await ask('/_console/quote', { app })
  purchase = String(said['purchase'])
  number = ''
  at('wallet').hidden = true
  at('wallet-title').textContent = WALLETS[app]
  at('timeline').replaceChildren()
  tell('新的报价已由商户服务器签发。在手机里点击支付。')
  // Named anew and loaded anew: the bridge in front of the page is the one of this app.
  phone.name = app
  phone.contentWindow!.name = app
  phone.src = `/console/phone/?${Date.now()}#quote=${String(said['quote'])}`
}

/** What the page has handed over and waits for. */
let handed: ToConsole | undefined

window.addEventListener('message', ({ origin, source, data }: MessageEvent<ToConsole>) => {
  if (origin !== location.origin || source !== phone.contentWindow || data.kind !== 'pay') return
  handed = data
  at('wallet-text').textContent = `手机收到的参数：${Object.keys(data.payment).join('、')}`
  at('wallet').hidden = false
  document.querySelector<HTMLElement>('[data-wallet=pay]')!.focus()
})

async function endWallet(how: string): Promise<void> {
  at('wallet').hidden = true
  if (!handed) return
  const { id, payment } = handed
  handed = undefined
  const end = (end: string) =>
    phone.contentWindow!.postMessage({ kind: 'end', id, end } satisfies ToPhone, location.origin)
  if (how === 'cancel') return end('cancel')
  if (how === 'lie') {
    tell('钱包对页面说已付款，其实没有。页面只会去查。')
    return end('ok')
  }
  const { status, said } = await ask('/_sandbox/wallet', { payment })
  if (status !== 200) {
    tell(`钱包拒绝：${String(said['error'])}`)
    return end('fail')
  }
  if (how === 'pay') return end('ok')
  tell('已付款，但钱包没有告诉页面。看它自己查到。')
}

// ── what a person can do to the order ────────────────────────────────────────────────────────────────────────────

const DEEDS: Record<string, () => Promise<{ status: number; said: Record<string, unknown> }>> = {
  duplicate: () => ask('/_sandbox/notify', { out_trade_no: number, times: 3 }),
  forge: () => ask('/_console/forge', { purchase }),
  close: () => ask('/_console/close', { purchase }),
  late: () => ask('/_sandbox/pay', { out_trade_no: number, late: true }),
  refund: () => ask('/_console/refund', { purchase, refund_fee: 500 }),
  tick: () => ask('/_console/tick', {}),
}

const TOLD: Record<string, string> = {
  duplicate: '同一个通知送了三次：第二次起什么也不会发生。',
  forge: '伪造的通知已送出，看它被拒绝。',
  close: '商户服务器请求关单。',
  late: '钱在关单之后才到：先记为 paid_after_close，定时器会按规则退回。',
  refund: '商户服务器请求退款 5 元。',
  tick: '定时器跑了一次。',
}

async function act(name: string): Promise<void> {
  const { status, said } = await DEEDS[name]!()
  const answer = said['answer'] as { detail?: { zh: string } } | undefined
  tell(
    status === 200
      ? (answer?.detail?.zh ?? TOLD[name]!)
      : `没有做成：${(said['error'] as string | undefined) ?? status}`,
  )
  await refresh()
}

const tell = (text: string) => {
  at('told').textContent = text
}

// ── the same order, from behind ──────────────────────────────────────────────────────────────────────────────────

async function refresh(): Promise<void> {
  if (purchase === '') return
  const { said } = await ask(`/_console/timeline?purchase=${encodeURIComponent(purchase)}`)
  const timeline = said as unknown as Timeline
  const { order, ledger } = timeline
  number = order ? String(order['out_trade_no']) : ''
  at('number').textContent = number || '—'
  state('ours', order ? String(order['state']) : '—')
  state('theirs', ledger ? ledger.state : '—')
  at('raw').textContent = order ? JSON.stringify(order, null, 2) : ''
  ;(at('drop') as HTMLInputElement).checked = timeline.notifications === 'off'
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-do]'))
    button.disabled = number === '' && button.dataset['do'] !== 'tick'
  draw(stepsOf(timeline))
}

function state(id: string, text: string): void {
  at(id).textContent = text
  at(id).dataset['state'] = text
}

const ACTORS: Record<Step['actor'], string> = {
  page: '页面或商户 → 函数',
  us: '函数 → 云支付',
  cloud: '云支付 → 函数',
  forger: '冒充者 → 函数',
  row: '数据库',
}

/** Adds what is new where it belongs; what is there stays as it is, opened or not. */
function draw(steps: readonly Step[]): void {
  const list = at('timeline')
  const known = new Map([...list.children].map((item) => [(item as HTMLElement).dataset['id'], item]))
  steps.forEach((step, index) => {
    const item = known.get(step.id) ?? drawStep(step)
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null)
  })
}

function drawStep(step: Step): HTMLElement {
  const item = make('li', 'step')
  item.dataset['id'] = step.id
  item.dataset['actor'] = step.actor
  const time = new Date(step.atMs).toTimeString().slice(0, 8)
  item.append(
    make('p', 'who', `${time} · ${ACTORS[step.actor]}`),
    make('h3', 'title', step.title),
    ...(step.why ? [make('p', 'why', step.why)] : []),
  )
  if (step.texts.length > 0) {
    const details = make('details', 'texts')
    details.append(make('summary', '', '看原文'))
    for (const { name, text } of step.texts) details.append(make('h4', '', name), make('pre', '', text))
    item.append(details)
  }
  return item
}

function make(tag: string, name: string, text?: string): HTMLElement {
  const element = document.createElement(tag)
  element.className = name
  if (text !== undefined) element.textContent = text
  return element
}

at('new-wechat').addEventListener('click', () => void begin('wechat'))
at('new-alipay').addEventListener('click', () => void begin('alipay'))
for (const button of document.querySelectorAll<HTMLElement>('[data-wallet]'))
  button.addEventListener('click', () => void endWallet(button.dataset['wallet']!))
for (const button of document.querySelectorAll<HTMLElement>('[data-do]'))
  button.addEventListener('click', () => void act(button.dataset['do']!))
at('drop').addEventListener('change', ({ target }) => {
  const notifications = (target as HTMLInputElement).checked ? 'off' : 'on'
  void ask('/_sandbox/switches', { notifications })
})

void begin('wechat')
setInterval(() => {
  if (document.visibilityState === 'visible')
    void refresh().catch(() => tell('连不上沙箱。npm start 还在运行吗？'))
}, POLL_MS)
