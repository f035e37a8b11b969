import { SANDBOX_APPS } from '../../local/sandbox/logins'
import type { FaultName } from '../../local/sandbox/switches'
import { isBrowserMissing, NEVER, openStreet, type Phone, type PhoneOptions, type Street } from './street'

// Real pages on a machine that does other things too.
const missing = isBrowserMissing()

;(missing ? describe.skip : describe)('the cashier in Chromium', () => {
  let street: Street
  let phone: Phone
  const phones: Phone[] = []
  /** What Cloud Pay does wrong with the next requests of one interface. */
  const faults: Partial<Record<string, FaultName[]>> = {}

  beforeAll(async () => {
    street = await openStreet({
      chooseFault: ({ interface: name }) => faults[name]?.shift(),
      slowMs: 500,
    })
  })
  afterAll(() => street.close())

  afterEach(async () => {
    for (const name of Object.keys(faults)) delete faults[name]
    await street.control('switches', { notifications: 'on' })
    const complaints = phones.flatMap((one) => one.complaints)
    for (const one of phones.splice(0)) await one.context.close()
    // Nothing any page did was against its policy, and no script broke.
    expect(complaints).toEqual([])
  })

  const take = async (options?: PhoneOptions): Promise<Phone> => {
    phone = await street.openPhone(options)
    phones.push(phone)
    return phone
  }
  const state = (word: string) => phone.page.locator('#state', { hasText: word }).waitFor()
  const note = () => phone.page.locator('#note').textContent()
  const main = () => phone.page.locator('#main')
  const amount = () => phone.page.locator('#amount').textContent()
  const number = async () => (await phone.page.locator('#number').textContent()) ?? ''

  /** Opens the cashier with a quote, logs in, and waits until it can be paid. Returns the address. */
  const arrive = async (app: 'wechat' | 'alipay' = 'wechat', options: PhoneOptions = {}) => {
    await take({ app, ...options })
    const address = `${street.cashier}#quote=${street.quote(app)}`
    await phone.page.goto(address)
    await state('待支付')
    return address
  }
  const ordersUpstream = () => street.far.sandbox.orders.size
  const createsUpstream = () =>
    street.far.sandbox.received.filter((one) => one.interface === 'official_account_pay').length
  const upstream = (out_trade_no: string) => street.far.sandbox.look(out_trade_no)

  // ── the paid road ──────────────────────────────────────────────────────────────────────────────────────────────

  test('WeChat: logs in by redirect, shows amount and article, is paid, and says so', async () => {
    await arrive()
    expect(await amount()).toBe('18.80')
    expect(await phone.page.locator('#what').textContent()).toBe('湖心奶茶-大杯')
    expect(await main().textContent()).toBe('微信支付 ¥18.80')
    await street.picture(phone.page, 'wechat-1-waiting')
    await main().click()
    await state('已支付')
    await street.picture(phone.page, 'wechat-2-paid')
    expect(upstream(await number())).toMatchObject({ state: 'paid', paid_fen: 1880 })
    // Exactly what createOrder returned: the wallet has checked the signature over these and no other members.
    expect(Object.keys(phone.handed[0]!).sort()).toEqual(
      ['appId', 'nonceStr', 'package', 'paySign', 'signType', 'timeStamp'].sort(),
    )
  })

  test('Alipay: the same page with the other wallet', async () => {
    await arrive('alipay')
    expect(await main().textContent()).toBe('支付宝支付 ¥18.80')
    await street.picture(phone.page, 'alipay-1-waiting')
    await main().click()
    await state('已支付')
    expect(upstream(await number())).toMatchObject({ state: 'paid' })
    expect(phone.handed).toEqual([{ tradeNO: upstream(await number())!.trade_no }])
  })

  test('an article of the catalogue: its amount is shown before it can be paid', async () => {
    await take()
    await phone.page.goto(`${street.cashier}#sku=tea&quantity=2&id=cart-${process.pid}`)
    await state('待支付')
    expect(await phone.page.locator('#what').textContent()).toBe('湖心奶茶-大杯 × 2')
    await main().click()
    await phone.page.getByText('微信支付 ¥37.60').click()
    await state('已支付')
    expect(upstream(await number())).toMatchObject({ paid_fen: 3760 })
  })

  test('an order that the merchant made for this payer is paid by its number', async () => {
    await arrive()
    phone.habit.now = () => NEVER
    await main().click()
    await state('支付确认中')
    const made = await number()
    await take()
    await phone.page.goto(`${street.cashier}#order=${made}`)
    await state('待支付')
    await main().click()
    await state('已支付')
    expect(await number()).toBe(made)
  })

  // ── what wallets say ───────────────────────────────────────────────────────────────────────────────────────────

  test.each([
    ['wechat', 'cancel'],
    ['alipay', 'cancel'],
    ['wechat', 'fail'],
  ] as const)('%s says %s: still to be paid, and the second try pays the same order', async (app, said) => {
    await arrive(app)
    const before = ordersUpstream()
    const pays = phone.habit.now
    phone.habit.now = async () => said
    await main().click()
    await phone.page.locator('#second').waitFor()
    expect(await note()).toContain('没有收到付款')
    if (said === 'cancel') await street.picture(phone.page, `${app}-3-cancelled`)
    const first = await number()
    phone.habit.now = pays
    await main().click()
    await state('已支付')
    expect([await number(), ordersUpstream()]).toEqual([first, before + 1])
  })

  test('the bridge never comes: said so, nothing paid', async () => {
    await arrive('wechat', { bridge: 'missing' })
    await main().click()
    await phone.page.getByText('没有打开钱包').waitFor()
    await state('待支付')
    expect(upstream(await number())).toMatchObject({ state: 'waiting' })
  })

  test('the bridge says ok and nothing was paid: unknown, never paid and never failed; later it shows', async () => {
    await arrive()
    await phone.page.clock.install()
    phone.habit.now = async () => 'ok'
    await main().click()
    await phone.page.getByText('已受理').waitFor()
    const word = phone.page.locator('#state')
    while ((await word.textContent()) === '支付确认中') await phone.page.clock.runFor(1000)
    expect(await word.textContent()).toBe('结果未知，请勿重复支付')
    await street.picture(phone.page, 'wechat-4-unknown')
    await street.confirm(phone.handed[0]!)
    await main().click()
    await phone.page.clock.runFor(1000)
    await state('已支付')
  })

  test('the wallet says cancelled, and Cloud Pay cannot be asked: nobody has said that it is unpaid, nor does the page', async () => {
    await arrive()
    faults['query_order'] = Array<FaultName>(100).fill('unsigned')
    await street.control('notifications-off', {})
    let looks = 0
    phone.page.on('response', (response) => (looks += response.url().endsWith('?refresh=1') ? 1 : 0))
    phone.habit.now = async (payment) => {
      // Lost on the way, and lied about: the worst that can be.
      await street.confirm(payment)
      return 'cancel'
    }
    await main().click()
    await state('支付确认中')
    while (looks < 3) await phone.page.waitForTimeout(200)
    await state('支付确认中')
    expect([await main().isVisible(), await phone.page.locator('#second').isVisible()]).toEqual([
      false,
      false,
    ])
    delete faults['query_order']
    await state('已支付')
  })

  test('the bridge says nothing: the payment shows by itself', async () => {
    await arrive()
    phone.habit.now = async (payment) => {
      await street.confirm(payment)
      return NEVER
    }
    await main().click()
    await state('已支付')
  })

  test('the notification is lost: the page asks, and knows', async () => {
    await street.control('notifications-off', {})
    await arrive()
    await main().click()
    await state('已支付')
    expect(street.far.notified.filter((one) => one.out_trade_no === upstreamNumber(phone))).toEqual([])
  })
  const upstreamNumber = ({ handed }: Phone) =>
    [...street.far.sandbox.orders.values()].find(
      (order) => handed[0]!['package'] === `prepay_id=${order.prepare_id}`,
    )?.out_trade_no

  // ── one order ──────────────────────────────────────────────────────────────────────────────────────────────────

  test('two clicks at once make one order, one create upstream and open one wallet', async () => {
    await arrive()
    const [orders, creates] = [ordersUpstream(), createsUpstream()]
    await phone.page.evaluate(() => {
      const button = document.getElementById('main')!
      button.click()
      button.click()
      button.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }))
    })
    await state('已支付')
    expect([ordersUpstream(), createsUpstream(), phone.handed.length]).toEqual([orders + 1, creates + 1, 1])
  })

  test('the answer to the order is lost on the way: the same bytes under the same key, one order', async () => {
    await take()
    await phone.page.goto(`${street.cashier}#sku=tea`)
    await state('待支付')
    const [orders, creates] = [ordersUpstream(), createsUpstream()]
    const sent: [string | null, string | undefined][] = []
    await phone.page.route('**/orders', async (route) => {
      const request = route.request()
      sent.push([request.postData(), request.headers()['idempotency-key']])
      if (sent.length > 1) return route.continue()
      await route.fetch()
      return route.abort('connectionreset')
    })
    await main().click()
    await phone.page.getByText('微信支付 ¥18.80').waitFor()
    expect(sent).toHaveLength(2)
    expect(sent[1]).toEqual(sent[0])
    expect([ordersUpstream(), createsUpstream()]).toEqual([orders + 1, creates + 1])
  })

  test('Cloud Pay does not answer in time: 504, asked again, one order', async () => {
    await arrive()
    const orders = ordersUpstream()
    faults['official_account_pay'] = ['lost']
    await main().click()
    await state('已支付')
    expect(ordersUpstream()).toBe(orders + 1)
  })

  test('a reload while the order is being made finds the same order', async () => {
    const address = `${street.cashier}#sku=tea&quantity=3`
    await take()
    await phone.page.goto(address)
    await state('待支付')
    const orders = ordersUpstream()
    const keys: (string | undefined)[] = []
    let reached = () => {}
    const made = new Promise<void>((resolve) => (reached = resolve))
    await phone.page.route('**/orders', async (route) => {
      keys.push(route.request().headers()['idempotency-key'])
      if (keys.length > 1) return route.continue()
      // It has arrived, and its answer never does.
      await route.fetch()
      reached()
    })
    await main().click()
    await made
    await phone.page.reload()
    await state('待支付')
    await main().click()
    await phone.page.getByText('微信支付 ¥56.40').click()
    await state('已支付')
    expect(ordersUpstream()).toBe(orders + 1)
    expect(keys[1]).toBe(keys[0])
  })

  test('a reload while the wallet is open reads how it stands, and goes on', async () => {
    await arrive()
    phone.habit.now = () => NEVER
    await main().click()
    await state('支付确认中')
    const first = await number()
    await phone.page.reload()
    await phone.page.locator('#second').waitFor()
    await state('待支付')
    await street.confirm(phone.handed[0]!)
    await phone.page.reload()
    await state('已支付')
    expect(await number()).toBe(first)
    // Once paid it stays so, however often the page is opened.
    await phone.page.reload()
    await state('已支付')
    expect(phone.handed).toHaveLength(1)
  })

  test('the back button leads to the shop, not to a code that is used up; forward is the same order', async () => {
    await take()
    const shop = 'http://shop.test/'
    const address = `${street.cashier}#quote=${street.quote('wechat')}`
    await phone.page.route(`${shop}**`, (route) =>
      route.fulfill({ contentType: 'text/html', body: `<title>shop</title><a href="${address}">pay</a>` }),
    )
    await phone.page.goto(shop)
    await phone.page.getByText('pay').click()
    await state('待支付')
    phone.habit.now = () => NEVER
    await main().click()
    await state('支付确认中')
    const first = await number()
    await phone.page.goBack()
    expect(phone.page.url()).toBe(shop)
    await phone.page.goForward()
    await phone.page.locator('#second').waitFor()
    expect(await number()).toBe(first)
    expect(phone.page.url()).toBe(address)
  })

  // ── networks ───────────────────────────────────────────────────────────────────────────────────────────────────

  test('offline for a while: said so, and what happened meanwhile shows when it is back', async () => {
    await arrive()
    phone.habit.now = () => NEVER
    await main().click()
    await state('支付确认中')
    await phone.context.setOffline(true)
    await phone.page.locator('#offline').waitFor()
    await street.picture(phone.page, 'wechat-5-offline')
    await street.confirm(phone.handed[0]!)
    await phone.context.setOffline(false)
    await state('已支付')
    await phone.page.locator('#offline').waitFor({ state: 'hidden' })
  })

  test('offline before the order: nothing was paid, and the retry makes one order', async () => {
    await arrive()
    const orders = ordersUpstream()
    await phone.page.clock.install()
    await phone.context.setOffline(true)
    await main().click()
    const text = phone.page.getByText('没有扣款')
    while (!(await text.isVisible())) await phone.page.clock.runFor(1000)
    await state('待支付')
    await phone.context.setOffline(false)
    await main().click()
    await state('已支付')
    expect(ordersUpstream()).toBe(orders + 1)
  })

  test('a slow network: 400 ms away and 20 KB/s, and it is paid', async () => {
    await take()
    const devtools = await phone.context.newCDPSession(phone.page)
    await devtools.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 400,
      downloadThroughput: 20 * 1024,
      uploadThroughput: 20 * 1024,
    })
    await phone.page.goto(`${street.cashier}#quote=${street.quote('wechat')}`)
    await state('待支付')
    await main().click()
    await state('已支付')
  })

  // ── other ends ─────────────────────────────────────────────────────────────────────────────────────────────────

  test('closed by the merchant: said so, no button pays it', async () => {
    await arrive()
    phone.habit.now = async () => 'cancel'
    await main().click()
    await phone.page.locator('#second').waitFor()
    await closeHere(await number())
    await main().click()
    await state('已关闭')
    expect(phone.handed).toHaveLength(1)
    expect(await note()).toContain('没有收款')
    await street.picture(phone.page, 'wechat-6-closed')
  })
  /** As the payer's page could: with the session it has. */
  const closeHere = async (out_trade_no: string) => {
    const status = await phone.page.evaluate(async (path) => {
      const { token, secret } = JSON.parse(sessionStorage.getItem('cashier.session')!) as Record<
        string,
        string
      >
      const headers = { authorization: `Bearer ${token}`, 'x-session-secret': secret! }
      return (await fetch(path, { method: 'POST', headers, body: '{}' })).status
    }, `/orders/${out_trade_no}/close`)
    expect(status).toBe(200)
  }

  test('an earlier order of the purchase cannot be closed yet: for how long is said, and then it is paid', async () => {
    await arrive()
    await phone.page.route('**/orders', (route) =>
      route.fulfill({
        status: 409,
        headers: { 'retry-after': '200', 'content-type': 'application/problem+json' },
        json: { code: 'purchase_open', detail: { zh: '', en: '' }, request_id: 'r-1' },
      }),
    )
    await main().click()
    await phone.page.getByText('最早 200 秒后才能关闭').waitFor()
    await state('待支付')
    expect(await note()).toContain('没有打开钱包，没有扣款')
    expect([await phone.page.locator('#reference').textContent(), phone.handed]).toEqual(['r-1', []])
    await street.picture(phone.page, 'wechat-8-purchase-open')
    await phone.page.unroute('**/orders')
    await main().click()
    await state('已支付')
  })

  test('Cloud Pay verifiably refuses the order: failed, and no wallet was opened', async () => {
    await arrive()
    faults['official_account_pay'] = ['104']
    await main().click()
    await state('支付失败')
    expect(phone.handed).toEqual([])
    await street.picture(phone.page, 'wechat-7-failed')
  })

  test('the price is the quote’s: a forged one is refused by the server, and nothing is paid', async () => {
    await take()
    const [header, , signature] = street.quote('wechat').split('.')
    const claims = Buffer.from(JSON.stringify({ total_fee: 1, body: '一分钱' })).toString('base64url')
    await phone.page.goto(`${street.cashier}#quote=${header}.${claims}.${signature}`)
    await main().click()
    await state('无法支付')
    expect(await note()).toContain('报价无效')
    expect(phone.handed).toEqual([])
  })

  test('an ordinary browser is told which apps can pay; an empty address that there is nothing', async () => {
    await take({ app: 'none' })
    await phone.page.goto(`${street.cashier}#sku=tea`)
    await state('无法支付')
    expect(await note()).toBe('请在微信或支付宝里打开这个页面。')
    await street.picture(phone.page, 'halted')
    await phone.page.goto('about:blank')
    await phone.page.goto(street.cashier)
    await state('无法支付')
    expect(await note()).toContain('没有要支付的内容')
  })

  // ── logging in ─────────────────────────────────────────────────────────────────────────────────────────────────

  test('nothing secret is in an address, and the tab keeps what is documented and no more', async () => {
    const address = await arrive()
    await main().click()
    await state('已支付')
    const kept = await phone.page.evaluate(() => ({ ...sessionStorage }))
    expect(Object.keys(kept).sort()).toEqual(['cashier.orders', 'cashier.session'])
    const { token, secret } = JSON.parse(kept['cashier.session'] ?? '') as { token: string; secret: string }
    expect(await phone.page.evaluate(() => [localStorage.length, document.cookie])).toEqual([0, ''])
    expect(phone.page.url()).toBe(address)
    const urls = phone.asked.map(({ url }) => url).join('\n')
    for (const hidden of [token, secret]) expect(urls).not.toContain(hidden)
    // The code comes in an address, because that is how WeChat gives it, and leaves it at once.
    expect(await phone.page.evaluate(() => history.length)).toBe(2)
  })

  test('a link with somebody else’s code and state logs nobody in', async () => {
    await take()
    const app_id = SANDBOX_APPS.official_account
    const { body } = await street.control('login', { app_id, payer_id: 'oAttacker0001' })
    const quote = street.quote('wechat')
    const state64 = 'ab'.repeat(32)
    await phone.page.goto(`${street.cashier}?code=${String(body['code'])}&state=${state64}#quote=${quote}`)
    await state('待支付')
    // The page asked for a code of its own, and is logged in as the one who holds the phone: the quote is theirs.
    await main().click()
    await state('已支付')
  })

  test('a session that was ended elsewhere: log in again, and it is the same order', async () => {
    await arrive()
    phone.habit.now = async () => 'cancel'
    await main().click()
    await phone.page.locator('#second').waitFor()
    const first = await number()
    await phone.page.evaluate(() => {
      const kept = JSON.parse(sessionStorage.getItem('cashier.session')!) as object
      sessionStorage.setItem('cashier.session', JSON.stringify({ ...kept, token: 'ended' }))
    })
    await phone.page.reload()
    await phone.page.getByText('重新登录', { exact: true }).click()
    await phone.page.locator('#second').waitFor()
    expect(await number()).toBe(first)
  })

  // ── for everybody ──────────────────────────────────────────────────────────────────────────────────────────────

  test('the keyboard alone is enough, and what has the focus can be seen', async () => {
    await arrive()
    await phone.page.keyboard.press('Tab')
    expect(await phone.page.evaluate(() => document.activeElement?.id)).toBe('main')
    const outline = await main().evaluate((button) => getComputedStyle(button).outlineStyle)
    expect(outline).toBe('solid')
    await phone.page.keyboard.press('Enter')
    await state('已支付')
  })

  test('a screen reader finds heading, amount, state and button, and is told when the state changes', async () => {
    await arrive()
    const tree = await phone.page.locator('body').ariaSnapshot()
    expect(tree).toContain('heading "湖心奶茶-大杯" [level=1]')
    expect(tree).toContain('heading "待支付" [level=2]')
    expect(tree).toContain('button "微信支付 ¥18.80"')
    expect(tree).toMatch(/18\.80\s*元/)
    const live = phone.page.locator('[aria-live=polite]')
    expect(await live.locator('#state').count()).toBe(1)
    expect(await phone.page.locator('html').getAttribute('lang')).toBe('zh-CN')
  })

  test.each([320, 360, 430, 1280])(
    'nothing is cut off at %i pixels, and the button is big enough',
    async (width) => {
      await arrive('wechat', { size: { width, height: 640 } })
      const sizes = await phone.page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
      expect(sizes[0]).toBeLessThanOrEqual(sizes[1]!)
      const box = (await main().boundingBox())!
      expect(box.height).toBeGreaterThanOrEqual(48)
      expect(box.y + box.height).toBeLessThanOrEqual(640)
    },
  )

  test.each([
    ['light', false],
    ['dark', true],
  ])('in %s, every text has a contrast of at least 4.5 : 1', async (name, dark) => {
    for (const app of ['wechat', 'alipay'] as const) {
      await arrive(app, { dark })
      const poor = await phone.page.evaluate(findPoorContrast)
      expect(poor).toEqual([])
      if (app === 'wechat') await street.picture(phone.page, `wechat-8-${name}`)
    }
  })
})

/** Runs in the page: texts whose colour is too close to what is behind them, by WCAG's formula. */
function findPoorContrast(): string[] {
  const read = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number)
  const light = (colour: number[]) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
  }
  const behind = (element: Element | null): number[] => {
    if (!element) return [255, 255, 255]
    const colour = read(getComputedStyle(element).backgroundColor)
    return colour[3] === 0 ? behind(element.parentElement) : colour
  }
  return [...document.querySelectorAll('body *')].flatMap((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent!.trim() !== '')
    if (!own || element.getClientRects().length === 0) return []
    const [a, b] = [light(read(getComputedStyle(element).color)), light(behind(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    return ratio < 4.5 ? [`${element.id || element.className}: ${ratio.toFixed(2)}`] : []
  })
}
