import type { BoardAnomaly, BoardDay, BoardOrder } from '../../shared/order/board'
import { PayError } from '../client/client'
import { createOperator, openKey, type Operator } from '../client/operator'
import { fetchTransport } from '../client/transports'
import { yuan } from '../money'
import { openAttempts } from './attempts'
import { drawChart } from './chart'
import type { BoardConfig } from './config'
import { openConfirm } from './confirm'
import { at, button, facts, input, make, say } from './dom'
import { openDrawer } from './drawer'
import { openPages } from './pages'
import { openRefresh } from './refresh'
import { detailWords, explain, kindWord, STATES, stateWord, timeWord, walletWord } from './words'

/**
 * The order board: what a merchant's operator sees and does, with a key of theirs. Nothing is shown before the functions
 * have let that key in, and nothing stays when they no longer do.
 */
export type BoardKey = { name: string; secret: string }
type Tab = 'orders' | 'anomalies' | 'unshipped'
const TABS: readonly Tab[] = ['orders', 'anomalies', 'unshipped']
/** What is not looked at is read this much more rarely. */
const ASIDE_EVERY = 4
const TOAST_MS = 6000

export function openBoard(window: Window & typeof globalThis, config: BoardConfig) {
  const { crypto } = window
  let operator: Operator | undefined
  let tab: Tab = 'orders'
  let wanted: { state?: string; search?: string } = {}
  let shownDay = ''
  let turns = 0

  const randomKey = () =>
    `board-${Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')}`
  const attempts = openAttempts(window.sessionStorage, randomKey)

  // ── what is on the page ──────────────────────────────────────────────────────────────────────────────────────

  const orderButton = (number: string): HTMLElement => {
    const open = make('button', 'link', number) as HTMLButtonElement
    open.type = 'button'
    open.addEventListener('click', () => void drawer.open(number))
    return open
  }

  function drawOrder(order: BoardOrder): HTMLElement {
    const pill = make('span', 'pill', stateWord(order.state))
    pill.dataset['state'] = order.state
    const state: (Node | string)[] = [pill]
    if (order.flag !== null) state.push(make('span', 'pill warn', '需核对'))
    const back: (Node | string)[] = []
    if (order.refunded_fee > 0) back.push(`¥${yuan(order.refunded_fee)} `)
    if (order.refunding_fee > 0) back.push(make('span', 'soft', `在途 ¥${yuan(order.refunding_fee)}`))
    if (back.length === 0) back.push('—')
    const cell = (name: string, label: string, ...inside: (Node | string)[]) => {
      const made = make('td', name, ...inside)
      made.dataset['label'] = label
      if (made.textContent === '—') made.classList.add('none')
      return made
    }
    return make(
      'tr',
      '',
      cell('number', '订单号', orderButton(order.out_trade_no)),
      cell('state', '状态', ...state),
      cell('money', '金额', `¥${yuan(order.total_fee)}`),
      cell('money back', '已退', ...back),
      cell('wallet', '支付方式', walletWord(order)),
      cell('time made', '下单时间', timeWord(order.created_at)),
      cell('time', '支付时间', timeWord(order.paid_at)),
    )
  }

  function drawAnomaly(anomaly: BoardAnomaly): HTMLElement {
    const { id, kind, out_trade_no, evidence, first_at, last_at, times, resolved_at, resolution } = anomaly
    const item = make(
      'li',
      'card anomaly',
      make('h3', '', kindWord(kind)),
      make(
        'p',
        'soft',
        `${kind} · ${times} 次 · ${times > 1 ? `${timeWord(first_at)} 至 ` : ''}${timeWord(last_at)}`,
      ),
      ...(out_trade_no ? [make('p', '', '订单 ', orderButton(out_trade_no))] : []),
      make('dl', 'facts', ...facts(detailWords(evidence))),
    )
    item.dataset['resolved'] = String(resolved_at !== null)
    if (resolved_at === null) {
      const resolve = make('button', 'small', '处理…') as HTMLButtonElement
      resolve.type = 'button'
      resolve.addEventListener('click', () => askResolve(id, kind, out_trade_no))
      item.append(resolve)
    } else item.append(make('p', 'resolution', `${timeWord(resolved_at)} 已处理：${resolution ?? ''}`))
    return item
  }

  const count = (id: string, number: number, hasMore: boolean) => {
    at(id).hidden = number === 0
    say(id, `${number}${hasMore ? '+' : ''}`)
  }

  const lists = {
    orders: openPages<BoardOrder>({
      name: 'orders',
      async read(before) {
        const { orders, next } = await operator!.listOrders({ ...wanted, ...(before ? { before } : {}) })
        return { rows: orders, next }
      },
      keyOf: ({ out_trade_no }) => out_trade_no,
      draw: drawOrder,
      empty: () =>
        wanted.search ? '没有这样的订单。' : wanted.state ? '没有处于这个状态的订单。' : '还没有订单。',
    }),
    anomalies: openPages<BoardAnomaly>({
      name: 'anomalies',
      async read(before) {
        const { anomalies, next } = await operator!.listAnomalies(before)
        return { rows: anomalies, next }
      },
      keyOf: ({ id }) => id,
      draw: drawAnomaly,
      empty: () => '没有异常。',
      onRows(rows, hasMore) {
        const open = rows.filter(({ resolved_at }) => resolved_at === null).length
        // Open ones come first: there are more of them only if the page is full of them.
        count('anomalies-count', open, hasMore && open === rows.length)
      },
    }),
    unshipped: openPages<BoardOrder>({
      name: 'unshipped',
      async read(before) {
        const { orders, next } = await operator!.listUnshipped(before)
        return { rows: orders, next }
      },
      keyOf: ({ out_trade_no }) => out_trade_no,
      draw: drawOrder,
      empty: () => '没有等待录入发货信息的订单。',
      onRows: (rows, hasMore) => count('unshipped-count', rows.length, hasMore),
    }),
  }

  new ResizeObserver(() => {
    if (shownDay) drawChart(at('chart'), JSON.parse(shownDay) as BoardDay)
  }).observe(at('chart'))

  function showDay(day: BoardDay): boolean {
    const text = JSON.stringify(day)
    if (text === shownDay) return false
    shownDay = text
    for (const kind of ['paid', 'refunded', 'made'] as const) {
      say(`${kind}-fen`, `¥${yuan(day.total[kind].fen)}`)
      say(`${kind}-count`, `${day.total[kind].count} 笔`)
    }
    if (document.activeElement !== at('date')) input('date').value = day.date
    drawChart(at('chart'), day)
    return true
  }

  // ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Today is asked for as today, so that it becomes tomorrow at midnight. */
  let date: string | undefined

  async function look(all = false): Promise<boolean> {
    const current = operator
    const isAsideDue = all || turns++ % ASIDE_EVERY === 0
    const steps: (() => Promise<boolean>)[] = [
      () => lists[tab].refresh(),
      async () => {
        const day = await current!.readDay(date)
        return current === operator && showDay(day)
      },
      drawer.refresh,
      ...(['anomalies', 'unshipped'] as const)
        .filter((other) => isAsideDue && other !== tab)
        .map((other) => lists[other].refresh),
    ]
    let hasChanged = false
    try {
      // One after the other: few instances serve the board, and others look too.
      for (const step of steps) {
        if (!current || current !== operator) return false
        hasChanged = (await step()) || hasChanged
      }
      say('fresh', `${new Date().toTimeString().slice(0, 8)} 更新`)
      at('fresh').dataset['stale'] = 'false'
      return hasChanged
    } catch (error) {
      if (isShutOut(error)) lock(explain(error))
      else {
        say('fresh', `没有更新：${explain(error)}`)
        at('fresh').dataset['stale'] = 'true'
      }
      return false
    }
  }

  /** This key is nobody's any more, or may not look. */
  const isShutOut = (error: unknown) =>
    error instanceof PayError && (error.code === 'caller_unknown' || error.code === 'caller_not_allowed')

  const refresh = openRefresh(window, look, () => operator !== undefined && !confirm.isOpen())
  /** For what a person did just now. */
  const lookNow = async (all = false) => {
    refresh.hurry()
    await look(all)
  }

  // ── acting ───────────────────────────────────────────────────────────────────────────────────────────────────

  let toastTimer = 0
  const toast = (text: string) => {
    say('toast', text)
    window.clearTimeout(toastTimer)
    toastTimer = window.setTimeout(() => say('toast', ''), TOAST_MS)
  }

  const confirm = openConfirm((told) => {
    if (told !== undefined) {
      // What lies over the page would hide it.
      if (drawer.isOpen()) drawer.tell(told)
      else toast(told)
    }
    if (operator) void lookNow()
  })
  const drawer = openDrawer({
    operator: () => operator,
    attempts,
    confirm,
    onClose: () => {
      if (window.location.hash) window.history.replaceState(null, '', window.location.pathname)
    },
  })

  function askResolve(id: string, kind: string, number: string): void {
    confirm.ask({
      title: '处理异常',
      facts: [['异常', kindWord(kind)], ...(number ? ([['订单号', number]] as const) : []), ['编号', id]],
      field: '做了什么（会留下记录）',
      yes: '标为已处理',
      async run(note) {
        try {
          lists.anomalies.change(await operator!.resolveAnomaly(id, note))
          return { done: '已标为处理。再次出现时会重新打开。' }
        } catch (error) {
          const { code, status } = error instanceof PayError ? error : new PayError('no_answer', 0)
          if (code === 'no_answer' || status >= 500)
            return { unsure: `${explain(error)}可以再试，重复也只记一次。`, again: '再试一次' }
          return { no: explain(error) }
        }
      },
    })
  }

  // ── choosing ─────────────────────────────────────────────────────────────────────────────────────────────────

  function choose(next: Tab, focus = false): void {
    tab = next
    for (const one of TABS) {
      const isChosen = one === tab
      at(one).hidden = !isChosen
      at(`tab-${one}`).setAttribute('aria-selected', String(isChosen))
      at(`tab-${one}`).tabIndex = isChosen ? 0 : -1
    }
    if (focus) at(`tab-${tab}`).focus()
    if (operator) {
      lists[tab].reset()
      void lookNow()
    }
  }

  function sift(next: typeof wanted): void {
    wanted = next
    for (const chip of Array.from(at('states').children) as HTMLElement[])
      chip.setAttribute(
        'aria-pressed',
        String(!wanted.search && (chip.dataset['state'] ?? '') === (wanted.state ?? '')),
      )
    lists.orders.reset()
    void lookNow()
  }

  for (const [state, word] of [['', '全部'], ...Object.entries(STATES)] as [string, string][]) {
    const chip = make('button', 'chip', word) as HTMLButtonElement
    chip.type = 'button'
    chip.dataset['state'] = state
    chip.addEventListener('click', () => {
      input('search-text').value = ''
      sift(state ? { state } : {})
    })
    at('states').append(chip)
  }
  at('search').addEventListener('submit', (event) => {
    event.preventDefault()
    const search = input('search-text').value.trim()
    if (/^[!-~]{0,64}$/.test(search)) return sift(search ? { search } : {})
    lists.orders.clear()
    say('orders-note', '订单号和交易号里只有字母、数字和符号。')
  })
  // Emptied with its cross.
  at('search-text').addEventListener('search', () => {
    if (input('search-text').value === '' && wanted.search) sift({})
  })

  for (const [index, one] of TABS.entries()) {
    at(`tab-${one}`).addEventListener('click', () => choose(one))
    at(`tab-${one}`).addEventListener('keydown', ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key]
      if (step) choose(TABS[(index + step + TABS.length) % TABS.length]!, true)
    })
    at(`${one}-more`).addEventListener('click', () => {
      lists[one].more().catch((error: unknown) => toast(explain(error)))
    })
  }
  at('reload').addEventListener('click', () => {
    for (const one of TABS) lists[one].reset()
    void lookNow(true)
  })
  at('leave').addEventListener('click', () => lock(''))
  at('date').addEventListener('change', () => {
    date = input('date').value || undefined
    void lookNow()
  })

  // ── coming in and going out ──────────────────────────────────────────────────────────────────────────────────

  async function enter({ name, secret }: BoardKey): Promise<void> {
    button('enter').disabled = true
    say('login-told', '')
    try {
      // Where a page may not sign: plain http, not on this machine.
      if (!crypto.subtle) return say('login-told', '浏览器只在 https:// 页面上允许签名，请用 https:// 打开。')
      const transport = fetchTransport(window.fetch.bind(window))
      const key = await openKey(crypto, name, secret)
      const tried = createOperator({ base: config.api, transport, crypto, key, nowMs: () => Date.now() })
      // Nothing is shown before this key was let in.
      const day = await tried.readDay()
      operator = tried
      input('secret').value = ''
      say('key-name', name)
      showDay(day)
      for (const id of ['board', 'who']) at(id).hidden = false
      at('login').hidden = true
      await look(true)
      refresh.start()
      openAddressed()
    } catch (error) {
      say('login-told', `没有打开。${explain(error)}`)
    } finally {
      button('enter').disabled = false
    }
  }

  /** Forgets the key and everything it was shown. */
  function lock(why: string): void {
    operator = undefined
    refresh.stop()
    confirm.close()
    drawer.close()
    for (const one of TABS) lists[one].clear()
    shownDay = ''
    date = undefined
    at('chart').replaceChildren()
    for (const id of ['drawer-facts', 'refunds', 'timeline', 'confirm-facts']) at(id).replaceChildren()
    for (const id of ['board', 'who']) at(id).hidden = true
    at('login').hidden = false
    say('login-told', why)
    input('name').focus()
  }

  at('login-form').addEventListener('submit', (event) => {
    event.preventDefault()
    void enter({ name: input('name').value.trim(), secret: input('secret').value.trim() })
  })

  /** `#order=…` opens one: a number is no secret, and no server is sent it. */
  function openAddressed(): void {
    const number = new URLSearchParams(window.location.hash.slice(1)).get('order')
    if (number && operator) void drawer.open(number)
  }
  window.addEventListener('hashchange', openAddressed)

  choose('orders')
  for (const chip of Array.from(at('states').children).slice(0, 1)) chip.setAttribute('aria-pressed', 'true')

  return {
    /** Asks for a key, or takes this one. */
    async start(key?: BoardKey): Promise<void> {
      at('sandbox-mark').hidden = !key
      if (key) await enter(key)
      at('login').hidden = operator !== undefined
    },
  }
}
