import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { apiOrigins, buildCashier, pagePolicy, type PagesConfig } from '../deploy/pages'
import { SANDBOX_APPS } from './sandbox/logins'

/** What the gateway serves beside the functions: exact paths, each with its bytes. Nothing is looked up on a disk. */
export type Pages = ReadonlyMap<string, { body: Buffer; headers: Record<string, string> }>

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

/** The payer's page, built for these two: what `npm run web` builds, with the sandbox's logins. */
export async function buildPages(
  outdir: string,
  { origin, sandboxOrigin }: { origin: string; sandboxOrigin: string },
): Promise<Pages> {
  const config: PagesConfig = {
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
  return readPage(outdir, 'cashier', `${pagePolicy(apiOrigins(config))}; frame-ancestors 'self'`)
}
