import { createClient, isSettled, PayError, type Client, type OrderView } from '../client/client'
import { fetchTransport } from '../client/transports'
import { yuan } from '../money'
import type { CashierConfig, LoginApp } from './config'
import { base64url, makeBytes, sendForCode, takeReturn } from './login'
import { openMemory, type KeptOrder } from './memory'
import { readPurchase, type Purchase } from './purchase'
import { openScreen, type Action, type Phase, type Screen } from './screen'
import { findWallet, type Hint, type Wallet } from './wallet'

/**
 * The cashier: shows what is to be paid, makes one order of it however often it is touched, hands that over to the
 * wallet around the page, and asks the functions what became of it. Nothing is called paid or failed that they have not
 * said; what cannot be told is unknown.
 */

/** A session that ends while the payer is at it is no help. */
const SESSION_SPARE_MS = 60_000
/** With the client's waits a good minute: by then a payment shows, or something is in the way. */
const LOOKS_AFTER_WALLET = 14
const LOOKS_WHEN_ASKED = 4
const BEFORE_FIRST_LOOK_MS = 3000
const WALLET_NAMES = { wechat: '微信', alipay: '支付宝' } as const

export function openCashier(window: Window, config: CashierConfig): { start(): Promise<void> } {
  const memory = openMemory(window.sessionStorage)
  const put = openScreen(window.document)
  const nap = openNap()

  let purchase: Purchase | undefined
  let wallet: Wallet | undefined
  let client: Client
  let order: OrderView | undefined
  /** Whatever is under way when a newer thing begins may end, and is not heard any more. */
  let turn = 0

  const show = (phase: Phase, note: string, more: Partial<Screen> = {}) =>
    put({
      phase,
      note,
      what: purchase?.what,
      totalFen: purchase?.totalFen,
      order,
      wallet: wallet?.kind,
      ...more,
    })

  const walletName = () => (wallet ? WALLET_NAMES[wallet.kind] : '钱包')

  // ── coming in ────────────────────────────────────────────────────────────────────────────────────────────────

  async function start(): Promise<void> {
    const mine = ++turn
    order = undefined
    const returned = takeReturn(window, memory)
    purchase = readPurchase(window.location.hash, config.titles)
    wallet = findWallet(window)
    if (!purchase) return show('halted', '没有要支付的内容，请从商家页面重新进入。')
    const app = wallet && config[wallet.kind]
    if (!wallet || !app) return show('halted', `请在${openIn(config)}里打开这个页面。`)
    show('opening', '正在确认您的身份…')
    try {
      const known = await enter(app, returned)
      if (known && mine === turn) await begin()
    } catch (error) {
      if (mine === turn) explain(error, { label: '重试', run: start })
    }
  }

  /** Whether there is a session; otherwise the browser is on its way to get a code. */
  async function enter(app: LoginApp, returned: ReturnType<typeof takeReturn>): Promise<boolean> {
    const kept = memory.session.read()
    const good = kept?.app_id === app.app_id && kept.untilMs > Date.now() + SESSION_SPARE_MS
    client = createClient({
      base: config.api,
      transport: fetchTransport(window.fetch.bind(window)),
      session: good ? { token: kept.token, secret: kept.secret } : undefined,
      sleep: nap.sleep,
    })
    if (good) return true
    if (returned) {
      const { code, state, secret } = returned
      const { token, expires_in } = await client.login({ app_id: app.app_id, code, state, secret })
      const untilMs = Date.now() + expires_in * 1000
      memory.session.write({ app_id: app.app_id, token, secret, untilMs })
      return true
    }
    const { kind } = wallet!
    await sendForCode(window, { client, memory, app, kind, fragment: purchase!.fragment })
    return false
  }

  /** A reload, a way back, or a first visit: what is known of the order decides. */
  async function begin(): Promise<void> {
    if (number() === undefined) return offer('')
    await look(LOOKS_WHEN_ASKED, kept().handedOver ? '正在核实这笔订单的支付结果…' : '正在读取订单…')
  }

  // ── the order of this purchase ───────────────────────────────────────────────────────────────────────────────

  function kept(): KeptOrder {
    const all = memory.orders.read() ?? {}
    return all[purchase!.fragment] ?? { key: purchase!.id ?? `page-${base64url(makeBytes(window))}` }
  }

  function keep(change: Partial<KeptOrder>): void {
    const all = memory.orders.read() ?? {}
    memory.orders.write({ ...all, [purchase!.fragment]: { ...kept(), ...change } })
  }

  const number = () => purchase?.number ?? kept().number

  /** The order as it is, or a new one. Repeats of a wish are the same bytes under the same key. */
  async function obtain(): Promise<OrderView> {
    const known = number()
    if (known !== undefined) {
      const found = await client.readOrder(known)
      if (found.state !== 'created' || !purchase?.wish) return found
    }
    const { key } = kept()
    // Kept before it is sent: a reload in between asks under the same key.
    keep({ key })
    const made = await client.createOrder(purchase!.wish!, key)
    keep({ number: made.out_trade_no })
    return made
  }

  // ── paying ───────────────────────────────────────────────────────────────────────────────────────────────────

  const offer = (note: string, more: Partial<Screen> = {}) => {
    turn++
    const fen = order?.total_fee ?? purchase?.totalFen
    const label = fen === undefined ? '去支付' : `${walletName()}支付 ¥${yuan(fen)}`
    show('waiting', note || `点击按钮，在${walletName()}里完成支付。`, { main: { label, run: pay }, ...more })
  }

  async function pay(): Promise<void> {
    const mine = ++turn
    const shownFen = order?.total_fee ?? purchase?.totalFen
    show('ordering', '正在为您下单，请稍候…')
    try {
      order = await obtain()
    } catch (error) {
      if (mine === turn) explain(error, { label: '重试', run: pay })
      return
    }
    if (mine !== turn) return
    if (order.state !== 'pending' || order.flag) return settle(order)
    if (order.payment_fault) return show('halted', '支付参数不完整，没有打开钱包，没有扣款。请联系商家。')
    if (!order.payment) return void look(LOOKS_WHEN_ASKED, '支付时间已过，正在核实结果…')
    // Nobody pays an amount that was not on this page first.
    if (order.total_fee !== shownFen) return offer('请确认金额后支付。')
    await handOver(order.payment)
  }

  async function handOver(payment: Record<string, string>): Promise<void> {
    keep({ handedOver: true })
    let hint: Hint | undefined
    show('confirming', `请在${walletName()}里完成支付。页面会自动更新，请勿重复支付。`)
    const mine = turn
    const asked = wallet!.pay(payment).catch((): Hint => 'failed')
    void asked.then((said) => {
      hint = said
      nap.wake()
    })
    // Nobody has paid yet, and Cloud Pay is asked once in three seconds only: not now, when it matters.
    await nap.sleep(BEFORE_FIRST_LOOK_MS)
    if (mine === turn) await look(LOOKS_AFTER_WALLET, undefined, () => hint)
  }

  /** Asks until it is settled. `hint`: what the wallet has said by now. */
  async function look(
    looks: number,
    note: string | undefined,
    hint: () => Hint | undefined = () => 'cancelled',
  ): Promise<void> {
    const mine = ++turn
    /** A verified answer came after the wallet was done, and nothing was paid. */
    let unpaid = false
    if (note !== undefined) show('confirming', note)
    try {
      const { order: seen } = await client.waitUntilSettled(number()!, {
        looks,
        stop: () => mine !== turn || unpaid,
        onLook: (found) => {
          if (mine !== turn || !found) return
          order = found
          const said = hint()
          const done = said === 'cancelled' || said === 'failed' || said === 'not_opened'
          // Where no wallet was opened, what is kept is enough; after one, only a fresh verified answer is.
          unpaid = done && canPay(found) && (found.refreshed === true || !kept().handedOver)
          if (said === 'ok' || said === 'unsure')
            show('confirming', `${walletName()}已受理，正在核实支付结果…请勿重复支付。`)
        },
      })
      if (mine !== turn) return
      const { handedOver } = kept()
      const asked: Action = { label: '我已付款，再查一次', run: again }
      if (unpaid)
        return offer(handedOver ? UNPAID[hint() ?? 'unsure'] : '', handedOver ? { second: asked } : {})
      if (seen && isSettled(seen)) return settle(seen)
      doubt('还没有查到这笔订单的最终结果。如果您已经付款，请不要再付一次。')
    } catch (error) {
      if (mine === turn) explain(error, { label: '查询支付结果', run: again })
    }
  }

  const again = () => look(LOOKS_WHEN_ASKED, '正在核实支付结果…')

  const UNPAID: Record<Hint, string> = {
    cancelled: '还没有收到付款。可以继续支付这笔订单，不会产生新的订单。',
    failed: '钱包没有完成支付，没有收到付款。可以继续支付这笔订单。',
    not_opened: '没有打开钱包，没有收到付款。可以再试一次。',
    ok: '',
    unsure: '',
  }

  const canPay = (found: OrderView) => found.state === 'pending' && !found.flag && Boolean(found.payment)

  const doubt = (note: string, reference?: string) => {
    turn++
    show('unknown', note, { reference, main: { label: '查询支付结果', run: again } })
  }

  /** What is certain, and what to do with it. */
  function settle(found: OrderView): void {
    turn++
    order = found
    const leave: Action = { label: '完成', run: () => wallet?.leave() }
    if (found.flag) return doubt('这笔订单需要商家核对，请联系商家，不要再付一次。')
    switch (found.state) {
      case 'paid':
        return show('paid', '商家已收到您的付款。', { main: leave })
      case 'refunded':
        return show('closed', '这笔付款已全额退回。', { main: leave })
      case 'paid_after_close':
        return show('closed', '订单关闭之后收到了您的付款，将按商家的规则退回或确认，请联系商家。', {
          main: leave,
        })
      case 'closed':
        return show('closed', '这笔订单已经关闭，没有收款。', { main: afresh() ?? leave })
      case 'failed':
        return show('failed', '这笔订单没有成立，没有收款。', { main: afresh() ?? leave })
      default:
        return doubt('这笔订单正在处理，还没有最终结果。')
    }
  }

  /** An article can be ordered anew, under a new key; a quote makes one order, and its server makes the next quote. */
  function afresh(): Action | undefined {
    const { wish, id } = purchase!
    if (!wish || 'quote' in wish || id !== undefined) return undefined
    return {
      label: '重新下单',
      run: () => {
        const { [purchase!.fragment]: _over, ...rest } = memory.orders.read() ?? {}
        memory.orders.write(rest)
        order = undefined
        offer('')
      },
    }
  }

  // ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────

  function explain(error: unknown, retry: Action | undefined): void {
    turn++
    const { code, status, problem, retryAfterS } =
      error instanceof PayError ? error : new PayError('no_answer', 0)
    const reference = problem?.request_id || undefined
    if (status === 401) {
      memory.session.forget()
      return show('halted', '登录已失效或未完成，请重新登录。订单和付款不受影响。', {
        reference,
        main: { label: '重新登录', run: start },
      })
    }
    if (kept().handedOver) return doubt('暂时查不到结果。如果您已经付款，请不要再付一次。', reference)
    // From here on no wallet was opened: whatever became of the order, nothing was paid.
    if (code === 'no_answer')
      return show('waiting', '网络不通，没有打开钱包，没有扣款。请检查网络后重试，不会重复下单。', {
        main: retry,
      })
    if (code === 'cloud_pay_refused')
      return show('failed', '支付平台没有接受这笔订单，没有扣款。请从商家页面重新下单。', { reference })
    if (code === 'purchase_open')
      return show(
        'waiting',
        `这笔购买之前下过一个订单，还没有关闭。为了不付两次，要先关闭它，${waitWords(retryAfterS)}。` +
          '到时候点“重试”即可重新支付；如果之前的订单已经付了，不会再收款。这一次没有打开钱包，没有扣款。',
        { reference, main: retry },
      )
    if (status >= 500 || status === 429 || status === 409)
      return show('waiting', `${problem?.detail.zh ?? '服务暂时不可用。'}没有打开钱包，没有扣款。`, {
        reference,
        main: retry,
      })
    return show('halted', `${problem?.detail.zh ?? ''}没有扣款，请从商家页面重新进入。`, { reference })
  }

  // ── the world around the page ────────────────────────────────────────────────────────────────────────────────

  const tellNetwork = () => {
    window.document.getElementById('offline')!.hidden = window.navigator.onLine
  }
  window.addEventListener('online', tellNetwork)
  window.addEventListener('offline', tellNetwork)
  // Coming back from the wallet, from the network's dead spot or from the browser's cache: look now, not later.
  const returnToPage = () => {
    if (window.document.visibilityState !== 'visible') return
    nap.wake()
    if (window.document.body.dataset['phase'] === 'unknown') void again()
  }
  window.addEventListener('online', returnToPage)
  window.document.addEventListener('visibilitychange', returnToPage)
  window.addEventListener('pageshow', ({ persisted }) => {
    if (persisted) void start()
  })
  window.addEventListener('hashchange', () => void start())
  tellNetwork()

  return { start }
}

/** Sleep that a sign of life ends. */
function openNap() {
  const sleepers = new Set<() => void>()
  return {
    sleep: (ms: number) =>
      new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer)
          sleepers.delete(end)
          resolve()
        }
        const timer = setTimeout(end, ms)
        sleepers.add(end)
      }),
    wake() {
      for (const end of [...sleepers]) end()
    },
  }
}

/** An order is closed no sooner than `CLOSE_NOT_BEFORE` seconds after it was made; how many are left, the function says. */
const waitWords = (seconds: number | undefined): string =>
  seconds === undefined ? '一般要等它下单满 300 秒才能关闭' : `最早 ${seconds} 秒后才能关闭`

function openIn(config: CashierConfig): string {
  const names = (['wechat', 'alipay'] as const)
    .filter((kind) => config[kind])
    .map((kind) => WALLET_NAMES[kind])
  return names.join('或') || '商家的应用'
}
