import { randomBytes } from 'node:crypto'
import type { Locator } from 'playwright-core'
import { SANDBOX_APPS, SANDBOX_PAYER } from '../../local/sandbox/logins'
import { SANDBOX_KEYS } from '../../local/sandbox/people'
import type { FaultName } from '../../local/sandbox/switches'
import { systemClock } from '../../shared/base/time'
import { signHeaders } from '../support/town'
import { DESK_SIZE, isBrowserMissing, openStreet, PHONE_SIZE, type Phone, type Street } from './street'

// Real pages on a machine that does other things too.
const missing = isBrowserMissing()
const MARKUP = '<img src=x onerror="complain(1)"><b>粗</b>'

;(missing ? describe.skip : describe)('the order board in Chromium', () => {
  let street: Street
  let desk: Phone
  const faults: Partial<Record<string, FaultName[]>> = {}
  beforeAll(async () => {
    const chooseFault = ({ interface: name }: { interface: string }) => faults[name]?.shift()
    street = await openStreet({ chooseFault, refundDelayMs: 3_600_000 })
  })
  afterAll(() => street.close())

  beforeEach(async () => {
    desk = await street.openPhone({ app: 'none', size: DESK_SIZE })
  })
  afterEach(async () => {
    const { complaints, context } = desk
    await context.close()
    for (const name of Object.keys(faults)) delete faults[name]
    expect(complaints).toEqual([])
  })

  const at = (selector: string): Locator => desk.page.locator(selector)
  const open = async (hash = '') => {
    await desk.page.goto(`${street.origin}/board/${hash}`)
    await at('#board').waitFor()
    await at('#fresh').filter({ hasText: '更新' }).waitFor()
  }
  const row = (number: string) => at(`#orders-rows tr[data-key="${number}"]`)
  const pill = (number: string, word: string) => row(number).locator('.pill', { hasText: word }).waitFor()
  const openOrder = async (number: string) => {
    await row(number).getByRole('button').click()
    await at('#drawer-body').waitFor()
  }
  const refundsUpstream = (number: string) =>
    street.far.sandbox.received.filter(
      ({ interface: name, body }) => name === 'refund' && body.includes(number),
    ).length

  /** The shop's server. */
  const shop = async (method: string, path: string, value?: object, query: Record<string, string> = {}) => {
    const body = value ? JSON.stringify(value) : ''
    const now = { timestamp: String(Math.floor(Date.now() / 1000)), nonce: randomBytes(16).toString('hex') }
    const headers = signHeaders(SANDBOX_KEYS.server, { method, path, query, body }, now)
    const url = `${street.origin}${path}?${new URLSearchParams(query).toString()}`
    const answer = await fetch(url, { method, headers, ...(value ? { body } : {}) })
    return (await answer.json()) as Record<string, string>
  }

  /** Repeats a refund until it is in this state: an order is asked about once in three seconds. */
  const refundUntil = async (state: string, number: string, refund: object) => {
    while ((await shop('POST', `/orders/${number}/refunds`, refund))['state'] !== state)
      await systemClock.sleep(200)
  }

  let orders = 0
  /** An order as a mini-program's payer would leave it. */
  const place = async (paid: 'paid' | 'unpaid' = 'paid') => {
    const { out_trade_no: number } = await shop('POST', '/orders', {
      trade_type: 9,
      pay_content: {
        out_trade_no: `sb01board${process.pid}n${++orders}`,
        total_fee: 1880,
        body: '湖心奶茶-大杯',
      },
      pay_mch_key: {
        pay_platform: 1,
        wxpay_pay_mch_key_ext: {
          mini_program_sub_app_id: SANDBOX_APPS.mini_program,
          sub_open_id: SANDBOX_PAYER.mini_program,
        },
      },
    })
    if (!number) throw new Error('not ordered')
    if (paid === 'paid') {
      await street.control('pay', { out_trade_no: number })
      await shop('GET', `/orders/${number}`, undefined, { refresh: '1' })
    }
    return number
  }

  test('paid in the console’s phone, it is paid on the board, which opens by itself and says 沙箱', async () => {
    await desk.page.goto(street.origin)
    const phone = desk.page.frameLocator('#phone')
    await phone.locator('#state', { hasText: '待支付' }).waitFor()
    await phone.locator('#main').click()
    await at('[data-wallet=pay]').click()
    await phone.locator('#state', { hasText: '已支付' }).waitFor()
    const number = (await phone.locator('#number').textContent())!
    const [board] = await Promise.all([
      desk.context.waitForEvent('page'),
      desk.page.getByRole('link', { name: '打开订单看板' }).click(),
    ])
    await board.locator(`tr[data-key="${number}"] .pill[data-state=paid]`).waitFor()
    expect(await board.locator('#sandbox-mark').textContent()).toBe('沙箱')
    expect(await board.locator('#paid-fen').textContent()).toBe('¥18.80')
    expect(await board.locator('#chart svg').getAttribute('aria-label')).toContain('支付 18.80 元')
  })

  test('what happens while it is open shows by itself, and what a person types meanwhile stays', async () => {
    await desk.page.clock.install()
    await open()
    const number = await place('unpaid')
    await at('#search-text').fill('sb01')
    await desk.page.clock.runFor(6000)
    await pill(number, '待支付')
    await street.control('pay', { out_trade_no: number })
    await shop('GET', `/orders/${number}`, undefined, { refresh: '1' })
    await desk.page.clock.runFor(6000)
    await pill(number, '已支付')
    expect(await at('#search-text').inputValue()).toBe('sb01')
    expect(await desk.page.evaluate(() => document.activeElement?.id)).toBe('search-text')
    // While nothing happens it asks less and less.
    const asked = () => desk.asked.filter(({ url }) => url.includes('/board/day')).length
    const rate = async () => {
      const before = asked()
      for (let second = 0; second < 20; second++) {
        await desk.page.clock.runFor(1000)
        await desk.page.waitForTimeout(20)
      }
      return asked() - before
    }
    const [first, , , later] = [await rate(), await rate(), await rate(), await rate()]
    expect(first).toBeGreaterThan(later)
  })

  test('by state, by the beginning of a number, and by transaction id', async () => {
    const number = await place()
    const waiting = await place('unpaid')
    const { transaction_id } = await shop('GET', `/orders/${number}`)
    await open()
    await pill(number, '已支付')
    await street.picture(desk.page, 'board-1-orders')
    await desk.page.getByRole('button', { name: '待支付', exact: true }).click()
    await row(number).waitFor({ state: 'detached' })
    await row(waiting).waitFor()
    const search = async (text: string) => {
      await at('#search-text').fill(text)
      await at('#search-text').press('Enter')
    }
    await search(number)
    await row(number).waitFor()
    await search(transaction_id!)
    await row(waiting).waitFor({ state: 'detached' })
    expect(await at('#orders-rows tr').count()).toBe(1)
    await search('sb01nothing')
    await desk.page.getByText('没有这样的订单。').waitFor()
    await search('奶茶')
    await desk.page.getByText('只有字母、数字和符号').waitFor()
  })

  test('a refund names number, amount and what is left; a double click is one refund; markup is text', async () => {
    const number = await place()
    await open()
    await openOrder(number)
    await at('#refund-yuan').fill('18.81')
    await at('#refund-form button').click()
    await desk.page.getByText('最多还可退 ¥18.80。').waitFor()
    await at('#refund-yuan').fill('5.5')
    await at('#refund-reason').fill(MARKUP)
    await at('#refund-form button').click()
    const told = await at('#confirm-facts').innerText()
    for (const part of [number, '¥5.50', '¥18.80', '¥13.30', MARKUP]) expect(told).toContain(part)
    await street.picture(desk.page, 'board-2-confirm')
    expect(refundsUpstream(number)).toBe(0)
    await at('#confirm-yes').dblclick()
    await at('#refunds .pill').filter({ hasText: '退款中' }).waitFor()
    await at('#confirm').waitFor({ state: 'hidden' })
    expect(refundsUpstream(number)).toBe(1)
    expect(await at('#refunds li').count()).toBe(1)
    expect(await at('#refunds .reason').textContent()).toBe(MARKUP)
    expect(await desk.page.locator('img, #refunds b b').count()).toBe(0)
    expect(await at('#refund-note').textContent()).toContain('还可退 ¥13.30')
    const story = await at('#timeline b').allTextContents()
    expect(story.slice(-3)).toEqual(['待支付 → 已支付', '下单中 → 待支付', '记录订单 · 下单中'])
    expect(await at('#drawer-told').textContent()).toBe('退款 ¥5.50：退款中，尚未到账')
    await street.picture(desk.page, 'board-3-refunded')
  })

  test('a refund whose answer is lost is unknown, over a reload too, and asked for again it is the same refund', async () => {
    const number = await place()
    await open(`#order=${number}`)
    await at('#refund-yuan').fill('5')
    await at('#refund-form button').click()
    let lost = 0
    await desk.context.route('**/refunds/**', async (route) => {
      await route.fetch()
      lost++
      await route.abort()
    })
    await at('#confirm-yes').click()
    await desk.page.getByText('结果未知，不是失败').first().waitFor()
    await street.picture(desk.page, 'board-4-unknown')
    await desk.context.unroute('**/refunds/**')
    await desk.page.goto('about:blank')
    await open(`#order=${number}`)
    await desk.page.getByText('有一笔 ¥5.00 的退款没有得到应答').waitFor()
    expect(await at('#refund-form').isVisible()).toBe(false)
    await at('#refund-again').click()
    await at('#confirm-yes').click()
    await at('#confirm').waitFor({ state: 'hidden' })
    await at('#refund-form').waitFor()
    expect([lost, await at('#refunds li').count(), refundsUpstream(number)]).toEqual([1, 1, 1])
    expect(street.far.sandbox.look(number)?.refunds).toHaveLength(1)
  })

  test('a refund that Cloud Pay did not answer is shown as unknown, and a second one is refused until it is known', async () => {
    const number = await place()
    faults['refund'] = ['wrong-signed']
    await open(`#order=${number}`)
    await at('#refund-yuan').fill('5')
    await at('#refund-form button').click()
    await at('#confirm-yes').click()
    await at('#refunds .pill').filter({ hasText: '结果未知' }).waitFor()
    await at('#confirm').waitFor({ state: 'hidden' })
    await at('#refund-yuan').fill('1')
    await at('#refund-form button').click()
    await at('#confirm-yes').click()
    await at('#confirm-told').filter({ hasText: '没有退款。该订单有一笔结果未知的退款' }).waitFor()
    expect(await at('#confirm-yes').isVisible()).toBe(false)
  })

  test('a refund that needs a person is said to be paid out, with a note that stays in the story', async () => {
    const number = await place()
    const out_refund_no = `${number}h`
    const refund = { refund_fee: 500, out_refund_no }
    await shop('POST', `/orders/${number}/refunds`, refund)
    await street.control('refund', { out_refund_no, outcome: 'change' })
    await refundUntil('needs_person', number, refund)
    await open(`#order=${number}`)
    await at('#refunds .pill').filter({ hasText: '需要人工打款' }).waitFor()
    await at('#refunds').getByRole('button', { name: '已人工付款…' }).click()
    const told = await at('#confirm-facts').innerText()
    for (const part of [out_refund_no, '¥5.00']) expect(told).toContain(part)
    await at('#confirm-yes').click()
    await desk.page.getByText('请填写。').waitFor()
    await at('#confirm-text').fill(MARKUP)
    await street.picture(desk.page, 'board-9-paid-out')
    await at('#confirm-yes').click()
    await at('#refunds .pill').filter({ hasText: '已退回' }).waitFor()
    expect(await at('#refunds li').innerText()).toContain('由人了结')
    expect(await at('#timeline .reason').first().textContent()).toBe(MARKUP)
    expect(await at('#refunds button').count()).toBe(0)
    expect(await desk.page.locator('img').count()).toBe(0)
  })

  test('an anomaly is resolved with a note, which stays as it was written', async () => {
    const number = await place()
    const refund = { refund_fee: 300, out_refund_no: `sb01needs${process.pid}` }
    await shop('POST', `/orders/${number}/refunds`, refund)
    await street.control('refund', { out_refund_no: refund.out_refund_no, outcome: 'change' })
    await refundUntil('needs_person', number, refund)
    await open()
    await at('#anomalies-count').filter({ hasText: '1' }).waitFor()
    await at('#tab-orders').focus()
    await desk.page.keyboard.press('ArrowRight')
    const anomaly = at('.anomaly').filter({ hasText: number })
    await anomaly.getByText('退款需要人工打款').waitFor()
    await street.picture(desk.page, 'board-5-anomalies')
    await anomaly.getByRole('button', { name: '处理…' }).click()
    await at('#confirm-yes').click()
    expect(await at('#confirm-told').textContent()).toBe('请填写。')
    await at('#confirm-text').fill(MARKUP)
    await at('#confirm-yes').click()
    const resolved = at('.anomaly[data-resolved=true]').filter({ hasText: number })
    expect(await resolved.locator('.resolution').textContent()).toContain(`已处理：${MARKUP}`)
    await at('#anomalies-count').waitFor({ state: 'hidden' })
  })

  test('a paid mini-program order without shipping info is listed, and one that went back is not', async () => {
    const [number, back] = [await place(), await place()]
    await shop('POST', `/orders/${back}/refunds`, { refund_fee: 1880, out_refund_no: `sb01b${process.pid}` })
    await open()
    await at('#tab-unshipped').click()
    await at(`#unshipped-rows tr[data-key="${number}"]`).waitFor()
    expect(await at(`#unshipped-rows tr[data-key="${back}"]`).count()).toBe(0)
    await street.picture(desk.page, 'board-6-unshipped')
  })

  describe('as it is deployed, without the sandbox’s key', () => {
    const bring = async (name: string, secret: string) => {
      await at('#name').fill(name)
      await at('#secret').fill(secret)
      await at('#enter').click()
    }
    beforeEach(async () => {
      await desk.context.route('**/board/', async (route) => {
        const response = await route.fetch()
        const body = (await response.text()).replace(/<script id="sandbox".*?<\/script>/, '')
        await route.fulfill({ response, body })
      })
      await desk.page.goto(`${street.origin}/board/`)
      await at('#login').waitFor()
    })

    test('a wrong key is told so and sees nothing; a right one is let in, and leaving forgets it', async () => {
      const { name, secret } = SANDBOX_KEYS.operator
      await street.picture(desk.page, 'board-7-login')
      await bring(name, `${secret}x`)
      await desk.page.getByText('密钥名或密钥不对').waitFor()
      await street.picture(desk.page, 'board-8-wrong-key')
      expect(await at('#board').isVisible()).toBe(false)
      expect(await at('#orders-rows tr').count()).toBe(0)
      expect(desk.asked.filter(({ url }) => url.includes('/board/orders'))).toEqual([])
      const number = await place()
      await bring(name, secret)
      await row(number).waitFor()
      expect(await at('#sandbox-mark').isVisible()).toBe(false)
      const kept = () =>
        desk.page.evaluate(() =>
          JSON.stringify([localStorage, sessionStorage, document.cookie, location.href]),
        )
      expect(await kept()).not.toContain(secret)
      expect(await at('#secret').inputValue()).toBe('')
      await at('#leave').click()
      await at('#login').waitFor()
      expect(await at('#orders-rows tr').count()).toBe(0)
      expect(await desk.page.content()).not.toContain(number)
    })

    test('a key that may only look is told what it may not', async () => {
      const number = await place()
      await bring(SANDBOX_KEYS.reader.name, SANDBOX_KEYS.reader.secret)
      await openOrder(number)
      await at('#refund-yuan').fill('1')
      await at('#refund-form button').click()
      await at('#confirm-yes').click()
      await desk.page.getByText('没有退款。这把密钥没有做这件事的权限').waitFor()
      await at('#confirm-no').click()
      expect(await at('#refund-unsure').isVisible()).toBe(false)
    })
  })

  test('on a phone nothing is cut off', async () => {
    await place()
    await desk.page.setViewportSize(PHONE_SIZE)
    await open()
    await at('#orders-rows tr').first().waitFor()
    const wide = () => desk.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(await wide()).toBeLessThanOrEqual(0)
    await at('#tab-anomalies').click()
    await at('.anomaly').first().waitFor()
    expect(await wide()).toBeLessThanOrEqual(0)
  })
})
