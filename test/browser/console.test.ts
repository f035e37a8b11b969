import type { FrameLocator, Locator } from 'playwright-core'
import { DESK_SIZE, isBrowserMissing, openStreet, type Phone, type Street } from './street'

// Real pages on a machine that does other things too.
const missing = isBrowserMissing()

;(missing ? describe.skip : describe)('the console in Chromium', () => {
  let street: Street
  let desk: Phone
  let phone: FrameLocator
  beforeAll(async () => {
    street = await openStreet()
  })
  afterAll(() => street.close())

  beforeEach(async () => {
    desk = await street.openPhone({ app: 'none', size: DESK_SIZE })
    await desk.page.goto(street.origin)
    phone = desk.page.frameLocator('#phone')
  })
  afterEach(async () => {
    const { complaints, context } = desk
    await street.control('switches', { notifications: 'on' })
    await context.close()
    expect(complaints).toEqual([])
  })

  const phoneSays = (word: string) => phone.locator('#state', { hasText: word }).waitFor()
  const pay = async (how: string) => {
    await phoneSays('待支付')
    await phone.locator('#main').click()
    await desk.page.locator(`[data-wallet=${how}]`).click()
  }
  const does = (name: string) => desk.page.locator(`[data-do=${name}]`).click()
  const step = (text: string | RegExp): Locator => desk.page.locator('.step', { hasText: text })
  const ours = (state: string) => desk.page.locator(`#ours[data-state=${state}]`).waitFor()
  const theirs = (state: string) => desk.page.locator(`#theirs[data-state=${state}]`).waitFor()

  test('an order is paid in the phone, and beside it stands what that leaves: texts, codes, moves, the row', async () => {
    await phoneSays('待支付')
    await street.picture(desk.page, 'console-1-start')
    await phone.locator('#main').click()
    await desk.page.locator('[data-wallet=pay]').waitFor()
    await street.picture(desk.page, 'console-2-wallet')
    await desk.page.locator('[data-wallet=pay]').click()
    await phoneSays('已支付')
    await ours('paid')
    await theirs('paid')
    await step('created → pending').waitFor()
    await step('pending → paid').waitFor()
    const create = step('下单 official_account_pay')
    await create.locator('summary').click()
    await create.getByText('"out_trade_no"').first().waitFor()
    const code = await create.locator('h4:has-text("authen_code") + pre').first().textContent()
    expect(code).toMatch(/^[0-9A-F]{64}$/)
    // The very text that was signed, as Cloud Pay got it.
    const number = (await desk.page.locator('#number').textContent())!
    const sent = street.far.sandbox.received.find(({ body }) => body.includes(number))!
    expect(await create.locator('pre').first().textContent()).toBe(sent.request_content)
    expect(JSON.parse((await desk.page.locator('#raw').textContent())!)).toMatchObject({
      out_trade_no: number,
      state: 'paid',
    })
    await street.picture(desk.page, 'console-3-paid')
    // What was opened stays open while the story goes on.
    await does('duplicate')
    await desk.page.getByText('同一个通知送了三次').waitFor()
    await expectCount(step(/通知 → \/notify 200/), 4)
    expect(await create.locator('details').getAttribute('open')).not.toBeNull()
    expect(await step('pending → paid').count()).toBe(1)
  })

  const expectCount = async (steps: Locator, count: number) => {
    await steps.nth(count - 1).waitFor()
    expect(await steps.count()).toBe(count)
  }

  test('Alipay, with the notification dropped and the wallet silent: the page finds out by asking', async () => {
    await desk.page.locator('#drop').check()
    await desk.page.locator('#new-alipay').click()
    await phone.getByText('支付宝支付 ¥18.80').waitFor()
    await pay('silent')
    await phoneSays('已支付')
    await ours('paid')
    expect(await step('通知 →').count()).toBe(0)
  })

  test('cancelled, then a forged notification: refused, and nothing moves', async () => {
    await pay('cancel')
    await phone.locator('#second').waitFor()
    await does('forge')
    await step('伪造的通知 → /notify 401').waitFor()
    await ours('pending')
    await theirs('waiting')
    await street.picture(desk.page, 'console-4-forged')
  })

  test('closed by the merchant, then paid late: it is seen, and goes back by itself', async () => {
    await pay('cancel')
    await phone.locator('#second').waitFor()
    await does('close')
    await ours('closed')
    await does('late')
    // The order was asked about a moment ago: what the notification says, the timer looks into.
    await step('通知 → /notify').waitFor()
    await does('tick')
    await ours('paid_after_close')
    await does('tick')
    await step('退款 refund').waitFor()
  })

  test('a refund of 5 yuan by the shop’s server', async () => {
    await pay('pay')
    await phoneSays('已支付')
    await does('refund')
    await step('退款 refund').waitFor()
    await step(/POST \/orders\/\w+\/refunds → 20[02]/).waitFor()
  })

  test('pages of other origins read nothing on the sandbox’s port', async () => {
    const other = 'http://other.test'
    const { origin } = street.far
    const answer = await fetch(`${origin}/_console/timeline?purchase=x`, { headers: { origin: other } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([403, null])
    const orders = await fetch(`${origin}/_sandbox/orders`, { headers: { origin: other } })
    expect(orders.headers.get('access-control-allow-origin')).toBeNull()
    const own = await fetch(`${origin}/_console/timeline?purchase=x`, { headers: { origin: street.origin } })
    expect(await own.json()).toMatchObject({ order: null, events: [] })
  })

  test('on a phone everything stands below each other, and nothing is cut off', async () => {
    await desk.page.setViewportSize({ width: 390, height: 844 })
    await phoneSays('待支付')
    const [wide, window] = await desk.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
    expect(wide - window).toBeLessThanOrEqual(0)
  })
})
