import { createHmac, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { ROOT } from '../../deploy/bundle'
import { startMachine, type Machine } from '../../local/machine'
import { SANDBOX_PAYER } from '../../local/sandbox/logins'
import { SANDBOX_KEYS } from '../../local/sandbox/people'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import type { ServerOptions } from '../../local/sandbox/server'

/**
 * A real Chromium on the real machine: gateway, built functions, database, sandbox. Only the bridge of the wallet's app
 * is imitated, in front of the sandbox's wallet, which checks what it is handed.
 */
export const CHROMIUM = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path !== undefined && existsSync(path))

/** As `isMissing` does for servers: skipped by name, unless REQUIRE_BROWSER=1 asks for it. */
export function isBrowserMissing(): boolean {
  if (CHROMIUM !== undefined) return false
  if (process.env['REQUIRE_BROWSER'] === '1') {
    test('Chromium is installed', () => {
      throw new Error('Chromium is not installed, and REQUIRE_BROWSER=1 asks for it')
    })
  } else {
    process.stderr.write('SKIPPED: Chromium is not installed (REQUIRE_BROWSER=1 makes this a failure)\n')
    test.skip('Chromium is not installed', () => {})
  }
  return true
}

/** Kept to be looked at; git ignores it. */
export const SCREENSHOTS = join(ROOT, '.build', 'screenshots')

export type WalletApp = 'wechat' | 'alipay'
/** What the wallet does with a payment; what it gives back is the bridge's answer, `never` is none. */
export type WalletHabit = (payment: Record<string, string>) => Promise<string>

export const NEVER = new Promise<string>(() => {})

export type Phone = {
  page: Page
  context: BrowserContext
  /** Every payment the page handed to the bridge. */
  handed: Record<string, string>[]
  /** May be changed while it runs. */
  habit: { now: WalletHabit }
  /** Every address the page asked for, with its method. */
  asked: { method: string; url: string }[]
  /** Violations of the page's policy, and errors nobody caught. */
  complaints: string[]
}

export type PhoneOptions = {
  app?: WalletApp | 'none'
  /** The app is there, its bridge is not. */
  bridge?: 'missing'
  size?: { width: number; height: number }
  dark?: boolean
}

/** How long a page may take to come to what is waited for: on a machine that has other work as well. */
const PATIENCE_MS = 60_000

export const PHONE_SIZE = { width: 390, height: 844 }
export const DESK_SIZE = { width: 1280, height: 800 }

const AGENTS = {
  wechat: 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.50',
  alipay: 'Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 AlipayClient/10.5.80',
  none: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36',
}

export type Street = Awaited<ReturnType<typeof openStreet>>

