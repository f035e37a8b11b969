import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  apiOrigins,
  boardPolicy,
  buildBoard,
  buildCashier,
  buildConsole,
  buildScan,
  pagePolicy,
  policyOf,
  scanPolicy,
  type CashierConfig,
} from '../deploy/pages'
import { SANDBOX_APPS } from './sandbox/logins'
import { SANDBOX_KEYS } from './sandbox/people'

/** What the gateway serves beside the functions: exact paths, each with its bytes. Nothing is looked up on a disk. */
export type Pages = ReadonlyMap<string, PageFile>
type PageFile = { body: Buffer; headers: Record<string, string>; status?: number }

const TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
}

/** The files of one built page: `cashier` is at /cashier/, its script at /cashier/cashier.js. */
export function readPage(folder: string, name: string, policy: string): Pages {
  const files = { '': 'index.html', [`${name}.js`]: `${name}.js`, [`${name}.css`]: `${name}.css` }
  return new Map(
    Object.entries(files).map(([path, file]) => [
      `/${name}/${path}`,
      {
        body: readFileSync(join(folder, name, file)),
        headers: {
          'content-type': TYPES[file.slice(file.lastIndexOf('.') + 1)]!,
          'content-security-policy': policy,
          'x-content-type-options': 'nosniff',
          'referrer-policy': 'no-referrer',
          'cache-control': 'no-cache',
        },
      },
    ]),
  )
}

/**
 * The payer's page and the order board, built for these two: what `npm run web` builds, with the sandbox's logins. And
 * the console, which is for this machine alone.
 */
export async function buildPages(
  outdir: string,
  { origin, sandboxOrigin }: { origin: string; sandboxOrigin: string },
): Promise<Pages> {
  const config: CashierConfig = {
    api: origin,
    wechat: {
      app_id: SANDBOX_APPS.official_account,
      authorize_url: `${sandboxOrigin}/wechat/connect/oauth2/authorize`,
    },
    alipay: {
      app_id: SANDBOX_APPS.alipay,
      authorize_url: `${sandboxOrigin}/alipay/oauth2/publicAppAuthorize.htm`,
    },
    titles: { tea: '湖心奶茶-大杯' },
  }
  await buildCashier(config, outdir)
  await buildBoard({ api: origin }, outdir)
  await buildScan(outdir)
  await buildConsole({ sandbox: sandboxOrigin }, outdir)
  const policy = `${pagePolicy(apiOrigins(config))}; frame-ancestors 'self'`
  const cashier = readPage(outdir, 'cashier', policy)
  const asks = { connect: [sandboxOrigin], frames: ["'self'", sandboxOrigin] }
  const console = readPage(outdir, 'console', `${policyOf(asks)}; frame-ancestors 'none'`)
  const board = readPage(outdir, 'board', `${boardPolicy({ api: origin })}; frame-ancestors 'none'`)
  const scan = readPage(outdir, 'scan', `${scanPolicy()}; frame-ancestors 'self'`)
  // The phone of the console: the cashier as it is, with a bridge in front of it.
  const page = cashier.get('/cashier/')!
  const html = page.body
    .toString('utf8')
    .replace('<script src="cashier.js"', '<script src="bridge.js"></script>$&')
  const script = {
    ...cashier.get('/cashier/cashier.js')!,
    body: readFileSync(join(outdir, 'console', 'bridge.js')),
  }
  return new Map([
    ...cashier,
    ...console,
    ...board,
    ...scan,
    ['/board/', openWithKey(board.get('/board/')!)],
    ['/', console.get('/console/')!],
    ['/console/phone/', { ...page, body: Buffer.from(html) }],
    ['/console/phone/bridge.js', script],
    ['/console/phone/cashier.js', cashier.get('/cashier/cashier.js')!],
    ['/console/phone/cashier.css', cashier.get('/cashier/cashier.css')!],
  ])
}

/**
 * The board as it is, with the key the sandbox publishes beside it, so that it opens without asking. It is put in as the
 * page is served: no page that is built has a place for a key.
 */
function openWithKey(page: PageFile): PageFile {
  const { name, secret } = SANDBOX_KEYS.operator
  const key = `<script id="sandbox" type="application/json">${JSON.stringify({ name, secret })}</script>`
  return { ...page, body: Buffer.from(page.body.toString('utf8').replace('</head>', `${key}$&`)) }
}
