import { randomBytes } from 'node:crypto'
import { SANDBOX_KEYS } from '../../local/sandbox/people'
import { signHeaders } from '../support/town'
import { DESK_SIZE, isBrowserMissing, openStreet, PHONE_SIZE, SCREENSHOTS, type Street } from './street'
import { until } from '../support/waiting'

;(isBrowserMissing() ? describe.skip : describe)('a page with a code to scan, in Chromium', () => {
  let street: Street
  beforeAll(async () => void (street = await openStreet()))
  afterAll(() => street.close())

  /** The shop's server. */
  const shop = async (method: string, path: string, value?: object, query: Record<string, string> = {}) => {
    const body = value ? JSON.stringify(value) : ''
    const now = { timestamp: String(Math.floor(Date.now() / 1000)), nonce: randomBytes(16).toString('hex') }
    const headers = signHeaders(SANDBOX_KEYS.server, { method, path, query, body }, now)
    const url = `${street.origin}${path}?${new URLSearchParams(query).toString()}`
    const answer = await fetch(url, { method, headers, ...(value ? { body } : {}) })
    return (await answer.json()) as { out_trade_no: string; state: string; payment: { code_url: string } }
  }

  test('shows what a scan_code_pay order costs and its code, asks nobody, and ends with the order', async () => {
    const order = await shop('POST', '/orders', {
      trade_type: 2,
      pay_content: { total_fee: 1880, body: '湖心商城-奶茶' },
      pay_mch_key: { pay_platform: 1 },
    })
    const { code_url } = order.payment
    const asked: string[] = []
    for (const size of [PHONE_SIZE, DESK_SIZE]) {
      const { page, context, complaints } = await street.openPhone({ app: 'none', size })
      page.on('request', (request) => asked.push(new URL(request.url()).pathname))
      const bill = new URLSearchParams({
        code_url,
        total_fee: '1880',
        body: '湖心商城-奶茶',
        time_expire: String(Math.floor(Date.now() / 1000) + 900),
      })
      await page.goto(`${street.origin}/scan/#${bill.toString()}`)
      await page.getByRole('heading', { name: '请用微信扫一扫付款' }).waitFor()
      expect(await page.locator('#amount').textContent()).toBe('18.80')
      expect(await page.locator('#left').textContent()).toMatch(/^剩余 1[45]:\d\d$/)
      expect((await page.locator('#code path').getAttribute('d'))!.length).toBeGreaterThan(1000)
      await page.screenshot({ path: `${SCREENSHOTS}/scan-${size.width}.png` })
      expect(complaints).toEqual([])
      await context.close()
    }
    // Its own files, and no server is told the code.
    expect(new Set(asked)).toEqual(new Set(['/scan/', '/scan/scan.css', '/scan/scan.js']))

    street.far.sandbox.pay(order.out_trade_no)
    // A notification is on its way as well: whoever looks meanwhile is told what is stored.
    const read = () => shop('GET', `/orders/${order.out_trade_no}`, undefined, { refresh: '1' })
    await until(async () => (await read()).state === 'paid')
  })

  test('a code whose time is over is not offered, and who has scanned it is not sent away', async () => {
    const { page, context, complaints } = await street.openPhone({ app: 'none', size: PHONE_SIZE })
    const code_url = encodeURIComponent('weixin://wxpay/bizpayurl?pr=old')
    const soon = Math.ceil(Date.now() / 1000) + 1
    await page.goto(`${street.origin}/scan/#code_url=${code_url}&time_expire=${soon}`)
    await page.getByRole('heading', { name: '二维码已过期' }).waitFor()
    expect(await page.locator('#note').textContent()).toContain('已经扫码的请继续完成')
    await page.screenshot({ path: `${SCREENSHOTS}/scan-over.png` })
    expect(complaints).toEqual([])
    await context.close()
  })

  test('without a code there is nothing to scan, and markup is text', async () => {
    const { page, context, complaints } = await street.openPhone({ app: 'none', size: PHONE_SIZE })
    await page.goto(`${street.origin}/scan/#code_url=javascript:alert(1)`)
    await page.getByRole('heading', { name: '没有可以扫的二维码' }).waitFor()
    await page.goto(`${street.origin}/scan/#code_url=weixin://x/y&body=${encodeURIComponent('<b>粗</b>')}`)
    await page.locator('#what', { hasText: '<b>粗</b>' }).waitFor()
    expect(complaints).toEqual([])
    await context.close()
  })
})