export async function openStreet(sandbox: ServerOptions = {}) {
  // The functions log to stdout; what the tests say is enough here.
  jest.spyOn(process.stdout, 'write').mockReturnValue(true)
  // One payer buys everything here.
  for (const name of [
    'PAYER_ORDERS_PER_MINUTE',
    'PAYER_ORDERS_PER_DAY',
    'PAYER_OPEN_ORDERS_MAX',
    'LOGINS_PER_ADDRESS',
  ])
    process.env[name] = '1000'
  const databaseUrl = `sqlite:${join(mkdtempSync(join(tmpdir(), 'browser-')), 'orders.db')}`
  // Suites run side by side: each builds its pages into a folder of its own.
  const name = `test-browser-${process.env['JEST_WORKER_ID']}`
  const machine: Machine = await startMachine({ databaseUrl, timers: 'off', sandbox, name })
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM!,
    // Root in a container has no sandbox of its own; the pages are ours.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  })
  mkdirSync(SCREENSHOTS, { recursive: true })
  const far = machine.sandbox

  const control = async (name: string, body: unknown) => {
    const answer = await fetch(`${far.origin}/_sandbox/${name}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  /** The payer confirms: the wallet checks what it was handed and pays. */
  const confirm = async (payment: Record<string, string>) => {
    const { status, body } = await control('wallet', { payment })
    if (status !== 200) throw new Error(`the wallet refused: ${JSON.stringify(body)}`)
  }

  const street = {
    machine,
    far,
    origin: machine.gateway.origin,
    cashier: `${machine.gateway.origin}/cashier/`,
    control,
    confirm,

    /** As the shop's server signs it: HS256 over what RFC 7515 says, written here anew. */
    quote(app: WalletApp, totalFen = 1880, what = '湖心奶茶-大杯'): string {
      const { name, iss, secret } = SANDBOX_KEYS.quote
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const claims = {
        iss,
        aud: [SANDBOX_KEYS.deployment, SANDBOX_MERCHANT.out_sub_mch_id],
        sub: SANDBOX_PAYER[app === 'wechat' ? 'official_account' : 'alipay'],
        jti: randomUUID(),
        exp: Math.floor(Date.now() / 1000) + 600,
        total_fee: totalFen,
        fee_type: 'CNY',
        body: what,
        merchant_order_id: randomUUID(),
      }
      const text = `${part({ alg: 'HS256', kid: name, typ: 'quote+jwt' })}.${part(claims)}`
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
    },

    async openPhone(options: PhoneOptions = {}): Promise<Phone> {
      const { app = 'wechat', size = PHONE_SIZE, dark = false } = options
      const context = await browser.newContext({
        viewport: size,
        userAgent: AGENTS[app],
        colorScheme: dark ? 'dark' : 'light',
        locale: 'zh-CN',
        timezoneId: 'Asia/Shanghai',
      })
      context.setDefaultTimeout(PATIENCE_MS)
      const phone: Phone = {
        context,
        page: await context.newPage(),
        handed: [],
        asked: [],
        complaints: [],
        habit: {
          now: async (payment) => {
            await confirm(payment)
            return 'ok'
          },
        },
      }
      const { page } = phone
      page.on('request', (request) => phone.asked.push({ method: request.method(), url: request.url() }))
      page.on('pageerror', (error) => phone.complaints.push(error.message))
      await context.exposeFunction('complain', (what: string) => void phone.complaints.push(what))
      await context.exposeFunction('wallet', (payment: Record<string, string>) => {
        phone.handed.push(payment)
        return phone.habit.now(payment)
      })
      await context.addInitScript(watchPolicy)
      if (app !== 'none' && options.bridge !== 'missing') await context.addInitScript(imitateBridge, app)
      return phone
    },

    /** Pictures of a page as it is, for a phone and for a desk. */
    async picture(page: Page, name: string): Promise<void> {
      const before = page.viewportSize()!
      for (const [suffix, size] of [
        ['390x844', PHONE_SIZE],
        ['1280x800', DESK_SIZE],
      ] as const) {
        await page.setViewportSize(size)
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-${suffix}.png`), animations: 'disabled' })
      }
      await page.setViewportSize(before)
    },

    async close() {
      await browser.close()
      await machine.stop()
      jest.restoreAllMocks()
    },
  }
  return street
}

/** Runs in the page, before its own scripts. */
function watchPolicy(): void {
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
    void (window as unknown as { complain(what: string): void }).complain(
      `${violatedDirective} ${blockedURI}`,
    )
  })
}

/** Runs in the page: the bridge of the app around it, which is there a moment after the page. */
function imitateBridge(app: 'wechat' | 'alipay'): void {
  type Say = (said: Record<string, string>) => void
  const { wallet } = window as unknown as { wallet(payment: object): Promise<string> }
  const bridges = {
    wechat: {
      name: 'WeixinJSBridge',
      bridge: {
        invoke: (name: string, payment: object, say: Say) => {
          if (name !== 'getBrandWCPayRequest') throw new Error(`no ${name}`)
          void wallet(payment).then((end) => say({ err_msg: `get_brand_wcpay_request:${end}` }))
        },
        call: () => {},
      },
    },
    alipay: {
      name: 'AlipayJSBridge',
      bridge: {
        call: (name: string, payment: object, say: Say) => {
          if (name !== 'tradePay') return
          const codes: Record<string, string> = { ok: '9000', cancel: '6001', fail: '4000' }
          void wallet(payment).then((end) => say({ resultCode: codes[end] ?? end }))
        },
      },
    },
  }
  const { name, bridge } = bridges[app]
  document.addEventListener('DOMContentLoaded', () =>
    setTimeout(() => {
      Object.assign(window, { [name]: bridge })
      document.dispatchEvent(new Event(`${name}Ready`))
    }, 50),
  )
}
